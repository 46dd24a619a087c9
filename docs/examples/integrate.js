#!/usr/bin/env -S gjs -m
// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* usage: integrate.js [NUMBER]
 *
 * Integrates 1 / x^x from 0 to 1. The values at NUMBER points, 16 Mi if it is not given, lie in a
 * shared array of 128 MiB, which the workers fill chunk by chunk. Three sums come out of it, and
 * have to agree: of the array, read by the caller afterwards; of what the workers add up in shared
 * memory, in the critical section; of their results, in the reduce function.
 */

import GLib from 'gi://GLib';
import Shm from 'gi://Shm?version=1.0';
import System from 'system';

const CHUNK = 1 << 18;
const ITEM_SIZE = 8;
const TOLERANCE = 1e-9;

function now() {
    return GLib.get_monotonic_time() / 1e6;
}

/** The values of a chunk. */
function compute(begin, nPoints) {
    const part = new Float64Array(Math.min(CHUNK, nPoints - begin));
    for (let i = 0; i < part.length; i++) {
        const x = (begin + i + 0.5) / nPoints;
        part[i] = x ** -x;
    }
    return part;
}

function add(numbers) {
    let sum = 0;
    for (let i = 0; i < numbers.length; i++)
        sum += numbers[i];
    return sum;
}

/** Prints the sums, and returns whether they agree. */
function integrate(nPoints) {
    const values = Shm.array('f8', nPoints);
    const criticalSum = Shm.array('f8', 1);
    const nChunks = Math.ceil(nPoints / CHUNK);
    const pool = new Shm.MapReduce();
    let reducedSum = 0;

    const show = (name, total, start) => print(
        `  ${name.padEnd(18)} ${(total / nPoints).toFixed(15)} ${(now() - start).toFixed(3)} s`);

    print(`Number of workers: ${Math.min(pool.count_workers(), nChunks)}`);
    let start = now();
    pool.map(chunk => {
        const part = compute(chunk * CHUNK, nPoints);
        const sum = add(part);
        values.write(chunk * CHUNK * ITEM_SIZE, part);
        pool.critical(() => criticalSum.set(0, criticalSum.get(0) + sum));
        return sum;
    }, nChunks, {reduce: sum => {
        reducedSum += sum;
    }});
    const seconds = now() - start;
    show('reduced results', reducedSum, start);
    show('critical section', criticalSum.get(0), start);

    start = now();
    const arraySum = add(values.toTypedArray());
    show('array, afterwards', arraySum, start);
    start = now();
    let serialSum = 0;
    for (let chunk = 0; chunk < nChunks; chunk++)
        serialSum += add(compute(chunk * CHUNK, nPoints));
    const serialSeconds = now() - start;
    show('serial', serialSum, start);

    // Johann Bernoulli, 1697
    let exact = 0;
    for (let n = 16; n > 0; n--)
        exact += n ** -n;
    print(`  ${'exact'.padEnd(18)} ${exact.toFixed(15)}`);
    const difference = Math.max(
        Math.abs(criticalSum.get(0) - arraySum), Math.abs(reducedSum - arraySum));
    values.close();
    criticalSum.close();
    if (!(difference <= TOLERANCE * arraySum)) {
        print(`The three sums differ by up to ${difference}.`);
        return false;
    }
    print(`The three sums agree to ${TOLERANCE}; the workers were ` +
        `${(serialSeconds / seconds).toFixed(2)} times as fast as the serial loop.`);
    return true;
}

const nPoints = Number(ARGV[0] ?? 64 * CHUNK);
if (ARGV.length > 1 || !Number.isSafeInteger(nPoints) || nPoints < 1) {
    printerr('usage: integrate.js [NUMBER]');
    System.exit(2);
}
print(`The integral of 1 / x^x from 0 to 1\nNumber of points: ${nPoints} ` +
    `(${(nPoints * ITEM_SIZE / 2 ** 20).toFixed(1)} MiB), in chunks of ${CHUNK}`);
System.exit(integrate(nPoints) ? 0 : 1);
