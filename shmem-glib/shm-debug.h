/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>
#include <shmem-glib/shm-version.h>

G_BEGIN_DECLS

/**
 * SECTION:shm-debug
 * @title: Debugging
 * @short_description: making every pool serial
 *
 * In a serial pool the work functions run in the caller itself, where a debugger sees them.
 */

SHM_AVAILABLE_IN_1_0
void shm_set_debug (gboolean debug);
SHM_AVAILABLE_IN_1_0
gboolean shm_get_debug (void);

G_END_DECLS
