# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""How the main thread waits for a main context, and hears signals meanwhile.

The interpreter calls the handler of a signal between any two of its instructions, and if that is in
a function that GLib has called, or in one that drops an object, nobody hears of the exception. So
while the main thread waits, what a handler raises is put aside, and ends the wait; but in functions
of the user's it is raised there.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import Any, Callable

from gi.repository import GLib

from ._fork import is_worker

HANDLED = (signal.SIGINT, signal.SIGALRM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM,
           signal.SIGUSR1, signal.SIGUSR2)


class Waiter:
    """A context manager for what waits; `stop` is called with what a handler of a signal raised."""

    def __init__(self, context: GLib.MainContext, stop: Callable[[BaseException], None]) -> None:
        self._context: GLib.MainContext | None = context
        self._stop: Callable[[BaseException], None] | None = stop
        self._inside = False  # in a function of the user's
        self._entered = False
        self._source = None
        self._handlers: dict[int, Callable] = {}

    def _open(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._source = GLib.unix_fd_source_new(self._reader.fileno(), GLib.IOCondition.IN)
        self._source.set_callback(self._drain)
        self._source.attach(self._context)

    def _shut(self) -> None:
        if self._source is not None:
            self._source.destroy()
            self._source = None
            self._reader.close()
            self._writer.close()

    def _drain(self, *_data: object) -> bool:
        try:
            numbers = self._reader.recv(4096)
            if self._old is not None and self._old >= 0:
                os.write(self._old, numbers)
        except OSError:
            pass
        return GLib.SOURCE_CONTINUE

    def _handle(self, number: int, frame: Any) -> None:
        try:
            self._handlers[number](number, frame)
        except BaseException as exception:
            if self._inside:
                raise
            if self._stop is not None:
                self._stop(exception)

    def call(self, func: Callable, *args: Any) -> Any:
        """Calls a function of the user's, out of the wait."""
        self._inside = True
        try:
            return func(*args)
        finally:
            self._inside = False

    def leave_call(self) -> None:
        """For who has caught an exception of call()."""
        self._inside = False

    def __enter__(self) -> Waiter:
        if is_worker() or threading.current_thread() is not threading.main_thread():
            return self
        try:
            if self._source is None:
                self._open()
            self._entered = True
            self._handlers.clear()
            self._old = None
            # The handlers first: what they raise before they are ours must find no change.
            for number in HANDLED:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._handle)
            self._old = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        except BaseException:
            self.__exit__()
            self._shut()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._entered:
            return
        self._entered = False
        if self._old is not None:
            signal.set_wakeup_fd(self._old, warn_on_full_buffer=False)
            self._drain()
        for number in reversed(HANDLED):
            if number in self._handlers and signal.getsignal(number) == self._handle:
                signal.signal(number, self._handlers[number])

    def close(self) -> None:
        """Frees what is used, and lets go of who waited."""
        self._stop = None
        self._shut()
        self._context = None
