/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* W2: a map of two items, with the start and the end of its workers, in a caller with little memory
 * and in one with much. W2b: many small maps, one after the other. */

#include "config.h"

#include "bench-floor.h"
#include "bench-peers.h"
#include "bench-util.h"

#include <shmem-glib/shmem-glib.h>
#include <sys/eventfd.h>

#define N_SMALL_ITEMS 1000

static void
do_nothing (guint64 index, gpointer data)
{
}

static GVariant *
map_item (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_uint64 (index + 1);
}

/* W2 */

static void
run_map_by (ShmBackendType backend)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, BENCH_N_WORKERS);
  shm_map_reduce_set_backend (pool, backend);
  results = shm_map_reduce_map (pool, BENCH_N_WORKERS, NULL, map_item, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_get_uint64 (g_ptr_array_index (results, 1)), ==, 2);
}

static void
run_map (gpointer data)
{
  run_map_by (SHM_BACKEND_TYPE_PROCESS);
}

static void
run_map_in_threads (gpointer data)
{
  run_map_by (SHM_BACKEND_TYPE_THREAD);
}

static void
run_fork (gpointer data)
{
  pid_t pids[BENCH_N_WORKERS];

  for (guint i = 0; i < BENCH_N_WORKERS; i++)
    {
      pids[i] = fork ();
      if (pids[i] == 0)
        _exit (0);
    }
  floor_wait (pids, BENCH_N_WORKERS);
}

static void
start_openmp (gpointer data)
{
  peer_openmp (BENCH_N_WORKERS, 1, do_nothing, NULL);
}

static void
start_tbb (gpointer data)
{
  peer_tbb (BENCH_N_WORKERS, 1, do_nothing, NULL);
}

static void
start_g_thread_pool (gpointer data)
{
  peer_g_thread_pool (BENCH_N_WORKERS, 1, do_nothing, NULL);
}

static void
compete_in_start (const char *workload, const char *title, guint n_rounds)
{
  static const BenchContestant contestants[] = {
    { "shm_map_reduce_map", BENCH_ROLE_OURS, run_map },
    { "floor: fork, exit, wait", BENCH_ROLE_FLOOR, run_fork },
    { "shm_map_reduce_map, threads", BENCH_ROLE_OURS, run_map_in_threads, NULL, NULL,
      BENCH_NEEDS_NOTHING, TRUE },
    { "OpenMP", BENCH_ROLE_PEER, start_openmp, NULL, NULL, BENCH_NEEDS_OPENMP, TRUE },
    { "oneTBB", BENCH_ROLE_PEER, start_tbb, NULL, NULL, BENCH_NEEDS_TBB, TRUE },
    { "GThreadPool", BENCH_ROLE_PEER, start_g_thread_pool, NULL, NULL, BENCH_NEEDS_NOTHING, TRUE },
  };
  const BenchCase bench_case = { workload, title, "ms", 1e3, FALSE, n_rounds };

  bench_compete (&bench_case, contestants, G_N_ELEMENTS (contestants), NULL);
}

/* W2b: each map adds one to all numbers, which the caller changes in between and checks in the end. */

typedef struct
{
  guint64 n_maps;
  ShmArray *array;
  guint64 *numbers;
} Often;

static void
add_one (guint64 index, gpointer data)
{
  guint64 *numbers = data;

  numbers[index]++;
}

static gboolean
add_one_to_range (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  for (guint64 i = begin; i < end; i++)
    add_one (i, user_data);
  return TRUE;
}

static GVariant *
add_one_and_return (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const guint64 *numbers = user_data;

  return g_variant_new_uint64 (numbers[index] + 1);
}

/* What is between two maps. */
static void
change (Often *often)
{
  often->numbers[0] += 10;
}

static void
clear (gpointer data)
{
  Often *often = data;

  memset (often->numbers, 0, N_SMALL_ITEMS * sizeof (guint64));
}

static void
check (gpointer data)
{
  const Often *often = data;

  g_assert_cmpuint (often->numbers[0], ==, 11 * often->n_maps);
  for (guint i = 1; i < N_SMALL_ITEMS; i++)
    g_assert_cmpuint (often->numbers[i], ==, often->n_maps);
}

static ShmMapReduce *
new_pool (void)
{
  ShmMapReduce *pool = shm_map_reduce_new ();

  shm_map_reduce_set_n_workers (pool, BENCH_N_WORKERS);
  return pool;
}

static ShmJob *
new_job (void)
{
  g_autoptr (ShmMapReduce) pool = new_pool ();
  ShmJob *job = shm_job_new (pool, N_SMALL_ITEMS);

  shm_job_set_keep_workers (job, TRUE);
  return job;
}

static void
run_new_loops (gpointer data)
{
  Often *often = data;
  g_autoptr (ShmMapReduce) pool = new_pool ();

  for (guint64 i = 0; i < often->n_maps; i++)
    {
      g_autoptr (GError) error = NULL;

      change (often);
      shm_map_reduce_for_range (pool, 0, N_SMALL_ITEMS, NULL, add_one_to_range, often->numbers,
                                &error);
      g_assert_no_error (error);
    }
}

static void
run_kept_loops (gpointer data)
{
  Often *often = data;
  g_autoptr (ShmJob) job = new_job ();

  shm_job_set_loop_func (job, add_one_to_range, often->numbers, NULL);
  for (guint64 i = 0; i < often->n_maps; i++)
    {
      g_autoptr (GError) error = NULL;

      change (often);
      shm_job_run (job, NULL, &error);
      g_assert_no_error (error);
    }
}

static void
take_results (Often *often, GPtrArray *results)
{
  for (guint k = 0; k < N_SMALL_ITEMS; k++)
    often->numbers[k] = g_variant_get_uint64 (g_ptr_array_index (results, k));
}

static void
run_new_maps (gpointer data)
{
  Often *often = data;
  g_autoptr (ShmMapReduce) pool = new_pool ();

  for (guint64 i = 0; i < often->n_maps; i++)
    {
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;

      change (often);
      results = shm_map_reduce_map (pool, N_SMALL_ITEMS, NULL, add_one_and_return, NULL,
                                    often->numbers, &error);
      g_assert_no_error (error);
      take_results (often, results);
    }
}

static void
run_kept_maps (gpointer data)
{
  Often *often = data;
  g_autoptr (ShmJob) job = new_job ();

  shm_job_set_map_func (job, add_one_and_return, often->numbers, NULL);
  for (guint64 i = 0; i < often->n_maps; i++)
    {
      g_autoptr (GError) error = NULL;

      change (often);
      shm_job_run (job, NULL, &error);
      g_assert_no_error (error);
      take_results (often, shm_job_get_results (job));
    }
}

/* Workers that wait for a number in a descriptor of their own, and answer in another. */
static void
run_often_floor (gpointer data)
{
  Often *often = data;
  FloorCounter *counter = floor_map_memory (sizeof (FloorCounter));
  int begin_fds[BENCH_N_WORKERS], end_fds[BENCH_N_WORKERS];
  pid_t pids[BENCH_N_WORKERS];
  guint64 signal = 1;

  for (guint rank = 0; rank < BENCH_N_WORKERS; rank++)
    {
      begin_fds[rank] = eventfd (0, EFD_CLOEXEC);
      end_fds[rank] = eventfd (0, EFD_CLOEXEC);
      g_assert (begin_fds[rank] >= 0 && end_fds[rank] >= 0);
      pids[rank] = fork ();
      if (pids[rank] != 0)
        continue;
      for (guint64 map = 0; map < often->n_maps; map++)
        {
          g_assert (read (begin_fds[rank], &signal, sizeof (signal)) == sizeof (signal));
          for (guint64 i; (i = floor_claim (counter, 16)) < N_SMALL_ITEMS;)
            for (guint64 k = i; k < MIN (i + 16, N_SMALL_ITEMS); k++)
              add_one (k, often->numbers);
          g_assert (write (end_fds[rank], &signal, sizeof (signal)) == sizeof (signal));
        }
      _exit (0);
    }

  for (guint64 map = 0; map < often->n_maps; map++)
    {
      change (often);
      counter->next = 0;
      for (guint rank = 0; rank < BENCH_N_WORKERS; rank++)
        g_assert (write (begin_fds[rank], &signal, sizeof (signal)) == sizeof (signal));
      for (guint rank = 0; rank < BENCH_N_WORKERS; rank++)
        g_assert (read (end_fds[rank], &signal, sizeof (signal)) == sizeof (signal));
    }

  floor_wait (pids, BENCH_N_WORKERS);
  for (guint rank = 0; rank < BENCH_N_WORKERS; rank++)
    {
      close (begin_fds[rank]);
      close (end_fds[rank]);
    }
  munmap (counter, sizeof (FloorCounter));
}

static void
repeat (Often *often, void (*each) (guint64, guint64, PeerFunc, gpointer))
{
  for (guint64 i = 0; i < often->n_maps; i++)
    {
      change (often);
      each (N_SMALL_ITEMS, 16, add_one, often->numbers);
    }
}

static void
run_openmp_often (gpointer data)
{
  repeat (data, peer_openmp);
}

static void
run_tbb_often (gpointer data)
{
  repeat (data, peer_tbb);
}

static void
run_g_thread_pool_often (gpointer data)
{
  repeat (data, peer_g_thread_pool);
}

static void
compete_in_repeating (void)
{
  static const BenchContestant contestants[] = {
    { "ShmJob of a loop, kept workers", BENCH_ROLE_OURS, run_kept_loops, clear, check },
    { "shm_map_reduce_for_range", BENCH_ROLE_OURS, run_new_loops, clear, check },
    { "ShmJob of a map, kept workers", BENCH_ROLE_OURS, run_kept_maps, clear, check },
    { "shm_map_reduce_map", BENCH_ROLE_OURS, run_new_maps, clear, check },
    { "floor: kept workers, woken by eventfd", BENCH_ROLE_FLOOR, run_often_floor, clear, check },
    { "OpenMP", BENCH_ROLE_PEER, run_openmp_often, clear, check, BENCH_NEEDS_OPENMP, TRUE },
    { "oneTBB", BENCH_ROLE_PEER, run_tbb_often, clear, check, BENCH_NEEDS_TBB, TRUE },
    { "GThreadPool", BENCH_ROLE_PEER, run_g_thread_pool_often, clear, check, BENCH_NEEDS_NOTHING,
      TRUE },
  };
  const gsize shape = N_SMALL_ITEMS;
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = shm_array_new (SHM_DTYPE_U8, &shape, 1, &error);
  Often often = { bench_size (1000, 5), array, NULL };
  const BenchCase bench_case = { "W2b",    "Many maps of 1,000 items",
                                 "us/map", 1e6 / often.n_maps,
                                 FALSE,    5 };

  g_assert_no_error (error);
  often.numbers = shm_array_get_data (array);
  bench_compete (&bench_case, contestants, G_N_ELEMENTS (contestants), &often);
}

int
main (int argc, char *argv[])
{
  gsize size;

  bench_init (&argc, &argv, "The start of workers (W2), and many small maps (W2b).");
  size = bench_size (1 << 30, 1 << 20);
  compete_in_start ("W2-small", "A map of 2 items", 101);
  compete_in_repeating ();
  {
    g_autoptr (GError) error = NULL;
    g_autoptr (ShmArray) array = shm_array_new (SHM_DTYPE_U1, &size, 1, &error);

    g_assert_no_error (error);
    memset (shm_array_get_data (array), 1, size);
    compete_in_start ("W2-array", "A map of 2 items, 1 GiB in a ShmArray", 51);
  }
  {
    g_autofree guint8 *memory = g_malloc (size);

    memset (memory, 1, size);
    compete_in_start ("W2-private", "A map of 2 items, 1 GiB of private memory", 21);
  }
  return 0;
}
