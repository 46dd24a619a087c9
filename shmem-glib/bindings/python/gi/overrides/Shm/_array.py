# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Shm.Array for Python: made from a shape and a type string, indexed, iterated, and handed on.

Nothing here needs numpy. What numpy makes of such an array is in _numpy.py, which is loaded when a
numpy array in shared memory is first asked for.
"""

from __future__ import annotations

import ctypes
import itertools
import operator
import sys
from collections.abc import Iterator
from typing import Any

from gi.repository import GLib

from ...module import get_introspection_module
from ...overrides import override
from ._items import (flatten, parse_dtype, parse_fields, parse_shape, to_variant,
                     translated)

Shm = get_introspection_module('Shm')

__all__ = ['Array']

_BYTE_ORDER = '<' if sys.byteorder == 'little' else '>'
# As memoryview has them; a complex number is two of them, and a record is bytes.
C_TYPES = {'b1': ctypes.c_bool, 'i1': ctypes.c_int8, 'i2': ctypes.c_int16, 'i4': ctypes.c_int32,
           'i8': ctypes.c_int64, 'u1': ctypes.c_uint8, 'u2': ctypes.c_uint16,
           'u4': ctypes.c_uint32, 'u8': ctypes.c_uint64, 'f4': ctypes.c_float,
           'f8': ctypes.c_double, 'c8': ctypes.c_float, 'c16': ctypes.c_double}


def _type_string(kind: Any, item_size: int) -> str:
    if kind == Shm.Dtype.RECORD:
        return f'|V{item_size}'
    return ('|' if item_size == 1 else _BYTE_ORDER) + Shm.dtype_to_string(kind)


class Array(Shm.Array):
    """An array in memory that this process shares with all that it forks.

    `shape` is the length of the one axis, or a sequence of lengths; `dtype` is a type string in
    numpy's manner, such as 'f8', '<i4' or, for opaque records of 24 bytes, 'V24'. The fields of a
    structured type of numpy become those of the records. The array is filled with zeros. Memory
    that cannot be had is a MemoryError.

    Indices and slices are those of numpy: views share the memory. A single item is a number, a
    truth value, or the bytes of a record; the name of a field gives a view of it.
    numpy.asarray() makes a numpy array on the same memory.

    As a context manager an array is closed at the end.
    """

    __module__ = __package__

    def __new__(cls, shape: Any, dtype: Any = 'f8') -> Array:
        kind, item_size = parse_dtype(dtype)
        with translated():
            array = Shm.Array.new_full(kind, item_size, parse_shape(shape), Shm.ArrayFlags.NONE)
            for name, *field in parse_fields(dtype):
                array.add_field(name, *field)
        return array

    def __init__(self, shape: Any, dtype: Any = 'f8') -> None:
        # __new__ has made it, and a GObject is not to be made twice.
        pass

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(self.get_shape())

    @property
    def strides(self) -> tuple[int, ...]:
        """How many bytes lie between the items of each axis."""
        return tuple(self.get_strides())

    @property
    def dtype(self) -> str:
        """The type string of the items, with the byte order: '<f8', '|b1', '|V24'."""
        return _type_string(self.get_dtype(), self.get_item_size())

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.get_n_dims()

    @property
    def size(self) -> int:
        """The number of items."""
        return self.get_n_elements()

    @property
    def itemsize(self) -> int:
        """The size of an item, in bytes."""
        return self.get_item_size()

    @property
    def nbytes(self) -> int:
        """The size of all items together, in bytes."""
        return self.get_n_bytes()

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """What numpy and others need to use the memory in place."""
        interface = {'version': 3, 'typestr': self.dtype, 'shape': self.shape,
                     'strides': None if self.is_contiguous() else self.strides,
                     'data': (self.get_address(), self.is_read_only())}
        names = self.list_fields() if self.get_dtype() == Shm.Dtype.RECORD else []
        if names:
            fields = [self.lookup_field(name) for name in names]
            # numpy takes all that describes a type, and this can have gaps, and fields that overlap.
            interface['descr'] = {
                'names': names, 'offsets': [field.offset for field in fields],
                'formats': [(_type_string(field.dtype, field.item_size), tuple(field.shape))
                            for field in fields],
                'itemsize': self.get_item_size()}
        return interface

    def memoryview(self) -> memoryview:
        """Makes a memoryview of the array, which keeps the memory.

        It can be written to, unless the array may only be read.
        It has the array's shape, and the format of its items. Complex numbers appear as pairs, and
        records as rows of bytes, on one more axis. A view with gaps is a ValueError.
        """
        if not self.is_contiguous():
            raise ValueError('a memoryview needs an array without gaps in C order')
        shape, kind = self.get_shape(), self.dtype[1:]
        c_type = C_TYPES.get(kind, ctypes.c_uint8)
        if kind[0] in 'cV':
            shape.append(2 if kind[0] == 'c' else self.get_item_size())
        buffer = (ctypes.c_ubyte * self.get_n_bytes()).from_address(self.get_address())
        # The memoryview keeps the buffer, and so the array.
        buffer.base = self
        if self.get_n_elements() > 0:
            view = memoryview(buffer).cast('B').cast(c_type._type_, shape)
            return view.toreadonly() if self.is_read_only() else view
        # memoryview.cast() knows no axes of length zero.
        for length in reversed(shape):
            c_type = c_type * length
        return memoryview(c_type())

    def tolist(self) -> Any:
        """Copies the items into nested lists; an array with no axis is its item alone."""
        if self.get_n_dims() == 0:
            return self[()]
        return [item.tolist() if isinstance(item, Shm.Array) else item for item in self]

    @property
    def closed(self) -> bool:
        """Whether close() has been called."""
        return False

    def close(self) -> None:
        """Ends the use of this array: from now on all that is asked of it is a ValueError.

        The memory goes back to the system when the last view of it is gone as well, numpy's
        included; those can still be used. Closing twice does no harm.
        """
        self.__class__ = _ClosedArray

    def __enter__(self) -> Array:
        return self

    def __exit__(self, *args: Any) -> None:
        self.close()

    def __len__(self) -> int:
        shape = self.get_shape()
        if not shape:
            raise TypeError('an array with no axis has no length')
        return shape[0]

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        view, index = self._locate(key)
        if index is None:
            return view
        with translated():
            value = view.get_value(index)
        if value.get_type_string() == 'ay':
            return value.get_data_as_bytes().get_data()
        item = value.unpack()
        return complex(*item) if isinstance(item, tuple) else item

    def __setitem__(self, key: Any, value: Any) -> None:
        view, index = self._locate(key)
        if index is not None:
            variant = to_variant(value)
            with translated():
                view.set_value(index, variant)
            return
        if isinstance(value, Shm.Array) or getattr(value, 'ndim', 0) > 0:
            # A copy, since the two may overlap.
            value = value.tolist()
        if isinstance(value, (bytes, bytearray)) or not hasattr(value, '__len__'):
            variant = to_variant(value)
            with translated():
                view.fill(variant)
            return
        shape = view.get_shape()
        variants = [to_variant(item) for item in flatten(value, shape)]
        with translated():
            for place, variant in zip(itertools.product(*map(range, shape)), variants):
                view.set_value(place, variant)

    def _locate(self, key: Any) -> tuple[Array, list[int] | None]:
        """Finds the view at `key`, or where that is a single item, an array and the index in it."""
        if isinstance(key, str) and self.get_dtype() == Shm.Dtype.RECORD:
            with translated():
                return self.get_field(key), None
        shape = self.get_shape()
        keys = list(key) if isinstance(key, tuple) else [key]
        n_ellipses = sum(part is Ellipsis for part in keys)
        if n_ellipses > 1:
            raise IndexError('there can be only one ellipsis in an index')
        if len(keys) - n_ellipses > len(shape):
            raise IndexError(f'{len(keys) - n_ellipses} indices are too many for {len(shape)} axes')
        at = keys.index(Ellipsis) if n_ellipses else len(keys)
        keys[at:at + n_ellipses] = [slice(None)] * (len(shape) - len(keys) + n_ellipses)

        for axis, part in enumerate(keys):
            if not isinstance(part, slice):
                keys[axis] = _check_index(part, axis, shape[axis])
        if not n_ellipses and not any(isinstance(part, slice) for part in keys):
            return self, keys

        view, axis = self, 0
        with translated():
            for part, length in zip(keys, shape):
                if isinstance(part, slice):
                    start, stop, step = part.indices(length)
                    # Below zero means before the first item here, and from the end to slice().
                    start, stop = (GLib.MININT64 if i < 0 else i for i in (start, stop))
                    step = max(-GLib.MAXINT64, min(step, GLib.MAXINT64))
                    view, axis = view.slice(axis, start, stop, step), axis + 1
                else:
                    view = view.index(axis, part)
        return view, None

    def __repr__(self) -> str:
        return f'<Shm.Array of shape {self.shape} and type {self.dtype}>'


def _check_index(part: Any, axis: int, length: int) -> int:
    try:
        index = operator.index(part)
    except TypeError:
        raise TypeError(f'{part!r} is not an index: integers, slices and ... are') from None
    if not -length <= index < length:
        raise IndexError(f'index {index} is out of bounds for axis {axis} of length {length}')
    return index % length


Array = override(Array)


class _ClosedArray(Array):
    """What an array becomes by close(), so that an open one pays nothing for the possibility."""

    __module__ = __package__
    _OPEN_TO_ALL = ('__class__', '__dict__', '__exit__', 'close', 'closed')

    def __getattribute__(self, name: str) -> Any:
        if name not in _ClosedArray._OPEN_TO_ALL:
            raise ValueError('the array is closed')
        return True if name == 'closed' else super().__getattribute__(name)

    def __enter__(self) -> Array:
        raise ValueError('the array is closed')

    def __repr__(self) -> str:
        return '<Shm.Array, closed>'
