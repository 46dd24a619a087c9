/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Workers as threads of the caller: the same control block and the same worker loop as for
 * processes, but what they make goes through a queue, one for each thread, without being
 * serialised. The queue is bounded; a thread waits on `room`, and the caller, who empties the
 * queue, signals it.
 *
 * Threads cannot be killed: a stopped job has finished when each thread has finished its item.
 *
 * The queue's lock is one of pthreads, and not GLib's: thread sanitizer knows pthreads by itself,
 * but sees nothing of what a GMutex does inside of GLib, and would take every parcel for a race.
 */

#include "config.h"

#include "shm-backend-private.h"

#include <pthread.h>

#include "shm-schedule-private.h"

#define MAX_QUEUE 16384
#define MAX_BYTES ((gsize) 1 << 20) /* a queue that holds as much takes no more */

typedef struct
{
  ShmWorker worker;
  GThread *thread;       /* NULL: not started, or joined */
  pthread_mutex_t mutex; /* guards what follows */
  pthread_cond_t room;
  GArray *frames; /* of ShmFrame */
  gsize n_bytes;  /* of their values */
} ShmThread;

typedef struct
{
  ShmBackend parent;
  GSource *source;
  ShmThread *threads;
  guint n_running;
  gboolean stopping;
} ShmThreads;

static gboolean
shm_thread_is_full (ShmThread *self, guint max_frames, gsize max_bytes)
{
  return self->frames->len >= max_frames || self->n_bytes >= max_bytes;
}

static gboolean
shm_thread_send (ShmWorker *worker, const ShmFrame *frame)
{
  ShmThread *self = worker->outlet_data;
  guint32 *stop = &worker->control->header->stop;
  gsize size = frame->value ? g_variant_get_size (frame->value) : 0;
  gboolean urgent;
  gint64 since = 0;

  pthread_mutex_lock (&self->mutex);
  while (shm_thread_is_full (self, MAX_QUEUE, MAX_BYTES) && !shm_load (stop))
    {
      if (since == 0)
        since = shm_now_ns ();
      pthread_cond_wait (&self->room, &self->mutex);
    }
  g_array_append_val (self->frames, *frame);
  self->n_bytes += size;
  urgent = frame->failure != NULL || shm_thread_is_full (self, MAX_QUEUE / 2, MAX_BYTES / 2);
  pthread_mutex_unlock (&self->mutex);

  if (since != 0)
    worker->line->slept[SHM_SLEEP_OUTPUT] += shm_now_ns () - since;
  shm_control_notify (worker->control, urgent);
  return !shm_load (stop);
}

static gpointer
shm_thread_main (gpointer data)
{
  ShmThread *self = data;

  shm_worker_run (&self->worker);
  shm_store (&self->worker.line->state, SHM_LINE_FINISHED);
  shm_control_notify (self->worker.control, TRUE);
  return NULL;
}

static gboolean
shm_threads_pending (ShmBackend *backend, gboolean urgent)
{
  ShmThreads *self = (ShmThreads *) backend;
  guint rank;

  for (rank = 0; rank < backend->setup.settings.n_workers; rank++)
    {
      ShmThread *thread = &self->threads[rank];
      gboolean any;

      if (thread->thread == NULL)
        continue;
      if (shm_load (&thread->worker.line->state) == SHM_LINE_FINISHED)
        return TRUE;
      pthread_mutex_lock (&thread->mutex);
      any = urgent ? shm_thread_is_full (thread, MAX_QUEUE / 2, MAX_BYTES / 2)
                   : thread->frames->len > 0;
      pthread_mutex_unlock (&thread->mutex);
      if (any)
        return TRUE;
    }
  return FALSE;
}

static void
shm_threads_stop (ShmBackend *backend)
{
  ShmThreads *self = (ShmThreads *) backend;
  guint rank;

  if (self->stopping)
    return;
  self->stopping = TRUE;
  shm_control_stop (backend->control);
  for (rank = 0; rank < backend->setup.settings.n_workers; rank++)
    {
      pthread_mutex_lock (&self->threads[rank].mutex);
      pthread_cond_broadcast (&self->threads[rank].room);
      pthread_mutex_unlock (&self->threads[rank].mutex);
    }
  if (self->n_running == 0)
    g_source_set_ready_time (self->source, 0);
}

static void
shm_threads_deliver (ShmThreads *self, guint rank, ShmFrame *frame)
{
  const ShmBackendSetup *setup = &self->parent.setup;

  if (self->stopping)
    {
      g_clear_pointer (&frame->value, g_variant_unref);
      g_clear_pointer (&frame->failure, shm_failure_unref);
    }
  else if (frame->failure == NULL)
    setup->client->frame (setup->job, rank, frame);
  else if (setup->client->failure (setup->job, frame->failure) == SHM_VERDICT_STOP)
    shm_threads_stop (&self->parent);
}

static void
shm_threads_drain (ShmThreads *self, ShmThread *thread)
{
  g_autoptr (GArray) frames = g_array_new (FALSE, FALSE, sizeof (ShmFrame));
  guint i;

  pthread_mutex_lock (&thread->mutex);
  if (thread->frames->len > 0)
    {
      GArray *full = thread->frames;

      thread->frames = frames;
      thread->n_bytes = 0;
      frames = full;
      pthread_cond_broadcast (&thread->room);
    }
  pthread_mutex_unlock (&thread->mutex);

  for (i = 0; i < frames->len; i++)
    shm_threads_deliver (self, thread->worker.rank, &g_array_index (frames, ShmFrame, i));
}

static void
shm_threads_dispatch (ShmBackend *backend)
{
  ShmThreads *self = (ShmThreads *) backend;
  const ShmBackendSetup *setup = &backend->setup;
  guint64 lowest = shm_schedule_get_lowest_unfinished (backend->control);
  guint rank;

  shm_control_end_pause (backend->control, lowest);
  for (rank = 0; rank < setup->settings.n_workers; rank++)
    {
      ShmThread *thread = &self->threads[rank];
      ShmLine *line = thread->worker.line;
      gboolean gone;

      if (thread->thread == NULL)
        continue;
      gone = shm_load (&line->state) == SHM_LINE_FINISHED;
      if (gone)
        g_thread_join (g_steal_pointer (&thread->thread));
      shm_threads_drain (self, thread);
      if (gone)
        {
          self->n_running--;
          setup->client->left (setup->job, rank, line, line->cpu_time / 1000, 0);
        }
    }
  g_source_set_ready_time (self->source,
                           !self->stopping && setup->client->look (setup->job, lowest) ? 0 : -1);

  if (self->n_running == 0)
    {
      g_source_destroy (self->source);
      backend->setup.client->finished (backend->setup.job);
    }
}

static void
shm_threads_free (ShmBackend *backend)
{
  ShmThreads *self = (ShmThreads *) backend;
  guint rank;

  g_assert (self->n_running == 0);
  for (rank = 0; rank < backend->setup.settings.n_workers; rank++)
    {
      ShmThread *thread = &self->threads[rank];

      pthread_mutex_destroy (&thread->mutex);
      pthread_cond_destroy (&thread->room);
      g_array_unref (thread->frames);
    }
  g_free (self->threads);
  if (self->source != NULL)
    g_source_unref (self->source);
  g_clear_pointer (&backend->control, shm_control_free);
  g_free (self);
}

static void
shm_threads_init_thread (ShmThreads *self, guint rank)
{
  ShmBackend *backend = &self->parent;
  ShmThread *thread = &self->threads[rank];

  pthread_mutex_init (&thread->mutex, NULL);
  pthread_cond_init (&thread->room, NULL);
  thread->frames = g_array_new (FALSE, FALSE, sizeof (ShmFrame));
  thread->worker = (ShmWorker){
    .control = backend->control,
    .rank = rank,
    .pool = backend->setup.pool,
    .work = backend->setup.work,
    .outlet = shm_thread_send,
    .outlet_data = thread,
  };
}

static ShmBackend *
shm_threads_start (const ShmBackendSetup *setup, GError **error)
{
  ShmThreads *self = g_new0 (ShmThreads, 1);
  ShmBackend *backend = &self->parent;
  g_autoptr (GError) local_error = NULL;
  guint rank;

  backend->klass = &shm_backend_thread_class;
  backend->setup = *setup;
  backend->setup.settings.with_wakeups = TRUE;
  self->threads = g_new0 (ShmThread, setup->settings.n_workers);
  backend->control = shm_control_new (&backend->setup.settings, error);
  for (rank = 0; rank < setup->settings.n_workers; rank++)
    shm_threads_init_thread (self, rank);
  if (backend->control == NULL)
    {
      shm_threads_free (backend);
      return NULL;
    }

  self->source = shm_backend_source_new (backend, shm_threads_pending, shm_threads_dispatch);
  for (rank = 0; rank < setup->settings.n_workers && local_error == NULL; rank++)
    {
      ShmThread *thread = &self->threads[rank];

      if (!shm_schedule_has_more (backend->control, rank))
        continue;
      shm_worker_init (&thread->worker);
      thread->thread = g_thread_try_new ("shm-worker", shm_thread_main, thread, &local_error);
      if (thread->thread != NULL)
        self->n_running++;
    }
  /* Fewer would do, but for a static schedule, whose items have an owner each; it is rare enough.
   */
  if (local_error != NULL)
    {
      setup->client->failure (setup->job, shm_failure_new (SHM_NO_ITEM, rank - 1, local_error));
      shm_threads_stop (backend);
    }
  else if (self->n_running == 0 || setup->settings.window)
    g_source_set_ready_time (self->source, 0);
  g_source_attach (self->source, setup->context);
  return backend;
}

const ShmBackendClass shm_backend_thread_class = {
  .start = shm_threads_start,
  .stop = shm_threads_stop,
  .free = shm_threads_free,
};
