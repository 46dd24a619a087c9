/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* A source that is ready once a cancellable is cancelled, in whatever thread. Its callback is a GCancellableSourceFunc.
 *
 * That of GLib revives itself if it is dropped while another thread cancels, and may then be lost. Here the handler knows nothing
 * of the source, only the context that is to look again, which it holds.
 */

#include "config.h"

#include "shm-cancel-source-private.h"

typedef struct
{
  GSource source;
  GCancellable *cancellable;
  gulong handler;
} ShmCancelSource;

static gboolean
shm_cancel_source_prepare (GSource *source, gint *timeout)
{
  *timeout = -1;
  return g_cancellable_is_cancelled (((ShmCancelSource *) source)->cancellable);
}

static gboolean
shm_cancel_source_check (GSource *source)
{
  return g_cancellable_is_cancelled (((ShmCancelSource *) source)->cancellable);
}

static gboolean
shm_cancel_source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  return ((GCancellableSourceFunc) (GCallback) callback) (((ShmCancelSource *) source)->cancellable,
                                                          user_data);
}

/* Does not wait for a handler that runs in another thread, as g_cancellable_disconnect () would. */
static void
shm_cancel_source_finalize (GSource *source)
{
  ShmCancelSource *self = (ShmCancelSource *) source;

  g_signal_handler_disconnect (self->cancellable, self->handler);
  g_object_unref (self->cancellable);
}

static GSourceFuncs source_funcs = {
  .prepare = shm_cancel_source_prepare,
  .check = shm_cancel_source_check,
  .dispatch = shm_cancel_source_dispatch,
  .finalize = shm_cancel_source_finalize,
};

static void
shm_cancel_source_cancelled (GCancellable *cancellable, gpointer context)
{
  g_main_context_wakeup (context);
}

static void
shm_cancel_source_unref_context (gpointer context, GClosure *closure)
{
  g_main_context_unref (context);
}

/* To be attached to the context, and to no other. */
GSource *
shm_cancel_source_new (GCancellable *cancellable, GMainContext *context)
{
  GSource *source = g_source_new (&source_funcs, sizeof (ShmCancelSource));
  ShmCancelSource *self = (ShmCancelSource *) source;

  self->cancellable = g_object_ref (cancellable);
  self->handler = g_signal_connect_data (
      cancellable, "cancelled", G_CALLBACK (shm_cancel_source_cancelled),
      g_main_context_ref (context), shm_cancel_source_unref_context, (GConnectFlags) 0);
  g_source_set_static_name (source, "shmem-glib cancellation");
  return source;
}
