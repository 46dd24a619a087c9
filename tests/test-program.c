/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Jobs whose workers are programs: this one, told by its arguments what to do. */

#include "config.h"

#include "test-util.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_ITEMS 1000
#define MARKED 7 /* the item at which something happens */

/* What the program's first argument says. */
#define SERVE "--serve"

static char *own_path;

/* In the program. */

typedef struct
{
  const char *mode;
  int fd;
  gint64 *values; /* of the caller's array */
} Served;

static gboolean
is_mode (const Served *served, const char *mode)
{
  return strcmp (served->mode, mode) == 0;
}

static guint64
work_on (ShmMapReduce *pool, guint64 index, Served *served, GError **error)
{
  if (is_mode (served, "fed"))
    {
      g_autoptr (GVariant) item = shm_job_get_item (shm_map_reduce_get_job (pool), index, error);

      return item != NULL ? strlen (g_variant_get_string (item, NULL)) : 0;
    }
  if (is_mode (served, "write"))
    served->values[index] = index * 3;
  if (is_mode (served, "sections"))
    {
      shm_map_reduce_critical_enter (pool, NULL);
      served->values[0]++;
      shm_map_reduce_critical_leave (pool);
      shm_map_reduce_ordered_enter (pool, NULL);
      served->values[1] = served->values[1] == (gint64) index ? served->values[1] + 1 : -1;
      shm_map_reduce_ordered_leave (pool);
    }
  if (is_mode (served, "rank"))
    return shm_map_reduce_get_rank (pool);
  if (is_mode (served, "argument"))
    {
      g_autoptr (GVariant) argument = shm_map_reduce_get_argument (pool, error);
      g_autoptr (GVariant) item = shm_job_get_item (shm_map_reduce_get_job (pool), index, NULL);

      return (item ? strlen (g_variant_get_string (item, NULL)) : index) +
             (argument ? g_variant_get_size (argument) : 0);
    }
  if (is_mode (served, "pipe"))
    g_assert_cmpint (write (served->fd, "", 1), ==, 1);
  if (is_mode (served, "pipe") || is_mode (served, "endless") ||
      (is_mode (served, "slow") && index == MARKED) ||
      (is_mode (served, "slow-often") && index % 100 == MARKED))
    while (TRUE)
      pause ();
  if (index != MARKED)
    return index;
  if (is_mode (served, "error"))
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_EXISTS, "there is one");
  if (is_mode (served, "trace"))
    {
      g_autoptr (GError) reason = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_BUSY, "busy");

      shm_map_reduce_fail_item (pool, reason, "at the marked one", g_variant_new_string ("more"));
    }
  if (is_mode (served, "signal"))
    raise (SIGKILL);
  if (is_mode (served, "exit"))
    exit (3);
  if (is_mode (served, "dies-once") && served->values[0]++ == 0)
    raise (SIGSEGV);
  return index;
}

static GVariant *
serve_range (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  Served *served = user_data;
  GVariantBuilder results;
  guint64 index;

  if (is_mode (served, "large"))
    return g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING,
                                     g_bytes_new_take (g_malloc0 (5000000), 5000000), TRUE);
  g_variant_builder_init (&results, G_VARIANT_TYPE ("at"));
  for (index = begin; index < end; index++)
    {
      guint64 result;

      shm_map_reduce_begin_item (pool, index);
      result = work_on (pool, index, served, error);
      if (index == MARKED && (is_mode (served, "error") || is_mode (served, "trace")))
        break;
      g_variant_builder_add (&results, "t", result);
    }
  return g_variant_builder_end (&results);
}

static int
serve (char **argv)
{
  g_autoptr (GError) error = NULL;
  Served served = { .mode = argv[2], .fd = atoi (argv[3]) };
  gsize length = N_ITEMS;

  if (!is_mode (&served, "pipe"))
    {
      ShmArray *array = shm_array_new_from_fd (served.fd, SHM_DTYPE_I8, 0, &length, 1, 0, &error);

      g_assert_no_error (error);
      served.values = shm_array_get_data (array);
    }
  shm_serve_ranges (serve_range, &served, &error);
  g_printerr ("%s\n", error->message);
  return EXIT_FAILURE;
}

/* In the caller. */

typedef struct
{
  ShmMapReduce *pool;
  ShmJob *job;
  ShmArray *array;
  int fd;
  GArray *results; /* of guint64, by item */
  guint64 n_fed;
} Caller;

static gboolean
take_result (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Caller *caller = user_data;
  gsize n;
  const guint64 *values = g_variant_get_fixed_array (result, &n, sizeof *values);
  gsize i;

  for (i = 0; i < n; i++)
    g_array_index (caller->results, guint64, index + i) = values[i];
  return TRUE;
}

static void
caller_init (Caller *caller, const char *mode)
{
  g_autofree char *fd = NULL;
  gsize length = N_ITEMS;
  g_autoptr (GError) error = NULL;

  *caller = (Caller){ .results = g_array_new (FALSE, TRUE, sizeof (guint64)) };
  g_array_set_size (caller->results, N_ITEMS);
  caller->pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  caller->job = shm_job_new (caller->pool, N_ITEMS);
  caller->array =
      shm_array_new_full (SHM_DTYPE_I8, 0, &length, 1, SHM_ARRAY_FLAGS_SHAREABLE, &error);
  g_assert_no_error (error);
  caller->fd = shm_array_dup_fd (caller->array, &error);
  g_assert_no_error (error);
  fd = g_strdup_printf ("%d", caller->fd);
  shm_job_set_program (caller->job, (const char *[]){ own_path, SERVE, mode, fd, NULL },
                       &caller->fd, 1);
  shm_job_set_output (caller->job, SHM_OUTPUT_STREAM);
  shm_job_set_result_func (caller->job, take_result, caller, NULL);
}

static void
caller_clear (Caller *caller)
{
  g_object_unref (caller->job);
  g_object_unref (caller->pool);
  g_object_unref (caller->array);
  g_array_unref (caller->results);
  close (caller->fd);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Caller, caller_clear)

static gint64
get_item (Caller *caller, gsize index)
{
  return ((gint64 *) shm_array_get_data (caller->array))[index];
}

static void
check_results (Caller *caller, guint64 besides)
{
  guint64 i;

  for (i = 0; i < N_ITEMS; i++)
    if (i != besides)
      g_assert_cmpuint (g_array_index (caller->results, guint64, i), ==, i);
}

static void
test_results (void)
{
  g_auto (Caller) caller = { 0 };

  caller_init (&caller, "plain");
  test_run_job (caller.job);
  check_results (&caller, N_ITEMS);
}

static void
test_list (void)
{
  g_auto (Caller) caller = { 0 };
  GPtrArray *results;
  guint64 next = 0;
  guint i;

  caller_init (&caller, "plain");
  shm_job_set_output (caller.job, SHM_OUTPUT_LIST);
  shm_map_reduce_set_max_items_per_worker (caller.pool, 300);
  test_run_job (caller.job);
  results = shm_job_get_results (caller.job);
  for (i = 0; i < results->len; i++)
    {
      gsize j, n;
      const guint64 *values =
          g_variant_get_fixed_array (g_ptr_array_index (results, i), &n, sizeof *values);

      for (j = 0; j < n; j++)
        g_assert_cmpuint (values[j], ==, next++);
    }
  g_assert_cmpuint (next, ==, N_ITEMS);
}

static void
test_large (void)
{
  g_auto (Caller) caller = { 0 };
  GPtrArray *results;
  guint i;

  caller_init (&caller, "large");
  shm_job_set_output (caller.job, SHM_OUTPUT_LIST);
  shm_map_reduce_set_chunk_size (caller.pool, N_ITEMS / 4);
  test_run_job (caller.job);
  results = shm_job_get_results (caller.job);
  g_assert_cmpuint (results->len, ==, 4);
  for (i = 0; i < results->len; i++)
    g_assert_cmpuint (g_variant_get_size (g_ptr_array_index (results, i)), ==, 5000000);
}

static GVariant *
feed_item (ShmJob *job, guint64 index, gpointer user_data, GError **error)
{
  g_autofree char *text = g_strnfill (index, 'x');

  return index < N_ITEMS ? g_variant_new_string (text) : NULL;
}

static void
test_fed (void)
{
  g_auto (Caller) caller = { 0 };

  caller_init (&caller, "fed");
  shm_job_set_feed_func (caller.job, feed_item, NULL, NULL);
  test_run_job (caller.job);
  check_results (&caller, N_ITEMS);
}

static void
test_array (void)
{
  g_auto (Caller) caller = { 0 };
  gint64 i;

  caller_init (&caller, "write");
  test_run_job (caller.job);
  for (i = 0; i < N_ITEMS; i++)
    g_assert_cmpint (get_item (&caller, i), ==, i * 3);
}

static void
test_sections (void)
{
  g_auto (Caller) caller = { 0 };

  caller_init (&caller, "sections");
  test_run_job (caller.job);
  g_assert_cmpint (get_item (&caller, 0), ==, N_ITEMS);
  g_assert_cmpint (get_item (&caller, 1), ==, N_ITEMS);
}

static void
check_failure (Caller *caller, ShmFailureKind kind, GQuark domain, gint code)
{
  g_autoptr (GError) error = NULL;
  ShmFailure *failure;

  g_assert_false (shm_job_run (caller->job, NULL, &error));
  g_assert_error (error, domain, code);
  failure = g_ptr_array_index (shm_job_get_failures (caller->job), 0);
  g_assert_cmpint (shm_failure_get_kind (failure), ==, kind);
  g_assert_true (shm_failure_has_index (failure));
  g_assert_cmpuint (shm_failure_get_index (failure), ==, MARKED);
  g_assert_cmpint (shm_failure_get_rank (failure), >=, 0);
}

static void
test_error (void)
{
  g_auto (Caller) caller = { 0 };

  caller_init (&caller, "error");
  check_failure (&caller, SHM_FAILURE_KIND_ERROR, G_IO_ERROR, G_IO_ERROR_EXISTS);
}

static void
test_traceback (void)
{
  g_auto (Caller) caller = { 0 };
  ShmFailure *failure;

  caller_init (&caller, "trace");
  shm_map_reduce_set_failure_policy (caller.pool, SHM_FAILURE_POLICY_COLLECT);
  test_run_job (caller.job);
  check_results (&caller, MARKED);
  g_assert_cmpuint (shm_job_get_failures (caller.job)->len, ==, 1);
  failure = g_ptr_array_index (shm_job_get_failures (caller.job), 0);
  g_assert_cmpstr (shm_failure_get_traceback (failure), ==, "at the marked one");
  g_assert_cmpstr (g_variant_get_string (shm_failure_get_payload (failure), NULL), ==, "more");
}

static void
test_deaths (void)
{
  g_auto (Caller) by_signal = { 0 };
  g_auto (Caller) by_exit = { 0 };
  g_auto (Caller) by_time = { 0 };

  caller_init (&by_signal, "signal");
  check_failure (&by_signal, SHM_FAILURE_KIND_SIGNAL, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
  caller_init (&by_exit, "exit");
  check_failure (&by_exit, SHM_FAILURE_KIND_EXIT, SHM_ERROR, SHM_ERROR_WORKER_EXIT);
  caller_init (&by_time, "slow");
  shm_map_reduce_set_item_timeout (by_time.pool, 300);
  check_failure (&by_time, SHM_FAILURE_KIND_TIMEOUT, SHM_ERROR, SHM_ERROR_WORKER_TIMEOUT);
}

static void
check_argument (guint size, gboolean fed)
{
  g_auto (Caller) caller = { 0 };
  guint round;
  guint64 i;

  caller_init (&caller, "argument");
  shm_job_set_keep_workers (caller.job, TRUE);
  if (fed)
    shm_job_set_feed_func (caller.job, feed_item, NULL, NULL);
  for (round = 0; round < 3; round++)
    {
      guint n_bytes = size > 0 ? size + round * 5000 : 0;
      g_autoptr (GBytes) bytes = g_bytes_new_take (g_malloc0 (n_bytes), n_bytes);

      shm_job_set_argument (
          caller.job,
          n_bytes > 0 ? g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE) : NULL);
      test_run_job (caller.job);
      for (i = 0; i < N_ITEMS; i++)
        g_assert_cmpuint (g_array_index (caller.results, guint64, i), ==, i + n_bytes);
    }
}

/* A program gets it in each run, beside the items that are fed. */
static void
test_argument (void)
{
  check_argument (0, FALSE);
  check_argument (1, FALSE);
  check_argument (3000000, FALSE);
  check_argument (0, TRUE);
  check_argument (1, TRUE);
  check_argument (3000000, TRUE);
}

/* Programs that are killed for their time, or start anew after some items, in a job that is paused meanwhile. */

static gboolean
resume (gpointer job)
{
  shm_job_set_paused (job, FALSE);
  return G_SOURCE_REMOVE;
}

static gboolean
take_and_pause (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  if (!shm_job_get_paused (job))
    {
      shm_job_set_paused (job, TRUE);
      g_timeout_add (1, resume, job);
    }
  return take_result (job, index, result, user_data, error);
}

static void
job_ended_well (GObject *job, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  GMainLoop *loop = user_data;

  shm_job_run_finish (SHM_JOB (job), result, &error);
  g_assert_no_error (error);
  g_main_loop_quit (loop);
}

static void
check_limits (gboolean fed, gboolean kept)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_auto (Caller) caller = { 0 };
  GPtrArray *failures;
  guint i;

  caller_init (&caller, "slow-often");
  shm_map_reduce_set_max_items_per_worker (caller.pool, 150);
  shm_map_reduce_set_item_timeout (caller.pool, 300);
  shm_map_reduce_set_failure_policy (caller.pool, SHM_FAILURE_POLICY_COLLECT);
  shm_job_set_result_func (caller.job, take_and_pause, &caller, NULL);
  shm_job_set_keep_workers (caller.job, kept);
  if (fed)
    shm_job_set_feed_func (caller.job, feed_item, NULL, NULL);
  shm_job_run_async (caller.job, NULL, job_ended_well, loop);
  g_main_loop_run (loop);
  while (shm_job_get_paused (caller.job))
    g_main_context_iteration (NULL, TRUE);
  failures = shm_job_get_failures (caller.job);
  g_assert_cmpuint (failures->len, ==, N_ITEMS / 100);
  for (i = 0; i < failures->len; i++)
    g_assert_cmpuint (shm_failure_get_index (g_ptr_array_index (failures, i)), ==,
                      i * 100 + MARKED);
  for (i = 0; i < N_ITEMS; i++)
    g_assert_cmpuint (g_array_index (caller.results, guint64, i), ==, i % 100 == MARKED ? 0 : i);
}

static void
test_limits (void)
{
  check_limits (FALSE, FALSE);
  check_limits (TRUE, TRUE);
}

static void
test_retry (void)
{
  g_auto (Caller) caller = { 0 };

  caller_init (&caller, "dies-once");
  shm_map_reduce_set_max_retries (caller.pool, 1);
  test_run_job (caller.job);
  check_results (&caller, N_ITEMS);
  g_assert_cmpint (get_item (&caller, 0), ==, 2);
}

/* Programs that never serve. */
static void
check_no_program (const char *path, GQuark domain, gint code)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, N_ITEMS);
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_max_retries (pool, 3);
  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  shm_job_set_program (job, (const char *[]){ path, NULL }, NULL, 0);
  g_assert_false (shm_job_run (job, NULL, &error));
  g_assert_error (error, domain, code);
}

static void
test_no_program (void)
{
  check_no_program ("/nonexistent/program", G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  check_no_program ("/bin/false", SHM_ERROR, SHM_ERROR_WORKER_EXIT);
  check_no_program ("/bin/true", SHM_ERROR, SHM_ERROR_WORKER_EXIT);
}

static gboolean
cancel (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return G_SOURCE_REMOVE;
}

static void
job_ended (GObject *job, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  GMainLoop *loop = user_data;

  g_assert_false (shm_job_run_finish (SHM_JOB (job), result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_main_loop_quit (loop);
}

/* At once, while the programs start, and while they work. */
static void
test_cancelled (void)
{
  guint delay;

  for (delay = 0; delay < 400; delay = delay * 3 + 5)
    {
      g_auto (Caller) caller = { 0 };
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);

      caller_init (&caller, "endless");
      shm_job_run_async (caller.job, cancellable, job_ended, loop);
      g_timeout_add (delay, cancel, cancellable);
      g_main_loop_run (loop);
    }
}

/* Who dies leaves no program behind: all of them have the writing end of a pipe. */
static void
test_caller_dies (void)
{
  int ends[2];
  char bytes[2];
  pid_t pid;

  g_assert_cmpint (pipe (ends), ==, 0);
  pid = fork ();
  if (pid == 0)
    {
      g_autofree char *fd = g_strdup_printf ("%d", ends[1]);
      g_auto (Caller) caller = { 0 };

      caller_init (&caller, "pipe");
      shm_job_set_program (caller.job, (const char *[]){ own_path, SERVE, "pipe", fd, NULL },
                           &ends[1], 1);
      shm_job_run (caller.job, NULL, NULL);
      _exit (0);
    }
  close (ends[1]);
  g_assert_cmpint (read (ends[0], bytes, 1), ==, 1);
  g_assert_cmpint (read (ends[0], bytes, 1), ==, 1);
  g_assert_cmpint (kill (pid, SIGKILL), ==, 0);
  g_assert_cmpint (read (ends[0], bytes, 1), ==, 0);
  close (ends[0]);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
}

static void
test_one_worker (void)
{
  guint i;

  for (i = 0; i < 2; i++)
    {
      g_auto (Caller) caller = { 0 };
      guint64 index;

      caller_init (&caller, "rank");
      shm_map_reduce_set_chunk_size (caller.pool, 1);
      if (i == 0)
        shm_set_debug (TRUE);
      else
        shm_map_reduce_set_min_length (caller.pool, N_ITEMS + 1);
      test_run_job (caller.job);
      shm_set_debug (FALSE);
      g_assert_cmpuint (shm_job_get_statistics (caller.job)->len, ==, 1);
      for (index = 0; index < N_ITEMS; index++)
        g_assert_cmpuint (g_array_index (caller.results, guint64, index), ==, 0);
    }
}

static void
test_not_a_worker (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (shm_serve_ranges (serve_range, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
}

int
main (int argc, char **argv)
{
  if (argc > 3 && strcmp (argv[1], SERVE) == 0)
    return serve (argv);

  g_test_init (&argc, &argv, NULL);
  /* It wakes a main loop when something is cancelled, and stays. */
  test_start_glib_thread ();
  own_path = g_file_read_link ("/proc/self/exe", NULL);

  test_add ("/program/results", test_results);
  test_add ("/program/list", test_list);
  test_add ("/program/large", test_large);
  test_add ("/program/fed", test_fed);
  test_add ("/program/array", test_array);
  test_add ("/program/sections", test_sections);
  test_add ("/program/error", test_error);
  test_add ("/program/traceback", test_traceback);
  test_add ("/program/deaths", test_deaths);
  test_add ("/program/argument", test_argument);
  test_add ("/program/limits", test_limits);
  test_add ("/program/retry", test_retry);
  test_add ("/program/no-program", test_no_program);
  test_add ("/program/cancelled", test_cancelled);
  test_add ("/program/caller-dies", test_caller_dies);
  test_add ("/program/one-worker", test_one_worker);
  test_add ("/program/not-a-worker", test_not_a_worker);
  return g_test_run ();
}
