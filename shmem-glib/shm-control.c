/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The control block of one job: a shared mapping, made by the caller before it forks; anonymous, or
 * of a file in memory where the workers are other programs, which map it anew.
 *
 *     header | lines, one a worker | confirmed claims | rings, one a worker | orphaned ranges |
 *     slots of fed items
 *
 * What any job uses lies close together, since each page costs each process that touches it a fault.
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
#include <sys/resource.h>
#include <unistd.h>

#include "shm-cpu.h"
#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"
#include "shm-ring-private.h"
#include "shm-schedule-private.h"

#define SPIN 400

/* Where in the mapping its parts begin, in bytes. */
typedef struct
{
  gsize lines;
  gsize confirmed;
  gsize rings;
  gsize ring_size;
  gsize orphans;
  gsize feed;
  gsize end;
} ShmControlLayout;

static gsize
shm_control_align (gsize size)
{
  return (size + 4095) & ~(gsize) 4095;
}

static void
shm_control_lay_out (ShmControlLayout *layout, gsize n, gsize feed_size, gboolean with_rings)
{
  layout->lines = sizeof (ShmControlHeader);
  layout->confirmed = layout->lines + n * sizeof (ShmLine);
  layout->rings =
      shm_control_align (layout->confirmed + n * shm_control_get_row_length (n) * sizeof (guint64));
  layout->ring_size = with_rings ? shm_control_align (SHM_RING_SIZE) : 0;
  layout->orphans = layout->rings + n * layout->ring_size;
  layout->feed = layout->orphans + shm_control_align (SHM_CONTROL_ORPHANS * sizeof (ShmOrphan));
  layout->end = layout->feed + shm_control_align (feed_size * sizeof (ShmFeedSlot));
}

static void
shm_control_set_base (ShmControl *self, guint8 *base, const ShmControlLayout *layout)
{
  self->map_size = layout->end;
  self->ring_size = layout->ring_size;
  self->header = (ShmControlHeader *) (gpointer) base;
  self->lines = (ShmLine *) (gpointer) (base + layout->lines);
  self->confirmed = (guint64 *) (gpointer) (base + layout->confirmed);
  self->orphans = (ShmOrphan *) (gpointer) (base + layout->orphans);
  self->feed = (ShmFeedSlot *) (gpointer) (base + layout->feed);
  self->rings = base + layout->rings;
}

/* A file in memory of this size. */
static gboolean
shm_control_open_fd (int *fd, gsize size, GError **error)
{
  struct rlimit limit;
  int saved_errno;

  if (!shm_fork_open_memfd (fd, error))
    return FALSE;
  /* Beyond that limit it would be a signal. */
  errno = EFBIG;
  if ((getrlimit (RLIMIT_FSIZE, &limit) != 0 || size <= limit.rlim_cur) &&
      ftruncate (*fd, (off_t) size) == 0)
    return TRUE;
  saved_errno = errno;
  shm_fork_close_fd (fd);
  g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY, _ ("No shared memory for the workers: %s"),
               g_strerror (saved_errno));
  return FALSE;
}

ShmControl *
shm_control_new (const ShmControlSettings *settings, GError **error)
{
  g_autofree ShmControl *self = g_new0 (ShmControl, 1);
  gsize n = settings->n_workers;
  ShmControlLayout layout;
  guint8 *base;
  int fd = -1;

  g_assert (n >= 1 && n <= SHM_CONTROL_MAX_WORKERS);
  g_assert (settings->n_items <= SHM_CONTROL_MAX_ITEMS);

  shm_control_lay_out (&layout, n, settings->feed_size, settings->with_rings);
  self->map_fd = -1;
  if (settings->with_fd && !shm_control_open_fd (&self->map_fd, layout.end, error))
    return NULL;
  if (settings->with_wakeups && !shm_fork_open_eventfd (&fd, error))
    {
      shm_fork_close_fd (&self->map_fd);
      return NULL;
    }

  base =
      mmap (NULL, layout.end, PROT_READ | PROT_WRITE,
            MAP_SHARED | MAP_NORESERVE | (self->map_fd < 0 ? MAP_ANONYMOUS : 0), self->map_fd, 0);
  if (base == MAP_FAILED)
    {
      int saved_errno = errno;

      shm_fork_close_fd (&fd);
      shm_fork_close_fd (&self->map_fd);
      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                   shm_ngettext ("No shared memory for the control of %u worker: %s",
                                 "No shared memory for the control of %u workers: %s",
                                 settings->n_workers),
                   settings->n_workers, g_strerror (saved_errno));
      return NULL;
    }

  shm_control_set_base (self, base, &layout);
  self->feed_size = settings->feed_size;
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
  self->header->paused = settings->paused;
  self->header->can_sleep = settings->with_wakeups;
  self->header->with_caller = settings->with_caller;
  self->header->keep = settings->keep;
  self->header->argument_at = settings->argument_at;
  self->header->argument_size = settings->argument_size;
  self->header->n_taken = settings->n_taken;
  shm_schedule_init (self);

  return g_steal_pointer (&self);
}

/* For a worker that is a program of its own, to which the descriptors came. */
ShmControl *
shm_control_attach (int map_fd, int event_fd, guint n_workers, gsize feed_size, GError **error)
{
  ShmControl *self = g_new0 (ShmControl, 1);
  ShmControlLayout layout;
  guint8 *base;

  shm_control_lay_out (&layout, n_workers, feed_size, TRUE);
  base = mmap (NULL, layout.end, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (base == MAP_FAILED)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                   _ ("The shared memory of the job cannot be mapped: %s"), g_strerror (errno));
      g_free (self);
      return NULL;
    }
  shm_control_set_base (self, base, &layout);
  self->feed_size = feed_size;
  self->n_workers = n_workers;
  self->event_fd = event_fd;
  self->map_fd = map_fd;
  return self;
}

void
shm_control_free (ShmControl *self)
{
  shm_fork_close_fd (&self->event_fd);
  shm_fork_close_fd (&self->map_fd);
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

/* While it is paused no range is claimed, and who has done his waits. For the caller alone. */
void
shm_control_set_paused (ShmControl *self, gboolean paused)
{
  ShmControlHeader *header = self->header;

  if (__atomic_exchange_n (&header->paused, paused, __ATOMIC_SEQ_CST) && !paused &&
      header->can_sleep)
    shm_control_wake (&header->limit_wake);
}

/* All items below the lowest one are done. Where that leaves nothing to begin, a pause keeps nobody from leaving. For the
 * caller alone. */
void
shm_control_end_pause (ShmControl *self, guint64 lowest)
{
  if (self->closed && lowest >= self->limit)
    shm_control_set_paused (self, FALSE);
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
