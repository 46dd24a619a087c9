// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* Exceptions on their way from a worker to the caller: as data, since an engine makes a GError of
 * one that has its message alone.
 */

/* exported fail, restore */

const {GLib} = imports.gi;
const Transport = imports.overrides._shmTransport;

const MAX_STACK = 65536; // characters that travel

const PLACE = ['fileName', 'lineNumber', 'columnNumber'];

const STANDARD = {
    Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError,
};

/** The stack without the functions of this module, which tell nobody anything. */
function _getStack(exception) {
    const stack = typeof exception?.stack === 'string' ? exception.stack : '';
    return stack.split('\n').filter(line => !line.includes('/overrides/_shm')).join('\n')
        .replaceAll('\0', '\\0').slice(0, MAX_STACK);
}

function _describe(exception) {
    try {
        return String(exception).replaceAll('\0', '\\0');
    } catch {
        return 'an exception that has no text';
    }
}

/** An exception as data; what does not travel is left out. */
function _toData(exception, depth = 0) {
    if (!(exception instanceof Error))
        return {name: 'Error', message: _describe(exception), stack: '', properties: {}};
    const data = {
        name: String(exception.name),
        message: String(exception.message),
        stack: _getStack(exception),
        place: PLACE.map(name => exception[name]),
        properties: {},
    };
    for (const [key, value] of Object.entries(exception)) {
        try {
            new Transport.Encoder().add(value);
            data.properties[key] = value;
        } catch {
        }
    }
    if (exception.cause instanceof Error && depth < 8)
        data.cause = _toData(exception.cause, depth + 1);
    return data;
}

function _fromData(data) {
    const Type = Object.hasOwn(STANDARD, data.name) ? STANDARD[data.name] : Error;
    const error = new Type(data.message);
    if (error.name !== data.name)
        error.name = data.name;
    for (const [i, name] of PLACE.entries())
        error[name] = data.place?.[i] ?? undefined;
    Object.assign(error, data.properties);
    error.stack = data.stack;
    if (data.cause)
        error.cause = _fromData(data.cause);
    return error;
}

/** Fails the item in work with an exception. */
function fail(Shm, pool, exception) {
    if (exception instanceof GLib.Error) {
        pool.fail_item(exception, _getStack(exception), null);
        return;
    }
    const error = new GLib.Error(Shm.Error, Shm.Error.FAILED, _describe(exception));
    let payload = null;
    try {
        payload = Transport.packOne(_toData(exception));
    } catch {
    }
    pool.fail_item(error, _getStack(exception), payload);
}

/** The exception for the caller; it is known already where it did not travel. */
function restore(Shm, failure, known) {
    let error = known;
    if (!(error instanceof Error || error instanceof GLib.Error)) {
        const payload = failure.get_payload();
        if (payload !== null) {
            error = _fromData(Transport.unpack(payload)[0]);
        } else {
            const {domain, code, message} = failure.get_error();
            error = new GLib.Error(domain, code, message);
            const stack = failure.get_traceback();
            if (stack)
                error.stack = stack;
        }
    }
    if (failure.has_index())
        error.index = failure.get_index();
    error.rank = failure.get_rank();
    return error;
}
