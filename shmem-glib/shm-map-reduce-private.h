/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-worker-private.h"

G_BEGIN_DECLS

struct _ShmMapReduce
{
  GObject parent_instance;

  guint n_workers;
  ShmBackendType backend;
  ShmSchedule schedule;
  guint64 chunk_size;
  guint64 min_length;
  ShmFailurePolicy failure_policy;
  guint max_retries;
  guint item_timeout;
  guint64 max_items_per_worker;
  guint64 worker_memory;
  guint worker_cpu_time;
  gint worker_niceness;
  gboolean deterministic;
  gboolean nested;
  guint worker_threads;
};

ShmWorker *shm_map_reduce_find_worker (ShmMapReduce *self, GError **error);

G_END_DECLS
