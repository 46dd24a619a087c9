// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* One map in flight.
 *
 * A worker calls _work() once for each range that it claims; it loops over the items, and packs
 * their results once. In the caller _take() unpacks them. Where the caller works itself, they
 * stay in _box, and a mark travels.
 */

/* exported Run, getRandom */

const {Gio, GObject} = imports.gi;
const Errors = imports.overrides._shmErrors;
const Transport = imports.overrides._shmTransport;

const OPTIONS = [
    'cancellable', 'chunkSize', 'inOrder', 'minLength', 'onError', 'ordered', 'progress', 'reduce',
    'retries', 'seed', 'timeout', 'window',
];
const COUNTS = ['chunkSize', 'minLength', 'retries', 'window'];

const AsyncFunction = (async () => {}).constructor;
const TWO_TO_32 = 0x100000000;

// A job whose last reference goes is cancelled.
const _running = new Set();

let _current = null; // the run whose work function is called

function _getPid() {
    return new Gio.Credentials().get_unix_pid();
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
    if (_current === null)
        return null;
    _current.random ??= _makeRandom(_current.seed, _current.index);
    return _current.random();
}

function _checkOptions(options) {
    for (const name of Object.keys(options)) {
        if (!OPTIONS.includes(name))
            throw new TypeError(`there is no option ${name}`);
    }
    for (const name of COUNTS) {
        const value = options[name] ?? 0;
        if (!Number.isSafeInteger(value) || value < 0)
            throw new RangeError(`${name} is a whole number from 0 up, and not ${value}`);
    }
    if (!['raise', 'collect'].includes(options.onError ?? 'raise'))
        throw new TypeError("onError is 'raise' or 'collect'");
    if (options.timeout !== undefined && !(options.timeout > 0))
        throw new RangeError('timeout is a number of seconds above 0');
    if (options.seed !== undefined && !Number.isSafeInteger(options.seed))
        throw new TypeError('seed is a whole number');
    for (const name of ['reduce', 'progress']) {
        if (options[name] && typeof options[name] !== 'function')
            throw new TypeError(`${name} is a function`);
    }
}

function _toIndexable(items) {
    if (typeof items === 'number') {
        if (!Number.isSafeInteger(items) || items < 0)
            throw new RangeError(`the number of items cannot be ${items}`);
        return null;
    }
    if (Array.isArray(items) || (ArrayBuffer.isView(items) && !(items instanceof DataView)))
        return items;
    if (typeof items?.[Symbol.iterator] === 'function')
        return Array.from(items);
    throw new TypeError('the items are an array, an iterable, or their number');
}

/** A call of map(), mapAsync() or stream(). */
var Run = class {
    constructor(Shm, pool, func, items, options) {
        if (typeof func !== 'function')
            throw new TypeError('the work function is not a function');
        if (func instanceof AsyncFunction)
            throw new TypeError('the work function cannot be async: a worker has no main loop');
        _checkOptions(options);
        if (pool.get_backend() === Shm.BackendType.THREAD)
            throw new Error('threads cannot run JavaScript: use processes, or work serially');
        this._Shm = Shm;
        this._pool = pool;
        this._func = func;
        this._items = _toIndexable(items);
        this._nItems = this._items === null ? items : this._items.length;
        this._options = options;
        this._reduce = options.reduce ?? null;
        this._onResult = null; // where results are not kept
        this._pid = _getPid();
        this._results = [];
        this._nTaken = 0;
        this._box = new Map(); // results that did not travel
        this._caught = new Map(); // exceptions, by item, that did not travel
        this._stash = null; // thrown by what the caller was asked for
        this._cancellable = new Gio.Cancellable();
        // In a worker Math.random () draws what it does in all others.
        this.seed = Math.abs(options.seed ??
            Math.floor((getRandom() ?? Math.random()) * Number.MAX_SAFE_INTEGER));
        this.index = 0;
        this.random = null;
    }

    // In a worker.

    _call(pool, index) {
        pool.begin_item(index);
        this.index = index;
        this.random = null;
        const result = this._func(this._items === null ? index : this._items[index], index);
        if (Transport.isThenable(result)) {
            throw new TypeError(
                `item ${index}: the work function returned a Promise, and no worker waits`);
        }
        return result;
    }

    _workHere(pool, begin, end) {
        const results = [];
        try {
            for (let index = begin; index < end; index++)
                results.push(this._call(pool, index) ?? null);
        } catch (exception) {
            this._caught.set(begin + results.length, exception);
            Errors.fail(this._Shm, pool, exception);
        }
        if (results.length === 0)
            return null;
        this._box.set(begin, results);
        return Transport.newVariant(new Uint8Array(1));
    }

    _add(encoder, result, index) {
        try {
            encoder.add(result);
        } catch (exception) {
            exception.message = `the result of item ${index}: ${exception.message}`;
            throw exception;
        }
    }

    _workAway(pool, begin, end) {
        const encoder = new Transport.Encoder();
        let index = begin;
        try {
            for (; index < end; index++)
                this._add(encoder, this._call(pool, index), index);
        } catch (exception) {
            Errors.fail(this._Shm, pool, exception);
        }
        return index === begin ? null : encoder.pack();
    }

    /* No exception may leave it: its class and stack would be lost. */
    _work(pool, begin, end) {
        const outer = _current;
        _current = this;
        try {
            return _getPid() === this._pid ? this._workHere(pool, begin, end)
                : this._workAway(pool, begin, end);
        } catch (exception) {
            Errors.fail(this._Shm, pool, exception);
            return null;
        } finally {
            _current = outer;
        }
    }

    // In the caller.

    /** Calls what an exception must not leave, since C calls it; the first one ends the run. */
    _guard(func) {
        if (this._stash !== null)
            return;
        try {
            func();
        } catch (exception) {
            this._stash = {exception};
            this._cancellable.cancel();
        }
    }

    _takeResults(index, variant) {
        let results = this._box.get(index);
        if (results)
            this._box.delete(index);
        else
            results = Transport.unpack(variant);
        this._nTaken += results.length;
        for (let i = 0; i < results.length; i++) {
            if (this._onResult)
                this._onResult(index + i, results[i]);
            else if (this._reduce)
                this._results[index + i] = this._reduce(results[i], index + i) ?? null;
            else
                this._results[index + i] = results[i];
        }
    }

    _makeJob() {
        const {Output} = this._Shm;
        const {inOrder, ordered, progress, window} = this._options;
        const job = this._Shm.Job.new(this._pool, this._nItems);
        job.set_range_func((pool, begin, end) => this._work(pool, begin, end));
        job.set_result_func((_job, index, variant) => {
            this._guard(() => this._takeResults(index, variant));
            return true;
        });
        const isInOrder = inOrder || ordered || (this._reduce && this._pool.deterministic);
        job.set_output(isInOrder ? Output.STREAM_IN_ORDER : Output.STREAM);
        job.set_window(window ?? 0);
        if (progress) {
            job.connect('notify::n-done', () => {
                this._guard(() => progress(job.get_n_done(), this._nItems));
            });
        }
        return job;
    }

    /** Calls a function while the pool has the properties that this run wants otherwise. */
    _withSettings(func) {
        const {chunkSize, minLength, onError, retries, timeout} = this._options;
        const wanted = {
            chunk_size: chunkSize,
            min_length: minLength,
            max_retries: retries,
            item_timeout: timeout && Math.max(1, Math.round(timeout * 1000)),
            failure_policy: onError === 'collect' ? this._Shm.FailurePolicy.COLLECT : 0,
        };
        const old = {};
        for (const [name, value] of Object.entries(wanted)) {
            if (value) {
                old[name] = this._pool[name];
                this._pool[name] = value;
            }
        }
        try {
            return func();
        } finally {
            Object.assign(this._pool, old);
        }
    }

    _start() {
        this._results = this._onResult ? [] : new Array(this._nItems).fill(null);
        this._job = this._makeJob();
        const {cancellable} = this._options;
        if (cancellable) {
            this._handler = cancellable.connect(() => this._cancellable.cancel());
            if (this._handler === 0)
                this._cancellable.cancel();
        }
    }

    /** Throws what went wrong, or puts it into the places of the items. */
    _end(error) {
        if (this._handler)
            GObject.signal_handler_disconnect(this._options.cancellable, this._handler);
        if (this._stash !== null)
            throw this._stash.exception;
        const collects = this._options.onError === 'collect';
        const failures = this._job.get_failures() ?? [];
        if (error !== null)
            throw failures.length > 0 && !collects ? this._restore(failures[0], error) : error;
        // Each item has a result, null if need be; gjs has kept back a call otherwise.
        if (this._nTaken + failures.length !== this._nItems)
            throw new Error(`of ${this._nItems} items ${this._nTaken} have results`);
        for (const failure of failures) {
            const exception = this._restore(failure, null);
            if (this._onResult)
                this._onResult(failure.get_index(), exception);
            else
                this._results[failure.get_index()] = exception;
        }
        return this._results;
    }

    _restore(failure, error) {
        const isError = failure.get_kind() === this._Shm.FailureKind.ERROR;
        const known = failure.has_index() ? this._caught.get(failure.get_index()) : undefined;
        // The error of a death says more in the job's own words.
        return Errors.restore(this._Shm, failure, known ?? (isError ? undefined : error));
    }

    /** Runs to the end, and blocks; the results. */
    run() {
        let error = null;
        this._start();
        this._withSettings(() => {
            try {
                this._job.run(this._cancellable);
            } catch (exception) {
                error = exception;
            }
        });
        return this._end(error);
    }

    /** A promise of the results. */
    runAsync() {
        return new Promise((resolve, reject) => {
            this._start();
            _running.add(this);
            this._withSettings(() => this._job.run_async(this._cancellable, (job, result) => {
                let error = null;
                _running.delete(this);
                try {
                    job.run_finish(result);
                } catch (exception) {
                    error = exception;
                }
                try {
                    resolve(this._end(error));
                } catch (exception) {
                    reject(exception);
                }
            }));
        });
    }

    /** An iterator of [index, result], as they come. */
    async *stream() {
        const ready = [];
        let wake = () => {};
        let hasEnded = false;
        this._onResult = (index, result) => {
            ready.push([index, result]);
            wake();
        };
        const end = this.runAsync().finally(() => {
            hasEnded = true;
            wake();
        });
        end.catch(() => {}); // it is asked for below
        try {
            while (true) {
                while (ready.length > 0)
                    yield ready.shift();
                if (hasEnded)
                    break;
                await new Promise(resolve => {
                    wake = resolve;
                });
            }
            await end;
        } finally {
            if (!hasEnded) {
                this._cancellable.cancel();
                await end.catch(() => {});
            }
        }
    }
};
