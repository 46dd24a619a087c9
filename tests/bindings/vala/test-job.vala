// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

// Jobs: signals, properties, items, what workers keep, and reports.

class Tally : Object {
  public uint n_items;
  public uint rank { get; construct; }
  public Tally (uint rank) {
    Object (rank: rank);
  }
}

Shm.Job new_job (uint64 n_items) {
  return new Shm.Job (new_pool (), n_items);
}

void test_signals () throws Error {
  var job = new_job (50);
  var n_results = 0;
  uint64 sum = 0;
  var n_notified = 0;

  job.output = Shm.Output.STREAM;
  job.set_map_func ((pool, i) => 2 * i);
  job.result.connect ((index, value) => {
    assert ((uint64) value == 2 * index);
    n_results++;
    sum += index;
  });
  job.notify["fraction"].connect (() => n_notified++);
  job.run ();
  assert (n_results == 50 && sum == 1225);
  assert (job.fraction == 1 && job.n_done == 50 && n_notified > 0);
}

void test_results_in_order () throws Error {
  var job = new_job (50);
  uint64 next = 0;

  job.output = Shm.Output.STREAM_IN_ORDER;
  job.set_map_func ((pool, i) => i);
  job.set_result_func ((job, index, value) => {
    assert (index == next++);
    if (index == 40)
      throw new KitchenError.TOO_HOT ("enough");
    return true;
  });
  assert (catch_error (() => job.run ()) is KitchenError.TOO_HOT);
  assert (next == 41);
}

// The function and what it has captured live as long as the job.
Shm.Job make_job (string word) {
  var text = word.up ();
  var job = new_job (10);

  job.set_map_func ((pool, i) => text + i.to_string ());
  return job;
}

void test_owned_closures () throws Error {
  var job = make_job ("a");
  job.run ();
  assert ((string) job.get_results ()[9] == "A9");
}

void test_reduce () throws Error {
  var job = new_job (100);
  uint64 sum = 0;

  job.set_map_func ((pool, i) => i);
  job.set_reduce_func ((pool, index, result) => {
    sum += (uint64) result;
    return index == 5 ? new Variant.string ("kept") : null;
  });
  job.run ();
  assert (sum == 4950);
  assert ((string) job.get_results ()[5] == "kept");
  assert (job.get_results ()[6] == null);
}

void test_items () throws Error {
  var job = new_job (0);
  string[] words = { "one", "two", "three" };
  job.set_items (words);
  job.set_map_func ((pool, i) => ((string) pool.get_job ().get_item (i)).length);
  job.run ();
  assert (job.get_results ().length == 3 && (int) job.get_results ()[2] == 5);

  var feeding = new_job (0);
  var fed = 0;
  feeding.set_feed_func ((job, index) => {
    if (index == 20)
      return null;
    fed++;
    return (int) index * 3;
  });
  feeding.set_map_func ((pool, i) => (int) pool.get_job ().get_item (i) + 1);
  feeding.run ();
  assert (fed == 20 && (int) feeding.get_results ()[19] == 58);
}

void test_state () throws Error {
  var job = new_job (100);
  uint sum = 0;

  job.set_set_up_func<Tally> ((pool, rank) => {
    return new Tally (rank);
  });
  job.set_map_func ((pool, i) => {
    pool.get_state<Tally> ().n_items++;
    return null;
  });
  job.set_tear_down_func<Tally> ((pool, rank, tally) => {
    assert (tally.rank == rank && tally.ref_count == 1);
    return tally.n_items;
  });
  job.run ();
  foreach (var summary in job.get_summaries ())
    if (summary != null)
      sum += (uint) summary;
  assert (sum == 100);

  uint n_items = 0;
  foreach (var statistics in job.get_statistics ())
    n_items += (uint) statistics.n_items;
  assert (n_items == 100);
}

void test_seed () throws Error {
  var job = new_job (10);

  job.seed = 7;
  job.set_map_func ((pool, i) => pool.get_job ().item_seed (i));
  job.run ();
  assert ((uint64) job.get_results ()[4] == job.item_seed (4));
  assert (job.item_seed (4) != job.item_seed (5));
}

void test_failures () throws Error {
  var pool = new_pool ();
  var job = new Shm.Job (pool, 10);

  pool.failure_policy = Shm.FailurePolicy.COLLECT;
  pool.chunk_size = 1;
  job.set_map_func ((pool, i) => {
    if (i == 2)
      throw new KitchenError.TOO_COLD ("frozen");
    if (i == 8)
      Posix.kill (Posix.getpid (), Posix.Signal.KILL);
    return i;
  });
  job.run ();

  unowned GenericArray<Shm.Failure> failures = job.get_failures ();
  assert (failures.length == 2);
  foreach (unowned var failure in failures) {
    if (failure.index == 2) {
      assert (failure.kind == Shm.FailureKind.ERROR);
      assert (failure.error is KitchenError.TOO_COLD);
    } else {
      assert (failure.index == 8 && failure.kind == Shm.FailureKind.SIGNAL);
      assert (failure.status == Posix.Signal.KILL && failure.pid > 0);
      assert (failure.error is Shm.Error.WORKER_SIGNAL && failure.traceback == null);
    }
  }
  assert ((uint64) job.get_results ()[9] == 9);
}

// The second item never ends: the job is cancelled when the first one has arrived.
async void cancel_job () throws Error {
  var job = new_job (2);
  var cancellable = new Cancellable ();
  var n_results = 0;

  job.pool.chunk_size = 1;
  job.output = Shm.Output.STREAM;
  job.set_map_func ((pool, i) => {
    if (i == 1)
      Posix.pause ();
    return i;
  });
  job.result.connect ((index, value) => {
    assert (index == 0);
    n_results++;
    cancellable.cancel ();
  });
  try {
    yield job.run_async (cancellable);
    assert_not_reached ();
  } catch (IOError.CANCELLED e) {
  }
  assert (n_results == 1);

  var another = make_job ("b");
  yield another.run_async ();
  assert ((string) another.get_results ()[0] == "B0");
}

void test_async () throws Error {
  var loop = new MainLoop ();

  cancel_job.begin ((object, result) => {
    run (() => cancel_job.end (result));
    loop.quit ();
  });
  loop.run ();
}

int main (string[] args) {
  Test.init (ref args);
  TestUtil.start_glib_thread ();
  TestUtil.add ("/vala/job/signals", () => run (test_signals));
  TestUtil.add ("/vala/job/results-in-order", () => run (test_results_in_order));
  TestUtil.add ("/vala/job/owned-closures", () => run (test_owned_closures));
  TestUtil.add ("/vala/job/reduce", () => run (test_reduce));
  TestUtil.add ("/vala/job/items", () => run (test_items));
  TestUtil.add ("/vala/job/state", () => run (test_state));
  TestUtil.add ("/vala/job/seed", () => run (test_seed));
  TestUtil.add ("/vala/job/failures", () => run (test_failures));
  TestUtil.add ("/vala/job/async", () => run (test_async));
  return Test.run ();
}
