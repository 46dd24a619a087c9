#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: records.py [NUMBER]

Fills a table of NUMBER records in chunks: orbits, their energies, and how near they come to the
centre. Each chunk needs memory for the paths of its orbits, so there are no more workers than fit
into a share of the memory. The progress function shows the rate, and when it will be done.
"""

import sys
import time

import gi
import numpy

gi.require_version('Shm', '1.0')
from gi.repository import Shm

ORBIT = numpy.dtype([('position', 'f8', 2), ('velocity', 'f8', 2), ('energy', 'f8'),
                     ('nearest', 'f4')])
CHUNK = 500
N_STEPS = 400
STEP = 0.01
NEEDED = CHUNK * N_STEPS * 4 * 8  # bytes that a chunk takes, of the paths and what is made of them
SHARE = 0.25  # of the memory of this computer


def count_workers():
    """As many as there are processors, if there is memory for so many."""
    return max(1, min(Shm.cpu_count(), int(SHARE * Shm.total_memory() / NEEDED)))


def fill(orbits, first):
    """Works out a part of the table, whose first orbit has this number."""
    angles = numpy.arange(first, first + len(orbits)) * 2.399963
    position = numpy.stack([numpy.cos(angles), numpy.sin(angles)]).T
    velocity = position[:, ::-1] * (-0.6, 0.6) + position * numpy.sin(7.0 * angles)[:, None] / 9.0
    orbits['position'] = position
    orbits['velocity'] = velocity
    orbits['energy'] = (velocity ** 2).sum(axis=1) / 2.0 - 1.0
    path = numpy.empty((N_STEPS, len(orbits), 2))
    for step in range(N_STEPS):
        velocity -= STEP * position / ((position ** 2).sum(axis=1) ** 1.5)[:, None]
        position += STEP * velocity
        path[step] = position
    orbits['nearest'] = numpy.sqrt((path ** 2).sum(axis=2).min(axis=0))


class Rate:
    """Tells how fast it goes."""

    def __init__(self):
        self.start = time.monotonic()
        self.n_done = 0

    def __call__(self, n_done, n_items):
        self.n_done = n_done
        rate = n_done / max(time.monotonic() - self.start, 1e-3)
        left = (n_items - n_done) / rate if rate else 0.0
        print(f'\r{n_done:5} of {n_items} chunks, {rate * CHUNK:9.0f} orbits/s, {left:4.0f} s left',
              end='', flush=True)


def main():
    """Returns the status of the program."""
    n_orbits = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
    orbits = Shm.empty(n_orbits, ORBIT)
    rate = Rate()
    n_workers = count_workers()
    print(f'{n_workers} workers, for {Shm.cpu_count()} processors and chunks of {NEEDED >> 20} MiB')
    with Shm.MapReduce(np=n_workers) as pool:
        begins = range(0, n_orbits, CHUNK)
        pool.map(lambda begin: fill(orbits[begin:begin + CHUNK], begin), begins, progress=rate)
    print()

    expected = numpy.empty(n_orbits, ORBIT)
    for begin in begins:
        fill(expected[begin:begin + CHUNK], begin)
    if rate.n_done != len(begins) or not numpy.array_equal(orbits, expected):
        return 'records.py: the table is not what it should be'
    print(f"The orbits come as near as {orbits['nearest'].min():.3f}, "
          f"with energies of {orbits['energy'].min():.3f} to {orbits['energy'].max():.3f}")
    return 0


sys.exit(main())
