# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the tests of pools that keep their workers have in common."""

import os

from conftest import get_children


def double(x):
    return 2 * x


def get_pid(_item):
    return os.getpid()


def write(target):
    """Into an array, or a pair of an array and a number."""
    array, value = target if isinstance(target, tuple) else (target, 7)
    array[...] = value


def check_same_workers(pool, func, *sequences):
    """Maps over each; the workers must be the same ones."""
    pids = set()
    for sequence in sequences:
        pool.map(func, sequence)
        pids.add(frozenset(get_children()))
    assert len(pids) == 1 and len(pids.pop()) == 2
