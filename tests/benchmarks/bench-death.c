/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* From the death of a worker to the caller's error.
 *
 * A worker notes the time and kills itself while another one is busy. Measured is the time until the map has
 * returned its error, all workers reaped. The floor is a child that does the same, and a parent that is in
 * waitpid(). Runs are interleaved; medians, and the ratio, are printed.
 */

#include "config.h"

#include <shmem-glib/shmem-glib.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 101

static GVariant *
map_die (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  gint64 *death = user_data;

  if (index == 0)
    {
      g_usleep (2000);
      *death = g_get_monotonic_time ();
      raise (SIGKILL);
    }
  for (;;)
    pause ();
  return NULL;
}

static gint64
time_map (gint64 *death)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  gint64 end;

  shm_map_reduce_set_n_workers (pool, 2);
  results = shm_map_reduce_map (pool, 2, NULL, map_die, NULL, death, &error);
  end = g_get_monotonic_time ();
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
  return end - *death;
}

static gint64
time_floor (gint64 *death)
{
  pid_t pid = fork ();

  if (pid == 0)
    {
      g_usleep (2000);
      *death = g_get_monotonic_time ();
      raise (SIGKILL);
    }
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  return g_get_monotonic_time () - *death;
}

static int
compare (const void *a, const void *b)
{
  return *(const gint64 *) a < *(const gint64 *) b ? -1 : 1;
}

int
main (void)
{
  const gsize shape = 1;
  g_autoptr (ShmArray) array = shm_array_new (SHM_DTYPE_I8, &shape, 1, NULL);
  gint64 *death = shm_array_get_data (array);
  gint64 ours[ROUNDS], floors[ROUNDS];
  guint i;

  for (i = 0; i < ROUNDS; i++)
    {
      ours[i] = time_map (death);
      floors[i] = time_floor (death);
    }
  qsort (ours, ROUNDS, sizeof *ours, compare);
  qsort (floors, ROUNDS, sizeof *floors, compare);
  g_print ("death to error, %d runs: median %.3f ms, 90 %% under %.3f ms\n", ROUNDS,
           ours[ROUNDS / 2] / 1e3, ours[ROUNDS * 9 / 10] / 1e3);
  g_print ("floor (kill to waitpid):  median %.3f ms, 90 %% under %.3f ms\n",
           floors[ROUNDS / 2] / 1e3, floors[ROUNDS * 9 / 10] / 1e3);
  g_print ("ratio of the medians: %.2f\n", (gdouble) ours[ROUNDS / 2] / floors[ROUNDS / 2]);
  return 0;
}
