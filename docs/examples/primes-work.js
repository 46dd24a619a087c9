// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* What the workers of primes.js do. Nothing of that program is here but what came as an argument. */

/** Strikes out the numbers of a segment that are no primes, in the shared array; how many are left.
 * `base` are the primes up to the root of the last number. */
export function sieve(segment, _index, composite, size, base) {
    const begin = segment * size;
    const end = Math.min(begin + size, composite.length);
    const struck = new Uint8Array(end - begin);
    for (const prime of base) {
        const first = Math.max(prime * prime, Math.ceil(begin / prime) * prime);
        for (let n = first; n < end; n += prime)
            struck[n - begin] = 1;
    }
    for (let n = begin; n < Math.min(end, 2); n++)
        struck[n] = 1;
    composite.write(begin, struck);
    return struck.reduce((count, value) => count - value, struck.length);
}
