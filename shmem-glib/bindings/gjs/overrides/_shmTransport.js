// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* Values on their way between processes: the results of a range to the caller, items to workers that
 * have not inherited them; always several in one run of bytes.
 *
 * The first byte says how they are packed: numbers as an array of doubles, after 8 bytes; nulls as
 * their count; all else as JSON. What JSON does not have is an object with one key, MARK, there;
 * and the bytes of typed arrays follow the JSON. Values are checked and encoded one by one, as they
 * are added: a result while its item is still the one in work, so that one that cannot travel fails
 * its own item, and what is done to it later does not count.
 */

/* exported Encoder, fromBytes, isThenable, newVariant, packOne, unpack */

const ByteArray = imports.byteArray;
const System = imports.system;
const {GLib} = imports.gi;

const NUMBERS = 1;
const PLAIN = 2;
const MARKED = 3;
const NOTHING = 4; // so many times null

const HEADER = 8;
const MARK = '\u0000';
const MAX_PLAIN_DEPTH = 64; // beyond it there may be an object that holds itself

// Bytes that lie outside of the collector's sight before it is told.
const COLLECT_AFTER = 64 * 1024 * 1024;

const BYTES_TYPE = new GLib.VariantType('ay');
const TYPED_ARRAYS = [
    Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
    Float32Array, Float64Array, BigInt64Array, BigUint64Array,
];

let _nUnseen = 0;

function _count(nBytes) {
    _nUnseen += nBytes;
    if (_nUnseen > COLLECT_AFTER) {
        _nUnseen = 0;
        System.gc();
    }
}

function isThenable(value) {
    return value !== null && typeof value === 'object' && typeof value.then === 'function';
}

function newVariant(bytes) {
    _count(bytes.length);
    return GLib.Variant.new_from_bytes(BYTES_TYPE, GLib.Bytes.new(bytes), true);
}

function _describe(value) {
    if (typeof value !== 'object')
        return `a ${typeof value}`;
    const name = value.constructor?.name;
    return name ? `an object of the class ${name}` : 'such an object';
}

/** Whether JSON.stringify () does right by a value, at less cost than this module. */
const _isPlain = (() => {
    // gjs looks up the names of a file anew each time, those of a function once.
    const {getPrototypeOf, keys, prototype: objectPrototype} = Object;
    const {isArray} = Array;
    const mark = MARK;

    return function isPlain(value, depth) {
        switch (typeof value) {
        case 'string':
        case 'boolean':
            return true;
        case 'number':
            // Neither infinite, nor NaN, nor -0.
            return value - value === 0 && (value !== 0 || 1 / value > 0);
        case 'object':
            break;
        default:
            return false;
        }
        if (value === null)
            return true;
        if (depth === 0)
            return false;
        if (isArray(value)) {
            for (let i = 0; i < value.length; i++) {
                if (!isPlain(value[i], depth - 1))
                    return false;
            }
            return true;
        }
        const prototype = getPrototypeOf(value);
        if (prototype !== objectPrototype && prototype !== null)
            return false;
        const names = keys(value);
        for (let i = 0; i < names.length; i++) {
            if (names[i] === mark || !isPlain(value[names[i]], depth - 1))
                return false;
        }
        return true;
    };
})();

/** Encodes values, one after the other. */
var Encoder = class {
    /* With `share`, arrays in shared memory can travel as what it makes of them. */
    constructor(share = null) {
        this._share = share;
        this._isPlain = _isPlain;
        this._stringify = JSON.stringify;
        this._maxDepth = MAX_PLAIN_DEPTH;
        this._values = []; // numbers, and the JSON of all else
        this._isNumeric = true;
        this._isMarked = false;
        this._isEmpty = true; // nothing but null
        this._blobs = [];
        this._nBlobBytes = 0;
        this._above = new Set(); // the objects that the one in work is in
    }

    add(value) {
        if (typeof value === 'number') {
            this._isEmpty = false;
            this._values.push(value);
            return;
        }
        this._isNumeric = false;
        if (value === undefined || value === null) {
            this._values.push('null');
            return;
        }
        this._isEmpty = false;
        if (!this._isPlain(value, this._maxDepth)) {
            this._above.clear();
            value = this._encode(value);
        }
        this._values.push(this._stringify(value));
    }

    _mark(...payload) {
        this._isMarked = true;
        return {[MARK]: payload};
    }

    _encode(value) {
        switch (typeof value) {
        case 'string':
        case 'boolean':
            return value;
        case 'undefined':
            return null;
        case 'number':
            return this._encodeNumber(value);
        case 'bigint':
            return this._mark('i', value.toString());
        case 'object':
            return value === null ? null : this._encodeObject(value);
        default:
            throw new TypeError(`${_describe(value)} cannot travel between processes`);
        }
    }

    _encodeNumber(value) {
        if (Number.isFinite(value) && !Object.is(value, -0))
            return value;
        return this._mark('n', Object.is(value, -0) ? '-0' : value.toString());
    }

    _encodeObject(value) {
        if (this._above.has(value))
            throw new TypeError('an object that holds itself cannot travel between processes');
        this._above.add(value);
        const encoded = this._encodeWithin(value);
        this._above.delete(value);
        return encoded;
    }

    _encodeWithin(value) {
        if (Array.isArray(value))
            return this._encodeItems(value);
        const prototype = Object.getPrototypeOf(value);
        if (prototype === Object.prototype || prototype === null)
            return this._encodeProperties(value);
        if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
            return this._encodeBuffer(value);
        if (value instanceof Date)
            return this._mark('d', this._encodeNumber(value.getTime()));
        if (value instanceof Map)
            return this._encodeMap(value);
        if (value instanceof Set)
            return this._mark('s', this._encodeItems([...value]));
        const shared = this._share?.(value);
        if (shared)
            return this._mark('a', shared);
        throw new TypeError(`${_describe(value)} cannot travel between processes`);
    }

    _encodeMap(value) {
        const flat = []; // keys and values in turn
        value.forEach((item, key) => flat.push(key, item));
        if (this._isPlain(flat, this._maxDepth))
            return this._mark('p', flat);
        return this._mark('m', this._encodeItems(flat));
    }

    _encodeItems(values) {
        const encoded = new Array(values.length);
        for (let i = 0; i < values.length; i++)
            encoded[i] = this._encode(values[i]);
        return encoded;
    }

    _encodeProperties(value) {
        const entries = Object.entries(value).filter(([_key, item]) => item !== undefined);
        for (const entry of entries)
            entry[1] = this._encode(entry[1]);
        if (Object.hasOwn(value, MARK))
            return this._mark('o', entries);
        return Object.fromEntries(entries);
    }

    _encodeBuffer(value) {
        const kind = value instanceof ArrayBuffer ? -1
            : TYPED_ARRAYS.findIndex(type => value instanceof type);
        if (kind < 0 && !(value instanceof ArrayBuffer))
            throw new TypeError(`${_describe(value)} cannot travel between processes`);
        // A copy, since the next item may use the same memory.
        const bytes = kind < 0 ? new Uint8Array(value.slice())
            : new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
        const offset = this._nBlobBytes;
        this._blobs.push(bytes);
        this._nBlobBytes += bytes.length;
        return this._mark('b', kind, offset, bytes.length);
    }

    _packNothing() {
        const bytes = new Uint8Array(HEADER);
        bytes[0] = NOTHING;
        new DataView(bytes.buffer).setUint32(4, this._values.length);
        return bytes;
    }

    _packNumbers() {
        const numbers = new Float64Array(this._values.length + 1);
        numbers.set(this._values, 1);
        const bytes = new Uint8Array(numbers.buffer);
        bytes[0] = NUMBERS;
        return bytes;
    }

    /** The bytes of all of them. */
    toBytes() {
        if (this._isEmpty)
            return this._packNothing();
        if (this._isNumeric)
            return this._packNumbers();
        const values = this._values.map(
            value => typeof value === 'number' ? JSON.stringify(this._encodeNumber(value)) : value);
        const text = ByteArray.fromString(`[${values.join(',')}]`);
        const bytes = new Uint8Array(HEADER + text.length + this._nBlobBytes);
        bytes[0] = this._isMarked ? MARKED : PLAIN;
        new DataView(bytes.buffer).setUint32(4, text.length);
        bytes.set(text, HEADER);
        let offset = HEADER + text.length;
        for (const blob of this._blobs) {
            bytes.set(blob, offset);
            offset += blob.length;
        }
        return bytes;
    }

    /** The same as a variant. */
    pack() {
        return newVariant(this.toBytes());
    }
};

/** A value by itself, for unpack() to make an array of one of. */
function packOne(value) {
    const encoder = new Encoder();
    encoder.add(value);
    return encoder.pack();
}

function _toMap(flat) {
    const map = new Map();
    for (let i = 0; i < flat.length; i += 2)
        map.set(flat[i], flat[i + 1]);
    return map;
}

function _decodeMarked([kind, payload, ...rest], blobs, open) {
    switch (kind) {
    case 'i':
        return BigInt(payload);
    case 'n':
        return Number(payload);
    case 'd':
        return new Date(_decode(payload, blobs, open));
    case 'p':
        return _toMap(payload);
    case 'm':
        return _toMap(_decode(payload, blobs, open));
    case 's':
        return new Set(_decode(payload, blobs, open));
    case 'o':
        return Object.fromEntries(_decode(payload, blobs, open));
    case 'a':
        return open(payload);
    default: {
        const [offset, length] = rest;
        const {buffer} = blobs.slice(offset, offset + length);
        return payload < 0 ? buffer : new TYPED_ARRAYS[payload](buffer);
    }
    }
}

function _decode(value, blobs, open) {
    if (typeof value !== 'object' || value === null)
        return value;
    if (Array.isArray(value))
        return value.map(item => _decode(item, blobs, open));
    if (Object.hasOwn(value, MARK))
        return _decodeMarked(value[MARK], blobs, open);
    return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, _decode(item, blobs, open)]));
}

/** The values, as what can be indexed; `open` makes an array in shared memory of what travelled. */
function fromBytes(bytes, open = null) {
    if (bytes[0] === NUMBERS)
        return new Float64Array(bytes.slice(HEADER).buffer);
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4);
    if (bytes[0] === NOTHING)
        return new Array(length).fill(null);
    const end = HEADER + length;
    const results = JSON.parse(ByteArray.toString(bytes.slice(HEADER, end)));
    return bytes[0] === PLAIN ? results : _decode(results, bytes.subarray(end), open);
}

function unpack(variant) {
    const bytes = ByteArray.fromGBytes(variant.get_data_as_bytes());
    _count(bytes.length);
    return fromBytes(bytes);
}
