/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What goes wrong in jobs that keep their workers, in a run and between two. */

#include "config.h"

#include "test-keep.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "shmem-glib/shm-job-private.h"

#define ITEM_TIMEOUT                                                                               \
  2000 /* ms; much longer than an item needs, and a busy machine under valgrind */

typedef enum
{
  FAIL_NOT,
  FAIL_ERROR,
  FAIL_KILL,
  FAIL_KILL_ONCE,
  FAIL_HANG
} Fail;

/* The argument says which item fails, and how. */
static gboolean
fail_item (Keep *keep, guint64 index, GError **error)
{
  g_autoptr (GVariant) argument = shm_map_reduce_get_argument (keep->pool, error);
  guint64 item = G_MAXUINT64;
  guint how = FAIL_NOT;

  if (argument != NULL)
    g_variant_get (argument, "(tu)", &item, &how);
  if (index != item)
    return TRUE;
  switch (how)
    {
    case FAIL_ERROR:
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_MOUNTED, "no ladder");
      return FALSE;
    case FAIL_KILL_ONCE:
      if (__atomic_fetch_add (&keep->shared->word, 1, __ATOMIC_SEQ_CST) > 0)
        return TRUE;
      raise (SIGKILL);
      break;
    case FAIL_KILL:
      raise (SIGKILL);
      break;
    case FAIL_HANG:
      for (;;)
        pause ();
    default:
      break;
    }
  return TRUE;
}

static GVariant *
map_fail (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  keep_note (user_data, index);
  return fail_item (user_data, index, error) ? g_variant_new_uint64 (index + 1) : NULL;
}

static GVariant *
range_fail (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  guint64 sum = 0, i;

  for (i = begin; i < end; i++)
    {
      shm_map_reduce_begin_item (pool, i);
      keep_note (user_data, i);
      if (!fail_item (user_data, i, error))
        break;
      sum += i + 1;
    }
  return g_variant_new_uint64 (sum);
}

static void
keep_init_failing (Keep *keep, ShmBackendType backend, gboolean ranges)
{
  keep_init (keep, backend);
  if (ranges)
    shm_job_set_range_func (keep->job, range_fail, keep, NULL);
  else
    shm_job_set_map_func (keep->job, map_fail, keep, NULL);
}

static void
prepare (Keep *keep, guint64 n_items, guint64 item, Fail how)
{
  memset (keep->shared->n_times, 0, sizeof keep->shared->n_times);
  keep->shared->word = 0;
  shm_job_set_n_items (keep->job, n_items);
  shm_job_set_argument (keep->job, g_variant_new ("(tu)", item, (guint) how));
}

/* A run in which each item is done, at least so often as once; all is told. */
static void
check_good_run (Keep *keep, guint64 n_items)
{
  guint64 i;

  prepare (keep, n_items, 0, FAIL_NOT);
  test_run_job (keep->job);
  for (i = 0; i < n_items; i++)
    g_assert_cmpint (keep->shared->n_times[i], ==, 1);
  g_assert_cmpuint (shm_job_get_n_done (keep->job), ==, n_items);
  g_assert_cmpuint (shm_job_get_failures (keep->job)->len, ==, 0);
  g_assert_cmpuint (keep_sum_results (shm_job_get_results (keep->job)), ==,
                    n_items * (n_items + 1) / 2);
}

/* Waits until they are dead, or stopped. */
static void
kill_children (int number)
{
  g_autoptr (GPtrArray) children = test_list_children ();
  siginfo_t info;
  guint i;

  for (i = 0; i < children->len; i++)
    {
      pid_t pid = (pid_t) g_ascii_strtoll (g_ptr_array_index (children, i), NULL, 10);

      kill (pid, number);
      /* One may be dying already, since it was stopped before and its item took too long. */
      g_assert_cmpint (
          waitid (P_PID, pid, &info, (number == SIGSTOP ? WSTOPPED | WEXITED : WEXITED) | WNOWAIT),
          ==, 0);
    }
}

/* A good run, by these workers and no others. */
static void
keep_run_by (Keep *keep, guint64 n_items, GPtrArray *children)
{
  check_good_run (keep, n_items);
  keep_assert_done_by (keep, n_items, children);
}

/* An error ends its run, and the next one is as the first one was. */
static void
test_abort (gconstpointer backend)
{
  guint round, ranges;

  for (ranges = 0; ranges < 2; ranges++)
    {
      g_auto (Keep) keep;

      keep_init_failing (&keep, GPOINTER_TO_UINT (backend), ranges);
      for (round = 0; round < 10; round++)
        {
          ShmFailure *failure;

          check_good_run (&keep, 20 + round);
          prepare (&keep, 50, round, FAIL_ERROR);
          keep_run_failing (keep.job, G_IO_ERROR, G_IO_ERROR_NOT_MOUNTED);
          g_assert_cmpuint (keep_count_children (), ==, 0);
          g_assert_cmpuint (shm_job_get_failures (keep.job)->len, ==, 1);
          failure = g_ptr_array_index (shm_job_get_failures (keep.job), 0);
          g_assert_cmpuint (shm_failure_get_index (failure), ==, round);
          check_good_run (&keep, 10);
        }
    }
}

/* With COLLECT the items are told as the run counts them, and nothing is left of a failure for the next run. */
static void
test_collect (gconstpointer backend)
{
  static const Fail ways[] = { FAIL_ERROR, FAIL_KILL };
  gboolean is_process = GPOINTER_TO_UINT (backend) == SHM_BACKEND_TYPE_PROCESS;
  guint round, ranges, way;

  for (ranges = 0; ranges < 2; ranges++)
    for (way = 0; way < (is_process ? 2 : 1); way++)
      {
        g_auto (Keep) keep;

        keep_init_failing (&keep, GPOINTER_TO_UINT (backend), ranges);
        shm_map_reduce_set_failure_policy (keep.pool, SHM_FAILURE_POLICY_COLLECT);
        for (round = 0; round < 10; round++)
          {
            guint64 n_items = 30 + 3 * round;
            guint64 item = round % 2 ? n_items - 1 : round;
            ShmFailure *failure;
            guint64 i;

            prepare (&keep, n_items, item, ways[way]);
            test_run_job (keep.job);
            g_assert_cmpuint (shm_job_get_failures (keep.job)->len, ==, 1);
            failure = g_ptr_array_index (shm_job_get_failures (keep.job), 0);
            g_assert_cmpuint (shm_failure_get_index (failure), ==, item);
            g_assert_cmpint (shm_failure_get_kind (failure), ==,
                             ways[way] == FAIL_KILL ? SHM_FAILURE_KIND_SIGNAL
                                                    : SHM_FAILURE_KIND_ERROR);
            g_assert_cmpuint (shm_job_get_n_done (keep.job), ==, n_items);
            for (i = 0; i < n_items; i++)
              g_assert_cmpint (keep.shared->n_times[i], >=, 1);
            g_assert_cmpuint (keep_sum_results (shm_job_get_results (keep.job)), ==,
                              n_items * (n_items + 1) / 2 - (item + 1));
            check_good_run (&keep, 12);
            g_assert_cmpuint (keep_count_children (), ==, is_process ? N_WORKERS : 0);
          }
      }
}

/* A worker that dies in an item fails its run, or is replaced. */
static void
test_killed_in_item (void)
{
  guint round, ranges;

  for (ranges = 0; ranges < 2; ranges++)
    {
      g_auto (Keep) keep;

      keep_init_failing (&keep, SHM_BACKEND_TYPE_PROCESS, ranges);
      for (round = 0; round < 6; round++)
        {
          check_good_run (&keep, 20);
          prepare (&keep, 40, 7, FAIL_KILL);
          keep_run_failing (keep.job, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
        }
      shm_map_reduce_set_max_retries (keep.pool, 1);
      for (round = 0; round < 12; round++)
        {
          guint64 item = round % 3 == 0 ? 39 : round;

          check_good_run (&keep, 20);
          prepare (&keep, 40, item, FAIL_KILL_ONCE);
          test_run_job (keep.job);
          g_assert_cmpuint (keep_count_children (), ==, N_WORKERS);
          g_assert_cmpuint (shm_job_get_failures (keep.job)->len, ==, 0);
          g_assert_cmpuint (keep_sum_results (shm_job_get_results (keep.job)), ==, 40 * 41 / 2);
        }
    }
}

/* Who dies between two runs is replaced in the next one, however often that happens. */
static void
test_killed_between (void)
{
  guint n_rounds = MAX (3, test_scale (80));
  guint round, ranges;

  for (ranges = 0; ranges < 2; ranges++)
    {
      g_auto (Keep) keep;

      keep_init_failing (&keep, SHM_BACKEND_TYPE_PROCESS, ranges);
      for (round = 0; round < n_rounds; round++)
        {
          check_good_run (&keep, 1 + round % 40);
          kill_children (SIGKILL);
          if (round % 7 == 6)
            shm_job_release_workers (keep.job);
        }
    }
}

/* Who does not hear is not waited for for long. */
static void
test_stopped (void)
{
  g_auto (Keep) keep;
  gint64 since;

  keep_init_failing (&keep, SHM_BACKEND_TYPE_PROCESS, FALSE);
  check_good_run (&keep, 20);
  kill_children (SIGSTOP);
  since = g_get_monotonic_time ();
  shm_job_release_workers (keep.job);
  g_assert_cmpint (g_get_monotonic_time () - since, <, 30 * G_USEC_PER_SEC);
  g_assert_cmpuint (keep_count_children (), ==, 0);
  /* In a run they are as others that do not go on. */
  shm_map_reduce_set_item_timeout (keep.pool, ITEM_TIMEOUT);
  check_good_run (&keep, 20);
  kill_children (SIGSTOP);
  check_good_run (&keep, 20);
  kill_children (SIGSTOP);
}

/* A deadline holds in each run, and does not go on while the workers rest. */
static void
test_timeout (void)
{
  g_auto (Keep) keep;
  guint round;

  keep_init_failing (&keep, SHM_BACKEND_TYPE_PROCESS, FALSE);
  shm_map_reduce_set_item_timeout (keep.pool, ITEM_TIMEOUT);
  for (round = 0; round < 2; round++)
    {
      check_good_run (&keep, 20);
      check_good_run (&keep, 10);
      prepare (&keep, 20, 3, FAIL_HANG);
      keep_run_failing (keep.job, SHM_ERROR, SHM_ERROR_WORKER_TIMEOUT);
    }
}

/* Workers that have done enough are replaced, in whatever run. */
static void
test_recycled (void)
{
  guint round, ranges;

  for (ranges = 0; ranges < 2; ranges++)
    {
      g_auto (Keep) keep;
      guint64 i, k;

      keep_init_failing (&keep, SHM_BACKEND_TYPE_PROCESS, ranges);
      shm_map_reduce_set_max_items_per_worker (keep.pool, 7);
      for (round = 0; round < 20; round++)
        {
          check_good_run (&keep, 3 * round);
          for (i = 0; i < 3 * round; i++)
            {
              guint n_same = 0;

              for (k = 0; k < 3 * round; k++)
                n_same += keep.shared->pids[k] == keep.shared->pids[i];
              g_assert_cmpuint (n_same, <=, 7);
            }
        }
    }
}

static GVariant *
map_wait (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Keep *keep = user_data;

  if (index == 5)
    {
      __atomic_store_n (&keep->shared->word, 1, __ATOMIC_SEQ_CST);
      while (shm_map_reduce_get_backend (pool) == SHM_BACKEND_TYPE_PROCESS ||
             !g_cancellable_is_cancelled (keep->cancellable))
        g_thread_yield ();
    }
  return g_variant_new_uint64 (index);
}

static gpointer
cancel_when_begun (gpointer data)
{
  Keep *keep = data;

  while (__atomic_load_n (&keep->shared->word, __ATOMIC_SEQ_CST) == 0)
    g_thread_yield ();
  g_cancellable_cancel (keep->cancellable);
  return NULL;
}

static void
test_cancelled (gconstpointer backend)
{
  g_auto (Keep) keep;
  guint round;

  keep_init (&keep, GPOINTER_TO_UINT (backend));
  keep.cancellable = g_cancellable_new ();
  shm_job_set_map_func (keep.job, map_wait, &keep, NULL);
  for (round = 0; round < 4; round++)
    {
      g_autoptr (GError) error = NULL;
      GThread *thread;

      keep.shared->word = 0;
      g_cancellable_reset (keep.cancellable);
      shm_job_set_n_items (keep.job, 4);
      test_run_job (keep.job);
      test_run_job (keep.job);
      /* In the middle. */
      shm_job_set_n_items (keep.job, 30);
      thread = g_thread_new (NULL, cancel_when_begun, &keep);
      g_assert_false (shm_job_run (keep.job, keep.cancellable, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_thread_join (thread);
      g_assert_cmpuint (keep_count_children (), ==, 0);
      g_assert_null (shm_job_get_results (keep.job));
      /* Before. */
      shm_job_set_n_items (keep.job, 4);
      test_run_job (keep.job);
      g_clear_error (&error);
      g_assert_false (shm_job_run (keep.job, keep.cancellable, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
  g_clear_object (&keep.cancellable);
}

/* A process that the test has forked: neither kills nor awaits the workers of its parent, and may have its own. */
static void
test_forked (gconstpointer do_run)
{
  g_auto (Keep) keep;
  g_autoptr (GPtrArray) children = NULL;
  int status;
  pid_t pid;
  guint i;

  keep_init_failing (&keep, SHM_BACKEND_TYPE_PROCESS, FALSE);
  check_good_run (&keep, 20);
  children = test_list_children ();
  for (i = 0; i < 3; i++)
    {
      pid = fork ();
      if (pid == 0)
        {
          if (GPOINTER_TO_INT (do_run))
            {
              check_good_run (&keep, 15);
              check_good_run (&keep, 30);
            }
          g_clear_object (&keep.job);
          g_clear_pointer (&children, g_ptr_array_unref);
          _exit (keep_count_children () == 0 ? 0 : 1);
        }
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      g_assert_cmpint (status, ==, 0);
      g_assert_cmpuint (keep_count_children (), ==, children->len);
      keep_run_by (&keep, 25, children);
    }
}

static GVariant *
map_drop_job (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Keep *keep = user_data;

  if (index % 2 == 0)
    shm_job_release_workers (keep->job);
  else if (index % 3 == 0)
    check_good_run (keep, 5);
  g_object_run_dispose (G_OBJECT (keep->job));
  g_object_unref (keep->job);
  keep->job = shm_job_new (keep->pool, 0);
  shm_job_set_map_func (keep->job, map_fail, keep, NULL);
  return NULL;
}

/* So it is in the workers of another job. */
static void
test_in_worker (gconstpointer nested)
{
  g_auto (Keep) keep;
  g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) children = NULL;
  guint i;

  keep_init_failing (&keep, SHM_BACKEND_TYPE_PROCESS, FALSE);
  shm_map_reduce_set_nested (keep.pool, GPOINTER_TO_INT (nested));
  check_good_run (&keep, 20);
  children = test_list_children ();
  for (i = 0; i < 3; i++)
    {
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;

      results = shm_map_reduce_map (pool, 12, NULL, map_drop_job, NULL, &keep, &error);
      g_assert_no_error (error);
      g_assert_cmpuint (keep_count_children (), ==, children->len);
      keep_run_by (&keep, 25, children);
    }
}

/* The caller is killed while its workers rest: they die with it. */
static gpointer
rest_for_ever (gpointer data)
{
  g_auto (Keep) keep;

  keep_init_failing (&keep, SHM_BACKEND_TYPE_PROCESS, FALSE);
  check_good_run (&keep, 20);
  printf ("%u", keep_count_children ());
  fflush (stdout);
  for (;;)
    pause ();
  return NULL;
}

static void
test_caller_killed (gconstpointer in_thread)
{
  int ends[2];
  FILE *stream;
  pid_t pid;

  g_assert_true (g_unix_open_pipe (ends, 0, NULL));
  pid = fork ();
  if (pid == 0)
    {
      dup2 (ends[1], STDOUT_FILENO);
      close (ends[0]);
      close (ends[1]);
      if (GPOINTER_TO_INT (in_thread))
        g_thread_join (g_thread_new (NULL, rest_for_ever, NULL));
      else
        rest_for_ever (NULL);
      _exit (0);
    }
  close (ends[1]);
  stream = fdopen (ends[0], "r");
  g_assert_cmpint (fgetc (stream), ==, '0' + N_WORKERS);
  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  /* The pipe's end of file says that all who had its other end are gone. */
  g_assert_cmpint (fgetc (stream), ==, EOF);
  fclose (stream);
}

static gpointer
set_up_nothing (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  return NULL;
}

/* So it is with workers that have never had an item. */
static void
test_killed_idle (void)
{
  g_auto (Keep) keep;
  guint n_rounds = MAX (3, test_scale (100));
  guint round;

  keep_init_failing (&keep, SHM_BACKEND_TYPE_PROCESS, FALSE);
  shm_job_set_set_up_func (keep.job, set_up_nothing, NULL, NULL);
  for (round = 0; round < n_rounds; round++)
    {
      prepare (&keep, 0, 0, FAIL_NOT);
      test_run_job (keep.job);
      kill_children (SIGKILL);
    }
  check_good_run (&keep, 20);
}

static ShmStatistics *
get_statistics (Keep *keep, guint at)
{
  return g_ptr_array_index (shm_job_get_statistics (keep->job), at);
}

/* Where the kernel reaps the children nobody learns what they have used; that is no reason to take time away. */
static void
test_unknown_death (void)
{
  g_auto (Keep) keep;
  guint round, i;

  signal (SIGCHLD, SIG_IGN);
  keep_init_failing (&keep, SHM_BACKEND_TYPE_PROCESS, FALSE);
  shm_map_reduce_set_max_retries (keep.pool, 1);
  for (round = 0; round < 5; round++)
    {
      check_good_run (&keep, MAX_ITEMS);
      prepare (&keep, 40, 20, FAIL_KILL_ONCE);
      test_run_job (keep.job);
      for (i = 0; i < shm_job_get_statistics (keep.job)->len; i++)
        g_assert_cmpint (shm_statistics_get_cpu_time (get_statistics (&keep, i)), >=, 0);
    }
  shm_job_release_workers (keep.job);
  signal (SIGCHLD, SIG_DFL);
}

#define LARGE (300 * 1024)

static GVariant *
map_large (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autofree guint8 *bytes = g_malloc (LARGE);

  memset (bytes, (int) index, LARGE);
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, LARGE, 1);
}

/* After some TiB the place of one rank for large results ends where that of the next one begins. */
static void
test_arena_used_up (void)
{
  g_auto (Keep) keep;
  guint round, i;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  shm_job_set_map_func (keep.job, map_large, &keep, NULL);
  shm_job_set_n_items (keep.job, 40);
  for (round = 0; round < 4; round++)
    {
      test_run_job (keep.job);
      for (i = 0; i < 40; i++)
        {
          GVariant *value = g_ptr_array_index (shm_job_get_results (keep.job), i);
          const guint8 *bytes = g_variant_get_data (value);

          g_assert_cmpuint (g_variant_get_size (value), ==, LARGE);
          g_assert_cmpuint (bytes[0], ==, i);
          g_assert_cmpuint (bytes[LARGE - 1], ==, i);
        }
      for (i = 0; i < N_WORKERS; i++)
        {
          guint64 *head = &keep.job->kept->control->lines[i].arena_head;

          g_assert_cmpuint (*head, <, shm_arena_get_base (1) / 2);
          *head = shm_arena_get_base (1) - 8192;
        }
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add_for_backends ("keep-end", "abort", test_abort);
  test_add_for_backends ("keep-end", "collect", test_collect);
  test_add_data ("/keep-end/process/cancelled", GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS),
                 test_cancelled);
  test_add_data ("/keep-end/thread/cancelled", GUINT_TO_POINTER (SHM_BACKEND_TYPE_THREAD),
                 test_cancelled);
  test_add ("/keep-end/killed-in-item", test_killed_in_item);
  test_add ("/keep-end/killed-between", test_killed_between);
  test_add ("/keep-end/stopped", test_stopped);
  test_add ("/keep-end/timeout", test_timeout);
  test_add ("/keep-end/recycled", test_recycled);
  test_add_data ("/keep-end/forked/drops", GINT_TO_POINTER (FALSE), test_forked);
  test_add_data ("/keep-end/forked/runs", GINT_TO_POINTER (TRUE), test_forked);
  test_add_data ("/keep-end/in-worker/serial", GINT_TO_POINTER (FALSE), test_in_worker);
  test_add_data ("/keep-end/in-worker/nested", GINT_TO_POINTER (TRUE), test_in_worker);
  test_add_data ("/keep-end/caller-killed/main-thread", GINT_TO_POINTER (FALSE),
                 test_caller_killed);
  test_add_data ("/keep-end/caller-killed/other-thread", GINT_TO_POINTER (TRUE),
                 test_caller_killed);
  test_add ("/keep-end/killed-idle", test_killed_idle);
  test_add ("/keep-end/unknown-death", test_unknown_death);
  test_add ("/keep-end/arena-used-up", test_arena_used_up);

  return g_test_run ();
}
