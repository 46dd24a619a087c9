// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* One map in flight, as its caller sees it.
 *
 * A worker calls the work function once for each range that it claims, and packs the results; here
 * they are unpacked. Where the caller works itself they stay in _box, and a mark travels. Workers
 * that are programs get function and items by _shmModule.js, all others have inherited them.
 */

/* exported Run */

const {Gio, GObject} = imports.gi;
const Errors = imports.overrides._shmErrors;
const Transport = imports.overrides._shmTransport;
const {Stream} = imports.overrides._shmStream;
const {Work, getRandom} = imports.overrides._shmWork;

const OPTIONS = [
    'cancellable', 'chunkSize', 'inOrder', 'minLength', 'onError', 'ordered', 'progress', 'reduce',
    'retries', 'seed', 'timeout', 'window',
];
const COUNTS = ['chunkSize', 'minLength', 'retries', 'window'];
const WINDOW_PER_WORKER = 64;

const AsyncFunction = (async () => {}).constructor;

// A job whose last reference goes is cancelled.
const _running = new Set();

function _getPid() {
    return new Gio.Credentials().get_unix_pid();
}

function _checkOptions(options, names) {
    if (typeof options !== 'object' || options === null)
        throw new TypeError('options are an object, such as {reduce: …}');
    for (const name of Object.keys(options)) {
        if (!names.includes(name))
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
    if (options.cancellable && !(options.cancellable instanceof Gio.Cancellable))
        throw new TypeError('cancellable is a Gio.Cancellable');
    for (const name of ['reduce', 'progress']) {
        if (options[name] && typeof options[name] !== 'function')
            throw new TypeError(`${name} is a function`);
    }
}

function _isIndexable(items) {
    return Array.isArray(items) || (ArrayBuffer.isView(items) && !(items instanceof DataView));
}

/* What knows how many it holds is a collection, and what does not may be endless. */
function _hasLength(items) {
    return typeof items.length === 'number' || typeof items.size === 'number' ||
        items instanceof Gio.ListModel;
}

/** A call of map(), mapAsync() or stream(), of a function or, with `module`, of one in a module. */
var Run = class {
    constructor(Shm, pool, {func = null, module = null, items, options, isLazy = false}) {
        _checkOptions(options, module === null ? OPTIONS : [...OPTIONS, 'args']);
        this._Shm = Shm;
        this._pool = pool;
        this._module = module;
        this._options = options;
        this._reduce = options.reduce ?? null;
        this.onResult = null; // where results are not kept
        this._takeItems(items, isLazy);
        this._pid = _getPid();
        this._results = [];
        this._nTaken = 0;
        this._box = new Map(); // results that did not travel
        this._fed = new Map(); // items that need not travel
        this._caught = new Map(); // exceptions, by item, that did not travel
        this._stash = null; // thrown by what the caller was asked for
        this._cancellable = new Gio.Cancellable();
        // In a worker Math.random () draws what it does in all others.
        const seed = Math.abs(options.seed ??
            Math.floor((getRandom() ?? Math.random()) * Number.MAX_SAFE_INTEGER));
        const hasClock = options.timeout !== undefined || pool.get_item_timeout() > 0;
        if (module === null) {
            this._checkFunction(func);
            this._work = new Work({Shm, func, getItem: this._makeGetItem(), seed, hasClock});
        } else {
            module.prepare(this._items ?? this._nItems, {
                args: options.args ?? [], isFed: this._iterator !== null, seed, hasClock,
            });
        }
    }

    _checkFunction(func) {
        if (typeof func !== 'function')
            throw new TypeError('the work function is not a function');
        if (func instanceof AsyncFunction)
            throw new TypeError('the work function cannot be async: a worker has no main loop');
        if (this._pool.get_backend() === this._Shm.BackendType.THREAD)
            throw new Error('threads cannot run JavaScript: use processes, or work serially');
    }

    _takeItems(items, isLazy) {
        this._items = null;
        this._iterator = null;
        this._nItems = 0;
        if (typeof items === 'number') {
            if (!Number.isSafeInteger(items) || items < 0)
                throw new RangeError(`the number of items cannot be ${items}`);
            this._nItems = items;
        } else if (_isIndexable(items)) {
            this._items = items;
        } else if (typeof items?.[Symbol.iterator] !== 'function') {
            throw new TypeError('the items are an array, an iterable, or their number');
        } else if (isLazy && !_hasLength(items)) {
            this._iterator = items[Symbol.iterator]();
        } else {
            this._items = Array.from(items);
        }
        if (this._items !== null)
            this._nItems = this._items.length;
    }

    _makeGetItem() {
        const items = this._items;
        if (items !== null)
            return (_pool, index) => items[index];
        if (this._iterator !== null)
            return (pool, index) => this._getFed(pool, index);
        return null;
    }

    _getFed(pool, index) {
        if (!this._travels) {
            const item = this._fed.get(index);
            this._fed.delete(index);
            return item;
        }
        return Transport.unpack(pool.get_job().get_item(index))[0];
    }

    _workHere(pool, begin, end) {
        const results = [];
        try {
            for (let index = begin; index < end; index++) {
                pool.begin_item(index);
                results.push(this._work.call(pool, index) ?? null);
            }
        } catch (exception) {
            this._caught.set(begin + results.length, exception);
            Errors.fail(this._Shm, pool, exception);
        }
        if (results.length === 0)
            return null;
        this._box.set(begin, results);
        return Transport.newVariant(new Uint8Array(1));
    }

    /** Calls what an exception must not leave, since C calls it; the first one ends the run. */
    _guard(func) {
        if (this._stash !== null)
            return null;
        try {
            return func();
        } catch (exception) {
            this._stash = {exception};
            this._cancellable.cancel();
            return null;
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
            if (this.onResult)
                this.onResult(index + i, results[i]);
            else if (this._reduce)
                this._results[index + i] = this._reduce(results[i], index + i) ?? null;
            else
                this._results[index + i] = results[i];
        }
    }

    _feed(index) {
        const {value, done} = this._iterator.next();
        if (done) {
            this._iterator = null;
            return null;
        }
        if (!this._travels) {
            this._fed.set(index, value);
            return Transport.newVariant(new Uint8Array(1));
        }
        try {
            return Transport.packOne(value);
        } catch (exception) {
            exception.message = `item ${index}: ${exception.message}`;
            throw exception;
        }
    }

    /** The items that the job may be ahead of who takes their results. */
    getWindow() {
        return this._options.window || this._pool.count_workers() * WINDOW_PER_WORKER;
    }

    _makeJob() {
        const {Output} = this._Shm;
        const {inOrder, ordered, progress, window} = this._options;
        const job = this._Shm.Job.new(this._pool, this._nItems);
        if (this._module === null) {
            job.set_range_func((pool, begin, end) => _getPid() === this._pid
                ? this._work.enter(pool, () => this._workHere(pool, begin, end))
                : this._work.work(pool, begin, end));
        } else {
            this._module.open(job);
        }
        if (this._iterator !== null)
            job.set_feed_func((_job, index) => this._guard(() => this._feed(index)));
        job.set_result_func((_job, index, variant) => {
            this._guard(() => this._takeResults(index, variant));
            return true;
        });
        const isInOrder = inOrder || ordered || (this._reduce && this._pool.deterministic);
        job.set_output(isInOrder ? Output.STREAM_IN_ORDER : Output.STREAM);
        job.set_window(this.onResult ? this.getWindow() : window ?? 0);
        if (progress) {
            let nShown = -1;
            job.connect('notify::n-done', () => {
                const nDone = job.get_n_done();
                if (nDone !== nShown)
                    this._guard(() => progress(nDone, job.get_n_items()));
                nShown = nDone;
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
        const {BackendType} = this._Shm;
        this._travels = this._module !== null || (
            this._pool.get_backend() === BackendType.PROCESS && !this._Shm.get_debug() &&
            (this._pool.nested || !Work.isActive()));
        this._results = this.onResult ? [] : new Array(this._nItems).fill(null);
        this._job = this._makeJob();
        const {cancellable} = this._options;
        if (cancellable) {
            this._handler = cancellable.connect(() => this._cancellable.cancel());
            if (this._handler === 0)
                this._cancellable.cancel();
        }
    }

    _close() {
        if (this._handler)
            GObject.signal_handler_disconnect(this._options.cancellable, this._handler);
        this._module?.close();
        this._iterator?.return?.();
    }

    /** Throws what went wrong, or puts it into the places of the items. */
    _end(error) {
        this._close();
        if (this._stash !== null)
            throw this._stash.exception;
        const collects = this._options.onError === 'collect';
        const failures = this._job.get_failures() ?? [];
        if (error !== null)
            throw failures.length > 0 && !collects ? this._restore(failures[0], error) : error;
        // Each item has a result, null if need be; gjs has kept back a call otherwise.
        const nItems = this._job.get_n_items();
        if (this._nTaken + failures.length !== nItems)
            throw new Error(`of ${nItems} items ${this._nTaken} have results`);
        for (const failure of failures) {
            const exception = this._restore(failure, null);
            if (this.onResult)
                this.onResult(failure.get_index(), exception);
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

    /** An asynchronous iterator of [index, result]. */
    stream() {
        return new Stream(this, this.getWindow());
    }

    setPaused(isPaused) {
        this._job.set_paused(isPaused);
    }

    cancel() {
        this._cancellable.cancel();
    }
};
