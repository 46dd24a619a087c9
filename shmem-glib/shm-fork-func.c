/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-fork-func.h"

#include "shm-fork-private.h"

/**
 * shm_set_fork_func:
 * @func: (nullable) (scope notified) (closure user_data) (destroy destroy): what forks, or %NULL for
 *   `fork()` itself
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data when another function is set
 *
 * Sets what makes worker processes from now on, in the whole process. It is for language bindings, whose runtimes have
 * a fork of their own, such as `os.fork()` of Python. It is called in the thread that starts
 * the job, with all signals blocked. Which of the two processes returned is found out by its process ID, and
 * not believed.
 *
 * No job may be running that could fork again meanwhile.
 *
 * Since: 1.0
 */
void
shm_set_fork_func (ShmForkFunc func, gpointer user_data, GDestroyNotify destroy)
{
  ShmForkHook old = shm_fork_set_hook ((ShmForkHook){ func, user_data, destroy });

  if (old.destroy != NULL)
    old.destroy (old.user_data);
}
