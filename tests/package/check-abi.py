#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Compares the library's binary interface with that of the last release, as abidiff sees it."""

import io
import pathlib
import subprocess
import sys
import tarfile

from packaging import NAME, SOURCE, Prefix, build, check, meson, need, scratch, skip

# bits of abidiff's status
ERRORS = 1 | 2
INCOMPATIBLE = 8


def get_last_tag(git):
    done = subprocess.run([git, '-C', SOURCE, 'describe', '--tags', '--abbrev=0'],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def install(folder, source):
    build(folder / 'build', f'--prefix={folder}/prefix', '-Dtests=false', '-Dc_args=-g',
          '-Dintrospection=disabled', source=source)
    meson('install', '-C', folder / 'build', '--no-rebuild')
    return Prefix(folder / 'prefix')


def main():
    abidiff = need('abidiff')
    git = need('git')
    tag = get_last_tag(git)
    if tag is None:
        skip('there has been no release')
    with scratch() as name:
        folder = pathlib.Path(name)
        archive = subprocess.run([git, '-C', SOURCE, 'archive', tag], check=True,
                                 stdout=subprocess.PIPE).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as file:
            file.extractall(folder / 'old-source')
        prefixes = [install(folder / 'old', folder / 'old-source'),
                    install(folder / 'new', SOURCE)]
        done = subprocess.run(
            [abidiff, '--drop-private-types',
             '--headers-dir1', prefixes[0].path / 'include',
             '--headers-dir2', prefixes[1].path / 'include',
             *(prefix.libdir / f'lib{NAME}.so' for prefix in prefixes)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(f'since {tag}:\n{done.stdout}')
        check(not done.returncode & (ERRORS | INCOMPATIBLE),
              f'the interface is not that of {tag}: a new soname, or a mistake')


if __name__ == '__main__':
    sys.exit(main())
