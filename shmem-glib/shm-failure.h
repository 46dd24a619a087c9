/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>
#include <shmem-glib/shm-enums.h>

G_BEGIN_DECLS

#define SHM_TYPE_FAILURE (shm_failure_get_type ())

typedef struct _ShmFailure ShmFailure;

SHM_AVAILABLE_IN_1_0
GType shm_failure_get_type (void);
SHM_AVAILABLE_IN_1_0
ShmFailure *shm_failure_ref (ShmFailure *self);
SHM_AVAILABLE_IN_1_0
void shm_failure_unref (ShmFailure *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ShmFailure, shm_failure_unref)

SHM_AVAILABLE_IN_1_0
gboolean shm_failure_has_index (ShmFailure *self);
SHM_AVAILABLE_IN_1_0
guint64 shm_failure_get_index (ShmFailure *self);
SHM_AVAILABLE_IN_1_0
gint shm_failure_get_rank (ShmFailure *self);
SHM_AVAILABLE_IN_1_0
gint shm_failure_get_pid (ShmFailure *self);
SHM_AVAILABLE_IN_1_0
ShmFailureKind shm_failure_get_kind (ShmFailure *self);
SHM_AVAILABLE_IN_1_0
gint shm_failure_get_status (ShmFailure *self);
SHM_AVAILABLE_IN_1_0
const GError *shm_failure_get_error (ShmFailure *self);
SHM_AVAILABLE_IN_1_0
const char *shm_failure_get_traceback (ShmFailure *self);
SHM_AVAILABLE_IN_1_0
GVariant *shm_failure_get_payload (ShmFailure *self);
SHM_AVAILABLE_IN_1_0
gint64 shm_failure_get_cpu_time (ShmFailure *self);
SHM_AVAILABLE_IN_1_0
guint64 shm_failure_get_peak_memory (ShmFailure *self);

G_END_DECLS
