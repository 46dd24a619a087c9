/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Memory that has been written once is written again much faster than new memory, which has to be found and cleared
 * first. So what the caller has dropped goes back to the worker that has filled it, through a list in shared memory, one for each
 * rank: the caller adds at the head, in whatever thread a result is dropped, under a lock of its own; the worker takes at
 * the tail.
 *
 * A worker that dies after it has taken a piece takes it along, until the arena goes. The caller reads nothing from the
 * list but the tail, and believes not even that: it has a copy of what it has added.
 */

#include "config.h"

#include "shm-recycler-private.h"

#include <sys/mman.h>

#include "shm-sync-private.h"

#define MAX_SCRAPS 64

typedef struct
{
  guint64 head __attribute__ ((aligned (SHM_CACHE_LINE))); /* ever added; the caller's */
  guint64 tail __attribute__ ((aligned (SHM_CACHE_LINE))); /* ever taken; the worker's */
  ShmScrap scraps[MAX_SCRAPS];
} ShmScrapList;

typedef struct
{
  guint64 head;
  ShmScrap scraps[MAX_SCRAPS];
} ShmScrapCopy;

struct _ShmRecycler
{
  ShmScrapList *lists;
  guint n_ranks;

  GMutex mutex; /* guards what follows, in the caller */
  ShmScrapCopy *copies;
  gboolean is_closed;
};

/* NULL: there is no memory for it, and so nothing is recycled. */
ShmRecycler *
shm_recycler_new (guint n_ranks)
{
  gpointer lists = mmap (NULL, n_ranks * sizeof (ShmScrapList), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ShmRecycler *self;

  if (lists == MAP_FAILED)
    return NULL;
  self = g_new0 (ShmRecycler, 1);
  self->lists = lists;
  self->n_ranks = n_ranks;
  g_mutex_init (&self->mutex);
  return self;
}

void
shm_recycler_free (ShmRecycler *self)
{
  munmap (self->lists, self->n_ranks * sizeof (ShmScrapList));
  g_mutex_clear (&self->mutex);
  g_free (self->copies);
  g_free (self);
}

/* Whether there is room for a piece of this size. */
static gboolean
shm_recycler_has_room (const ShmScrapCopy *copy, guint64 tail, guint64 size)
{
  guint64 n_bytes = size;
  guint64 i;

  if (copy->head - tail >= MAX_SCRAPS)
    return FALSE;
  for (i = tail; i != copy->head; i++)
    n_bytes += copy->scraps[i % MAX_SCRAPS].size;
  return n_bytes <= SHM_RECYCLER_BYTES;
}

/* Nobody uses the piece any more. FALSE: it is not wanted. */
gboolean
shm_recycler_give (ShmRecycler *self, guint rank, const ShmScrap *scrap)
{
  gboolean wanted = FALSE;

  if (rank >= self->n_ranks || scrap->size > SHM_RECYCLER_BYTES)
    return FALSE;

  g_mutex_lock (&self->mutex);
  if (!self->is_closed)
    {
      ShmScrapList *list = &self->lists[rank];
      ShmScrapCopy *copy;

      if (self->copies == NULL)
        self->copies = g_new0 (ShmScrapCopy, self->n_ranks);
      copy = &self->copies[rank];
      wanted = shm_recycler_has_room (copy, shm_load (&list->tail), scrap->size);
      if (wanted)
        {
          copy->scraps[copy->head % MAX_SCRAPS] = *scrap;
          list->scraps[copy->head % MAX_SCRAPS] = *scrap;
          shm_store (&list->head, ++copy->head);
        }
    }
  g_mutex_unlock (&self->mutex);
  return wanted;
}

/* All workers are gone: calls the function for each piece that they have not taken, and takes no more. */
void
shm_recycler_close (ShmRecycler *self, ShmScrapFunc func, gpointer data)
{
  guint rank;

  g_mutex_lock (&self->mutex);
  self->is_closed = TRUE;
  for (rank = 0; self->copies != NULL && rank < self->n_ranks; rank++)
    {
      const ShmScrapCopy *copy = &self->copies[rank];
      guint64 i = shm_load (&self->lists[rank].tail);

      /* Damaged: then it goes with the arena. */
      if (copy->head - i > MAX_SCRAPS)
        continue;
      for (; i != copy->head; i++)
        func (&copy->scraps[i % MAX_SCRAPS], data);
    }
  g_mutex_unlock (&self->mutex);
}

/* FALSE: there is none. */
gboolean
shm_recycler_take (ShmRecycler *self, guint rank, ShmScrap *scrap)
{
  ShmScrapList *list = &self->lists[rank];
  guint64 tail = list->tail;

  if (tail == shm_load (&list->head))
    return FALSE;
  *scrap = list->scraps[tail % MAX_SCRAPS];
  shm_store (&list->tail, tail + 1);
  return TRUE;
}
