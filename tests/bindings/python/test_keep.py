# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Workers that stay from map to map."""

import functools
import multiprocessing
import os
import random
import threading
import time

import numpy
import pytest
from conftest import TIMEOUTS, get_children
from gi.repository import Shm
from keep import check_same_workers, double, get_pid, write


@pytest.mark.parametrize('sequences', [
    [list(range(k, k + n)) for k, n in enumerate([5, 1, 300, 2, 9000, 3])],
    [range(n) for n in (7, 1, 20000, 3, 20)],
    [numpy.arange(n) for n in (5, 1, 1000, 2)],
    [numpy.random.rand(4, 3), numpy.random.rand(1, 3), numpy.random.rand(50, 3)],
    [tuple('abc'), 'xyz', b'bytes', ['', 'ü' * 1000]],
    [{1: 'a', 2: 'b'}, {3}, frozenset((4, 5)), {6: 7}.keys()],
    [[None], [], range(0), [None, None], numpy.empty(0), [1.5]],
    [[2 ** 70, 'a', None, (1, 2)], [[1], {2: 3}, {4}], [1, 2.5]],
])
def test_results_of_many_maps_are_right(kept, sequences):
    def work(item):
        return repr(item), item

    for sequence in sequences * 2:
        results = kept.map(work, sequence)
        assert [text for text, _item in results] == [repr(item) for item in sequence]
        assert all(numpy.array_equal(a[1], b) for a, b in zip(results, sequence))


def test_generators_have_workers_of_their_own(kept):
    kept.map(get_pid, range(9))
    children = set(get_children())
    assert not children & set(map(str, kept.map(get_pid, iter(range(9)))))
    assert kept.map(double, (i for i in range(1000))) == list(range(0, 2000, 2))
    assert set(get_children()) == children
    assert kept.map(get_pid, range(9)) != []
    assert set(get_children()) == children


def test_workers_stay_with_the_function(kept):
    children = []
    for func in (double, double, abs, abs, double):
        assert kept.map(func, [1, 2]) == [func(1), func(2)]
        children.append(frozenset(get_children()))
        assert kept.map(func, range(9)) == list(map(func, range(9)))
        assert children[-1] == frozenset(get_children())
    assert children[0] == children[1]
    assert children[2] == children[3]
    assert len(set(children)) == 3
    assert all(len(pids) == 2 for pids in children)
    kept.map(get_pid, range(9))
    children = set(map(int, get_children()))
    assert all(set(kept.map(get_pid, range(50))) <= children for _ in range(9))


def test_bound_methods_of_the_same_object(kept):
    class Scale:
        def __init__(self, factor):
            self.factor = factor

        def apply(self, x):
            return self.factor * x

        def __eq__(self, other):
            return True

        __hash__ = None

    by_2, by_3 = Scale(2), Scale(3)
    assert kept.map(by_2.apply, [1, 2]) == [2, 4]
    check_same_workers(kept, by_2.apply, [1, 2], range(5))
    assert kept.map(by_3.apply, [1, 2]) == [3, 6]
    assert kept.map(by_2.apply, [1, 2]) == [2, 4]


def test_functions_that_are_equal_only(kept):
    for k in range(5):
        assert kept.map(lambda x: x + k, [1, 2]) == [1 + k, 2 + k]
        assert kept.map(functools.partial(max, k), [0, 9]) == [k, 9]
        assert kept.map([1, 2, 3, k].index, [3]) == [2]


def test_star_and_reduce(kept):
    seen = []

    def collect(a, b):
        seen.append((a, b))
        return a + b

    for k in range(4):
        pairs = [(i, k) for i in range(50)]
        assert kept.map(lambda a, b: a * b, pairs, star=True) == [i * k for i in range(50)]
        del seen[:]
        assert kept.map(divmod, [(i + 50, 7) for i in range(k, 50)], star=True,
                        reduce=collect) == [sum(divmod(i + 50, 7)) for i in range(k, 50)]
        assert sorted(seen) == [divmod(i + 50, 7) for i in range(k, 50)]


def test_reduce_or_not_for_the_same_function(kept):
    def work(_item):
        return None

    for _ in range(3):
        assert kept.map(work, range(3)) == [None] * 3
        assert kept.map(work, range(3), reduce=lambda result: result is None) == [True] * 3


def test_options(kept):
    def work(i):
        if i % 3 == 0:
            raise ValueError(i)
        return -i

    for k in range(4):
        results = kept.map(work, range(k, k + 12), on_error='collect', chunksize=k + 1)
        for position, (i, result) in enumerate(zip(range(k, k + 12), results)):
            if i % 3:
                assert result == -i
            else:
                assert (result.index, result.reason.args) == (position, (i,))
    children = get_children()
    kept.map(work, [1], on_error='collect', chunksize=k + 1)
    assert get_children() == children
    assert kept.map(double, range(9), chunksize=4, retries=2, timeout=20) == list(range(0, 18, 2))
    assert (kept.get_chunk_size(), kept.get_max_retries(), kept.get_item_timeout()) == (0, 0, 0)


def test_timeout(kept):
    for k in range(3):
        for timeout in TIMEOUTS:
            results = None
            with pytest.raises(Shm.WorkerException) as info:
                results = kept.map(time.sleep, [0.001] * 5, timeout=timeout)
                kept.map(time.sleep, [0] * k + [100], timeout=timeout)
            assert info.value.reason.matches(Shm.error_quark(), Shm.Error.WORKER_TIMEOUT)
            if results is not None and info.value.index == k:
                break
        assert results == [None] * 5
        assert info.value.index == k


def test_timeout_of_the_pool_that_is_set_later(kept):
    kept.map(time.sleep, [0, 0])
    kept.set_item_timeout(200)
    with pytest.raises(Shm.WorkerException):
        kept.map(time.sleep, [0, 100])


def test_retries(kept, tmp_path):
    def work(i):
        with (tmp_path / str(i)).open('a') as file:
            file.write('x')
        if i % 10 == 3 and (tmp_path / str(i)).stat().st_size < 3:
            os._exit(1)
        return i

    for begin in (0, 10, 20):
        assert kept.map(work, range(begin, begin + 6), retries=2, chunksize=1) == list(
            range(begin, begin + 6))
        assert (tmp_path / str(begin + 3)).read_text() == 'xxx'


def test_minlength(kept):
    for _ in range(3):
        assert kept.map(get_pid, range(3), minlength=4) == [os.getpid()] * 3
        assert os.getpid() not in kept.map(get_pid, range(4), minlength=4)
    check_same_workers(kept, get_pid, range(9), range(2))
    kept.set_min_length(5)
    assert kept.map(get_pid, range(3)) == [os.getpid()] * 3
    assert os.getpid() not in kept.map(get_pid, range(5))


def test_progress_and_seed_are_for_new_workers(kept):
    def draw(_item):
        return random.random()

    seen = []
    expected = Shm.MapReduce(np=0).map(draw, range(9), seed=3)
    numbers = kept.map(draw, range(9))
    for _ in range(2):
        assert kept.map(draw, range(9), seed=3) == expected
        kept.map(draw, range(9), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (9, 9)
    assert not set(kept.map(draw, range(9))) & set(numbers)


@pytest.mark.parametrize('module', [random, numpy.random])
def test_random_numbers_go_on(kept, module):
    def draw(_item):
        return module.random()

    numbers = [number for _ in range(5) for number in kept.map(draw, range(8))]
    assert len(set(numbers)) == 40


def test_maps_in_maps(kept):
    def inner(i):
        return sum(kept.map(double, range(i)))

    def inner_same(i):
        return i if i < 2 else sum(kept.map(inner_same, range(i)))

    for k in range(3):
        assert kept.map(inner, range(k, 9)) == [i * (i - 1) for i in range(k, 9)]
        assert kept.map(double, range(3), reduce=lambda x: kept.map(double, [x, x])) == [
            [4 * i] * 2 for i in range(3)]
        assert kept.map(inner_same, range(6)) == Shm.MapReduce(np=0).map(inner_same, range(6))


def test_nested_workers():
    with Shm.MapReduce(np=2, keep_workers=True, nested=True) as outer:
        with Shm.MapReduce(np=2, keep_workers=True, nested=True) as other:
            def inner(i):
                result = sum(outer.map(double, range(i))) + sum(other.map(double, range(i)))
                return result + sum(other.map(double, range(i)))

            other.map(double, range(4))
            for k in range(3):
                assert outer.map(inner, range(k, 5)) == [3 * i * (i - 1) for i in range(k, 5)]
                assert other.map(double, range(4)) == [0, 2, 4, 6]


def test_several_threads(kept):
    wrong = []

    def work(x):
        if x == 13:
            raise ValueError(x)
        return 3 * x

    def repeat(number):
        for k in range(6):
            size = 1 + (k * 7 + number) % 12
            if kept.map(work, range(size)) != [3 * i for i in range(size)]:
                wrong.append((number, k))
            failed = kept.map(work, [number + 20, 13], on_error='collect')
            if failed[0] != 3 * (number + 20) or not isinstance(failed[1].reason, ValueError):
                wrong.append((number, k, failed))

    threads = [threading.Thread(target=repeat, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_workers_of_a_thread_that_has_ended(kept):
    for _ in range(2):
        thread = threading.Thread(target=kept.map, args=(double, range(4)))
        thread.start()
        thread.join()
        children = get_children()
        assert kept.map(double, range(4)) == [0, 2, 4, 6]
        assert get_children() == children
        kept.release_workers()


def test_released_during_the_map_of_another_thread(kept):
    reads, writes = os.pipe()
    others_read, others_write = os.pipe()

    def work(_item):
        os.write(writes, b'x')
        os.read(others_read, 1)

    thread = threading.Thread(target=kept.map, args=(work, range(2)))
    thread.start()
    os.read(reads, 1)
    kept.release_workers()
    os.write(others_write, b'xx')
    thread.join()
    assert get_children() == []
    for fd in (reads, writes, others_read, others_write):
        os.close(fd)


def in_child(func):
    """Calls it in a child that is a copy of the caller; True if it returned."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            func()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def test_a_copy_of_the_caller(kept):
    shared = Shm.empty(3)

    def map_there():
        assert kept.map(double, range(4)) == [0, 2, 4, 6]
        assert len(get_children()) == 2
        assert kept.map(double, range(5)) == [0, 2, 4, 6, 8]
        mine = Shm.empty(3)
        kept.map(write, [shared, mine])
        kept.map(write, [(shared, 8), (mine, 8)])
        assert (mine == 8).all()
        with kept:
            pass
        assert get_children() == []

    for _ in range(2):
        assert kept.map(double, range(4)) == [0, 2, 4, 6]
        children = get_children()
        assert in_child(lambda: None)
        assert in_child(kept.release_workers)
        assert in_child(map_there)
        assert (shared == 8).all()
        assert get_children() == children
        assert kept.map(double, range(4)) == [0, 2, 4, 6]
        assert get_children() == children


def test_multiprocessing_between(kept):
    context = multiprocessing.get_context('fork')
    shared = Shm.empty(3)
    check_same_workers(kept, write, [shared])
    with context.Pool(1) as others:
        assert others.map(double, range(5)) == [0, 2, 4, 6, 8]
        others.apply(write, ((shared, 3),))
        assert (shared == 3).all()
        kept.map(write, [shared, Shm.empty(2)])
        assert (shared == 7).all()
        process = context.Process(target=kept.map, args=(double, range(4)))
        process.start()
        process.join()
        assert process.exitcode == 0
    assert kept.map(double, range(4)) == [0, 2, 4, 6]


def test_others_on_the_same_pool(kept):
    for _ in range(3):
        assert kept.map(double, range(4)) == [0, 2, 4, 6]
        children = get_children()
        assert list(kept.imap(double, range(4))) == [0, 2, 4, 6]
        some = kept.imap(double, iter(range(100)))
        assert next(some) == 0
        assert kept.map(double, range(3)) == [0, 2, 4]
        assert list(some) == list(range(2, 200, 2))
        assert sorted(kept.imap_unordered(double, iter(range(4)))) == [0, 2, 4, 6]
        call = Shm.background(kept.map, double, range(4))
        assert kept.map(double, range(4)) == [0, 2, 4, 6]
        assert call.wait() == [0, 2, 4, 6]
        assert get_children() == children


def test_sections_and_ranks(kept):
    total = Shm.empty((), 'i8')
    order = Shm.empty(200, 'i8')

    def work(i):
        with kept.critical:
            total[...] += i
        with kept.ordered:
            order[order[-1]] = i
            order[-1] += 1
        return kept.local.rank

    for k in range(5):
        total[...] = order[...] = 0
        assert set(kept.map(work, range(k, k + 50))) <= {0, 1}
        assert total == sum(range(k, k + 50))
        assert list(order[:50]) == list(range(k, k + 50))


@pytest.mark.parametrize('np', [0, 1])
def test_few_workers(np):
    with Shm.MapReduce(np=np, keep_workers=True) as pool:
        for k in range(4):
            assert pool.map(double, range(k)) == [2 * i for i in range(k)]
    with Shm.MapReduceByThread(np=2, keep_workers=True) as pool:
        for k in range(4):
            assert pool.map(double, range(k)) == [2 * i for i in range(k)]


def test_other_settings_of_the_pool(kept):
    for name, value in (('chunk_size', 3), ('n_workers', 3), ('n_workers', 1), ('max_retries', 2),
                        ('schedule', Shm.Schedule.STATIC), ('schedule', Shm.Schedule.GUIDED),
                        ('max_items_per_worker', 2), ('worker_niceness', 1),
                        ('failure_policy', Shm.FailurePolicy.COLLECT)):
        kept.set_property(name, value)
        for k in range(2):
            assert kept.map(double, range(k, 20)) == [2 * i for i in range(k, 20)]
    Shm.set_debug(True)
    try:
        assert kept.map(get_pid, [1]) == [os.getpid()]
    finally:
        Shm.set_debug(False)
    assert kept.map(double, range(4)) == [0, 2, 4, 6]


def test_asyncio(kept):
    import asyncio

    async def main():
        for k in range(3):
            assert await kept.amap(double, range(k, 9)) == [2 * i for i in range(k, 9)]
        return await asyncio.gather(*(kept.amap(double, [i, i]) for i in range(4)))

    assert asyncio.run(main()) == [[2 * i] * 2 for i in range(4)]
