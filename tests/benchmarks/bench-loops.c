/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* W1b: loops without results, of items of different lengths. */

#include "config.h"

#include "bench-floor.h"
#include "bench-loop.h"
#include "bench-peers.h"
#include "bench-util.h"

typedef struct
{
  BenchLoop base;
  guint64 n_steps; /* of an item */
} Loop;

/* A chain of multiplications, which no compiler can shorten. */
static guint64
spin (guint64 n_steps)
{
  guint64 state = n_steps;

  for (guint64 i = 0; i < n_steps; i++)
    {
      state = state * G_GUINT64_CONSTANT (6364136223846793005) + 1442695040888963407;
      __asm__ volatile("" : "+r"(state));
    }
  return state;
}

/* The steps that take a microsecond here; the best of some trials, since others may disturb. */
static double
calibrate (void)
{
  const guint64 n_steps = bench_size (10 * 1000 * 1000, 10 * 1000);
  gint64 best = G_MAXINT64;

  for (guint trial = 0; trial < 5; trial++)
    {
      gint64 start = g_get_monotonic_time ();
      gint64 taken;

      spin (n_steps);
      taken = g_get_monotonic_time () - start;
      best = MIN (best, taken);
    }
  return (double) n_steps / (double) MAX (best, 1);
}

static void
work (guint64 index, gpointer data)
{
  const Loop *loop = data;

  spin (loop->n_steps);
}

static gboolean
work_on_range (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  for (guint64 i = begin; i < end; i++)
    work (i, user_data);
  return TRUE;
}

static void
run_floor (gpointer data)
{
  const Loop *loop = data;

  floor_each (loop->base.n_items, 1, BENCH_N_WORKERS, work, data);
}

static void
run_serial (gpointer data)
{
  const Loop *loop = data;

  for (guint64 i = 0; i < loop->base.n_items; i++)
    work (i, data);
}

static void
compete (const char *workload, const char *title, const Loop *loop, const char *unit, double scale)
{
  static const BenchContestant contestants[] = {
    { "shm_map_reduce_for_range", BENCH_ROLE_OURS, bench_loop_run_ours },
    { "shm_map_reduce_for_range, threads", BENCH_ROLE_OURS, bench_loop_run_our_threads,
      peer_warm_g_thread_pool, NULL, BENCH_NEEDS_NOTHING, TRUE },
    { "floor: fork, claims", BENCH_ROLE_FLOOR, run_floor },
    { "OpenMP, one a claim", BENCH_ROLE_PEER, bench_loop_run_openmp, peer_warm_openmp, NULL,
      BENCH_NEEDS_OPENMP, TRUE },
    { "oneTBB, one a claim", BENCH_ROLE_PEER, bench_loop_run_tbb, peer_warm_tbb, NULL,
      BENCH_NEEDS_TBB, TRUE },
    { "GThreadPool, one a task", BENCH_ROLE_PEER, bench_loop_run_g_thread_pool,
      peer_warm_g_thread_pool, NULL, BENCH_NEEDS_NOTHING, TRUE },
    { "loop", BENCH_ROLE_SERIAL, run_serial },
  };
  const BenchCase bench_case = { workload, title, unit, scale, FALSE, 11 };

  bench_compete (&bench_case, contestants, G_N_ELEMENTS (contestants), (gpointer) loop);
}

int
main (int argc, char *argv[])
{
  double steps_per_us;

  bench_init (&argc, &argv, "Loops without results (W1b).");
  steps_per_us = calibrate ();

  {
    const Loop longer = { { work, work_on_range, bench_size (4000, 20), 0 },
                          (guint64) (100.0 * steps_per_us) };
    const Loop shorter = { { work, work_on_range, bench_size (20 * 1000, 20), 0 },
                           (guint64) (10.0 * steps_per_us) };
    const Loop finest = { { work, work_on_range, bench_size (1000 * 1000, 100), 1 }, 0 };
    const Loop too_little = { { work, work_on_range, 100, 0 }, (guint64) (10.0 * steps_per_us) };

    compete ("W1b-100us", "A loop of 4,000 items of 100 us", &longer, "ms", 1e3);
    compete ("W1b-10us", "A loop of 20,000 items of 10 us", &shorter, "ms", 1e3);
    compete ("W1b-grain1", "An empty loop, one item a claim", &finest, "ns/item",
             1e9 / (double) finest.base.n_items);
    compete ("W1b-1ms", "A loop of 1 ms in all: 100 items of 10 us", &too_little, "ms", 1e3);
  }
  return 0;
}
