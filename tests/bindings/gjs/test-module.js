// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* Workers that are processes of their own, and call functions of work.js. */

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Shm from 'gi://Shm?version=1.0';

import {caught, equal, ok, run, test} from './tap.js';

const pool = new Shm.MapReduce({nWorkers: 2});

const find = name => GLib.Uri.resolve_relative(import.meta.url, name, GLib.UriFlags.NONE);
const WORK = find('work.js');

/** Calls a function with the path of a module that consists of a text and a work function. */
async function withModule(text, func) {
    const path = GLib.build_filenamev([GLib.dir_make_tmp('shm-XXXXXX'), 'module.js']);
    GLib.file_set_contents(path, `${text}\nexport function work() {}\n`);
    try {
        return await func(path);
    } finally {
        GLib.unlink(path);
        GLib.rmdir(GLib.path_get_dirname(path));
    }
}

test('results, as with closures', () => {
    equal(pool.mapModule(WORK, 'square', 1000), pool.map(i => i * i, 1000));
    equal(pool.mapModule(WORK, 'give', 0), []);
    equal(pool.mapModule(WORK, 'square', new Float64Array([1.5, 2])), [2.25, 4]);
    equal(pool.mapModule(WORK, 'square', new Set([3, 4])), [9, 16]);
    equal(pool.mapModule(Gio.File.new_for_uri(WORK).get_path(), 'square', [3]), [9]);
    equal(pool.mapModule(Gio.File.new_for_uri(WORK), 'square', [3]), [9]);
    equal(pool.mapModule(WORK, 'countCalls', 5, {minLength: 10}), [1, 2, 3, 4, 5]);
});

test('items and results are as they were', () => {
    const values = [
        0, -0, 1.5, NaN, 'é\u0000\ud800', true, null, undefined, {a: {b: [1, NaN]}}, 10n ** 30n,
        new Date(5), new Map([['a', new Set([1n])]]), new BigInt64Array([-1n]), {'\u0000': [1n]},
    ];
    const arrived = pool.mapModule(WORK, 'give', values);
    for (const [i, value] of values.entries())
        equal(arrived[i], value === undefined ? null : value);
    ok(Object.is(arrived[1], -0) && Object.is(arrived[3], NaN));
    ok(arrived[11].get('a').has(1n) && arrived[12][0] === -1n);
    const many = Array.from({length: 20000}, (_none, i) => ({i, text: `x${i}`}));
    equal(pool.mapModule(WORK, 'give', many), many);
    ok(pool.mapModule(WORK, 'getSizes', 6)
        .every((bytes, i) => bytes.length === 3000000 && bytes[2999999] === i));
});

test('arguments', () => {
    equal(pool.mapModule(WORK, 'describe', ['a', 'b'], {args: [{x: 1n}, 'y']}),
        [['a', 0, [{x: 1n}, 'y']], ['b', 1, [{x: 1n}, 'y']]]);
    equal(pool.mapModule(WORK, 'describe', 1), [[0, 0, []]]);
});

test('arrays are handed over', async () => {
    const array = Shm.array('f8', [1000], {shareable: true});
    pool.mapModule(WORK, 'fill', 1000, {args: [array, 0.5]});
    ok(array.toTypedArray().every((value, i) => value === i / 2));
    const even = array.slice(0, 0, 1000, 2);
    pool.mapModule(WORK, 'add', [0, 1, 499].map(i => ({array: even, i})));
    equal([array.get(0), array.get(1), array.get(2), array.get(998)], [1, 0.5, 2, 500]);
    const own = Shm.array('f8', 3);
    for (const call of [
        () => pool.mapModule(WORK, 'fill', 3, {args: [own, 1]}),
        () => pool.mapModule(WORK, 'add', [{array: own, i: 0}]),
    ]) {
        const error = await caught(call);
        ok(error instanceof TypeError && error.message.includes('shareable'), `${error}`);
    }
    even.close();
    own.close();
    array.close();
});

test('sections, ranks and random numbers', () => {
    const array = Shm.array('i4', 2, {shareable: true});
    const ranks = pool.mapModule(WORK, 'useSections', 200, {args: [array]});
    equal([array.get(0), array.get(1)], [200, 200]);
    ok(ranks.every(rank => rank === 0 || rank === 1));
    array.close();
    equal(pool.mapModule(WORK, 'draw', 20, {seed: 7}),
        pool.map(() => [pool.random(), pool.random()], 20, {seed: 7}));
});

test('a process of its own', () => {
    equal(pool.mapModule(WORK, 'useMainLoop', 6), [0, 1, 2, 3, 4, 5]);
});

test('exceptions', async () => {
    const error = await caught(() => pool.mapModule(WORK, 'fail', 10));
    ok(error instanceof RangeError && error.cause instanceof TypeError);
    equal([error.message, error.index], ['no 5', 5]);
    ok(error.rank === 0 || error.rank === 1);
    ok(error.stack.includes('fail@') && error.stack.includes('work.js'), error.stack);
    ok(error.fileName.endsWith('work.js') && error.lineNumber > 0);
    const glib = await caught(() => pool.mapModule(WORK, 'failOfGLib', 10));
    ok(glib.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND) && glib.index === 5);
    const bad = await caught(() => pool.mapModule(WORK, 'giveFunction', 10));
    ok(bad instanceof TypeError && bad.message.includes('item 5') && bad.index === 5);
    const promise = await caught(() => pool.mapModule(WORK, 'wait', 2));
    ok(promise instanceof TypeError && promise.message.includes('Promise'));
    equal(pool.mapModule(WORK, 'fail', 7, {onError: 'collect'})
        .map(r => r instanceof Error ? r.message : r), [0, 1, 2, 3, 4, 'no 5', 6]);
});

test('deaths', async () => {
    const killed = await caught(() => pool.mapModule(WORK, 'die', 10));
    ok(killed.matches(Shm.Error, Shm.Error.WORKER_SIGNAL) && killed.index === 5, `${killed}`);
    const exited = await caught(() => pool.mapModule(WORK, 'exit', 10));
    ok(exited.matches(Shm.Error, Shm.Error.WORKER_EXIT) && exited.message.includes('3'));
    equal(exited.index, 5);
    const slow = await caught(() => pool.mapModule(WORK, 'loop', 1, {timeout: 0.3}));
    ok(slow.matches(Shm.Error, Shm.Error.WORKER_TIMEOUT), `${slow}`);
    const array = Shm.array('i4', 1, {shareable: true});
    equal(pool.mapModule(WORK, 'dieTwice', 10, {args: [array], retries: 2}),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    equal(array.get(0), 2);
    array.close();
});

test('modules that cannot be imported', async () => {
    const missing = await caught(() => pool.mapModule(find('no-such-file.js'), 'f', 3));
    ok(missing.message.includes('no-such-file.js'), `${missing}`);
    for (const name of ['no', 'notAFunction']) {
        const error = await caught(() => pool.mapModule(WORK, name, 3));
        ok(error instanceof TypeError && error.message.includes(`no function ${name}`));
    }
    const use = (text, options = {}) => withModule(
        text, path => caught(() => pool.mapModule(path, 'work', 3, options)));
    const thrown = await use("throw new EvalError('at the top');");
    ok(thrown instanceof EvalError && thrown.message === 'at the top', `${thrown}`);
    const wrong = await use('let a = ;');
    ok(wrong instanceof SyntaxError && wrong.fileName.endsWith('module.js'), `${wrong}`);
    equal(wrong.lineNumber, 1);
    const exited = await use("imports.system.exit(4);", {retries: 5, onError: 'collect'});
    ok(exited.matches(Shm.Error, Shm.Error.WORKER_EXIT), `${exited}`);
    ok(exited.message.includes('4'), `${exited}`);
    const map = await use(`import Shm from 'gi://Shm?version=1.0';
        new Shm.MapReduce().mapModule(import.meta.url, 'work', 2);`);
    ok(map.message.includes('imports'), `${map}`);
    await withModule('', path => equal(pool.mapModule(path, 'work', 2), [null, null]));
});

test('wrong calls', async () => {
    for (const call of [
        () => pool.mapModule(), () => pool.mapModule(WORK), () => pool.mapModule(WORK, x => x, 1),
        () => pool.mapModule('work.js', 'give', 1), () => pool.mapModule(WORK, 'give', -1),
        () => pool.mapModule(WORK, 'give', 1, {nonsense: 1}),
        () => pool.mapModule(WORK, 'give', 1, {args: 1}), () => pool.map(x => x, 1, {args: [1]}),
        () => pool.mapModuleAsync(WORK, 'give', -1), () => Shm.array('f8', 3, {nonsense: 1}),
    ])
        ok((await caught(call)) instanceof Error);
    const error = await caught(() => pool.mapModule(WORK, 'give', [1, 2, () => 3]));
    ok(error instanceof TypeError && error.message.includes('item 2'), `${error}`);
});

test('async, beside a main loop', async () => {
    let ticks = 0, seen = 0, sum = 0;
    const source = GLib.timeout_add(GLib.PRIORITY_DEFAULT, 1, () => {
        ticks++;
        return GLib.SOURCE_CONTINUE;
    });
    const results = await pool.mapModuleAsync(WORK, 'spin', 10, {
        args: [5],
        reduce: value => {
            sum += value;
            return -value;
        },
        progress: n => {
            seen = n;
        },
    });
    GLib.source_remove(source);
    equal(results.map(x => -x), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(x => x));
    ok(ticks > 3 && seen === 10 && sum === 45);
    equal(await Promise.all([pool.mapModuleAsync(WORK, 'square', 3), pool.mapAsync(i => i, 2)]),
        [[0, 1, 4], [0, 1]]);
    ok((await caught(() => pool.mapModuleAsync(WORK, 'fail', 9))) instanceof RangeError);
});

/* At once, while the workers start, and while they work. */
test('cancelled', async () => {
    for (const delay of [0, 20, 60, 200, 500]) {
        const cancellable = new Gio.Cancellable();
        GLib.timeout_add(GLib.PRIORITY_DEFAULT, delay, () => {
            cancellable.cancel();
            return GLib.SOURCE_REMOVE;
        });
        const error = await caught(
            () => pool.mapModuleAsync(WORK, 'loop', [1, 2], {cancellable}));
        ok(error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED), `${error}`);
        const before = await caught(() => pool.mapModule(WORK, 'loop', 2, {cancellable}));
        ok(before.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED), `${before}`);
    }
});

test('streams', async () => {
    let nMade = 0, n = 0;
    function* make() {
        for (;;)
            yield {number: nMade++};
    }
    for await (const [index, {number}] of pool.streamModule(WORK, 'give', make())) {
        equal(number, index);
        if (++n === 500)
            break;
    }
    ok(nMade >= 500 && nMade <= 500 + 4 * 128, `${nMade}`);
    n = 0;
    for await (const [index, value] of pool.streamModule(WORK, 'square', 300, {inOrder: true})) {
        equal([index, value], [n, n * n]);
        n++;
    }
    equal(n, 300);
});

test('where all else is serial', () => {
    Shm.set_debug(true);
    equal(pool.mapModule(WORK, 'countCalls', 4), [1, 2, 3, 4]);
    Shm.set_debug(false);
    const threads = new Shm.MapReduce({nWorkers: 2, backend: Shm.BackendType.THREAD});
    equal(threads.mapModule(WORK, 'square', 4), [0, 1, 4, 9]);
});

await run();
