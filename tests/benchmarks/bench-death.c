/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* W8: from the death of a worker to the caller's error.
 *
 * A worker notes the time and kills itself while another one is busy. Measured is the time until the map has
 * returned its error, all workers reaped. The floor is a child that does the same, and a parent that is in
 * waitpid().
 */

#include "config.h"

#include "bench-floor.h"
#include "bench-util.h"

#include <shmem-glib/shmem-glib.h>
#include <signal.h>

#define LIFE 2000 /* µs, in which the caller comes to wait */

static void
die (gint64 *death)
{
  g_usleep (LIFE);
  *death = g_get_monotonic_time ();
  raise (SIGKILL);
}

static GVariant *
map_die (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (index == 0)
    die (user_data);
  for (;;)
    pause ();
  return NULL;
}

static void
run_map (gpointer data)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, BENCH_N_WORKERS);
  results = shm_map_reduce_map (pool, BENCH_N_WORKERS, NULL, map_die, NULL, data, &error);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
}

static void
run_floor (gpointer data)
{
  pid_t pid = fork ();

  if (pid == 0)
    die (data);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
}

int
main (int argc, char *argv[])
{
  static const BenchContestant contestants[] = {
    { "shm_map_reduce_map", BENCH_ROLE_OURS, run_map },
    { "floor: kill to waitpid()", BENCH_ROLE_FLOOR, run_floor },
  };
  gint64 *death = floor_map_memory (sizeof (*death));
  const BenchCase bench_case = {
    "W8", "From the death of a worker to the error", "ms", 1e3, FALSE, 101, death
  };

  bench_init (&argc, &argv, "From the death of a worker to the error (W8).");
  bench_compete (&bench_case, contestants, G_N_ELEMENTS (contestants), death);
  munmap (death, sizeof (*death));
  return 0;
}
