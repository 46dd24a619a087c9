/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The set-up and the tear-down of workers, and what they gather in between. */

#include "config.h"

#include "test-util.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_ITEMS 400

typedef enum
{
  FAIL_NOT,
  FAIL_ERROR,
  FAIL_KILL,
  FAIL_EXIT,
  FAIL_ITEM,
  FAIL_SILENTLY
} Fail;

/* What the workers share. */
typedef struct
{
  gint64 n_set_ups;
  gint64 n_states; /* that a set-up returned */
  gint64 n_freed;
  gint64 tries[N_ITEMS];
} Counts;

typedef struct
{
  ShmMapReduce *pool;
  ShmJob *job;
  ShmArray *array;
  Counts *counts;
  Fail set_up; /* how it fails */
  Fail tear_down;
  Fail item;
  guint64 bad_item;
  gint64 set_up_time; /* µs */
  GCancellable *cancellable;
} Crew;

/* A worker's own. */
typedef struct
{
  guint rank;
  guint64 n_items;
  gdouble sum;
} Own;

static void
crew_init (Crew *crew, guint n_workers, gconstpointer backend)
{
  gsize n = sizeof (Counts) / sizeof (gint64);

  *crew = (Crew){ .bad_item = G_MAXUINT64 };
  crew->pool = test_pool (n_workers, GPOINTER_TO_UINT (backend));
  crew->job = shm_job_new (crew->pool, N_ITEMS);
  crew->array = test_new_array (SHM_DTYPE_I8, 1, &n);
  crew->counts = shm_array_get_data (crew->array);
  crew->cancellable = g_cancellable_new ();
}

static void
crew_clear (Crew *crew)
{
  g_object_unref (crew->job);
  g_object_unref (crew->pool);
  g_object_unref (crew->array);
  g_object_unref (crew->cancellable);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Crew, crew_clear)

static void
count (gint64 *counter)
{
  __atomic_add_fetch (counter, 1, __ATOMIC_SEQ_CST);
}

/* TRUE: with an error. */
static gboolean
fail (Crew *crew, Fail how, GError **error)
{
  g_autoptr (GError) told = NULL;

  switch (how)
    {
    case FAIL_KILL:
      raise (SIGKILL);
      break;
    case FAIL_EXIT:
      _exit (3);
    case FAIL_ERROR:
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_MOUNTED, "no ladder");
      return TRUE;
    case FAIL_ITEM:
      told = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_MOUNTED, "no ladder");
      shm_map_reduce_fail_item (crew->pool, told, "in the cellar", g_variant_new_int32 (42));
      return TRUE;
    case FAIL_NOT:
    case FAIL_SILENTLY:
    default:
      break;
    }
  return FALSE;
}

static gpointer
set_up (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Crew *crew = user_data;
  gint64 until = g_get_monotonic_time () + crew->set_up_time;
  g_autoptr (GError) ordered = NULL;
  Own *own;

  g_assert_true (pool == crew->pool);
  g_assert_cmpint (shm_map_reduce_get_rank (pool), ==, rank);
  g_assert_true (shm_map_reduce_get_job (pool) == crew->job);
  g_assert_null (shm_map_reduce_get_state (pool));
  g_assert_false (shm_map_reduce_ordered_enter (pool, &ordered));
  g_assert_error (ordered, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  /* Not atomic, but for the section. In a job that is ended, threads do not get in. */
  if (!shm_map_reduce_critical_enter (pool, error))
    return NULL;
  crew->counts->n_set_ups++;
  shm_map_reduce_critical_leave (pool);

  while (g_get_monotonic_time () < until)
    ;
  if (fail (crew, crew->set_up, error))
    return NULL;
  own = g_new0 (Own, 1);
  own->rank = rank;
  count (&crew->counts->n_states);
  return own;
}

static GVariant *
tear_down (ShmMapReduce *pool, guint rank, gpointer state, gpointer user_data, GError **error)
{
  Crew *crew = user_data;
  g_autofree Own *own = state;

  g_assert_cmpint (shm_map_reduce_get_rank (pool), ==, rank);
  g_assert_cmpuint (own->rank, ==, rank);
  g_assert_true (shm_map_reduce_get_job (pool) == crew->job);
  g_assert_true (shm_map_reduce_get_state (pool) == state);
  count (&crew->counts->n_freed);
  if (fail (crew, crew->tear_down, error) || crew->tear_down == FAIL_SILENTLY)
    return NULL;
  return g_variant_new ("(utd)", rank, own->n_items, own->sum);
}

static GVariant *
work (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Crew *crew = user_data;
  Own *own = shm_map_reduce_get_state (pool);

  count (&crew->counts->tries[index]);
  g_assert_cmpint (shm_map_reduce_get_rank (pool), ==, own->rank);
  if (index == crew->bad_item && crew->counts->tries[index] == 1 && fail (crew, crew->item, error))
    return NULL;
  own->n_items++;
  own->sum += 1.0 / (gdouble) (index + 1);
  return NULL;
}

static void
crew_set_funcs (Crew *crew, gboolean with_tear_down)
{
  shm_job_set_map_func (crew->job, work, crew, NULL);
  shm_job_set_set_up_func (crew->job, set_up, crew, NULL);
  if (with_tear_down)
    shm_job_set_tear_down_func (crew->job, tear_down, crew, NULL);
}

/* What was gathered: in the order of the ranks, and of all items. */
static gdouble
check_summaries (Crew *crew)
{
  GPtrArray *summaries = shm_job_get_summaries (crew->job);
  guint64 n_items = 0;
  gdouble sum = 0.0;
  guint last = 0;
  guint i;

  g_assert_cmpint (crew->counts->n_set_ups, ==, summaries->len);
  g_assert_cmpint (crew->counts->n_freed, ==, summaries->len);
  for (i = 0; i < summaries->len; i++)
    {
      guint rank;
      guint64 n;
      gdouble part;

      g_variant_get (g_ptr_array_index (summaries, i), "(utd)", &rank, &n, &part);
      g_assert_cmpuint (rank, >=, last);
      last = rank;
      n_items += n;
      sum += part;
    }
  g_assert_cmpuint (n_items, ==, N_ITEMS);
  return sum;
}

/* The parts are the same each time, and so is their sum, to its last bit. */
static void
test_summaries (gconstpointer data)
{
  gdouble first = 0.0;
  guint n_runs = test_scale (20) + 1;
  guint i;

  for (i = 0; i < n_runs; i++)
    {
      g_auto (Crew) crew;
      gdouble sum;

      crew_init (&crew, 3, data);
      shm_map_reduce_set_schedule (crew.pool, SHM_SCHEDULE_STATIC);
      shm_map_reduce_set_chunk_size (crew.pool, 7);
      crew_set_funcs (&crew, TRUE);
      test_run_job (crew.job);
      sum = check_summaries (&crew);
      g_assert_cmpuint (shm_job_get_summaries (crew.job)->len, ==,
                        GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_SERIAL ? 1 : 3);
      if (i == 0)
        first = sum;
      g_assert_cmpmem (&sum, sizeof sum, &first, sizeof first);
    }
}

static void
test_dynamic (gconstpointer data)
{
  g_auto (Crew) crew;

  crew_init (&crew, 3, data);
  crew_set_funcs (&crew, TRUE);
  test_run_job (crew.job);
  check_summaries (&crew);
}

/* A worker that has nothing to say is not in the list. */
static void
test_silent (gconstpointer data)
{
  g_auto (Crew) crew;

  crew_init (&crew, 3, data);
  crew.tear_down = FAIL_SILENTLY;
  crew_set_funcs (&crew, TRUE);
  test_run_job (crew.job);
  g_assert_cmpuint (shm_job_get_summaries (crew.job)->len, ==, 0);
  g_assert_cmpint (crew.counts->n_freed, ==, crew.counts->n_states);
}

static GVariant *
tear_down_large (ShmMapReduce *pool, guint rank, gpointer state, gpointer user_data, GError **error)
{
  gsize size = 1 << 21;
  guint8 *bytes = g_malloc (size);

  g_assert_null (state);
  memset (bytes, rank + 1, size);
  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes);
}

static gboolean
loop_nothing (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  return shm_map_reduce_get_state (pool) == NULL;
}

/* Without a set-up, and with more than fits into any buffer. */
static void
test_large (gconstpointer data)
{
  g_auto (Crew) crew;
  GPtrArray *summaries;
  guint i;

  crew_init (&crew, 3, data);
  shm_map_reduce_set_schedule (crew.pool, SHM_SCHEDULE_STATIC);
  shm_job_set_loop_func (crew.job, loop_nothing, NULL, NULL);
  shm_job_set_tear_down_func (crew.job, tear_down_large, NULL, NULL);
  test_run_job (crew.job);
  summaries = shm_job_get_summaries (crew.job);
  for (i = 0; i < summaries->len; i++)
    {
      GVariant *summary = g_ptr_array_index (summaries, i);
      const guint8 *bytes = g_variant_get_data (summary);

      g_assert_cmpuint (g_variant_get_size (summary), ==, 1 << 21);
      g_assert_cmpuint (bytes[0], ==, i + 1);
      g_assert_cmpuint (bytes[(1 << 21) - 1], ==, i + 1);
    }
}

/* What each worker of a rank has gathered is there. */
static void
test_recycled (void)
{
  ShmSchedule schedule;

  for (schedule = SHM_SCHEDULE_DYNAMIC; schedule <= SHM_SCHEDULE_GUIDED; schedule++)
    {
      g_auto (Crew) crew;

      crew_init (&crew, 2, GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS));
      shm_map_reduce_set_max_items_per_worker (crew.pool, 15);
      shm_map_reduce_set_schedule (crew.pool, schedule);
      crew_set_funcs (&crew, TRUE);
      test_run_job (crew.job);
      check_summaries (&crew);
      g_assert_cmpuint (shm_job_get_summaries (crew.job)->len, >=, N_ITEMS / 15);
    }
}

/* The job ends with this error and one failure, whatever else was asked for. */
static void
check_end (Crew *crew, GQuark domain, gint code, gboolean has_index)
{
  g_autoptr (GError) error = NULL;
  GPtrArray *failures;
  ShmFailure *failure;

  shm_map_reduce_set_failure_policy (crew->pool, SHM_FAILURE_POLICY_COLLECT);
  shm_map_reduce_set_max_retries (crew->pool, 3);
  g_assert_false (shm_job_run (crew->job, crew->cancellable, &error));
  g_assert_error (error, domain, code);
  g_assert_null (shm_job_get_results (crew->job));
  g_assert_null (shm_job_get_summaries (crew->job));
  failures = shm_job_get_failures (crew->job);
  g_assert_cmpuint (failures->len, ==, 1);
  failure = g_ptr_array_index (failures, 0);
  g_assert_cmpint (shm_failure_has_index (failure), ==, has_index);
}

static void
check_statistics (Crew *crew)
{
  GPtrArray *list = shm_job_get_statistics (crew->job);
  guint i;

  for (i = 0; i < list->len; i++)
    {
      ShmStatistics *statistics = g_ptr_array_index (list, i);

      g_assert_cmpint (shm_statistics_get_cpu_time (statistics), >=, 0);
      g_assert_cmpint (shm_statistics_get_elapsed_time (statistics), >=, 0);
    }
}

static void
check_freed (Crew *crew, gconstpointer backend)
{
  if (GPOINTER_TO_UINT (backend) != SHM_BACKEND_TYPE_PROCESS)
    g_assert_cmpint (crew->counts->n_freed, ==, crew->counts->n_states);
}

static void
test_set_up_error (gconstpointer data)
{
  Fail how;

  for (how = FAIL_ERROR; how <= FAIL_ITEM; how += FAIL_ITEM - FAIL_ERROR)
    {
      g_auto (Crew) crew;
      ShmFailure *failure;

      crew_init (&crew, 3, data);
      crew.set_up = how;
      crew_set_funcs (&crew, TRUE);
      check_end (&crew, G_IO_ERROR, G_IO_ERROR_NOT_MOUNTED, FALSE);
      check_statistics (&crew);
      g_assert_cmpint (crew.counts->n_freed, ==, 0);
      failure = g_ptr_array_index (shm_job_get_failures (crew.job), 0);
      g_assert_cmpint (shm_failure_get_kind (failure), ==, SHM_FAILURE_KIND_ERROR);
      if (how == FAIL_ITEM)
        {
          g_assert_cmpstr (shm_failure_get_traceback (failure), ==, "in the cellar");
          g_assert_cmpint (g_variant_get_int32 (shm_failure_get_payload (failure)), ==, 42);
        }
    }
}

static void
test_tear_down_error (gconstpointer data)
{
  Fail how;

  for (how = FAIL_ERROR; how <= FAIL_ITEM; how += FAIL_ITEM - FAIL_ERROR)
    {
      g_auto (Crew) crew;

      crew_init (&crew, 3, data);
      crew.tear_down = how;
      crew_set_funcs (&crew, TRUE);
      check_end (&crew, G_IO_ERROR, G_IO_ERROR_NOT_MOUNTED, FALSE);
      check_freed (&crew, data);
      check_statistics (&crew);
    }
}

/* Whoever dies takes with him what nobody can do again. */
static void
test_deaths (void)
{
  static const struct
  {
    Fail set_up, tear_down, item;
    ShmError code;
  } ways[] = {
    { FAIL_KILL, 0, 0, SHM_ERROR_WORKER_SIGNAL }, { FAIL_EXIT, 0, 0, SHM_ERROR_WORKER_EXIT },
    { 0, FAIL_KILL, 0, SHM_ERROR_WORKER_SIGNAL }, { 0, FAIL_EXIT, 0, SHM_ERROR_WORKER_EXIT },
    { 0, 0, FAIL_KILL, SHM_ERROR_WORKER_SIGNAL }, { 0, 0, FAIL_EXIT, SHM_ERROR_WORKER_EXIT }
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      g_auto (Crew) crew;

      crew_init (&crew, 2, GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS));
      shm_map_reduce_set_schedule (crew.pool, SHM_SCHEDULE_STATIC);
      crew.set_up = ways[i].set_up;
      crew.tear_down = ways[i].tear_down;
      crew.item = ways[i].item;
      crew.bad_item = N_ITEMS - 5;
      crew_set_funcs (&crew, TRUE);
      check_end (&crew, SHM_ERROR, ways[i].code, ways[i].item != FAIL_NOT);
      check_statistics (&crew);
    }
}

/* A death is mended where it takes nothing along: before the first item is done, and where nothing is gathered. */
static void
test_mended_deaths (void)
{
  g_auto (Crew) first;
  g_auto (Crew) later;

  crew_init (&first, 1, GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS));
  first.item = FAIL_KILL;
  first.bad_item = 0;
  shm_map_reduce_set_max_retries (first.pool, 1);
  crew_set_funcs (&first, TRUE);
  test_run_job (first.job);
  g_assert_cmpuint (shm_job_get_summaries (first.job)->len, ==, 1);
  g_assert_cmpint (first.counts->n_set_ups, ==, 2);
  g_assert_cmpint (first.counts->tries[0], ==, 2);

  crew_init (&later, 2, GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS));
  later.item = FAIL_KILL;
  later.bad_item = N_ITEMS - 5;
  shm_map_reduce_set_schedule (later.pool, SHM_SCHEDULE_STATIC);
  shm_map_reduce_set_max_retries (later.pool, 1);
  crew_set_funcs (&later, FALSE);
  test_run_job (later.job);
  /* The other worker may have done what the dead one left, or have ended and begun again for that. */
  g_assert_cmpint (later.counts->n_set_ups, >=, 2);
  g_assert_cmpint (later.counts->tries[N_ITEMS - 5], ==, 2);
  g_assert_cmpuint (shm_job_get_summaries (later.job)->len, ==, 0);
}

/* An item that fails ends the job, and the tear-down frees what there is. */
static void
test_abort (gconstpointer data)
{
  g_auto (Crew) crew;
  g_autoptr (GError) error = NULL;

  crew_init (&crew, 3, data);
  crew.item = FAIL_ERROR;
  crew.bad_item = 100;
  crew_set_funcs (&crew, TRUE);
  g_assert_false (shm_job_run (crew.job, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_MOUNTED);
  g_assert_null (shm_job_get_summaries (crew.job));
  check_freed (&crew, data);
}

/* One that fails is listed, and what was gathered of the others is kept. */
static void
test_collect (gconstpointer data)
{
  g_auto (Crew) crew;
  guint64 n_items = 0;
  guint i;

  crew_init (&crew, 3, data);
  crew.item = FAIL_ERROR;
  crew.bad_item = 100;
  shm_map_reduce_set_failure_policy (crew.pool, SHM_FAILURE_POLICY_COLLECT);
  crew_set_funcs (&crew, TRUE);
  test_run_job (crew.job);
  g_assert_cmpuint (shm_job_get_failures (crew.job)->len, ==, 1);
  for (i = 0; i < shm_job_get_summaries (crew.job)->len; i++)
    {
      guint64 n;

      g_variant_get (g_ptr_array_index (shm_job_get_summaries (crew.job), i), "(utd)", NULL, &n,
                     NULL);
      n_items += n;
    }
  g_assert_cmpuint (n_items, ==, N_ITEMS - 1);
  check_freed (&crew, data);
}

static GVariant *
feed_and_cancel (ShmJob *job, guint64 index, gpointer user_data, GError **error)
{
  Crew *crew = user_data;

  if (index == 1000)
    g_cancellable_cancel (crew->cancellable);
  return g_variant_new_uint64 (index % N_ITEMS);
}

static gboolean
loop_fed (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  Own *own = shm_map_reduce_get_state (pool);

  own->n_items += end - begin;
  return TRUE;
}

static void
test_cancel (gconstpointer data)
{
  g_auto (Crew) crew;
  g_autoptr (GError) error = NULL;

  crew_init (&crew, 3, data);
  crew_set_funcs (&crew, TRUE);
  shm_job_set_loop_func (crew.job, loop_fed, &crew, NULL);
  shm_job_set_feed_func (crew.job, feed_and_cancel, &crew, NULL);
  g_assert_false (shm_job_run (crew.job, crew.cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  check_freed (&crew, data);
}

/* A set-up may take longer than an item. Where the processors are busy an item may take too long, too; then all may
 * take longer. */
static void
test_timeout (gconstpointer data)
{
  gboolean ok = FALSE;
  guint timeout;

  for (timeout = 250; !ok && timeout < 10000; timeout *= 2)
    {
      g_autoptr (GError) error = NULL;
      g_auto (Crew) crew;

      crew_init (&crew, 2, data);
      crew.set_up_time = 2000 * (gint64) timeout;
      shm_map_reduce_set_item_timeout (crew.pool, timeout);
      crew_set_funcs (&crew, TRUE);
      ok = shm_job_run (crew.job, NULL, &error);
      if (ok)
        check_summaries (&crew);
      else
        g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_TIMEOUT);
    }
  g_assert_true (ok);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  test_add_for_backends ("worker-state", "summaries", test_summaries);
  test_add_for_backends ("worker-state", "dynamic", test_dynamic);
  test_add_for_backends ("worker-state", "silent", test_silent);
  test_add_for_backends ("worker-state", "large", test_large);
  test_add_for_backends ("worker-state", "set-up-error", test_set_up_error);
  test_add_for_backends ("worker-state", "tear-down-error", test_tear_down_error);
  test_add_for_backends ("worker-state", "abort", test_abort);
  test_add_for_backends ("worker-state", "collect", test_collect);
  test_add_for_backends ("worker-state", "cancel", test_cancel);
  test_add_for_backends ("worker-state", "timeout", test_timeout);
  test_add ("/worker-state/process/recycled", test_recycled);
  test_add ("/worker-state/process/deaths", test_deaths);
  test_add ("/worker-state/process/mended-deaths", test_mended_deaths);

  return g_test_run ();
}
