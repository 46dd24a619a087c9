/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-i18n-private.h"

#if ENABLE_NLS
#include <libintl.h>

static void
shm_i18n_init (void)
{
  static gsize initialised = 0;

  if (g_once_init_enter (&initialised))
    {
      bindtextdomain (GETTEXT_PACKAGE, SHM_LOCALE_DIR);
      bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
      g_once_init_leave (&initialised, 1);
    }
}
#endif

const char *
shm_gettext (const char *message)
{
#if ENABLE_NLS
  shm_i18n_init ();
  return g_dgettext (GETTEXT_PACKAGE, message);
#else
  return message;
#endif
}
