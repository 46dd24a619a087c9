/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <glib-unix.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define N_ITEMS 200

/* What the workers share: how often each item was begun. */
typedef struct
{
  ShmArray *array;
  gint64 *tries;
  gint how;
} Shared;

enum
{
  DIE_ONCE,
  DIE_TWICE,
  DIE_ALWAYS,
  HANG_ONCE,
  STOP_ONCE
};

static void
shared_init (Shared *shared, gint how)
{
  gsize n = N_ITEMS;

  shared->array = shm_array_new (SHM_DTYPE_I8, &n, 1, NULL);
  shared->tries = shm_array_get_data (shared->array);
  shared->how = how;
}

static void
shared_clear (Shared *shared)
{
  g_object_unref (shared->array);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Shared, shared_clear)

static gboolean
is_bad (guint64 index)
{
  return index % 50 == 17;
}

static void
misbehave (Shared *shared, guint64 index)
{
  gint64 n = ++shared->tries[index];

  if (!is_bad (index))
    return;
  switch (shared->how)
    {
    case DIE_ONCE:
      if (n == 1)
        raise (SIGKILL);
      break;
    case DIE_TWICE:
      if (n <= 2)
        raise (n == 1 ? SIGKILL : SIGTERM);
      break;
    case DIE_ALWAYS:
      raise (SIGKILL);
      break;
    case HANG_ONCE:
      while (n == 1)
        pause ();
      break;
    case STOP_ONCE:
    default:
      if (n == 1)
        raise (SIGSTOP);
    }
}

static GVariant *
map_bad (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  misbehave (user_data, index);
  return g_variant_new_uint64 (index * 3);
}

static GVariant *
range_bad (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  guint64 i;

  for (i = begin; i < end; i++)
    {
      shm_map_reduce_begin_item (pool, i);
      misbehave (user_data, i);
    }
  return g_variant_new ("(tt)", begin, end);
}

static void
check_results (GPtrArray *results, gboolean without_bad)
{
  guint i;

  g_assert_cmpuint (results->len, ==, N_ITEMS);
  for (i = 0; i < N_ITEMS; i++)
    {
      GVariant *result = g_ptr_array_index (results, i);

      if (without_bad && is_bad (i))
        g_assert_null (result);
      else
        g_assert_cmpuint (g_variant_get_uint64 (result), ==, i * 3);
    }
}

static void
check_ranges (GPtrArray *results, gboolean without_bad)
{
  guint64 next = 0;
  guint i;

  for (i = 0; i < results->len; i++)
    {
      guint64 begin, end;

      g_variant_get (g_ptr_array_index (results, i), "(tt)", &begin, &end);
      while (without_bad && next < begin && is_bad (next))
        next++;
      g_assert_cmpuint (begin, ==, next);
      next = end;
    }
  g_assert_cmpuint (next, ==, N_ITEMS);
}

/* With retries everything is as if nothing had happened, and each item but the bad ones is done once. */
static void
test_retries (gconstpointer data)
{
  static const ShmSchedule schedules[] = { SHM_SCHEDULE_DYNAMIC, SHM_SCHEDULE_STATIC,
                                           SHM_SCHEDULE_GUIDED };
  guint s, i;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;
      g_auto (Shared) shared;
      gboolean is_timed;

      shared_init (&shared, GPOINTER_TO_INT (data));
      is_timed = shared.how == HANG_ONCE || shared.how == STOP_ONCE;
      shm_map_reduce_set_schedule (pool, schedules[s]);
      shm_map_reduce_set_max_retries (pool, is_timed ? 20 : 2);
      if (is_timed)
        shm_map_reduce_set_item_timeout (pool, test_under_valgrind () ? 800 : 400);
      results = shm_map_reduce_map (pool, N_ITEMS, NULL, map_bad, NULL, &shared, &error);
      g_assert_no_error (error);
      check_results (results, FALSE);
      for (i = 0; i < N_ITEMS; i++)
        /* Where the processors are busy a good item may take too long as well, and is tried again. */
        if (is_timed)
          g_assert_cmpint (shared.tries[i], >=, is_bad (i) ? 2 : 1);
        else
          g_assert_cmpint (shared.tries[i], ==, is_bad (i) ? (shared.how == DIE_TWICE ? 3 : 2) : 1);
    }
}

static void
test_retries_of_ranges (void)
{
  static const guint64 chunks[] = { 0, 1, 60, 200 };
  guint c;

  for (c = 0; c < G_N_ELEMENTS (chunks); c++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;
      g_auto (Shared) shared;

      shared_init (&shared, DIE_ONCE);
      shm_map_reduce_set_chunk_size (pool, chunks[c]);
      shm_map_reduce_set_max_retries (pool, 1);
      results = shm_map_reduce_map_ranges (pool, N_ITEMS, NULL, range_bad, &shared, &error);
      g_assert_no_error (error);
      check_ranges (results, FALSE);
    }
}

/* A poison item kills every worker that takes it: it is set aside, the rest is done. */
static void
test_poison (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, N_ITEMS);
  g_autoptr (GError) error = NULL;
  g_auto (Shared) shared;
  GPtrArray *failures;
  guint i;

  shared_init (&shared, DIE_ALWAYS);
  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  shm_map_reduce_set_max_retries (pool, 2);
  shm_job_set_map_func (job, map_bad, &shared, NULL);
  g_assert_true (shm_job_run (job, NULL, &error));
  g_assert_no_error (error);
  check_results (shm_job_get_results (job), TRUE);
  failures = shm_job_get_failures (job);
  g_assert_cmpuint (failures->len, ==, 4);
  for (i = 0; i < 4; i++)
    {
      ShmFailure *failure = g_ptr_array_index (failures, i);

      g_assert_true (shm_failure_has_index (failure));
      g_assert_cmpuint (shm_failure_get_index (failure), ==, i * 50 + 17);
      g_assert_cmpint (shared.tries[i * 50 + 17], ==, 3);
      g_assert_cmpint (shm_failure_get_kind (failure), ==, SHM_FAILURE_KIND_SIGNAL);
      g_assert_cmpint (shm_failure_get_status (failure), ==, SIGKILL);
      g_assert_cmpint (shm_failure_get_rank (failure), >=, 0);
      g_assert_cmpint (shm_failure_get_pid (failure), >, 0);
      g_assert_cmpuint (shm_failure_get_peak_memory (failure), >, 100000);
      g_assert_cmpint (shm_failure_get_cpu_time (failure), >=, 0);
      g_assert_error (shm_failure_get_error (failure), SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
      g_assert_null (shm_failure_get_traceback (failure));
      g_assert_null (shm_failure_get_payload (failure));
    }
}

static void
test_poison_in_ranges (void)
{
  static const guint64 chunks[] = { 0, 1, 60, 200 };
  guint c;

  for (c = 0; c < G_N_ELEMENTS (chunks); c++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (ShmJob) job = shm_job_new (pool, N_ITEMS);
      g_auto (Shared) shared;

      shared_init (&shared, DIE_ALWAYS);
      shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
      shm_map_reduce_set_chunk_size (pool, chunks[c]);
      shm_job_set_range_func (job, range_bad, &shared, NULL);
      g_assert_true (shm_job_run (job, NULL, NULL));
      check_ranges (shm_job_get_results (job), TRUE);
      g_assert_cmpuint (shm_job_get_failures (job)->len, ==, 4);
    }
}

/* Retries that do not help, with the policy that ends the job. */
static void
test_retries_used_up (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Shared) shared;

  shared_init (&shared, DIE_ALWAYS);
  shm_map_reduce_set_max_retries (pool, 3);
  shm_map_reduce_set_chunk_size (pool, N_ITEMS);
  results = shm_map_reduce_map (pool, N_ITEMS, NULL, map_bad, NULL, &shared, &error);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
  g_assert_cmpint (shared.tries[17], ==, 4);
}

static GVariant *
map_error (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (!is_bad (index))
    return g_variant_new_uint64 (index * 3);
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC, "item %d is bad", (int) index);
  return NULL;
}

static void
test_collect_errors (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (3, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, N_ITEMS);
  g_autoptr (GError) error = NULL;
  GPtrArray *failures;
  guint i;

  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  /* Errors are not retried. */
  shm_map_reduce_set_max_retries (pool, 5);
  shm_job_set_map_func (job, map_error, NULL, NULL);
  g_assert_true (shm_job_run (job, NULL, &error));
  g_assert_no_error (error);
  check_results (shm_job_get_results (job), TRUE);
  failures = shm_job_get_failures (job);
  g_assert_cmpuint (failures->len, ==, 4);
  for (i = 0; i < 4; i++)
    {
      ShmFailure *failure = g_ptr_array_index (failures, i);

      g_assert_cmpuint (shm_failure_get_index (failure), ==, i * 50 + 17);
      g_assert_cmpint (shm_failure_get_kind (failure), ==, SHM_FAILURE_KIND_ERROR);
      g_assert_cmpint (shm_failure_get_pid (failure), ==, 0);
      g_assert_error (shm_failure_get_error (failure), G_FILE_ERROR, G_FILE_ERROR_NOSPC);
      g_assert_true (g_str_has_suffix (shm_failure_get_error (failure)->message, " is bad"));
    }
}

static GVariant *
range_details (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  g_autoptr (GError) why = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "not there");
  guint64 i;

  for (i = begin; i < end; i++)
    {
      shm_map_reduce_begin_item (pool, i);
      if (is_bad (i))
        {
          shm_map_reduce_fail_item (pool, why, "line 1\nline 2", g_variant_new_uint64 (i));
          break;
        }
    }
  return g_variant_new ("(tt)", begin, i);
}

/* What a language binding tells beside the error; and ranges are failed by the item. */
static void
test_details (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, N_ITEMS);
  GPtrArray *failures;
  guint i;

  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  shm_map_reduce_set_chunk_size (pool, 30);
  shm_job_set_range_func (job, range_details, NULL, NULL);
  g_assert_true (shm_job_run (job, NULL, NULL));
  check_ranges (shm_job_get_results (job), TRUE);
  failures = shm_job_get_failures (job);
  g_assert_cmpuint (failures->len, ==, 4);
  for (i = 0; i < 4; i++)
    {
      g_autoptr (ShmFailure) failure = shm_failure_ref (g_ptr_array_index (failures, i));

      g_assert_error (shm_failure_get_error (failure), G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
      g_assert_cmpstr (shm_failure_get_traceback (failure), ==, "line 1\nline 2");
      g_assert_cmpuint (g_variant_get_uint64 (shm_failure_get_payload (failure)), ==,
                        shm_failure_get_index (failure));
    }
}

static GVariant *
map_slow (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (index == 3)
    g_usleep (GPOINTER_TO_UINT (user_data));
  return NULL;
}

/* Where the processors are busy another item may take too long; then all may take longer. */
static void
test_timeout (gconstpointer data)
{
  ShmBackendType backend = GPOINTER_TO_UINT (data);
  gboolean is_process = backend == SHM_BACKEND_TYPE_PROCESS;
  g_autoptr (ShmMapReduce) pool = test_pool (2, backend);
  gboolean is_third = FALSE;
  guint timeout;

  for (timeout = 400; !is_third && timeout < 20000; timeout *= 2)
    {
      gint64 begun = g_get_monotonic_time ();
      guint nap = is_process ? 100 * G_USEC_PER_SEC : 2500 * timeout;
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;

      shm_map_reduce_set_item_timeout (pool, timeout);
      results = shm_map_reduce_map (pool, 10, NULL, map_slow, NULL, GUINT_TO_POINTER (nap), &error);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_TIMEOUT);
      is_third = g_str_has_prefix (error->message, "Item 3 on worker ");
      /* A process is not waited for. */
      if (is_process)
        g_assert_cmpint (g_get_monotonic_time () - begun, <, 80 * G_USEC_PER_SEC);
    }
  g_assert_true (is_third);
}

typedef struct
{
  gboolean ordered;
  guint timeout; /* in milliseconds */
} Queue;

/* One at a time, for half as long as an item may take. */
static GVariant *
map_in_turn (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const Queue *queue = user_data;

  if (queue->ordered ? !shm_map_reduce_ordered_enter (pool, error)
                     : !shm_map_reduce_critical_enter (pool, error))
    return NULL;
  g_usleep (queue->timeout * 500);
  if (queue->ordered)
    shm_map_reduce_ordered_leave (pool);
  else
    shm_map_reduce_critical_leave (pool);
  return NULL;
}

/* Only an item's own time counts: the last one waits longer than any may take. Where the processors are busy its own
 * may be too long, too; then all may take longer. */
static void
test_timeout_without_waiting (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (4, SHM_BACKEND_TYPE_PROCESS);
  Queue queue = { .ordered = GPOINTER_TO_INT (data) };
  gboolean all_in_time = FALSE;

  shm_map_reduce_set_chunk_size (pool, 1);
  for (queue.timeout = 400; !all_in_time && queue.timeout < 20000; queue.timeout *= 2)
    {
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;

      shm_map_reduce_set_item_timeout (pool, queue.timeout);
      results = shm_map_reduce_map (pool, 4, NULL, map_in_turn, NULL, &queue, &error);
      all_in_time = results != NULL;
      if (!all_in_time)
        g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_TIMEOUT);
    }
  g_assert_true (all_in_time);
}

static GVariant *
map_pid (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_int32 (getpid ());
}

static GVariant *
range_pid (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  return g_variant_new ("(tti)", begin, end, (int) getpid ());
}

static void
test_recycle (void)
{
  static const ShmSchedule schedules[] = { SHM_SCHEDULE_DYNAMIC, SHM_SCHEDULE_STATIC,
                                           SHM_SCHEDULE_GUIDED };
  guint s, i;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (GHashTable) counts = g_hash_table_new (NULL, NULL);
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GPtrArray) ranges = NULL;
      g_autoptr (GError) error = NULL;
      guint64 next = 0;

      shm_map_reduce_set_schedule (pool, schedules[s]);
      shm_map_reduce_set_max_items_per_worker (pool, 7);
      results = shm_map_reduce_map (pool, 100, NULL, map_pid, NULL, NULL, &error);
      g_assert_no_error (error);
      for (i = 0; i < 100; i++)
        {
          gpointer pid = GINT_TO_POINTER (g_variant_get_int32 (g_ptr_array_index (results, i)));
          gint n = GPOINTER_TO_INT (g_hash_table_lookup (counts, pid)) + 1;

          g_assert_cmpint (n, <=, 7);
          g_hash_table_insert (counts, pid, GINT_TO_POINTER (n));
        }
      g_assert_cmpuint (g_hash_table_size (counts), >=, 15);

      shm_map_reduce_set_chunk_size (pool, 40);
      ranges = shm_map_reduce_map_ranges (pool, 100, NULL, range_pid, NULL, &error);
      g_assert_no_error (error);
      for (i = 0; i < ranges->len; i++)
        {
          guint64 begin, end;
          gint pid;

          g_variant_get (g_ptr_array_index (ranges, i), "(tti)", &begin, &end, &pid);
          g_assert_cmpuint (begin, ==, next);
          g_assert_cmpuint (end - begin, <=, 7);
          next = end;
        }
      g_assert_cmpuint (next, ==, 100);
    }
}

static GVariant *
map_limits (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  static const gsize size = 256 << 20;
  gpointer memory;

  switch (index)
    {
    case 0:
      memory = malloc (size);
      free (memory);
      return g_variant_new_boolean (memory != NULL);
    case 1:
      return g_variant_new_int32 (getpriority (PRIO_PROCESS, 0));
    default:
      for (;;)
        ;
    }
  return NULL;
}

static void
test_limits (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) free_results = NULL;
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GPtrArray) none = NULL;
  g_autoptr (GError) error = NULL;
  int niceness = getpriority (PRIO_PROCESS, 0);

  if (test_under_valgrind () || TEST_SANITIZED)
    {
      g_test_skip ("the tool needs address space of its own");
      return;
    }
  free_results = shm_map_reduce_map (pool, 2, NULL, map_limits, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (g_variant_get_boolean (g_ptr_array_index (free_results, 0)));
  g_assert_cmpint (g_variant_get_int32 (g_ptr_array_index (free_results, 1)), ==, niceness);

  shm_map_reduce_set_worker_memory (pool, 64 << 20);
  shm_map_reduce_set_worker_niceness (pool, 3);
  results = shm_map_reduce_map (pool, 2, NULL, map_limits, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_false (g_variant_get_boolean (g_ptr_array_index (results, 0)));
  g_assert_cmpint (g_variant_get_int32 (g_ptr_array_index (results, 1)), ==,
                   MIN (niceness + 3, 19));

  shm_map_reduce_set_worker_memory (pool, 0);
  shm_map_reduce_set_worker_cpu_time (pool, 1);
  none = shm_map_reduce_map (pool, 3, NULL, map_limits, NULL, NULL, &error);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
  g_assert_nonnull (strstr (error->message, "Item 2 on worker 0 "));
}

/* A worker is killed while there is no room in the ring for the result that it hands over. */
#define FILLING_SIZE ((gsize) 200 << 10)

static GVariant *
map_large (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Shared *shared = user_data;
  gsize size = FILLING_SIZE;
  guint8 *bytes;

  shared->tries[index]++;
  if (index == 0)
    return g_variant_new_int32 (getpid ());
  bytes = g_malloc (size);
  memset (bytes, 77, size);
  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes);
}

static GVariant *
kill_while_full (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Shared *shared = user_data;

  if (index == 0 && shared->tries[2] <= 1)
    {
      /* It has begun item 2, and soon waits for room, since nobody takes what it sends. */
      while (*(volatile gint64 *) &shared->tries[2] == 0)
        g_thread_yield ();
      g_usleep (30000);
      kill (g_variant_get_int32 (result), SIGKILL);
    }
  return g_variant_ref (result);
}

static void
test_killed_while_full (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Shared) shared;
  gsize size;
  gconstpointer bytes;

  shared_init (&shared, DIE_ONCE);
  shm_map_reduce_set_max_retries (pool, 1);
  results = shm_map_reduce_map (pool, 3, NULL, map_large, kill_while_full, &shared, &error);
  g_assert_no_error (error);
  g_assert_cmpint (shared.tries[0], ==, 1);
  g_assert_cmpint (shared.tries[1], ==, 1);
  g_assert_cmpint (shared.tries[2], ==, 2);
  bytes = g_variant_get_fixed_array (g_ptr_array_index (results, 2), &size, 1);
  g_assert_cmpuint (size, ==, FILLING_SIZE);
  g_assert_cmpuint (((const guint8 *) bytes)[size - 1], ==, 77);
}

static gint n_to_kill; /* children that die as soon as they are forked */

static void
die_at_birth (void)
{
  if (n_to_kill > 0)
    raise (SIGKILL);
}

static void
count_birth (void)
{
  if (n_to_kill > 0)
    n_to_kill--;
}

/* Before its first item: another one takes its place, and nobody is to blame. */
static void
test_killed_at_birth (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GPtrArray) none = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Shared) shared;

  shared_init (&shared, DIE_ONCE);
  pthread_atfork (NULL, count_birth, die_at_birth);
  n_to_kill = 10;
  shm_map_reduce_set_max_retries (pool, 1);
  results = shm_map_reduce_map (pool, N_ITEMS, NULL, map_bad, NULL, &shared, &error);
  g_assert_no_error (error);
  check_results (results, FALSE);

  /* All of them: an error, and no end of forking. */
  n_to_kill = 1000000;
  none = shm_map_reduce_map (pool, N_ITEMS, NULL, map_bad, NULL, &shared, &error);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
  g_assert_true (g_str_has_prefix (error->message, "Worker "));
  n_to_kill = 0;
}

static GVariant *
map_section (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Shared *shared = user_data;

  if (shared->how == DIE_ONCE ? !shm_map_reduce_critical_enter (pool, error)
                              : !shm_map_reduce_ordered_enter (pool, error))
    return NULL;
  shared->tries[index]++;
  if (is_bad (index) && shared->tries[index] == 1)
    raise (SIGKILL);
  if (shared->how == DIE_ONCE)
    shm_map_reduce_critical_leave (pool);
  else
    shm_map_reduce_ordered_leave (pool);
  return g_variant_new_uint64 (index * 3);
}

/* The section opens again, and the turn comes round. */
static void
test_killed_in_section (gconstpointer data)
{
  static const guint64 chunks[] = { 0, 1, 9 };
  guint c;

  for (c = 0; c < G_N_ELEMENTS (chunks); c++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (4, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;
      g_auto (Shared) shared;

      shared_init (&shared, GPOINTER_TO_INT (data));
      shm_map_reduce_set_chunk_size (pool, chunks[c]);
      shm_map_reduce_set_max_retries (pool, 1);
      results = shm_map_reduce_map (pool, N_ITEMS, NULL, map_section, NULL, &shared, &error);
      g_assert_no_error (error);
      check_results (results, FALSE);
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  test_add_data ("/policy/retries/die-once", GINT_TO_POINTER (DIE_ONCE), test_retries);
  test_add_data ("/policy/retries/die-twice", GINT_TO_POINTER (DIE_TWICE), test_retries);
  test_add_data ("/policy/retries/hang-once", GINT_TO_POINTER (HANG_ONCE), test_retries);
  test_add_data ("/policy/retries/stop-once", GINT_TO_POINTER (STOP_ONCE), test_retries);
  test_add ("/policy/retries/ranges", test_retries_of_ranges);
  test_add ("/policy/retries/used-up", test_retries_used_up);
  test_add ("/policy/poison", test_poison);
  test_add ("/policy/poison-in-ranges", test_poison_in_ranges);
  test_add_for_backends ("policy", "collect-errors", test_collect_errors);
  test_add_for_backends ("policy", "details", test_details);
  test_add_for_backends ("policy", "timeout", test_timeout);
  test_add_data ("/policy/timeout-without-waiting/critical", GINT_TO_POINTER (FALSE),
                 test_timeout_without_waiting);
  test_add_data ("/policy/timeout-without-waiting/ordered", GINT_TO_POINTER (TRUE),
                 test_timeout_without_waiting);
  test_add ("/policy/recycle", test_recycle);
  test_add ("/policy/limits", test_limits);
  test_add ("/policy/killed-while-full", test_killed_while_full);
  test_add ("/policy/killed-at-birth", test_killed_at_birth);
  test_add_data ("/policy/killed-in-critical", GINT_TO_POINTER (DIE_ONCE), test_killed_in_section);
  test_add_data ("/policy/killed-in-ordered", GINT_TO_POINTER (DIE_TWICE), test_killed_in_section);

  return g_test_run ();
}
