// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* shmem-glib for JavaScript: what the library is in every language is there under its own name, and
 * beside it what makes it native: map(), mapAsync() and stream() of Shm.MapReduce, and typed
 * arrays.
 */

/* exported _init */

const System = imports.system;
const {GLib} = imports.gi;

const ByteArray = imports.byteArray;
const Modules = imports.overrides._shmModule;
const {Run} = imports.overrides._shmRun;
const {isThenable} = imports.overrides._shmTransport;
const {getRandom, hasMemory} = imports.overrides._shmWork;

let Shm;

function _section(func, enter, leave) {
    enter();
    try {
        const result = func();
        if (isThenable(result))
            throw new TypeError('a section cannot wait for a Promise');
        return result;
    } finally {
        leave();
    }
}

function _newRun(pool, call) {
    if (Modules.isImporting) {
        throw new Error('a worker of a module cannot start workers while it imports the module: ' +
            'what a program does itself and what its workers import belong into two files');
    }
    return new Run(Shm, pool, call);
}

function _runAsync(pool, makeCall) {
    try {
        return _newRun(pool, makeCall()).runAsync();
    } catch (error) {
        return Promise.reject(error);
    }
}

function _extendPool() {
    const {prototype} = Shm.MapReduce;

    // The library's own map(), under the name that it has in C.
    prototype.map_items = prototype.map;

    Object.assign(prototype, {
        /* Calls func(item, index) for each item in the workers, and waits; the results in the order
         * of the items. */
        map(func, items, options = {}) {
            return _newRun(this, {func, items, options}).run();
        },

        /* A promise of the same; the main loop goes on meanwhile. */
        mapAsync(func, items, options = {}) {
            return _runAsync(this, () => ({func, items, options}));
        },

        /* An asynchronous iterator of [index, result], as the results come; what makes items may be
         * endless, and is asked for no more than are needed soon. */
        stream(func, items, options = {}) {
            return _newRun(this, {func, items, options, isLazy: true}).stream();
        },

        /* The same three with workers that are fresh processes of gjs, and call the function that a
         * module exports under a name. */
        mapModule(uri, name, items, options = {}) {
            return _newRun(this, {module: new Modules.Module(Shm, uri, name), items, options}).run();
        },

        mapModuleAsync(uri, name, items, options = {}) {
            return _runAsync(
                this, () => ({module: new Modules.Module(Shm, uri, name), items, options}));
        },

        streamModule(uri, name, items, options = {}) {
            const module = new Modules.Module(Shm, uri, name);
            return _newRun(this, {module, items, options, isLazy: true}).stream();
        },

        /* Calls a function in the critical section, in which there is one worker at a time. */
        critical(func) {
            return _section(func, () => this.critical_enter(), () => this.critical_leave());
        },

        /* Calls a function in the ordered section, which the items enter in their order. */
        ordered(func) {
            return _section(func, () => this.ordered_enter(), () => this.ordered_leave());
        },

        /* A random number from 0 up to 1, that follows from the seed of the map and the item. */
        random() {
            return getRandom() ?? Math.random();
        },
    });
    Object.defineProperty(prototype, 'rank', {
        get() {
            return this.get_rank();
        },
        configurable: true,
    });
}

function _getArrayType(dtype) {
    const {Dtype} = Shm;

    switch (dtype) {
    case Dtype.I1:
        return Int8Array;
    case Dtype.I2:
        return Int16Array;
    case Dtype.U2:
        return Uint16Array;
    case Dtype.I4:
        return Int32Array;
    case Dtype.U4:
        return Uint32Array;
    case Dtype.I8:
        return BigInt64Array;
    case Dtype.U8:
        return BigUint64Array;
    case Dtype.F4:
    case Dtype.C8:
        return Float32Array;
    case Dtype.F8:
    case Dtype.C16:
        return Float64Array;
    default:
        return Uint8Array;
    }
}

/** All the memory of an array, which must have some. */
function _getMemory(array) {
    return ByteArray.fromGBytes(array.get_bytes());
}

/* The collector sees only its own heap, in which an array of any size is some bytes. So it is told
 * to run when arrays of so many bytes have been made since it was told last, or one cannot be. It
 * takes milliseconds, less than it takes to fill that memory.
 */
const PRESSURE = 256 * 2 ** 20;
const _counted = new WeakSet();
let _pressure = 0;

function _collect() {
    _pressure = 0;
    System.gc();
}

/** The function, which returns a new array, with an eye on the memory that it takes. */
function _counting(func) {
    return function (...args) {
        let array;
        if (_pressure >= PRESSURE)
            _collect();
        try {
            array = func.apply(this, args);
        } catch (error) {
            if (!(error instanceof GLib.Error && error.matches(Shm.Error, Shm.Error.NO_MEMORY)))
                throw error;
            _collect();
            array = func.apply(this, args);
        }
        _pressure += array.get_n_bytes();
        _counted.add(array);
        return array;
    };
}

/** An index or a shape: whole numbers, of which gjs would make others without a word. */
function _checkWhole(numbers, what) {
    for (const number of numbers) {
        if (!Number.isSafeInteger(number) || number < 0)
            throw new RangeError(`${what} is of whole numbers from 0 up, and not of ${number}`);
    }
}

function _toVariant(value) {
    if (value instanceof GLib.Variant)
        return value;
    switch (typeof value) {
    case 'bigint':
        return GLib.Variant.parse(
            null, `${value < 0n ? 'int64' : 'uint64'} ${value}`, null, null);
    case 'boolean':
        return GLib.Variant.new_boolean(value);
    case 'number':
        return GLib.Variant.new_double(value);
    default:
        throw new TypeError(`an item is a number, a BigInt or a truth value, and not ${value}`);
    }
}

function _extendArray() {
    const {prototype} = Shm.Array;
    const {close, fill} = prototype;

    for (const name of ['new', 'new_full', 'new_like', 'new_filled', 'new_copy', 'new_copy_full',
        'new_from_data', 'new_from_bytes', 'new_from_variant'])
        Shm.Array[name] = _counting(Shm.Array[name]);
    for (const name of ['argsort', 'searchsorted'])
        Shm.MapReduce.prototype[name] = _counting(Shm.MapReduce.prototype[name]);

    Object.assign(prototype, {
        /* The item at an index of as many numbers as there are axes. */
        get(...index) {
            _checkWhole(index, 'an index');
            switch (this.get_dtype()) {
            case Shm.Dtype.I8:
            case Shm.Dtype.U8:
                return BigInt(this.get_value(index).print(false));
            case Shm.Dtype.BOOL:
                return this.get_int64(index) !== 0;
            case Shm.Dtype.C8:
            case Shm.Dtype.C16:
            case Shm.Dtype.RECORD:
                return this.get_value(index).deepUnpack();
            default:
                return this.get_double(index);
            }
        },

        /* Sets the item at the index to the last argument. */
        set(...args) {
            const value = args.pop();
            _checkWhole(args, 'an index');
            if (typeof value === 'number')
                this.set_double(args, value);
            else
                this.set_value(args, _toVariant(value));
        },

        /* Sets all items. */
        fill(value) {
            fill.call(this, _toVariant(value));
        },

        /* All items, one by one, the last axis fastest. */
        * [Symbol.iterator]() {
            const shape = this.get_shape();
            const index = shape.map(() => 0);
            for (let n = this.get_n_elements(); n > 0; n--) {
                yield this.get(...index);
                for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--)
                    index[axis] = 0;
            }
        },

        toString() {
            return this.to_string();
        },

        /* A copy of bytes. */
        read(offset, nBytes) {
            const bytes = this.read_bytes(offset, nBytes);
            return nBytes > 0 ? ByteArray.fromGBytes(bytes) : new Uint8Array(0);
        },

        /* Writes the bytes of a typed array. */
        write(offset, data) {
            if (!ArrayBuffer.isView(data))
                throw new TypeError('what is written is a typed array');
            this.write_bytes(offset, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
        },

        /* All items, in a typed array: the memory itself where `aliases` says so, else a copy. */
        toTypedArray() {
            const Type = _getArrayType(this.get_dtype());
            if (this.get_n_bytes() === 0)
                return new Type(0);
            const memory = _getMemory(this);
            this._wasGiven = true;
            return new Type(memory.buffer, memory.byteOffset,
                memory.byteLength / Type.BYTES_PER_ELEMENT);
        },

        /* Lets go of the memory; typed arrays of it that are still used keep it. */
        close() {
            close.call(this);
            if (_counted.delete(this))
                _pressure = Math.max(0, _pressure - this.get_n_bytes());
            if (this._wasGiven) {
                this._wasGiven = false;
                System.gc();
            }
        },
    });
    for (const [name, get] of Object.entries({
        aliases() {
            return hasMemory(Shm);
        },
        length() {
            return this.get_n_elements();
        },
        shape() {
            return this.get_shape();
        },
    }))
        Object.defineProperty(prototype, name, {get, configurable: true});
}

/** A new array of zeros, or a copy of a typed array. */
function _newArray(type, ...args) {
    const given = ArrayBuffer.isView(type) ? type.length : args.shift();
    const shape = typeof given === 'number' ? [given] : given;
    if (!Array.isArray(shape))
        throw new TypeError('an array is made of a type and a shape, or of a typed array');
    _checkWhole(shape, 'a shape');
    const {shareable = false, ...others} = args[0] ?? {};
    if (Object.keys(others).length > 0)
        throw new TypeError(`there is no option ${Object.keys(others)[0]}`);
    const flags = shareable ? Shm.ArrayFlags.SHAREABLE : Shm.ArrayFlags.NONE;
    if (ArrayBuffer.isView(type)) {
        const names = ['i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8', 'f4', 'f8'];
        const dtype = names.map(name => Shm.dtype_from_string(name))
            .find(candidate => type instanceof _getArrayType(candidate));
        if (dtype === undefined)
            throw new TypeError('there is no such type of items');
        const array = Shm.Array.new_full(dtype, 0, shape, flags);
        array.write(0, type);
        return array;
    }
    const dtype = typeof type === 'string' ? Shm.dtype_from_string(type) : type;
    return Shm.Array.new_full(dtype, 0, shape, flags);
}

function _init() {
    Shm = this;
    _extendPool();
    _extendArray();
    Shm.array = _newArray;

    /* Without this no worker may run JavaScript, whoever starts it. */
    try {
        Shm.gjs_prepare();
    } catch (error) {
        Shm.set_debug(true);
        // A worker that is a program is no news.
        if (GLib.getenv('SHM_WORKER') === null) {
            console.warn(`shmem-glib works without forked workers: ${error.message}; ` +
                'mapModule() of a pool has such');
        }
    }
}
