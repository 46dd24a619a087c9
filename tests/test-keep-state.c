/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What workers that are kept know: the argument, memory, their set-up, and the settings of their job and pool. */

#include "config.h"

#include "test-keep.h"

#include <signal.h>

static GVariant *
map_argument (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return shm_map_reduce_get_argument (pool, error);
}

static void
check_argument (Keep *keep, GVariant *argument)
{
  g_autoptr (GVariant) expected = argument ? g_variant_ref_sink (argument) : NULL;
  guint again, i;

  shm_job_set_argument (keep->job, expected);
  g_assert_true (shm_job_get_argument (keep->job) == expected);
  for (again = 0; again < 2; again++)
    {
      GPtrArray *results;

      test_run_job (keep->job);
      results = shm_job_get_results (keep->job);
      for (i = 0; i < results->len; i++)
        if (expected == NULL)
          g_assert_null (g_ptr_array_index (results, i));
        else
          g_assert_true (keep_is_same (g_ptr_array_index (results, i), expected));
    }
}

/* None, small, of every shape, empty, and of MiBs; each stays until another one is set. */
static void
test_argument (gconstpointer backend)
{
  g_auto (Keep) keep;
  guint round;

  keep_init (&keep, GPOINTER_TO_UINT (backend));
  shm_job_set_map_func (keep.job, map_argument, &keep, NULL);
  shm_job_set_n_items (keep.job, 5);
  for (round = 0; round < 3; round++)
    {
      check_argument (&keep, NULL);
      check_argument (&keep, g_variant_new_uint64 (round));
      check_argument (&keep, keep_make_bytes (3 * 1024 * 1024 + round, round));
      check_argument (&keep, g_variant_new_string ("small"));
      check_argument (&keep, g_variant_new ("(sa{sv}mai)", "", NULL, NULL));
      check_argument (&keep, keep_make_bytes (0, 0));
      check_argument (&keep, keep_make_bytes (1024 * 1024, round + 1));
      check_argument (&keep, NULL);
      if (round == 1)
        shm_job_release_workers (keep.job);
    }
}

/* What was private at the fork stays as it was; what is shared is seen as it is. */
static GVariant *
map_see (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Keep *keep = user_data;

  return g_variant_new ("(xx)", keep->own, keep->shared->word);
}

static void
test_memory (void)
{
  g_auto (Keep) keep;
  gint64 own, word, i;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  shm_job_set_map_func (keep.job, map_see, &keep, NULL);
  shm_job_set_n_items (keep.job, 1);
  for (i = 1; i < 20; i++)
    {
      keep.own = keep.shared->word = i;
      if (i % 5 == 0)
        shm_job_release_workers (keep.job);
      test_run_job (keep.job);
      g_variant_get (g_ptr_array_index (shm_job_get_results (keep.job), 0), "(xx)", &own, &word);
      g_assert_cmpint (word, ==, i);
      g_assert_cmpint (own, ==, MAX (1, i / 5 * 5));
    }
}

static gpointer
set_up_slowly (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Keep *keep = user_data;
  g_autoptr (GVariant) argument = shm_map_reduce_get_argument (pool, error);

  /* All but the first one wait until the only item is done. */
  while (rank > 0 && __atomic_load_n (&keep->shared->n_times[0], __ATOMIC_SEQ_CST) == 0)
    g_thread_yield ();
  g_assert_cmpstr (g_variant_get_string (argument, NULL), ==, "first");
  __atomic_add_fetch (&keep->shared->n_set_ups, 1, __ATOMIC_SEQ_CST);
  return keep;
}

static GVariant *
map_state (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_assert_true (shm_map_reduce_get_state (pool) == user_data);
  keep_note (user_data, index);
  return shm_map_reduce_get_argument (pool, error);
}

/* Each worker is set up once, in the run in which it starts, which does not end before. */
static void
test_set_up (void)
{
  guint round, k;

  for (round = 0; round < 5; round++)
    {
      g_auto (Keep) keep;

      keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
      shm_job_set_map_func (keep.job, map_state, &keep, NULL);
      shm_job_set_set_up_func (keep.job, set_up_slowly, &keep, NULL);
      shm_job_set_argument (keep.job, g_variant_new_string ("first"));
      for (k = 0; k < 20; k++)
        {
          shm_job_set_n_items (keep.job, 1 + k);
          test_run_job (keep.job);
          g_assert_cmpint (keep.shared->n_set_ups, ==, N_WORKERS);
          shm_job_set_argument (keep.job, keep_make_bytes (1000 * k, k));
        }
    }
}

static gpointer
set_up_argument (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  g_autoptr (GVariant) argument = shm_map_reduce_get_argument (pool, error);

  return argument ? user_data : NULL;
}

/* A worker that is set up in a run without items remembers nothing of its argument. */
static void
test_argument_of_empty_run (void)
{
  g_auto (Keep) keep;
  g_autoptr (GPtrArray) children = NULL;
  guint i;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  shm_job_set_map_func (keep.job, keep_map, &keep, NULL);
  shm_job_set_set_up_func (keep.job, set_up_argument, &keep, NULL);
  keep_run (&keep, 10, 1);
  children = test_list_children ();
  for (i = 0; i < children->len; i++)
    kill ((pid_t) g_ascii_strtoll (g_ptr_array_index (children, i), NULL, 10), SIGKILL);
  keep_run (&keep, 0, 2);
  /* Now there are new ones for sure. */
  keep_run (&keep, 0, 3);
  keep_run (&keep, 0, 4);
  keep_run (&keep, 10, 5);
  g_assert_false (keep_are_children (children));
}

static gboolean
loop_note_size (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  Keep *keep = user_data;
  guint64 i;

  for (i = begin; i < end; i++)
    keep->shared->n_times[i] = end - begin;
  return TRUE;
}

/* The first run may have fewer items than a chunk. */
static void
test_chunk_size (void)
{
  g_auto (Keep) keep;
  guint64 i, k;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  shm_map_reduce_set_chunk_size (keep.pool, 50);
  shm_job_set_loop_func (keep.job, loop_note_size, &keep, NULL);
  for (k = 0; k < 4; k++)
    {
      shm_job_set_n_items (keep.job, k * 400);
      test_run_job (keep.job);
      for (i = 0; i < k * 400; i++)
        g_assert_cmpint (keep.shared->n_times[i], ==, 50);
    }
  /* Larger than the greatest number of items that there may be. */
  shm_map_reduce_set_chunk_size (keep.pool, G_MAXUINT64);
  for (k = 0; k < 4; k++)
    {
      shm_job_set_n_items (keep.job, k * 400);
      test_run_job (keep.job);
      for (i = 0; i < k * 400; i++)
        g_assert_cmpint (keep.shared->n_times[i], ==, k * 400);
    }
}

static void
change_n_workers (Keep *keep)
{
  shm_map_reduce_set_n_workers (keep->pool, 4);
}

static void
change_chunk_size (Keep *keep)
{
  shm_map_reduce_set_chunk_size (keep->pool, 5);
}

static void
change_schedule (Keep *keep)
{
  shm_map_reduce_set_schedule (keep->pool, SHM_SCHEDULE_GUIDED);
}

static void
change_policy (Keep *keep)
{
  shm_map_reduce_set_failure_policy (keep->pool, SHM_FAILURE_POLICY_COLLECT);
}

static void
change_timeout (Keep *keep)
{
  shm_map_reduce_set_item_timeout (keep->pool, 60000);
}

static void
change_max_items (Keep *keep)
{
  shm_map_reduce_set_max_items_per_worker (keep->pool, 1000);
}

static void
change_niceness (Keep *keep)
{
  shm_map_reduce_set_worker_niceness (keep->pool, 1);
}

static void
change_nested (Keep *keep)
{
  shm_map_reduce_set_nested (keep->pool, TRUE);
}

static void
change_work (Keep *keep)
{
  shm_job_set_map_func (keep->job, keep_map, keep, NULL);
}

static void
change_seed (Keep *keep)
{
  shm_job_set_seed (keep->job, 42);
}

static void
change_output (Keep *keep)
{
  shm_job_set_output (keep->job, SHM_OUTPUT_NONE);
  shm_job_set_output (keep->job, SHM_OUTPUT_LIST);
}

/* A work function that does nothing else asks what it can know of the pool. */
static GVariant *
map_settings (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_boolean (shm_map_reduce_get_nested (pool));
}

/* Whatever is set, the next run has new workers, who know it; unless it was so before. */
static void
test_settings (void)
{
  static void (*const change[]) (Keep *) = {
    change_n_workers, change_chunk_size, change_schedule, change_policy,
    change_timeout,   change_max_items,  change_niceness, change_nested,
    change_work,      change_seed,       change_output,
  };
  g_auto (Keep) keep;
  guint i;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  shm_job_set_map_func (keep.job, keep_map, &keep, NULL);
  keep_run (&keep, 20, 0);
  for (i = 0; i < G_N_ELEMENTS (change); i++)
    {
      g_autoptr (GPtrArray) before = test_list_children ();
      g_autoptr (GPtrArray) after = NULL;
      guint k;

      change[i](&keep);
      keep_run (&keep, 20, i);
      after = test_list_children ();
      g_assert_cmpuint (after->len, ==, shm_map_reduce_get_n_workers (keep.pool));
      for (k = 0; k < after->len; k++)
        g_assert_false (g_ptr_array_find_with_equal_func (before, g_ptr_array_index (after, k),
                                                          g_str_equal, NULL));
      shm_job_set_output (keep.job, shm_job_get_output (keep.job));
      shm_job_set_window (keep.job, shm_job_get_window (keep.job));
      shm_job_set_trace (keep.job, shm_job_get_trace (keep.job));
      if (change[i] == change_seed)
        shm_job_set_seed (keep.job, 42);
      keep_run (&keep, 30, i);
      g_assert_true (keep_are_children (after));
    }
  shm_map_reduce_set_nested (keep.pool, FALSE);
  shm_job_set_map_func (keep.job, map_settings, NULL, NULL);
  for (i = 0; i < 6; i++)
    {
      shm_map_reduce_set_nested (keep.pool, i / 2 % 2);
      test_run_job (keep.job);
      g_assert_cmpint (
          g_variant_get_boolean (g_ptr_array_index (shm_job_get_results (keep.job), 0)), ==,
          i / 2 % 2);
    }
}

/* A few items may be for the caller alone; the workers stay for those who come later. */
static void
test_min_length (void)
{
  g_auto (Keep) keep;
  g_autoptr (GPtrArray) children = NULL;
  guint i, k;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  shm_map_reduce_set_min_length (keep.pool, 10);
  shm_job_set_map_func (keep.job, keep_map, &keep, NULL);
  keep_run (&keep, 30, 1);
  children = test_list_children ();
  for (i = 0; i < 20; i++)
    {
      keep_run (&keep, i, i);
      for (k = 0; k < i; k++)
        g_assert_true ((keep.shared->pids[k] == getpid ()) == (i < 10));
      g_assert_true (keep_are_children (children));
      keep_check_told (keep.job, i);
      keep_run (&keep, 10 + i, i);
      g_assert_true (keep_are_children (children));
    }
}

static void
test_release (void)
{
  g_auto (Keep) keep;
  guint i;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  shm_job_set_map_func (keep.job, keep_map, &keep, NULL);
  shm_job_release_workers (keep.job);
  for (i = 0; i < 10; i++)
    {
      keep_run (&keep, 20, i);
      shm_job_release_workers (keep.job);
      g_assert_cmpuint (keep_count_children (), ==, 0);
      shm_job_release_workers (keep.job);
      /* What the run has made stays. */
      g_assert_cmpuint (keep_sum_results (shm_job_get_results (keep.job)), ==,
                        keep_expect_sum (20, i));
    }
  keep_run (&keep, 20, i);
  shm_job_set_keep_workers (keep.job, FALSE);
  g_assert_cmpuint (keep_count_children (), ==, 0);
  g_assert_false (shm_job_get_keep_workers (keep.job));
  g_assert_cmpuint (keep_sum_results (shm_job_get_results (keep.job)), ==, keep_expect_sum (20, i));
  {
    g_autoptr (GError) error = NULL;

    g_assert_false (shm_job_run (keep.job, NULL, &error));
    g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  }
}

/* Fails at the item that the argument says, which only the cursor tells. */
static GVariant *
range_with_cursor (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  guint64 *cursor = (gpointer) (guintptr) shm_map_reduce_get_cursor_address (pool);
  guint64 offset = *cursor - begin;
  g_autoptr (GVariant) argument = shm_map_reduce_get_argument (pool, error);
  guint64 i;

  for (i = begin; i < end; i++)
    {
      *cursor = i + offset;
      if (i == g_variant_get_uint64 (argument))
        {
          g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "here");
          return NULL;
        }
    }
  return NULL;
}

/* Items count on inside; the cursor of language bindings goes along. */
static void
test_cursor (void)
{
  g_auto (Keep) keep;
  guint64 k;

  keep_init (&keep, SHM_BACKEND_TYPE_PROCESS);
  shm_map_reduce_set_failure_policy (keep.pool, SHM_FAILURE_POLICY_COLLECT);
  shm_job_set_range_func (keep.job, range_with_cursor, NULL, NULL);
  for (k = 0; k < 20; k++)
    {
      GPtrArray *failures;

      shm_job_set_n_items (keep.job, 10 + 5 * k);
      shm_job_set_argument (keep.job, g_variant_new_uint64 (3 + 2 * k));
      test_run_job (keep.job);
      failures = shm_job_get_failures (keep.job);
      g_assert_cmpuint (failures->len, ==, 1);
      g_assert_cmpuint (shm_failure_get_index (g_ptr_array_index (failures, 0)), ==, 3 + 2 * k);
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add_for_backends ("keep-state", "argument", test_argument);
  test_add ("/keep-state/memory", test_memory);
  test_add ("/keep-state/set-up", test_set_up);
  test_add ("/keep-state/argument-of-empty-run", test_argument_of_empty_run);
  test_add ("/keep-state/chunk-size", test_chunk_size);
  test_add ("/keep-state/settings", test_settings);
  test_add ("/keep-state/min-length", test_min_length);
  test_add ("/keep-state/release", test_release);
  test_add ("/keep-state/cursor", test_cursor);

  return g_test_run ();
}
