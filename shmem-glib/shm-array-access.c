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

/* Single items, read and written with checks. Whatever an item or a caller has, and whatever the
 * other side wants, goes through a ShmNumber, which holds each of them without loss.
 */

typedef enum
{
  SHM_NUMBER_NEGATIVE, /* in `negative`, always below zero */
  SHM_NUMBER_NATURAL,  /* in `natural` */
  SHM_NUMBER_REAL,     /* in `real` */
  SHM_NUMBER_COMPLEX,  /* in `real` and `imag` */
} ShmNumberKind;

typedef struct
{
  ShmNumberKind kind;
  gint64 negative;
  guint64 natural;
  double real;
  double imag;
} ShmNumber;

/* item type, C type, least and greatest value, the GVariant that holds it */
#define SHM_INTEGER_DTYPES(DO)                                                                     \
  DO (SHM_DTYPE_BOOL, guint8, 0, 1, g_variant_new_boolean)                                         \
  DO (SHM_DTYPE_I1, gint8, G_MININT8, G_MAXINT8, g_variant_new_int16)                              \
  DO (SHM_DTYPE_I2, gint16, G_MININT16, G_MAXINT16, g_variant_new_int16)                           \
  DO (SHM_DTYPE_I4, gint32, G_MININT32, G_MAXINT32, g_variant_new_int32)                           \
  DO (SHM_DTYPE_I8, gint64, G_MININT64, G_MAXINT64, g_variant_new_int64)                           \
  DO (SHM_DTYPE_U1, guint8, 0, G_MAXUINT8, g_variant_new_byte)                                     \
  DO (SHM_DTYPE_U2, guint16, 0, G_MAXUINT16, g_variant_new_uint16)                                 \
  DO (SHM_DTYPE_U4, guint32, 0, G_MAXUINT32, g_variant_new_uint32)                                 \
  DO (SHM_DTYPE_U8, guint64, 0, G_MAXUINT64, g_variant_new_uint64)

static ShmNumber
shm_number_from_int64 (gint64 value)
{
  if (value < 0)
    return (ShmNumber){ .kind = SHM_NUMBER_NEGATIVE, .negative = value };
  return (ShmNumber){ .kind = SHM_NUMBER_NATURAL, .natural = (guint64) value };
}

static ShmNumber
shm_number_from_uint64 (guint64 value)
{
  return (ShmNumber){ .kind = SHM_NUMBER_NATURAL, .natural = value };
}

static ShmNumber
shm_number_from_double (double value)
{
  return (ShmNumber){ .kind = SHM_NUMBER_REAL, .real = value };
}

static ShmNumber
shm_number_from_complex (double real, double imag)
{
  return (ShmNumber){ .kind = SHM_NUMBER_COMPLEX, .real = real, .imag = imag };
}

static gboolean
shm_number_from_variant (GVariant *value, ShmNumber *number)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      *number = shm_number_from_uint64 (g_variant_get_boolean (value) ? 1 : 0);
      return TRUE;
    case G_VARIANT_CLASS_BYTE:
      *number = shm_number_from_uint64 (g_variant_get_byte (value));
      return TRUE;
    case G_VARIANT_CLASS_INT16:
      *number = shm_number_from_int64 (g_variant_get_int16 (value));
      return TRUE;
    case G_VARIANT_CLASS_UINT16:
      *number = shm_number_from_uint64 (g_variant_get_uint16 (value));
      return TRUE;
    case G_VARIANT_CLASS_INT32:
      *number = shm_number_from_int64 (g_variant_get_int32 (value));
      return TRUE;
    case G_VARIANT_CLASS_UINT32:
      *number = shm_number_from_uint64 (g_variant_get_uint32 (value));
      return TRUE;
    case G_VARIANT_CLASS_INT64:
      *number = shm_number_from_int64 (g_variant_get_int64 (value));
      return TRUE;
    case G_VARIANT_CLASS_UINT64:
      *number = shm_number_from_uint64 (g_variant_get_uint64 (value));
      return TRUE;
    case G_VARIANT_CLASS_DOUBLE:
      *number = shm_number_from_double (g_variant_get_double (value));
      return TRUE;
    default:
      if (g_variant_is_of_type (value, G_VARIANT_TYPE ("(dd)")))
        {
          double real, imag;

          g_variant_get (value, "(dd)", &real, &imag);
          *number = shm_number_from_complex (real, imag);
          return TRUE;
        }
      return FALSE;
    }
}

static char *
shm_number_to_string (const ShmNumber *number)
{
  char real[G_ASCII_DTOSTR_BUF_SIZE];
  char imag[G_ASCII_DTOSTR_BUF_SIZE];

  switch (number->kind)
    {
    case SHM_NUMBER_NEGATIVE:
      return g_strdup_printf ("%" G_GINT64_FORMAT, number->negative);
    case SHM_NUMBER_NATURAL:
      return g_strdup_printf ("%" G_GUINT64_FORMAT, number->natural);
    case SHM_NUMBER_REAL:
      return g_strdup (g_ascii_dtostr (real, sizeof (real), number->real));
    case SHM_NUMBER_COMPLEX:
    default:
      return g_strdup_printf ("(%s, %s)", g_ascii_dtostr (real, sizeof (real), number->real),
                              g_ascii_dtostr (imag, sizeof (imag), number->imag));
    }
}

/* Makes the number a real one; a complex number is one if its imaginary part is zero. Large
 * integers are rounded to the nearest double.
 */
static gboolean
shm_number_to_double (const ShmNumber *number, double *value)
{
  if (number->kind == SHM_NUMBER_NEGATIVE)
    *value = (double) number->negative;
  else if (number->kind == SHM_NUMBER_NATURAL)
    *value = (double) number->natural;
  else
    *value = number->real;
  return number->kind != SHM_NUMBER_COMPLEX || number->imag == 0.0;
}

/* Makes the number a negative or a natural one, if that is what it is. The bounds are two to the
 * 63rd and to the 64th, which a double holds exactly; NaN is within none.
 */
static gboolean
shm_number_to_integer (const ShmNumber *number, ShmNumber *integer)
{
  double value;

  *integer = *number;
  if (number->kind == SHM_NUMBER_NEGATIVE || number->kind == SHM_NUMBER_NATURAL)
    return TRUE;
  if (!shm_number_to_double (number, &value))
    return FALSE;

  if (value >= -0x1p63 && value < 0.0)
    *integer = shm_number_from_int64 ((gint64) value);
  else if (value >= 0.0 && value < 0x1p64)
    *integer = shm_number_from_uint64 ((guint64) value);
  else
    return FALSE;
  /* What was cut off shows when the integer is made a double again; -0.5 has become 0. */
  return value == (integer->kind == SHM_NUMBER_NEGATIVE ? (double) integer->negative
                                                        : (double) integer->natural);
}

#define STORE_INTEGER(dtype_, type, least, greatest, new_variant)                                  \
  case dtype_:                                                                                     \
    {                                                                                              \
      type item_ = is_negative ? (type) integer.negative : (type) integer.natural;                 \
                                                                                                   \
      memcpy (item, &item_, sizeof (item_));                                                       \
      return is_negative ? integer.negative >= (least) : integer.natural <= (greatest);            \
    }

static gboolean
store_integer (const ShmNumber *number, ShmDtype dtype, gpointer item)
{
  ShmNumber integer;
  gboolean is_negative;

  if (!shm_number_to_integer (number, &integer))
    return FALSE;

  is_negative = integer.kind == SHM_NUMBER_NEGATIVE;
  switch (dtype)
    {
      SHM_INTEGER_DTYPES (STORE_INTEGER)
    default:
      return FALSE;
    }
}

/* Stores one or two numbers, as doubles, or as floats rounded to the nearest; one that is too large
 * for a float does not fit.
 */
static gboolean
store_doubles (const double *values, gsize n_values, gboolean as_floats, gpointer item)
{
  float floats[2];

  if (!as_floats)
    {
      memcpy (item, values, n_values * sizeof (double));
      return TRUE;
    }

  for (gsize i = 0; i < n_values; i++)
    {
      floats[i] = (float) values[i];
      if (isfinite (values[i]) && !isfinite (floats[i]))
        return FALSE;
    }
  memcpy (item, floats, n_values * sizeof (float));
  return TRUE;
}

/* Writes a number to @item, which is of any type but a record; what is there after a failure is
 * undefined.
 */
static gboolean
shm_number_store (const ShmNumber *number, ShmDtype dtype, gpointer item, GError **error)
{
  double parts[2] = { 0.0, 0.0 };
  gboolean is_real = shm_number_to_double (number, &parts[0]);
  gboolean fits;
  g_autofree char *text = NULL;

  switch (dtype)
    {
    case SHM_DTYPE_F4:
    case SHM_DTYPE_F8:
      fits = is_real && store_doubles (parts, 1, dtype == SHM_DTYPE_F4, item);
      break;
    case SHM_DTYPE_C8:
    case SHM_DTYPE_C16:
      if (number->kind == SHM_NUMBER_COMPLEX)
        parts[1] = number->imag;
      fits = store_doubles (parts, 2, dtype == SHM_DTYPE_C8, item);
      break;
    default:
      fits = store_integer (number, dtype, item);
    }
  if (fits)
    return TRUE;

  text = shm_number_to_string (number);
  g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
               _ ("%s does not fit into an item of type %s"), text, shm_dtype_to_string (dtype));
  return FALSE;
}

#define LOAD_INTEGER(dtype_, type, least, greatest, new_variant)                                   \
  case dtype_:                                                                                     \
    {                                                                                              \
      type item_;                                                                                  \
                                                                                                   \
      memcpy (&item_, item, sizeof (item_));                                                       \
      if ((least) == 0)                                                                            \
        return shm_number_from_uint64 (MIN ((guint64) item_, (greatest)));                         \
      return shm_number_from_int64 ((gint64) item_);                                               \
    }

/* Reads the number at @item, which is of any type but a record. A byte of a truth value that is
 * neither 0 nor 1 is true.
 */
static ShmNumber
shm_number_load (ShmDtype dtype, gconstpointer item)
{
  float floats[2];
  double doubles[2];

  switch (dtype)
    {
      SHM_INTEGER_DTYPES (LOAD_INTEGER)
    case SHM_DTYPE_F4:
      memcpy (floats, item, sizeof (float));
      return shm_number_from_double (floats[0]);
    case SHM_DTYPE_F8:
      memcpy (doubles, item, sizeof (double));
      return shm_number_from_double (doubles[0]);
    case SHM_DTYPE_C8:
      memcpy (floats, item, sizeof (floats));
      return shm_number_from_complex (floats[0], floats[1]);
    case SHM_DTYPE_C16:
      memcpy (doubles, item, sizeof (doubles));
      return shm_number_from_complex (doubles[0], doubles[1]);
    case SHM_DTYPE_RECORD:
    default:
      g_assert_not_reached ();
    }
}

#define NEW_VARIANT(dtype_, type, least, greatest, new_variant)                                    \
  case dtype_:                                                                                     \
    return new_variant (number->kind == SHM_NUMBER_NEGATIVE ? (type) number->negative              \
                                                            : (type) number->natural);

/* Makes a floating variant of the number; @dtype is that of the item which it comes from. */
static GVariant *
shm_number_to_variant (const ShmNumber *number, ShmDtype dtype)
{
  switch (dtype)
    {
      SHM_INTEGER_DTYPES (NEW_VARIANT)
    case SHM_DTYPE_F4:
    case SHM_DTYPE_F8:
      return g_variant_new_double (number->real);
    case SHM_DTYPE_C8:
    case SHM_DTYPE_C16:
      return g_variant_new ("(dd)", number->real, number->imag);
    case SHM_DTYPE_RECORD:
    default:
      g_assert_not_reached ();
    }
}

/* Finds the bytes of an item with @value, which is to be written: in @buffer, or, for a record, in
 * @value itself.
 */
const guint8 *
shm_array_encode_item (ShmArray *self, GVariant *value, ShmItemBuffer *buffer, GError **error)
{
  ShmNumber number;
  gsize n_bytes;

  if (!shm_array_check_writable (self, error))
    return NULL;

  if (self->dtype == SHM_DTYPE_RECORD && g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    {
      const guint8 *bytes = g_variant_get_fixed_array (value, &n_bytes, 1);

      if (n_bytes == self->item_size)
        return bytes;
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   shm_ngettext ("A record of this array has %zu byte, not %zu",
                                 "A record of this array has %zu bytes, not %zu", self->item_size),
                   self->item_size, n_bytes);
      return NULL;
    }

  if (self->dtype == SHM_DTYPE_RECORD || !shm_number_from_variant (value, &number))
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("A value of type “%s” cannot be stored in an item of type %s"),
                   g_variant_get_type_string (value), shm_dtype_to_string (self->dtype));
      return NULL;
    }
  if (!shm_number_store (&number, self->dtype, buffer->bytes, error))
    return NULL;
  return buffer->bytes;
}

/* Finds the item at an index; NULL with @error set if there is none. */
guint8 *
shm_array_locate (ShmArray *self, const gsize *index, gsize n_index, GError **error)
{
  guint8 *item = self->data;

  if (!shm_array_check_open (self, error))
    return NULL;
  if (n_index != self->n_dims)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS,
                   shm_ngettext ("An index of length %zu does not fit an array of %zu dimension",
                                 "An index of length %zu does not fit an array of %zu dimensions",
                                 self->n_dims),
                   n_index, self->n_dims);
      return NULL;
    }

  /* All checks come before the first step, so that no pointer ever leaves the array. */
  for (gsize axis = 0; axis < n_index; axis++)
    {
      if (index[axis] >= self->shape[axis])
        {
          g_set_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS,
                       _ ("Index %zu is out of bounds for axis %zu of length %zu"), index[axis],
                       axis, self->shape[axis]);
          return NULL;
        }
    }
  for (gsize axis = 0; axis < n_index; axis++)
    item += (gssize) index[axis] * self->strides[axis];
  return item;
}

/* Like shm_array_locate(), for those who want a number in one piece. */
static guint8 *
shm_array_locate_number (
    ShmArray *self, const gsize *index, gsize n_index, gboolean may_be_complex, GError **error)
{
  gboolean is_complex = self->dtype == SHM_DTYPE_C8 || self->dtype == SHM_DTYPE_C16;

  if (self->dtype == SHM_DTYPE_RECORD || (is_complex && !may_be_complex))
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("An item of type %s is not a real number"),
                   shm_dtype_to_string (self->dtype));
      return NULL;
    }
  return shm_array_locate (self, index, n_index, error);
}

static gboolean
shm_array_set_number (
    ShmArray *self, const gsize *index, gsize n_index, const ShmNumber *number, GError **error)
{
  guint8 *item = shm_array_locate_number (self, index, n_index, TRUE, error);
  ShmItemBuffer buffer;

  if (item == NULL || !shm_array_check_writable (self, error) ||
      !shm_number_store (number, self->dtype, buffer.bytes, error))
    return FALSE;

  memcpy (item, buffer.bytes, self->item_size);
  return TRUE;
}

/**
 * shm_array_get_double:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @error: return location for a #GError
 *
 * Reads an item as a floating-point number. Integers of more than 53 bits are rounded.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; complex items and records are
 * %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: the number; 0 with @error set on failure, so check @error
 *
 * Since: 1.0
 */
double
shm_array_get_double (ShmArray *self, const gsize *index, gsize n_index, GError **error)
{
  const guint8 *item;
  ShmNumber number;
  double value;

  g_return_val_if_fail (SHM_IS_ARRAY (self), 0.0);
  g_return_val_if_fail (index != NULL || n_index == 0, 0.0);

  item = shm_array_locate_number (self, index, n_index, FALSE, error);
  if (item == NULL)
    return 0.0;

  number = shm_number_load (self->dtype, item);
  shm_number_to_double (&number, &value);
  return value;
}

/**
 * shm_array_set_double:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @value: the number to write
 * @error: return location for a #GError
 *
 * Writes a floating-point number to an item of any type but a record. It is rounded for a `float`;
 * in a complex item, the imaginary part becomes 0.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; records, and a @value that does
 * not fit the item type, such as 2.5 for an integer, are %SHM_ERROR_INVALID_ARGUMENT; an array that may
 * only be read gives %SHM_ERROR_READ_ONLY.
 *
 * Returns: %TRUE, or %FALSE with @error set, and nothing written
 *
 * Since: 1.0
 */
gboolean
shm_array_set_double (
    ShmArray *self, const gsize *index, gsize n_index, double value, GError **error)
{
  ShmNumber number = shm_number_from_double (value);

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail (index != NULL || n_index == 0, FALSE);

  return shm_array_set_number (self, index, n_index, &number, error);
}

/**
 * shm_array_get_int64:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @error: return location for a #GError
 *
 * Reads an item as an integer.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; complex items, records, and an
 * item that is not an integer from %G_MININT64 to %G_MAXINT64 are %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: the number; 0 with @error set on failure, so check @error
 *
 * Since: 1.0
 */
gint64
shm_array_get_int64 (ShmArray *self, const gsize *index, gsize n_index, GError **error)
{
  const guint8 *item;
  ShmNumber number;
  gint64 value = 0;

  g_return_val_if_fail (SHM_IS_ARRAY (self), 0);
  g_return_val_if_fail (index != NULL || n_index == 0, 0);

  item = shm_array_locate_number (self, index, n_index, FALSE, error);
  if (item == NULL)
    return 0;

  number = shm_number_load (self->dtype, item);
  if (!store_integer (&number, SHM_DTYPE_I8, &value))
    {
      g_autofree char *text = shm_number_to_string (&number);

      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("%s, an item of type %s, is not a signed integer of 64 bits"), text,
                   shm_dtype_to_string (self->dtype));
      return 0;
    }
  return value;
}

/**
 * shm_array_set_int64:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @value: the number to write
 * @error: return location for a #GError
 *
 * Writes an integer to an item of any type but a record. It is rounded to what a floating-point
 * item can hold; in a complex item, the imaginary part becomes 0.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; records, and a @value that is
 * out of the item type's range, are %SHM_ERROR_INVALID_ARGUMENT; an array that may
 * only be read gives %SHM_ERROR_READ_ONLY.
 *
 * Returns: %TRUE, or %FALSE with @error set, and nothing written
 *
 * Since: 1.0
 */
gboolean
shm_array_set_int64 (
    ShmArray *self, const gsize *index, gsize n_index, gint64 value, GError **error)
{
  ShmNumber number = shm_number_from_int64 (value);

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail (index != NULL || n_index == 0, FALSE);

  return shm_array_set_number (self, index, n_index, &number, error);
}

/* The bytes of a record as a floating variant. Records can be large, so running out of memory is an
 * error here.
 */
static GVariant *
record_to_variant (const guint8 *item, gsize item_size, GError **error)
{
  guint8 *copy = g_try_malloc (item_size);

  if (copy == NULL)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                   _ ("There is no memory for a copy of a record of %zu bytes"), item_size);
      return NULL;
    }
  memcpy (copy, item, item_size);
  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, copy, item_size, TRUE, g_free, copy);
}

/**
 * shm_array_get_value:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @error: return location for a #GError
 *
 * Reads an item of any type. The variant's type is "b" for truth values, "n", "n", "i", "x" for
 * signed integers of 1, 2, 4 and 8 bytes, "y", "q", "u", "t" for unsigned ones, "d" for
 * floating-point numbers,
 * "(dd)" for complex ones, and "ay" for records.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS.
 *
 * Returns: (transfer full): the item, not floating, or %NULL with @error set
 *
 * Since: 1.0
 */
GVariant *
shm_array_get_value (ShmArray *self, const gsize *index, gsize n_index, GError **error)
{
  const guint8 *item;
  GVariant *value;

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);
  g_return_val_if_fail (index != NULL || n_index == 0, NULL);

  item = shm_array_locate (self, index, n_index, error);
  if (item == NULL)
    return NULL;

  if (self->dtype == SHM_DTYPE_RECORD)
    {
      value = record_to_variant (item, self->item_size, error);
    }
  else
    {
      ShmNumber number = shm_number_load (self->dtype, item);

      value = shm_number_to_variant (&number, self->dtype);
    }
  return value != NULL ? g_variant_ref_sink (value) : NULL;
}

/**
 * shm_array_set_value:
 * @self: an array
 * @index: (array length=n_index) (nullable): the index on each axis, from 0
 * @n_index: the number of indices, that of the dimensions
 * @value: the number, or for a record its bytes; if it is floating, it is consumed
 * @error: return location for a #GError
 *
 * Writes an item of any type. Numbers may come as variants of any of the types "b", "y", "n", "q",
 * "i", "u", "x", "t", "d" and "(dd)", whatever the item type, if it can hold them: floating-point
 * items hold the nearest number, all others exactly the given one. Records come as "ay" of exactly
 * the item size.
 *
 * An index that is not in the array is a %SHM_ERROR_OUT_OF_BOUNDS; a @value that is of another
 * type, or does not fit, such as 300 for an unsigned byte, 2.5 for an integer, or a complex number
 * with an imaginary part for a real one, is a %SHM_ERROR_INVALID_ARGUMENT; an array that may
 * only be read gives %SHM_ERROR_READ_ONLY.
 *
 * Returns: %TRUE, or %FALSE with @error set, and nothing written
 *
 * Since: 1.0
 */
gboolean
shm_array_set_value (
    ShmArray *self, const gsize *index, gsize n_index, GVariant *value, GError **error)
{
  g_autoptr (GVariant) sunk = NULL;
  ShmItemBuffer buffer;
  const guint8 *source;
  guint8 *item;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail (index != NULL || n_index == 0, FALSE);
  g_return_val_if_fail (value != NULL, FALSE);

  sunk = g_variant_ref_sink (value);
  item = shm_array_locate (self, index, n_index, error);
  if (item == NULL)
    return FALSE;
  source = shm_array_encode_item (self, sunk, &buffer, error);
  if (source == NULL)
    return FALSE;

  /* The bytes of a record may be those of the array itself. */
  memmove (item, source, self->item_size);
  return TRUE;
}
