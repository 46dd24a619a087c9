# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The options of a map."""

import os
import random
import subprocess
import sys
import time

import numpy
import pytest
from conftest import TIMEOUTS
from gi.repository import Shm


def draw(i):
    return random.random(), float(numpy.random.random())


def test_seed_gives_the_same_numbers_to_any_number_of_workers():
    expected = Shm.MapReduce(np=0).map(draw, range(20), seed=7)
    assert len(set(expected)) == 20
    for np in (1, 2, 5):
        for chunksize in (0, 1, 20):
            pool = Shm.MapReduce(np=np)
            assert pool.map(draw, range(20), seed=7, chunksize=chunksize) == expected
    assert list(Shm.MapReduce(np=2).imap(draw, iter(range(20)), seed=7)) == expected
    assert Shm.MapReduce(np=2).map(draw, range(20), seed=8) != expected
    assert Shm.MapReduce(np=2).map(draw, range(2), seed=numpy.int64(2 ** 62)) != expected[:2]


def test_seed_leaves_the_numbers_of_the_caller_alone():
    random.seed(1)
    numpy.random.seed(1)
    expected = draw(0)
    for np in (0, 2):
        random.seed(1)
        numpy.random.seed(1)
        Shm.MapReduce(np=np).map(draw, range(20), seed=7)
        assert draw(0) == expected


def test_seed_is_not_for_threads():
    with pytest.raises(ValueError, match='threads'):
        Shm.MapReduceByThread(np=2).map(draw, range(3), seed=7)


@pytest.mark.parametrize('chunksize', [1, 3, 1000])
def test_chunksize(any_pool, chunksize):
    assert any_pool.map(abs, range(100), chunksize=chunksize) == list(range(100))
    assert any_pool.get_chunk_size() == 0


def test_chunks_are_worked_on_by_one_worker(pool):
    pids = pool.map(lambda i: os.getpid(), range(40), chunksize=10)
    assert all(len(set(pids[k:k + 10])) == 1 for k in range(0, 40, 10))


def test_timeout(pool):
    for timeout in TIMEOUTS:
        begin = time.monotonic()
        with pytest.raises(Shm.WorkerException) as info:
            pool.map(lambda i: time.sleep(200) if i == 4 else i, range(9), timeout=timeout)
        assert info.value.reason.matches(Shm.error_quark(), Shm.Error.WORKER_TIMEOUT)
        assert time.monotonic() - begin < 100
        assert pool.get_item_timeout() == 0
        if info.value.index == 4:
            break
    assert info.value.index == 4


def test_timeout_is_of_an_item_and_not_of_the_map(pool):
    results = None
    for timeout in TIMEOUTS:
        try:
            results = pool.map(lambda i: time.sleep(timeout / 4), range(24), timeout=timeout)
            break
        except Shm.WorkerException as error:
            assert error.reason.matches(Shm.error_quark(), Shm.Error.WORKER_TIMEOUT)
    assert results == [None] * 24


def test_retries(pool, tmp_path):
    def work(i):
        with (tmp_path / str(i)).open('a') as file:
            file.write('x')
        if i == 3:
            os._exit(1)

    with pytest.raises(Shm.WorkerException):
        pool.map(work, range(6), retries=2, chunksize=1)
    assert (tmp_path / '3').read_text() == 'xxx'


def test_collect(any_pool):
    def work(i):
        if i % 3 == 0:
            raise ValueError(i)
        return -i

    results = any_pool.map(work, range(30), on_error='collect')
    for i, result in enumerate(results):
        if i % 3:
            assert result == -i
        else:
            assert (result.index, result.reason.args) == (i, (i,))
    results = any_pool.map(work, iter(range(31)), on_error='collect')
    assert len(results) == 31
    assert results[30].index == 30


def test_collect_passes_reduce_by(any_pool):
    seen = []
    results = any_pool.map(lambda i: 6 // i, range(4), on_error='collect', reduce=seen.append)
    assert sorted(seen) == [2, 3, 6]
    assert isinstance(results[0].reason, ZeroDivisionError)


def test_progress_calls_a_function(any_pool):
    seen = []
    any_pool.map(lambda i: time.sleep(0.01), range(40),
                 progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (40, 40)
    assert seen == sorted(seen)


def test_progress_is_told_each_number_once(any_pool):
    seen = []
    any_pool.map(lambda i: time.sleep(0.2), range(2),
                 progress=lambda done, _total: seen.append(done))
    assert seen == sorted(set(seen))
    assert seen[-1] == 2


def test_progress_updates_a_bar(any_pool):
    class Bar:
        n = 0

        def update(self, n):
            self.n += n

    bar = Bar()
    any_pool.map(abs, range(1000), progress=bar)
    assert bar.n == 1000
    any_pool.map(abs, iter(range(500)), progress=bar)
    assert bar.n == 1500


def test_progress_on_standard_error():
    program = '''
import gi
gi.require_version('Shm', '1.0')
from gi.repository import Shm
Shm.MapReduce(np=2).map(abs, range(100), progress=True)
'''
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, timeout=200)
    assert b'100' in done.stderr
    assert done.stdout == b''


@pytest.mark.parametrize('unbuffered', ['', '1'])
def test_what_is_printed_is_neither_lost_nor_doubled(unbuffered):
    program = '''
import sys, gi
gi.require_version('Shm', '1.0')
from gi.repository import Shm
print('before')
print('before', file=sys.stderr, end='')
Shm.MapReduce(np=2).map(lambda i: print(f'item {i}'), range(50))
Shm.background(print, 'background').wait()
print('between')
list(Shm.MapReduce(np=2).imap(lambda i: print(f'again {i}'), iter(range(9))))
try:
    Shm.MapReduce(np=2).map(lambda i: [print('last words'), sys.exit(1)], range(1))
except Shm.WorkerException:
    print('after')
'''
    environment = dict(os.environ, PYTHONUNBUFFERED=unbuffered)
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, timeout=200,
                          env=environment, text=True, check=True)
    if unbuffered:
        # Each piece is written by itself then.
        assert done.stdout.count('item') == 50
        assert done.stdout.count('before') == 1
    else:
        assert sorted(done.stdout.splitlines()) == sorted(
            ['before', *(f'item {i}' for i in range(50)), 'background', 'between',
             *(f'again {i}' for i in range(9)), 'last words', 'after'])
    assert done.stderr == 'before'


def test_two_maps_of_one_pool_keep_their_options(pool):
    slow = pool.imap(lambda i: time.sleep(0.001) or i, range(50), chunksize=1, retries=3)
    assert next(slow) == 0
    assert pool.map(abs, range(9), chunksize=4, timeout=5) == list(range(9))
    assert (pool.get_chunk_size(), pool.get_max_retries(), pool.get_item_timeout()) == (0, 0, 0)
    assert list(slow) == list(range(1, 50))
