/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* A piece of an arena that is filled again and again is mapped once only: to map it each time, to have its pages found
 * one fault after the other and to unmap it costs more than to copy it.
 *
 * A mapping belongs to who uses it, or to the shelf: it changes hands by put and take, and the shelf unmaps what has
 * lain there longest when it has too much. The memory behind a mapping is not the shelf's: it may have been given
 * back to the system, if the piece never comes again. A forked child has the mappings too, but leaves the shelf
 * alone, since it may have been forked in the middle of a change.
 */

#include "config.h"

#include "shm-shelf-private.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_MAPPINGS 256

typedef struct
{
  guint64 offset;
  guint8 *address;
  gsize size;
} ShmShelved;

struct _ShmShelf
{
  pid_t pid; /* whose it is */
  guint64 max_bytes;

  GMutex mutex;     /* guards what follows */
  guint64 n_bytes;  /* in all mappings */
  guint n_mappings; /* in the order in which they were put there */
  ShmShelved mappings[MAX_MAPPINGS];
};

ShmShelf *
shm_shelf_new (guint64 max_bytes)
{
  ShmShelf *self = g_new0 (ShmShelf, 1);

  self->pid = getpid ();
  self->max_bytes = max_bytes;
  g_mutex_init (&self->mutex);
  return self;
}

static ShmShelved
shm_shelf_remove (ShmShelf *self, guint i)
{
  ShmShelved removed = self->mappings[i];

  self->n_mappings--;
  self->n_bytes -= removed.size;
  memmove (&self->mappings[i], &self->mappings[i + 1],
           (self->n_mappings - i) * sizeof self->mappings[0]);
  return removed;
}

static void
shm_shelf_unmap_first (ShmShelf *self)
{
  ShmShelved removed = shm_shelf_remove (self, 0);

  munmap (removed.address, removed.size);
}

/* From now on it keeps nothing. */
void
shm_shelf_close (ShmShelf *self)
{
  if (self->pid != getpid ())
    return;
  g_mutex_lock (&self->mutex);
  self->max_bytes = 0;
  while (self->n_mappings > 0)
    shm_shelf_unmap_first (self);
  g_mutex_unlock (&self->mutex);
}

void
shm_shelf_free (ShmShelf *self)
{
  shm_shelf_close (self);
  if (self->pid == getpid ())
    g_mutex_clear (&self->mutex);
  g_free (self);
}

/* Takes the mapping. */
void
shm_shelf_put (ShmShelf *self, guint64 offset, gpointer address, gsize size)
{
  gboolean kept = FALSE;

  if (self->pid == getpid ())
    {
      g_mutex_lock (&self->mutex);
      kept = size <= self->max_bytes;
      while (kept && (self->n_mappings == MAX_MAPPINGS || self->n_bytes > self->max_bytes - size))
        shm_shelf_unmap_first (self);
      if (kept)
        {
          self->mappings[self->n_mappings++] = (ShmShelved){ offset, address, size };
          self->n_bytes += size;
        }
      g_mutex_unlock (&self->mutex);
    }
  if (!kept)
    munmap (address, size);
}

/* A mapping of so many bytes, whole pages, or NULL; a smaller one is of no use any more, nor is what a larger one has
 * behind them. */
gpointer
shm_shelf_take (ShmShelf *self, guint64 offset, gsize size)
{
  ShmShelved found = { 0 };
  gsize used;
  guint i;

  if (self->pid != getpid ())
    return NULL;
  g_mutex_lock (&self->mutex);
  for (i = 0; i < self->n_mappings && self->mappings[i].offset != offset; i++)
    ;
  if (i < self->n_mappings)
    found = shm_shelf_remove (self, i);
  g_mutex_unlock (&self->mutex);

  used = found.size >= size ? size : 0;
  if (found.size > used)
    munmap (found.address + used, found.size - used);
  return used > 0 ? found.address : NULL;
}

/* Unmaps what it has of the piece. */
void
shm_shelf_discard (ShmShelf *self, guint64 offset)
{
  shm_shelf_take (self, offset, G_MAXSIZE);
}
