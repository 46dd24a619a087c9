// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* Workers that are programs: each runs _shmWorker.js in a gjs of its own, imports a module, and calls
 * a function that it exports.
 *
 * What a worker needs lies in a parcel, an array in shared memory whose descriptor it inherits, as
 * those of all arrays that are among the items and arguments:
 *
 *     where each block begins, as doubles | the arguments | items, BLOCK at a time | …
 *
 * so that items cost a worker nothing but their decoding, and no way to and fro. Items that are made
 * while the job runs come one by one, from the job. All else stands in the program's argument.
 */

/* exported Module, isImporting, serve, setImporting */

const {Gio, GLib} = imports.gi;
const Transport = imports.overrides._shmTransport;
const {Work} = imports.overrides._shmWork;

const BLOCK = 256; // items
const DOUBLE = 8; // bytes

/* true while a worker imports its module */
var isImporting = false;

function _getRepository() {
    const {Repository} = imports.gi.GIRepository;
    return Repository.get_default?.() ?? Repository.dup_default();
}

/** The gjs that runs this program, or else the one in the path. */
function _findProgram() {
    try {
        const own = GLib.file_read_link('/proc/self/exe');
        if (GLib.path_get_basename(own).startsWith('gjs') &&
            GLib.file_test(own, GLib.FileTest.IS_EXECUTABLE))
            return own;
    } catch {
    }
    return GLib.find_program_in_path('gjs-console') ?? GLib.find_program_in_path('gjs') ?? 'gjs';
}

function _toUri(uri) {
    if (uri instanceof Gio.File)
        return uri.get_uri();
    if (typeof uri !== 'string')
        throw new TypeError('the module is a URI, a path, or a Gio.File');
    if (GLib.path_is_absolute(uri))
        return GLib.filename_to_uri(uri, null);
    if (GLib.uri_parse_scheme(uri) === null) {
        throw new TypeError(`the module ${uri} is neither a URI nor an absolute path; ` +
            'GLib.Uri.resolve_relative(import.meta.url, …) makes one of what lies beside a module');
    }
    return uri;
}

/** The function of a module, as the caller sees it: how its workers are started. */
var Module = class {
    constructor(Shm, uri, name) {
        if (typeof name !== 'string')
            throw new TypeError('the work function of a module is told by its name');
        this._Shm = Shm;
        this._uri = _toUri(uri);
        this._name = name;
        this._fds = [];
        this._parcel = null;
    }

    /* Arrays are handed over once, however often they are meant. */
    _share(value) {
        if (!(value instanceof this._Shm.Array))
            return null;
        let message = this._messages.get(value);
        if (message === undefined) {
            try {
                message = value.to_message(this._fdList).print(true);
            } catch (error) {
                if (!error.matches(this._Shm.Error, this._Shm.Error.INVALID_ARGUMENT))
                    throw error;
                throw new TypeError('an array can be handed to the workers of a module only if it ' +
                    'was made with {shareable: true}');
            }
            this._messages.set(value, message);
        }
        return message;
    }

    _pack(values, describe) {
        const encoder = new Transport.Encoder(value => this._share(value));
        for (let i = 0; i < values.length; i++) {
            try {
                encoder.add(values[i]);
            } catch (exception) {
                exception.message = `${describe(i)}: ${exception.message}`;
                throw exception;
            }
        }
        return encoder.toBytes();
    }

    _makeParcel(items, args) {
        const blocks = [this._pack(args, i => `argument ${i}`)];
        for (let begin = 0; items !== null && begin < items.length; begin += BLOCK)
            blocks.push(this._pack(items.slice(begin, begin + BLOCK), i => `item ${begin + i}`));
        const begins = new Float64Array(blocks.length + 1);
        begins[0] = begins.byteLength;
        for (const [i, block] of blocks.entries())
            begins[i + 1] = begins[i] + block.length;
        const parcel = this._Shm.array('u1', begins[blocks.length], {shareable: true});
        parcel.write(0, begins);
        for (const [i, block] of blocks.entries())
            parcel.write(begins[i], block);
        return parcel;
    }

    /** Takes what the workers are to have: items, or their number. What cannot travel throws. */
    prepare(items, {args, isFed, seed, hasClock}) {
        if (!Array.isArray(args))
            throw new TypeError('args is an array');
        this._messages = new Map();
        this._fdList = new Gio.UnixFDList();
        const hasItems = typeof items !== 'number';
        this._parcel = this._makeParcel(hasItems ? items : null, args);
        const repository = _getRepository();
        this._argument = {
            uri: this._uri,
            name: this._name,
            parcel: this._parcel.to_message(this._fdList).print(true),
            hasItems,
            isFed,
            seed,
            hasClock,
            typelibPath: GLib.path_get_dirname(repository.get_typelib_path('Shm')),
            searchPath: imports.searchPath,
        };
    }

    /** Gives a job its workers. */
    open(job) {
        this._fds = this._fdList.steal_fds();
        const program = GLib.build_filenamev(
            [GLib.path_get_dirname(imports.overrides._shmRun.__file__), '_shmWorker.js']);
        const argument = JSON.stringify({...this._argument, fds: this._fds});
        job.set_program([_findProgram(), '-m', program, argument], this._fds);
    }

    /** Lets go of what was made for the workers. */
    close() {
        for (const fd of this._fds.splice(0))
            GLib.close(fd);
        this._parcel?.close();
        this._parcel = null;
    }
};

/** The items and arguments, as a worker finds them. */
class Parcel {
    constructor(Shm, {fds, parcel}) {
        this._Shm = Shm;
        this._fdList = Gio.UnixFDList.new_from_array(fds);
        this._arrays = new Map();
        this._array = this._open(parcel);
        this._number = -1; // of the block that is unpacked
        this._block = null;
    }

    _open(message) {
        let array = this._arrays.get(message);
        if (array === undefined) {
            const type = new GLib.VariantType(this._Shm.ARRAY_MESSAGE_TYPE);
            array = this._Shm.Array.new_from_message(
                GLib.Variant.parse(type, message, null, null), this._fdList);
            this._arrays.set(message, array);
        }
        return array;
    }

    _unpack(number) {
        const bytes = this._array.read(number * DOUBLE, 2 * DOUBLE).slice();
        const [begin, end] = new Float64Array(bytes.buffer);
        return Transport.fromBytes(
            this._array.read(begin, end - begin), message => this._open(message));
    }

    getArguments() {
        return [...this._unpack(0)];
    }

    getItem(index) {
        const number = 1 + Math.floor(index / BLOCK);
        if (number !== this._number) {
            this._block = this._unpack(number);
            this._number = number;
        }
        return this._block[index % BLOCK];
    }
}

function setImporting(is) {
    isImporting = is;
}

/** Works on the items of the caller's job until there are no more, and ends the process. */
function serve(Shm, argument, func) {
    const {hasItems, isFed, seed, hasClock} = argument;
    const parcel = new Parcel(Shm, argument);
    let getItem = null;
    if (isFed)
        getItem = (pool, index) => Transport.unpack(pool.get_job().get_item(index))[0];
    else if (hasItems)
        getItem = (_pool, index) => parcel.getItem(index);
    const work = new Work({Shm, func, getItem, args: parcel.getArguments(), seed, hasClock});
    Shm.serve_ranges((pool, begin, end) => work.work(pool, begin, end));
}
