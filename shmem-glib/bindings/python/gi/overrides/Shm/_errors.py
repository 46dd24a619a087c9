# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Exceptions on their way from a worker to the caller.

An exception travels as text always, and as a pickle where that loads again; it is never needed to
tell what happened.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback as tracebacks
import warnings
from gi.module import get_introspection_module
from gi.repository import GLib

Shm = get_introspection_module('Shm')

PACKAGE = os.path.dirname(__file__) + os.sep

MAX_TRACEBACK = 65536  # characters that travel

BYTES_TYPE = GLib.VariantType('ay')


class LostExceptionType(Warning):
    """An exception of a worker arrived as its text only: it cannot be pickled, or not loaded."""


class WorkerException(Exception):
    """What went wrong in a worker.

    `reason` is the exception itself, of its own type where it could travel; for a worker that died
    it is a GLib.Error that says how. `traceback` is the worker's traceback as text, `index` the
    item (None if none is to blame), `rank` the worker, `pid` the process if it died, else 0.
    """

    def __init__(self, reason: BaseException, traceback: str = '', index: int | None = None,
                 rank: int | None = None, pid: int = 0) -> None:
        super().__init__(reason, traceback)
        self.reason = reason
        self.traceback = traceback
        self.index = index
        self.rank = rank
        self.pid = pid
        self.__cause__ = reason

    def __str__(self) -> str:
        place = '' if self.index is None else f'item {self.index} on worker {self.rank}: '
        if isinstance(self.reason, GLib.Error) and self.reason.message:
            text = place + self.reason.message
        else:
            text = f'{place}{type(self.reason).__name__}: {self.reason}'
        return f'{text}\n\nIn the worker:\n{self.traceback}' if self.traceback else text

    def __repr__(self) -> str:
        place = '' if self.index is None else f', index={self.index}, rank={self.rank}'
        return f'WorkerException({self.reason!r}{place})'

    def __reduce__(self) -> tuple:
        return (type(self), (self.reason, self.traceback, self.index, self.rank, self.pid))


def to_bytes(variant: GLib.Variant) -> bytes:
    """The bytes of a variant that new_bytes() made."""
    return variant.get_data_as_bytes().get_data() or b''


def new_bytes(data: bytes) -> GLib.Variant:
    """A variant of bytes, made by one copy."""
    return GLib.Variant.new_from_bytes(BYTES_TYPE, GLib.Bytes.new(data), True)


def describe(exception: BaseException) -> str:
    """The type and the text of an exception, whatever its __str__ does."""
    try:
        return f'{type(exception).__name__}: {exception}'
    except BaseException:
        return type(exception).__name__


def format_traceback(exception: BaseException) -> str:
    """The traceback as text, without its middle if it is very long."""
    try:
        trace = exception.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename.startswith(PACKAGE):
            trace = trace.tb_next  # what is ours tells nobody anything
        text = ''.join(tracebacks.format_exception(type(exception), exception, trace))
    except BaseException:
        text = describe(exception) + '\n'
    text = _clean(text)
    if len(text) > MAX_TRACEBACK:
        half = MAX_TRACEBACK // 2
        text = f'{text[:half]}\n  [...]\n{text[-half:]}'
    return text


def _clean(text: str) -> str:
    """Text as C has it."""
    return text.encode('utf-8', 'replace').decode('utf-8').replace('\0', '\\0')


def _make_error(exception: BaseException) -> GLib.Error:
    if isinstance(exception, GLib.Error):
        try:
            return GLib.Error(_clean(exception.message), _clean(exception.domain), exception.code)
        except Exception:
            pass
    return GLib.Error.new_literal(Shm.error_quark(), _clean(describe(exception)), Shm.Error.FAILED)


def pack_exception(exception: BaseException) -> tuple[GLib.Error, str, GLib.Variant | None]:
    """What Shm.MapReduce.fail_item() takes."""
    error = _make_error(exception)
    payload = None
    try:
        data = pickle.dumps(exception)
        if isinstance(pickle.loads(data), BaseException):
            payload = new_bytes(data)
    except BaseException:
        pass
    return error, format_traceback(exception), payload


def _find_user() -> int:
    """How far up the stack, seen from the caller of this, the first function of the user's is."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get('__package__') == __package__:
        frame, level = frame.f_back, level + 1
    return level


def _load_reason(failure: Shm.Failure) -> BaseException:
    payload = failure.get_payload()
    error = failure.get_error()
    if payload is not None:
        try:
            reason = pickle.loads(to_bytes(payload))
            if isinstance(reason, BaseException):
                return reason
        except BaseException:
            pass
    if failure.get_kind() != Shm.FailureKind.ERROR or failure.get_traceback() is None:
        return error
    if not error.matches(Shm.error_quark(), Shm.Error.FAILED):
        return error
    warnings.warn(f'The type of an exception was lost: {error.message}', LostExceptionType,
                  stacklevel=_find_user())
    return Exception(error.message)


def unpack_failure(failure: Shm.Failure, reason: BaseException | None = None) -> WorkerException:
    """The exception for the caller; its reason is known where it did not travel."""
    index = failure.get_index() if failure.has_index() else None
    return WorkerException(reason or _load_reason(failure), failure.get_traceback() or '', index,
                           failure.get_rank(), failure.get_pid())
