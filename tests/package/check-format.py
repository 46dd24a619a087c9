#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Checks that .clang-format leaves the tree as it is, and .editorconfig's rules for all files."""

import re
import shutil

from packaging import SOURCE, check, run

FOLDERS = ['shmem-glib', 'tests', 'docs', 'po', '.ci']
BINARY = ('.png', '.gmo')


def find_files():
    for folder in FOLDERS:
        for path in sorted((SOURCE / folder).rglob('*')):
            if path.is_file() and '__pycache__' not in path.parts and \
                    not any(part.startswith('corpus-') for part in path.parts) and \
                    path.suffix not in BINARY:
                yield path
    for path in sorted(SOURCE.iterdir()):
        if path.is_file() and path.name not in ('.git', 'LICENSE'):
            yield path


def find_fault(path):
    content = path.read_bytes()
    try:
        text = content.decode('utf-8')
    except UnicodeDecodeError:
        return 'is not in UTF-8'
    if '\r' in text:
        return 'has other ends of lines'
    if text and not text.endswith('\n'):
        return 'does not end with the end of a line'
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip():
            return f'has white space at the end of line {number}'
        if path.suffix in ('.c', '.h') and '\t' in line:
            return f'has a tab in line {number}'
    return None


def main():
    files = list(find_files())
    faults = [f'{path.relative_to(SOURCE)} {fault}' for path in files
              if (fault := find_fault(path)) is not None]
    print(*faults, sep='\n')
    check(not faults, f'{len(faults)} files')

    names = ['clang-format-14', 'clang-format']
    for program in filter(None, map(shutil.which, names)):
        # Other versions have other tastes.
        if re.search(r'version 14\.', run(program, '--version')):
            run(program, '--dry-run', '-Werror', *(path for path in files
                                                   if path.suffix in ('.c', '.h')), cwd=SOURCE)
            break


if __name__ == '__main__':
    main()
