/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-array-private.h"
#include "shm-enum-types.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <string.h>

/**
 * ShmArray:
 *
 * An array of numbers, or of opaque records, in memory that this process shares with every process
 * that it forks: what one of them writes, all of them see, with no copy and no message.
 *
 * An array has an item type, and any number of dimensions up to 32. With no dimension it has one
 * item; with an axis of length zero it has none. New arrays are filled with zeros and lie in C
 * order: the last index runs fastest.
 *
 * An array can also be a file that is mapped, see shm_array_new_for_file() and
 * shm_array_new_for_npy(), or be handed to a process that was not forked, see
 * shm_array_to_message(). Where its memory may only be read, what would write to it fails with
 * %SHM_ERROR_READ_ONLY.
 *
 * shm_array_slice(), shm_array_index(), shm_array_reshape(), shm_array_transpose() and
 * shm_array_get_field() give views: arrays of their own shape on the same memory.
 * Array and views each keep the memory until the last of them is gone. In a forked process they may
 * be dropped like everywhere else; that takes nothing from the other processes.
 *
 * The items are read and written one by one, with checks, by shm_array_get_double() and its like;
 * from C, and much faster, through shm_array_get_data(). Neither takes a lock: where two processes
 * or threads write the same item, or one reads what another writes, they have to agree on turns.
 *
 * |[<!-- language="C" -->
 * const gsize shape[] = { 480, 640 };
 * g_autoptr (ShmArray) image = shm_array_new (SHM_DTYPE_F8, shape, 2, &error);
 * double *pixels = shm_array_get_data (image);
 *
 * pixels[10 * 640 + 20] = 1.0;
 * ]|
 *
 * shm_array_close() gives up the memory before the last reference is dropped, for languages whose
 * garbage is collected late. A closed array keeps its type and its shape, but what needs its items
 * is a %SHM_ERROR_WRONG_STATE.
 *
 * An array made with g_object_new() has one axis, of length zero.
 *
 * Since: 1.0
 */

/* An array is its mapping, of which it holds a reference, and a layout: `data` is its first item,
 * and the item at an index is at `data` plus the sum of index times stride. Nothing of it changes
 * after construction but the items, so that arrays may be used from several threads; who closes or
 * resizes an array, or adds a field, has to be alone with that object. Every item that an index
 * within the shape reaches lies inside of the mapping; an array without items points into it as
 * well. `mapping` is NULL only where nobody constructed the array, and in a closed one, which
 * points to nothing: all that follow `data` ask shm_array_check_open() first.
 */

typedef enum
{
  PROP_DTYPE = 1,
  PROP_ITEM_SIZE,
  PROP_N_DIMS,
  PROP_N_ELEMENTS,
  PROP_N_BYTES,
} ShmArrayProperty;

static GParamSpec *properties[PROP_N_BYTES + 1];

G_DEFINE_FINAL_TYPE (ShmArray, shm_array, G_TYPE_OBJECT)

char *
shm_shape_to_string (const gsize *shape, gsize n_dims)
{
  GString *text = g_string_new ("(");

  for (gsize axis = 0; axis < n_dims; axis++)
    g_string_append_printf (text, axis == 0 ? "%zu" : ", %zu", shape[axis]);
  return g_string_free (g_string_append_c (text, ')'), FALSE);
}

gboolean
shm_array_check_n_dims (gsize n_dims, GError **error)
{
  if (n_dims <= SHM_ARRAY_MAX_DIMS)
    return TRUE;

  g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
               _ ("An array has at most %d dimensions, not %zu"), SHM_ARRAY_MAX_DIMS, n_dims);
  return FALSE;
}

/* Lays the array out in C order. An axis of length zero counts as one of length one, so that its
 * strides, and the sums that slices make of the lengths, fit as well.
 */
gboolean
shm_array_set_layout (ShmArray *self,
                      ShmDtype dtype,
                      gsize item_size,
                      const gsize *shape,
                      gsize n_dims,
                      GError **error)
{
  gsize stride = item_size;
  gboolean fits = item_size <= G_MAXSSIZE;

  if (!shm_array_check_n_dims (n_dims, error))
    return FALSE;

  self->dtype = dtype;
  self->item_size = item_size;
  self->n_dims = n_dims;
  self->n_elements = 1;
  for (gsize axis = n_dims; fits && axis-- > 0;)
    {
      self->shape[axis] = shape[axis];
      self->strides[axis] = (gssize) stride;
      self->n_elements *= shape[axis];
      fits = g_size_checked_mul (&stride, stride, MAX (shape[axis], 1)) && stride <= G_MAXSSIZE;
    }
  if (!fits)
    {
      g_autofree char *text = shm_shape_to_string (shape, n_dims);

      g_set_error (
          error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
          shm_ngettext ("An array of shape %s, with %zu byte an item, is too large to address",
                        "An array of shape %s, with %zu bytes an item, is too large to address",
                        item_size),
          text, item_size);
    }
  return fits;
}

gboolean
shm_array_check_item_size (ShmDtype dtype, gsize *item_size, GError **error)
{
  gsize natural_size = shm_dtype_get_size (dtype);

  if (dtype == SHM_DTYPE_RECORD && *item_size == 0)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                           _ ("An array of records needs an item size: use shm_array_new_full()"));
      return FALSE;
    }
  if (dtype != SHM_DTYPE_RECORD && *item_size != 0 && *item_size != natural_size)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   shm_ngettext ("An item of type %s has %zu byte, not %zu",
                                 "An item of type %s has %zu bytes, not %zu", natural_size),
                   shm_dtype_to_string (dtype), natural_size, *item_size);
      return FALSE;
    }
  if (*item_size == 0)
    *item_size = natural_size;
  return TRUE;
}

gboolean
shm_array_check_open (ShmArray *self, GError **error)
{
  if (!self->is_closed)
    return TRUE;

  g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE, _ ("The array is closed"));
  return FALSE;
}

static void
shm_array_finalize (GObject *object)
{
  ShmArray *self = SHM_ARRAY (object);

  g_clear_pointer (&self->mapping, shm_mapping_unref);
  g_clear_pointer (&self->fields, g_ptr_array_unref);

  G_OBJECT_CLASS (shm_array_parent_class)->finalize (object);
}

static void
shm_array_get_property (GObject *object, guint property_id, GValue *value, GParamSpec *pspec)
{
  ShmArray *self = SHM_ARRAY (object);

  switch ((ShmArrayProperty) property_id)
    {
    case PROP_DTYPE:
      g_value_set_enum (value, (int) self->dtype);
      break;
    case PROP_ITEM_SIZE:
      g_value_set_uint64 (value, self->item_size);
      break;
    case PROP_N_DIMS:
      g_value_set_uint64 (value, self->n_dims);
      break;
    case PROP_N_ELEMENTS:
      g_value_set_uint64 (value, self->n_elements);
      break;
    case PROP_N_BYTES:
      g_value_set_uint64 (value, shm_array_get_n_bytes (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
shm_array_class_init (ShmArrayClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = shm_array_finalize;
  object_class->get_property = shm_array_get_property;

  /**
   * ShmArray:dtype:
   *
   * The type of the items.
   *
   * Since: 1.0
   */
  properties[PROP_DTYPE] = g_param_spec_enum ("dtype", "Item type", "The type of the items",
                                              SHM_TYPE_DTYPE, SHM_DTYPE_BOOL, flags);

  /**
   * ShmArray:item-size:
   *
   * The size of one item, in bytes.
   *
   * Since: 1.0
   */
  properties[PROP_ITEM_SIZE] = g_param_spec_uint64 (
      "item-size", "Item size", "The size of one item, in bytes", 0, G_MAXUINT64, 0, flags);

  /**
   * ShmArray:n-dims:
   *
   * The number of dimensions, from 0 to 32.
   *
   * Since: 1.0
   */
  properties[PROP_N_DIMS] = g_param_spec_uint64 ("n-dims", "Dimensions", "The number of dimensions",
                                                 0, SHM_ARRAY_MAX_DIMS, 0, flags);

  /**
   * ShmArray:n-elements:
   *
   * The number of items: the product of the lengths of all axes.
   *
   * Since: 1.0
   */
  properties[PROP_N_ELEMENTS] = g_param_spec_uint64 (
      "n-elements", "Elements", "The number of items", 0, G_MAXUINT64, 0, flags);

  /**
   * ShmArray:n-bytes:
   *
   * The size of all items together, in bytes, without what may lie between those of a view.
   *
   * Since: 1.0
   */
  properties[PROP_N_BYTES] = g_param_spec_uint64 (
      "n-bytes", "Bytes", "The size of all items together, in bytes", 0, G_MAXUINT64, 0, flags);

  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
shm_array_init (ShmArray *self)
{
  self->dtype = SHM_DTYPE_BOOL;
  self->item_size = 1;
  self->n_dims = 1;
  self->strides[0] = 1;
}

/**
 * shm_array_new:
 * @dtype: the type of the items, not %SHM_DTYPE_RECORD
 * @shape: (array length=n_dims) (nullable): the length of each axis
 * @n_dims: the number of dimensions, at most 32
 * @error: return location for a #GError
 *
 * Makes an array of zeros, in C order.
 *
 * Too many dimensions, a size in bytes that does not fit into a #gssize, and records, which need
 * shm_array_new_full(), are %SHM_ERROR_INVALID_ARGUMENT; memory that the system does not give is
 * %SHM_ERROR_NO_MEMORY.
 *
 * Returns: (transfer full): the array, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new (ShmDtype dtype, const gsize *shape, gsize n_dims, GError **error)
{
  return shm_array_new_full (dtype, 0, shape, n_dims, SHM_ARRAY_FLAGS_NONE, error);
}

/**
 * shm_array_new_full:
 * @dtype: the type of the items
 * @item_size: the size of an item, in bytes; for %SHM_DTYPE_RECORD at least 1, for all others their
 * own size, or 0, which means the same
 * @shape: (array length=n_dims) (nullable): the length of each axis
 * @n_dims: the number of dimensions, at most 32
 * @flags: how the memory is to be obtained
 * @error: return location for a #GError
 *
 * Makes an array of zeros, in C order, like shm_array_new(), of records too, and in memory that is
 * obtained as @flags say.
 *
 * With %SHM_ARRAY_FLAGS_RESERVE, more memory than the machine or the control groups of this process
 * have left is a %SHM_ERROR_NO_MEMORY too.
 *
 * Returns: (transfer full): the array, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_full (ShmDtype dtype,
                    gsize item_size,
                    const gsize *shape,
                    gsize n_dims,
                    ShmArrayFlags flags,
                    GError **error)
{
  g_autoptr (ShmArray) self = NULL;

  g_return_val_if_fail ((guint) dtype <= SHM_DTYPE_RECORD, NULL);
  g_return_val_if_fail (shape != NULL || n_dims == 0, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  self = shm_array_new_laid_out (dtype, item_size, shape, n_dims, error);
  if (self == NULL)
    return NULL;

  self->mapping = shm_mapping_new_anonymous (shm_array_get_n_bytes (self), flags, error);
  if (self->mapping == NULL)
    return NULL;
  self->data = shm_mapping_get_address (self->mapping);
  return g_steal_pointer (&self);
}

ShmArray *
shm_array_new_laid_out (
    ShmDtype dtype, gsize item_size, const gsize *shape, gsize n_dims, GError **error)
{
  g_autoptr (ShmArray) self = NULL;

  if (!shm_array_check_item_size (dtype, &item_size, error))
    return NULL;

  self = g_object_new (SHM_TYPE_ARRAY, NULL);
  if (!shm_array_set_layout (self, dtype, item_size, shape, n_dims, error))
    return NULL;
  return g_steal_pointer (&self);
}

/* One axis over a mapping, which it takes. */
ShmArray *
shm_array_new_for_mapping (ShmMapping *mapping, ShmDtype dtype, gsize n_elements)
{
  ShmArray *self = g_object_new (SHM_TYPE_ARRAY, NULL);
  gboolean ok =
      shm_array_set_layout (self, dtype, shm_dtype_get_size (dtype), &n_elements, 1, NULL);

  g_assert (ok && shm_array_get_n_bytes (self) <= shm_mapping_get_size (mapping));
  self->mapping = mapping;
  self->data = shm_mapping_get_address (mapping);
  return self;
}

/**
 * shm_array_new_like: (constructor)
 * @like: an array or a view
 * @error: return location for a #GError
 *
 * Makes an array of zeros, in C order, with the item type, the item size, the fields and the shape
 * of @like.
 *
 * Returns: (transfer full): the array, or %NULL with @error set to %SHM_ERROR_NO_MEMORY
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_like (ShmArray *like, GError **error)
{
  ShmArray *self;

  g_return_val_if_fail (SHM_IS_ARRAY (like), NULL);

  self = shm_array_new_full (like->dtype, like->item_size, like->shape, like->n_dims,
                             SHM_ARRAY_FLAGS_NONE, error);
  if (self != NULL && like->fields != NULL)
    self->fields = g_ptr_array_ref (like->fields);
  return self;
}

/**
 * shm_array_new_filled:
 * @dtype: the type of the items, not %SHM_DTYPE_RECORD
 * @shape: (array length=n_dims) (nullable): the length of each axis
 * @n_dims: the number of dimensions, at most 32
 * @value: a number, as shm_array_set_value() takes it; if it is floating, it is consumed
 * @error: return location for a #GError
 *
 * Makes an array, in C order, all of whose items are @value.
 *
 * Returns: (transfer full): the array, or %NULL with @error set: that of shm_array_new() or of
 *   shm_array_set_value()
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_filled (
    ShmDtype dtype, const gsize *shape, gsize n_dims, GVariant *value, GError **error)
{
  g_autoptr (GVariant) number = NULL;
  g_autoptr (ShmArray) self = NULL;

  g_return_val_if_fail (value != NULL, NULL);

  number = g_variant_ref_sink (value);
  self = shm_array_new (dtype, shape, n_dims, error);
  if (self == NULL || !shm_array_fill (self, number, error))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * shm_array_get_dtype:
 * @self: an array
 *
 * Gets the type of the items.
 *
 * Returns: the item type
 *
 * Since: 1.0
 */
ShmDtype
shm_array_get_dtype (ShmArray *self)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), SHM_DTYPE_BOOL);

  return self->dtype;
}

/**
 * shm_array_get_item_size:
 * @self: an array
 *
 * Gets the size of one item.
 *
 * Returns: the size in bytes, at least 1
 *
 * Since: 1.0
 */
gsize
shm_array_get_item_size (ShmArray *self)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), 0);

  return self->item_size;
}

/**
 * shm_array_get_n_dims:
 * @self: an array
 *
 * Gets the number of dimensions.
 *
 * Returns: the number, from 0 to 32
 *
 * Since: 1.0
 */
gsize
shm_array_get_n_dims (ShmArray *self)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), 0);

  return self->n_dims;
}

/**
 * shm_array_get_shape:
 * @self: an array
 * @n_dims: (out) (optional): return location for the number of dimensions
 *
 * Gets the length of each axis.
 *
 * Returns: (transfer none) (array length=n_dims): the lengths, which belong to the array
 *
 * Since: 1.0
 */
const gsize *
shm_array_get_shape (ShmArray *self, gsize *n_dims)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  if (n_dims != NULL)
    *n_dims = self->n_dims;
  return self->shape;
}

/**
 * shm_array_get_strides:
 * @self: an array
 * @n_dims: (out) (optional): return location for the number of dimensions
 *
 * Gets for each axis how far, in bytes, two items are apart whose indices on it differ by one.
 * Strides of views can be negative.
 *
 * Returns: (transfer none) (array length=n_dims): the strides, which belong to the array
 *
 * Since: 1.0
 */
const gssize *
shm_array_get_strides (ShmArray *self, gsize *n_dims)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  if (n_dims != NULL)
    *n_dims = self->n_dims;
  return self->strides;
}

/**
 * shm_array_get_n_elements:
 * @self: an array
 *
 * Gets the number of items: the product of the lengths of all axes, 1 if there is no axis.
 *
 * Returns: the number
 *
 * Since: 1.0
 */
gsize
shm_array_get_n_elements (ShmArray *self)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), 0);

  return self->n_elements;
}

/**
 * shm_array_get_n_bytes:
 * @self: an array
 *
 * Gets the size of all items together, without what may lie between those of a view.
 *
 * Returns: the size in bytes
 *
 * Since: 1.0
 */
gsize
shm_array_get_n_bytes (ShmArray *self)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), 0);

  return self->n_elements * self->item_size;
}

/**
 * shm_array_is_contiguous:
 * @self: an array
 *
 * Says whether the items lie side by side in C order: the last index runs fastest, and nothing is
 * between them. New arrays are contiguous; views may be.
 *
 * Returns: %TRUE if they do
 *
 * Since: 1.0
 */
gboolean
shm_array_is_contiguous (ShmArray *self)
{
  gsize stride;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);

  if (self->n_elements == 0)
    return TRUE;

  stride = self->item_size;
  for (gsize axis = self->n_dims; axis-- > 0;)
    {
      if (self->shape[axis] == 1)
        continue;
      if (self->strides[axis] != (gssize) stride)
        return FALSE;
      stride *= self->shape[axis];
    }
  return TRUE;
}

/**
 * shm_array_get_data: (skip)
 * @self: an array
 *
 * Gets the address of the first item, that with index 0 on every axis. The others lie at the
 * distances that shm_array_get_strides() gives. The address is good as long as @self or another
 * view of the memory lives, and is the same in forked processes. If shm_array_is_read_only(), a write
 * to it ends the process.
 *
 * Returns: (transfer none) (nullable): the address, aligned for the item type unless a field of
 *   records is not; %NULL if @self is closed
 *
 * Since: 1.0
 */
gpointer
shm_array_get_data (ShmArray *self)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  return self->data;
}

/**
 * shm_array_get_address:
 * @self: an array
 *
 * Gets what shm_array_get_data() gets, as a number: the address of the first item, for languages
 * that have no pointers.
 *
 * Returns: the address; 0 if @self is closed
 *
 * Since: 1.0
 */
guint64
shm_array_get_address (ShmArray *self)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), 0);

  return (guint64) (guintptr) self->data;
}
