/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_ITEMS 40
#define BAD_ITEM 17

static GVariant *
map_error (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (index != BAD_ITEM)
    return g_variant_new_uint64 (index);
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC, "the disk is full");
  return NULL;
}

static void
test_error (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  results = shm_map_reduce_map (pool, N_ITEMS, NULL, map_error, NULL, NULL, &error);
  g_assert_null (results);
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC);
  g_assert_true (g_str_has_prefix (error->message, "Item 17 on worker "));
  g_assert_true (g_str_has_suffix (error->message, ": the disk is full"));
}

/* Items before the bad one, which the function begins, are handed over; those after it are not
 * lost. */
static GVariant *
range_error (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  guint64 i;

  for (i = begin; i < end; i++)
    {
      shm_map_reduce_begin_item (pool, i);
      if (i == BAD_ITEM)
        {
          g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC, "the disk is full");
          break;
        }
    }
  return g_variant_new ("(tt)", begin, i);
}

static GVariant *
note_range (ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  guint64 begin, end;

  g_variant_get (result, "(tt)", &begin, &end);
  g_assert_cmpuint (begin, ==, index);
  g_assert_true (end <= BAD_ITEM || begin > BAD_ITEM);
  return NULL;
}

static void
test_range_error (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, N_ITEMS);
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_chunk_size (pool, 10);
  shm_job_set_range_func (job, range_error, NULL, NULL);
  shm_job_set_reduce_func (job, note_range, NULL, NULL);
  g_assert_false (shm_job_run (job, NULL, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC);
  g_assert_true (g_str_has_prefix (error->message, "Item 17 on worker "));
  g_assert_null (shm_job_get_results (job));
}

static gboolean
loop_fails (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  return begin > BAD_ITEM || end <= BAD_ITEM;
}

/* FALSE without an error is an error too. */
static void
test_loop_error (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (GError) error = NULL;

  g_assert_false (shm_map_reduce_for_range (pool, 0, N_ITEMS, NULL, loop_fails, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_FAILED);
}

static GVariant *
keep (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_uint64 (index);
}

static GVariant *
reduce_error (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  if (index == 5)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "no room");
  return NULL;
}

static void
test_reduce_error (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  results = shm_map_reduce_map (pool, 100000, NULL, keep, reduce_error, NULL, &error);
  g_assert_null (results);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_assert_cmpstr (error->message, ==, "no room");
}

typedef struct
{
  const char *name;
  int number; /* signal, or status if exits */
  gboolean exits;
  const char *expected;
} Death;

static GVariant *
map_die (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const Death *death = user_data;

  if (index != BAD_ITEM)
    return g_variant_new_uint64 (index);
  if (!death->exits)
    {
      struct rlimit none = { 0, 0 };

      setrlimit (RLIMIT_CORE, &none);
      raise (death->number);
    }
  else
    exit (death->number);
  return NULL;
}

static void
test_death (gconstpointer data)
{
  const Death *death = data;
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *pattern =
      g_strdup_printf ("Item 17 on worker ? (process *): %s", death->expected);

  results = shm_map_reduce_map (pool, N_ITEMS, NULL, map_die, NULL, (gpointer) death, &error);
  g_assert_null (results);
  if (death->exits)
    g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_EXIT);
  else
    g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
  g_assert_true (g_pattern_match_simple (pattern, error->message));
}

static GVariant *
map_log_fatal (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  struct rlimit none = { 0, 0 };

  setrlimit (RLIMIT_CORE, &none);
  if (index == BAD_ITEM)
    g_log_structured (G_LOG_DOMAIN, G_LOG_LEVEL_ERROR, "MESSAGE", "as the test wants it");
  return NULL;
}

static void
test_fatal_log (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  results = shm_map_reduce_map (pool, N_ITEMS, NULL, map_log_fatal, NULL, NULL, &error);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
  g_assert_true (g_str_has_prefix (error->message, "Item 17 on worker "));
}

/* The application ignores SIGCHLD: the kernel takes the status with it. */
static void
test_sigchld_ignored (void)
{
  static const Death death = { NULL, SIGKILL, FALSE, NULL };
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) good = NULL;
  g_autoptr (GPtrArray) bad = NULL;
  g_autoptr (GError) error = NULL;
  struct sigaction ignore = { .sa_handler = SIG_IGN }, before, after;

  sigaction (SIGCHLD, &ignore, &before);
  good = shm_map_reduce_map (pool, N_ITEMS, NULL, keep, NULL, NULL, &error);
  g_assert_no_error (error);
  bad = shm_map_reduce_map (pool, N_ITEMS, NULL, map_die, NULL, (gpointer) &death, &error);
  g_assert_null (bad);
  g_assert_cmpint (error->domain, ==, SHM_ERROR);
  g_assert_true (g_str_has_prefix (error->message, "Item 17 on worker "));
  sigaction (SIGCHLD, &before, &after);
  g_assert_true (after.sa_handler == SIG_IGN);
}

static guint n_sigchld;

static void
on_sigchld (int number)
{
  n_sigchld++;
}

/* The application has a handler and a child of its own: both are left alone. */
static void
test_own_children (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  struct sigaction action = { .sa_handler = on_sigchld, .sa_flags = SA_RESTART }, before, after;
  int status;
  pid_t pid;

  sigaction (SIGCHLD, &action, &before);
  pid = fork ();
  if (pid == 0)
    _exit (9);
  results = shm_map_reduce_map (pool, N_ITEMS, NULL, keep, NULL, NULL, NULL);
  g_assert_nonnull (results);
  sigaction (SIGCHLD, &before, &after);
  g_assert_true (after.sa_handler == on_sigchld);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (WEXITSTATUS (status), ==, 9);
}

/* Somebody waits for all children, whoever's they are. */
static gpointer
wait_for_anybody (gpointer data)
{
  while (!g_atomic_int_get ((gint *) data))
    if (waitpid (-1, NULL, 0) < 0)
      g_thread_yield ();
  return NULL;
}

static void
test_stolen_status (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  gint stop = 0;
  GThread *thief = g_thread_new (NULL, wait_for_anybody, &stop);
  guint i;

  for (i = 0; i < test_scale (50); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GPtrArray) results =
          shm_map_reduce_map (pool, N_ITEMS, NULL, keep, NULL, NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (results->len, ==, N_ITEMS);
    }
  g_atomic_int_set (&stop, 1);
  g_thread_join (thief);
}

static GVariant *
map_forever (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  GCancellable *cancellable = user_data;

  /* A thread can only be asked. */
  while (cancellable == NULL || !g_cancellable_is_cancelled (cancellable))
    usleep (1000);
  return NULL;
}

static gpointer
cancel_soon (gpointer data)
{
  g_usleep (20000);
  g_cancellable_cancel (data);
  return NULL;
}

static void
test_cancel (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  GThread *thread = g_thread_new (NULL, cancel_soon, cancellable);

  results = shm_map_reduce_map (pool, N_ITEMS, cancellable, map_forever, NULL, cancellable, &error);
  g_assert_null (results);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_thread_join (thread);

  g_clear_error (&error);
  results = shm_map_reduce_map (pool, N_ITEMS, cancellable, keep, NULL, NULL, &error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static GVariant *
map_deaf (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  signal (SIGTERM, SIG_IGN);
  for (;;)
    pause ();
  return NULL;
}

/* A worker that does not listen to SIGTERM, and one that is stopped. */
static void
test_cancel_deaf (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  GThread *thread = g_thread_new (NULL, cancel_soon, cancellable);

  results = shm_map_reduce_map (pool, N_ITEMS, cancellable, map_deaf, NULL, NULL, &error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_thread_join (thread);
}

static gboolean
on_sigterm (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

/* The caller has GLib watch SIGTERM, and blocks a signal: its workers die of it all the same. */
static void
test_signals_are_reset (void)
{
  static const Death terminated = { NULL, SIGTERM, FALSE, "the worker was killed by signal 15 *" };
  static const Death interrupted = { NULL, SIGINT, FALSE, NULL };
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  guint id = g_unix_signal_add (SIGTERM, on_sigterm, NULL);
  sigset_t block, old;

  sigemptyset (&block);
  sigaddset (&block, SIGTERM);
  pthread_sigmask (SIG_BLOCK, &block, &old);
  test_death (&terminated);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  g_source_remove (id);

  /* Ctrl-C is for the caller alone. */
  results = shm_map_reduce_map (pool, N_ITEMS, NULL, map_die, NULL, (gpointer) &interrupted, NULL);
  g_assert_nonnull (results);
}

static GVariant *
map_print (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  printf ("worker ");
  if (index == 1 && user_data != NULL)
    exit (0);
  return NULL;
}

static void
caller_at_exit (void)
{
  printf ("caller-at-exit ");
}

/* In a process of its own, whose output is looked at: nothing twice, nothing lost, nothing that is
 * not the worker's to run. */
static void
test_stdio (void)
{
  if (g_test_subprocess ())
    {
      g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;

      atexit (caller_at_exit);
      printf ("before ");
      results = shm_map_reduce_map (pool, 1, NULL, map_print, NULL, NULL, NULL);
      g_clear_pointer (&results, g_ptr_array_unref);
      results = shm_map_reduce_map (pool, 2, NULL, map_print, NULL, pool, &error);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_EXIT);
      printf ("after ");
      fflush (stdout);
      /* Nothing on this stack is cleaned up. */
      g_clear_error (&error);
      g_clear_object (&pool);
      exit (0);
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stdout ("*before worker worker worker after caller-at-exit *");
}

static GVariant *
map_tell_pid (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  printf ("pid %d\n", (int) getpid ());
  fflush (stdout);
  for (;;) /* a long loop in C */
    ;
  return NULL;
}

static gpointer
run_map_tell_pid (gpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);

  g_ptr_array_unref (shm_map_reduce_map (pool, 2, NULL, map_tell_pid, NULL, NULL, NULL));
  return NULL;
}

/* The caller is killed: its workers do not outlive it, whichever thread forked. */
static void
test_caller_killed (gconstpointer data)
{
  gboolean in_thread = GPOINTER_TO_INT (data);
  int pipe_fds[2];
  FILE *stream;
  int pids[2];
  pid_t pid;

  g_assert_true (g_unix_open_pipe (pipe_fds, 0, NULL));
  pid = fork ();
  if (pid == 0)
    {
      dup2 (pipe_fds[1], STDOUT_FILENO);
      close (pipe_fds[0]);
      close (pipe_fds[1]);
      if (in_thread)
        g_thread_join (g_thread_new (NULL, run_map_tell_pid, NULL));
      else
        run_map_tell_pid (NULL);
      _exit (0);
    }
  close (pipe_fds[1]);
  stream = fdopen (pipe_fds[0], "r");
  g_assert_cmpint (fscanf (stream, "pid %d\npid %d", &pids[0], &pids[1]), ==, 2);
  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  /* The pipe's end of file says that all who had its other end are gone. */
  g_assert_cmpint (fgetc (stream), ==, '\n');
  g_assert_cmpint (fgetc (stream), ==, EOF);
  fclose (stream);
}

static GVariant *
map_list_fds (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return g_variant_new_uint32 (n);
}

static gpointer
map_forever_in_thread (gpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (8, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = shm_map_reduce_map (pool, 8, data, map_forever, NULL, NULL, NULL);

  g_assert_null (results);
  return NULL;
}

/* What belongs to another job is closed in a worker. */
static void
check_fds_of_other_jobs (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GPtrArray) alone = shm_map_reduce_map (pool, 1, NULL, map_list_fds, NULL, NULL, NULL);
  g_autoptr (GPtrArray) beside = NULL;
  GThread *thread = g_thread_new (NULL, map_forever_in_thread, cancellable);
  TestLeftovers now;

  do
    test_leftovers_take (&now);
  while (now.n_children < 8);
  beside = shm_map_reduce_map (pool, 1, NULL, map_list_fds, NULL, NULL, NULL);
  /* The main context of the other thread is not ours to close, nor what it may be reading just now; the eight
   * watches of its workers, and more, are. */
  g_assert_cmpuint (g_variant_get_uint32 (g_ptr_array_index (beside, 0)), <=,
                    g_variant_get_uint32 (g_ptr_array_index (alone, 0)) + 4);
  g_cancellable_cancel (cancellable);
  g_thread_join (thread);
}

static void
test_fds_of_other_jobs (void)
{
  if (TEST_SANITIZED)
    g_test_skip ("no fork beside threads that allocate");
  else
    check_fds_of_other_jobs ();
}

static GVariant *
range_return_late (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  shm_map_reduce_begin_item (pool, begin + 2);
  if (begin == 10)
    raise (SIGKILL);
  return NULL;
}

static void
test_blame_in_range (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_chunk_size (pool, 10);
  results = shm_map_reduce_map_ranges (pool, N_ITEMS, NULL, range_return_late, NULL, &error);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
  g_assert_true (g_str_has_prefix (error->message, "Item 12 on worker "));
}

static void
test_too_many_items (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GError) error = NULL;

  g_assert_null (shm_map_reduce_map (pool, G_MAXUINT64, NULL, keep, NULL, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (shm_map_reduce_for_range (pool, 0, G_MAXUINT64, NULL, loop_fails, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
}

static void
test_job_states (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, 3);
  g_autoptr (GError) error = NULL;

  g_assert_cmpstr (g_quark_to_string (SHM_ERROR), ==, "shm-error-quark");
  g_assert_false (shm_job_run (job, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  g_clear_error (&error);
  shm_job_set_map_func (job, keep, NULL, NULL);
  g_assert_null (shm_job_get_results (job));
  g_assert_true (shm_job_run (job, NULL, &error));
  g_assert_cmpuint (shm_job_get_results (job)->len, ==, 3);
  g_assert_false (shm_job_run (job, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
}

int
main (int argc, char *argv[])
{
  static const Death deaths[] = {
    { "sigkill", SIGKILL, FALSE, "the worker was killed by signal 9 *" },
    { "sigsegv", SIGSEGV, FALSE, "the worker was killed by signal 11 *" },
    { "sigtrap", SIGTRAP, FALSE, "the worker was killed by signal 5 *" },
    { "sigabrt", SIGABRT, FALSE, "the worker was killed by signal 6 *" },
    { "sigterm", SIGTERM, FALSE, "the worker was killed by signal 15 *" },
    { "exit-3", 3, TRUE, "the worker exited with status 3" },
    { "exit-0", 0, TRUE, "the worker exited with status 0" },
  };
  guint i;

  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add_for_backends ("failure", "error", test_error);
  test_add_for_backends ("failure", "range-error", test_range_error);
  test_add_for_backends ("failure", "loop-error", test_loop_error);
  test_add_for_backends ("failure", "reduce-error", test_reduce_error);
  test_add_for_backends ("failure", "cancel", test_cancel);
  for (i = 0; i < G_N_ELEMENTS (deaths); i++)
    {
      g_autofree char *path = g_strdup_printf ("/failure/death/%s", deaths[i].name);

      test_add_data (path, &deaths[i], test_death);
    }
  test_add ("/failure/fatal-log", test_fatal_log);
  test_add ("/failure/sigchld-ignored", test_sigchld_ignored);
  test_add ("/failure/own-children", test_own_children);
  test_add ("/failure/stolen-status", test_stolen_status);
  test_add ("/failure/cancel-deaf", test_cancel_deaf);
  test_add ("/failure/signals-are-reset", test_signals_are_reset);
  test_add ("/failure/stdio", test_stdio);
  test_add_data ("/failure/caller-killed/main-thread", GINT_TO_POINTER (FALSE), test_caller_killed);
  test_add_data ("/failure/caller-killed/other-thread", GINT_TO_POINTER (TRUE), test_caller_killed);
  test_add ("/failure/fds-of-other-jobs", test_fds_of_other_jobs);
  test_add ("/failure/blame-in-range", test_blame_in_range);
  test_add ("/failure/too-many-items", test_too_many_items);
  test_add ("/failure/job-states", test_job_states);

  return g_test_run ();
}
