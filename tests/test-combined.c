/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Pauses and workers that stay, together. */

#include "config.h"

#include "test-util.h"

#include <glib-unix.h>
#include <unistd.h>

#define N_ITEMS 400
#define PAUSE 30 /* ms */

/* What workers and caller tell each other. */
typedef struct
{
  int to_caller[2];
  int to_first[2];
  int to_last[2];
} Pipes;

static void
pipes_init (Pipes *pipes)
{
  g_assert_cmpint (pipe (pipes->to_caller), ==, 0);
  g_assert_cmpint (pipe (pipes->to_first), ==, 0);
  g_assert_cmpint (pipe (pipes->to_last), ==, 0);
}

static void
pipes_clear (Pipes *pipes)
{
  guint i;

  for (i = 0; i < 2; i++)
    {
      close (pipes->to_caller[i]);
      close (pipes->to_first[i]);
      close (pipes->to_last[i]);
    }
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Pipes, pipes_clear)

static void
say (const int *ends)
{
  g_assert_cmpint (write (ends[1], "", 1), ==, 1);
}

static void
hear (const int *ends)
{
  char byte;

  g_assert_cmpint (read (ends[0], &byte, 1), ==, 1);
}

typedef struct
{
  ShmMapReduce *pool;
  ShmJob *job;
  GMainLoop *loop;
  GError *error;
  GArray *pids; /* of gint32, by item */
  guint64 n_results;
  guint64 n_at_pause;
  gboolean resumed;
} Run;

static GVariant *
map_pid (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_int32 (getpid ());
}

static gboolean
take_result (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Run *run = user_data;

  run->n_results++;
  return TRUE;
}

static void
run_init (Run *run, guint64 n_items, ShmBackendType backend)
{
  *run = (Run){ .pool = test_pool (2, backend) };
  run->job = shm_job_new (run->pool, n_items);
  run->loop = g_main_loop_new (NULL, FALSE);
  shm_job_set_map_func (run->job, map_pid, run, NULL);
  shm_job_set_output (run->job, SHM_OUTPUT_STREAM);
  shm_job_set_result_func (run->job, take_result, run, NULL);
}

static void
run_clear (Run *run)
{
  g_clear_object (&run->job);
  g_object_unref (run->pool);
  g_main_loop_unref (run->loop);
  g_clear_error (&run->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Run, run_clear)

static void
ended (GObject *job, GAsyncResult *result, gpointer user_data)
{
  Run *run = user_data;

  shm_job_run_finish (SHM_JOB (job), result, &run->error);
  g_main_loop_quit (run->loop);
}

static gboolean
resume (gpointer user_data)
{
  Run *run = user_data;

  run->n_at_pause = run->n_results;
  run->resumed = TRUE;
  shm_job_set_paused (run->job, FALSE);
  return G_SOURCE_REMOVE;
}

/* Whether a paused job ends by itself. */

typedef struct
{
  Run run;
  Pipes pipes;
  gboolean is_serial;
} Last;

/* Both items are in work when the first one ends. */
static GVariant *
map_last (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Last *last = user_data;

  if (!last->is_serial && index == 0)
    hear (last->pipes.to_first);
  else if (!last->is_serial)
    {
      say (last->pipes.to_first);
      hear (last->pipes.to_last);
    }
  return g_variant_new_uint64 (index);
}

static gboolean
pause_at_last (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Last *last = user_data;

  last->run.n_results++;
  if (index == (last->is_serial ? 1 : 0))
    shm_job_set_paused (job, TRUE);
  if (!last->is_serial && index == 0)
    say (last->pipes.to_last);
  return TRUE;
}

static void
last_init (Last *last, ShmBackendType backend)
{
  run_init (&last->run, 2, backend);
  pipes_init (&last->pipes);
  last->is_serial = backend == SHM_BACKEND_TYPE_SERIAL;
  shm_map_reduce_set_chunk_size (last->run.pool, 1);
  shm_job_set_map_func (last->run.job, map_last, last, NULL);
  shm_job_set_result_func (last->run.job, pause_at_last, last, NULL);
}

static void
last_clear (Last *last)
{
  run_clear (&last->run);
  pipes_clear (&last->pipes);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Last, last_clear)

/* Nothing is left to begin, and so nobody waits for the end of the pause. */
static void
test_nothing_left (gconstpointer backend)
{
  guint64 window;
  ShmOutput output;

  for (output = SHM_OUTPUT_STREAM; output <= SHM_OUTPUT_STREAM_IN_ORDER; output++)
    for (window = 0; window <= 8; window += 8)
      {
        g_auto (Last) last = { 0 };

        last_init (&last, GPOINTER_TO_UINT (backend));
        shm_job_set_output (last.run.job, output);
        shm_job_set_window (last.run.job, window);
        test_run_job (last.run.job);
        g_assert_cmpuint (last.run.n_results, ==, 2);
        g_assert_true (shm_job_get_paused (last.run.job));
      }
}

/* The workers of a job that was paused when its run ended leave by themselves, and need not be killed: those would take
 * a second each. */
static void
test_kept_leave (void)
{
  gint64 elapsed = 0;
  guint round;

  for (round = 0; round < 6; round++)
    {
      g_auto (Last) last = { 0 };

      last_init (&last, SHM_BACKEND_TYPE_PROCESS);
      shm_job_set_keep_workers (last.run.job, TRUE);
      test_run_job (last.run.job);
      elapsed -= g_get_monotonic_time ();
      if (round % 2 == 0)
        shm_job_release_workers (last.run.job);
      else
        g_clear_object (&last.run.job);
      elapsed += g_get_monotonic_time ();
    }
  if (!test_under_valgrind ())
    g_assert_cmpint (elapsed, <, 4 * G_USEC_PER_SEC);
}

/* Runs of one job, each paused from its beginning, in its middle or not at all. */

static gboolean
take_pid (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Run *run = user_data;

  g_array_append_vals (run->pids, &(gint32){ g_variant_get_int32 (result) }, 1);
  run->n_results++;
  if (run->n_results == N_ITEMS / 2 && run->n_at_pause == G_MAXUINT64)
    {
      shm_job_set_paused (job, TRUE);
      g_timeout_add (1, resume, run);
    }
  return TRUE;
}

static void
check_pids (GArray *pids, GArray *known)
{
  guint i, j;

  for (i = 0; i < pids->len; i++)
    {
      for (j = 0; j < known->len; j++)
        if (g_array_index (pids, gint32, i) == g_array_index (known, gint32, j))
          break;
      if (j == known->len)
        g_array_append_vals (known, &g_array_index (pids, gint32, i), 1);
    }
}

static void
test_kept_runs (void)
{
  g_autoptr (GArray) known = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_auto (Run) run = { 0 };
  guint n_rounds = test_scale (30);
  guint round;

  run_init (&run, N_ITEMS, SHM_BACKEND_TYPE_PROCESS);
  shm_map_reduce_set_chunk_size (run.pool, 1);
  shm_job_set_keep_workers (run.job, TRUE);
  shm_job_set_result_func (run.job, take_pid, &run, NULL);
  run.pids = g_array_new (FALSE, FALSE, sizeof (gint32));
  for (round = 0; round < n_rounds; round++)
    {
      gboolean from_the_beginning = round % 3 == 0;

      run.n_results = 0;
      run.n_at_pause = round % 3 == 1 ? G_MAXUINT64 : 0;
      run.resumed = FALSE;
      g_array_set_size (run.pids, 0);
      shm_job_set_paused (run.job, from_the_beginning);
      shm_job_run_async (run.job, NULL, ended, &run);
      if (from_the_beginning)
        g_timeout_add (2, resume, &run);
      g_main_loop_run (run.loop);
      g_assert_no_error (run.error);
      g_assert_cmpuint (run.n_results, ==, N_ITEMS);
      if (from_the_beginning)
        g_assert_cmpuint (run.n_at_pause, ==, 0);
      while (round % 3 == 1 && !run.resumed)
        g_main_context_iteration (NULL, TRUE);
      check_pids (run.pids, known);
    }
  /* They are the same ones in all runs. */
  g_assert_cmpuint (known->len, <=, 2);
  g_array_unref (run.pids);
}

/* A paused job of kept workers that is dropped, or cancelled, in its second run. */
static void
test_kept_ends (void)
{
  guint round;

  for (round = 0; round < test_scale (12); round++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_auto (Run) run = { 0 };

      run_init (&run, N_ITEMS, SHM_BACKEND_TYPE_PROCESS);
      shm_job_set_keep_workers (run.job, TRUE);
      test_run_job (run.job);
      shm_job_set_paused (run.job, TRUE);
      run.n_results = 0;
      shm_job_run_async (run.job, cancellable, ended, &run);
      while (round % 3 != 0 && g_main_context_iteration (NULL, FALSE))
        ;
      if (round % 2 == 0)
        g_cancellable_cancel (cancellable);
      else
        g_clear_object (&run.job);
      g_main_loop_run (run.loop);
      g_assert_error (run.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_cmpuint (run.n_results, ==, 0);
      /* And it can be run again. */
      if (run.job != NULL)
        {
          shm_job_set_paused (run.job, FALSE);
          test_run_job (run.job);
          g_assert_cmpuint (run.n_results, ==, N_ITEMS);
        }
    }
}

/* Ordered sections where each rank has its items from the beginning, and one rank has been paused before the other. */

typedef struct
{
  Run run;
  Pipes pipes;
  ShmArray *log; /* i8: how many, and the items, in the order in which they entered */
} Order;

static GVariant *
map_ordered (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Order *order = user_data;
  gint64 *log = shm_array_get_data (order->log);

  if (index == 0 || index == 3)
    {
      say (order->pipes.to_caller);
      hear (index == 0 ? order->pipes.to_first : order->pipes.to_last);
    }
  if (index >= 2 && shm_map_reduce_ordered_enter (pool, error))
    {
      log[++log[0]] = index;
      shm_map_reduce_ordered_leave (pool);
    }
  return g_variant_new_uint64 (index);
}

static gboolean
pause_first (gint fd, GIOCondition condition, gpointer user_data)
{
  Order *order = user_data;

  /* Both are in work. */
  hear (order->pipes.to_caller);
  hear (order->pipes.to_caller);
  shm_job_set_paused (order->run.job, TRUE);
  say (order->pipes.to_first);
  return G_SOURCE_REMOVE;
}

static gboolean
release_last (gpointer user_data)
{
  Order *order = user_data;

  say (order->pipes.to_last);
  g_timeout_add (PAUSE, resume, &order->run);
  return G_SOURCE_REMOVE;
}

static gboolean
take_ordered (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Order *order = user_data;

  /* Its worker is about to wait for the end of the pause. */
  if (index == 0)
    g_timeout_add (PAUSE, release_last, order);
  return TRUE;
}

static void
test_ordered (gconstpointer backend)
{
  Order order = { 0 };
  gsize length = 3;
  GSource *source;
  const gint64 *log;

  run_init (&order.run, 4, GPOINTER_TO_UINT (backend));
  pipes_init (&order.pipes);
  order.log = test_new_array (SHM_DTYPE_I8, 1, &length);
  shm_map_reduce_set_schedule (order.run.pool, SHM_SCHEDULE_STATIC);
  shm_map_reduce_set_chunk_size (order.run.pool, 1);
  shm_job_set_map_func (order.run.job, map_ordered, &order, NULL);
  shm_job_set_result_func (order.run.job, take_ordered, &order, NULL);
  source = g_unix_fd_source_new (order.pipes.to_caller[0], G_IO_IN);
  g_source_set_callback (source, G_SOURCE_FUNC (pause_first), &order, NULL);
  g_source_attach (source, NULL);
  shm_job_run_async (order.run.job, NULL, ended, &order.run);
  g_main_loop_run (order.run.loop);
  g_assert_no_error (order.run.error);
  log = shm_array_get_data (order.log);
  g_assert_cmpint (log[0], ==, 2);
  g_assert_cmpint (log[1], ==, 2);
  g_assert_cmpint (log[2], ==, 3);
  g_source_unref (source);
  g_object_unref (order.log);
  run_clear (&order.run);
  pipes_clear (&order.pipes);
}

/* Nothing adds up over many runs, each of a job of its own. */
static void
test_many (void)
{
  guint n_rounds = test_scale (300);
  TestLeftovers before;
  guint round;

  test_leftovers_take (&before);
  for (round = 0; round < n_rounds; round++)
    {
      g_auto (Run) run = { 0 };

      run_init (&run, 5, SHM_BACKEND_TYPE_PROCESS);
      shm_job_set_keep_workers (run.job, round % 2);
      shm_job_set_paused (run.job, round % 3 == 0);
      if (round % 5 == 0)
        shm_job_set_output (run.job, SHM_OUTPUT_STREAM_IN_ORDER);
      shm_job_run_async (run.job, NULL, ended, &run);
      if (round % 7 != 0)
        {
          shm_job_set_paused (run.job, FALSE);
          g_main_loop_run (run.loop);
          g_assert_no_error (run.error);
          g_assert_cmpuint (run.n_results, ==, 5);
          if (shm_job_get_keep_workers (run.job))
            test_run_job (run.job);
        }
      else
        {
          g_clear_object (&run.job);
          g_main_loop_run (run.loop);
          g_assert_error (run.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        }
      g_clear_object (&run.job);
      if (round % 100 == 0)
        test_leftovers_check (&before);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* It wakes a main loop when something is cancelled, and stays. */
  test_start_glib_thread ();

  test_add_for_backends ("combined", "nothing-left", test_nothing_left);
  test_add ("/combined/kept-leave", test_kept_leave);
  test_add ("/combined/kept-runs", test_kept_runs);
  test_add ("/combined/kept-ends", test_kept_ends);
  test_add ("/combined/many", test_many);
  test_add_data ("/combined/process/ordered", GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS),
                 test_ordered);
  test_add_data ("/combined/thread/ordered", GUINT_TO_POINTER (SHM_BACKEND_TYPE_THREAD),
                 test_ordered);
  return g_test_run ();
}
