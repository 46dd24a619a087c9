// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* The program that a worker of mapModule() is. Its argument is what _shmModule.js made. */

const argument = JSON.parse(ARGV[0]);

// What the caller has found, in whatever way, is found here too.
imports.searchPath.unshift(
    ...argument.searchPath.filter(path => !imports.searchPath.includes(path)));
const {Repository} = imports.gi.GIRepository;
(Repository.dup_default?.() ?? Repository).prepend_search_path(argument.typelibPath);

const {default: Shm} = await import('gi://Shm?version=1.0');
const {serve, setImporting} = imports.overrides._shmModule;

let func;
setImporting(true);
try {
    func = (await import(argument.uri))[argument.name];
    if (typeof func !== 'function')
        throw new TypeError(`${argument.uri} exports no function ${argument.name}`);
} catch (exception) {
    // Then no item can be worked on, and each that is tried says why.
    func = () => {
        throw exception;
    };
}
setImporting(false);
serve(Shm, argument, func);
