/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* One main context run by another one: a source of the outer context that is ready when something
 * of the inner one is.
 *
 * At each prepare the inner context is prepared and queried; what it would poll, its own wake-up
 * among it, is mirrored in the source, and so polled by the outer context, for no longer than the
 * inner one would. If a mirrored descriptor is ready then, or the time is over, dispatch gives the
 * inner context one turn, in which it polls for itself. So nothing but the descriptors is kept from
 * one step to the next, and the inner context may be run by others in between, and the outer one
 * recursively. What becomes ready between two steps is seen by the next prepare.
 */

#include "config.h"

#include "shm-context-source-private.h"

typedef struct
{
  GSource source;
  GMainContext *inner;
  GArray *poll_fds; /* of GPollFD: what the inner context polls */
  GArray *mirrored; /* of ShmMirroredFd: the same, as the outer one knows it */
  gint64 deadline;  /* monotonic time, µs; -1: none */
} ShmContextSource;

typedef struct
{
  int fd;
  gushort events;
  gpointer tag;
} ShmMirroredFd;

static gboolean
shm_context_source_is_mirrored (ShmContextSource *self)
{
  guint i;

  if (self->mirrored->len != self->poll_fds->len)
    return FALSE;
  for (i = 0; i < self->poll_fds->len; i++)
    {
      const GPollFD *poll_fd = &g_array_index (self->poll_fds, GPollFD, i);
      const ShmMirroredFd *mirrored = &g_array_index (self->mirrored, ShmMirroredFd, i);

      if (mirrored->fd != poll_fd->fd || mirrored->events != poll_fd->events)
        return FALSE;
    }
  return TRUE;
}

static void
shm_context_source_mirror (ShmContextSource *self)
{
  guint i;

  if (shm_context_source_is_mirrored (self))
    return;
  for (i = 0; i < self->mirrored->len; i++)
    g_source_remove_unix_fd (&self->source, g_array_index (self->mirrored, ShmMirroredFd, i).tag);
  g_array_set_size (self->mirrored, 0);
  for (i = 0; i < self->poll_fds->len; i++)
    {
      const GPollFD *poll_fd = &g_array_index (self->poll_fds, GPollFD, i);
      ShmMirroredFd mirrored = {
        .fd = poll_fd->fd,
        .events = poll_fd->events,
        .tag = g_source_add_unix_fd (&self->source, poll_fd->fd, poll_fd->events),
      };

      g_array_append_val (self->mirrored, mirrored);
    }
}

/* Returns how long the inner context would poll, in milliseconds, or -1. */
static gint
shm_context_source_query (ShmContextSource *self)
{
  gint timeout, n_fds;

  while ((n_fds = g_main_context_query (self->inner, G_MAXINT, &timeout,
                                        (GPollFD *) (gpointer) self->poll_fds->data,
                                        (gint) self->poll_fds->len)) > (gint) self->poll_fds->len)
    g_array_set_size (self->poll_fds, n_fds);
  g_array_set_size (self->poll_fds, n_fds);
  return timeout;
}

static gboolean
shm_context_source_prepare (GSource *source, gint *timeout)
{
  ShmContextSource *self = (ShmContextSource *) source;
  gboolean ready;

  *timeout = -1;
  /* Another thread runs it now. */
  if (!g_main_context_acquire (self->inner))
    return FALSE;
  ready = g_main_context_prepare (self->inner, NULL);
  if (!ready)
    {
      *timeout = shm_context_source_query (self);
      shm_context_source_mirror (self);
    }
  g_main_context_release (self->inner);
  self->deadline = *timeout < 0 ? -1 : g_source_get_time (source) + (gint64) *timeout * 1000;
  return ready;
}

static gboolean
shm_context_source_check (GSource *source)
{
  ShmContextSource *self = (ShmContextSource *) source;
  guint i;

  for (i = 0; i < self->mirrored->len; i++)
    if (g_source_query_unix_fd (source, g_array_index (self->mirrored, ShmMirroredFd, i).tag))
      return TRUE;
  return self->deadline >= 0 && g_source_get_time (source) >= self->deadline;
}

static gboolean
shm_context_source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  ShmContextSource *self = (ShmContextSource *) source;

  g_main_context_iteration (self->inner, FALSE);
  return callback (user_data);
}

static void
shm_context_source_finalize (GSource *source)
{
  ShmContextSource *self = (ShmContextSource *) source;

  g_clear_pointer (&self->inner, g_main_context_unref);
  g_clear_pointer (&self->poll_fds, g_array_unref);
  g_clear_pointer (&self->mirrored, g_array_unref);
}

static GSourceFuncs source_funcs = {
  .prepare = shm_context_source_prepare,
  .check = shm_context_source_check,
  .dispatch = shm_context_source_dispatch,
  .finalize = shm_context_source_finalize,
};

GSource *
shm_context_source_new (GMainContext *inner)
{
  GSource *source = g_source_new (&source_funcs, sizeof (ShmContextSource));
  ShmContextSource *self = (ShmContextSource *) source;

  self->inner = g_main_context_ref (inner);
  self->poll_fds = g_array_new (FALSE, TRUE, sizeof (GPollFD));
  self->mirrored = g_array_new (FALSE, FALSE, sizeof (ShmMirroredFd));
  self->deadline = -1;
  g_source_set_static_name (source, "shmem-glib context");
  return source;
}
