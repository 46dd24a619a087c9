/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <shmem-glib/shm-array.h>

G_BEGIN_DECLS

/**
 * SECTION:shm-array-iter
 * @title: ShmArrayIter
 * @short_description: fast loops over the items of arrays
 *
 * Walks through all items of an array or a view, whatever its strides, as a few runs of evenly
 * spaced items. For C.
 */

typedef struct _ShmArrayIter ShmArrayIter;

/**
 * ShmArrayIter: (skip)
 * @data: the first item of the run
 * @stride: how far, in bytes, an item of the run is from the one before it; can be negative
 * @n_items: the number of items in the run
 *
 * The items of an array in C order, the last index fastest, as runs of evenly spaced ones. It lies
 * on the stack, needs no clean-up, and does not hold the array.
 *
 * Axes that follow each other without a gap are one axis here, so that a contiguous array is a
 * single run.
 *
 * |[<!-- language="C" -->
 * static double
 * sum (ShmArray *array)
 * {
 *   ShmArrayIter iter;
 *   double total = 0.0;
 *
 *   shm_array_iter_init (&iter, array);
 *   while (shm_array_iter_next (&iter))
 *     {
 *       const char *item = iter.data;
 *
 *       for (gsize i = 0; i < iter.n_items; i++, item += iter.stride)
 *         total += *(const double *) item;
 *     }
 *   return total;
 * }
 * ]|
 *
 * Since: 1.0
 */
struct _ShmArrayIter
{
  gpointer data;
  gssize stride;
  gsize n_items;

  /*< private >*/
  guint8 *next;
  gsize n_left;
  gsize length;
  gsize offset;
  gsize n_axes;
  gsize index[32];
  gsize shape[32];
  gssize strides[32];
};

SHM_AVAILABLE_IN_1_0
void shm_array_iter_init (ShmArrayIter *iter, ShmArray *array);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_iter_init_many (ShmArrayIter *iters,
                                   ShmArray *const *arrays,
                                   gsize n_arrays,
                                   GError **error);
SHM_AVAILABLE_IN_1_0
void shm_array_iter_set_range (ShmArrayIter *iter, gsize begin, gsize end);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_iter_next (ShmArrayIter *iter);

G_END_DECLS
