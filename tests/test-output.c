/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What becomes of the results of a job: kept, streamed, streamed in order, reduced, dropped. */

#include "config.h"

#include "test-util.h"

#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define N_ITEMS 600
#define MIB ((guint64) 1 << 20)

/* What arrives, and what the workers share. */
typedef struct
{
  ShmMapReduce *pool;
  ShmJob *job;
  ShmArray *array;
  gint64 *tries;  /* of each item */
  gint64 *begun;  /* items, by all workers */
  guint8 *seen;   /* 1: by the function, 2: by the signal, 4: by the reduce function */
  guint64 n;      /* results that arrived */
  guint64 next;   /* the lowest that may come next */
  gint64 fail_at; /* -1: nowhere */
  gboolean in_order;
  guint64 window;
  guint max_ahead;
  GCancellable *cancellable;
} Output;

static void
output_init (Output *output, guint n_workers, gconstpointer backend, guint64 n_items)
{
  gsize n = n_items + 1;

  *output = (Output){ .fail_at = -1 };
  output->pool = test_pool (n_workers, GPOINTER_TO_UINT (backend));
  output->job = shm_job_new (output->pool, n_items);
  output->array = test_new_array (SHM_DTYPE_I8, 1, &n);
  output->begun = shm_array_get_data (output->array);
  output->tries = output->begun + 1;
  output->seen = g_malloc0 (n_items);
  output->cancellable = g_cancellable_new ();
}

static void
output_clear (Output *output)
{
  g_object_unref (output->job);
  g_object_unref (output->pool);
  g_object_unref (output->array);
  g_object_unref (output->cancellable);
  g_free (output->seen);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Output, output_clear)

static gboolean
is_bad (guint64 index)
{
  return index % 50 == 17;
}

/* Items of very different lengths. */
static void
work_for_a_while (Output *output, guint64 index)
{
  volatile guint64 n = shm_job_seed (output->job, index) % 20000;

  __atomic_add_fetch (output->begun, 1, __ATOMIC_SEQ_CST);
  __atomic_add_fetch (&output->tries[index], 1, __ATOMIC_SEQ_CST);
  while (n > 0)
    n--;
}

static GVariant *
map_plain (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  work_for_a_while (user_data, index);
  return g_variant_new_uint64 (index * 3);
}

/* Every other item has no result. */
static GVariant *
map_even (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  work_for_a_while (user_data, index);
  return index % 2 ? NULL : g_variant_new_uint64 (index * 3);
}

static GVariant *
map_failing (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (!is_bad (index))
    return map_plain (pool, index, user_data, error);
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "busy");
  return NULL;
}

static GVariant *
map_dying_once (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Output *output = user_data;

  if (is_bad (index) && output->tries[index]++ == 0)
    raise (SIGKILL);
  return map_plain (pool, index, user_data, error);
}

static GVariant *
map_dying (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (is_bad (index))
    raise (SIGKILL);
  return map_plain (pool, index, user_data, error);
}

static GVariant *
range_plain (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  guint64 i;

  for (i = begin; i < end; i++)
    {
      shm_map_reduce_begin_item (pool, i);
      work_for_a_while (user_data, i);
    }
  return g_variant_new ("(tt)", begin, end);
}

static void
output_see (Output *output, guint64 index, guint8 how)
{
  g_assert_cmpint (shm_map_reduce_get_rank (output->pool), ==, -1);
  if (output->in_order)
    g_assert_cmpuint (index, >=, output->next);
  output->next = index + (how == 2);
  g_assert_cmpuint (output->seen[index] & how, ==, 0);
  output->seen[index] |= how;
  output->n++;
}

static gboolean
take_result (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Output *output = user_data;
  gint64 n_ahead;

  g_assert_true (job == output->job);
  g_assert_cmpuint (g_variant_get_uint64 (result), ==, index * 3);
  output_see (output, index, 1);
  n_ahead = __atomic_load_n (output->begun, __ATOMIC_SEQ_CST);
  if (output->window > 0)
    g_assert_cmpuint (n_ahead, <=, index + output->window);
  if (output->fail_at < 0 || index != (guint64) output->fail_at)
    return TRUE;
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "the drawer is full");
  return FALSE;
}

static void
on_result (ShmJob *job, guint64 index, GVariant *result, gpointer user_data)
{
  Output *output = user_data;

  g_assert_cmpuint (g_variant_get_uint64 (result), ==, index * 3);
  output_see (output, index, 2);
}

/* What was seen of all items but those, and that there is no list. */
static void
check_seen (Output *output, guint8 how, gboolean (*is_hole) (guint64))
{
  guint64 i;

  g_assert_cmpuint (shm_job_get_results (output->job)->len, ==, 0);
  for (i = 0; i < shm_job_get_n_items (output->job); i++)
    g_assert_cmpuint (output->seen[i], ==, is_hole != NULL && is_hole (i) ? 0 : how);
}

/* To a function, to a signal, to both, and to nobody. */
static void
test_stream (gconstpointer data)
{
  guint8 how;

  for (how = 0; how <= 3; how++)
    {
      g_auto (Output) output;

      output_init (&output, 2, data, N_ITEMS);
      shm_job_set_output (output.job, SHM_OUTPUT_STREAM);
      shm_job_set_map_func (output.job, map_plain, &output, NULL);
      if (how & 1)
        shm_job_set_result_func (output.job, take_result, &output, NULL);
      if (how & 2)
        g_signal_connect (output.job, "result", G_CALLBACK (on_result), &output);
      test_run_job (output.job);
      check_seen (&output, how, NULL);
    }
}

/* Nobody who listens gets anything where the results are kept. */
static void
test_list (gconstpointer data)
{
  g_auto (Output) output;
  guint64 i;

  output_init (&output, 2, data, N_ITEMS);
  shm_job_set_map_func (output.job, map_plain, &output, NULL);
  shm_job_set_result_func (output.job, take_result, &output, NULL);
  g_signal_connect (output.job, "result", G_CALLBACK (on_result), &output);
  test_run_job (output.job);
  g_assert_cmpuint (output.n, ==, 0);
  g_assert_cmpuint (shm_job_get_results (output.job)->len, ==, N_ITEMS);
  for (i = 0; i < N_ITEMS; i++)
    g_assert_cmpuint (
        g_variant_get_uint64 (g_ptr_array_index (shm_job_get_results (output.job), i)), ==, i * 3);
}

static GVariant *
never_reduced (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  g_assert_not_reached ();
}

static void
test_none (gconstpointer data)
{
  g_auto (Output) output;

  output_init (&output, 2, data, N_ITEMS);
  shm_job_set_output (output.job, SHM_OUTPUT_NONE);
  shm_job_set_map_func (output.job, map_plain, &output, NULL);
  shm_job_set_reduce_func (output.job, never_reduced, &output, NULL);
  shm_job_set_result_func (output.job, take_result, &output, NULL);
  g_signal_connect (output.job, "result", G_CALLBACK (on_result), &output);
  test_run_job (output.job);
  g_assert_cmpint (*output.begun, ==, N_ITEMS);
  check_seen (&output, 0, NULL);
}

static void
check_in_order (gconstpointer data,
                ShmMapFunc func,
                guint64 window,
                guint64 chunk_size,
                gboolean (*is_hole) (guint64))
{
  g_auto (Output) output;

  output_init (&output, 3, data, N_ITEMS);
  output.in_order = TRUE;
  shm_map_reduce_set_chunk_size (output.pool, chunk_size);
  shm_map_reduce_set_schedule (output.pool, SHM_SCHEDULE_STATIC);
  shm_map_reduce_set_max_retries (output.pool, func == map_dying ? 0 : 1);
  shm_map_reduce_set_failure_policy (output.pool, SHM_FAILURE_POLICY_COLLECT);
  shm_job_set_window (output.job, window);
  shm_job_set_output (output.job, SHM_OUTPUT_STREAM_IN_ORDER);
  shm_job_set_map_func (output.job, func, &output, NULL);
  shm_job_set_result_func (output.job, take_result, &output, NULL);
  g_signal_connect (output.job, "result", G_CALLBACK (on_result), &output);
  /* With retries more items are begun than there are. */
  if (func == map_plain || func == map_even)
    output.window = window ? window : 3 * 64;
  test_run_job (output.job);
  check_seen (&output, 3, is_hole);
}

static gboolean
is_odd (guint64 index)
{
  return index % 2 == 1;
}

static void
test_in_order (gconstpointer data)
{
  static const guint64 windows[] = { 0, 1, 2, 10, 5000 };
  guint w;

  for (w = 0; w < G_N_ELEMENTS (windows); w++)
    {
      check_in_order (data, map_plain, windows[w], 0, NULL);
      check_in_order (data, map_plain, windows[w], 7, NULL);
      check_in_order (data, map_even, windows[w], 0, is_odd);
      check_in_order (data, map_failing, windows[w], 0, is_bad);
    }
}

static void
test_in_order_deaths (void)
{
  static const guint64 windows[] = { 0, 1, 10 };
  gconstpointer backend = GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS);
  guint w;

  for (w = 0; w < G_N_ELEMENTS (windows); w++)
    {
      check_in_order (backend, map_dying_once, windows[w], 0, NULL);
      check_in_order (backend, map_dying, windows[w], 0, is_bad);
    }
}

/* Ranges come without a gap. */
static gboolean
take_range (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Output *output = user_data;
  guint64 begin, end;

  g_variant_get (result, "(tt)", &begin, &end);
  g_assert_cmpuint (index, ==, begin);
  g_assert_cmpuint (begin, ==, output->next);
  output->next = end;
  return TRUE;
}

static void
test_in_order_ranges (gconstpointer data)
{
  static const guint64 sizes[][2] = { { 0, 0 }, { 5, 100 }, { 100, 3 } };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_auto (Output) output;

      output_init (&output, 3, data, N_ITEMS);
      shm_map_reduce_set_chunk_size (output.pool, sizes[i][0]);
      shm_job_set_window (output.job, sizes[i][1]);
      shm_job_set_output (output.job, SHM_OUTPUT_STREAM_IN_ORDER);
      shm_job_set_range_func (output.job, range_plain, &output, NULL);
      shm_job_set_result_func (output.job, take_range, &output, NULL);
      test_run_job (output.job);
      g_assert_cmpuint (output.next, ==, N_ITEMS);
    }
}

static gboolean
refuse_result (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Output *output = user_data;

  output->n++;
  return FALSE;
}

static void
test_errors (gconstpointer data)
{
  ShmOutput kind;

  for (kind = SHM_OUTPUT_STREAM; kind <= SHM_OUTPUT_STREAM_IN_ORDER; kind++)
    {
      g_auto (Output) output;
      g_auto (Output) refusing;
      g_autoptr (GError) error = NULL;
      g_autoptr (GError) refused = NULL;

      output_init (&output, 2, data, N_ITEMS);
      output.fail_at = 200;
      shm_map_reduce_set_failure_policy (output.pool, SHM_FAILURE_POLICY_COLLECT);
      shm_job_set_output (output.job, kind);
      shm_job_set_map_func (output.job, map_plain, &output, NULL);
      shm_job_set_result_func (output.job, take_result, &output, NULL);
      g_assert_false (shm_job_run (output.job, NULL, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
      g_assert_cmpstr (error->message, ==, "the drawer is full");
      g_assert_cmpuint (output.seen[200], ==, 1);
      if (kind == SHM_OUTPUT_STREAM_IN_ORDER)
        g_assert_cmpuint (output.n, ==, 201);

      output_init (&refusing, 2, data, N_ITEMS);
      shm_job_set_output (refusing.job, kind);
      shm_job_set_map_func (refusing.job, map_plain, &refusing, NULL);
      shm_job_set_result_func (refusing.job, refuse_result, &refusing, NULL);
      g_assert_false (shm_job_run (refusing.job, NULL, &refused));
      g_assert_error (refused, SHM_ERROR, SHM_ERROR_FAILED);
      g_assert_cmpuint (refusing.n, ==, 1);
    }
}

static gboolean
cancel_at_last (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Output *output = user_data;

  if (++output->n == N_ITEMS)
    g_cancellable_cancel (output->cancellable);
  return TRUE;
}

/* Who cancels at the last result is told that it was cancelled, in whatever order they come. */
static void
test_cancel_at_last (gconstpointer data)
{
  ShmOutput kind;

  for (kind = SHM_OUTPUT_STREAM; kind <= SHM_OUTPUT_STREAM_IN_ORDER; kind++)
    {
      g_auto (Output) output;
      g_autoptr (GError) error = NULL;

      output_init (&output, 2, data, N_ITEMS);
      shm_job_set_output (output.job, kind);
      shm_job_set_window (output.job, 2 * N_ITEMS);
      shm_job_set_map_func (output.job, map_plain, &output, NULL);
      shm_job_set_result_func (output.job, cancel_at_last, &output, NULL);
      g_assert_false (shm_job_run (output.job, output.cancellable, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
}

/* Items with odd numbers are dropped, the others go on as a third of what they were. */
static GVariant *
reduce_some (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Output *output = user_data;

  g_assert_cmpuint (g_variant_get_uint64 (result), ==, index * 3);
  output->seen[index] |= 4;
  return index % 2 ? NULL : g_variant_new_uint64 (index);
}

static gboolean
take_reduced (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Output *output = user_data;

  g_assert_cmpuint (g_variant_get_uint64 (result), ==, index);
  output_see (output, index, 1);
  return TRUE;
}

static void
test_reduce_and_stream (gconstpointer data)
{
  ShmOutput kind;

  for (kind = SHM_OUTPUT_STREAM; kind <= SHM_OUTPUT_STREAM_IN_ORDER; kind++)
    {
      g_auto (Output) output;
      guint64 i;

      output_init (&output, 2, data, N_ITEMS);
      output.in_order = kind == SHM_OUTPUT_STREAM_IN_ORDER;
      shm_job_set_output (output.job, kind);
      shm_job_set_map_func (output.job, map_plain, &output, NULL);
      shm_job_set_reduce_func (output.job, reduce_some, &output, NULL);
      shm_job_set_result_func (output.job, take_reduced, &output, NULL);
      test_run_job (output.job);
      for (i = 0; i < N_ITEMS; i++)
        g_assert_cmpuint (output.seen[i], ==, i % 2 ? 4 : 5);
    }
}

static GVariant *
reduce_in_order (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Output *output = user_data;

  output_see (output, index, 4);
  return NULL;
}

static void
check_deterministic (gconstpointer data, ShmSchedule schedule, guint64 chunk_size)
{
  gboolean is_process = GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_PROCESS;
  g_auto (Output) output;

  output_init (&output, 3, data, N_ITEMS);
  output.in_order = TRUE;
  shm_map_reduce_set_schedule (output.pool, schedule);
  shm_map_reduce_set_chunk_size (output.pool, chunk_size);
  shm_map_reduce_set_deterministic (output.pool, TRUE);
  shm_map_reduce_set_max_retries (output.pool, 1);
  shm_job_set_map_func (output.job, is_process ? map_dying_once : map_plain, &output, NULL);
  shm_job_set_reduce_func (output.job, reduce_in_order, &output, NULL);
  test_run_job (output.job);
  g_assert_cmpuint (output.n, ==, N_ITEMS);
}

/* The order of the items, whoever works on them and dies of it. */
static void
test_deterministic (gconstpointer data)
{
  static const guint64 chunk_sizes[] = { 0, 1, 9 };
  guint schedule, c;

  for (schedule = SHM_SCHEDULE_DYNAMIC; schedule <= SHM_SCHEDULE_GUIDED; schedule++)
    for (c = 0; c < G_N_ELEMENTS (chunk_sizes); c++)
      /* A fork takes long under valgrind, and each of twelve deaths costs one. */
      if (!test_under_valgrind () || c == schedule)
        check_deterministic (data, (ShmSchedule) schedule, chunk_sizes[c]);
}

static GVariant *
map_trivial (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_uint64 (index);
}

static gboolean
count_result (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  guint64 *sum = user_data;

  *sum += g_variant_get_uint64 (result);
  return TRUE;
}

/* However many results there are, this process does not grow. */
static void
test_memory (gconstpointer data)
{
  gboolean is_slow = TEST_SANITIZED || test_under_valgrind ();
  guint64 n = is_slow ? 20000 : 1000000;
  ShmOutput kind;

  for (kind = SHM_OUTPUT_STREAM; kind <= SHM_OUTPUT_NONE; kind++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
      g_autoptr (ShmJob) job = shm_job_new (pool, n);
      guint64 before = test_get_resident ();
      guint64 sum = 0;

      shm_job_set_output (job, kind);
      shm_job_set_map_func (job, map_trivial, NULL, NULL);
      shm_job_set_result_func (job, count_result, &sum, NULL);
      test_run_job (job);
      g_assert_cmpuint (sum, ==, kind == SHM_OUTPUT_NONE ? 0 : n / 2 * (n - 1));
      if (!is_slow)
        g_assert_cmpuint (test_get_resident (), <, before + 24 * MIB);
    }
}

static GVariant *
map_large (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Output *output = user_data;
  gsize size = 100 * 1024;
  guint8 *bytes = g_malloc0 (size);

  __atomic_add_fetch (output->begun, 1, __ATOMIC_SEQ_CST);
  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes);
}

static gboolean
take_slowly (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Output *output = user_data;
  guint i;

  /* As much time for the workers as they like to have. */
  for (i = 0; i < 100; i++)
    g_thread_yield ();
  output->n++;
  g_assert_cmpint (__atomic_load_n (output->begun, __ATOMIC_SEQ_CST), <=,
                   output->n + output->max_ahead);
  return TRUE;
}

/* Workers wait for a caller that is slow: they are never ahead of it by more than what fits into their buffers, which is
 * a megabyte for each, and another one that the caller has just taken from it. */
static void
test_back_pressure (gconstpointer data)
{
  g_auto (Output) output;

  output_init (&output, 3, data, 1000);
  output.max_ahead = 3 * 2 * (1024 / 100 + 2);
  shm_job_set_output (output.job, SHM_OUTPUT_STREAM);
  shm_job_set_map_func (output.job, map_large, &output, NULL);
  shm_job_set_result_func (output.job, take_slowly, &output, NULL);
  test_run_job (output.job);
  g_assert_cmpuint (output.n, ==, 1000);
}

static void
call_futex (gint32 *word, int operation, gint32 value)
{
  syscall (SYS_futex, word, operation, value, NULL, NULL, 0);
}

/* An item that ends when the caller has what came of the one before the last; odd ones have nothing to say. */
static GVariant *
map_waiting (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Output *output = user_data;
  gint32 *given = (gint32 *) output->begun;
  gint32 n;

  while (index % 2 == 0 && (n = __atomic_load_n (given, __ATOMIC_SEQ_CST)) < (gint32) index)
    call_futex (given, FUTEX_WAIT, n);
  return index % 2 ? NULL : g_variant_new_uint64 (index * 3);
}

static gboolean
take_and_tell (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Output *output = user_data;
  gint32 *given = (gint32 *) output->begun;

  output_see (output, index, 1);
  __atomic_store_n (given, (gint32) index + 2, __ATOMIC_SEQ_CST);
  call_futex (given, FUTEX_WAKE, G_MAXINT);
  return TRUE;
}

/* Nothing has to happen for a result to be given out but that the items before it are done. */
static void
test_at_once (gconstpointer data)
{
  guint n_workers;

  for (n_workers = 1; n_workers <= 3; n_workers++)
    {
      g_auto (Output) output;
      guint64 i;

      output_init (&output, n_workers, data, test_scale (600));
      output.in_order = TRUE;
      shm_job_set_output (output.job, SHM_OUTPUT_STREAM_IN_ORDER);
      shm_job_set_map_func (output.job, map_waiting, &output, NULL);
      shm_job_set_result_func (output.job, take_and_tell, &output, NULL);
      test_run_job (output.job);
      for (i = 0; i < test_scale (600); i++)
        g_assert_cmpuint (output.seen[i], ==, i % 2 == 0);
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  test_add_for_backends ("output", "list", test_list);
  test_add_for_backends ("output", "stream", test_stream);
  test_add_for_backends ("output", "none", test_none);
  test_add_for_backends ("output", "in-order", test_in_order);
  test_add_for_backends ("output", "in-order-ranges", test_in_order_ranges);
  test_add_for_backends ("output", "errors", test_errors);
  test_add_for_backends ("output", "cancel-at-last", test_cancel_at_last);
  test_add_for_backends ("output", "reduce-and-stream", test_reduce_and_stream);
  test_add_for_backends ("output", "deterministic", test_deterministic);
  test_add_for_backends ("output", "memory", test_memory);
  test_add_for_backends ("output", "back-pressure", test_back_pressure);
  test_add_data ("/output/process/at-once", GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS),
                 test_at_once);
  test_add_data ("/output/thread/at-once", GUINT_TO_POINTER (SHM_BACKEND_TYPE_THREAD),
                 test_at_once);
  test_add ("/output/process/in-order-deaths", test_in_order_deaths);

  return g_test_run ();
}
