/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <string.h>

/* What is done with the memory of an array as a whole. */

/**
 * shm_array_close:
 * @self: an array or a view
 *
 * Gives up what @self holds of its memory, which goes back to the system at once if no view of it
 * and no #GBytes is left; those are as good as before. Other processes keep theirs.
 *
 * From now on, whatever has to do with the items of @self is a %SHM_ERROR_WRONG_STATE;
 * shm_array_get_data() is %NULL, shm_array_get_address() is 0, and addresses that were got before
 * are void. Item type, shape, strides and fields can still be asked for. To close an array twice
 * does no harm. No other thread may use @self meanwhile.
 *
 * Since: 1.0
 */
void
shm_array_close (ShmArray *self)
{
  g_return_if_fail (SHM_IS_ARRAY (self));

  self->is_closed = TRUE;
  self->data = NULL;
  g_clear_pointer (&self->mapping, shm_mapping_unref);
}

/**
 * shm_array_is_closed:
 * @self: an array
 *
 * Says whether shm_array_close() has been called.
 *
 * Returns: %TRUE if @self is closed
 *
 * Since: 1.0
 */
gboolean
shm_array_is_closed (ShmArray *self)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), TRUE);

  return self->is_closed;
}

/**
 * shm_array_advise:
 * @self: an array or a view
 * @advice: how the items will be used
 * @error: return location for a #GError
 *
 * Tells the system how this process will use the pages in which the items lie, all of the pages of
 * a view that has gaps. No advice changes an item.
 *
 * A forked worker finds each page of an array for the first time when it uses it, which takes longer than to write its
 * 512 doubles. A work function that says %SHM_ADVICE_WILL_NEED of the part that it is about to write has these pages
 * mapped all at once, several times faster than one by one. A worker that only reads gains little, one
 * that stays for many jobs has them already, and threads have those of the caller.
 *
 * Advice that this system does not know is a %SHM_ERROR_NOT_SUPPORTED, a closed array is a
 * %SHM_ERROR_WRONG_STATE.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
gboolean
shm_array_advise (ShmArray *self, ShmAdvice advice, GError **error)
{
  gsize before;
  gsize after;
  gboolean reaches;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail ((guint) advice <= SHM_ADVICE_PAGE_OUT, FALSE);

  if (!shm_array_check_open (self, error))
    return FALSE;
  if (self->n_elements == 0)
    return TRUE;

  reaches = shm_array_get_reach (self, &before, &after);
  g_assert (reaches);
  return shm_mapping_advise (self->mapping, self->data - before, before + after, advice, error);
}

/**
 * shm_array_resize:
 * @self: an array that was made with %SHM_ARRAY_FLAGS_SHAREABLE
 * @shape: (array length=n_dims) (nullable): the new length of each axis
 * @n_dims: the new number of dimensions, at most 32
 * @error: return location for a #GError
 *
 * Gives an array another shape, of any number of items. They keep their order: the first in C order
 * is still the first. So indices stay what they were where only the first axis grows or shrinks.
 * Items that are new are zeros, or what another process has in them that made the array as large.
 * The memory, shared with others as before, may move in this process, so addresses that were got
 * before are void. No other thread may use @self meanwhile.
 *
 * What is cut off is given back to the system, and is zeros for all who still have it mapped.
 * Processes that were forked before have the array in its old shape; those forked from now on have
 * the new one.
 *
 * An array that is not shareable, and a shape that an array cannot have, are
 * %SHM_ERROR_INVALID_ARGUMENT. A closed array, a view, and an array whose memory is also that of a
 * view or of a #GBytes, are %SHM_ERROR_WRONG_STATE, and so is one that is to have fewer items after
 * shm_array_seal_read_only(). Memory that the system does not give is a %SHM_ERROR_NO_MEMORY.
 *
 * Returns: %TRUE, or %FALSE with @error set, and nothing changed but, perhaps, the address
 *
 * Since: 1.0
 */
gboolean
shm_array_resize (ShmArray *self, const gsize *shape, gsize n_dims, GError **error)
{
  g_autoptr (ShmArray) layout = NULL;
  gboolean ok;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail (shape != NULL || n_dims == 0, FALSE);

  if (!shm_array_check_open (self, error))
    return FALSE;
  if (self->mapping == NULL || !shm_mapping_is_resizable (self->mapping))
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                           _ ("The array cannot be resized: it was not made to be shareable"));
      return FALSE;
    }
  if (!shm_mapping_has_one_owner (self->mapping))
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("The array cannot be resized: there are views of its memory"));
      return FALSE;
    }
  /* It may be a view that has outlived its array. */
  if (self->data != shm_mapping_get_address (self->mapping) || !shm_array_is_contiguous (self) ||
      shm_array_get_n_bytes (self) != shm_mapping_get_size (self->mapping))
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("A view of a part of an array cannot be resized"));
      return FALSE;
    }

  layout = shm_array_new_laid_out (self->dtype, self->item_size, shape, n_dims, error);
  if (layout == NULL)
    return FALSE;

  /* The memory may have moved even where there was not enough of it. */
  ok = shm_mapping_resize (self->mapping, shm_array_get_n_bytes (layout), error);
  self->data = shm_mapping_get_address (self->mapping);
  if (!ok)
    return FALSE;

  self->n_dims = layout->n_dims;
  self->n_elements = layout->n_elements;
  memcpy (self->shape, layout->shape, sizeof (self->shape));
  memcpy (self->strides, layout->strides, sizeof (self->strides));

  g_object_freeze_notify (G_OBJECT (self));
  g_object_notify (G_OBJECT (self), "n-dims");
  g_object_notify (G_OBJECT (self), "n-elements");
  g_object_notify (G_OBJECT (self), "n-bytes");
  g_object_thaw_notify (G_OBJECT (self));
  return TRUE;
}
