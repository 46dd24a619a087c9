# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Ctrl-C, and other signals."""

import asyncio
import os
import signal
import socket
import threading
import time

import pytest
from conftest import get_children
from gi.repository import Shm
from gi.overrides.Shm import _wait

PROMPT = 50  # seconds; the items take longer


class Poke:
    """Sends this process a signal when a worker has told that it works."""

    def __init__(self, number=signal.SIGINT):
        self.number = number
        self.reads, self.writes = os.pipe()
        self.begin = time.monotonic()

    def __enter__(self):
        self.thread = threading.Thread(target=self.wait)
        self.thread.start()
        return self

    def wait(self):
        if os.read(self.reads, 1) == b'x':
            os.kill(os.getpid(), self.number)

    def work(self, *_item):
        os.write(self.writes, b'x')
        # A signal in the moment before a sleep does not end it, so one long sleep would not do.
        for _ in range(12000):
            time.sleep(0.01)

    def __exit__(self, *exception):
        os.write(self.writes, b'-')
        self.thread.join()
        os.close(self.reads)
        os.close(self.writes)
        assert time.monotonic() - self.begin < PROMPT


def items_of(poke):
    poke.work()
    yield 1


CALLS = {
    'map': lambda pool, poke: pool.map(poke.work, range(3)),
    'fed': lambda pool, poke: pool.map(poke.work, iter(range(3))),
    'imap': lambda pool, poke: list(pool.imap(poke.work, range(3))),
    'imap_unordered': lambda pool, poke: list(pool.imap_unordered(poke.work, range(3))),
    'serial': lambda pool, poke: Shm.MapReduce(np=0).map(poke.work, range(3)),
    'collecting': lambda pool, poke: pool.map(poke.work, range(3), on_error='collect'),
    'reduce': lambda pool, poke: pool.map(abs, range(3), reduce=poke.work),
    'items': lambda pool, poke: pool.map(abs, items_of(poke)),
    'progress': lambda pool, poke: pool.map(abs, range(3), progress=poke.work),
    'within': lambda pool, poke: pool.map(
        abs, range(3), reduce=lambda value: pool.map(poke.work, range(3))),
    'background': lambda pool, poke: Shm.background(poke.work).wait(),
}


@pytest.mark.parametrize('name', CALLS)
def test_interrupt(pool, name):
    handler = signal.getsignal(signal.SIGINT)
    with Poke() as poke:
        with pytest.raises(KeyboardInterrupt) as info:
            CALLS[name](pool, poke)
    del info
    assert signal.getsignal(signal.SIGINT) == handler
    assert signal.set_wakeup_fd(-1) == -1
    if name != 'background':
        assert get_children() == []
    assert pool.map(abs, [-1, -2]) == [1, 2]


def test_interrupt_while_the_wait_begins(monkeypatch):
    open_waiter = _wait.Waiter._open

    def interrupted(self):
        open_waiter(self)
        raise KeyboardInterrupt
    background = Shm.background(abs, -1)
    monkeypatch.setattr(_wait.Waiter, '_open', interrupted)
    with pytest.raises(KeyboardInterrupt):
        background.wait()
    monkeypatch.undo()
    assert background.wait() == 1


def test_interrupt_while_many_results_arrive(pool):
    """The signal hits whatever the caller is doing with the results."""
    caller = os.getpid()

    def work(i):
        if i == 2000 + 77 * k:
            os.kill(caller, signal.SIGINT)
        return i, 'text'

    for k in range(20):
        with pytest.raises(KeyboardInterrupt):
            pool.map(work, range(1000000), chunksize=1, reduce=lambda i, text: None)
        assert get_children() == []


def test_handlers_that_raise_something_else(pool):
    def handle(number, frame):
        raise TimeoutError('too late')

    old = signal.signal(signal.SIGALRM, handle)
    try:
        with Poke(signal.SIGALRM) as poke:
            with pytest.raises(TimeoutError, match='too late'):
                pool.map(poke.work, range(3))
        assert signal.getsignal(signal.SIGALRM) is handle
    finally:
        signal.signal(signal.SIGALRM, old)


def test_handlers_that_raise_nothing(pool):
    seen = []
    old = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    caller = os.getpid()
    try:
        def work(i):
            os.kill(caller, signal.SIGUSR1)
            return i
        assert pool.map(work, range(30)) == list(range(30))
        assert set(seen) == {signal.SIGUSR1}
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_handler_that_is_changed_within_stays(pool):
    def handle(number, frame):
        pass

    old = signal.getsignal(signal.SIGUSR2)
    try:
        pool.map(abs, range(3), reduce=lambda value: signal.signal(signal.SIGUSR2, handle) and None)
        assert signal.getsignal(signal.SIGUSR2) is handle
    finally:
        signal.signal(signal.SIGUSR2, old)


def test_wakeup_descriptor_of_the_application(pool):
    mine, other = socket.socketpair()
    mine.setblocking(False)
    other.setblocking(False)
    signal.set_wakeup_fd(mine.fileno())
    try:
        with Poke() as poke:
            with pytest.raises(KeyboardInterrupt):
                pool.map(poke.work, range(3))
        assert other.recv(100) == bytes([signal.SIGINT])
        first, second = pool.imap(abs, range(5)), pool.imap(abs, range(5))
        next(first), next(second)
        assert signal.set_wakeup_fd(mine.fileno()) == mine.fileno()
        first.close()
        second.close()
    finally:
        assert signal.set_wakeup_fd(-1) == mine.fileno()
        mine.close()
        other.close()


def test_interrupt_of_amap(pool):
    async def main():
        await pool.amap(poke.work, range(3))

    with Poke() as poke:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(main())
    assert get_children() == []


def test_workers_do_not_hear_it(pool):
    """A terminal sends it to all of the group."""
    def work(i):
        os.kill(os.getpid(), signal.SIGINT)
        return pool.map(lambda k: [os.kill(os.getpid(), signal.SIGINT), k][1], range(3))

    assert pool.map(work, range(4)) == [[0, 1, 2]] * 4
