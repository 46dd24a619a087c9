#!/usr/bin/env -S gjs -m
// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* usage: primes.js [NUMBER]
 *
 * Counts the primes below NUMBER, ten million if it is not given, with workers that are fresh
 * processes: their function is exported by primes-work.js. They strike out what is no prime in a
 * shared array that is handed to them, and which the program then goes through for the widest gap.
 */

import GLib from 'gi://GLib';
import Shm from 'gi://Shm?version=1.0';
import System from 'system';

const SIZE = 1 << 18; // numbers in an item
const KNOWN = new Map([[100, 25], [1000, 168], [100000, 9592], [1000000, 78498], [10000000, 664579]]);

/** The primes up to a number that is small. */
function listPrimes(last) {
    const primes = [];
    for (let n = 2; n <= last; n++) {
        if (primes.every(prime => n % prime !== 0))
            primes.push(n);
    }
    return primes;
}

function findGap(composite) {
    const struck = composite.toTypedArray();
    let [widest, at, last] = [0, 0, 2];
    for (let n = 3; n < struck.length; n++) {
        if (struck[n])
            continue;
        if (n - last > widest)
            [widest, at] = [n - last, last];
        last = n;
    }
    return [widest, at];
}

async function main(nNumbers) {
    const composite = Shm.array('u1', nNumbers, {shareable: true});
    const pool = new Shm.MapReduce();
    const module = GLib.Uri.resolve_relative(
        import.meta.url, 'primes-work.js', GLib.UriFlags.NONE);
    const start = GLib.get_monotonic_time();

    const counts = await pool.mapModuleAsync(module, 'sieve', Math.ceil(nNumbers / SIZE), {
        args: [composite, SIZE, listPrimes(Math.floor(Math.sqrt(nNumbers)))],
    });
    const nPrimes = counts.reduce((sum, count) => sum + count, 0);
    const seconds = (GLib.get_monotonic_time() - start) / 1e6;

    print(`There are ${nPrimes} primes below ${nNumbers}; to find them took ` +
        `${seconds.toFixed(3)} s.`);
    const [widest, at] = findGap(composite);
    print(`The widest gap is of ${widest}, behind ${at}.`);
    const nLeft = composite.toTypedArray().reduce((sum, value) => sum - value, nNumbers);
    composite.close();
    if (nLeft !== nPrimes || nPrimes !== (KNOWN.get(nNumbers) ?? nPrimes)) {
        printerr(`primes.js: ${nLeft} are left, and ${KNOWN.get(nNumbers)} should be`);
        return 1;
    }
    return 0;
}

const nNumbers = Number(ARGV[0] ?? 10000000);
if (ARGV.length > 1 || !Number.isSafeInteger(nNumbers) || nNumbers < 4) {
    printerr('usage: primes.js [NUMBER]');
    System.exit(2);
}
System.exit(await main(nNumbers));
