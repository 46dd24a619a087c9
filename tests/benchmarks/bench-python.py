# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The pool in Python beside the pools of the standard library.

Interleaved runs, medians; each figure of ours has the start of the workers in it, the peers' pools
are warm. What counts are the ratios.
"""

import concurrent.futures
import multiprocessing
import os
import statistics
import sys
import time

import gi

gi.require_version('Shm', '1.0')
from gi.repository import Shm  # noqa: E402

N_WORKERS = 2
N_ITEMS = 100_000
N_LARGE = 256
LARGE = 4 << 20
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5


def identity(item):
    return item


def make_large(item):
    return bytes([item & 255]) * LARGE


def measure(func):
    start = time.perf_counter()
    func()
    return time.perf_counter() - start


def compare(rounds, **candidates):
    """The median time of each, in seconds."""
    times = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, func in candidates.items():
            times[name].append(measure(func))
    return {name: statistics.median(values) for name, values in times.items()}


def fork_floor():
    children = []
    for _ in range(N_WORKERS):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


def start_mp():
    with multiprocessing.get_context('fork').Pool(N_WORKERS) as pool:
        pool.map(identity, range(2))


def show(title, times, unit, scale):
    ours = times['Shm']
    print(title)
    for name, value in times.items():
        print(f'  {name:24} {value * scale:10.3f} {unit:10} {value / ours:8.2f} x ours')


def main():
    shm = Shm.MapReduce(np=N_WORKERS)
    mp = multiprocessing.get_context('fork').Pool(N_WORKERS)
    futures = concurrent.futures.ProcessPoolExecutor(
        N_WORKERS, mp_context=multiprocessing.get_context('fork'))
    items = range(N_ITEMS)
    few = range(N_ITEMS // 10)
    list(futures.map(identity, range(8)))

    show(f'{N_ITEMS} trivial items, per item', compare(
        ROUNDS,
        Shm=lambda: shm.map(identity, items),
        mp_Pool_best_chunk=lambda: mp.map(identity, items, N_ITEMS // 8),
        serial=lambda: [identity(item) for item in items]), 'us/item', 1e6 / N_ITEMS)
    show(f'{len(few)} trivial items, one a message for the peers, per item', compare(
        ROUNDS,
        Shm=lambda: shm.map(identity, few),
        mp_Pool=lambda: mp.map(identity, few, 1),
        ProcessPoolExecutor=lambda: list(futures.map(identity, few))), 'us/item', 1e6 / len(few))
    show('a map of 2 items, with its workers', compare(
        20 * ROUNDS,
        Shm=lambda: shm.map(identity, range(2)),
        fork_and_wait=fork_floor,
        mp_Pool=start_mp), 'ms', 1e3)
    show(f'{N_LARGE} results of {LARGE >> 20} MiB', compare(
        ROUNDS,
        Shm=lambda: shm.map(make_large, range(N_LARGE)),
        mp_Pool=lambda: mp.map(make_large, range(N_LARGE)),
        ProcessPoolExecutor=lambda: list(futures.map(make_large, range(N_LARGE)))), 's', 1)
    futures.shutdown()
    mp.terminate()
    mp.join()


if __name__ == '__main__':
    main()
