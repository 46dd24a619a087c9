/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Regions: all workers run one function side by side.
 *
 * Where the caller takes part it is busy as rank 0, so a thread runs the main context of the job
 * meanwhile. That thread alone touches the job; the caller touches nothing but its own line of the control block, as
 * any worker, and holds the job, so that the block stays until the caller has come back. All workers meet at a
 * barrier before they begin: so every other rank has been forked, for good, before the caller goes on.
 */

#include "config.h"

#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"
#include "shm-job-private.h"
#include "shm-map-reduce-private.h"
#include "shm-region-private.h"

typedef struct
{
  ShmJob *job;
  GMainContext *context;
  gboolean done;
  guint32 came_back; /* the caller has done its part; what it has left is seen by who sees this */
  GError *error;
  GArray *frames; /* of ShmFrame: what the caller's own part made */
} ShmRegion;

static void
shm_region_done (ShmJob *job, GError *error, gpointer data)
{
  ShmRegion *self = data;

  self->error = error;
  self->done = TRUE;
}

static gpointer
shm_region_watch (gpointer data)
{
  ShmRegion *self = data;

  while (!self->done)
    g_main_context_iteration (self->context, TRUE);
  return NULL;
}

/* In the watching thread: the caller has done its part. */
static gboolean
shm_region_take_part (gpointer data)
{
  ShmRegion *self = data;
  guint i;

  g_assert (shm_load (&self->came_back));

  for (i = 0; i < self->frames->len; i++)
    {
      ShmFrame *frame = &g_array_index (self->frames, ShmFrame, i);

      if (frame->failure == NULL)
        shm_job_frame (self->job, 0, frame);
      else if (shm_job_failure (self->job, frame->failure) == SHM_VERDICT_STOP)
        self->job->backend->klass->stop (self->job->backend);
    }
  shm_job_left (self->job, 0, &self->job->backend->control->lines[0],
                self->job->backend->control->lines[0].cpu_time / 1000, 0);
  shm_job_release_hold (self->job);
  return G_SOURCE_REMOVE;
}

static gboolean
shm_region_keep (ShmWorker *worker, const ShmFrame *frame)
{
  ShmRegion *self = worker->outlet_data;

  g_array_append_val (self->frames, *frame);
  return TRUE;
}

/* The caller's own part, as rank 0. */
static void
shm_region_run_caller (ShmRegion *self)
{
  ShmBackend *backend = self->job->backend;
  ShmLine *line = &backend->control->lines[0];
  ShmWorker worker = {
    .control = backend->control,
    .rank = 0,
    .pool = self->job->pool,
    .work = &self->job->work,
    .outlet = shm_region_keep,
    .outlet_data = self,
  };

  shm_worker_init (&worker);
  line->begin = 0;
  line->end = 1;
  shm_worker_run_part (&worker);
}

static gboolean
shm_region_run_with_caller (ShmJob *job, GCancellable *cancellable, GError **error)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GArray) frames = g_array_new (FALSE, FALSE, sizeof (ShmFrame));
  ShmRegion self = { .job = job, .context = context, .frames = frames };
  g_autoptr (GSource) source = g_idle_source_new ();
  GThread *thread;

  if (!shm_job_start (job, context, cancellable, shm_region_done, &self, error))
    return FALSE;
  job->n_holds++;
  thread = g_thread_try_new ("shm-region", shm_region_watch, &self, NULL);
  if (thread == NULL)
    {
      shm_job_abort (job,
                     g_error_new_literal (SHM_ERROR, SHM_ERROR_NO_WORKERS,
                                          _ ("No thread can be started to watch the workers")));
      shm_job_release_hold (job);
      shm_region_watch (&self);
    }
  else
    {
      shm_region_run_caller (&self);
      shm_store (&self.came_back, TRUE);
      g_source_set_priority (source, G_PRIORITY_DEFAULT);
      /* g_main_context_invoke () would make the default context, for which there may be no descriptor. */
      g_source_set_callback (source, shm_region_take_part, &self, NULL);
      g_source_attach (source, context);
      g_thread_join (thread);
    }
  if (self.error == NULL)
    return TRUE;
  g_propagate_error (error, self.error);
  return FALSE;
}

/**
 * shm_map_reduce_run:
 * @self: a pool
 * @flags: who takes part
 * @cancellable: (nullable): what may cancel the region
 * @func: (scope call) (closure user_data): what each worker runs
 * @user_data: data for @func
 * @error: return location for an error
 *
 * Has every worker of the pool run @func once, side by side, and waits until all have returned. In
 * @func, shm_map_reduce_barrier() waits for all the others, and shm_map_reduce_share_range() deals a
 * loop out to them.
 *
 * With %SHM_REGION_FLAGS_WITH_CALLER the calling thread is rank 0: what @func changes there stays changed.
 * Without it all ranks are new workers.
 *
 * The first error of a worker, or its death, ends the region: who waits at a barrier, or for a section, gets an error,
 * and processes are ended; see shm_job_run() for the errors. Nothing is tried again, whatever
 * #ShmMapReduce:max-retries and #ShmMapReduce:failure-policy say. The time of #ShmMapReduce:item-timeout is that of @func
 * on each rank, without what it waits.
 *
 * Returns: (transfer container) (element-type GVariant): a list with an element for each rank, %NULL
 *   for those without a result; or %NULL with @error set
 *
 * Since: 1.0
 */
GPtrArray *
shm_map_reduce_run (ShmMapReduce *self,
                    ShmRegionFlags flags,
                    GCancellable *cancellable,
                    ShmRegionFunc func,
                    gpointer user_data,
                    GError **error)
{
  g_autoptr (ShmJob) job = NULL;
  gboolean with_caller;
  gboolean ok;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);
  g_return_val_if_fail (func != NULL, NULL);

  job = shm_job_new (self, 0);
  shm_job_set_region (job, func, user_data, (flags & SHM_REGION_FLAGS_WITH_CALLER) != 0);
  with_caller = (flags & SHM_REGION_FLAGS_WITH_CALLER) != 0 && !shm_job_is_serial (job);
  if (with_caller && !shm_fork_have_fd (error))
    return NULL;
  ok = with_caller ? shm_region_run_with_caller (job, cancellable, error)
                   : shm_job_run (job, cancellable, error);
  return ok ? shm_job_steal_results (job) : NULL;
}

/**
 * shm_map_reduce_barrier:
 * @self: a pool, in the function of whose region the calling thread is
 * @error: return location for an error
 *
 * Waits until every worker of the region has called this. What each of them wrote into shared
 * arrays before is seen by all afterwards.
 *
 * It is an error if another worker has returned from the region, and so will never come. In a region that is being ended,
 * since another worker failed or died, %G_IO_ERROR_CANCELLED is returned.
 *
 * Returns: %TRUE if all workers were there
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_barrier (ShmMapReduce *self, GError **error)
{
  ShmWorker *worker;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);

  worker = shm_map_reduce_find_worker (self, error);
  return worker != NULL && shm_region_barrier (worker, error);
}

/**
 * shm_map_reduce_share_range:
 * @self: a pool, in the function of whose region the calling thread is
 * @begin: the first iteration
 * @end: the iteration after the last one, at least @begin
 * @schedule: how the iterations are dealt to the workers
 * @chunk_size: the number of iterations that a worker takes together, or 0 for automatic, as
 *   #ShmMapReduce:chunk-size has it
 * @func: (scope call) (closure user_data): what works on a range of iterations
 * @user_data: data for @func
 * @error: return location for an error
 *
 * Deals a loop out to the workers of the region: each of them must call this, with the same range and schedule, and calls
 * @func for its ranges. It ends with a barrier. Within @func, a worker may enter the critical section,
 * and once for each range the ordered section, which the ranges enter in their order.
 *
 * If @func fails, so does this call, for this worker, without waiting for the others; the function of the region should
 * return that error.
 *
 * Returns: %TRUE if all iterations were done
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_share_range (ShmMapReduce *self,
                            guint64 begin,
                            guint64 end,
                            ShmSchedule schedule,
                            guint64 chunk_size,
                            ShmLoopFunc func,
                            gpointer user_data,
                            GError **error)
{
  ShmCall call = { G_CALLBACK (func), user_data, NULL };
  ShmWorker *worker;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);
  g_return_val_if_fail (begin <= end, FALSE);
  g_return_val_if_fail (func != NULL, FALSE);

  if (end - begin > SHM_CONTROL_MAX_ITEMS)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                           _ ("The loop has too many iterations"));
      return FALSE;
    }
  worker = shm_map_reduce_find_worker (self, error);
  return worker != NULL &&
         shm_region_share (worker, begin, end, schedule, chunk_size, &call, error);
}
