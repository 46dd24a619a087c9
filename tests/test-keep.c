/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Jobs that are run again and again, with workers that stay. See test-keep-state.c for what these know, and
 * test-keep-end.c for all that goes wrong. */

#include "config.h"

#include "test-keep.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>

static const ShmOutput outputs[] = { SHM_OUTPUT_LIST, SHM_OUTPUT_STREAM, SHM_OUTPUT_STREAM_IN_ORDER,
                                     SHM_OUTPUT_NONE };

static GVariant *
range_sum (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  guint64 number = keep_get_number (user_data);
  guint64 sum = 0, i;

  for (i = begin; i < end; i++)
    {
      shm_map_reduce_begin_item (pool, i);
      keep_note (user_data, i);
      sum += keep_get_result (i, number);
    }
  return g_variant_new_uint64 (sum);
}

static gboolean
loop_note (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  g_variant_unref (g_variant_ref_sink (range_sum (pool, begin, end, user_data, error)));
  return TRUE;
}

static gboolean
take_streamed (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Keep *keep = user_data;

  g_assert_cmpuint (index, <, shm_job_get_n_items (job));
  keep->n_streamed++;
  keep->sum_streamed += g_variant_get_uint64 (result);
  return TRUE;
}

typedef enum
{
  WORK_MAP,
  WORK_RANGE,
  WORK_LOOP
} Work;

static void
set_work (Keep *keep, Work work)
{
  if (work == WORK_MAP)
    shm_job_set_map_func (keep->job, keep_map, keep, NULL);
  else if (work == WORK_RANGE)
    shm_job_set_range_func (keep->job, range_sum, keep, NULL);
  else
    shm_job_set_loop_func (keep->job, loop_note, keep, NULL);
}

static void
check_run (Keep *keep, Work work, guint64 n_items, guint64 number)
{
  ShmOutput output = shm_job_get_output (keep->job);
  guint64 expected =
      work == WORK_LOOP || output == SHM_OUTPUT_NONE ? 0 : keep_expect_sum (n_items, number);
  GPtrArray *results;
  guint64 i;

  memset (keep->shared->n_times, 0, sizeof keep->shared->n_times);
  keep->n_streamed = keep->sum_streamed = 0;
  shm_job_set_n_items (keep->job, n_items);
  shm_job_set_argument (keep->job, number ? g_variant_new_uint64 (number) : NULL);
  test_run_job (keep->job);
  for (i = 0; i < MAX_ITEMS; i++)
    g_assert_cmpint (keep->shared->n_times[i], ==, i < n_items ? 1 : 0);
  keep_check_told (keep->job, n_items);
  results = shm_job_get_results (keep->job);
  if (output != SHM_OUTPUT_LIST)
    {
      g_assert_cmpuint (results->len, ==, 0);
      g_assert_cmpuint (keep->sum_streamed, ==, expected);
      if (work == WORK_MAP && output != SHM_OUTPUT_NONE)
        g_assert_cmpuint (keep->n_streamed, ==, n_items);
    }
  else
    {
      if (work == WORK_MAP)
        g_assert_cmpuint (results->len, ==, n_items);
      g_assert_cmpuint (keep_sum_results (results), ==, expected);
      g_assert_cmpuint (keep->n_streamed, ==, 0);
    }
}

/* Growing and shrinking numbers of items, each work function, each output; the workers are the same ones if
 * they can be. */
static void
test_runs (gconstpointer backend)
{
  static const guint64 n_items[] = { 1, 0, 2, 7, 100, MAX_ITEMS, 0, 0, 3, 500, 1, 40 };
  guint n_rounds = MAX (2, test_scale (4));
  Work work;
  guint o, i, round;

  for (work = WORK_MAP; work <= WORK_LOOP; work++)
    for (o = 0; o < G_N_ELEMENTS (outputs); o++)
      {
        g_auto (Keep) keep;
        g_autoptr (GPtrArray) children = NULL;
        gboolean stay = GPOINTER_TO_UINT (backend) == SHM_BACKEND_TYPE_PROCESS &&
                        outputs[o] != SHM_OUTPUT_STREAM_IN_ORDER;

        keep_init (&keep, GPOINTER_TO_UINT (backend));
        set_work (&keep, work);
        shm_job_set_output (keep.job, outputs[o]);
        shm_job_set_result_func (keep.job, take_streamed, &keep, NULL);
        for (round = 0; round < n_rounds; round++)
          for (i = 0; i < G_N_ELEMENTS (n_items); i++)
            {
              check_run (&keep, work, n_items[i], round * 100 + i);
              if (children == NULL)
                children = test_list_children ();
              g_assert_cmpuint (children->len, ==, stay ? N_WORKERS : 0);
              g_assert_true (keep_are_children (children));
              if (stay)
                keep_assert_done_by (&keep, n_items[i], children);
            }
      }
}

/* Nothing is left over of a run when the next one begins at once: neither its items nor its numbers. */
static void
test_many_short_runs (void)
{
  g_auto (Keep) keep;
  guint n_runs = test_scale (2000);
  guint i;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  set_work (&keep, WORK_RANGE);
  for (i = 0; i < n_runs; i++)
    check_run (&keep, WORK_RANGE, i % 9, i);
}

static GVariant *
feed_number (ShmJob *job, guint64 index, gpointer user_data, GError **error)
{
  return index < 20 ? g_variant_new_uint64 (index) : NULL;
}

static GVariant *
map_item (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Keep *keep = user_data;
  g_autoptr (GVariant) item = shm_job_get_item (keep->job, index, error);

  keep_note (keep, index);
  g_assert_cmpuint (g_variant_get_uint64 (item), ==, index);
  return g_variant_ref (item);
}

static GVariant *
sum_up (ShmMapReduce *pool, guint rank, gpointer state, gpointer user_data, GError **error)
{
  return g_variant_new_uint32 (rank);
}

static void
set_static (Keep *keep)
{
  shm_map_reduce_set_schedule (keep->pool, SHM_SCHEDULE_STATIC);
}

static void
set_trace (Keep *keep)
{
  shm_job_set_trace (keep->job, TRUE);
}

static void
set_tear_down (Keep *keep)
{
  shm_job_set_tear_down_func (keep->job, sum_up, NULL, NULL);
}

static void
set_in_order (Keep *keep)
{
  shm_job_set_output (keep->job, SHM_OUTPUT_STREAM_IN_ORDER);
}

static void
set_values (Keep *keep)
{
  guint64 values[20];
  guint64 i;

  for (i = 0; i < G_N_ELEMENTS (values); i++)
    values[i] = i;
  shm_job_set_map_func (keep->job, map_item, keep, NULL);
  shm_job_set_items (keep->job, g_variant_new_fixed_array (G_VARIANT_TYPE_UINT64, values,
                                                           G_N_ELEMENTS (values), sizeof *values));
}

static void
set_feed (Keep *keep)
{
  shm_job_set_map_func (keep->job, map_item, keep, NULL);
  shm_job_set_feed_func (keep->job, feed_number, NULL, NULL);
}

/* Where workers cannot be kept, each run starts its own, and is as good. */
static void
test_not_kept (void)
{
  static void (*const set[]) (Keep *) = { set_static,   set_trace,  set_tear_down,
                                          set_in_order, set_values, set_feed };
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (set); i++)
    {
      g_auto (Keep) keep;
      gint64 pids[20];

      keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
      shm_job_set_n_items (keep.job, 20);
      set_work (&keep, WORK_MAP);
      set[i](&keep);
      for (k = 0; k < 4; k++)
        {
          guint n_summaries, item, other;

          memset (keep.shared->n_times, 0, sizeof keep.shared->n_times);
          test_run_job (keep.job);
          g_assert_cmpuint (keep_count_children (), ==, 0);
          keep_check_told (keep.job, 20);
          /* Who comes too late for any item is not started. */
          n_summaries = shm_job_get_summaries (keep.job)->len;
          g_assert_cmpuint (n_summaries, <=, set[i] == set_tear_down ? N_WORKERS : 0);
          g_assert_true (n_summaries > 0 || set[i] != set_tear_down);
          for (item = 0; item < 20; item++)
            {
              g_assert_cmpint (keep.shared->n_times[item], ==, 1);
              for (other = 0; k > 0 && other < 20; other++)
                g_assert_cmpint (keep.shared->pids[item], !=, pids[other]);
            }
          memcpy (pids, keep.shared->pids, sizeof pids);
        }
    }
}

typedef struct
{
  GMainLoop *loop;
  Keep *keep;
  guint n_left;
  gboolean nested; /* the next run begins in the callback of the one before */
  GError *error;
} Async;

static void start_async (Async *async);

static void
async_done (GObject *object, GAsyncResult *result, gpointer user_data)
{
  Async *async = user_data;
  gboolean ok = shm_job_run_finish (SHM_JOB (object), result, &async->error);

  g_assert_true (ok == (async->error == NULL));
  if (ok && async->keep != NULL)
    g_assert_cmpuint (keep_sum_results (shm_job_get_results (SHM_JOB (object))), ==,
                      keep_expect_sum (async->n_left, async->n_left));
  if (ok && --async->n_left > 0 && async->nested)
    start_async (async);
  else
    g_main_loop_quit (async->loop);
}

static void
start_async (Async *async)
{
  ShmJob *job = async->keep->job;

  shm_job_set_n_items (job, async->n_left);
  shm_job_set_argument (job, g_variant_new_uint64 (async->n_left));
  shm_job_run_async (job, NULL, async_done, async);
}

static void
test_async (gconstpointer backend)
{
  g_auto (Keep) keep;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Async async = { .loop = loop, .keep = &keep, .n_left = 60 };
  gboolean is_process = GPOINTER_TO_UINT (backend) == SHM_BACKEND_TYPE_PROCESS;
  g_autoptr (GPtrArray) children = NULL;

  keep_init (&keep, GPOINTER_TO_UINT (backend));
  set_work (&keep, WORK_MAP);
  while (async.n_left > 30)
    {
      start_async (&async);
      g_main_loop_run (loop);
      if (children == NULL)
        children = test_list_children ();
      keep_run (&keep, 4, 4);
      g_assert_true (keep_are_children (children));
    }
  async.nested = TRUE;
  start_async (&async);
  g_main_loop_run (loop);
  g_assert_no_error (async.error);
  g_assert_cmpuint (keep_count_children (), ==, is_process ? N_WORKERS : 0);
  g_assert_true (keep_are_children (children));
}

/* Eight of them take longer than the job lets other sources wait. */
static gboolean
take_slowly (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Keep *keep = user_data;
  gint64 until = g_get_monotonic_time () + 2000;

  while (g_get_monotonic_time () < until)
    ;
  keep->n_streamed++;
  return TRUE;
}

static void
wait_until_asleep (gint64 pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%" G_GINT64_FORMAT "/stat", pid);
  gboolean asleep = FALSE;

  while (!asleep)
    {
      g_autofree char *text = NULL;

      g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
      asleep = strstr (text, ") S ") != NULL;
    }
}

/* The results of a run are all there before the caller looks, and its time is up with the last of them: then nothing is
 * left that would bring it back to see that the run is over. */
static void
test_slow_results (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_auto (Keep) keep;
  Async async = { .loop = loop, .n_left = 4 };

  shm_map_reduce_set_chunk_size (pool, 1);
  keep_init_in (&keep, pool);
  set_work (&keep, WORK_MAP);
  shm_job_set_output (keep.job, SHM_OUTPUT_STREAM);
  shm_job_set_result_func (keep.job, take_slowly, &keep, NULL);
  while (async.n_left > 0)
    {
      memset (keep.shared->n_times, 0, sizeof keep.shared->n_times);
      shm_job_set_n_items (keep.job, 8);
      shm_job_set_argument (keep.job, g_variant_new_uint64 (1));
      shm_job_run_async (keep.job, NULL, async_done, &async);
      while (__atomic_load_n (&keep.shared->n_times[7], __ATOMIC_ACQUIRE) == 0)
        g_thread_yield ();
      wait_until_asleep (keep.shared->pids[7]);
      g_main_loop_run (loop);
      g_assert_no_error (async.error);
    }
  g_assert_cmpuint (keep.n_streamed, ==, 4 * 8);
}

/* The last reference goes while the job runs: in a first run, and in one of workers that were kept. */
static void
test_dropped (void)
{
  guint n_runs, k;

  for (n_runs = 0; n_runs < 3; n_runs++)
    {
      g_auto (Keep) keep;
      g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
      Async async = { .loop = loop };

      keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
      set_work (&keep, WORK_MAP);
      for (k = 0; k < n_runs; k++)
        keep_run (&keep, 100, k);
      shm_job_set_n_items (keep.job, MAX_ITEMS);
      shm_job_run_async (keep.job, NULL, async_done, &async);
      g_clear_object (&keep.job);
      g_main_loop_run (loop);
      g_assert_error (async.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&async.error);
      while (g_main_context_iteration (NULL, FALSE))
        ;
      g_assert_cmpuint (keep_count_children (), ==, 0);
    }
}

/* Each job has its own workers, whether their pool is the same or not. */
static void
test_two_jobs (gconstpointer two_pools)
{
  g_autoptr (ShmMapReduce) pool = test_pool (N_WORKERS, SHM_BACKEND_TYPE_PROCESS);
  g_auto (Keep) one;
  g_auto (Keep) other;
  g_autoptr (GPtrArray) children = NULL;
  guint i;

  keep_init_in (&one, pool);
  if (GPOINTER_TO_INT (two_pools))
    keep_init (&other, SHM_BACKEND_TYPE_PROCESS);
  else
    keep_init_in (&other, pool);
  set_work (&one, WORK_MAP);
  set_work (&other, WORK_MAP);
  for (i = 0; i < 30; i++)
    {
      keep_run (&one, i, i);
      keep_run (&other, 40 - i, 2 * i);
      if (children == NULL)
        children = test_list_children ();
      g_assert_cmpuint (children->len, ==, 2 * N_WORKERS);
      g_assert_true (keep_are_children (children));
    }
  shm_job_release_workers (one.job);
  g_assert_cmpuint (keep_count_children (), ==, N_WORKERS);
  keep_run (&other, 20, 20);
}

static gpointer
run_in_thread (gpointer data)
{
  ShmBackendType backend = GPOINTER_TO_UINT (data);
  g_auto (Keep) keep;
  guint n_runs = test_scale (200);
  guint i;

  keep_init (&keep, backend);
  set_work (&keep, WORK_MAP);
  for (i = 0; i < n_runs; i++)
    {
      keep_run (&keep, i % 20, i);
      if (i % 50 == 49)
        shm_job_release_workers (keep.job);
    }
  return NULL;
}

static void
test_threads (gconstpointer backend)
{
  GThread *threads[4];
  guint i;

  /* The allocators of the sanitizers do not survive a fork beside other threads. */
  if (TEST_SANITIZED && GPOINTER_TO_UINT (backend) == SHM_BACKEND_TYPE_PROCESS)
    {
      g_test_skip ("a sanitizer");
      return;
    }
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new (NULL, run_in_thread, (gpointer) backend);
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

#define LARGE (300 * 1024)

static GVariant *
map_large (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return keep_make_bytes (LARGE + index, (guint8) keep_get_number (user_data));
}

/* Large results travel beside the rings; their memory is used again, or given back. */
static void
test_large_results (void)
{
  g_auto (Keep) keep;
  g_autoptr (GPtrArray) held = NULL;
  g_autoptr (GVariant) expected = NULL;
  guint n_runs = test_scale (100);
  guint64 resident = 0;
  guint i, k;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  shm_job_set_map_func (keep.job, map_large, &keep, NULL);
  shm_job_set_n_items (keep.job, 12);
  for (i = 0; i < n_runs; i++)
    {
      shm_job_set_argument (keep.job, g_variant_new_uint64 (i));
      test_run_job (keep.job);
      for (k = 0; k < 12; k++)
        {
          g_autoptr (GVariant) wanted =
              g_variant_ref_sink (keep_make_bytes (LARGE + k, (guint8) i));

          g_assert_true (
              keep_is_same (g_ptr_array_index (shm_job_get_results (keep.job), k), wanted));
        }
      if (i == 2)
        {
          held = g_ptr_array_ref (shm_job_get_results (keep.job));
          expected = g_variant_ref_sink (keep_make_bytes (LARGE + 5, 2));
        }
      if (i == n_runs / 2)
        resident = test_get_resident ();
    }
  if (!test_under_valgrind () && !TEST_SANITIZED)
    g_assert_cmpuint (test_get_resident (), <, resident + 16 * LARGE);
  shm_job_release_workers (keep.job);
  /* What is held outlives the runs that came after, and the workers. */
  if (held != NULL)
    g_assert_true (keep_is_same (g_ptr_array_index (held, 5), expected));
}

/* What is counted of a range is there before the run can end. */
static gboolean
loop_nothing (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  return TRUE;
}

static void
test_counts_of_ranges (void)
{
  g_auto (Keep) keep;
  guint n_runs = test_scale (8000);
  guint i;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  shm_job_set_loop_func (keep.job, loop_nothing, &keep, NULL);
  for (i = 0; i < n_runs; i++)
    {
      shm_job_set_n_items (keep.job, 1 + i % 7);
      test_run_job (keep.job);
      keep_check_told (keep.job, 1 + i % 7);
    }
}

static gpointer
set_up_print (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  printf ("U");
  return NULL;
}

static GVariant *
map_print (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  printf ("%c", (int) ('a' + index));
  return NULL;
}

static GVariant *
range_print (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  for (; begin < end; begin++)
    map_print (pool, begin, user_data, error);
  return NULL;
}

/* When a run has ended, all that its workers have printed is there, as if they had left. */
static void
test_output (void)
{
  g_auto (Keep) keep;
  guint n_runs = test_scale (5000);
  int saved = dup (STDOUT_FILENO);
  char letters[64];
  gssize n_letters;
  int ends[2];
  guint i, k;

  /* TAP has it for itself. */
  fflush (stdout);
  g_assert_true (g_unix_open_pipe (ends, FD_CLOEXEC, NULL));
  g_assert_true (g_unix_set_fd_nonblocking (ends[0], TRUE, NULL));
  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  shm_job_set_set_up_func (keep.job, set_up_print, NULL, NULL);
  shm_job_set_n_items (keep.job, N_WORKERS);
  for (i = 0; i < n_runs; i++)
    {
      if (i == 0)
        shm_job_set_map_func (keep.job, map_print, NULL, NULL);
      else if (i == n_runs / 2)
        shm_job_set_range_func (keep.job, range_print, NULL, NULL);
      dup2 (ends[1], STDOUT_FILENO);
      test_run_job (keep.job);
      dup2 (saved, STDOUT_FILENO);
      n_letters = read (ends[0], letters, sizeof letters);
      g_assert_cmpint (n_letters, ==, i == 0 || i == n_runs / 2 ? 2 * N_WORKERS : N_WORKERS);
      for (k = 0; k < N_WORKERS; k++)
        g_assert_nonnull (memchr (letters, (int) ('a' + k), n_letters));
    }
  close (saved);
  close (ends[0]);
  close (ends[1]);
}

/* Numbers of items that are set for the next run do not make nonsense of what the last one tells. */
static void
test_progress (void)
{
  g_auto (Keep) keep;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  set_work (&keep, WORK_MAP);
  keep_run (&keep, 100, 1);
  keep_check_told (keep.job, 100);
  shm_job_set_n_items (keep.job, 10);
  g_assert_cmpfloat (shm_job_get_fraction (keep.job), ==, 1.0);
  g_assert_cmpuint (shm_job_get_n_done (keep.job), ==, 100);
  keep_run (&keep, 10, 1);
  keep_check_told (keep.job, 10);
}

/* A job that gave up what it had, since it was not to be run again, says so. */
static void
test_given_up (void)
{
  static void (*const set[]) (Keep *) = { set_values, set_feed };
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (set); i++)
    for (k = 0; k < 2; k++)
      {
        g_auto (Keep) keep;
        g_autoptr (GError) error = NULL;

        keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
        set[i](&keep);
        shm_job_set_keep_workers (keep.job, k == 1);
        test_run_job (keep.job);
        shm_job_set_keep_workers (keep.job, FALSE);
        shm_job_set_keep_workers (keep.job, TRUE);
        shm_job_set_map_func (keep.job, map_item, &keep, NULL);
        g_assert_false (shm_job_run (keep.job, NULL, &error));
        g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
        set[i](&keep);
        test_run_job (keep.job);
        keep_check_told (keep.job, 20);
      }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add_for_backends ("keep", "runs", test_runs);
  test_add_for_backends ("keep", "async", test_async);
  test_add ("/keep/process/slow-results", test_slow_results);
  test_add_data ("/keep/process/threads", GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS),
                 test_threads);
  test_add_data ("/keep/thread/threads", GUINT_TO_POINTER (SHM_BACKEND_TYPE_THREAD), test_threads);
  test_add ("/keep/many-short-runs", test_many_short_runs);
  test_add ("/keep/not-kept", test_not_kept);
  test_add ("/keep/dropped", test_dropped);
  test_add_data ("/keep/two-jobs/one-pool", GINT_TO_POINTER (FALSE), test_two_jobs);
  test_add_data ("/keep/two-jobs/two-pools", GINT_TO_POINTER (TRUE), test_two_jobs);
  test_add ("/keep/large-results", test_large_results);
  test_add ("/keep/counts-of-ranges", test_counts_of_ranges);
  test_add ("/keep/output", test_output);
  test_add ("/keep/progress", test_progress);
  test_add ("/keep/given-up", test_given_up);

  return g_test_run ();
}
