/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* W3: the integral of 4 / (1 + x x) from 0 to 1, which is pi. All values lie in an array of 1 GiB,
 * and each chunk is summed up after it was filled.
 *
 * The array is new to all in one half of the contest. In the other the caller has touched it: then
 * threads find all pages in the table of their process, and processes have yet to find them. */

#include "config.h"

#include "bench-floor.h"
#include "bench-loop.h"
#include "bench-peers.h"
#include "bench-util.h"

#include <math.h>

typedef struct
{
  BenchLoop loop; /* of chunks */
  gsize n_points;
  gsize chunk;
  ShmArray *array;
  double *values; /* shared */
  double *sums;   /* shared, one for each chunk */
  gboolean is_touched;
  gboolean is_advised; /* that a chunk is about to be written */
} Integral;

static void
advise (ShmArray *array, gsize begin, gsize end)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) part = shm_array_slice (array, 0, begin, end, 1, &error);

  shm_array_advise (part, SHM_ADVICE_WILL_NEED, &error);
  g_assert_no_error (error);
}

static void
fill_chunk (guint64 index, gpointer data)
{
  const Integral *self = data;
  const double width = 1.0 / (double) self->n_points;
  gsize begin = index * self->chunk;
  gsize end = MIN (begin + self->chunk, self->n_points);
  double sum = 0.0;

  if (self->is_advised)
    advise (self->array, begin, end);
  for (gsize i = begin; i < end; i++)
    {
      double x = ((double) i + 0.5) * width;

      self->values[i] = 4.0 / (1.0 + x * x);
      sum += self->values[i];
    }
  self->sums[index] = sum;
}

static gboolean
fill_range (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  for (guint64 i = begin; i < end; i++)
    fill_chunk (i, user_data);
  return TRUE;
}

static void
prepare (gpointer data)
{
  Integral *self = data;
  g_autoptr (GError) error = NULL;

  self->array = shm_array_new (SHM_DTYPE_F8, &self->n_points, 1, &error);
  g_assert_no_error (error);
  self->values = shm_array_get_data (self->array);
  if (self->is_touched)
    memset (self->values, 0, self->n_points * sizeof (double));
  memset (self->sums, 0, self->loop.n_items * sizeof (double));
}

static void
finish (gpointer data)
{
  Integral *self = data;
  double sum = 0.0;

  for (guint64 i = 0; i < self->loop.n_items; i++)
    sum += self->sums[i];
  g_assert_cmpfloat_with_epsilon (sum / (double) self->n_points, G_PI, 1e-6);
  g_clear_object (&self->array);
}

static void
run_advised (gpointer data)
{
  Integral *self = data;

  self->is_advised = TRUE;
  bench_loop_run_ours (data);
  self->is_advised = FALSE;
}

static void
run_floor (gpointer data)
{
  const Integral *self = data;

  floor_each (self->loop.n_items, 1, BENCH_N_WORKERS, fill_chunk, data);
}

static void
run_serial (gpointer data)
{
  const Integral *self = data;

  for (guint64 i = 0; i < self->loop.n_items; i++)
    fill_chunk (i, data);
}

static void
prepare_openmp (gpointer data)
{
  prepare (data);
  peer_warm_openmp (data);
}

static void
prepare_tbb (gpointer data)
{
  prepare (data);
  peer_warm_tbb (data);
}

static void
prepare_g_thread_pool (gpointer data)
{
  prepare (data);
  peer_warm_g_thread_pool (data);
}

static void
compete (const char *workload, const char *title, Integral *self)
{
  static const BenchContestant contestants[] = {
    { "shm_map_reduce_for_range", BENCH_ROLE_OURS, bench_loop_run_ours, prepare, finish },
    { "shm_map_reduce_for_range, threads", BENCH_ROLE_OURS, bench_loop_run_our_threads,
      prepare_g_thread_pool, finish, BENCH_NEEDS_NOTHING, TRUE },
    { "shm_map_reduce_for_range, advised", BENCH_ROLE_OURS, run_advised, prepare, finish },
    { "floor: fork, claims", BENCH_ROLE_FLOOR, run_floor, prepare, finish },
    { "OpenMP", BENCH_ROLE_PEER, bench_loop_run_openmp, prepare_openmp, finish, BENCH_NEEDS_OPENMP,
      TRUE },
    { "oneTBB", BENCH_ROLE_PEER, bench_loop_run_tbb, prepare_tbb, finish, BENCH_NEEDS_TBB, TRUE },
    { "GThreadPool", BENCH_ROLE_PEER, bench_loop_run_g_thread_pool, prepare_g_thread_pool, finish,
      BENCH_NEEDS_NOTHING, TRUE },
    { "loop", BENCH_ROLE_SERIAL, run_serial, prepare, finish },
  };
  const BenchCase bench_case = { workload, title, "s", 1.0, FALSE, 5 };

  bench_compete (&bench_case, contestants, G_N_ELEMENTS (contestants), self);
}

int
main (int argc, char *argv[])
{
  Integral self = { { fill_chunk, fill_range } };
  gsize sums_size;

  bench_init (&argc, &argv, "An integral over 1 GiB (W3).");
  self.n_points = bench_size (128 << 20, 10 * 1000);
  self.chunk = bench_size (1 << 20, 1000);
  self.loop.n_items = (self.n_points - 1) / self.chunk + 1;
  sums_size = self.loop.n_items * sizeof (double);
  self.sums = floor_map_memory (sums_size);
  compete ("W3-new", "An integral over 1 GiB of new memory", &self);
  self.is_touched = TRUE;
  compete ("W3-touched", "An integral over 1 GiB that the caller has touched", &self);
  munmap (self.sums, sums_size);
  return 0;
}
