/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* One worker, in whatever kind of thread or process its backend runs it: it claims a range, calls
 * the work function, and hands over what comes back.
 *
 * The line in the control block is kept in such an order that it is right at every instruction:
 * `begun` before the work function is called, `done` after its result is handed over. An item whose
 * result is published is done even if its worker dies before it can say so: see
 * shm_schedule_resolve ().
 */

#include "config.h"

#include "shm-worker-private.h"

#include <time.h>

#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-schedule-private.h"

static __thread ShmWorker *current_worker;

ShmWorker *
shm_worker_get_current (void)
{
  return current_worker;
}

/* Leaves a work function, or comes back to it; the one that was current. */
ShmWorker *
shm_worker_swap_current (ShmWorker *worker)
{
  ShmWorker *previous = current_worker;

  current_worker = worker;
  return previous;
}

ShmWorker *
shm_worker_find (ShmMapReduce *pool)
{
  ShmWorker *worker = current_worker;

  while (worker != NULL && worker->pool != pool)
    worker = worker->outer;
  return worker;
}

static gint64
shm_worker_now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (gint64) now.tv_sec * 1000000000 + now.tv_nsec;
}

/* `control`, `rank`, `pool`, `work` and the outlet must be set. */
void
shm_worker_init (ShmWorker *self)
{
  self->line = &self->control->lines[self->rank];
  self->grain = 1;
  self->ordered_item = SHM_NO_ITEM;
}

static inline gboolean
shm_worker_is_stopped (ShmWorker *self)
{
  return shm_load (&self->control->header->stop) != 0;
}

static void
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

static inline void
shm_worker_after_call (ShmWorker *self)
{
  if (G_UNLIKELY (self->in_critical || self->in_ordered))
    shm_worker_leave_sections (self);
}

/* FALSE: nothing more is to be begun. */
static gboolean
shm_worker_fail (ShmWorker *self, guint64 item, const GError *error)
{
  ShmFailure *failure = shm_failure_new (self->work->base + item, self->rank, error);

  if (!self->outlet->failure (self, item, failure))
    return FALSE;
  shm_store (&self->line->done, item + 1);
  if (self->control->header->stop_at_failure)
    {
      shm_control_stop (self->control);
      return FALSE;
    }
  return TRUE;
}

static gboolean
shm_worker_run_items (ShmWorker *self, guint64 begin, guint64 end)
{
  const ShmWork *work = self->work;
  ShmLine *line = self->line;
  guint64 item;

  for (item = begin; item < end; item++)
    {
      GError *error = NULL;
      GVariant *value;

      if (shm_worker_is_stopped (self))
        return FALSE;
      shm_store (&line->begun, item + 1);
      value = work->func.map (self->pool, work->base + item, work->user_data, &error);
      shm_worker_after_call (self);

      if (G_UNLIKELY (error != NULL))
        {
          gboolean go_on = shm_worker_fail (self, item, error);

          g_error_free (error);
          g_clear_pointer (&value, g_variant_unref);
          if (!go_on)
            return FALSE;
        }
      else if (value != NULL &&
               !self->outlet->result (self, item, item + 1, g_variant_take_ref (value)))
        return FALSE;
      shm_store (&line->done, item + 1);
    }
  return TRUE;
}

static gboolean
shm_worker_call_range (
    ShmWorker *self, guint64 begin, guint64 end, GVariant **value, GError **error)
{
  const ShmWork *work = self->work;

  if (work->kind == SHM_WORK_RANGE)
    {
      *value = work->func.range (self->pool, work->base + begin, work->base + end, work->user_data,
                                 error);
      if (*value != NULL)
        *value = g_variant_take_ref (*value);
      return *error == NULL;
    }

  *value = NULL;
  if (work->func.loop (self->pool, work->base + begin, work->base + end, work->user_data, error))
    return TRUE;
  if (*error == NULL)
    g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED,
                         _ ("the work function failed and did not say why"));
  return FALSE;
}

/* A range that fails in its middle hands over what it has; what comes after the failed item is
 * tried. */
static gboolean
shm_worker_run_range (ShmWorker *self, guint64 begin, guint64 end)
{
  ShmLine *line = self->line;

  while (begin < end)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GVariant) value = NULL;
      guint64 item;
      gboolean ok;

      if (shm_worker_is_stopped (self))
        return FALSE;
      shm_store (&line->begun, begin + 1);
      ok = shm_worker_call_range (self, begin, end, &value, &error);
      shm_worker_after_call (self);

      item = ok ? end : line->begun - 1;
      if (value != NULL && item > begin &&
          !self->outlet->result (self, begin, item, g_steal_pointer (&value)))
        return FALSE;
      shm_store (&line->done, item);
      if (ok)
        break;
      if (!shm_worker_fail (self, item, error))
        return FALSE;
      begin = item + 1;
    }
  return TRUE;
}

/* Claims one range and works on it; FALSE: there is nothing left for this worker. */
gboolean
shm_worker_step (ShmWorker *self)
{
  ShmControlHeader *header = self->control->header;
  gboolean automatic = header->chunk_size == 0 && header->schedule == SHM_SCHEDULE_DYNAMIC;
  gint64 started = 0;
  gboolean go_on;

  if (shm_worker_is_stopped (self) || !shm_schedule_claim (self->control, self->rank, self->grain))
    return FALSE;
  if (automatic)
    started = shm_worker_now_ns ();

  self->outer = shm_worker_swap_current (self);
  if (self->work->kind == SHM_WORK_MAP)
    go_on = shm_worker_run_items (self, self->line->begin, self->line->end);
  else
    go_on = shm_worker_run_range (self, self->line->begin, self->line->end);
  shm_worker_swap_current (self->outer);

  /* The last chunks shrink with what is left; they say nothing about the size that would be right.
   */
  if (automatic && self->line->end - self->line->begin >= self->grain)
    self->grain = shm_schedule_adapt (self->grain, shm_worker_now_ns () - started);
  return go_on;
}

void
shm_worker_run (ShmWorker *self)
{
  while (shm_worker_step (self))
    ;
}

/* FALSE: it is not an item that can begin now. */
gboolean
shm_worker_begin_item (ShmWorker *self, guint64 item)
{
  ShmLine *line = self->line;

  if (self->work->kind == SHM_WORK_MAP || item + 1 < line->begun || item >= line->end)
    return FALSE;
  shm_store (&line->begun, item + 1);
  return TRUE;
}

static gboolean
shm_worker_set_stopped (GError **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, _ ("the job is being ended"));
  return FALSE;
}

gboolean
shm_worker_critical_enter (ShmWorker *self, GError **error)
{
  ShmControlHeader *header = self->control->header;

  if (self->in_critical)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("the critical section was entered twice"));
      return FALSE;
    }
  if (!shm_lock_acquire (&header->critical, self->rank + 1, header->spin, &header->stop))
    return shm_worker_set_stopped (error);
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

gboolean
shm_worker_ordered_enter (ShmWorker *self, GError **error)
{
  guint64 item = self->line->begun - 1;

  if (self->ordered_item == item)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("the ordered section was entered twice by one item"));
      return FALSE;
    }
  if (!shm_schedule_enter_turn (self->control, self->rank))
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
  if (self->line->begun == self->line->end)
    shm_schedule_pass_turn (self->control, self->rank);
}
