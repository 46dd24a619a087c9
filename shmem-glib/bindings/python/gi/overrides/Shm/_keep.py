# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Workers that stay for the next map with the same function.

They have inherited the run that they were forked for, and go on with it: of the maps that follow
they get the sequence, pickled once, as the argument of the job. Where that cannot be, or would make
a copy of what should be shared, or of a lot, the workers are let go, and new ones inherit what
there is.
"""

from __future__ import annotations

import atexit
import ctypes
import io
import pickle
import sys
import threading
import types
import weakref
from typing import TYPE_CHECKING, Any, Callable, Container, Iterator

from gi.module import get_introspection_module

from . import _family
from ._errors import new_bytes, to_bytes

if TYPE_CHECKING:
    from ._run import Run

Shm = get_introspection_module('Shm')

OPTIONS = {'retries', 'timeout', 'on_error', 'chunksize'}

MAX_SIZE = 1 << 20  # bytes of a pickle; a fork costs less than more of them

_CData = ctypes._SimpleCData.__base__


class _NotForThemError(Exception):
    """What workers that were forked before do not know, or what is no good as a copy."""


def _is_same(func: Callable, other: Callable) -> bool:
    return func is other or (isinstance(func, types.MethodType) and func == other and
                             func.__self__ is other.__self__)


def _get_definitions() -> Iterator[Any]:
    """The classes and functions of the program."""
    for value in list(getattr(sys.modules.get('__main__'), '__dict__', {}).values()):
        if isinstance(value, (type, types.FunctionType)):
            yield value


def _is_own(array: Any, kind: type) -> bool:
    """Whether nobody else sees what is written into a numpy array."""
    base = array
    while isinstance(base, kind):
        base = base.base
    return base is None or isinstance(base, (bytes, bytearray))


class _Stream(io.BytesIO):
    """Memory that takes so much."""

    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > MAX_SIZE:
            raise _NotForThemError
        return super().write(data)


class _Pickler(pickle.Pickler):
    """Pickles for workers that were forked at a certain time.

    `made_before` is a mark of that time, `known` what the program had defined.
    """

    def __init__(self, stream: Any, made_before: int, known: Container) -> None:
        super().__init__(stream, 5)
        self._made_before = made_before
        self._known = known
        self._array_type = getattr(sys.modules.get('numpy'), 'ndarray', ())
        self._arrays = sys.modules.get(__package__ + '._numpy')

    def _reduce_array(self, array: Any) -> Any:
        if self._arrays is not None:
            if isinstance(array, self._arrays.SharedArray):
                return self._arrays.by_reference(array, self._made_before)
            if type(array) is self._array_type and self._arrays.is_shared(array):
                return self._array_type.view, (
                    array.view(self._arrays.SharedArray), self._array_type)
        return NotImplemented if _is_own(array, self._array_type) else None

    def reducer_override(self, value: Any) -> Any:
        reduced = NotImplemented
        if isinstance(value, self._array_type):
            reduced = self._reduce_array(value)
        elif isinstance(value, _CData):
            reduced = None  # its memory may be shared
        elif isinstance(value, (type, types.FunctionType)) and value.__module__ == '__main__':
            name = value.__qualname__.partition('.')[0]
            if getattr(sys.modules.get('__main__'), name, None) not in self._known:
                reduced = None
        if reduced is None:
            raise _NotForThemError
        return reduced


class Kept:
    """The workers of a pool, and the job that has them."""

    def __init__(self, run: Run) -> None:
        self._key = run.get_key()
        self._run: Run | None = run
        self._offset = 0  # in a worker: where its run begins
        self._forked: int | None = None  # a mark, made before
        self._known: weakref.WeakSet = weakref.WeakSet()  # what the program had defined then
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

    def _dump(self, items: Any) -> bytes:
        stream = _Stream()
        _Pickler(stream, self._forked, self._known).dump(items)
        return stream.getvalue()

    def begin(self, run: Run, items: Any) -> Any:
        """The job, ready for a run."""
        self._run = run
        self._job.set_n_items(len(items))
        argument = None
        if self._forked is not None:
            try:
                argument = new_bytes(self._dump(items))
            except Exception:  # it cannot be pickled, for whatever reason
                self._job.release_workers()
        # New workers inherit the items.
        self._job.set_argument(argument)
        if argument is None:
            self._forked = _family.mark()
            self._known = weakref.WeakSet(_get_definitions())
        return self._job

    def end(self) -> None:
        """The run is over."""
        self._run = None
        self._job.set_argument(None)

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
        self._unwanted = False
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
        self._kept.end()
        self._busy.release()
        if self._unwanted:
            self.release()

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.release()
            self._kept = None

    def release(self) -> None:
        """Lets the workers go; if they work, for a map in another thread, after it."""
        self._unwanted = True
        if self._busy.acquire(blocking=False):
            self._unwanted = False
            self._drop()
            self._busy.release()


def _release_all() -> None:
    for pool in list(_pools):
        pool.release()


atexit.register(_release_all)
