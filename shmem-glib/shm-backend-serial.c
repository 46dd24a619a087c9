/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The caller as its own and only worker, of rank 0: a source in the job's main context that works
 * on ranges for a few milliseconds at a time, so that a main loop stays alive if the items are
 * short.
 */

#include "config.h"

#include "shm-backend-private.h"

#include "shm-schedule-private.h"

#define SLICE 5000 /* µs */

typedef struct
{
  ShmBackend parent;
  GSource *source;
  ShmWorker worker;
  gint64 interrupted; /* when the last slice ended, monotonic ns */
} ShmSerial;

static gboolean
shm_serial_send (ShmWorker *worker, const ShmFrame *sent)
{
  ShmSerial *self = worker->outlet_data;
  const ShmBackendSetup *setup = &self->parent.setup;
  ShmFrame frame = *sent;
  ShmWorker *current;
  gboolean go_on = TRUE;

  /* What the caller does with it is none of the work function. */
  current = shm_worker_swap_current (worker->outer);
  if (frame.failure != NULL)
    {
      go_on = setup->client->failure (setup->job, frame.failure) != SHM_VERDICT_STOP;
      if (!go_on)
        shm_control_stop (worker->control);
    }
  else
    setup->client->frame (setup->job, worker->rank, &frame);
  shm_worker_swap_current (current);
  return go_on;
}

static gboolean
shm_serial_is_paused (ShmSerial *self)
{
  ShmControl *control = self->parent.control;

  return shm_load (&control->header->paused) && !shm_load (&control->header->stop) &&
         shm_schedule_has_more (control, 0);
}

/* Whether there is more to do. */
static gboolean
shm_serial_look (ShmSerial *self)
{
  ShmBackend *backend = &self->parent;
  const ShmBackendSetup *setup = &backend->setup;

  if (!shm_load (&backend->control->header->stop))
    setup->client->look (setup->job, shm_schedule_get_lowest_unfinished (backend->control));
  return shm_schedule_has_more (backend->control, 0) && !shm_load (&backend->control->header->stop);
}

static void
shm_serial_finish (ShmSerial *self)
{
  ShmBackend *backend = &self->parent;
  const ShmBackendSetup *setup = &backend->setup;
  ShmLine *line = self->worker.line;

  if (self->worker.line->life == SHM_LIFE_WORK)
    shm_worker_tear_down (&self->worker);
  line->ended = MAX (line->ended, line->started);
  setup->client->left (setup->job, 0, line, line->cpu_time / 1000, 0);
  setup->client->finished (setup->job);
}

typedef struct
{
  GSource source;
  ShmSerial *serial;
} ShmSerialSource;

static gboolean
shm_serial_check (GSource *source)
{
  return !shm_serial_is_paused (((ShmSerialSource *) source)->serial);
}

static gboolean
shm_serial_prepare (GSource *source, gint *timeout)
{
  *timeout = -1;
  return shm_serial_check (source);
}

static gboolean
shm_serial_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  ShmSerial *self = ((ShmSerialSource *) source)->serial;
  gint64 until = g_get_monotonic_time () + SLICE;
  ShmLine *line = self->worker.line;
  gboolean ready = TRUE;

  /* The time between two slices is not the worker's. */
  if (shm_load (&self->parent.control->header->stop))
    ready = FALSE;
  else if (line->life == SHM_LIFE_NONE)
    ready = shm_worker_set_up (&self->worker);
  else
    line->started += shm_now_ns () - self->interrupted;
  /* A step that cannot be made may only have come to the end of the window. */
  while (ready && shm_serial_look (self))
    while (shm_worker_step (&self->worker) || shm_serial_is_paused (self))
      if (g_get_monotonic_time () >= until || shm_serial_is_paused (self))
        {
          shm_serial_look (self);
          self->interrupted = shm_now_ns ();
          return G_SOURCE_CONTINUE;
        }
  shm_serial_finish (self);
  return G_SOURCE_REMOVE;
}

static GSourceFuncs source_funcs = {
  .prepare = shm_serial_prepare,
  .check = shm_serial_check,
  .dispatch = shm_serial_dispatch,
};

static void
shm_serial_stop (ShmBackend *backend)
{
  shm_control_stop (backend->control);
}

static void
shm_serial_free (ShmBackend *backend)
{
  ShmSerial *self = (ShmSerial *) backend;

  if (self->source != NULL)
    {
      g_source_destroy (self->source);
      g_source_unref (self->source);
    }
  g_clear_pointer (&backend->control, shm_control_free);
  g_free (self);
}

static ShmBackend *
shm_serial_start (const ShmBackendSetup *setup, GError **error)
{
  ShmSerial *self = g_new0 (ShmSerial, 1);
  ShmBackend *backend = &self->parent;

  backend->klass = &shm_backend_serial_class;
  backend->setup = *setup;
  backend->setup.settings.n_workers = 1;
  /* Blocks as large as the job would leave the main loop no turn. */
  if (setup->settings.chunk_size == 0)
    backend->setup.settings.schedule = SHM_SCHEDULE_DYNAMIC;
  backend->control = shm_control_new (&backend->setup.settings, error);
  if (backend->control == NULL)
    {
      shm_serial_free (backend);
      return NULL;
    }

  self->worker = (ShmWorker){
    .control = backend->control,
    .rank = 0,
    .pool = setup->pool,
    .work = setup->work,
    .outlet = shm_serial_send,
    .outlet_data = self,
  };
  shm_worker_init (&self->worker);
  self->source = g_source_new (&source_funcs, sizeof (ShmSerialSource));
  ((ShmSerialSource *) self->source)->serial = self;
  g_source_set_static_name (self->source, "shmem-glib serial job");
  g_source_attach (self->source, setup->context);
  return backend;
}

const ShmBackendClass shm_backend_serial_class = {
  .start = shm_serial_start,
  .stop = shm_serial_stop,
  .free = shm_serial_free,
};
