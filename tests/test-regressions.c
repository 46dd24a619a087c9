/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* One test for each bug that has been found and mended since, where no other test would have shown it. */

#include "config.h"

#include "test-util.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shmem-glib/shm-ring-private.h"
#include "shmem-glib/shm-schedule-private.h"
#include "shmem-glib/shm-worker-private.h"

static gint forks_to_go; /* the fork that is to fail; 0: none */

/* It comes before the C library's, and fails when it is told to. */
pid_t
fork (void)
{
  pid_t (*real) (void) = (pid_t (*) (void)) dlsym (RTLD_NEXT, "fork");

  if (forks_to_go > 0 && --forks_to_go == 0)
    {
      errno = EAGAIN;
      return -1;
    }
  return real ();
}

static gint64 *
share (ShmArray **array, gsize n)
{
  *array = shm_array_new (SHM_DTYPE_I8, &n, 1, NULL);
  return shm_array_get_data (*array);
}

static GVariant *
map_in_order (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  gint64 *died = user_data;

  if (died != NULL && index == 0 && *died == 0)
    {
      *died = 1;
      g_usleep (50000);
      _exit (3);
    }
  g_usleep (100000);
  if (!shm_map_reduce_ordered_enter (pool, error))
    return NULL;
  shm_map_reduce_ordered_leave (pool);
  return g_variant_new_uint64 (index);
}

/* The fork for a successor, or for one of a static schedule, failed once; then the others waited for ever for
 * what it would have done. */
static void
test_fork_fails_once (gconstpointer data)
{
  gboolean at_start = GPOINTER_TO_INT (data);
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  gint64 *died = share (&array, 1);

  shm_map_reduce_set_chunk_size (pool, 1);
  shm_map_reduce_set_max_retries (pool, 1);
  if (at_start)
    shm_map_reduce_set_schedule (pool, SHM_SCHEDULE_STATIC);
  forks_to_go = at_start ? 2 : 3;
  g_test_expect_message ("shmem-glib", G_LOG_LEVEL_MESSAGE, "Running with 1 of 2 workers*");
  results = shm_map_reduce_map (pool, 4, NULL, map_in_order, NULL, at_start ? NULL : died, &error);
  g_test_assert_expected_messages ();
  g_assert_no_error (error);
  g_assert_cmpuint (results->len, ==, 4);
  g_assert_nonnull (results->pdata[0]);
}

static GVariant *
map_error_late (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_usleep (20000);
  if (index == 5)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "bad");
  return NULL;
}

static GVariant *
keep (ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  return g_variant_ref (result);
}

static void
on_run (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GError **error = user_data;

  g_assert_false (shm_job_run_finish (SHM_JOB (source), result, error));
}

/* The pool's policy was changed while a job ran, and no worker could do anything any more. */
static void
test_policy_changes (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, 20);
  g_autoptr (GError) error = NULL;

  shm_job_set_map_func (job, map_error_late, NULL, NULL);
  shm_job_run_async (job, NULL, on_run, &error);
  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  while (error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
}

static GVariant *
map_damage (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  ShmRingWriter *writer = shm_worker_get_current ()->outlet_data;
  gint64 *n_tries = user_data;
  char junk[64];

  memset (junk, 0xff, sizeof junk);
  if (++n_tries[index] == 1 && index == 5)
    shm_ring_write (writer, junk, sizeof junk);
  return g_variant_new_uint64 (index);
}

/* What a worker had sent behind damaged bytes was lost, and the job ended as if it were all there. */
static void
test_damage (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, 20);
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (GError) error = NULL;
  gint64 *n_tries = share (&array, 20);

  shm_map_reduce_set_chunk_size (pool, 10);
  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  if (GPOINTER_TO_INT (data))
    shm_map_reduce_set_max_items_per_worker (pool, 10);
  else
    shm_map_reduce_set_max_retries (pool, 2);
  shm_job_set_map_func (job, map_damage, n_tries, NULL);
  g_assert_false (shm_job_run (job, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_BAD_RESULT);
  g_assert_true (g_str_has_prefix (error->message, "Worker "));
}

typedef struct
{
  ShmControl *control;
  guint32 go;
  guint32 claimed;
  guint32 looked;
  guint n_early;
  gboolean stop;
} Turn;

static void
turn_wait (Turn *turn, guint32 *word, guint32 value)
{
  while (shm_load (word) != value && !shm_load (&turn->stop))
    g_thread_yield ();
}

static gpointer
turn_claim (gpointer data)
{
  Turn *turn = data;
  guint32 round;

  for (round = 1;; round++)
    {
      turn_wait (turn, &turn->go, round);
      if (shm_load (&turn->stop))
        return NULL;
      g_assert_true (shm_schedule_claim (turn->control, 0, 1));
      shm_store (&turn->claimed, round);
    }
}

static gpointer
turn_look (gpointer data)
{
  Turn *turn = data;
  guint32 round;
  guint i;

  for (round = 1;; round++)
    {
      turn_wait (turn, &turn->go, round);
      if (shm_load (&turn->stop))
        return NULL;
      /* The job is stopped, so this never sleeps. */
      for (i = 0; i < 100; i++)
        turn->n_early += shm_schedule_enter_turn (turn->control, 3);
      shm_store (&turn->looked, round);
    }
}

/* A range that was just being claimed by another worker was seen neither in its line nor in its slot. */
static void
test_early_turn (void)
{
  ShmControlSettings settings = { .n_items = 1000, .chunk_size = 1, .n_workers = 64 };
  Turn turn = { .control = shm_control_new (&settings, NULL) };
  guint32 n_rounds = test_scale (30000), round;
  gint64 until = g_get_monotonic_time () + 10 * G_USEC_PER_SEC;
  GThread *threads[2];
  guint i;

  for (i = 0; i < 201; i++)
    g_assert_true (shm_schedule_claim (turn.control, 3, 1));
  turn.control->header->spin = 0;
  turn.control->header->stop = 1;
  threads[0] = g_thread_new ("claimer", turn_claim, &turn);
  threads[1] = g_thread_new ("looker", turn_look, &turn);
  /* Where the processors are busy each round may take milliseconds. */
  for (round = 1; round <= n_rounds && g_get_monotonic_time () < until; round++)
    {
      g_assert_true (shm_schedule_add_orphan (turn.control, 0, 1));
      shm_store (&turn.go, round);
      turn_wait (&turn, &turn.claimed, round);
      turn_wait (&turn, &turn.looked, round);
      shm_schedule_clear (turn.control, 0);
    }
  shm_store (&turn.stop, TRUE);
  g_thread_join (threads[0]);
  g_thread_join (threads[1]);
  g_assert_cmpuint (turn.n_early, ==, 0);
  shm_control_free (turn.control);
}

static gboolean
count_items (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  gint64 *counts = user_data;
  guint64 i;

  for (i = begin; i < end; i++)
    __atomic_add_fetch (&counts[i], 1, __ATOMIC_RELAXED);
  return TRUE;
}

/* The rank times a huge chunk size overflowed, and two ranks got the same items. */
static void
test_huge_chunks (void)
{
  static const guint64 chunks[] = { G_GUINT64_CONSTANT (1) << 63, G_MAXUINT64 / 3 + 1,
                                    G_MAXUINT64 };
  guint c, i;

  for (c = 0; c < G_N_ELEMENTS (chunks); c++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (3, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (ShmArray) array = NULL;
      gint64 *counts = share (&array, 10);

      shm_map_reduce_set_schedule (pool, SHM_SCHEDULE_STATIC);
      shm_map_reduce_set_chunk_size (pool, chunks[c]);
      g_assert_true (shm_map_reduce_for_range (pool, 0, 10, NULL, count_items, counts, NULL));
      for (i = 0; i < 10; i++)
        g_assert_cmpint (counts[i], ==, 1);
    }
}

static GVariant *
range_die_downwards (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  gint64 *n_deaths = user_data;
  guint64 i;

  for (i = begin; i < end; i++)
    {
      shm_map_reduce_begin_item (pool, i);
      if (i == (guint64) (200 - 2 * *n_deaths) && *n_deaths < 80)
        {
          ++*n_deaths;
          _exit (1);
        }
    }
  return NULL;
}

/* Deaths at ever lower items leave a piece each: the caller ran out of places for them, and aborted. */
static void
test_many_orphans (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, 300);
  g_autoptr (ShmArray) array = NULL;
  gint64 *n_deaths = share (&array, 1);

  shm_map_reduce_set_chunk_size (pool, 1000);
  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  shm_job_set_range_func (job, range_die_downwards, n_deaths, NULL);
  g_assert_true (shm_job_run (job, NULL, NULL));
  g_assert_cmpint (*n_deaths, ==, 80);
  g_assert_cmpuint (shm_job_get_failures (job)->len, ==, 80);
}

static GVariant *
range_pid (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  return g_variant_new ("(tti)", begin, end, (gint) getpid ());
}

/* The last range of a worker could take it far over its number of items. */
static void
test_recycled_in_time (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) ranges = NULL;
  g_autoptr (GHashTable) counts = g_hash_table_new (NULL, NULL);
  guint i;

  shm_map_reduce_set_chunk_size (pool, 6);
  shm_map_reduce_set_max_items_per_worker (pool, 10);
  ranges = shm_map_reduce_map_ranges (pool, 100, NULL, range_pid, NULL, NULL);
  for (i = 0; i < ranges->len; i++)
    {
      guint64 begin, end;
      gint pid, n;

      g_variant_get (ranges->pdata[i], "(tti)", &begin, &end, &pid);
      n = GPOINTER_TO_INT (g_hash_table_lookup (counts, GINT_TO_POINTER (pid))) + end - begin;
      g_assert_cmpint (n, <=, 10);
      g_hash_table_insert (counts, GINT_TO_POINTER (pid), GINT_TO_POINTER (n));
    }
  g_assert_cmpuint (g_hash_table_size (counts), ==, 10);
}

typedef struct
{
  gint64 *failed_at;
  guint n_after; /* results that the caller took after it had failed */
} Flood;

static GVariant *
map_flood (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Flood *flood = user_data;

  if (index < 20000)
    return g_variant_new_uint64 (index);
  g_usleep (10000);
  *flood->failed_at = 1;
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "bad");
  return NULL;
}

static GVariant *
reduce_flood (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Flood *flood = user_data;

  g_usleep (300);
  flood->n_after += shm_load (flood->failed_at) != 0;
  return NULL;
}

/* A worker with much to say, and a slow reduce, kept the failure of another from being heard. */
static void
test_flood (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (GError) error = NULL;
  Flood flood = { .failed_at = share (&array, 1) };

  shm_map_reduce_set_schedule (pool, SHM_SCHEDULE_STATIC);
  results = shm_map_reduce_map (pool, 40000, NULL, map_flood, reduce_flood, &flood, &error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
  /* All of them came first. Where the processors are busy some do while the failing one has no turn. */
  g_assert_cmpuint (flood.n_after, <, 10000);
}

static GVariant *
map_print (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return NULL;
}

typedef struct
{
  gint stop;
  gint n_lines;
  gint n_allowed; /* so that the file does not grow for ever where a fork takes long */
} Writer;

static gpointer
write_lines (gpointer data)
{
  Writer *writer = data;

  while (!g_atomic_int_get (&writer->stop))
    if (writer->n_lines < g_atomic_int_get (&writer->n_allowed))
      {
        printf ("line %d\n", writer->n_lines);
        g_atomic_int_inc (&writer->n_lines);
      }
    else
      g_thread_yield ();
  return NULL;
}

/* A line that another thread wrote between the flush and the fork came twice. */
static void
test_stdio_once (void)
{
  g_autofree char *name = NULL;
  FILE *file;
  guint line, next = 0;
  int fd, saved, i;
  Writer writer = { 0 };
  GThread *thread;

  fd = g_file_open_tmp (NULL, &name, NULL);
  fflush (stdout);
  saved = dup (STDOUT_FILENO);
  dup2 (fd, STDOUT_FILENO);
  thread = g_thread_new ("writer", write_lines, &writer);
  for (i = 0; i < (int) test_scale (100); i++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
      gint n_lines = g_atomic_int_get (&writer.n_lines);
      g_autoptr (GPtrArray) results = NULL;

      g_atomic_int_set (&writer.n_allowed, n_lines + 20000);
      /* It is at work. */
      while (g_atomic_int_get (&writer.n_lines) == n_lines)
        g_thread_yield ();
      results = shm_map_reduce_map (pool, 2, NULL, map_print, NULL, NULL, NULL);
    }
  g_atomic_int_set (&writer.stop, 1);
  g_thread_join (thread);
  fflush (stdout);
  dup2 (saved, STDOUT_FILENO);
  close (saved);

  lseek (fd, 0, SEEK_SET);
  file = fdopen (fd, "r");
  while (fscanf (file, "line %u\n", &line) == 1)
    g_assert_cmpuint (line, ==, next++);
  g_assert_true (feof (file));
  g_assert_cmpuint (next, >, 0);
  fclose (file);
  unlink (name);
}

/* A map of threads that is stopped while many wait for the critical section. */
static GVariant *
map_critical (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (!shm_map_reduce_critical_enter (pool, error))
    return NULL;
  if (index == 40)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "bad");
  shm_map_reduce_critical_leave (pool);
  return NULL;
}

static void
test_stopped_while_waiting (void)
{
  guint i;

  for (i = 0; i < test_scale (300); i++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (8, SHM_BACKEND_TYPE_THREAD);
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;

      shm_map_reduce_set_chunk_size (pool, 1);
      results = shm_map_reduce_map (pool, 1000, NULL, map_critical, keep, NULL, &error);
      g_assert_nonnull (error);
    }
}

static GVariant *
map_error_in_order (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (index == 6)
    {
      g_usleep (300);
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "bad");
      return NULL;
    }
  if (shm_map_reduce_ordered_enter (pool, error))
    shm_map_reduce_ordered_leave (pool);
  return NULL;
}

/* Who waited when a job ended was told so, took it for a failure of its own, and could be heard first. */
static void
test_true_reason (gconstpointer data)
{
  guint i;

  for (i = 0; i < test_scale (300); i++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (4, GPOINTER_TO_UINT (data));
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;

      shm_map_reduce_set_chunk_size (pool, 1);
      results = shm_map_reduce_map (pool, 12, NULL, map_error_in_order, NULL, NULL, &error);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
    }
}

/* A worker that had put much beside its ring waited for ever, if the caller had read all of the ring when its time
 * for that was up, and was awake when the worker asked. */
static GVariant *
map_megabyte (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  gsize size = 1 << 20;

  gpointer bytes = g_malloc0 (size);

  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes);
}

static gboolean
take_slowly (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  guint *n_taken = user_data;

  ++*n_taken;
  g_usleep (1500);
  return TRUE;
}

static void
test_slow_consumer (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, test_scale (600));
  g_autoptr (GError) error = NULL;
  guint n_taken = 0;

  shm_job_set_map_func (job, map_megabyte, NULL, NULL);
  shm_job_set_output (job, SHM_OUTPUT_STREAM);
  shm_job_set_result_func (job, take_slowly, &n_taken, NULL);
  shm_job_run (job, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n_taken, ==, test_scale (600));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();
  g_main_context_iteration (NULL, FALSE);

  test_add_data ("/regressions/fork-fails-once/later", GINT_TO_POINTER (FALSE),
                 test_fork_fails_once);
  test_add_data ("/regressions/fork-fails-once/at-start", GINT_TO_POINTER (TRUE),
                 test_fork_fails_once);
  test_add ("/regressions/policy-changes", test_policy_changes);
  test_add_data ("/regressions/damage/retries", GINT_TO_POINTER (FALSE), test_damage);
  test_add_data ("/regressions/damage/recycled", GINT_TO_POINTER (TRUE), test_damage);
  test_add ("/regressions/early-turn", test_early_turn);
  test_add ("/regressions/huge-chunks", test_huge_chunks);
  test_add ("/regressions/many-orphans", test_many_orphans);
  test_add ("/regressions/recycled-in-time", test_recycled_in_time);
  test_add ("/regressions/flood", test_flood);
  test_add ("/regressions/stdio-once", test_stdio_once);
  test_add ("/regressions/thread/stopped-while-waiting", test_stopped_while_waiting);

  test_add_data ("/regressions/process/true-reason", GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS),
                 test_true_reason);
  test_add_data ("/regressions/thread/true-reason", GUINT_TO_POINTER (SHM_BACKEND_TYPE_THREAD),
                 test_true_reason);

  test_add ("/regressions/slow-consumer", test_slow_consumer);
  return g_test_run ();
}
