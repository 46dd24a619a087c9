/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* In the caller, before it forks. */
void shm_thread_limit_prepare (void);
/* For what the environment is to say, as long as the process lives. On the stack of a new child it costs no page. */
#define SHM_THREAD_LIMIT_VARIABLES 6
typedef struct
{
  char entries[SHM_THREAD_LIMIT_VARIABLES][48];
  char *environment[96]; /* a longer one is allocated */
} ShmThreadLimitRoom;

/* In the child, in the thread that will work, before anything of the user's runs there. */
void shm_thread_limit_apply (guint n_threads, gboolean automatic, ShmThreadLimitRoom *room);

G_END_DECLS
