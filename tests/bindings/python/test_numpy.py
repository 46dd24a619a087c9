# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""numpy's arrays in shared memory: what they are, who sees what is written, how they travel."""

from __future__ import annotations

import contextlib
import copyreg
import ctypes
import gc
import io
import multiprocessing
import os
import pickle
import resource
import signal
import subprocess
import sys
import traceback

import gi
import numpy
import pytest

gi.require_version('Shm', '1.0')
from gi.repository import Shm  # noqa: E402
from gi.overrides.Shm import _family, _numpy  # noqa: E402

DTYPES = ['b1', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f4', 'f8', 'c8', 'c16',
          'f2', '>f8', '>i4', 'M8[s]', 'm8[ns]', 'S5', 'S', 'U7', 'V7', 'V0', 'c32',
          '(2,3)f4', [('a', 'f8'), ('b', 'i4', (2,)), ('c', 'S3')]]
SHAPES = [(), 0, 5, (2, 0, 3), (2, 3), (1, 2, 3, 4)]


def in_child(function):
    """Runs a function in a forked process, and fails if it does."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(60)
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def count_mappings():
    gc.collect()
    with open('/proc/self/maps') as maps:
        return sum(' rw-s ' in line for line in maps)


@contextlib.contextmanager
def no_leak():
    before = count_mappings()
    yield
    assert count_mappings() == before


def dump(value, **kwargs):
    """Pickles as the transport between a worker and its caller does."""
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, 5, buffer_callback=kwargs.pop('buffer_callback', None))
    pickler.dispatch_table = _numpy.transport_table(**kwargs)
    pickler.dump(value)
    return stream.getvalue()


# numpy's arrays


@pytest.mark.parametrize('dtype', DTYPES, ids=repr)
@pytest.mark.parametrize('shape', SHAPES, ids=repr)
def test_every_type_and_shape(shape, dtype):
    array = Shm.empty(shape, dtype)
    expected = numpy.zeros(shape, dtype)
    assert type(array) is _numpy.SharedArray
    assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
    assert array.flags.c_contiguous
    assert array.tobytes() == expected.tobytes() and array.flags.writeable
    if array.itemsize > 0:
        array.reshape(-1).view('u1')[...] = ord('1')
    for other in (pickle.loads(pickle.dumps(array)), Shm.copy(array),
                  _numpy.resolve(_numpy.reference(array))):
        assert type(other) is _numpy.SharedArray
        assert (other.shape, other.dtype) == (array.shape, array.dtype)
        assert other.tobytes() == array.tobytes()
    if array.size * array.itemsize > 0:
        assert numpy.shares_memory(other, array)


def test_making():
    assert Shm.empty(3).dtype == 'f8' and Shm.empty((2, 3)).tolist() == [[0.0] * 3] * 2
    assert Shm.empty_like([1, 2]).dtype == int and Shm.empty_like([1], 'f4').dtype == 'f4'
    assert Shm.empty_like(numpy.zeros((2, 3), '>f4')).dtype == '>f4'
    assert Shm.full((2,), 3).tolist() == [3.0, 3.0] and Shm.full((), 3, 'i4')[()] == 3
    assert Shm.full(2, [4, 5], int).tolist() == [4, 5]
    assert Shm.full_like([1, 2], 7).tolist() == [7, 7]
    assert Shm.full_like([[1, 2]], 0.5, 'f8').tolist() == [[0.5, 0.5]]
    assert Shm.copy([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert Shm.copy(numpy.arange(6).reshape(2, 3).T).flags.c_contiguous
    assert Shm.fromiter((i * i for i in range(4)), 'i4').tolist() == [0, 1, 4, 9]
    assert Shm.fromiter(iter(range(9)), 'f8', 3).tolist() == [0, 1, 2]
    with pytest.raises(ValueError):
        Shm.fromiter([1], 'f8', 3)
    for array in (Shm.empty_like([1]), Shm.copy([1]), Shm.fromiter([1], int), Shm.full(1, 1)):
        assert type(array) is _numpy.SharedArray
    assert type(_numpy.SharedArray((2, 3), 'i4')) is _numpy.SharedArray


def test_refused():
    for dtype in ('O', [('a', 'f8'), ('b', 'O')]):
        for make in (lambda: Shm.empty(2, dtype), lambda: Shm.full(2, None, dtype),
                     lambda: Shm.copy(numpy.zeros(2, dtype)), lambda: Shm.fromiter([1], dtype),
                     lambda: Shm.empty_like([1], dtype)):
            with pytest.raises(TypeError, match='Python objects'):
                make()
    with pytest.raises(TypeError):
        Shm.copy([None])
    with pytest.raises(MemoryError, match='shared memory'):
        Shm.empty(10**16)
    with pytest.raises(ValueError):
        Shm.empty(-1)


def test_records_in_numpy():
    array = Shm.empty(3, [('x', 'f8'), ('n', 'i4')])
    array['x'] = [1, 2, 3]
    array[1]['n'] = 7
    assert array.tolist() == [(1.0, 0), (2.0, 7), (3.0, 0)]
    assert type(array['x']) is _numpy.SharedArray and array['x'].strides == (12,)


def test_views_stay_shared():
    array = Shm.empty((4, 5, 6))
    for view in (array[1:], array[::-1, ::2], array.T, array[..., None], array[1], array.view('u1'),
                 array.reshape(20, 6), array.ravel(), array.swapaxes(0, 1), array.diagonal(),
                 array[2:2], array.squeeze(), numpy.split(array, 2)[1], array.real):
        assert type(view) is _numpy.SharedArray
        assert view.size == 0 or numpy.shares_memory(view, array)


def test_what_is_computed_is_ordinary():
    array = Shm.full((4, 4), 1.0)
    for result in (array + 1, 1 + array, -array, array == array, numpy.sin(array), array @ array,
                   array[[0, 1]], array[array > 0], array.copy(), array.astype('i4'), array.sum(0),
                   array.mean(axis=0), array.std(0), array.max(0), array.argmax(0), array.round(),
                   array.cumsum(), array.T.reshape(-1), array.flatten(), array.dot(array),
                   array.take([0]), numpy.sort(array), numpy.concatenate([array, array]),
                   numpy.zeros_like(array), numpy.where(array > 1, array, 0), numpy.asarray(array),
                   numpy.linalg.inv(Shm.copy(numpy.eye(2))), numpy.add.outer(array[0], array[0]),
                   numpy.add.accumulate(array), *numpy.modf(array), *numpy.linalg.qr(array),
                   numpy.median(array, axis=0), numpy.einsum('ij->j', array)):
        assert type(result) is numpy.ndarray
    for result in (array[0, 0], array.sum(), array.mean(), array.max(), array.std(), array.all(),
                   numpy.sum(array), numpy.median(array), numpy.add.reduce(array, axis=None),
                   Shm.full((), 2.0) + 1, numpy.linalg.norm(array)):
        assert isinstance(result, numpy.generic)


def test_in_place():
    array = same = Shm.full(4, 1.0)
    array += 1
    assert array is same and array.tolist() == [2] * 4
    assert numpy.multiply(array, 2, out=array) is array and array.tolist() == [4] * 4
    numpy.add.at(array, [0, 0], 1)
    assert array.tolist() == [6, 4, 4, 4]
    quotient, remainder = Shm.empty(4), Shm.empty(4)
    results = numpy.divmod(array, 4, out=(quotient, remainder))
    assert results[0] is quotient and results[1] is remainder and remainder[0] == 2
    results = numpy.divmod(array, 4, out=(quotient, None))
    assert results[0] is quotient and type(results[1]) is numpy.ndarray
    ordinary = numpy.zeros(4)
    assert numpy.add(array, array, out=ordinary, where=array > 5) is ordinary
    assert ordinary.tolist() == [12, 0, 0, 0]
    assert array.sum(out=quotient[0:1].reshape(())) == 18 and quotient[0] == 18
    numpy.copyto(array, 3)
    array.sort()
    assert array.tolist() == [3] * 4


# memory


def test_plain_arrays_forked():
    array = Shm.Array(4, 'i4')
    in_child(lambda: array.__setitem__(slice(1, 3), [7, 8]))
    assert array.tolist() == [0, 7, 8, 0]


def test_asarray():
    with no_leak():
        array = Shm.Array((2, 3), 'i4')
        same = numpy.asarray(array)
        reverse = numpy.asarray(array[::-1, ::-2])
        del array
        assert same.flags.writeable and same.dtype == 'i4'
        same[1, 2] = 7
        assert reverse[0, 0] == 7 and reverse.strides == (-12, -8)
        del same, reverse


def test_memoryview_keeps_memory():
    with no_leak():
        view = Shm.Array(10, 'V3').memoryview()
        assert view.shape == (10, 3)
        gc.collect()
        view[9, 2] = 7
        assert view.tobytes()[-1] == 7
        del view


def test_forked_writes():
    array = Shm.empty((3, 4), 'i8')
    record = Shm.empty(2, [('x', 'f8')])

    def write():
        array[1, ::-2] = [1, 2]
        array.T[0, 2] = os.getpid()
        record['x'][1] = 2.5

    in_child(write)
    assert array[1].tolist() == [0, 2, 0, 1] and array[2, 0] not in (0, os.getpid())
    assert record['x'].tolist() == [0, 2.5]


def test_views_keep_memory():
    with no_leak():
        view = Shm.full((100, 100), 3.0)[50, ::2]
        ordinary = numpy.asarray(Shm.full(100, 4.0))[10:]
        element = Shm.empty(3, [('x', 'f8')])[1]
        gc.collect()
        in_child(lambda view=view: view.__setitem__(1, 5))
        assert view.sum() == 3 * 49 + 5 and ordinary.sum() == 360 and element['x'] == 0
        del view, ordinary, element


def test_many():
    with no_leak():
        before = count_mappings()
        arrays = [Shm.full(10, i) for i in range(1000)]
        assert count_mappings() > before
        assert sum(array.sum() for array in arrays) == 10 * sum(range(1000))
        del arrays
    for _ in range(20):
        with no_leak():
            for i in range(50):
                other = pickle.loads(pickle.dumps(Shm.full(10, i)[::2]))
                assert _numpy.resolve(_numpy.reference(other))[4] == i
            del other
    assert len(_family._owners) == len(_family._tokens)


# references


def views_of(array):
    return [array, array[1:], array[::-1], array[::-2, 1], array.T, array[:, :, 2:4], array[1],
            array.transpose(1, 0, 2)[::-1], array[1, 2, 3:4], array[..., None], array.view('u1'),
            array[2:2], array[0, 0, 0:1].reshape(()),
            numpy.broadcast_to(array[0, 0], (3, 6), subok=True)]


def test_references_travel():
    array = Shm.copy(numpy.arange(120.0).reshape(4, 5, 6))
    for view in views_of(array):
        same = _numpy.resolve(pickle.loads(pickle.dumps(_numpy.reference(view))))
        assert type(same) is _numpy.SharedArray and numpy.array_equal(same, view)
        assert (same.shape, same.dtype) == (view.shape, view.dtype)
        if view.size > 0:
            assert same.strides == view.strides and same.ctypes.data == view.ctypes.data
            assert pickle.loads(dump(view)).ctypes.data == view.ctypes.data


def test_what_has_no_reference():
    array = Shm.empty(10)
    assert _numpy.reference(numpy.zeros(3)) is None
    assert _numpy.reference(numpy.zeros(3).view(_numpy.SharedArray)) is None
    assert _numpy.reference(array + 1) is None and _numpy.reference(numpy.asarray(array)) is None
    beyond = numpy.lib.stride_tricks.as_strided(array, (20,), (8,), subok=True)
    assert _numpy.reference(beyond) is None
    assert _numpy.reference(None) is None


def test_references_of_a_worker():
    inherited = Shm.full(10, 1.0)
    receive, send = os.pipe()

    def work():
        own = Shm.full(10, 2.0)
        assert _numpy.reference(own) is None
        before = _family.mark()
        later = Shm.empty(3)
        assert _numpy.reference(own, before) and _numpy.reference(later, before) is None
        assert _numpy.reference(inherited[::2]) is not None
        # What it inherited is the caller's, what it made is a copy.
        os.write(send, dump([inherited[::-1], own[::2], own]))

    in_child(work)
    first, second, third = pickle.loads(os.read(receive, 65536))
    os.close(receive)
    os.close(send)
    assert numpy.shares_memory(first, inherited) and first.strides == (-8,)
    assert second.tolist() == [2] * 5 and third.tolist() == [2] * 10
    assert type(second) is _numpy.SharedArray
    in_child(lambda: second.fill(7))
    assert second.tolist() == [7] * 5


def test_made_after_the_fork():
    in_child(lambda: None)
    early = Shm.empty(3)
    before = _family.mark()
    late = Shm.full(3, 5.0)
    assert _numpy.reference(early, before) and _numpy.reference(late, before) is None
    restored = pickle.loads(dump(late, made_before=before))
    assert restored.tolist() == [5] * 3 and not numpy.shares_memory(restored, late)
    # Nobody has said which it is.
    pickled = dump(late)
    assert numpy.shares_memory(pickle.loads(pickled), late)
    del late
    gc.collect()
    assert pickle.loads(pickled).tolist() == [5] * 3


def test_feeding_a_pool():
    early = [Shm.empty(3) for _ in range(4)]

    def items():
        yield from early
        for i in range(4):
            yield Shm.full(3, i)

    def work(array):
        array += 1
        return array

    with Shm.MapReduce(np=2) as pool:
        results = pool.map(work, items())
    assert [result[0] for result in results] == [1] * 4 + [1, 2, 3, 4]
    assert all(array[2] == 1 for array in early)
    assert all(numpy.shares_memory(result, array) for result, array in zip(results, early))


def test_dropped():
    array = Shm.empty(3)
    name, pickled = _numpy.reference(array), dump(array, made_before=_family.mark())
    del array
    gc.collect()
    for load in (lambda: _numpy.resolve(name), lambda: pickle.loads(pickled)):
        with pytest.raises(LookupError, match='does not have'):
            load()


def test_false_references():
    array = Shm.empty(10)
    token, offset, shape, strides, dtype = _numpy.reference(array)
    for bad in ((token, offset, (11,), strides, dtype), (token, 8, shape, strides, dtype),
                (token, -8, shape, strides, dtype), (token, offset, shape, (-8,), dtype)):
        with pytest.raises(ValueError):
            _numpy.resolve(bad)


# transport and pickles


def test_adopt():
    memory = Shm.Array(48, 'u1')
    for order in 'CF':
        array = _numpy.adopt(memory, (2, 3), 'f8', order)
        assert type(array) is _numpy.SharedArray and array.flags[order + '_CONTIGUOUS']
        array[1, 0] = 3
        assert numpy.asarray(memory).view('f8')[3 if order == 'C' else 1] == 3
        assert _numpy.resolve(_numpy.reference(array))[1, 0] == 3
    assert _numpy.adopt(memory, 2, [('x', 'f8'), ('y', 'f8')]).shape == (2,)
    assert _numpy.adopt(Shm.Array(0, 'u1'), (0, 3), 'f8').shape == (0, 3)
    for array, shape in ((memory, 49), (memory[::2], 3)):
        with pytest.raises(ValueError):
            _numpy.adopt(array, shape, 'u1')
    with pytest.raises(TypeError):
        _numpy.adopt(memory, 6, 'O')


def test_out_of_band_in_place():
    source = Shm.copy(numpy.arange(12.0).reshape(3, 4).T)
    private = pickle.loads(pickle.dumps(source))
    for order, array in (('C', private), ('F', private.T)):
        buffers = []
        data = dump(array, made_before=0, buffer_callback=buffers.append)
        assert len(buffers) == 1 and len(data) < 1000
        memory = Shm.Array(96, 'u1')
        memory.memoryview()[:] = buffers[0].raw()
        loaded = pickle.loads(data, buffers=[memory.memoryview()])
        assert type(loaded) is _numpy.SharedArray and numpy.array_equal(loaded, array)
        assert numpy.shares_memory(loaded, numpy.asarray(memory)) and loaded.flags.writeable
        assert loaded.flags[order + '_CONTIGUOUS']
        assert _numpy.reference(loaded) is not None


def test_transport_keeps_other_reducers():
    class Odd:
        pass

    copyreg.pickle(Odd, lambda odd: (int, (3,)))
    try:
        assert pickle.loads(dump([Odd(), Shm.full(1, 2)])) == [3, 2]
    finally:
        del copyreg.dispatch_table[Odd]


def test_pickles_are_copies():
    array = Shm.copy(numpy.arange(120.0).reshape(4, 5, 6))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        for view in views_of(array):
            loaded = pickle.loads(pickle.dumps(view, protocol))
            assert type(loaded) is _numpy.SharedArray and loaded.dtype == view.dtype
            assert numpy.array_equal(loaded, view) and not numpy.shares_memory(loaded, array)
    assert pickle.loads(pickle.dumps(array.T)).flags.f_contiguous
    loaded = pickle.loads(pickle.dumps(array))
    in_child(lambda: loaded.fill(1))
    assert (loaded == 1).all()


def test_pickle_in_a_foreign_process():
    script = ('import gi, pickle, sys; gi.require_version("Shm", "1.0")\n'
              'array = pickle.load(sys.stdin.buffer)\n'
              'from gi.repository import Shm\n'
              'print(type(array).__name__, array.tolist())')
    data = pickle.dumps(Shm.copy([[1, 2], [3, 4]]))
    result = subprocess.run([sys.executable, '-c', script], input=data, capture_output=True,
                            timeout=60, check=True)
    assert result.stdout == b'SharedArray [[1, 2], [3, 4]]\n'


def test_multiprocessing():
    fork = multiprocessing.get_context('fork')
    array = Shm.copy(numpy.arange(10.0))
    before, after = fork.SimpleQueue(), fork.SimpleQueue()

    def work():
        signal.alarm(60)
        after.put(array[::-2])
        view = before.get()
        view += 1
        late = before.get()
        after.put(Shm.full(2, late[0]))

    process = fork.Process(target=work)
    process.start()
    assert numpy.shares_memory(after.get(), array)
    before.put(array[5:])
    # Made after the fork: there it is a copy.
    before.put(Shm.full(2, 3.0))
    made_there = after.get()
    process.join()
    assert array.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert made_there.tolist() == [3, 3] and type(made_there) is _numpy.SharedArray
    for queue in (before, after):
        queue.close()


def count_faults(array):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    array[...] = 2
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_advice():
    array = Shm.full(1 << 22, 1.0)
    part = array[1 << 20:3 << 20]

    def work(is_advised):
        if is_advised:
            part.advise(Shm.Advice.WILL_NEED)
        return count_faults(part)
    # Each in a worker that has not seen the array. Where the system has no such advice, as many are left.
    without, = Shm.MapReduce(np=1).map(work, [False])
    with_advice, = Shm.MapReduce(np=1).map(work, [True])
    assert without >= 4000
    assert with_advice < 1000 or not can_map_pages(part)
    assert (part == 2).all() and array[0] == 1 and array[-1] == 1


def can_map_pages(array):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.madvise(ctypes.c_void_p(array.ctypes.data & -4096), 4096, 22) == 0


def test_advice_of_any_layout():
    block = Shm.copy(numpy.arange(6000).reshape(10, 20, 30))
    views = [block, block[::2, 5:, ::-3], block[3], block[3, 4, 5:6], block[:0], block.T,
             Shm.empty(5, 'S7'), Shm.empty(0), Shm.empty(()), Shm.empty(3, 'V0'),
             Shm.empty(4, [('a', 'f8'), ('b', 'i2')])['b']]
    for view in views:
        for advice in (Shm.Advice.SEQUENTIAL, Shm.Advice.WILL_NEED, Shm.Advice.NORMAL):
            view.advise(advice)
    assert (block.reshape(-1) == numpy.arange(6000)).all()


def test_numpy_is_loaded_late():
    script = ('import gi, sys; gi.require_version("Shm", "1.0")\n'
              'from gi.repository import Shm\n'
              'array = Shm.Array(3); array[1] = 2; array.memoryview(); array[::2].tolist()\n'
              'assert "numpy" not in sys.modules and "multiprocessing" not in sys.modules\n'
              'Shm.empty(3)\n'
              'assert "numpy" in sys.modules and "multiprocessing" not in sys.modules')
    subprocess.run([sys.executable, '-c', script], timeout=60, check=True)


if __name__ == '__main__':
    sys.exit(pytest.main([__file__, *sys.argv[1:]]))
