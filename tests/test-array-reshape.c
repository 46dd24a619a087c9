/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <string.h>

#define MOST_AXES 8

/* What an array should be: the place in the base of each of its items, in C order. It is made from
 * indices alone, without strides.
 */
typedef struct
{
  gsize n_dims;
  gsize shape[MOST_AXES];
  GArray *places;
} Model;

static gsize
count (const gsize *shape, gsize n_dims)
{
  gsize n = 1;

  for (gsize axis = 0; axis < n_dims; axis++)
    n *= shape[axis];
  return n;
}

static void
unravel (const Model *model, gsize place, gsize *index)
{
  for (gsize axis = model->n_dims; axis-- > 0;)
    {
      index[axis] = place % model->shape[axis];
      place /= model->shape[axis];
    }
}

static gsize
place_of (const Model *model, const gsize *index)
{
  gsize place = 0;

  for (gsize axis = 0; axis < model->n_dims; axis++)
    place = place * model->shape[axis] + index[axis];
  return place;
}

/* Sets the shape of a model and takes its items from the old one, by a function of the index. */
static void
model_take (Model *model,
            const Model *next,
            void (*old_index) (const gsize *index, gsize n_dims, const gint64 *data, gsize *old),
            const gint64 *data)
{
  GArray *places = g_array_new (FALSE, FALSE, sizeof (gint32));

  for (gsize i = 0; i < count (next->shape, next->n_dims); i++)
    {
      gsize index[MOST_AXES];
      gsize old[MOST_AXES] = { 0 };

      unravel (next, i, index);
      old_index (index, next->n_dims, data, old);
      g_array_append_val (places, g_array_index (model->places, gint32, place_of (model, old)));
    }
  g_array_unref (model->places);
  *model = *next;
  model->places = places;
}

/* data: axis, start, step */
static void
slice_index (const gsize *index, gsize n_dims, const gint64 *data, gsize *old)
{
  memcpy (old, index, n_dims * sizeof (gsize));
  old[data[0]] = (gsize) (data[1] + (gint64) index[data[0]] * data[2]);
}

/* data: the old axis of each new one */
static void
transpose_index (const gsize *index, gsize n_dims, const gint64 *data, gsize *old)
{
  for (gsize axis = 0; axis < n_dims; axis++)
    old[data[axis]] = index[axis];
}

static void
check_model (ShmArray *array, const Model *model)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) copy = NULL;
  ShmArrayIter iter;
  gsize n_dims;
  const gsize *shape = shm_array_get_shape (array, &n_dims);
  gsize n = 0;

  g_assert_cmpmem (shape, n_dims * sizeof (gsize), model->shape, model->n_dims * sizeof (gsize));
  g_assert_cmpuint (shm_array_get_n_elements (array), ==, model->places->len);
  for (gsize i = 0; i < model->places->len; i++)
    {
      gsize index[MOST_AXES];

      unravel (model, i, index);
      g_assert_cmpint (shm_array_get_int64 (array, index, n_dims, &error), ==,
                       g_array_index (model->places, gint32, i));
    }
  g_assert_no_error (error);

  shm_array_iter_init (&iter, array);
  while (shm_array_iter_next (&iter))
    {
      const guint8 *item = iter.data;

      for (gsize i = 0; i < iter.n_items; i++, item += iter.stride)
        g_assert_cmpint (*(const gint32 *) (gconstpointer) item, ==,
                         g_array_index (model->places, gint32, n++));
    }
  g_assert_cmpuint (n, ==, model->places->len);

  /* in three parts, the last of which is said to be longer than it is */
  n = 0;
  for (gsize part = 0; part < 3; part++)
    {
      gsize begin = part * model->places->len / 3;

      shm_array_iter_init (&iter, array);
      shm_array_iter_set_range (&iter, begin,
                                part == 2 ? G_MAXSIZE : (part + 1) * model->places->len / 3);
      g_assert_cmpuint (n, ==, begin);
      while (shm_array_iter_next (&iter))
        {
          const guint8 *item = iter.data;

          for (gsize i = 0; i < iter.n_items; i++, item += iter.stride)
            g_assert_cmpint (*(const gint32 *) (gconstpointer) item, ==,
                             g_array_index (model->places, gint32, n++));
        }
    }
  g_assert_cmpuint (n, ==, model->places->len);
  shm_array_iter_init (&iter, array);
  shm_array_iter_set_range (&iter, model->places->len, 0);
  g_assert_false (shm_array_iter_next (&iter));

  copy = shm_array_new_copy (array, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (shm_array_get_data (copy), shm_array_get_n_bytes (copy), model->places->data,
                   model->places->len * sizeof (gint32));
}

/* Whether strides can describe the items of @model in the shape: the places must be a sum of what
 * each index adds to the first.
 */
static gboolean
lies_evenly (const Model *model, const gsize *shape, gsize n_dims)
{
  Model next = { .n_dims = n_dims };
  gint64 steps[MOST_AXES] = { 0 };
  gsize distance = 1;
  const gint32 *places = (const gint32 *) (gpointer) model->places->data;

  if (model->places->len == 0)
    return TRUE;
  memcpy (next.shape, shape, n_dims * sizeof (gsize));
  for (gsize axis = n_dims; axis-- > 0;)
    {
      if (shape[axis] > 1)
        steps[axis] = places[distance] - places[0];
      distance *= shape[axis];
    }
  for (gsize i = 0; i < model->places->len; i++)
    {
      gsize index[MOST_AXES];
      gint64 expected = places[0];

      unravel (&next, i, index);
      for (gsize axis = 0; axis < n_dims; axis++)
        expected += (gint64) index[axis] * steps[axis];
      if (expected != places[i])
        return FALSE;
    }
  return TRUE;
}

static gsize
random_shape (GRand *rand, gsize n, gsize *shape)
{
  gsize n_dims = 0;

  if (n == 0)
    {
      shape[0] = (gsize) g_rand_int_range (rand, 0, 4);
      shape[1] = 0;
      return 2;
    }
  while ((n > 1 || g_rand_int_range (rand, 0, 4) == 0) && n_dims < MOST_AXES - 1)
    {
      gsize length;

      do
        length = (gsize) g_rand_int_range (rand, 1, (gint32) n + 1);
      while (n % length != 0);
      shape[n_dims++] = length;
      n /= length;
    }
  if (n > 1)
    shape[n_dims++] = n;
  return n_dims;
}

static ShmArray *
step_slice (GRand *rand, ShmArray *array, Model *model)
{
  g_autoptr (GError) error = NULL;
  Model next = *model;
  guint axis = (guint) g_rand_int_range (rand, 0, (gint32) model->n_dims);
  gint64 length = (gint64) model->shape[axis];
  gint64 step = g_rand_int_range (rand, 1, 4);
  gint64 start = g_rand_int_range (rand, 0, (gint32) length + 1);
  gint64 data[3];
  ShmArray *view;

  if (g_rand_boolean (rand))
    {
      start = length - 1 - start;
      next.shape[axis] = start < 0 ? 0 : (gsize) (start / step) + 1;
      view =
          shm_array_slice (array, axis, start < 0 ? G_MININT64 : start, G_MININT64, -step, &error);
      step = -step;
    }
  else
    {
      next.shape[axis] = (gsize) ((length - start + step - 1) / step);
      view = shm_array_slice (array, axis, start, G_MAXINT64, step, &error);
    }
  g_assert_no_error (error);
  data[0] = axis;
  data[1] = start;
  data[2] = step;
  model_take (model, &next, slice_index, data);
  return view;
}

static ShmArray *
step_transpose (GRand *rand, ShmArray *array, Model *model)
{
  g_autoptr (GError) error = NULL;
  Model next = *model;
  gint64 data[MOST_AXES];
  guint axes[MOST_AXES];
  gboolean in_reverse = g_rand_boolean (rand);
  ShmArray *view;

  for (gsize i = 0; i < model->n_dims; i++)
    axes[i] = (guint) (in_reverse ? model->n_dims - 1 - i : i);
  for (gsize i = model->n_dims; !in_reverse && i > 1; i--)
    {
      gsize j = (gsize) g_rand_int_range (rand, 0, (gint32) i);
      guint axis = axes[j];

      axes[j] = axes[i - 1];
      axes[i - 1] = axis;
    }
  for (gsize i = 0; i < model->n_dims; i++)
    {
      data[i] = axes[i];
      next.shape[i] = model->shape[axes[i]];
    }
  view = in_reverse ? shm_array_transpose (array, NULL, 0, &error)
                    : shm_array_transpose (array, axes, model->n_dims, &error);
  g_assert_no_error (error);
  model_take (model, &next, transpose_index, data);
  return view;
}

/* NULL if there can be no view of the shape. */
static ShmArray *
step_reshape (GRand *rand, ShmArray *array, Model *model)
{
  g_autoptr (GError) error = NULL;
  gsize shape[MOST_AXES];
  gsize given[MOST_AXES];
  gsize n_dims = random_shape (rand, model->places->len, shape);
  ShmArray *view;

  memcpy (given, shape, sizeof (given));
  if (model->places->len > 0 && n_dims > 0 && g_rand_boolean (rand))
    given[g_rand_int_range (rand, 0, (gint32) n_dims)] = G_MAXSIZE;
  view = shm_array_reshape (array, given, n_dims, &error);
  if (!lies_evenly (model, shape, n_dims))
    {
      g_assert_null (view);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, "shm_array_new_copy"));
      return NULL;
    }
  g_assert_no_error (error);
  memcpy (model->shape, shape, sizeof (shape));
  model->n_dims = n_dims;
  return view;
}

static ShmArray *
step_insert_axis (GRand *rand, ShmArray *array, Model *model)
{
  g_autoptr (GError) error = NULL;
  gsize axis = (gsize) g_rand_int_range (rand, 0, (gint32) model->n_dims + 1);
  ShmArray *view = shm_array_insert_axis (array, (guint) axis, &error);

  g_assert_no_error (error);
  memmove (model->shape + axis + 1, model->shape + axis,
           (model->n_dims - axis) * sizeof (model->shape[0]));
  model->shape[axis] = 1;
  model->n_dims++;
  return view;
}

/* Views of views, each of a random kind, while only the last one is held. */
static void
test_model (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (20240229);
  const guint n_rounds = test_scale (3000);
  guint n_refused = 0;

  for (guint round = 0; round < n_rounds; round++)
    {
      g_autoptr (ShmArray) array = NULL;
      Model model = { .places = g_array_new (FALSE, FALSE, sizeof (gint32)) };

      model.n_dims = (gsize) g_rand_int_range (rand, 0, 5);
      for (gsize axis = 0; axis < model.n_dims; axis++)
        model.shape[axis] = (gsize) g_rand_int_range (rand, round % 9 == 0 ? 0 : 1, 6);
      array = test_new_range (model.n_dims, model.shape);
      for (gint32 i = 0; i < (gint32) shm_array_get_n_elements (array); i++)
        g_array_append_val (model.places, i);

      for (guint depth = 0; depth < 6; depth++)
        {
          g_autoptr (ShmArray) view = NULL;
          int kind = g_rand_int_range (rand, 0, 4);

          if (kind == 0 && model.n_dims > 0)
            view = step_slice (rand, array, &model);
          else if (kind == 1)
            view = step_transpose (rand, array, &model);
          else if (kind == 2 && model.n_dims < MOST_AXES)
            view = step_insert_axis (rand, array, &model);
          else
            view = step_reshape (rand, array, &model);
          if (view == NULL)
            n_refused++;
          else
            g_set_object (&array, view);
          check_model (array, &model);
        }
      g_array_unref (model.places);
    }
  g_assert_cmpuint (n_refused, >, 0);
}

static void
check_reshape_fails (ShmArray *array, const gsize *shape, gsize n_dims, const char *part)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (shm_array_reshape (array, shape, n_dims, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, part));
}

static void
test_reshape_errors (void)
{
  const gsize shape[] = { 3, 4 };
  const gsize too_many[] = { 3, 5 };
  const gsize two_open[] = { G_MAXSIZE, G_MAXSIZE };
  const gsize open_and_five[] = { 5, G_MAXSIZE };
  const gsize open_and_zero[] = { 0, G_MAXSIZE };
  const gsize large[] = { G_MAXSIZE / 2 + 1, 2, 6, 2 };
  const gsize zero_and_large[] = { 0, G_MAXSSIZE, 2 };
  const gsize zeros[] = { 0, 3 };
  const gsize ones[33] = { 1, 1 };
  g_autoptr (ShmArray) array = test_new_range (2, shape);
  g_autoptr (ShmArray) empty = test_new_array (SHM_DTYPE_F8, 2, zeros);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) turned = shm_array_transpose (array, NULL, 0, &error);
  g_autoptr (ShmArray) scalar = NULL;
  g_autoptr (ShmArray) filled = NULL;

  g_assert_no_error (error);
  check_reshape_fails (array, too_many, 2, "(3, 5)");
  check_reshape_fails (array, NULL, 0, "()");
  check_reshape_fails (array, two_open, 2, "one length");
  check_reshape_fails (array, open_and_five, 2, "12 items");
  check_reshape_fails (array, open_and_zero, 2, "12 items");
  check_reshape_fails (empty, open_and_zero, 2, "0 items");
  check_reshape_fails (array, large, 4, "12 items");
  check_reshape_fails (empty, zero_and_large, 3, "too large");
  check_reshape_fails (array, ones, 33, "at most 32");
  g_assert_null (shm_array_ravel (turned, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "shm_array_new_copy"));
  g_clear_error (&error);

  /* no item, with a length left open */
  filled = shm_array_reshape (empty, open_and_five, 2, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (shm_array_get_shape (filled, NULL)[1], ==, 0);

  /* one item, without an axis and with many */
  scalar = test_new_array (SHM_DTYPE_I4, 0, NULL);
  g_set_object (&filled, NULL);
  filled = shm_array_reshape (scalar, ones, 2, &error);
  g_assert_no_error (error);
  g_set_object (&scalar, NULL);
  scalar = shm_array_reshape (filled, NULL, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (shm_array_get_n_dims (scalar), ==, 0);
  g_assert_true (shm_array_set_int64 (scalar, NULL, 0, 7, &error));
  g_assert_cmpint (*(gint32 *) shm_array_get_data (filled), ==, 7);
}

static void
test_axis_errors (void)
{
  const gsize shape[] = { 3, 4 };
  const gsize ones[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                         1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
  const guint twice[] = { 1, 1 };
  const guint beyond[] = { 0, 2 };
  const guint huge[] = { 0, G_MAXUINT };
  g_autoptr (ShmArray) array = test_new_range (2, shape);
  g_autoptr (ShmArray) full = test_new_array (SHM_DTYPE_I1, 32, ones);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) turned = NULL;

  g_assert_null (shm_array_transpose (array, twice, 2, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (shm_array_transpose (array, twice, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (shm_array_transpose (array, beyond, 2, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_transpose (array, huge, 2, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_insert_axis (array, 3, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_insert_axis (full, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  turned = shm_array_transpose (full, NULL, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (shm_array_get_n_dims (turned), ==, 32);
}

/* Arrays of one shape in step: one in C order, one turned, one backwards, of other item types. */
static void
test_iter_many (void)
{
  const gsize shape[] = { 6, 5, 4 };
  const gsize turned_shape[] = { 4, 5, 6 };
  g_autoptr (ShmArray) first = test_new_range (3, shape);
  g_autoptr (ShmArray) base = test_new_array (SHM_DTYPE_F8, 3, turned_shape);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) turned = shm_array_transpose (base, NULL, 0, &error);
  g_autoptr (ShmArray) sums = test_new_array (SHM_DTYPE_I8, 3, shape);
  g_autoptr (ShmArray) backwards = shm_array_slice (sums, 2, -1, G_MININT64, -1, &error);
  ShmArray *arrays[] = { first, turned, backwards };
  ShmArray *single[] = { first };
  ShmArray *unlike[] = { first, base };
  ShmArrayIter iters[3];
  gsize n = 0;

  g_assert_no_error (error);
  for (gsize i = 0; i < 120; i++)
    ((double *) shm_array_get_data (base))[i] = (double) i;

  g_assert_true (shm_array_iter_init_many (iters, arrays, 3, &error));
  g_assert_no_error (error);
  while (shm_array_iter_next (&iters[0]))
    {
      g_assert_true (shm_array_iter_next (&iters[1]));
      g_assert_true (shm_array_iter_next (&iters[2]));
      g_assert_cmpuint (iters[1].n_items, ==, iters[0].n_items);
      g_assert_cmpuint (iters[2].n_items, ==, iters[0].n_items);
      for (gssize i = 0; i < (gssize) iters[0].n_items; i++)
        {
          gint32 left = *(gint32 *) (gpointer) ((char *) iters[0].data + i * iters[0].stride);
          double right = *(double *) (gpointer) ((char *) iters[1].data + i * iters[1].stride);

          *(gint64 *) (gpointer) ((char *) iters[2].data + i * iters[2].stride) =
              1000 * left + (gint64) right;
          n++;
        }
    }
  g_assert_false (shm_array_iter_next (&iters[1]));
  g_assert_cmpuint (n, ==, 120);
  for (gsize i = 0; i < 6; i++)
    for (gsize j = 0; j < 5; j++)
      for (gsize k = 0; k < 4; k++)
        {
          const gsize index[] = { i, j, k };

          g_assert_cmpint (shm_array_get_int64 (backwards, index, 3, &error), ==,
                           1000 * (gint64) (20 * i + 4 * j + k) + (gint64) (30 * k + 6 * j + i));
        }

  g_assert_true (shm_array_iter_init_many (iters, single, 1, &error));
  g_assert_true (shm_array_iter_next (iters));
  g_assert_cmpuint (iters[0].n_items, ==, 120);
  g_assert_false (shm_array_iter_next (iters));

  g_assert_false (shm_array_iter_init_many (iters, unlike, 2, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "(4, 5, 6)"));
  g_assert_false (shm_array_iter_next (&iters[0]));
  g_assert_false (shm_array_iter_next (&iters[1]));
  g_clear_error (&error);

  shm_array_close (turned);
  g_assert_false (shm_array_iter_init_many (iters, arrays, 3, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  shm_array_iter_init (&iters[0], turned);
  g_assert_false (shm_array_iter_next (&iters[0]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/array/reshape/model", test_model);
  test_add ("/array/reshape/errors", test_reshape_errors);
  test_add ("/array/reshape/axis-errors", test_axis_errors);
  test_add ("/array/iter/many", test_iter_many);

  return g_test_run ();
}
