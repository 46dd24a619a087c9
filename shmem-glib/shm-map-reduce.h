/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>
#include <shmem-glib/shm-array.h>
#include <shmem-glib/shm-enums.h>
#include <shmem-glib/shm-version.h>

G_BEGIN_DECLS

#define SHM_TYPE_MAP_REDUCE (shm_map_reduce_get_type ())

SHM_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (ShmMapReduce, shm_map_reduce, SHM, MAP_REDUCE, GObject)

/**
 * ShmMapFunc:
 * @pool: the pool that works
 * @index: the item, counted from 0
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Works on one item, in a worker. What it returns travels to the caller; a floating #GVariant is
 * sunk. %NULL without an error means that there is no result, which costs nothing on the way.
 *
 * An error fails the item: the caller gets it with its own domain and code, and a message that
 * names the item and the rank.
 *
 * Returns: (transfer full) (nullable): the result of the item, or %NULL
 *
 * Since: 1.0
 */
typedef GVariant *(*ShmMapFunc) (ShmMapReduce *pool,
                                 guint64 index,
                                 gpointer user_data,
                                 GError **error);

/**
 * ShmRangeFunc:
 * @pool: the pool that works
 * @begin: the first item
 * @end: the item after the last one
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Works on the items from @begin to @end - 1, in a worker, and returns one result for all of them.
 * It is called once for each range that a worker claims.
 *
 * A function that tells with shm_map_reduce_begin_item() which item it begins may fail in the
 * middle: the items before the failed one count as done, and are what the result it returns beside
 * the error stands for; those after it are handed out in a new range.
 *
 * Returns: (transfer full) (nullable): the result of the range, or %NULL if there is none
 *
 * Since: 1.0
 */
typedef GVariant *(*ShmRangeFunc) (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error);

/**
 * ShmIntoFunc:
 * @pool: the pool that works
 * @index: the item
 * @item: where the item's place in the array begins
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Works on an item, in a worker, and writes what comes out to @item: its element of the array, or, if the array has
 * more axes than one, its part of it, which lies there as the strides say.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
typedef gboolean (*ShmIntoFunc) (
    ShmMapReduce *pool, guint64 index, gpointer item, gpointer user_data, GError **error);

/**
 * ShmLoopFunc:
 * @pool: the pool that works
 * @begin: the first item
 * @end: the item after the last one
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Works on the items from @begin to @end - 1, in a worker, without any result but what it writes
 * into shared arrays.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
typedef gboolean (*ShmLoopFunc) (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error);

/**
 * ShmReduceFunc:
 * @pool: the pool that works
 * @index: the item that the result is of, or the first one of its range
 * @result: the result
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Takes a result, in the caller, while the workers go on: called once for each result, in the order
 * in which they arrive, or in that of the items if the pool is #ShmMapReduce:deterministic. What it returns takes the place of the result in the list of results; %NULL
 * keeps nothing. An error ends the job.
 *
 * Returns: (transfer full) (nullable): what the list of results is to hold, or %NULL
 *
 * Since: 1.0
 */
typedef GVariant *(*ShmReduceFunc) (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error);

/**
 * ShmSetUpFunc:
 * @pool: the pool that works
 * @rank: the rank of the worker
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Prepares a worker, in that worker, before its first item. What it returns is the worker's own
 * state, which its work function gets with shm_map_reduce_get_state(). An error, or a death, ends the job; the
 * tear-down is not called then. There is no time limit.
 *
 * Returns: (transfer full) (nullable): the state of the worker
 *
 * Since: 1.0
 */
typedef gpointer (*ShmSetUpFunc) (ShmMapReduce *pool,
                                  guint rank,
                                  gpointer user_data,
                                  GError **error);

/**
 * ShmTearDownFunc:
 * @pool: the pool that works
 * @rank: the rank of the worker
 * @state: (transfer full) (nullable): what the set-up of the worker returned
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Ends a worker, in that worker, after its last item, and may return what the worker has gathered. It frees @state.
 * An error, or a death, ends the job. There is no time limit.
 *
 * Returns: (transfer full) (nullable): what the worker has gathered, see shm_job_get_summaries()
 *
 * Since: 1.0
 */
typedef GVariant *(*ShmTearDownFunc) (
    ShmMapReduce *pool, guint rank, gpointer state, gpointer user_data, GError **error);

/**
 * ShmRegionFunc:
 * @pool: the pool that works
 * @rank: the rank of the worker
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Is run once by each worker of a region, side by side. An error of one ends the region.
 *
 * Returns: (transfer full) (nullable): the result of this worker, or %NULL
 *
 * Since: 1.0
 */
typedef GVariant *(*ShmRegionFunc) (ShmMapReduce *pool,
                                    guint rank,
                                    gpointer user_data,
                                    GError **error);

typedef struct _ShmJob ShmJob;

SHM_AVAILABLE_IN_1_0
ShmMapReduce *shm_map_reduce_new (void);

SHM_AVAILABLE_IN_1_0
guint shm_map_reduce_get_n_workers (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_n_workers (ShmMapReduce *self, guint n_workers);
SHM_AVAILABLE_IN_1_0
guint shm_map_reduce_count_workers (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
ShmBackendType shm_map_reduce_get_backend (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_backend (ShmMapReduce *self, ShmBackendType backend);
SHM_AVAILABLE_IN_1_0
ShmSchedule shm_map_reduce_get_schedule (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_schedule (ShmMapReduce *self, ShmSchedule schedule);
SHM_AVAILABLE_IN_1_0
guint64 shm_map_reduce_get_chunk_size (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_chunk_size (ShmMapReduce *self, guint64 chunk_size);
SHM_AVAILABLE_IN_1_0
guint64 shm_map_reduce_get_min_length (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_min_length (ShmMapReduce *self, guint64 min_length);
SHM_AVAILABLE_IN_1_0
ShmFailurePolicy shm_map_reduce_get_failure_policy (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_failure_policy (ShmMapReduce *self, ShmFailurePolicy policy);
SHM_AVAILABLE_IN_1_0
guint shm_map_reduce_get_max_retries (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_max_retries (ShmMapReduce *self, guint max_retries);
SHM_AVAILABLE_IN_1_0
guint shm_map_reduce_get_item_timeout (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_item_timeout (ShmMapReduce *self, guint item_timeout);
SHM_AVAILABLE_IN_1_0
guint64 shm_map_reduce_get_max_items_per_worker (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_max_items_per_worker (ShmMapReduce *self, guint64 max_items);
SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_get_deterministic (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_deterministic (ShmMapReduce *self, gboolean deterministic);
SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_get_nested (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_nested (ShmMapReduce *self, gboolean nested);
SHM_AVAILABLE_IN_1_0
guint shm_map_reduce_get_worker_threads (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_worker_threads (ShmMapReduce *self, guint n_threads);
SHM_AVAILABLE_IN_1_0
guint64 shm_map_reduce_get_worker_memory (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_worker_memory (ShmMapReduce *self, guint64 n_bytes);
SHM_AVAILABLE_IN_1_0
guint shm_map_reduce_get_worker_cpu_time (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_worker_cpu_time (ShmMapReduce *self, guint seconds);
SHM_AVAILABLE_IN_1_0
gint shm_map_reduce_get_worker_niceness (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_set_worker_niceness (ShmMapReduce *self, gint niceness);

SHM_AVAILABLE_IN_1_0
GPtrArray *shm_map_reduce_map (ShmMapReduce *self,
                               guint64 n_items,
                               GCancellable *cancellable,
                               ShmMapFunc func,
                               ShmReduceFunc reduce,
                               gpointer user_data,
                               GError **error);
SHM_AVAILABLE_IN_1_0
GPtrArray *shm_map_reduce_map_items (ShmMapReduce *self,
                                     guint64 n_items,
                                     GCancellable *cancellable,
                                     ShmMapFunc func,
                                     gpointer user_data,
                                     GError **error);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_map_async (ShmMapReduce *self,
                               guint64 n_items,
                               ShmMapFunc func,
                               gpointer user_data,
                               GDestroyNotify destroy,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer callback_data);
SHM_AVAILABLE_IN_1_0
GPtrArray *shm_map_reduce_map_finish (ShmMapReduce *self, GAsyncResult *result, GError **error);
SHM_AVAILABLE_IN_1_0
GPtrArray *shm_map_reduce_map_ranges (ShmMapReduce *self,
                                      guint64 n_items,
                                      GCancellable *cancellable,
                                      ShmRangeFunc func,
                                      gpointer user_data,
                                      GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_map_into (ShmMapReduce *self,
                                  ShmArray *array,
                                  GCancellable *cancellable,
                                  ShmIntoFunc func,
                                  gpointer user_data,
                                  GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_for_range (ShmMapReduce *self,
                                   guint64 begin,
                                   guint64 end,
                                   GCancellable *cancellable,
                                   ShmLoopFunc func,
                                   gpointer user_data,
                                   GError **error);

SHM_AVAILABLE_IN_1_0
GPtrArray *shm_map_reduce_run (ShmMapReduce *self,
                               ShmRegionFlags flags,
                               GCancellable *cancellable,
                               ShmRegionFunc func,
                               gpointer user_data,
                               GError **error);

SHM_AVAILABLE_IN_1_0
gint shm_map_reduce_get_rank (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
ShmJob *shm_map_reduce_get_job (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
GVariant *shm_map_reduce_get_argument (ShmMapReduce *self, GError **error);
SHM_AVAILABLE_IN_1_0
gpointer shm_map_reduce_get_state (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_begin_item (ShmMapReduce *self, guint64 index);
SHM_AVAILABLE_IN_1_0
guint64 shm_map_reduce_get_cursor_address (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
GBytes *shm_map_reduce_get_cursor (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_deposit (
    ShmMapReduce *self, guint64 address, guint64 n_bytes, guint64 *offset, GError **error);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_fail_item (ShmMapReduce *self,
                               const GError *error,
                               const char *traceback,
                               GVariant *payload);
SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_barrier (ShmMapReduce *self, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_share_range (ShmMapReduce *self,
                                     guint64 begin,
                                     guint64 end,
                                     ShmSchedule schedule,
                                     guint64 chunk_size,
                                     ShmLoopFunc func,
                                     gpointer user_data,
                                     GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_critical_enter (ShmMapReduce *self, GError **error);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_critical_leave (ShmMapReduce *self);
SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_ordered_enter (ShmMapReduce *self, GError **error);
SHM_AVAILABLE_IN_1_0
void shm_map_reduce_ordered_leave (ShmMapReduce *self);

G_END_DECLS
