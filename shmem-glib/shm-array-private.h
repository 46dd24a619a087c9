/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-array-iter.h"
#include "shm-array.h"
#include "shm-mapping-private.h"

G_BEGIN_DECLS

/* As many as numpy 1 has. */
#define SHM_ARRAY_MAX_DIMS 32

struct _ShmArray
{
  GObject parent_instance;

  ShmMapping *mapping;
  guint8 *data;
  ShmDtype dtype;
  gsize item_size;
  gsize n_dims;
  gsize n_elements;
  gboolean is_closed;
  GPtrArray *fields;
  gsize shape[SHM_ARRAY_MAX_DIMS];
  gssize strides[SHM_ARRAY_MAX_DIMS];
};

/* A part of each record: in an array of its own shape, items of one type, side by side. */
typedef struct
{
  char *name;
  ShmDtype dtype;
  gsize item_size;
  gsize offset;
  gsize n_dims;
  gsize *shape;
} ShmArrayField;

gsize shm_array_field_count (const ShmArrayField *field);

/* An array is made in two steps where its memory depends on its size: laid out in C order, with no
 * memory; then put on a mapping of which it takes a reference, where its first item is @offset bytes
 * from the beginning, with other strides if @strides is not NULL. What leaves the mapping is an
 * error, so all of it may come from a stranger.
 */
ShmArray *shm_array_new_laid_out (
    ShmDtype dtype, gsize item_size, const gsize *shape, gsize n_dims, GError **error);
gboolean shm_array_attach (
    ShmArray *self, ShmMapping *mapping, guint64 offset, const gssize *strides, GError **error);

gboolean shm_array_get_reach (ShmArray *self, gsize *before, gsize *after);
gboolean shm_array_check_writable (ShmArray *self, GError **error);

ShmArray *shm_array_new_for_mapping (ShmMapping *mapping, ShmDtype dtype, gsize n_elements);

char *shm_shape_to_string (const gsize *shape, gsize n_dims);
gboolean shm_array_check_item_size (ShmDtype dtype, gsize *item_size, GError **error);
gboolean shm_array_check_n_dims (gsize n_dims, GError **error);
gboolean shm_array_set_layout (ShmArray *self,
                               ShmDtype dtype,
                               gsize item_size,
                               const gsize *shape,
                               gsize n_dims,
                               GError **error);
gboolean shm_array_check_open (ShmArray *self, GError **error);
ShmArray *shm_array_new_view (ShmArray *source);
void shm_array_count_elements (ShmArray *self);
gboolean shm_array_check_axis (ShmArray *self, guint axis, GError **error);

guint8 *shm_array_locate (ShmArray *self, const gsize *index, gsize n_index, GError **error);

/* What is done to a run of evenly spaced items, as an iterator gives it. */
void shm_array_run_read (const ShmArrayIter *iter, gpointer target, gsize item_size);
void shm_array_run_write (const ShmArrayIter *iter, gconstpointer source, gsize item_size);
void shm_array_run_fill (const ShmArrayIter *iter, gconstpointer value, gsize item_size);

/* Copies the items side by side, in C order. */
void shm_array_copy_items (ShmArray *source, guint8 *target);

/* Room for an item of any type but a record. */
typedef union
{
  guint8 bytes[16];
  double alignment;
} ShmItemBuffer;

const guint8 *
shm_array_encode_item (ShmArray *self, GVariant *value, ShmItemBuffer *buffer, GError **error);
guint8 *shm_array_encode_fill (ShmArray *self, GVariant *value, GError **error);

G_END_DECLS
