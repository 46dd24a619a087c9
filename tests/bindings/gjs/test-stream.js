// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* Results one by one, to who may be slow; items from who may never end. */

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Shm from 'gi://Shm?version=1.0';

import {caught, equal, ok, run, test} from './tap.js';

const pool = new Shm.MapReduce({nWorkers: 2});
const serial = new Shm.MapReduce({backend: Shm.BackendType.SERIAL});

const wait = milliseconds => new Promise(resolve => {
    GLib.timeout_add(GLib.PRIORITY_DEFAULT, milliseconds, () => {
        resolve();
        return GLib.SOURCE_REMOVE;
    });
});

/** The results of a stream in their places. */
async function gather(stream) {
    const results = [];
    for await (const [index, value] of stream) {
        ok(!(index in results));
        results[index] = value;
    }
    return results;
}

test('who is slow stops the workers', async () => {
    for (const [options, who] of [[{}, pool], [{inOrder: true}, pool], [{}, serial]]) {
        const begun = Shm.array('i8', 1);
        const stream = who.stream(i => {
            begun.add_int64([0], 1);
            return i;
        }, 100000, {window: 50, ...options});
        let n = 0;
        for (const pause of [50, 50, 50]) {
            for (let i = 0; i < 10; i++, n++)
                ok(!(await stream.next()).done);
            await wait(pause);
            ok(begun.get(0) <= n + 2 * 50 + 4, `${begun.get(0)} of ${n}`);
        }
        await stream.return();
        begun.close();
    }
});

test('nobody misses anything', async () => {
    for (const who of [pool, serial]) {
        for (const [n, options] of [
            [3000, {}], [100, {window: 1}], [500, {window: 7, inOrder: true}],
            [2000, {chunkSize: 100}],
        ]) {
            const expected = Array.from({length: n}, (_none, i) => i * 2);
            equal(await gather(who.stream(i => i * 2, n, options)), expected);
            equal(await gather(who.stream(i => i * 2, new Set(expected.keys()), options)), expected);
        }
    }
});

test('endless items', async () => {
    for (const [options, who] of [[{}, pool], [{inOrder: true}, pool], [{}, serial]]) {
        let nMade = 0, isClosed = false;
        const endless = {* [Symbol.iterator]() {
            try {
                for (;;)
                    yield {i: nMade++};
            } finally {
                isClosed = true;
            }
        }};
        let n = 0;
        for await (const [index, value] of who.stream(({i}) => `v${i}`, endless,
            {window: 20, ...options})) {
            equal(value, `v${index}`);
            ok(nMade <= n + 1 + 2 * 20 + 4, `${nMade} of ${n}`);
            if (++n === 300)
                break;
        }
        ok(isClosed);
    }
});

test('items that end', async () => {
    for (const who of [pool, serial]) {
        function* make() {
            for (let i = 0; i < 1000; i++)
                yield i;
        }
        equal(await gather(who.stream(i => -i - 1, make())),
            Array.from({length: 1000}, (_none, i) => -i - 1));
        equal(await gather(who.stream(i => i, [].values())), []);
    }
    const func = () => 1;
    equal(await gather(serial.stream(f => f(), [func, func].values())), [1, 1]);
    const list = new Gio.ListStore({item_type: Gio.SimpleAction});
    list.append(new Gio.SimpleAction({name: 'a'}));
    equal(await gather(pool.stream(action => action.name, list)), ['a']);
});

test('items that fail', async () => {
    function* broken() {
        yield 1;
        throw new EvalError('no more');
    }
    for (const who of [pool, serial]) {
        const error = await caught(() => gather(who.stream(i => i, broken())));
        ok(error instanceof EvalError && error.message === 'no more', `${error}`);
    }
    const error = await caught(() => gather(pool.stream(i => i, [1, () => 2].values())));
    ok(error instanceof TypeError && error.message.includes('item 1'), `${error}`);
    const died = await caught(() => gather(pool.stream(
        () => imports.system.exit(3), [1].values())));
    ok(died.matches(Shm.Error, Shm.Error.WORKER_EXIT) && died.index === 0, `${died}`);
    const collected = await gather(pool.stream(i => {
        if (i % 2)
            throw new Error(`no ${i}`);
        return i;
    }, [0, 1, 2, 3].values(), {onError: 'collect'}));
    equal(collected.map(r => r instanceof Error ? r.message : r), [0, 'no 1', 2, 'no 3']);
});

test('the protocol', async () => {
    const stream = pool.stream(i => i, 4, {inOrder: true});
    const all = await Promise.all([0, 1, 2, 3, 4, 5].map(() => stream.next()));
    equal(all.map(({value, done}) => done ? null : value[1]), [0, 1, 2, 3, null, null]);
    equal(await stream.return('x'), {value: 'x', done: true});

    const failing = pool.stream(() => {
        throw new RangeError('once');
    }, 1);
    ok((await caught(() => failing.next())) instanceof RangeError);
    equal((await failing.next()).done, true);

    const unused = pool.stream(i => i, 3);
    equal(await unused.return(), {value: undefined, done: true});
    equal((await unused.next()).done, true);

    const twice = pool.stream(i => i, 3);
    await twice.next();
    await Promise.all([twice.return(), twice.return()]);
    equal((await twice.next()).done, true);
});

test('cancelled while it is paused', async () => {
    const cancellable = new Gio.Cancellable();
    const stream = pool.stream(i => i, 100000, {window: 10, cancellable});
    await stream.next();
    await wait(30);
    cancellable.cancel();
    const error = await caught(() => gather(stream));
    ok(error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED), `${error}`);
});

test('two at once, one through the other', async () => {
    const [a, b] = [pool.stream(i => i, 200, {inOrder: true, window: 8}),
        new Shm.MapReduce({nWorkers: 1}).stream(i => -i, 200, {inOrder: true, window: 8})];
    for (let i = 0; i < 200; i++)
        equal([(await a.next()).value, (await b.next()).value], [[i, i], [i, -i]]);
    ok((await a.next()).done && (await b.next()).done);
});

await run();
