/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>
#include <shmem-glib/shm-enums.h>
#include <shmem-glib/shm-version.h>

G_BEGIN_DECLS

/**
 * SECTION:shm-array
 * @title: ShmArray
 * @short_description: numbers in memory that processes share
 *
 * Typed arrays of any number of dimensions, in memory that a process and those it forks all read
 * and write, and views of them.
 */

/* the types of items */

SHM_AVAILABLE_IN_1_0
ShmDtype shm_dtype_from_string (const char *string, GError **error);
SHM_AVAILABLE_IN_1_0
const char *shm_dtype_to_string (ShmDtype dtype);
SHM_AVAILABLE_IN_1_0
gsize shm_dtype_get_size (ShmDtype dtype);

#define SHM_TYPE_ARRAY (shm_array_get_type ())

SHM_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (ShmArray, shm_array, SHM, ARRAY, GObject)

/* making one */

SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new (ShmDtype dtype, const gsize *shape, gsize n_dims, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_full (ShmDtype dtype,
                              gsize item_size,
                              const gsize *shape,
                              gsize n_dims,
                              ShmArrayFlags flags,
                              GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_like (ShmArray *like, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_filled (
    ShmDtype dtype, const gsize *shape, gsize n_dims, GVariant *value, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_copy (ShmArray *source, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_copy_full (ShmArray *source, ShmArrayFlags flags, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_from_data (ShmDtype dtype,
                                   const gsize *shape,
                                   gsize n_dims,
                                   const guint8 *data,
                                   gsize n_bytes,
                                   GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_from_bytes (
    ShmDtype dtype, const gsize *shape, gsize n_dims, GBytes *bytes, GError **error);

/* files */

SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_for_file (GFile *file,
                                  ShmFileMode mode,
                                  ShmDtype dtype,
                                  gsize item_size,
                                  const gsize *shape,
                                  gsize n_dims,
                                  guint64 offset,
                                  GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_for_npy (GFile *file, ShmFileMode mode, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_create_npy (GFile *file,
                                ShmFileMode mode,
                                ShmDtype dtype,
                                gsize item_size,
                                const gsize *shape,
                                gsize n_dims,
                                GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_save_npy (ShmArray *self, GFile *file, ShmFileMode mode, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_sync (ShmArray *self, GError **error);

/* other processes */

SHM_AVAILABLE_IN_1_0
int shm_array_dup_fd (ShmArray *self, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_from_fd (int fd,
                                 ShmDtype dtype,
                                 gsize item_size,
                                 const gsize *shape,
                                 gsize n_dims,
                                 guint64 offset,
                                 GError **error);
SHM_AVAILABLE_IN_1_0
GVariant *shm_array_to_message (ShmArray *self, GUnixFDList *fd_list, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_from_message (GVariant *message, GUnixFDList *fd_list, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_seal_read_only (ShmArray *self, GError **error);

/**
 * SHM_ARRAY_MESSAGE_TYPE:
 *
 * The type of the variants of shm_array_to_message(), for the signatures of D-Bus methods: the item
 * type, the shape, the strides and the offset in bytes, and the place of the descriptor in the list
 * that comes with the message.
 *
 * Since: 1.0
 */
#define SHM_ARRAY_MESSAGE_TYPE "(sataxth)"

/* what it is */

SHM_AVAILABLE_IN_1_0
ShmDtype shm_array_get_dtype (ShmArray *self);
SHM_AVAILABLE_IN_1_0
gsize shm_array_get_item_size (ShmArray *self);
SHM_AVAILABLE_IN_1_0
gsize shm_array_get_n_dims (ShmArray *self);
SHM_AVAILABLE_IN_1_0
const gsize *shm_array_get_shape (ShmArray *self, gsize *n_dims);
SHM_AVAILABLE_IN_1_0
const gssize *shm_array_get_strides (ShmArray *self, gsize *n_dims);
SHM_AVAILABLE_IN_1_0
gsize shm_array_get_n_elements (ShmArray *self);
SHM_AVAILABLE_IN_1_0
gsize shm_array_get_n_bytes (ShmArray *self);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_is_contiguous (ShmArray *self);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_is_read_only (ShmArray *self);
SHM_AVAILABLE_IN_1_0
gpointer shm_array_get_data (ShmArray *self);
SHM_AVAILABLE_IN_1_0
guint64 shm_array_get_address (ShmArray *self);

/* its memory */

SHM_AVAILABLE_IN_1_0
gboolean shm_array_advise (ShmArray *self, ShmAdvice advice, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_resize (ShmArray *self, const gsize *shape, gsize n_dims, GError **error);
SHM_AVAILABLE_IN_1_0
void shm_array_close (ShmArray *self);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_is_closed (ShmArray *self);

/* its items */

SHM_AVAILABLE_IN_1_0
double shm_array_get_double (ShmArray *self, const gsize *index, gsize n_index, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_set_double (
    ShmArray *self, const gsize *index, gsize n_index, double value, GError **error);
SHM_AVAILABLE_IN_1_0
gint64 shm_array_get_int64 (ShmArray *self, const gsize *index, gsize n_index, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_set_int64 (
    ShmArray *self, const gsize *index, gsize n_index, gint64 value, GError **error);
SHM_AVAILABLE_IN_1_0
GVariant *shm_array_get_value (ShmArray *self, const gsize *index, gsize n_index, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_set_value (
    ShmArray *self, const gsize *index, gsize n_index, GVariant *value, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_fill (ShmArray *self, GVariant *value, GError **error);

/* its items, changed in one step */

SHM_AVAILABLE_IN_1_0
gboolean shm_array_add_int64 (
    ShmArray *self, const gsize *index, gsize n_index, gint64 value, gint64 *old, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_update_min_int64 (
    ShmArray *self, const gsize *index, gsize n_index, gint64 value, gint64 *old, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_update_max_int64 (
    ShmArray *self, const gsize *index, gsize n_index, gint64 value, gint64 *old, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_compare_exchange_int64 (ShmArray *self,
                                           const gsize *index,
                                           gsize n_index,
                                           gint64 expected,
                                           gint64 value,
                                           gint64 *old,
                                           GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_add_double (
    ShmArray *self, const gsize *index, gsize n_index, double value, double *old, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_update_min_double (
    ShmArray *self, const gsize *index, gsize n_index, double value, double *old, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_update_max_double (
    ShmArray *self, const gsize *index, gsize n_index, double value, double *old, GError **error);

/* views of it */

SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_slice (
    ShmArray *self, guint axis, gint64 start, gint64 stop, gint64 step, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_index (ShmArray *self, guint axis, gint64 i, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_reshape (ShmArray *self, const gsize *shape, gsize n_dims, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_ravel (ShmArray *self, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_transpose (ShmArray *self, const guint *axes, gsize n_axes, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_insert_axis (ShmArray *self, guint axis, GError **error);
SHM_AVAILABLE_IN_1_0
GBytes *shm_array_get_bytes (ShmArray *self, GError **error);

/* all of it */

SHM_AVAILABLE_IN_1_0
char *shm_array_to_string (ShmArray *self);
SHM_AVAILABLE_IN_1_0
GVariant *shm_array_to_variant (ShmArray *self, GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_new_from_variant (GVariant *variant, GError **error);

/* the fields of records */

SHM_AVAILABLE_IN_1_0
gboolean shm_array_add_field (ShmArray *self,
                              const char *name,
                              ShmDtype dtype,
                              gsize item_size,
                              gsize offset,
                              const gsize *shape,
                              gsize n_dims,
                              GError **error);
SHM_AVAILABLE_IN_1_0
char **shm_array_list_fields (ShmArray *self);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_lookup_field (ShmArray *self,
                                 const char *name,
                                 ShmDtype *dtype,
                                 gsize *item_size,
                                 gsize *offset,
                                 const gsize **shape,
                                 gsize *n_dims);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_array_get_field (ShmArray *self, const char *name, GError **error);

/* its memory, where it cannot be used itself */

SHM_AVAILABLE_IN_1_0
GBytes *shm_array_read_bytes (ShmArray *self, guint64 offset, gsize n_bytes, GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_array_write_bytes (
    ShmArray *self, guint64 offset, const guint8 *data, gsize n_bytes, GError **error);

G_END_DECLS
