# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The fork, as the interpreter has to do it.

A stream of Python's has a lock, which no child can open if another thread of the caller held it
when it was forked. So standard output and error are new in the child, and nobody is in the middle
of a log message at the moment of the fork. The same goes for the locks of modules that another
thread imports. What had been printed before is written before, so that no child writes it a second
time.

What is garbage in the caller is not for a child to collect: finalizers would run in both. And a
collector that looked at all that was inherited would make a copy of each page of it.
"""

from __future__ import annotations

import gc
import io
import os
import sys
import threading
from typing import Any, Iterator

LOG_TIME = 1.0  # seconds to wait for the end of another thread's log message

_worker = 0  # the pid of this process, if it is a worker
_inherited: list = []  # streams that must not be written when they are dropped


def is_worker() -> bool:
    """Whether this process is a child of a pool, or of a background."""
    return _worker == os.getpid()


def flush() -> None:
    """Writes what has been printed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass


def _find_handlers() -> Iterator[Any]:
    logging = sys.modules.get('logging')
    if logging is None:
        return
    loggers = [logging.getLogger(), *list(logging.getLogger().manager.loggerDict.values())]
    seen = set()
    for logger in loggers:
        for handler in getattr(logger, 'handlers', ()):
            if id(handler) not in seen and getattr(handler, 'lock', None) is not None:
                seen.add(id(handler))
                yield handler


def _is_standard(stream: Any) -> bool:
    return stream is not None and type(stream) is io.TextIOWrapper and (
        stream is sys.__stdout__ or stream is sys.__stderr__)


def _make_like(stream: Any, number: int) -> io.TextIOWrapper:
    binary = io.FileIO(number, 'w', closefd=False)
    buffered = binary if isinstance(stream.buffer, io.FileIO) else io.BufferedWriter(binary)
    return io.TextIOWrapper(buffered, stream.encoding, stream.errors, '\n', stream.line_buffering,
                            stream.write_through)


def _renew_streams(handlers: list) -> None:
    for name, number in (('stdout', 1), ('stderr', 2)):
        old = getattr(sys, name)
        if not _is_standard(old):
            continue
        new = _make_like(old, number)
        _inherited.append(old)
        setattr(sys, name, new)
        setattr(sys, f'__{name}__', new)
        for handler in handlers:
            if getattr(handler, 'stream', None) is old:
                handler.stream = new


def _forget_imports() -> None:
    """What another thread was importing is for the child to import anew: nobody finishes it."""
    locks = getattr(sys.modules.get('_frozen_importlib'), '_module_locks', {})
    for name, reference in list(locks.items()):
        lock = reference()
        if getattr(lock, 'owner', None) == threading.get_ident():
            continue
        locks.pop(name, None)
        spec = getattr(sys.modules.get(name), '__spec__', None)
        if getattr(spec, '_initializing', False):
            del sys.modules[name]


def _fork() -> int:
    global _worker
    caller = os.getpid()
    flush()
    handlers = list(_find_handlers())
    locked = [handler for handler in handlers
              if not _is_standard(getattr(handler, 'stream', None)) and
              handler.lock.acquire(timeout=LOG_TIME)]
    try:
        pid = os.fork()
    finally:
        # Logging itself opens them in the child.
        for handler in locked if os.getpid() == caller else ():
            handler.release()
    if pid == 0:
        _worker = os.getpid()
        gc.freeze()
        _forget_imports()
        _renew_streams(handlers)
    return pid


def fork(*_data: object) -> int:
    """Forks; what goes wrong is no child."""
    try:
        return _fork()
    except BaseException:
        return -1
