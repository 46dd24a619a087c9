# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The interface of the package sharedmem, which programs were written for."""

import collections
import functools
import operator
import types

import numpy
import pytest
from gi.repository import Shm as sharedmem


class Scaler:
    def __init__(self, factor):
        self.factor = factor

    def scale(self, value):
        return self.factor * value

    def __call__(self, value):
        return self.factor * value


def double(value):
    return 2 * value


@pytest.mark.parametrize('func', [
    double, lambda value: 2 * value, Scaler(2), Scaler(2).scale,
    functools.partial(operator.mul, 2), (2).__mul__])
def test_whatever_can_be_called(any_pool, func):
    assert any_pool.map(func, range(20)) == [2 * i for i in range(20)]


def test_closure(any_pool):
    offset = 5
    with any_pool as pool:
        def work(i):
            return i + offset
        assert pool.map(work, range(10)) == list(range(5, 15))


@pytest.mark.parametrize('make', [
    list, tuple, collections.deque, iter, set, frozenset, numpy.array,
    lambda items: (item for item in items), dict.fromkeys,
    lambda items: dict.fromkeys(items).keys(),
    lambda items: types.MappingProxyType(dict.fromkeys(items)),
    lambda items: collections.UserDict(dict.fromkeys(items))])
def test_whatever_can_be_gone_through(any_pool, make):
    items = [3, 1, 4, 15, 9, 2, 6]
    assert sorted(any_pool.map(double, make(items))) == sorted(2 * item for item in items)


def test_order_is_that_of_the_items(any_pool):
    assert any_pool.map(str, range(1000)) == [str(i) for i in range(1000)]
    assert any_pool.map(str, iter(range(1000))) == [str(i) for i in range(1000)]


@pytest.mark.parametrize('items', [[], (), range(0), iter(()), {}, 'a'])
def test_few_items(any_pool, items):
    assert any_pool.map(lambda item: item, items) == list(items)


def test_star(any_pool):
    assert any_pool.map(operator.add, [(1, 2), (3, 4)], star=True) == [3, 7]
    assert any_pool.map(operator.add, iter([(1, 2), [3, 4]]), star=True) == [3, 7]


def test_reduce_replaces_the_result(any_pool):
    assert any_pool.map(double, range(5), reduce=lambda value: value + 1) == [1, 3, 5, 7, 9]


def test_reduce_gets_a_tuple_spread(any_pool):
    seen = []

    def reduce(index, square):
        seen.append((index, square))
        return square

    assert any_pool.map(lambda i: (i, i * i), range(9), reduce) == [i * i for i in range(9)]
    assert sorted(seen) == [(i, i * i) for i in range(9)]


def test_reduce_gets_results_that_are_none(any_pool):
    seen = []
    any_pool.map(lambda i: None, range(7), reduce=seen.append)
    assert seen == [None] * 7


def test_reduce_of_histograms():
    total = numpy.zeros(4, int)

    def reduce(histogram, count):
        total[...] += histogram
        return count

    with sharedmem.MapReduce(np=2) as pool:
        counts = pool.map(lambda i: (numpy.bincount([i % 4], minlength=4), 1), range(100), reduce)
    assert sum(counts) == 100
    assert total.tolist() == [25] * 4


def test_critical(any_pool):
    total = sharedmem.empty(1, 'i8')

    def work(i):
        with any_pool.critical:
            total[0] = total[0] + i

    any_pool.map(work, range(200))
    assert total[0] == sum(range(200))


def test_ordered(any_pool, tmp_path):
    path = tmp_path / 'out'

    def work(i):
        with any_pool.ordered:
            with path.open('a') as file:
                file.write(f'{i}\n')

    any_pool.map(work, range(50))
    assert path.read_text().split() == [str(i) for i in range(50)]


def test_rank(any_pool):
    ranks = any_pool.map(lambda i: any_pool.local.rank, range(50))
    assert set(ranks) <= set(range(max(1, any_pool.np)))
    assert any_pool.local.rank == -1


def test_number_of_workers():
    assert sharedmem.MapReduce(np=3).np == 3
    assert sharedmem.MapReduce(np=0).np == 0
    assert sharedmem.MapReduce().np == sharedmem.cpu_count()
    assert sharedmem.MapReduceByThread(np=2).np == 2
    assert sharedmem.MapReduce(sharedmem.ThreadBackend, 2).get_backend() == sharedmem.ThreadBackend
    assert sharedmem.MapReduce(backend=sharedmem.ProcessBackend).np >= 1
    assert sharedmem.MapReduce.new().map(abs, [-1]) == [1]


def test_debug_is_serial():
    assert not sharedmem.get_debug()
    sharedmem.set_debug(True)
    try:
        seen = []
        sharedmem.MapReduce(np=3).map(seen.append, iter(range(5)))
        assert seen == [0, 1, 2, 3, 4]
    finally:
        sharedmem.set_debug(False)
    assert not sharedmem.get_debug()


def test_helpers():
    assert sharedmem.cpu_count() >= 1
    assert sharedmem.total_memory() > 1 << 20


def test_memory_is_shared():
    array = sharedmem.full((4, 3), 1.0)
    with sharedmem.MapReduce(np=2) as pool:
        def work(i):
            array[i] *= i
        pool.map(work, range(4))
    assert array[:, 0].tolist() == [0, 1, 2, 3]


def test_private_images_are_summed_once():
    """An image for each rank, added up in the end."""
    with sharedmem.MapReduce(np=2) as pool:
        images = sharedmem.full((pool.np, 8), 0, 'i8')
        pool.map(lambda i: operator.iadd(images[pool.local.rank], i % 2) is None, range(100))
    assert (images.sum(axis=0) == 50).all()
