/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Jobs that are paused, and go on. */

#include "config.h"

#include "test-util.h"

#define N_ITEMS 2000
#define WINDOW 64
#define PAUSE 30 /* ms */

typedef struct
{
  ShmMapReduce *pool;
  ShmJob *job;
  GMainLoop *loop;
  GCancellable *cancellable;
  GError *error;
  guint64 n_results;
  guint64 n_at_pause; /* results there were when it began */
  guint64 most;       /* results that arrived in one pause */
  guint64 pause_each; /* results between two pauses */
  guint n_pauses;
  guint timeout;
  guint8 seen[N_ITEMS];
} Paused;

static GVariant *
work (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_uint64 (index);
}

static gboolean
resume (gpointer data)
{
  Paused *paused = data;

  paused->timeout = 0;
  paused->most = MAX (paused->most, paused->n_results - paused->n_at_pause);
  g_assert_true (shm_job_get_paused (paused->job));
  shm_job_set_paused (paused->job, FALSE);
  return G_SOURCE_REMOVE;
}

static gboolean
take_result (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Paused *paused = user_data;

  g_assert_cmpuint (index, ==, g_variant_get_uint64 (result));
  g_assert_cmpuint (paused->seen[index]++, ==, 0);
  paused->n_results++;
  if (!shm_job_get_paused (job) && paused->n_results >= paused->n_at_pause + paused->pause_each)
    {
      paused->n_pauses++;
      paused->n_at_pause = paused->n_results;
      shm_job_set_paused (job, TRUE);
      paused->timeout = g_timeout_add (PAUSE, resume, paused);
    }
  return TRUE;
}

static void
ended (GObject *job, GAsyncResult *result, gpointer user_data)
{
  Paused *paused = user_data;

  shm_job_run_finish (SHM_JOB (job), result, &paused->error);
  /* All that is left was in work already when the pause began. */
  if (paused->timeout != 0)
    g_source_remove (paused->timeout);
  g_main_loop_quit (paused->loop);
}

static void
paused_init (Paused *paused, gconstpointer backend)
{
  *paused = (Paused){ .pause_each = G_MAXUINT64 };
  paused->pool = test_pool (2, GPOINTER_TO_UINT (backend));
  paused->job = shm_job_new (paused->pool, N_ITEMS);
  paused->loop = g_main_loop_new (NULL, FALSE);
  paused->cancellable = g_cancellable_new ();
  shm_job_set_map_func (paused->job, work, NULL, NULL);
  shm_job_set_result_func (paused->job, take_result, paused, NULL);
  shm_job_set_output (paused->job, SHM_OUTPUT_STREAM);
  shm_job_set_window (paused->job, WINDOW);
}

static void
paused_clear (Paused *paused)
{
  g_object_unref (paused->pool);
  g_object_unref (paused->job);
  g_object_unref (paused->cancellable);
  g_main_loop_unref (paused->loop);
  g_clear_error (&paused->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Paused, paused_clear)

static void
run (Paused *paused)
{
  shm_job_run_async (paused->job, paused->cancellable, ended, paused);
  g_main_loop_run (paused->loop);
}

static void
check_pauses (ShmOutput output, ShmSchedule schedule, gconstpointer backend)
{
  g_auto (Paused) paused = { 0 };

  paused_init (&paused, backend);
  paused.pause_each = 300;
  shm_job_set_output (paused.job, output);
  shm_map_reduce_set_schedule (paused.pool, schedule);
  run (&paused);
  g_assert_no_error (paused.error);
  g_assert_cmpuint (paused.n_results, ==, N_ITEMS);
  g_assert_cmpuint (paused.n_pauses, >=, 3);
  g_assert_cmpuint (paused.most, <=, WINDOW);
}

static void
test_streamed (gconstpointer backend)
{
  check_pauses (SHM_OUTPUT_STREAM, SHM_SCHEDULE_DYNAMIC, backend);
}

static void
test_in_order (gconstpointer backend)
{
  check_pauses (SHM_OUTPUT_STREAM_IN_ORDER, SHM_SCHEDULE_DYNAMIC, backend);
}

/* Without a window only what is in work is finished, which here may be all. */
static void
test_without_window (gconstpointer backend)
{
  ShmSchedule schedule;

  for (schedule = SHM_SCHEDULE_DYNAMIC; schedule <= SHM_SCHEDULE_GUIDED; schedule++)
    {
      g_auto (Paused) paused = { 0 };

      paused_init (&paused, backend);
      shm_job_set_window (paused.job, 0);
      shm_map_reduce_set_schedule (paused.pool, schedule);
      shm_map_reduce_set_chunk_size (paused.pool, 10);
      paused.pause_each = 500;
      run (&paused);
      g_assert_no_error (paused.error);
      g_assert_cmpuint (paused.n_results, ==, N_ITEMS);
      g_assert_cmpuint (paused.n_pauses, >=, 1);
    }
}

/* One that is paused from the beginning waits. */
static void
test_from_the_beginning (gconstpointer backend)
{
  g_auto (Paused) paused = { 0 };

  paused_init (&paused, backend);
  g_object_set (paused.job, "paused", TRUE, NULL);
  g_timeout_add (PAUSE, resume, &paused);
  run (&paused);
  g_assert_no_error (paused.error);
  g_assert_cmpuint (paused.most, ==, 0);
  g_assert_cmpuint (paused.n_results, ==, N_ITEMS);
}

static gboolean
cancel (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return G_SOURCE_REMOVE;
}

static void
test_cancelled (gconstpointer backend)
{
  g_auto (Paused) paused = { 0 };

  paused_init (&paused, backend);
  shm_job_set_paused (paused.job, TRUE);
  g_timeout_add (PAUSE, cancel, paused.cancellable);
  run (&paused);
  g_assert_error (paused.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (paused.n_results, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* It wakes a main loop when something is cancelled, and stays. */
  test_start_glib_thread ();

  test_add_for_backends ("/paused", "streamed", test_streamed);
  test_add_for_backends ("/paused", "in-order", test_in_order);
  test_add_for_backends ("/paused", "without-window", test_without_window);
  test_add_for_backends ("/paused", "from-the-beginning", test_from_the_beginning);
  test_add_for_backends ("/paused", "cancelled", test_cancelled);
  return g_test_run ();
}
