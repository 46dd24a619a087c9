/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-worker-private.h"

G_BEGIN_DECLS

gboolean shm_region_barrier (ShmWorker *worker, GError **error);
void shm_region_leave (ShmWorker *worker);
gboolean shm_region_share (ShmWorker *worker,
                           guint64 begin,
                           guint64 end,
                           ShmSchedule schedule,
                           guint64 chunk_size,
                           const ShmCall *call,
                           GError **error);
gboolean shm_region_enter_turn (ShmWorker *worker);
void shm_region_pass_turn (ShmWorker *worker);

G_END_DECLS
