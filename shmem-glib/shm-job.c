/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/**
 * ShmJob:
 *
 * One map in flight: what shm_map_reduce_map() makes and runs, for those who want more than it
 * offers.
 *
 * A job is made for a pool, whose properties it takes over when it starts, and a number of items.
 * It is given one work function, with shm_job_set_map_func(), shm_job_set_range_func() or
 * shm_job_set_loop_func(), and if wanted a reduce function; then it is run, once, with
 * shm_job_run() or shm_job_run_async(). The results are then in shm_job_get_results().
 *
 * Since: 1.0
 */

/**
 * SECTION:shm-job
 * @title: ShmJob
 * @short_description: one map in flight
 *
 * A job takes one closure a setter. See #ShmMapReduce for the short calls.
 */

#include "config.h"

#include "shm-job-private.h"

enum
{
  PROP_0,
  PROP_POOL,
  PROP_N_ITEMS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (ShmJob, shm_job, G_TYPE_OBJECT)

void
shm_job_clear_work (ShmJob *self)
{
  if (self->work_destroy != NULL)
    g_steal_pointer (&self->work_destroy) (self->work.user_data);
  self->work.user_data = NULL;
  self->has_work = FALSE;
}

void
shm_job_clear_reduce (ShmJob *self)
{
  if (self->reduce_destroy != NULL)
    g_steal_pointer (&self->reduce_destroy) (self->reduce_data);
  self->reduce_data = NULL;
  self->reduce = NULL;
}

static void
shm_job_finalize (GObject *object)
{
  ShmJob *self = SHM_JOB (object);
  guint i;

  g_assert (self->state != SHM_JOB_RUNNING);
  shm_job_clear_work (self);
  shm_job_clear_reduce (self);
  for (i = 0; self->ranges != NULL && i < self->ranges->len; i++)
    g_variant_unref (g_array_index (self->ranges, ShmRangeResult, i).value);
  g_clear_pointer (&self->ranges, g_array_unref);
  g_clear_pointer (&self->results, g_ptr_array_unref);
  g_clear_pointer (&self->failures, g_ptr_array_unref);
  g_clear_error (&self->error);
  g_clear_object (&self->pool);

  G_OBJECT_CLASS (shm_job_parent_class)->finalize (object);
}

static void
shm_job_get_property (GObject *object, guint property_id, GValue *value, GParamSpec *pspec)
{
  ShmJob *self = SHM_JOB (object);

  switch (property_id)
    {
    case PROP_POOL:
      g_value_set_object (value, self->pool);
      break;
    case PROP_N_ITEMS:
      g_value_set_uint64 (value, self->n_items);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
shm_job_set_property (GObject *object, guint property_id, const GValue *value, GParamSpec *pspec)
{
  ShmJob *self = SHM_JOB (object);

  switch (property_id)
    {
    case PROP_POOL:
      self->pool = g_value_dup_object (value);
      break;
    case PROP_N_ITEMS:
      self->n_items = g_value_get_uint64 (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
shm_job_constructed (GObject *object)
{
  ShmJob *self = SHM_JOB (object);

  if (self->pool == NULL)
    self->pool = shm_map_reduce_new ();
  G_OBJECT_CLASS (shm_job_parent_class)->constructed (object);
}

static void
shm_job_class_init (ShmJobClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = shm_job_constructed;
  object_class->finalize = shm_job_finalize;
  object_class->get_property = shm_job_get_property;
  object_class->set_property = shm_job_set_property;

  /**
   * ShmJob:pool:
   *
   * The pool whose properties the job takes over when it starts; a new pool if none is given.
   *
   * Since: 1.0
   */
  properties[PROP_POOL] =
      g_param_spec_object ("pool", "Pool", "The pool that the job is of", SHM_TYPE_MAP_REDUCE,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * ShmJob:n-items:
   *
   * The number of items.
   *
   * Since: 1.0
   */
  properties[PROP_N_ITEMS] =
      g_param_spec_uint64 ("n-items", "Number of items", "The number of items", 0, G_MAXUINT64, 0,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
shm_job_init (ShmJob *self)
{
  self->failures = g_ptr_array_new_with_free_func ((GDestroyNotify) shm_failure_unref);
}

/**
 * shm_job_new:
 * @pool: a pool
 * @n_items: the number of items
 *
 * Makes a job, which does nothing until it has a work function and is run.
 *
 * Returns: (transfer full): a new job
 *
 * Since: 1.0
 */
ShmJob *
shm_job_new (ShmMapReduce *pool, guint64 n_items)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (pool), NULL);

  return g_object_new (SHM_TYPE_JOB, "pool", pool, "n-items", n_items, NULL);
}

/**
 * shm_job_get_pool:
 * @self: a job
 *
 * Gets the pool of the job.
 *
 * Returns: (transfer none): the pool
 *
 * Since: 1.0
 */
ShmMapReduce *
shm_job_get_pool (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  return self->pool;
}

/**
 * shm_job_get_n_items:
 * @self: a job
 *
 * Gets the number of items.
 *
 * Returns: the number of items
 *
 * Since: 1.0
 */
guint64
shm_job_get_n_items (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), 0);

  return self->n_items;
}

static gboolean
shm_job_set_work (ShmJob *self, ShmWorkKind kind, gpointer user_data, GDestroyNotify destroy)
{
  g_return_val_if_fail (SHM_IS_JOB (self), FALSE);
  g_return_val_if_fail (self->state == SHM_JOB_NEW, FALSE);

  shm_job_clear_work (self);
  self->work.kind = kind;
  self->work.user_data = user_data;
  self->work_destroy = destroy;
  self->has_work = TRUE;
  return TRUE;
}

/**
 * shm_job_set_map_func:
 * @self: a job that has not been run
 * @func: (scope notified) (closure user_data) (destroy destroy): what works on an item
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, in the caller, when the job has ended
 *
 * Gives the job a function that is called once for each item. It takes the place of any other work
 * function.
 *
 * Since: 1.0
 */
void
shm_job_set_map_func (ShmJob *self, ShmMapFunc func, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (func != NULL);

  if (shm_job_set_work (self, SHM_WORK_MAP, user_data, destroy))
    self->work.func.map = func;
}

/**
 * shm_job_set_range_func:
 * @self: a job that has not been run
 * @func: (scope notified) (closure user_data) (destroy destroy): what works on a range of items
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, in the caller, when the job has ended
 *
 * Gives the job a function that is called once for each range that a worker claims, and makes one
 * result of it. It takes the place of any other work function.
 *
 * Since: 1.0
 */
void
shm_job_set_range_func (ShmJob *self, ShmRangeFunc func, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (func != NULL);

  if (shm_job_set_work (self, SHM_WORK_RANGE, user_data, destroy))
    self->work.func.range = func;
}

/**
 * shm_job_set_loop_func:
 * @self: a job that has not been run
 * @func: (scope notified) (closure user_data) (destroy destroy): what works on a range of items
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, in the caller, when the job has ended
 *
 * Gives the job a function that is called once for each range that a worker claims, and has no
 * result. It takes the place of any other work function.
 *
 * Since: 1.0
 */
void
shm_job_set_loop_func (ShmJob *self, ShmLoopFunc func, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (func != NULL);

  if (shm_job_set_work (self, SHM_WORK_LOOP, user_data, destroy))
    self->work.func.loop = func;
}

/**
 * shm_job_set_reduce_func:
 * @self: a job that has not been run
 * @func: (scope notified) (closure user_data) (destroy destroy): what takes a result in the caller
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, in the caller, when the job has ended
 *
 * Gives the job a function that is called for each result, in the thread that runs the job's main
 * context.
 *
 * Since: 1.0
 */
void
shm_job_set_reduce_func (ShmJob *self,
                         ShmReduceFunc func,
                         gpointer user_data,
                         GDestroyNotify destroy)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (self->state == SHM_JOB_NEW);
  g_return_if_fail (func != NULL);

  shm_job_clear_reduce (self);
  self->reduce = func;
  self->reduce_data = user_data;
  self->reduce_destroy = destroy;
}

/* The index of the first item, for loops that do not begin at 0. */
void
shm_job_set_base (ShmJob *self, guint64 base)
{
  self->work.base = base;
}

/**
 * shm_job_get_results:
 * @self: a job
 *
 * Gets the results of a job that has ended well. With a map function there is one element for each
 * item, in the order of the items, %NULL where there is no result. With a range function there is
 * one element for each range that had a result, in the order of the ranges. With a loop function
 * there is none.
 *
 * Returns: (transfer none) (nullable) (element-type GVariant): the results, or %NULL if the job has
 * not ended, or has failed
 *
 * Since: 1.0
 */
GPtrArray *
shm_job_get_results (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  return self->state == SHM_JOB_DONE ? self->results : NULL;
}

/**
 * shm_job_get_failures:
 * @self: a job
 *
 * Gets what went wrong in a job that has ended, in the order of the items: with %SHM_FAILURE_POLICY_COLLECT
 * every item that failed, with %SHM_FAILURE_POLICY_ABORT the one whose error ended the job. What was mended by
 * a retry is not in it.
 *
 * Returns: (transfer none) (nullable) (element-type ShmFailure): the failures, or %NULL if the job
 *   has not ended
 *
 * Since: 1.0
 */
GPtrArray *
shm_job_get_failures (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  return self->state == SHM_JOB_DONE ? self->failures : NULL;
}

GPtrArray *
shm_job_steal_results (ShmJob *self)
{
  return g_steal_pointer (&self->results);
}
