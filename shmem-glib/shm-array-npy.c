/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-array-file-private.h"
#include "shm-error.h"
#include "shm-file-private.h"
#include "shm-i18n-private.h"
#include "shm-npy-private.h"

#include <string.h>
#include <unistd.h>

/* Strides for the order in which the first index runs fastest. The layout has checked that they
 * fit.
 */
static void
set_fortran_strides (ShmArray *self, gssize *strides)
{
  gsize stride = self->item_size;

  for (gsize axis = 0; axis < self->n_dims; axis++)
    {
      strides[axis] = (gssize) stride;
      stride *= MAX (self->shape[axis], 1);
    }
}

static ShmArray *
shm_array_new_for_npy_fd (int fd, guint64 size, gboolean is_read_only, GError **error)
{
  gsize n_bytes = MIN (size, SHM_NPY_MAX_HEADER);
  g_autofree guint8 *bytes = g_malloc (MAX (n_bytes, 1));
  gssize strides[SHM_ARRAY_MAX_DIMS];
  g_autoptr (ShmArray) self = NULL;
  ShmNpyHeader header;

  if (!shm_file_read_start (fd, bytes, &n_bytes, error) ||
      !shm_npy_parse (bytes, n_bytes, &header, error))
    return NULL;

  self =
      shm_array_new_laid_out (header.dtype, header.item_size, header.shape, header.n_dims, error);
  if (self == NULL || !shm_array_check_file_size (self, header.offset, size, error))
    return NULL;

  set_fortran_strides (self, strides);
  if (!shm_array_map_file (self, fd, header.offset, header.is_fortran_order ? strides : NULL,
                           is_read_only, error))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * shm_array_new_for_npy: (constructor)
 * @file: a local file
 * @mode: %SHM_FILE_MODE_READ_ONLY or %SHM_FILE_MODE_READ_WRITE
 * @error: return location for a #GError
 *
 * Maps a file that numpy.save(), or shm_array_create_npy(), has written: the file says of which type
 * and shape the array is. Nothing is copied; for what it means that the memory is that of the file,
 * see shm_array_new_for_file(). If the file is in Fortran order, the array has the strides of it.
 *
 * Files of the versions 1.0 to 3.0 of the format can be mapped if their items are of a #ShmDtype, in
 * the machine's own byte order; records are those without fields, "V". The header of the file is
 * not trusted.
 *
 * All else that can be in the file is a %SHM_ERROR_INVALID_ARGUMENT with a message that says what it
 * is; a file that has fewer items than its header says is a %SHM_ERROR_OUT_OF_BOUNDS. Other errors
 * are those of shm_array_new_for_file().
 *
 * Returns: (transfer full): the array, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_for_npy (GFile *file, ShmFileMode mode, GError **error)
{
  ShmArray *self;
  guint64 size;
  int fd;

  g_return_val_if_fail (G_IS_FILE (file), NULL);
  g_return_val_if_fail ((guint) mode <= SHM_FILE_MODE_REPLACE, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!shm_file_check_mode (mode, FALSE, error))
    return NULL;
  fd = shm_file_open (file, mode, &size, error);
  if (fd < 0)
    return NULL;

  self = shm_array_new_for_npy_fd (fd, size, mode == SHM_FILE_MODE_READ_ONLY, error);
  close (fd);
  if (self == NULL)
    g_prefix_error (error, "%s: ", g_file_peek_path (file));
  return self;
}

/* Makes the file and maps it; it is there under its name once @new_file is finished. */
static ShmArray *
shm_array_begin_npy (ShmNewFile *new_file,
                     GFile *file,
                     ShmFileMode mode,
                     ShmDtype dtype,
                     gsize item_size,
                     const gsize *shape,
                     gsize n_dims,
                     GError **error)
{
  g_autoptr (ShmArray) self = shm_array_new_laid_out (dtype, item_size, shape, n_dims, error);
  g_autoptr (GBytes) header = NULL;
  const guint8 *data;
  gsize offset;

  if (self == NULL || !shm_file_check_mode (mode, TRUE, error))
    return NULL;

  header = shm_npy_format (self->dtype, self->item_size, self->shape, self->n_dims);
  data = g_bytes_get_data (header, &offset);
  if (!shm_new_file_open (new_file, file, mode, offset + shm_array_get_n_bytes (self), error) ||
      !shm_array_map_file (self, new_file->fd, offset, NULL, FALSE, error))
    return NULL;

  /* The header is shorter than a page, so that it is in the mapping. */
  memcpy (self->data - offset, data, offset);
  return g_steal_pointer (&self);
}

/**
 * shm_array_create_npy: (constructor)
 * @file: a local file
 * @mode: %SHM_FILE_MODE_CREATE or %SHM_FILE_MODE_REPLACE
 * @dtype: the type of the items
 * @item_size: the size of an item, in bytes; for %SHM_DTYPE_RECORD at least 1, for all others their
 * own size, or 0, which means the same
 * @shape: (array length=n_dims) (nullable): the length of each axis
 * @n_dims: the number of dimensions, at most 32
 * @error: return location for a #GError
 *
 * Makes an array of zeros, in C order, in a new file that numpy.load() can read, also with its
 * mmap_mode. What this process and those that it forks write to the array is in the file. See
 * shm_array_new_for_file() for what becomes of a file that is there already, and for the errors.
 *
 * Returns: (transfer full): the array, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_create_npy (GFile *file,
                      ShmFileMode mode,
                      ShmDtype dtype,
                      gsize item_size,
                      const gsize *shape,
                      gsize n_dims,
                      GError **error)
{
  g_auto (ShmNewFile) new_file = SHM_NEW_FILE_INIT;
  g_autoptr (ShmArray) self = NULL;

  g_return_val_if_fail (G_IS_FILE (file), NULL);
  g_return_val_if_fail ((guint) mode <= SHM_FILE_MODE_REPLACE, NULL);
  g_return_val_if_fail ((guint) dtype <= SHM_DTYPE_RECORD, NULL);
  g_return_val_if_fail (shape != NULL || n_dims == 0, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  self = shm_array_begin_npy (&new_file, file, mode, dtype, item_size, shape, n_dims, error);
  if (self == NULL || !shm_new_file_finish (&new_file, error))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * shm_array_save_npy:
 * @self: an array or a view
 * @file: a local file
 * @mode: %SHM_FILE_MODE_CREATE or %SHM_FILE_MODE_REPLACE
 * @error: return location for a #GError
 *
 * Writes a copy of the items, in C order, to a new file that numpy.load() can read. When this
 * returns, they are on the disk; with %SHM_FILE_MODE_REPLACE there is at all times either the old
 * file or the whole new one. The errors are those of shm_array_new_for_file().
 *
 * Returns: %TRUE, or %FALSE with @error set, and no file made
 *
 * Since: 1.0
 */
gboolean
shm_array_save_npy (ShmArray *self, GFile *file, ShmFileMode mode, GError **error)
{
  g_auto (ShmNewFile) new_file = SHM_NEW_FILE_INIT;
  g_autoptr (ShmArray) target = NULL;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);
  g_return_val_if_fail (G_IS_FILE (file), FALSE);
  g_return_val_if_fail ((guint) mode <= SHM_FILE_MODE_REPLACE, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!shm_array_check_open (self, error))
    return FALSE;
  target = shm_array_begin_npy (&new_file, file, mode, self->dtype, self->item_size, self->shape,
                                self->n_dims, error);
  if (target == NULL)
    return FALSE;

  shm_array_copy_items (self, target->data);
  return shm_array_sync (target, error) && shm_new_file_finish (&new_file, error);
}
