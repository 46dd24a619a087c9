/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The control block of one job: an anonymous shared mapping, made by the caller before it forks.
 *
 *     header | lines, one a worker | confirmed claims | orphaned ranges | slots of fed items |
 *     rings, one a worker
 *
 * The caller owns the mapping and the eventfd; a worker that dies takes nothing with it. The
 * eventfd is how workers wake the caller, if `sleep` says that it wants to be: the caller sets it
 * before it polls, then looks at the rings and lines once more; a worker publishes before it reads
 * it. With a full fence on both sides one of the two always sees the other. After it has looked,
 * the caller is drowsy for a moment, so that a stream of small results costs one awakening in a
 * millisecond, and a lonely result none of its delay.
 */

#include "config.h"

#include "shm-control-private.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm-cpu.h"
#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"
#include "shm-ring-private.h"
#include "shm-schedule-private.h"

#define SPIN 400

static gsize
shm_control_align (gsize size)
{
  return (size + 4095) & ~(gsize) 4095;
}

ShmControl *
shm_control_new (const ShmControlSettings *settings, GError **error)
{
  g_autofree ShmControl *self = g_new0 (ShmControl, 1);
  gsize n = settings->n_workers;
  gsize lines_at = shm_control_align (sizeof (ShmControlHeader));
  gsize confirmed_at = lines_at + shm_control_align (n * sizeof (ShmLine));
  gsize orphans_at = confirmed_at + shm_control_align (n * n * sizeof (guint64));
  gsize feed_at = orphans_at + shm_control_align (SHM_CONTROL_ORPHANS * sizeof (ShmOrphan));
  gsize rings_at = feed_at + shm_control_align (settings->feed_size * sizeof (ShmFeedSlot));
  guint8 *base;
  int fd = -1;

  g_assert (n >= 1 && n <= SHM_CONTROL_MAX_WORKERS);
  g_assert (settings->n_items <= SHM_CONTROL_MAX_ITEMS);

  self->ring_size = settings->with_rings ? SHM_RING_SIZE : 0;
  self->map_size = rings_at + n * self->ring_size;

  if (settings->with_wakeups && !shm_fork_open_eventfd (&fd, error))
    return NULL;

  base = mmap (NULL, self->map_size, PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    {
      int saved_errno = errno;

      shm_fork_close_fd (&fd);
      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                   _ ("No shared memory for the control of %u workers: %s"), settings->n_workers,
                   g_strerror (saved_errno));
      return NULL;
    }

  self->header = (ShmControlHeader *) (gpointer) base;
  self->lines = (ShmLine *) (gpointer) (base + lines_at);
  self->confirmed = (guint64 *) (gpointer) (base + confirmed_at);
  self->orphans = (ShmOrphan *) (gpointer) (base + orphans_at);
  self->feed = (ShmFeedSlot *) (gpointer) (base + feed_at);
  self->feed_size = settings->feed_size;
  self->rings = base + rings_at;

  self->header->n_items = settings->n_items;
  /* Larger ones mean the same, and would overflow. Another run may have more items. */
  self->header->chunk_size = MIN (
      settings->chunk_size, settings->keep ? SHM_CONTROL_MAX_ITEMS : MAX (settings->n_items, 1));
  self->n_workers = settings->n_workers;
  self->header->schedule = settings->schedule;
  self->header->spin = settings->n_workers <= shm_cpu_count () ? SPIN : 0;
  self->event_fd = fd;
  self->header->stop_at_failure = settings->stop_at_failure;
  self->header->item_timeout = settings->item_timeout;
  self->header->max_items_per_worker = settings->max_items_per_worker;
  self->closed = settings->window == 0 && !settings->keep;
  self->limit = settings->window == 0 ? settings->n_items : 0;
  self->header->limit = self->limit;
  self->header->closed = self->closed;
  self->header->max_chunk = settings->window ? MAX (1, settings->window / (4 * n)) : 0;
  self->header->in_order = settings->in_order;
  self->header->can_sleep = settings->with_wakeups;
  self->header->with_caller = settings->with_caller;
  self->header->keep = settings->keep;
  self->header->n_taken = settings->n_taken;
  shm_schedule_init (self);

  return g_steal_pointer (&self);
}

void
shm_control_free (ShmControl *self)
{
  shm_fork_close_fd (&self->event_fd);
  munmap (self->header, self->map_size);
  g_free (self);
}

gpointer
shm_control_get_ring (ShmControl *self, guint rank)
{
  return self->rings + rank * self->ring_size;
}

/* A worker has published something; any thread or process of the job may call this. */
void
shm_control_notify (ShmControl *self, gboolean urgent)
{
  guint32 *sleep_state = &self->header->sleep;
  guint32 state;

  shm_fence ();
  state = shm_load (sleep_state);
  if (state == SHM_AWAKE || (state == SHM_DROWSY && !urgent))
    return;
  if (__atomic_exchange_n (sleep_state, SHM_AWAKE, __ATOMIC_SEQ_CST) != SHM_AWAKE)
    {
      guint64 one = 1;

      /* It cannot fail but by a full counter, which wakes as well. */
      while (write (self->event_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    }
}

/* Has the caller look at which items are done, since somebody may wait for that. It stays asked until it has begun to look:
 * nothing else would tell it, if it was awake just now and is about to sleep. */
void
shm_control_ask (ShmControl *self, gboolean urgent)
{
  guint32 *asked = &self->header->asked;
  guint32 expected = SHM_NOT_ASKED;

  if (urgent)
    __atomic_store_n (asked, SHM_ASKED_NOW, __ATOMIC_SEQ_CST);
  else
    __atomic_compare_exchange_n (asked, &expected, SHM_ASKED_SOON, FALSE, __ATOMIC_SEQ_CST,
                                 __ATOMIC_SEQ_CST);
  shm_control_notify (self, urgent);
}

/* Wakes all who sleep on it, and who is about to. */
void
shm_control_wake (guint32 *word)
{
  __atomic_add_fetch (word, 1, __ATOMIC_SEQ_CST);
  shm_futex_wake (word, INT_MAX);
}

/* Lets the workers claim items up to the limit; closed: there will never be more. For the caller alone. */
void
shm_control_set_limit (ShmControl *self, guint64 limit, gboolean closed)
{
  ShmControlHeader *header = self->header;

  if (limit == self->limit && closed == self->closed)
    return;
  g_assert (limit >= self->limit && !self->closed);
  self->limit = limit;
  self->closed = closed;
  __atomic_store_n (&header->limit, limit, __ATOMIC_SEQ_CST);
  __atomic_store_n (&header->closed, closed, __ATOMIC_SEQ_CST);
  if (header->can_sleep)
    shm_control_wake (&header->limit_wake);
}

/* All items were done, and the workers wait: for the items that come next. For the caller alone. */
void
shm_control_begin_run (ShmControl *self, guint64 n_items)
{
  self->first = self->limit;
  shm_store (&self->header->ordered_used, 0);
  __atomic_store_n (&self->header->first, self->first, __ATOMIC_SEQ_CST);
  shm_control_set_limit (self, self->first + n_items, FALSE);
}

/* Items that were done, and whatever of the ranges in work has been. */
guint64
shm_control_count_done (ShmControl *self)
{
  guint64 n = self->n_done_before;
  guint rank;

  for (rank = 0; rank < self->n_workers; rank++)
    {
      ShmLine *line = &self->lines[rank];
      guint64 begun = shm_load (&line->begun);
      guint64 done = shm_load (&line->done);

      n += shm_load (&line->n_done);
      if (begun > done + 1 && shm_load (&line->state) == SHM_LINE_RUNNING)
        n += begun - 1 - done;
    }
  return n;
}

/* Ends the job early: every sleeper is sent home, and nobody begins another item. */
void
shm_control_stop (ShmControl *self)
{
  guint rank;

  __atomic_store_n (&self->header->stop, 1, __ATOMIC_SEQ_CST);
  shm_lock_stop (&self->header->critical);
  shm_control_wake (&self->header->limit_wake);
  shm_control_wake (&self->header->barrier_wake);
  for (rank = 0; rank < self->n_workers; rank++)
    shm_control_wake (&self->lines[rank].turn_wake);
}
