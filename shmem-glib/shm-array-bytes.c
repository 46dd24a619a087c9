/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <string.h>

/* Runs of bytes, for languages that cannot use the memory itself. */

/* Finds the bytes; NULL with @error set if there are no such ones side by side. */
static guint8 *
shm_array_locate_bytes (ShmArray *self, guint64 offset, gsize n_bytes, GError **error)
{
  gsize size = shm_array_get_n_bytes (self);

  if (!shm_array_check_open (self, error))
    return NULL;
  if (!shm_array_is_contiguous (self))
    {
      g_set_error_literal (
          error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
          _ ("The items are not side by side: make a copy with shm_array_new_copy() first"));
      return NULL;
    }
  if (offset > size || n_bytes > size - offset)
    {
      g_set_error (
          error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS,
          shm_ngettext ("%zu byte from offset %llu on does not lie within the array of size %zu",
                        "%zu bytes from offset %llu on do not lie within the array of size %zu",
                        n_bytes),
          n_bytes, (unsigned long long) offset, size);
      return NULL;
    }
  /* An array without items has no memory, and nothing is read or written there. */
  return self->data != NULL ? self->data + offset : (guint8 *) self;
}

/**
 * shm_array_read_bytes:
 * @self: an array
 * @offset: where the bytes begin, in bytes from the first item
 * @n_bytes: how many
 * @error: return location for a #GError
 *
 * Copies bytes out of the memory of the items, for languages that cannot use the memory itself; see
 * shm_array_get_bytes() for all of it without a copy.
 *
 * Bytes that do not lie within the array are a %SHM_ERROR_OUT_OF_BOUNDS, an array that is not contiguous is a
 * %SHM_ERROR_INVALID_ARGUMENT, and one that was closed a %SHM_ERROR_WRONG_STATE.
 *
 * Returns: (transfer full): the bytes, or %NULL with @error set
 *
 * Since: 1.0
 */
GBytes *
shm_array_read_bytes (ShmArray *self, guint64 offset, gsize n_bytes, GError **error)
{
  const guint8 *bytes;

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  bytes = shm_array_locate_bytes (self, offset, n_bytes, error);
  return bytes != NULL ? g_bytes_new (bytes, n_bytes) : NULL;
}

/**
 * shm_array_write_bytes:
 * @self: an array
 * @offset: where to write, in bytes from the first item
 * @data: (array length=n_bytes) (nullable): the bytes
 * @n_bytes: how many
 * @error: return location for a #GError
 *
 * Copies bytes into the memory of the items. They are taken as they are: numbers have to be in native byte
 * order.
 *
 * Bytes that do not lie within the array are a %SHM_ERROR_OUT_OF_BOUNDS, an array that is not contiguous is a
 * %SHM_ERROR_INVALID_ARGUMENT, and one that may only be read a %SHM_ERROR_READ_ONLY.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
gboolean
shm_array_write_bytes (
    ShmArray *self, guint64 offset, const guint8 *data, gsize n_bytes, GError **error)
{
  guint8 *bytes;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail (data != NULL || n_bytes == 0, FALSE);

  bytes = shm_array_locate_bytes (self, offset, n_bytes, error);
  if (bytes == NULL || !shm_array_check_writable (self, error))
    return FALSE;
  if (n_bytes > 0)
    memmove (bytes, data, n_bytes);
  return TRUE;
}
