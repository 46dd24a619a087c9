# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What all tests need, and the check that each of them leaves nothing."""

import faulthandler
import gc
import os

import gi
import pytest

gi.require_version('Shm', '1.0')
pytest.register_assert_rewrite('keep')

from gi.repository import Shm  # noqa: E402

HANG_TIME = 300  # seconds; no test takes nearly so long

# Where the processors are busy any item may take too long; then all may take longer.
TIMEOUTS = [0.2 * 2 ** i for i in range(8)]


def get_children():
    """The pids of the children of this process.

    A thread that was joined may still be on its way out, and then its children become those of the
    first thread: that one comes last, so that a child is seen twice rather than never.
    """
    first = str(os.getpid())
    pids = set()
    for thread in sorted(os.listdir('/proc/self/task'), key=lambda thread: thread == first):
        try:
            with open(f'/proc/self/task/{thread}/children', encoding='ascii') as file:
                pids.update(file.read().split())
        except OSError:
            pass  # the thread has ended
    return sorted(pids)


def get_fds():
    """The open file descriptors of this process, and what they are."""
    fds = {}
    for name in os.listdir('/proc/self/fd'):
        try:
            fds[int(name)] = os.readlink(f'/proc/self/fd/{name}')
        except OSError:
            pass  # that of the listing
    return fds


def get_shared_mappings():
    """The shared mappings of this process that are in memory only."""
    with open('/proc/self/maps', encoding='utf-8') as file:
        return [line for line in file if line.split()[1].endswith('s') and
                ('deleted' in line or 'zero' in line or 'memfd' in line)]


@pytest.fixture(autouse=True, scope='session')
def warm():
    """What the first map makes for good is no leftover."""
    Shm.MapReduce(np=2).map(abs, range(2))
    Shm.background(abs, 1).wait()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def leftovers(warm):
    """Fails a test that leaves a child, a descriptor or a mapping."""
    faulthandler.dump_traceback_later(HANG_TIME, exit=True)
    gc.collect()
    fds, mappings = get_fds(), len(get_shared_mappings())
    yield
    gc.collect()
    faulthandler.cancel_dump_traceback_later()
    assert get_children() == []
    assert {fd: name for fd, name in get_fds().items() if fds.get(fd) != name} == {}
    assert len(get_shared_mappings()) <= mappings


@pytest.fixture(params=['process', 'thread', 'serial'])
def any_pool(request):
    """A pool of each kind."""
    return {'process': lambda: Shm.MapReduce(np=3), 'thread': lambda: Shm.MapReduceByThread(np=3),
            'serial': lambda: Shm.MapReduce(np=0)}[request.param]()


@pytest.fixture
def pool():
    """A pool of processes."""
    return Shm.MapReduce(np=3)


@pytest.fixture
def kept():
    """A pool that keeps its workers."""
    with Shm.MapReduce(np=2, keep_workers=True) as pool:
        yield pool
