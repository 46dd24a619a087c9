/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* States: NEW → RUNNING → DONE.
 *
 * While it is RUNNING there is a backend, which makes all its calls in `context`; `error` is the
 * reason why the job ends early, and once it is set no result is taken and nothing of the user's is
 * called. The backend's finished () is the only way from RUNNING to DONE: there the backend is
 * freed, and with it every child, descriptor and mapping; it waits for those that hold the job.
 *
 * An asynchronous run has a GTask, which holds the job. Each look at the workers, and each tick, looks whether nobody else does, and
 * cancels it then. To give the task's reference back and take it again in dispose () would tell at once, but GLib still uses an object that
 * was revived there, without a reference, while another thread may drop it for good.
 */

#include "config.h"

#include "shm-job-private.h"

#include <string.h>

#include "shm-cancel-source-private.h"
#include "shm-cpu.h"
#include "shm-debug.h"
#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"
#include "shm-map-reduce-private.h"

#define WINDOW_PER_WORKER 64

/* The job ends early, for this reason; a later reason does not count. */
void
shm_job_abort (ShmJob *self, GError *error)
{
  if (self->error != NULL)
    {
      g_error_free (error);
      return;
    }
  self->error = error;
  if (self->backend != NULL && !self->is_idle)
    self->backend->klass->stop (self->backend);
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
  if (self->is_idle)
    shm_job_begin_rest (self);
  else if (self->backend != NULL)
    self->backend->klass->free (g_steal_pointer (&self->backend));
  shm_input_end_run (&self->input, self->keep_workers);
  if (self->arena != NULL && self->kept == NULL)
    shm_arena_stop_recycling (self->arena);
  if (!self->has_deposits && self->kept == NULL)
    g_clear_pointer (&self->arena, shm_arena_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
}

static void
shm_job_finished (gpointer job)
{
  g_autoptr (ShmJob) self = g_object_ref (job);
  ShmJobDoneFunc done = self->done;

  if (self->n_holds > 0)
    {
      self->ended = TRUE;
      return;
    }
  shm_job_flush (self);
  /* Who cancels while the last items end must not be told that nothing was cancelled. */
  if (self->error == NULL)
    g_cancellable_set_error_if_cancelled (self->cancellable, &self->error);
  shm_job_collect (self);
  shm_job_end_report (self);
  shm_job_release (self);
  self->state = SHM_JOB_DONE;
  if (!self->keep_workers)
    shm_job_clear_calls (self);

  if (done != NULL)
    done (self, g_steal_pointer (&self->error), self->done_data);
}

static void
shm_job_idle (gpointer job)
{
  ((ShmJob *) job)->is_idle = TRUE;
  shm_job_finished (job);
}

/* For who has added to `n_holds`, in the job's context. */
void
shm_job_release_hold (ShmJob *self)
{
  if (--self->n_holds == 0 && self->ended)
    shm_job_finished (self);
}

static const ShmBackendClient job_client = {
  .frame = shm_job_frame,
  .failure = shm_job_failure,
  .look = shm_job_look,
  .left = shm_job_left,
  .finished = shm_job_finished,
  .idle = shm_job_idle,
};

static gboolean
shm_job_cancelled (GCancellable *cancellable, gpointer job)
{
  GError *error = NULL;

  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    shm_job_abort (job, error);
  return G_SOURCE_REMOVE;
}

/* Why it cannot be run as it is, or NULL. */
static const char *
shm_job_get_obstacle (ShmJob *self)
{
  if (!shm_job_may_run (self))
    return _ ("A job can be run only once");
  if (self->work.call.func == NULL && self->work.program == NULL)
    return _ ("The job has no work function");
  if (self->input.kind == SHM_INPUT_FEED ? self->feed.func == NULL
                                         : shm_input_is_gone (&self->input))
    return _ ("The items of the job were given up when it had been run");
  return NULL;
}

static gboolean
shm_job_check (ShmJob *self, GCancellable *cancellable, GError **error)
{
  const char *obstacle = shm_job_get_obstacle (self);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (obstacle != NULL)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE, obstacle);
      return FALSE;
    }
  if (self->n_items > SHM_CONTROL_MAX_ITEMS ||
      (self->work.kind == SHM_WORK_MAP && self->output == SHM_OUTPUT_LIST &&
       self->n_items > G_MAXUINT))
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("A job cannot have %llu items; without a list of results it may have more"),
                   (unsigned long long) self->n_items);
      return FALSE;
    }
  return shm_job_check_into (self, error);
}

/* Whether one worker is to do it all; that is the caller, if it can be. */
static gboolean
shm_job_wants_one_worker (ShmJob *self)
{
  gboolean is_inner = shm_fork_is_child () || shm_worker_get_current () != NULL;

  /* Where a work function starts a job the cores are taken already. */
  return shm_get_debug () || (is_inner && !self->pool->nested) ||
         (self->input.kind != SHM_INPUT_FEED && self->work.kind != SHM_WORK_REGION &&
          self->n_items < self->pool->min_length) ||
         (self->with_caller && shm_map_reduce_count_workers (self->pool) == 1);
}

static const ShmBackendClass *
shm_job_choose_backend (ShmJob *self)
{
  if (self->work.program != NULL)
    return &shm_backend_process_class;
  if (shm_job_wants_one_worker (self))
    return &shm_backend_serial_class;

  switch (self->pool->backend)
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

/* Whether it would have no worker beside the caller. */
gboolean
shm_job_is_serial (ShmJob *self)
{
  return shm_job_choose_backend (self) == &shm_backend_serial_class;
}

static guint
shm_job_count_workers (ShmJob *self, const ShmBackendClass *klass)
{
  guint n_workers = shm_map_reduce_count_workers (self->pool);

  if (klass == &shm_backend_serial_class ||
      (self->work.program != NULL && shm_job_wants_one_worker (self)))
    return 1;
  if (self->input.kind == SHM_INPUT_FEED || self->work.kind == SHM_WORK_REGION ||
      shm_job_can_keep (self, klass))
    return n_workers;
  return MAX (1, MIN (n_workers, self->n_items));
}

static void
shm_job_prepare (ShmJob *self, guint n_workers)
{
  gboolean streams_in_order = self->output == SHM_OUTPUT_STREAM_IN_ORDER;

  self->failure_policy = self->pool->failure_policy;
  self->max_retries = self->work.kind == SHM_WORK_REGION ? 0 : self->pool->max_retries;
  self->in_order = streams_in_order || (self->pool->deterministic && self->reduce.func != NULL);
  self->work.drop_results = self->output == SHM_OUTPUT_NONE;
  self->trace_to_file = g_getenv ("SHM_TRACE") != NULL && !self->is_quiet &&
                        !shm_fork_is_child () && shm_worker_get_current () == NULL;
  self->work.trace = self->trace_wanted || self->trace_to_file;
  if (self->work.seed == 0)
    {
      self->work.seed = (guint64) g_random_int () << 32 | g_random_int ();
      g_object_notify (G_OBJECT (self), "seed");
    }
  if (self->input.kind == SHM_INPUT_FEED || streams_in_order ||
      (self->output == SHM_OUTPUT_STREAM && self->window != 0))
    self->window_used = self->window ? self->window : (guint64) n_workers * WINDOW_PER_WORKER;
  if (self->work.kind == SHM_WORK_REGION)
    shm_job_update_n_items (self, n_workers);
}

static void
shm_job_fill_setup (ShmJob *self, const ShmBackendClass *klass, ShmBackendSetup *setup)
{
  const ShmMapReduce *pool = self->pool;
  gboolean is_process = klass == &shm_backend_process_class;
  gboolean is_region = self->work.kind == SHM_WORK_REGION;
  gboolean is_feed = self->input.kind == SHM_INPUT_FEED;
  ShmControlSettings *settings = &setup->settings;

  settings->n_items = is_feed ? SHM_CONTROL_MAX_ITEMS : self->n_items;
  settings->chunk_size = is_region ? 0 : pool->chunk_size;
  settings->schedule = is_region           ? SHM_SCHEDULE_STATIC
                       : self->window_used ? SHM_SCHEDULE_DYNAMIC
                                           : pool->schedule;
  settings->window = self->window_used;
  settings->in_order = self->in_order;
  settings->paused = self->paused && !is_region;
  settings->feed_size = is_feed && is_process ? self->window_used : 0;
  settings->with_caller = self->with_caller && klass != &shm_backend_serial_class;
  settings->item_timeout = (gint64) pool->item_timeout * 1000;
  settings->max_items_per_worker = is_process && !is_region ? pool->max_items_per_worker : 0;
  settings->stop_at_failure = self->failure_policy == SHM_FAILURE_POLICY_ABORT || is_region;

  settings->keep = shm_job_can_keep (self, klass);
  settings->n_taken = MIN ((guint64) shm_worker_count_taken () * settings->n_workers, G_MAXUINT);

  setup->limits.memory = pool->worker_memory;
  setup->limits.cpu_time = pool->worker_cpu_time;
  setup->limits.niceness = pool->worker_niceness;
  setup->limits.nested = pool->nested;
  setup->limits.threads_are_automatic = pool->worker_threads == 0;
  setup->limits.n_threads =
      pool->worker_threads ? pool->worker_threads : MAX (1, shm_cpu_count () / settings->n_taken);
}

static gboolean
shm_job_start_backend (ShmJob *self,
                       const ShmBackendClass *klass,
                       ShmBackendSetup *setup,
                       GError **error)
{
  GError *local_error = NULL;

  if (klass == &shm_backend_process_class)
    {
      setup->arena = self->arena;
      if (shm_job_resume (self, setup, &local_error))
        return TRUE;
      if (local_error != NULL)
        {
          g_propagate_error (error, local_error);
          return FALSE;
        }
      shm_job_drop_kept (self);
      g_clear_pointer (&self->arena, shm_arena_unref);
      self->has_deposits = self->argument_is_new = FALSE;
      setup->arena = self->arena =
          shm_arena_new (self->work.program ? 0 : setup->settings.n_workers, error);
      self->argument_part = (ShmArenaPart){ 0 };
      if (self->arena == NULL || (self->work.program != NULL &&
                                  !shm_job_put_argument (self, &setup->settings.argument_at,
                                                         &setup->settings.argument_size, error)))
        return FALSE;
    }
  if (self->input.kind == SHM_INPUT_FEED &&
      !shm_input_open (&self->input, self->window_used, setup->arena, self->argument_part.head,
                       error))
    return FALSE;
  self->backend = klass->start (setup, error);
  return self->backend != NULL;
}

gboolean
shm_job_start (ShmJob *self,
               GMainContext *context,
               GCancellable *cancellable,
               ShmJobDoneFunc done,
               gpointer done_data,
               GError **error)
{
  const ShmBackendClass *klass;
  ShmBackendSetup setup;

  if (!shm_job_check (self, cancellable, error))
    return FALSE;
  /* Its parts are compared as a whole, with what lies between their members. */
  memset (&setup, 0, sizeof setup);
  setup.pool = self->pool;
  setup.work = &self->work;
  setup.context = context;
  setup.waits = done == NULL;
  setup.client = &job_client;
  setup.job = self;
  klass = shm_job_choose_backend (self);
  if (self->state == SHM_JOB_DONE)
    shm_job_forget_run (self);
  setup.settings.n_workers = shm_job_count_workers (self, klass);
  shm_job_prepare (self, setup.settings.n_workers);
  shm_job_fill_setup (self, klass, &setup);
  self->state = SHM_JOB_RUNNING;
  self->context = g_main_context_ref (context);
  self->done = done;
  self->done_data = done_data;
  shm_job_start_report (self);
  if (!shm_job_start_backend (self, klass, &setup, error))
    {
      shm_job_stop_report (self);
      self->state = SHM_JOB_DONE;
      shm_job_release (self);
      if (!self->keep_workers)
        shm_job_clear_calls (self);
      return FALSE;
    }
  if (cancellable != NULL)
    {
      self->cancellable = g_object_ref (cancellable);
      self->cancel_source = shm_cancel_source_new (cancellable, context);
      g_source_set_callback (self->cancel_source, G_SOURCE_FUNC (shm_job_cancelled), self, NULL);
      g_source_attach (self->cancel_source, context);
    }
  return TRUE;
}

/* Ends the job if nobody holds it but the task of its run. For the job's context. */
void
shm_job_check_dropped (ShmJob *self)
{
  if (self->has_task && g_atomic_int_get (&G_OBJECT (self)->ref_count) == 1)
    shm_job_abort (self, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                              _ ("The job was dropped while it ran")));
}

/**
 * shm_job_run:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @cancellable: (nullable): what may cancel the job
 * @error: return location for an error
 *
 * Runs the job and waits for its end; the calling thread sleeps meanwhile, but for the functions of the job that
 * are called in the caller, and handlers of its signals. No main context of the application is run.
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
  g_autoptr (ShmJob) held = NULL;
  gboolean ok;

  g_return_val_if_fail (SHM_IS_JOB (self), FALSE);

  held = g_object_ref (self);
  /* GLib aborts where there is no descriptor for a context. */
  if (!shm_job_check (self, cancellable, error) || !shm_fork_have_fd (error))
    return FALSE;
  context = g_main_context_new ();
  /* Its owner need not be woken when it changes a source. */
  g_main_context_acquire (context);
  ok = shm_job_start (self, context, cancellable, NULL, NULL, error);
  while (ok && self->state != SHM_JOB_DONE)
    g_main_context_iteration (context, TRUE);
  g_main_context_release (context);

  if (!ok)
    return FALSE;
  if (self->error == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&self->error));
  return FALSE;
}

/* The task of the run, which has its reference again, is over. */
static void
shm_job_return (ShmJob *self, GError *error, gpointer data)
{
  g_autoptr (GTask) task = data;

  self->has_task = FALSE;
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_boolean (task, TRUE);
}

/* In the context's own thread, or while nobody runs it: else its sources could be dispatched before all is set up. */
static gboolean
shm_job_start_task (gpointer data)
{
  GTask *task = data;
  ShmJob *self = g_task_get_source_object (task);
  GMainContext *context = g_task_get_context (task);
  GError *error = NULL;

  if (!shm_job_start (self, context, g_task_get_cancellable (task), shm_job_return,
                      g_object_ref (task), &error))
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return G_SOURCE_REMOVE;
    }
  self->has_task = TRUE;
  return G_SOURCE_REMOVE;
}

/**
 * shm_job_run_async:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @cancellable: (nullable): what may cancel the job
 * @callback: (scope async) (closure user_data) (nullable): called when the job has ended
 * @user_data: data for @callback
 *
 * Runs the job beside the thread-default main context of the calling thread, which stays alive and
 * in which the reduce function and @callback are called. Call shm_job_run_finish() in @callback.
 *
 * Hold a reference to the job until then: a job that loses its last one is cancelled, and @callback is told so.
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

  g_return_if_fail (SHM_IS_JOB (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, shm_job_run_async);
  /* What has been decided stays decided, also if the cancellable is cancelled before the callback.
   */
  g_task_set_check_cancellable (task, FALSE);
  if (g_main_context_acquire (context))
    {
      shm_job_start_task (task);
      g_main_context_release (context);
    }
  else
    g_main_context_invoke_full (context, G_PRIORITY_HIGH, shm_job_start_task,
                                g_steal_pointer (&task), g_object_unref);
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
