/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-array-iter.h"
#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <string.h>

/* Views of arrays, and what has to visit the items of one that may be a view, with gaps between its
 * items or in any order: copy and fill.
 */

#define FILL_BLOCK ((gsize) 16384)

ShmArray *
shm_array_new_view (ShmArray *source)
{
  ShmArray *self = g_object_new (SHM_TYPE_ARRAY, NULL);

  if (source->mapping != NULL)
    self->mapping = shm_mapping_ref (source->mapping);
  if (source->fields != NULL)
    self->fields = g_ptr_array_ref (source->fields);
  self->data = source->data;
  self->dtype = source->dtype;
  self->item_size = source->item_size;
  self->n_dims = source->n_dims;
  self->n_elements = source->n_elements;
  memcpy (self->shape, source->shape, sizeof (self->shape));
  memcpy (self->strides, source->strides, sizeof (self->strides));
  return self;
}

void
shm_array_count_elements (ShmArray *self)
{
  self->n_elements = 1;
  for (gsize axis = 0; axis < self->n_dims; axis++)
    self->n_elements *= self->shape[axis];
}

gboolean
shm_array_check_axis (ShmArray *self, guint axis, GError **error)
{
  if (axis < self->n_dims)
    return TRUE;

  g_set_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS,
               shm_ngettext ("There is no axis %u in an array of %zu dimension",
                             "There is no axis %u in an array of %zu dimensions", self->n_dims),
               axis, self->n_dims);
  return FALSE;
}

/* Does something to each item of a run, which is at `item`. The sizes of numbers are spelt out,
 * since the compiler then makes a copy one load and one store.
 */
#define FOR_ITEMS(WORK, size)                                                                      \
  for (gsize i = 0; i < iter->n_items; i++)                                                        \
    {                                                                                              \
      guint8 *item = (guint8 *) iter->data + (gssize) i * iter->stride;                            \
                                                                                                   \
      WORK (size);                                                                                 \
    }

#define FOR_ITEMS_OF_SIZE(WORK, item_size)                                                         \
  switch (item_size)                                                                               \
    {                                                                                              \
    case 1:                                                                                        \
      FOR_ITEMS (WORK, 1);                                                                         \
      break;                                                                                       \
    case 2:                                                                                        \
      FOR_ITEMS (WORK, 2);                                                                         \
      break;                                                                                       \
    case 4:                                                                                        \
      FOR_ITEMS (WORK, 4);                                                                         \
      break;                                                                                       \
    case 8:                                                                                        \
      FOR_ITEMS (WORK, 8);                                                                         \
      break;                                                                                       \
    case 16:                                                                                       \
      FOR_ITEMS (WORK, 16);                                                                        \
      break;                                                                                       \
    default:                                                                                       \
      FOR_ITEMS (WORK, item_size);                                                                 \
    }

#define READ_ITEM(size) memcpy ((guint8 *) target + i * (size), item, (size))
#define WRITE_ITEM(size) memcpy (item, (const guint8 *) source + i * (size), (size))
#define FILL_ITEM(size) memcpy (item, value, (size))

/* Copies a run's items to @target, side by side. */
void
shm_array_run_read (const ShmArrayIter *iter, gpointer target, gsize item_size)
{
  if (iter->stride == (gssize) item_size)
    memcpy (target, iter->data, iter->n_items * item_size);
  else
    FOR_ITEMS_OF_SIZE (READ_ITEM, item_size)
}

/* Copies the items that are side by side at @source into a run. */
void
shm_array_run_write (const ShmArrayIter *iter, gconstpointer source, gsize item_size)
{
  if (iter->stride == (gssize) item_size)
    memcpy (iter->data, source, iter->n_items * item_size);
  else
    FOR_ITEMS_OF_SIZE (WRITE_ITEM, item_size)
}

/* Copies all items side by side, in C order. */
void
shm_array_copy_items (ShmArray *self, guint8 *target)
{
  ShmArrayIter iter;

  shm_array_iter_init (&iter, self);
  while (shm_array_iter_next (&iter))
    {
      shm_array_run_read (&iter, target, self->item_size);
      target += iter.n_items * self->item_size;
    }
}

/**
 * shm_array_new_copy: (constructor)
 * @source: an array or a view
 * @error: return location for a #GError
 *
 * Makes an array with the items, the item type, the fields and the shape of @source. The copy is in
 * C order, in whatever order @source is.
 *
 * Returns: (transfer full): the array, or %NULL with @error set to %SHM_ERROR_NO_MEMORY, or
 *   %SHM_ERROR_WRONG_STATE if @source is closed
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_copy (ShmArray *source, GError **error)
{
  return shm_array_new_copy_full (source, SHM_ARRAY_FLAGS_NONE, error);
}

/**
 * shm_array_new_copy_full: (constructor)
 * @source: an array or a view
 * @flags: how the memory of the copy is to be obtained
 * @error: return location for a #GError
 *
 * Makes a copy like shm_array_new_copy(), in memory that is obtained as @flags say. With
 * %SHM_ARRAY_FLAGS_SHAREABLE the items of any array, also of one that is a file, can be handed to a
 * process that was not forked.
 *
 * Returns: (transfer full): the array, or %NULL with @error set: that of shm_array_new_full(), or
 *   %SHM_ERROR_WRONG_STATE if @source is closed
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_copy_full (ShmArray *source, ShmArrayFlags flags, GError **error)
{
  ShmArray *self;

  g_return_val_if_fail (SHM_IS_ARRAY (source), NULL);

  if (!shm_array_check_open (source, error))
    return NULL;
  self = shm_array_new_full (source->dtype, source->item_size, source->shape, source->n_dims, flags,
                             error);
  if (self == NULL)
    return NULL;

  if (source->fields != NULL)
    self->fields = g_ptr_array_ref (source->fields);
  shm_array_copy_items (source, self->data);
  return self;
}

/* Items that lie side by side are copied in blocks that double, up to what stays in a core's cache;
 * those of one byte over and over, such as zeros, are left to memset(), which takes three quarters
 * of the time.
 */
void
shm_array_run_fill (const ShmArrayIter *iter, gconstpointer value, gsize item_size)
{
  guint8 *first = iter->data;
  gsize n_bytes = iter->n_items * item_size;

  if (iter->stride != (gssize) item_size)
    {
      FOR_ITEMS_OF_SIZE (FILL_ITEM, item_size)
    }
  else if (memcmp (value, (const guint8 *) value + 1, item_size - 1) == 0)
    {
      memset (first, *(const guint8 *) value, n_bytes);
    }
  else
    {
      gsize most = MAX (FILL_BLOCK / item_size, 1) * item_size;
      gsize n_done = item_size;

      memcpy (first, value, item_size);
      while (n_done < n_bytes)
        {
          gsize n_more = MIN (MIN (n_done, most), n_bytes - n_done);

          memcpy (first + n_done, first, n_more);
          n_done += n_more;
        }
    }
}

/* Makes a copy of the item that all are to become: the bytes of a record may be those of the array
 * itself. NULL with @error set if it cannot be.
 */
guint8 *
shm_array_encode_fill (ShmArray *self, GVariant *value, GError **error)
{
  ShmItemBuffer buffer;
  const guint8 *item = shm_array_encode_item (self, value, &buffer, error);
  guint8 *copy;

  if (item == NULL)
    return NULL;

  copy = g_try_malloc (self->item_size);
  if (copy != NULL)
    memcpy (copy, item, self->item_size);
  else
    g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                 _ ("There is no memory for a copy of a record of %zu bytes"), self->item_size);
  return copy;
}

/**
 * shm_array_fill:
 * @self: an array
 * @value: an item, as shm_array_set_value() takes it; if it is floating, it is consumed
 * @error: return location for a #GError
 *
 * Sets all items to @value. If @value does not fit, nothing is written.
 *
 * Returns: %TRUE, or %FALSE with @error set to %SHM_ERROR_INVALID_ARGUMENT, or to
 *   %SHM_ERROR_READ_ONLY if the array may only be read
 *
 * Since: 1.0
 */
gboolean
shm_array_fill (ShmArray *self, GVariant *value, GError **error)
{
  g_autoptr (GVariant) sunk = NULL;
  g_autofree guint8 *item = NULL;
  ShmArrayIter iter;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail (value != NULL, FALSE);

  sunk = g_variant_ref_sink (value);
  if (!shm_array_check_open (self, error))
    return FALSE;
  item = shm_array_encode_fill (self, sunk, error);
  if (item == NULL)
    return FALSE;

  shm_array_iter_init (&iter, self);
  while (shm_array_iter_next (&iter))
    shm_array_run_fill (&iter, item, self->item_size);
  return TRUE;
}

/* Where @bound lies on an axis of @length items for a walk with @step, as Python's slices have it:
 * from the end if negative, and clipped to the axis, or to one before the first item for a walk
 * downwards.
 */
static gint64
normalise_bound (gint64 bound, gint64 length, gint64 step)
{
  if (bound < 0)
    bound += length;
  if (step < 0)
    return CLAMP (bound, -1, length - 1);
  return CLAMP (bound, 0, length);
}

/**
 * shm_array_slice:
 * @self: an array
 * @axis: the axis to slice, from 0
 * @start: the first index
 * @stop: the index before which to stop
 * @step: how far to go from one index to the next: not 0, and negative to go downwards
 * @error: return location for a #GError
 *
 * Makes a view of the items whose index on @axis is @start, @start + @step, and so on, up to the
 * last one before @stop. The view has as many dimensions as @self.
 *
 * As in Python's slices, negative @start and @stop count from the end, those beyond an end are
 * taken as that end, and there may be nothing in between. So 0 and %G_MAXINT64 are a whole axis;
 * with %G_MAXINT64, %G_MININT64 and a @step of -1 it is a whole axis in reverse.
 *
 * An axis that @self does not have is a %SHM_ERROR_OUT_OF_BOUNDS; a @step of 0 is a
 * %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: (transfer full): the view, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_slice (ShmArray *self, guint axis, gint64 start, gint64 stop, gint64 step, GError **error)
{
  ShmArray *view;
  gint64 length;
  gint64 count = 0;

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  if (!shm_array_check_open (self, error) || !shm_array_check_axis (self, axis, error))
    return NULL;
  if (step == 0)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                           _ ("The step of a slice cannot be 0"));
      return NULL;
    }

  length = (gint64) self->shape[axis];
  step = MAX (step, -G_MAXINT64);
  start = normalise_bound (start, length, step);
  stop = normalise_bound (stop, length, step);
  if (step > 0 && start < stop)
    count = (stop - start - 1) / step + 1;
  else if (step < 0 && stop < start)
    count = (start - stop - 1) / -step + 1;

  view = shm_array_new_view (self);
  view->shape[axis] = (gsize) count;
  shm_array_count_elements (view);
  /* Where there is no second item, a long step times the stride need not fit. */
  if (count > 1)
    view->strides[axis] *= (gssize) step;
  if (view->n_elements > 0)
    view->data += (gssize) start * self->strides[axis];
  return view;
}

/**
 * shm_array_index:
 * @self: an array
 * @axis: an axis, from 0
 * @i: the index on @axis; a negative one counts from the end
 * @error: return location for a #GError
 *
 * Makes a view of the items whose index on @axis is @i. The view lacks that axis, so it has one
 * dimension less than @self.
 *
 * An axis that @self does not have, and an index outside of it, are %SHM_ERROR_OUT_OF_BOUNDS.
 *
 * Returns: (transfer full): the view, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_index (ShmArray *self, guint axis, gint64 i, GError **error)
{
  ShmArray *view;
  gint64 length;
  gsize n_after;

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  if (!shm_array_check_open (self, error) || !shm_array_check_axis (self, axis, error))
    return NULL;
  length = (gint64) self->shape[axis];
  if (i < -length || i >= length)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS,
                   _ ("Index %lld is out of bounds for axis %u of length %zu"), (long long) i, axis,
                   self->shape[axis]);
      return NULL;
    }
  if (i < 0)
    i += length;

  view = shm_array_new_view (self);
  n_after = self->n_dims - axis - 1;
  memmove (view->shape + axis, view->shape + axis + 1, n_after * sizeof (view->shape[0]));
  memmove (view->strides + axis, view->strides + axis + 1, n_after * sizeof (view->strides[0]));
  view->n_dims--;
  shm_array_count_elements (view);
  if (view->n_elements > 0)
    view->data += (gssize) i * self->strides[axis];
  return view;
}

/**
 * shm_array_get_bytes:
 * @self: an array
 * @error: return location for a #GError
 *
 * Gets the memory of the items as a #GBytes, without a copy. It keeps the memory for as long as it
 * lives. It is not as immutable as others: it shows what is written to the array later.
 *
 * An array that is not contiguous is a %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: (transfer full): the bytes, or %NULL with @error set
 *
 * Since: 1.0
 */
GBytes *
shm_array_get_bytes (ShmArray *self, GError **error)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  if (!shm_array_check_open (self, error))
    return NULL;
  if (!shm_array_is_contiguous (self))
    {
      g_set_error_literal (
          error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
          _ ("The items are not side by side: make a copy with shm_array_new_copy() first"));
      return NULL;
    }
  if (self->mapping == NULL)
    return g_bytes_new (NULL, 0);

  return g_bytes_new_with_free_func (self->data, shm_array_get_n_bytes (self),
                                     (GDestroyNotify) shm_mapping_unref,
                                     shm_mapping_ref (self->mapping));
}
