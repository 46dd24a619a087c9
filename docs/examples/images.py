#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: images.py [NUMBER]

Draws the density of Peter de Jong's strange attractor out of NUMBER points. Each worker has an
image of its own in a shared array, so that none waits for another; the caller adds them up. The
items take their random numbers from a seed, so two workers, three, and none draw the same image.
"""

import sys

import gi
import numpy

gi.require_version('Shm', '1.0')
from gi.repository import Shm

N_ROWS = 30
N_COLUMNS = 72
N_ITEMS = 32
N_ORBITS = 500  # of an item
SHADES = ' .:-=+*#%@'


def draw(n_points, n_workers):
    """The image, as numbers of points."""
    n_steps = max(1, n_points // (N_ITEMS * N_ORBITS))
    pool = Shm.MapReduce(np=n_workers)
    images = Shm.full((max(1, n_workers), N_ROWS, N_COLUMNS), 0, 'i8')

    def work(_index):
        image = images[pool.local.rank].reshape(-1)
        x, y = numpy.random.uniform(-2.0, 2.0, (2, N_ORBITS))
        for step in range(-50, n_steps):
            x, y = (numpy.sin(1.4 * y) - numpy.cos(-2.3 * x),
                    numpy.sin(2.4 * x) - numpy.cos(-2.1 * y))
            # The first ones have not come near the attractor yet.
            if step >= 0:
                rows = ((y + 2.0) / 4.0 * (N_ROWS - 1)).astype(int)
                columns = ((x + 2.0) / 4.0 * (N_COLUMNS - 1)).astype(int)
                image += numpy.bincount(rows * N_COLUMNS + columns, minlength=image.size)

    pool.map(work, range(N_ITEMS), seed=20240229)
    points = images.sum(axis=(1, 2))
    print(f'{n_workers} workers: {points.sum()} points, by rank:', *points)
    return images.sum(axis=0), n_steps * N_ITEMS * N_ORBITS


def main():
    """Returns the status of the program."""
    n_points = int(sys.argv[1]) if len(sys.argv) > 1 else 1500000
    image, n_expected = draw(n_points, 2)
    # By the logarithm of the density, which shows the faint parts too.
    shades = numpy.log1p(image) / numpy.log1p(image.max()) * (len(SHADES) - 1)
    for row in shades.astype(int):
        print(''.join(SHADES[shade] for shade in row).rstrip())

    for n_workers in (3, 0):
        if not numpy.array_equal(draw(n_points, n_workers)[0], image):
            return f'images.py: {n_workers} workers have drawn another image'
    if image.sum() != n_expected:
        return 'images.py: points are missing'
    print('They have drawn the same image.')
    return 0


sys.exit(main())
