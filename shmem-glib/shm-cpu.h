/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>
#include <shmem-glib/shm-version.h>

G_BEGIN_DECLS

/**
 * SECTION:shm-cpu
 * @title: Processors and memory
 * @short_description: how much of the machine this process may use
 *
 * A container, a batch system or an administrator often gives a process less than the machine has.
 * These functions tell what it got.
 */

SHM_AVAILABLE_IN_1_0
guint shm_cpu_count (void);
SHM_AVAILABLE_IN_1_0
guint64 shm_total_memory (void);

G_END_DECLS
