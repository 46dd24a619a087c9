/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The settings of a job that say how it runs, and not what it does: see shm-job-work.c. */

#include "config.h"

#include "shm-job-private.h"

/**
 * shm_job_get_output:
 * @self: a job
 *
 * Gets what becomes of the results; see #ShmJob:output.
 *
 * Returns: what becomes of them
 *
 * Since: 1.0
 */
ShmOutput
shm_job_get_output (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), SHM_OUTPUT_LIST);

  return self->output;
}

/**
 * shm_job_set_output:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @output: what becomes of the results
 *
 * Sets what becomes of the results; see #ShmJob:output.
 *
 * Since: 1.0
 */
void
shm_job_set_output (ShmJob *self, ShmOutput output)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));

  if (self->output == output)
    return;
  shm_job_drop_kept (self);
  self->output = output;
  g_object_notify (G_OBJECT (self), "output");
}

/**
 * shm_job_get_window:
 * @self: a job
 *
 * Gets how many items may be on their way together; see #ShmJob:window.
 *
 * Returns: the number of items, or 0 for automatic
 *
 * Since: 1.0
 */
guint64
shm_job_get_window (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), 0);

  return self->window;
}

/**
 * shm_job_set_window:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @window: the number of items, at most %G_MAXUINT32, or 0 for automatic
 *
 * Sets how many items may be on their way together; see #ShmJob:window.
 *
 * Since: 1.0
 */
void
shm_job_set_window (ShmJob *self, guint64 window)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));
  g_return_if_fail (window <= G_MAXUINT32);

  if (self->window == window)
    return;
  shm_job_drop_kept (self);
  self->window = window;
  g_object_notify (G_OBJECT (self), "window");
}

/**
 * shm_job_get_paused:
 * @self: a job
 *
 * Tells whether the job is paused; see #ShmJob:paused.
 *
 * Returns: %TRUE if it is
 *
 * Since: 1.0
 */
gboolean
shm_job_get_paused (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), FALSE);

  return self->paused;
}

/**
 * shm_job_set_paused:
 * @self: a job
 * @paused: whether to pause it
 *
 * Pauses the job, or has it go on; see #ShmJob:paused. While the job runs it is for the thread that runs its main
 * context.
 *
 * Since: 1.0
 */
void
shm_job_set_paused (ShmJob *self, gboolean paused)
{
  g_return_if_fail (SHM_IS_JOB (self));

  paused = !!paused;
  if (self->paused == paused)
    return;
  self->paused = paused;
  if (self->backend != NULL && self->work.kind != SHM_WORK_REGION)
    {
      shm_control_set_paused (self->backend->control, paused);
      /* Where the caller is the worker it may have to be woken. */
      g_main_context_wakeup (self->context);
    }
  g_object_notify (G_OBJECT (self), "paused");
}

/**
 * shm_job_get_seed:
 * @self: a job
 *
 * Gets what the seeds of the items are derived from; see #ShmJob:seed.
 *
 * Returns: the seed, or 0 if the job will take a random one when it starts
 *
 * Since: 1.0
 */
guint64
shm_job_get_seed (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), 0);

  return self->work.seed;
}

/**
 * shm_job_set_seed:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @seed: the seed, or 0 for a random one
 *
 * Sets what the seeds of the items are derived from; see #ShmJob:seed.
 *
 * Since: 1.0
 */
void
shm_job_set_seed (ShmJob *self, guint64 seed)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));

  if (self->work.seed == seed && self->work.reseed == (seed != 0))
    return;
  shm_job_drop_kept (self);
  self->work.reseed = seed != 0;
  if (self->work.seed == seed)
    return;
  self->work.seed = seed;
  g_object_notify (G_OBJECT (self), "seed");
}

/**
 * shm_job_seed:
 * @self: a job
 * @index: an item
 *
 * Gets a seed for the random numbers of an item. It depends on #ShmJob:seed and on @index alone,
 * and not on the number of workers, nor on who works on the item; those of different items have
 * nothing to do with each other. May be called anywhere, also in a work function; before the job has started only if
 * the seed is not 0.
 *
 * Returns: a number of which all 64 bits are random
 *
 * Since: 1.0
 */
guint64
shm_job_seed (ShmJob *self, guint64 index)
{
  g_return_val_if_fail (SHM_IS_JOB (self), 0);

  return shm_work_seed (&self->work, index);
}

/**
 * shm_job_get_trace:
 * @self: a job
 *
 * Tells whether a record of the items is made; see #ShmJob:trace.
 *
 * Returns: %TRUE if it is
 *
 * Since: 1.0
 */
gboolean
shm_job_get_trace (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), FALSE);

  return self->trace_wanted;
}

/**
 * shm_job_set_trace:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @trace: whether to make a record
 *
 * Sets whether a record of the items is made; see #ShmJob:trace.
 *
 * Since: 1.0
 */
void
shm_job_set_trace (ShmJob *self, gboolean trace)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));

  trace = !!trace;
  if (self->trace_wanted == trace)
    return;
  shm_job_drop_kept (self);
  self->trace_wanted = trace;
  g_object_notify (G_OBJECT (self), "trace");
}

/**
 * shm_job_set_progress_stream:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @stream: (nullable): where to, or %NULL for nowhere
 *
 * Has the job write a line of progress to @stream while it runs, over and over in its place by a carriage
 * return, about ten times a second, and a line feed in the end. Where @stream cannot be
 * written to any more nothing is written, and the job goes on.
 *
 * Since: 1.0
 */
void
shm_job_set_progress_stream (ShmJob *self, GOutputStream *stream)
{
  g_return_if_fail (SHM_IS_JOB (self));
  g_return_if_fail (shm_job_may_run (self));
  g_return_if_fail (stream == NULL || G_IS_OUTPUT_STREAM (stream));

  shm_job_drop_kept (self);
  g_set_object (&self->progress_stream, stream);
}
