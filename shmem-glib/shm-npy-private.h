/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-array-private.h"

G_BEGIN_DECLS

/* No header that can be read is longer. */
#define SHM_NPY_MAX_HEADER ((gsize) 12 + 65536)

/* What the header of a .npy file says. */
typedef struct
{
  ShmDtype dtype;
  gsize item_size;
  gboolean is_fortran_order;
  gsize n_dims;
  gsize shape[SHM_ARRAY_MAX_DIMS];
  gsize offset; /* of the first item in the file */
} ShmNpyHeader;

gboolean shm_npy_parse (const guint8 *bytes, gsize n_bytes, ShmNpyHeader *header, GError **error);
GBytes *shm_npy_format (ShmDtype dtype, gsize item_size, const gsize *shape, gsize n_dims);

G_END_DECLS
