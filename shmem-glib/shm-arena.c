/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Values on their way from the caller to the workers.
 *
 * The file grows at its head for ever, and what lies below its tail is given back to the system, so it holds no
 * more memory than the values in use, of whatever size. Once nothing is in use it begins again at its start.
 * Values are written and read by system calls, and not through a mapping: it needs no room in
 * anybody's address space, can grow after the fork, and memory that has run out is an error and no signal.
 *
 * A value is its type string, padded to 8 bytes with at least one zero, and its serialised data.
 */

#include "config.h"

#include "shm-arena-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"

#define GIVE_BACK_SIZE ((guint64) 1 << 20)
#define PAGE_MASK (~(guint64) 4095)

gboolean
shm_arena_open (ShmArena *self, GError **error)
{
  return shm_fork_open_memfd (&self->fd, error);
}

void
shm_arena_close (ShmArena *self)
{
  shm_fork_close_fd (&self->fd);
}

static gboolean
shm_arena_write_all (int fd, struct iovec *pieces, int n_pieces, guint64 offset)
{
  while (n_pieces > 0)
    {
      gssize written = pwritev (fd, pieces, n_pieces, offset);

      if (written < 0 && errno != EINTR)
        return FALSE;
      written = MAX (written, 0);
      offset += written;
      while (n_pieces > 0 && (gsize) written >= pieces->iov_len)
        {
          written -= pieces->iov_len;
          pieces++;
          n_pieces--;
        }
      if (n_pieces > 0)
        {
          pieces->iov_base = (guint8 *) pieces->iov_base + written;
          pieces->iov_len -= written;
        }
    }
  return TRUE;
}

/* Writes the value at the head of the part, which moves behind it. */
gboolean
shm_arena_put (ShmArena *self,
               ShmArenaPart *part,
               GVariant *value,
               guint64 *offset,
               guint64 *size,
               GError **error)
{
  static const char zeros[8] = { 0 };
  const char *type = g_variant_get_type_string (value);
  gsize length = strlen (type);
  gsize data_size = g_variant_get_size (value);
  struct iovec pieces[] = {
    { (gpointer) type, length },
    { (gpointer) zeros, 8 - length % 8 },
    { (gpointer) g_variant_get_data (value), data_size },
  };

  if (part->head == part->tail)
    part->head = part->tail = 0;
  *offset = part->base + part->head;
  *size = length + pieces[1].iov_len + data_size;
  if (!shm_arena_write_all (self->fd, pieces, G_N_ELEMENTS (pieces), *offset))
    {
      int saved_errno = errno;
      g_autofree char *text = g_format_size_full (*size, G_FORMAT_SIZE_IEC_UNITS);

      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                   _ ("No shared memory for an item of %s: %s"), text, g_strerror (saved_errno));
      return FALSE;
    }
  part->head += (*size + 7) & ~(guint64) 7;
  return TRUE;
}

static gboolean
shm_arena_read_all (int fd, guint8 *data, guint64 size, guint64 offset)
{
  while (size > 0)
    {
      gssize n = pread (fd, data, size, offset);

      if (n == 0)
        errno = EIO;
      if (n == 0 || (n < 0 && errno != EINTR))
        return FALSE;
      n = MAX (n, 0);
      data += n;
      size -= n;
      offset += n;
    }
  return TRUE;
}

/* What was put there, with a reference of its own. */
GVariant *
shm_arena_get (const ShmArena *self, guint64 offset, guint64 size, GError **error)
{
  g_autofree guint8 *data = g_try_malloc (size);
  gsize start;
  guint8 *body;

  if (data == NULL || !shm_arena_read_all (self->fd, data, size, offset))
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY, _ ("The item cannot be read: %s"),
                   g_strerror (data ? errno : ENOMEM));
      return NULL;
    }
  start = strlen ((const char *) data) / 8 * 8 + 8;
  body = data + start;
  /* Its alignment is that of the buffer. */
  return g_variant_ref_sink (g_variant_new_from_data (
      (const GVariantType *) data, body, size - start, TRUE, g_free, g_steal_pointer (&data)));
}

/* Nobody needs what lies below `tail`, which counts from the part's base. */
void
shm_arena_give_back (ShmArena *self, ShmArenaPart *part, guint64 tail)
{
  guint64 from = part->tail & PAGE_MASK;
  guint64 to = tail & PAGE_MASK;

  if (tail != part->head && to < from + GIVE_BACK_SIZE)
    return;
  /* Less than this is kept, to be written to again. */
  if (part->head > GIVE_BACK_SIZE && to > from)
    fallocate (self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, part->base + from, to - from);
  part->tail = tail;
}
