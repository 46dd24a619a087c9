#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: integrate.py [NUMBER]

Integrates 1 / x^x from 0 to 1. The values at NUMBER points, 128 Mi if it is not given, lie in a
shared array of 1 GiB, which the workers fill chunk by chunk. Three sums come out of it, and have
to agree: of the array, read by the caller afterwards; of what the workers add up in shared
memory, in the critical section; of their results, in the reduce function.
"""

import sys
import time

import gi
import numpy

gi.require_version('Shm', '1.0')
from gi.repository import Shm

CHUNK = 1 << 20
ITEM_SIZE = 8
TOLERANCE = 1e-9


def get_available_memory():
    """In bytes."""
    available = Shm.total_memory() or sys.maxsize
    with open('/proc/meminfo', encoding='ascii') as meminfo:
        for line in meminfo:
            if line.startswith('MemAvailable:'):
                available = min(available, int(line.split()[1]) * 1024)
    return available


def fit_into_memory(n_points):
    """Leaves an eighth of the memory to others."""
    available = get_available_memory()
    most = (available - available // 8) // ITEM_SIZE
    if n_points <= most:
        return n_points
    fitting = 1 << most.bit_length() - 1
    print(f'This machine is too small for {n_points} points: they need '
          f'{n_points * ITEM_SIZE / 2**30:.1f} GiB of memory, and {available / 2**30:.1f} GiB are '
          f'available.\nTaking {fitting} points instead.')
    return fitting


def integrate(n_points):
    """Prints the sums, and returns whether they agree."""
    # The memory costs more when it is first touched, and only one of the runs would pay for that.
    values = Shm.full(n_points, 0.0)
    critical_sum = Shm.full(1, 0.0)
    reduced_sum = 0.0
    chunks = range(0, n_points, CHUNK)

    def fill_chunk(begin):
        part = values[begin:begin + CHUNK]
        x = numpy.arange(begin + 0.5, begin + len(part)) / n_points
        numpy.power(x, -x, out=part)
        return float(part.sum())

    def show(name, total, start):
        print(f'  {name:18} {total / n_points:.15f} {time.monotonic() - start:8.3f} s')

    with Shm.MapReduce() as pool:

        def work(begin):
            part = fill_chunk(begin)
            with pool.critical:
                critical_sum[0] += part
            return part

        def reduce(part):
            nonlocal reduced_sum
            reduced_sum += part

        print(f'Number of workers: {min(pool.np, len(chunks))}')
        start = time.monotonic()
        pool.map(work, chunks, reduce=reduce)
        seconds = time.monotonic() - start
        show('reduced results', reduced_sum, start)
        show('critical section', critical_sum[0], start)

    start = time.monotonic()
    array_sum = float(values.sum())
    show('array, afterwards', array_sum, start)
    start = time.monotonic()
    serial_sum = sum(map(fill_chunk, chunks))
    serial_seconds = time.monotonic() - start
    show('serial', serial_sum, start)

    # Johann Bernoulli, 1697
    print(f"  {'exact':18} {sum(n ** -n for n in range(16, 0, -1)):.15f}")
    difference = max(abs(critical_sum[0] - array_sum), abs(reduced_sum - array_sum))
    if not difference <= TOLERANCE * array_sum:
        print(f'The three sums differ by up to {difference:g}.')
        return False
    print(f'The three sums agree to {TOLERANCE:g}; the workers were '
          f'{serial_seconds / seconds:.2f} times as fast as the serial loop.')
    return True


def main():
    """Returns the status of the program."""
    n_points = int(sys.argv[1]) if len(sys.argv) == 2 else 128 * CHUNK
    if len(sys.argv) > 2 or n_points < 1:
        return __doc__
    n_points = fit_into_memory(n_points)
    print('The integral of 1 / x^x from 0 to 1')
    print(f'Number of points: {n_points} ({n_points * ITEM_SIZE / 2**20:.1f} MiB), '
          f'in chunks of {CHUNK}')
    return 0 if integrate(n_points) else 1


sys.exit(main())
