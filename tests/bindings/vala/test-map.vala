// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

// Maps, loops, regions and calls in the background, with closures, errors and coroutines.

class Recipe : Object {
  public string name { get; construct; }
  public Recipe (string name) {
    Object (name: name);
  }
}

void test_closures () throws Error {
  var pool = new_pool ();
  var recipe = new Recipe ("soup");
  string[] words = { "hot", "cold" };
  var offset = 5;

  assert (pool.n_workers == 2);
  var results = pool.map (100, null, (pool, i) => {
    offset++;
    if (i % 3 == 0)
      return null;
    return "%s %s %d".printf (words[i % 2], recipe.name, (int) i);
  });
  assert (results.length == 100);
  assert (results[0] == null && results[99] == null);
  assert (results[1].get_string () == "cold soup 1");
  assert ((string) results[98] == "hot soup 98");
  // a worker has a copy of it
  assert (offset == 5);

  Shm.MapFunc square = (pool, i) => i * i;
  uint64 sum = 0;
  foreach (var result in pool.map (10, null, square))
    sum += (uint64) result;
  assert (sum == 285);
}

void test_threads_share () throws Error {
  var pool = new Shm.MapReduce () { n_workers = 2, backend = Shm.BackendType.THREAD };
  var sum = 0;

  pool.for_range (0, 1000, null, (pool, begin, end) => {
    for (var i = begin; i < end; i++)
      pool.critical (() => { sum += (int) i; });
    return true;
  });
  assert (sum == 499500);
}

void test_ranges () throws Error {
  var pool = new_pool ();
  uint64 sum = 0;

  pool.chunk_size = 7;
  var results = pool.map_ranges (100, null, (pool, begin, end) => {
    uint64 part = 0;
    for (var i = begin; i < end; i++)
      part += i;
    return part;
  });
  foreach (var part in results)
    if (part != null)
      sum += (uint64) part;
  assert (sum == 4950);
}

void test_for_range () throws Error {
  var pool = new_pool ();
  var squares = new Shm.Array (Shm.Dtype.F8, { 1000 });
  var count = new Shm.Array (Shm.Dtype.I8, {});
  unowned double[:size_t] items = squares.as_doubles ();

  pool.for_range (10, 1000, null, (pool, begin, end) => {
    for (var i = (size_t) begin; i < end; i++)
      items[i] = (double) (i * i);
    count.add_int64 ({}, (int64) (end - begin));
    return true;
  });
  assert (items[9] == 0 && items[10] == 100 && squares[999] == 998001);
  assert (count.get_int64 ({}) == 990);
}

void test_sections () throws Error {
  var pool = new_pool ();
  var count = new Shm.Array (Shm.Dtype.I8, {});
  var places = new Shm.Array (Shm.Dtype.I8, { 200 });

  pool.chunk_size = 1;
  pool.map (200, null, (pool, i) => {
    assert (pool.get_rank () >= 0);
    pool.ordered (() => {
      places.set_int64 ({ (size_t) i }, count.get_int64 ({}));
      count.set_int64 ({}, count.get_int64 ({}) + 1);
    });
    return null;
  });
  for (var i = 0; i < 200; i++)
    assert (places.as_int64s ()[i] == i);
  assert (pool.get_rank () == -1);

  // what is thrown leaves the section, or the next worker would wait for ever
  pool.failure_policy = Shm.FailurePolicy.COLLECT;
  var job = new Shm.Job (pool, 20);
  job.set_map_func ((pool, i) => {
    pool.critical (() => {
      if (i % 2 == 0)
        throw new KitchenError.TOO_COLD ("item %d", (int) i);
    });
    return null;
  });
  job.run ();
  assert (job.get_failures ().length == 10);
  assert (job.get_failures ()[0].error is KitchenError.TOO_COLD);
}

void test_region () throws Error {
  var pool = new_pool ();
  var sums = new Shm.Array (Shm.Dtype.F8, { 2 });

  var results = pool.run (Shm.RegionFlags.NONE, null, (pool, rank) => {
    pool.share_range (0, 100, Shm.Schedule.STATIC, 0, (pool, begin, end) => {
      for (var i = begin; i < end; i++)
        sums[rank] = sums[rank] + i;
      return true;
    });
    pool.barrier ();
    return sums[0] + sums[1];
  });
  assert (results.length == 2);
  assert ((double) results[0] == 4950 && (double) results[1] == 4950);
}

void test_errors () {
  var pool = new_pool ();

  var error = catch_error (() => pool.map (10, null, (pool, i) => {
    if (i == 7)
      throw new KitchenError.TOO_HOT ("it burns");
    return i;
  }));
  assert (error is KitchenError);
  assert (error is KitchenError.TOO_HOT);
  assert (error.message.has_suffix (": it burns") && "7" in error.message);

  try {
    pool.for_range (0, 10, null, (pool, begin, end) => {
      throw new IOError.NO_SPACE ("no room");
    });
    assert_not_reached ();
  } catch (KitchenError e) {
    assert_not_reached ();
  } catch (IOError.NO_SPACE e) {
    assert (e.message.has_suffix (": no room"));
  } catch (Error e) {
    assert_not_reached ();
  }
}

void test_deaths () {
  var pool = new_pool ();

  assert (catch_error (() => pool.map (10, null, (pool, i) => {
    if (i == 3)
      Posix.kill (Posix.getpid (), Posix.Signal.KILL);
    return null;
  })) is Shm.Error.WORKER_SIGNAL);
  assert (catch_error (() => pool.map (10, null, (pool, i) => {
    if (i == 3)
      Posix._exit (4);
    return null;
  })) is Shm.Error.WORKER_EXIT);
}

async void map_meanwhile () throws Error {
  var pool = new_pool ();
  var offset = 3;
  var is_closed = false;
  int fds[2];

  // the workers wait for the main loop to close its end
  assert (Posix.pipe (fds) == 0);
  Idle.add (() => { Posix.close (fds[1]); return Source.REMOVE; });
  var results = yield pool.map_async (10, (pool, i) => {
    uint8 buffer[1];
    if (!is_closed)
      Posix.close (fds[1]);
    is_closed = true;
    assert (Posix.read (fds[0], buffer, 1) == 0);
    return i + offset;
  });
  assert ((uint64) results[9] == 12);
  Posix.close (fds[0]);

  try {
    yield pool.map_async (10, (pool, i) => { throw new KitchenError.TOO_COLD ("brr"); });
    assert_not_reached ();
  } catch (KitchenError.TOO_COLD e) {
    assert (e.message.has_suffix (": brr"));
  }

  // the items never end by themselves
  var cancellable = new Cancellable ();
  Idle.add (() => { cancellable.cancel (); return Source.REMOVE; });
  try {
    yield pool.map_async (2, (pool, i) => { Posix.pause (); return null; }, cancellable);
    assert_not_reached ();
  } catch (IOError.CANCELLED e) {
  }
}

async void wait_for_background () throws Error {
  var base_number = 40;
  var background = new Shm.Background (() => base_number + 2);
  var answer = yield background.wait_async ();
  assert ((int) answer == 42);
  assert (!background.is_running ());

  var blocked = new Shm.Background (() => { Posix.pause (); return null; });
  var cancellable = new Cancellable ();
  Idle.add (() => { cancellable.cancel (); return Source.REMOVE; });
  try {
    yield blocked.wait_async (cancellable);
    assert_not_reached ();
  } catch (IOError.CANCELLED e) {
    // only the wait
    assert (blocked.is_running ());
  }
  blocked.cancel ();
  try {
    yield blocked.wait_async ();
    assert_not_reached ();
  } catch (IOError.CANCELLED e) {
  }
}

void test_background () throws Error {
  var word = "done";
  assert ((string) new Shm.Background (() => word.up ()).wait () == "DONE");
  assert (new Shm.Background (() => null).wait () == null);
  assert (catch_error (() => {
    new Shm.Background (() => { throw new KitchenError.TOO_HOT ("smoke"); }).wait ();
  }) is KitchenError.TOO_HOT);

  var background = new Shm.Background (() => { Posix._exit (4); return null; });
  assert (catch_error (() => background.wait ()) is Shm.Error.WORKER_EXIT);
  assert (background.get_failure ().kind == Shm.FailureKind.EXIT);
  assert (background.get_failure ().status == 4);
  assert (background.get_failure ().error is Shm.Error.WORKER_EXIT);
}

void test_async () throws Error {
  var loop = new MainLoop ();

  map_meanwhile.begin ((object, result) => {
    run (() => map_meanwhile.end (result));
    loop.quit ();
  });
  loop.run ();
  wait_for_background.begin ((object, result) => {
    run (() => wait_for_background.end (result));
    loop.quit ();
  });
  loop.run ();
}

int main (string[] args) {
  Test.init (ref args);
  TestUtil.start_glib_thread ();
  TestUtil.add ("/vala/map/closures", () => run (test_closures));
  TestUtil.add ("/vala/map/threads-share", () => run (test_threads_share));
  TestUtil.add ("/vala/map/ranges", () => run (test_ranges));
  TestUtil.add ("/vala/map/for-range", () => run (test_for_range));
  TestUtil.add ("/vala/map/sections", () => run (test_sections));
  TestUtil.add ("/vala/map/region", () => run (test_region));
  TestUtil.add ("/vala/map/errors", test_errors);
  TestUtil.add ("/vala/map/deaths", test_deaths);
  TestUtil.add ("/vala/map/background", () => run (test_background));
  TestUtil.add ("/vala/map/async", () => run (test_async));
  return Test.run ();
}
