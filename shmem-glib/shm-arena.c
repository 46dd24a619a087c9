/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Items on their way from the caller to the workers, and large results on their way back.
 *
 * The file is divided into parts by its offsets, one for the caller and one for each rank, and is as sparse as its
 * use: what nobody needs any more is given back to the system, so it holds no more memory than what is in it.
 * It is written by system calls, and not through a mapping: so it can grow after the fork, and memory that
 * has run out is an error and no signal. It cannot shrink, so who maps a piece that is there keeps it.
 *
 * The caller's part grows at its head, and begins again at its start once nothing is in use. A value there is its type
 * string, padded to 8 bytes with at least one zero, and its serialised data. Workers put pieces into whole pages,
 * which the caller maps; when nobody uses them any more, the pages go back to the worker, or to the system.
 *
 * Pages that come again and again stay mapped on both sides, see shm-shelf.c, since page faults cost more than the copy.
 * The worker's mapping is one of pages that are there, and is never used for a value that the caller has to look into
 * before it believes it: that is written by a call, and lies behind no mapping that a stray pointer could hit.
 */

#include "config.h"

#include "shm-arena-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shm-control-private.h"
#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"
#include "shm-recycler-private.h"
#include "shm-shelf-private.h"

#define GIVE_BACK_SIZE ((guint64) 1 << 20)

/* Of address space for mappings that wait to be used again, in all. */
#define MAX_SHELF (GLIB_SIZEOF_SIZE_T > 4 ? (guint64) 1 << 30 : (guint64) 64 << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* A kernel of 32 bits has no files of more than 1 << 44 bytes, which have to do for all ranks. */
#define PART_BITS (GLIB_SIZEOF_SIZE_T > 4 ? 44 : 31)
G_STATIC_ASSERT (GLIB_SIZEOF_SIZE_T > 4 || SHM_CONTROL_MAX_WORKERS + 1 <= 1 << (44 - 31));

struct _ShmArena
{
  gatomicrefcount ref_count;
  int fd;
  pid_t pid;             /* whose it is: in the workers' copies nothing is given back */
  ShmRecycler *recycler; /* NULL: there is none */
  ShmShelf *shelf;       /* this process's; NULL: it has none */

  GMutex mutex;       /* guards what follows, in the caller */
  GHashTable *mapped; /* the pieces in use; (owned gint64 offset → guint how often) */
};

typedef struct
{
  ShmArena *arena;
  guint64 offset;
} ShmArenaPiece;

/* For workers of so many ranks; 0: for such that put things into new pages only. */
ShmArena *
shm_arena_new (guint n_ranks, GError **error)
{
  ShmArena *self = g_new0 (ShmArena, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->pid = getpid ();
  if (shm_fork_open_memfd (&self->fd, error))
    {
      g_mutex_init (&self->mutex);
      self->mapped = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
      self->recycler = n_ranks > 0 ? shm_recycler_new (n_ranks) : NULL;
      if (self->recycler != NULL)
        self->shelf = shm_shelf_new (MIN (n_ranks * SHM_RECYCLER_BYTES, MAX_SHELF));
      return self;
    }
  g_free (self);
  return NULL;
}

/* For a worker that is a program of its own, to which the descriptor came. */
ShmArena *
shm_arena_attach (int fd)
{
  ShmArena *self = g_new0 (ShmArena, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->fd = fd;
  return self;
}

ShmArena *
shm_arena_ref (ShmArena *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
shm_arena_unref (ShmArena *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  /* In a copy of the caller a thread that is not there may have locked it. */
  if (self->pid == getpid ())
    {
      shm_fork_close_fd (&self->fd);
      g_mutex_clear (&self->mutex);
    }
  g_clear_pointer (&self->mapped, g_hash_table_unref);
  g_clear_pointer (&self->recycler, shm_recycler_free);
  g_clear_pointer (&self->shelf, shm_shelf_free);
  g_free (self);
}

int
shm_arena_get_fd (ShmArena *self)
{
  return self->fd;
}

/* Where the part begins: that of the caller is 0, that of rank r is r + 1. */
guint64
shm_arena_get_base (guint n)
{
  return (guint64) n << PART_BITS;
}

/* Of each part. */
guint64
shm_arena_get_part_size (void)
{
  return (guint64) 1 << PART_BITS;
}

/* How much of the last page is used by so many bytes, or how far behind its beginning an offset is. */
static guint64
shm_arena_get_odd (guint64 size)
{
  return size & ((guint64) sysconf (_SC_PAGESIZE) - 1);
}

/* The bytes of the pages that hold so many. */
guint64
shm_arena_round (guint64 size)
{
  guint64 odd = shm_arena_get_odd (size);

  return odd == 0 ? size : size - odd + (guint64) sysconf (_SC_PAGESIZE);
}

/* Where files may have so many bytes only, a write beyond that would be a signal. */
static gboolean
shm_arena_is_in_limit (guint64 end)
{
  struct rlimit limit;

  errno = EFBIG;
  return getrlimit (RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
         end <= limit.rlim_cur;
}

static gboolean
shm_arena_write_pieces (ShmArena *self,
                        struct iovec *pieces,
                        int n_pieces,
                        guint64 size,
                        guint64 offset,
                        GError **error)
{
  gboolean ok = shm_arena_is_in_limit (offset + size);
  g_autofree char *text = NULL;
  int saved_errno;

  while (ok && n_pieces > 0)
    {
      gssize written = pwritev (self->fd, pieces, n_pieces, offset);

      ok = written >= 0 || errno == EINTR;
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
  if (ok)
    return TRUE;
  saved_errno = errno;
  text = g_format_size_full (size, G_FORMAT_SIZE_IEC_UNITS);
  g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY, _ ("No shared memory for %s: %s"), text,
               g_strerror (saved_errno));
  return FALSE;
}

/* To the end of the last page: what lies behind the end of a file may be cleared when the file grows, while a longer
 * value that came later is already there. */
gboolean
shm_arena_write (ShmArena *self, gconstpointer data, gsize size, guint64 offset, GError **error)
{
  static const char zero = 0;
  struct iovec piece = { (gpointer) data, size };
  struct iovec end = { (gpointer) &zero, 1 };

  return shm_arena_write_pieces (self, &piece, 1, size, offset, error) &&
         (shm_arena_get_odd (size) == 0 ||
          shm_arena_write_pieces (self, &end, 1, 1, offset + shm_arena_round (size) - 1, error));
}

static gpointer
shm_arena_map_pages (ShmArena *self, guint64 offset, gsize size)
{
  return mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, offset);
}

static gpointer
shm_arena_map_again (ShmArena *self, gsize size, guint64 offset)
{
  gpointer address = shm_shelf_take (self->shelf, offset, size);
  struct rlimit limit;

  if (address != NULL)
    return address;
  /* Where address space is limited it is the work function's. */
  if (getrlimit (RLIMIT_AS, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY)
    return NULL;
  address = shm_arena_map_pages (self, offset, size);
  if (address == MAP_FAILED)
    return NULL;
  /* Else memory that has run out would be a signal. */
  if (madvise (address, size, MADV_POPULATE_WRITE) == 0)
    return address;
  munmap (address, size);
  return NULL;
}

/* The same at a place that a worker of this rank has filled before, through a mapping that is kept. With `by_call` there
 * is none afterwards, so that no stray pointer can change what the caller will have checked. */
gboolean
shm_arena_write_again (ShmArena *self,
                       gconstpointer data,
                       gsize size,
                       guint64 offset,
                       gboolean by_call,
                       GError **error)
{
  gsize mapped_size = (gsize) shm_arena_round (size);
  gpointer address = NULL;

  if (self->shelf != NULL && by_call)
    shm_shelf_discard (self->shelf, offset);
  else if (self->shelf != NULL)
    address = shm_arena_map_again (self, mapped_size, offset);
  if (address == NULL)
    return shm_arena_write (self, data, size, offset, error);
  memcpy (address, data, size);
  shm_shelf_put (self->shelf, offset, address, mapped_size);
  return TRUE;
}

static void
shm_arena_give_back_range (ShmArena *self, guint64 offset, guint64 size)
{
  fallocate (self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
}

/* Takes the mapping. FALSE: the worker does not want the piece. */
static gboolean
shm_arena_recycle (ShmArena *self, guint64 offset, gpointer address, gsize size)
{
  guint part = offset >> PART_BITS;

  if (part > 0 && self->recycler != NULL)
    {
      /* First, for the piece may be here again as soon as the worker has it. */
      shm_shelf_put (self->shelf, offset, address, size);
      if (shm_recycler_give (self->recycler, part - 1, &(ShmScrap){ offset, size }))
        return TRUE;
      address = shm_shelf_take (self->shelf, offset, size);
    }
  if (address != NULL)
    munmap (address, size);
  return FALSE;
}

/* One more, or one less, uses the piece at this offset; how many still do. */
static guint
shm_arena_count (ShmArena *self, guint64 offset, gint change)
{
  guint n;

  g_mutex_lock (&self->mutex);
  n = GPOINTER_TO_UINT (g_hash_table_lookup (self->mapped, &offset)) + change;
  if (n > 0)
    g_hash_table_replace (self->mapped, g_memdup2 (&offset, sizeof offset), GUINT_TO_POINTER (n));
  else
    g_hash_table_remove (self->mapped, &offset);
  g_mutex_unlock (&self->mutex);
  return n;
}

static void
shm_arena_drop_piece (gpointer data, gpointer address, gsize size)
{
  ShmArenaPiece *piece = data;
  ShmArena *arena = piece->arena;

  if (arena->pid != getpid () || shm_arena_count (arena, piece->offset, -1) > 0)
    munmap (address, size);
  else if (!shm_arena_recycle (arena, piece->offset, address, size))
    shm_arena_give_back_range (arena, piece->offset, size);
  shm_arena_unref (arena);
  g_free (piece);
}

/* Room for so many bytes, whole pages, that the worker of this rank has filled before. FALSE: it must take new pages. */
gboolean
shm_arena_take_room (ShmArena *self, guint rank, guint64 size, guint64 *offset)
{
  ShmScrap scrap;

  while (self->recycler != NULL && shm_recycler_take (self->recycler, rank, &scrap))
    {
      /* What is too small is of no use for results that are growing. */
      guint64 used = scrap.size >= size ? size : 0;

      if (scrap.size > used)
        shm_arena_give_back_range (self, scrap.offset + used, scrap.size - used);
      *offset = scrap.offset;
      if (used > 0)
        return TRUE;
    }
  return FALSE;
}

static void
shm_arena_give_back_scrap (const ShmScrap *scrap, gpointer arena)
{
  shm_arena_give_back_range (arena, scrap->offset, scrap->size);
}

/* There is no worker any more. In a copy of the caller there still may be. */
void
shm_arena_stop_recycling (ShmArena *self)
{
  if (self->recycler != NULL && self->pid == getpid ())
    {
      shm_recycler_close (self->recycler, shm_arena_give_back_scrap, self);
      shm_shelf_close (self->shelf);
    }
}

/* In a worker, whose shelf is not the caller's. */
void
shm_arena_enter_worker (ShmArena *self)
{
  g_clear_pointer (&self->shelf, shm_shelf_free);
  if (self->recycler != NULL)
    self->shelf = shm_shelf_new (2 * SHM_RECYCLER_BYTES);
}

static gpointer
shm_arena_map_piece (ShmArena *self, guint64 offset, gsize size)
{
  gpointer address;

  if (self->shelf == NULL)
    return shm_arena_map_pages (self, offset, size);
  address = shm_shelf_take (self->shelf, offset, size);
  if (address == NULL)
    address = shm_arena_map_pages (self, offset, size);
  if (address != MAP_FAILED)
    return address;
  /* Where mappings are scarce, none can be spared. */
  shm_shelf_close (self->shelf);
  return shm_arena_map_pages (self, offset, size);
}

/* What a worker has put there, at the beginning of a page; the memory goes with the mapping. The worker is not believed. */
ShmMapping *
shm_arena_map (ShmArena *self, guint64 offset, guint64 size, GError **error)
{
  gsize mapped_size = (gsize) shm_arena_round (size);
  ShmArenaPiece *piece;
  struct stat stat_buffer;
  gpointer address;

  if (size == 0 || size > G_MAXSSIZE / 2 || shm_arena_get_odd (offset) != 0 ||
      offset > G_MAXINT64 / 2 || fstat (self->fd, &stat_buffer) != 0 ||
      (guint64) stat_buffer.st_size < offset + size)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_BAD_RESULT,
                           _ ("What a worker sent lies nowhere in shared memory"));
      return NULL;
    }
  address = shm_arena_map_piece (self, offset, mapped_size);
  if (address == MAP_FAILED)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY, _ ("A large result cannot be mapped: %s"),
                   g_strerror (errno));
      return NULL;
    }
  piece = g_new (ShmArenaPiece, 1);
  piece->arena = shm_arena_ref (self);
  piece->offset = offset;
  if (self->pid == getpid ())
    shm_arena_count (self, offset, 1);
  return shm_mapping_new_take (address, size, mapped_size, shm_arena_drop_piece, piece);
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
  if (!shm_arena_write_pieces (self, pieces, G_N_ELEMENTS (pieces), *size, *offset, error))
    return FALSE;
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
shm_arena_get (ShmArena *self, guint64 offset, guint64 size, GError **error)
{
  g_autofree guint8 *data = g_try_malloc (size);
  const GVariantType *type;
  gsize start;
  guint8 *body;

  if (data == NULL || !shm_arena_read_all (self->fd, data, size, offset))
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY, _ ("The item cannot be read: %s"),
                   g_strerror (data ? errno : ENOMEM));
      return NULL;
    }
  type = (const GVariantType *) data;
  start = strlen ((const char *) data) / 8 * 8 + 8;
  body = data + start;
  /* Its alignment is that of the buffer. */
  return g_variant_ref_sink (
      g_variant_new_from_data (type, body, size - start, TRUE, g_free, g_steal_pointer (&data)));
}

/* Nobody needs what lies below `tail`, which counts from the part's base. */
void
shm_arena_give_back (ShmArena *self, ShmArenaPart *part, guint64 tail)
{
  guint64 from = part->tail - shm_arena_get_odd (part->tail);
  guint64 to = tail - shm_arena_get_odd (tail);

  if (tail != part->head && to < from + GIVE_BACK_SIZE)
    return;
  /* Less than this is kept, to be written to again. */
  if (part->head > GIVE_BACK_SIZE && to > from)
    shm_arena_give_back_range (self, part->base + from, to - from);
  part->tail = tail;
}
