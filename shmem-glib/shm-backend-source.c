/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The source of a job in its main context: ready when a worker has published something, when one of
 * the file descriptors that the backend has added is, or at its ready time. See shm-control.c for
 * why no awakening gets lost.
 */

#include "config.h"

#include "shm-backend-private.h"

#include <unistd.h>

#define DROWSY_TIME 1000 /* µs */

typedef struct
{
  GSource source;
  ShmBackend *backend;
  ShmBackendPending pending;
  ShmBackendDispatch dispatch;
  gint64 drowsy_until; /* monotonic time, µs */
} ShmBackendSource;

static gboolean
shm_backend_source_is_drowsy (ShmBackendSource *self)
{
  return self->drowsy_until != 0 && g_source_get_time (&self->source) < self->drowsy_until;
}

static gboolean
shm_backend_source_is_pending (ShmBackendSource *self, gboolean drowsy)
{
  guint32 asked = shm_load (&self->backend->control->header->asked);

  return asked >= (drowsy ? SHM_ASKED_NOW : SHM_ASKED_SOON) ||
         self->pending (self->backend, drowsy);
}

static gboolean
shm_backend_source_prepare (GSource *source, gint *timeout)
{
  ShmBackendSource *self = (ShmBackendSource *) source;
  gboolean drowsy = shm_backend_source_is_drowsy (self);

  *timeout = drowsy ? DROWSY_TIME / 1000 : -1;
  __atomic_store_n (&self->backend->control->header->sleep, drowsy ? SHM_DROWSY : SHM_ASLEEP,
                    __ATOMIC_SEQ_CST);
  shm_fence ();
  return shm_backend_source_is_pending (self, drowsy);
}

/* GLib looks at the file descriptors itself when this says no. */
static gboolean
shm_backend_source_check (GSource *source)
{
  ShmBackendSource *self = (ShmBackendSource *) source;

  return shm_backend_source_is_pending (self, shm_backend_source_is_drowsy (self));
}

static gboolean
shm_backend_source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  ShmBackendSource *self = (ShmBackendSource *) source;
  ShmControlHeader *header = self->backend->control->header;
  guint64 count;

  shm_store (&header->sleep, SHM_AWAKE);
  __atomic_exchange_n (&header->asked, SHM_NOT_ASKED, __ATOMIC_SEQ_CST);
  /* Nothing to read is fine as well. */
  if (read (self->backend->control->event_fd, &count, sizeof count) < 0)
    count = 0;
  self->drowsy_until = g_get_monotonic_time () + DROWSY_TIME;
  self->dispatch (self->backend);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
  .prepare = shm_backend_source_prepare,
  .check = shm_backend_source_check,
  .dispatch = shm_backend_source_dispatch,
};

GSource *
shm_backend_source_new (ShmBackend *backend, ShmBackendPending pending, ShmBackendDispatch dispatch)
{
  GSource *source = g_source_new (&source_funcs, sizeof (ShmBackendSource));
  ShmBackendSource *self = (ShmBackendSource *) source;

  self->backend = backend;
  self->pending = pending;
  self->dispatch = dispatch;
  g_source_set_static_name (source, "shmem-glib job");
  g_source_add_unix_fd (source, backend->control->event_fd, G_IO_IN);
  return source;
}
