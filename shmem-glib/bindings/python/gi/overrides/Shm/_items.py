# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Shapes, types and items as Python has them, in the form in which the library takes them."""

from __future__ import annotations

import contextlib
import operator
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from gi.repository import GLib

from ...module import get_introspection_module

Shm = get_introspection_module('Shm')

_PYTHON_DTYPES = {bool: 'b1', int: 'i8', float: 'f8', complex: 'c16'}


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns the library's own errors into the exceptions that Python has for the same."""
    try:
        yield
    except GLib.Error as error:
        kinds = {Shm.Error.OUT_OF_BOUNDS: IndexError, Shm.Error.INVALID_ARGUMENT: ValueError,
                 Shm.Error.NO_MEMORY: MemoryError}
        kind = kinds.get(error.code) if error.matches(Shm.error_quark(), error.code) else None
        if kind is None:
            raise
        raise kind(error.message) from None


def parse_dtype(dtype: Any) -> tuple[Any, int]:
    """Finds the Shm.Dtype of `dtype`, and for records the size of an item, else 0.

    `dtype` is a Shm.Dtype, a type string in numpy's manner, one of Python's types of numbers, or
    anything with such a string as its `str`, as numpy's types have.
    """
    if isinstance(dtype, Shm.Dtype):
        return dtype, 0
    name = _PYTHON_DTYPES.get(dtype) if isinstance(dtype, type) else dtype
    name = getattr(name, 'str', name)
    if not isinstance(name, str):
        raise TypeError(f'{dtype!r} is not an item type')
    record = name.lstrip('|')
    if record[:1] == 'V' and record[1:].isdecimal():
        return Shm.Dtype.RECORD, int(record[1:])
    with translated():
        return Shm.dtype_from_string(name), 0


def parse_fields(dtype: Any) -> Iterator[tuple[str, Any, int, int, Sequence[int]]]:
    """The fields of a structured type of numpy, as add_field() takes them.

    What is of a type that the library does not have, such as text, is bytes.
    """
    for name in getattr(dtype, 'names', None) or ():
        field, offset = dtype.fields[name][:2]
        item, shape = field.subdtype or (field, ())
        try:
            kind, item_size = parse_dtype(item)
        except ValueError:
            kind, item_size = Shm.Dtype.RECORD, item.itemsize
        if item.itemsize > 0:
            yield name, kind, item_size, offset, shape


def parse_shape(shape: Any) -> tuple[int, ...]:
    """Makes a tuple of the length of one axis, or of those of several."""
    try:
        shape = (operator.index(shape),)
    except TypeError:
        shape = tuple(map(operator.index, shape))
    if any(length < 0 for length in shape):
        raise ValueError(f'the shape {shape} has a negative length')
    if any(length > sys.maxsize for length in shape):
        raise ValueError(f'an array of shape {shape} is too large to address')
    return shape


def to_variant(value: Any) -> GLib.Variant:
    """Makes a variant of a number, or of the bytes of a record."""
    if hasattr(value, 'item') and not isinstance(value, Shm.Array):
        value = value.item()
    if isinstance(value, bool):
        return GLib.Variant('b', value)
    if isinstance(value, complex):
        return GLib.Variant('(dd)', (value.real, value.imag))
    if isinstance(value, float):
        return GLib.Variant('d', value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return GLib.Variant.new_from_bytes(GLib.VariantType('ay'), GLib.Bytes(bytes(value)), True)
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f'{value!r} is not an item of an array') from None
    if not -2**63 <= number < 2**64:
        raise ValueError(f'{number} does not fit into 64 bits')
    return GLib.Variant('x' if number < 2**63 else 't', number)


def flatten(value: Any, shape: Sequence[int]) -> Iterator[Any]:
    """The items of nested sequences, which have to be of `shape`."""
    if not shape:
        yield value
        return
    if isinstance(value, (str, bytes)) or not hasattr(value, '__len__'):
        raise ValueError(f'{value!r} is not a sequence of {shape[0]} items')
    if len(value) != shape[0]:
        raise ValueError(f'there are {len(value)} items where {shape[0]} belong')
    for item in value:
        yield from flatten(item, shape[1:])
