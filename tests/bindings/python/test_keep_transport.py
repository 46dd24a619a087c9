# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What maps give to workers that stay, and get from them."""

import ctypes
import gc
import mmap
import threading

import numpy
import pytest
from gi.repository import Shm
from keep import check_same_workers, double, write


def test_shared_arrays_go_by_reference(kept):
    arrays = [Shm.empty(3) for _ in range(4)]
    for value in range(1, 6):
        # The last one is made while there are workers.
        arrays.append(Shm.empty(3))
        kept.map(write, [(array, value) for array in arrays])
        assert all((array == value).all() for array in arrays)
        check_same_workers(kept, write, [(array[1:], 9) for array in arrays],
                           [(arrays[0][::-1][1:2], 10)])
        assert all(list(array) == [value, 9, 9] for array in arrays[1:])
        assert list(arrays[0]) == [value, 10, 9]


def test_a_shared_array_as_the_sequence(kept):
    for size in (4, 4, 6):
        rows = Shm.empty((size, 2))
        for _ in range(2):
            kept.map(write, rows)
            assert (rows == 7).all()
            rows[...] = 0
    kept.map(write, rows)
    check_same_workers(kept, write, rows[::2], rows, rows.T)


def test_shared_arrays_deep_in_the_items(kept):
    def work(item):
        item['arrays'][0].target[...] += 1

    class Holder:
        def __init__(self, target):
            self.target = target

    globals()['Holder'] = Holder
    Holder.__qualname__ = 'Holder'
    shared = Shm.full(5, 1.0)
    objects = numpy.empty(1, object)
    objects[0] = Holder(shared)
    for k in range(1, 5):
        kept.map(work, [{'arrays': objects}] if k % 2 else [{'arrays': [Holder(shared[:])]}])
        assert (shared == 1 + k).all()


def test_plain_views_of_shared_arrays(kept):
    shared = Shm.empty((4, 2))
    kept.map(write, [numpy.asarray(shared)])
    assert (shared == 7).all()
    shared[...] = 0
    check_same_workers(kept, write, [numpy.asarray(shared)[1:]], shared.view(numpy.ndarray)[2:])
    assert (shared[1:] == 7).all() and (shared[0] == 0).all()


def test_arrays_keep_their_class(kept):
    def get_name(array):
        return type(array).__name__

    shared = Shm.empty(3)
    items = [shared, shared[1:], numpy.asarray(shared), numpy.zeros(3), numpy.ma.zeros(3)]
    for _ in range(3):
        assert kept.map(get_name, items) == list(map(get_name, items))


def test_plain_arrays_go_by_value(kept):
    array = numpy.zeros(3)
    for _ in range(3):
        kept.map(write, [array, array[1:]])
        assert (array == 0).all()
    check_same_workers(kept, write, [array], array.reshape(3, 1), [numpy.zeros(50000)] * 2)
    changing = numpy.arange(6.0)
    for k in range(4):
        changing += k
        assert kept.map(double, changing) == list(2 * changing)


def test_arrays_that_came_from_workers(kept):
    """What a map returned goes into the next one, and large results stay as they are."""
    values = [numpy.full(size, 1.0) for size in (3, 100, 20000)]
    all_values = [values]
    for _ in range(5):
        all_values.append(kept.map(double, all_values[-1]))
    gc.collect()
    for k, values in enumerate(all_values):
        assert all((value == 2 ** k).all() for value in values)


def test_other_shared_memory_is_not_copied(kept, tmp_path):
    mapped = numpy.memmap(tmp_path / 'file', 'f8', 'w+', shape=(4,))
    buffer = mmap.mmap(-1, 4096)
    over_buffer = numpy.frombuffer(buffer, 'f8')
    numbers = (ctypes.c_double * 4).from_buffer(buffer, 2048)
    array = Shm.Array((4,), 'f8')

    def work(item):
        item[0] += 1

    for k in range(1, 4):
        kept.map(work, [mapped, numpy.asarray(mapped)[1:2], over_buffer[2:], numbers, array])
        assert list(mapped[:2]) == [k, k]
        assert over_buffer[2] == numbers[0] == array[0] == k
    del over_buffer, numbers
    gc.collect()
    buffer.close()


def test_much_is_inherited(kept):
    much = [numpy.full(1 << 19, k) for k in range(8)]
    for value in range(3):
        much[0][0] = value
        assert kept.map(lambda array: array[0], much) == [value, *range(1, 8)]
        assert kept.map(double, [b'x' * (4 << 20)]) == [b'x' * (8 << 20)]


class Unpicklable:
    """A sequence."""

    def __init__(self, items):
        self.items = items
        self.lock = threading.Lock()

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        with self.lock:
            return self.items[index]


class Poisonous(list):
    """A sequence that pickles, and does not load."""

    def __reduce_ex__(self, protocol):
        return int, ('poison',)


class Interrupting(list):
    """A sequence that is interrupted as it is pickled."""

    def __reduce_ex__(self, protocol):
        raise SystemExit


def test_sequences_that_cannot_be_pickled(kept, tmp_path):
    for k in range(4):
        assert kept.map(double, Unpicklable(range(k, 9))) == [2 * i for i in range(k, 9)]
        assert kept.map(double, [k]) == [2 * k]
        with (tmp_path / 'file').open('w') as file:
            assert kept.map(lambda file: file.fileno(), [file, file]) == [file.fileno()] * 2
        assert kept.map(repr, [lambda: None, int])[1] == "<class 'int'>"


def test_a_sequence_that_does_not_load(kept):
    assert kept.map(double, [1]) == [2]
    with pytest.raises(Shm.WorkerException) as info:
        kept.map(double, Poisonous([1, 2]))
    assert isinstance(info.value.reason, ValueError)
    assert 'poison' in info.value.traceback
    assert kept.map(double, [1]) == [2]


def test_a_sequence_that_raises(kept):
    class Raising(list):
        def __getitem__(self, index):
            raise LookupError(index)

    assert kept.map(double, [1]) == [2]
    with pytest.raises(SystemExit):
        kept.map(double, Interrupting([1, 2]))
    with pytest.raises(Shm.WorkerException) as info:
        kept.map(double, Raising([1, 2]))
    assert isinstance(info.value.reason, LookupError)
    check_same_workers(kept, double, [1, 2], [3])


def test_what_a_map_was_given_is_not_kept(kept):
    class Item:
        number = 0

        def __init__(self):
            Item.number += 1

        def __del__(self):
            Item.number -= 1

    kept.map(double, [1])
    results = kept.map(str, [Item(), Item()], reduce=lambda text: Item())
    assert Item.number == 2
    del results
    gc.collect()
    assert Item.number == 0
    check_same_workers(kept, str, [1], [2])


def test_does_not_grow(kept):
    def measure():
        with open('/proc/self/statm', encoding='ascii') as file:
            return int(file.read().split()[1])

    arrays = [numpy.zeros(5000) for _ in range(4)]
    for _ in range(50):
        kept.map(double, arrays)
    before = measure()
    for _ in range(250):
        kept.map(double, arrays)
    # 250 maps have moved 10000 pages there, and as many back.
    assert measure() - before < 2500
