#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Installs a folder in which the library was built below another root, and uses what is there.

That root is another place than the one that the library was configured for, so all this also tests
that an installation can be moved.
"""

import json
import pathlib
import re
import shutil
import sys

from packaging import NAME, SOURCE, Prefix, check, meson, run, scratch

TAGS = 'runtime,devel,i18n,typelib,python-runtime'
MESSAGE = '“%s” is not an item type in this machine\'s byte order'

PROGRAM = '''
#include <locale.h>
#include <shmem-glib/shmem-glib.h>

int
main (void)
{
  GError *error = NULL;

  setlocale (LC_ALL, "");
  shm_dtype_from_string ("nonsense", &error);
  g_print ("%s", error->message);
  return 0;
}
'''

VALA_PROGRAM = '''
int main () {
  try {
    var results = new Shm.MapReduce ().map (10, null, (pool, i) => { return i * i; });
    foreach (var result in results)
      print ("%s\\n", result.get_uint64 ().to_string ());
  } catch (Error error) {
    return 1;
  }
  return 0;
}
'''


def check_files(prefix, options):
    headers = {path.name for path in (SOURCE / 'shmem-glib').glob('*.h')
               if not path.name.endswith('-private.h')} | {'shm-version.h', 'shm-enum-types.h'}
    installed = {path.name for path in (prefix.path / 'include' / NAME / 'shmem-glib').iterdir()}
    check(installed == headers, f'headers: {sorted(installed ^ headers)}')

    if options['default_library'] != 'static':
        library = prefix.libdir / f'lib{NAME}.so'
        check(library.is_symlink() and library.resolve().parent == prefix.libdir,
              f'{library} is no link')
        dynamic = run('readelf', '-d', library)
        check('RUNPATH' not in dynamic and 'RPATH' not in dynamic, 'the library has a RUNPATH')
        check(f'[lib{NAME}.so.0]' in dynamic, 'the library has another soname')

    for path in prefix.path.rglob('*'):
        check('-private' not in path.name and path.suffix != '.pyc', f'{path} is installed')
        if path.is_file() and path.suffix in ('.h', '.pc', '.gir', '.vapi', '.deps', '.py', '.js'):
            text = path.read_text(encoding='utf-8')
            check(str(SOURCE) not in text, f'{path} names the folder of the sources')


def check_messages(prefix, options):
    """All translations are there, if there are any."""
    if options['nls'] == 'disabled' or not shutil.which('msgfmt'):
        return
    lines = (SOURCE / 'po/LINGUAS').read_text(encoding='utf-8').splitlines()
    wanted = {line for line in lines if line and not line.startswith('#')}
    folder = prefix.path / options['localedir']
    installed = {path.parts[-3] for path in folder.glob(f'*/LC_MESSAGES/{NAME}.mo')}
    check(installed == wanted, f'translations: {sorted(installed ^ wanted)}')


def check_c(prefix, folder):
    program = prefix.compile(SOURCE / 'docs/examples/hello.c', folder / 'hello')
    prefix.check_hello(program)
    if shutil.which('ldd'):
        check(str(prefix.libdir) in prefix.run('ldd', program), 'another library was loaded')


def find_language():
    """A locale whose messages are translated; that of C is not."""
    names = run('locale', '-a').split() if shutil.which('locale') else []
    usable = [name for name in names if re.search(r'utf-?8', name, re.IGNORECASE)]
    return min(usable, key=lambda name: name.startswith('C'), default=None)


def check_translation(prefix, folder):
    """A translation is found where the library is now."""
    locale = find_language()
    if locale is None or not shutil.which('msgfmt'):
        return
    (folder / 'message.c').write_text(PROGRAM, encoding='utf-8')
    (folder / 'message.po').write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n'
        f'msgid "{MESSAGE}"\nmsgstr "moved: %s"\n', encoding='utf-8')
    program = prefix.compile(folder / 'message.c', folder / 'message')
    messages = prefix.path / 'share/locale/de/LC_MESSAGES'
    messages.mkdir(parents=True, exist_ok=True)
    run('msgfmt', folder / 'message.po', '-o', messages / f'{NAME}.mo')
    said = prefix.run(program, LANGUAGE='de', LC_ALL=locale)
    if locale.startswith('C') and said == MESSAGE % 'nonsense':
        print('this C library does not translate in', locale)
        return
    check(said == 'moved: nonsense', f'the message is “{said}”')


def check_vala(prefix, folder, is_whole):
    vapi = prefix.find(NAME + '.vapi')
    check(vapi.with_suffix('.deps').exists() or not is_whole, f'{vapi} has no .deps beside it')
    (folder / 'hello.vala').write_text(VALA_PROGRAM, encoding='utf-8')
    run('valac', '--vapidir', vapi.parent, '--pkg', NAME, *([] if vapi.with_suffix('.deps').exists()
        else ['--pkg', 'gio-2.0']), '-C', '-d', folder, folder / 'hello.vala')
    prefix.check_hello(prefix.compile(folder / 'hello.c', folder / 'hello-vala'))


def check_bindings(prefix, folder, is_whole):
    (gir,) = prefix.path.rglob('Shm-1.0.gir')
    check(f'shared-library="lib{NAME}.so.0"' in gir.read_text(encoding='utf-8'),
          'the .gir names no library that the linker would look for')
    prefix.find('Shm-1.0.typelib')
    wanted = {path.name for path in (SOURCE / 'shmem-glib/bindings').glob('*/overrides/*.js')} | \
        {path.name for path in (SOURCE / 'shmem-glib/bindings').rglob('overrides/Shm/*.py')}
    installed = {path.name for path in prefix.path.rglob('overrides/**/*') if path.is_file()}
    check(installed == wanted, f'overrides: {sorted(installed ^ wanted)}')
    prefix.check_hello(sys.argv[2], SOURCE / 'docs/examples/hello.py')
    if shutil.which('gjs'):
        prefix.check_hello('gjs', '-m', SOURCE / 'docs/examples/hello.js')
    if shutil.which('valac') and any(prefix.path.rglob('*.vapi')):
        check_vala(prefix, folder, is_whole)


def main():
    folder_built = sys.argv[1]
    options = {option['name']: option['value']
               for option in json.loads(meson('introspect', folder_built, '--buildoptions'))}
    with scratch() as name:
        folder = pathlib.Path(name)
        # The manual is made while it is installed. Meson before 1.1 gives the .deps no tag.
        is_whole = options['docs'] != 'enabled'
        meson('install', '-C', folder_built, '--no-rebuild', '--destdir', folder / 'root',
              *([] if is_whole else ['--tags', TAGS]))
        prefix = Prefix(str(folder / 'root') + options['prefix'], options['prefix'])
        check_files(prefix, options)
        check_messages(prefix, options)
        version = json.loads(meson('introspect', folder_built, '--projectinfo'))['version']
        check(prefix.run('pkg-config', '--modversion', NAME).strip() == version,
              'pkg-config names another version')
        check_c(prefix, folder)
        if options['default_library'] != 'static':
            check_translation(prefix, folder)
        if len(sys.argv) > 2:
            check_bindings(prefix, folder, is_whole)


if __name__ == '__main__':
    main()
