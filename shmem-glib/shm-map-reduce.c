/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/**
 * SECTION:shm-map-reduce
 * @title: ShmMapReduce
 * @short_description: a pool of workers
 *
 * A pool maps a function over items on workers that share memory. See the type for how.
 */

/**
 * ShmMapReduce:
 *
 * A pool of workers: forked processes, or threads, or the caller itself (#ShmBackendType).
 *
 * The work function may be any function or closure. With forked workers, everything it refers to is
 * inherited at the start of the job, copy-on-write: a worker reads what the caller had, and what it
 * writes is its own, but for the memory of #ShmArray, which all share. Results travel back as
 * #GVariant. Never return a pointer to what a worker has allocated: it means nothing to the caller.
 *
 * |[<!-- language="C" -->
 * static GVariant *
 * square (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
 * {
 *   return g_variant_new_uint64 (index * index);
 * }
 *
 * g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
 * g_autoptr (GPtrArray) squares = shm_map_reduce_map (pool, 100, NULL, square, NULL, NULL, &error);
 * ]|
 *
 * A pool holds nothing but its properties; the workers live as long as a job does. The properties
 * may be changed at any time, for the jobs that start later. A pool may be used from several
 * threads, and several jobs may run at once, as long as nobody changes its properties meanwhile.
 *
 * A job that is started in a work function runs serially, in that worker.
 *
 * The library never touches `SIGCHLD`, and waits for no child but its own.
 *
 * Since: 1.0
 */

#include "config.h"

#include "shm-map-reduce.h"

#include "shm-control-private.h"
#include "shm-cpu-private.h"
#include "shm-enum-types.h"
#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-job-private.h"
#include "shm-worker-private.h"

struct _ShmMapReduce
{
  GObject parent_instance;

  guint n_workers;
  ShmBackendType backend;
  ShmSchedule schedule;
  guint64 chunk_size;
  guint64 min_length;
};

enum
{
  PROP_0,
  PROP_N_WORKERS,
  PROP_BACKEND,
  PROP_SCHEDULE,
  PROP_CHUNK_SIZE,
  PROP_MIN_LENGTH,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (ShmMapReduce, shm_map_reduce, G_TYPE_OBJECT)

static void
shm_map_reduce_get_property (GObject *object, guint property_id, GValue *value, GParamSpec *pspec)
{
  ShmMapReduce *self = SHM_MAP_REDUCE (object);

  switch (property_id)
    {
    case PROP_N_WORKERS:
      g_value_set_uint (value, self->n_workers);
      break;
    case PROP_BACKEND:
      g_value_set_enum (value, self->backend);
      break;
    case PROP_SCHEDULE:
      g_value_set_enum (value, self->schedule);
      break;
    case PROP_CHUNK_SIZE:
      g_value_set_uint64 (value, self->chunk_size);
      break;
    case PROP_MIN_LENGTH:
      g_value_set_uint64 (value, self->min_length);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
shm_map_reduce_set_property (GObject *object,
                             guint property_id,
                             const GValue *value,
                             GParamSpec *pspec)
{
  ShmMapReduce *self = SHM_MAP_REDUCE (object);

  switch (property_id)
    {
    case PROP_N_WORKERS:
      shm_map_reduce_set_n_workers (self, g_value_get_uint (value));
      break;
    case PROP_BACKEND:
      shm_map_reduce_set_backend (self, g_value_get_enum (value));
      break;
    case PROP_SCHEDULE:
      shm_map_reduce_set_schedule (self, g_value_get_enum (value));
      break;
    case PROP_CHUNK_SIZE:
      shm_map_reduce_set_chunk_size (self, g_value_get_uint64 (value));
      break;
    case PROP_MIN_LENGTH:
      shm_map_reduce_set_min_length (self, g_value_get_uint64 (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
shm_map_reduce_class_init (ShmMapReduceClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamFlags flags = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->get_property = shm_map_reduce_get_property;
  object_class->set_property = shm_map_reduce_set_property;

  /**
   * ShmMapReduce:n-workers:
   *
   * The number of workers, at most 4096; or 0, for the number that shm_map_reduce_count_workers()
   * finds. A job never has more workers than items.
   *
   * Since: 1.0
   */
  properties[PROP_N_WORKERS] = g_param_spec_uint ("n-workers", "Number of workers",
                                                  "The number of workers, or 0 for automatic", 0,
                                                  SHM_CONTROL_MAX_WORKERS, 0, flags);

  /**
   * ShmMapReduce:backend:
   *
   * Who does the work. `SHM_DEBUG=serial` in the environment and shm_set_debug() overrule it.
   *
   * Since: 1.0
   */
  properties[PROP_BACKEND] =
      g_param_spec_enum ("backend", "Backend", "Who does the work", SHM_TYPE_BACKEND_TYPE,
                         SHM_BACKEND_TYPE_PROCESS, flags);

  /**
   * ShmMapReduce:schedule:
   *
   * How the items are dealt to the workers.
   *
   * Since: 1.0
   */
  properties[PROP_SCHEDULE] =
      g_param_spec_enum ("schedule", "Schedule", "How the items are dealt to the workers",
                         SHM_TYPE_SCHEDULE, SHM_SCHEDULE_DYNAMIC, flags);

  /**
   * ShmMapReduce:chunk-size:
   *
   * The number of items that a worker claims together; 0 for automatic: with %SHM_SCHEDULE_DYNAMIC,
   * as many as take about a fifth of a millisecond, and single ones from when an item first enters
   * an ordered section; with %SHM_SCHEDULE_STATIC, one block for each worker; with
   * %SHM_SCHEDULE_GUIDED, at least one.
   *
   * Since: 1.0
   */
  properties[PROP_CHUNK_SIZE] =
      g_param_spec_uint64 ("chunk-size", "Chunk size", "Items claimed together, or 0 for automatic",
                           0, G_MAXUINT64, 0, flags);

  /**
   * ShmMapReduce:min-length:
   *
   * A job with fewer items than this is run serially by the caller.
   *
   * Since: 1.0
   */
  properties[PROP_MIN_LENGTH] =
      g_param_spec_uint64 ("min-length", "Minimal length", "Fewer items than this are run serially",
                           0, G_MAXUINT64, 0, flags);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
shm_map_reduce_init (ShmMapReduce *self)
{
}

/**
 * shm_map_reduce_new:
 *
 * Makes a pool of forked workers, as many as the process may use processors.
 *
 * Returns: (transfer full): a new pool
 *
 * Since: 1.0
 */
ShmMapReduce *
shm_map_reduce_new (void)
{
  return g_object_new (SHM_TYPE_MAP_REDUCE, NULL);
}

/**
 * shm_map_reduce_get_n_workers:
 * @self: a pool
 *
 * Gets the number of workers that was asked for.
 *
 * Returns: the number, or 0 for automatic
 *
 * Since: 1.0
 */
guint
shm_map_reduce_get_n_workers (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 0);

  return self->n_workers;
}

/**
 * shm_map_reduce_set_n_workers:
 * @self: a pool
 * @n_workers: the number of workers, at most 4096, or 0 for automatic
 *
 * Sets the number of workers.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_n_workers (ShmMapReduce *self, guint n_workers)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));
  g_return_if_fail (n_workers <= SHM_CONTROL_MAX_WORKERS);

  if (self->n_workers == n_workers)
    return;
  self->n_workers = n_workers;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_N_WORKERS]);
}

/**
 * shm_map_reduce_count_workers:
 * @self: a pool
 *
 * Tells how many workers a job would have now, if it had items enough: #ShmMapReduce:n-workers, or
 * where that is 0, the number in the environment variable `OMP_NUM_THREADS`, else in `PBS_NUM_PPN`,
 * else shm_cpu_count().
 *
 * Returns: the number of workers, at least 1
 *
 * Since: 1.0
 */
guint
shm_map_reduce_count_workers (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 1);

  if (self->n_workers != 0)
    return self->n_workers;
  return MIN (shm_cpu_default_workers (), SHM_CONTROL_MAX_WORKERS);
}

/**
 * shm_map_reduce_get_backend:
 * @self: a pool
 *
 * Gets who does the work.
 *
 * Returns: the backend
 *
 * Since: 1.0
 */
ShmBackendType
shm_map_reduce_get_backend (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), SHM_BACKEND_TYPE_PROCESS);

  return self->backend;
}

/**
 * shm_map_reduce_set_backend:
 * @self: a pool
 * @backend: who is to do the work
 *
 * Sets who does the work.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_backend (ShmMapReduce *self, ShmBackendType backend)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));
  g_return_if_fail (backend <= SHM_BACKEND_TYPE_SERIAL);

  if (self->backend == backend)
    return;
  self->backend = backend;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_BACKEND]);
}

/**
 * shm_map_reduce_get_schedule:
 * @self: a pool
 *
 * Gets how the items are dealt to the workers.
 *
 * Returns: the schedule
 *
 * Since: 1.0
 */
ShmSchedule
shm_map_reduce_get_schedule (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), SHM_SCHEDULE_DYNAMIC);

  return self->schedule;
}

/**
 * shm_map_reduce_set_schedule:
 * @self: a pool
 * @schedule: how the items are to be dealt to the workers
 *
 * Sets how the items are dealt to the workers.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_schedule (ShmMapReduce *self, ShmSchedule schedule)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));
  g_return_if_fail (schedule <= SHM_SCHEDULE_GUIDED);

  if (self->schedule == schedule)
    return;
  self->schedule = schedule;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SCHEDULE]);
}

/**
 * shm_map_reduce_get_chunk_size:
 * @self: a pool
 *
 * Gets how many items a worker claims together.
 *
 * Returns: the number of items, or 0 for automatic
 *
 * Since: 1.0
 */
guint64
shm_map_reduce_get_chunk_size (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 0);

  return self->chunk_size;
}

/**
 * shm_map_reduce_set_chunk_size:
 * @self: a pool
 * @chunk_size: the number of items, or 0 for automatic
 *
 * Sets how many items a worker claims together.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_chunk_size (ShmMapReduce *self, guint64 chunk_size)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));

  if (self->chunk_size == chunk_size)
    return;
  self->chunk_size = chunk_size;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CHUNK_SIZE]);
}

/**
 * shm_map_reduce_get_min_length:
 * @self: a pool
 *
 * Gets the number of items below which a job is run serially.
 *
 * Returns: the number of items
 *
 * Since: 1.0
 */
guint64
shm_map_reduce_get_min_length (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 0);

  return self->min_length;
}

/**
 * shm_map_reduce_set_min_length:
 * @self: a pool
 * @min_length: a number of items
 *
 * Sets the number of items below which a job is run serially by the caller.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_min_length (ShmMapReduce *self, guint64 min_length)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));

  if (self->min_length == min_length)
    return;
  self->min_length = min_length;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MIN_LENGTH]);
}

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

/**
 * shm_map_reduce_get_rank:
 * @self: a pool
 *
 * Tells which worker the calling thread is.
 *
 * Returns: the rank, from 0 to the number of workers - 1, in a work function of this pool; -1
 * elsewhere
 *
 * Since: 1.0
 */
gint
shm_map_reduce_get_rank (ShmMapReduce *self)
{
  ShmWorker *worker;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), -1);

  worker = shm_worker_find (self);
  return worker ? (gint) worker->rank : -1;
}

/**
 * shm_map_reduce_begin_item:
 * @self: a pool, in whose work function the calling thread is
 * @index: an item of the range that the function was called for
 *
 * For functions that work on a range: tells that this item begins, and those of the range before it
 * are done. If the worker dies, or the function fails, this is the item to blame. Items must be
 * begun in ascending order; a function that does not call this is at its first item. Each item that
 * was begun may enter the ordered section once.
 *
 * Since: 1.0
 */
void
shm_map_reduce_begin_item (ShmMapReduce *self, guint64 index)
{
  ShmWorker *worker = shm_worker_find (self);

  g_return_if_fail (worker != NULL);

  if (!shm_worker_begin_item (worker, index - worker->work->base))
    g_critical ("%s: item %" G_GUINT64_FORMAT " is not in the range, or was begun before",
                G_STRFUNC, index);
}

static ShmWorker *
shm_map_reduce_find_worker (ShmMapReduce *self, GError **error)
{
  ShmWorker *worker = shm_worker_find (self);

  if (worker == NULL)
    g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                         _ ("Only a work function can enter a section of its pool"));
  return worker;
}

/**
 * shm_map_reduce_critical_enter:
 * @self: a pool, in whose work function the calling thread is
 * @error: return location for an error
 *
 * Enters the critical section, in which there is one worker of the job at a time, and waits for it
 * if need be. Leave it with shm_map_reduce_critical_leave(); see also shm_critical_locker_new().
 *
 * If a worker dies in the section, that is a failure of its item; the section is free again then,
 * and what it guards may be half done.
 *
 * Entering it twice is an error, as is entering it outside of a work function. In a job of threads
 * that is being ended, %G_IO_ERROR_CANCELLED is returned instead of waiting.
 *
 * Who needs both sections enters the ordered one first: an item that waits for its turn inside of
 * the critical section would keep out those that it waits for.
 *
 * Returns: %TRUE if the section was entered
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_critical_enter (ShmMapReduce *self, GError **error)
{
  ShmWorker *worker;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);

  worker = shm_map_reduce_find_worker (self, error);
  return worker != NULL && shm_worker_critical_enter (worker, error);
}

/**
 * shm_map_reduce_critical_leave:
 * @self: a pool, whose critical section the calling thread is in
 *
 * Leaves the critical section.
 *
 * Since: 1.0
 */
void
shm_map_reduce_critical_leave (ShmMapReduce *self)
{
  ShmWorker *worker = shm_worker_find (self);

  g_return_if_fail (worker != NULL);

  shm_worker_critical_leave (worker);
}

/**
 * shm_map_reduce_ordered_enter:
 * @self: a pool, in whose work function the calling thread is
 * @error: return location for an error
 *
 * Enters the ordered section, which the items enter one after the other in the order of their
 * indices, and waits until every earlier item has left it or has ended without entering it. Leave
 * it with shm_map_reduce_ordered_leave(); see also shm_ordered_locker_new().
 *
 * An item may enter it once; a second time is an error, as is entering it outside of a work
 * function. In a job of threads that is being ended, %G_IO_ERROR_CANCELLED is returned instead of
 * waiting.
 *
 * Items that are claimed together wait together: with a large #ShmMapReduce:chunk-size, or one
 * block for each worker, little is left to do at the same time.
 *
 * Returns: %TRUE if the section was entered
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_ordered_enter (ShmMapReduce *self, GError **error)
{
  ShmWorker *worker;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);

  worker = shm_map_reduce_find_worker (self, error);
  return worker != NULL && shm_worker_ordered_enter (worker, error);
}

/**
 * shm_map_reduce_ordered_leave:
 * @self: a pool, whose ordered section the calling thread is in
 *
 * Leaves the ordered section, and lets the next item enter.
 *
 * Since: 1.0
 */
void
shm_map_reduce_ordered_leave (ShmMapReduce *self)
{
  ShmWorker *worker = shm_worker_find (self);

  g_return_if_fail (worker != NULL);

  shm_worker_ordered_leave (worker);
}
