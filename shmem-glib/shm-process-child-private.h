/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-process-private.h"

G_BEGIN_DECLS

/* the rest of the life of a worker whose `control`, `rank`, `pool` and `work` are set */
void shm_process_child_work (ShmWorker *worker, ShmArena *arena) G_GNUC_NORETURN;

void shm_process_child_limit (const ShmWorkerLimits *limits);
void shm_process_child_main (ShmProcess *process, guint rank, gboolean prove) G_GNUC_NORETURN;

G_END_DECLS
