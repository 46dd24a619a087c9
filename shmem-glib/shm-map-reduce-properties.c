/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The properties of a pool, one by one. */

#include "config.h"

#include "shm-control-private.h"
#include "shm-cpu-private.h"
#include "shm-map-reduce-private.h"
#include "shm-worker-private.h"

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
  g_object_notify (G_OBJECT (self), "n-workers");
}

/**
 * shm_map_reduce_count_workers:
 * @self: a pool
 *
 * Tells how many workers a job would have now, if it had items enough: #ShmMapReduce:n-workers, or
 * where that is 0, the number in the environment variable `OMP_NUM_THREADS`, else in `PBS_NUM_PPN`,
 * else shm_cpu_count(). In a work function it is the worker's share of shm_cpu_count() instead; there a job has one
 * worker, unless the pool is #ShmMapReduce:nested.
 *
 * Returns: the number of workers, at least 1
 *
 * Since: 1.0
 */
guint
shm_map_reduce_count_workers (ShmMapReduce *self)
{
  guint n_taken = shm_worker_count_taken ();

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 1);

  if (self->n_workers != 0)
    return self->n_workers;
  if (n_taken > 1)
    return MAX (1, MIN (shm_cpu_count () / n_taken, SHM_CONTROL_MAX_WORKERS));
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
  g_object_notify (G_OBJECT (self), "backend");
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
  g_object_notify (G_OBJECT (self), "schedule");
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
  g_object_notify (G_OBJECT (self), "chunk-size");
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
  g_object_notify (G_OBJECT (self), "min-length");
}

/**
 * shm_map_reduce_get_failure_policy:
 * @self: a pool
 *
 * Gets what becomes of a job when an item fails; see #ShmMapReduce:failure-policy.
 *
 * Returns: the policy
 *
 * Since: 1.0
 */
ShmFailurePolicy
shm_map_reduce_get_failure_policy (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), SHM_FAILURE_POLICY_ABORT);

  return self->failure_policy;
}

/**
 * shm_map_reduce_set_failure_policy:
 * @self: a pool
 * @policy: the policy
 *
 * Sets what becomes of a job when an item fails; see #ShmMapReduce:failure-policy.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_failure_policy (ShmMapReduce *self, ShmFailurePolicy policy)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));
  g_return_if_fail (policy <= SHM_FAILURE_POLICY_COLLECT);

  if (self->failure_policy == policy)
    return;
  self->failure_policy = policy;
  g_object_notify (G_OBJECT (self), "failure-policy");
}

/**
 * shm_map_reduce_get_max_retries:
 * @self: a pool
 *
 * Gets how often an item is tried again; see #ShmMapReduce:max-retries.
 *
 * Returns: the number of retries
 *
 * Since: 1.0
 */
guint
shm_map_reduce_get_max_retries (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 0);

  return self->max_retries;
}

/**
 * shm_map_reduce_set_max_retries:
 * @self: a pool
 * @max_retries: the number of retries
 *
 * Sets how often an item is tried again; see #ShmMapReduce:max-retries.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_max_retries (ShmMapReduce *self, guint max_retries)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));

  if (self->max_retries == max_retries)
    return;
  self->max_retries = max_retries;
  g_object_notify (G_OBJECT (self), "max-retries");
}

/**
 * shm_map_reduce_get_item_timeout:
 * @self: a pool
 *
 * Gets how long one item may take; see #ShmMapReduce:item-timeout.
 *
 * Returns: the time in milliseconds, or 0 for any
 *
 * Since: 1.0
 */
guint
shm_map_reduce_get_item_timeout (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 0);

  return self->item_timeout;
}

/**
 * shm_map_reduce_set_item_timeout:
 * @self: a pool
 * @item_timeout: the time in milliseconds, or 0 for any
 *
 * Sets how long one item may take; see #ShmMapReduce:item-timeout.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_item_timeout (ShmMapReduce *self, guint item_timeout)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));

  if (self->item_timeout == item_timeout)
    return;
  self->item_timeout = item_timeout;
  g_object_notify (G_OBJECT (self), "item-timeout");
}

/**
 * shm_map_reduce_get_max_items_per_worker:
 * @self: a pool
 *
 * Gets after how many items a worker is replaced; see #ShmMapReduce:max-items-per-worker.
 *
 * Returns: the number of items, or 0 for never
 *
 * Since: 1.0
 */
guint64
shm_map_reduce_get_max_items_per_worker (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 0);

  return self->max_items_per_worker;
}

/**
 * shm_map_reduce_set_max_items_per_worker:
 * @self: a pool
 * @max_items: the number of items, or 0 for never
 *
 * Sets after how many items a worker is replaced; see #ShmMapReduce:max-items-per-worker.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_max_items_per_worker (ShmMapReduce *self, guint64 max_items)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));

  if (self->max_items_per_worker == max_items)
    return;
  self->max_items_per_worker = max_items;
  g_object_notify (G_OBJECT (self), "max-items-per-worker");
}

/**
 * shm_map_reduce_get_worker_memory:
 * @self: a pool
 *
 * Gets how much memory each worker may take; see #ShmMapReduce:worker-memory.
 *
 * Returns: the size in bytes, or 0 for any
 *
 * Since: 1.0
 */
guint64
shm_map_reduce_get_worker_memory (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 0);

  return self->worker_memory;
}

/**
 * shm_map_reduce_set_worker_memory:
 * @self: a pool
 * @n_bytes: the size in bytes, or 0 for any
 *
 * Sets how much memory each worker may take; see #ShmMapReduce:worker-memory.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_worker_memory (ShmMapReduce *self, guint64 n_bytes)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));

  if (self->worker_memory == n_bytes)
    return;
  self->worker_memory = n_bytes;
  g_object_notify (G_OBJECT (self), "worker-memory");
}

/**
 * shm_map_reduce_get_worker_cpu_time:
 * @self: a pool
 *
 * Gets how much processor time each worker may use; see #ShmMapReduce:worker-cpu-time.
 *
 * Returns: the time in seconds, or 0 for any
 *
 * Since: 1.0
 */
guint
shm_map_reduce_get_worker_cpu_time (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 0);

  return self->worker_cpu_time;
}

/**
 * shm_map_reduce_set_worker_cpu_time:
 * @self: a pool
 * @seconds: the time in seconds, or 0 for any
 *
 * Sets how much processor time each worker may use; see #ShmMapReduce:worker-cpu-time.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_worker_cpu_time (ShmMapReduce *self, guint seconds)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));
  g_return_if_fail (seconds <= G_MAXINT);

  if (self->worker_cpu_time == seconds)
    return;
  self->worker_cpu_time = seconds;
  g_object_notify (G_OBJECT (self), "worker-cpu-time");
}

/**
 * shm_map_reduce_get_worker_niceness:
 * @self: a pool
 *
 * Gets what is added to the caller's niceness in workers; see #ShmMapReduce:worker-niceness.
 *
 * Returns: the niceness, from -40 to 39
 *
 * Since: 1.0
 */
gint
shm_map_reduce_get_worker_niceness (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 0);

  return self->worker_niceness;
}

/**
 * shm_map_reduce_set_worker_niceness:
 * @self: a pool
 * @niceness: the niceness, from -40 to 39
 *
 * Sets what is added to the caller's niceness in workers; see #ShmMapReduce:worker-niceness.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_worker_niceness (ShmMapReduce *self, gint niceness)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));
  g_return_if_fail (niceness >= -40 && niceness <= 39);

  if (self->worker_niceness == niceness)
    return;
  self->worker_niceness = niceness;
  g_object_notify (G_OBJECT (self), "worker-niceness");
}

/**
 * shm_map_reduce_get_deterministic:
 * @self: a pool
 *
 * Gets whether results are reduced in the order of the items; see #ShmMapReduce:deterministic.
 *
 * Returns: %TRUE if they are
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_get_deterministic (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);

  return self->deterministic;
}

/**
 * shm_map_reduce_set_deterministic:
 * @self: a pool
 * @deterministic: whether they are
 *
 * Sets whether results are reduced in the order of the items; see #ShmMapReduce:deterministic.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_deterministic (ShmMapReduce *self, gboolean deterministic)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));

  deterministic = !!deterministic;
  if (self->deterministic == deterministic)
    return;
  self->deterministic = deterministic;
  g_object_notify (G_OBJECT (self), "deterministic");
}

/**
 * shm_map_reduce_get_nested:
 * @self: a pool
 *
 * Gets whether jobs inside of workers have workers of their own; see #ShmMapReduce:nested.
 *
 * Returns: %TRUE if they have
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_get_nested (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);

  return self->nested;
}

/**
 * shm_map_reduce_set_nested:
 * @self: a pool
 * @nested: whether they have
 *
 * Sets whether jobs inside of workers have workers of their own; see #ShmMapReduce:nested.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_nested (ShmMapReduce *self, gboolean nested)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));

  nested = !!nested;
  if (self->nested == nested)
    return;
  self->nested = nested;
  g_object_notify (G_OBJECT (self), "nested");
}

/**
 * shm_map_reduce_get_worker_threads:
 * @self: a pool
 *
 * Gets how many threads libraries may start in each worker; see #ShmMapReduce:worker-threads.
 *
 * Returns: the number of threads, or 0 for automatic
 *
 * Since: 1.0
 */
guint
shm_map_reduce_get_worker_threads (ShmMapReduce *self)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), 0);

  return self->worker_threads;
}

/**
 * shm_map_reduce_set_worker_threads:
 * @self: a pool
 * @n_threads: the number of threads, or 0 for automatic
 *
 * Sets how many threads libraries may start in each worker; see #ShmMapReduce:worker-threads.
 *
 * Since: 1.0
 */
void
shm_map_reduce_set_worker_threads (ShmMapReduce *self, guint n_threads)
{
  g_return_if_fail (SHM_IS_MAP_REDUCE (self));
  g_return_if_fail (n_threads <= G_MAXINT);

  if (self->worker_threads == n_threads)
    return;
  self->worker_threads = n_threads;
  g_object_notify (G_OBJECT (self), "worker-threads");
}
