#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: keep.py [NUMBER]

Finds clusters among NUMBER points, by the k-means method: each step assigns the points to the
nearest centre, and moves the centres to the means of their points. A step is a small map, and all
steps have the same workers. These see new centres since those are in shared memory.
"""

import os
import sys

import gi
import numpy

gi.require_version('Shm', '1.0')
from gi.repository import Shm

N_CLUSTERS = 12
N_STEPS = 200  # at most
CHUNK = 4096


def make_points(n_points, random):
    """Points about some places."""
    places = random.uniform(0.0, 100.0, (N_CLUSTERS, 2))
    return places[random.integers(N_CLUSTERS, size=n_points)] + random.normal(size=(n_points, 2))


def sum_up(points, centres, labels):
    """Writes the labels of some points; how many points each centre has, and their sums."""
    distances = ((points[:, None] - centres) ** 2).sum(axis=2)
    labels[:] = distances.argmin(axis=1)
    return (numpy.bincount(labels, minlength=N_CLUSTERS),
            *(numpy.bincount(labels, axis, N_CLUSTERS) for axis in points.T))


def fit(points, map_chunks):
    """The centres, the labels, and the number of steps."""
    centres = Shm.copy(points[::len(points) // N_CLUSTERS][:N_CLUSTERS])
    labels = Shm.full(len(points), -1, 'i8')

    def work(begin):
        chunk = slice(begin, begin + CHUNK)
        return os.getpid(), sum_up(points[chunk], centres, labels[chunk])

    pids = set()
    for step in range(1, N_STEPS + 1):
        results = map_chunks(work, range(0, len(points), CHUNK))
        pids.update(pid for pid, _sums in results)
        counts, *sums = map(sum, zip(*(sums for _pid, sums in results)))
        old = centres.copy()
        centres[:] = (numpy.array(sums) / numpy.maximum(counts, 1)).T
        if numpy.allclose(old, centres, atol=1e-9):
            break
    print(f'{step} steps; processes that worked on them: {len(pids)}')
    return centres, labels, step


def main():
    """Returns the status of the program."""
    n_points = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
    points = make_points(n_points, numpy.random.default_rng(1957))
    with Shm.MapReduce(np=2, keep_workers=True) as pool:
        centres, labels, n_steps = fit(points, pool.map)
    for centre, count in zip(centres, numpy.bincount(labels, minlength=N_CLUSTERS)):
        print(f'{count:7} points about {centre[0]:6.2f} {centre[1]:6.2f}')

    expected = fit(points, lambda work, items: [work(item) for item in items])
    if n_steps != expected[2] or not all(map(numpy.array_equal, (centres, labels), expected)):
        return 'keep.py: one process alone finds other clusters'
    print('One process alone finds the same clusters.')
    return 0


sys.exit(main())
