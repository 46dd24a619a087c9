#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: word-count.py [FILE-OR-FOLDER...]

Counts the words in text files. Each file is an item, for which a worker returns a dictionary of
words and counts; the caller reduces them into one table while the workers go on.

Folders are searched with all that is below them, but for hidden files and symbolic links. Files
that are not text have no words. Without arguments, the words of the library's sources, and of
their licence, are counted.
"""

import collections
import pathlib
import re
import sys
import time
import unicodedata

import gi

gi.require_version('Shm', '1.0')
from gi.repository import Shm

N_SHOWN = 10
WORD = re.compile(r'[^\W\d_]+')


def count_file(path):
    """A word is a run of letters, in upper or lower case, composed or not."""
    contents = path.read_bytes()
    if b'\0' in contents:
        return collections.Counter()
    text = contents.decode('utf-8', 'replace').casefold()
    return collections.Counter(WORD.findall(unicodedata.normalize('NFC', text)))


def find_files(path):
    """The files at a path and below it."""
    if path.is_file():
        return [path]
    return [file for child in sorted(path.iterdir())
            if not child.name.startswith('.') and not child.is_symlink()
            and (child.is_file() or child.is_dir())
            for file in find_files(child)]


def get_default_paths():
    """The sources of the library, above this program."""
    root = pathlib.Path(__file__).resolve().parents[2]
    return [root / name for name in ('LICENSE', 'shmem-glib', 'docs', 'tests')]


def print_counts(counts):
    """The most frequent first; the alphabet decides between equals."""
    print(f'Number of words: {counts.total()}, of which {len(counts)} are different')
    for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:N_SHOWN]:
        print(f'  {count:8}  {word}')


def main():
    """Returns the status of the program."""
    paths = [pathlib.Path(name) for name in sys.argv[1:]] or get_default_paths()
    for path in paths:
        if not path.exists():
            return f'word-count.py: there is no file or folder “{path}”'
    files = [file for path in paths for file in find_files(path)]
    if not files:
        return 'word-count.py: there are no files to count in'
    print(f'Number of files: {len(files)}')

    # The workers go first, so that it is the serial run which finds the files in the page cache.
    counts = collections.Counter()
    start = time.monotonic()
    with Shm.MapReduce() as pool:
        pool.map(count_file, files, reduce=counts.update)
        n_workers = min(pool.np, len(files))
    seconds = time.monotonic() - start

    start = time.monotonic()
    serial_counts = collections.Counter()
    for file in files:
        serial_counts.update(count_file(file))
    serial_seconds = time.monotonic() - start

    print_counts(counts)
    print(f'Number of workers: {n_workers}')
    print(f'They took {seconds:.3f} s, and the serial loop {serial_seconds:.3f} s: they were '
          f'{serial_seconds / seconds:.2f} times as fast.')
    if counts != serial_counts:
        return 'word-count.py: the serial count is different: did a file change meanwhile?'
    print('The serial count is the same, word for word.')
    if serial_seconds < seconds:
        print('In files as small as these, to hand over the counts costs as much as to count.')
    return 0


sys.exit(main())
