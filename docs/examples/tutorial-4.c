/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <shmem-glib/shmem-glib.h>

#include <glib-unix.h>
#include <string.h>

#include "primes.h"

#define BAR_WIDTH 40

static GVariant *
work (ShmMapReduce *pool, guint64 block, gpointer user_data, GError **error)
{
  guint64 *counts = user_data;

  counts[block] = count_primes (block);
  return NULL;
}

static void
on_fraction (ShmJob *job, GParamSpec *property, gpointer user_data)
{
  guint n_done = (guint) (shm_job_get_fraction (job) * BAR_WIDTH);
  double eta = shm_job_get_eta (job);
  g_autofree char *bar = g_strnfill (BAR_WIDTH, '.');

  memset (bar, '#', n_done);
  g_print ("\r[%s] %3.0f s left ", bar, eta > 0.0 ? eta : 0.0);
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GMainLoop *loop = user_data;
  g_autoptr (GError) error = NULL;

  g_print ("\n");
  if (!shm_job_run_finish (SHM_JOB (source), result, &error))
    g_printerr ("%s\n", error->message);
  g_main_loop_quit (loop);
}

static gboolean
on_interrupt (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return G_SOURCE_CONTINUE;
}

int
main (void)
{
  const gsize shape[] = { N_BLOCKS };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = shm_array_new (SHM_DTYPE_U8, shape, 1, &error);
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = shm_job_new (pool, N_BLOCKS);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  guint64 *counts;
  guint64 total = 0;

  if (array == NULL)
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }
  counts = shm_array_get_data (array);

  shm_job_set_map_func (job, work, counts, NULL);
  g_signal_connect (job, "notify::fraction", G_CALLBACK (on_fraction), NULL);
  g_unix_signal_add (SIGINT, on_interrupt, cancellable);
  shm_job_run_async (job, cancellable, on_done, loop);
  g_main_loop_run (loop);

  for (guint block = 0; block < N_BLOCKS; block++)
    total += counts[block];
  g_print ("%" G_GUINT64_FORMAT " primes in %" G_GUINT64_FORMAT " blocks\n", total,
           shm_job_get_n_done (job));
  return 0;
}
