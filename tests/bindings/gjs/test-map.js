// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Shm from 'gi://Shm?version=1.0';
import System from 'system';

import {caught, equal, ok, run, test} from './tap.js';

const pool = new Shm.MapReduce({nWorkers: 2});

test('values arrive as they are', () => {
    const values = [
        0, -0, 1.5, NaN, -Infinity, 2 ** 53, '', 'é\u0000\ud800', true, false, null, undefined,
        [], [1, ['a', null]], {}, {a: {b: [1, NaN]}}, {'\u0000': [1n]}, 10n ** 30n, -5n,
    ];
    const arrived = pool.map(value => value, values);
    for (const [i, value] of values.entries())
        equal(arrived[i], value === undefined ? null : value);
    ok(Object.is(arrived[1], -0) && Object.is(arrived[3], NaN) && arrived[4] === -Infinity);
    ok(arrived[15].a.b[1] !== null && arrived[17] === 10n ** 30n);
    equal(Object.keys(arrived[16]), ['\u0000']);
});

test('objects of the language travel', () => {
    const [bytes, doubles, big, buffer, date, map, set] = pool.map(value => value, [
        new Uint8Array([1, 2, 3]).subarray(1), new Float64Array([0.5, -1]),
        new BigInt64Array([-1n]), new ArrayBuffer(3), new Date(86400000),
        new Map([['a', new Set([1n])]]), new Set(['x', new Uint16Array([7])]),
    ]);
    ok(bytes instanceof Uint8Array && bytes.length === 2 && bytes[1] === 3);
    ok(doubles instanceof Float64Array && doubles[1] === -1);
    ok(big[0] === -1n && buffer instanceof ArrayBuffer && buffer.byteLength === 3);
    equal(date.getTime(), 86400000);
    ok(map.get('a').has(1n) && set.has('x') && [...set][1][0] === 7);
});

test('maps travel in their order, whatever is in them', () => {
    const maps = [
        new Map(), new Map([['b', 1], ['a', 2], ['\u0000', [3]], ['', {x: null}]]),
        new Map([[NaN, -0], [null, Infinity]]), new Map([[{a: [1]}, new Map([[1, 2]])], ['c', 5n]]),
    ];
    const arrived = pool.map(i => maps[i], maps.length);
    equal(arrived.map(map => map.size), [0, 4, 2, 2]);
    equal([...arrived[1]], [...maps[1]]);
    ok(Object.is(arrived[2].get(NaN), -0) && arrived[2].get(null) === Infinity);
    const [[key, inner], last] = [...arrived[3]];
    ok(key.a[0] === 1 && inner.get(1) === 2 && last[1] === 5n);
    ok(pool.map(() => new Map([['a', undefined]]), 1)[0].get('a') === null);
});

test('large results', () => {
    const results = pool.map(i => new Uint8Array(3000000).fill(i), 6);
    ok(results.every((bytes, i) => bytes.length === 3000000 && bytes[2999999] === i));
    const texts = pool.map(i => 'ab'.repeat(500000) + i, 4);
    ok(texts.every((text, i) => text.length === 1000001 && text.endsWith(`${i}`)));
});

test('items', () => {
    equal(pool.map((x, i) => [x, i], 3), [[0, 0], [1, 1], [2, 2]]);
    equal(pool.map(x => x * 2, new Uint16Array([4, 5])), [8, 10]);
    equal(pool.map(([k, v]) => k + v, new Map([['a', 1]])), ['a1']);
    equal(pool.map(x => x, 0), []);
    const many = pool.map(i => i / 2, 200000);
    ok(many.length === 200000 && many.every((value, i) => value === i / 2));
    equal(pool.map(() => undefined, 1000).filter(value => value !== null), []);
});

test('exceptions', async () => {
    const error = await caught(() => pool.map(function thrower(i) {
        if (i === 5)
            throw new RangeError('too far', {cause: new TypeError('inner')});
    }, 10));
    ok(error instanceof RangeError && error.cause instanceof TypeError);
    equal([error.message, error.index], ['too far', 5]);
    ok(error.rank === 0 || error.rank === 1);
    ok(error.stack.includes('thrower@') && !error.stack.includes('_shmRun'));

    class OwnError extends Error {
        name = 'OwnError';
        detail = {a: 1n};
    }
    const own = await caught(() => pool.map(() => {
        throw new OwnError('mine');
    }, 1));
    equal([own.name, own.message, own.detail], ['OwnError', 'mine', {a: 1n}]);

    const glib = await caught(() => pool.map(() => {
        throw new GLib.Error(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND, 'gone');
    }, 1));
    ok(glib.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND));
    equal([glib.message, glib.index], ['gone', 0]);

    const text = await caught(() => pool.map(() => {
        throw 'only text'; // eslint-disable-line no-throw-literal
    }, 1));
    equal(text.message, 'only text');
});

test('what cannot travel names its item', async () => {
    const cyclic = {};
    cyclic.self = [cyclic];
    class Own {}
    const bad = [
        () => 1, Symbol('x'), {a: [() => 1]}, cyclic, new Own(), new Gio.Cancellable(),
        new WeakMap(),
    ];
    for (const value of bad) {
        const error = await caught(() => pool.map(i => i === 3 ? value : i, 5));
        ok(error instanceof TypeError, `${error}`);
        ok(error.index === 3 && error.message.includes('item 3'), `${error}`);
    }
    const promise = await caught(() => pool.map(i => Promise.resolve(i), 2));
    ok(promise.message.includes('Promise'));
    ok((await caught(() => pool.map(async i => i, 2))) instanceof TypeError);
    equal(pool.map(value => [value, value], [{a: 1}]), [[{a: 1}, {a: 1}]]);
});

test('deaths', async () => {
    const killed = await caught(() => pool.map(i => {
        if (i === 2)
            GLib.spawn_command_line_sync(`kill -9 ${new Gio.Credentials().get_unix_pid()}`);
        return i;
    }, 4));
    ok(killed.matches(Shm.Error, Shm.Error.WORKER_SIGNAL), `${killed}`);
    equal(killed.index, 2);
    const exited = await caught(() => pool.map(() => System.exit(3), 1));
    ok(exited.matches(Shm.Error, Shm.Error.WORKER_EXIT), `${exited}`);
    ok(exited.message.includes('3'));
    const slow = await caught(() => pool.map(() => {
        while (true)
            ;
    }, 1, {timeout: 0.2}));
    ok(slow.matches(Shm.Error, Shm.Error.WORKER_TIMEOUT), `${slow}`);
});

test('collected failures', () => {
    const results = pool.map(i => {
        if (i % 3 === 1)
            throw new Error(`no ${i}`);
        return i;
    }, 7, {onError: 'collect'});
    equal(results.map(r => r instanceof Error ? r.message : r), [0, 'no 1', 2, 3, 'no 4', 5, 6]);
});

test('tried again', () => {
    const died = Shm.array('i4', 1);
    const die = i => {
        if (i === 3 && died.get(0) < 2) {
            died.set(0, died.get(0) + 1);
            System.exit(5);
        }
        return i;
    };
    equal(pool.map(die, 6, {retries: 2}), [0, 1, 2, 3, 4, 5]);
    died.set(0, 0);
    const results = pool.map(die, 6, {onError: 'collect'});
    ok(results[3].matches(Shm.Error, Shm.Error.WORKER_EXIT) && results[3].index === 3);
    equal(results.filter((_result, i) => i !== 3), [0, 1, 2, 4, 5]);
    died.close();
});

test('workers of workers', () => {
    const outer = new Shm.MapReduce({nWorkers: 2, nested: true});
    equal(outer.map(i => outer.map(j => 10 * i + j, 3), 2), [[0, 1, 2], [10, 11, 12]]);
    const inner = new Shm.MapReduce({backend: Shm.BackendType.SERIAL});
    const numbers = pool.map(() => inner.map(() => inner.random(), 2), 4).flat();
    equal(new Set(numbers).size, 8);
});

/* Between two slices of a sweep gjs would call nothing. */
test('with garbage', () => {
    let kept = [];
    for (let i = 0; i < 30; i++) {
        for (let j = 0; j < 30000; j++) {
            kept.push({j, text: `x${j}`, inner: [j, {}]});
            if (kept.length > 50000)
                kept = kept.slice(40000);
        }
        ok(pool.map(index => index + Array.from({length: 3000}, (_none, n) => ({n})).length, 40)
            .every((value, index) => value === index + 3000));
    }
});

test('reduce', async () => {
    let sum = 0;
    equal(pool.map(i => i, 100, {reduce: value => {
        sum += value;
    }}).length, 100);
    equal(sum, 4950);
    const order = [];
    const squares = pool.map(i => i * i, 300, {ordered: true, reduce: (value, i) => {
        order.push(i);
        return -value;
    }});
    ok(order.length === 300 && order.every((index, i) => index === i) && squares[7] === -49);
    const error = await caught(() => pool.map(i => i, 10, {reduce() {
        throw new SyntaxError('in reduce');
    }}));
    ok(error instanceof SyntaxError);
});

test('progress tells each number once', () => {
    const seen = [];
    pool.map(() => GLib.usleep(200000), 2, {progress: n => seen.push(n)});
    equal(seen, [...new Set(seen)].sort());
    ok(seen.at(-1) === 2);
});

test('async, beside a main loop', async () => {
    const ticks = Shm.array('i4', 1);
    const source = GLib.timeout_add(GLib.PRIORITY_DEFAULT, 1, () => {
        ticks.set(0, ticks.get(0) + 1);
        return GLib.SOURCE_CONTINUE;
    });
    let seen = 0;
    const results = await pool.mapAsync(i => {
        while (ticks.get(0) <= 3)
            GLib.usleep(1000);
        return i;
    }, 10, {progress: n => {
        seen = n;
    }});
    GLib.source_remove(source);
    equal(results, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    ok(ticks.get(0) > 3 && seen === 10);
    ticks.close();
    const other = new Shm.MapReduce();
    equal(await Promise.all([pool.mapAsync(i => i, 2), other.mapAsync(i => -i - 1, 2)]),
        [[0, 1], [-1, -2]]);
    ok((await caught(() => pool.mapAsync(() => {
        throw new EvalError('later');
    }, 2))) instanceof EvalError);
});

test('cancelled', async () => {
    const cancellable = new Gio.Cancellable();
    GLib.timeout_add(GLib.PRIORITY_DEFAULT, 50, () => {
        cancellable.cancel();
        return GLib.SOURCE_REMOVE;
    });
    const endless = () => {
        while (true)
            ;
    };
    for (let i = 0; i < 2; i++) {
        const error = await caught(() => pool.mapAsync(endless, 2, {cancellable}));
        ok(error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED), `${error}`);
    }
});

test('streams', async () => {
    const seen = new Map();
    for await (const [index, value] of pool.stream(x => x ? `v${x}` : null, [0, 1, 2, 3]))
        seen.set(index, value);
    equal([0, 1, 2, 3].map(i => seen.get(i)), [null, 'v1', 'v2', 'v3']);
    const order = [];
    for await (const [index] of pool.stream(i => i, 500, {inOrder: true}))
        order.push(index);
    ok(order.length === 500 && order.every((index, i) => index === i));
    for await (const [index] of pool.stream(i => {
        GLib.usleep(1000);
        return i;
    }, 100000)) {
        if (index >= 0)
            break;
    }
    let n = 0;
    const error = await caught(async () => {
        for await (const _item of pool.stream(i => {
            if (i === 50)
                throw new RangeError('in the middle');
            return i;
        }, 51, {inOrder: true}))
            n++;
    });
    ok(error instanceof RangeError && n <= 50, `${error} ${n}`);
});

test('sections, ranks and random numbers', () => {
    const array = Shm.array('i4', [201]);
    pool.map(i => {
        pool.critical(() => array.set(200, array.get(200) + 1));
        pool.ordered(() => {
            const n = array.get(0) + 1;
            array.set(0, n);
            if (i > 0 && i < 200)
                array.set(i, n);
        });
        ok(pool.rank === 0 || pool.rank === 1);
    }, 200);
    equal([array.get(200), array.get(0), array.get(57)], [200, 200, 58]);
    equal(pool.rank, -1);
    array.close();

    const draw = (seed, nWorkers) => new Shm.MapReduce({nWorkers}).map(
        () => [pool.random(), pool.random()], 50, {seed});
    equal(draw(7, 1), draw(7, 3));
    const numbers = draw(7, 2).flat();
    ok(new Set(numbers).size === 100 && numbers.every(x => x >= 0 && x < 1));
    ok(draw(8, 2).flat().every(x => !numbers.includes(x)));
    ok(draw(undefined, 2)[0][0] !== draw(undefined, 2)[0][0]);
});

test('serially', async () => {
    const serial = new Shm.MapReduce({backend: Shm.BackendType.SERIAL});
    const func = () => 1;
    let n = 0;
    ok(serial.map(() => {
        n++;
        return func;
    }, 3).every(value => value === func) && n === 3);
    const thrown = new Error('the same one');
    ok(await caught(() => serial.map(() => {
        throw thrown;
    }, 2)) === thrown);
    n = 0;
    pool.map(() => n++, 3, {minLength: 10});
    ok(n === 3 && pool.min_length === 0);
    equal(pool.map(i => pool.map(j => i * 10 + j, 2), 2), [[0, 1], [10, 11]]);
});

test('wrong calls', async () => {
    for (const call of [
        () => pool.map(), () => pool.map(i => i, -1), () => pool.map(i => i, 1.5),
        () => pool.map(i => i, {}), () => pool.map(i => i, 1, {nonsense: 1}),
        () => pool.map(i => i, 1, {retries: -1}), () => pool.mapAsync('x', 1),
        () => pool.map(i => i, 1, null), () => pool.map(i => i, 1, () => 1),
        () => pool.map(i => i, 1, {cancellable: true}),
        () => new Shm.MapReduce({backend: Shm.BackendType.THREAD}).map(i => i, 2),
    ])
        ok((await caught(call)) instanceof Error);
    const outside = await caught(() => pool.critical(() => 1));
    ok(outside.matches(Shm.Error, Shm.Error.WRONG_STATE));
});

test('the API of GLib beside it', () => {
    const squares = pool.map_items(4, null, (_pool, i) => new GLib.Variant('t', i * i));
    equal(squares.map(square => square.deepUnpack()), [0, 1, 4, 9]);
    ok(Shm.gjs_prepare());
});

await run();
