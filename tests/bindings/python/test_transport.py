# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Results and items on their way between processes."""

import array
import collections
import datetime
import enum
import os
import weakref

import numpy
import pytest
from gi.repository import Shm

LARGE = 300000


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Point and other.x == self.x


class Colour(enum.Enum):
    RED = 1


VALUES = [
    None, True, False, 0, -1, 2 ** 63 - 1, -2 ** 63, 2 ** 63, 10 ** 100, 0.0, 1e300, float('inf'),
    1j, '', 'text', 'a\udc80\0', b'', b'\0', bytearray(b'x'), (), (1,), [], {}, set(),
    frozenset([1]), range(3), slice(1, 2), Ellipsis, int, len, Point(3), Colour.RED,
    datetime.date(2000, 1, 1), array.array('d', [1]), {'a': [1, {2: (3,)}]}]


@pytest.mark.parametrize('value', VALUES, ids=repr)
def test_results_of_one_type(pool, value):
    for result in pool.map(lambda i: value, range(5)):
        assert result == value
        assert type(result) is type(value)


def test_results_of_all_types_together(pool):
    results = pool.map(lambda i: VALUES[i], range(len(VALUES)), chunksize=len(VALUES))
    assert results == VALUES
    assert list(map(type, results)) == list(map(type, VALUES))


def test_items_of_all_types(pool):
    assert pool.map(lambda item: item, iter(VALUES)) == VALUES


def test_mixed_numbers(pool):
    values = [1, 2.5, True, 2 ** 70, None]
    results = pool.map(lambda i: values[i % 5], range(50), chunksize=50)
    assert list(map(repr, results)) == list(map(repr, values * 10))


def test_not_a_number(pool):
    assert all(result != result for result in pool.map(lambda i: float('nan'), range(5)))


@pytest.mark.parametrize('make', [
    lambda i: bytes([i]) * LARGE, lambda i: bytearray([i]) * LARGE,
    lambda i: chr(65 + i) * LARGE, lambda i: {'a': (bytes([i]) * LARGE, [bytearray([i]) * LARGE])},
    lambda i: array.array('q', [i]) * LARGE], ids=range(5))
def test_large_results(pool, make):
    for i, result in enumerate(pool.map(make, range(10))):
        expected = make(i)
        assert result == expected
        assert type(result) is type(expected)
    results = list(pool.imap(make, range(10)))
    assert results == [make(i) for i in range(10)]


def test_large_items(pool):
    items = (bytes([i]) * LARGE for i in range(10))
    assert pool.map(lambda item: (item[0], len(item)), items) == [(i, LARGE) for i in range(10)]


@pytest.mark.parametrize('dtype', ['f8', 'i2', 'c16', '>f4', '?', 'S7', 'M8[s]',
                                   [('a', 'f8'), ('b', 'i4', (2,))]])
@pytest.mark.parametrize('order', ['C', 'F'])
def test_arrays_of_numpy(pool, dtype, order):
    def make(i):
        return numpy.full((30, 40, 50), i, 'i8').astype(dtype, order=order) if not isinstance(
            dtype, list) else numpy.full((30, 40, 50), i, dtype, order=order)

    for i, result in enumerate(pool.map(make, range(4))):
        expected = make(i)
        assert type(result) is numpy.ndarray
        assert result.dtype == expected.dtype
        assert result.flags.f_contiguous == expected.flags.f_contiguous
        assert (result == expected).all()
        result[0] = result[1]  # it may be written


def test_arrays_within(pool):
    def make(i):
        whole = numpy.arange(LARGE) + i
        return {'same': (whole, whole), 'part': whole[::-3], 'scalar': whole[3], 'none': whole[:0]}

    for i, result in enumerate(pool.map(make, range(4))):
        assert result['same'][0] is result['same'][1]
        assert (result['part'] == make(i)['part']).all()
        assert result['scalar'] == i + 3
        assert result['none'].size == 0


def test_results_outlive_job_and_pool():
    results = Shm.MapReduce(np=2).map(lambda i: numpy.full(LARGE, i), range(3))
    last = results[-1]
    del results
    assert last.sum() == 2 * LARGE


def test_more_than_fits_at_once(pool):
    total = []
    pool.map(lambda i: numpy.full(1000000, i, 'u1'), range(100),
             reduce=lambda result: total.append(int(result[0])))
    assert sorted(total) == list(range(100))


def test_shared_arrays_are_not_copied(pool):
    shared = Shm.full(LARGE, 1.0)
    copies = pool.map(lambda i: shared, range(3))
    shared[0] = 5
    assert [copy[0] for copy in copies] == [5, 5, 5]


def test_identity_within_a_result(pool):
    def make(i):
        inner = [i]
        return inner, inner

    for result in pool.map(make, range(5)):
        assert result[0] is result[1]


def test_nothing_is_kept(pool):
    class Work:
        def __call__(self, i):
            return i

    work = Work()
    kept = weakref.ref(work)
    pool.map(work, range(5), reduce=lambda value: value)
    list(pool.imap(work, range(5)))
    del work
    assert kept() is None


def test_results_that_are_hidden_do_not_travel(pool):
    """An item worked on here and there: where it was done is no part of its result."""
    assert os.getpid() not in pool.map(lambda i: os.getpid(), range(9))


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    pass


PLAIN = [
    [1, 2.5, None, True, 'a'], (1, 'a\udc80'), {}, [], (), {'a': 1, 2: None, 2.5: 'b', None: True},
    {'a': 2 ** 100, 'b': -0.0}, collections.Counter('abca'), collections.OrderedDict(a=1),
    {Number.ONE: 1}, [Number.ONE], {'a': Text('b')}, {'a': [1]}, [b'a'], ({'a': 1},), {(1, 2): 3},
    [bytearray(b'a')], [memoryview(b'a').tobytes()], [compile('1', 'x', 'eval').co_name]]


@pytest.mark.parametrize('value', PLAIN, ids=repr)
def test_plain_results_and_those_that_only_look_so(pool, value):
    def get_types(value):
        parts = list(value.items()) if isinstance(value, dict) else value
        return type(value), [get_types(part) if isinstance(part, (list, tuple, dict)) else type(part)
                             for part in parts]

    for result in pool.map(lambda i: value, range(20), chunksize=7):
        assert result == value
        assert get_types(result) == get_types(value)


def test_what_is_no_plain_value_is_told(pool):
    with pytest.raises(Shm.WorkerException):
        pool.map(lambda i: compile('1', 'x', 'eval'), range(3))
    with pytest.raises(Shm.WorkerException):
        pool.map(lambda i: [compile('1', 'x', 'eval')], range(3))


def test_results_that_are_one_object_stay_one(pool):
    shared = {'a': 1}
    for first, second in pool.map(lambda i: (shared, shared), range(4)):
        assert first is second
    word = 'a long word'
    assert pool.map(lambda i: [word, i, word], range(4))[3] == [word, 3, word]
