/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-debug.h"

G_BEGIN_DECLS

/* words of the environment variable SHM_DEBUG */
typedef enum
{
  SHM_DEBUG_SERIAL = 1 << 0,   /* every pool is serial */
  SHM_DEBUG_NO_PIDFD = 1 << 1, /* children are watched as on systems that have no pidfd */
  SHM_DEBUG_PROVE = 1 << 2,    /* every child proves itself, also where the caller has one thread */
  SHM_DEBUG_UNKNOWN_GJS = 1 << 3 /* as with an engine of gjs that cannot be forked */
} ShmDebugFlags;

gboolean shm_debug_has (ShmDebugFlags flag);

G_END_DECLS
