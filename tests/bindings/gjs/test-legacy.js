// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* With imports.gi, in a program without modules. */

imports.gi.versions.Shm = '1.0';
const {Shm} = imports.gi;

print('1..1');
const sum = new Shm.MapReduce({nWorkers: 2}).map(i => i + 1, 10).reduce((a, b) => a + b);
print(`${sum === 55 ? 'ok' : 'not ok'} 1 imports.gi`);
