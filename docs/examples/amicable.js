#!/usr/bin/env -S gjs -m
// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* usage: amicable.js [NUMBER]
 *
 * Finds the first NUMBER pairs of amicable numbers, 20 if it is not given: each is the sum of the
 * proper divisors of the other. Nobody knows beforehand how far one has to search, so the items come
 * from a generator that has no end; the loop is left when there are enough. It takes its time over
 * each result, and the workers wait for it. The pairs that were known to Euler's time have to be
 * among them.
 */

import GLib from 'gi://GLib';
import Shm from 'gi://Shm?version=1.0';
import System from 'system';

const SPAN = 500; // numbers in an item
const WINDOW = 32; // items on their way
const KNOWN = [[220, 284], [1184, 1210], [2620, 2924], [5020, 5564], [6232, 6368]];

/** From 1 on, without end. */
function* makeSpans() {
    for (let begin = 1; ; begin += SPAN)
        yield [begin, begin + SPAN];
}

function sumDivisors(n) {
    let sum = n > 1 ? 1 : 0;
    for (let d = 2; d * d <= n; d++) {
        if (n % d === 0)
            sum += d * d === n ? d : d + n / d;
    }
    return sum;
}

/** The pairs whose smaller number lies in a span. */
function findPairs([begin, end]) {
    const pairs = [];
    for (let n = begin; n < end; n++) {
        const other = sumDivisors(n);
        if (other > n && sumDivisors(other) === n)
            pairs.push([n, other]);
    }
    return pairs;
}

/** Sleeps, while the main loop goes on. */
function sleep(milliseconds) {
    return new Promise(resolve => {
        GLib.timeout_add(GLib.PRIORITY_DEFAULT, milliseconds, () => {
            resolve();
            return GLib.SOURCE_REMOVE;
        });
    });
}

async function main(nWanted) {
    const pool = new Shm.MapReduce();
    const found = [];
    let nSpans = 0;

    for await (const [, pairs] of pool.stream(
        findPairs, makeSpans(), {inOrder: true, window: WINDOW})) {
        nSpans++;
        for (const pair of pairs) {
            found.push(pair);
            print(`${found.length.toString().padStart(4)}  ${pair.join(' and ')}`);
            await sleep(10);
        }
        if (found.length >= nWanted)
            break;
    }
    print(`They lie among the first ${nSpans * SPAN} numbers.`);
    const first = KNOWN.slice(0, nWanted);
    if (JSON.stringify(found.slice(0, first.length)) !== JSON.stringify(first)) {
        printerr('amicable.js: the first pairs are others');
        return 1;
    }
    return 0;
}

const nWanted = Number(ARGV[0] ?? 20);
if (ARGV.length > 1 || !Number.isSafeInteger(nWanted) || nWanted < 1) {
    printerr('usage: amicable.js [NUMBER]');
    System.exit(2);
}
System.exit(await main(nWanted));
