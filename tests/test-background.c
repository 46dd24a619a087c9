/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-background.h"

#include <signal.h>
#include <stdlib.h>

#define N_TICKS 5

static void
test_result (void)
{
  g_autoptr (ShmBackground) background = begin (get_pid, NULL);
  g_autoptr (GVariant) first = NULL;
  g_autoptr (GVariant) second = NULL;
  g_autoptr (GError) error = NULL;

  first = shm_background_wait (background, NULL, &error);
  g_assert_no_error (error);
  assert_other_process (first);
  g_assert_false (g_variant_is_floating (first));
  g_assert_false (shm_background_is_running (background));
  g_assert_null (shm_background_get_failure (background));

  second = shm_background_wait (background, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpvariant (first, second);
}

static void
test_no_result (void)
{
  g_autoptr (ShmBackground) background = begin (get_nothing, NULL);
  g_autoptr (GError) error = NULL;
  guint i;

  for (i = 0; i < 2; i++)
    {
      g_assert_null (shm_background_wait (background, NULL, &error));
      g_assert_no_error (error);
    }
}

static void
test_large_result (void)
{
  g_autoptr (ShmBackground) background = begin (get_large, NULL);
  g_autoptr (GVariant) result = NULL;
  g_autoptr (GError) error = NULL;
  const guint8 *bytes;
  gsize length, i;

  result = shm_background_wait (background, NULL, &error);
  g_assert_no_error (error);
  bytes = g_variant_get_fixed_array (result, &length, 1);
  g_assert_cmpuint (length, ==, LARGE);
  for (i = 0; i < LARGE; i++)
    if (bytes[i] != i % 251)
      g_error ("byte %" G_GSIZE_FORMAT " is wrong", i);
}

static GVariant *
return_error (gpointer user_data, GError **error)
{
  g_set_error_literal (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC, "the disk is full");
  return NULL;
}

static void
test_error (void)
{
  g_autoptr (ShmBackground) background = begin (return_error, NULL);
  ShmFailure *failure;
  guint i;

  g_assert_null (shm_background_get_failure (background));
  for (i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (shm_background_wait (background, NULL, &error));
      g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC);
      g_assert_cmpstr (error->message, ==, "the disk is full");
    }
  g_assert_null (shm_background_wait (background, NULL, NULL));

  failure = shm_background_get_failure (background);
  g_assert_cmpint (shm_failure_get_kind (failure), ==, SHM_FAILURE_KIND_ERROR);
  g_assert_cmpint (shm_failure_get_pid (failure), ==, 0);
  g_assert_null (shm_failure_get_traceback (failure));
}

/* Told from the innermost work function, of a pool inside of the call. */
static GVariant *
fail_from_inside (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (GError) why = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_BUSY, "not now");

  shm_background_fail (why, "in fail_from_inside ()", g_variant_new_string ("a payload"));
  return NULL;
}

static GVariant *
fail_with_more (gpointer user_data, GError **error)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;

  results = shm_map_reduce_map (pool, 1, NULL, fail_from_inside, NULL, NULL, NULL);
  g_assert_nonnull (results);
  return g_variant_new_string ("counts for nothing");
}

static void
test_fail (void)
{
  g_autoptr (ShmBackground) background = begin (fail_with_more, NULL);
  g_autoptr (GError) error = NULL;
  ShmFailure *failure;

  g_assert_null (shm_background_wait (background, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_assert_cmpstr (error->message, ==, "not now");
  failure = shm_background_get_failure (background);
  g_assert_cmpstr (shm_failure_get_traceback (failure), ==, "in fail_from_inside ()");
  g_assert_cmpstr (g_variant_get_string (shm_failure_get_payload (failure), NULL), ==, "a payload");
}

static GVariant *
kill_itself (gpointer user_data, GError **error)
{
  raise (SIGKILL);
  return NULL;
}

static GVariant *
exit_with_3 (gpointer user_data, GError **error)
{
  exit (3);
}

typedef struct
{
  ShmBackgroundFunc func;
  ShmError code;
  ShmFailureKind kind;
  int status;
  const char *expected; /* after the process */
} Death;

static const Death killed = { kill_itself, SHM_ERROR_WORKER_SIGNAL, SHM_FAILURE_KIND_SIGNAL,
                              SIGKILL, "the worker was killed by signal 9 *" };
static const Death exited = { exit_with_3, SHM_ERROR_WORKER_EXIT, SHM_FAILURE_KIND_EXIT, 3,
                              "the worker exited with status 3" };

static void
test_death (gconstpointer data)
{
  const Death *death = data;
  g_autoptr (ShmBackground) background = begin (death->func, NULL);
  g_autofree char *pattern = NULL;
  ShmFailure *failure;
  guint i;

  for (i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (shm_background_wait (background, NULL, &error));
      g_assert_error (error, SHM_ERROR, (int) death->code);
      failure = shm_background_get_failure (background);
      g_assert_nonnull (failure);
      g_free (pattern);
      pattern = g_strdup_printf ("Process %d: %s", shm_failure_get_pid (failure), death->expected);
      g_assert_true (g_pattern_match_simple (pattern, error->message));
      g_assert_cmpint (shm_failure_get_kind (failure), ==, death->kind);
      g_assert_cmpint (shm_failure_get_status (failure), ==, death->status);
    }
}

static gboolean
on_tick (gpointer user_data)
{
  Call *call = user_data;

  if (++call->n_ticks == N_TICKS)
    put_byte (call->go_on);
  return G_SOURCE_CONTINUE;
}

/* The call waits for the main loop, which is alive, to let it go on. */
static void
test_async (void)
{
  g_autoptr (ShmBackground) background = NULL;
  GSource *ticker = g_timeout_source_new (1);
  g_auto (Call) call;
  gint pid;

  call_init (&call);
  background = begin_with (wait_to_be_let, &call, count_freed);
  g_source_set_callback (ticker, on_tick, &call, NULL);
  g_source_attach (ticker, g_main_context_get_thread_default ());
  wait_async (background, &call, NULL);
  wait_async (background, &call, NULL);
  g_main_loop_run (call.loop);
  g_assert_no_error (call.error);
  assert_other_process (call.result);
  g_assert_cmpuint (call.n_ticks, >=, N_TICKS);
  g_assert_cmpuint (call.n_freed, ==, 1);

  /* After the end. */
  pid = g_variant_get_int32 (call.result);
  wait_async (background, &call, NULL);
  g_assert_cmpuint (call.n_pending, ==, 1);
  g_main_loop_run (call.loop);
  g_assert_cmpint (g_variant_get_int32 (call.result), ==, pid);
  g_source_destroy (ticker);
  g_source_unref (ticker);
}

static gpointer
run_in_thread (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  test_async ();
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_other_context (void)
{
  run_in_thread (NULL);
}

static void
test_other_thread (void)
{
  g_thread_join (g_thread_new (NULL, run_in_thread, NULL));
}

static void
wait_async_for (ShmBackgroundFunc func, Call *call)
{
  g_autoptr (ShmBackground) background = begin (func, NULL);

  wait_async (background, call, NULL);
  g_main_loop_run (call->loop);
}

static void
test_async_answers (void)
{
  g_auto (Call) call;

  call_init (&call);
  wait_async_for (get_nothing, &call);
  g_assert_no_error (call.error);
  g_assert_null (call.result);
  wait_async_for (get_large, &call);
  g_assert_no_error (call.error);
  g_assert_cmpuint (g_variant_get_size (call.result), ==, LARGE);
  wait_async_for (return_error, &call);
  g_assert_error (call.error, G_FILE_ERROR, G_FILE_ERROR_NOSPC);
  g_assert_null (call.result);
  wait_async_for (kill_itself, &call);
  g_assert_error (call.error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
}

/* Each is let go on when the other one has begun, so they must run at the same time. */
static void
test_two_at_once (void)
{
  g_autoptr (ShmBackground) first = NULL;
  g_autoptr (ShmBackground) second = NULL;
  g_autoptr (GVariant) result = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Call) call;

  call_init (&call);
  first = begin (wait_to_be_let, &call);
  second = begin (wait_to_be_let, &call);
  get_byte (call.begun);
  get_byte (call.begun);
  g_assert_true (shm_background_is_running (first));
  g_assert_true (shm_background_is_running (second));
  put_byte (call.go_on);
  put_byte (call.go_on);
  wait_async (second, &call, NULL);
  result = shm_background_wait (first, NULL, &error);
  g_assert_no_error (error);
  g_main_loop_run (call.loop);
  g_assert_no_error (call.error);
  g_assert_cmpint (g_variant_get_int32 (result), !=, g_variant_get_int32 (call.result));
}

static GVariant *
look_at_it (gpointer user_data, GError **error)
{
  ShmBackground **background = user_data;
  g_autoptr (GError) own = NULL;

  g_assert_true (shm_background_is_running (*background));
  g_assert_null (shm_background_wait (*background, NULL, &own));
  g_assert_error (own, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  return get_pid (NULL, error);
}

/* It is not called before it is waited for. */
static void
test_serial (void)
{
  g_autoptr (ShmBackground) background = NULL;
  g_autoptr (ShmBackground) unused = NULL;
  g_autoptr (ShmBackground) cancelled = NULL;
  g_autoptr (GVariant) result = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Call) call;

  call_init (&call);
  shm_set_debug (TRUE);
  background = begin (look_at_it, &background);
  unused = begin_with (wait_to_be_let, &call, count_freed);
  cancelled = begin_with (wait_to_be_let, &call, count_freed);
  shm_set_debug (FALSE);

  g_assert_true (shm_background_is_running (background));
  result = shm_background_wait (background, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_variant_get_int32 (result), ==, getpid ());
  g_assert_false (shm_background_is_running (background));

  shm_background_cancel (cancelled);
  g_assert_null (shm_background_wait (cancelled, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_object (&unused);
  g_assert_cmpuint (call.n_freed, ==, 2);
}

static GVariant *
background_inside (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (ShmBackground) background = shm_background_new (get_pid, NULL, NULL, error);
  g_autoptr (GVariant) result = shm_background_wait (background, NULL, error);

  g_assert_cmpint (g_variant_get_int32 (result), ==, getpid ());
  return NULL;
}

static void
test_in_work_function (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  results = shm_map_reduce_map (pool, 20, NULL, background_inside, NULL, NULL, &error);
  g_assert_no_error (error);
}

/* A process that inherits it must leave it alone. */
static GVariant *
misuse (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  ShmBackground *background = user_data;
  g_autoptr (GError) own = NULL;

  g_assert_null (shm_background_wait (background, NULL, &own));
  g_assert_error (own, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  g_assert_true (shm_background_is_running (background));
  shm_background_cancel (background);
  g_object_unref (background);
  return NULL;
}

static void
test_inherited (void)
{
  g_autoptr (ShmBackground) background = NULL;
  g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GVariant) result = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Call) call;

  call_init (&call);
  background = begin_with (wait_to_be_let, &call, count_freed);
  results = shm_map_reduce_map (pool, 1, NULL, misuse, NULL, background, &error);
  g_assert_no_error (error);
  g_assert_true (shm_background_is_running (background));
  put_byte (call.go_on);
  result = shm_background_wait (background, NULL, &error);
  g_assert_no_error (error);
  assert_other_process (result);
}

static void
test_never_begun (void)
{
  g_autoptr (ShmBackground) background = g_object_new (SHM_TYPE_BACKGROUND, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (shm_background_is_running (background));
  shm_background_cancel (background);
  g_assert_null (shm_background_wait (background, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
}

static GVariant *
get_number (gpointer user_data, GError **error)
{
  return g_variant_new_uint32 (GPOINTER_TO_UINT (user_data));
}

static void
test_many (void)
{
  guint n = test_scale (50), i;

  for (i = 0; i < n; i++)
    {
      g_autoptr (ShmBackground) background = begin (get_number, GUINT_TO_POINTER (i));
      g_autoptr (GVariant) result = NULL;
      g_autoptr (GError) error = NULL;

      result = shm_background_wait (background, NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpuint (g_variant_get_uint32 (result), ==, i);
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  warm_up ();

  test_add ("/background/result", test_result);
  test_add ("/background/no-result", test_no_result);
  test_add ("/background/large-result", test_large_result);
  test_add ("/background/error", test_error);
  test_add ("/background/fail", test_fail);
  test_add_data ("/background/killed", &killed, test_death);
  test_add_data ("/background/exited", &exited, test_death);
  test_add ("/background/async", test_async);
  test_add ("/background/async-answers", test_async_answers);
  test_add ("/background/other-context", test_other_context);
  test_add ("/background/other-thread", test_other_thread);
  test_add ("/background/two-at-once", test_two_at_once);
  test_add ("/background/serial/called-late", test_serial);
  test_add_for_backends ("background", "in-work-function", test_in_work_function);
  test_add ("/background/inherited", test_inherited);
  test_add ("/background/never-begun", test_never_begun);
  test_add ("/background/many", test_many);

  return g_test_run ();
}
