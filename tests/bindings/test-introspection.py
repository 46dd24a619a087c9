# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The introspected library as it is, from Python."""

import os
import signal
import sys
import unittest

import gi

# without the override, also where that is installed
sys.modules['gi.overrides.Shm'] = None

gi.require_version('Shm', '1.0')
from gi.repository import Gio, GLib, Shm  # noqa: E402


class TestArray(unittest.TestCase):
    def test_access(self):
        array = Shm.Array.new(Shm.Dtype.F8, [2, 3])
        self.assertEqual(array.get_shape(), [2, 3])
        self.assertEqual(array.get_strides(), [24, 8])
        array.set_double([1, 2], 2.5)
        self.assertEqual(array.get_double([1, 2]), 2.5)
        self.assertEqual(array.get_value([1, 2]).unpack(), 2.5)
        self.assertNotEqual(array.get_address(), 0)
        self.assertEqual(array.props.n_bytes, 48)
        with self.assertRaises(GLib.Error) as caught:
            array.get_double([2, 0])
        self.assertTrue(caught.exception.matches(Shm.error_quark(), Shm.Error.OUT_OF_BOUNDS))

    def test_views(self):
        array = Shm.Array.new_filled(Shm.Dtype.I4, [10], GLib.Variant('i', 3))
        view = array.slice(0, 8, 2, -2)
        self.assertEqual(view.get_shape(), [3])
        view.fill(GLib.Variant('i', 7))
        self.assertEqual([array.get_int64([i]) for i in range(10)],
                         [3, 3, 3, 3, 7, 3, 7, 3, 7, 3])
        self.assertEqual(len(array.get_bytes().get_data()), 40)


class TestMap(unittest.TestCase):
    def setUp(self):
        self.pool = Shm.MapReduce(n_workers=2)

    def test_closure(self):
        table = {i: str(i) * 3 for i in range(50)}
        results = self.pool.map(50, None, lambda pool, i: GLib.Variant('s', table[i]))
        self.assertEqual([r.unpack() for r in results], [table[i] for i in range(50)])

    def test_workers_write(self):
        array = Shm.Array.new(Shm.Dtype.I8, [100])

        def work(pool, i):
            array.set_int64([i], os.getpid())

        self.assertEqual(self.pool.map(100, None, work), [None] * 100)
        pids = {array.get_int64([i]) for i in range(100)}
        self.assertNotIn(os.getpid(), pids)
        self.assertNotIn(0, pids)

    def test_ranges(self):
        results = self.pool.map_ranges(
            1000, None, lambda pool, begin, end: GLib.Variant('t', sum(range(begin, end))))
        self.assertEqual(sum(r.unpack() for r in results), sum(range(1000)))

    def test_loop(self):
        array = Shm.Array.new(Shm.Dtype.I8, [100])

        def loop(pool, begin, end):
            for i in range(begin, end):
                array.set_int64([i], i)
            return True

        self.assertTrue(self.pool.for_range(0, 100, None, loop))
        self.assertEqual(array.get_int64([99]), 99)

    def test_reduce(self):
        job = Shm.Job(pool=self.pool, n_items=10)
        total = []
        job.set_map_func(lambda pool, i: GLib.Variant('i', i))
        job.set_reduce_func(lambda pool, i, result: total.append(result.unpack()))
        self.assertTrue(job.run(None))
        self.assertEqual(sorted(total), list(range(10)))

    def test_sections(self):
        array = Shm.Array.new(Shm.Dtype.I8, [51])

        def work(pool, i):
            self.assertIn(pool.get_rank(), (0, 1))
            pool.ordered_enter()
            n = array.get_int64([50])
            array.set_int64([n], i)
            array.set_int64([50], n + 1)
            pool.ordered_leave()

        self.pool.map(50, None, work)
        self.assertEqual([array.get_int64([i]) for i in range(51)], list(range(50)) + [50])

    def test_errors(self):
        def fails(pool, i):
            if i == 7:
                raise GLib.Error.new_literal(Gio.io_error_quark(), 'no room',
                                             Gio.IOErrorEnum.NO_SPACE)

        with self.assertRaises(GLib.Error) as caught:
            self.pool.map(10, None, fails)
        self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.NO_SPACE))
        self.assertRegex(caught.exception.message, r'^Item 7 on worker [01]: no room$')

    def test_death(self):
        def dies(pool, i):
            if i == 7:
                os.kill(os.getpid(), signal.SIGKILL)

        with self.assertRaises(GLib.Error) as caught:
            self.pool.map(10, None, dies)
        self.assertTrue(caught.exception.matches(Shm.error_quark(), Shm.Error.WORKER_SIGNAL))
        self.assertIn('SIGKILL', caught.exception.message)

    def test_async(self):
        loop = GLib.MainLoop()
        job = Shm.Job(pool=self.pool, n_items=10)
        answer = []

        def done(job, result):
            answer.append(job.run_finish(result))
            loop.quit()

        job.set_map_func(lambda pool, i: GLib.Variant('i', i))
        job.run_async(None, done)
        loop.run()
        self.assertEqual(answer, [True])
        self.assertEqual([r.unpack() for r in job.get_results()], list(range(10)))

    def test_many(self):
        for _ in range(100):
            results = self.pool.map(10, None, lambda pool, i: GLib.Variant('(si)', ('x', i)))
            self.assertEqual(results[9].unpack(), ('x', 9))
            del results


if __name__ == '__main__':
    unittest.main()
