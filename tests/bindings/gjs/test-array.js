// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

import Shm from 'gi://Shm?version=1.0';

import {caught, equal, ok, read, run, test} from './tap.js';

const pool = new Shm.MapReduce({nWorkers: 2});

test('items', async () => {
    const array = Shm.array('f8', [3, 4]);
    array.set(1, 2, 5.5);
    equal([array.get(1, 2), array.get(0, 0)], [5.5, 0]);
    ok((await caught(() => array.get(3, 0))).matches(Shm.Error, Shm.Error.OUT_OF_BOUNDS));
    ok((await caught(() => array.get(0))).matches(Shm.Error, Shm.Error.OUT_OF_BOUNDS));
    array.close();
});

test('every type', () => {
    for (const [name, value] of [
        ['b1', true], ['i1', -128], ['u1', 255], ['i2', -32768], ['u2', 65535], ['i4', -(2 ** 31)],
        ['u4', 2 ** 32 - 1], ['i8', -(2n ** 63n)], ['u8', 2n ** 64n - 1n], ['f4', 0.5], ['f8', 0.1],
    ]) {
        const array = Shm.array(name, 2);
        array.set(1, value);
        equal(array.get(1), value);
        const typed = array.toTypedArray();
        equal(name === 'b1' ? typed[1] === 1 : typed[1], value);
        array.close();
    }
    const copy = Shm.array(new Float32Array([1, 2.5]));
    equal([copy.get_n_bytes(), copy.get(1)], [8, 2.5]);
    copy.close();
});

test('as in JavaScript', async () => {
    const array = Shm.array('i8', [2, 3]);
    array.fill(2n ** 53n + 1n);
    equal([array.get(1, 2), array.shape, array.length], [2n ** 53n + 1n, [2, 3], 6]);
    array.set(1, 0, -7);
    equal([...array].map(Number).indexOf(-7), 3);
    equal(pool.map(item => item < 0n, array), [false, false, false, true, false, false]);
    const column = array.index(1, 0);
    equal([...column], [2n ** 53n + 1n, -7n]);
    const flags = Shm.array('b1', 2);
    flags.set(1, true);
    equal([...flags], [false, true]);
    equal([...Shm.array('f8', [])], [0]);
    equal([...Shm.array('f8', [3, 0])], []);
    ok(`${flags}`.includes('True'), `${flags}`);
    for (const call of [
        () => array.get(-1, 0), () => array.get(0.5, 0), () => array.set(0, NaN, 1),
        () => Shm.array('f8', -1), () => Shm.array('f8', [1.5]),
    ])
        ok((await caught(call)) instanceof RangeError);
    for (const call of [
        () => array.set(0, 0, undefined), () => array.set(0, 0, 'x'), () => array.fill(null),
        () => Shm.array('f8'), () => Shm.array([1, 2]), () => Shm.array('f8', 2, {other: 1}),
    ])
        ok((await caught(call)) instanceof TypeError);
    for (const own of [array, column, flags])
        own.close();
});

test('bytes', async () => {
    const array = Shm.array('u2', [4]);
    array.write(2, new Uint16Array([1, 65535]));
    equal([0, 1, 2, 3].map(i => array.get(i)), [0, 1, 65535, 0]);
    equal([...array.read(4, 4)], [255, 255, 0, 0]);
    equal(array.read(8, 0).length, 0);
    for (const call of [
        () => array.read(5, 4), () => array.read(9, 0), () => array.write(7, new Uint8Array(2)),
    ])
        ok((await caught(call)).matches(Shm.Error, Shm.Error.OUT_OF_BOUNDS));
    const gaps = array.slice(0, 0, 4, 2);
    ok((await caught(() => gaps.read(0, 2))).matches(Shm.Error, Shm.Error.INVALID_ARGUMENT));
    gaps.close();
    array.close();
});

/** Makes arrays and drops them, and says of how many of those the memory was there at once. */
function makeGarbage() {
    const n = 40;
    let most = 0;
    for (let i = 0; i < n; i++) {
        Shm.array('u1', 64 * 2 ** 20);
        const sizes = read('/proc/self/maps').split('\n')
            .filter(line => line.includes(' rw-s ') && line.includes('/dev/zero'))
            .map(line => line.split(' ')[0].split('-').map(address => parseInt(address, 16)))
            .map(([begin, end]) => end - begin);
        most = Math.max(most, sizes.reduce((a, b) => a + b, 0) / (64 * 2 ** 20));
    }
    return most;
}

test('arrays that nobody has are freed', () => {
    ok(makeGarbage() < 10);
    const [most] = pool.map(makeGarbage, 1);
    ok(most < 10);
});

test('workers write what the caller reads', () => {
    const array = Shm.array('f8', 1000);
    pool.map(i => {
        const typed = array.toTypedArray();
        if (array.aliases)
            typed[i] = i / 2;
        else
            array.write(i * 8, new Float64Array([i / 2]));
    }, 1000);
    ok(array.toTypedArray().every((value, i) => value === i / 2));
    array.close();
});

test('closed', async () => {
    const array = Shm.array('i4', [2, 3]);
    array.set(0, 0, 7);
    const row = array.index(0, 0);
    array.close();
    array.close();
    for (const call of [() => array.get(0, 0), () => array.read(0, 0), () => array.toTypedArray()])
        ok((await caught(call)).matches(Shm.Error, Shm.Error.WRONG_STATE));
    equal(row.get(0), 7);
    row.close();
});

await run();
