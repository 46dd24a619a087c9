#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: shards.py [FOLDER]

Factorises the numbers in many small files, the shards, and writes one file for each. What goes
wrong with a shard is listed, and keeps nothing from being done with the others. Such work can be
taken up again: a shard that has its output already is left alone. So this makes three runs: one
with a spoilt shard and a missing one, one after these are mended, and one that finds nothing to
do. At last each factorisation is multiplied out.

The shards are made in FOLDER, or in a temporary one, which is removed.
"""

import math
import os
import pathlib
import random
import sys
import tempfile

import gi

gi.require_version('Shm', '1.0')
from gi.repository import Shm

N_SHARDS = 24
N_LINES = 40
SPOILT = 5
MISSING = 11


def factorise(line):
    """Work of the inner map: one line of a shard."""
    number = int(line)
    factors = []
    divisor = 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    return ' '.join(map(str, [line, '=', *factors, number]))


def work(path):
    """Work of the outer map: one shard. A map that starts inside of a worker runs serially there.

    The file is renamed into its place, so that it is whole if it is there at all.
    """
    with Shm.MapReduce() as pool:
        lines = pool.map(factorise, path.read_text().split())
    unfinished = path.with_suffix('.part')
    unfinished.write_text('\n'.join(lines) + '\n')
    os.replace(unfinished, path.with_suffix('.factors'))
    return len(lines)


def run(folder):
    """Returns how many shards there were to do, and what failed."""
    paths = [folder / f'{shard:02}.numbers' for shard in range(N_SHARDS)]
    paths = [path for path in paths if not path.with_suffix('.factors').exists()]
    with Shm.MapReduce() as pool:
        results = pool.map(work, paths, on_error='collect', progress=True)
    failures = [result for result in results if isinstance(result, Shm.WorkerException)]
    print(f'{len(paths)} shards to do, {len(failures)} failed')
    for failure in failures:
        reason = str(failure.reason).splitlines()[0]
        print(f'  {paths[failure.index].name}: {type(failure.reason).__name__}: {reason}')
    return len(paths), len(failures)


def make_shard(folder, shard, spoilt=False):
    """Writes numbers, one a line."""
    numbers = random.Random(shard)
    lines = [str(numbers.randrange(2, 1 << 32)) for _ in range(N_LINES)]
    if spoilt:
        lines[7] = 'seven'
    (folder / f'{shard:02}.numbers').write_text('\n'.join(lines))


def run_all(folder):
    """Returns the status of the program."""
    for shard in range(N_SHARDS):
        if shard != MISSING:
            make_shard(folder, shard, spoilt=shard == SPOILT)
    runs = [run(folder)]
    make_shard(folder, SPOILT)
    make_shard(folder, MISSING)
    runs += [run(folder), run(folder)]
    if runs != [(N_SHARDS, 2), (2, 0), (0, 0)]:
        return 'shards.py: the runs found other work to do than they should'

    for shard in range(N_SHARDS):
        for line in (folder / f'{shard:02}.factors').read_text().splitlines():
            number, _, *factors = line.split()
            if int(number) != math.prod(map(int, factors)):
                return f'shards.py: this is wrong: {line}'
    print(f'All of the {N_SHARDS * N_LINES} numbers are the product of their factors.')
    return 0


def main():
    """Returns the status of the program."""
    if len(sys.argv) == 1:
        with tempfile.TemporaryDirectory(prefix='shards-') as folder:
            return run_all(pathlib.Path(folder))
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir()
    return run_all(folder)


sys.exit(main())
