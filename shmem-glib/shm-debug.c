/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-debug-private.h"

static gint serial; /* atomic */

gboolean
shm_debug_has (ShmDebugFlags flag)
{
  static const GDebugKey keys[] = {
    { "serial", SHM_DEBUG_SERIAL },
    { "no-pidfd", SHM_DEBUG_NO_PIDFD },
    { "prove", SHM_DEBUG_PROVE },
    { "unknown-gjs", SHM_DEBUG_UNKNOWN_GJS },
  };
  static gsize flags = 0; /* plus 1, since 0 is not yet initialised */

  if (g_once_init_enter (&flags))
    g_once_init_leave (
        &flags,
        (gsize) g_parse_debug_string (g_getenv ("SHM_DEBUG"), keys, G_N_ELEMENTS (keys)) + 1);
  return ((flags - 1) & flag) != 0;
}

/**
 * shm_set_debug:
 * @debug: whether every pool is to be serial
 *
 * Makes every job that starts from now on run its work function in the caller itself, one item
 * after the other, whatever the backend of its pool; or, with %FALSE, undoes that. The same is had
 * from outside with `serial` in the environment variable `SHM_DEBUG`, which this function cannot
 * undo.
 *
 * Since: 1.0
 */
void
shm_set_debug (gboolean debug)
{
  g_atomic_int_set (&serial, debug != FALSE);
}

/**
 * shm_get_debug:
 *
 * Tells whether every pool is serial; see shm_set_debug().
 *
 * Returns: %TRUE if it is
 *
 * Since: 1.0
 */
gboolean
shm_get_debug (void)
{
  return g_atomic_int_get (&serial) || shm_debug_has (SHM_DEBUG_SERIAL);
}
