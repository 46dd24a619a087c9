/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-file-private.h"

#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-mapping-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Files behind arrays. None is ever made shorter here: somebody may have mapped it, and a read
 * beyond the end of a mapped file is a bus error. So a file that takes the place of another one is
 * written beside it, and renamed when it is whole.
 *
 * What the system says about a file is a G_IO_ERROR, as elsewhere where there is a GFile; a file of
 * which we say that it will not do is a SHM_ERROR.
 */

#define N_NAMES 100

static gboolean
set_errno (GError **error, const char *path)
{
  int saved_errno = errno;
  g_autofree char *name = g_filename_display_name (path);

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno), "%s: %s", name,
               g_strerror (saved_errno));
  return FALSE;
}

static gboolean
set_not_regular (GError **error, const char *path)
{
  g_autofree char *name = g_filename_display_name (path);

  g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT, _ ("%s is not a regular file"), name);
  return FALSE;
}

static const char *
shm_file_get_path (GFile *file, GError **error)
{
  const char *path = g_file_peek_path (file);
  g_autofree char *uri = NULL;

  if (path != NULL && g_file_is_native (file))
    return path;

  uri = g_file_get_uri (file);
  g_set_error (error, SHM_ERROR, SHM_ERROR_NOT_SUPPORTED,
               _ ("%s is not a local file, and cannot be mapped"), uri);
  return NULL;
}

gboolean
shm_file_mode_is_new (ShmFileMode mode)
{
  return mode == SHM_FILE_MODE_CREATE || mode == SHM_FILE_MODE_REPLACE;
}

/* For calls that have either only to do with files that exist, or only with new ones. */
gboolean
shm_file_check_mode (ShmFileMode mode, gboolean is_new, GError **error)
{
  if (shm_file_mode_is_new (mode) == is_new)
    return TRUE;

  g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                       is_new ? _ ("A file can be written here only as a new one")
                              : _ ("A file can be opened here only if it exists"));
  return FALSE;
}

/* Opens a regular file that exists; -1 with @error set if there is none. */
int
shm_file_open (GFile *file, ShmFileMode mode, guint64 *size, GError **error)
{
  const char *path = shm_file_get_path (file, error);
  int flags = mode == SHM_FILE_MODE_READ_ONLY ? O_RDONLY : O_RDWR;
  struct stat status;
  int fd;

  if (path == NULL)
    return -1;

  /* Not to wait for the other end of a pipe, which is refused below. */
  fd = open (path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0)
    {
      set_errno (error, path);
      return -1;
    }
  if (fstat (fd, &status) < 0 || !S_ISREG (status.st_mode))
    {
      set_not_regular (error, path);
      close (fd);
      return -1;
    }
  *size = (guint64) status.st_size;
  return fd;
}

/* Reads up to *@n_bytes from the beginning; fewer are the whole file. */
gboolean
shm_file_read_start (int fd, guint8 *buffer, gsize *n_bytes, GError **error)
{
  gsize n_done = 0;

  while (n_done < *n_bytes)
    {
      gssize n = pread (fd, buffer + n_done, *n_bytes - n_done, (off_t) n_done);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        {
          int saved_errno = errno;

          g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno),
                       _ ("Cannot read the header: %s"), g_strerror (saved_errno));
          return FALSE;
        }
      if (n == 0)
        break;
      n_done += (gsize) n;
    }
  *n_bytes = n_done;
  return TRUE;
}

/* Finds out what is in the way of a new file, and with which permissions it is to be made. One that
 * nobody may write to is not replaced, although its folder would allow that.
 */
static gboolean
shm_new_file_look_at_old (ShmNewFile *self, mode_t *permissions, GError **error)
{
  struct stat status;

  if (stat (self->path, &status) < 0)
    return errno == ENOENT || set_errno (error, self->path);
  if (!S_ISREG (status.st_mode))
    return set_not_regular (error, self->path);
  if (access (self->path, W_OK) < 0)
    return set_errno (error, self->path);

  *permissions = status.st_mode & 0777;
  return TRUE;
}

/* Makes the file that will be renamed, under a name that is not taken. */
static gboolean
shm_new_file_open_beside (ShmNewFile *self, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (self->path);
  mode_t permissions = 0;

  if (!shm_new_file_look_at_old (self, &permissions, error))
    return FALSE;

  for (guint i = 0; i < N_NAMES && self->fd < 0; i++)
    {
      g_autofree char *name = g_strdup_printf (".shmem-glib-%08x", g_random_int ());
      g_autofree char *path = g_build_filename (folder, name, NULL);

      self->fd = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (self->fd >= 0)
        self->written = g_steal_pointer (&path);
      else if (errno != EEXIST)
        break;
    }
  if (self->fd < 0 || (permissions != 0 && fchmod (self->fd, permissions) < 0))
    return set_errno (error, self->path);
  return TRUE;
}

/* Taking room until there is none left would take it from all others for that time. A file beyond
 * its limit would be a signal. FALSE with errno set.
 */
static gboolean
check_room (int fd, guint64 size)
{
  struct rlimit limit;
  struct statvfs status;

  errno = EFBIG;
  if (size > G_MAXINT64 || (getrlimit (RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur))
    return FALSE;

  errno = ENOSPC;
  return fstatvfs (fd, &status) < 0 || status.f_blocks == 0 ||
         size / status.f_frsize <= status.f_bavail;
}

static gboolean
allocate (int fd, guint64 size)
{
  if (!check_room (fd, size))
    return FALSE;
  if (shm_mapping_allocate_fd (fd, size))
    return TRUE;
  /* Some file systems cannot take room ahead. */
  return errno == EOPNOTSUPP && ftruncate (fd, (off_t) size) == 0;
}

/* Makes a file of @size bytes, all zeros, whose room on the disk is taken. */
gboolean
shm_new_file_open (ShmNewFile *self, GFile *file, ShmFileMode mode, guint64 size, GError **error)
{
  const char *path = shm_file_get_path (file, error);

  if (path == NULL)
    return FALSE;

  if (mode == SHM_FILE_MODE_CREATE)
    {
      self->path = g_strdup (path);
      self->fd = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
      if (self->fd < 0)
        return set_errno (error, path);
      self->written = g_strdup (path);
    }
  else
    {
      /* A link stays, and what it leads to is replaced. */
      self->path = realpath (path, NULL);
      if (self->path == NULL)
        self->path = g_strdup (path);
      if (!shm_new_file_open_beside (self, error))
        return FALSE;
    }

  return allocate (self->fd, size) || set_errno (error, path);
}

/* Puts the file in its place. */
gboolean
shm_new_file_finish (ShmNewFile *self, GError **error)
{
  if (g_strcmp0 (self->written, self->path) != 0 && rename (self->written, self->path) < 0)
    return set_errno (error, self->path);

  g_clear_pointer (&self->written, g_free);
  return TRUE;
}

void
shm_new_file_clear (ShmNewFile *self)
{
  if (self->written != NULL)
    unlink (self->written);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
  g_clear_pointer (&self->written, g_free);
  g_clear_pointer (&self->path, g_free);
}
