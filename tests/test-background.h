/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What the tests of ShmBackground have in common. */

#pragma once

#include "test-util.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <unistd.h>

#define LARGE (8 * 1024 * 1024)

/* A call that tells when it has begun, and goes on when it is let; and what becomes of it. */
typedef struct
{
  int begun[2];
  int go_on[2];
  pid_t caller;
  GThread *thread;
  guint n_freed;
  GMainLoop *loop;
  guint n_pending;
  guint n_ticks;
  GVariant *result;
  GError *error;
} Call;

static inline void
call_init (Call *call)
{
  *call = (Call){ .caller = getpid (), .thread = g_thread_self () };
  g_assert_true (g_unix_open_pipe (call->begun, FD_CLOEXEC, NULL));
  g_assert_true (g_unix_open_pipe (call->go_on, FD_CLOEXEC, NULL));
  call->loop = g_main_loop_new (g_main_context_get_thread_default (), FALSE);
}

static inline void
call_clear (Call *call)
{
  close (call->begun[0]);
  close (call->begun[1]);
  close (call->go_on[0]);
  close (call->go_on[1]);
  g_main_loop_unref (call->loop);
  g_clear_pointer (&call->result, g_variant_unref);
  g_clear_error (&call->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Call, call_clear)

static inline void
put_byte (const int fds[2])
{
  g_assert_cmpint (write (fds[1], "", 1), ==, 1);
}

static inline void
get_byte (const int fds[2])
{
  char byte;

  g_assert_cmpint (read (fds[0], &byte, 1), ==, 1);
}

static inline GVariant *
wait_to_be_let (gpointer user_data, GError **error)
{
  Call *call = user_data;

  put_byte (call->begun);
  get_byte (call->go_on);
  return g_variant_new_int32 (getpid ());
}

static inline void
count_freed (gpointer user_data)
{
  Call *call = user_data;

  g_assert_cmpint (getpid (), ==, call->caller);
  g_assert_true (g_thread_self () == call->thread);
  call->n_freed++;
}

static inline ShmBackground *
begin_with (ShmBackgroundFunc func, gpointer user_data, GDestroyNotify destroy)
{
  g_autoptr (GError) error = NULL;
  ShmBackground *background = shm_background_new (func, user_data, destroy, &error);

  g_assert_no_error (error);
  g_assert_nonnull (background);
  return background;
}

static inline ShmBackground *
begin (ShmBackgroundFunc func, gpointer user_data)
{
  return begin_with (func, user_data, NULL);
}

static inline void
assert_other_process (GVariant *result)
{
  g_assert_nonnull (result);
  g_assert_cmpint (g_variant_get_int32 (result), !=, getpid ());
}

static inline GVariant *
get_pid (gpointer user_data, GError **error)
{
  return g_variant_new_int32 (getpid ());
}

static inline GVariant *
get_nothing (gpointer user_data, GError **error)
{
  return NULL;
}

static inline GVariant *
get_large (gpointer user_data, GError **error)
{
  guint8 *bytes = g_malloc (LARGE);
  gsize i;

  for (i = 0; i < LARGE; i++)
    bytes[i] = i % 251;
  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, LARGE, TRUE, g_free, bytes);
}

static inline void
on_waited (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Call *call = user_data;

  g_assert_true (g_thread_self () == call->thread);
  g_clear_pointer (&call->result, g_variant_unref);
  g_clear_error (&call->error);
  call->result = shm_background_wait_finish (SHM_BACKGROUND (source), result, &call->error);
  if (--call->n_pending == 0)
    g_main_loop_quit (call->loop);
}

static inline void
wait_async (ShmBackground *background, Call *call, GCancellable *cancellable)
{
  call->n_pending++;
  shm_background_wait_async (background, cancellable, on_waited, call);
}

/* GLib makes the default context, and a thread of its own for tasks, once, and keeps them. */
static inline void
warm_up (void)
{
  g_autoptr (ShmBackground) background = NULL;
  g_auto (Call) call;

  call_init (&call);
  shm_set_debug (TRUE);
  background = begin (get_nothing, NULL);
  shm_set_debug (FALSE);
  wait_async (background, &call, NULL);
  g_main_loop_run (call.loop);
  g_assert_no_error (call.error);
}
