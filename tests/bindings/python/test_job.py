# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Shm.Job as it is in every language."""

import pytest
from gi.repository import Gio, GLib, Shm


def square(pool, index, *data):
    return GLib.Variant('t', index * index)


def new_job(n_items, func=square):
    job = Shm.Job.new(Shm.MapReduce(np=2), n_items)
    job.set_map_func(func, None)
    return job


def test_results():
    job = new_job(10)
    assert job.run(None)
    assert [result.unpack() for result in job.get_results()] == [i * i for i in range(10)]
    assert job.get_n_done() == job.get_n_items() == 10


@pytest.mark.parametrize('output', [Shm.Output.STREAM, Shm.Output.STREAM_IN_ORDER])
def test_signal_result(output):
    job, seen = new_job(50), []
    job.set_output(output)
    job.connect('result', lambda job, index, result: seen.append((index, result.unpack())))
    assert job.run(None)
    expected = [(i, i * i) for i in range(50)]
    assert (seen if output == Shm.Output.STREAM_IN_ORDER else sorted(seen)) == expected


def test_notify_fraction():
    job, seen = new_job(50), []
    job.connect('notify::fraction', lambda job, pspec: seen.append(job.get_fraction()))
    assert job.run(None)
    assert seen[-1] == 1
    assert seen == sorted(seen)


def test_run_async_on_a_main_loop():
    job, loop, ended = new_job(20), GLib.MainLoop(), []

    def done(job, result, *data):
        ended.append(job.run_finish(result))
        loop.quit()

    job.run_async(None, done)
    loop.run()
    assert ended == [True]
    assert len(job.get_results()) == 20


def test_run_async_that_is_cancelled():
    job, loop, errors = new_job(1 << 30), GLib.MainLoop(), []
    job.set_output(Shm.Output.NONE)
    cancellable = Gio.Cancellable()

    def done(job, result, *data):
        try:
            job.run_finish(result)
        except GLib.Error as error:
            errors.append(error)
        loop.quit()

    job.run_async(cancellable, done)
    GLib.idle_add(lambda: cancellable.cancel() or GLib.SOURCE_REMOVE)
    loop.run()
    assert errors[0].matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED)


def test_errors_of_glib():
    def fail(pool, index, *data):
        raise GLib.Error.new_literal(Gio.io_error_quark(), 'no', Gio.IOErrorEnum.NOT_FOUND)

    job = new_job(4, fail)
    with pytest.raises(GLib.Error) as info:
        job.run(None)
    assert info.value.matches(Gio.io_error_quark(), Gio.IOErrorEnum.NOT_FOUND)
    failure = job.get_failures()[0]
    assert failure.get_error().matches(Gio.io_error_quark(), Gio.IOErrorEnum.NOT_FOUND)
    assert failure.get_kind() == Shm.FailureKind.ERROR


def test_feed_and_items():
    job = Shm.Job.new(Shm.MapReduce(np=2), 0)
    job.set_feed_func(lambda job, index, *data: GLib.Variant('t', index) if index < 30 else None,
                      None)
    job.set_map_func(lambda pool, index, *data: GLib.Variant(
        't', 2 * pool.get_job().get_item(index).unpack()), None)
    assert job.run(None)
    assert [result.unpack() for result in job.get_results()] == [2 * i for i in range(30)]


def test_bound_to_a_property():
    job = new_job(10)
    action = Gio.SimpleAction.new('a', None)
    job.bind_property('n-done', action, 'enabled', 0, lambda binding, n: n == 10, None)
    job.run(None)
    assert action.get_enabled()


def test_job_can_be_run_once():
    job = new_job(1)
    assert job.run(None)
    with pytest.raises(GLib.Error) as info:
        job.run(None)
    assert info.value.matches(Shm.error_quark(), Shm.Error.WRONG_STATE)
