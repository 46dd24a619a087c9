#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Builds the library with its installed tests, installs it, and runs them from there.

The folders of the build are gone by then. GNOME's runner is used if it is there; if not, each
.test file is read here.
"""

import configparser
import pathlib
import shlex
import shutil
import subprocess

from packaging import NAME, SKIPPED, Prefix, build, check, meson, run, scratch


def get_tap_failures(output):
    """The lines that failed, or a reason why there are none."""
    lines = output.splitlines()
    plans = [line for line in lines if line.startswith('1..')]
    points = [line for line in lines if line.startswith(('ok ', 'not ok '))]
    if len(plans) != 1:
        return ['there is not one plan']
    if len(points) != int(plans[0][3:].split()[0]):
        return ['there are not as many points as planned']
    return [line for line in points if line.startswith('not ok ') and '# TODO' not in line]


def run_test(prefix, path, folder):
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(path, encoding='utf-8')
    test = parser['Test']
    check(set(test) <= {'Type', 'Exec', 'Output'}, f'{path} has other keys')
    check(test['Type'] in ('session', 'session-exclusive'), f'{path} has another type')
    done = subprocess.run(shlex.split(test['Exec']), cwd=folder, env=prefix.get_environment(),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding='utf-8', errors='replace')
    failures = [] if done.returncode in (0, SKIPPED) else [f'status {done.returncode}']
    if not failures and test.get('Output') == 'TAP':
        failures = get_tap_failures(done.stdout)
    print('not ok' if failures else 'ok', path.stem, flush=True)
    if failures:
        print(done.stdout, *failures, sep='\n', flush=True)
    return not failures


def main():
    with scratch() as name:
        folder = pathlib.Path(name)
        build(folder / 'build', f'--prefix={folder}/prefix', '-Dtests=true',
              '-Dinstalled_tests=true')
        meson('install', '-C', folder / 'build', '--no-rebuild')
        shutil.rmtree(folder / 'build')
        (folder / 'work').mkdir()
        prefix = Prefix(folder / 'prefix')
        tests = sorted((prefix.path / 'share/installed-tests' / NAME).glob('*.test'))
        check(len(tests) > 40, f'there are only {len(tests)} tests')
        runner = shutil.which('gnome-desktop-testing-runner')
        if runner is not None:
            print(run(runner, '-d', prefix.path / 'share', NAME, cwd=folder / 'work',
                      env=prefix.get_environment()))
            return
        passed = [run_test(prefix, path, folder / 'work') for path in tests]
        check(all(passed), f'{passed.count(False)} of {len(tests)} installed tests')


if __name__ == '__main__':
    main()
