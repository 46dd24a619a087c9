// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* Many children whose engine has to work: all items are right, and none hangs.
 *
 * usage: gjs -m test-soak.js [NUMBER-OF-CHILDREN] */

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Shm from 'gi://Shm?version=1.0';
import System from 'system';

import {equal, run, test} from './tap.js';

const N_WORKERS = 2;
const N_ITEMS = 12;
const SECONDS = 60; // for an item, which takes milliseconds

const Thing = GObject.registerClass({
    Properties: {'size': GObject.ParamSpec.int(
        'size', '', '', GObject.ParamFlags.READWRITE, 0, 1000000, 0)},
    Signals: {'told': {param_types: [GObject.TYPE_INT]}},
}, class Thing extends GObject.Object {});

const WORK = {
    allocates(index) {
        let kept = [];
        for (let i = 0; i < 20000; i++) {
            kept.push({i, text: `${index}:${i}`, inner: [i, {}]});
            if (kept.length > 5000)
                kept = kept.slice(4000);
        }
        return kept[kept.length - 1].i + index;
    },

    compiles(index) {
        const func = new Function('n', `let s = ${index};
            for (let i = 0; i < n; i++) s = (s * 31 + i) | 0;
            return s;`);
        let s = index;
        for (let i = 0; i < 200000; i++)
            s = (s * 31 + i) | 0;
        return func(200000) === s ? index : -1;
    },

    closes(index) {
        const functions = [];
        for (let i = 0; i < 5000; i++)
            functions.push(() => i + index);
        return functions.reduce((sum, func) => sum + func(), 0);
    },

    'has objects'(index) {
        let sum = 0;
        for (let i = 0; i < 300; i++) {
            const thing = new Thing({size: i});
            thing.connect('told', (_thing, number) => {
                sum += number;
            });
            thing.emit('told', 1);
            thing.connect('notify::size', () => {
                sum += thing.size;
            });
            thing.size = index;
            new Gio.SimpleAction({name: `action${i}`});
        }
        return sum;
    },

    collects(index) {
        let sum = 0;
        for (let i = 0; i < 3; i++) {
            sum += Array.from({length: 3000}, (_none, j) => ({j})).length;
            System.gc();
        }
        return sum + index;
    },
};

const nChildren = Number(ARGV[0] ?? 160);
const nRounds = Math.ceil(nChildren / N_WORKERS / Object.keys(WORK).length);

for (const [name, func] of Object.entries(WORK)) {
    test(`${name}: ${nRounds * N_WORKERS} children`, () => {
        const pool = new Shm.MapReduce({nWorkers: N_WORKERS});
        const expected = Array.from({length: N_ITEMS}, (_none, index) => func(index));
        for (let i = 0; i < nRounds; i++)
            equal(pool.map(func, N_ITEMS, {timeout: SECONDS}), expected);
    });
}

/* Where there is a bus, its thread lives beside. */
if (GLib.getenv('DBUS_SESSION_BUS_ADDRESS') !== null) {
    const bus = Gio.bus_get_sync(Gio.BusType.SESSION, null);
    test(`with a connection to the bus: ${nRounds * N_WORKERS} children`, () => {
        const pool = new Shm.MapReduce({nWorkers: N_WORKERS});
        for (let i = 0; i < nRounds; i++) {
            bus.call_sync('org.freedesktop.DBus', '/', 'org.freedesktop.DBus', 'GetId', null, null,
                Gio.DBusCallFlags.NONE, -1, null);
            equal(pool.map(WORK.allocates, N_ITEMS, {timeout: SECONDS}),
                Array.from({length: N_ITEMS}, (_none, index) => WORK.allocates(index)));
        }
    });
}

await run();
