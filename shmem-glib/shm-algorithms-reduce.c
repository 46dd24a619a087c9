/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* One number of a whole array: sums, products, extremes.
 *
 * Each block leaves its part in shared memory, at a place of its own, and the caller puts the parts
 * together in the order of the blocks. So nothing depends on who did which block, nor on when, and
 * a block can be done again.
 *
 * Floating-point numbers are added in pairs: within a piece, among the pieces of a block, and among
 * blocks; the error grows with the logarithm of the number of items. (Higham, The accuracy of
 * floating point summation, SIAM J. Sci. Comput. 14, 1993.) Integers are added exactly, in 128 bits.
 */

#include "config.h"

#include "shm-algorithms.h"

#include "shm-algorithms-private.h"
#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <math.h>

/* Doubles that are added without pairs: many enough for the processor to read on while it adds. */
#define LEAF 512

/* How many doubles ahead to fetch: a page. */
#define AHEAD 512

/* A part of a sum; for integers `high` times two to the 64th, plus `low`. */
typedef struct
{
  double real;
  double imag;
  gint64 high;
  guint64 low;
} ShmSum;

typedef struct
{
  ShmArray *a;
  ShmArray *b; /* of a product, or NULL */
  ShmSum *parts;
} ShmSumming;

/* Adds doubles in pairs, with eight sums side by side in each leaf, which are variables each so that
 * they stay in registers. Sums begin with -0, to which adding changes nothing.
 */
static double
shm_sum_doubles (const double *items, gsize n)
{
  double a, b, c, d, e, f, g, h;
  gsize half;
  gsize i;

  if (n < 8)
    {
      double sum = -0.0;

      for (i = 0; i < n; i++)
        sum += items[i];
      return sum;
    }
  if (n > LEAF)
    {
      half = n / 2 - n / 2 % 8;
      return shm_sum_doubles (items, half) + shm_sum_doubles (items + half, n - half);
    }

  a = items[0], b = items[1], c = items[2], d = items[3];
  e = items[4], f = items[5], g = items[6], h = items[7];
  for (i = 8; i + 8 <= n; i += 8)
    {
      __builtin_prefetch (items + i + AHEAD);
      a += items[i], b += items[i + 1], c += items[i + 2], d += items[i + 3];
      e += items[i + 4], f += items[i + 5], g += items[i + 6], h += items[i + 7];
    }
  return (((a + b) + (c + d)) + ((e + f) + (g + h))) + shm_sum_doubles (items + i, n - i);
}

static void
shm_sum_add_exactly (ShmSum *sum, gint64 high, guint64 low)
{
  sum->low += low;
  sum->high += high + (sum->low < low);
}

/* A piece of wide integers is added in halves, neither of which can overflow. */
#define ADD_INTEGERS(dtype_, type, wide, AS)                                                       \
  case dtype_:                                                                                     \
    {                                                                                              \
      const type *items = raw;                                                                     \
      gint64 upper = 0;                                                                            \
      guint64 lower = 0;                                                                           \
                                                                                                   \
      if (sizeof (type) < 8)                                                                       \
        {                                                                                          \
          gint64 narrow = 0;                                                                       \
                                                                                                   \
          for (gsize i = 0; i < n; i++)                                                            \
            narrow += (gint64) AS (items[i]);                                                      \
          shm_sum_add_exactly (sum, narrow < 0 ? -1 : 0, (guint64) narrow);                        \
          break;                                                                                   \
        }                                                                                          \
      for (gsize i = 0; i < n; i++)                                                                \
        {                                                                                          \
          upper += (gint64) ((wide) items[i] >> 32);                                               \
          lower += (guint32) items[i];                                                             \
        }                                                                                          \
      shm_sum_add_exactly (sum, upper >> 32, (guint64) upper << 32);                               \
      shm_sum_add_exactly (sum, 0, lower);                                                         \
      break;                                                                                       \
    }

static void
shm_sum_add_integers (ShmSum *sum, ShmArray *array, gsize begin, gsize n)
{
  ShmPiece piece;
  gconstpointer raw = shm_algorithms_read (array, begin, n, &piece);

  switch (array->dtype)
    {
      SHM_INTEGER_ITEMS (ADD_INTEGERS)
    default:
      g_assert_not_reached ();
    }
}

#define SPLIT(type)                                                                                \
  for (gsize i = 0; i < n; i++)                                                                    \
    {                                                                                              \
      real[i] = ((const type *) raw)[2 * i];                                                       \
      imag[i] = ((const type *) raw)[2 * i + 1];                                                   \
    }

static ShmSum
shm_sum_complex (ShmArray *array, gsize begin, gsize n)
{
  ShmPiece piece;
  gconstpointer raw = shm_algorithms_read (array, begin, n, &piece);
  double real[SHM_PIECE];
  double imag[SHM_PIECE];

  if (array->dtype == SHM_DTYPE_C8)
    SPLIT (float)
  else
    SPLIT (double)
  return (ShmSum){ .real = shm_sum_doubles (real, n), .imag = shm_sum_doubles (imag, n) };
}

static double
shm_sum_products (ShmArray *a, ShmArray *b, gsize begin, gsize n)
{
  double buffer_a[SHM_PIECE];
  double buffer_b[SHM_PIECE];
  const double *items_a = shm_algorithms_read_doubles (a, begin, n, buffer_a);
  const double *items_b = shm_algorithms_read_doubles (b, begin, n, buffer_b);

  for (gsize i = 0; i < n; i++)
    buffer_a[i] = items_a[i] * items_b[i];
  return shm_sum_doubles (buffer_a, n);
}

static ShmSum
shm_sum_piece (const ShmSumming *summing, gsize begin, gsize n)
{
  ShmArray *array = summing->a;
  ShmSum sum = { 0 };
  double buffer[SHM_PIECE];

  if (summing->b != NULL)
    sum.real = shm_sum_products (array, summing->b, begin, n);
  else if (array->dtype >= SHM_DTYPE_C8)
    sum = shm_sum_complex (array, begin, n);
  else if (array->dtype >= SHM_DTYPE_F4)
    sum.real = shm_sum_doubles (shm_algorithms_read_doubles (array, begin, n, buffer), n);
  else
    shm_sum_add_integers (&sum, array, begin, n);
  return sum;
}

static ShmSum
shm_sum_join (ShmSum a, ShmSum b)
{
  shm_sum_add_exactly (&a, b.high, b.low);
  a.real += b.real;
  a.imag += b.imag;
  return a;
}

/* Adds the items from @begin to @end - 1 in pairs of pieces; there are some. */
static ShmSum
shm_sum_range (const ShmSumming *summing, gsize begin, gsize end)
{
  gsize n_pieces = shm_count_blocks (end - begin, SHM_PIECE);
  gsize middle = begin + n_pieces / 2 * SHM_PIECE;

  if (n_pieces == 1)
    return shm_sum_piece (summing, begin, end - begin);
  return shm_sum_join (shm_sum_range (summing, begin, middle),
                       shm_sum_range (summing, middle, end));
}

static ShmSum
shm_sum_parts (const ShmSum *parts, gsize n)
{
  if (n == 1)
    return parts[0];
  return shm_sum_join (shm_sum_parts (parts, n / 2), shm_sum_parts (parts + n / 2, n - n / 2));
}

static gboolean
shm_sum_blocks (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  const ShmSumming *summing = user_data;
  gsize block = shm_algorithms_tuning.block;

  for (; begin < end; begin++)
    summing->parts[begin] =
        shm_sum_range (summing, begin * block, MIN ((begin + 1) * block, summing->a->n_elements));
  return TRUE;
}

static gboolean
shm_sum_run (ShmMapReduce *self,
             ShmArray *a,
             ShmArray *b,
             GCancellable *cancellable,
             ShmSum *sum,
             GError **error)
{
  gsize n_blocks = shm_count_blocks (a->n_elements, shm_algorithms_tuning.block);
  g_autoptr (ShmArray) parts = shm_algorithms_new_scratch (sizeof (ShmSum), n_blocks, error);
  ShmSumming summing = { .a = a, .b = b };

  *sum = (ShmSum){ 0 };
  if (parts == NULL)
    return FALSE;
  summing.parts = shm_array_get_data (parts);
  if (!shm_algorithms_for_blocks (self, n_blocks, SHM_WEIGHT_LIGHT, cancellable, shm_sum_blocks,
                                  &summing, error))
    return FALSE;
  if (n_blocks > 0)
    *sum = shm_sum_parts (summing.parts, n_blocks);
  return TRUE;
}

/* The nearest double. Where there are more than 64 bits, the last of those that are kept says
 * whether any of the others is set, so that the conversion alone rounds.
 */
static double
shm_sum_round (const ShmSum *sum)
{
  gboolean negative = sum->high < 0;
  guint64 low = negative ? -sum->low : sum->low;
  guint64 high = negative ? ~(guint64) sum->high + (low == 0) : (guint64) sum->high;
  double magnitude;

  if (high == 0)
    magnitude = (double) low;
  else
    {
      guint shift = 64 - (guint) __builtin_clzll (high);
      guint64 top = shift == 64 ? high : high << (64 - shift) | low >> shift;
      guint64 rest = shift == 64 ? low : low & ((G_GUINT64_CONSTANT (1) << shift) - 1);

      magnitude = ldexp ((double) (top | (rest != 0)), (int) shift);
    }
  return negative ? -magnitude : magnitude;
}

/**
 * shm_map_reduce_sum:
 * @self: a pool
 * @array: an array of real numbers
 * @cancellable: (nullable): what may cancel it
 * @error: return location for an error
 *
 * Adds up the items of @array. Integers and truth values are added exactly, and the sum is rounded
 * once, to the nearest double. Floating-point numbers are added as doubles, in pairs, and always in
 * the same order; the sum of opposite infinities, or with NaN, is NaN, and too large a sum is
 * infinite. The sum of nothing is 0. #ShmMapReduce:max-retries counts.
 *
 * Complex numbers, for which there is shm_map_reduce_sum_value(), and records are
 * %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: the sum; NaN with @error set if it failed, also as by shm_job_run(), so check @error
 *
 * Since: 1.0
 */
double
shm_map_reduce_sum (ShmMapReduce *self, ShmArray *array, GCancellable *cancellable, GError **error)
{
  ShmSum sum;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NAN);
  g_return_val_if_fail (SHM_IS_ARRAY (array), NAN);

  if (!shm_algorithms_check_real (array, error) ||
      !shm_sum_run (self, array, NULL, cancellable, &sum, error))
    return NAN;
  return array->dtype < SHM_DTYPE_F4 ? shm_sum_round (&sum) : sum.real;
}

/**
 * shm_map_reduce_sum_value:
 * @self: a pool
 * @array: an array of numbers
 * @cancellable: (nullable): what may cancel it
 * @error: return location for an error
 *
 * Adds up the items of @array, as shm_map_reduce_sum() does, and gives the sum as the widest type
 * of their kind: "x" for signed integers, "t" for truth values and unsigned ones, "d" for
 * floating-point numbers, and "(dd)" for complex ones, whose parts are added each by itself.
 *
 * Integers do not wrap around: a sum that does not fit into 64 bits is a
 * %SHM_ERROR_INVALID_ARGUMENT, as are records. #ShmMapReduce:max-retries counts.
 *
 * Returns: (transfer full): the sum, or %NULL with @error set, also as by shm_job_run()
 *
 * Since: 1.0
 */
GVariant *
shm_map_reduce_sum_value (ShmMapReduce *self,
                          ShmArray *array,
                          GCancellable *cancellable,
                          GError **error)
{
  GVariant *value = NULL;
  ShmSum sum;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);
  g_return_val_if_fail (SHM_IS_ARRAY (array), NULL);

  if (array->dtype != SHM_DTYPE_C8 && array->dtype != SHM_DTYPE_C16 &&
      !shm_algorithms_check_real (array, error))
    return NULL;
  if (!shm_array_check_open (array, error) ||
      !shm_sum_run (self, array, NULL, cancellable, &sum, error))
    return NULL;

  if (array->dtype >= SHM_DTYPE_C8)
    value = g_variant_new ("(dd)", sum.real, sum.imag);
  else if (array->dtype >= SHM_DTYPE_F4)
    value = g_variant_new_double (sum.real);
  else if (array->dtype >= SHM_DTYPE_U1 || array->dtype == SHM_DTYPE_BOOL)
    value = sum.high == 0 ? g_variant_new_uint64 (sum.low) : NULL;
  else if (sum.high == (gint64) sum.low >> 63)
    value = g_variant_new_int64 ((gint64) sum.low);

  if (value == NULL)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                           _ ("The sum does not fit into 64 bits"));
      return NULL;
    }
  return g_variant_ref_sink (value);
}

/**
 * shm_map_reduce_dot:
 * @self: a pool
 * @a: an array of real numbers
 * @b: another one of the same shape, whose type may be different
 * @cancellable: (nullable): what may cancel it
 * @error: return location for an error
 *
 * Adds up the products of the items of @a with those of @b at the same index. All are converted to
 * doubles first, which rounds integers above two to the 53rd, and are added as
 * shm_map_reduce_sum() adds floating-point numbers. #ShmMapReduce:max-retries counts.
 *
 * Different shapes, complex numbers and records are %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: the sum; NaN with @error set if it failed, also as by shm_job_run(), so check @error
 *
 * Since: 1.0
 */
double
shm_map_reduce_dot (
    ShmMapReduce *self, ShmArray *a, ShmArray *b, GCancellable *cancellable, GError **error)
{
  gboolean same;
  ShmSum sum;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NAN);
  g_return_val_if_fail (SHM_IS_ARRAY (a), NAN);
  g_return_val_if_fail (SHM_IS_ARRAY (b), NAN);

  if (!shm_algorithms_check_real (a, error) || !shm_algorithms_check_real (b, error))
    return NAN;
  same = a->n_dims == b->n_dims;
  for (gsize axis = 0; same && axis < a->n_dims; axis++)
    same = a->shape[axis] == b->shape[axis];
  if (!same)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                           _ ("The arrays are not of the same shape"));
      return NAN;
    }
  return shm_sum_run (self, a, b, cancellable, &sum, error) ? sum.real : NAN;
}

typedef struct
{
  ShmArray *array;
  gboolean greatest;
  guint64 *parts; /* the item that is the extreme of each block */
} ShmExtreme;

/* NaN is neither at least nor at most anything, so it is taken when it is met, and then nothing
 * comes after it.
 */
#define SEEK(type, AS, OP)                                                                         \
  for (gsize i = 0; i < n; i++)                                                                    \
    {                                                                                              \
      if (!(AS (items[i]) OP AS (best)))                                                           \
        {                                                                                          \
          best = items[i];                                                                         \
          at = i;                                                                                  \
          if (best != items[i])                                                                    \
            break;                                                                                 \
        }                                                                                          \
    }

#define FIND_EXTREME(dtype_, type, wide, AS)                                                       \
  case dtype_:                                                                                     \
    {                                                                                              \
      const type *items = raw;                                                                     \
      type best = items[0];                                                                        \
                                                                                                   \
      if (greatest)                                                                                \
        SEEK (type, AS, <=)                                                                        \
      else                                                                                         \
        SEEK (type, AS, >=)                                                                        \
      break;                                                                                       \
    }

/* The position of the extreme among some items side by side: the first one, if there are several. */
static gsize
shm_find_extreme (ShmDtype dtype, gboolean greatest, gconstpointer raw, gsize n)
{
  gsize at = 0;

  switch (dtype)
    {
      SHM_REAL_ITEMS (FIND_EXTREME)
    default:
      g_assert_not_reached ();
    }
  return at;
}

/* The extreme among the items whose numbers are given, the lowest first. */
static guint64
shm_extreme_of_items (const ShmExtreme *extreme, const guint64 *items, gsize n)
{
  ShmArray *array = extreme->array;
  g_autofree guint8 *copies = g_malloc (MAX (n * array->item_size, 1));

  for (gsize i = 0; i < n; i++)
    {
      ShmArrayIter iter;

      shm_array_iter_init (&iter, array);
      shm_array_iter_set_range (&iter, items[i], items[i] + 1);
      shm_array_iter_next (&iter);
      shm_array_run_read (&iter, copies + i * array->item_size, array->item_size);
    }
  return items[shm_find_extreme (array->dtype, extreme->greatest, copies, n)];
}

static gboolean
shm_extreme_blocks (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  const ShmExtreme *extreme = user_data;
  ShmArray *array = extreme->array;
  gsize block = shm_algorithms_tuning.block;
  g_autofree guint64 *found = g_new (guint64, shm_count_blocks (block, SHM_PIECE));

  for (; begin < end; begin++)
    {
      gsize last = MIN ((begin + 1) * block, array->n_elements);
      gsize n_found = 0;

      for (gsize at = begin * block; at < last; at += SHM_PIECE)
        {
          gsize n = MIN (last - at, SHM_PIECE);
          ShmPiece piece;
          gconstpointer raw = shm_algorithms_read (array, at, n, &piece);

          found[n_found++] = at + shm_find_extreme (array->dtype, extreme->greatest, raw, n);
        }
      extreme->parts[begin] = shm_extreme_of_items (extreme, found, n_found);
    }
  return TRUE;
}

static GVariant *
shm_extreme_run (ShmMapReduce *self,
                 ShmArray *array,
                 gboolean greatest,
                 GCancellable *cancellable,
                 guint64 *index,
                 GError **error)
{
  gsize n_blocks = shm_count_blocks (array->n_elements, shm_algorithms_tuning.block);
  ShmExtreme extreme = { .array = array, .greatest = greatest };
  g_autoptr (ShmArray) parts = NULL;
  guint64 item;

  if (!shm_algorithms_check_real (array, error))
    return NULL;
  if (n_blocks == 0)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                           _ ("An array without items has neither a least nor a greatest one"));
      return NULL;
    }

  parts = shm_algorithms_new_scratch (sizeof (guint64), n_blocks, error);
  if (parts == NULL)
    return NULL;
  extreme.parts = shm_array_get_data (parts);
  if (!shm_algorithms_for_blocks (self, n_blocks, SHM_WEIGHT_LIGHT, cancellable, shm_extreme_blocks,
                                  &extreme, error))
    return NULL;

  item = shm_extreme_of_items (&extreme, extreme.parts, n_blocks);
  if (index != NULL)
    *index = item;
  return shm_algorithms_get_item (array, item, error);
}

/**
 * shm_map_reduce_min:
 * @self: a pool
 * @array: an array of real numbers
 * @cancellable: (nullable): what may cancel it
 * @index: (out) (optional): return location for which item it is, counted from 0 in C order
 * @error: return location for an error
 *
 * Finds the least item of @array; the first one, if there are several. As in numpy, NaN is less
 * than everything here: if there is one, the first NaN is found. Both zeros are equal.
 * #ShmMapReduce:max-retries counts.
 *
 * An array without items, complex numbers and records are %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: (transfer full): the item, as shm_array_get_value() gives it, or %NULL with @error set,
 *   also as by shm_job_run()
 *
 * Since: 1.0
 */
GVariant *
shm_map_reduce_min (
    ShmMapReduce *self, ShmArray *array, GCancellable *cancellable, guint64 *index, GError **error)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);
  g_return_val_if_fail (SHM_IS_ARRAY (array), NULL);

  return shm_extreme_run (self, array, FALSE, cancellable, index, error);
}

/**
 * shm_map_reduce_max:
 * @self: a pool
 * @array: an array of real numbers
 * @cancellable: (nullable): what may cancel it
 * @index: (out) (optional): return location for which item it is, counted from 0 in C order
 * @error: return location for an error
 *
 * Finds the greatest item of @array; the first one, if there are several. As in numpy, NaN is
 * greater than everything here: if there is one, the first NaN is found. Both zeros are equal.
 * #ShmMapReduce:max-retries counts.
 *
 * An array without items, complex numbers and records are %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: (transfer full): the item, as shm_array_get_value() gives it, or %NULL with @error set,
 *   also as by shm_job_run()
 *
 * Since: 1.0
 */
GVariant *
shm_map_reduce_max (
    ShmMapReduce *self, ShmArray *array, GCancellable *cancellable, guint64 *index, GError **error)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);
  g_return_val_if_fail (SHM_IS_ARRAY (array), NULL);

  return shm_extreme_run (self, array, TRUE, cancellable, index, error);
}
