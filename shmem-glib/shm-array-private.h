/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

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
  gsize shape[SHM_ARRAY_MAX_DIMS];
  gssize strides[SHM_ARRAY_MAX_DIMS];
};

/* The items of an array in C order, as runs of evenly spaced ones:
 *
 *     shm_array_runs_init (&runs, array);
 *     while (shm_array_runs_next (&runs))
 *       use (runs.data, runs.stride, runs.n_items);
 *
 * Axes that follow each other without a gap are one axis here, so a contiguous array is a single
 * run.
 */
typedef struct
{
  guint8 *data;
  gssize stride;
  gsize n_items;

  /* private */
  guint8 *next;
  gsize n_left;
  gsize n_outer;
  gsize index[SHM_ARRAY_MAX_DIMS];
  gsize shape[SHM_ARRAY_MAX_DIMS];
  gssize strides[SHM_ARRAY_MAX_DIMS];
} ShmArrayRuns;

/* An array is made in two steps where its memory depends on its size: laid out in C order, with no
 * memory; then put on a mapping of which it takes a reference, where its first item is @offset bytes
 * from the beginning, with other strides if @strides is not NULL. What leaves the mapping is an
 * error, so all of it may come from a stranger.
 */
ShmArray *shm_array_new_laid_out (
    ShmDtype dtype, gsize item_size, const gsize *shape, gsize n_dims, GError **error);
gboolean shm_array_attach (
    ShmArray *self, ShmMapping *mapping, guint64 offset, const gssize *strides, GError **error);

gboolean shm_array_check_writable (ShmArray *self, GError **error);

ShmArray *shm_array_new_for_mapping (ShmMapping *mapping, ShmDtype dtype, gsize n_elements);

void shm_array_runs_init (ShmArrayRuns *runs, ShmArray *array);
gboolean shm_array_runs_next (ShmArrayRuns *runs);

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

G_END_DECLS
