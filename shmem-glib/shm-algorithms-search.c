/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Where numbers lie among sorted ones: histograms and binary search.
 *
 * A histogram is a region: each worker counts by itself, and adds what it has to the result when
 * there are no more blocks. A worker that dies ends it, so nothing is counted twice.
 */

#include "config.h"

#include "shm-algorithms.h"

#include "shm-algorithms-private.h"
#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-sort-key-private.h"

#include <math.h>
#include <string.h>

typedef struct
{
  ShmArray *array;
  gsize n_blocks;
  gsize n_bins;
  double *edges; /* n_bins + 1 */
  gboolean even; /* all bins are equally wide */
  gint64 *counts;
} ShmHistogram;

typedef struct
{
  const ShmHistogram *histogram;
  gint64 *counts; /* those of one worker */
} ShmCounting;

/* The bin of a value that lies in one: the last whose lower edge is not above it. */
static gsize
shm_histogram_search (const ShmHistogram *histogram, double value)
{
  gsize low = 0;
  gsize high = histogram->n_bins;

  while (high - low > 1)
    {
      gsize middle = low + (high - low) / 2;

      if (histogram->edges[middle] <= value)
        low = middle;
      else
        high = middle;
    }
  return low;
}

/* The same, by a division. It may be one bin off, since it is rounded, and many, where bins are
 * narrower than numbers are apart.
 */
static gsize
shm_histogram_divide (const ShmHistogram *histogram, double value)
{
  const double *edges = histogram->edges;
  gsize n = histogram->n_bins;
  double part = (value - edges[0]) / (edges[n] - edges[0]) * (double) n;
  gsize bin = MIN ((gsize) part, n - 1);

  if ((bin == 0 || value >= edges[bin]) && (bin == n - 1 || value < edges[bin + 1]))
    return bin;
  return shm_histogram_search (histogram, value);
}

static void
shm_histogram_count (const ShmHistogram *histogram, gint64 *counts, const double *items, gsize n)
{
  double low = histogram->edges[0];
  double high = histogram->edges[histogram->n_bins];

  for (gsize i = 0; i < n; i++)
    {
      if (items[i] >= low && items[i] <= high)
        counts[histogram->even ? shm_histogram_divide (histogram, items[i])
                               : shm_histogram_search (histogram, items[i])]++;
    }
}

static gboolean
shm_histogram_blocks (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  const ShmCounting *counting = user_data;
  ShmArray *array = counting->histogram->array;
  gsize block = shm_algorithms_tuning.block;
  gsize last = MIN (end * block, array->n_elements);
  double buffer[SHM_PIECE];

  for (gsize at = begin * block; at < last; at += SHM_PIECE)
    {
      gsize n = MIN (last - at, SHM_PIECE);

      shm_histogram_count (counting->histogram, counting->counts,
                           shm_algorithms_read_doubles (array, at, n, buffer), n);
    }
  return TRUE;
}

static GVariant *
shm_histogram_region (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  const ShmHistogram *histogram = user_data;
  g_autofree gint64 *counts = g_try_new0 (gint64, histogram->n_bins);
  ShmCounting counting = { histogram, counts };

  if (counts == NULL)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                   _ ("No memory for the counts of %zu bins"), histogram->n_bins);
      return NULL;
    }
  if (!shm_map_reduce_share_range (pool, 0, histogram->n_blocks, SHM_SCHEDULE_DYNAMIC, 0,
                                   shm_histogram_blocks, &counting, error))
    return NULL;
  for (gsize bin = 0; bin < histogram->n_bins; bin++)
    {
      if (counts[bin] != 0)
        __atomic_add_fetch (&histogram->counts[bin], counts[bin], __ATOMIC_RELAXED);
    }
  return NULL;
}

static gboolean
shm_histogram_run_serially (const ShmHistogram *histogram,
                            GCancellable *cancellable,
                            GError **error)
{
  ShmCounting counting = { histogram, histogram->counts };

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  for (gsize block = 0; block < histogram->n_blocks; block++)
    {
      shm_histogram_blocks (NULL, block, block + 1, &counting, NULL);
      if (g_cancellable_set_error_if_cancelled (cancellable, error))
        return FALSE;
    }
  return TRUE;
}

static ShmArray *
shm_histogram_run (ShmMapReduce *self,
                   ShmHistogram *histogram,
                   GCancellable *cancellable,
                   GError **error)
{
  g_autoptr (ShmArray) counts = shm_array_new (SHM_DTYPE_I8, &histogram->n_bins, 1, error);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (ShmMapReduce) pool = NULL;
  guint n_workers;

  if (counts == NULL)
    return NULL;
  histogram->counts = shm_array_get_data (counts);
  histogram->n_blocks =
      shm_count_blocks (histogram->array->n_elements, shm_algorithms_tuning.block);
  n_workers = shm_algorithms_count_workers (self, histogram->n_blocks, SHM_WEIGHT_COUNT,
                                            shm_algorithms_tuning.grain);
  if (n_workers == 1)
    return shm_histogram_run_serially (histogram, cancellable, error) ? g_steal_pointer (&counts)
                                                                      : NULL;

  pool = shm_algorithms_new_pool (self, n_workers);
  results = shm_map_reduce_run (pool, SHM_REGION_FLAGS_NONE, cancellable, shm_histogram_region,
                                histogram, error);
  return results != NULL ? g_steal_pointer (&counts) : NULL;
}

/**
 * shm_map_reduce_histogram:
 * @self: a pool
 * @array: an array of real numbers
 * @n_bins: the number of bins, at least 1
 * @low: where the first bin begins
 * @high: where the last bin ends, above @low
 * @cancellable: (nullable): what may cancel it
 * @error: return location for an error
 *
 * Counts how many items of @array lie in each of @n_bins equally wide bins. Bin number k, from 0,
 * begins at @low + k (@high - @low) / @n_bins, and ends before the next one; the last bin ends with
 * @high. Items that lie outside of all bins, and NaN, are not counted. Integers are converted to
 * doubles first, which rounds those above two to the 53rd.
 *
 * Bounds that are not finite numbers in that order, or are too far apart for a double, no bins,
 * complex numbers and records are %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: (transfer full): the counts, an array of @n_bins items of type i8, or %NULL with @error
 *   set, also as by shm_job_run()
 *
 * Since: 1.0
 */
ShmArray *
shm_map_reduce_histogram (ShmMapReduce *self,
                          ShmArray *array,
                          guint64 n_bins,
                          double low,
                          double high,
                          GCancellable *cancellable,
                          GError **error)
{
  ShmHistogram histogram = { .array = array, .n_bins = (gsize) n_bins, .even = TRUE };
  g_autofree double *edges = NULL;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);
  g_return_val_if_fail (SHM_IS_ARRAY (array), NULL);

  if (!shm_algorithms_check_real (array, error))
    return NULL;
  if (!isfinite (low) || !isfinite (high) || !isfinite (high - low) || low >= high)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                           _ ("The bounds of a histogram must be two finite numbers, the lower one "
                              "first"));
      return NULL;
    }
  if (n_bins > 0 && n_bins < G_MAXSSIZE / sizeof (double))
    edges = g_try_new (double, histogram.n_bins + 1);
  if (edges == NULL)
    {
      g_set_error (error, SHM_ERROR, n_bins == 0 ? SHM_ERROR_INVALID_ARGUMENT : SHM_ERROR_NO_MEMORY,
                   _ ("%llu is not a possible number of bins of a histogram"),
                   (unsigned long long) n_bins);
      return NULL;
    }

  /* The width of a bin may have been rounded up to the least number that there is. */
  for (gsize k = 0; k < n_bins; k++)
    edges[k] = MIN (low + (double) k * ((high - low) / (double) n_bins), high);
  edges[n_bins] = high;
  histogram.edges = edges;
  return shm_histogram_run (self, &histogram, cancellable, error);
}

/* Copies the edges as doubles; NULL with @error set if they are none. */
static double *
shm_histogram_copy_edges (ShmArray *edges, GError **error)
{
  gsize n = edges->n_elements;
  double *copy;
  gboolean ascending = edges->n_dims == 1 && n >= 2;
  double buffer[SHM_PIECE];

  if (!shm_algorithms_check_real (edges, error))
    return NULL;
  copy = g_try_new (double, MAX (n, 1));
  if (copy == NULL)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                   _ ("No memory for the %zu edges of a histogram"), n);
      return NULL;
    }

  for (gsize i = 0; i < n; i++)
    {
      if (i % SHM_PIECE == 0)
        {
          const double *piece =
              shm_algorithms_read_doubles (edges, i, MIN (n - i, SHM_PIECE), buffer);

          memcpy (copy + i, piece, MIN (n - i, SHM_PIECE) * sizeof (double));
        }
      ascending = ascending && copy[i] >= copy[i > 0 ? i - 1 : 0];
    }
  if (ascending)
    return copy;

  g_free (copy);
  g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                       _ ("The edges of a histogram must be two or more numbers on one axis, in "
                          "ascending order"));
  return NULL;
}

/**
 * shm_map_reduce_histogram_edges:
 * @self: a pool
 * @array: an array of real numbers
 * @edges: an array of one dimension with two or more real numbers, in ascending order
 * @cancellable: (nullable): what may cancel it
 * @error: return location for an error
 *
 * Counts how many items of @array lie in each of the bins between neighbouring @edges. A bin begins
 * with its lower edge and ends before its upper one; the last bin ends with its upper edge. Edges
 * may be infinite, and may be equal: then the bin between them is empty, unless it is the last.
 * Items that lie outside of all bins, and NaN, are not counted. Integers are converted to doubles
 * first, which rounds those above two to the 53rd.
 *
 * Edges that are not such numbers, complex numbers and records are %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: (transfer full): the counts, an array of type i8 with one item less than @edges, or %NULL
 *   with @error set, also as by shm_job_run()
 *
 * Since: 1.0
 */
ShmArray *
shm_map_reduce_histogram_edges (
    ShmMapReduce *self, ShmArray *array, ShmArray *edges, GCancellable *cancellable, GError **error)
{
  ShmHistogram histogram = { .array = array };
  g_autofree double *copy = NULL;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);
  g_return_val_if_fail (SHM_IS_ARRAY (array), NULL);
  g_return_val_if_fail (SHM_IS_ARRAY (edges), NULL);

  if (!shm_algorithms_check_real (array, error))
    return NULL;
  copy = shm_histogram_copy_edges (edges, error);
  if (copy == NULL)
    return NULL;
  histogram.edges = copy;
  histogram.n_bins = edges->n_elements - 1;
  return shm_histogram_run (self, &histogram, cancellable, error);
}

typedef struct
{
  ShmArray *sorted;
  ShmArray *values;
  ShmSearchSide side;
  gint64 *found;
} ShmSearch;

/* An item that is equal to the value is passed if the value goes to its right. */
#define SEARCH(dtype_, name, type)                                                                 \
  case dtype_:                                                                                     \
    for (gsize i = 0; i < n; i++)                                                                  \
      {                                                                                            \
        type key = shm_key_##name (((const type *) raw)[i]);                                       \
        gsize low = 0;                                                                             \
        gsize high = sorted->n_elements;                                                           \
                                                                                                   \
        while (low < high)                                                                         \
          {                                                                                        \
            gsize middle = low + (high - low) / 2;                                                 \
            const guint8 *item = sorted->data + (gssize) middle * sorted->strides[0];              \
            type found;                                                                            \
            type other;                                                                            \
                                                                                                   \
            memcpy (&found, item, sizeof (type));                                                  \
            other = shm_key_##name (found);                                                        \
                                                                                                   \
            if (other < key || (right && other == key))                                            \
              low = middle + 1;                                                                    \
            else                                                                                   \
              high = middle;                                                                       \
          }                                                                                        \
        search->found[at + i] = (gint64) low;                                                      \
      }                                                                                            \
    break;

static void
shm_search_piece (const ShmSearch *search, gsize at, gsize n)
{
  ShmArray *sorted = search->sorted;
  gboolean right = search->side == SHM_SEARCH_SIDE_RIGHT;
  ShmPiece piece;
  gconstpointer raw = shm_algorithms_read (search->values, at, n, &piece);

  switch (sorted->dtype)
    {
      SHM_SORT_ITEMS (SEARCH)
    default:
      g_assert_not_reached ();
    }
}

static gboolean
shm_search_blocks (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  const ShmSearch *search = user_data;
  gsize block = shm_algorithms_tuning.block;
  gsize last = MIN (end * block, search->values->n_elements);

  for (gsize at = begin * block; at < last; at += SHM_PIECE)
    shm_search_piece (search, at, MIN (last - at, SHM_PIECE));
  return TRUE;
}

/**
 * shm_map_reduce_searchsorted:
 * @self: a pool
 * @sorted: an array of one dimension with real numbers, in the order of shm_map_reduce_sort()
 * @values: an array of any shape, with items of the same type
 * @side: where to put a value that is equal to items of @sorted
 * @cancellable: (nullable): what may cancel it
 * @error: return location for an error
 *
 * Finds for each of @values the index in @sorted before which it can be inserted without disturbing
 * the order. NaN is greater than everything else, and equal to itself; both zeros are equal. If
 * @sorted is not sorted, the indices are of no use, and from 0 to its length nevertheless.
 * #ShmMapReduce:max-retries counts.
 *
 * A @sorted of other than one dimension, values of another type, complex numbers and records are
 * %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: (transfer full): the indices, an array of type i8 with the shape of @values, or %NULL
 *   with @error set, also as by shm_job_run()
 *
 * Since: 1.0
 */
ShmArray *
shm_map_reduce_searchsorted (ShmMapReduce *self,
                             ShmArray *sorted,
                             ShmArray *values,
                             ShmSearchSide side,
                             GCancellable *cancellable,
                             GError **error)
{
  ShmSearch search = { .sorted = sorted, .values = values, .side = side };
  g_autoptr (ShmArray) found = NULL;
  gsize n_blocks;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);
  g_return_val_if_fail (SHM_IS_ARRAY (sorted), NULL);
  g_return_val_if_fail (SHM_IS_ARRAY (values), NULL);

  if (!shm_algorithms_check_real (sorted, error) || !shm_array_check_open (values, error))
    return NULL;
  if (sorted->n_dims != 1)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("Only an array with one axis can be searched, not one with %zu"),
                   sorted->n_dims);
      return NULL;
    }
  if (sorted->dtype != values->dtype)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("Values of type %s cannot be searched for among items of type %s"),
                   shm_dtype_to_string (values->dtype), shm_dtype_to_string (sorted->dtype));
      return NULL;
    }

  found = shm_array_new (SHM_DTYPE_I8, values->shape, values->n_dims, error);
  if (found == NULL)
    return NULL;
  search.found = shm_array_get_data (found);
  n_blocks = shm_count_blocks (values->n_elements, shm_algorithms_tuning.block);
  if (!shm_algorithms_for_blocks (self, n_blocks, SHM_WEIGHT_SEARCH, cancellable, shm_search_blocks,
                                  &search, error))
    return NULL;
  return g_steal_pointer (&found);
}
