/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

/* How an array comes to lie in memory that it did not ask for itself: that of a file, or of another
 * process. Shape, strides and offset may be a stranger's; what passes here keeps the promise that
 * every item lies inside of the mapping, and is aligned.
 */

static gsize
shm_array_get_alignment (ShmArray *self)
{
  switch (self->dtype)
    {
    case SHM_DTYPE_RECORD:
      return 1;
    case SHM_DTYPE_C8:
    case SHM_DTYPE_C16:
      return self->item_size / 2;
    default:
      return self->item_size;
    }
}

static gsize
stride_length (gssize stride)
{
  return stride < 0 ? -(gsize) stride : (gsize) stride;
}

/* Finds how many bytes the items reach to before the first one, and from its first byte on after
 * it. FALSE if that cannot be said in a gssize.
 */
gboolean
shm_array_get_reach (ShmArray *self, gsize *before, gsize *after)
{
  *before = 0;
  *after = self->item_size;
  for (gsize axis = 0; axis < self->n_dims; axis++)
    {
      gsize *reach = self->strides[axis] < 0 ? before : after;
      gsize distance;

      if (self->shape[axis] > 1 &&
          (!g_size_checked_mul (&distance, stride_length (self->strides[axis]),
                                self->shape[axis] - 1) ||
           !g_size_checked_add (reach, *reach, distance) || *reach > G_MAXSSIZE))
        return FALSE;
    }

  if (self->n_elements == 0)
    *before = *after = 0;
  return TRUE;
}

static gboolean
shm_array_is_aligned (ShmArray *self, guint64 offset)
{
  gsize alignment = shm_array_get_alignment (self);

  for (gsize axis = 0; axis < self->n_dims; axis++)
    {
      if (stride_length (self->strides[axis]) % alignment != 0)
        return FALSE;
    }
  return offset % alignment == 0;
}

gboolean
shm_array_attach (
    ShmArray *self, ShmMapping *mapping, guint64 offset, const gssize *strides, GError **error)
{
  gsize size = shm_mapping_get_size (mapping);
  gsize before;
  gsize after;

  /* Where there is no second item, a stride says nothing, and may be anything. */
  for (gsize axis = 0; strides != NULL && axis < self->n_dims; axis++)
    self->strides[axis] = self->shape[axis] > 1 ? strides[axis] : (gssize) self->item_size;

  /* More items than there is room for would be the same ones over and over. */
  if (!shm_array_get_reach (self, &before, &after) || offset > size || after > size - offset ||
      before > offset || shm_array_get_n_bytes (self) > size)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS,
                   shm_ngettext (
                       "An array at offset %llu does not lie within its memory of %zu byte",
                       "An array at offset %llu does not lie within its memory of %zu bytes", size),
                   (unsigned long long) offset, size);
      return FALSE;
    }
  if (!shm_array_is_aligned (self, offset))
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("Items of type %s at offset %llu are not aligned"),
                   shm_dtype_to_string (self->dtype), (unsigned long long) offset);
      return FALSE;
    }

  self->mapping = shm_mapping_ref (mapping);
  self->data = (guint8 *) shm_mapping_get_address (mapping) + offset;
  return TRUE;
}

gboolean
shm_array_check_writable (ShmArray *self, GError **error)
{
  if (!shm_array_is_read_only (self))
    return TRUE;

  g_set_error_literal (error, SHM_ERROR, SHM_ERROR_READ_ONLY, _ ("The array may only be read"));
  return FALSE;
}

/**
 * shm_array_is_read_only:
 * @self: an array
 *
 * Says whether the memory of the array may only be read: it is a file that was opened so, or another
 * process has handed it over so. The functions that write to it fail with %SHM_ERROR_READ_ONLY; a
 * write through shm_array_get_data() ends the process.
 *
 * Returns: %TRUE if it may only be read
 *
 * Since: 1.0
 */
gboolean
shm_array_is_read_only (ShmArray *self)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);

  return self->mapping != NULL && shm_mapping_is_read_only (self->mapping);
}
