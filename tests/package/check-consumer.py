#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Builds a project that has the library as a subproject, installs both, and moves the prefix.

The arguments are the kind of library, as in meson's option default_library, and further options.
"""

import json
import pathlib
import sys

from packaging import NAME, SOURCE, Prefix, build, check, meson, run, scratch

PROJECT = '''
project('consumer', 'c', meson_version: '>= 1.0.0')
shmem_glib = dependency('shmem-glib-1.0', version: '>= 0.1', fallback: 'shmem-glib')
hello = executable('hello', 'hello.c', dependencies: shmem_glib)
test('hello', hello)
'''


def check_subproject(folder, kind, options):
    (folder / 'subprojects').mkdir()
    (folder / 'subprojects/shmem-glib').symlink_to(SOURCE)
    (folder / 'meson.build').write_text(PROJECT, encoding='utf-8')
    (folder / 'hello.c').write_bytes((SOURCE / 'docs/examples/hello.c').read_bytes())
    build(folder / 'build', f'--prefix={folder}/first', f'-Ddefault_library={kind}',
          '--wrap-mode=forcefallback', '-Dpkgconfig.relocatable=true', *options, source=folder)
    meson('test', '-C', folder / 'build', '--no-rebuild')
    tests = json.loads(meson('introspect', folder / 'build', '--tests'))
    check([test['name'] for test in tests] == ['hello'], 'there are tests of the subproject')


def check_prefix(folder, kind):
    """The installed library has its own name for pkg-config, so the program is built anew."""
    meson('install', '-C', folder / 'build', '--no-rebuild')
    (folder / 'first').rename(folder / 'second')
    prefix = Prefix(folder / 'second')
    hello = SOURCE / 'docs/examples/hello.c'
    if kind != 'static':
        program = prefix.compile(hello, folder / 'hello-shared')
        check(NAME in run('readelf', '-d', program), 'the program does not need the library')
        prefix.check_hello(program)
    if kind != 'shared':
        program = prefix.compile(hello, folder / 'hello-static', is_static=True)
        check(NAME not in run('readelf', '-d', program), 'the program needs the shared library')
        prefix.check_hello(program)


def main():
    kind, *options = sys.argv[1:]
    with scratch() as name:
        folder = pathlib.Path(name)
        check_subproject(folder, kind, options)
        check_prefix(folder, kind)


if __name__ == '__main__':
    main()
