/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <shmem-glib/shm-array.h>
#include <shmem-glib/shm-map-reduce.h>

G_BEGIN_DECLS

#define SHM_TYPE_JOB (shm_job_get_type ())

SHM_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (ShmJob, shm_job, SHM, JOB, GObject)

/**
 * ShmFeedFunc:
 * @job: the job
 * @index: the item that is wanted, counted from 0
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Makes the next item, in the caller. A floating #GVariant is sunk. %NULL without an error ends the
 * items; an error ends the job.
 *
 * Returns: (transfer full) (nullable): the item, or %NULL if there are no more
 *
 * Since: 1.0
 */
typedef GVariant *(*ShmFeedFunc) (ShmJob *job, guint64 index, gpointer user_data, GError **error);

/**
 * ShmResultFunc:
 * @job: the job
 * @index: the item that the result is of, or the first one of its range
 * @result: the result
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Takes a result of a job whose results are streamed, in the caller. It is not called for items without a result.
 *
 * Returns: %TRUE, or %FALSE with @error set, which ends the job
 *
 * Since: 1.0
 */
typedef gboolean (*ShmResultFunc) (
    ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error);

SHM_AVAILABLE_IN_1_0
ShmJob *shm_job_new (ShmMapReduce *pool, guint64 n_items);
SHM_AVAILABLE_IN_1_0
ShmMapReduce *shm_job_get_pool (ShmJob *self);
SHM_AVAILABLE_IN_1_0
guint64 shm_job_get_n_items (ShmJob *self);
SHM_AVAILABLE_IN_1_0
void shm_job_set_n_items (ShmJob *self, guint64 n_items);
SHM_AVAILABLE_IN_1_0
gboolean shm_job_get_keep_workers (ShmJob *self);
SHM_AVAILABLE_IN_1_0
void shm_job_set_keep_workers (ShmJob *self, gboolean keep_workers);
SHM_AVAILABLE_IN_1_0
void shm_job_release_workers (ShmJob *self);
SHM_AVAILABLE_IN_1_0
GVariant *shm_job_get_argument (ShmJob *self);
SHM_AVAILABLE_IN_1_0
void shm_job_set_argument (ShmJob *self, GVariant *argument);

SHM_AVAILABLE_IN_1_0
void shm_job_set_items (ShmJob *self, GVariant *items);
SHM_AVAILABLE_IN_1_0
void shm_job_set_model (ShmJob *self, GListModel *model);
SHM_AVAILABLE_IN_1_0
void
shm_job_set_feed_func (ShmJob *self, ShmFeedFunc func, gpointer user_data, GDestroyNotify destroy);
SHM_AVAILABLE_IN_1_0
GVariant *shm_job_get_item (ShmJob *self, guint64 index, GError **error);
SHM_AVAILABLE_IN_1_0
GObject *shm_job_get_object (ShmJob *self, guint64 index, GError **error);

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
void shm_job_set_program (ShmJob *self, const char *const *argv, const gint *fds, gsize n_fds);
SHM_AVAILABLE_IN_1_0
void shm_job_set_set_up_func (ShmJob *self,
                              ShmSetUpFunc func,
                              gpointer user_data,
                              GDestroyNotify destroy);
SHM_AVAILABLE_IN_1_0
void shm_job_set_tear_down_func (ShmJob *self,
                                 ShmTearDownFunc func,
                                 gpointer user_data,
                                 GDestroyNotify destroy);
SHM_AVAILABLE_IN_1_0
gboolean shm_job_set_into_func (ShmJob *self,
                                ShmArray *array,
                                ShmIntoFunc func,
                                gpointer user_data,
                                GDestroyNotify destroy,
                                GError **error);
SHM_AVAILABLE_IN_1_0
void shm_job_set_reduce_func (ShmJob *self,
                              ShmReduceFunc func,
                              gpointer user_data,
                              GDestroyNotify destroy);
SHM_AVAILABLE_IN_1_0
void shm_job_set_result_func (ShmJob *self,
                              ShmResultFunc func,
                              gpointer user_data,
                              GDestroyNotify destroy);

SHM_AVAILABLE_IN_1_0
ShmOutput shm_job_get_output (ShmJob *self);
SHM_AVAILABLE_IN_1_0
void shm_job_set_output (ShmJob *self, ShmOutput output);
SHM_AVAILABLE_IN_1_0
guint64 shm_job_get_window (ShmJob *self);
SHM_AVAILABLE_IN_1_0
void shm_job_set_window (ShmJob *self, guint64 window);
SHM_AVAILABLE_IN_1_0
gboolean shm_job_get_paused (ShmJob *self);
SHM_AVAILABLE_IN_1_0
void shm_job_set_paused (ShmJob *self, gboolean paused);
SHM_AVAILABLE_IN_1_0
guint64 shm_job_get_seed (ShmJob *self);
SHM_AVAILABLE_IN_1_0
void shm_job_set_seed (ShmJob *self, guint64 seed);
SHM_AVAILABLE_IN_1_0
guint64 shm_job_seed (ShmJob *self, guint64 index);
SHM_AVAILABLE_IN_1_0
gboolean shm_job_get_trace (ShmJob *self);
SHM_AVAILABLE_IN_1_0
void shm_job_set_trace (ShmJob *self, gboolean trace);
SHM_AVAILABLE_IN_1_0
void shm_job_set_progress_stream (ShmJob *self, GOutputStream *stream);

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
guint64 shm_job_get_n_done (ShmJob *self);
SHM_AVAILABLE_IN_1_0
gdouble shm_job_get_fraction (ShmJob *self);
SHM_AVAILABLE_IN_1_0
gdouble shm_job_get_rate (ShmJob *self);
SHM_AVAILABLE_IN_1_0
gdouble shm_job_get_eta (ShmJob *self);

SHM_AVAILABLE_IN_1_0
GPtrArray *shm_job_get_results (ShmJob *self);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_job_withdraw (ShmJob *self, guint64 offset, guint64 n_bytes, GError **error);
SHM_AVAILABLE_IN_1_0
GPtrArray *shm_job_get_summaries (ShmJob *self);
SHM_AVAILABLE_IN_1_0
GPtrArray *shm_job_get_failures (ShmJob *self);
SHM_AVAILABLE_IN_1_0
GPtrArray *shm_job_get_statistics (ShmJob *self);
SHM_AVAILABLE_IN_1_0
gboolean shm_job_write_trace (ShmJob *self, GFile *file, GCancellable *cancellable, GError **error);

G_END_DECLS
