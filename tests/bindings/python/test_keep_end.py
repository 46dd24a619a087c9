# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Workers that stay: failures, signals, whole programs, and how they end."""

import gc
import os
import signal
import subprocess
import sys

import pytest
from conftest import get_children, get_fds
from gi.repository import Shm
from keep import check_same_workers, double, get_pid
from test_signals import Poke


def run(program, **kwargs):
    """Runs a program with a pool, and gives what it printed."""
    program = ('import os, sys, threading\nimport gi\ngi.require_version("Shm", "1.0")\n'
               'from gi.repository import Shm\n'
               'pool = Shm.MapReduce(np=2, keep_workers=True)\n' + program)
    environment = dict(os.environ, PYTHONUNBUFFERED='')
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, timeout=50,
                          text=True, check=False, env=environment, **kwargs)
    assert done.stderr == ''
    assert done.returncode == 0
    return done.stdout.split()


def assert_gone(pids):
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_failures_between(kept):
    def work(i):
        if i == 5:
            raise ArithmeticError(i)
        if i == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        if i == 7:
            sys.exit(3)
        if i == 8:
            return lambda: None
        return i

    kinds = {5: ArithmeticError, 7: SystemExit, 8: (AttributeError, TypeError)}
    for bad in (5, 6, 7, 8) * 2:
        assert kept.map(work, range(5)) == list(range(5))
        with pytest.raises(Shm.WorkerException) as info:
            kept.map(work, [0, 1, bad, 2])
        assert info.value.index == 2
        assert isinstance(info.value.reason, kinds.get(bad, Exception))
    assert kept.map(work, range(5)) == list(range(5))


def test_failures_in_the_caller_between(kept):
    def refuse(_result):
        raise ArithmeticError

    for _ in range(3):
        assert kept.map(double, range(100)) == list(range(0, 200, 2))
        with pytest.raises(ArithmeticError):
            kept.map(double, range(100), reduce=refuse)
        assert kept.map(double, range(3), reduce=double) == [0, 4, 8]


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_dies_between_maps(kept, number):
    for k in range(4):
        assert kept.map(get_pid, range(k, 9)) != []
        pids = get_children()
        victims = pids[:1 + k % 2]
        for pid in victims:
            os.kill(int(pid), number)
            os.waitid(os.P_PID, int(pid), os.WEXITED | os.WNOWAIT)
        assert kept.map(get_pid, range(k + 3)) != []
        kept.map(double, range(5))
        assert kept.map(double, range(5)) == [0, 2, 4, 6, 8]


def test_a_stopped_worker_does_not_keep_the_others(kept):
    kept.map(get_pid, range(9))
    pid = int(get_children()[0])
    os.kill(pid, signal.SIGSTOP)
    kept.release_workers()
    assert get_children() == []


def test_new_workers_in_the_middle_know_the_run(kept):
    """One that takes the place of one that died has inherited the map of that time."""
    shared = Shm.empty(6)

    def work(item):
        array, value, path = item
        if path and not os.path.exists(path):
            with open(path, 'x', encoding='ascii'):
                os._exit(1)
        array[...] = value
        return value

    for value in range(5):
        path = f'/proc/self/cwd/{os.getpid()}.{value}' if value % 2 else None
        try:
            items = [(shared[i:i + 1], value + i, path if i == 3 else None) for i in range(6)]
            assert kept.map(work, items, retries=2, chunksize=1) == [value + i for i in range(6)]
        finally:
            if path:
                os.unlink(path)
        assert list(shared) == [value + i for i in range(6)]


def test_interrupt(kept):
    for k in range(3):
        with Poke() as poke:
            with pytest.raises(KeyboardInterrupt):
                kept.map(poke.work, [poke.writes, k])
        assert kept.map(double, [k, 1]) == [2 * k, 2]
    check_same_workers(kept, double, [1], [2, 3])


def test_interrupt_of_a_map_with_workers_that_stayed(kept):
    with Poke() as poke:
        work = lambda item: item and poke.work()  # noqa: E731
        assert kept.map(work, [0, 0]) == [0, 0]
        children = get_children()
        assert kept.map(work, [0, 0, 0]) == [0, 0, 0]
        assert get_children() == children
        with pytest.raises(KeyboardInterrupt):
            kept.map(work, [0, 1, 1])
        assert kept.map(work, [0, 0]) == [0, 0]


def test_interrupt_while_it_is_quiet(kept):
    assert kept.map(double, [1, 2]) == [2, 4]
    children = get_children()
    for pid in children:
        os.kill(int(pid), signal.SIGINT)
    assert kept.map(double, [1, 2]) == [2, 4]
    assert get_children() == children


def test_with_leaves_nothing():
    fds = get_fds()
    for fails in (False, True) * 2:
        try:
            with Shm.MapReduce(np=2, keep_workers=True) as pool:
                pool.map(double, range(4))
                assert len(get_children()) == 2
                if fails:
                    raise LookupError
        except LookupError:
            pass
        assert get_children() == []
        assert pool.map(double, range(4)) == [0, 2, 4, 6]
        assert len(get_children()) == 2
        pool.release_workers()
        pool.release_workers()
        assert get_children() == []
    pool = None
    gc.collect()
    assert get_fds() == fds


def test_what_workers_print_arrives():
    lines = run('''
def work(i):
    print(i)
for k in range(3):
    pool.map(work, range(k * 10, k * 10 + 10))
    print('map', k, sep='-', flush=True)
''')
    for k in range(3):
        assert sorted(lines[11 * k:11 * k + 10]) == list(map(str, range(k * 10, k * 10 + 10)))
        assert lines[11 * k + 10] == f'map-{k}'


def test_definitions_of_the_program_that_are_newer():
    """What is defined while there are workers, as one does in an interactive session."""
    assert run('''
def work(thing):
    return thing.get() if hasattr(thing, 'get') else thing
print(*pool.map(work, [1, 2]))
class A:
    def get(self):
        return 'old'
class Outer:
    class Inner(A):
        pass
print(*pool.map(work, [A(), Outer.Inner()]))
class A(A):
    def get(self):
        return 'new'
first = A
print(*pool.map(work, [A(), Outer.Inner()]))
pids = []
for k in range(3):
    pool.map(work, [A(), Outer.Inner(), k])
    with open(f'/proc/self/task/{os.getpid()}/children') as file:
        pids.append(file.read())
assert len(set(pids)) == 1
''') == ['1', '2', 'old', 'old', 'new', 'old']


@pytest.mark.parametrize('end', ['', 'del pool', 'os.kill(os.getpid(), 9)', 'raise SystemExit',
                                 'threading.Thread(target=lambda: pool.map(abs, [1])).start()'])
def test_a_pool_that_is_left(end):
    program = f'''
pool.map(abs, [1, 2])
with open(f'/proc/self/task/{{os.getpid()}}/children') as file:
    print(file.read(), flush=True)
{end}
'''
    if '9' in end:
        reads, writes = os.pipe()
        program = program.replace('pool.map', f'os.set_inheritable({writes}, True)\npool.map', 1)
        with pytest.raises(AssertionError):
            run(program, pass_fds=[writes])
        os.close(writes)
        assert os.read(reads, 1) == b''  # nobody has the other end any more
        os.close(reads)
        return
    pids = run(program)
    assert len(pids) == 2
    assert_gone(pids)


def test_released_in_a_copy_that_ends_as_a_program_does():
    assert run('''
pool.map(abs, [1, 2])
pid = os.fork()
if pid == 0:
    sys.exit()
assert os.waitpid(pid, 0)[1] == 0
print(*pool.map(abs, [-1, -2]))
''') == ['1', '2']
