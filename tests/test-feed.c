/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Jobs whose items are made while they run. */

#include "config.h"

#include "test-util.h"

#include <signal.h>
#include <unistd.h>

#define N_TRIES 8192

/* A function that feeds, and what it knows. */
typedef struct
{
  ShmJob *job;
  ShmMapReduce *pool;
  ShmArray *array;
  gint64 *tries; /* of each item; negative: it is done */
  guint64 n;     /* where the items end */
  guint64 window;
  guint64 lowest; /* all items below are done */
  guint64 fail_at;
  guint64 cancel_at;
  guint64 n_asked;
  guint n_freed;
  GCancellable *cancellable;
  guint n_ticks;
  guint n_pending;
  GMainLoop *loop;
} Feed;

static void
feed_init_full (Feed *feed,
                guint n_workers,
                gconstpointer backend,
                guint64 n,
                guint64 window,
                gboolean is_async)
{
  gsize n_tries = N_TRIES;

  *feed = (Feed){ .n = n, .window = window, .fail_at = G_MAXUINT64, .cancel_at = G_MAXUINT64 };
  feed->pool = test_pool (n_workers, GPOINTER_TO_UINT (backend));
  feed->job = shm_job_new (feed->pool, 17);
  feed->array = test_new_array (SHM_DTYPE_I8, 1, &n_tries);
  feed->tries = shm_array_get_data (feed->array);
  feed->cancellable = g_cancellable_new ();
  if (is_async)
    feed->loop = g_main_loop_new (NULL, FALSE);
  shm_job_set_window (feed->job, window);
}

static void
feed_init (Feed *feed, guint n_workers, gconstpointer backend, guint64 n, guint64 window)
{
  feed_init_full (feed, n_workers, backend, n, window, FALSE);
}

static void
feed_clear (Feed *feed)
{
  g_object_unref (feed->job);
  g_object_unref (feed->pool);
  g_object_unref (feed->array);
  g_object_unref (feed->cancellable);
  g_clear_pointer (&feed->loop, g_main_loop_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Feed, feed_clear)

static void
feed_freed (gpointer user_data)
{
  Feed *feed = user_data;

  feed->n_freed++;
}

/* The items are asked for in order, and never more than a window before those that are done. */
static void
feed_check (Feed *feed, guint64 index)
{
  g_assert_cmpuint (index, ==, feed->n_asked);
  feed->n_asked++;
  g_assert_cmpint (shm_map_reduce_get_rank (feed->pool), ==, -1);
  g_assert_cmpuint (shm_job_get_n_items (feed->job), <=, index);
  g_assert_cmpfloat (shm_job_get_fraction (feed->job), ==, 0.0);
  g_assert_cmpfloat (shm_job_get_eta (feed->job), ==, -1.0);
  if (index >= N_TRIES)
    return;
  while (feed->lowest < index && __atomic_load_n (&feed->tries[feed->lowest], __ATOMIC_SEQ_CST) < 0)
    feed->lowest++;
  if (feed->window > 0)
    g_assert_cmpuint (index, <, feed->lowest + feed->window);
}

static GVariant *
feed_number (ShmJob *job, guint64 index, gpointer user_data, GError **error)
{
  Feed *feed = user_data;

  feed_check (feed, index);
  g_assert_true (job == feed->job);
  if (index == feed->cancel_at)
    g_cancellable_cancel (feed->cancellable);
  if (index == feed->fail_at)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "the ink has run out");
      return NULL;
    }
  return index < feed->n ? g_variant_new ("(ts)", index, "item") : NULL;
}

static void
feed_try (Feed *feed, guint64 index)
{
  __atomic_add_fetch (&feed->tries[index % N_TRIES], 1, __ATOMIC_SEQ_CST);
}

static void
feed_done (Feed *feed, guint64 index)
{
  __atomic_store_n (&feed->tries[index % N_TRIES], -feed->tries[index % N_TRIES], __ATOMIC_SEQ_CST);
}

/* What the item says that it is. */
static guint64
get_number (ShmMapReduce *pool, guint64 index)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) item = shm_job_get_item (shm_map_reduce_get_job (pool), index, &error);
  guint64 number;
  const char *word;

  g_assert_no_error (error);
  g_variant_get (item, "(t&s)", &number, &word);
  g_assert_cmpstr (word, ==, "item");
  return number;
}

static GVariant *
map_number (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Feed *feed = user_data;
  guint64 number = get_number (pool, index);

  feed_try (feed, index);
  feed_done (feed, index);
  return g_variant_new_uint64 (number * 3);
}

static void
check_numbers (ShmJob *job, guint64 n, gboolean (*is_hole) (guint64))
{
  GPtrArray *results = shm_job_get_results (job);
  guint64 i;

  g_assert_cmpuint (shm_job_get_n_items (job), ==, n);
  g_assert_cmpuint (results->len, ==, n);
  for (i = 0; i < n; i++)
    if (is_hole != NULL && is_hole (i))
      g_assert_null (g_ptr_array_index (results, i));
    else
      g_assert_cmpuint (g_variant_get_uint64 (g_ptr_array_index (results, i)), ==, i * 3);
}

static void
run_badly (ShmJob *job, GCancellable *cancellable, GQuark domain, gint code, const char *message)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (shm_job_run (job, cancellable, &error));
  g_assert_error (error, domain, code);
  if (message != NULL)
    g_assert_cmpstr (error->message, ==, message);
  g_assert_null (shm_job_get_results (job));
}

/* With all sizes of windows, and chunks that are larger. */
static void
test_windows (gconstpointer data)
{
  static const guint64 sizes[][3] = {
    /* items, window, chunk */
    { 0, 0, 0 },     { 1, 0, 0 },   { 1000, 0, 0 }, { 1000, 1, 0 }, { 500, 2, 0 },
    { 500, 2, 100 }, { 500, 7, 1 }, { 64, 64, 0 },  { 65, 64, 0 },  { 1000, 5000, 3 }
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_auto (Feed) feed;

      feed_init (&feed, 3, data, sizes[i][0], sizes[i][1]);
      shm_map_reduce_set_chunk_size (feed.pool, sizes[i][2]);
      shm_map_reduce_set_min_length (feed.pool, 10000);
      shm_job_set_feed_func (feed.job, feed_number, &feed, feed_freed);
      g_assert_cmpuint (shm_job_get_n_items (feed.job), ==, 0);
      shm_job_set_map_func (feed.job, map_number, &feed, NULL);
      test_run_job (feed.job);
      check_numbers (feed.job, feed.n, NULL);
      g_assert_cmpuint (feed.n_asked, ==, feed.n + 1);
      g_assert_cmpuint (feed.n_freed, ==, 1);
      g_assert_cmpuint (shm_job_get_n_done (feed.job), ==, feed.n);
      g_assert_cmpfloat (shm_job_get_fraction (feed.job), ==, 1.0);
      g_assert_cmpfloat (shm_job_get_eta (feed.job), ==, 0.0);
    }
}

static GVariant *
range_number (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  Feed *feed = user_data;
  guint64 sum = 0, i;

  for (i = begin; i < end; i++)
    {
      sum += get_number (pool, i);
      feed_try (feed, i);
    }
  for (i = begin; i < end; i++)
    feed_done (feed, i);
  return g_variant_new ("(ttt)", begin, end, sum);
}

static gboolean
loop_number (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  Feed *feed = user_data;
  guint64 i;

  for (i = begin; i < end; i++)
    {
      shm_map_reduce_begin_item (pool, i);
      g_assert_cmpuint (get_number (pool, i), ==, i);
      feed_try (feed, i);
    }
  for (i = begin; i < end; i++)
    feed_done (feed, i);
  return TRUE;
}

static void
test_ranges (gconstpointer data)
{
  g_auto (Feed) feed;
  g_auto (Feed) looped;
  GPtrArray *results;
  guint64 next = 0, sum = 0, i;

  feed_init (&feed, 2, data, 2000, 100);
  shm_map_reduce_set_chunk_size (feed.pool, 1000);
  shm_job_set_feed_func (feed.job, feed_number, &feed, NULL);
  shm_job_set_range_func (feed.job, range_number, &feed, NULL);
  test_run_job (feed.job);
  results = shm_job_get_results (feed.job);
  for (i = 0; i < results->len; i++)
    {
      guint64 begin, end, part;

      g_variant_get (g_ptr_array_index (results, i), "(ttt)", &begin, &end, &part);
      g_assert_cmpuint (begin, ==, next);
      next = end;
      sum += part;
    }
  g_assert_cmpuint (next, ==, 2000);
  g_assert_cmpuint (sum, ==, 2000 * 1999 / 2);

  feed_init (&looped, 2, data, 2000, 100);
  shm_job_set_feed_func (looped.job, feed_number, &looped, NULL);
  shm_job_set_loop_func (looped.job, loop_number, &looped, NULL);
  test_run_job (looped.job);
  for (i = 0; i < 2000; i++)
    g_assert_cmpint (looped.tries[i], ==, -1);
}

static void
test_cancel (gconstpointer data)
{
  g_auto (Feed) feed;

  feed_init (&feed, 2, data, G_MAXUINT64, 0);
  feed.cancel_at = 300;
  shm_job_set_output (feed.job, SHM_OUTPUT_NONE);
  shm_job_set_feed_func (feed.job, feed_number, &feed, feed_freed);
  shm_job_set_map_func (feed.job, map_number, &feed, NULL);
  run_badly (feed.job, feed.cancellable, G_IO_ERROR, G_IO_ERROR_CANCELLED, NULL);
  g_assert_cmpuint (feed.n_freed, ==, 1);
}

static void
test_error (gconstpointer data)
{
  guint64 at;

  for (at = 0; at <= 100; at += 100)
    {
      g_auto (Feed) feed;

      feed_init (&feed, 2, data, G_MAXUINT64, 0);
      feed.fail_at = at;
      shm_map_reduce_set_failure_policy (feed.pool, SHM_FAILURE_POLICY_COLLECT);
      shm_map_reduce_set_max_retries (feed.pool, 3);
      shm_job_set_feed_func (feed.job, feed_number, &feed, feed_freed);
      shm_job_set_map_func (feed.job, map_number, &feed, NULL);
      run_badly (feed.job, NULL, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "the ink has run out");
      g_assert_cmpuint (feed.n_asked, ==, at + 1);
      g_assert_cmpuint (feed.n_freed, ==, 1);
    }
}

static gboolean
is_bad (guint64 index)
{
  return index % 37 == 11;
}

static GVariant *
map_failing (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Feed *feed = user_data;

  if (!is_bad (index))
    return map_number (pool, index, user_data, error);
  feed_try (feed, index);
  feed_done (feed, index);
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "busy");
  return NULL;
}

static void
check_failures (ShmJob *job, guint64 n, GQuark domain, gint code)
{
  GPtrArray *failures = shm_job_get_failures (job);
  guint64 i;
  guint k = 0;

  for (i = 0; i < n; i++)
    if (is_bad (i))
      {
        ShmFailure *failure = g_ptr_array_index (failures, k++);

        g_assert_cmpuint (shm_failure_get_index (failure), ==, i);
        g_assert_error (shm_failure_get_error (failure), domain, code);
      }
  g_assert_cmpuint (failures->len, ==, k);
}

static void
test_collect (gconstpointer data)
{
  g_auto (Feed) feed;

  feed_init (&feed, 3, data, 600, 50);
  shm_map_reduce_set_failure_policy (feed.pool, SHM_FAILURE_POLICY_COLLECT);
  shm_job_set_feed_func (feed.job, feed_number, &feed, NULL);
  shm_job_set_map_func (feed.job, map_failing, &feed, NULL);
  test_run_job (feed.job);
  check_numbers (feed.job, 600, is_bad);
  check_failures (feed.job, 600, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_assert_cmpuint (shm_job_get_n_done (feed.job), ==, 600);
}

static GVariant *
map_dying (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Feed *feed = user_data;
  guint64 number = get_number (pool, index);

  feed_try (feed, index);
  if (is_bad (index) && feed->tries[index] == 1)
    raise (SIGKILL);
  feed_done (feed, index);
  return g_variant_new_uint64 (number * 3);
}

/* A worker that dies leaves the item where it was. */
static void
test_deaths (void)
{
  static const guint64 windows[] = { 0, 1, 2, 300 };
  guint w;

  for (w = 0; w < G_N_ELEMENTS (windows); w++)
    {
      g_auto (Feed) feed;
      guint64 i;

      feed_init (&feed, 3, GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS), 600, windows[w]);
      shm_map_reduce_set_max_retries (feed.pool, 1);
      shm_job_set_feed_func (feed.job, feed_number, &feed, NULL);
      shm_job_set_map_func (feed.job, map_dying, &feed, NULL);
      test_run_job (feed.job);
      check_numbers (feed.job, 600, NULL);
      g_assert_cmpuint (shm_job_get_failures (feed.job)->len, ==, 0);
      for (i = 0; i < 600; i++)
        g_assert_cmpint (feed.tries[i], ==, is_bad (i) ? -2 : -1);
    }
}

static GVariant *
map_always_dying (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Feed *feed = user_data;

  if (is_bad (index))
    {
      feed_try (feed, index);
      feed_done (feed, index);
      raise (SIGKILL);
    }
  return map_number (pool, index, user_data, error);
}

/* What killed its worker was worked on as well: it counts, and its place in the window is free. */
static void
test_deaths_collected (void)
{
  g_auto (Feed) feed;

  feed_init (&feed, 2, GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS), 400, 10);
  shm_map_reduce_set_failure_policy (feed.pool, SHM_FAILURE_POLICY_COLLECT);
  shm_job_set_feed_func (feed.job, feed_number, &feed, NULL);
  shm_job_set_map_func (feed.job, map_always_dying, &feed, NULL);
  test_run_job (feed.job);
  check_numbers (feed.job, 400, is_bad);
  check_failures (feed.job, 400, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
  g_assert_cmpuint (shm_job_get_n_done (feed.job), ==, 400);
  g_assert_cmpfloat (shm_job_get_fraction (feed.job), ==, 1.0);
}

static void
test_recycled (gconstpointer data)
{
  g_auto (Feed) feed;
  guint64 i;

  feed_init (&feed, 2, data, 500, 20);
  shm_map_reduce_set_max_items_per_worker (feed.pool, 7);
  shm_job_set_feed_func (feed.job, feed_number, &feed, NULL);
  shm_job_set_map_func (feed.job, map_number, &feed, NULL);
  test_run_job (feed.job);
  check_numbers (feed.job, 500, NULL);
  for (i = 0; i < 500; i++)
    g_assert_cmpint (feed.tries[i], ==, -1);
}

static GVariant *
map_hanging (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Feed *feed = user_data;

  feed_try (feed, index);
  while (index % 100 == 50 && feed->tries[index] == 1)
    pause ();
  feed_done (feed, index);
  return g_variant_new_uint64 (get_number (pool, index) * 3);
}

static void
test_timeout (void)
{
  g_auto (Feed) feed;

  feed_init (&feed, 2, GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS), 300, 20);
  shm_map_reduce_set_item_timeout (feed.pool, test_under_valgrind () ? 800 : 200);
  /* Where the processors are busy a good item may take too long as well. */
  shm_map_reduce_set_max_retries (feed.pool, 20);
  shm_job_set_feed_func (feed.job, feed_number, &feed, NULL);
  shm_job_set_map_func (feed.job, map_hanging, &feed, NULL);
  test_run_job (feed.job);
  check_numbers (feed.job, 300, NULL);
  g_assert_cmpint (feed.tries[50], <=, -2);
}

static gboolean
on_tick (gpointer user_data)
{
  Feed *feed = user_data;

  feed->n_ticks++;
  return G_SOURCE_CONTINUE;
}

/* As long as the main loop has not shown that it lives. */
static GVariant *
feed_until_ticks (ShmJob *job, guint64 index, gpointer user_data, GError **error)
{
  Feed *feed = user_data;

  feed_check (feed, index);
  return feed->n_ticks < 5 ? g_variant_new ("(ts)", index, "item") : NULL;
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Feed *feed = user_data;
  g_autoptr (GError) error = NULL;

  g_assert_true (shm_job_run_finish (SHM_JOB (source), result, &error));
  g_assert_no_error (error);
  if (--feed->n_pending == 0)
    g_main_loop_quit (feed->loop);
}

/* Two that are fed at once, beside a main loop that goes on. */
static void
test_async (gconstpointer data)
{
  g_auto (Feed) feed;
  g_auto (Feed) other;
  GSource *ticker = g_timeout_source_new (1);

  feed_init_full (&feed, 2, data, 0, 0, TRUE);
  feed_init_full (&other, 2, GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS), 3000, 10, TRUE);
  if (TEST_SANITIZED && GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_THREAD)
    {
      g_test_skip ("no fork beside threads that allocate");
      g_source_unref (ticker);
      return;
    }
  g_source_set_callback (ticker, on_tick, &feed, NULL);
  g_source_attach (ticker, NULL);
  shm_job_set_output (feed.job, SHM_OUTPUT_NONE);
  shm_job_set_feed_func (feed.job, feed_until_ticks, &feed, feed_freed);
  shm_job_set_map_func (feed.job, map_number, &feed, NULL);
  shm_job_set_feed_func (other.job, feed_number, &other, feed_freed);
  shm_job_set_map_func (other.job, map_number, &other, NULL);
  feed.n_pending = 2;
  shm_job_run_async (feed.job, NULL, on_done, &feed);
  shm_job_run_async (other.job, NULL, on_done, &feed);
  g_main_loop_run (feed.loop);
  check_numbers (other.job, 3000, NULL);
  g_assert_cmpuint (shm_job_get_n_items (feed.job) + 1, ==, feed.n_asked);
  g_assert_cmpuint (shm_job_get_n_done (feed.job), ==, shm_job_get_n_items (feed.job));
  g_assert_cmpuint (feed.n_freed, ==, 1);
  g_assert_cmpuint (other.n_freed, ==, 1);
  g_source_destroy (ticker);
  g_source_unref (ticker);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  /* What GLib makes once and keeps. */
  g_main_context_default ();
  test_start_glib_thread ();

  test_add_for_backends ("feed", "windows", test_windows);
  test_add_for_backends ("feed", "ranges", test_ranges);
  test_add_for_backends ("feed", "cancel", test_cancel);
  test_add_for_backends ("feed", "error", test_error);
  test_add_for_backends ("feed", "collect", test_collect);
  test_add_for_backends ("feed", "recycled", test_recycled);
  test_add_for_backends ("feed", "async", test_async);
  test_add ("/feed/process/deaths", test_deaths);
  test_add ("/feed/process/deaths-collected", test_deaths_collected);
  test_add ("/feed/process/timeout", test_timeout);

  return g_test_run ();
}
