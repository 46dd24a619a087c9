#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Makes the archive of a release, which meson then unpacks, builds and tests."""

import pathlib
import tarfile

from packaging import SOURCE, check, meson, need, run, scratch, skip


def main():
    git = need('git')
    if not (SOURCE / '.git').exists():
        skip('this is no clone of the repository')
    with scratch() as name:
        folder = pathlib.Path(name)
        meson('setup', folder / 'build', SOURCE)
        print(meson('dist', '-C', folder / 'build', '--allow-dirty')[-2000:])
        (archive,) = (folder / 'build/meson-dist').glob('*.tar.xz')
        with tarfile.open(archive) as file:
            names = {member.name.partition('/')[2] for member in file if not member.isdir()}
        tracked = set(run(git, '-C', SOURCE, 'ls-tree', '-r', '--name-only', '-z', 'HEAD')
                      .rstrip('\0').split('\0'))
        check(names == tracked, f'the archive has other files: {sorted(names ^ tracked)[:10]}')


if __name__ == '__main__':
    main()
