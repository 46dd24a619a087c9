#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Tells whether every language has every message. Extracts the messages afresh from the sources below the folder
given, with the arguments for xgettext that come behind it; and merges them with each language's translations, as
`meson compile shmem-glib-1.0-update-po` would, but in a folder of its own."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ENVIRONMENT = {**os.environ, 'LC_ALL': 'C.UTF-8', 'LANGUAGE': 'C'}


def run(*command):
    """Runs a program of gettext; what it printed to its standard output, and what to the other one."""
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, encoding='utf-8')
    return done.returncode == 0, done.stdout, done.stderr.strip()


def read_list(path):
    return [line for line in path.read_text(encoding='utf-8').split('\n')
            if line and not line.startswith('#')]


def extract(root, arguments, template):
    """What is wrong with the messages in the sources."""
    ok, _, warnings = run('xgettext', *arguments, f'--directory={root}', f'--files-from={root / "po/POTFILES"}',
                          f'--output={template}')
    if not ok or warnings:
        yield f'messages that xgettext does not understand:\n{warnings}'


def check(root, language, template, folder):
    """What is wrong with a language."""
    merged = folder / f'{language}.po'
    ok, _, errors = run('msgmerge', '--quiet', f'--output-file={merged}', root / f'po/{language}.po', template)
    if not ok:
        yield errors
        return
    header = re.search(r'^"Language: (.*)\\n"$', merged.read_text(encoding='utf-8'), re.MULTILINE)
    if header is None or header[1] != language:
        yield 'the header says that it is another language'
    ok, _, counts = run('msgfmt', '--check', '--statistics', '--output-file=/dev/null', merged)
    if not ok:
        yield counts
    elif not re.fullmatch(r'[0-9]+ translated messages?\.', counts):
        yield counts
        for kind in ('--untranslated', '--only-fuzzy'):
            yield from run('msgattrib', kind, '--no-obsolete', '--no-wrap', merged)[1].split('\n\n')[1:]


def main():
    root = pathlib.Path(sys.argv[1])
    languages = read_list(root / 'po/LINGUAS')
    files = sorted(path.stem for path in root.glob('po/*.po'))
    complaints = []
    if languages != files:
        complaints.append(f'po/LINGUAS has {languages}, but there are translations for {files}')
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        template = folder / 'template.pot'
        complaints += extract(root, sys.argv[2:], template)
        for language in languages:
            complaints += [f'{language}: {complaint}' for complaint in check(root, language, template, folder)]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
