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

/* Views of all items of an array, in another order or with other axes. */

static gboolean
shm_array_refuse_shape (ShmArray *self, const gsize *shape, gsize n_dims, GError **error)
{
  g_autofree char *text = shm_shape_to_string (shape, n_dims);

  g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
               shm_ngettext ("An array of %zu item cannot have the shape %s",
                             "An array of %zu items cannot have the shape %s", self->n_elements),
               self->n_elements, text);
  return FALSE;
}

/* Finds the length that G_MAXSIZE stands for, if there is one, and looks whether the items are as
 * many as before. A product that does not fit into a gsize is more than any array has.
 */
static gboolean
shm_array_complete_shape (
    ShmArray *self, const gsize *shape, gsize n_dims, gsize *lengths, GError **error)
{
  gsize n_known = 1;
  gsize n_open = 0;
  gsize open_axis = 0;
  gboolean is_empty = FALSE;
  gboolean fits = TRUE;

  for (gsize axis = 0; axis < n_dims; axis++)
    {
      lengths[axis] = shape[axis];
      if (shape[axis] == G_MAXSIZE)
        {
          open_axis = axis;
          n_open++;
        }
      else if (shape[axis] == 0)
        is_empty = TRUE;
      else
        fits = fits && g_size_checked_mul (&n_known, n_known, shape[axis]);
    }
  if (is_empty)
    n_known = 0;
  else if (!fits)
    return shm_array_refuse_shape (self, shape, n_dims, error);

  if (n_open > 1)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                           _ ("Only one length of a shape can be left open"));
      return FALSE;
    }
  if (n_open == 1 && n_known > 0)
    {
      lengths[open_axis] = self->n_elements / n_known;
      n_known *= lengths[open_axis];
    }
  else if (n_open == 1)
    return shm_array_refuse_shape (self, shape, n_dims, error);
  return n_known == self->n_elements || shm_array_refuse_shape (self, shape, n_dims, error);
}

/* Deals the axes of @view, whose shape is set, to those that are left of the old ones when all that
 * follow each other without a gap are merged. Each of these has to be used up exactly.
 */
static gboolean
shm_array_deal_strides (ShmArray *view, const ShmArrayIter *merged)
{
  gsize n_old = merged->n_axes;
  gsize n_left = 1;
  gssize stride = (gssize) view->item_size;

  for (gsize axis = view->n_dims; axis-- > 0;)
    {
      gsize length = view->shape[axis];

      if (n_left == 1 && length > 1)
        {
          n_old--;
          n_left = merged->shape[n_old];
          stride = merged->strides[n_old];
        }
      if (n_left % length != 0)
        return FALSE;
      view->strides[axis] = stride;
      n_left /= length;
      stride *= (gssize) length;
    }
  return TRUE;
}

/**
 * shm_array_reshape:
 * @self: an array or a view
 * @shape: (array length=n_dims) (nullable): the length of each axis; %G_MAXSIZE for at most one of
 *   them, which gets what the others leave
 * @n_dims: the number of dimensions, at most 32
 * @error: return location for a #GError
 *
 * Makes a view of the same items, in the same order, that of C, in another shape.
 *
 * An array without gaps takes any shape of as many items. A view takes those for which its items
 * lie evenly on each new axis: its axes can be divided, and those be merged that follow each other
 * without a gap. What would need a copy is a %SHM_ERROR_INVALID_ARGUMENT, and so is a shape with
 * more or fewer items. A closed array is a %SHM_ERROR_WRONG_STATE.
 *
 * Returns: (transfer full): the view, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_reshape (ShmArray *self, const gsize *shape, gsize n_dims, GError **error)
{
  g_autoptr (ShmArray) view = NULL;
  gsize lengths[SHM_ARRAY_MAX_DIMS];
  ShmArrayIter merged;

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);
  g_return_val_if_fail (shape != NULL || n_dims == 0, NULL);

  if (!shm_array_check_open (self, error) || !shm_array_check_n_dims (n_dims, error) ||
      !shm_array_complete_shape (self, shape, n_dims, lengths, error))
    return NULL;

  view = shm_array_new_view (self);
  if (!shm_array_set_layout (view, self->dtype, self->item_size, lengths, n_dims, error))
    return NULL;
  if (self->n_elements == 0)
    return g_steal_pointer (&view);

  shm_array_iter_init (&merged, self);
  if (!shm_array_deal_strides (view, &merged))
    {
      g_autofree char *text = shm_shape_to_string (lengths, n_dims);

      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("The items do not lie evenly enough for a view of shape %s: make a copy with "
                      "shm_array_new_copy() first"),
                   text);
      return NULL;
    }
  return g_steal_pointer (&view);
}

/**
 * shm_array_ravel:
 * @self: an array or a view
 * @error: return location for a #GError
 *
 * Makes a view of the same items, in C order, on a single axis.
 *
 * If @self has gaps such that they do not lie evenly, that is a %SHM_ERROR_INVALID_ARGUMENT; then
 * only a copy of it can be had in this shape. A closed array is a %SHM_ERROR_WRONG_STATE.
 *
 * Returns: (transfer full): the view, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_ravel (ShmArray *self, GError **error)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  return shm_array_reshape (self, &self->n_elements, 1, error);
}

/**
 * shm_array_transpose:
 * @self: an array or a view
 * @axes: (array length=n_axes) (nullable): the axis of @self, from 0, that each axis of the view is,
 *   or %NULL for all of them in reverse
 * @n_axes: the number of axes, that of @self, or 0 with %NULL
 * @error: return location for a #GError
 *
 * Makes a view with the axes in another order: the axis 0 of the view is the axis @axes[0] of
 * @self, and so on. In reverse, the item at (i, j) is the one at (j, i) of @self.
 *
 * An axis that @self does not have is a %SHM_ERROR_OUT_OF_BOUNDS; one that is named twice, or not
 * at all, is a %SHM_ERROR_INVALID_ARGUMENT. A closed array is a %SHM_ERROR_WRONG_STATE.
 *
 * Returns: (transfer full): the view, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_transpose (ShmArray *self, const guint *axes, gsize n_axes, GError **error)
{
  g_autoptr (ShmArray) view = NULL;
  guint64 seen = 0;

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);
  g_return_val_if_fail (axes != NULL || n_axes == 0, NULL);

  if (!shm_array_check_open (self, error))
    return NULL;
  if (axes != NULL && n_axes != self->n_dims)
    {
      g_set_error (
          error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
          shm_ngettext ("An array of %zu dimension cannot be transposed by a list of length %zu",
                        "An array of %zu dimensions cannot be transposed by a list of length %zu",
                        self->n_dims),
          self->n_dims, n_axes);
      return NULL;
    }

  view = shm_array_new_view (self);
  for (gsize i = 0; i < self->n_dims; i++)
    {
      guint axis = axes != NULL ? axes[i] : (guint) (self->n_dims - 1 - i);

      if (!shm_array_check_axis (self, axis, error))
        return NULL;
      if ((seen & (G_GUINT64_CONSTANT (1) << axis)) != 0)
        {
          g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT, _ ("Axis %u is named twice"),
                       axis);
          return NULL;
        }
      seen |= G_GUINT64_CONSTANT (1) << axis;
      view->shape[i] = self->shape[axis];
      view->strides[i] = self->strides[axis];
    }
  return g_steal_pointer (&view);
}

/**
 * shm_array_insert_axis:
 * @self: an array or a view, of at most 31 dimensions
 * @axis: which axis the new one is to be, from 0 to the number of dimensions of @self
 * @error: return location for a #GError
 *
 * Makes a view with one more axis, of length 1. shm_array_index() with the index 0 takes it away.
 *
 * An @axis beyond that is a %SHM_ERROR_OUT_OF_BOUNDS, one dimension too many is a
 * %SHM_ERROR_INVALID_ARGUMENT. A closed array is a %SHM_ERROR_WRONG_STATE.
 *
 * Returns: (transfer full): the view, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_insert_axis (ShmArray *self, guint axis, GError **error)
{
  ShmArray *view;
  gsize n_after;

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  if (!shm_array_check_open (self, error) || !shm_array_check_n_dims (self->n_dims + 1, error))
    return NULL;
  if (axis > self->n_dims)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS,
                   shm_ngettext ("An array of %zu dimension cannot get a new axis %u",
                                 "An array of %zu dimensions cannot get a new axis %u",
                                 self->n_dims),
                   self->n_dims, axis);
      return NULL;
    }

  view = shm_array_new_view (self);
  n_after = self->n_dims - axis;
  memmove (view->shape + axis + 1, view->shape + axis, n_after * sizeof (view->shape[0]));
  memmove (view->strides + axis + 1, view->strides + axis, n_after * sizeof (view->strides[0]));
  view->shape[axis] = 1;
  view->strides[axis] = (gssize) self->item_size;
  view->n_dims++;
  return view;
}
