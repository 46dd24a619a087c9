/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/**
 * SECTION:shm-statistics
 * @title: ShmStatistics
 * @short_description: what one worker did in a job
 *
 * How many items a rank worked on, how its time went by, and what it used.
 */

/**
 * ShmStatistics:
 *
 * What one rank did in a job: how many items it worked on, how its time went by, and what it used. A rank may
 * have had more than one process, since one that dies or has done its share is replaced; the figures are those
 * of all of them together.
 *
 * The time of a rank is what shm_statistics_get_elapsed_time() tells. It has waited for some of it: for another
 * worker (shm_statistics_get_critical_time(), shm_statistics_get_ordered_time(),
 * shm_statistics_get_barrier_time()) or for the caller (shm_statistics_get_output_time(),
 * shm_statistics_get_input_time()). Each of these is what it slept. A worker spins for some microseconds before
 * it sleeps, and that is not in them. The rest is shm_statistics_get_busy_time().
 *
 * Ranks that were busy for very different times had items of very different lengths, or too large chunks. A
 * processor time far below the busy time says that there are fewer processors than workers, or that the work
 * function waits for something: a file, a network, memory that is swapped out.
 *
 * Since: 1.0
 */

#include "config.h"

#include "shm-statistics-private.h"

G_DEFINE_BOXED_TYPE (ShmStatistics, shm_statistics, shm_statistics_ref, shm_statistics_unref)

ShmStatistics *
shm_statistics_new (gint rank)
{
  ShmStatistics *self = g_new0 (ShmStatistics, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->rank = rank;
  return self;
}

/**
 * shm_statistics_ref:
 * @self: the statistics of a rank
 *
 * Takes a reference. May be called from any thread.
 *
 * Returns: (transfer full): @self
 *
 * Since: 1.0
 */
ShmStatistics *
shm_statistics_ref (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * shm_statistics_unref:
 * @self: (transfer full): the statistics of a rank
 *
 * Drops a reference. May be called from any thread.
 *
 * Since: 1.0
 */
void
shm_statistics_unref (ShmStatistics *self)
{
  g_return_if_fail (self != NULL);

  if (g_atomic_ref_count_dec (&self->ref_count))
    g_free (self);
}

/**
 * shm_statistics_get_rank:
 * @self: the statistics of a rank
 *
 * Gets the worker that this is about.
 *
 * Returns: the rank of the worker, counted from 0
 *
 * Since: 1.0
 */
gint
shm_statistics_get_rank (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, -1);

  return self->rank;
}

/**
 * shm_statistics_get_n_items:
 * @self: the statistics of a rank
 *
 * Gets on how many items the rank worked. An item that was tried again counts each time.
 *
 * Returns: the number of items
 *
 * Since: 1.0
 */
guint64
shm_statistics_get_n_items (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->n_items;
}

/**
 * shm_statistics_get_n_lives:
 * @self: the statistics of a rank
 *
 * Gets how many processes or threads had this rank in the job, one after the other. There is more than
 * one after a death, or where a worker is replaced after a number of items.
 *
 * Returns: the number of processes or threads, or 0 if none was started
 *
 * Since: 1.0
 */
guint
shm_statistics_get_n_lives (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->n_lives;
}

/**
 * shm_statistics_get_busy_time:
 * @self: the statistics of a rank
 *
 * Gets how long the rank did not wait: its elapsed time without all the waiting. The time in the work function
 * is in it, and what it costs to claim items and to hand over results.
 *
 * Returns: the time in microseconds
 *
 * Since: 1.0
 */
gint64
shm_statistics_get_busy_time (ShmStatistics *self)
{
  gint64 waiting;

  g_return_val_if_fail (self != NULL, 0);

  waiting = self->critical_time + self->ordered_time + self->barrier_time + self->output_time +
            self->input_time;
  return MAX (0, self->elapsed_time - waiting);
}

/**
 * shm_statistics_get_critical_time:
 * @self: the statistics of a rank
 *
 * Gets how long the rank slept since another worker was in the critical section.
 *
 * Returns: the time in microseconds
 *
 * Since: 1.0
 */
gint64
shm_statistics_get_critical_time (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->critical_time;
}

/**
 * shm_statistics_get_ordered_time:
 * @self: the statistics of a rank
 *
 * Gets how long the rank slept since it was not yet its turn to enter the ordered section.
 *
 * Returns: the time in microseconds
 *
 * Since: 1.0
 */
gint64
shm_statistics_get_ordered_time (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->ordered_time;
}

/**
 * shm_statistics_get_barrier_time:
 * @self: the statistics of a rank
 *
 * Gets how long the rank slept at barriers, since other workers had not come there yet.
 *
 * Returns: the time in microseconds
 *
 * Since: 1.0
 */
gint64
shm_statistics_get_barrier_time (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->barrier_time;
}

/**
 * shm_statistics_get_output_time:
 * @self: the statistics of a rank
 *
 * Gets how long the rank slept since the caller had not yet taken its results. If that is long, the reduce
 * function or the main loop of the caller is what holds the job up.
 *
 * Returns: the time in microseconds
 *
 * Since: 1.0
 */
gint64
shm_statistics_get_output_time (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->output_time;
}

/**
 * shm_statistics_get_input_time:
 * @self: the statistics of a rank
 *
 * Gets how long the rank slept since there was nothing to do yet.
 *
 * Returns: the time in microseconds
 *
 * Since: 1.0
 */
gint64
shm_statistics_get_input_time (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->input_time;
}

/**
 * shm_statistics_get_elapsed_time:
 * @self: the statistics of a rank
 *
 * Gets how long the rank lived, by the clock.
 *
 * Returns: the time in microseconds
 *
 * Since: 1.0
 */
gint64
shm_statistics_get_elapsed_time (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->elapsed_time;
}

/**
 * shm_statistics_get_cpu_time:
 * @self: the statistics of a rank
 *
 * Gets the processor time that the rank used, in user and system mode.
 *
 * Returns: the time in microseconds
 *
 * Since: 1.0
 */
gint64
shm_statistics_get_cpu_time (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->cpu_time;
}

/**
 * shm_statistics_get_peak_memory:
 * @self: the statistics of a rank
 *
 * Gets the largest resident set of the rank, shared memory included: that of the largest process, if it had
 * several.
 *
 * Returns: the size in bytes, or 0 where it is not known: for threads and in serial jobs
 *
 * Since: 1.0
 */
guint64
shm_statistics_get_peak_memory (ShmStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->peak_memory;
}
