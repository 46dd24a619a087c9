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

/* States: NEW → RUNNING → DONE.
 *
 * While it is RUNNING there is a backend, which makes all its calls in `context`; `error` is the
 * reason why the job ends early, and once it is set no result is taken and nothing of the user's is
 * called. The backend's finished () is the only way from RUNNING to DONE: there the backend is
 * freed, and with it every child, descriptor and mapping. An asynchronous run holds a reference in
 * its GTask.
 */

#include "config.h"

#include "shm-job-private.h"

#include "shm-backend-private.h"
#include "shm-debug.h"
#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"

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
  ShmBackend *backend;
  GMainContext *context;
  GCancellable *cancellable;
  GSource *cancel_source;
  GTask *task; /* of an asynchronous run */
  GError *error;
  GPtrArray *results; /* by item */
  GArray *ranges;     /* of ShmRangeResult, as they came */
};

enum
{
  PROP_0,
  PROP_POOL,
  PROP_N_ITEMS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (ShmJob, shm_job, G_TYPE_OBJECT)

static void
shm_job_unref_result (gpointer value)
{
  if (value != NULL)
    g_variant_unref (value);
}

static GPtrArray *
shm_job_new_list (guint length)
{
  GPtrArray *list = g_ptr_array_new_full (length, shm_job_unref_result);

  g_ptr_array_set_size (list, length);
  return list;
}

static void
shm_job_clear_work (ShmJob *self)
{
  if (self->work_destroy != NULL)
    g_steal_pointer (&self->work_destroy) (self->work.user_data);
  self->work.user_data = NULL;
  self->has_work = FALSE;
}

static void
shm_job_clear_reduce (ShmJob *self)
{
  if (self->reduce_destroy != NULL)
    g_steal_pointer (&self->reduce_destroy) (self->reduce_data);
  self->reduce_data = NULL;
  self->reduce = NULL;
}

/* The job ends early, for this reason; a later reason does not count. */
static void
shm_job_abort (ShmJob *self, GError *error)
{
  if (self->error != NULL)
    {
      g_error_free (error);
      return;
    }
  self->error = error;
  if (self->backend != NULL)
    self->backend->klass->stop (self->backend);
}

static void
shm_job_keep_result (ShmJob *self, guint64 begin, GVariant *value)
{
  if (self->work.kind == SHM_WORK_MAP)
    {
      if (self->results == NULL)
        self->results = shm_job_new_list (self->n_items);
      if (g_ptr_array_index (self->results, begin) != NULL)
        {
          g_variant_unref (value);
          shm_job_abort (self, g_error_new_literal (SHM_ERROR, SHM_ERROR_BAD_RESULT,
                                                    _ ("Two results arrived for one item")));
          return;
        }
      g_ptr_array_index (self->results, begin) = value;
    }
  else
    {
      ShmRangeResult range = { begin, value };

      if (self->ranges == NULL)
        self->ranges = g_array_new (FALSE, FALSE, sizeof (ShmRangeResult));
      g_array_append_val (self->ranges, range);
    }
}

static void
shm_job_result (gpointer job, guint64 begin, guint64 end, GVariant *value)
{
  ShmJob *self = job;

  if (self->error != NULL)
    {
      g_variant_unref (value);
      return;
    }
  if (self->reduce != NULL)
    {
      g_autoptr (GVariant) result = value;
      GError *error = NULL;

      value = self->reduce (self->pool, self->work.base + begin, result, self->reduce_data, &error);
      if (value != NULL)
        value = g_variant_take_ref (value);
      if (error != NULL)
        {
          g_clear_pointer (&value, g_variant_unref);
          shm_job_abort (self, error);
          return;
        }
    }
  if (value != NULL)
    shm_job_keep_result (self, begin, value);
}

static ShmVerdict
shm_job_failure (gpointer job, ShmFailure *failure)
{
  ShmJob *self = job;

  if (self->error == NULL)
    self->error = shm_failure_to_error (failure);
  shm_failure_free (failure);
  return SHM_VERDICT_STOP;
}

static gint
shm_job_compare_ranges (gconstpointer a, gconstpointer b)
{
  guint64 first = ((const ShmRangeResult *) a)->begin;
  guint64 second = ((const ShmRangeResult *) b)->begin;

  return first < second ? -1 : first > second;
}

static void
shm_job_collect (ShmJob *self)
{
  guint i;

  if (self->ranges != NULL)
    {
      g_array_sort (self->ranges, shm_job_compare_ranges);
      self->results = shm_job_new_list (self->ranges->len);
      for (i = 0; i < self->ranges->len; i++)
        g_ptr_array_index (self->results, i) =
            g_array_index (self->ranges, ShmRangeResult, i).value;
      g_clear_pointer (&self->ranges, g_array_unref);
    }
  else if (self->results == NULL)
    self->results = shm_job_new_list (self->work.kind == SHM_WORK_MAP ? self->n_items : 0);

  if (self->error != NULL)
    g_clear_pointer (&self->results, g_ptr_array_unref);
}

static void
shm_job_release (ShmJob *self)
{
  if (self->cancel_source != NULL)
    {
      g_source_destroy (self->cancel_source);
      g_clear_pointer (&self->cancel_source, g_source_unref);
    }
  g_clear_object (&self->cancellable);
  if (self->backend != NULL)
    self->backend->klass->free (g_steal_pointer (&self->backend));
  g_clear_pointer (&self->context, g_main_context_unref);
}

static void
shm_job_finished (gpointer job)
{
  g_autoptr (ShmJob) self = g_object_ref (job);
  GTask *task = g_steal_pointer (&self->task);

  /* Who cancels while the last items end must not be told that nothing was cancelled. */
  if (self->error == NULL)
    g_cancellable_set_error_if_cancelled (self->cancellable, &self->error);
  shm_job_collect (self);
  shm_job_release (self);
  self->state = SHM_JOB_DONE;

  /* A closure may hold what in turn holds the job. */
  shm_job_clear_work (self);
  shm_job_clear_reduce (self);

  if (task == NULL)
    return;
  if (self->error != NULL)
    g_task_return_error (task, g_steal_pointer (&self->error));
  else
    g_task_return_boolean (task, TRUE);
  g_object_unref (task);
}

static const ShmBackendClient job_client = {
  .result = shm_job_result,
  .failure = shm_job_failure,
  .finished = shm_job_finished,
};

static gboolean
shm_job_cancelled (GCancellable *cancellable, gpointer job)
{
  GError *error = NULL;

  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    shm_job_abort (job, error);
  return G_SOURCE_REMOVE;
}

static gboolean
shm_job_check (ShmJob *self, GCancellable *cancellable, GError **error)
{
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (self->state != SHM_JOB_NEW || !self->has_work)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           self->has_work || self->state != SHM_JOB_NEW
                               ? _ ("A job can be run only once")
                               : _ ("The job has no work function"));
      return FALSE;
    }
  if (self->n_items > SHM_CONTROL_MAX_ITEMS ||
      (self->work.kind == SHM_WORK_MAP && self->n_items > G_MAXUINT))
    {
      g_autofree char *n_items = g_strdup_printf ("%" G_GUINT64_FORMAT, self->n_items);

      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("A job cannot have %s items; with a loop function it may have more"),
                   n_items);
      return FALSE;
    }
  return TRUE;
}

static const ShmBackendClass *
shm_job_choose_backend (ShmJob *self)
{
  /* The cores are taken already where a work function starts a job. */
  if (shm_get_debug () || shm_fork_is_child () || shm_worker_get_current () != NULL ||
      self->n_items < shm_map_reduce_get_min_length (self->pool))
    return &shm_backend_serial_class;

  switch (shm_map_reduce_get_backend (self->pool))
    {
    case SHM_BACKEND_TYPE_SERIAL:
      return &shm_backend_serial_class;
    case SHM_BACKEND_TYPE_THREAD:
      return &shm_backend_thread_class;
    case SHM_BACKEND_TYPE_PROCESS:
    default:
      return &shm_backend_process_class;
    }
}

static gboolean
shm_job_start (ShmJob *self, GMainContext *context, GCancellable *cancellable, GError **error)
{
  const ShmBackendClass *klass = shm_job_choose_backend (self);
  guint n_workers = shm_map_reduce_count_workers (self->pool);
  ShmBackendSetup setup = {
    .settings = {
      .n_items = self->n_items,
      .chunk_size = shm_map_reduce_get_chunk_size (self->pool),
      .n_workers = MAX (1, MIN (n_workers, self->n_items)),
      .schedule = shm_map_reduce_get_schedule (self->pool),
      .stop_at_failure = TRUE,
    },
    .pool = self->pool,
    .work = &self->work,
    .context = context,
    .client = &job_client,
    .job = self,
  };

  self->state = SHM_JOB_RUNNING;
  self->context = g_main_context_ref (context);
  self->backend = klass->start (&setup, error);
  if (self->backend == NULL)
    {
      self->state = SHM_JOB_DONE;
      shm_job_release (self);
      shm_job_clear_work (self);
      shm_job_clear_reduce (self);
      return FALSE;
    }
  if (cancellable != NULL)
    {
      self->cancellable = g_object_ref (cancellable);
      self->cancel_source = g_cancellable_source_new (cancellable);
      g_source_set_callback (self->cancel_source, G_SOURCE_FUNC (shm_job_cancelled), self, NULL);
      g_source_attach (self->cancel_source, context);
    }
  return TRUE;
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
 * shm_job_run:
 * @self: a job that has not been run
 * @cancellable: (nullable): what may cancel the job
 * @error: return location for an error
 *
 * Runs the job and waits for its end; the calling thread sleeps meanwhile, but for the reduce
 * function. No main context of the application is run.
 *
 * The error is that of the first item that failed, with its own domain and code; or one of
 * %SHM_ERROR; or %G_IO_ERROR_CANCELLED; or what the reduce function said. No worker is left then.
 *
 * Returns: %TRUE if all items were done
 *
 * Since: 1.0
 */
gboolean
shm_job_run (ShmJob *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (GMainContext) context = NULL;

  g_return_val_if_fail (SHM_IS_JOB (self), FALSE);

  if (!shm_job_check (self, cancellable, error))
    return FALSE;
  context = g_main_context_new ();
  if (!shm_job_start (self, context, cancellable, error))
    return FALSE;
  while (self->state != SHM_JOB_DONE)
    g_main_context_iteration (context, TRUE);

  if (self->error == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&self->error));
  return FALSE;
}

/**
 * shm_job_run_async:
 * @self: a job that has not been run
 * @cancellable: (nullable): what may cancel the job
 * @callback: (scope async) (closure user_data) (nullable): called when the job has ended
 * @user_data: data for @callback
 *
 * Runs the job beside the thread-default main context of the calling thread, which stays alive and
 * in which the reduce function and @callback are called. Call shm_job_run_finish() in @callback.
 *
 * Since: 1.0
 */
void
shm_job_run_async (ShmJob *self,
                   GCancellable *cancellable,
                   GAsyncReadyCallback callback,
                   gpointer user_data)
{
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  g_autoptr (GTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (SHM_IS_JOB (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, shm_job_run_async);
  /* What has been decided stays decided, also if the cancellable is cancelled before the callback.
   */
  g_task_set_check_cancellable (task, FALSE);
  if (!shm_job_check (self, cancellable, &error) ||
      !shm_job_start (self, context, cancellable, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  self->task = g_steal_pointer (&task);
}

/**
 * shm_job_run_finish:
 * @self: a job
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends what shm_job_run_async() began. The errors are those of shm_job_run().
 *
 * Returns: %TRUE if all items were done
 *
 * Since: 1.0
 */
gboolean
shm_job_run_finish (ShmJob *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (SHM_IS_JOB (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
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

GPtrArray *
shm_job_steal_results (ShmJob *self)
{
  return g_steal_pointer (&self->results);
}
