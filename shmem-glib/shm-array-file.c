/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array-file-private.h"

#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-file-private.h"
#include "shm-i18n-private.h"

#include <unistd.h>

/* Puts an array that is laid out on the items of a file. The mapping holds the file, so the
 * descriptor is of no use any more.
 */
gboolean
shm_array_map_file (ShmArray *self,
                    int fd,
                    guint64 offset,
                    const gssize *strides,
                    gboolean is_read_only,
                    GError **error)
{
  gsize before = (gsize) (offset % (gsize) sysconf (_SC_PAGESIZE));
  g_autoptr (ShmMapping) mapping = NULL;
  gsize size;

  if (!g_size_checked_add (&size, shm_array_get_n_bytes (self), before))
    size = G_MAXSIZE;
  mapping = shm_mapping_new_for_fd (fd, offset - before, size, is_read_only, FALSE, error);
  return mapping != NULL && shm_array_attach (self, mapping, before, strides, error);
}

gboolean
shm_array_check_file_size (ShmArray *self, guint64 offset, guint64 size, GError **error)
{
  gsize n_bytes = shm_array_get_n_bytes (self);

  if (offset <= size && n_bytes <= size - offset)
    return TRUE;

  g_set_error (
      error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS,
      shm_ngettext (
          "The file has %llu byte, and is too short for an array of size %zu at offset %llu",
          "The file has %llu bytes, and is too short for an array of size %zu at offset %llu",
          size),
      (unsigned long long) size, n_bytes, (unsigned long long) offset);
  return FALSE;
}

static gboolean
shm_array_open_file (ShmArray *self, GFile *file, ShmFileMode mode, guint64 offset, GError **error)
{
  gboolean is_read_only = mode == SHM_FILE_MODE_READ_ONLY;
  guint64 size;
  int fd = shm_file_open (file, mode, &size, error);
  gboolean ok;

  if (fd < 0)
    return FALSE;

  ok = shm_array_check_file_size (self, offset, size, error) &&
       shm_array_map_file (self, fd, offset, NULL, is_read_only, error);
  close (fd);
  if (!ok)
    g_prefix_error (error, "%s: ", g_file_peek_path (file));
  return ok;
}

static gboolean
shm_array_create_file (
    ShmArray *self, GFile *file, ShmFileMode mode, guint64 offset, GError **error)
{
  g_auto (ShmNewFile) new_file = SHM_NEW_FILE_INIT;
  guint64 size;

  if (!g_uint64_checked_add (&size, offset, shm_array_get_n_bytes (self)))
    size = G_MAXUINT64;
  return shm_new_file_open (&new_file, file, mode, size, error) &&
         shm_array_map_file (self, new_file.fd, offset, NULL, FALSE, error) &&
         shm_new_file_finish (&new_file, error);
}

/**
 * shm_array_new_for_file: (constructor)
 * @file: a local file
 * @mode: how to open it
 * @dtype: the type of the items
 * @item_size: the size of an item, in bytes; for %SHM_DTYPE_RECORD at least 1, for all others their
 * own size, or 0, which means the same
 * @shape: (array length=n_dims) (nullable): the length of each axis
 * @n_dims: the number of dimensions, at most 32
 * @offset: where in the file the first item is, in bytes; a multiple of the size of a number
 * @error: return location for a #GError
 *
 * Maps a file of bare items, in C order and the machine's own byte order, with nothing before them
 * but @offset bytes. What is written to the array is written to the file, by this process and those
 * that it forks; shm_array_sync() waits until it is on the disk. The file stays when the array is
 * gone. For files that say what is in them, see shm_array_new_for_npy().
 *
 * A new file has zeros, and room on the disk for all of them, so that a full disk is an error now.
 * An existing file keeps its size; it may be longer than the array. One that has the name of a new
 * file is never overwritten: it is an error with %SHM_FILE_MODE_CREATE, and with
 * %SHM_FILE_MODE_REPLACE the new one takes its name, and those who have mapped the old one keep it.
 *
 * Nobody may make the file shorter while it is mapped: an access to what is gone is a bus error,
 * which ends the process. Do not map files that strangers can write to.
 *
 * A file that is not local is a %SHM_ERROR_NOT_SUPPORTED, one that is too short for the array a
 * %SHM_ERROR_OUT_OF_BOUNDS, and one that is not a regular file, and an @offset that leaves the items
 * without alignment, are %SHM_ERROR_INVALID_ARGUMENT. What the system says, as that there is no such
 * file, is a %G_IO_ERROR. Shapes and sizes are checked as by shm_array_new_full().
 *
 * Returns: (transfer full): the array, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_for_file (GFile *file,
                        ShmFileMode mode,
                        ShmDtype dtype,
                        gsize item_size,
                        const gsize *shape,
                        gsize n_dims,
                        guint64 offset,
                        GError **error)
{
  g_autoptr (ShmArray) self = NULL;
  gboolean ok;

  g_return_val_if_fail (G_IS_FILE (file), NULL);
  g_return_val_if_fail ((guint) mode <= SHM_FILE_MODE_REPLACE, NULL);
  g_return_val_if_fail ((guint) dtype <= SHM_DTYPE_RECORD, NULL);
  g_return_val_if_fail (shape != NULL || n_dims == 0, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  self = shm_array_new_laid_out (dtype, item_size, shape, n_dims, error);
  if (self == NULL)
    return NULL;

  ok = shm_file_mode_is_new (mode) ? shm_array_create_file (self, file, mode, offset, error)
                                   : shm_array_open_file (self, file, mode, offset, error);
  return ok ? g_steal_pointer (&self) : NULL;
}

/**
 * shm_array_sync:
 * @self: an array or a view
 * @error: return location for a #GError
 *
 * Waits until what was written to the memory of @self, all of it if @self is a view, is on the disk.
 * Without that the system writes it at some later time, also when no process has the array any
 * more; other processes that have the file open see it at once. Does nothing for an array that is
 * not a file.
 *
 * Returns: %TRUE, or %FALSE with @error set to a %G_IO_ERROR, or to %SHM_ERROR_WRONG_STATE if @self
 *   is closed
 *
 * Since: 1.0
 */
gboolean
shm_array_sync (ShmArray *self, GError **error)
{
  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);

  return shm_array_check_open (self, error) &&
         (self->mapping == NULL || shm_mapping_sync (self->mapping, error));
}
