/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What a job works on, and by which functions; what a work function asks of it. */

#include "config.h"

#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-job-private.h"
#include "shm-program-private.h"

void
shm_job_set_work (
    ShmJob *self, ShmWorkKind kind, GCallback func, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));
  g_return_if_fail (func != NULL);

  shm_job_drop_kept (self);
  self->work.kind = kind;
  g_clear_pointer (&self->work.program, shm_program_free);
  shm_job_set_call (&self->work.call, func, user_data, destroy);
}

static void
shm_job_set_other (
    ShmJob *self, ShmCall *call, GCallback func, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));
  g_return_if_fail (func != NULL);

  shm_job_drop_kept (self);
  shm_job_set_call (call, func, user_data, destroy);
}

/**
 * shm_job_set_map_func:
 * @self: a job that has not been run, or keeps its workers and does not run
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
  shm_job_set_work (self, SHM_WORK_MAP, G_CALLBACK (func), user_data, destroy);
}

/**
 * shm_job_set_range_func:
 * @self: a job that has not been run, or keeps its workers and does not run
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
  shm_job_set_work (self, SHM_WORK_RANGE, G_CALLBACK (func), user_data, destroy);
}

/**
 * shm_job_set_loop_func:
 * @self: a job that has not been run, or keeps its workers and does not run
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
  shm_job_set_work (self, SHM_WORK_LOOP, G_CALLBACK (func), user_data, destroy);
}

/**
 * shm_job_set_program:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @argv: (array zero-terminated=1) (element-type filename): the program, searched for in the path, and its arguments
 * @fds: (array length=n_fds) (nullable): descriptors that the program inherits, under the same numbers
 * @n_fds: how many they are
 *
 * Gives the job workers that are started afresh: each is a process that executes a program, which has to call
 * shm_serve_ranges() and works on the job's items there. It takes the place of any work function. For callers that
 * do not survive a fork, and for work that must not inherit what the caller has. A worker takes as long to start as
 * the program does.
 *
 * All else is as with forked workers, and #ShmJob the same; a range has one result. But the program has no closures and no
 * arrays of the caller's: items come to it by shm_job_set_feed_func(), if their indices are not enough, and what they
 * have in common by shm_job_set_argument(); arrays that were made with %SHM_ARRAY_FLAGS_SHAREABLE by their
 * descriptors, in @fds, which stay yours, and have to stay open until the job has ended. There is no set-up and no tear-down. #ShmMapReduce:backend has no effect. Where the job
 * would be serial otherwise, it has one worker.
 *
 * A program that cannot be executed, or that ends before it calls shm_serve_ranges(), ends the job.
 *
 * Since: 1.0
 */
void
shm_job_set_program (ShmJob *self, const char *const *argv, const gint *fds, gsize n_fds)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));
  g_return_if_fail (argv != NULL && argv[0] != NULL);
  g_return_if_fail (fds != NULL || n_fds == 0);

  shm_job_drop_kept (self);
  shm_job_set_call (&self->work.call, NULL, NULL, NULL);
  g_clear_pointer (&self->work.program, shm_program_free);
  self->work.kind = SHM_WORK_RANGE;
  self->work.program = shm_program_new (argv, fds, n_fds);
}

/**
 * shm_job_set_reduce_func:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @func: (scope notified) (closure user_data) (destroy destroy): what takes a result in the caller
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, in the caller, when the job has ended
 *
 * Gives the job a function that is called for each result, in the thread that runs the job's main
 * context: as they arrive, or, if the pool is #ShmMapReduce:deterministic, in the order of the items.
 *
 * Since: 1.0
 */
void
shm_job_set_reduce_func (ShmJob *self,
                         ShmReduceFunc func,
                         gpointer user_data,
                         GDestroyNotify destroy)
{
  shm_job_set_other (self, &self->reduce, G_CALLBACK (func), user_data, destroy);
}

/**
 * shm_job_set_set_up_func:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @func: (scope notified) (closure user_data) (destroy destroy): what prepares a worker
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, in the caller, when the job has ended
 *
 * Gives the job a function that each worker calls once, before its first item, and whose result is
 * the worker's own state: shm_map_reduce_get_state(). A worker that takes the place of another one calls
 * it again.
 *
 * Since: 1.0
 */
void
shm_job_set_set_up_func (ShmJob *self,
                         ShmSetUpFunc func,
                         gpointer user_data,
                         GDestroyNotify destroy)
{
  shm_job_set_other (self, &self->work.set_up, G_CALLBACK (func), user_data, destroy);
}

/**
 * shm_job_set_tear_down_func:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @func: (scope notified) (closure user_data) (destroy destroy): what ends a worker
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, in the caller, when the job has ended
 *
 * Gives the job a function that each worker calls once, after its last item, and which may return
 * what the worker has gathered: a histogram, an image, a sum. The caller finds it in
 * shm_job_get_summaries().
 *
 * When the job ends early, what @func returns is dropped. Threads and serial jobs call it; a process is mostly ended
 * before it could.
 * What a worker has gathered dies with it: a worker process that dies after its first item ends the job,
 * whatever #ShmMapReduce:failure-policy and #ShmMapReduce:max-retries say.
 *
 * Since: 1.0
 */
void
shm_job_set_tear_down_func (ShmJob *self,
                            ShmTearDownFunc func,
                            gpointer user_data,
                            GDestroyNotify destroy)
{
  shm_job_set_other (self, &self->work.tear_down, G_CALLBACK (func), user_data, destroy);
}

/**
 * shm_job_set_result_func:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @func: (scope notified) (closure user_data) (destroy destroy): what takes a result in the caller
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, in the caller, when the job has ended
 *
 * Gives the job a function that is called for each result, after the reduce function and before #ShmJob::result, if
 * #ShmJob:output is %SHM_OUTPUT_STREAM or %SHM_OUTPUT_STREAM_IN_ORDER. It does what the signal does at less cost, and
 * can fail.
 *
 * Since: 1.0
 */
void
shm_job_set_result_func (ShmJob *self,
                         ShmResultFunc func,
                         gpointer user_data,
                         GDestroyNotify destroy)
{
  shm_job_set_other (self, &self->result, G_CALLBACK (func), user_data, destroy);
}

/**
 * shm_job_set_items:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @items: an array, or another container; a floating reference is sunk
 *
 * Makes the children of @items the items of the job, for shm_job_get_item(). They do not travel: a worker process has
 * inherited them.
 *
 * Since: 1.0
 */
void
shm_job_set_items (ShmJob *self, GVariant *items)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));
  g_return_if_fail (items != NULL && g_variant_is_container (items));

  shm_job_drop_kept (self);
  shm_input_set_values (&self->input, items);
  shm_job_update_n_items (self, g_variant_n_children (items));
}

/**
 * shm_job_set_model:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @model: a list
 *
 * Makes the objects that are in @model now the items of the job, for shm_job_get_object(). What
 * changes in the list later does not count. In threads the objects themselves are shared.
 *
 * Since: 1.0
 */
void
shm_job_set_model (ShmJob *self, GListModel *model)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));
  g_return_if_fail (G_IS_LIST_MODEL (model));

  shm_job_drop_kept (self);
  shm_input_set_objects (&self->input, model);
  shm_job_update_n_items (self, self->input.objects->len);
}

/**
 * shm_job_set_feed_func:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @func: (scope notified) (closure user_data) (destroy destroy): what makes the items
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, when the job has ended
 *
 * Gives the job items that are made one after the other while it runs, in the job's main context, for shm_job_get_item().
 * @func is called for at most #ShmJob:window items more than are done, so that it may go on for ever.
 *
 * Such a job hands out its items as with %SHM_SCHEDULE_DYNAMIC, in ranges that are small enough for the window.
 * #ShmMapReduce:min-length has no effect.
 *
 * Since: 1.0
 */
void
shm_job_set_feed_func (ShmJob *self, ShmFeedFunc func, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));

  shm_job_set_other (self, &self->feed, G_CALLBACK (func), user_data, destroy);
  shm_input_clear (&self->input);
  self->input.kind = SHM_INPUT_FEED;
  shm_job_update_n_items (self, 0);
}

/* Whether the calling thread may ask for this item. Of a feed, the place of one that is done may be another's. */
static ShmWorker *
shm_job_find_worker (ShmJob *self, guint64 index, GError **error)
{
  ShmWorker *worker = shm_worker_find (self->pool);

  if (worker != NULL && worker->work->job == self && worker->line->life == SHM_LIFE_WORK &&
      index >= worker->line->done && index < worker->line->end)
    return worker;
  g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                       _ ("a work function can have its own items only"));
  return NULL;
}

/**
 * shm_job_get_item:
 * @self: the job in whose work function the calling thread is
 * @index: the item, or one of the range, that the function was called for
 * @error: return location for an error
 *
 * Gets an item that was given with shm_job_set_items(), or made by a feed function. See also
 * shm_map_reduce_get_job().
 *
 * Returns: (transfer full): the item, or %NULL with @error set
 *
 * Since: 1.0
 */
GVariant *
shm_job_get_item (ShmJob *self, guint64 index, GError **error)
{
  ShmWorker *worker;

  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  worker = shm_job_find_worker (self, index, error);
  return worker ? shm_input_get_value (&self->input, worker->control, index, error) : NULL;
}

/**
 * shm_job_get_object:
 * @self: the job in whose work function the calling thread is
 * @index: the item, or one of the range, that the function was called for
 * @error: return location for an error
 *
 * Gets an item that was given with shm_job_set_model(). See also shm_map_reduce_get_job().
 *
 * Returns: (transfer full) (type GObject): the item, or %NULL with @error set
 *
 * Since: 1.0
 */
GObject *
shm_job_get_object (ShmJob *self, guint64 index, GError **error)
{
  ShmWorker *worker;

  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  worker = shm_job_find_worker (self, index, error);
  return worker ? shm_input_get_object (&self->input, index, error) : NULL;
}

/* The index of the first item, for loops that do not begin at 0. */
void
shm_job_set_base (ShmJob *self, guint64 base)
{
  self->work.base = base;
}

/* Makes the job a region: its items are the ranks of its workers. */
void
shm_job_set_region (ShmJob *self, ShmRegionFunc func, gpointer user_data, gboolean with_caller)
{
  shm_job_set_work (self, SHM_WORK_REGION, G_CALLBACK (func), user_data, NULL);
  self->with_caller = with_caller;
}
