/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib-object.h>
#include <shmem-glib/shm-version.h>

G_BEGIN_DECLS

#define SHM_TYPE_STATISTICS (shm_statistics_get_type ())

typedef struct _ShmStatistics ShmStatistics;

SHM_AVAILABLE_IN_1_0
GType shm_statistics_get_type (void);
SHM_AVAILABLE_IN_1_0
ShmStatistics *shm_statistics_ref (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
void shm_statistics_unref (ShmStatistics *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ShmStatistics, shm_statistics_unref)

SHM_AVAILABLE_IN_1_0
gint shm_statistics_get_rank (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
guint64 shm_statistics_get_n_items (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
guint shm_statistics_get_n_lives (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
gint64 shm_statistics_get_busy_time (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
gint64 shm_statistics_get_critical_time (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
gint64 shm_statistics_get_ordered_time (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
gint64 shm_statistics_get_barrier_time (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
gint64 shm_statistics_get_output_time (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
gint64 shm_statistics_get_input_time (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
gint64 shm_statistics_get_elapsed_time (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
gint64 shm_statistics_get_cpu_time (ShmStatistics *self);
SHM_AVAILABLE_IN_1_0
guint64 shm_statistics_get_peak_memory (ShmStatistics *self);

G_END_DECLS
