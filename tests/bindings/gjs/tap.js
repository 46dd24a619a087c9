// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* The smallest harness for TAP. After each test no child, descriptor or mapping may be left. */

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Shm from 'gi://Shm?version=1.0';
import System from 'system';

const tests = [];

export function test(name, func) {
    tests.push([name, func]);
}

export function ok(value, message = 'it is not so') {
    if (!value)
        throw new Error(message);
}

function show(value) {
    return JSON.stringify(value, (_key, item) => typeof item === 'bigint' ? `${item}n` : item);
}

export function equal(value, expected) {
    if (!Object.is(value, expected) && show(value) !== show(expected))
        throw new Error(`${show(value)} is not ${show(expected)}`);
}

/** The exception that a function throws. */
export async function caught(func) {
    let result;
    try {
        result = await func();
    } catch (error) {
        return error;
    }
    throw new Error(`nothing was thrown, but returned: ${show(result)}`);
}

export function list(path) {
    const names = [];
    const infos = Gio.File.new_for_path(path).enumerate_children(
        'standard::name', Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS, null);
    for (let info = infos.next_file(null); info !== null; info = infos.next_file(null))
        names.push(info.get_name());
    infos.close(null);
    return names;
}

export function read(path) {
    return new TextDecoder().decode(GLib.file_get_contents(path)[1]);
}

/* The children of a thread that ends become those of the first one, so that comes last. */
function listChildren() {
    const first = `${new Gio.Credentials().get_unix_pid()}`;
    const threads = list('/proc/self/task').filter(thread => thread !== first);
    const pids = new Set();
    for (const thread of [...threads, first]) {
        try {
            for (const pid of read(`/proc/self/task/${thread}/children`).match(/\d+/g) ?? [])
                pids.add(pid);
        } catch (error) {
            // the thread has ended
        }
    }
    return [...pids].sort();
}

function takeStock() {
    System.gc();
    const children = listChildren();
    const mappings = read('/proc/self/maps').split('\n')
        .filter(line => line.includes(' rw-s ')).length;
    return {children, mappings, fds: list('/proc/self/fd').length};
}

export async function run() {
    let failed = 0;
    // What GLib keeps open is there before the first count.
    await new Shm.MapReduce({nWorkers: 2}).mapAsync(x => x, 4);
    list('/proc/self/fd');
    print(`1..${tests.length}`);
    for (const [i, [name, func]] of tests.entries()) {
        const before = takeStock();
        try {
            await func();
            equal(takeStock(), before);
            print(`ok ${i + 1} ${name}`);
        } catch (error) {
            failed++;
            print(`not ok ${i + 1} ${name}`);
            print(`${error}\n${error.stack}`.replace(/^/gm, '# '));
        }
    }
    System.exit(failed > 0 ? 1 : 0);
}
