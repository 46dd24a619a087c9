#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: nodes.py [NUMBER]

Counts the primes below NUMBER, on several computers with several processors each. Between the
computers there is MPI: start it as `mpirun -n 4 --map-by node python3 nodes.py`, and each takes
its share of the segments, and tells what it found. Within a computer the workers share memory: the
small primes, and the counts. Without MPI, two processes on this computer stand for two of them.
"""

import math
import pickle
import subprocess
import sys

import gi
import numpy

gi.require_version('Shm', '1.0')
from gi.repository import Shm

SEGMENT = 1 << 18
KNOWN = {10 ** 6: 78498, 10 ** 7: 664579, 10 ** 8: 5761455}


def sieve(limit):
    """The primes below a small limit."""
    is_prime = numpy.ones(limit, bool)
    is_prime[:2] = False
    for number in range(2, math.isqrt(limit) + 1):
        is_prime[number * number::number] = False
    return numpy.flatnonzero(is_prime)


def count(limit, node, n_nodes):
    """What one of the nodes does: it counts the primes in each n-th segment."""
    segments = range(node * SEGMENT, limit, n_nodes * SEGMENT)
    primes = Shm.copy(sieve(math.isqrt(limit) + 1))
    counts = Shm.full(len(segments), 0, 'i8')

    def work(item):
        begin = segments[item]
        is_prime = numpy.ones(min(SEGMENT, limit - begin), bool)
        is_prime[:max(0, 2 - begin)] = False
        for prime in primes:
            first = max(prime * prime, -(-begin // prime) * prime)
            is_prime[first - begin::prime] = False
        counts[item] = numpy.count_nonzero(is_prime)

    # With MPI, a worker is no place for its calls.
    with Shm.MapReduce() as pool:
        pool.map(work, range(len(segments)))
    return counts.sum()


def gather_from_processes(limit):
    """The counts of two processes, as if they were elsewhere."""
    commands = [[sys.executable, __file__, str(limit), str(node), '2'] for node in range(2)]
    nodes = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    return [pickle.loads(node.communicate()[0]) for node in nodes]


def gather(limit):
    """The counts of all nodes; None on those that only tell theirs."""
    try:
        from mpi4py import MPI
    except ImportError:
        return gather_from_processes(limit)
    nodes = MPI.COMM_WORLD
    if nodes.Get_size() == 1:
        return gather_from_processes(limit)
    return nodes.gather(count(limit, nodes.Get_rank(), nodes.Get_size()))


def main():
    """Returns the status of the program."""
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 10 ** 8
    if len(sys.argv) > 2:
        pickle.dump(count(limit, int(sys.argv[2]), int(sys.argv[3])), sys.stdout.buffer)
        return 0
    counts = gather(limit)
    if counts is None:
        return 0
    print(f'{sum(counts)} primes below {limit}, by node:', *counts)
    if limit in KNOWN and sum(counts) != KNOWN[limit]:
        return f'nodes.py: there are {KNOWN[limit]}'
    return 0


sys.exit(main())
