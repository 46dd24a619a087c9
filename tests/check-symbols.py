#!/usr/bin/python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Compares the symbols that the shared library exports with the checked-in list of them.

Each name that is exported is a promise, so a new one, and one that has gone, must both be meant.
"""

import argparse
import os
import pathlib
import subprocess
import sys


def exported_symbols(library):
    nm = os.environ.get('NM', 'nm')
    output = subprocess.run([nm, '-D', '--defined-only', '--format=posix', library],
                            check=True, stdout=subprocess.PIPE, text=True).stdout
    # names that begin with an underscore are the tool chain's: _init, and those of sanitizers
    return {line.split()[0].split('@')[0] for line in output.splitlines()
            if line and not line.startswith('_')}


def listed_symbols(path):
    lines = (line.strip() for line in path.read_text(encoding='utf-8').splitlines())
    return {line for line in lines if line and not line.startswith('#')}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('shared_object', help='the shared library')
    parser.add_argument('list', type=pathlib.Path, help='the list, one name a line, sorted')
    parser.add_argument('--update', action='store_true', help='write the list anew')
    args = parser.parse_args()

    exported = exported_symbols(args.shared_object)
    if args.update:
        args.list.write_text(''.join(name + '\n' for name in sorted(exported)), encoding='utf-8')
        return 0

    if not exported:
        print(f'{args.shared_object} exports nothing')
        return 1
    listed = listed_symbols(args.list)
    for name in sorted(exported - listed):
        print(f'+{name}: exported, but not in {args.list}')
    for name in sorted(listed - exported):
        print(f'-{name}: in {args.list}, but not exported')
    if exported != listed:
        print(f'If this is meant: {sys.argv[0]} --update {args.shared_object} {args.list}')
        return 1
    print(f'{len(exported)} symbols, as listed')
    return 0


if __name__ == '__main__':
    sys.exit(main())
