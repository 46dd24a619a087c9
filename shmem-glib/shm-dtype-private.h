/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <shmem-glib/shm-enums.h>

G_BEGIN_DECLS

char *shm_dtype_describe (ShmDtype dtype, gsize item_size);
gboolean shm_dtype_parse (const char *text, ShmDtype *dtype, gsize *item_size, GError **error);

G_END_DECLS
