/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <shmem-glib/shm-enums.h>

G_BEGIN_DECLS

typedef struct _ShmMapping ShmMapping;

ShmMapping *shm_mapping_new_anonymous (gsize size, ShmArrayFlags flags, GError **error);

/* Maps @size bytes of a file from @offset on, a multiple of the page size. The descriptor stays the
 * caller's; with @keep_fd the mapping has a duplicate of it.
 */
ShmMapping *shm_mapping_new_for_fd (
    int fd, guint64 offset, gsize size, gboolean is_read_only, gboolean keep_fd, GError **error);

/* Takes memory that is mapped already, which `release` takes in the end. */
ShmMapping *shm_mapping_new_take (gpointer address,
                                  gsize size,
                                  gsize mapped_size,
                                  void (*release) (gpointer data, gpointer address, gsize size),
                                  gpointer data);

ShmMapping *shm_mapping_ref (ShmMapping *self);
void shm_mapping_unref (ShmMapping *self);

gpointer shm_mapping_get_address (ShmMapping *self);
gsize shm_mapping_get_size (ShmMapping *self);
int shm_mapping_get_fd (ShmMapping *self);
gboolean shm_mapping_is_read_only (ShmMapping *self);
gboolean shm_mapping_sync (ShmMapping *self, GError **error);

gboolean shm_mapping_has_one_owner (ShmMapping *self);
gboolean shm_mapping_is_resizable (ShmMapping *self);
gboolean shm_mapping_resize (ShmMapping *self, gsize size, GError **error);

gboolean shm_mapping_advise (
    ShmMapping *self, gpointer address, gsize n_bytes, ShmAdvice advice, GError **error);

gboolean shm_mapping_allocate_fd (int fd, guint64 size);
guint64 shm_mapping_available_memory (const char *root);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ShmMapping, shm_mapping_unref)

G_END_DECLS
