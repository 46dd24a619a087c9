/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The caller as its own and only worker, of rank 0: a source in the job's main context that works
 * on ranges for a few milliseconds at a time, so that a main loop stays alive if the items are
 * short.
 */

#include "config.h"

#include "shm-backend-private.h"

#define SLICE 5000 /* µs */

typedef struct
{
  ShmBackend parent;
  GSource *source;
  ShmWorker worker;
} ShmSerial;

static gboolean
shm_serial_result (ShmWorker *worker, guint64 begin, guint64 end, GVariant *value)
{
  ShmSerial *self = worker->outlet_data;
  const ShmBackendSetup *setup = &self->parent.setup;

  /* What the caller does with it is none of the work function. */
  shm_worker_swap_current (worker->outer);
  setup->client->result (setup->job, begin, end, value);
  shm_worker_swap_current (worker);
  return TRUE;
}

static gboolean
shm_serial_failure (ShmWorker *worker, guint64 item, ShmFailure *failure)
{
  ShmSerial *self = worker->outlet_data;
  const ShmBackendSetup *setup = &self->parent.setup;

  return setup->client->failure (setup->job, failure) != SHM_VERDICT_STOP;
}

static const ShmOutlet serial_outlet = {
  .result = shm_serial_result,
  .failure = shm_serial_failure,
};

static gboolean
shm_serial_dispatch (gpointer data)
{
  ShmSerial *self = data;
  const ShmBackendSetup *setup = &self->parent.setup;
  gint64 until = g_get_monotonic_time () + SLICE;

  while (shm_worker_step (&self->worker))
    if (g_get_monotonic_time () >= until)
      return G_SOURCE_CONTINUE;
  setup->client->finished (setup->job);
  return G_SOURCE_REMOVE;
}

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
    .outlet = &serial_outlet,
    .outlet_data = self,
  };
  shm_worker_init (&self->worker);
  self->source = g_idle_source_new ();
  g_source_set_priority (self->source, G_PRIORITY_DEFAULT);
  g_source_set_callback (self->source, shm_serial_dispatch, self, NULL);
  g_source_attach (self->source, setup->context);
  return backend;
}

const ShmBackendClass shm_backend_serial_class = {
  .start = shm_serial_start,
  .stop = shm_serial_stop,
  .free = shm_serial_free,
};
