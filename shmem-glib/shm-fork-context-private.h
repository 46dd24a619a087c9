/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  GMainContext *context; /* NULL: not made yet */
  int wakeup;            /* its descriptor, or -1 if a child cannot replace it */
} ShmForkContext;

void shm_fork_context_push (ShmForkContext *context);
void shm_fork_context_pop (ShmForkContext *context);
void shm_fork_context_adopt (ShmForkContext *context);
void shm_fork_context_clear (ShmForkContext *context);

G_END_DECLS
