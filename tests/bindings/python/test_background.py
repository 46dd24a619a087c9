# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""background(), and the executor."""

import concurrent.futures
import os
import threading
import time
import traceback

import pytest
from conftest import get_children
from gi.repository import Gio, GLib, Shm


def test_result():
    background = Shm.background(lambda a, b=0: (a, b, os.getpid()), 1, b=2)
    a, b, pid = background.wait()
    assert (a, b) == (1, 2)
    assert pid != os.getpid()
    assert background.wait() == (1, 2, pid)
    assert not background.running


@pytest.mark.parametrize('result', [None, 0, 'text', b'x' * 10_000_000, [1, {2: 3}]])
def test_any_result(result):
    assert Shm.background(lambda: result).wait() == result


def test_exceptions():
    background = Shm.background(lambda: 1 / 0)
    for _ in range(2):
        with pytest.raises(Shm.WorkerException) as info:
            background.wait()
        assert isinstance(info.value.reason, ZeroDivisionError)
        assert info.value.__cause__ is info.value.reason
        assert (info.value.index, info.value.rank) == (None, None)
        assert 'ZeroDivisionError' in info.value.traceback


@pytest.mark.parametrize('func', [lambda: lambda: 0, lambda: os._exit(3), lambda: exit(3)])
def test_what_goes_wrong_otherwise(func):
    with pytest.raises(Shm.WorkerException):
        Shm.background(func).wait()


def test_several_side_by_side():
    backgrounds = [Shm.background(pow, 2, i) for i in range(10)]
    assert [background.wait() for background in backgrounds] == [2 ** i for i in range(10)]


def test_cancel():
    background = Shm.background(time.sleep, 100)
    assert background.running
    background.cancel()
    with pytest.raises(GLib.Error) as info:
        background.wait()
    assert info.value.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED)


def test_one_that_is_dropped_is_ended():
    background = Shm.background(time.sleep, 100)
    assert len(get_children()) == 1
    del background
    assert get_children() == []


def test_in_debug_it_is_called_at_once():
    Shm.set_debug(True)
    try:
        assert Shm.background(os.getpid).wait() == os.getpid()
        with pytest.raises(Shm.WorkerException):
            Shm.background(lambda: 1 / 0).wait()
    finally:
        Shm.set_debug(False)


def test_wrong_arguments():
    with pytest.raises(TypeError):
        Shm.background(5)


def test_wait_in_another_thread():
    background, results = Shm.background(pow, 2, 3), []
    thread = threading.Thread(target=lambda: results.append(background.wait()))
    thread.start()
    thread.join()
    assert results == [8]


def test_pool_in_a_background():
    assert Shm.background(lambda: Shm.MapReduce(np=2).map(abs, range(5))).wait() == list(range(5))


def test_executor():
    with Shm.Executor(max_workers=3) as executor:
        futures = [executor.submit(pow, 2, i) for i in range(30)]
        assert [future.result() for future in futures] == [2 ** i for i in range(30)]
        assert list(executor.map(lambda a, b: a + b, range(5), range(5))) == [0, 2, 4, 6, 8]
        assert executor.submit(lambda *, key: key, key=5).result() == 5
        assert set(executor.map(lambda i: os.getpid(), range(3))).isdisjoint({os.getpid()})
    with pytest.raises(RuntimeError):
        executor.submit(abs, 1)


def test_executor_keeps_exceptions():
    with Shm.Executor(max_workers=1) as executor:
        error = executor.submit(lambda: 1 / 0).exception()
        assert isinstance(error, ZeroDivisionError)
        assert isinstance(error.__cause__, Shm.WorkerException)
        assert ''.join(traceback.format_exception(error)).count('In the worker') == 1
        died = executor.submit(os._exit, 3).exception()
        assert died.matches(Shm.error_quark(), Shm.Error.WORKER_EXIT)
        with pytest.raises(KeyError):
            list(executor.map({}.__getitem__, [1]))


def test_executor_cancels_what_has_not_begun():
    executor = Shm.Executor(max_workers=1)
    reads, writes = os.pipe()
    first = executor.submit(os.read, reads, 1)
    others = [executor.submit(abs, i) for i in range(5)]
    assert others[0].cancel()
    executor.shutdown(wait=False, cancel_futures=True)
    os.write(writes, b'x')
    assert first.result() == b'x'
    assert all(future.cancelled() for future in others)
    executor.shutdown()
    os.close(reads)
    os.close(writes)


@pytest.mark.parametrize('max_workers', [0, -1])
def test_executor_with_no_workers(max_workers):
    with pytest.raises(ValueError):
        Shm.Executor(max_workers=max_workers)


def test_executor_with_the_tools_of_the_standard_library():
    with Shm.Executor(2) as executor:
        futures = {executor.submit(abs, -i): i for i in range(9)}
        for future in concurrent.futures.as_completed(futures):
            assert future.result() == futures[future]
