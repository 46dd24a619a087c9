#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: histograms.py [NUMBER]

Makes three histograms of NUMBER points in a shared table: of the one coordinate, of the other, and
of both. A worker returns those of its chunk as a tuple, which is spread into the arguments of the
reduce function; that adds them up in place, so that never more than a few are in memory.
"""

import sys

import gi
import numpy

gi.require_version('Shm', '1.0')
from gi.repository import Shm

CHUNK = 1 << 16
EDGES = numpy.linspace(-4.0, 4.0, 65)
SHADES = ' .:-=+*#%@'


def make_histograms(points):
    """The histograms of the columns, and that of the plane."""
    x, y = points.T
    plane, _, _ = numpy.histogram2d(x, y, (EDGES, EDGES))
    return (numpy.histogram(x, EDGES)[0], numpy.histogram(y, EDGES)[0], plane.astype('i8'))


def draw(plane):
    """Prints it by the logarithm of the density, which shows the faint parts too."""
    cells = plane.reshape(64, 16, 4).sum(axis=2).T[::-1]
    shades = numpy.log1p(cells) / numpy.log1p(cells.max()) * (len(SHADES) - 1)
    for row in shades.astype(int):
        print(''.join(SHADES[shade] for shade in row).rstrip())


def main():
    """Returns the status of the program."""
    n_points = int(sys.argv[1]) if len(sys.argv) > 1 else 1000000
    points = Shm.empty((n_points, 2), 'f8')
    chunks = range(0, n_points, CHUNK)

    def fill(begin):
        part = points[begin:begin + CHUNK]
        # from the seed of the map: the same points, whoever makes them
        angle = numpy.random.uniform(0.0, 2.0 * numpy.pi, len(part))
        radius = numpy.random.normal(2.5, 0.4, len(part))
        part[:, 0] = radius * numpy.cos(angle)
        part[:, 1] = radius * numpy.sin(2.0 * angle)

    def work(begin):
        return make_histograms(points[begin:begin + CHUNK])

    totals = tuple(numpy.zeros_like(histogram) for histogram in make_histograms(points[:0]))

    def reduce(*histograms):
        for total, histogram in zip(totals, histograms):
            total += histogram

    with Shm.MapReduce() as pool:
        pool.map(fill, chunks, seed=5)
        pool.map(work, chunks, reduce=reduce)

    draw(totals[2])
    print(f'{n_points} points, of which {totals[2].sum()} are within the plane')
    for total, expected in zip(totals, make_histograms(points)):
        if not numpy.array_equal(total, expected):
            return 'histograms.py: the histograms of all points at once are different'
    print('The histograms of all points at once are the same.')
    return 0


sys.exit(main())
