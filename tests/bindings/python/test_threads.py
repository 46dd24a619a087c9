# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""A caller with other threads."""

import io
import logging
import os
import subprocess
import sys
import threading

import pytest
from gi.repository import GLib, Shm

N_MAPS = 25


class Busy:
    """Threads that call a function over and over."""

    def __init__(self, func, n_threads=3):
        self.func = func
        self.threads = [threading.Thread(target=self.run) for _ in range(n_threads)]
        self.stopping = False

    def run(self):
        while not self.stopping:
            self.func()

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *exception):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def allocate():
    return [str(i) for i in range(200)]


def load():
    try:
        sys.modules.pop('json.scanner', None)
        import json.scanner
        return json.scanner
    except KeyError:
        return None  # another thread has popped it meanwhile


def lock():
    with threading.Lock():
        return [GLib.Variant('s', 'x') for _ in range(20)]


@pytest.mark.parametrize('func', [allocate, load, lock])
def test_threads_that_are_busy(func):
    pool = Shm.MapReduce(np=2)
    with Busy(func):
        for _ in range(N_MAPS):
            assert pool.map(lambda i: func() and i, range(2)) == [0, 1]


def test_threads_that_log(tmp_path):
    logger = logging.getLogger('shm-test')
    logger.propagate = False
    handlers = [logging.FileHandler(tmp_path / 'log'), logging.StreamHandler(io.StringIO())]
    for handler in handlers:
        logger.addHandler(handler)
    pool = Shm.MapReduce(np=2)

    def work(i):
        logger.warning('from a worker')
        return i

    try:
        with Busy(lambda: logger.warning('x' * 200)):
            for _ in range(N_MAPS):
                assert pool.map(work, range(2)) == [0, 1]
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
    # A file opened for appending is one for all processes.
    assert (tmp_path / 'log').read_text().count('from a worker') == 2 * N_MAPS


@pytest.mark.parametrize('say', ['print("x" * 100)', 'print("x" * 100, file=sys.stderr)',
                                 'logging.warning("x" * 100)'])
def test_threads_that_write_to_a_slow_reader(say):
    """They hold the lock of the stream nearly all the time."""
    program = f'''
import logging, os, sys, threading, gi
gi.require_version('Shm', '1.0')
from gi.repository import Shm
def run():
    while True:
        {say}
for _ in range(3):
    threading.Thread(target=run, daemon=True).start()
pool = Shm.MapReduce(np=2)
for _ in range(20):
    assert pool.map(lambda i: [{say}, i][1], range(2)) == [0, 1]
os._exit(0)
'''
    with subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        while len(os.read(process.stdout.fileno(), 512)) > 0:
            pass
        assert process.wait() == 0


def test_maps_in_several_threads():
    pool = Shm.MapReduce(np=2)
    results = {}

    def run(k):
        for _ in range(10):
            results[k] = pool.map(lambda i: i * k, range(20), chunksize=k + 1)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: [i * k for i in range(20)] for k in range(4)}


def test_a_main_loop_that_runs_in_another_thread():
    context = GLib.MainContext.new()
    loop = GLib.MainLoop.new(context, False)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        for _ in range(20):
            assert Shm.MapReduce(np=2).map(abs, iter([-1, -2])) == [1, 2]
    finally:
        loop.quit()
        thread.join()


def test_map_in_a_callback_of_a_main_loop():
    loop = GLib.MainLoop()
    results = []

    def callback():
        results.append(Shm.MapReduce(np=2).map(abs, range(5)))
        if len(results) == 5:
            loop.quit()
        return len(results) < 5

    GLib.idle_add(callback)
    loop.run()
    assert results == [list(range(5))] * 5
