/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-dtype-private.h"

#include "shm-array.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <string.h>

/* An item type as numpy writes it into files: with the byte order in front, and with the size of a
 * record, as in "<f8", "|u1" and "|V12".
 */

char *
shm_dtype_describe (ShmDtype dtype, gsize item_size)
{
  const char *order = G_BYTE_ORDER == G_LITTLE_ENDIAN ? "<" : ">";

  if (dtype == SHM_DTYPE_RECORD)
    return g_strdup_printf ("|V%zu", item_size);
  return g_strconcat (item_size == 1 ? "|" : order, shm_dtype_to_string (dtype), NULL);
}

gboolean
shm_dtype_parse (const char *text, ShmDtype *dtype, gsize *item_size, GError **error)
{
  const char *name = *text == '|' ? text + 1 : text;
  g_autoptr (GError) local_error = NULL;
  guint64 size;

  if (*name == 'O')
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("Items of type “%s” are objects, which cannot be shared"), text);
      return FALSE;
    }
  if (*name == 'V')
    {
      if (!g_ascii_string_to_unsigned (name + 1, 10, 1, G_MAXSSIZE, &size, NULL))
        {
          g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                       _ ("“%s” is not the type of a record"), text);
          return FALSE;
        }
      *dtype = SHM_DTYPE_RECORD;
      *item_size = (gsize) size;
      return TRUE;
    }

  *dtype = shm_dtype_from_string (text, &local_error);
  if (local_error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  *item_size = shm_dtype_get_size (*dtype);
  return TRUE;
}
