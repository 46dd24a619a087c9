# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Shm.Array from Python; what numpy makes of it is in test_numpy.py."""

from __future__ import annotations

import sys

import gi
import numpy
import pytest

gi.require_version('Shm', '1.0')
from gi.repository import GLib, Shm  # noqa: E402
from gi.overrides.Shm import _numpy  # noqa: E402

NUMBERS = {'b1': True, 'i1': -5, 'i2': -300, 'i4': -70000, 'i8': -2**60, 'u1': 200, 'u2': 60000,
           'u4': 2**32 - 1, 'u8': 2**64 - 1, 'f4': 0.5, 'f8': 1e300, 'c8': 1 + 0.5j,
           'c16': 1e300 - 2j}


@pytest.mark.parametrize('dtype', NUMBERS)
def test_items(dtype):
    value = NUMBERS[dtype]
    array = Shm.Array((2, 3), dtype)
    assert array.tolist() == [[0, 0, 0], [0, 0, 0]]
    array[1, -1] = value
    assert array[1, 2] == value and type(array[1, 2]) is type(value)
    assert array.dtype == numpy.dtype(dtype).str
    assert array.itemsize == numpy.dtype(dtype).itemsize and array.nbytes == 6 * array.itemsize
    assert (array.shape, array.ndim, array.size, len(array)) == ((2, 3), 2, 6, 2)
    array[...] = value
    assert array.tolist() == [[value] * 3] * 2
    array[0] = numpy.zeros(3, dtype)
    array[1, 0] = numpy.dtype(dtype).type(value)
    assert array.tolist() == [[0] * 3, [value] * 3]


def test_dtypes():
    for dtype in ('<f8', '=f8', 'f8', float, Shm.Dtype.F8, numpy.dtype('f8')):
        assert Shm.Array(2, dtype).dtype == '<f8'
    assert Shm.Array(2, '?').dtype == Shm.Array(2, bool).dtype == '|b1'
    assert (Shm.Array(2, int).dtype, Shm.Array(2, complex).dtype) == ('<i8', '<c16')
    for dtype in ('>f8', 'O', 'V', 'V0', 'U3', 'float', ''):
        with pytest.raises(ValueError):
            Shm.Array(2, dtype)
    for dtype in (3, None, str, numpy.float64):
        with pytest.raises(TypeError):
            Shm.Array(2, dtype)


def test_records():
    array = Shm.Array(3, 'V6')
    assert (array.dtype, array.strides) == ('|V6', (6,))
    array[1] = b'abcdef'
    assert array.tolist() == [bytes(6), b'abcdef', bytes(6)]
    array[:] = b'ghijkl'
    array[:2] = [b'123456', bytearray(6)]
    assert list(array) == [b'123456', bytes(6), b'ghijkl']
    with pytest.raises(ValueError):
        array[0] = b'short'
    with pytest.raises(ValueError):
        array[0] = 3


def test_fields():
    """Those of the library are those of numpy, with their gaps and where they overlap."""
    array = Shm.Array.new_full(Shm.Dtype.RECORD, 24, [3], Shm.ArrayFlags.NONE)
    array.add_field('id', Shm.Dtype.U4, 0, 0, None)
    array.add_field('position', Shm.Dtype.F4, 0, 8, [3])
    array.add_field('x', Shm.Dtype.F4, 0, 8, None)
    array.add_field('name', Shm.Dtype.RECORD, 2, 20, None)
    bodies = numpy.asarray(array)
    assert bodies.dtype == numpy.dtype({
        'names': ['id', 'position', 'x', 'name'], 'offsets': [0, 8, 8, 20],
        'formats': ['u4', ('f4', 3), 'f4', 'V2'], 'itemsize': 24})
    bodies['position'][1] = [1.5, 2.5, 3.5]
    assert array['position'].tolist() == [[0, 0, 0], [1.5, 2.5, 3.5], [0, 0, 0]]
    array['x'] = 7
    assert bodies['position'][:, 0].tolist() == [7, 7, 7]
    assert numpy.asarray(array[::2])['x'].tolist() == [7, 7]
    with pytest.raises(ValueError):
        array['y']


@pytest.mark.parametrize('make', [Shm.Array, lambda *args: _numpy._memory(Shm.empty(*args))])
def test_fields_of_numpy(make):
    dtype = numpy.dtype([('a', 'f8'), ('b', 'i4', (2, 3)), ('c', 'S3'), ('d', '>u2'),
                         ('e', [('f', 'u1')]), ('g', 'V0')], align=True)
    array = make(5, dtype)
    assert isinstance(array, Shm.Array)
    assert array.list_fields() == ['a', 'b', 'c', 'd', 'e']
    for name, kind in ('a', 'F8'), ('b', 'I4'), ('c', 'RECORD'), ('d', 'RECORD'), ('e', 'RECORD'):
        field = array.lookup_field(name)
        assert field.offset == dtype.fields[name][1]
        assert field.dtype == getattr(Shm.Dtype, kind)
    assert array['b'].shape == (5, 2, 3)
    assert array['c'].itemsize == 3


def test_shapes():
    assert Shm.Array(numpy.int64(3)).shape == (3,)
    assert Shm.Array([2, 3]).strides == (24, 8)
    one = Shm.Array((), 'i4')
    one[()] = 3
    assert (one[()], one[...].shape, one.tolist()) == (3, (), 3)
    one[...] = 4
    assert one.tolist() == 4
    with pytest.raises(TypeError):
        len(one)
    with pytest.raises(TypeError):
        iter(one)
    assert Shm.Array((2, 0)).tolist() == [[], []]
    for shape in (-1, (2, -1), (1,) * 33, (2**40, 2**40), 10**30):
        with pytest.raises(ValueError):
            Shm.Array(shape)
    with pytest.raises(TypeError):
        Shm.Array('3')
    with pytest.raises(MemoryError, match='shared memory'):
        Shm.Array(10**16)


INDICES = [1, -1, slice(None), slice(1, None), slice(None, None, -1), slice(None, None, -2),
           slice(3, 0, -1), slice(-100, 100), slice(2, 2), slice(0, 4, 3), slice(0, 9, 2**70),
           Ellipsis, (), (1, 2), (1, 2, 3), (-1, -2, -3), (..., 1), (1, ...), (1, ..., 2),
           (slice(None), 1), (slice(None, None, -1), slice(None, None, 2), -1),
           (1, slice(4, None, -3)), (slice(1, 1), slice(None, None, -1)), (1, 2, 3, ...)]


@pytest.mark.parametrize('key', INDICES, ids=repr)
def test_views_are_those_of_numpy(key):
    array = Shm.Array((3, 4, 5), 'i8')
    same = numpy.asarray(array)
    same[...] = numpy.arange(60).reshape(3, 4, 5)
    expected = same[key]
    view = array[key]
    if not isinstance(view, Shm.Array):
        assert view == expected
        array[key] = -1
    else:
        assert view.shape == expected.shape and view.tolist() == expected.tolist()
        assert numpy.array_equal(numpy.asarray(view), expected)
        if expected.size > 0:
            assert numpy.shares_memory(numpy.asarray(view), same)
        view[...] = -1
    other = numpy.arange(60).reshape(3, 4, 5)
    other[key] = -1
    assert numpy.array_equal(same, other)


def test_bad_indices():
    array = Shm.Array((2, 3))
    for key in (2, -3, (0, 3), (0, 0, 0), (..., ...)):
        with pytest.raises(IndexError):
            array[key]
        with pytest.raises(IndexError):
            array[key] = 1
    for key in ('x', 1.5, None, [0, 1]):
        with pytest.raises(TypeError):
            array[key]
    with pytest.raises(ValueError):
        array[::0]


def test_assignment():
    array = Shm.Array((2, 3), 'i4')
    array[...] = [[1, 2, 3], (4, 5, 6)]
    array[:, :2] = array[:, 1:]
    assert array.tolist() == [[2, 3, 3], [5, 6, 6]]
    for value in ([1, 2], [[1, 2]], [1, 2, 3, 4], [[1, 2, 3], [4, 5]], [[1, 2, 3], 4]):
        with pytest.raises(ValueError):
            array[...] = value
    for value in ('abc', None, ['a', 'b', 'c'], [None] * 3):
        with pytest.raises((TypeError, ValueError)):
            array[0] = value
    for value in (2**31, 0.5, 1j, 2**70):
        with pytest.raises(ValueError):
            array[0, 0] = value
    assert array.tolist() == [[2, 3, 3], [5, 6, 6]]


def test_iteration():
    array = Shm.Array((2, 2), 'i4')
    for i, row in enumerate(array):
        row[:] = [i, i + 1]
    assert [list(row) for row in array] == [[0, 1], [1, 2]]
    assert 2 in array[1] and array
    assert repr(array) == '<Shm.Array of shape (2, 2) and type <i4>'


@pytest.mark.parametrize('dtype', NUMBERS)
def test_memoryview(dtype):
    array = Shm.Array((2, 3), dtype)
    view = array.memoryview()
    n_parts = 2 if dtype[0] == 'c' else 1
    assert not view.readonly and view.nbytes == array.nbytes
    assert view.shape == ((2, 3, 2) if n_parts == 2 else (2, 3))
    assert view.itemsize * n_parts == array.itemsize
    array[1, 2] = NUMBERS[dtype]
    assert view[(1, 2) if n_parts == 1 else (1, 2, 0)] == NUMBERS[dtype].real
    view[(0, 0) if n_parts == 1 else (0, 0, 0)] = 1
    assert array[0, 0] == 1
    assert Shm.Array((2, 0), dtype).memoryview().shape[:2] == (2, 0)
    assert Shm.Array((), dtype).memoryview().nbytes == array.itemsize
    with pytest.raises(ValueError):
        array[:, ::2].memoryview()
    del array
    assert view[(0, 0) if n_parts == 1 else (0, 0, 0)] == 1


def test_close():
    with Shm.Array((2, 3)) as array:
        array[0, 0] = 5
        same = numpy.asarray(array)
        view = array[0]
        assert not array.closed
    assert array.closed and 'closed' in repr(array) and isinstance(array, Shm.Array)
    for access in (lambda: array[0], lambda: array.__setitem__(0, 1), lambda: len(array),
                   lambda: list(array), lambda: array.shape, lambda: array.dtype,
                   lambda: array.memoryview(), lambda: array.tolist(), lambda: array.props.n_dims,
                   lambda: array.get_double([0, 0]), lambda: array.__array_interface__,
                   lambda: array.slice(0, 0, 1, 1), lambda: array.__enter__(),
                   lambda: numpy.asarray(array)):
        with pytest.raises(ValueError, match='closed'):
            access()
    array.close()
    assert same[0, 0] == view[0] == 5


def test_library_errors_of_its_own_calls_stay():
    with pytest.raises(GLib.Error):
        Shm.Array(3).get_double([5])


if __name__ == '__main__':
    sys.exit(pytest.main([__file__, *sys.argv[1:]]))
