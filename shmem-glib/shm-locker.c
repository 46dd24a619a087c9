/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* A locker is its pool under another name: a section is entered once at a time, so there is no more
 * to know. */

#include "config.h"

#include "shm-locker.h"

/**
 * shm_critical_locker_new: (skip)
 * @pool: a pool, in whose work function the calling thread is
 * @error: return location for an error
 *
 * Enters the critical section, as shm_map_reduce_critical_enter() does. The section is left when
 * the locker is freed:
 * |[<!-- language="C" -->
 * g_autoptr (ShmCriticalLocker) locker = shm_critical_locker_new (pool, error);
 *
 * if (locker == NULL)
 *   return NULL;
 * ]|
 *
 * Returns: (transfer full) (nullable): the locker, or %NULL with @error set if the section was not
 * entered
 *
 * Since: 1.0
 */
ShmCriticalLocker *
shm_critical_locker_new (ShmMapReduce *pool, GError **error)
{
  if (!shm_map_reduce_critical_enter (pool, error))
    return NULL;
  return (ShmCriticalLocker *) pool;
}

/**
 * shm_critical_locker_free: (skip)
 * @locker: a locker
 *
 * Leaves the critical section.
 *
 * Since: 1.0
 */
void
shm_critical_locker_free (ShmCriticalLocker *locker)
{
  shm_map_reduce_critical_leave ((ShmMapReduce *) locker);
}

/**
 * shm_ordered_locker_new: (skip)
 * @pool: a pool, in whose work function the calling thread is
 * @error: return location for an error
 *
 * Enters the ordered section, as shm_map_reduce_ordered_enter() does. The section is left when the
 * locker is freed; use it with g_autoptr().
 *
 * Returns: (transfer full) (nullable): the locker, or %NULL with @error set if the section was not
 * entered
 *
 * Since: 1.0
 */
ShmOrderedLocker *
shm_ordered_locker_new (ShmMapReduce *pool, GError **error)
{
  if (!shm_map_reduce_ordered_enter (pool, error))
    return NULL;
  return (ShmOrderedLocker *) pool;
}

/**
 * shm_ordered_locker_free: (skip)
 * @locker: a locker
 *
 * Leaves the ordered section.
 *
 * Since: 1.0
 */
void
shm_ordered_locker_free (ShmOrderedLocker *locker)
{
  shm_map_reduce_ordered_leave ((ShmMapReduce *) locker);
}
