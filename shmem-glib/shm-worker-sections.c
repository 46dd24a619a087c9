/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Critical and ordered sections, as a worker sees them, and the clock of its items.
 *
 * What an item waits for a section is not its own time: the clock stands still meanwhile.
 */

#include "config.h"

#include "shm-worker-private.h"

#include <unistd.h>

#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-region-private.h"
#include "shm-schedule-private.h"

/* The caller has given up this worker, which is a process, and kills it. */
static void
shm_worker_await_end (void)
{
  for (;;)
    pause ();
}

void
shm_worker_leave_sections (ShmWorker *self)
{
  if (self->in_critical)
    {
      g_critical ("A work function returned inside of its critical section");
      shm_worker_critical_leave (self);
    }
  if (self->in_ordered)
    {
      g_critical ("A work function returned inside of its ordered section");
      shm_worker_ordered_leave (self);
    }
}

/* The clock of the item in work, where items have a deadline. `item_started` is 0 while no item is in work, or
 * while the one that is waits for a section. Whether an item has ended in time is decided by one
 * compare-and-exchange: of the worker to 0, or of the caller to SHM_ITEM_CONDEMNED. */
void
shm_worker_start_clock (ShmWorker *self, gint64 elapsed)
{
  gint64 expected = self->line->item_started;

  if (expected == SHM_ITEM_CONDEMNED ||
      !__atomic_compare_exchange_n (&self->line->item_started, &expected,
                                    g_get_monotonic_time () - elapsed, FALSE, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
    shm_worker_await_end ();
}

void
shm_worker_pause_clock (ShmWorker *self, gint64 *elapsed)
{
  gint64 started = self->line->item_started;

  *elapsed = g_get_monotonic_time () - started;
  if (started == SHM_ITEM_CONDEMNED ||
      !__atomic_compare_exchange_n (&self->line->item_started, &started, 0, FALSE, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
    shm_worker_await_end ();
}

gboolean
shm_worker_set_stopped (GError **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, _ ("the job is being ended"));
  return FALSE;
}

void
shm_worker_wait_begin (ShmWorker *self, gint64 *elapsed)
{
  if (self->control->header->item_timeout != 0 && self->line->life == SHM_LIFE_WORK)
    shm_worker_pause_clock (self, elapsed);
}

void
shm_worker_wait_end (ShmWorker *self, gint64 elapsed)
{
  if (self->control->header->item_timeout != 0 && self->line->life == SHM_LIFE_WORK)
    shm_worker_start_clock (self, elapsed);
}

/* Where the lock cannot be had at once. */
static G_GNUC_NO_INLINE gboolean
shm_worker_critical_wait (ShmWorker *self, GError **error)
{
  ShmControlHeader *header = self->control->header;
  gint64 elapsed = 0;
  gboolean entered;

  if (self->in_critical)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("the critical section was entered twice"));
      return FALSE;
    }
  shm_worker_wait_begin (self, &elapsed);
  entered = shm_lock_acquire (&header->critical, self->rank + 1, header->spin,
                              &self->line->slept[SHM_SLEEP_CRITICAL]);
  shm_worker_wait_end (self, elapsed);
  if (!entered)
    return shm_worker_set_stopped (error);
  self->in_critical = TRUE;
  return TRUE;
}

gboolean
shm_worker_critical_enter (ShmWorker *self, GError **error)
{
  /* Who is inside already finds the lock taken. */
  if (G_UNLIKELY (!shm_lock_try (&self->control->header->critical, self->rank + 1)))
    return shm_worker_critical_wait (self, error);
  self->in_critical = TRUE;
  return TRUE;
}

void
shm_worker_critical_leave (ShmWorker *self)
{
  g_return_if_fail (self->in_critical);

  self->in_critical = FALSE;
  shm_lock_release (&self->control->header->critical);
}

/* What is to be done in order: an item, or, in a region, a range of its loop. */
static guint64
shm_worker_get_ordered_item (ShmWorker *self)
{
  if (self->in_loop)
    return self->loop.at;
  if (self->work->kind == SHM_WORK_REGION || self->line->life != SHM_LIFE_WORK)
    return SHM_NO_ITEM;
  return self->line->begun - 1;
}

gboolean
shm_worker_ordered_enter (ShmWorker *self, GError **error)
{
  guint64 item = shm_worker_get_ordered_item (self);
  gint64 elapsed = 0;
  gboolean entered;

  if (item == SHM_NO_ITEM)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("there is no item here that could have its turn"));
      return FALSE;
    }
  if (self->ordered_item == item)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("the ordered section was entered twice by one item"));
      return FALSE;
    }
  shm_worker_wait_begin (self, &elapsed);
  entered = self->in_loop ? shm_region_enter_turn (self)
                          : shm_schedule_enter_turn (self->control, self->rank);
  shm_worker_wait_end (self, elapsed);
  if (!entered)
    return shm_worker_set_stopped (error);
  self->ordered_item = item;
  self->in_ordered = TRUE;
  return TRUE;
}

void
shm_worker_ordered_leave (ShmWorker *self)
{
  g_return_if_fail (self->in_ordered);

  self->in_ordered = FALSE;
  if (self->in_loop)
    shm_region_pass_turn (self);
  else if (self->line->begun == self->line->end)
    shm_schedule_pass_turn (self->control, self->rank);
}
