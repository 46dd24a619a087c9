/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-array.h"

#include "shm-array-private.h"
#include "shm-dtype-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <sys/stat.h>

/* Arrays for processes that this one did not fork: the memory goes there as a descriptor, and what
 * lies in it as a variant.
 *
 * The receiver trusts neither. A descriptor has to be of memory that is sealed against shrinking,
 * since an access to what another process has cut off is a bus error; its size is then good for
 * ever, and shm_array_attach() checks all else against it.
 */

/* Headers older than the kernel lack it. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static int
shm_array_get_fd (ShmArray *self, GError **error)
{
  int fd = self->mapping != NULL ? shm_mapping_get_fd (self->mapping) : -1;

  if (!shm_array_check_open (self, error))
    return -1;
  if (fd < 0)
    g_set_error_literal (
        error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
        _ ("Only arrays made with SHM_ARRAY_FLAGS_SHAREABLE can be handed to other processes"));
  return fd;
}

static ShmMapping *
shm_mapping_new_for_stranger (int fd, GError **error)
{
  int seals = fcntl (fd, F_GET_SEALS);
  int flags = fcntl (fd, F_GETFL);
  struct stat status;
  gboolean is_read_only;

  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || flags < 0 || fstat (fd, &status) < 0)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_UNTRUSTED,
                           _ ("The descriptor is not one of memory that is sealed against "
                              "shrinking"));
      return NULL;
    }
  if ((guint64) status.st_size > G_MAXSSIZE)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                           _ ("The memory is larger than an address space"));
      return NULL;
    }

  is_read_only =
      (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0 || (flags & O_ACCMODE) == O_RDONLY;
  /* All of it is mapped, so that the offset in a view's message is that in the descriptor. */
  return shm_mapping_new_for_fd (fd, 0, (gsize) status.st_size, is_read_only, TRUE, error);
}

/* Puts an array that is laid out, and is taken, on a descriptor's memory. */
static ShmArray *
shm_array_attach_fd (ShmArray *array, int fd, guint64 offset, const gssize *strides, GError **error)
{
  g_autoptr (ShmArray) self = array;
  g_autoptr (ShmMapping) mapping = NULL;

  if (self == NULL)
    return NULL;
  mapping = shm_mapping_new_for_stranger (fd, error);
  if (mapping == NULL || !shm_array_attach (self, mapping, offset, strides, error))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * shm_array_dup_fd:
 * @self: an array made with %SHM_ARRAY_FLAGS_SHAREABLE, or a view of one
 * @error: return location for a #GError
 *
 * Gets a descriptor of the memory of @self, all of it if @self is a view, to be handed to another
 * process in any way that takes descriptors. Whoever has it can map the memory for reading and for
 * writing, unless shm_array_seal_read_only() was called.
 *
 * An array whose memory has no descriptor, as that of a file, is a %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: the descriptor, close-on-exec, which belongs to the caller; -1 with @error set on failure
 *
 * Since: 1.0
 */
int
shm_array_dup_fd (ShmArray *self, GError **error)
{
  int fd;
  int copy;

  g_return_val_if_fail (SHM_IS_ARRAY (self), -1);

  fd = shm_array_get_fd (self, error);
  if (fd < 0)
    return -1;

  copy = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0)
    {
      int saved_errno = errno;

      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno),
                   _ ("Cannot duplicate a descriptor: %s"), g_strerror (saved_errno));
    }
  return copy;
}

/**
 * shm_array_new_from_fd: (constructor)
 * @fd: a descriptor from another process, which stays the caller's
 * @dtype: the type of the items
 * @item_size: the size of an item, in bytes; for %SHM_DTYPE_RECORD at least 1, for all others their
 * own size, or 0, which means the same
 * @shape: (array length=n_dims) (nullable): the length of each axis
 * @n_dims: the number of dimensions, at most 32
 * @offset: where in the memory the first item is, in bytes; a multiple of the size of a number
 * @error: return location for a #GError
 *
 * Makes an array on the memory of a descriptor that shm_array_dup_fd() gave, with its items in C
 * order. Nothing is copied: what one process writes, the other sees. If the memory is sealed against
 * writing, or the descriptor was opened for reading only, the array is read-only.
 *
 * A descriptor of something else than memory that is sealed against shrinking is a
 * %SHM_ERROR_UNTRUSTED, since another process could take it away; for the same reason no file is
 * taken here. Memory that is too small is a %SHM_ERROR_OUT_OF_BOUNDS. What the items are is not
 * checked, and the other process may change them at any time: copy what has to be checked before
 * it is used.
 *
 * Returns: (transfer full): the array, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_from_fd (int fd,
                       ShmDtype dtype,
                       gsize item_size,
                       const gsize *shape,
                       gsize n_dims,
                       guint64 offset,
                       GError **error)
{
  g_return_val_if_fail ((guint) dtype <= SHM_DTYPE_RECORD, NULL);
  g_return_val_if_fail (shape != NULL || n_dims == 0, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return shm_array_attach_fd (shm_array_new_laid_out (dtype, item_size, shape, n_dims, error), fd,
                              offset, NULL, error);
}

/**
 * shm_array_seal_read_only:
 * @self: an array made with %SHM_ARRAY_FLAGS_SHAREABLE, or a view of one
 * @error: return location for a #GError
 *
 * Sees to it that whoever gets the memory of @self from now on may only read it. This process, those
 * that it has forked or will fork, and those that have mapped the memory already, go on writing to
 * it. There is no way back, and it holds for all views.
 *
 * Linux before 5.1 cannot do this, which is a %SHM_ERROR_NOT_SUPPORTED. An array whose memory has no
 * descriptor is a %SHM_ERROR_INVALID_ARGUMENT.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
gboolean
shm_array_seal_read_only (ShmArray *self, GError **error)
{
  int fd;
  int saved_errno;

  g_return_val_if_fail (SHM_IS_ARRAY (self), FALSE);

  fd = shm_array_get_fd (self, error);
  if (fd < 0)
    return FALSE;
  if (fcntl (fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0)
    return TRUE;

  saved_errno = errno;
  g_set_error (error, SHM_ERROR, saved_errno == EINVAL ? SHM_ERROR_NOT_SUPPORTED : SHM_ERROR_FAILED,
               _ ("Cannot seal the memory against writing: %s"), g_strerror (saved_errno));
  return FALSE;
}

/**
 * shm_array_to_message:
 * @self: an array made with %SHM_ARRAY_FLAGS_SHAREABLE, or a view of one
 * @fd_list: the descriptors of a message, to which that of the memory is added
 * @error: return location for a #GError
 *
 * Describes an array for a message to another process, which makes an array on the same memory of
 * it by shm_array_new_from_message(). Nothing is copied. The variant is of the type
 * %SHM_ARRAY_MESSAGE_TYPE, and can be a part of the body of a D-Bus message with the descriptors of
 * @fd_list; see #GUnixFDList. One message can have several arrays.
 *
 * A view is described with its strides, but the receiver can reach all of the memory that it is a
 * view of.
 *
 * The fields of records are not in the message; who receives it can add them again.
 *
 * An array whose memory has no descriptor is a %SHM_ERROR_INVALID_ARGUMENT: for others there is
 * shm_array_new_copy_full().
 *
 * Returns: (transfer full): the variant, not floating, or %NULL with @error set
 *
 * Since: 1.0
 */
GVariant *
shm_array_to_message (ShmArray *self, GUnixFDList *fd_list, GError **error)
{
  g_autofree char *type = NULL;
  GVariantBuilder builder;
  const guint8 *address;
  int fd;
  int handle;

  g_return_val_if_fail (SHM_IS_ARRAY (self), NULL);
  g_return_val_if_fail (G_IS_UNIX_FD_LIST (fd_list), NULL);

  fd = shm_array_get_fd (self, error);
  if (fd < 0)
    return NULL;
  handle = g_unix_fd_list_append (fd_list, fd, error);
  if (handle < 0)
    return NULL;

  type = shm_dtype_describe (self->dtype, self->item_size);
  g_variant_builder_init (&builder, G_VARIANT_TYPE (SHM_ARRAY_MESSAGE_TYPE));
  g_variant_builder_add (&builder, "s", type);
  g_variant_builder_open (&builder, G_VARIANT_TYPE ("at"));
  for (gsize axis = 0; axis < self->n_dims; axis++)
    g_variant_builder_add (&builder, "t", (guint64) self->shape[axis]);
  g_variant_builder_close (&builder);
  g_variant_builder_open (&builder, G_VARIANT_TYPE ("ax"));
  for (gsize axis = 0; axis < self->n_dims; axis++)
    g_variant_builder_add (&builder, "x", (gint64) self->strides[axis]);
  g_variant_builder_close (&builder);
  address = shm_mapping_get_address (self->mapping);
  g_variant_builder_add (&builder, "t", (guint64) (self->data - address));
  g_variant_builder_add (&builder, "h", (gint32) handle);
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/* Reads shape and strides of a message, each of which fits the machine or is an error. */
static gboolean
read_axes (GVariant *message, gsize *shape, gssize *strides, gsize *n_dims, GError **error)
{
  g_autoptr (GVariant) shape_value = g_variant_get_child_value (message, 1);
  g_autoptr (GVariant) strides_value = g_variant_get_child_value (message, 2);
  const guint64 *lengths = g_variant_get_fixed_array (shape_value, n_dims, sizeof (guint64));
  gsize n_strides;
  const gint64 *distances = g_variant_get_fixed_array (strides_value, &n_strides, sizeof (gint64));
  gboolean fits = *n_dims == n_strides && *n_dims <= SHM_ARRAY_MAX_DIMS;

  for (gsize axis = 0; fits && axis < *n_dims; axis++)
    {
      shape[axis] = (gsize) lengths[axis];
      strides[axis] = (gssize) distances[axis];
      fits = shape[axis] == lengths[axis] && strides[axis] == distances[axis];
    }
  if (!fits)
    g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                         _ ("A message has a shape and strides that do not go together"));
  return fits;
}

/**
 * shm_array_new_from_message: (constructor)
 * @message: what shm_array_to_message() made in another process
 * @fd_list: (nullable): the descriptors that came with it; %NULL is as good as none
 * @error: return location for a #GError
 *
 * Makes an array on memory that another process hands over: a view of the same shape and order as
 * there. See shm_array_new_from_fd() for what is demanded of the memory. The message is not trusted:
 * whatever it says, an array that comes of it lies within its memory.
 *
 * A message that is of another type, or makes no sense, is a %SHM_ERROR_INVALID_ARGUMENT; one whose
 * array does not lie within its memory, or which means a descriptor that is not there, is a
 * %SHM_ERROR_OUT_OF_BOUNDS; and memory that is not sealed is a %SHM_ERROR_UNTRUSTED.
 *
 * Returns: (transfer full): the array, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_array_new_from_message (GVariant *message, GUnixFDList *fd_list, GError **error)
{
  gsize shape[SHM_ARRAY_MAX_DIMS];
  gssize strides[SHM_ARRAY_MAX_DIMS];
  ShmDtype dtype;
  const char *type;
  const int *fds = NULL;
  int n_fds = 0;
  gint32 handle;
  guint64 offset;
  gsize item_size;
  gsize n_dims;

  g_return_val_if_fail (message != NULL, NULL);
  g_return_val_if_fail (fd_list == NULL || G_IS_UNIX_FD_LIST (fd_list), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!g_variant_is_of_type (message, G_VARIANT_TYPE (SHM_ARRAY_MESSAGE_TYPE)))
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("A message of type “%s” is not an array"),
                   g_variant_get_type_string (message));
      return NULL;
    }
  g_variant_get_child (message, 0, "&s", &type);
  g_variant_get_child (message, 3, "t", &offset);
  g_variant_get_child (message, 4, "h", &handle);
  if (!shm_dtype_parse (type, &dtype, &item_size, error) ||
      !read_axes (message, shape, strides, &n_dims, error))
    return NULL;

  if (fd_list != NULL)
    fds = g_unix_fd_list_peek_fds (fd_list, &n_fds);
  if (handle < 0 || handle >= n_fds)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS,
                   _ ("A message means descriptor %d of %d"), handle, n_fds);
      return NULL;
    }
  return shm_array_attach_fd (shm_array_new_laid_out (dtype, item_size, shape, n_dims, error),
                              fds[handle], offset, strides, error);
}
