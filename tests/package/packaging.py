# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the tests of the package share: programs that are run, and a prefix that is used."""

import importlib.util
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
NAME = 'shmem-glib-1.0'
SKIPPED = 77


def skip(why):
    print('skipped:', why)
    sys.exit(SKIPPED)


def need(program):
    """The path of a program without which there is nothing to test."""
    path = shutil.which(program)
    if path is None:
        skip(f'there is no {program}')
    return path


def check(condition, message):
    if not condition:
        sys.exit(f'failed: {message}')


def run(*command, **options):
    """Runs a command that has to succeed, and returns what it printed."""
    command = [str(part) for part in command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding='utf-8', errors='replace', **options)
    if done.returncode != 0:
        print(done.stdout)
        sys.exit(f'failed with status {done.returncode}: {shlex.join(command)}')
    return done.stdout


def meson(*arguments):
    """Runs meson: that whose Python runs this script, if it can be imported."""
    if importlib.util.find_spec('mesonbuild') is not None:
        return run(sys.executable, '-m', 'mesonbuild.mesonmain', *arguments)
    return run('meson', *arguments)


def scratch():
    """A folder that goes with the test."""
    return tempfile.TemporaryDirectory(prefix='shmem-glib-', ignore_cleanup_errors=True)


def build(folder, *options, source=SOURCE):
    """Sets up a folder for a build without optimisation, and builds there."""
    meson('setup', folder, source, '--buildtype=plain', '-Dc_args=-O0', *options)
    meson('compile', '-C', folder)


class Prefix:
    """An installation below `path`, which was made for `configured`."""

    def __init__(self, path, configured=None):
        self.path = pathlib.Path(path)
        self.configured = str(configured or path)
        self.pc = self.find('*/pkgconfig/' + NAME + '.pc')
        self.libdir = self.pc.parent.parent

    def find(self, pattern):
        found = sorted(self.path.rglob(pattern))
        check(len(found) == 1, f'there is not one {pattern} below {self.path}: {found}')
        return found[0]

    def get_environment(self, **more):
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE='1', **more)
        # those of a shell for working on the library
        for name in ('GJS_PATH', 'PYTHONPATH', 'SHM_DEBUG'):
            environment.pop(name, None)
        folders = {
            'LD_LIBRARY_PATH': self.libdir,
            'PKG_CONFIG_PATH': self.pc.parent,
            'GI_TYPELIB_PATH': self.libdir / 'girepository-1.0',
            'XDG_DATA_DIRS': self.path / 'share',
        }
        for folder in self.path.rglob('gi/overrides'):
            folders['PYTHONPATH'] = folder.parent.parent
        system = {'XDG_DATA_DIRS': '/usr/local/share:/usr/share'}
        for name, folder in folders.items():
            others = environment.get(name) or system.get(name)
            environment[name] = f'{folder}:{others}' if others else str(folder)
        return environment

    def run(self, *command, **options):
        return run(*command, env=self.get_environment(**options))

    def get_flags(self, *arguments):
        """What pkg-config says, for where the files are now."""
        system = {'PKG_CONFIG_ALLOW_SYSTEM_CFLAGS': '1', 'PKG_CONFIG_ALLOW_SYSTEM_LIBS': '1'}
        flags = shlex.split(self.run('pkg-config', *arguments, NAME, **system))
        return [self.move(flag) for flag in flags]

    def move(self, flag):
        kind, path = flag[:2], flag[2:]
        moved = str(self.path) + path[len(self.configured):]
        if kind in ('-I', '-L') and path.startswith(self.configured + '/') and \
                os.path.exists(moved):
            return kind + moved
        return flag

    def compile(self, source, program, is_static=False):
        """Builds a program in C as who uses the library does."""
        flags = self.get_flags('--cflags', '--libs', *(['--static'] if is_static else []))
        if is_static:
            flags = ['-l:lib' + NAME + '.a' if flag == '-l' + NAME else flag for flag in flags]
        run(*shlex.split(os.environ.get('CC', 'cc')), source, '-o', program, *flags)
        return program

    def check_hello(self, *command):
        """Runs one of the first examples, which print the squares of the numbers below ten."""
        numbers = [int(word) for word in self.run(*command).split() if word.isdigit()]
        check(numbers[-1] == 81 and 49 in numbers, f'{command} printed {numbers}')
