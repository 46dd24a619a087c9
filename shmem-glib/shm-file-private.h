/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>
#include <shmem-glib/shm-enums.h>

G_BEGIN_DECLS

/* A file that is being made. Until it is finished, clearing it removes it again. */
typedef struct
{
  int fd;
  char *path;    /* where it will be */
  char *written; /* where it is, NULL once it is finished */
} ShmNewFile;

#define SHM_NEW_FILE_INIT                                                                          \
  {                                                                                                \
    -1, NULL, NULL                                                                                 \
  }

gboolean shm_file_mode_is_new (ShmFileMode mode);
gboolean shm_file_check_mode (ShmFileMode mode, gboolean is_new, GError **error);
int shm_file_open (GFile *file, ShmFileMode mode, guint64 *size, GError **error);
gboolean shm_file_read_start (int fd, guint8 *buffer, gsize *n_bytes, GError **error);

gboolean
shm_new_file_open (ShmNewFile *self, GFile *file, ShmFileMode mode, guint64 size, GError **error);
gboolean shm_new_file_finish (ShmNewFile *self, GError **error);
void shm_new_file_clear (ShmNewFile *self);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ShmNewFile, shm_new_file_clear)

G_END_DECLS
