# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The results of a range on their way to the caller: one variant of bytes.

Its first byte says how they are packed: numbers as an array, Nones as their count, flat lists, tuples
and dicts of numbers and strings by marshal, which takes less than half of the time of a pickle,
everything else as one pickle, whose large buffers are put into shared memory and used there in place.
"""

from __future__ import annotations

import array
import ctypes
import marshal
import pickle
import sys
from typing import Any, Callable

from gi.repository import GLib

from ._errors import new_bytes, to_bytes

LARGE = 65536  # bytes of a buffer that does not travel within the pickle

INTEGERS = b'q'
FLOATS = b'd'
NOTHING = b'n'
PICKLE = b'p'
PLAIN = b'm'

_SCALARS = frozenset((bool, float, int, str, type(None)))


class _PyBuffer(ctypes.Structure):
    _fields_ = [
        ('buf', ctypes.c_void_p), ('obj', ctypes.py_object), ('len', ctypes.c_ssize_t),
        ('itemsize', ctypes.c_ssize_t), ('readonly', ctypes.c_int), ('ndim', ctypes.c_int),
        ('format', ctypes.c_char_p), ('shape', ctypes.c_void_p), ('strides', ctypes.c_void_p),
        ('suboffsets', ctypes.c_void_p), ('internal', ctypes.c_void_p)]


class _Unpicklable(Exception):
    """An item's result cannot be packed."""

    def __init__(self, position: int, reason: BaseException) -> None:
        super().__init__(position, reason)
        self.position = position
        self.reason = reason


Unpicklable = _Unpicklable


def _to_bytes(buffer: Any) -> bytes:
    return bytes(buffer)


def _to_bytearray(buffer: Any) -> bytearray:
    return bytearray(buffer)


class _Blob:
    """Large bytes, which a pickle would otherwise hold within."""

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: int) -> tuple:
        make = _to_bytes if isinstance(self.data, bytes) else _to_bytearray
        return make, (pickle.PickleBuffer(self.data),)


def _dump(value: Any, put: Callable[[pickle.PickleBuffer], bool]) -> bytes:
    """Pickles with the large buffers given to `put`."""
    import io
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, 5, buffer_callback=put)
    arrays = sys.modules.get(__package__ + '._numpy')
    if arrays is not None:
        pickler.dispatch_table = arrays.transport_table()
    pickler.dump(value)
    return stream.getvalue()


def _is_plain(results: list) -> bool:
    """Whether there is nothing in them that marshal would not give back as it was."""
    for result in results:
        kind = type(result)
        if kind is dict:
            kinds = {*map(type, result), *map(type, result.values())}
        elif kind is list or kind is tuple:
            kinds = set(map(type, result))
        else:
            kinds = {kind}
        if not kinds <= _SCALARS:
            return False
    return True


class Packer:
    """Packs the results of ranges, in a worker process."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def _deposit(self, raw: memoryview) -> tuple[int, int]:
        view = _PyBuffer()
        ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(raw), ctypes.byref(view), 0)
        try:
            _ok, offset = self._pool.deposit(view.buf, raw.nbytes)
        finally:
            ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))
        return offset, raw.nbytes

    def _pickle(self, results: list) -> bytes:
        pieces: list[tuple[int, int]] = []

        def put(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes < LARGE:
                return True
            pieces.append(self._deposit(raw))
            return False

        wrapped = [_Blob(result) if type(result) in (bytes, bytearray) and len(result) >= LARGE
                   else result for result in results]
        data = _dump(wrapped, put)
        return PICKLE + pickle.dumps(pieces) + data

    def pack(self, results: list) -> GLib.Variant:
        """All the results of a range; Unpicklable says which one is to blame."""
        kinds = set(map(type, results))
        if len(kinds) == 1:
            kind = kinds.pop()
            if kind is float:
                return new_bytes(b''.join((FLOATS, array.array('d', results))))
            if kind is int:
                try:
                    return new_bytes(b''.join((INTEGERS, array.array('q', results))))
                except OverflowError:
                    pass
            elif kind is type(None):
                return new_bytes(NOTHING + str(len(results)).encode())
        if _is_plain(results):
            return new_bytes(PLAIN + marshal.dumps(results))
        try:
            return new_bytes(self._pickle(results))
        except GLib.Error:
            raise
        except BaseException as exception:
            for position, result in enumerate(results):
                try:
                    _dump(result, lambda buffer: False)
                except BaseException as reason:
                    raise _Unpicklable(position, reason) from None
            raise _Unpicklable(0, exception) from None


def unpack(variant: GLib.Variant, job: Any) -> list:
    """The results of a range, in the caller."""
    data = to_bytes(variant)
    kind = data[:1]
    if kind in (INTEGERS, FLOATS):
        numbers = array.array(kind.decode())
        numbers.frombytes(memoryview(data)[1:])
        return numbers.tolist()
    if kind == NOTHING:
        return [None] * int(data[1:])
    if kind == PLAIN:
        return marshal.loads(memoryview(data)[1:])
    import io
    stream = io.BytesIO(data)
    stream.seek(1)
    pieces = pickle.load(stream)
    buffers = [job.withdraw(offset, size).memoryview() for offset, size in pieces]
    return pickle.Unpickler(stream, buffers=buffers).load()


def pack_item(item: Any) -> GLib.Variant:
    """An item of a feed, on its way to a worker process."""
    return new_bytes(_dump(item, lambda buffer: True))


def unpack_item(variant: GLib.Variant) -> Any:
    """The item, in the worker."""
    return pickle.loads(to_bytes(variant))
