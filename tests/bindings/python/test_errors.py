# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Whatever goes wrong in a work function arrives as a WorkerException."""

import os
import pickle
import sys
import time
import traceback
import warnings

import pytest
from gi.repository import GLib, Shm


def fail_with(exception, at=1):
    def work(i):
        if i == at:
            raise exception
        return i
    return work


def fetch(pool, work, items=range(4), **options):
    """The exception that a map ends with."""
    with pytest.raises(Shm.WorkerException) as info:
        pool.map(work, items, **options)
    assert info.value.__cause__ is info.value.reason
    return info.value


class Local(Exception):
    def __init__(self, message, extra):
        super().__init__(message, extra)
        self.extra = extra


class BadText(Exception):
    def __str__(self):
        raise RuntimeError('no text')


class BadReduce(Exception):
    def __reduce__(self):
        raise RuntimeError('no pickle')


class LoadsAsSomethingElse(Exception):
    def __reduce__(self):
        return int, ('5',)


class FailsToLoad:
    def __reduce__(self):
        return int, ('x',)


@pytest.mark.parametrize('exception', [
    ValueError('text'), KeyError('key'), Local('text', {'a': [1]}), SystemExit(3),
    OSError(2, 'No such file', 'path'), UnicodeDecodeError('utf-8', b'x', 0, 1, 'why'),
    StopIteration(5), GeneratorExit(), AssertionError(), MemoryError(), ValueError('a\udc80\0b'),
    ExceptionGroup('several', [ValueError(1), KeyError(2)])])
def test_type_and_arguments_are_kept(any_pool, exception):
    error = fetch(any_pool, fail_with(exception))
    assert type(error.reason) is type(exception)
    assert str(error.reason) == str(exception)
    assert error.index == 1
    assert error.rank in range(max(1, any_pool.np))
    assert error.pid == 0
    assert 'in work' in error.traceback
    assert 'item 1' in str(error)


def test_own_exceptions_keep_what_they_hold(any_pool):
    assert fetch(any_pool, fail_with(Local('text', [1, 2]))).reason.extra == [1, 2]


@pytest.mark.parametrize('exception', [BadText(), BadReduce('text'), LoadsAsSomethingElse('text'),
                                       ValueError(lambda: 0)])
def test_what_cannot_travel_arrives_as_text(pool, exception):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        error = fetch(pool, fail_with(exception))
    name = type(exception).__name__
    if type(error.reason) is Exception:
        assert [warning.category for warning in caught] == [Shm.LostExceptionType]
        assert caught[0].filename == __file__
        assert name in str(error.reason)
    assert name in error.traceback


@pytest.mark.filterwarnings('ignore')
def test_in_threads_the_exception_is_the_same(any_pool):
    exception = BadReduce('text')
    error = fetch(any_pool, fail_with(exception))
    assert isinstance(error.reason, BadReduce if any_pool.np == 0 else Exception)


@pytest.mark.parametrize('message', ['a\udc80b', 'a\0b', 'x' * 1000000, ''])
def test_errors_of_glib(any_pool, message):
    error = fetch(any_pool, fail_with(GLib.Error(message, 'a-domain', 7)))
    assert isinstance(error.reason, GLib.Error)
    assert (error.reason.domain, error.reason.code) == ('a-domain', 7)


def test_recursion(pool):
    def work(i):
        return work(i)

    error = fetch(pool, work)
    assert isinstance(error.reason, RecursionError)
    assert len(error.traceback) < 100000


def test_results_that_are_too_deep(pool):
    def work(i):
        result = []
        for _ in range(100000 if i == 2 else 1):
            result = [result]
        return result

    error = fetch(pool, work)
    assert isinstance(error.reason, RecursionError)
    assert error.index == 2


def test_huge_messages_and_tracebacks(pool):
    error = fetch(pool, fail_with(ValueError('x' * 10_000_000)))
    assert len(error.reason.args[0]) == 10_000_000
    assert len(error.traceback) < 100000


def test_chains_are_told(pool):
    def work(i):
        try:
            1 / 0
        except ZeroDivisionError as exception:
            raise ValueError('above') from exception

    error = fetch(pool, work)
    assert 'ZeroDivisionError' in error.traceback
    text = ''.join(traceback.format_exception(error))
    assert text.count('in work') >= 1


@pytest.mark.parametrize('status', [0, 3, 'text', None])
def test_exit(any_pool, status):
    error = fetch(any_pool, lambda i: sys.exit(status))
    assert isinstance(error.reason, SystemExit)
    assert error.reason.code == status


@pytest.mark.parametrize('status', [0, 3])
def test_exit_at_once(pool, status):
    error = fetch(pool, lambda i: os._exit(status) if i == 2 else i)
    assert error.reason.matches(Shm.error_quark(), Shm.Error.WORKER_EXIT)
    assert error.index == 2
    assert error.pid > 0


def test_interrupt_raised_by_the_function(pool):
    assert isinstance(fetch(pool, fail_with(KeyboardInterrupt())).reason, KeyboardInterrupt)


@pytest.mark.parametrize('result', [lambda: 0, (i for i in ()), sys, open(os.devnull)])
def test_results_that_cannot_be_pickled(pool, result):
    error = fetch(pool, lambda i: result if i == 3 else i, range(8))
    assert error.index == 3
    results = pool.map(lambda i: result if i == 3 else i, range(8), on_error='collect')
    assert results[:3] + results[4:] == [0, 1, 2, 4, 5, 6, 7]
    assert results[3].index == 3


def test_results_that_do_not_load(pool):
    error = fetch(pool, lambda i: FailsToLoad() if i == 2 else i)
    assert isinstance(error.reason, ValueError)


def test_results_that_stay_need_not_be_pickled():
    assert Shm.MapReduceByThread(np=2).map(lambda i: lambda: i, range(3))[2]() == 2


def test_items_that_cannot_be_pickled(pool):
    def items():
        yield 1
        yield lambda: 0

    with pytest.raises((AttributeError, pickle.PicklingError)):
        pool.map(lambda item: 1, items())


@pytest.mark.parametrize('chunksize', [0, 1, 50])
def test_blame_is_exact(pool, chunksize):
    error = fetch(pool, lambda i: os._exit(1) if i == 37 else i, range(100), chunksize=chunksize)
    assert error.index == 37
    results = pool.map(lambda i: os._exit(1) if i % 20 == 7 else i, range(100),
                       chunksize=chunksize, on_error='collect')
    assert [i for i in range(100) if results[i] != i] == [7, 27, 47, 67, 87]
    assert all(results[i].index == i for i in (7, 27, 47, 67, 87))


def test_exceptions_of_reduce(any_pool):
    error = ZeroDivisionError('of reduce')
    seen = []

    def reduce(value):
        seen.append(value)
        raise error

    with pytest.raises(ZeroDivisionError) as info:
        any_pool.map(abs, range(1000), reduce=reduce)
    assert info.value is error
    assert len(seen) == 1


def test_exceptions_of_progress(any_pool):
    def progress(done, total):
        raise LookupError('of progress')

    with pytest.raises(LookupError, match='of progress'):
        any_pool.map(lambda i: time.sleep(0.01), range(5), progress=progress)
    assert any_pool.map(abs, [-1]) == [1]


def test_progress_that_has_raised_is_not_called_again(pool):
    """The others get on while it is called, and the job tells of that at its end."""
    reads, writes = os.pipe()
    done, tells = os.pipe()
    seen = []

    def work(i):
        if i > 0:
            os.read(reads, 1)
            os.write(tells, b'x')

    def progress(n_done, total):
        seen.append(n_done)
        if len(seen) == 1 and n_done < total:
            os.write(writes, b'xx')
            assert os.read(done, 1) == os.read(done, 1) == b'x'
            time.sleep(0.1)
        raise LookupError('of progress')

    with pytest.raises(LookupError, match='of progress'):
        pool.map(work, range(3), chunksize=1, progress=progress)
    assert len(seen) == 1
    for fd in (reads, writes, done, tells):
        os.close(fd)


def test_worker_exceptions_can_be_pickled(pool):
    error = fetch(pool, fail_with(ValueError('text')))
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.index, copy.rank, copy.traceback) == (error.index, error.rank, error.traceback)
    assert str(copy.reason) == 'text'
    assert copy.__cause__ is copy.reason


@pytest.mark.parametrize('arguments, kind', [
    ({'np': -1}, ValueError), ({'np': 1.5}, ValueError), ({'np': '4'}, ValueError),
    ({'np': []}, TypeError), ({'backend': 4}, TypeError), ({'backend': 'thread'}, TypeError),
    ({'colour': 3}, TypeError)])
def test_wrong_pools(arguments, kind):
    with pytest.raises(kind):
        Shm.MapReduce(**arguments)


@pytest.mark.parametrize('options, kind', [
    ({'retries': -1}, ValueError), ({'timeout': -1}, ValueError), ({'timeout': 0}, ValueError),
    ({'chunksize': 1.5}, TypeError), ({'window': -3}, ValueError), ({'seed': 'x'}, TypeError),
    ({'on_error': 'ignore'}, ValueError), ({'progress': 5}, TypeError), ({'colour': 1}, TypeError),
    ({'reduce': 5}, TypeError), ({'minlength': -1}, ValueError)])
def test_wrong_options(any_pool, options, kind):
    with pytest.raises(kind, match=next(iter(options))):
        any_pool.map(abs, [1], **options)
    with pytest.raises(TypeError, match='cannot be called'):
        any_pool.map(5, [1])
