// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* What a worker does, whether it was forked or started afresh: it calls the function for each item of
 * a range, and packs the results once.
 */

/* exported Work, getRandom, hasMemory */

const ByteArray = imports.byteArray;
const Errors = imports.overrides._shmErrors;
const Transport = imports.overrides._shmTransport;

const TWO_TO_32 = 0x100000000;
const LOW_WORD = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;

let _current = null; // the work in whose function we are

let _hasMemory = null;

/** Whether this version of gjs gives memory itself, and no copy: written to from C, it must show. */
function hasMemory(Shm) {
    if (_hasMemory === null) {
        const array = Shm.Array.new(Shm.Dtype.U1, [1]);
        const memory = ByteArray.fromGBytes(array.get_bytes());
        array.set_int64([0], 1);
        const isSeen = memory[0] === 1;
        memory[0] = 2;
        _hasMemory = isSeen && array.get_int64([0]) === 2;
        array.close();
    }
    return _hasMemory;
}

/** A generator of numbers from 0 up to 1: sfc32, of Chris Doty-Humphrey's PractRand. */
function _makeRandom(seed, index) {
    let a = seed >>> 0, b = Math.floor(seed / TWO_TO_32) >>> 0;
    let c = index >>> 0, counter = (Math.floor(index / TWO_TO_32) + 1) >>> 0;

    const next = () => {
        const result = (a + b + counter) >>> 0;
        counter = (counter + 1) >>> 0;
        a = (b ^ (b >>> 9)) >>> 0;
        b = (c + (c << 3)) >>> 0;
        c = (((c << 21) | (c >>> 11)) + result) >>> 0;
        return result;
    };

    for (let i = 0; i < 15; i++)
        next();
    return () => ((next() >>> 5) * 0x4000000 + (next() >>> 6)) / 0x20000000000000;
}

/** The next random number of the item in work; null where there is none. */
function getRandom() {
    return _current === null ? null : _current.draw();
}

/** A function and its items. */
var Work = class {
    /* `getItem(pool, index)`, or null where the index is the item; `args` follow item and index;
     * with `hasClock` the beginning of each item has to be told. */
    constructor({Shm, func, getItem = null, args = [], seed, hasClock = false}) {
        this._Shm = Shm;
        this._func = func;
        this._getItem = getItem;
        this._args = args.length > 0 ? args : null;
        this._seed = seed;
        this._hasClock = hasClock;
        this._index = 0;
        this._random = null;
        this._cursor = null;
        // gjs looks up the names of a file anew each time.
        this._lowWord = LOW_WORD;
    }

    static isActive() {
        return _current !== null;
    }

    draw() {
        this._random ??= _makeRandom(this._seed, this._index);
        return this._random();
    }

    call(pool, index) {
        this._index = index;
        this._random = null;
        const item = this._getItem === null ? index : this._getItem(pool, index);
        const result = this._args === null ? this._func.call(pool, item, index)
            : this._func.call(pool, item, index, ...this._args);
        if (typeof result === 'object' && result !== null && typeof result.then === 'function') {
            throw new TypeError(
                `item ${index}: the work function returned a Promise, and no worker waits`);
        }
        return result;
    }

    /* What tells that an item begins costs less where it can be written down. */
    _begin(pool, index) {
        if (this._cursor === null || index + 1 >= 0x100000000)
            pool.begin_item(index);
        else
            this._cursor[this._lowWord] = index + 1;
    }

    _findCursor(pool) {
        if (this._cursor !== null || this._hasClock || !hasMemory(this._Shm))
            return;
        const {buffer, byteOffset} = ByteArray.fromGBytes(pool.get_cursor());
        this._cursor = new Uint32Array(buffer, byteOffset, 2);
    }

    _add(encoder, result, index) {
        try {
            encoder.add(result);
        } catch (exception) {
            exception.message = `the result of item ${index}: ${exception.message}`;
            throw exception;
        }
    }

    _work(pool, begin, end) {
        const encoder = new Transport.Encoder();
        let index = begin;
        try {
            this._findCursor(pool);
            for (; index < end; index++) {
                this._begin(pool, index);
                this._add(encoder, this.call(pool, index), index);
            }
        } catch (exception) {
            Errors.fail(this._Shm, pool, exception);
        }
        return index === begin ? null : encoder.pack();
    }

    /** Calls a function within which this work is the one that is done; no exception may leave it,
     * since its class and stack would be lost. */
    enter(pool, func) {
        const outer = _current;
        _current = this;
        try {
            return func();
        } catch (exception) {
            Errors.fail(this._Shm, pool, exception);
            return null;
        } finally {
            _current = outer;
        }
    }

    /** Works on a range, in a process that is not the caller's; a variant for it, or null. */
    work(pool, begin, end) {
        return this.enter(pool, () => this._work(pool, begin, end));
    }
};
