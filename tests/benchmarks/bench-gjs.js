// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* usage: gjs -m bench-gjs.js [--quick]
 *
 * The pool in JavaScript. gjs has no other pool of workers, so it competes with plain loops alone.
 */

import GLib from 'gi://GLib';
import Shm from 'gi://Shm?version=1.0';

const N_WORKERS = 2; // as many for all, on any machine: the ratios are for them
const IS_QUICK = ARGV.includes('--quick');

function size(full, quick) {
    return IS_QUICK ? quick : full;
}

function check(condition) {
    if (!condition)
        throw new Error('a result is wrong');
}

/** Seconds. */
function measure(run) {
    const start = GLib.get_monotonic_time();
    run();
    return Math.max(GLib.get_monotonic_time() - start, 1) / 1e6;
}

function getQuantile(sorted, fraction) {
    const place = fraction * (sorted.length - 1);
    const below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** Contestants are [name, role, run]; they take turns. */
function compete({workload, title, unit, scale, rounds, isRate = false}, contestants) {
    const figures = contestants.map(() => []);
    for (let round = 0; round < size(rounds, 1); round++) {
        contestants.forEach(([, , run], i) => {
            const seconds = measure(run);
            figures[i].push(isRate ? scale / seconds : scale * seconds);
        });
    }
    contestants.forEach(([contestant, role], i) => {
        figures[i].sort((a, b) => a - b);
        print(JSON.stringify({
            workload,
            title: `${title}, in JavaScript`,
            language: 'JavaScript',
            contestant,
            role,
            unit,
            better: isRate ? 'more' : 'less',
            median: getQuantile(figures[i], 0.5),
            low: getQuantile(figures[i], 0.25),
            high: getQuantile(figures[i], 0.75),
            rounds: figures[i].length,
        }));
    });
}

function newPool() {
    return new Shm.MapReduce({n_workers: N_WORKERS});
}

function benchItems() {
    const n = size(100000, 100);
    const items = Array.from({length: n}, (_, i) => i);
    const addOne = item => item + 1;
    const checkAll = results => check(results.length === n && results[n - 1] === n);
    compete({
        workload: 'W1-gjs', title: '100,000 trivial items', unit: 'us/item', scale: 1e6 / n,
        rounds: 7,
    }, [
        ['pool.map', 'ours', () => checkAll(newPool().map(addOne, items))],
        ['loop', 'serial', () => checkAll(items.map(addOne))],
    ]);
}

function benchStart() {
    compete({
        workload: 'W2-gjs', title: 'A map of 2 items', unit: 'ms', scale: 1e3, rounds: 21,
    }, [
        ['pool.map', 'ours', () => check(newPool().map(item => item, [1, 2]).length === 2)],
    ]);
}

function benchLarge() {
    const n = size(256, 4);
    const length = size(4 << 20, 1 << 20);
    const makeBlock = item => new Uint8Array(length).fill(item & 255);
    const items = Array.from({length: n}, (_, i) => i);
    const checkAll = results => {
        check(results.length === n);
        results.forEach((result, i) =>
            check(result.length === length && result[length - 1] === (i & 255)));
    };
    compete({
        workload: 'W4-gjs', title: '256 results of 4 MiB', unit: 'GiB/s',
        scale: n * length / 2 ** 30, rounds: 3, isRate: true,
    }, [
        ['pool.map', 'ours', () => checkAll(newPool().map(makeBlock, items))],
        ['loop', 'serial', () => checkAll(items.map(makeBlock))],
    ]);
}

function makeLines() {
    const lines = [];
    let state = 5;
    const random = () => {
        state = (state * 1103515245 + 12345) % 2147483648;
        return state / 2147483648;
    };
    const words = Array.from({length: 4000}, () => Array.from(
        {length: 2 + Math.floor(random() * 8)},
        () => String.fromCharCode(97 + Math.floor(random() * 26))).join(''));
    for (let i = 0; i < size(2000, 20); i++) {
        const line = [];
        for (let length = 0; length < 1000; length += line.at(-1).length + 1)
            line.push(words[Math.floor(random() ** 3 * words.length)]);
        lines.push(line.join(' '));
    }
    return lines;
}

function addCounts(total, counts) {
    for (const [word, count] of counts)
        total.set(word, (total.get(word) ?? 0) + count);
}

function countWords(line) {
    const counts = new Map();
    for (const word of line.split(' '))
        counts.set(word, (counts.get(word) ?? 0) + 1);
    return counts;
}

function benchWords() {
    const lines = makeLines();
    const nWords = lines.reduce((sum, line) => sum + line.split(' ').length, 0);
    const checkTotal = total =>
        check([...total.values()].reduce((sum, count) => sum + count, 0) === nWords);
    compete({
        workload: 'W5-gjs', title: 'Counting words in 2,000 lines of 1 KB', unit: 'ms', scale: 1e3,
        rounds: 7,
    }, [
        ['pool.map', 'ours', () => {
            const total = new Map();
            newPool().map(countWords, lines, {reduce: counts => addCounts(total, counts)});
            checkTotal(total);
        }],
        ['loop', 'serial', () => {
            const total = new Map();
            for (const line of lines)
                addCounts(total, countWords(line));
            checkTotal(total);
        }],
    ]);
}

benchItems();
benchStart();
benchWords();
benchLarge();
