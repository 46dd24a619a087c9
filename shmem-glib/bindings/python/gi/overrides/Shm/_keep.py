# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Workers that stay for the next map with the same function.

They have inherited the run that they were forked for, and go on with it: of the maps that follow
they get the sequence, pickled once, as the argument of the job. Where that cannot be, or would make
a copy of what should be shared, the workers are let go, and new ones inherit what there is.
"""

from __future__ import annotations

import atexit
import copyreg
import ctypes
import io
import pickle
import sys
import threading
import types
import weakref
from typing import TYPE_CHECKING, Any, Callable

from gi.module import get_introspection_module

from . import _family
from ._errors import new_bytes, to_bytes

if TYPE_CHECKING:
    from ._run import Run

Shm = get_introspection_module('Shm')

OPTIONS = {'retries', 'timeout', 'on_error', 'chunksize'}


class _TooYoungError(Exception):
    """The workers were forked before an array was made."""


def _is_same(func: Callable, other: Callable) -> bool:
    return func is other or (isinstance(func, types.MethodType) and func == other and
                             func.__self__ is other.__self__)


def _dump(value: Any, made_before: int) -> bytes:
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, 5)
    arrays = sys.modules.get(__package__ + '._numpy')
    if arrays is not None:
        def reduce(array: Any) -> tuple:
            reduced = arrays.by_reference(array, made_before)
            if reduced is None:
                raise _TooYoungError
            return reduced

        pickler.dispatch_table = {**copyreg.dispatch_table, arrays.SharedArray: reduce}
    pickler.dump(value)
    return stream.getvalue()


class Kept:
    """The workers of a pool, and the job that has them."""

    def __init__(self, run: Run) -> None:
        self._key = run.get_key()
        self._run: Run | None = run
        self._offset = 0  # in a worker: where its run begins
        self._forked: int | None = None  # a mark, made before
        self._job = run.make_job(self.work, self.take)
        self._job.set_keep_workers(True)

    def fits(self, run: Run) -> bool:
        """Whether the workers can do what this run wants."""
        (func, *rest), (other, *others) = self._key, run.get_key()
        return _is_same(func, other) and rest == others

    # In a worker.

    def work(self, pool: Any, begin: int, end: int, *_data: object) -> Any:
        """Works on a range of the run that takes place."""
        run = self._run
        cursor = ctypes.c_uint64.from_address(pool.get_cursor_address())
        offset = cursor.value - begin - 1
        load = None
        if offset != self._offset:
            def load() -> Any:
                run.renew(pickle.loads(to_bytes(pool.get_argument())), offset)
                self._offset = offset
        return run.work(pool, begin, end, load)

    # In the caller.

    def take(self, job: Any, index: int, variant: Any, *_data: object) -> bool:
        """Takes the results of a range."""
        return self._run.take(job, index, variant)

    def begin(self, run: Run, items: Any) -> Any:
        """The job, ready for a run."""
        self._run = run
        self._job.set_n_items(len(items))
        argument = None
        if self._forked is not None:
            try:
                argument = new_bytes(_dump(items, self._forked))
            except Exception:  # it cannot be pickled, for whatever reason
                self._job.release_workers()
        # New workers inherit the items.
        self._job.set_argument(argument)
        if argument is None:
            self._forked = _family.mark()
        return self._job

    def release(self) -> None:
        """Lets the workers go."""
        self._forked = None
        self._job.set_keep_workers(False)


_pools: weakref.WeakSet = weakref.WeakSet()


class Keeper:
    """What a pool has of workers that are kept."""

    def __init__(self) -> None:
        self._kept: Kept | None = None
        self._busy = threading.Lock()
        _pools.add(self)

    def begin(self, run: Run, items: Any) -> Any:
        """The job for a run, or None: it is to make its own."""
        if not len(items) or not self._busy.acquire(blocking=False):
            return None
        try:
            if self._kept is None or not self._kept.fits(run):
                self._drop()
                self._kept = Kept(run)
            return self._kept.begin(run, items)
        except BaseException:
            self._busy.release()
            raise

    def end(self) -> None:
        """The run is over."""
        self._busy.release()

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.release()
            self._kept = None

    def release(self) -> None:
        """Lets the workers go."""
        if self._busy.acquire(blocking=False):
            self._drop()
            self._busy.release()


def _release_all() -> None:
    for pool in list(_pools):
        pool.release()


atexit.register(_release_all)
