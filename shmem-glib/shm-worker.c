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
#include <unistd.h>

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

/* The caller has given up this worker, which is a process, and kills it. */
static void
shm_worker_await_end (void)
{
  for (;;)
    pause ();
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

/* The clock of the item in work, where items have a deadline. `item_started` is 0 while no item is in work, or
 * while the one that is waits for a section. Whether an item has ended in time is decided by one
 * compare-and-exchange: of the worker to 0, or of the caller to SHM_ITEM_CONDEMNED. */
static void
shm_worker_start_clock (ShmWorker *self, gint64 elapsed)
{
  gint64 expected = self->line->item_started;

  if (expected == SHM_ITEM_CONDEMNED ||
      !__atomic_compare_exchange_n (&self->line->item_started, &expected,
                                    g_get_monotonic_time () - elapsed, FALSE, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
    shm_worker_await_end ();
}

static void
shm_worker_pause_clock (ShmWorker *self, gint64 *elapsed)
{
  gint64 started = self->line->item_started;

  *elapsed = g_get_monotonic_time () - started;
  if (started == SHM_ITEM_CONDEMNED ||
      !__atomic_compare_exchange_n (&self->line->item_started, &started, 0, FALSE, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
    shm_worker_await_end ();
}

/* TRUE: the item took too long, and nobody could kill its worker. */
static gboolean
shm_worker_stop_clock (ShmWorker *self)
{
  gint64 elapsed;

  shm_worker_pause_clock (self, &elapsed);
  return !self->can_be_killed && elapsed > self->control->header->item_timeout;
}

/* The item in work begins, or the next one of a range does. */
static inline void
shm_worker_begin (ShmWorker *self, guint64 item)
{
  if (G_UNLIKELY (self->control->header->item_timeout != 0))
    shm_worker_start_clock (self, 0);
  shm_store (&self->line->begun, item + 1);
}

/* The work function has returned. Takes what it said, in its error or before; NULL if all is well. */
static ShmFailure *
shm_worker_end (ShmWorker *self, GError *error)
{
  g_autoptr (GError) told = error;
  ShmFailure *failure = g_steal_pointer (&self->failure);

  if (G_UNLIKELY (self->in_critical || self->in_ordered))
    shm_worker_leave_sections (self);
  if (G_UNLIKELY (self->control->header->item_timeout != 0) && shm_worker_stop_clock (self) &&
      told == NULL && failure == NULL)
    told = g_error_new_literal (SHM_ERROR, SHM_ERROR_WORKER_TIMEOUT,
                                _ ("the item took longer than it may"));
  if (failure == NULL && told != NULL)
    failure = shm_failure_new (self->work->base + self->line->begun - 1, self->rank, told);
  return failure;
}

/* Takes the failure. FALSE: nothing more is to be begun. */
static gboolean
shm_worker_fail (ShmWorker *self, guint64 item, ShmFailure *failure)
{
  /* The job is being ended for another reason; what fails now mostly fails of that. */
  if (shm_worker_is_stopped (self))
    {
      shm_failure_unref (failure);
      return FALSE;
    }
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

/* Whether this worker has done all that it may; it leaves what it owns to the others then. */
static inline gboolean
shm_worker_is_spent (ShmWorker *self)
{
  guint64 max = self->control->header->max_items_per_worker;

  if (max == 0 || self->n_items < max)
    return FALSE;
  shm_store (&self->line->state, SHM_LINE_RECYCLED);
  return TRUE;
}

static gboolean
shm_worker_run_items (ShmWorker *self, guint64 begin, guint64 end)
{
  const ShmWork *work = self->work;
  guint64 item;

  for (item = begin; item < end; item++)
    {
      GError *error = NULL;
      ShmFailure *failure;
      GVariant *value;

      if (shm_worker_is_stopped (self) || shm_worker_is_spent (self))
        return FALSE;
      shm_worker_begin (self, item);
      value = work->func.map (self->pool, work->base + item, work->user_data, &error);
      failure = shm_worker_end (self, error);

      shm_store (&self->line->n_done, ++self->n_items);
      if (G_UNLIKELY (failure != NULL))
        {
          g_clear_pointer (&value, g_variant_unref);
          if (!shm_worker_fail (self, item, failure))
            return FALSE;
        }
      else if (value != NULL &&
               !self->outlet->result (self, item, item + 1, g_variant_take_ref (value)))
        return FALSE;
      shm_store (&self->line->done, item + 1);
    }
  return TRUE;
}

static GVariant *
shm_worker_call_range (ShmWorker *self, guint64 begin, guint64 end, GError **error)
{
  const ShmWork *work = self->work;
  GVariant *value;

  if (work->kind == SHM_WORK_RANGE)
    {
      value = work->func.range (self->pool, work->base + begin, work->base + end, work->user_data,
                                error);
      return value ? g_variant_take_ref (value) : NULL;
    }

  if (!work->func.loop (self->pool, work->base + begin, work->base + end, work->user_data, error) &&
      *error == NULL && self->failure == NULL)
    g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED,
                         _ ("the work function failed and did not say why"));
  return NULL;
}

/* A range that fails in its middle hands over what it has; what comes after the failed item is tried. */
static gboolean
shm_worker_run_range (ShmWorker *self, guint64 begin, guint64 end)
{
  ShmLine *line = self->line;
  guint64 max = self->control->header->max_items_per_worker;

  while (begin < end)
    {
      guint64 until =
          max == 0 ? end : MIN (end, begin + MAX (max, self->n_items + 1) - self->n_items);
      g_autoptr (GVariant) value = NULL;
      GError *error = NULL;
      ShmFailure *failure;

      if (shm_worker_is_stopped (self) || shm_worker_is_spent (self))
        return FALSE;
      shm_worker_begin (self, begin);
      value = shm_worker_call_range (self, begin, until, &error);
      failure = shm_worker_end (self, error);

      if (failure != NULL)
        until = line->begun - 1;
      if (value != NULL && until > begin &&
          !self->outlet->result (self, begin, until, g_steal_pointer (&value)))
        {
          g_clear_pointer (&failure, shm_failure_unref);
          return FALSE;
        }
      shm_store (&line->done, until);
      self->n_items += until - begin + (failure != NULL);
      shm_store (&line->n_done, self->n_items);
      begin = until;
      if (failure != NULL)
        {
          if (!shm_worker_fail (self, begin, failure))
            return FALSE;
          begin++;
        }
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
  shm_worker_begin (self, item);
  return TRUE;
}

/* The item in work fails with more than an error can say. */
void
shm_worker_fail_item (ShmWorker *self,
                      const GError *error,
                      const char *traceback,
                      GVariant *payload)
{
  g_clear_pointer (&self->failure, shm_failure_unref);
  self->failure = shm_failure_new (self->work->base + self->line->begun - 1, self->rank, error);
  self->failure->traceback = g_strdup (traceback);
  self->failure->payload = payload ? g_variant_ref_sink (payload) : NULL;
}

static gboolean
shm_worker_set_stopped (GError **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, _ ("the job is being ended"));
  return FALSE;
}

/* What an item waits for a section is not its own time. */
static inline void
shm_worker_wait_begin (ShmWorker *self, gint64 *elapsed)
{
  if (self->control->header->item_timeout != 0)
    shm_worker_pause_clock (self, elapsed);
}

static inline void
shm_worker_wait_end (ShmWorker *self, gint64 elapsed)
{
  if (self->control->header->item_timeout != 0)
    shm_worker_start_clock (self, elapsed);
}

gboolean
shm_worker_critical_enter (ShmWorker *self, GError **error)
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
  entered = shm_lock_acquire (&header->critical, self->rank + 1, header->spin);
  shm_worker_wait_end (self, elapsed);
  if (!entered)
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
  gint64 elapsed = 0;
  gboolean entered;

  if (self->ordered_item == item)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("the ordered section was entered twice by one item"));
      return FALSE;
    }
  shm_worker_wait_begin (self, &elapsed);
  entered = shm_schedule_enter_turn (self->control, self->rank);
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
  if (self->line->begun == self->line->end)
    shm_schedule_pass_turn (self->control, self->rank);
}
