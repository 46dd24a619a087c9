#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Compares po/POTFILES with the sources that have messages, below the folder given."""

import pathlib
import re
import sys


def main():
    root = pathlib.Path(sys.argv[1])
    wanted = {str(path.relative_to(root)) for path in root.glob('shmem-glib/**/*.c')
              if re.search(r'\b(_|shm_ngettext) \(\s*"', path.read_text(encoding='utf-8'))}
    listed = {line for line in (root / 'po/POTFILES').read_text(encoding='utf-8').split('\n')
              if line and not line.startswith('#')}
    for name in sorted(wanted - listed):
        print(f'{name} has messages and is not in po/POTFILES')
    for name in sorted(listed - wanted):
        print(f'{name} is in po/POTFILES and has no messages')
    return 1 if wanted != listed else 0


if __name__ == '__main__':
    sys.exit(main())
