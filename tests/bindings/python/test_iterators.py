# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""imap(), imap_unordered() and amap()."""

import asyncio
import gc
import itertools
import os
import subprocess
import sys
import time

import pytest
from gi.repository import Shm


@pytest.mark.parametrize('make', [list, iter])
@pytest.mark.parametrize('name', ['imap', 'imap_unordered'])
def test_all_results(any_pool, name, make):
    results = getattr(any_pool, name)(lambda i: (i, -i), make(range(300)))
    results = list(results) if name == 'imap' else sorted(results)
    assert results == [(i, -i) for i in range(300)]
    assert list(getattr(any_pool, name)(abs, make([]))) == []
    assert list(getattr(any_pool, name)(pow, make([(2, 3)]), star=True)) == [8]


def test_results_that_are_none(any_pool):
    assert list(any_pool.imap(lambda i: None, range(20))) == [None] * 20


def test_order_is_that_of_arrival(pool, tmp_path):
    mark = tmp_path / 'mark'
    os.mkfifo(mark)

    def work(i):
        if i == 0:
            mark.read_bytes()  # waits for who writes
        return i

    results = pool.imap_unordered(work, range(3), chunksize=1)
    assert {next(results), next(results)} == {1, 2}
    mark.write_bytes(b'x')
    assert list(results) == [0]


@pytest.mark.parametrize('name', ['imap', 'imap_unordered'])
@pytest.mark.parametrize('window', [1, 2, 10])
def test_generators_are_not_read_far_ahead(pool, name, window):
    read = 0

    def items():
        nonlocal read
        for read in itertools.count(1):
            yield read

    taken = 0
    results = getattr(pool, name)(abs, items(), window=window)
    for _ in itertools.islice(results, 200):
        taken += 1
        assert read - taken <= 2 * window  # on their way, and arrived
    results.close()
    assert read - taken <= 2 * window


def test_endless_input_is_left_early(any_pool):
    for value in any_pool.imap(abs, itertools.count()):
        if value == 100:
            break
    del value
    gc.collect()


def test_close_ends_the_workers(pool):
    results = pool.imap(lambda i: time.sleep(100 if i else 0), range(9), chunksize=1)
    next(results)
    begin = time.monotonic()
    results.close()
    assert time.monotonic() - begin < 50
    assert list(results) == []


def test_nothing_begins_before_it_is_asked_for(any_pool, tmp_path):
    any_pool.imap(lambda i: (tmp_path / str(i)).touch(), range(3))
    assert list(tmp_path.iterdir()) == []


def test_several_at_once(any_pool):
    first, second = any_pool.imap(abs, range(50)), any_pool.imap(abs, iter(range(50)))
    assert list(zip(first, second)) == [(i, i) for i in range(50)]
    next(first, None)
    next(second, None)


def test_one_within_another(pool):
    outer = pool.imap(abs, iter(range(10)))
    assert [pool.map(lambda k: i + k, range(3)) for i in outer] == [
        [i, i + 1, i + 2] for i in range(10)]
    chained = pool.imap(lambda i: i + 1, pool.imap(lambda i: i * 2, iter(range(100))))
    assert list(chained) == [2 * i + 1 for i in range(100)]


def test_a_worker_that_drops_an_iterator_does_not_end_it(pool):
    held = [pool.imap(abs, range(100))]
    assert next(held[0]) == 0
    pool.map(lambda i: held.clear(), range(3))
    assert list(held[0]) == list(range(1, 100))


def test_exceptions(any_pool):
    taken = []
    with pytest.raises(Shm.WorkerException) as info:
        for result in any_pool.imap(lambda i: 1 // (5 - i), range(10), chunksize=1):
            taken.append(result)
    assert info.value.index == 5
    assert taken == [0, 0, 0, 0, 1][:len(taken)]
    with pytest.raises(ValueError):
        any_pool.imap(abs, range(3), on_error='collect')


def test_failed_items_come_last_where_there_is_no_order(any_pool):
    results = list(any_pool.imap_unordered(lambda i: 6 // i, [2, 0, 3], on_error='collect'))
    assert sorted(results[:2]) == [2, 3]
    assert results[2].index == 1


def test_one_that_is_left_at_the_end_of_the_program():
    program = '''
import gi
gi.require_version('Shm', '1.0')
from gi.repository import Shm
results = Shm.MapReduce(np=2).imap(abs, range(100))
print(next(results))
'''
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, timeout=200)
    assert (done.returncode, done.stdout, done.stderr) == (0, b'0\n', b'')


def test_amap_lets_other_tasks_run(any_pool):
    async def main():
        reads, writes = os.pipe()
        os.set_blocking(reads, False)
        n_ticks = 0

        async def tick():
            nonlocal n_ticks
            while n_ticks < 5:
                n_ticks += 1
                await asyncio.sleep(0)
            os.write(writes, b'x' * 3)

        def work(i):
            while True:
                try:
                    return len(os.read(reads, 1)) + i
                except BlockingIOError:
                    time.sleep(0.001)

        results, _ = await asyncio.gather(any_pool.amap(work, range(3)), tick())
        os.close(reads)
        os.close(writes)
        return results

    assert asyncio.run(main()) == [1, 2, 3]


def test_amap_takes_what_map_takes(pool):
    async def main():
        return await asyncio.gather(
            pool.amap(pow, [(2, 3)], None, True), pool.amap(abs, range(3), reduce=lambda v: v + 1),
            pool.amap(abs, iter(range(3)), chunksize=2), pool.amap(lambda i: 1 / i, range(2)),
            return_exceptions=True)

    *results, error = asyncio.run(main())
    assert results == [[8], [1, 2, 3], [0, 1, 2]]
    assert isinstance(error.reason, ZeroDivisionError)


def test_amap_that_is_cancelled_leaves_no_worker(pool):
    async def main():
        from conftest import get_children
        task = asyncio.create_task(pool.amap(time.sleep, [100] * 3))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert get_children() == []
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(pool.amap(time.sleep, [100] * 3), 0.05)
        return await pool.amap(abs, [-1])

    assert asyncio.run(main()) == [1]
