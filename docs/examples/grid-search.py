#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: grid-search.py [NUMBER]

Finds the frequency and the decay of a damped oscillation in noisy data, by trying NUMBER
frequencies with as many decays. The sums of squares are a matrix in shared memory. The item is a
block of its rows, which nobody else writes to, so that nothing is locked, and nothing returned.
"""

import sys

import gi
import numpy

gi.require_version('Shm', '1.0')
from gi.repository import Shm

TIMES = numpy.linspace(0.0, 10.0, 1000)
FREQUENCY = 2.25
DECAY = 0.4
NOISE = 0.3
N_ROWS = 8  # of a block
SHADES = '@%#*+=-:. '


def get_damping(decays):
    """A row for each decay."""
    return numpy.exp(-numpy.multiply.outer(decays, TIMES))


def oscillate(frequency):
    """Without damping."""
    return numpy.sin(2.0 * numpy.pi * frequency * TIMES)


def get_squares(data, frequency, damping):
    """A row of the matrix."""
    return ((damping * oscillate(frequency) - data) ** 2).sum(axis=1)


def draw(squares):
    """Prints the matrix, frequencies downwards, decays to the right; the best is dark."""
    rows = numpy.linspace(0, len(squares) - 1, 24).astype(int)
    columns = numpy.linspace(0, len(squares) - 1, 72).astype(int)
    cells = numpy.log(squares[rows][:, columns])
    cells = (cells - cells.min()) / (cells.max() - cells.min()) * (len(SHADES) - 1)
    for row in cells.astype(int):
        print(''.join(SHADES[shade] for shade in row).rstrip())


def main():
    """Returns the status of the program."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    frequencies = numpy.linspace(2.0, 2.5, size)
    decays = numpy.linspace(0.0, 1.0, size)
    random = numpy.random.default_rng(1638)
    damping = get_damping(decays)
    data = get_damping(DECAY) * oscillate(FREQUENCY) + random.normal(0.0, NOISE, len(TIMES))
    squares = Shm.full((size, size), numpy.nan)

    def work(begin):
        for row in range(begin, min(begin + N_ROWS, size)):
            squares[row] = get_squares(data, frequencies[row], damping)

    with Shm.MapReduce() as pool:
        pool.map(work, range(0, size, N_ROWS))

    draw(squares)
    row, column = numpy.unravel_index(squares.argmin(), squares.shape)
    frequency, decay = frequencies[row], decays[column]
    print(f'Frequency {frequency:.4f}, where {FREQUENCY} is right; '
          f'decay {decay:.4f}, where {DECAY} is right')
    expected = [get_squares(data, frequency, damping) for frequency in frequencies]
    if not numpy.array_equal(squares, expected):
        return 'grid-search.py: a serial search has other sums of squares'
    if abs(frequency - FREQUENCY) > 0.02 or abs(decay - DECAY) > 0.1:
        return 'grid-search.py: this is far off'
    print('A serial search has the same sums of squares.')
    return 0


sys.exit(main())
