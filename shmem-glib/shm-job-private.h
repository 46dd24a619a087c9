/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-backend-private.h"
#include "shm-job.h"

G_BEGIN_DECLS

typedef enum
{
  SHM_JOB_NEW,
  SHM_JOB_RUNNING,
  SHM_JOB_DONE
} ShmJobState;

typedef struct
{
  guint64 begin;
  GVariant *value;
} ShmRangeResult;

struct _ShmJob
{
  GObject parent_instance;

  ShmMapReduce *pool;
  guint64 n_items;

  ShmWork work;
  gboolean has_work;
  GDestroyNotify work_destroy;
  ShmReduceFunc reduce;
  gpointer reduce_data;
  GDestroyNotify reduce_destroy;

  ShmJobState state;
  ShmFailurePolicy failure_policy; /* of the pool, at the start, as is */
  guint max_retries;
  ShmBackend *backend;
  GMainContext *context;
  GCancellable *cancellable;
  GSource *cancel_source;
  GTask *task; /* of an asynchronous run */
  GError *error;
  GPtrArray *results; /* by item */
  GArray *ranges;     /* of ShmRangeResult, as they came */
  GPtrArray *failures;
  GHashTable *n_tries; /* of the items that were tried again; (owned gint64 → guint) */
};

void shm_job_clear_work (ShmJob *self);
void shm_job_clear_reduce (ShmJob *self);
void shm_job_set_base (ShmJob *self, guint64 base);
GPtrArray *shm_job_steal_results (ShmJob *self);

G_END_DECLS
