# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Which shared memory this process and those that are forked from it have in common.

A Shm.Array under numpy's arrays has a token, which processes that are forked later inherit along
with the memory. An address says nothing to another process; a token does.
"""

from __future__ import annotations

import itertools
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._array import Array

__all__ = ['_restore_array']

# The process in which the library was loaded; those that it forks have another number.
HEAD_PID = os.getpid()

# What tokens begin with, so that those of another family are not taken for ours.
_FAMILY = os.urandom(8)
_tokens: weakref.WeakKeyDictionary[Array, tuple] = weakref.WeakKeyDictionary()
_owners: weakref.WeakValueDictionary[tuple, Array] = weakref.WeakValueDictionary()
# Those that were made while the family had one process, so that all others inherit them.
_common: weakref.WeakSet[Array] = weakref.WeakSet()
_serials = itertools.count()


def register(array: Array) -> None:
    """Gives an array a token, once."""
    if array not in _tokens:
        token = (_FAMILY, os.getpid(), next(_serials))
        _tokens[array] = token
        _owners[token] = array
        if not _has_relatives:
            _common.add(array)


def mark() -> int:
    """Marks the moment before a fork, for token()."""
    return next(_serials)


def token(array: Array | None, made_before: int | None = None) -> tuple | None:
    """Gets the token of an array if another process of the family can be expected to know it.

    What this process inherited is known to those that have inherited it too. What it made itself is
    known only to what it forked later: to name it, that has to be before `made_before`, a mark()
    taken before the fork. Without one, the process that loaded the library is taken to speak to
    what it forks, so that all is named, and any other, as a worker, to what forked it, so that none
    is.
    """
    found = None if array is None else _tokens.get(array)
    if found is not None and found[1] == os.getpid():
        if os.getpid() != HEAD_PID if made_before is None else found[2] >= made_before:
            return None
    return found


def find(token: tuple) -> Array:
    """Finds the array with a token; a LookupError if this process does not have it."""
    array = _owners.get(token)
    if array is None:
        raise LookupError('an array in shared memory was named that this process does not have: it '
                          'was made after the fork, or in another family of processes, or dropped')
    return array


def is_common(array: Array) -> bool:
    """Whether every other process of the family has inherited the array."""
    return array in _common


def _find_relatives() -> bool:
    """Whether there may be processes of the family that do not inherit what is made from now on."""
    process = sys.modules.get('multiprocessing.process')
    return process is not None and (
        process.parent_process() is not None or bool(process.active_children()))


def _before_fork() -> None:
    global _has_relatives
    _has_relatives = True


def _restore_array(*packed: Any) -> Any:
    """Loads a pickled numpy array in shared memory, see _numpy.restore()."""
    from . import _numpy
    return _numpy.restore(*packed)


# Pickles name it, and the processes that load them may have to load the library first.
_restore_array.__module__ = 'gi.repository.Shm'

_has_relatives = _find_relatives()
os.register_at_fork(before=_before_fork)
