/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-array.h"

G_BEGIN_DECLS

gboolean shm_array_map_file (ShmArray *self,
                             int fd,
                             guint64 offset,
                             const gssize *strides,
                             gboolean is_read_only,
                             GError **error);
gboolean shm_array_check_file_size (ShmArray *self, guint64 offset, guint64 size, GError **error);

G_END_DECLS
