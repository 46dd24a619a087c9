# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""numpy arrays in shared memory; imported when the first of them is asked for, and numpy with it.

The memory of a SharedArray is that of a Shm.Array, which stands at the end of the chain of `base`
that numpy keeps for every view. To processes that are forked from this one, and by them, an array
can be named by the token of that memory, see _family.py, and where it lies in it.
"""

from __future__ import annotations

import collections
import copyreg
import math
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy

from . import _family
from ._array import C_TYPES, Array
from ._family import _restore_array
from ._items import parse_shape

__all__ = ['SharedArray', 'copy', 'empty', 'empty_like', 'fromiter', 'full', 'full_like']


class SharedArray(numpy.ndarray):
    """A numpy array in memory that this process shares with all that it forks.

    Views of it, such as slices, are of this class too, and keep the memory. What is computed from
    it is an ordinary array in memory of its own, unless it is told to go elsewhere, as by `+=` or
    `out`. A pickle holds a copy, which is loaded into shared memory again; where multiprocessing
    sends it to a process that has the same memory, it arrives there as that.
    """

    # For pickles, see _restore_array().
    __module__ = 'gi.repository.Shm'

    def __new__(cls, shape: Any, dtype: Any = 'f8') -> SharedArray:
        return empty(shape, dtype).view(cls)

    def __array_ufunc__(self, ufunc: numpy.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.get('out')
        kwargs = {name: _plain(value) for name, value in kwargs.items()}
        if out is not None:
            kwargs['out'] = tuple(map(_plain, out))
        result = getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
        if out is None or result is NotImplemented:
            return result
        # Whoever gave the array gets that array, not a view of it.
        results = result if isinstance(result, tuple) else (result,)
        results = tuple(r if o is None else o for r, o in zip(results, out))
        return results if isinstance(result, tuple) else results[0]

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _decayed(super().__array_function__(func, types, args, kwargs))

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar and array.ndim == 0 else _decayed(array)

    def __getitem__(self, key: Any) -> Any:
        result = super().__getitem__(key)
        return _decayed(result) if type(result) is SharedArray else result

    def advise(self, advice: Any) -> None:
        """Tells the system how this process will use the items, by a member of `Shm.Advice`.

        A forked worker has to find each page of an array once. Before it writes many items of
        which it has not seen the pages, `Shm.Advice.WILL_NEED` has them found all together.
        """
        holder = _memory(self)
        begin, end = _reach(self, holder)
        flat, item = holder.reshape([holder.size]), holder.itemsize
        flat.slice(0, begin // item, -(-end // item), 1).advise(advice)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        # Here if multiprocessing was loaded after all arrays were made. It is told for the next.
        _tell_multiprocessing()
        return _restore_array, _packed(self)

    def __reduce__(self) -> tuple:
        return self.__reduce_ex__(2)


def _decaying(name: str) -> Any:
    method = getattr(numpy.ndarray, name)

    def decaying(self: SharedArray, *args: Any, **kwargs: Any) -> Any:
        return _decayed(method(self, *args, **kwargs))

    decaying.__name__, decaying.__doc__ = name, method.__doc__
    decaying.__qualname__ = f'SharedArray.{name}'
    return decaying


# The methods that make new arrays, or may have to.
for _method in ('__copy__', '__deepcopy__', 'argmax', 'argmin', 'argpartition', 'argsort', 'astype',
                'byteswap', 'choose', 'clip', 'compress', 'copy', 'cumprod', 'cumsum', 'dot',
                'flatten', 'ravel', 'repeat', 'reshape', 'round', 'searchsorted', 'take', 'trace'):
    setattr(SharedArray, _method, _decaying(_method))


def _plain(value: Any) -> Any:
    return value.view(numpy.ndarray) if isinstance(value, SharedArray) else value


def _decayed(value: Any) -> Any:
    """The ordinary array, where a SharedArray is not in shared memory."""
    if isinstance(value, SharedArray):
        return value if _memory(value) is not None else value.view(numpy.ndarray)
    if type(value) in (list, tuple):
        return type(value)(map(_decayed, value))
    return value


def _memory(array: Any) -> Array | None:
    """Finds the Shm.Array in whose memory a numpy array lies."""
    base = array.base
    while base is not None and not isinstance(base, Array):
        base = base.obj if isinstance(base, memoryview) else getattr(base, 'base', None)
    return base


def _address(array: numpy.ndarray) -> int:
    return array.__array_interface__['data'][0]


def _reach(array: numpy.ndarray, holder: Array) -> tuple[int, int]:
    """From where to where in the memory of `holder` the items lie, in bytes."""
    begin = end = _address(array) - holder.get_address()
    if array.size > 0:
        reaches = [(length - 1) * stride for length, stride in zip(array.shape, array.strides)]
        begin, end = (begin + sum(min(reach, 0) for reach in reaches),
                      end + sum(max(reach, 0) for reach in reaches) + array.itemsize)
    return begin, end


def _resolved_dtype(dtype: Any) -> tuple[numpy.dtype, tuple[int, ...]]:
    """The type of an item, without the axes that a type can bring along."""
    # Thus a string without a length becomes one of length 1.
    probe = numpy.empty(0, dtype)
    if probe.dtype.hasobject:
        raise TypeError(f'Python objects cannot be in shared memory, and {probe.dtype} has some')
    return probe.dtype, probe.shape[1:]


def _over(array: Array, shape: Any, dtype: numpy.dtype, **layout: Any) -> SharedArray:
    _family.register(array)
    _tell_multiprocessing()
    memory = numpy.asarray(array).reshape(-1).view('u1')
    return numpy.ndarray.__new__(SharedArray, shape, dtype, memory, **layout)


def adopt(array: Array, shape: Any, dtype: Any, order: str = 'C') -> SharedArray:
    """Makes a SharedArray in place over the memory of `array`, which has no gaps.

    `order` is 'C' or 'F'. An `array` that is too small is a ValueError, and a `dtype` with Python
    objects a TypeError.
    """
    dtype, inner = _resolved_dtype(dtype)
    if not array.is_contiguous():
        raise ValueError('an array with gaps cannot be adopted')
    shape = parse_shape(shape) + inner
    if math.prod(shape) * dtype.itemsize > array.nbytes:
        raise ValueError(f'{array.nbytes} bytes are too few for an array of shape {shape} and type '
                         f'{dtype}')
    return _over(array, shape, dtype, order=order)


def empty(shape: Any, dtype: Any = 'f8') -> SharedArray:
    """Makes an array of a shape and a type, in C order and, for now, filled with zeros.

    Memory that cannot be had is a MemoryError, and a type with Python objects a TypeError.
    """
    dtype, inner = _resolved_dtype(dtype)
    shape = parse_shape(shape) + inner
    if dtype.isnative and dtype.str[1:] in C_TYPES:
        array = Array(shape, dtype.str)
    else:
        # An item of no size takes no memory, which is as good as no items.
        array = Array(shape, dtype if dtype.names else f'V{dtype.itemsize}') if dtype.itemsize \
            else Array(0, 'V1')
    return _over(array, shape, dtype)


def empty_like(array: Any, dtype: Any = None) -> SharedArray:
    """Makes an array of the shape, and unless another is given the type, of `array` or a list."""
    array = numpy.asarray(array)
    return empty(array.shape, array.dtype if dtype is None else dtype)


def full(shape: Any, value: Any, dtype: Any = 'f8') -> SharedArray:
    """Makes an array like empty(), all of whose items are `value`."""
    shared = empty(shape, dtype)
    shared[...] = value
    return shared


def full_like(array: Any, value: Any, dtype: Any = None) -> SharedArray:
    """Makes an array like empty_like(), all of whose items are `value`."""
    shared = empty_like(array, dtype)
    shared[...] = value
    return shared


def copy(array: Any) -> SharedArray:
    """Copies an array, or a list, into shared memory, in C order."""
    array = numpy.asarray(array)
    shared = empty(array.shape, array.dtype)
    shared[...] = array
    return shared


def fromiter(iterable: Iterable, dtype: Any, count: int | None = -1) -> SharedArray:
    """Makes an array, with one axis, of what is iterated over: all of it, or `count` items."""
    _resolved_dtype(dtype)
    return copy(numpy.fromiter(iterable, dtype, -1 if count is None else count))


def reference(array: Any, made_before: int | None = None) -> tuple | None:
    """Names the memory of `array` for another process of the family, where resolve() finds it.

    `made_before` is as in _family.token(). Returns None for memory that cannot be named. Otherwise
    it is a tuple of plain values and a dtype, to be pickled, and of use as long as the other
    process keeps the memory.
    """
    holder = _memory(array) if type(array) is SharedArray else None
    token = _family.token(holder, made_before)
    if holder is None or token is None:
        return None

    if array.size == 0:
        # Where it lies is of no matter, if only resolve() takes it.
        return token, 0, array.shape, (0,) * array.ndim, array.dtype
    begin, end = _reach(array, holder)
    if begin < 0 or end > holder.nbytes:
        return None
    offset = _address(array) - holder.get_address()
    return token, offset, array.shape, array.strides, array.dtype


def resolve(reference: tuple) -> SharedArray:
    """Makes the array that reference() named, on the same memory.

    If this process does not have that memory, or has dropped it, that is a LookupError.
    """
    token, offset, shape, strides, dtype = reference
    return _over(_family.find(token), shape, dtype, offset=offset, strides=strides)


def _packed(array: SharedArray, name: tuple | None = None, has_items: bool = True) -> tuple:
    """What restore() needs to know of an array; the items are bytes, whatever their type."""
    order = 'F' if array.flags.fnc else 'C'
    items = None
    if has_items:
        flat = _plain(array).ravel(order)
        items = flat.view('u1') if array.itemsize else numpy.empty(0, 'u1')
    return array.dtype, array.shape, order, items, name


def restore(dtype: Any, shape: Any, order: str, items: Any, name: tuple | None) -> SharedArray:
    """Loads a pickled array: that of which `name` is the reference, or else a copy of `items`.

    Items that are in shared memory already, as large results are, stay where they are.
    """
    if name is not None:
        try:
            return resolve(name)
        except LookupError:
            if items is None:
                raise
    array, offset = _memory(items), 0
    if array is None or not array.is_contiguous():
        array = Array(items.size, 'u1')
        numpy.asarray(array)[...] = items
    else:
        offset = _address(items) - array.get_address()
    return _over(array, shape, dtype, order=order, offset=offset)


def transport_table(made_before: int | None = None) -> Mapping:
    """The dispatch table of a pickler whose pickles go to another process of the family.

    Arrays go by reference() where that can be, and otherwise by their items, out of band if the
    pickler has a place for those. Where, for want of `made_before`, it is not known whether the
    other process was forked later than an array was made, it gets both.
    """
    def reduce(array: SharedArray) -> tuple:
        name = reference(array, made_before)
        is_known = name is not None and (made_before is not None or name[0][1] != os.getpid()
                                         or _family.is_common(_memory(array)))
        return _restore_array, _packed(array, name, not is_known)

    return collections.ChainMap({SharedArray: reduce}, copyreg.dispatch_table)


def is_shared(array: numpy.ndarray) -> bool:
    """Whether an array, of whatever class, lies in the memory of a SharedArray."""
    return _family.token(_memory(array), sys.maxsize) is not None


def by_reference(array: SharedArray, made_before: int) -> tuple | None:
    """How an array is pickled for a process that has inherited it; None: it has not."""
    name = reference(array, made_before)
    return name and (_restore_array, _packed(array, name, False))


def _reduce_for_family(array: SharedArray) -> tuple:
    """How multiprocessing pickles an array: by its memory.

    It does not say which process will load it. Unless all processes that could have the memory, it
    is sent along with its items.
    """
    from multiprocessing import active_children, context, get_start_method
    name = reference(array, sys.maxsize)
    if name is None or context.get_spawning_popen() is not None:
        return _restore_array, _packed(array)
    are_forked = all((getattr(child, '_start_method', None) or get_start_method()) == 'fork'
                     for child in active_children())
    is_known = are_forked and _family.is_common(_memory(array))
    return _restore_array, _packed(array, name, not is_known)


def _tell_multiprocessing() -> None:
    reduction = sys.modules.get('multiprocessing.reduction')
    pickler = getattr(reduction, 'ForkingPickler', None)
    if pickler is not None:
        pickler.register(SharedArray, _reduce_for_family)


os.register_at_fork(before=_tell_multiprocessing)
_tell_multiprocessing()
