/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Sums, extremes, products and fills of arrays, beside naive loops over single items. */

#include "config.h"

#include "test-numbers.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

static void
assert_same_double (double a, double b)
{
  g_assert_cmpmem (&a, sizeof (a), &b, sizeof (b));
}

/* Neumaier's sum, whose error does not grow with the number of items. */
static double
naive_sum (const double *items, gsize n)
{
  double sum = 0.0;
  double rest = 0.0;

  for (gsize i = 0; i < n; i++)
    {
      double next = sum + items[i];

      rest += fabs (sum) >= fabs (items[i]) ? (sum - next) + items[i] : (items[i] - next) + sum;
      sum = next;
    }
  return sum + rest;
}

/* The same bits, whoever does it, and of a copy of a view. */
static void
check_sums (TestSubject *subject, ShmArray *array, gpointer data)
{
  g_autoptr (ShmArray) copy = shm_array_new_copy (array, NULL);
  g_autoptr (ShmMapReduce) serial = test_pool (1, SHM_BACKEND_TYPE_SERIAL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GVariant) expected = NULL;
  gsize n = shm_array_get_n_elements (array);
  double sum, product;

  expected = shm_map_reduce_sum_value (serial, copy, NULL, NULL);
  value = shm_map_reduce_sum_value (subject->pool, array, NULL, &error);
  if (expected == NULL)
    g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  else
    g_assert_no_error (error);
  g_assert_true ((value != NULL) == (expected != NULL));
  g_clear_error (&error);
  if (value != NULL)
    {
      g_assert_cmpstr (g_variant_get_type_string (value), ==, g_variant_get_type_string (expected));
      g_assert_cmpmem (g_variant_get_data (value), g_variant_get_size (value),
                       g_variant_get_data (expected), g_variant_get_size (expected));
    }
  if (shm_array_get_dtype (array) >= SHM_DTYPE_C8)
    return;

  sum = shm_map_reduce_sum (subject->pool, array, NULL, &error);
  g_assert_no_error (error);
  assert_same_double (sum, shm_map_reduce_sum (serial, copy, NULL, NULL));
  product = shm_map_reduce_dot (subject->pool, array, copy, NULL, &error);
  g_assert_no_error (error);
  assert_same_double (product, shm_map_reduce_dot (serial, copy, copy, NULL, NULL));

  if (subject->pattern == TEST_PATTERN_SMALL)
    {
      g_autofree double *items = g_new (double, n + 1);
      g_autofree double *squares = g_new (double, n + 1);

      for (gsize i = 0; i < n; i++)
        {
          items[i] = test_number_to_double (test_number (copy, i));
          squares[i] = items[i] * items[i];
        }
      g_assert_cmpfloat_with_epsilon (sum, naive_sum (items, n), 1e-9);
      g_assert_cmpfloat_with_epsilon (product, naive_sum (squares, n), 1e-9);
    }
}

static void
test_sums (gconstpointer data)
{
  test_for_subjects (GPOINTER_TO_UINT (data), TRUE, check_sums, NULL);
}

static void
check_extremes (TestSubject *subject, ShmArray *array, gpointer data)
{
  g_autoptr (ShmArray) copy = shm_array_new_copy (array, NULL);
  gsize n = shm_array_get_n_elements (array);

  for (guint greatest = 0; greatest < 2; greatest++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GVariant) value = NULL;
      g_autoptr (GVariant) expected = NULL;
      guint64 index = G_MAXUINT64;
      gsize at = 0;

      value = greatest ? shm_map_reduce_max (subject->pool, array, NULL, &index, &error)
                       : shm_map_reduce_min (subject->pool, array, NULL, &index, &error);
      if (n == 0)
        {
          g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
          continue;
        }
      g_assert_no_error (error);
      for (gsize i = 1; i < n && !test_number_is_nan (test_number (copy, at)); i++)
        {
          TestNumber number = test_number (copy, i);
          int order = test_number_compare (number, test_number (copy, at));

          if (test_number_is_nan (number) || (greatest ? order > 0 : order < 0))
            at = i;
        }
      g_assert_cmpuint (index, ==, at);
      expected = test_value (array, at);
      g_assert_cmpmem (g_variant_get_data (value), g_variant_get_size (value),
                       g_variant_get_data (expected), g_variant_get_size (expected));
    }
}

static void
test_extremes (gconstpointer data)
{
  test_for_subjects (GPOINTER_TO_UINT (data), FALSE, check_extremes, NULL);
}

static gboolean
copy_doubles (ShmMapReduce *pool,
              const double *input,
              double *output,
              guint64 begin,
              gsize n_items,
              gpointer user_data,
              GError **error)
{
  memcpy (output, input, n_items * sizeof (double));
  return TRUE;
}

static void
check_fill (TestSubject *subject, ShmArray *array, gpointer data)
{
  g_autoptr (GError) error = NULL;
  gsize n = shm_array_get_n_elements (array);
  g_autoptr (ShmArray) copy = NULL;

  g_assert_true (
      shm_map_reduce_fill_array (subject->pool, array, g_variant_new_byte (1), NULL, &error));
  g_assert_no_error (error);
  copy = shm_array_new_copy (array, NULL);
  for (gsize i = 0; i < n; i++)
    g_assert_cmpfloat (test_number_to_double (test_number (copy, i)), ==, 1.0);
  if (subject->whole != array)
    test_check_gaps (subject, array);
}

static void
test_fill (gconstpointer data)
{
  test_for_subjects (GPOINTER_TO_UINT (data), FALSE, check_fill, NULL);
}

static void
test_fill_records (gconstpointer data)
{
  const gsize n = 1000;
  g_autoptr (ShmMapReduce) pool = test_pool (3, GPOINTER_TO_UINT (data));
  g_autoptr (ShmArray) array =
      shm_array_new_full (SHM_DTYPE_RECORD, 3, &n, 1, SHM_ARRAY_FLAGS_NONE, NULL);
  g_autoptr (GError) error = NULL;
  const char *bytes = shm_array_get_data (array);

  g_assert_true (shm_map_reduce_fill_array (
      pool, array, g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, "abc", 3, 1), NULL, &error));
  g_assert_no_error (error);
  for (gsize i = 0; i < n; i++)
    g_assert_cmpmem (bytes + 3 * i, 3, "abc", 3);
  g_assert_false (shm_map_reduce_fill_array (pool, array, g_variant_new_byte (1), NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
}

/* A record whose bytes lie in the array that is filled, across two of its records. */
static void
test_fill_with_own (gconstpointer data)
{
  const gsize n = 1000;
  g_autoptr (ShmMapReduce) pool = test_pool (3, GPOINTER_TO_UINT (data));

  for (guint is_parallel = 0; is_parallel < 2; is_parallel++)
    {
      g_autoptr (ShmArray) array =
          shm_array_new_full (SHM_DTYPE_RECORD, 4, &n, 1, SHM_ARRAY_FLAGS_NONE, NULL);
      g_autoptr (ShmArray) view = shm_array_slice (array, 0, 0, G_MAXINT64, 2, NULL);
      g_autoptr (GBytes) bytes = shm_array_get_bytes (array, NULL);
      g_autoptr (GBytes) part = g_bytes_new_from_bytes (bytes, 1002, 4);
      GVariant *value = g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, part, TRUE);
      g_autoptr (GError) error = NULL;
      char *items = shm_array_get_data (array);

      memcpy (items + 1002, "abcd", 4);
      if (is_parallel)
        shm_map_reduce_fill_array (pool, view, value, NULL, &error);
      else
        shm_array_fill (view, value, &error);
      g_assert_no_error (error);
      for (gsize i = 0; i < n; i += 2)
        g_assert_cmpmem (items + 4 * i, 4, "abcd", 4);
    }
}

static void
set_all (ShmArray *array, GVariant *value)
{
  g_assert_true (shm_array_fill (array, value, NULL));
}

/* Exact, up to the last integer, and an error instead of a wrong one. */
static void
test_integer_sums (void)
{
  const gsize n = 5;
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_THREAD);
  g_autoptr (ShmArray) u8 = test_new_array (SHM_DTYPE_U8, 1, &n);
  g_autoptr (ShmArray) i8 = test_new_array (SHM_DTYPE_I8, 1, &n);
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GError) error = NULL;
  guint64 *naturals = shm_array_get_data (u8);
  gint64 *integers = shm_array_get_data (i8);

  naturals[1] = G_MAXUINT64 - 1;
  naturals[3] = 1;
  value = shm_map_reduce_sum_value (pool, u8, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_get_uint64 (value), ==, G_MAXUINT64);
  naturals[3] = 2;
  g_assert_null (shm_map_reduce_sum_value (pool, u8, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_cmpfloat (shm_map_reduce_sum (pool, u8, NULL, NULL), ==, 0x1p64);

  set_all (i8, g_variant_new_int64 (G_MININT64));
  g_assert_null (shm_map_reduce_sum_value (pool, i8, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_cmpfloat (shm_map_reduce_sum (pool, i8, NULL, NULL), ==, -5 * 0x1p63);
  integers[1] = integers[3] = integers[4] = G_MAXINT64;
  g_clear_pointer (&value, g_variant_unref);
  value = shm_map_reduce_sum_value (pool, i8, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_variant_get_int64 (value), ==, G_MAXINT64 - 2);

  /* One rounding: two to the 65th, plus what is just more than half of its last place, or just
   * half. */
  set_all (u8, g_variant_new_uint64 (G_GUINT64_CONSTANT (1) << 63));
  naturals[4] = (1 << 12) + 1;
  g_assert_cmpfloat (shm_map_reduce_sum (pool, u8, NULL, NULL), ==, 0x1p65 + 0x1p13);
  naturals[4] = 1 << 12;
  g_assert_cmpfloat (shm_map_reduce_sum (pool, u8, NULL, NULL), ==, 0x1p65);
}

static void
test_special_sums (void)
{
  const gsize n = 1000;
  const gsize none = 0;
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_THREAD);
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_F8, 1, &n);
  g_autoptr (ShmArray) empty = test_new_array (SHM_DTYPE_F4, 1, &none);
  g_autoptr (ShmArray) single = test_new_array (SHM_DTYPE_F4, 0, NULL);
  double *items = shm_array_get_data (array);

  assert_same_double (shm_map_reduce_sum (pool, empty, NULL, NULL), 0.0);
  assert_same_double (shm_map_reduce_dot (pool, empty, empty, NULL, NULL), 0.0);
  set_all (single, g_variant_new_double (1.5));
  assert_same_double (shm_map_reduce_sum (pool, single, NULL, NULL), 1.5);
  set_all (array, g_variant_new_double (-0.0));
  assert_same_double (shm_map_reduce_sum (pool, array, NULL, NULL), -0.0);
  items[10] = INFINITY;
  assert_same_double (shm_map_reduce_sum (pool, array, NULL, NULL), INFINITY);
  items[999] = -INFINITY;
  g_assert_true (isnan (shm_map_reduce_sum (pool, array, NULL, NULL)));
}

static gboolean
is_null (gconstpointer pointer)
{
  return pointer == NULL;
}

static gboolean
is_false (gboolean value)
{
  return !value;
}

static void
test_errors (void)
{
  const gsize shape[] = { 2, 3 };
  const gsize n = 6;
  const gsize none = 0;
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_THREAD);
  g_autoptr (ShmArray) flat = test_new_array (SHM_DTYPE_F8, 1, &n);
  g_autoptr (ShmArray) empty = test_new_array (SHM_DTYPE_F8, 1, &none);
  g_autoptr (ShmArray) plane = test_new_array (SHM_DTYPE_F8, 2, shape);
  g_autoptr (ShmArray) integers = test_new_array (SHM_DTYPE_I8, 1, &n);
  g_autoptr (ShmArray) complex = test_new_array (SHM_DTYPE_C16, 1, &n);
  g_autoptr (ShmArray) records =
      shm_array_new_full (SHM_DTYPE_RECORD, 8, &n, 1, SHM_ARRAY_FLAGS_NONE, NULL);
  ShmArray *others[] = { complex, records };
  GError *error = NULL;

#define FAILS(call, nothing)                                                                       \
  g_assert_true (nothing (call));                                                                  \
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);                                   \
  g_clear_error (&error)

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      FAILS (shm_map_reduce_sum (pool, others[i], NULL, &error), isnan);
      FAILS (shm_map_reduce_dot (pool, others[i], flat, NULL, &error), isnan);
      FAILS (shm_map_reduce_dot (pool, flat, others[i], NULL, &error), isnan);
      FAILS (shm_map_reduce_min (pool, others[i], NULL, NULL, &error), is_null);
      FAILS (shm_map_reduce_max (pool, others[i], NULL, NULL, &error), is_null);
      FAILS (shm_map_reduce_sort (pool, others[i], NULL, &error), is_false);
      FAILS (shm_map_reduce_argsort (pool, others[i], NULL, &error), is_null);
      FAILS (shm_map_reduce_histogram (pool, others[i], 3, 0, 1, NULL, &error), is_null);
      FAILS (shm_map_reduce_histogram_edges (pool, others[i], flat, NULL, &error), is_null);
      FAILS (shm_map_reduce_histogram_edges (pool, flat, others[i], NULL, &error), is_null);
      FAILS (shm_map_reduce_searchsorted (pool, others[i], others[i], SHM_SEARCH_SIDE_LEFT, NULL,
                                          &error),
             is_null);
      FAILS (shm_map_reduce_map_double (pool, others[i], flat, NULL, copy_doubles, NULL, &error),
             is_false);
      FAILS (shm_map_reduce_map_double (pool, flat, others[i], NULL, copy_doubles, NULL, &error),
             is_false);
    }
  FAILS (shm_map_reduce_sum_value (pool, records, NULL, &error), is_null);
  FAILS (shm_map_reduce_map_double (pool, flat, integers, NULL, copy_doubles, NULL, &error),
         is_false);
  FAILS (shm_map_reduce_dot (pool, flat, plane, NULL, &error), isnan);
  FAILS (shm_map_reduce_searchsorted (pool, plane, flat, SHM_SEARCH_SIDE_LEFT, NULL, &error),
         is_null);
  FAILS (shm_map_reduce_searchsorted (pool, flat, integers, SHM_SEARCH_SIDE_LEFT, NULL, &error),
         is_null);
  FAILS (shm_map_reduce_histogram (pool, flat, 0, 0, 1, NULL, &error), is_null);
  FAILS (shm_map_reduce_histogram (pool, flat, 3, 1, 1, NULL, &error), is_null);
  FAILS (shm_map_reduce_histogram (pool, flat, 3, NAN, 1, NULL, &error), is_null);
  FAILS (shm_map_reduce_histogram (pool, flat, 3, 0, INFINITY, NULL, &error), is_null);
  FAILS (shm_map_reduce_histogram (pool, flat, 3, -1.5e308, 1.5e308, NULL, &error), is_null);
  FAILS (shm_map_reduce_histogram_edges (pool, flat, plane, NULL, &error), is_null);
  FAILS (shm_map_reduce_histogram_edges (pool, flat, empty, NULL, &error), is_null);
  ((double *) shm_array_get_data (flat))[2] = NAN;
  FAILS (shm_map_reduce_histogram_edges (pool, plane, flat, NULL, &error), is_null);
  FAILS (shm_map_reduce_fill_array (pool, integers, g_variant_new_double (0.5), NULL, &error),
         is_false);
#undef FAILS
}

static void
test_closed (void)
{
  const gsize n = 6;
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_THREAD);
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_F8, 1, &n);
  g_autoptr (ShmArray) closed = test_new_array (SHM_DTYPE_F8, 1, &n);
  GError *error = NULL;

  shm_array_close (closed);
#define FAILS(call, nothing)                                                                       \
  g_assert_true (nothing (call));                                                                  \
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);                                        \
  g_clear_error (&error)

  FAILS (shm_map_reduce_sum (pool, closed, NULL, &error), isnan);
  FAILS (shm_map_reduce_sum_value (pool, closed, NULL, &error), is_null);
  FAILS (shm_map_reduce_dot (pool, array, closed, NULL, &error), isnan);
  FAILS (shm_map_reduce_min (pool, closed, NULL, NULL, &error), is_null);
  FAILS (shm_map_reduce_sort (pool, closed, NULL, &error), is_false);
  FAILS (shm_map_reduce_argsort (pool, closed, NULL, &error), is_null);
  FAILS (shm_map_reduce_histogram (pool, closed, 3, 0, 1, NULL, &error), is_null);
  FAILS (shm_map_reduce_histogram_edges (pool, array, closed, NULL, &error), is_null);
  FAILS (shm_map_reduce_searchsorted (pool, array, closed, SHM_SEARCH_SIDE_LEFT, NULL, &error),
         is_null);
  FAILS (shm_map_reduce_searchsorted (pool, closed, array, SHM_SEARCH_SIDE_LEFT, NULL, &error),
         is_null);
  FAILS (shm_map_reduce_fill_array (pool, closed, g_variant_new_double (1), NULL, &error),
         is_false);
  FAILS (shm_map_reduce_map_double (pool, array, closed, NULL, copy_doubles, NULL, &error),
         is_false);
#undef FAILS
}

static void
test_read_only (void)
{
  const gsize n = 6;
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_THREAD);
  g_autoptr (ShmArray) own = NULL;
  g_autoptr (ShmArray) array = NULL;
  GError *error = NULL;
  int fd;

  own = shm_array_new_full (SHM_DTYPE_F8, 0, &n, 1, SHM_ARRAY_FLAGS_SHAREABLE, NULL);
  g_assert_true (shm_array_seal_read_only (own, NULL));
  fd = shm_array_dup_fd (own, NULL);
  array = shm_array_new_from_fd (fd, SHM_DTYPE_F8, 0, &n, 1, 0, NULL);
  g_close (fd, NULL);
  g_assert_true (shm_array_is_read_only (array));
  g_assert_cmpfloat (shm_map_reduce_sum (pool, array, NULL, NULL), ==, 0.0);

#define FAILS(call)                                                                                \
  g_assert_false (call);                                                                           \
  g_assert_error (error, SHM_ERROR, SHM_ERROR_READ_ONLY);                                          \
  g_clear_error (&error)

  FAILS (shm_map_reduce_sort (pool, array, NULL, &error));
  FAILS (shm_map_reduce_fill_array (pool, array, g_variant_new_double (1), NULL, &error));
  FAILS (shm_map_reduce_map_double (pool, array, array, NULL, copy_doubles, NULL, &error));
#undef FAILS
}

static void
test_cancelled (gconstpointer data)
{
  const gsize n = 1000;
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_F8, 1, &n);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  GError *error = NULL;

  g_cancellable_cancel (cancellable);
#define CANCELLED(call)                                                                            \
  call;                                                                                            \
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);                                        \
  g_clear_error (&error)

  CANCELLED (g_assert_true (isnan (shm_map_reduce_sum (pool, array, cancellable, &error))));
  CANCELLED (g_assert_true (isnan (shm_map_reduce_dot (pool, array, array, cancellable, &error))));
  CANCELLED (g_assert_null (shm_map_reduce_min (pool, array, cancellable, NULL, &error)));
  CANCELLED (g_assert_false (shm_map_reduce_sort (pool, array, cancellable, &error)));
  CANCELLED (g_assert_null (shm_map_reduce_argsort (pool, array, cancellable, &error)));
  CANCELLED (g_assert_null (shm_map_reduce_histogram (pool, array, 3, 0, 1, cancellable, &error)));
  CANCELLED (g_assert_null (
      shm_map_reduce_searchsorted (pool, array, array, SHM_SEARCH_SIDE_LEFT, cancellable, &error)));
  CANCELLED (g_assert_false (
      shm_map_reduce_fill_array (pool, array, g_variant_new_double (1), cancellable, &error)));
  CANCELLED (g_assert_false (
      shm_map_reduce_map_double (pool, array, array, cancellable, copy_doubles, NULL, &error)));
#undef CANCELLED
}

/* What is there for items of the user must not count: neither chunks nor a policy. */
static void
test_settings (gconstpointer data)
{
  const gsize n = 100000;
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmMapReduce) serial = test_pool (1, SHM_BACKEND_TYPE_SERIAL);
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_F8, 1, &n);
  double *items = shm_array_get_data (array);

  for (gsize i = 0; i < n; i++)
    items[i] = 1.0 / (double) (i + 1);
  shm_map_reduce_set_chunk_size (pool, 3);
  shm_map_reduce_set_schedule (pool, SHM_SCHEDULE_STATIC);
  shm_map_reduce_set_min_length (pool, 10);
  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  shm_map_reduce_set_item_timeout (pool, 60000);
  shm_map_reduce_set_max_items_per_worker (pool, 2);
  for (guint round = 0; round < 2; round++)
    {
      ShmTuning small = shm_algorithms_tuning;
      double sum;

      if (round == 1)
        shm_algorithms_tuning = test_default_tuning;
      sum = shm_map_reduce_sum (pool, array, NULL, NULL);
      assert_same_double (sum, shm_map_reduce_sum (serial, array, NULL, NULL));
      g_assert_cmpfloat_with_epsilon (sum, naive_sum (items, n), 1e-13);
      shm_algorithms_tuning = small;
    }
}

static GVariant *
sum_inside (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_double (shm_map_reduce_sum (pool, user_data, NULL, error));
}

static void
test_inside (gconstpointer data)
{
  const gsize n = 1000;
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmArray) array = test_new_range (1, &n);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  results = shm_map_reduce_map_items (pool, 3, NULL, sum_inside, array, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpfloat (g_variant_get_double (g_ptr_array_index (results, i)), ==, 499500.0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();
  test_set_small_tuning ();

  test_add_for_backends ("algorithms", "sums", test_sums);
  test_add_for_backends ("algorithms", "extremes", test_extremes);
  test_add_for_backends ("algorithms", "fill", test_fill);
  test_add_for_backends ("algorithms", "fill-records", test_fill_records);
  test_add_for_backends ("algorithms", "fill-with-own", test_fill_with_own);
  test_add ("/algorithms/thread/integer-sums", test_integer_sums);
  test_add ("/algorithms/thread/special-sums", test_special_sums);
  test_add ("/algorithms/thread/errors", test_errors);
  test_add ("/algorithms/thread/closed", test_closed);
  test_add ("/algorithms/thread/read-only", test_read_only);
  test_add_for_backends ("algorithms", "cancelled", test_cancelled);
  test_add_for_backends ("algorithms", "settings", test_settings);
  test_add_for_backends ("algorithms", "inside", test_inside);

  return g_test_run ();
}
