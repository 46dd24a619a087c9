/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <glib-unix.h>
#include <signal.h>
#include <unistd.h>

#define N_TICKS 6

/* What GLib hands from thread to thread, a last reference for example, the thread sanitizer does not see. */
#if defined(__SANITIZE_THREAD__)
#define BLIND TRUE
#else
#define BLIND FALSE
#endif

typedef struct
{
  GMainLoop *loop;
  GThread *thread;
  guint n_pending;
  guint n_ticks;
  int go_on[2]; /* a pipe, or -1 */
  guint n_freed;
  GPtrArray *results;
  GError *error;
} Async;

static void
async_init (Async *async)
{
  *async = (Async){ .loop = g_main_loop_new (g_main_context_get_thread_default (), FALSE),
                    .thread = g_thread_self (),
                    .go_on = { -1, -1 } };
}

static void
async_clear (Async *async)
{
  g_main_loop_unref (async->loop);
  g_clear_pointer (&async->results, g_ptr_array_unref);
  g_clear_error (&async->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Async, async_clear)

static void
on_mapped (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Async *async = user_data;

  g_assert_true (g_thread_self () == async->thread);
  g_clear_pointer (&async->results, g_ptr_array_unref);
  g_clear_error (&async->error);
  async->results = shm_map_reduce_map_finish (SHM_MAP_REDUCE (source), result, &async->error);
  g_assert_true ((async->results != NULL) != (async->error != NULL));
  if (--async->n_pending == 0)
    g_main_loop_quit (async->loop);
}

static gboolean
on_tick (gpointer user_data)
{
  Async *async = user_data;

  if (++async->n_ticks == N_TICKS && async->go_on[1] >= 0)
    g_assert_cmpint (write (async->go_on[1], "", 1), ==, 1);
  return G_SOURCE_CONTINUE;
}

static GVariant *
square (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_uint64 (index * index);
}

static GVariant *
slow_square (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_usleep (2000);
  return g_variant_new_uint64 (index * index);
}

/* The last one waits for the main loop to let it go on. */
static GVariant *
square_after_ticks (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const Async *async = user_data;
  char byte;

  if (index == 99 && async->go_on[0] >= 0)
    g_assert_cmpint (read (async->go_on[0], &byte, 1), ==, 1);
  return slow_square (pool, index, NULL, error);
}

static void
count_freed (gpointer user_data)
{
  Async *async = user_data;

  async->n_freed++;
}

/* The main loop lives on while the workers work, and between the slices of one that is serial. */
static void
test_alive (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_auto (Async) async;
  GSource *ticker = g_timeout_source_new (1);
  guint i;

  async_init (&async);
  if (GPOINTER_TO_UINT (data) != SHM_BACKEND_TYPE_SERIAL)
    g_assert_true (g_unix_open_pipe (async.go_on, FD_CLOEXEC, NULL));
  g_source_set_callback (ticker, on_tick, &async, NULL);
  g_source_attach (ticker, NULL);
  async.n_pending = 1;
  shm_map_reduce_map_async (pool, 100, square_after_ticks, &async, count_freed, NULL, on_mapped,
                            &async);
  g_main_loop_run (async.loop);
  g_assert_no_error (async.error);
  g_assert_cmpuint (async.results->len, ==, 100);
  for (i = 0; i < 100; i++)
    g_assert_cmpuint (g_variant_get_uint64 (g_ptr_array_index (async.results, i)), ==, i * i);
  g_assert_cmpuint (async.n_ticks, >=, N_TICKS);
  g_assert_cmpuint (async.n_freed, ==, 1);
  g_source_destroy (ticker);
  g_source_unref (ticker);
  if (async.go_on[0] >= 0)
    {
      close (async.go_on[0]);
      close (async.go_on[1]);
    }
}

static void
test_several_at_once (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmMapReduce) other = test_pool (3, SHM_BACKEND_TYPE_THREAD);
  g_auto (Async) async;
  guint i;

  async_init (&async);
  if (TEST_SANITIZED && GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_PROCESS)
    {
      g_test_skip ("no fork beside threads that allocate");
      return;
    }
  async.n_pending = 10;
  for (i = 0; i < 10; i++)
    shm_map_reduce_map_async (i % 2 ? pool : other, 1000, square, &async, count_freed, NULL,
                              on_mapped, &async);
  g_main_loop_run (async.loop);
  g_assert_no_error (async.error);
  g_assert_cmpuint (async.n_freed, ==, 10);
}

static void
on_cancelled_job (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Async *async = user_data;

  g_assert_false (shm_job_run_finish (SHM_JOB (source), result, &async->error));
  g_main_loop_quit (async->loop);
}

static GVariant *
cancel_at_ten (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  if (index == 10)
    g_cancellable_cancel (user_data);
  return NULL;
}

/* Cancelled from its own reduce function. */
static void
test_cancel (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, 1000);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (Async) async;

  async_init (&async);
  shm_job_set_map_func (job, slow_square, NULL, NULL);
  shm_job_set_reduce_func (job, cancel_at_ten, cancellable, NULL);
  shm_job_run_async (job, cancellable, on_cancelled_job, &async);
  g_main_loop_run (async.loop);
  g_assert_error (async.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* Cancelled before it starts: the callback comes later all the same. */
static void
test_cancelled_before (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (Async) async;

  async_init (&async);
  g_cancellable_cancel (cancellable);
  async.n_pending = 1;
  shm_map_reduce_map_async (pool, 10, square, &async, count_freed, cancellable, on_mapped, &async);
  g_assert_cmpuint (async.n_pending, ==, 1);
  g_main_loop_run (async.loop);
  g_assert_error (async.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (async.n_freed, ==, 1);
}

static GVariant *
kill_itself (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (index == 5)
    raise (SIGKILL);
  return NULL;
}

static void
test_death (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_auto (Async) async;

  async_init (&async);
  async.n_pending = 1;
  shm_map_reduce_map_async (pool, 10, kill_itself, NULL, NULL, NULL, on_mapped, &async);
  g_main_loop_run (async.loop);
  g_assert_error (async.error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
}

static guint
get_chain_length (void)
{
  return test_under_valgrind () ? 4 : 20;
}

/* The callback may start the next job, and a job of no items ends too. */
static void
on_mapped_again (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Async *async = user_data;
  g_autoptr (GPtrArray) results =
      shm_map_reduce_map_finish (SHM_MAP_REDUCE (source), result, &async->error);

  g_assert_no_error (async->error);
  g_assert_cmpuint (results->len, ==, get_chain_length () - async->n_pending);
  if (--async->n_pending == 0)
    g_main_loop_quit (async->loop);
  else
    shm_map_reduce_map_async (SHM_MAP_REDUCE (source), get_chain_length () - async->n_pending,
                              square, NULL, NULL, NULL, on_mapped_again, async);
}

static void
test_chain (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_auto (Async) async;

  async_init (&async);
  async.n_pending = get_chain_length ();
  shm_map_reduce_map_async (pool, 0, square, NULL, NULL, NULL, on_mapped_again, &async);
  g_main_loop_run (async.loop);
}

/* On the context of another thread. */
static gpointer
run_in_thread (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));

  g_main_context_push_thread_default (context);
  {
    g_auto (Async) async;

    async_init (&async);
    async.n_pending = 1;
    shm_map_reduce_map_async (pool, 100, square, NULL, NULL, NULL, on_mapped, &async);
    g_main_loop_run (async.loop);
    g_assert_no_error (async.error);
  }
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_other_context (gconstpointer data)
{
  g_thread_join (g_thread_new (NULL, run_in_thread, (gpointer) data));
}

/* A blocking map inside of a callback of the main loop, while another job runs on that loop. */
static GVariant *
map_inside (ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  g_autoptr (GPtrArray) results = NULL;

  if (index % (test_under_valgrind () ? 50 : 10) != 0)
    return NULL;
  results = shm_map_reduce_map (pool, 10, NULL, square, NULL, NULL, error);
  if (results != NULL)
    g_assert_cmpuint (g_variant_get_uint64 (g_ptr_array_index (results, 9)), ==, 81);
  return NULL;
}

static void
on_outer_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Async *async = user_data;

  shm_job_run_finish (SHM_JOB (source), result, &async->error);
  g_main_loop_quit (async->loop);
}

static void
test_blocking_inside (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, 100);
  g_auto (Async) async;

  async_init (&async);
  shm_job_set_map_func (job, square, NULL, NULL);
  shm_job_set_reduce_func (job, map_inside, NULL, NULL);
  shm_job_run_async (job, NULL, on_outer_done, &async);
  g_main_loop_run (async.loop);
  g_assert_no_error (async.error);
}

/* A job that its own callbacks drop, as soon as they are called. */
typedef struct
{
  Async *async;
  ShmJob *job;
} Dropper;

static void
on_dropped (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Async *async = user_data;

  g_assert_true (g_thread_self () == async->thread);
  g_assert_true (SHM_IS_JOB (source));
  g_clear_error (&async->error);
  g_assert_false (shm_job_run_finish (SHM_JOB (source), result, &async->error));
  g_assert_error (async->error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_null (shm_job_get_results (SHM_JOB (source)));
  if (--async->n_pending == 0)
    g_main_loop_quit (async->loop);
}

static ShmJob *
new_slow_job (gconstpointer data, Async *async)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  ShmJob *job = shm_job_new (pool, 100000);

  shm_job_set_map_func (job, slow_square, async, count_freed);
  return job;
}

static gboolean
drop_now (gpointer user_data)
{
  Dropper *dropper = user_data;

  g_clear_object (&dropper->job);
  return G_SOURCE_REMOVE;
}

static GVariant *
drop_in_reduce (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  drop_now (user_data);
  return g_variant_ref (result);
}

static gboolean
drop_in_result (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  drop_now (user_data);
  return TRUE;
}

static void
drop_in_signal (ShmJob *job, guint64 index, GVariant *result, gpointer user_data)
{
  drop_now (user_data);
}

static void
drop_in_notify (ShmJob *job, GParamSpec *pspec, gpointer user_data)
{
  drop_now (user_data);
}

/* Wherever the last reference goes, the callback comes, once, and all else ends. */
static void
test_drop (gconstpointer data)
{
  guint how;

  for (how = 0; how < 6; how++)
    {
      g_auto (Async) async;
      Dropper dropper = { &async, NULL };

      async_init (&async);
      async.n_pending = 1;
      dropper.job = new_slow_job (data, &async);
      if (how == 1)
        shm_job_set_reduce_func (dropper.job, drop_in_reduce, &dropper, NULL);
      if (how == 2 || how == 3)
        shm_job_set_output (dropper.job, SHM_OUTPUT_STREAM);
      if (how == 2)
        shm_job_set_result_func (dropper.job, drop_in_result, &dropper, NULL);
      if (how == 3)
        g_signal_connect (dropper.job, "result", G_CALLBACK (drop_in_signal), &dropper);
      if (how == 4)
        g_signal_connect (dropper.job, "notify::n-done", G_CALLBACK (drop_in_notify), &dropper);
      shm_job_run_async (dropper.job, NULL, on_dropped, &async);
      if (how == 0)
        drop_now (&dropper);
      if (how == 5)
        g_idle_add_full (G_PRIORITY_HIGH, drop_now, &dropper, NULL);
      g_main_loop_run (async.loop);
      g_assert_null (dropper.job);
      g_assert_cmpuint (async.n_freed, ==, 1);
    }
}

static void
test_drop_many (gconstpointer data)
{
  const guint n = MAX (10, test_scale (200));
  g_auto (Async) async;
  guint i;

  async_init (&async);
  async.n_pending = n;
  for (i = 0; i < n; i++)
    {
      g_autoptr (ShmJob) job = new_slow_job (data, &async);

      shm_job_run_async (job, NULL, on_dropped, &async);
    }
  g_main_loop_run (async.loop);
  g_assert_cmpuint (async.n_freed, ==, n);
}

/* Either it had ended before, or it was dropped. */
static void
on_perhaps_dropped (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Async *async = user_data;

  g_assert_true (g_thread_self () == async->thread);
  if (!shm_job_run_finish (SHM_JOB (source), result, &async->error))
    g_assert_error (async->error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&async->error);
  if (--async->n_pending == 0)
    g_main_loop_quit (async->loop);
}

static gpointer
drop_in_thread (gpointer data)
{
  GAsyncQueue *queue = data;
  ShmJob *job;
  guint i = 0;

  while ((job = g_async_queue_pop (queue)) != data)
    {
      guint spin = i++ * 7919 % 4000;

      while (spin-- > 0)
        g_atomic_int_get (&i);
      g_object_unref (job);
    }
  return NULL;
}

/* Another thread than the context's drops the last reference, just when the job ends. */
static void
test_drop_elsewhere (gconstpointer data)
{
  const guint n = MAX (10, test_scale (500));
  g_autoptr (GAsyncQueue) queue = g_async_queue_new ();
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  GThread *thread;
  g_auto (Async) async;
  guint i;

  async_init (&async);
  if (BLIND || (TEST_SANITIZED && GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_PROCESS))
    {
      g_test_skip ("not under this sanitizer");
      return;
    }
  thread = g_thread_new (NULL, drop_in_thread, queue);
  for (i = 0; i < n; i++)
    {
      ShmJob *job = shm_job_new (pool, i % 3);

      shm_job_set_map_func (job, square, &async, count_freed);
      async.n_pending = 1;
      shm_job_run_async (job, NULL, on_perhaps_dropped, &async);
      g_async_queue_push (queue, job);
      g_main_loop_run (async.loop);
    }
  g_async_queue_push (queue, queue);
  g_thread_join (thread);
  g_assert_cmpuint (async.n_freed, ==, n);
}

static void
on_kept (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Dropper *dropper = user_data;

  g_assert_true (shm_job_run_finish (dropper->job, result, &dropper->async->error));
  g_assert_cmpuint (shm_job_get_results (dropper->job)->len, ==, 50);
  g_main_loop_quit (dropper->async->loop);
  g_clear_object (&dropper->job);
}

/* The data of the callback hold the job, or, for a plain map, nobody holds anything. */
static void
test_kept (gconstpointer data)
{
  ShmMapReduce *pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_auto (Async) async;
  Dropper dropper = { &async, shm_job_new (pool, 50) };

  async_init (&async);
  shm_job_set_map_func (dropper.job, slow_square, &async, count_freed);
  shm_job_run_async (dropper.job, NULL, on_kept, &dropper);
  g_main_loop_run (async.loop);
  g_assert_null (dropper.job);

  async.n_pending = 1;
  shm_map_reduce_map_async (pool, 50, slow_square, &async, count_freed, NULL, on_mapped, &async);
  g_object_unref (pool);
  g_main_loop_run (async.loop);
  g_assert_no_error (async.error);
  g_assert_cmpuint (async.results->len, ==, 50);
  g_assert_cmpuint (async.n_freed, ==, 2);
}

static gpointer
run_many_in_thread (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmMapReduce) other = test_pool (3, GPOINTER_TO_UINT (data));
  guint n = test_scale (6), i;

  g_main_context_push_thread_default (context);
  {
    g_auto (Async) async;

    async_init (&async);
    async.n_pending = 2 * n;
    for (i = 0; i < n; i++)
      {
        shm_map_reduce_map_async (pool, 30, square, &async, count_freed, NULL, on_mapped, &async);
        shm_map_reduce_map_async (other, 30, square, &async, count_freed, NULL, on_mapped, &async);
      }
    g_main_loop_run (async.loop);
    g_assert_no_error (async.error);
    g_assert_cmpuint (async.n_freed, ==, 2 * n);
  }
  g_main_context_pop_thread_default (context);
  return NULL;
}

/* Two pools with several jobs each, on the contexts of two threads. */
static void
test_two_contexts (gconstpointer data)
{
  GThread *thread;

  if (TEST_SANITIZED && GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_PROCESS)
    {
      g_test_skip ("no fork beside threads that allocate");
      return;
    }
  thread = g_thread_new (NULL, run_many_in_thread, (gpointer) data);
  run_many_in_thread ((gpointer) data);
  g_thread_join (thread);
}

typedef struct
{
  Async *async;
  ShmMapReduce *pool;
  guint n_jobs;
} Starter;

static gpointer
start_in_thread (gpointer data)
{
  Starter *starter = data;
  guint i;

  for (i = 0; i < starter->n_jobs; i++)
    shm_map_reduce_map_async (starter->pool, i % 3, square, NULL, NULL, NULL, on_mapped,
                              starter->async);
  return NULL;
}

/* A thread without a context of its own starts jobs beside the default one, which this one runs. */
static void
test_start_elsewhere (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_auto (Async) async;
  Starter starter = { &async, pool, MAX (10, test_scale (300)) };
  GThread *thread;

  async_init (&async);
  if (BLIND || (TEST_SANITIZED && GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_PROCESS))
    {
      g_test_skip ("not under this sanitizer");
      return;
    }
  async.n_pending = starter.n_jobs;
  thread = g_thread_new (NULL, start_in_thread, &starter);
  g_main_loop_run (async.loop);
  g_assert_no_error (async.error);
  g_thread_join (thread);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  /* What GLib makes once and keeps: the default context, and a thread of its own for tasks. */
  test_chain (GUINT_TO_POINTER (SHM_BACKEND_TYPE_SERIAL));

  test_add_for_backends ("async", "alive", test_alive);
  test_add_for_backends ("async", "several-at-once", test_several_at_once);
  test_add_for_backends ("async", "cancel", test_cancel);
  test_add_for_backends ("async", "cancelled-before", test_cancelled_before);
  test_add_for_backends ("async", "chain", test_chain);
  test_add_for_backends ("async", "other-context", test_other_context);
  test_add_for_backends ("async", "blocking-inside", test_blocking_inside);
  test_add_for_backends ("async", "drop", test_drop);
  test_add_for_backends ("async", "drop-many", test_drop_many);
  test_add_for_backends ("async", "drop-elsewhere", test_drop_elsewhere);
  test_add_for_backends ("async", "kept", test_kept);
  test_add_for_backends ("async", "two-contexts", test_two_contexts);
  test_add_for_backends ("async", "start-elsewhere", test_start_elsewhere);
  test_add ("/async/death", test_death);

  return g_test_run ();
}
