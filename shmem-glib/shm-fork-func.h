/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib-object.h>
#include <shmem-glib/shm-version.h>

G_BEGIN_DECLS

/**
 * SECTION:shm-fork-func
 * @title: Forking in other languages
 * @short_description: a language's own way to fork
 *
 * The runtime of a language may have to prepare for a fork; its binding tells the library how.
 */

/**
 * ShmForkFunc:
 * @user_data: what was given with the function
 *
 * Forks the process, as `fork()` does, and returns in both.
 *
 * Returns: the process ID of the child; 0 in the child; -1 if there is none
 *
 * Since: 1.0
 */
typedef gint (*ShmForkFunc) (gpointer user_data);

SHM_AVAILABLE_IN_1_0
void shm_set_fork_func (ShmForkFunc func, gpointer user_data, GDestroyNotify destroy);

G_END_DECLS
