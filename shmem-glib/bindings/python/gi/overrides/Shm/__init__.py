# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""shmem-glib for Python: `from gi.repository import Shm`.

What the library is in every language is there under its own name, such as Shm.Job. Beside it there
is what Python expects: MapReduce with map(), arrays as numpy has them, exceptions. It takes the
place of the package sharedmem: `from gi.repository import Shm as sharedmem`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable

import gi
from gi.module import get_introspection_module

from ._array import Array
from ._background import background
from ._errors import LostExceptionType, WorkerException
from ._executor import Executor
from ._family import _restore_array
from ._fork import fork
from ._pool import MapReduce, MapReduceByThread, ProcessBackend, ThreadBackend

Shm = get_introspection_module('Shm')
gi.require_version('Shm', Shm._version)  # so that nobody else has to

__all__ = [
    'Array', 'Executor', 'LostExceptionType', 'MapReduce', 'MapReduceByThread', 'ProcessBackend',
    'ThreadBackend', 'WorkerException', 'background', 'copy', 'empty', 'empty_like',
    'fromiter', 'full', 'full_like', '_restore_array']


if TYPE_CHECKING:
    from ._numpy import SharedArray


# numpy is loaded when the first array is asked for.


def empty(shape: Any, dtype: Any = 'f8') -> SharedArray:
    """A new array in shared memory, filled with zeros, as numpy.empty() makes one."""
    from . import _numpy
    return _numpy.empty(shape, dtype)


def empty_like(a: Any, dtype: Any = None) -> SharedArray:
    """A new array of the shape, and of the type unless another is given, of `a`."""
    from . import _numpy
    return _numpy.empty_like(a, dtype)


def full(shape: Any, value: Any, dtype: Any = 'f8') -> SharedArray:
    """A new array all of whose elements are `value`."""
    from . import _numpy
    return _numpy.full(shape, value, dtype)


def full_like(a: Any, value: Any, dtype: Any = None) -> SharedArray:
    """A new array of the shape, and of the type unless another is given, of `a`, of `value`s."""
    from . import _numpy
    return _numpy.full_like(a, value, dtype)


def copy(a: Any) -> SharedArray:
    """A copy of `a` in shared memory."""
    from . import _numpy
    return _numpy.copy(a)


def fromiter(iterable: Iterable, dtype: Any, count: int = -1) -> SharedArray:
    """A new array of one dimension of what is in the iterable."""
    from . import _numpy
    return _numpy.fromiter(iterable, dtype, count)


Shm.set_fork_func(fork, None)
