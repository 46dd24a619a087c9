/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-array-iter.h"
#include "shm-array-private.h"
#include "shm-dtype-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <string.h>

/* Arrays from bytes, and as variants, and back. What comes in may come from anywhere, so all of it
 * is checked.
 */

#define SHM_ARRAY_VARIANT_TYPE ((const GVariantType *) "(sata(sstat)ay)")

/* An array with a copy of what is at @data. Its size is compared before the memory is asked for,
 * since the shape may be anyone's.
 */
static ShmArray *
shm_array_new_from_items (ShmDtype dtype,
                          gsize item_size,
                          const gsize *shape,
                          gsize n_dims,
                          const guint8 *data,
                          gsize n_bytes,
                          GError **error)
{
  g_autoptr (ShmArray) layout = NULL;
  ShmArray *self;

  g_return_val_if_fail ((guint) dtype <= SHM_DTYPE_RECORD, NULL);
  g_return_val_if_fail (shape != NULL || n_dims == 0, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  layout = shm_array_new_laid_out (dtype, item_size, shape, n_dims, error);
  if (layout == NULL)
    return NULL;

  if (n_bytes != shm_array_get_n_bytes (layout))
    {
      g_autofree char *text = shm_shape_to_string (shape, n_dims);

      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   shm_ngettext ("An array of type %s and shape %s has %zu byte, not %zu",
                                 "An array of type %s and shape %s has %zu bytes, not %zu",
                                 shm_array_get_n_bytes (layout)),
                   shm_dtype_to_string (dtype), text, shm_array_get_n_bytes (layout), n_bytes);
      return NULL;
    }
  self = shm_array_new_full (dtype, item_size, shape, n_dims, SHM_ARRAY_FLAGS_NONE, error);
  if (self != NULL && n_bytes > 0)
    memcpy (self->data, data, n_bytes);
  return self;
}

/**
 * shm_array_new_from_data:
 * @dtype: the type of the items, not %SHM_DTYPE_RECORD
 * @shape: (array length=n_dims) (nullable): the length of each axis
 * @n_dims: the number of dimensions, at most 32
 * @data: (array length=n_bytes) (nullable): the items, in C order and the machine's own byte order
 * @n_bytes: the size of @data, in bytes
 * @error: return location for a #GError
 *
 * Makes an array with a copy of the items at @data. If @n_bytes is not the size of such an array,
 * that is a %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: (transfer full): the array, or %NULL with @error set, also as by shm_array_new()
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_from_data (ShmDtype dtype,
                         const gsize *shape,
                         gsize n_dims,
                         const guint8 *data,
                         gsize n_bytes,
                         GError **error)
{
  g_return_val_if_fail (data != NULL || n_bytes == 0, NULL);

  return shm_array_new_from_items (dtype, 0, shape, n_dims, data, n_bytes, error);
}

/**
 * shm_array_new_from_bytes:
 * @dtype: the type of the items, not %SHM_DTYPE_RECORD
 * @shape: (array length=n_dims) (nullable): the length of each axis
 * @n_dims: the number of dimensions, at most 32
 * @bytes: the items, in C order and the machine's own byte order
 * @error: return location for a #GError
 *
 * Makes an array with a copy of the items in @bytes. If those are not of the size of such an array,
 * that is a %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: (transfer full): the array, or %NULL with @error set, also as by shm_array_new()
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_from_bytes (
    ShmDtype dtype, const gsize *shape, gsize n_dims, GBytes *bytes, GError **error)
{
  const guint8 *data;
  gsize n_bytes;

  g_return_val_if_fail (bytes != NULL, NULL);

  data = g_bytes_get_data (bytes, &n_bytes);
  return shm_array_new_from_data (dtype, shape, n_dims, data, n_bytes, error);
}

static GVariant *
shape_to_variant (const gsize *shape, gsize n_dims)
{
  GVariantBuilder lengths;

  g_variant_builder_init (&lengths, G_VARIANT_TYPE ("at"));
  for (gsize axis = 0; axis < n_dims; axis++)
    g_variant_builder_add (&lengths, "t", (guint64) shape[axis]);
  return g_variant_builder_end (&lengths);
}

static gboolean
shape_from_variant (GVariant *lengths, gsize *shape, gsize *n_dims, GError **error)
{
  *n_dims = g_variant_n_children (lengths);
  if (!shm_array_check_n_dims (*n_dims, error))
    return FALSE;

  for (gsize axis = 0; axis < *n_dims; axis++)
    {
      guint64 length;

      g_variant_get_child (lengths, axis, "t", &length);
      if (length > G_MAXSSIZE)
        {
          g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                       _ ("An axis cannot have a length of %llu"), (unsigned long long) length);
          return FALSE;
        }
      shape[axis] = (gsize) length;
    }
  return TRUE;
}

static GVariant *
shm_array_fields_to_variant (ShmArray *self)
{
  GVariantBuilder fields;

  g_variant_builder_init (&fields, G_VARIANT_TYPE ("a(sstat)"));
  for (guint i = 0; self->fields != NULL && i < self->fields->len; i++)
    {
      const ShmArrayField *field = g_ptr_array_index (self->fields, i);
      g_autofree char *type = shm_dtype_describe (field->dtype, field->item_size);

      g_variant_builder_add (&fields, "(sst@at)", field->name, type, (guint64) field->offset,
                             shape_to_variant (field->shape, field->n_dims));
    }
  return g_variant_builder_end (&fields);
}

static gboolean
shm_array_fields_from_variant (ShmArray *self, GVariant *fields, GError **error)
{
  for (gsize i = 0; i < g_variant_n_children (fields); i++)
    {
      g_autoptr (GVariant) lengths = NULL;
      const char *name;
      const char *type;
      guint64 offset;
      ShmDtype dtype;
      gsize item_size;
      gsize shape[SHM_ARRAY_MAX_DIMS];
      gsize n_dims;
      g_autoptr (GVariant) field = g_variant_get_child_value (fields, i);

      g_variant_get (field, "(&s&st@at)", &name, &type, &offset, &lengths);
      if (!shm_dtype_parse (type, &dtype, &item_size, error) ||
          !shape_from_variant (lengths, shape, &n_dims, error) ||
          !shm_array_add_field (self, name, dtype, item_size, (gsize) MIN (offset, G_MAXSIZE),
                                shape, n_dims, error))
        return FALSE;
    }
  return TRUE;
}

/**
 * shm_array_to_variant:
 * @self: an array or a view
 * @error: return location for a #GError
 *
 * Copies an array into a variant, of the type "(sata(sstat)ay)": numpy's type string of the items,
 * with a byte order, such as "&lt;f8", or "|V24" for records of 24 bytes; the length of each axis;
 * for each field of records its name, type string, offset and shape; and the bytes of the items, in
 * C order.
 *
 * Memory that cannot be had is a %SHM_ERROR_NO_MEMORY, a closed array is a %SHM_ERROR_WRONG_STATE.
 *
 * Returns: (transfer full): the variant, not floating, or %NULL with @error set
 *
 * Since: 1.0
 */
GVariant *
shm_array_to_variant (ShmArray *self, GError **error)
{
  g_autofree char *type = NULL;
  guint8 *bytes;
  gsize n_bytes;

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  if (!shm_array_check_open (self, error))
    return NULL;

  n_bytes = shm_array_get_n_bytes (self);
  bytes = g_try_malloc (MAX (n_bytes, 1));
  if (bytes == NULL)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                   _ ("There is no memory for a copy of %zu bytes"), n_bytes);
      return NULL;
    }
  shm_array_copy_items (self, bytes);

  type = shm_dtype_describe (self->dtype, self->item_size);
  return g_variant_ref_sink (g_variant_new (
      "(s@at@a(sstat)@ay)", type, shape_to_variant (self->shape, self->n_dims),
      shm_array_fields_to_variant (self),
      g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, n_bytes, TRUE, g_free, bytes)));
}

/**
 * shm_array_new_from_variant: (constructor)
 * @variant: what shm_array_to_variant() made; if it is floating, it is consumed
 * @error: return location for a #GError
 *
 * Makes an array, in C order, with a copy of the items in @variant, which need not be trusted.
 *
 * A variant of another type, items in a byte order that is not the machine's, fewer or more bytes
 * than the shape says, and fields that shm_array_add_field() refuses for any reason but their place
 * are %SHM_ERROR_INVALID_ARGUMENT; a field that reaches beyond its record is a
 * %SHM_ERROR_OUT_OF_BOUNDS. Memory that the system does not give is a %SHM_ERROR_NO_MEMORY.
 *
 * Returns: (transfer full): the array, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_from_variant (GVariant *variant, GError **error)
{
  g_autoptr (GVariant) sunk = NULL;
  g_autoptr (GVariant) lengths = NULL;
  g_autoptr (GVariant) fields = NULL;
  g_autoptr (GVariant) items = NULL;
  g_autoptr (ShmArray) self = NULL;
  const char *type;
  const guint8 *bytes;
  gsize n_bytes;
  ShmDtype dtype;
  gsize item_size;
  gsize shape[SHM_ARRAY_MAX_DIMS];
  gsize n_dims;

  g_return_val_if_fail (variant != NULL, NULL);

  sunk = g_variant_ref_sink (variant);
  if (!g_variant_is_of_type (sunk, SHM_ARRAY_VARIANT_TYPE))
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("A variant of type “%s” is not an array"), g_variant_get_type_string (sunk));
      return NULL;
    }

  g_variant_get (sunk, "(&s@at@a(sstat)@ay)", &type, &lengths, &fields, &items);
  bytes = g_variant_get_fixed_array (items, &n_bytes, 1);
  if (!shm_dtype_parse (type, &dtype, &item_size, error) ||
      !shape_from_variant (lengths, shape, &n_dims, error))
    return NULL;

  self = shm_array_new_from_items (dtype, item_size, shape, n_dims, bytes, n_bytes, error);
  if (self == NULL || !shm_array_fields_from_variant (self, fields, error))
    return NULL;
  return g_steal_pointer (&self);
}
