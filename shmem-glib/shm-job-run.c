/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
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

#include "shm-debug.h"
#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"
#include "shm-job-private.h"

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

/* Whether the item may be tried again, which counts as a try. Only who died did not fail by himself. */
static gboolean
shm_job_retry (ShmJob *self, const ShmFailure *failure)
{
  guint n_tries;

  if (failure->pid == 0 || failure->index == SHM_NO_ITEM)
    return FALSE;
  if (self->n_tries == NULL)
    self->n_tries = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  n_tries = GPOINTER_TO_UINT (g_hash_table_lookup (self->n_tries, &failure->index));
  if (n_tries >= self->max_retries)
    return FALSE;
  g_hash_table_replace (self->n_tries, g_memdup2 (&failure->index, sizeof failure->index),
                        GUINT_TO_POINTER (n_tries + 1));
  return TRUE;
}

static ShmVerdict
shm_job_failure (gpointer job, ShmFailure *failure)
{
  ShmJob *self = job;
  gboolean collect = self->failure_policy == SHM_FAILURE_POLICY_COLLECT;

  if (self->error != NULL)
    {
      shm_failure_unref (failure);
      return SHM_VERDICT_STOP;
    }
  if (shm_job_retry (self, failure))
    {
      shm_failure_unref (failure);
      return SHM_VERDICT_RETRY;
    }
  g_ptr_array_add (self->failures, failure);
  if (collect && failure->index != SHM_NO_ITEM)
    return SHM_VERDICT_SKIP;
  self->error = shm_failure_to_error (failure);
  return SHM_VERDICT_STOP;
}

static gint
shm_job_compare_ranges (gconstpointer a, gconstpointer b)
{
  guint64 first = ((const ShmRangeResult *) a)->begin;
  guint64 second = ((const ShmRangeResult *) b)->begin;

  return first < second ? -1 : first > second;
}

static gint
shm_job_compare_failures (gconstpointer a, gconstpointer b)
{
  guint64 first = (*(ShmFailure *const *) a)->index;
  guint64 second = (*(ShmFailure *const *) b)->index;

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
  g_ptr_array_sort (self->failures, shm_job_compare_failures);
  g_clear_pointer (&self->n_tries, g_hash_table_unref);
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
      .item_timeout = (gint64) shm_map_reduce_get_item_timeout (self->pool) * 1000,
      .max_items_per_worker = klass == &shm_backend_process_class
                                  ? shm_map_reduce_get_max_items_per_worker (self->pool)
                                  : 0,
    },
    .limits = {
      .memory = shm_map_reduce_get_worker_memory (self->pool),
      .cpu_time = shm_map_reduce_get_worker_cpu_time (self->pool),
      .niceness = shm_map_reduce_get_worker_niceness (self->pool),
    },
    .pool = self->pool,
    .work = &self->work,
    .context = context,
    .client = &job_client,
    .job = self,
  };

  self->failure_policy = shm_map_reduce_get_failure_policy (self->pool);
  self->max_retries = shm_map_reduce_get_max_retries (self->pool);
  setup.settings.stop_at_failure = self->failure_policy == SHM_FAILURE_POLICY_ABORT;
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

/**
 * shm_job_run:
 * @self: a job that has not been run
 * @cancellable: (nullable): what may cancel the job
 * @error: return location for an error
 *
 * Runs the job and waits for its end; the calling thread sleeps meanwhile, but for the reduce
 * function. No main context of the application is run.
 *
 * With %SHM_FAILURE_POLICY_COLLECT, items that fail do not fail the job: see shm_job_get_failures().
 *
 * Else the error is that of the first item that failed, with its own domain and code; or one of
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

  /* GLib aborts where there is no descriptor for a context. */
  if (!shm_job_check (self, cancellable, error) || !shm_fork_have_fd (error))
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
