# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the library promises of its speed, in ratios to others that were measured in the same run.

A promise is about a contestant of ours in a workload. `most`, or `least` where more is better, is
the ratio to the best of those it is held against: contestants of the same workload, or of another
one if they are written as (workload, contestant); PEERS are all peers. Without any it is a figure
in the workload's unit.
"""

import collections

PEERS = '*peer'

Promise = collections.namedtuple(
    'Promise', 'workload ours most least against', defaults=(None, None, ()))

VARIANTS_FLOOR = 'floor: fork, claims, a variant each in a pipe'
RECORDS_FLOOR = 'floor: fork, claims, a record each in a pipe'
MAP = 'shm_map_reduce_map'
BY_INDEX = 'shm_map_reduce_map_into'
FOR_RANGE = 'shm_map_reduce_for_range'
OPENMP = 'OpenMP, one a claim'
FORK = 'floor: fork, exit, wait'
PYTHON_MAP = 'Shm.MapReduce.map'
PYTHON_KEPT = f'{PYTHON_MAP}, kept workers'
MP_POOL = 'multiprocessing.Pool'

# In MiB: what two workers may put into the arena before it is read, and something for buffers; and
# what a job without results takes, however long it is.
STREAM_MEMORY = 160
LOOP_MEMORY = 16

# The cost of an item is the same for ten times as many, but for what the measurement itself varies.
SAME = 1.1

PROMISES = [
    *(Promise(f'W1-variants-{n}', MAP, most=1.3, against=[VARIANTS_FLOOR])
      for n in ('1e5', '1e6', '1e7')),
    *(Promise(f'W1-numbers-{n}', BY_INDEX, most=2, against=[RECORDS_FLOOR])
      for n in ('1e5', '1e6', '1e7')),
    *(Promise(f'W1-numbers-{n}', BY_INDEX, most=1, against=[OPENMP])
      for n in ('1e5', '1e6', '1e7')),
    *(Promise(f'W1-{kind}-{n}', ours, most=SAME, against=[(f'W1-{kind}-{fewer}', ours)])
      for kind, ours in (('variants', MAP), ('numbers', BY_INDEX))
      for fewer, n in (('1e4', '1e5'), ('1e5', '1e6'), ('1e6', '1e7'))),
    *(Promise('W1-python', ours, most=1, against=[f'{MP_POOL}, best chunks'])
      for ours in (PYTHON_MAP, PYTHON_KEPT)),
    Promise('W1-python-1us', PYTHON_MAP, most=1, against=['loop']),
    Promise('W1-gjs', 'pool.map', most=1),

    Promise('W1b-100us', FOR_RANGE, most=1.2, against=[OPENMP]),
    Promise('W1b-10us', FOR_RANGE, most=1.2, against=[OPENMP]),
    Promise('W1b-grain1', FOR_RANGE, most=50),

    Promise('W2-small', MAP, most=1.5, against=[FORK]),
    Promise('W2-array', MAP, most=1.5, against=[FORK]),
    Promise('W2-private', MAP, most=1.5, against=[FORK]),
    Promise('W2b', 'ShmJob of a loop, kept workers', most=100),

    Promise('W3-new', FOR_RANGE, most=1.15, against=['OpenMP']),
    *(Promise('W3-python', ours, most=1, against=[PEERS]) for ours in (PYTHON_MAP, PYTHON_KEPT)),

    Promise('W4-kept', MAP, least=0.9,
            against=['floor: a memfd for each', 'floor: an arena, populated']),
    Promise('W4-kept', MAP, least=6, against=[('W4-python-bytes', PEERS)]),
    Promise('W4-streamed', 'ShmJob, streamed', least=0.7, against=['floor: a ring, and a copy']),
    Promise('W4-memory', 'ShmJob, streamed: the caller', most=STREAM_MEMORY),
    Promise('W4-memory', 'ShmJob, streamed: the greatest worker', most=STREAM_MEMORY),
    *(Promise(f'W4-python-{kind}', ours, least=5, against=[MP_POOL])
      for kind in ('bytes', 'numpy') for ours in (PYTHON_MAP, PYTHON_KEPT)),

    Promise('W5', f'{MAP}, packed bytes', most=1.1,
            against=['floor: fork, claims, packed bytes in a pipe']),
    Promise('W5-python', PYTHON_MAP, most=1, against=[PEERS]),
    Promise('W5-python', PYTHON_MAP, most=1, against=['loop']),

    Promise('W6-contended', 'critical section', most=1.2,
            against=['floor: a robust mutex of processes']),
    Promise('W6-free', 'critical section', most=1.2,
            against=['floor: a robust mutex of processes']),
    Promise('W7', 'ordered section', most=1.5, against=['floor: spin, then a futex']),
    Promise('W7', 'ordered section', most=1, against=['OpenMP ordered']),
    Promise('W8', MAP, most=2),

    # a minute: what counts is that they come to an end at all
    Promise('scale-workers', MAP, most=60_000),
    Promise('scale-items-memory', 'ShmJob without results', most=LOOP_MEMORY),
    Promise('scale-results-memory', MAP, most=1.5,
            against=['floor: the same variants in a list']),
]
