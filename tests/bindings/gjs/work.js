// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* What test-module.js has its workers do. */

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

const MARKED = 5;

let nCalls = 0;

export const notAFunction = 1;

export function give(item) {
    return item;
}

export function square(item) {
    return item * item;
}

export function describe(item, index, ...args) {
    return [item, index, args];
}

export function countCalls() {
    return ++nCalls;
}

export function fill(index, _index, array, factor) {
    array.set(index, index * factor);
}

export function add({array, i}) {
    array.set(i, array.get(i) + 1);
}

export function useSections(index, _index, array) {
    this.critical(() => array.set(0, array.get(0) + 1));
    this.ordered(() => array.set(1, array.get(1) === index ? index + 1 : -1));
    return this.rank;
}

export function draw() {
    return [this.random(), this.random()];
}

export function getSizes(index) {
    return new Uint8Array(3000000).fill(index);
}

export function fail(index) {
    if (index === MARKED)
        throw new RangeError(`no ${index}`, {cause: new TypeError('inner')});
    return index;
}

export function failOfGLib(index) {
    if (index === MARKED)
        throw new GLib.Error(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND, 'gone');
    return index;
}

export function giveFunction(index) {
    return index === MARKED ? () => index : index;
}

export async function wait(index) {
    return await index;
}

function kill(number) {
    GLib.spawn_command_line_sync(`kill -${number} ${new Gio.Credentials().get_unix_pid()}`);
}

export function die(index) {
    if (index === MARKED)
        kill(9);
    return index;
}

export function exit(index) {
    if (index === MARKED)
        System.exit(3);
    return index;
}

export function dieTwice(index, _index, array) {
    if (index === MARKED && array.get(0) < 2) {
        array.set(0, array.get(0) + 1);
        kill(9);
    }
    return index;
}

export function loop() {
    while (true)
        ;
}

export function spin(index, _index, milliseconds) {
    GLib.usleep(milliseconds * 1000);
    return index;
}

/* A process of its own may do all that others may. */
export function useMainLoop(index) {
    const mainLoop = new GLib.MainLoop(null, false);
    GLib.timeout_add(GLib.PRIORITY_DEFAULT, 1, () => {
        mainLoop.quit();
        return GLib.SOURCE_REMOVE;
    });
    mainLoop.run();
    const [, out] = Gio.Subprocess.new(['echo', `${index}`], Gio.SubprocessFlags.STDOUT_PIPE)
        .communicate_utf8(null, null);
    return Number(out);
}
