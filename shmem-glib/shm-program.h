/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <shmem-glib/shm-map-reduce.h>

G_BEGIN_DECLS

/**
 * SECTION:shm-program
 * @title: Programs as workers
 * @short_description: workers that are started afresh
 *
 * Where a process cannot go on after a fork, its workers can be programs of their own. The caller
 * names one with shm_job_set_program(); the program calls shm_serve_ranges().
 */

SHM_AVAILABLE_IN_1_0
gboolean shm_serve_ranges (ShmRangeFunc func, gpointer user_data, GError **error);

G_END_DECLS
