/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-i18n-private.h"

#if ENABLE_NLS
#include <dlfcn.h>
#include <errno.h>
#include <libintl.h>

/* In the prefix that the shared library is in now. Where a program has the library within itself,
 * its own path says nothing.
 */
static char *
shm_i18n_find_dir (void)
{
  g_autofree char *folder = NULL;
  g_autofree char *name = NULL;
  g_autofree char *found = NULL;
  Dl_info info;

  if (SHM_LOCALE_FROM_LIBRARY != NULL && dladdr ((gpointer) shm_gettext, &info) != 0)
    {
      folder = g_path_get_dirname (info.dli_fname);
      name = g_path_get_basename (info.dli_fname);
      found = g_build_filename (folder, SHM_LOCALE_FROM_LIBRARY, NULL);
      if (g_str_has_prefix (name, "lib" GETTEXT_PACKAGE ".") &&
          g_file_test (found, G_FILE_TEST_IS_DIR))
        return g_canonicalize_filename (found, NULL);
    }
  return g_strdup (SHM_LOCALE_DIR);
}

/* An application that carries the library with it may have bound the domain before, to the folder where its translations
 * are. What an unbound domain is said to be differs between C libraries.
 */
static gboolean
shm_i18n_is_bound (void)
{
  return g_strcmp0 (bindtextdomain (GETTEXT_PACKAGE, NULL),
                    bindtextdomain (GETTEXT_PACKAGE "-unbound", NULL)) != 0;
}

static void
shm_i18n_init (void)
{
  static gsize initialised = 0;

  if (g_once_init_enter (&initialised))
    {
      int saved_errno = errno;
      g_autofree char *folder = shm_i18n_find_dir ();

      if (!shm_i18n_is_bound ())
        bindtextdomain (GETTEXT_PACKAGE, folder);
      bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
      /* It may be among the arguments of the call that the message is for. */
      errno = saved_errno;
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

/* Where a message has several numbers, @n is the one that is spelt with a unit. */
const char *
shm_ngettext (const char *singular, const char *plural, gulong n)
{
#if ENABLE_NLS
  shm_i18n_init ();
  return g_dngettext (GETTEXT_PACKAGE, singular, plural, n);
#else
  return n == 1 ? singular : plural;
#endif
}
