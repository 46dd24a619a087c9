# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The interface of concurrent.futures."""

from __future__ import annotations

import concurrent.futures
from typing import Any, Callable

from gi.module import get_introspection_module

from ._background import background
from ._errors import WorkerException

Shm = get_introspection_module('Shm')


def _wait_for(func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    try:
        return background(func, *args, **kwargs).wait()
    except WorkerException as exception:
        exception.__cause__ = None  # it would be the reason of itself
        raise exception.reason from exception


class Executor(concurrent.futures.Executor):
    """Runs each call in a child of its own, at most `max_workers` at once.

    A child is forked when its call begins, and inherits what there is at that time. The exception
    of a future is that of the call, as with the executors of the standard library, and its cause
    the WorkerException.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise ValueError('max_workers is the number of workers, at least 1')
        self._threads = concurrent.futures.ThreadPoolExecutor(
            max_workers or Shm.cpu_count(), thread_name_prefix='shm-executor')

    def submit(self, func: Callable, /, *args: Any, **kwargs: Any) -> concurrent.futures.Future:
        """The future result of func(*args, **kwargs)."""
        return self._threads.submit(_wait_for, func, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls, and waits for those that run."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
