/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-background.h"

#include <signal.h>
#include <sys/resource.h>

#define N_FDS 16

static gpointer
cancel_when_begun (gpointer data)
{
  gpointer *args = data;
  Call *call = args[0];

  get_byte (call->begun);
  g_cancellable_cancel (args[1]);
  return NULL;
}

/* The wait ends, from another thread too, and the call goes on. */
static void
test_cancelled_wait (void)
{
  g_autoptr (ShmBackground) background = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GVariant) result = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Call) call;
  gpointer args[] = { &call, cancellable };
  GThread *thread;

  call_init (&call);
  background = begin_with (wait_to_be_let, &call, count_freed);
  thread = g_thread_new (NULL, cancel_when_begun, args);
  g_assert_null (shm_background_wait (background, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_thread_join (thread);
  g_assert_true (shm_background_is_running (background));
  g_assert_null (shm_background_get_failure (background));
  g_assert_cmpuint (call.n_freed, ==, 0);

  g_assert_null (shm_background_wait (background, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);

  put_byte (call.go_on);
  result = shm_background_wait (background, NULL, &error);
  g_assert_no_error (error);
  assert_other_process (result);
  g_assert_cmpuint (call.n_freed, ==, 1);
}

static void
test_cancelled_wait_async (void)
{
  g_autoptr (ShmBackground) background = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (Call) call;

  call_init (&call);
  background = begin (wait_to_be_let, &call);
  wait_async (background, &call, cancellable);
  g_cancellable_cancel (cancellable);
  g_main_loop_run (call.loop);
  g_assert_error (call.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (shm_background_is_running (background));

  wait_async (background, &call, cancellable);
  g_assert_cmpuint (call.n_pending, ==, 1);
  g_main_loop_run (call.loop);
  g_assert_error (call.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);

  put_byte (call.go_on);
  wait_async (background, &call, NULL);
  g_main_loop_run (call.loop);
  g_assert_no_error (call.error);
  assert_other_process (call.result);
}

static void
test_cancel (void)
{
  g_autoptr (ShmBackground) background = NULL;
  g_autoptr (GError) error = NULL;
  TestLeftovers before;
  g_auto (Call) call;

  call_init (&call);
  test_leftovers_take (&before);
  background = begin_with (wait_to_be_let, &call, count_freed);
  get_byte (call.begun);
  wait_async (background, &call, NULL);
  shm_background_cancel (background);
  g_assert_cmpuint (call.n_freed, ==, 1);
  g_assert_false (shm_background_is_running (background));
  g_assert_null (shm_background_get_failure (background));
  g_assert_null (shm_background_wait (background, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_main_loop_run (call.loop);
  g_assert_error (call.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  test_leftovers_check (&before);
  shm_background_cancel (background);
}

/* What has been answered is not taken back. */
static void
test_cancel_after_end (void)
{
  g_autoptr (ShmBackground) background = begin (get_pid, NULL);
  g_autoptr (GVariant) first = shm_background_wait (background, NULL, NULL);
  g_autoptr (GVariant) second = NULL;
  g_autoptr (GError) error = NULL;

  shm_background_cancel (background);
  second = shm_background_wait (background, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpvariant (first, second);
}

static GVariant *
be_deaf (gpointer user_data, GError **error)
{
  signal (SIGTERM, SIG_IGN);
  return wait_to_be_let (user_data, error);
}

static void
test_drop (gconstpointer data)
{
  gboolean begun = GPOINTER_TO_INT (data);
  ShmBackground *background;
  TestLeftovers before;
  g_auto (Call) call;

  call_init (&call);
  test_leftovers_take (&before);
  background = begin_with (begun ? be_deaf : wait_to_be_let, &call, count_freed);
  if (begun)
    get_byte (call.begun);
  g_assert_cmpuint (call.n_freed, ==, 0);
  g_object_unref (background);
  g_assert_cmpuint (call.n_freed, ==, 1);
  test_leftovers_check (&before);
}

/* The child has ended, or waits to be rid of its result. */
static void
test_drop_ended (gconstpointer data)
{
  ShmBackground *background = begin (data != NULL ? get_large : get_nothing, NULL);

  g_object_unref (background);
}

static void
test_drop_while_waited_for (void)
{
  ShmBackground *background;
  g_auto (Call) call;

  call_init (&call);
  background = begin_with (wait_to_be_let, &call, count_freed);
  wait_async (background, &call, NULL);
  g_object_unref (background);
  get_byte (call.begun);
  g_assert_cmpuint (call.n_freed, ==, 0);
  put_byte (call.go_on);
  g_main_loop_run (call.loop);
  g_assert_no_error (call.error);
  assert_other_process (call.result);
  g_assert_cmpuint (call.n_freed, ==, 1);
}

/* Ends the last wait, which held the last reference. */
static void
test_drop_by_cancelled_wait (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  ShmBackground *background;
  g_auto (Call) call;

  call_init (&call);
  background = begin_with (wait_to_be_let, &call, count_freed);
  wait_async (background, &call, cancellable);
  g_object_unref (background);
  get_byte (call.begun);
  g_cancellable_cancel (cancellable);
  g_main_loop_run (call.loop);
  g_assert_error (call.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (call.n_freed, ==, 1);
}

/* The data of the call holds its background, as closures do. */
static void
drop_and_count (gpointer user_data)
{
  gpointer *args = user_data;

  count_freed (args[0]);
  g_object_unref (args[1]);
}

static void
test_cycle (void)
{
  gpointer args[2];
  g_auto (Call) call;

  call_init (&call);
  args[0] = &call;
  args[1] = begin_with (get_nothing, args, drop_and_count);
  wait_async (args[1], &call, NULL);
  g_main_loop_run (call.loop);
  g_assert_no_error (call.error);
  g_assert_cmpuint (call.n_freed, ==, 1);
}

static GVariant *
cancel_itself (gpointer user_data, GError **error)
{
  shm_background_cancel (*(ShmBackground **) user_data);
  return NULL;
}

/* A serial call whose main loop is run inside of it, and which cancels itself. */
static GVariant *
run_loop (gpointer user_data, GError **error)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
  return cancel_itself (user_data, error);
}

static void
test_serial_cancels_itself (gconstpointer data)
{
  ShmBackground *background;
  g_auto (Call) call;

  call_init (&call);
  shm_set_debug (TRUE);
  background = begin (run_loop, &background);
  shm_set_debug (FALSE);
  wait_async (background, &call, NULL);
  if (data != NULL)
    g_assert_null (shm_background_wait (background, NULL, NULL));
  g_main_loop_run (call.loop);
  g_assert_error (call.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_object_unref (background);
}

/* With however few descriptors there is an answer, or a clear error, and nothing is lost. */
static void
test_few_fds (void)
{
  struct rlimit before, few;
  guint n_left, n_good = 0;
  g_auto (Call) call;

  call_init (&call);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  few = before;
  few.rlim_cur = 64;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);
  for (n_left = 0; n_left < N_FDS; n_left++)
    {
      g_autoptr (GArray) fds = g_array_new (FALSE, FALSE, sizeof (int));
      g_autoptr (ShmBackground) background = NULL;
      g_autoptr (GError) error = NULL;
      int fd;
      guint i;

      while ((fd = dup (call.begun[0])) >= 0)
        g_array_append_val (fds, fd);
      for (i = 0; i < fds->len; i++)
        {
          if (i == n_left)
            background = shm_background_new (get_nothing, &call, count_freed, &error);
          close (g_array_index (fds, int, i));
        }
      if (background != NULL)
        shm_background_wait (background, NULL, &error);
      g_assert_cmpuint (call.n_freed, ==, n_left + 1);
      if (error == NULL)
        n_good++;
      else if (background != NULL)
        g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_WORKERS);
      else
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
    }
  g_assert_cmpuint (n_good, >, 0);
  g_assert_cmpuint (n_good, <, N_FDS);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  warm_up ();

  test_add ("/background-end/cancelled-wait", test_cancelled_wait);
  test_add ("/background-end/cancelled-wait-async", test_cancelled_wait_async);
  test_add ("/background-end/cancel", test_cancel);
  test_add ("/background-end/cancel-after-end", test_cancel_after_end);
  test_add_data ("/background-end/drop/running", GINT_TO_POINTER (TRUE), test_drop);
  test_add_data ("/background-end/drop/at-once", GINT_TO_POINTER (FALSE), test_drop);
  test_add_data ("/background-end/drop/ended", GINT_TO_POINTER (FALSE), test_drop_ended);
  test_add_data ("/background-end/drop/sending", GINT_TO_POINTER (TRUE), test_drop_ended);
  test_add ("/background-end/drop/while-waited-for", test_drop_while_waited_for);
  test_add ("/background-end/drop/by-cancelled-wait", test_drop_by_cancelled_wait);
  test_add ("/background-end/cycle", test_cycle);
  test_add_data ("/background-end/serial/cancels-itself", GINT_TO_POINTER (FALSE),
                 test_serial_cancels_itself);
  test_add_data ("/background-end/serial/cancels-itself-waiting", GINT_TO_POINTER (TRUE),
                 test_serial_cancels_itself);
  test_add ("/background-end/few-fds", test_few_fds);

  return g_test_run ();
}
