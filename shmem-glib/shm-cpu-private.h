/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-cpu.h"

G_BEGIN_DECLS

guint shm_cpu_default_workers (void);

/* The pure half: @root stands before each path that is read, "" for the system's own. */
guint shm_cpu_parse_n_workers (const char *text);
guint shm_cpu_quota_at (const char *root);
guint64 shm_cpu_memory_limit_at (const char *root);
guint64 shm_cpu_oom_kills_at (const char *root);
guint64 shm_cpu_oom_kills (gint64 max_age);

G_END_DECLS
