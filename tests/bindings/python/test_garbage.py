# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Garbage of the caller, and of workers."""

import gc
import os
import weakref

import pytest
from gi.repository import Shm


class Loop:
    """Only the collector of garbage frees it; it notes in which process."""

    def __init__(self, path):
        self.me = self
        self.path = path

    def __del__(self):
        with self.path.open('a') as file:
            file.write(f'{os.getpid()}\n')


@pytest.fixture
def quiet():
    """Garbage stays until somebody asks for its collection."""
    gc.disable()
    yield
    gc.enable()


CALLS = {
    'map': lambda func: Shm.MapReduce(np=2).map(func, range(4)),
    'imap': lambda func: list(Shm.MapReduce(np=2).imap(func, iter(range(4)))),
    'background': lambda func: [Shm.background(func, 0).wait()],
}


@pytest.mark.parametrize('name', CALLS)
def test_workers_leave_the_garbage_of_the_caller_alone(quiet, tmp_path, name):
    Loop(tmp_path / 'file')
    n_frozen = gc.get_freeze_count()

    def work(_item):
        gc.collect()
        return os.path.exists(tmp_path / 'file')

    assert not any(CALLS[name](work))
    assert gc.get_freeze_count() == n_frozen
    gc.collect()
    assert (tmp_path / 'file').read_text() == f'{os.getpid()}\n'


@pytest.mark.parametrize('name', CALLS)
def test_workers_collect_their_own(quiet, tmp_path, name):
    def work(_item):
        there = weakref.ref(Loop(tmp_path / str(os.getpid())))
        gc.collect()
        return there() is None

    assert all(CALLS[name](work))
