# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""One map in flight.

A worker calls work() once for each range that it claims; it loops over the items, noting each in
the job's cursor, and packs the results once. The caller runs a main context of its own, in which
take() unpacks them. In threads and serially the results stay where they are, and only a mark
travels.
"""

from __future__ import annotations

import atexit
import collections
import collections.abc
import ctypes
import numbers
import os
import random
import sys
import threading
import weakref
from typing import Any, Callable, Iterable, Iterator

from gi.module import get_introspection_module
from gi.repository import Gio, GLib

from . import _transport
from ._errors import (
    WorkerException, format_traceback, new_bytes, pack_exception, unpack_failure)
from ._fork import flush, is_worker
from ._keep import OPTIONS as KEPT_OPTIONS
from ._wait import Waiter

Shm = get_introspection_module('Shm')

# Without a frame of Python's, which an exception of a serial map would hold, and with it the
# context.
_iterate = get_introspection_module('GLib').MainContext.iteration

OPTIONS = ('retries', 'timeout', 'on_error', 'progress', 'seed', 'chunksize', 'window')

LIMITS = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'BLIS_NUM_THREADS',
          'NUMEXPR_NUM_THREADS', 'VECLIB_MAXIMUM_THREADS')

_MARK = new_bytes(b'-')


def _call(func: Callable, result: Any) -> Any:
    return func(*result) if isinstance(result, tuple) else func(result)


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, numbers.Integral):
        raise TypeError(f'{name} is a whole number, and not {value!r}')
    if value < 0:
        raise ValueError(f'{name} cannot be negative')


def _check_options(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if name not in OPTIONS:
            raise TypeError(f'map() has no option {name!r}')
        if name in ('retries', 'chunksize', 'window') and value is not None:
            _check_count(name, value)
    if options.get('on_error', 'raise') not in ('raise', 'collect'):
        raise ValueError("on_error is 'raise' or 'collect'")
    timeout, seed, progress = (options.get(name) for name in ('timeout', 'seed', 'progress'))
    if timeout is not None and not timeout > 0:
        raise ValueError('timeout is a number of seconds above 0')
    if seed is not None and not isinstance(seed, numbers.Integral):
        raise TypeError(f'seed is a whole number, and not {seed!r}')
    if progress and progress is not True and not (
            callable(progress) or hasattr(progress, 'update')):
        raise TypeError('progress is True, a function, or an object with update()')


def _is_indexable(sequence: Any) -> bool:
    return hasattr(sequence, '__getitem__') and hasattr(sequence, '__len__')


def _keep_random_state() -> Callable[[], None]:
    """What puts the caller's random numbers back."""
    state = random.getstate()
    generators = sys.modules.get('numpy.random')
    state_of_generators = generators.get_state() if generators is not None else None

    def restore() -> None:
        random.setstate(state)
        if state_of_generators is not None:
            generators.set_state(state_of_generators)

    return restore


class _Here(threading.local):
    """What the calling thread is about."""

    works = False


_here = _Here()

# Held while a job takes over the properties of its pool. A child inherits it held.
_settings_lock = threading.Lock()


def _forget_lock() -> None:
    global _settings_lock
    _settings_lock = threading.Lock()


_iterators: weakref.WeakSet = weakref.WeakSet()


def _close_iterators() -> None:
    """Ends those that the program has left in the middle, while that is possible."""
    for iterator in list(_iterators):
        try:
            iterator.close()
        except ValueError:
            pass  # it runs, in another thread


atexit.register(_close_iterators)
os.register_at_fork(after_in_child=_forget_lock)


class Run:
    """A call of map() or imap()."""

    def __init__(self, pool: Any, func: Callable, sequence: Iterable, reduce: Callable | None,
                 star: bool, minlength: int, options: dict[str, Any]) -> None:
        if not callable(func):
            raise TypeError('the work function cannot be called')
        if reduce is not None and not callable(reduce):
            raise TypeError('the reduce function cannot be called')
        _check_count('minlength', minlength)
        _check_options(options)
        if options.get('seed') is not None and pool.get_backend() == Shm.BackendType.THREAD:
            raise ValueError('threads share their random numbers: there is no seed for each item')
        self._pool = pool
        self._func = func
        self._reduce = reduce
        self._star = star
        self._minlength = minlength
        self._options = options
        self._pid = os.getpid()
        self._cancellable = Gio.Cancellable()
        self._stash: BaseException | None = None  # raised by what the caller was asked for
        self._done = True  # but while a job runs
        self._error: GLib.Error | None = None
        self._job: Any = None
        self._failures: list = []
        self._context: GLib.MainContext | None = GLib.MainContext.new()
        self._waiter = Waiter(self._context, self._stop)
        self._box: dict[int, list] = {}  # results that did not travel
        self._fed: dict[int, Any] = {}  # items that need not travel
        self._caught: dict[int, BaseException] = {}  # by item, where they need not travel
        self._results: list = []
        self._ready: collections.deque = collections.deque()
        self._streams = False
        self._left = False  # before the end, by who goes through the results
        self._thread: int | None = None  # that waits
        self._worker: int | None = None  # the process that has prepared itself
        self._offset = 0  # of the items, as the library counts; see _keep.py
        self._keeper: Any = None
        self._items = None
        self._iterator = None
        if isinstance(sequence, (collections.abc.Mapping, collections.abc.Set)):
            sequence = list(sequence)
        if _is_indexable(sequence):
            self._items = sequence
            self._length = len(sequence)
        else:
            self._iterator = iter(sequence)
            self._length = 0

    # In a worker.

    def _prepare(self, pool: Any) -> None:
        """Once in each worker process."""
        self._worker = os.getpid()
        for name in LIMITS if self._worker != self._pid else ():
            # The library has set it; os.environ is a copy that was made before.
            os.environ[name] = GLib.getenv(name) or ''
        self._packer = _transport.Packer(pool)
        if self._worker != self._pid and self._options.get('seed') is None:
            generators = sys.modules.get('numpy.random')
            if generators is not None:
                generators.seed()

    def renew(self, items: Any, offset: int) -> None:
        """Goes on with the items of another run, in a worker that was kept."""
        self._items = items
        self._offset = offset

    def _make_begin(self, pool: Any) -> Callable[[int], None] | None:
        """What tells that an item begins; None: the cursor does."""
        seed = self._options.get('seed')
        if seed is None and not self._options.get('timeout') and not pool.get_item_timeout():
            return None
        if seed is None:
            return pool.begin_item

        def begin(index: int) -> None:
            pool.begin_item(index)
            number = self._job.seed(index)
            random.seed(number)
            generators = sys.modules.get('numpy.random')
            if generators is not None:
                generators.seed(number & 0xffffffff)

        return begin

    def _get_fed(self, index: int) -> Any:
        if not self._travels:
            return self._fed.pop(index)
        return _transport.unpack_item(self._job.get_item(index))

    def _loop(self, pool: Any, begin: int, end: int, results: list) -> None:
        func, star, items, append = self._func, self._star, self._items, results.append
        offset = self._offset + 1
        tell = self._make_begin(pool)
        if tell is None:
            cursor = ctypes.c_uint64.from_address(pool.get_cursor_address())
        if items is not None and tell is None and not star:
            cursor = memoryview(cursor).cast('B').cast('Q')
            if type(items) is range:
                numbers = range(begin + offset, end + offset)
                for cursor[0], item in zip(numbers, items[begin:end]):
                    append(func(item))
                return
            for index in range(begin, end):
                cursor[0] = index + offset
                append(func(items[index]))
            return
        for index in range(begin, end):
            if tell is None:
                cursor.value = index + offset
            else:
                tell(index)
            item = self._get_fed(index) if items is None else items[index]
            append(func(*item) if star else func(item))

    def _pack(self, pool: Any, begin: int, results: list) -> GLib.Variant | None:
        if not results or (not self._streams and self._reduce is None and results[0] is None and
                           set(map(type, results)) == {type(None)}):
            return None
        if os.getpid() == self._pid:
            self._box[begin] = results
            return _MARK
        try:
            return self._packer.pack(results)
        except _transport.Unpicklable as exception:
            position = exception.position
            ctypes.c_uint64.from_address(pool.get_cursor_address()).value = (
                begin + position + self._offset + 1)
            pool.fail_item(*pack_exception(exception.reason))
            return self._pack(pool, begin, results[:position])

    def _work_here(self, pool: Any, begin: int, end: int, results: list) -> None:
        """Works serially, in the thread that called."""
        restore = _keep_random_state() if self._options.get('seed') is not None else None
        try:
            self._waiter.call(self._loop, pool, begin, end, results)
        except KeyboardInterrupt as exception:
            self._waiter.leave_call()
            self._stop(exception)
            raise
        finally:
            if restore is not None:
                restore()

    def work(self, pool: Any, begin: int, end: int,
             load: Callable[[], None] | None = None) -> GLib.Variant | None:
        """Works on a range, for which there is something to load first, if a function says so.

        No exception may leave it: nobody would hear of it.
        """
        results: list = []
        is_outermost = not _here.works
        _here.works = True
        try:
            if self._worker != os.getpid():
                self._prepare(pool)
            if load is not None:
                load()
            if os.getpid() == self._pid and threading.get_ident() == self._thread:
                self._work_here(pool, begin, end, results)
            else:
                self._loop(pool, begin, end, results)
        except BaseException as exception:
            if os.getpid() == self._pid:
                self._caught[begin + len(results)] = exception
            pool.fail_item(*pack_exception(exception))
        try:
            variant = self._pack(pool, begin, results)
        except BaseException as exception:
            pool.fail_item(*pack_exception(exception))
            variant = None
        finally:
            if is_outermost:
                _here.works = False
        if self._worker != self._pid:
            flush()
        return variant

    def _work(self, pool: Any, begin: int, end: int, *_data: object) -> GLib.Variant | None:
        return self.work(pool, begin, end)

    # In the caller.

    def _stop(self, exception: BaseException) -> None:
        """Ends the run, whose caller gets the first such exception."""
        if self._stash is None:
            self._stash = exception
        self._cancellable.cancel()

    def _guard(self, func: Callable, *args: Any) -> Any:
        """Calls what an exception must not leave, since nobody would hear of it.

        After the first one nothing is called: a job that ends may still tell of its progress.
        """
        if self._stash is not None:
            return None
        try:
            return func(*args)
        except BaseException as exception:
            self._waiter.leave_call()
            self._stop(exception)
            return None

    def _load(self, index: int, variant: GLib.Variant, job: Any) -> list:
        try:
            return _transport.unpack(variant, job)
        except Exception as exception:
            raise WorkerException(
                exception, f'Of item {index} or one soon after it: a result that does not load.\n'
                + format_traceback(exception)) from exception

    def _take_results(self, job: Any, index: int, variant: GLib.Variant) -> bool:
        results = self._box.pop(index, None)
        if results is None:
            results = self._load(index, variant, job)
        if self._streams:
            self._ready.extend(results)
            return True
        if self._reduce is not None:
            results = [self._waiter.call(_call, self._reduce, result) for result in results]
        missing = index + len(results) - len(self._results)
        if missing > 0:
            self._results.extend([None] * missing)
        self._results[index:index + len(results)] = results
        return True

    def take(self, job: Any, index: int, variant: GLib.Variant, *_data: object) -> bool:
        """Takes the results of a range."""
        return self._guard(self._take_results, job, index, variant) or False

    def _feed_next(self, index: int) -> GLib.Variant | None:
        if self._left:
            return None
        item = self._waiter.call(next, self._iterator, _MARK)
        if item is _MARK:
            return None
        self._length = index + 1
        if self._travels:
            return _transport.pack_item(item)
        self._fed[index] = item
        return _MARK

    def _feed(self, _job: Any, index: int, *_data: object) -> GLib.Variant | None:
        return self._guard(self._feed_next, index)

    def _show_progress(self, job: Any, *_data: object) -> None:
        shown = self._options['progress']
        n_done = job.get_n_done()
        if n_done == self._n_shown:
            return
        n_new = n_done - (self._n_shown or 0)
        self._n_shown = n_done
        if hasattr(shown, 'update'):
            self._waiter.call(shown.update, n_new)
        else:
            self._waiter.call(shown, n_done, job.get_n_items())

    def _follow_progress(self, job: Any) -> None:
        shown = self._options.get('progress')
        if shown is True:
            job.set_progress_stream(Gio.UnixOutputStream.new(2, False))
        elif shown:
            self._n_shown: int | None = None
            job.connect('notify::n-done',
                        lambda job, _pspec: self._guard(self._show_progress, job))

    def get_key(self) -> tuple:
        """What runs must have in common to share their workers."""
        return self._func, self._star, self._reduce is None, self._options

    def make_job(self, work: Callable, take: Callable) -> Any:
        """Makes a job that works and takes results with these functions."""
        options = self._options
        job = Shm.Job.new(self._pool, self._length)
        if self._iterator is not None:
            job.set_feed_func(self._feed, None)
        job.set_range_func(work)
        job.set_result_func(take)
        job.set_output(Shm.Output.STREAM)
        job.set_window(int(options.get('window') or 0))
        if options.get('seed') is not None:
            job.set_seed((int(options['seed']) * 2 + 1) & 0xffffffffffffffff)
        self._follow_progress(job)
        return job

    def _get_settings(self) -> dict[str, Any]:
        """The properties of the pool that this call wants otherwise."""
        options = self._options
        settings: dict[str, Any] = {}
        if self._minlength:
            settings['min-length'] = int(self._minlength)
        if options.get('retries'):
            settings['max-retries'] = int(options['retries'])
        if options.get('timeout'):
            settings['item-timeout'] = max(1, round(options['timeout'] * 1000))
        if options.get('chunksize'):
            settings['chunk-size'] = int(options['chunksize'])
        if options.get('on_error') == 'collect':
            settings['failure-policy'] = Shm.FailurePolicy.COLLECT
        return settings

    def _ended(self, job: Any, result: Gio.AsyncResult, *_data: object) -> None:
        try:
            job.run_finish(result)
        except GLib.Error as error:
            self._error = error.with_traceback(None)  # which would hold the result, and its context
        self._done = True

    def _find_kept_job(self) -> Any:
        keeper = self._pool.keeper
        if keeper is None or not self._travels or self._streams or self._items is None or (
                self._length < self._minlength or not self._options.keys() <= KEPT_OPTIONS):
            return None
        job = keeper.begin(self, self._items)
        self._keeper = keeper if job is not None else None
        return job

    def _start(self, in_order: bool) -> None:
        is_inner = is_worker() or _here.works
        self._travels = (
            self._pool.get_backend() == Shm.BackendType.PROCESS and not Shm.get_debug() and
            (self._pool.get_nested() or not is_inner))
        settings = self._get_settings()
        self._job = self._find_kept_job() or self.make_job(self._work, self.take)
        if in_order:
            self._job.set_output(Shm.Output.STREAM_IN_ORDER)
        with _settings_lock:
            old = {name: self._pool.get_property(name) for name in settings}
            for name, value in settings.items():
                self._pool.set_property(name, value)
            self._context.push_thread_default()
            try:
                self._done = False
                self._job.run_async(self._cancellable, self._ended)
            finally:
                self._context.pop_thread_default()
                for name, value in old.items():
                    self._pool.set_property(name, value)

    def _wait(self) -> None:
        self._thread = threading.get_ident()
        _iterate(self._context, True)

    def _end(self) -> None:
        """Waits for the end."""
        while not self._done:
            self._wait()
        if self._job is not None:
            self._failures = self._job.get_failures() or []
        if self._keeper is not None:
            self._keeper.end()

    def _close(self) -> None:
        self._waiter.close()
        self._context = None  # who keeps an exception that has seen this run keeps no descriptor

    def _raise(self) -> None:
        # What is raised has this frame in its traceback, so nothing in the frame may refer to it.
        stash, self._stash = [self._stash], None
        error, self._error = [self._error], None
        if stash[0] is not None:
            raise stash.pop()
        failures = self._failures
        if error[0] is None:
            for failure in failures:
                self._set_failed(failure)
        else:
            # Of those that were collected none is what ended the job.
            ended = failures and self._options.get('on_error') != 'collect'
            raise self._unpack(failures[0]) if ended else error.pop()

    def _unpack(self, failure: Shm.Failure) -> BaseException:
        return unpack_failure(failure, self._caught.get(failure.get_index()))

    def _set_failed(self, failure: Shm.Failure) -> None:
        index = failure.get_index()
        missing = index + 1 - len(self._results)
        self._results.extend([None] * max(0, missing))
        self._results[index] = self._unpack(failure)

    def cancel(self) -> None:
        """Ends the run; may be called from any thread."""
        self._cancellable.cancel()

    def to_list(self) -> list:
        """Runs to the end; the results in the order of the items."""
        self._results = [None] * self._length
        try:
            with self._waiter:
                try:
                    self._start(in_order=False)
                finally:
                    self._end()
        finally:
            self._close()
        self._raise()
        self._results.extend([None] * (self._length - len(self._results)))
        return self._results

    def iterate(self, in_order: bool) -> Iterator:
        """The results one by one; what is not asked for waits in the workers."""
        if in_order and self._options.get('on_error') == 'collect':
            raise ValueError("on_error='collect' is for map() and imap_unordered()")
        iterator = self._iterate(in_order)
        _iterators.add(iterator)
        return iterator

    def _iterate(self, in_order: bool) -> Iterator:
        self._streams = True
        try:
            with self._waiter:
                self._start(in_order)
            while not self._done or self._ready:
                while self._ready:
                    yield self._ready.popleft()
                if not self._done:
                    with self._waiter:
                        self._wait()
        finally:
            # A child that has inherited the iterator and drops it has nothing to end.
            if os.getpid() == self._pid:
                if not self._done:
                    self._left = True
                    self._cancellable.cancel()
                try:
                    with self._waiter:
                        self._end()
                finally:
                    self._close()
        self._raise()
        for result in self._results:
            if result is not None:
                yield result
