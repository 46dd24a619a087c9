/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <string.h>

static void
check_shape (ShmArray *array, gsize n_dims, const gsize *shape, gsize n_elements)
{
  gsize n = 99;
  const gsize *actual = shm_array_get_shape (array, &n);
  const gssize *strides;

  g_assert_cmpuint (n, ==, n_dims);
  g_assert_cmpuint (shm_array_get_n_dims (array), ==, n_dims);
  g_assert_cmpmem (actual, n * sizeof (gsize), shape, n_dims * sizeof (gsize));
  strides = shm_array_get_strides (array, &n);
  g_assert_nonnull (strides);
  g_assert_cmpuint (n, ==, n_dims);
  g_assert_cmpuint (shm_array_get_n_elements (array), ==, n_elements);
  g_assert_cmpuint (shm_array_get_n_bytes (array), ==,
                    n_elements * shm_array_get_item_size (array));
  g_assert_nonnull (shm_array_get_data (array));
  g_assert_cmpuint (shm_array_get_address (array), ==, (guintptr) shm_array_get_data (array));
}

/* A picture of an array of i4 that knows nothing of strides: a shape, and the value at each place
 * in C order.
 */
typedef struct
{
  gsize n_dims;
  gsize shape[4];
  gint32 items[4096];
} Model;

static gsize
model_count (const Model *model)
{
  gsize n = 1;

  for (gsize axis = 0; axis < model->n_dims; axis++)
    n *= model->shape[axis];
  return n;
}

static void
model_unravel (const Model *model, gsize place, gsize *index)
{
  for (gsize axis = model->n_dims; axis-- > 0;)
    {
      index[axis] = place % model->shape[axis];
      place /= model->shape[axis];
    }
}

static gsize
model_place (const Model *model, const gsize *index)
{
  gsize place = 0;

  for (gsize axis = 0; axis < model->n_dims; axis++)
    place = place * model->shape[axis] + index[axis];
  return place;
}

/* Takes the listed indices of one axis. */
static void
model_take (const Model *model, gsize axis, const gsize *taken, gsize n_taken, Model *result)
{
  gsize index[4];

  *result = *model;
  result->shape[axis] = n_taken;
  for (gsize place = 0; place < model_count (result); place++)
    {
      model_unravel (result, place, index);
      index[axis] = taken[index[axis]];
      result->items[place] = model->items[model_place (model, index)];
    }
}

/* The indices of Python's slice, by its definition: i = start + k * step, within the axis and
 * before stop. Only for small numbers, since it tries them one by one.
 */
static gsize
naive_slice (gint64 length, gint64 start, gint64 stop, gint64 step, gsize *taken)
{
  gsize n = 0;

  if (start < 0)
    start = start + length < 0 ? (step < 0 ? -1 : 0) : start + length;
  else if (start >= length)
    start = step < 0 ? length - 1 : length;
  if (stop < 0)
    stop = stop + length < 0 ? -1 : stop + length;
  for (gint64 i = start; step > 0 ? i < stop : i > stop; i += step)
    {
      if (i >= 0 && i < length)
        taken[n++] = (gsize) i;
      else
        break;
    }
  return n;
}

static void
check_model (ShmArray *array, const Model *model)
{
  g_autoptr (ShmArray) copy = NULL;
  g_autoptr (GError) error = NULL;
  gsize n = model_count (model);
  gboolean is_side_by_side = TRUE;

  check_shape (array, model->n_dims, model->shape, n);
  for (gsize place = 0; place < n; place++)
    {
      gsize index[4];

      model_unravel (model, place, index);
      g_assert_cmpint (shm_array_get_int64 (array, index, model->n_dims, &error), ==,
                       model->items[place]);
      is_side_by_side = is_side_by_side && model->items[place] == model->items[0] + (gint32) place;
    }
  g_assert_no_error (error);
  g_assert_cmpint (shm_array_is_contiguous (array), ==, is_side_by_side);

  copy = shm_array_new_copy (array, &error);
  g_assert_no_error (error);
  g_assert_true (shm_array_is_contiguous (copy));
  check_shape (copy, model->n_dims, model->shape, n);
  g_assert_cmpmem (shm_array_get_data (copy), n * sizeof (gint32), model->items,
                   n * sizeof (gint32));
}

static gint64
random_bound (GRand *rand, gint64 length)
{
  switch (g_rand_int_range (rand, 0, 8))
    {
    case 0:
      return G_MININT64;
    case 1:
      return G_MAXINT64;
    default:
      return g_rand_int_range (rand, (gint32) -length - 2, (gint32) length + 3);
    }
}

static void
test_slices_against_model (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (20240229);
  g_autofree Model *model = g_new (Model, 1);
  g_autofree Model *next = g_new (Model, 1);

  for (guint round = 0; round < 600; round++)
    {
      g_autoptr (ShmArray) base = NULL;
      g_autoptr (ShmArray) array = NULL;
      g_autoptr (GError) error = NULL;
      gsize n_base;
      gint32 *items;

      model->n_dims = (gsize) g_rand_int_range (rand, 1, 5);
      for (gsize axis = 0; axis < model->n_dims; axis++)
        model->shape[axis] = (gsize) g_rand_int_range (rand, round % 7 == 0 ? 0 : 1, 7);
      n_base = model_count (model);
      for (gsize place = 0; place < n_base; place++)
        model->items[place] = (gint32) place;
      base = test_new_range (model->n_dims, model->shape);
      array = g_object_ref (base);

      for (guint depth = 0; depth < 4 && model->n_dims > 0; depth++)
        {
          gsize axis = (gsize) g_rand_int_range (rand, 0, (gint32) model->n_dims);
          gint64 length = (gint64) model->shape[axis];
          gsize taken[8];
          ShmArray *view;

          if (length > 0 && g_rand_int_range (rand, 0, 5) == 0)
            {
              gint64 i = g_rand_int_range (rand, (gint32) -length, (gint32) length);

              taken[0] = (gsize) (i < 0 ? i + length : i);
              model_take (model, axis, taken, 1, next);
              for (gsize after = axis; after + 1 < next->n_dims; after++)
                next->shape[after] = next->shape[after + 1];
              next->n_dims--;
              view = shm_array_index (array, (guint) axis, i, &error);
            }
          else
            {
              gint64 start = random_bound (rand, length);
              gint64 stop = random_bound (rand, length);
              gint64 step = g_rand_int_range (rand, 1, 5);
              gsize n_taken;

              if (g_rand_boolean (rand))
                step = -step;
              n_taken = naive_slice (length, start, stop, step, taken);
              model_take (model, axis, taken, n_taken, next);
              view = shm_array_slice (array, (guint) axis, start, stop, step, &error);
            }
          g_assert_no_error (error);
          g_set_object (&array, view);
          g_object_unref (view);
          *model = *next;
          check_model (array, model);
        }

      /* a fill reaches the items of the view, and no other */
      g_assert_true (shm_array_fill (array, g_variant_new_int32 (-1), &error));
      g_assert_no_error (error);
      items = shm_array_get_data (base);
      for (gsize place = 0; place < model_count (model); place++)
        {
          g_assert_cmpint (items[model->items[place]], ==, -1);
          items[model->items[place]] = model->items[place];
        }
      for (gsize place = 0; place < n_base; place++)
        g_assert_cmpint (items[place], ==, place);
    }
}

static void
test_slice_ends (void)
{
  const gsize shape[] = { 10 };
  const struct
  {
    gint64 start, stop, step;
    gsize n;
    gint64 first, last;
  } cases[] = {
    { 0, G_MAXINT64, 1, 10, 0, 9 },
    { G_MININT64, G_MAXINT64, 1, 10, 0, 9 },
    { G_MAXINT64, G_MININT64, -1, 10, 9, 0 },
    { -1, G_MININT64, -1, 10, 9, 0 },
    { 5, G_MININT64, -2, 3, 5, 1 },
    { 0, G_MAXINT64, G_MAXINT64, 1, 0, 0 },
    { 3, G_MAXINT64, G_MAXINT64, 1, 3, 3 },
    { G_MAXINT64, G_MININT64, G_MININT64, 1, 9, 9 },
    { -3, G_MAXINT64, 1, 3, 7, 9 },
    { 0, -1, 3, 3, 0, 6 },
    { 9, 0, -3, 3, 9, 3 },
    { 4, 4, 1, 0, 0, 0 },
    { 4, 2, 1, 0, 0, 0 },
    { 2, 4, -1, 0, 0, 0 },
    { 10, 20, 1, 0, 0, 0 },
    { -20, -15, 1, 0, 0, 0 },
    { -1, -1, -1, 0, 0, 0 },
  };
  g_autoptr (ShmArray) array = test_new_range (1, shape);
  g_autoptr (ShmArray) scalar = test_new_array (SHM_DTYPE_F8, 0, NULL);
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (ShmArray) view =
          shm_array_slice (array, 0, cases[i].start, cases[i].stop, cases[i].step, &error);
      gsize last = cases[i].n - 1;
      const gsize zero = 0;

      g_assert_no_error (error);
      g_assert_cmpuint (shm_array_get_n_elements (view), ==, cases[i].n);
      if (cases[i].n == 0)
        continue;
      g_assert_cmpint (shm_array_get_int64 (view, &zero, 1, &error), ==, cases[i].first);
      g_assert_cmpint (shm_array_get_int64 (view, &last, 1, &error), ==, cases[i].last);
      g_assert_no_error (error);
    }

  g_assert_null (shm_array_slice (array, 0, 0, 5, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (shm_array_slice (array, 1, 0, 5, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_slice (scalar, 0, 0, 5, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_index (array, 0, 10, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_index (array, 0, -11, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_index (array, 0, G_MININT64, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_index (array, G_MAXUINT, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
}

/* Copies and fills of every item size, in long runs and with gaps. */
static void
test_copy_and_fill (void)
{
  const gsize sizes[] = { 1, 2, 3, 4, 8, 16, 24, 40000 };
  const gsize shape[] = { 3, 101 };

  for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) array =
          shm_array_new_full (SHM_DTYPE_RECORD, sizes[i], shape, 2, SHM_ARRAY_FLAGS_NONE, &error);
      g_autoptr (ShmArray) view = NULL;
      g_autoptr (ShmArray) copy = NULL;
      g_autoptr (GVariant) value = NULL;
      g_autofree guint8 *item = g_malloc (sizes[i]);
      g_autofree guint8 *zeros = g_malloc0 (sizes[i]);
      guint8 *bytes;

      g_assert_no_error (error);
      for (gsize j = 0; j < sizes[i]; j++)
        item[j] = (guint8) (j * 7 + 1);
      value =
          g_variant_ref_sink (g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, item, sizes[i], 1));

      view = shm_array_slice (array, 1, G_MAXINT64, G_MININT64, -2, &error);
      g_assert_no_error (error);
      g_assert_true (shm_array_fill (view, value, &error));
      g_assert_no_error (error);
      bytes = shm_array_get_data (array);
      for (gsize j = 0; j < 303; j++)
        g_assert_cmpmem (bytes + j * sizes[i], sizes[i], j % 101 % 2 == 0 ? item : zeros, sizes[i]);

      copy = shm_array_new_copy (view, &error);
      g_assert_no_error (error);
      bytes = shm_array_get_data (copy);
      for (gsize j = 0; j < 3 * 51; j++)
        g_assert_cmpmem (bytes + j * sizes[i], sizes[i], item, sizes[i]);

      /* bytes that differ, that are all the same, and all but the last */
      for (guint pattern = 0; pattern < 3; pattern++)
        {
          if (pattern > 0)
            memset (item, 5, sizes[i]);
          if (pattern == 2)
            item[sizes[i] - 1] = 6;
          g_clear_pointer (&value, g_variant_unref);
          value = g_variant_ref_sink (
              g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, item, sizes[i], 1));
          g_assert_true (shm_array_fill (array, value, &error));
          g_assert_no_error (error);
          bytes = shm_array_get_data (array);
          for (gsize j = 0; j < 303; j++)
            g_assert_cmpmem (bytes + j * sizes[i], sizes[i], item, sizes[i]);
        }
    }
}

static void
test_bytes_of_gaps (void)
{
  const gsize shape[] = { 4, 5 };
  g_autoptr (ShmArray) array = test_new_range (2, shape);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) column = shm_array_index (array, 1, 2, &error);
  g_autoptr (ShmArray) empty = shm_array_slice (column, 0, 2, 2, 1, &error);
  g_autoptr (GBytes) bytes = shm_array_get_bytes (empty, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 0);
  g_assert_null (shm_array_get_bytes (column, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "shm_array_new_copy"));
}

int
main (int argc, char **argv)
{
  g_setenv ("LC_ALL", "C", TRUE);
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/array/slices/model", test_slices_against_model);
  g_test_add_func ("/array/slices/ends", test_slice_ends);
  g_test_add_func ("/array/copy-and-fill", test_copy_and_fill);
  g_test_add_func ("/array/bytes-of-gaps", test_bytes_of_gaps);

  return g_test_run ();
}
