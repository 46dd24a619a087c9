#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""A program for the package sharedmem. Its import line alone is another.

Sorts particles into the cells of a grid: their masses, and the heaviest particle of each cell.
"""

import sys
import tempfile

import numpy

from gi.repository import Shm as sharedmem  # import sharedmem

N_PARTICLES = 200000
N_CELLS = 50
CHUNK = 8192

random = numpy.random.RandomState(12345)
particles = sharedmem.empty(N_PARTICLES, dtype=[('position', 'f8'), ('mass', 'f4')])
particles['position'] = random.uniform(0, N_CELLS, N_PARTICLES)
particles['mass'] = random.exponential(size=N_PARTICLES)

cells = sharedmem.empty_like(particles['position'], dtype='i4')
heaviest = sharedmem.full(N_CELLS, 0.0)
masses = numpy.zeros(N_CELLS)
names = tempfile.TemporaryFile(mode='w+')

with sharedmem.MapReduce() as pool:

    def work(begin, end):
        part = particles[begin:end]
        cells[begin:end] = part['position'].astype('i4')
        sums = numpy.bincount(cells[begin:end], part['mass'], N_CELLS)
        largest = numpy.zeros(N_CELLS)
        numpy.maximum.at(largest, cells[begin:end], part['mass'])
        with pool.critical:
            numpy.maximum(heaviest, largest, out=heaviest)
        with pool.ordered:
            names.write(f'chunk {begin}-{end}\n')
            names.flush()
        return begin, sums

    def reduce(begin, sums):
        masses[:] += sums
        return begin

    begins = numpy.arange(0, N_PARTICLES, CHUNK)
    ends = numpy.append(begins[1:], N_PARTICLES)
    done = pool.map(work, list(zip(begins, ends)), reduce=reduce, star=True)

assert numpy.array_equal(done, begins)
assert numpy.array_equal(cells, particles['position'].astype('i4'))
assert numpy.allclose(masses, numpy.bincount(cells, particles['mass'], N_CELLS))
assert all(heaviest[i] == particles['mass'][cells == i].max() for i in range(N_CELLS))
names.seek(0)
assert [line.split('-')[0] for line in names] == [f'chunk {begin}' for begin in begins]
print(f'{len(done)} chunks; cells hold masses of {masses.min():.1f} to {masses.max():.1f}')

# An exception has its type and its traceback.
with sharedmem.MapReduce(np=2) as pool:
    try:
        pool.map(lambda i: {'even': i}['odd' if i % 2 else 'even'], range(4))
        sys.exit('there should be an exception')
    except sharedmem.WorkerException as exception:
        assert isinstance(exception.reason, KeyError)
        assert 'Traceback' in exception.traceback
        print('In a worker:', exception.traceback.splitlines()[-1])

# One call in one process, while this one goes on.
order = sharedmem.background(numpy.argsort, particles['mass'])
total = particles['mass'].sum(dtype='f8')
light = numpy.cumsum(particles['mass'][order.wait()], dtype='f8')
assert numpy.isclose(light[-1], total)
print(f'{numpy.searchsorted(light, total / 2) / N_PARTICLES:.0%} of the particles have half of '
      'the mass')
