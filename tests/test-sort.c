/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Sorting, binary search and histograms, beside naive code. */

#include "config.h"

#include "test-numbers.h"

#include <math.h>
#include <signal.h>
#include <string.h>

static int
compare_items (gconstpointer a, gconstpointer b, gpointer data)
{
  gint64 left = *(const gint64 *) a;
  gint64 right = *(const gint64 *) b;
  int order = test_number_compare (test_number (data, left), test_number (data, right));

  return order != 0 ? order : (left > right) - (left < right);
}

static gint64 *
naive_argsort (ShmArray *contiguous)
{
  gsize n = shm_array_get_n_elements (contiguous);
  gint64 *order = g_new (gint64, n + 1);

  for (gsize i = 0; i < n; i++)
    order[i] = (gint64) i;
  g_qsort_with_data (order, (gint) n, sizeof (gint64), compare_items, contiguous);
  return order;
}

/* Asserts that the items of @array are those of @before, to the last bit, in that order. */
static void
check_order (ShmArray *array, ShmArray *before, const gint64 *order)
{
  g_autoptr (ShmArray) after = shm_array_new_copy (array, NULL);
  gsize size = shm_array_get_item_size (array);
  const guint8 *now = shm_array_get_data (after);
  const guint8 *then = shm_array_get_data (before);

  for (gsize i = 0; i < shm_array_get_n_elements (array); i++)
    g_assert_cmpmem (now + i * size, size, then + (gsize) order[i] * size, size);
}

static void
check_sort (TestSubject *subject, ShmArray *array, gpointer data)
{
  g_autoptr (ShmArray) before = shm_array_new_copy (array, NULL);
  g_autofree gint64 *order = naive_argsort (before);
  g_autoptr (ShmArray) indices = NULL;
  g_autoptr (GError) error = NULL;
  gsize n = shm_array_get_n_elements (array);

  indices = shm_map_reduce_argsort (subject->pool, array, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (shm_array_get_dtype (indices), ==, SHM_DTYPE_I8);
  g_assert_cmpuint (shm_array_get_n_dims (indices), ==, 1);
  g_assert_cmpuint (shm_array_get_n_elements (indices), ==, n);
  g_assert_cmpmem (shm_array_get_data (indices), n * sizeof (gint64), order, n * sizeof (gint64));

  g_assert_true (shm_map_reduce_sort (subject->pool, array, NULL, &error));
  g_assert_no_error (error);
  check_order (array, before, order);
  if (subject->whole != array)
    test_check_gaps (subject, array);
}

static void
test_sort (gconstpointer data)
{
  test_for_subjects (GPOINTER_TO_UINT (data), FALSE, check_sort, NULL);
}

/* Sizes about those at which the numbers of chunks and levels change. */
static void
test_sort_sizes (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));

  shm_algorithms_tuning.sort_bytes = 8;
  for (gsize n = 1; n < test_scale (200); n += 1 + n / 40)
    {
      g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_I4, 1, &n);
      g_autoptr (ShmArray) before = NULL;
      g_autofree gint64 *order = NULL;

      test_randomise (array, TEST_PATTERN_SMALL);
      before = shm_array_new_copy (array, NULL);
      order = naive_argsort (before);
      g_assert_true (shm_map_reduce_sort (pool, array, NULL, NULL));
      check_order (array, before, order);
    }
  test_set_small_tuning ();
}

static void
test_sort_large (gconstpointer data)
{
  const gsize n = test_scale (100000);
  g_autoptr (ShmMapReduce) pool = test_pool (3, GPOINTER_TO_UINT (data));

  shm_algorithms_tuning = test_default_tuning;
  shm_algorithms_tuning.sort_bytes = 1 << 16;
  for (guint pattern = 0; pattern < TEST_N_PATTERNS; pattern++)
    {
      g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_F8, 1, &n);
      g_autoptr (ShmArray) before = NULL;
      g_autofree gint64 *order = NULL;

      test_randomise (array, (TestPattern) pattern);
      before = shm_array_new_copy (array, NULL);
      order = naive_argsort (before);
      g_assert_true (shm_map_reduce_sort (pool, array, NULL, NULL));
      check_order (array, before, order);
    }
  test_set_small_tuning ();
}

static void
test_sort_single (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_F8, 0, NULL);
  g_autoptr (ShmArray) order = NULL;

  g_assert_true (shm_array_set_double (array, NULL, 0, 2.5, NULL));
  g_assert_true (shm_map_reduce_sort (pool, array, NULL, NULL));
  g_assert_cmpfloat (shm_array_get_double (array, NULL, 0, NULL), ==, 2.5);
  order = shm_map_reduce_argsort (pool, array, NULL, NULL);
  g_assert_cmpint (*(gint64 *) shm_array_get_data (order), ==, 0);
}

/* Fields of packed records, whose items are not aligned; a single one has no gap either. */
static void
test_packed (gconstpointer data)
{
  static const gsize lengths[] = { 1, 100 };
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      gsize n = lengths[i];
      g_autoptr (ShmArray) records =
          shm_array_new_full (SHM_DTYPE_RECORD, 9, &n, 1, SHM_ARRAY_FLAGS_NONE, NULL);
      g_autoptr (ShmArray) field = NULL;
      g_autoptr (ShmArray) values = test_new_array (SHM_DTYPE_F8, 1, &n);
      g_autoptr (ShmArray) found = NULL;
      g_autofree gint64 *order = NULL;
      guint8 *bytes = shm_array_get_data (records);

      g_assert_true (shm_array_add_field (records, "x", SHM_DTYPE_F8, 0, 1, NULL, 0, NULL));
      field = shm_array_get_field (records, "x", NULL);
      test_randomise (values, TEST_PATTERN_SMALL);
      for (gsize k = 0; k < n; k++)
        memcpy (bytes + 9 * k + 1, (double *) shm_array_get_data (values) + k, sizeof (double));
      order = naive_argsort (values);

      g_assert_cmpfloat (shm_map_reduce_sum (pool, field, NULL, NULL), ==,
                         shm_map_reduce_sum (pool, values, NULL, NULL));
      g_assert_cmpfloat (shm_map_reduce_dot (pool, field, values, NULL, NULL), ==,
                         shm_map_reduce_dot (pool, values, values, NULL, NULL));
      g_assert_true (shm_map_reduce_sort (pool, field, NULL, NULL));
      check_order (field, values, order);
      found = shm_map_reduce_searchsorted (pool, field, values, SHM_SEARCH_SIDE_LEFT, NULL, NULL);
      for (gsize k = 0; k < n; k++)
        {
          gsize at = (gsize) ((gint64 *) shm_array_get_data (found))[k];

          g_assert_cmpfloat (shm_array_get_double (field, &at, 1, NULL), ==,
                             shm_array_get_double (values, &k, 1, NULL));
          g_assert_cmpuint (bytes[9 * k], ==, 0);
        }
    }
}

/* What happens where in a sort; -1 is nowhere. */
static struct
{
  gint phase;
  gsize chunk;
  GCancellable *cancellable; /* to be cancelled; NULL: the worker dies */
} accident = { .phase = -1 };

static void
have_accident (guint phase, gsize chunk)
{
  if ((gint) phase != accident.phase || chunk != accident.chunk)
    return;
  if (accident.cancellable != NULL)
    g_cancellable_cancel (accident.cancellable);
  else
    raise (SIGKILL);
}

/* Sorts with an accident; the array keeps its items. */
static void
check_accident (ShmMapReduce *pool, gboolean as_view, gboolean must_fail, int domain_code)
{
  const gsize n = 400;
  g_autoptr (ShmArray) whole = test_new_array (SHM_DTYPE_I4, 1, &n);
  g_autoptr (ShmArray) array = shm_array_slice (whole, 0, 0, G_MAXINT64, as_view ? 2 : 1, NULL);
  g_autoptr (ShmArray) before = NULL;
  g_autoptr (ShmArray) indices = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree gint64 *order = NULL;
  gboolean ok;

  test_randomise (whole, TEST_PATTERN_SPECIAL);
  before = shm_array_new_copy (array, NULL);
  order = naive_argsort (before);
  ok = shm_map_reduce_sort (pool, array, accident.cancellable, &error);
  g_assert_true (ok == (error == NULL));
  g_assert_false (ok && must_fail);
  if (!ok)
    {
      g_assert_cmpint (error->code, ==, domain_code);
      accident.phase = -1;
      g_assert_true (shm_map_reduce_sort (pool, array, NULL, NULL));
    }
  check_order (array, before, order);
}

static void
test_worker_dies (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);

  shm_map_reduce_set_max_retries (pool, 3);
  shm_algorithms_tuning.sort_watch = have_accident;
  for (gint phase = 0; phase < 6; phase++)
    for (guint view = 0; view < 2; view++)
      {
        accident.phase = phase;
        accident.chunk = 3;
        check_accident (pool, view, phase < (view ? 5 : 6), SHM_ERROR_WORKER_SIGNAL);
      }
  accident.phase = -1;
  test_set_small_tuning ();
}

static void
test_cancel (gconstpointer data)
{
  ShmBackendType backend = GPOINTER_TO_UINT (data);
  g_autoptr (ShmMapReduce) pool = test_pool (2, backend);

  shm_algorithms_tuning.sort_watch = have_accident;
  for (gint phase = 0; phase < 6; phase++)
    for (guint view = 0; view < 2; view++)
      {
        g_autoptr (GCancellable) cancellable = g_cancellable_new ();

        accident.cancellable = cancellable;
        accident.phase = phase;
        accident.chunk = 1;
        check_accident (pool, view, backend == SHM_BACKEND_TYPE_SERIAL && phase < (view ? 5 : 6),
                        G_IO_ERROR_CANCELLED);
        accident.cancellable = NULL;
      }
  accident.phase = -1;
  test_set_small_tuning ();
}

static void
check_search (TestSubject *subject, ShmArray *array, gpointer data)
{
  g_autoptr (ShmMapReduce) serial = test_pool (1, SHM_BACKEND_TYPE_SERIAL);
  gsize n = MIN (shm_array_get_n_elements (array), 100);
  g_autoptr (ShmArray) whole = test_new_array (shm_array_get_dtype (array), 1, &n);
  g_autoptr (ShmArray) sorted = NULL;
  g_autoptr (ShmArray) straight = NULL;
  g_autoptr (ShmArray) values = shm_array_new_copy (array, NULL);

  /* Half of the values are among the sorted ones; these may lie backwards. */
  memcpy (shm_array_get_data (whole), shm_array_get_data (values),
          n * shm_array_get_item_size (whole));
  sorted = shm_array_slice (whole, 0, G_MAXINT64, G_MININT64, -2, NULL);
  g_assert_true (shm_map_reduce_sort (serial, sorted, NULL, NULL));
  straight = shm_array_new_copy (sorted, NULL);

  for (guint side = SHM_SEARCH_SIDE_LEFT; side <= SHM_SEARCH_SIDE_RIGHT; side++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) found =
          shm_map_reduce_searchsorted (subject->pool, sorted, array, side, NULL, &error);
      const gint64 *indices;

      g_assert_no_error (error);
      g_assert_cmpuint (shm_array_get_n_dims (found), ==, shm_array_get_n_dims (array));
      indices = shm_array_get_data (found);
      for (gsize i = 0; i < shm_array_get_n_elements (array); i++)
        {
          gint64 expected = 0;

          for (gsize k = 0; k < shm_array_get_n_elements (straight); k++)
            {
              int order = test_number_compare (test_number (straight, k), test_number (values, i));

              if (order < 0 || (order == 0 && side == SHM_SEARCH_SIDE_RIGHT))
                expected++;
            }
          g_assert_cmpint (indices[i], ==, expected);
        }
    }
}

static void
test_search (gconstpointer data)
{
  test_for_subjects (GPOINTER_TO_UINT (data), FALSE, check_search, NULL);
}

static void
check_counts (ShmArray *counts, ShmArray *values, const double *edges, gsize n_bins)
{
  const gint64 *got = shm_array_get_data (counts);

  g_assert_cmpuint (shm_array_get_n_elements (counts), ==, n_bins);
  for (gsize bin = 0; bin < n_bins; bin++)
    {
      gint64 expected = 0;

      for (gsize i = 0; i < shm_array_get_n_elements (values); i++)
        {
          double value = test_number_to_double (test_number (values, i));

          if (value >= edges[bin] &&
              (value < edges[bin + 1] || (bin == n_bins - 1 && value == edges[bin + 1])))
            expected++;
        }
      g_assert_cmpint (got[bin], ==, expected);
    }
}

static void
check_histogram (TestSubject *subject, ShmArray *array, gpointer data)
{
  static const double uneven[] = { -INFINITY, -1, 0, 0, 0.5, 1, 17, 99, 100 };
  const gsize n_edges = G_N_ELEMENTS (uneven);
  const gsize n_bins = 7;
  g_autoptr (ShmArray) copy = shm_array_new_copy (array, NULL);
  g_autoptr (ShmArray) edges = shm_array_new_from_data (
      SHM_DTYPE_F8, &n_edges, 1, (const guint8 *) uneven, sizeof (uneven), NULL);
  g_autoptr (ShmArray) counts = NULL;
  g_autoptr (ShmArray) uneven_counts = NULL;
  g_autoptr (GError) error = NULL;
  double even[8];

  for (gsize k = 0; k < n_bins; k++)
    even[k] = 0.0 + (double) k * ((99.0 - 0.0) / (double) n_bins);
  even[n_bins] = 99.0;
  counts = shm_map_reduce_histogram (subject->pool, array, n_bins, 0.0, 99.0, NULL, &error);
  g_assert_no_error (error);
  check_counts (counts, copy, even, n_bins);

  uneven_counts = shm_map_reduce_histogram_edges (subject->pool, array, edges, NULL, &error);
  g_assert_no_error (error);
  check_counts (uneven_counts, copy, uneven, n_edges - 1);
}

static void
test_histogram (gconstpointer data)
{
  test_for_subjects (GPOINTER_TO_UINT (data), FALSE, check_histogram, NULL);
}

/* Bins as narrow as numbers can be apart, and as wide. */
static void
test_histogram_extremes (gconstpointer data)
{
  static const double values[] = { 0, 5e-324, 1e-323, 1.5e-323, -1e308, 0.5e308, 7e307 };
  const gsize n = G_N_ELEMENTS (values);
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmArray) array =
      shm_array_new_from_data (SHM_DTYPE_F8, &n, 1, (const guint8 *) values, sizeof (values), NULL);
  g_autoptr (ShmArray) narrow = NULL;
  g_autoptr (ShmArray) wide = NULL;
  g_autoptr (ShmArray) narrower = NULL;

  narrow = shm_map_reduce_histogram (pool, array, 3, 0.0, 1.5e-323, NULL, NULL);
  check_counts (narrow, array, (const double[]){ 0, 5e-324, 1e-323, 1.5e-323 }, 3);
  wide = shm_map_reduce_histogram (pool, array, 2, -0.5e308, 0.5e308, NULL, NULL);
  check_counts (wide, array, (const double[]){ -0.5e308, 0.0, 0.5e308 }, 2);
  /* Not even the least of numbers is as narrow as these bins, and no edge lies above the last. */
  narrower = shm_map_reduce_histogram (pool, array, 5, 0.0, 1.5e-323, NULL, NULL);
  check_counts (narrower, array,
                (const double[]){ 0, 5e-324, 1e-323, 1.5e-323, 1.5e-323, 1.5e-323 }, 5);
}

/* Many bins between two neighbouring numbers: to walk along them for each item would take minutes. */
static void
test_histogram_crowd (gconstpointer data)
{
  const gsize n = 400000;
  const gsize n_bins = 1 << 20;
  const double low = 0x1p54;
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmArray) array =
      shm_array_new_filled (SHM_DTYPE_F8, &n, 1, g_variant_new_double (low), NULL);
  g_autoptr (ShmArray) counts = NULL;
  const gint64 *items;
  gsize bin = 0;

  counts = shm_map_reduce_histogram (pool, array, n_bins, low, low + 4.0, NULL, NULL);
  items = shm_array_get_data (counts);
  while (low + (double) (bin + 1) * (4.0 / (double) n_bins) == low)
    bin++;
  g_assert_cmpint (items[bin], ==, (gint64) n);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();
  test_set_small_tuning ();

  test_add_for_backends ("sort", "sort", test_sort);
  test_add_for_backends ("sort", "sizes", test_sort_sizes);
  test_add_for_backends ("sort", "large", test_sort_large);
  test_add_for_backends ("sort", "single", test_sort_single);
  test_add_for_backends ("sort", "packed", test_packed);
  test_add ("/sort/process/worker-dies", test_worker_dies);
  test_add_data ("/sort/thread/cancel", GUINT_TO_POINTER (SHM_BACKEND_TYPE_THREAD), test_cancel);
  test_add_data ("/sort/serial/cancel", GUINT_TO_POINTER (SHM_BACKEND_TYPE_SERIAL), test_cancel);
  test_add_for_backends ("sort", "search", test_search);
  test_add_for_backends ("sort", "histogram", test_histogram);
  test_add_for_backends ("sort", "histogram-extremes", test_histogram_extremes);
  test_add_for_backends ("sort", "histogram-crowd", test_histogram_crowd);

  return g_test_run ();
}
