/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Jobs in work functions of other jobs, and the threads that workers leave to libraries. */

#include "config.h"

#include "test-util.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_OUTER 6
#define N_INNER 10

static const char *const variables[] = { "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                         "MKL_NUM_THREADS" };

/* A backend outside, one inside, and whether the inner pool may have workers of its own. */
typedef struct
{
  ShmBackendType outer;
  ShmBackendType inner;
  gboolean nested;
  gint pipe[2];
  GCancellable *cancellable;
} Nesting;

static ShmMapReduce *
new_inner (const Nesting *nesting, guint n_workers)
{
  ShmMapReduce *pool = test_pool (n_workers, nesting->inner);

  shm_map_reduce_set_nested (pool, nesting->nested);
  return pool;
}

static GVariant *
tell_pid (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new ("(it)", (gint) getpid (), (guint64) g_thread_self ());
}

/* Whether another than the worker itself has worked. */
static GVariant *
run_inner (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const Nesting *nesting = user_data;
  g_autoptr (ShmMapReduce) inner = new_inner (nesting, 2);
  g_autoptr (GPtrArray) results =
      shm_map_reduce_map (inner, N_INNER, NULL, tell_pid, NULL, NULL, error);
  gboolean other_process = FALSE, other_thread = FALSE;
  guint i;

  if (results == NULL)
    return NULL;
  for (i = 0; i < N_INNER; i++)
    {
      guint64 thread;
      gint pid;

      g_variant_get (results->pdata[i], "(it)", &pid, &thread);
      other_process = other_process || pid != getpid ();
      other_thread = other_thread || thread != (guint64) g_thread_self ();
    }
  return g_variant_new ("(bb)", other_process, other_thread);
}

static void
test_combination (gconstpointer data)
{
  const Nesting *nesting = data;
  g_autoptr (ShmMapReduce) pool = test_pool (2, nesting->outer);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  guint i;

  if (TEST_SANITIZED && nesting->outer == SHM_BACKEND_TYPE_THREAD &&
      nesting->inner == SHM_BACKEND_TYPE_PROCESS && nesting->nested)
    {
      g_test_skip ("no fork beside threads that allocate");
      return;
    }
  results = shm_map_reduce_map (pool, N_OUTER, NULL, run_inner, NULL, (gpointer) nesting, &error);
  g_assert_no_error (error);
  for (i = 0; i < N_OUTER; i++)
    {
      gboolean other_process, other_thread;

      g_variant_get (results->pdata[i], "(bb)", &other_process, &other_thread);
      g_assert_true (other_process ==
                     (nesting->nested && nesting->inner == SHM_BACKEND_TYPE_PROCESS));
      /* The one thread of a forked process has the address of the thread that forked it. */
      if (!other_process)
        g_assert_true (other_thread ==
                       (nesting->nested && nesting->inner == SHM_BACKEND_TYPE_THREAD));
    }
}

static GVariant *
count_inside (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (ShmMapReduce) inner = test_pool (0, SHM_BACKEND_TYPE_PROCESS);
  guint n_inner = shm_map_reduce_count_workers (inner);

  shm_map_reduce_set_n_workers (inner, 5);
  return g_variant_new ("(uu)", n_inner, shm_map_reduce_count_workers (inner));
}

/* An automatic number is the worker's share. */
static void
test_count (gconstpointer data)
{
  static const guint sizes[] = { 1, 2, 3, 64 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (sizes[i], GPOINTER_TO_UINT (data));
      g_autoptr (ShmMapReduce) automatic = test_pool (0, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;
      guint n_workers = GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_SERIAL ? 1 : sizes[i];
      guint share, given;

      results = shm_map_reduce_map (pool, 64, NULL, count_inside, NULL, NULL, &error);
      g_assert_no_error (error);
      g_variant_get (results->pdata[0], "(uu)", &share, &given);
      g_assert_cmpuint (given, ==, 5);
      if (n_workers > 1)
        g_assert_cmpuint (share, ==, MAX (1, shm_cpu_count () / n_workers));
      else
        g_assert_cmpuint (share, ==, shm_map_reduce_count_workers (automatic));
    }
}

static GVariant *
die_at_five (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (index == 5)
    raise (SIGKILL);
  return NULL;
}

static GVariant *
bear_death (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (ShmMapReduce) inner = new_inner (user_data, 2);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GPtrArray) again = NULL;
  g_autoptr (GError) told = NULL;

  results = shm_map_reduce_map (inner, N_INNER, NULL, die_at_five, NULL, NULL, &told);
  if (!g_error_matches (told, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "no death was told of");
      return NULL;
    }
  again = shm_map_reduce_map (inner, N_INNER, NULL, tell_pid, NULL, NULL, error);
  return again ? g_variant_new_uint32 (again->len) : NULL;
}

/* It is an error of the inner job, and of nothing else. */
static void
test_inner_death (gconstpointer data)
{
  const Nesting *nesting = data;
  g_autoptr (ShmMapReduce) pool = test_pool (2, nesting->outer);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  guint i;

  if (TEST_SANITIZED && nesting->outer == SHM_BACKEND_TYPE_THREAD)
    {
      g_test_skip ("no fork beside threads that allocate");
      return;
    }
  results = shm_map_reduce_map (pool, N_OUTER, NULL, bear_death, NULL, (gpointer) nesting, &error);
  g_assert_no_error (error);
  for (i = 0; i < N_OUTER; i++)
    g_assert_cmpuint (g_variant_get_uint32 (results->pdata[i]), ==, N_INNER);
}

/* Never ends by itself. Who has the writing end of the pipe lives. */
static GVariant *
sleep_for_ever (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const Nesting *nesting = user_data;

  if (write (nesting->pipe[1], "", 1) != 1)
    return NULL;
  for (;;)
    pause ();
}

static GVariant *
sleep_inside (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (ShmMapReduce) inner = new_inner (user_data, 2);
  g_autoptr (GPtrArray) results = NULL;

  results = shm_map_reduce_map (inner, 2, NULL, sleep_for_ever, NULL, user_data, error);
  return NULL;
}

static void
read_byte (int fd)
{
  char byte;

  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
}

/* Reads until nobody is left who could write. */
static void
read_to_end (int fd)
{
  char bytes[64];

  while (read (fd, bytes, sizeof bytes) > 0)
    ;
}

static gpointer
cancel_when_asleep (gpointer data)
{
  Nesting *nesting = data;
  guint i;

  for (i = 0; i < 4; i++)
    read_byte (nesting->pipe[0]);
  g_cancellable_cancel (nesting->cancellable);
  return NULL;
}

/* The outer job is cancelled while all sleep in inner ones: no process survives it. */
static void
test_cancel (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  Nesting nesting = { .inner = SHM_BACKEND_TYPE_PROCESS, .nested = TRUE };
  GThread *thread;

  if (TEST_SANITIZED)
    {
      g_test_skip ("no fork beside threads that allocate");
      return;
    }
  nesting.cancellable = cancellable;
  g_assert_true (g_unix_open_pipe (nesting.pipe, FD_CLOEXEC, NULL));
  thread = g_thread_new (NULL, cancel_when_asleep, &nesting);
  g_assert_null (shm_map_reduce_map (pool, 2, cancellable, sleep_inside, NULL, &nesting, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_thread_join (thread);
  close (nesting.pipe[1]);
  read_to_end (nesting.pipe[0]);
  close (nesting.pipe[0]);
}

typedef struct
{
  Nesting nesting;
  ShmArray *pids;
} Killing;

/* One outer worker sleeps in an inner job; the other one kills it. */
static GVariant *
kill_the_other (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Killing *killing = user_data;
  gint32 *pids = shm_array_get_data (killing->pids);
  char byte;

  pids[rank] = getpid ();
  if (!shm_map_reduce_barrier (pool, error))
    return NULL;
  if (rank == 1)
    return sleep_inside (pool, rank, &killing->nesting, error);
  if (read (killing->nesting.pipe[0], &byte, 1) == 1 &&
      read (killing->nesting.pipe[0], &byte, 1) == 1)
    kill (pids[1], SIGKILL);
  return NULL;
}

/* Its inner workers die with it. */
static void
test_kill_outer (void)
{
  const gsize shape[] = { 2 };
  g_autoptr (ShmArray) pids = test_new_array (SHM_DTYPE_I4, 1, shape);
  guint i;

  for (i = 0; i < 5; i++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (GError) error = NULL;
      Killing killing = { .nesting = { .inner = SHM_BACKEND_TYPE_PROCESS, .nested = TRUE },
                          .pids = pids };

      g_assert_true (g_unix_open_pipe (killing.nesting.pipe, FD_CLOEXEC, NULL));
      g_assert_null (
          shm_map_reduce_run (pool, SHM_REGION_FLAGS_NONE, NULL, kill_the_other, &killing, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
      close (killing.nesting.pipe[1]);
      read_to_end (killing.nesting.pipe[0]);
      close (killing.nesting.pipe[0]);
    }
}

static GVariant *
tell_variables (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const char *values[G_N_ELEMENTS (variables) + 1] = { NULL };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (variables); i++)
    values[i] = g_getenv (variables[i]) ? g_getenv (variables[i]) : "";
  return g_variant_new_strv (values, -1);
}

static void
check_variables (guint n_workers, guint worker_threads, const char *expected[])
{
  g_autoptr (ShmMapReduce) pool = test_pool (n_workers, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  guint i, j;

  shm_map_reduce_set_worker_threads (pool, worker_threads);
  results = shm_map_reduce_map (pool, 10, NULL, tell_variables, NULL, NULL, &error);
  g_assert_no_error (error);
  for (i = 0; i < 10; i++)
    for (j = 0; j < G_N_ELEMENTS (variables); j++)
      {
        const char *value;

        g_variant_get_child (results->pdata[i], j, "&s", &value);
        g_assert_cmpstr (value, ==, expected[j]);
      }
}

static void
test_worker_threads (void)
{
  guint n_cpus = shm_cpu_count ();
  g_autofree char *all = g_strdup_printf ("%u", n_cpus);
  g_autofree char *half = g_strdup_printf ("%u", MAX (1, n_cpus / 2));
  g_autofree char *tenth = g_strdup_printf ("%u", MAX (1, n_cpus / 10));
  guint i;

  for (i = 0; i < G_N_ELEMENTS (variables); i++)
    g_unsetenv (variables[i]);
  check_variables (1, 0, (const char *[]){ all, all, all });
  check_variables (2, 0, (const char *[]){ half, half, half });
  check_variables (10, 0, (const char *[]){ tenth, tenth, tenth });
  check_variables (2, 7, (const char *[]){ "7", "7", "7" });
  /* A smaller number is kept, a larger one is not. */
  g_setenv (variables[1], "3", TRUE);
  g_setenv (variables[2], "9", TRUE);
  check_variables (2, 5, (const char *[]){ "5", "3", "5" });
  /* The caller's own stay as they were. */
  g_assert_null (g_getenv (variables[0]));
  g_assert_cmpstr (g_getenv (variables[2]), ==, "9");
  for (i = 0; i < G_N_ELEMENTS (variables); i++)
    g_unsetenv (variables[i]);
}

/* Inside, what the outer worker has is shared by the inner ones. */
static GVariant *
tell_inner_variables (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const Nesting *nesting = user_data;
  g_autoptr (ShmMapReduce) inner = new_inner (nesting, 2);
  g_autoptr (GPtrArray) results =
      shm_map_reduce_map (inner, 2, NULL, tell_variables, NULL, NULL, error);

  return results ? g_variant_ref (results->pdata[1]) : NULL;
}

static void
test_inner_threads (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autofree char *quarter = g_strdup_printf ("%u", MAX (1, shm_cpu_count () / 4));
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  Nesting nesting = { .inner = SHM_BACKEND_TYPE_PROCESS, .nested = TRUE };
  const char *value;

  results = shm_map_reduce_map (pool, 2, NULL, tell_inner_variables, NULL, &nesting, &error);
  g_assert_no_error (error);
  g_variant_get_child (results->pdata[0], 0, "&s", &value);
  g_assert_cmpstr (value, ==, quarter);
}

/* Uses as much of its stack as it can be sure to have. */
static gpointer
use_stack (gpointer barrier)
{
  volatile char bytes[100000];

  memset ((char *) bytes, 'x', sizeof bytes);
  pthread_barrier_wait (barrier);
  return NULL;
}

/* Whether a child of this thread, with threads of its own, still has the environment that it has inherited. */
static gpointer
fork_in_thread (gpointer data)
{
  g_autofree char *before = g_strjoinv (" ", environ);
  int status;
  pid_t pid = fork ();

  if (pid == 0)
    {
      pthread_barrier_t barrier;
      pthread_t threads[N_INNER];

      pthread_barrier_init (&barrier, NULL, N_INNER);
      for (guint i = 0; i < N_INNER; i++)
        pthread_create (&threads[i], NULL, use_stack, &barrier);
      for (guint i = 0; i < N_INNER; i++)
        pthread_join (threads[i], NULL);
      test_leave_copy (strcmp (g_strjoinv (" ", environ), before) != 0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return GINT_TO_POINTER (status);
}

static GVariant *
check_environment (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  GThread *thread = g_thread_new (NULL, fork_in_thread, NULL);

  return g_variant_new_int32 (GPOINTER_TO_INT (g_thread_join (thread)));
}

static gpointer
map_environment (gpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) results =
      shm_map_reduce_map (pool, 2, NULL, check_environment, NULL, NULL, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < 2; i++)
    g_assert_cmpint (g_variant_get_int32 (results->pdata[i]), ==, 0);
  return NULL;
}

/* The stack of the thread that forked a worker is nobody's in a child of another of its threads. */
static void
test_environment (void)
{
  if (TEST_SANITIZED)
    {
      g_test_skip ("no fork beside threads that allocate");
      return;
    }
  g_thread_join (g_thread_new (NULL, map_environment, NULL));
}

int
main (int argc, char *argv[])
{
  static const Nesting inner_processes = { .inner = SHM_BACKEND_TYPE_PROCESS, .nested = TRUE };
  static const Nesting in_threads = { .outer = SHM_BACKEND_TYPE_THREAD,
                                      .inner = SHM_BACKEND_TYPE_PROCESS,
                                      .nested = TRUE };
  static Nesting nestings[18];
  guint i;

  g_test_init (&argc, &argv, NULL);

  for (i = 0; i < G_N_ELEMENTS (nestings); i++)
    {
      g_autofree char *path = NULL;

      nestings[i] = (Nesting){ .outer = i % 3, .inner = i / 3 % 3, .nested = i >= 9 };
      path =
          g_strdup_printf ("/nested/%s/%s-inside-%s", test_backend_name (nestings[i].outer),
                           test_backend_name (nestings[i].inner), i >= 9 ? "nested" : "serially");
      test_add_data (path, &nestings[i], test_combination);
    }
  test_add_for_backends ("nested", "count", test_count);
  test_add_data ("/nested/process/inner-death", &inner_processes, test_inner_death);
  test_add_data ("/nested/thread/inner-death", &in_threads, test_inner_death);
  test_add ("/nested/process/cancel", test_cancel);
  test_add ("/nested/process/kill-outer", test_kill_outer);
  test_add ("/nested/process/worker-threads", test_worker_threads);
  test_add ("/nested/process/inner-threads", test_inner_threads);
  test_add ("/nested/environment", test_environment);

  return g_test_run ();
}
