# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""One call in one child."""

from __future__ import annotations

import os
from typing import Any, Callable

from gi.module import get_introspection_module
from gi.repository import Gio, GLib

from . import _transport
from ._errors import WorkerException, pack_exception, unpack_failure
from ._fork import flush
from ._wait import Waiter

Shm = get_introspection_module('Shm')


def _wait(background: Shm.Background) -> GLib.Variant | None:
    """Waits until it has ended, or a signal's handler raises something."""
    context = GLib.MainContext.new()
    cancellable = Gio.Cancellable()
    ended: list[Gio.AsyncResult] = []
    raised: list[BaseException] = []

    def stop(exception: BaseException) -> None:
        raised.append(exception)
        cancellable.cancel()

    with Waiter(context, stop) as waiter:
        context.push_thread_default()
        try:
            background.wait_async(cancellable, lambda _background, result: ended.append(result))
            while not ended:
                context.iteration(True)
        finally:
            context.pop_thread_default()
    waiter.close()
    if raised:
        raise raised.pop()  # and so this frame does not hold itself
    return background.wait_finish(ended[0])


def _make_work(func: Callable, args: tuple, kwargs: dict[str, Any], kept: list) -> Callable:
    pid = os.getpid()

    def work(*_data: object) -> GLib.Variant | None:
        try:
            result = func(*args, **kwargs)
            if os.getpid() == pid:
                kept.append(result)
                return None
            return _transport.pack_item(result)
        except BaseException as exception:
            Shm.Background.fail(*pack_exception(exception))
            return None
        finally:
            if os.getpid() != pid:
                flush()

    return work


def _unpack(failure: Shm.Failure) -> WorkerException:
    exception = unpack_failure(failure)
    exception.index = exception.rank = None  # there is but one call
    return exception


class background:
    """Calls func(*args, **kwargs) in a child, beginning at once; wait() gives its result.

    The child inherits all there is, as workers do. A background that is dropped is ended.
    """

    def __init__(self, func: Callable, *args: Any, **kwargs: Any) -> None:
        if not callable(func):
            raise TypeError('the function cannot be called')
        self._kept: list = []
        raised: list[BaseException] = []
        # It must not refer to this object, which would be kept as long as its child runs.
        work = _make_work(func, args, kwargs, self._kept)
        with Waiter(GLib.MainContext.new(), raised.append) as waiter:
            self._background = Shm.Background.new(work, None)
        waiter.close()
        if raised:
            self._background.cancel()
            raise raised.pop()

    def wait(self) -> Any:
        """The result of the call; or a WorkerException, if it raised one or the child died."""
        try:
            variant = _wait(self._background)
        except GLib.Error:
            failure = self._background.get_failure()
            if failure is None:
                raise
            raise _unpack(failure)
        if variant is None:
            return self._kept[0]
        return _transport.unpack_item(variant)

    def cancel(self) -> None:
        """Ends the child; wait() raises GLib.Error then."""
        self._background.cancel()

    @property
    def running(self) -> bool:
        """Whether the child has not ended yet."""
        return self._background.is_running()
