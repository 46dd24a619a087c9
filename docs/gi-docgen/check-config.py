#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Looks at what gi-docgen would read, where it is not installed: its settings and the .gir."""

import pathlib
import re
import sys
import xml.etree.ElementTree

CORE = '{http://www.gtk.org/introspection/core/1.0}'
# gi-docgen fails at others
LANGUAGES = {'c', 'css', 'plain', 'xml', 'javascript'}


def find_faults(config, gir, folder):
    namespace = gir.find(CORE + 'namespace')
    library = config['library']
    if library['namespace'] != namespace.get('name'):
        yield 'another namespace'
    includes = {f'{include.get("name")}-{include.get("version")}'
                for include in gir.iter(CORE + 'include')}
    # each brings GLib
    includes.discard('GLib-2.0')
    if set(config['dependencies']) != includes or set(library['dependencies']) != includes:
        yield f'the .gir includes {sorted(includes)}'
    for name in config['extra']['content_files']:
        if not (folder / name).is_file():
            yield f'there is no {name}'
    for doc in gir.iter(CORE + 'doc'):
        for language in re.findall(r'\|\[\s*<!--\s*language="(\w+)"', doc.text):
            if language.lower() not in LANGUAGES:
                yield f'an example in {language}: {doc.get("filename")}:{doc.get("line")}'
        if doc.text.count('|[') != doc.text.count(']|'):
            yield f'an example without an end: {doc.get("filename")}:{doc.get("line")}'


def main():
    try:
        import tomllib
    except ImportError:
        print('this Python is too old to read TOML')
        return 77
    config = tomllib.loads(pathlib.Path(sys.argv[1]).read_text(encoding='utf-8'))
    gir = xml.etree.ElementTree.parse(sys.argv[2]).getroot()
    faults = list(find_faults(config, gir, pathlib.Path(__file__).parent))
    print(*faults, sep='\n')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
