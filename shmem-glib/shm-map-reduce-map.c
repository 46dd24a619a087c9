/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The short calls of a pool: each makes a job, and runs it. */

#include "config.h"

#include "shm-job-private.h"

static GPtrArray *
shm_map_reduce_run_job (ShmJob *job, GCancellable *cancellable, GError **error)
{
  if (!shm_job_run (job, cancellable, error))
    return NULL;
  return shm_job_steal_results (job);
}

/**
 * shm_map_reduce_map: (skip)
 * @self: a pool
 * @n_items: the number of items
 * @cancellable: (nullable): what may cancel the job
 * @func: what works on an item, in a worker
 * @reduce: (nullable): what takes a result, in the caller
 * @user_data: data for @func and for @reduce
 * @error: return location for an error
 *
 * Calls @func for each of the items 0 to @n_items - 1 on the workers, waits for the end, and
 * returns the results in the order of the items. The first failure ends the job; see shm_job_run()
 * for the errors.
 *
 * What @func changes in @user_data stays in its worker, unless it lies in a #ShmArray; what @reduce changes is
 * the caller's. Where they need data of their own, use a #ShmJob. In other languages this function
 * has no
 * @reduce.
 *
 * Returns: (transfer container) (element-type GVariant): a list with an element for each item,
 * %NULL for those without a result; or %NULL with @error set
 *
 * Since: 1.0
 */
GPtrArray *
shm_map_reduce_map (ShmMapReduce *self,
                    guint64 n_items,
                    GCancellable *cancellable,
                    ShmMapFunc func,
                    ShmReduceFunc reduce,
                    gpointer user_data,
                    GError **error)
{
  g_autoptr (ShmJob) job = NULL;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);
  g_return_val_if_fail (func != NULL, NULL);

  job = shm_job_new (self, n_items);
  shm_job_set_map_func (job, func, user_data, NULL);
  if (reduce != NULL)
    shm_job_set_reduce_func (job, reduce, user_data, NULL);
  return shm_map_reduce_run_job (job, cancellable, error);
}

/**
 * shm_map_reduce_map_items: (rename-to shm_map_reduce_map)
 * @self: a pool
 * @n_items: the number of items
 * @cancellable: (nullable): what may cancel the job
 * @func: (scope call) (closure user_data): what works on an item, in a worker
 * @user_data: data for @func
 * @error: return location for an error
 *
 * Calls @func for each of the items 0 to @n_items - 1 on the workers, waits for the end, and
 * returns the results in the order of the items. The first failure ends the job; see shm_job_run()
 * for the errors.
 *
 * This is shm_map_reduce_map() without a reduce function, and with its name in languages other than
 * C; a #ShmJob takes a reduce function in every language.
 *
 * Returns: (transfer container) (element-type GVariant): a list with an element for each item,
 * %NULL for those without a result; or %NULL with @error set
 *
 * Since: 1.0
 */
GPtrArray *
shm_map_reduce_map_items (ShmMapReduce *self,
                          guint64 n_items,
                          GCancellable *cancellable,
                          ShmMapFunc func,
                          gpointer user_data,
                          GError **error)
{
  return shm_map_reduce_map (self, n_items, cancellable, func, NULL, user_data, error);
}

static void
shm_map_reduce_map_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  ShmJob *job = SHM_JOB (source);
  GError *error = NULL;

  if (shm_job_run_finish (job, result, &error))
    g_task_return_pointer (task, shm_job_steal_results (job), (GDestroyNotify) g_ptr_array_unref);
  else
    g_task_return_error (task, error);
}

/**
 * shm_map_reduce_map_async:
 * @self: a pool
 * @n_items: the number of items
 * @func: (scope notified) (closure user_data) (destroy destroy): what works on an item, in a worker
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data
 * @cancellable: (nullable): what may cancel the job
 * @callback: (scope async) (closure callback_data) (nullable): called when the job has ended
 * @callback_data: data for @callback
 *
 * Does what shm_map_reduce_map() does, beside the thread-default main context of the calling
 * thread, which stays alive. Call shm_map_reduce_map_finish() in @callback.
 *
 * Since: 1.0
 */
void
shm_map_reduce_map_async (ShmMapReduce *self,
                          guint64 n_items,
                          ShmMapFunc func,
                          gpointer user_data,
                          GDestroyNotify destroy,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer callback_data)
{
  g_autoptr (ShmJob) job = NULL;
  GTask *task;

  g_return_if_fail (SHM_IS_MAP_REDUCE (self));
  g_return_if_fail (func != NULL);

  task = g_task_new (self, cancellable, callback, callback_data);
  g_task_set_source_tag (task, shm_map_reduce_map_async);
  g_task_set_check_cancellable (task, FALSE);
  job = shm_job_new (self, n_items);
  g_task_set_task_data (task, g_object_ref (job), g_object_unref);
  shm_job_set_map_func (job, func, user_data, destroy);
  shm_job_run_async (job, cancellable, shm_map_reduce_map_done, task);
}

/**
 * shm_map_reduce_map_finish:
 * @self: a pool
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends what shm_map_reduce_map_async() began. The errors are those of shm_job_run().
 *
 * Returns: (transfer container) (element-type GVariant): a list with an element for each item,
 * %NULL for those without a result; or %NULL with @error set
 *
 * Since: 1.0
 */
GPtrArray *
shm_map_reduce_map_finish (ShmMapReduce *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * shm_map_reduce_map_ranges:
 * @self: a pool
 * @n_items: the number of items
 * @cancellable: (nullable): what may cancel the job
 * @func: (scope call) (closure user_data): what works on a range of items, in a worker
 * @user_data: data for @func
 * @error: return location for an error
 *
 * Calls @func for ranges that together are the items 0 to @n_items - 1, on the workers, waits for
 * the end, and returns the results in the order of the ranges. How many ranges there are is for the
 * pool to choose: see #ShmMapReduce:schedule. The first failure ends the job; see shm_job_run() for
 * the errors.
 *
 * Returns: (transfer container) (element-type GVariant): a list with an element for each range that
 * had a result, or %NULL with @error set
 *
 * Since: 1.0
 */
GPtrArray *
shm_map_reduce_map_ranges (ShmMapReduce *self,
                           guint64 n_items,
                           GCancellable *cancellable,
                           ShmRangeFunc func,
                           gpointer user_data,
                           GError **error)
{
  g_autoptr (ShmJob) job = NULL;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);
  g_return_val_if_fail (func != NULL, NULL);

  job = shm_job_new (self, n_items);
  shm_job_set_range_func (job, func, user_data, NULL);
  return shm_map_reduce_run_job (job, cancellable, error);
}

/**
 * shm_map_reduce_for_range:
 * @self: a pool
 * @begin: the first item
 * @end: the item after the last one, at least @begin
 * @cancellable: (nullable): what may cancel the job
 * @func: (scope call) (closure user_data): what works on a range of items, in a worker
 * @user_data: data for @func
 * @error: return location for an error
 *
 * Calls @func for ranges that together are the items @begin to @end - 1, on the workers, and waits
 * for the end. There are no results but what @func writes into shared arrays. The first failure
 * ends the job; see shm_job_run() for the errors.
 *
 * Returns: %TRUE if all items were done
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_for_range (ShmMapReduce *self,
                          guint64 begin,
                          guint64 end,
                          GCancellable *cancellable,
                          ShmLoopFunc func,
                          gpointer user_data,
                          GError **error)
{
  g_autoptr (ShmJob) job = NULL;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);
  g_return_val_if_fail (begin <= end, FALSE);
  g_return_val_if_fail (func != NULL, FALSE);

  job = shm_job_new (self, end - begin);
  shm_job_set_loop_func (job, func, user_data, NULL);
  shm_job_set_base (job, begin);
  return shm_job_run (job, cancellable, error);
}
