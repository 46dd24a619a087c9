/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <string.h>

/* The fields of records. A field never changes, and neither does a table that views or copies of an
 * array have too: who adds a field makes a table of his own. So fields are counted, and shared.
 */

static void
shm_array_field_free (gpointer data)
{
  ShmArrayField *field = data;

  g_free (field->name);
  g_free (field->shape);
}

static void
shm_array_field_release (gpointer field)
{
  g_atomic_rc_box_release_full (field, shm_array_field_free);
}

static gpointer
shm_array_field_copy (gconstpointer field, gpointer unused)
{
  return g_atomic_rc_box_acquire ((gpointer) field);
}

static const ShmArrayField *
shm_array_find_field (ShmArray *self, const char *name)
{
  for (guint i = 0; self->fields != NULL && i < self->fields->len; i++)
    {
      const ShmArrayField *field = g_ptr_array_index (self->fields, i);

      if (strcmp (field->name, name) == 0)
        return field;
    }
  return NULL;
}

gsize
shm_array_field_count (const ShmArrayField *field)
{
  gsize n = 1;

  for (gsize axis = 0; axis < field->n_dims; axis++)
    n *= field->shape[axis];
  return n;
}

/* Whether the items of a field, from its offset on, lie within a record of the array. An axis of
 * length zero counts as one of length one, so that its strides fit too.
 */
static gboolean
shm_array_holds_field (
    ShmArray *self, gsize item_size, gsize offset, const gsize *shape, gsize n_dims)
{
  gsize n_bytes = item_size;

  for (gsize axis = 0; axis < n_dims; axis++)
    {
      if (!g_size_checked_mul (&n_bytes, n_bytes, MAX (shape[axis], 1)))
        return FALSE;
    }
  return offset <= self->item_size && n_bytes <= self->item_size - offset;
}

/**
 * shm_array_add_field:
 * @self: an array of %SHM_DTYPE_RECORD
 * @name: the name of the field, in UTF-8
 * @dtype: the type of what is in it; %SHM_DTYPE_RECORD for bytes that have no type
 * @item_size: the size of one item of it, in bytes; for %SHM_DTYPE_RECORD at least 1, for all others
 *   their own size, or 0, which means the same
 * @offset: where in the record it begins, in bytes, as C's `offsetof()` says
 * @shape: (array length=n_dims) (nullable): the length of each of its own axes, for a field that is
 *   an array
 * @n_dims: the number of its own dimensions: 0 for a field of one item
 * @error: return location for a #GError
 *
 * Says what lies in each record at some place, so that shm_array_get_field() gives a view of it.
 * Fields may overlap, as those of a C union do, and need not be aligned. Views and copies that are
 * made of @self from now on have the field as well; other processes, and the views that there are,
 * do not hear of it. No other thread may use @self meanwhile.
 *
 * |[<!-- language="C" -->
 * typedef struct
 * {
 *   guint32 id;
 *   double position[3];
 * } Body;
 *
 * const gsize three = 3;
 * g_autoptr (ShmArray) bodies = shm_array_new_full (SHM_DTYPE_RECORD, sizeof (Body), shape, 1,
 *                                                   SHM_ARRAY_FLAGS_NONE, &error);
 *
 * if (!shm_array_add_field (bodies, "id", SHM_DTYPE_U4, 0, offsetof (Body, id), NULL, 0, &error) ||
 *     !shm_array_add_field (bodies, "position", SHM_DTYPE_F8, 0, offsetof (Body, position), &three,
 *                           1, &error))
 *   return FALSE;
 * ]|
 *
 * A field that reaches beyond the end of the record is a %SHM_ERROR_OUT_OF_BOUNDS. An array of
 * another type, a name that is empty or taken, more than 32 dimensions and a wrong @item_size are
 * %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
gboolean
shm_array_add_field (ShmArray *self,
                     const char *name,
                     ShmDtype dtype,
                     gsize item_size,
                     gsize offset,
                     const gsize *shape,
                     gsize n_dims,
                     GError **error)
{
  ShmArrayField *field;
  GPtrArray *fields;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail (name != NULL && g_utf8_validate (name, -1, NULL), FALSE);
  g_return_val_if_fail ((guint) dtype <= SHM_DTYPE_RECORD, FALSE);
  g_return_val_if_fail (shape != NULL || n_dims == 0, FALSE);

  if (self->dtype != SHM_DTYPE_RECORD)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("Only records have fields, not items of type %s"),
                   shm_dtype_to_string (self->dtype));
      return FALSE;
    }
  if (*name == '\0' || shm_array_find_field (self, name) != NULL)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("A field cannot have the name “%s”: it is empty or taken"), name);
      return FALSE;
    }
  if (!shm_array_check_item_size (dtype, &item_size, error) ||
      !shm_array_check_n_dims (n_dims, error))
    return FALSE;
  if (!shm_array_holds_field (self, item_size, offset, shape, n_dims))
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS,
                   shm_ngettext ("The field “%s” reaches beyond the end of a record of %zu byte",
                                 "The field “%s” reaches beyond the end of a record of %zu bytes",
                                 self->item_size),
                   name, self->item_size);
      return FALSE;
    }

  field = g_atomic_rc_box_new0 (ShmArrayField);
  field->name = g_strdup (name);
  field->dtype = dtype;
  field->item_size = item_size;
  field->offset = offset;
  field->n_dims = n_dims;
  field->shape = g_memdup2 (shape, n_dims * sizeof (gsize));

  if (self->fields != NULL)
    fields = g_ptr_array_copy (self->fields, shm_array_field_copy, NULL);
  else
    fields = g_ptr_array_new_with_free_func (shm_array_field_release);
  g_ptr_array_add (fields, field);
  g_clear_pointer (&self->fields, g_ptr_array_unref);
  self->fields = fields;
  return TRUE;
}

/**
 * shm_array_list_fields:
 * @self: an array
 *
 * Lists the fields of the records.
 *
 * Returns: (transfer full): the names, in the order in which they were added; none if @self does not
 *   have any
 *
 * Since: 1.0
 */
char **
shm_array_list_fields (ShmArray *self)
{
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);

  for (guint i = 0; self->fields != NULL && i < self->fields->len; i++)
    g_strv_builder_add (names, ((ShmArrayField *) g_ptr_array_index (self->fields, i))->name);
  return g_strv_builder_end (names);
}

/**
 * shm_array_lookup_field:
 * @self: an array
 * @name: the name of a field
 * @dtype: (out) (optional): return location for the type of what is in it
 * @item_size: (out) (optional): return location for the size of one item of it, in bytes
 * @offset: (out) (optional): return location for where in the record it begins, in bytes
 * @shape: (out) (optional) (transfer none) (array length=n_dims): return location for the lengths of
 *   its own axes, which belong to the array; with it, @n_dims is needed as well
 * @n_dims: (out) (optional): return location for the number of its own dimensions
 *
 * Gets what shm_array_add_field() said about a field.
 *
 * Returns: %TRUE, or %FALSE if there is no such field, with nothing set
 *
 * Since: 1.0
 */
gboolean
shm_array_lookup_field (ShmArray *self,
                        const char *name,
                        ShmDtype *dtype,
                        gsize *item_size,
                        gsize *offset,
                        const gsize **shape,
                        gsize *n_dims)
{
  const ShmArrayField *field;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail (name != NULL, FALSE);

  field = shm_array_find_field (self, name);
  if (field == NULL)
    return FALSE;

  if (dtype != NULL)
    *dtype = field->dtype;
  if (item_size != NULL)
    *item_size = field->item_size;
  if (offset != NULL)
    *offset = field->offset;
  if (shape != NULL)
    *shape = field->shape;
  if (n_dims != NULL)
    *n_dims = field->n_dims;
  return TRUE;
}

/**
 * shm_array_get_field:
 * @self: an array of records
 * @name: the name of a field
 * @error: return location for a #GError
 *
 * Makes a view of one field of all records: an array of the type of the field, in the shape of
 * @self, with the axes of the field itself, if it has any, behind. The strides are those of the
 * records, so the view is not contiguous, unless the field is all that is in them.
 *
 * A name that no field has, and a view of more than 32 dimensions, are %SHM_ERROR_INVALID_ARGUMENT.
 * A closed array is a %SHM_ERROR_WRONG_STATE.
 *
 * Returns: (transfer full): the view, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_get_field (ShmArray *self, const char *name, GError **error)
{
  const ShmArrayField *field;
  ShmArray *view;
  gssize stride;

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);
  g_return_val_if_fail (name != NULL, NULL);

  if (!shm_array_check_open (self, error))
    return NULL;
  field = shm_array_find_field (self, name);
  if (field == NULL)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT, _ ("The array has no field “%s”"),
                   name);
      return NULL;
    }
  if (!shm_array_check_n_dims (self->n_dims + field->n_dims, error))
    return NULL;

  view = shm_array_new_view (self);
  g_clear_pointer (&view->fields, g_ptr_array_unref);
  view->dtype = field->dtype;
  view->item_size = field->item_size;
  view->n_dims += field->n_dims;
  stride = (gssize) field->item_size;
  for (gsize axis = field->n_dims; axis-- > 0;)
    {
      view->shape[self->n_dims + axis] = field->shape[axis];
      view->strides[self->n_dims + axis] = stride;
      stride *= (gssize) MAX (field->shape[axis], 1);
    }
  shm_array_count_elements (view);
  if (view->n_elements > 0)
    view->data += field->offset;
  return view;
}
