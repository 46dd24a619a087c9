#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: ordered-append.py [NEW-FILE]

Appends chunks of different lengths to one file. The workers make them all at the same time, and
take turns to write: in the ordered section, which the items enter in their order. Afterwards the
file is compared with what one process alone would have written. Without an argument it is a
temporary file.
"""

import hashlib
import sys
import tempfile

import gi

gi.require_version('Shm', '1.0')
from gi.repository import Shm

N_CHUNKS = 500
MIN_LINES = 50
MAX_LINES = 99
N_ROUNDS = 24


def make_chunk(index):
    """Makes some lines, each with a digest that follows from the line before."""
    lines = []
    digest = str(index)
    for line in range(MIN_LINES + index * 7919 % (MAX_LINES - MIN_LINES + 1)):
        for _ in range(N_ROUNDS):
            digest = hashlib.sha256(digest.encode()).hexdigest()
        lines.append(f'{index}.{line} {digest}\n')
    return ''.join(lines).encode()


def append_in_order(file):
    """Returns the status of the program. The file must have no buffer, since each worker would have
    one of its own."""

    def work(index):
        chunk = make_chunk(index)
        with pool.ordered:
            file.write(chunk)
        return len(chunk)

    with Shm.MapReduce() as pool:
        lengths = pool.map(work, range(N_CHUNKS))
    print(f'{N_CHUNKS} chunks of {min(lengths)} to {max(lengths)} bytes, {sum(lengths)} bytes')

    file.seek(0)
    if file.read() != b''.join(map(make_chunk, range(N_CHUNKS))):
        return 'ordered-append.py: one process alone would have written something else'
    print('The file is whole and in order.')
    return 0


def main():
    """Returns the status of the program."""
    if len(sys.argv) > 1:
        with open(sys.argv[1], 'xb+', buffering=0) as file:
            return append_in_order(file)
    with tempfile.TemporaryFile(buffering=0) as file:
        return append_in_order(file)


sys.exit(main())
