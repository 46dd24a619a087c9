/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <math.h>
#include <string.h>

/* Items that are read, changed and written back in one step. The processor's own operations do it,
 * sequentially consistent, on the memory itself, so they work between processes as between threads.
 * All but adding integers are loops: read the item, compute what it is to be, and try again if it
 * has changed meanwhile.
 *
 * An item is handled as its bits, in the low part of a guint64.
 */

typedef enum
{
  SHM_CHANGE_ADD,
  SHM_CHANGE_MIN,
  SHM_CHANGE_MAX,
  SHM_CHANGE_EXCHANGE,
} ShmChange;

#define SHM_FOR_SIZE(size, DO)                                                                     \
  switch (size)                                                                                    \
    {                                                                                              \
    case 1:                                                                                        \
      DO (guint8);                                                                                 \
    case 2:                                                                                        \
      DO (guint16);                                                                                \
    case 4:                                                                                        \
      DO (guint32);                                                                                \
    default:                                                                                       \
      DO (guint64);                                                                                \
    }

#define LOAD(type) return __atomic_load_n ((type *) item, __ATOMIC_SEQ_CST)
#define ADD(type) return __atomic_fetch_add ((type *) item, (type) value, __ATOMIC_SEQ_CST)
#define REPLACE(type)                                                                              \
  {                                                                                                \
    type bits = (type) *expected;                                                                  \
    gboolean is_done = __atomic_compare_exchange_n ((type *) item, &bits, (type) desired, FALSE,   \
                                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);           \
                                                                                                   \
    *expected = bits;                                                                              \
    return is_done;                                                                                \
  }

static guint64
load_bits (gpointer item, gsize size)
{
  SHM_FOR_SIZE (size, LOAD)
}

static guint64
add_bits (gpointer item, gsize size, guint64 value)
{
  SHM_FOR_SIZE (size, ADD)
}

/* Puts @desired there if @expected is there, which becomes what was there. */
static gboolean
replace_bits (gpointer item, gsize size, guint64 *expected, guint64 desired)
{
  SHM_FOR_SIZE (size, REPLACE)
}

static gboolean
is_signed (ShmDtype dtype)
{
  return dtype >= SHM_DTYPE_I1 && dtype <= SHM_DTYPE_I8;
}

static gint64
bits_to_int64 (guint64 bits, ShmDtype dtype)
{
  guint shift = 64 - 8 * (guint) shm_dtype_get_size (dtype);

  return is_signed (dtype) ? (gint64) (bits << shift) >> shift : (gint64) bits;
}

static double
bits_to_double (guint64 bits, ShmDtype dtype)
{
  guint32 low = (guint32) bits;
  float single;
  double value;

  if (dtype == SHM_DTYPE_F4)
    {
      memcpy (&single, &low, sizeof (single));
      return single;
    }
  memcpy (&value, &bits, sizeof (value));
  return value;
}

static guint64
double_to_bits (double value, ShmDtype dtype)
{
  float single = (float) value;
  guint32 low;
  guint64 bits;

  if (dtype == SHM_DTYPE_F4)
    {
      memcpy (&low, &single, sizeof (low));
      return low;
    }
  memcpy (&bits, &value, sizeof (bits));
  return bits;
}

/* Finds the item at an index, if it is of a type from @first to @last and where the processor can
 * change it in one step.
 */
static gpointer
shm_array_locate_atomic (ShmArray *self,
                         const gsize *index,
                         gsize n_index,
                         ShmDtype first,
                         ShmDtype last,
                         GError **error)
{
  guint8 *item;

  if (self->dtype < first || self->dtype > last)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("An item of type %s cannot be changed in this way"),
                   shm_dtype_to_string (self->dtype));
      return NULL;
    }

  item = shm_array_locate (self, index, n_index, error);
  if (item == NULL || !shm_array_check_writable (self, error))
    return NULL;
  if ((guintptr) item % self->item_size != 0)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("The item is not aligned to its %zu bytes, so it cannot be changed in one "
                      "step"),
                   self->item_size);
      return NULL;
    }
  return item;
}

/* Whether an item of the type can be @value; for u8, every value stands for one. */
static gboolean
shm_array_check_int64 (ShmArray *self, gint64 value, GError **error)
{
  guint64 mask = G_MAXUINT64 >> (64 - 8 * self->item_size);

  if (self->dtype == SHM_DTYPE_BOOL ? value == 0 || value == 1
                                    : bits_to_int64 ((guint64) value & mask, self->dtype) == value)
    return TRUE;

  g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
               _ ("%lld does not fit into an item of type %s"), (long long) value,
               shm_dtype_to_string (self->dtype));
  return FALSE;
}

static gboolean
shm_array_change_int64 (ShmArray *self,
                        const gsize *index,
                        gsize n_index,
                        ShmChange change,
                        gint64 expected,
                        gint64 value,
                        gint64 *old,
                        GError **error)
{
  ShmDtype first = change == SHM_CHANGE_EXCHANGE ? SHM_DTYPE_BOOL : SHM_DTYPE_I1;
  gpointer item;
  guint64 bits;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail (index != NULL || n_index == 0, FALSE);

  item = shm_array_locate_atomic (self, index, n_index, first, SHM_DTYPE_U8, error);
  if (item == NULL || (change != SHM_CHANGE_ADD && !shm_array_check_int64 (self, value, error)) ||
      (change == SHM_CHANGE_EXCHANGE && !shm_array_check_int64 (self, expected, error)))
    return FALSE;

  if (change == SHM_CHANGE_ADD)
    {
      bits = add_bits (item, self->item_size, (guint64) value);
    }
  else
    {
      gboolean is_wanted;

      bits = load_bits (item, self->item_size);
      do
        {
          gint64 now = bits_to_int64 (bits, self->dtype);
          gboolean is_less =
              self->dtype == SHM_DTYPE_U8 ? (guint64) value < (guint64) now : value < now;

          if (change == SHM_CHANGE_EXCHANGE)
            is_wanted = now == expected;
          else
            is_wanted = value != now && is_less == (change == SHM_CHANGE_MIN);
        }
      while (is_wanted && !replace_bits (item, self->item_size, &bits, (guint64) value));
    }

  if (old != NULL)
    *old = bits_to_int64 (bits, self->dtype);
  return TRUE;
}

static gboolean
shm_array_change_double (ShmArray *self,
                         const gsize *index,
                         gsize n_index,
                         ShmChange change,
                         double value,
                         double *old,
                         GError **error)
{
  gpointer item;
  guint64 bits;
  gboolean is_wanted;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail (index != NULL || n_index == 0, FALSE);

  item = shm_array_locate_atomic (self, index, n_index, SHM_DTYPE_F4, SHM_DTYPE_F8, error);
  if (item == NULL)
    return FALSE;

  if (change != SHM_CHANGE_ADD && self->dtype == SHM_DTYPE_F4)
    value = (float) value;
  bits = load_bits (item, self->item_size);
  do
    {
      double now = bits_to_double (bits, self->dtype);

      if (change == SHM_CHANGE_ADD)
        is_wanted = TRUE;
      else if (isnan (now) || isnan (value))
        is_wanted = !isnan (value);
      else
        is_wanted = change == SHM_CHANGE_MIN ? value < now : value > now;
    }
  while (is_wanted &&
         !replace_bits (item, self->item_size, &bits,
                        double_to_bits (change == SHM_CHANGE_ADD
                                            ? bits_to_double (bits, self->dtype) + value
                                            : value,
                                        self->dtype)));

  if (old != NULL)
    *old = bits_to_double (bits, self->dtype);
  return TRUE;
}

/**
 * shm_array_add_int64:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @value: the number to add, negative to subtract
 * @old: (out) (optional): return location for what the item was before
 * @error: return location for a #GError
 *
 * Adds to an integer of any size, in one step: no other thread or process comes in between, in
 * which any of these functions is used on the same item. A counter needs no lock.
 *
 * A sum that does not fit wraps around. In items of %SHM_DTYPE_U8, numbers above %G_MAXINT64 appear
 * as C's casts have them: less by two to the 64th.
 *
 * These operations are sequentially consistent: all threads and processes see them in one order,
 * and what one of them wrote before is seen by who sees the item changed.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; items of another type, and an
 * item that is not aligned to its size, as in a packed record, are %SHM_ERROR_INVALID_ARGUMENT. A
 * closed array is a %SHM_ERROR_WRONG_STATE, one that may only be read a %SHM_ERROR_READ_ONLY.
 *
 * Returns: %TRUE, or %FALSE with @error set, and nothing changed
 *
 * Since: 1.0
 */
gboolean
shm_array_add_int64 (
    ShmArray *self, const gsize *index, gsize n_index, gint64 value, gint64 *old, GError **error)
{
  return shm_array_change_int64 (self, index, n_index, SHM_CHANGE_ADD, 0, value, old, error);
}

/**
 * shm_array_update_min_int64:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @value: the number
 * @old: (out) (optional): return location for what the item was before
 * @error: return location for a #GError
 *
 * Sets an integer of any size to @value if that is less than what it is, in one step, as
 * shm_array_add_int64() adds. In items of %SHM_DTYPE_U8, numbers above %G_MAXINT64 are given and
 * got less by two to the 64th.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; items of another type, a @value
 * that does not fit, and an item that is not aligned to its size, as in a packed record, are
 * %SHM_ERROR_INVALID_ARGUMENT. A closed array is a %SHM_ERROR_WRONG_STATE, one that may only be
 * read a %SHM_ERROR_READ_ONLY.
 *
 * Returns: %TRUE, or %FALSE with @error set, and nothing changed
 *
 * Since: 1.0
 */
gboolean
shm_array_update_min_int64 (
    ShmArray *self, const gsize *index, gsize n_index, gint64 value, gint64 *old, GError **error)
{
  return shm_array_change_int64 (self, index, n_index, SHM_CHANGE_MIN, 0, value, old, error);
}

/**
 * shm_array_update_max_int64:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @value: the number
 * @old: (out) (optional): return location for what the item was before
 * @error: return location for a #GError
 *
 * Sets an integer of any size to @value if that is greater than what it is, in one step, as
 * shm_array_add_int64() adds. In items of %SHM_DTYPE_U8, numbers above %G_MAXINT64 are given and
 * got less by two to the 64th.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; items of another type, a @value
 * that does not fit, and an item that is not aligned to its size, as in a packed record, are
 * %SHM_ERROR_INVALID_ARGUMENT. A closed array is a %SHM_ERROR_WRONG_STATE, one that may only be
 * read a %SHM_ERROR_READ_ONLY.
 *
 * Returns: %TRUE, or %FALSE with @error set, and nothing changed
 *
 * Since: 1.0
 */
gboolean
shm_array_update_max_int64 (
    ShmArray *self, const gsize *index, gsize n_index, gint64 value, gint64 *old, GError **error)
{
  return shm_array_change_int64 (self, index, n_index, SHM_CHANGE_MAX, 0, value, old, error);
}

/**
 * shm_array_compare_exchange_int64:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @expected: what the item has to be
 * @value: what it is to become
 * @old: (out) (optional): return location for what the item was before
 * @error: return location for a #GError
 *
 * Sets an integer of any size, or a truth value, to @value if it is @expected, in one step, as
 * shm_array_add_int64() adds. If @old is @expected, the item has been set; if not, it has been left
 * alone. In items of %SHM_DTYPE_U8, numbers above %G_MAXINT64 are given and got less by two to the
 * 64th.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; items of another type, a number
 * that does not fit, and an item that is not aligned to its size, as in a packed record, are
 * %SHM_ERROR_INVALID_ARGUMENT. A closed array is a %SHM_ERROR_WRONG_STATE, one that may only be
 * read a %SHM_ERROR_READ_ONLY.
 *
 * Returns: %TRUE, or %FALSE with @error set, and nothing changed
 *
 * Since: 1.0
 */
gboolean
shm_array_compare_exchange_int64 (ShmArray *self,
                                  const gsize *index,
                                  gsize n_index,
                                  gint64 expected,
                                  gint64 value,
                                  gint64 *old,
                                  GError **error)
{
  return shm_array_change_int64 (self, index, n_index, SHM_CHANGE_EXCHANGE, expected, value, old,
                                 error);
}

/**
 * shm_array_add_double:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @value: the number to add
 * @old: (out) (optional): return location for what the item was before
 * @error: return location for a #GError
 *
 * Adds to a floating-point number, in one step, as shm_array_add_int64() does to an integer. The
 * sum is rounded to what the item can hold. In which order several processes add is not determined,
 * so the last digits of a sum may differ from one time to the next.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; items of another type, and an
 * item that is not aligned to its size, as in a packed record, are %SHM_ERROR_INVALID_ARGUMENT. A
 * closed array is a %SHM_ERROR_WRONG_STATE, one that may only be read a %SHM_ERROR_READ_ONLY.
 *
 * Returns: %TRUE, or %FALSE with @error set, and nothing changed
 *
 * Since: 1.0
 */
gboolean
shm_array_add_double (
    ShmArray *self, const gsize *index, gsize n_index, double value, double *old, GError **error)
{
  return shm_array_change_double (self, index, n_index, SHM_CHANGE_ADD, value, old, error);
}

/**
 * shm_array_update_min_double:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @value: the number, rounded for a `float`
 * @old: (out) (optional): return location for what the item was before
 * @error: return location for a #GError
 *
 * Sets a floating-point number to @value if that is less than what it is, in one step, as
 * shm_array_add_int64() adds. Where one of the two is not a number, the other is what the item
 * becomes or stays.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; items of another type, and an
 * item that is not aligned to its size, as in a packed record, are %SHM_ERROR_INVALID_ARGUMENT. A
 * closed array is a %SHM_ERROR_WRONG_STATE, one that may only be read a %SHM_ERROR_READ_ONLY.
 *
 * Returns: %TRUE, or %FALSE with @error set, and nothing changed
 *
 * Since: 1.0
 */
gboolean
shm_array_update_min_double (
    ShmArray *self, const gsize *index, gsize n_index, double value, double *old, GError **error)
{
  return shm_array_change_double (self, index, n_index, SHM_CHANGE_MIN, value, old, error);
}

/**
 * shm_array_update_max_double:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @value: the number, rounded for a `float`
 * @old: (out) (optional): return location for what the item was before
 * @error: return location for a #GError
 *
 * Sets a floating-point number to @value if that is greater than what it is, in one step, as
 * shm_array_add_int64() adds. Where one of the two is not a number, the other is what the item
 * becomes or stays.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; items of another type, and an
 * item that is not aligned to its size, as in a packed record, are %SHM_ERROR_INVALID_ARGUMENT. A
 * closed array is a %SHM_ERROR_WRONG_STATE, one that may only be read a %SHM_ERROR_READ_ONLY.
 *
 * Returns: %TRUE, or %FALSE with @error set, and nothing changed
 *
 * Since: 1.0
 */
gboolean
shm_array_update_max_double (
    ShmArray *self, const gsize *index, gsize n_index, double value, double *old, GError **error)
{
  return shm_array_change_double (self, index, n_index, SHM_CHANGE_MAX, value, old, error);
}
