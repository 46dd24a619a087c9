/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <shmem-glib/shm-map-reduce.h>

G_BEGIN_DECLS

#define SHM_TYPE_JOB (shm_job_get_type ())

SHM_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (ShmJob, shm_job, SHM, JOB, GObject)

SHM_AVAILABLE_IN_1_0
ShmJob *shm_job_new (ShmMapReduce *pool, guint64 n_items);
SHM_AVAILABLE_IN_1_0
ShmMapReduce *shm_job_get_pool (ShmJob *self);
SHM_AVAILABLE_IN_1_0
guint64 shm_job_get_n_items (ShmJob *self);

SHM_AVAILABLE_IN_1_0
void
shm_job_set_map_func (ShmJob *self, ShmMapFunc func, gpointer user_data, GDestroyNotify destroy);
SHM_AVAILABLE_IN_1_0
void shm_job_set_range_func (ShmJob *self,
                             ShmRangeFunc func,
                             gpointer user_data,
                             GDestroyNotify destroy);
SHM_AVAILABLE_IN_1_0
void
shm_job_set_loop_func (ShmJob *self, ShmLoopFunc func, gpointer user_data, GDestroyNotify destroy);
SHM_AVAILABLE_IN_1_0
void shm_job_set_reduce_func (ShmJob *self,
                              ShmReduceFunc func,
                              gpointer user_data,
                              GDestroyNotify destroy);

SHM_AVAILABLE_IN_1_0
gboolean shm_job_run (ShmJob *self, GCancellable *cancellable, GError **error);
SHM_AVAILABLE_IN_1_0
void shm_job_run_async (ShmJob *self,
                        GCancellable *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer user_data);
SHM_AVAILABLE_IN_1_0
gboolean shm_job_run_finish (ShmJob *self, GAsyncResult *result, GError **error);
SHM_AVAILABLE_IN_1_0
GPtrArray *shm_job_get_results (ShmJob *self);
SHM_AVAILABLE_IN_1_0
GPtrArray *shm_job_get_failures (ShmJob *self);

G_END_DECLS
