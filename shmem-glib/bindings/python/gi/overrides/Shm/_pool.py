# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The pool: Shm.MapReduce with the manners of Python."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator

from gi.module import get_introspection_module
from gi.overrides import override

from ._keep import Keeper
from ._run import Run

Shm = get_introspection_module('Shm')

ProcessBackend = Shm.BackendType.PROCESS
ThreadBackend = Shm.BackendType.THREAD

MAX_WORKERS = 4096


class _Section:
    """A context manager for a section of a pool."""

    def __init__(self, enter: Callable[[], bool], leave: Callable[[], None]) -> None:
        self._enter = enter
        self._leave = leave

    def __enter__(self) -> _Section:
        self._enter()
        return self

    def __exit__(self, *exception: object) -> None:
        self._leave()


class _Local:
    """What belongs to the worker that looks at it."""

    def __init__(self, pool: MapReduce) -> None:
        self._pool = pool

    @property
    def rank(self) -> int:
        """The rank of this worker, from 0; -1 in the caller."""
        return self._pool.get_rank()


class MapReduce(Shm.MapReduce):
    """A pool of workers that share memory.

    The work function may be anything that can be called, also a closure: worker processes inherit
    it, with all that it refers to. `np` is the number of workers, None for as many as there are
    processors to use; 0 works serially, in the caller.

    It may be used as a context manager, and need not be.

    With `keep_workers`, worker processes stay for the next map(), if it has the same function: many
    small maps then cost no fork. Such workers see the caller's private data as it was when they
    were forked; what changes from map to map must be in the sequence, which they get pickled, or
    in shared arrays. They leave at the end of the `with` block, or with release_workers().
    """

    __module__ = 'gi.overrides.Shm'  # what is overridden is looked for by this

    keeper: Keeper | None = None  # of workers that stay

    def __init__(self, backend: Shm.BackendType | None = None, np: int | None = None,
                 keep_workers: bool = False, **properties: Any) -> None:
        if backend is not None:
            if not isinstance(backend, Shm.BackendType):
                raise TypeError(f'{backend!r} is no backend; the number of workers is np=')
            properties['backend'] = backend
        if np is not None:
            if np != int(np) or not 0 <= np <= MAX_WORKERS:
                raise ValueError(
                    f'np is the number of workers, up to {MAX_WORKERS}, or None, and not {np!r}')
            properties['n_workers'] = int(np)
            if np == 0:
                properties['backend'] = Shm.BackendType.SERIAL
        super().__init__(**properties)
        if keep_workers:
            self.keeper = Keeper()

    def __enter__(self) -> MapReduce:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release_workers()

    def release_workers(self) -> None:
        """Lets the workers go that were kept for another map, if there are any."""
        if self.keeper is not None:
            self.keeper.release()

    @property
    def np(self) -> int:
        """The number of workers; 0 if the pool works serially."""
        if self.get_backend() == Shm.BackendType.SERIAL:
            return 0
        return self.count_workers()

    @property
    def local(self) -> _Local:
        """What belongs to this worker: `local.rank`."""
        return _Local(self)

    @property
    def critical(self) -> _Section:
        """A context manager: in it there is one worker at a time."""
        return _Section(self.critical_enter, self.critical_leave)

    @property
    def ordered(self) -> _Section:
        """A context manager: the items enter it one after the other, in their order."""
        return _Section(self.ordered_enter, self.ordered_leave)

    def map(self, func: Callable, sequence: Iterable, reduce: Callable | None = None,
            star: bool = False, minlength: int = 0, **options: Any) -> list:
        """Calls func(item) for each item of the sequence, in the workers; the list of the results.

        What can be indexed is read by the workers themselves; the items of other iterables travel
        to them, as they are needed. `star` spreads an item into the arguments of func. `reduce` is
        called in the caller for each result as it arrives, with a tuple spread into its arguments,
        and what it returns takes the place of the result. Fewer items than `minlength` are
        worked on serially.

        Options: `retries`, how often an item is tried again whose worker died; `timeout`, the
        seconds that an item may take; `on_error='collect'`, which puts a WorkerException into the
        place of each item that failed, instead of ending the map; `progress`, True for a line on
        standard error, a function of the number of items done and of all items, or an object with
        update() such as tqdm's; `seed`, from which the random numbers of each item follow, whoever
        works on it; `chunksize`, how many items a worker takes together; `window`, how many items
        of an iterator are on their way.

        The first exception in a worker, or its death, ends the map with a WorkerException.
        """
        return Run(self, func, sequence, reduce, star, minlength, options).to_list()

    def imap(self, func: Callable, sequence: Iterable, star: bool = False,
             **options: Any) -> Iterator:
        """Like map(), but an iterator over the results, in the order of the items.

        The workers are no more than `window` items ahead of what has arrived, and that is no more
        than `window` results ahead of what has been taken.
        """
        return Run(self, func, sequence, None, star, 0, options).iterate(in_order=True)

    def imap_unordered(self, func: Callable, sequence: Iterable, star: bool = False,
                       **options: Any) -> Iterator:
        """Like imap(), but in the order in which the results arrive."""
        return Run(self, func, sequence, None, star, 0, options).iterate(in_order=False)

    async def amap(self, func: Callable, sequence: Iterable, reduce: Callable | None = None,
                   star: bool = False, minlength: int = 0, **options: Any) -> list:
        """Like map(), for asyncio: the event loop goes on meanwhile. If the task is cancelled, so
        is the map."""
        import asyncio
        run = Run(self, func, sequence, reduce, star, minlength, options)
        running = asyncio.ensure_future(asyncio.to_thread(run.to_list))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            run.cancel()
            await asyncio.wait([running])
            running.exception()
            raise


MapReduce = override(MapReduce)


class MapReduceByThread(MapReduce):
    """A pool whose workers are threads, for functions that let go of the interpreter's lock."""

    def __init__(self, np: int | None = None, **properties: Any) -> None:
        super().__init__(ThreadBackend, np, **properties)
