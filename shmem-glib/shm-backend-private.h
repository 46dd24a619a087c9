/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-worker-private.h"

G_BEGIN_DECLS

typedef enum
{
  SHM_VERDICT_STOP, /* end the job */
  SHM_VERDICT_SKIP, /* leave the item out, do the rest */
  SHM_VERDICT_RETRY /* do the item again; for those that did not fail by themselves */
} ShmVerdict;

/* What a backend knows of a job. All calls are made in the job's main context, none after finished
 * (). */
typedef struct
{
  void (*frame) (gpointer job, guint rank, ShmFrame *frame); /* no failure; takes the value */
  ShmVerdict (*failure) (gpointer job, ShmFailure *failure); /* takes the failure */
  /* All that was handed over for the items below `lowest` has arrived. TRUE: look again soon. */
  gboolean (*look) (gpointer job, guint64 lowest);
  /* A worker of this rank is gone, or stays for another run; cpu_time in µs, peak_memory in bytes or 0. */
  void (*left) (
      gpointer job, guint rank, const ShmLine *line, gint64 cpu_time, guint64 peak_memory);
  /* Nothing runs any more; shm_backend_free () may follow at once. */
  void (*finished) (gpointer job);
  /* All items are done, and have arrived; the workers wait for resume () or release (). */
  void (*idle) (gpointer job);
} ShmBackendClient;

/* What a worker process may use; 0 is no limit. */
typedef struct
{
  guint64 memory;  /* bytes of address space, beside what it inherits */
  guint cpu_time;  /* seconds */
  guint n_threads; /* of OpenMP and linear algebra, in each worker */
  gboolean threads_are_automatic;
  gint niceness;   /* added to the caller's */
  gboolean nested; /* its own jobs may have workers */
} ShmWorkerLimits;

typedef struct
{
  ShmControlSettings settings;
  ShmWorkerLimits limits;
  ShmMapReduce *pool;
  const ShmWork *work; /* outlives the backend, as do pool, context and arena */
  ShmArena *arena;     /* of processes, else NULL */
  GMainContext *context;
  gboolean waits; /* who starts it waits for the end, and does nothing else */
  const ShmBackendClient *client;
  gpointer job;
} ShmBackendSetup;

typedef struct _ShmBackend ShmBackend;

/* The one place where a backend meets a job. */
typedef struct
{
  ShmBackend *(*start) (const ShmBackendSetup *setup, GError **error);
  void (*stop) (ShmBackend *backend); /* soon; finished () follows, later, from the main context */
  void (*free) (ShmBackend *backend); /* after finished () only */
  /* after idle (), where workers can be kept; else NULL */
  gboolean (*can_resume) (ShmBackend *backend, const ShmBackendSetup *setup);
  void (*resume) (ShmBackend *backend, const ShmBackendSetup *setup);
  void (*release) (ShmBackend *backend); /* waits until all workers have left, and frees */
} ShmBackendClass;

struct _ShmBackend
{
  const ShmBackendClass *klass;
  ShmBackendSetup setup;
  ShmControl *control;
};

extern const ShmBackendClass shm_backend_process_class;
extern const ShmBackendClass shm_backend_thread_class;
extern const ShmBackendClass shm_backend_serial_class;

/* The item as the user counts. */
static inline guint64
shm_backend_to_index (const ShmBackend *backend, guint64 item)
{
  return item == SHM_NO_ITEM ? item : backend->setup.work->base + item - backend->control->first;
}

/* for backends whose workers run beside the caller: a source that is ready when a worker has
 * something */
typedef gboolean (*ShmBackendPending) (ShmBackend *backend, gboolean urgent);
typedef void (*ShmBackendDispatch) (ShmBackend *backend);

GSource *shm_backend_source_new (ShmBackend *backend,
                                 ShmBackendPending pending,
                                 ShmBackendDispatch dispatch);

G_END_DECLS
