/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <shmem-glib/shm-enums.h>

G_BEGIN_DECLS

typedef struct _ShmMapping ShmMapping;

ShmMapping *shm_mapping_new_anonymous (gsize size, ShmArrayFlags flags, GError **error);

/* Takes memory that is mapped already; `release` is called once it is not any more. */
ShmMapping *shm_mapping_new_take (gpointer address,
                                  gsize size,
                                  gsize mapped_size,
                                  void (*release) (gpointer data, gsize mapped_size),
                                  gpointer data);

ShmMapping *shm_mapping_ref (ShmMapping *self);
void shm_mapping_unref (ShmMapping *self);

gpointer shm_mapping_get_address (ShmMapping *self);
gsize shm_mapping_get_size (ShmMapping *self);
int shm_mapping_get_fd (ShmMapping *self);

guint64 shm_mapping_available_memory (const char *root);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ShmMapping, shm_mapping_unref)

G_END_DECLS
