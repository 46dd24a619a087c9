/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array-iter.h"

#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <string.h>

G_STATIC_ASSERT (G_N_ELEMENTS (((ShmArrayIter *) NULL)->shape) == SHM_ARRAY_MAX_DIMS);

/* Whether an axis of @array goes on where the axis that was taken last comes to its end. */
static gboolean
axis_follows (const ShmArrayIter *iter, ShmArray *array, gsize axis)
{
  return iter->strides[iter->n_axes - 1] == array->strides[axis] * (gssize) array->shape[axis];
}

/* All arrays have one shape. An axis is merged with the one before it where that can be done in all
 * of them, so that their runs have the same lengths.
 */
static void
shm_array_iter_set_up (ShmArrayIter *iters, ShmArray *const *arrays, gsize n_arrays)
{
  ShmArray *first = arrays[0];

  for (gsize i = 0; i < n_arrays; i++)
    {
      iters[i].next = arrays[i]->data;
      iters[i].n_left = 0;
      iters[i].n_axes = 0;
    }
  if (first->n_elements == 0)
    return;

  for (gsize axis = 0; axis < first->n_dims; axis++)
    {
      gboolean is_merged = iters[0].n_axes > 0;

      if (first->shape[axis] == 1)
        continue;
      for (gsize i = 0; is_merged && i < n_arrays; i++)
        is_merged = axis_follows (&iters[i], arrays[i], axis);

      for (gsize i = 0; i < n_arrays; i++)
        {
          ShmArrayIter *iter = &iters[i];
          gsize place = is_merged ? iter->n_axes - 1 : iter->n_axes++;

          iter->shape[place] = (is_merged ? iter->shape[place] : 1) * first->shape[axis];
          iter->strides[place] = arrays[i]->strides[axis];
          iter->index[place] = 0;
        }
    }

  for (gsize i = 0; i < n_arrays; i++)
    {
      ShmArrayIter *iter = &iters[i];
      gsize last = MAX (iter->n_axes, 1) - 1;

      iter->length = iter->n_axes > 0 ? iter->shape[last] : 1;
      iter->stride = iter->n_axes > 0 ? iter->strides[last] : (gssize) arrays[i]->item_size;
      iter->n_left = first->n_elements;
      iter->offset = 0;
    }
}

/**
 * shm_array_iter_init: (skip)
 * @iter: an iterator, of any content
 * @array: an array or a view, which has to live longer than the walk
 *
 * Begins a walk through the items of @array. If it has none, or is closed, there are no runs.
 *
 * Since: 1.0
 */
void
shm_array_iter_init (ShmArrayIter *iter, ShmArray *array)
{
  g_return_if_fail (iter != NULL);
  iter->n_left = 0;
  g_return_if_fail (SHM_IS_ARRAY (array));

  if (!array->is_closed)
    shm_array_iter_set_up (iter, &array, 1);
}

/**
 * shm_array_iter_init_many: (skip)
 * @iters: (array length=n_arrays): as many iterators as there are arrays, of any content
 * @arrays: (array length=n_arrays): arrays or views of one shape, which have to live longer than
 *   the walk
 * @n_arrays: the number of arrays, at least 1
 * @error: return location for a #GError
 *
 * Begins a walk through several arrays in step: when shm_array_iter_next() is called on each of
 * @iters once, their runs are items of the same indices, and of the same number. The item types can
 * differ.
 *
 * |[<!-- language="C" -->
 * ShmArrayIter iters[2];
 * ShmArray *arrays[] = { target, source };
 *
 * if (!shm_array_iter_init_many (iters, arrays, 2, error))
 *   return FALSE;
 * while (shm_array_iter_next (&iters[0]) && shm_array_iter_next (&iters[1]))
 *   add_run (iters[0].data, iters[0].stride, iters[1].data, iters[1].stride, iters[0].n_items);
 * ]|
 *
 * Arrays of different shapes are a %SHM_ERROR_INVALID_ARGUMENT, one that is closed is a
 * %SHM_ERROR_WRONG_STATE. There are no runs then.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
gboolean
shm_array_iter_init_many (ShmArrayIter *iters,
                          ShmArray *const *arrays,
                          gsize n_arrays,
                          GError **error)
{
  g_return_val_if_fail (iters != NULL && arrays != NULL && n_arrays > 0, FALSE);

  for (gsize i = 0; i < n_arrays; i++)
    iters[i].n_left = 0;
  for (gsize i = 0; i < n_arrays; i++)
    {
      g_return_val_if_fail (SHM_IS_ARRAY (arrays[i]), FALSE);

      if (!shm_array_check_open (arrays[i], error))
        return FALSE;
      if (arrays[i]->n_dims != arrays[0]->n_dims ||
          memcmp (arrays[i]->shape, arrays[0]->shape, arrays[0]->n_dims * sizeof (gsize)) != 0)
        {
          g_autofree char *expected = shm_shape_to_string (arrays[0]->shape, arrays[0]->n_dims);
          g_autofree char *actual = shm_shape_to_string (arrays[i]->shape, arrays[i]->n_dims);

          g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                       _ ("An array of shape %s does not go with one of shape %s"), actual,
                       expected);
          return FALSE;
        }
    }

  shm_array_iter_set_up (iters, arrays, n_arrays);
  return TRUE;
}

/**
 * shm_array_iter_set_range: (skip)
 * @iter: an iterator that was begun, with no run seen yet
 * @begin: the first item, counted in C order from 0
 * @end: the item before which to stop; what is beyond the last one is taken as that end
 *
 * Leaves of a walk the items from @begin to @end - 1: one worker's part. The iterators of
 * shm_array_iter_init_many() stay in step if all of them get the same range.
 *
 * |[<!-- language="C" -->
 * static gboolean
 * negate (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer array, GError **error)
 * {
 *   ShmArrayIter iter;
 *
 *   shm_array_iter_init (&iter, array);
 *   shm_array_iter_set_range (&iter, begin, end);
 *   while (shm_array_iter_next (&iter))
 *     negate_run (iter.data, iter.stride, iter.n_items);
 *   return TRUE;
 * }
 * ]|
 *
 * Since: 1.0
 */
void
shm_array_iter_set_range (ShmArrayIter *iter, gsize begin, gsize end)
{
  gsize outer;

  g_return_if_fail (iter != NULL);

  end = MIN (end, iter->n_left);
  iter->n_left = end - MIN (begin, end);
  if (iter->n_left == 0)
    return;

  iter->offset = begin % iter->length;
  outer = begin / iter->length;
  for (gsize axis = MAX (iter->n_axes, 1) - 1; axis-- > 0;)
    {
      iter->index[axis] = outer % iter->shape[axis];
      outer /= iter->shape[axis];
      iter->next += (gssize) iter->index[axis] * iter->strides[axis];
    }
}

/**
 * shm_array_iter_next: (skip)
 * @iter: an iterator that was begun
 *
 * Goes to the next run, the first one at first, and sets the fields of @iter to it.
 *
 * Returns: %TRUE, or %FALSE if all runs have been seen
 *
 * Since: 1.0
 */
gboolean
shm_array_iter_next (ShmArrayIter *iter)
{
  g_return_val_if_fail (iter != NULL, FALSE);

  if (iter->n_left == 0)
    return FALSE;

  iter->data = iter->next + (gssize) iter->offset * iter->stride;
  iter->n_items = MIN (iter->length - iter->offset, iter->n_left);
  iter->n_left -= iter->n_items;
  iter->offset = 0;

  /* Counts up like an odometer; an axis that turns over goes back to its first item, so that the
   * pointer never leaves the array.
   */
  for (gsize axis = MAX (iter->n_axes, 1) - 1; axis-- > 0;)
    {
      if (++iter->index[axis] < iter->shape[axis])
        {
          iter->next += iter->strides[axis];
          break;
        }
      iter->next -= iter->strides[axis] * (gssize) (iter->shape[axis] - 1);
      iter->index[axis] = 0;
    }
  return TRUE;
}
