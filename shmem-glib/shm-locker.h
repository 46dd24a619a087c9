/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <shmem-glib/shm-map-reduce.h>

G_BEGIN_DECLS

/**
 * SECTION:shm-locker
 * @title: Lockers
 * @short_description: sections that end with their scope
 *
 * A critical or ordered section that is left when a g_autoptr() goes out of scope, whichever way.
 */

/**
 * ShmCriticalLocker: (skip)
 *
 * A critical section as a variable; see shm_critical_locker_new().
 *
 * Since: 1.0
 */
typedef struct _ShmCriticalLocker ShmCriticalLocker;

/**
 * ShmOrderedLocker: (skip)
 *
 * An ordered section as a variable; see shm_ordered_locker_new().
 *
 * Since: 1.0
 */
typedef struct _ShmOrderedLocker ShmOrderedLocker;

SHM_AVAILABLE_IN_1_0
ShmCriticalLocker *shm_critical_locker_new (ShmMapReduce *pool, GError **error);
SHM_AVAILABLE_IN_1_0
void shm_critical_locker_free (ShmCriticalLocker *locker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ShmCriticalLocker, shm_critical_locker_free)

SHM_AVAILABLE_IN_1_0
ShmOrderedLocker *shm_ordered_locker_new (ShmMapReduce *pool, GError **error);
SHM_AVAILABLE_IN_1_0
void shm_ordered_locker_free (ShmOrderedLocker *locker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ShmOrderedLocker, shm_ordered_locker_free)

G_END_DECLS
