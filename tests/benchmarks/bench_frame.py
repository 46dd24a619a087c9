# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the benchmark in Python stands on: contestants that take turns.

What is measured goes to standard output as lines of JSON, which report.py reads.
"""

import atexit
import contextlib
import json
import multiprocessing
import os
import statistics
import time
import traceback

LEAST_ROUNDS = 3
PATIENCE = 20  # seconds for a case, after which fewer rounds have to do
N_WORKERS = 2  # as many for all, on any machine: the ratios are for them
FORK = multiprocessing.get_context('fork')


def measure(run):
    """The seconds that it takes, or what it says itself that it took."""
    start = time.perf_counter()
    taken = run()
    end = time.perf_counter()
    return taken if isinstance(taken, float) else end - start


class Apart:
    """A contestant in a process of its own.

    The pools of others have threads, and a process that has had threads is slower to fork: who
    starts workers of its own is not to pay for the others.
    """

    def __init__(self, make):
        self._connection, other_end = FORK.Pipe()
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                self._connection.close()
                self._serve(make, other_end)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        other_end.close()
        self._connection.recv()

    @staticmethod
    def _serve(make, connection):
        with make() as run:
            connection.send('ready')
            while connection.recv() == 'run':
                connection.send(measure(run))
        # os._exit() does not call what libraries left to be done, such as to remove their files
        atexit._run_exitfuncs()

    def measure(self):
        self._connection.send('run')
        return self._connection.recv()

    def close(self):
        self._connection.send('end')
        _, status = os.waitpid(self._pid, 0)
        self._connection.close()
        if status != 0:
            raise RuntimeError(f'a contestant ended badly: status {status}')


class Alone:
    """A contestant in this process."""

    def __init__(self, run):
        self._run = run

    def measure(self):
        return measure(self._run)

    def close(self):
        pass


class Case:
    """A workload and those who compete in it."""

    def __init__(self, workload, title, unit, scale, rounds=5, is_rate=False):
        self._facts = {'workload': workload, 'title': title, 'language': 'Python'}
        self._unit = unit
        self._scale = scale
        self._rounds = rounds
        self._is_rate = is_rate
        self._contestants = []
        self._left_out = []

    def ours(self, name, run):
        self._contestants.append((name, 'ours', lambda: Alone(run)))

    def ours_apart(self, name, make):
        """`make` is as for a peer."""
        self._contestants.append((name, 'ours', lambda: Apart(make)))

    def floor(self, name, run):
        self._contestants.append((name, 'floor', lambda: Alone(run)))

    def serial(self, run):
        self._contestants.append(('loop', 'serial', lambda: Alone(run)))

    def peer(self, name, make):
        """`make` makes a context manager that gives what to run."""
        self._contestants.append((name, 'peer', lambda: Apart(make)))

    def leave_out(self, name, role, why):
        self._left_out.append((name, role, why))

    def run(self, is_quick):
        rounds = 1 if is_quick else self._rounds
        times = {}
        with contextlib.ExitStack() as stack:
            # those apart come first, so that they inherit no workers
            seats = []
            for name, role, sit in self._contestants:
                seat = sit()
                stack.callback(seat.close)
                seats.append((name, role, seat))
            start = time.monotonic()
            for round_ in range(rounds):
                if round_ >= LEAST_ROUNDS and time.monotonic() - start > PATIENCE:
                    break
                for name, _, seat in seats:
                    times.setdefault(name, []).append(seat.measure())
        for name, role, _ in seats:
            self._print(name, role, times[name])
        for name, role, why in self._left_out:
            print(json.dumps({**self._facts, 'contestant': name, 'role': role, 'left_out': why}),
                  flush=True)

    def _print(self, name, role, times):
        if self._is_rate:
            figures = [self._scale / seconds for seconds in times]
        else:
            figures = [self._scale * seconds for seconds in times]
        if len(figures) > 1:
            low, median, high = statistics.quantiles(figures, n=4, method='inclusive')
        else:
            low = median = high = figures[0]
        print(json.dumps({
            **self._facts, 'contestant': name, 'role': role, 'unit': self._unit,
            'better': 'more' if self._is_rate else 'less', 'median': median, 'low': low,
            'high': high, 'rounds': len(figures)}), flush=True)
