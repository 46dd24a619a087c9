/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-array-private.h"
#include "shm-decimal-private.h"

#include <math.h>
#include <string.h>

/* Arrays as text, in the manner of numpy. Two walks go through the items that are shown: the first
 * one measures them, the second one writes them, so that they stand in columns. A record has a
 * column for each field.
 */

#define LINE_WIDTH 75
#define MOST_ITEMS 1000
#define EDGE_ITEMS 3

/* How the numbers of a column are written, and what there is of them to tell. */
typedef struct
{
  gboolean is_single;
  gboolean has_plus;

  gboolean has_finite;
  gboolean has_other;
  gboolean has_negative_infinity;
  double least;
  double greatest;
  /* the widths of plain numbers: before the point, with the sign, and behind it */
  gsize n_before;
  gsize n_behind;
  /* the same for numbers with an exponent, and its digits */
  gsize n_before_exp;
  gsize n_behind_exp;
  gsize n_exponent;

  /* what follows from them */
  gboolean use_exponent;
  gsize pad_left;
  gsize pad_right;
} ShmRealStyle;

typedef struct
{
  ShmDtype dtype;
  gsize item_size;
  gsize offset;
  gsize n_items;
  /* NULL for what is not a field with axes of its own */
  const ShmArrayField *nested;
  gsize width;
  ShmRealStyle real;
  ShmRealStyle imag;
} ShmColumn;

typedef struct
{
  ShmArray *array;
  gboolean is_abridged;
  ShmColumn *columns;
  gsize n_columns;
  GString *text;
  GString *word;
} ShmPrinter;

static void
append_spaces (GString *text, gsize n)
{
  for (gsize i = 0; i < n; i++)
    g_string_append_c (text, ' ');
}

static const char *
real_sign (const ShmRealStyle *style, double value)
{
  return signbit (value) ? "-" : style->has_plus ? "+" : "";
}

/* The digit for the power of ten @power. */
static char
decimal_digit (const ShmDecimal *decimal, int power)
{
  int place = decimal->exponent - power;

  return place >= 0 && place < (int) decimal->n_digits ? decimal->digits[place] : '0';
}

static gsize
decimal_count_before (const ShmDecimal *decimal)
{
  return (gsize) MAX (decimal->exponent, 0) + 1;
}

static gsize
decimal_count_behind (const ShmDecimal *decimal)
{
  return (gsize) MAX ((int) decimal->n_digits - 1 - decimal->exponent, 0);
}

static gsize
count_digits (int exponent)
{
  return ABS (exponent) >= 100 ? 3 : 2;
}

static void
shm_real_style_measure (ShmRealStyle *style, double value)
{
  ShmDecimal decimal;
  gsize n_sign = strlen (real_sign (style, value));
  double size = fabs (value);

  if (!isfinite (value))
    {
      style->has_other = TRUE;
      style->has_negative_infinity = style->has_negative_infinity || value < 0.0;
      return;
    }

  shm_decimal_shortest (&decimal, value, style->is_single);
  style->has_finite = TRUE;
  style->n_before = MAX (style->n_before, n_sign + decimal_count_before (&decimal));
  style->n_behind = MAX (style->n_behind, decimal_count_behind (&decimal));
  style->n_before_exp = MAX (style->n_before_exp, n_sign + 1);
  style->n_behind_exp = MAX (style->n_behind_exp, decimal.n_digits - 1);
  style->n_exponent = MAX (style->n_exponent, count_digits (decimal.exponent));
  if (size > 0.0)
    {
      style->least = style->least > 0.0 ? MIN (style->least, size) : size;
      style->greatest = MAX (style->greatest, size);
    }
}

/* Exponents are used where there are large or small numbers, or both in one column. */
static void
shm_real_style_settle (ShmRealStyle *style)
{
  if (style->least > 0.0)
    {
      double ratio = style->greatest / style->least;

      if (style->is_single)
        ratio = (float) ratio;
      style->use_exponent = style->greatest >= 1e8 || ratio > 1000.0 ||
                            style->least < (style->is_single ? 0.0001f : 0.0001);
    }

  if (style->has_finite)
    {
      style->pad_left = style->use_exponent ? style->n_before_exp : style->n_before;
      style->pad_right =
          style->use_exponent ? style->n_behind_exp + 2 + style->n_exponent : style->n_behind;
    }
  if (style->has_other)
    {
      gsize n_infinity = style->has_plus || style->has_negative_infinity ? 4 : 3;

      style->pad_left = MAX (style->pad_left, n_infinity - MIN (n_infinity, style->pad_right + 1));
    }
}

/* A number with an exponent: all of a column have the same number of digits. */
static void
append_with_exponent (GString *text, const ShmRealStyle *style, double value)
{
  ShmDecimal decimal;

  shm_decimal_shortest (&decimal, value, style->is_single);
  if (decimal.n_digits < style->n_behind_exp + 1)
    shm_decimal_round (&decimal, value, style->n_behind_exp + 1);
  append_spaces (text, style->pad_left - strlen (real_sign (style, value)) - 1);
  g_string_append_printf (text, "%s%c.%.*se%c%0*d", real_sign (style, value), decimal.digits[0],
                          (int) decimal.n_digits - 1, decimal.digits + 1,
                          decimal.exponent < 0 ? '-' : '+', (int) style->n_exponent,
                          ABS (decimal.exponent));
}

static void
append_plain (GString *text, const ShmRealStyle *style, double value)
{
  ShmDecimal decimal;
  const char *sign = real_sign (style, value);
  gsize n_before, n_behind;

  shm_decimal_shortest (&decimal, value, style->is_single);
  /* All digits before the point are shown, even if fewer would do. */
  if ((int) decimal.n_digits <= decimal.exponent)
    shm_decimal_round (&decimal, value, (gsize) decimal.exponent + 1);
  n_before = decimal_count_before (&decimal);
  n_behind = decimal_count_behind (&decimal);

  append_spaces (text, style->pad_left - strlen (sign) - n_before);
  g_string_append (text, sign);
  for (gsize i = n_before; i-- > 0;)
    g_string_append_c (text, decimal_digit (&decimal, (int) i));
  g_string_append_c (text, '.');
  for (gsize i = 1; i <= n_behind; i++)
    g_string_append_c (text, decimal_digit (&decimal, -(int) i));
  append_spaces (text, style->pad_right - n_behind);
}

static void
append_real (GString *text, const ShmRealStyle *style, double value)
{
  if (isfinite (value))
    {
      if (style->use_exponent)
        append_with_exponent (text, style, value);
      else
        append_plain (text, style, value);
    }
  else
    {
      const char *sign = isnan (value) && !style->has_plus ? "" : real_sign (style, value);
      const char *word = isnan (value) ? "nan" : "inf";
      gsize width = style->pad_left + style->pad_right + 1;

      if (isnan (value) && style->has_plus)
        sign = "+";
      append_spaces (text, width - MIN (width, strlen (sign) + 3));
      g_string_append (text, sign);
      g_string_append (text, word);
    }
}

/* The j stands before the spaces that fill the column. */
static void
append_imaginary (GString *text, const ShmRealStyle *style, double value)
{
  gsize end;

  append_real (text, style, value);
  end = text->len;
  while (text->str[end - 1] == ' ')
    end--;
  g_string_insert_c (text, (gssize) end, 'j');
}

static void
load_parts (ShmDtype dtype, const guint8 *item, double *parts)
{
  gsize n_parts = dtype == SHM_DTYPE_C8 || dtype == SHM_DTYPE_C16 ? 2 : 1;
  float floats[2];

  if (dtype == SHM_DTYPE_F8 || dtype == SHM_DTYPE_C16)
    {
      memcpy (parts, item, n_parts * sizeof (double));
      return;
    }
  memcpy (floats, item, n_parts * sizeof (float));
  for (gsize i = 0; i < n_parts; i++)
    parts[i] = floats[i];
}

static void
append_integer (GString *text, ShmDtype dtype, const guint8 *item)
{
  union
  {
    gint8 i1;
    gint16 i2;
    gint32 i4;
    gint64 i8;
    guint8 u1;
    guint16 u2;
    guint32 u4;
    guint64 u8;
  } number;

  memcpy (&number, item, shm_dtype_get_size (dtype));
  switch (dtype)
    {
    case SHM_DTYPE_I1:
      g_string_append_printf (text, "%d", number.i1);
      break;
    case SHM_DTYPE_I2:
      g_string_append_printf (text, "%d", number.i2);
      break;
    case SHM_DTYPE_I4:
      g_string_append_printf (text, "%d", number.i4);
      break;
    case SHM_DTYPE_I8:
      g_string_append_printf (text, "%" G_GINT64_FORMAT, number.i8);
      break;
    case SHM_DTYPE_U1:
      g_string_append_printf (text, "%u", number.u1);
      break;
    case SHM_DTYPE_U2:
      g_string_append_printf (text, "%u", number.u2);
      break;
    case SHM_DTYPE_U4:
      g_string_append_printf (text, "%u", number.u4);
      break;
    default:
      g_string_append_printf (text, "%" G_GUINT64_FORMAT, number.u8);
    }
}

static void
append_bytes (GString *text, const guint8 *item, gsize item_size)
{
  g_string_append (text, "b'");
  for (gsize i = 0; i < item_size; i++)
    g_string_append_printf (text, "\\x%02X", item[i]);
  g_string_append_c (text, '\'');
}

static void
shm_column_measure (ShmColumn *column, const guint8 *item, GString *scratch)
{
  double parts[2];

  switch (column->dtype)
    {
    case SHM_DTYPE_BOOL:
    case SHM_DTYPE_RECORD:
      break;
    case SHM_DTYPE_C8:
    case SHM_DTYPE_C16:
      load_parts (column->dtype, item, parts);
      shm_real_style_measure (&column->real, parts[0]);
      shm_real_style_measure (&column->imag, parts[1]);
      break;
    case SHM_DTYPE_F4:
    case SHM_DTYPE_F8:
      load_parts (column->dtype, item, parts);
      shm_real_style_measure (&column->real, parts[0]);
      break;
    default:
      g_string_truncate (scratch, 0);
      append_integer (scratch, column->dtype, item);
      column->width = MAX (column->width, scratch->len);
    }
}

static void
shm_column_append (const ShmColumn *column, const guint8 *item, GString *text)
{
  gsize begin = text->len;
  double parts[2];

  switch (column->dtype)
    {
    case SHM_DTYPE_BOOL:
      append_spaces (text, *item != 0 ? column->width - 4 : 0);
      g_string_append (text, *item != 0 ? "True" : "False");
      break;
    case SHM_DTYPE_RECORD:
      append_bytes (text, item, column->item_size);
      break;
    case SHM_DTYPE_C8:
    case SHM_DTYPE_C16:
      load_parts (column->dtype, item, parts);
      append_real (text, &column->real, parts[0]);
      append_imaginary (text, &column->imag, parts[1]);
      break;
    case SHM_DTYPE_F4:
    case SHM_DTYPE_F8:
      load_parts (column->dtype, item, parts);
      append_real (text, &column->real, parts[0]);
      break;
    default:
      append_integer (text, column->dtype, item);
      while (text->len - begin < column->width)
        g_string_insert_c (text, (gssize) begin, ' ');
    }
}

/* A field that is an array itself: all on one line, with commas. */
static const guint8 *
shm_column_append_nested (const ShmColumn *column, gsize axis, const guint8 *item, GString *text)
{
  if (axis == column->nested->n_dims)
    {
      shm_column_append (column, item, text);
      return item + column->item_size;
    }

  g_string_append_c (text, '[');
  for (gsize i = 0; i < column->nested->shape[axis]; i++)
    {
      if (i > 0)
        g_string_append (text, ", ");
      item = shm_column_append_nested (column, axis + 1, item, text);
    }
  g_string_append_c (text, ']');
  return item;
}

static void
shm_printer_set_up_column (ShmColumn *column, ShmArray *array, const ShmArrayField *field)
{
  gboolean is_nested = field != NULL && field->n_dims > 0;

  column->dtype = field != NULL ? field->dtype : array->dtype;
  column->item_size = field != NULL ? field->item_size : array->item_size;
  column->offset = field != NULL ? field->offset : 0;
  column->n_items = is_nested ? shm_array_field_count (field) : 1;
  column->nested = is_nested ? field : NULL;
  if (column->dtype == SHM_DTYPE_BOOL)
    column->width = array->n_dims == 0 && !is_nested ? 4 : 5;
  column->real.is_single = column->dtype == SHM_DTYPE_F4 || column->dtype == SHM_DTYPE_C8;
  column->imag.is_single = column->real.is_single;
  column->imag.has_plus = TRUE;
}

/* The index after @i on an axis, past the items that are left out. */
static gsize
shm_printer_next (const ShmPrinter *self, gsize axis, gsize i)
{
  gsize length = self->array->shape[axis];

  i++;
  if (self->is_abridged && length > 2 * EDGE_ITEMS && i == EDGE_ITEMS)
    return length - EDGE_ITEMS;
  return i;
}

static void
shm_printer_measure (ShmPrinter *self, gsize axis, const guint8 *item)
{
  if (axis < self->array->n_dims)
    {
      gssize stride = self->array->strides[axis];

      for (gsize i = 0; i < self->array->shape[axis]; i = shm_printer_next (self, axis, i))
        shm_printer_measure (self, axis + 1, item + (gssize) i * stride);
      return;
    }

  for (gsize i = 0; i < self->n_columns; i++)
    {
      ShmColumn *column = &self->columns[i];

      for (gsize j = 0; j < column->n_items; j++)
        shm_column_measure (column, item + column->offset + j * column->item_size, self->word);
    }
}

static void
shm_printer_append_item (ShmPrinter *self, const guint8 *item, GString *text)
{
  if (self->array->fields == NULL)
    {
      shm_column_append (&self->columns[0], item, text);
      return;
    }

  g_string_append_c (text, '(');
  for (gsize i = 0; i < self->n_columns; i++)
    {
      const ShmColumn *column = &self->columns[i];

      if (i > 0)
        g_string_append (text, ", ");
      if (column->nested != NULL)
        shm_column_append_nested (column, 0, item + column->offset, text);
      else
        shm_column_append (column, item + column->offset, text);
    }
  g_string_append (text, self->n_columns == 1 ? ",)" : ")");
}

/* The last axis: items side by side, on a new line where they do not fit. */
static void
shm_printer_append_row (ShmPrinter *self, const guint8 *item, gsize indent)
{
  gsize axis = self->array->n_dims - 1;
  gsize width = LINE_WIDTH - self->array->n_dims;
  gsize line = indent;
  gsize i = 0;

  g_string_append_c (self->text, '[');
  while (i < self->array->shape[axis])
    {
      gsize next = shm_printer_next (self, axis, i);
      gboolean skips = next > i + 1;

      g_string_truncate (self->word, 0);
      shm_printer_append_item (self, item + (gssize) i * self->array->strides[axis], self->word);
      for (guint n_words = skips ? 2 : 1; n_words > 0; n_words--)
        {
          if (line > indent && line + self->word->len > width)
            {
              while (self->text->str[self->text->len - 1] == ' ')
                g_string_truncate (self->text, self->text->len - 1);
              g_string_append_c (self->text, '\n');
              append_spaces (self->text, indent);
              line = indent;
            }
          g_string_append_len (self->text, self->word->str, (gssize) self->word->len);
          line += self->word->len;
          if (n_words > 1 || next < self->array->shape[axis])
            {
              g_string_append_c (self->text, ' ');
              line++;
            }
          g_string_assign (self->word, "...");
        }
      i = next;
    }
  g_string_append_c (self->text, ']');
}

/* The other axes: below each other, with empty lines between those of more than one axis. */
static void
shm_printer_append_axis (ShmPrinter *self, gsize axis, const guint8 *item, gsize indent)
{
  gsize n_lines = self->array->n_dims - axis - 1;
  gsize length = self->array->shape[axis];
  gsize next;

  if (n_lines == 0)
    {
      shm_printer_append_row (self, item, indent);
      return;
    }

  g_string_append_c (self->text, '[');
  for (gsize i = 0; i < length; i = next)
    {
      next = shm_printer_next (self, axis, i);
      shm_printer_append_axis (self, axis + 1, item + (gssize) i * self->array->strides[axis],
                               indent + 1);
      for (guint n_breaks = next == length ? 0 : next > i + 1 ? 2 : 1; n_breaks > 0; n_breaks--)
        {
          for (gsize j = 0; j < n_lines; j++)
            g_string_append_c (self->text, '\n');
          append_spaces (self->text, indent);
          if (n_breaks == 2)
            g_string_append (self->text, "...");
        }
    }
  g_string_append_c (self->text, ']');
}

/**
 * shm_array_to_string:
 * @self: an array or a view
 *
 * Writes the items as text, for people to read: as numpy does, each floating-point number with as
 * many digits as it needs to be told from all others. That is what `numpy.array2string()` makes
 * with the `floatmode` "unique". Of more than 1000 items, the first and the last three of each axis
 * are shown, with three dots in between. Records are shown by their fields, or as bytes if they
 * have none. The text does not depend on the locale.
 *
 * Returns: (transfer full): the text, without a line break at its end; "closed" if @self is closed
 *
 * Since: 1.0
 */
char *
shm_array_to_string (ShmArray *self)
{
  g_autofree ShmColumn *columns = NULL;
  g_autoptr (GString) word = g_string_new (NULL);
  ShmPrinter printer = { .array = self, .word = word };

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  if (self->is_closed)
    return g_strdup ("closed");
  if (self->n_elements == 0)
    return g_strdup ("[]");

  printer.is_abridged = self->n_elements > MOST_ITEMS;
  printer.n_columns = self->fields != NULL ? self->fields->len : 1;
  printer.columns = columns = g_new0 (ShmColumn, printer.n_columns);
  for (gsize i = 0; i < printer.n_columns; i++)
    shm_printer_set_up_column (&columns[i], self,
                               self->fields != NULL ? g_ptr_array_index (self->fields, i) : NULL);

  printer.text = g_string_new (NULL);
  shm_printer_measure (&printer, 0, self->data);
  for (gsize i = 0; i < printer.n_columns; i++)
    {
      shm_real_style_settle (&columns[i].real);
      shm_real_style_settle (&columns[i].imag);
    }
  if (self->n_dims == 0)
    shm_printer_append_item (&printer, self->data, printer.text);
  else
    shm_printer_append_axis (&printer, 0, self->data, 1);
  return g_string_free (printer.text, FALSE);
}
