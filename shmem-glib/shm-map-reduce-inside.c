/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What a work function asks of its pool. */

#include "config.h"

#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-map-reduce-private.h"
#include "shm-wire-private.h"

/**
 * shm_map_reduce_get_rank:
 * @self: a pool
 *
 * Tells which worker the calling thread is.
 *
 * Returns: the rank, from 0 to the number of workers - 1, in a work function of this pool; -1
 * elsewhere
 *
 * Since: 1.0
 */
gint
shm_map_reduce_get_rank (ShmMapReduce *self)
{
  ShmWorker *worker = shm_worker_find (self);

  g_return_val_if_fail (worker != NULL || SHM_IS_MAP_REDUCE (self), -1);

  return worker ? (gint) worker->rank : -1;
}

/**
 * shm_map_reduce_get_job:
 * @self: a pool
 *
 * Gets the job in whose work function, set-up or tear-down the calling thread is.
 *
 * Returns: (transfer none) (nullable): the job, or %NULL elsewhere
 *
 * Since: 1.0
 */
ShmJob *
shm_map_reduce_get_job (ShmMapReduce *self)
{
  ShmWorker *worker;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);

  worker = shm_worker_find (self);
  return worker ? worker->work->job : NULL;
}

/**
 * shm_map_reduce_get_state: (skip)
 * @self: a pool, in whose work function the calling thread is
 *
 * Gets what the set-up of this worker returned; see shm_job_set_set_up_func().
 *
 * Returns: (transfer none) (nullable): the state of the worker
 *
 * Since: 1.0
 */
gpointer
shm_map_reduce_get_state (ShmMapReduce *self)
{
  ShmWorker *worker;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);

  worker = shm_worker_find (self);
  g_return_val_if_fail (worker != NULL, NULL);
  return worker->state;
}

/**
 * shm_map_reduce_begin_item:
 * @self: a pool, in whose work function the calling thread is
 * @index: an item of the range that the function was called for
 *
 * For functions that work on a range: tells that this item begins, and those of the range before it
 * are done. If the worker dies, or the function fails, this is the item to blame. Items must be
 * begun in ascending order; a function that does not call this is at its first item. Each item that
 * was begun may enter the ordered section once.
 *
 * Since: 1.0
 */
void
shm_map_reduce_begin_item (ShmMapReduce *self, guint64 index)
{
  ShmWorker *worker = shm_worker_find (self);

  g_return_if_fail (worker != NULL);

  if (!shm_worker_begin_item (worker, shm_worker_to_item (worker, index)))
    g_critical ("%s: item %" G_GUINT64_FORMAT " is not in the range, or was begun before",
                G_STRFUNC, index);
}

/**
 * shm_map_reduce_fail_item:
 * @self: a pool, in whose work function the calling thread is
 * @error: why
 * @traceback: (nullable): where, for a person to read
 * @payload: (nullable): what else the caller is to get; a floating reference is sunk
 *
 * Fails the item in work, with more than an error can tell: all of it is in the #ShmFailure that the caller gets.
 * The work function should return soon; an error that it returns beside counts for nothing. What a function for
 * ranges returns stands for the items before this one, as always when one fails.
 *
 * This is meant for language bindings, whose exceptions say more than a #GError.
 *
 * Since: 1.0
 */
void
shm_map_reduce_fail_item (ShmMapReduce *self,
                          const GError *error,
                          const char *traceback,
                          GVariant *payload)
{
  ShmWorker *worker = shm_worker_find (self);

  g_return_if_fail (worker != NULL);
  g_return_if_fail (error != NULL);

  shm_worker_fail_item (worker, error, traceback, payload);
}

/**
 * shm_map_reduce_get_argument:
 * @self: a pool, in whose work function the calling thread is
 * @error: return location for an error
 *
 * Gets the argument of the run; see shm_job_set_argument().
 *
 * Returns: (transfer full) (nullable): the argument, or %NULL if there is none; %NULL with @error set if it cannot
 *   be had
 *
 * Since: 1.0
 */
GVariant *
shm_map_reduce_get_argument (ShmMapReduce *self, GError **error)
{
  ShmWorker *worker;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);

  worker = shm_map_reduce_find_worker (self, error);
  return worker ? shm_worker_get_argument (worker, error) : NULL;
}

static void
shm_map_reduce_set_outside (GError **error)
{
  g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                       _ ("Only a work function of the pool can do this"));
}

ShmWorker *
shm_map_reduce_find_worker (ShmMapReduce *self, GError **error)
{
  ShmWorker *worker = shm_worker_find (self);

  if (worker == NULL)
    shm_map_reduce_set_outside (error);
  return worker;
}

/**
 * shm_map_reduce_get_cursor_address:
 * @self: a pool, in whose work function for ranges the calling thread is
 *
 * Gets where to write which item begins, for language bindings to which shm_map_reduce_begin_item() is too slow: an
 * unsigned integer of 64 bits in native byte order. When the function is called it holds a number that stands for the
 * first item of its range; each next item is one more. It is the same address for all ranges of a worker, and for
 * the worker alone to write. Where #ShmMapReduce:item-timeout or #ShmJob:seed are set this is not enough, and
 * shm_map_reduce_begin_item() must be called.
 *
 * In a job that keeps its workers the difference of that number and the index of the first item is another in each run
 * that has items.
 *
 * Returns: the address
 *
 * Since: 1.0
 */
guint64
shm_map_reduce_get_cursor_address (ShmMapReduce *self)
{
  ShmWorker *worker = shm_worker_find (self);

  g_return_val_if_fail (worker != NULL, 0);

  return (guint64) (guintptr) &worker->line->begun;
}

/**
 * shm_map_reduce_get_cursor:
 * @self: a pool, in whose work function for ranges the calling thread is
 *
 * Gets what shm_map_reduce_get_cursor_address() tells the address of, for languages that write through a #GBytes but
 * not to an address. The memory is good for as long as the worker lives.
 *
 * Returns: (transfer full): the 8 bytes of the cursor, in place
 *
 * Since: 1.0
 */
GBytes *
shm_map_reduce_get_cursor (ShmMapReduce *self)
{
  ShmWorker *worker = shm_worker_find (self);

  g_return_val_if_fail (worker != NULL, NULL);
  g_return_val_if_fail (worker->work->base == 0, NULL);

  return g_bytes_new_static (&worker->line->begun, sizeof worker->line->begun);
}

/**
 * shm_map_reduce_deposit:
 * @self: a pool, in the work function of whose worker process the calling thread is
 * @address: where the data is
 * @n_bytes: how many bytes, at least 1
 * @offset: (out): what to tell the caller, in the result
 * @error: return location for an error
 *
 * Puts data into memory that the job's processes share, by one copy, for the caller to use in place; for language
 * bindings. The caller gets it with shm_job_withdraw(), once, when it has the result that says @offset and
 * @n_bytes. Waits if the caller has a lot to take already.
 *
 * Only worker processes need this; in threads and in serial jobs it is %SHM_ERROR_NOT_SUPPORTED.
 *
 * Returns: %TRUE if it was put there
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_deposit (
    ShmMapReduce *self, guint64 address, guint64 n_bytes, guint64 *offset, GError **error)
{
  ShmWorker *worker;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);
  g_return_val_if_fail (address != 0 && n_bytes > 0 && offset != NULL, FALSE);

  worker = shm_map_reduce_find_worker (self, error);
  if (worker == NULL)
    return FALSE;
  if (!worker->can_be_killed)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_NOT_SUPPORTED,
                           _ ("only a worker process can deposit data"));
      return FALSE;
    }
  return shm_wire_deposit (worker->outlet_data, (gconstpointer) (guintptr) address, n_bytes, offset,
                           error);
}

/**
 * shm_map_reduce_critical_enter:
 * @self: a pool, in whose work function the calling thread is
 * @error: return location for an error
 *
 * Enters the critical section, in which there is one worker of the job at a time, and waits for it
 * if need be. Leave it with shm_map_reduce_critical_leave(); see also shm_critical_locker_new().
 *
 * If a worker dies in the section, that is a failure of its item; the section is free again then,
 * and what it guards may be half done.
 *
 * Entering it twice is an error, as is entering it outside of a work function. In a job of threads
 * that is being ended, %G_IO_ERROR_CANCELLED is returned instead of waiting.
 *
 * Who needs both sections enters the ordered one first: an item that waits for its turn inside of
 * the critical section would keep out those that it waits for.
 *
 * Returns: %TRUE if the section was entered
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_critical_enter (ShmMapReduce *self, GError **error)
{
  ShmWorker *worker = shm_worker_find (self);

  if (G_LIKELY (worker != NULL))
    return shm_worker_critical_enter (worker, error);

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);

  shm_map_reduce_set_outside (error);
  return FALSE;
}

/**
 * shm_map_reduce_critical_leave:
 * @self: a pool, whose critical section the calling thread is in
 *
 * Leaves the critical section.
 *
 * Since: 1.0
 */
void
shm_map_reduce_critical_leave (ShmMapReduce *self)
{
  ShmWorker *worker = shm_worker_find (self);

  g_return_if_fail (worker != NULL);

  shm_worker_critical_leave (worker);
}

/**
 * shm_map_reduce_ordered_enter:
 * @self: a pool, in whose work function the calling thread is
 * @error: return location for an error
 *
 * Enters the ordered section, which the items enter one after the other in the order of their
 * indices, and waits until every earlier item has left it or has ended without entering it. Leave
 * it with shm_map_reduce_ordered_leave(); see also shm_ordered_locker_new().
 *
 * An item may enter it once; a second time is an error, as is entering it outside of a work
 * function. In a job of threads that is being ended, %G_IO_ERROR_CANCELLED is returned instead of
 * waiting.
 *
 * Items that are claimed together wait together: with a large #ShmMapReduce:chunk-size, or one
 * block for each worker, little is left to do at the same time.
 *
 * Returns: %TRUE if the section was entered
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_ordered_enter (ShmMapReduce *self, GError **error)
{
  ShmWorker *worker = shm_worker_find (self);

  if (G_LIKELY (worker != NULL))
    return shm_worker_ordered_enter (worker, error);

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);

  shm_map_reduce_set_outside (error);
  return FALSE;
}

/**
 * shm_map_reduce_ordered_leave:
 * @self: a pool, whose ordered section the calling thread is in
 *
 * Leaves the ordered section, and lets the next item enter.
 *
 * Since: 1.0
 */
void
shm_map_reduce_ordered_leave (ShmMapReduce *self)
{
  ShmWorker *worker = shm_worker_find (self);

  g_return_if_fail (worker != NULL);

  shm_worker_ordered_leave (worker);
}
