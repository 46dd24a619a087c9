/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-npy-private.h"

#include "shm-dtype-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <string.h>

/* The header of numpy's .npy files, as numpy.lib.format describes it: a magic number, a version, a
 * length in little endian, and the text of a Python dictionary with three keys. The text is read by
 * a parser of its own, which knows only what numpy writes there, and never calls itself: so no
 * header, however hostile, costs more than one walk along it.
 */

#define MAGIC "\x93NUMPY"
#define MAGIC_LENGTH 6
#define ALIGNMENT 64
#define MAX_STRING 32

typedef enum
{
  KEY_DESCR = 1 << 0,
  KEY_FORTRAN_ORDER = 1 << 1,
  KEY_SHAPE = 1 << 2,
  ALL_KEYS = KEY_DESCR | KEY_FORTRAN_ORDER | KEY_SHAPE,
} Keys;

typedef struct
{
  const char *text;
  gsize length;
  gsize at;
  ShmNpyHeader *header;
} Parser;

static gboolean
fail (GError **error, const char *message)
{
  g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT, message);
  return FALSE;
}

/* What the parser is at; 0 at the end. A zero byte is nothing that a header may hold, so the two
 * need no distinction.
 */
static char
peek (const Parser *self)
{
  return self->at < self->length ? self->text[self->at] : '\0';
}

static void
skip_space (Parser *self)
{
  while (peek (self) != '\0' && strchr (" \t\r\n\f", peek (self)) != NULL)
    self->at++;
}

static gboolean
skip (Parser *self, char c)
{
  skip_space (self);
  if (peek (self) != c)
    return FALSE;
  self->at++;
  return TRUE;
}

static gboolean
unexpected (const Parser *self, GError **error)
{
  if (self->at >= self->length)
    return fail (error, _ ("the header ends too early"));

  g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
               _ ("byte %zu of the header, 0x%02x, makes no sense"), self->at,
               (guint) (guint8) self->text[self->at]);
  return FALSE;
}

/* A short string of printable ASCII, which needs no escapes. */
static gboolean
parse_string (Parser *self, char string[MAX_STRING], GError **error)
{
  gsize length = 0;
  char quote;

  skip_space (self);
  quote = peek (self);
  if (quote != '\'' && quote != '"')
    return unexpected (self, error);

  for (self->at++; peek (self) != quote; self->at++)
    {
      if (!g_ascii_isprint (peek (self)) || peek (self) == '\\' || length == MAX_STRING - 1)
        return unexpected (self, error);
      string[length++] = peek (self);
    }
  string[length] = '\0';
  self->at++;
  return TRUE;
}

static gboolean
parse_descr (Parser *self, GError **error)
{
  char descr[MAX_STRING];

  skip_space (self);
  if (peek (self) == '[')
    return fail (error, _ ("the items are structures with fields, which are not supported"));

  return parse_string (self, descr, error) &&
         shm_dtype_parse (descr, &self->header->dtype, &self->header->item_size, error);
}

static gboolean
parse_fortran_order (Parser *self, GError **error)
{
  static const char *const words[] = { "False", "True" };

  skip_space (self);
  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    {
      gsize length = strlen (words[i]);

      if (self->length - self->at < length || memcmp (self->text + self->at, words[i], length) != 0)
        continue;
      self->at += length;
      self->header->is_fortran_order = i == 1;
      return TRUE;
    }
  return unexpected (self, error);
}

static gboolean
parse_length (Parser *self, gsize *length, GError **error)
{
  gboolean fits = TRUE;

  if (peek (self) == '-')
    return fail (error, _ ("the length of an axis is negative"));
  if (!g_ascii_isdigit (peek (self)))
    return unexpected (self, error);

  *length = 0;
  for (; g_ascii_isdigit (peek (self)); self->at++)
    {
      gsize digit = (gsize) g_ascii_digit_value (peek (self));

      fits = fits && g_size_checked_mul (length, *length, 10) &&
             g_size_checked_add (length, *length, digit);
    }
  /* Python 2 wrote long numbers so. */
  if (peek (self) == 'L')
    self->at++;
  return fits || fail (error, _ ("the length of an axis is too large"));
}

/* In Python a pair of parentheses with one number and no comma is no tuple. */
static gboolean
parse_shape (Parser *self, GError **error)
{
  ShmNpyHeader *header = self->header;
  gboolean has_comma = TRUE;

  header->n_dims = 0;
  if (!skip (self, '('))
    return unexpected (self, error);

  while (!skip (self, ')'))
    {
      if (!has_comma)
        return unexpected (self, error);
      if (header->n_dims == SHM_ARRAY_MAX_DIMS)
        return fail (error, _ ("there are too many dimensions"));
      if (!parse_length (self, &header->shape[header->n_dims++], error))
        return FALSE;
      has_comma = skip (self, ',');
    }
  if (header->n_dims == 1 && !has_comma)
    return fail (error, _ ("the shape is not a tuple"));
  return TRUE;
}

static gboolean
parse_entry (Parser *self, Keys *seen, GError **error)
{
  static const struct
  {
    const char *name;
    Keys key;
    gboolean (*parse) (Parser *self, GError **error);
  } entries[] = {
    { "descr", KEY_DESCR, parse_descr },
    { "fortran_order", KEY_FORTRAN_ORDER, parse_fortran_order },
    { "shape", KEY_SHAPE, parse_shape },
  };
  char name[MAX_STRING];

  if (!parse_string (self, name, error))
    return FALSE;
  if (!skip (self, ':'))
    return unexpected (self, error);

  for (gsize i = 0; i < G_N_ELEMENTS (entries); i++)
    {
      if (strcmp (name, entries[i].name) != 0 || (*seen & entries[i].key) != 0)
        continue;
      *seen |= entries[i].key;
      return entries[i].parse (self, error);
    }
  g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
               _ ("the header has an unknown or repeated key “%s”"), name);
  return FALSE;
}

static gboolean
parse_dictionary (Parser *self, GError **error)
{
  gboolean has_comma = TRUE;
  Keys seen = 0;

  if (!skip (self, '{'))
    return unexpected (self, error);
  while (!skip (self, '}'))
    {
      if (!has_comma)
        return unexpected (self, error);
      if (!parse_entry (self, &seen, error))
        return FALSE;
      has_comma = skip (self, ',');
    }
  if (seen != ALL_KEYS)
    return fail (error, _ ("the header lacks “descr”, “fortran_order” or “shape”"));

  skip_space (self);
  return self->at == self->length || unexpected (self, error);
}

/* Reads the header from the first bytes of a file. What it says fits together if an array of that
 * shape can be laid out; whether the file has so many items is another question.
 */
gboolean
shm_npy_parse (const guint8 *bytes, gsize n_bytes, ShmNpyHeader *header, GError **error)
{
  gsize size_of_length;
  guint64 length = 0;
  Parser parser;

  memset (header, 0, sizeof (*header));
  if (n_bytes < MAGIC_LENGTH + 2 || memcmp (bytes, MAGIC, MAGIC_LENGTH) != 0)
    return fail (error, _ ("this is not a .npy file"));
  if (bytes[MAGIC_LENGTH] < 1 || bytes[MAGIC_LENGTH] > 3 || bytes[MAGIC_LENGTH + 1] != 0)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("version %u.%u of the format is not known"), bytes[MAGIC_LENGTH],
                   bytes[MAGIC_LENGTH + 1]);
      return FALSE;
    }

  size_of_length = bytes[MAGIC_LENGTH] == 1 ? 2 : 4;
  header->offset = MAGIC_LENGTH + 2 + size_of_length;
  if (n_bytes < header->offset)
    return fail (error, _ ("the header ends too early"));
  for (gsize i = size_of_length; i-- > 0;)
    length = length << 8 | bytes[MAGIC_LENGTH + 2 + i];
  if (length > SHM_NPY_MAX_HEADER - header->offset)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("a header of %llu bytes is too long"), (unsigned long long) length);
      return FALSE;
    }
  if (n_bytes - header->offset < length)
    return fail (error, _ ("the header ends too early"));

  parser = (Parser){ (const char *) bytes + header->offset, (gsize) length, 0, header };
  header->offset += (gsize) length;
  return parse_dictionary (&parser, error);
}

/* Writes a header of version 1.0, which has room for all that an array can be. */
GBytes *
shm_npy_format (ShmDtype dtype, gsize item_size, const gsize *shape, gsize n_dims)
{
  g_autofree char *descr = shm_dtype_describe (dtype, item_size);
  GString *header = g_string_new (NULL);
  gsize length;

  g_string_append_len (header, MAGIC "\1\0\0\0", MAGIC_LENGTH + 4);
  g_string_append_printf (header, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
  for (gsize axis = 0; axis < n_dims; axis++)
    g_string_append_printf (header, axis == 0 ? "%zu," : " %zu,", shape[axis]);
  if (n_dims > 1)
    g_string_truncate (header, header->len - 1);
  g_string_append (header, "), }");

  while ((header->len + 1) % ALIGNMENT != 0)
    g_string_append_c (header, ' ');
  g_string_append_c (header, '\n');

  length = header->len - MAGIC_LENGTH - 4;
  header->str[MAGIC_LENGTH + 2] = (char) (length & 0xff);
  header->str[MAGIC_LENGTH + 3] = (char) (length >> 8);
  return g_string_free_to_bytes (header);
}
