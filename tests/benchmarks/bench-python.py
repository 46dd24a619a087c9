# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: bench-python.py [--quick]

The pool in Python beside multiprocessing, concurrent.futures and joblib. Each figure of ours has
the start and the end of the workers in it, unless they are kept; the peers' pools are warm. What
counts are the ratios.
"""

import collections
import concurrent.futures
import concurrent.futures.process
import contextlib
import gc
import mmap
import os
import random
import signal
import string
import sys
import time

import gi

gi.require_version('Shm', '1.0')
from gi.repository import GLib, Shm  # noqa: E402

from bench_frame import FORK, N_WORKERS, Case, measure  # noqa: E402

try:
    import numpy
except ImportError:
    numpy = None
try:
    import joblib
except ImportError:
    joblib = None

IS_QUICK = '--quick' in sys.argv[1:]
NO_JOBLIB = 'joblib is not installed'
NO_NUMPY = 'numpy is not installed'
HANGS = 'it hangs for ever'


def size(full, quick):
    return quick if IS_QUICK else full


# The peers: each gives map(func, items, chunk_size, in_stream), which gives the results in order:
# all together, or one by one as they come, where it can.


@contextlib.contextmanager
def mp_pool():
    with FORK.Pool(N_WORKERS) as pool:
        pool.map(abs, range(100), 1)
        yield lambda func, items, chunk, in_stream: (
            (pool.imap if in_stream else pool.map)(func, items, chunk))


@contextlib.contextmanager
def executor():
    with concurrent.futures.ProcessPoolExecutor(N_WORKERS, mp_context=FORK) as pool:
        list(pool.map(abs, range(100)))
        yield lambda func, items, chunk, in_stream: pool.map(func, items, chunksize=chunk)


def joblib_pool(backend):
    @contextlib.contextmanager
    def make():
        with joblib.Parallel(N_WORKERS, backend=backend) as parallel:
            parallel(joblib.delayed(abs)(i) for i in range(100))

            def run(func, items, chunk, in_stream):
                parallel.batch_size = chunk
                return parallel(joblib.delayed(func)(item) for item in items)
            yield run
        if backend == 'loky':
            # its workers would stay for some minutes
            joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    return make


PEERS = [('multiprocessing.Pool', mp_pool), ('ProcessPoolExecutor', executor),
         ('joblib, loky', joblib_pool('loky')),
         ('joblib, multiprocessing', joblib_pool('multiprocessing'))]


def add_peers(case, names, run, chunks, suffix='', in_stream=False):
    """`run` gets map(func, items). The chunk sizes are tried first, and the best takes part."""
    for name, make_pool in PEERS:
        if not any(name.startswith(prefix) for prefix in names):
            continue
        if name.startswith('joblib') and joblib is None:
            case.leave_out(name + suffix, 'peer', NO_JOBLIB)
            continue

        @contextlib.contextmanager
        def make(make_pool=make_pool):
            with make_pool() as pool_map:
                def run_with(chunk):
                    return run(lambda func, items: pool_map(func, items, chunk, in_stream))
                best = chunks[0]
                if len(chunks) > 1:
                    best = min(chunks, key=lambda chunk: measure(lambda: run_with(chunk)))
                yield lambda: run_with(best)
        case.peer(name + suffix, make)


ALL = ['multiprocessing.Pool', 'ProcessPoolExecutor', 'joblib']
NAMED_AFTER_FORK = ['multiprocessing.Pool', 'ProcessPoolExecutor', 'joblib, multiprocessing']


def get_chunks(n):
    return [max(n // divisor, 1) for divisor in (2, 4, 8, 32, 128)]


def new_pool(**properties):
    return Shm.MapReduce(np=N_WORKERS, **properties)


def add_ours(case, run):
    """`run` gets map(func, items): of workers that are forked for it, and of those that the peers have."""
    @contextlib.contextmanager
    def make():
        with new_pool(keep_workers=True) as kept:
            yield lambda: run(kept.map)
    pool = new_pool()
    case.ours('Shm.MapReduce.map', lambda: run(pool.map))
    case.ours_apart('Shm.MapReduce.map, kept workers', make)


# W1: trivial items


def identity(item):
    return item


def busy(item):
    for _ in range(busy.steps):
        item ^= 1
    return item


def calibrate():
    """Makes busy() last a microsecond."""
    n = size(20_000, 100)
    busy.steps = 10_000
    seconds = min(measure(lambda: busy(1)) for _ in range(5))
    call = min(measure(lambda: [identity(item) for item in range(n)]) for _ in range(5)) / n
    busy.steps = max(int((1e-6 - call) / (seconds / busy.steps)), 1)


def bench_items():
    n = size(100_000, 100)
    items = range(n)
    for workload, title, func in (
            ('W1-python', '100,000 trivial items', identity),
            ('W1-python-1us', '100,000 items of 1 us', busy)):
        case = Case(workload, f'{title}, in Python', 'us/item', 1e6 / n, 7)

        def run(pool_map):
            check_items(list(pool_map(func, items)), n)
        add_ours(case, run)
        add_peers(case, ALL, run, get_chunks(n), ', best chunks')
        if func is identity:
            add_peers(case, NAMED_AFTER_FORK[:1], run, [1], ', one a message')
        case.serial(lambda: check_items([func(item) for item in items], n))
        case.run(IS_QUICK)


def check_items(results, n):
    assert len(results) == n


# W2: the start of a pool; W2b: many small maps


def fork_and_wait():
    children = []
    for _ in range(N_WORKERS):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


def start_mp():
    with FORK.Pool(N_WORKERS) as pool:
        pool.map(identity, range(2), 1)


def start_executor():
    with concurrent.futures.ProcessPoolExecutor(N_WORKERS, mp_context=FORK) as pool:
        list(pool.map(identity, range(2)))


def bench_start(workload, title, rounds):
    case = Case(workload, f'{title}, in Python', 'ms', 1e3, rounds)
    pool = new_pool()
    case.ours('Shm.MapReduce.map', lambda: check_items(pool.map(identity, range(2)), 2))
    case.floor('floor: fork, exit, wait', fork_and_wait)
    case.peer('multiprocessing.Pool', lambda: contextlib.nullcontext(start_mp))
    case.peer('ProcessPoolExecutor', lambda: contextlib.nullcontext(start_executor))
    case.run(IS_QUICK)


def bench_many_maps():
    n_maps = size(100, 2)
    n = size(1000, 10)
    case = Case('W2b-python', 'Many maps of 1,000 items, in Python', 'us/map', 1e6 / n_maps, 5)

    def repeat(one_map):
        for _ in range(n_maps):
            check_items(list(one_map(identity, range(n))), n)

    add_ours(case, repeat)
    add_peers(case, ['multiprocessing.Pool', 'ProcessPoolExecutor'], repeat, get_chunks(n)[:3],
              ', best chunks')
    case.serial(lambda: repeat(map))
    case.run(IS_QUICK)


# W3: an integral


def bench_integral():
    n_points = size(128 << 20, 10_000)
    chunk = size(1 << 20, 1000)
    chunks = range(0, n_points, chunk)
    case = Case('W3-python', 'An integral over 1 GiB, in Python', 's', 1.0, 3)
    if numpy is None:
        case.leave_out('Shm.MapReduce.map', 'ours', NO_NUMPY)
        case.run(IS_QUICK)
        return

    def fill(values, begin):
        end = min(begin + chunk, n_points)
        x = (numpy.arange(begin, end) + 0.5) / n_points
        values[begin:end] = 4 / (1 + x * x)
        return values[begin:end].sum()

    ours = Shm.empty(n_points)
    theirs = numpy.frombuffer(mmap.mmap(-1, n_points * 8), 'f8')
    ours.fill(0)
    theirs.fill(0)

    def check(sums):
        assert abs(sum(sums) / n_points - numpy.pi) < 1e-6
    # workers find it by its name, as it is global
    global fill_theirs

    def fill_theirs(begin):
        return fill(theirs, begin)

    def fill_ours(begin):
        ours[begin:begin + chunk].advise(Shm.Advice.WILL_NEED)
        return fill(ours, begin)
    add_ours(case, lambda pool_map: check(pool_map(fill_ours, chunks)))
    add_peers(case, NAMED_AFTER_FORK, lambda pool_map: check(pool_map(fill_theirs, chunks)), [1])
    case.serial(lambda: check(fill(theirs, begin) for begin in chunks))
    case.run(IS_QUICK)
    fill_theirs = None  # which lets go of the memory


# W4: large results

N_LARGE = size(256, 4)
LARGE = size(4 << 20, 1 << 20)


def make_bytes(item):
    return bytes([item & 255]) * LARGE


def make_array(item):
    return numpy.full(LARGE, item & 255, 'u1')


def bench_large():
    amount = N_LARGE * LARGE / (1 << 30)
    for kind, title, func in (('bytes', 'as bytes', make_bytes),
                              ('numpy', 'as arrays of numpy', make_array)):
        case = Case(f'W4-python-{kind}', f'256 results of 4 MiB, {title}, in Python', 'GiB/s',
                    amount, 3, is_rate=True)
        if func is make_array and numpy is None:
            case.leave_out('Shm.MapReduce.map', 'ours', NO_NUMPY)
            case.run(IS_QUICK)
            continue

        def check(results):
            kept = list(results)
            assert len(kept) == N_LARGE
            assert all(result[0] == result[LARGE - 1] == i & 255 for i, result in enumerate(kept))
        add_ours(case, lambda pool_map: check(pool_map(func, range(N_LARGE))))
        add_peers(case, ALL, lambda pool_map: check(pool_map(func, range(N_LARGE))), [1])
        case.serial(lambda: check(func(item) for item in range(N_LARGE)))
        case.run(IS_QUICK)

    case = Case('W4-python-streamed', '256 results of 4 MiB, streamed, in Python', 'GiB/s',
                amount, 3, is_rate=True)

    def consume(results):
        assert sum(result[0] == result[LARGE - 1] for result in results) == N_LARGE
    pool = new_pool()
    case.ours('Shm.MapReduce.imap',
              lambda: consume(pool.imap(make_bytes, range(N_LARGE))))
    add_peers(case, ALL[:1], lambda pool_map: consume(pool_map(make_bytes, range(N_LARGE))), [1],
              in_stream=True)
    case.serial(lambda: consume(make_bytes(item) for item in range(N_LARGE)))
    case.run(IS_QUICK)


# W5: words


def make_lines():
    generator = random.Random(5)
    words = [''.join(generator.choices(string.ascii_lowercase, k=generator.randint(2, 9)))
             for _ in range(4000)]
    lines = []
    for _ in range(size(2000, 20)):
        line = ''
        while len(line) < 1000:
            line += words[int(generator.random() ** 3 * len(words))] + ' '
        lines.append(line)
    return lines


def count_words(line):
    return collections.Counter(line.split())


def bench_words():
    lines = make_lines()
    n_words = sum(len(line.split()) for line in lines)
    case = Case('W5-python', 'Counting words in 2,000 lines of 1 KB, in Python', 'ms', 1e3, 7)
    pool = new_pool()

    def count_ours():
        total = collections.Counter()

        def add(counts):
            total.update(counts)
        pool.map(count_words, lines, reduce=add)
        assert total.total() == n_words

    def count(a_map):
        total = collections.Counter()
        for counts in a_map(count_words, lines):
            total.update(counts)
        assert total.total() == n_words
    case.ours('Shm.MapReduce.map', count_ours)
    add_peers(case, ALL, count, get_chunks(len(lines)), ', best chunks', in_stream=True)
    case.serial(lambda: count(map))
    case.run(IS_QUICK)


# W6 and W7: sections


def bench_sections():
    n = size(200_000, 100)
    case = Case('W6-python', '200,000 critical sections, in Python', 'us/section', 1e6 / n, 3)
    pool = new_pool()
    if numpy is None:
        case.leave_out('pool.critical', 'ours', NO_NUMPY)
        case.run(IS_QUICK)
        return

    sums = Shm.empty(1, 'i8')
    lock = FORK.Lock()
    number = FORK.RawValue('q', 0)

    def add_ours(_):
        with pool.critical:
            sums[0] += 1

    global add_theirs

    def add_theirs(_):
        with lock:
            number.value += 1

    def run_ours():
        sums[0] = 0
        pool.map(add_ours, range(n))
        assert sums[0] == n

    def run_theirs(a_map):
        number.value = 0
        collections.deque(a_map(add_theirs, range(n)), 0)
        assert number.value == n
    case.ours('pool.critical', run_ours)
    add_peers(case, NAMED_AFTER_FORK, run_theirs, get_chunks(n), ', Lock')
    case.run(IS_QUICK)

    n_ordered = size(20_000, 50)
    case = Case('W7-python', '20,000 ordered sections, in Python', 'us/section', 1e6 / n_ordered, 3)
    condition = FORK.Condition()

    def add_in_order(item):
        with pool.ordered:
            assert sums[0] == item
            sums[0] += 1

    global add_theirs_in_order

    def add_theirs_in_order(item):
        with condition:
            condition.wait_for(lambda: number.value == item)
            number.value += 1
            condition.notify_all()

    def run_ours_in_order():
        sums[0] = 0
        pool.map(add_in_order, range(n_ordered))
        assert sums[0] == n_ordered

    def run_theirs_in_order(a_map):
        number.value = 0
        collections.deque(a_map(add_theirs_in_order, range(n_ordered)), 0)
        assert number.value == n_ordered
    case.ours('pool.ordered', run_ours_in_order)
    add_peers(case, ALL[:1], run_theirs_in_order, [1], ', Condition')
    case.run(IS_QUICK)


# W8: the death of a worker


def bench_death():
    case = Case('W8-python', 'From the death of a worker to the exception, in Python', 'ms', 1e3,
                21)
    death = FORK.RawValue('d', 0.0)
    global die

    def die(item):
        time.sleep(0.002)
        if item == 0:
            death.value = time.monotonic()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    def run_ours():
        try:
            new_pool().map(die, range(2))
        except Shm.WorkerException:
            return time.monotonic() - death.value
        raise AssertionError('nobody died')

    def run_executor():
        with concurrent.futures.ProcessPoolExecutor(N_WORKERS, mp_context=FORK) as pool:
            future = pool.submit(die, 0)
            try:
                future.result()
            except concurrent.futures.process.BrokenProcessPool:
                return time.monotonic() - death.value
        raise AssertionError('nobody died')
    case.ours('Shm.MapReduce.map', run_ours)
    case.peer('ProcessPoolExecutor', lambda: contextlib.nullcontext(run_executor))
    case.leave_out('multiprocessing.Pool', 'peer', HANGS)
    case.leave_out('joblib, multiprocessing', 'peer', HANGS)
    case.run(IS_QUICK)


def main():
    calibrate()
    bench_items()
    bench_start('W2-python-small', 'A map of 2 items', 21)
    bench_many_maps()
    bench_words()
    bench_sections()
    bench_death()
    bench_large()
    bench_integral()
    gc.collect()
    array = Shm.Array.new(Shm.Dtype.U1, [size(1 << 30, 1 << 20)])
    array.fill(GLib.Variant('y', 1))
    bench_start('W2-python-array', 'A map of 2 items, 1 GiB in a shared array', 11)
    array.close()
    memory = bytearray(b'\1') * size(1 << 30, 1 << 20)
    bench_start('W2-python-private', 'A map of 2 items, 1 GiB of private memory', 7)
    assert memory[0] == 1


if __name__ == '__main__':
    main()
