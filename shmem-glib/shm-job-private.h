/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-job.h"

G_BEGIN_DECLS

void shm_job_set_base (ShmJob *self, guint64 base);
GPtrArray *shm_job_steal_results (ShmJob *self);

G_END_DECLS
