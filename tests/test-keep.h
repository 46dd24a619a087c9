/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What the tests of jobs that keep their workers have in common. */

#pragma once

#include "test-util.h"

#include <string.h>
#include <unistd.h>

#define N_WORKERS 3
#define MAX_ITEMS 2000

/* What the workers and the caller share. */
typedef struct
{
  gint64 n_set_ups;
  gint64 word;            /* for what a test needs */
  gint64 pids[MAX_ITEMS]; /* who has done the item, in the last run that had it */
  gint64 n_times[MAX_ITEMS];
} Shared;

typedef struct
{
  ShmMapReduce *pool;
  ShmJob *job;
  ShmArray *array;
  Shared *shared;
  GCancellable *cancellable;
  guint64 n_streamed;
  guint64 sum_streamed;
  gint64 own; /* private memory of each process */
} Keep;

static inline void
keep_init_in (Keep *keep, ShmMapReduce *pool)
{
  gsize n = sizeof (Shared) / sizeof (gint64);

  *keep = (Keep){ .pool = g_object_ref (pool) };
  keep->job = shm_job_new (keep->pool, 0);
  shm_job_set_keep_workers (keep->job, TRUE);
  keep->array = test_new_array (SHM_DTYPE_I8, 1, &n);
  keep->shared = shm_array_get_data (keep->array);
}

static inline void
keep_init (Keep *keep, ShmBackendType backend)
{
  g_autoptr (ShmMapReduce) pool = test_pool (N_WORKERS, backend);

  keep_init_in (keep, pool);
}

static inline void
keep_clear (Keep *keep)
{
  g_clear_object (&keep->job);
  g_object_unref (keep->pool);
  g_object_unref (keep->array);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Keep, keep_clear)

/* The argument is a number, or there is none. */
static inline guint64
keep_get_number (Keep *keep)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) argument = shm_map_reduce_get_argument (keep->pool, &error);

  g_assert_no_error (error);
  return argument ? g_variant_get_uint64 (argument) : 0;
}

static inline void
keep_note (Keep *keep, guint64 index)
{
  g_assert_cmpuint (index, <, MAX_ITEMS);
  __atomic_store_n (&keep->shared->pids[index], getpid (), __ATOMIC_SEQ_CST);
  __atomic_add_fetch (&keep->shared->n_times[index], 1, __ATOMIC_SEQ_CST);
}

static inline guint64
keep_get_result (guint64 index, guint64 number)
{
  return index * 7 + number * 1000003;
}

static inline GVariant *
keep_map (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  keep_note (user_data, index);
  return g_variant_new_uint64 (keep_get_result (index, keep_get_number (user_data)));
}

static inline guint64
keep_expect_sum (guint64 n_items, guint64 number)
{
  guint64 sum = 0, i;

  for (i = 0; i < n_items; i++)
    sum += keep_get_result (i, number);
  return sum;
}

static inline guint64
keep_sum_results (GPtrArray *results)
{
  guint64 sum = 0;
  guint i;

  g_assert_nonnull (results);
  for (i = 0; i < results->len; i++)
    if (g_ptr_array_index (results, i) != NULL)
      sum += g_variant_get_uint64 (g_ptr_array_index (results, i));
  return sum;
}

/* What is told of a run that went well. */
static inline void
keep_check_told (ShmJob *job, guint64 n_items)
{
  GPtrArray *statistics = shm_job_get_statistics (job);
  guint64 n_told = 0;
  guint i;

  g_assert_nonnull (statistics);
  for (i = 0; i < statistics->len; i++)
    {
      ShmStatistics *of_rank = g_ptr_array_index (statistics, i);

      n_told += shm_statistics_get_n_items (of_rank);
      g_assert_cmpuint (shm_statistics_get_n_lives (of_rank), ==, 1);
      g_assert_cmpint (shm_statistics_get_elapsed_time (of_rank), >=, 0);
      g_assert_cmpint (shm_statistics_get_busy_time (of_rank), >=, 0);
      g_assert_cmpint (shm_statistics_get_cpu_time (of_rank), >=, 0);
    }
  g_assert_cmpuint (n_told, ==, n_items);
  g_assert_cmpuint (shm_job_get_n_items (job), ==, n_items);
  g_assert_cmpuint (shm_job_get_n_done (job), ==, n_items);
  g_assert_cmpfloat (shm_job_get_fraction (job), ==, 1.0);
  g_assert_cmpfloat (shm_job_get_eta (job), ==, 0.0);
  g_assert_cmpuint (shm_job_get_failures (job)->len, ==, 0);
}

/* Runs a job of keep_map () that must end well, with all that it tells. */
static inline void
keep_run (Keep *keep, guint64 n_items, guint64 number)
{
  guint64 i;

  memset (keep->shared->n_times, 0, sizeof keep->shared->n_times);
  shm_job_set_n_items (keep->job, n_items);
  shm_job_set_argument (keep->job, g_variant_new_uint64 (number));
  test_run_job (keep->job);
  for (i = 0; i < MAX_ITEMS; i++)
    g_assert_cmpint (keep->shared->n_times[i], ==, i < n_items ? 1 : 0);
  g_assert_cmpuint (shm_job_get_results (keep->job)->len, ==, n_items);
  for (i = 0; i < n_items; i++)
    g_assert_cmpuint (g_variant_get_uint64 (g_ptr_array_index (shm_job_get_results (keep->job), i)),
                      ==, keep_get_result (i, number));
}

/* By their bytes: GLib prints both to compare them. */
static inline gboolean
keep_is_same (GVariant *a, GVariant *b)
{
  gsize size = g_variant_get_size (a);

  return a != NULL && b != NULL && g_variant_is_of_type (a, g_variant_get_type (b)) &&
         g_variant_get_size (b) == size &&
         (size == 0 || memcmp (g_variant_get_data (a), g_variant_get_data (b), size) == 0);
}

/* Runs a job that must fail. */
static inline void
keep_run_failing (ShmJob *job, GQuark domain, gint code)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (shm_job_run (job, NULL, &error));
  g_assert_error (error, domain, code);
  g_assert_null (shm_job_get_results (job));
}

static inline guint
keep_count_children (void)
{
  g_autoptr (GPtrArray) children = test_list_children ();

  return children->len;
}

/* Whether exactly these children are there. */
static inline gboolean
keep_are_children (GPtrArray *before)
{
  g_autoptr (GPtrArray) now = test_list_children ();
  guint i;

  for (i = 0; i < now->len; i++)
    if (!g_ptr_array_find_with_equal_func (before, g_ptr_array_index (now, i), g_str_equal, NULL))
      return FALSE;
  return now->len == before->len;
}

static inline void
keep_assert_done_by (Keep *keep, guint64 n_items, GPtrArray *children)
{
  guint64 i;

  for (i = 0; i < n_items; i++)
    {
      g_autofree char *pid = g_strdup_printf ("%d", (int) keep->shared->pids[i]);

      g_assert_true (g_ptr_array_find_with_equal_func (children, pid, g_str_equal, NULL));
    }
}

static inline GVariant *
keep_make_bytes (gsize n, guint8 seed)
{
  g_autofree guint8 *bytes = g_malloc (n + 1);
  gsize i;

  for (i = 0; i < n; i++)
    bytes[i] = (guint8) (seed + i % 251);
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, n, 1);
}
