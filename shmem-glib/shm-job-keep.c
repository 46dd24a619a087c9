/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Jobs that are run again and again, with workers that stay in between.
 *
 * Items go on counting from one run to the next, so that no claim of an old run can be taken for one of a new one;
 * where a run begins is in the control block. What differs from run to run, the argument, goes through the arena, and
 * the argument of the run before is overwritten: nobody reads it any more.
 */

#include "config.h"

#include "shm-job-private.h"

#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-map-reduce-private.h"

/* Whether it can be run now, as far as its state goes. */
gboolean
shm_job_may_run (ShmJob *self)
{
  return self->state == SHM_JOB_NEW || (self->state == SHM_JOB_DONE && self->keep_workers);
}

/* The backend, or what its workers have inherited, is of no use any more. */
void
shm_job_drop_kept (ShmJob *self)
{
  if (self->kept == NULL)
    return;
  self->kept->klass->release (g_steal_pointer (&self->kept));
  shm_arena_stop_recycling (self->arena);
  if (!self->has_deposits)
    g_clear_pointer (&self->arena, shm_arena_unref);
}

/* Whether nothing of this run would be wrong for the next one. */
gboolean
shm_job_can_keep (ShmJob *self, const ShmBackendClass *klass)
{
  return self->keep_workers && klass->resume != NULL && self->work.program == NULL &&
         self->input.kind == SHM_INPUT_COUNT && self->work.kind != SHM_WORK_REGION &&
         self->work.tear_down.func == NULL && !self->work.trace && self->window_used == 0 &&
         !self->in_order && self->pool->schedule != SHM_SCHEDULE_STATIC && !shm_fork_is_child ();
}

/* Of the run before. */
void
shm_job_forget_run (ShmJob *self)
{
  g_clear_pointer (&self->results, g_ptr_array_unref);
  g_clear_pointer (&self->summaries, g_ptr_array_unref);
  g_clear_pointer (&self->statistics, g_ptr_array_unref);
  g_clear_pointer (&self->trace, shm_trace_free);
  g_clear_error (&self->error);
  if (self->failures->len > 0)
    {
      g_ptr_array_unref (self->failures);
      self->failures = g_ptr_array_new_with_free_func ((GDestroyNotify) shm_failure_unref);
    }
  self->feed_ended = self->ended = self->is_idle = FALSE;
  self->window_used = 0;
  self->n_done = self->n_done_before = 0;
  self->n_ticks = 0;
  self->progress_shown = FALSE;
}

/* Puts the argument, or that there is none, where workers find it that have not inherited it. */
gboolean
shm_job_put_argument (ShmJob *self, guint64 *at, guint64 *size, GError **error)
{
  *at = 0;
  *size = SHM_NO_ITEM;
  shm_arena_give_back (self->arena, &self->argument_part, self->argument_part.head);
  return self->work.argument == NULL ||
         shm_arena_put (self->arena, &self->argument_part, self->work.argument, at, size, error);
}

/* Tells the workers that stayed with what they are called now. */
static gboolean
shm_job_send_argument (ShmJob *self, GError **error)
{
  ShmControlHeader *header = self->kept->control->header;
  guint64 at, size;

  if (!self->argument_is_new)
    return TRUE;
  if (!shm_job_put_argument (self, &at, &size, error))
    return FALSE;
  header->argument_at = at;
  header->argument_size = size;
  header->argument_number++;
  self->argument_is_new = FALSE;
  return TRUE;
}

/* Goes on with the workers of the run before. FALSE, without an error: there are none, or they do not fit. */
gboolean
shm_job_resume (ShmJob *self, ShmBackendSetup *setup, GError **error)
{
  if (self->kept == NULL || !setup->settings.keep || self->kept->klass->can_resume == NULL ||
      !self->kept->klass->can_resume (self->kept, setup))
    return FALSE;
  if (!shm_job_send_argument (self, error))
    return FALSE;
  self->backend = g_steal_pointer (&self->kept);
  self->n_done_before = shm_control_count_done (self->backend->control);
  self->backend->klass->resume (self->backend, setup);
  return TRUE;
}

/* All is done, and the workers stay. */
void
shm_job_begin_rest (ShmJob *self)
{
  self->kept = g_steal_pointer (&self->backend);
  self->is_idle = FALSE;
}

/**
 * shm_job_get_keep_workers:
 * @self: a job
 *
 * Tells whether the job can be run again; see #ShmJob:keep-workers.
 *
 * Returns: %TRUE if it can
 *
 * Since: 1.0
 */
gboolean
shm_job_get_keep_workers (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), FALSE);

  return self->keep_workers;
}

/**
 * shm_job_set_keep_workers:
 * @self: a job that does not run
 * @keep_workers: whether the job can be run again
 *
 * Sets whether the job can be run again; see #ShmJob:keep-workers. %FALSE lets go the workers that were kept, and
 * ends what a job that has been run is good for, but to tell of its run.
 *
 * Since: 1.0
 */
void
shm_job_set_keep_workers (ShmJob *self, gboolean keep_workers)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (self->state != SHM_JOB_RUNNING);

  keep_workers = !!keep_workers;
  if (self->keep_workers == keep_workers)
    return;
  self->keep_workers = keep_workers;
  if (!keep_workers)
    shm_job_drop_kept (self);
  if (self->state == SHM_JOB_DONE)
    {
      shm_input_clear (&self->input);
      shm_job_clear_calls (self);
    }
  g_object_notify (G_OBJECT (self), "keep-workers");
}

/**
 * shm_job_set_n_items:
 * @self: a job that does not run, and keeps its workers or has not been run
 * @n_items: the number of items
 *
 * Sets the number of items of the next run. Workers that were kept stay.
 *
 * Since: 1.0
 */
void
shm_job_set_n_items (ShmJob *self, guint64 n_items)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));
  g_return_if_fail (self->input.kind == SHM_INPUT_COUNT);

  shm_job_update_n_items (self, n_items);
}

/**
 * shm_job_get_argument:
 * @self: a job
 *
 * Gets what the next run gives to its work function, or the run that takes place; in a work function use
 * shm_map_reduce_get_argument().
 *
 * Returns: (transfer none) (nullable): the argument
 *
 * Since: 1.0
 */
GVariant *
shm_job_get_argument (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  return self->work.argument;
}

/**
 * shm_job_set_argument:
 * @self: a job that does not run, and keeps its workers or has not been run
 * @argument: (nullable): anything; a floating reference is sunk
 *
 * Sets what the work function gets with shm_map_reduce_get_argument(). It is how workers that were kept, see
 * #ShmJob:keep-workers, are told what differs from the run before; they stay.
 *
 * Since: 1.0
 */
void
shm_job_set_argument (ShmJob *self, GVariant *argument)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));

  if (argument != NULL)
    g_variant_ref_sink (argument);
  g_clear_pointer (&self->work.argument, g_variant_unref);
  self->work.argument = argument;
  self->argument_is_new = TRUE;
  /* Serialised once, and not by each worker. */
  if (argument != NULL)
    g_variant_get_data (argument);
}

/**
 * shm_job_release_workers:
 * @self: a job that does not run
 *
 * Lets the workers go that were kept, if there are any, and waits until they are gone. The next run starts new ones, which
 * inherit what the caller has then.
 *
 * Since: 1.0
 */
void
shm_job_release_workers (ShmJob *self)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (self->state != SHM_JOB_RUNNING);

  shm_job_drop_kept (self);
}
