/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-error.h"
#include "shm-i18n-private.h"

#include <string.h>

/* By ShmDtype; the names are those of numpy's array interface. */
static const struct
{
  const char *name;
  gsize size;
} dtypes[] = {
  [SHM_DTYPE_BOOL] = { "b1", 1 },  [SHM_DTYPE_I1] = { "i1", 1 },    [SHM_DTYPE_I2] = { "i2", 2 },
  [SHM_DTYPE_I4] = { "i4", 4 },    [SHM_DTYPE_I8] = { "i8", 8 },    [SHM_DTYPE_U1] = { "u1", 1 },
  [SHM_DTYPE_U2] = { "u2", 2 },    [SHM_DTYPE_U4] = { "u4", 4 },    [SHM_DTYPE_U8] = { "u8", 8 },
  [SHM_DTYPE_F4] = { "f4", 4 },    [SHM_DTYPE_F8] = { "f8", 8 },    [SHM_DTYPE_C8] = { "c8", 8 },
  [SHM_DTYPE_C16] = { "c16", 16 }, [SHM_DTYPE_RECORD] = { "V", 0 },
};

/**
 * shm_dtype_from_string:
 * @string: a type string of numpy, such as "f8"
 * @error: return location for a #GError
 *
 * Finds the item type that numpy gives the name @string: "b1" or "?", "i1" to "i8", "u1" to "u8",
 * "f4", "f8", "c8", "c16". One of "=" and "|", or the sign of the machine's own byte order ("<" on
 * little-endian machines, ">" on big-endian ones), may stand before it. Everything else, and the
 * other byte order, is a %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: the item type; %SHM_DTYPE_BOOL with @error set if @string names none, so check @error
 *
 * Since: 1.0
 */
ShmDtype
shm_dtype_from_string (const char *string, GError **error)
{
  const char *native = G_BYTE_ORDER == G_LITTLE_ENDIAN ? "=|<" : "=|>";
  const char *name = string;

  g_return_val_if_fail (string != NULL, SHM_DTYPE_BOOL);

  if (*name != '\0' && strchr (native, *name) != NULL)
    name++;
  if (strcmp (name, "?") == 0)
    return SHM_DTYPE_BOOL;

  for (guint dtype = 0; dtype < SHM_DTYPE_RECORD; dtype++)
    {
      if (strcmp (name, dtypes[dtype].name) == 0)
        return (ShmDtype) dtype;
    }

  g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
               _ ("“%s” is not an item type in this machine's byte order"), string);
  return SHM_DTYPE_BOOL;
}

/**
 * shm_dtype_to_string:
 * @dtype: an item type
 *
 * Gets the name that numpy gives an item type, without a byte order: "f8" for %SHM_DTYPE_F8.
 * Records are "V", which shm_dtype_from_string() does not take, since it lacks their size.
 *
 * Returns: (transfer none): the name
 *
 * Since: 1.0
 */
const char *
shm_dtype_to_string (ShmDtype dtype)
{
  g_return_val_if_fail ((guint) dtype < G_N_ELEMENTS (dtypes), NULL);

  return dtypes[dtype].name;
}

/**
 * shm_dtype_get_size:
 * @dtype: an item type
 *
 * Gets the size of one item.
 *
 * Returns: the size in bytes; 0 for %SHM_DTYPE_RECORD, whose size is each array's own
 *
 * Since: 1.0
 */
gsize
shm_dtype_get_size (ShmDtype dtype)
{
  g_return_val_if_fail ((guint) dtype < G_N_ELEMENTS (dtypes), 0);

  return dtypes[dtype].size;
}
