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

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"
#include "shm-region-private.h"
#include "shm-schedule-private.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#define MAP_PAGES 8 /* fewer are not worth a call of the system */

SHM_THREAD ShmWorker *shm_worker_current;

/* Leaves a work function, or comes back to it; the one that was current. */
ShmWorker *
shm_worker_swap_current (ShmWorker *worker)
{
  ShmWorker *previous = shm_worker_current;

  shm_worker_current = worker;
  return previous;
}

/* Among how many workers the processors are shared where the calling thread works. */
guint
shm_worker_count_taken (void)
{
  ShmWorker *worker = shm_worker_current;

  return worker ? MAX (1, worker->control->header->n_taken) : 1;
}

/* A number that depends on nothing but the seed and the item: the finaliser of splitmix64 (Steele, Lea and Flood,
 * 2014) on the item's place in its sequence. */
guint64
shm_work_seed (const ShmWork *work, guint64 index)
{
  guint64 z = work->seed + (index + 1) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ (z >> 31);
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
  /* Threads share one generator. */
  if (G_UNLIKELY (self->work->reseed) && (self->can_be_killed || !self->control->header->can_sleep))
    g_random_set_seed ((guint32) shm_work_seed (self->work, shm_worker_to_index (self, item)));
}

/* The item in work as the user counts, or SHM_NO_ITEM. */
static guint64
shm_worker_get_index (ShmWorker *self)
{
  return self->line->life == SHM_LIFE_WORK ? shm_worker_to_index (self, self->line->begun - 1)
                                           : SHM_NO_ITEM;
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
    failure = shm_failure_new (shm_worker_get_index (self), self->rank, told);
  return failure;
}

/* All items below this are done, and what came of them is handed over. */
static inline void
shm_worker_set_done (ShmWorker *self, guint64 item)
{
  /* What it has printed must not wait until it leaves: the run may end here. */
  if (G_UNLIKELY (self->control->header->keep) && item == self->line->end)
    shm_fork_flush ();
  shm_store (&self->line->done, item);
  /* What waits in the caller for its turn may have been waiting for this alone. */
  if (G_UNLIKELY (self->control->header->in_order))
    shm_control_ask (self->control, FALSE);
}

static inline gboolean
shm_worker_send_result (ShmWorker *self, guint64 begin, guint64 end, GVariant *value)
{
  ShmFrame frame = { .kind = SHM_FRAME_RESULT, .begin = begin, .end = end, .value = value };

  if (G_UNLIKELY (self->work->drop_results))
    {
      g_variant_unref (value);
      return TRUE;
    }
  return self->outlet (self, &frame);
}

static void
shm_worker_send_trace (ShmWorker *self, guint64 begin, guint64 end, gint64 since)
{
  ShmFrame frame = {
    .kind = SHM_FRAME_TRACE,
    .begin = begin,
    .end = end,
    .value = g_variant_ref_sink (g_variant_new ("(xxi)", since, shm_now_ns (), (gint) getpid ())),
  };

  self->outlet (self, &frame);
}

/* Takes the failure. FALSE: nothing more is to be begun. */
static gboolean
shm_worker_fail (ShmWorker *self, ShmFrameKind kind, guint64 item, ShmFailure *failure)
{
  gboolean broken = kind == SHM_FRAME_BROKEN;
  ShmFrame frame = {
    .kind = kind,
    .begin = broken ? 0 : item,
    .end = broken ? 0 : item + 1,
    .failure = failure,
  };

  /* The job is being ended for another reason; what fails now mostly fails of that. */
  if (shm_worker_is_stopped (self))
    {
      shm_failure_unref (failure);
      return FALSE;
    }
  if (!self->outlet (self, &frame))
    return FALSE;
  if (!broken)
    shm_worker_set_done (self, item + 1);
  if (broken || self->control->header->stop_at_failure)
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

static void
shm_worker_set_unknown (ShmWorker *self, GError **error)
{
  if (*error == NULL && self->failure == NULL)
    g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED,
                         _ ("the work function failed and did not say why"));
}

static GVariant *
shm_worker_call_item (ShmWorker *self, guint64 item, GError **error)
{
  const ShmWork *work = self->work;
  GVariant *value;

  if (work->kind == SHM_WORK_MAP)
    value = ((ShmMapFunc) work->call.func) (self->pool, shm_worker_to_index (self, item),
                                            work->call.data, error);
  else if (self->control->header->with_caller && !shm_region_barrier (self, error))
    value = NULL;
  else
    value = ((ShmRegionFunc) work->call.func) (self->pool, item, work->call.data, error);
  return value ? g_variant_take_ref (value) : NULL;
}

/* The work function has returned from an item, with this; takes both. FALSE: nothing more is to be begun. */
static gboolean
shm_worker_end_item (
    ShmWorker *self, guint64 item, gint64 traced_since, GVariant *value, GError *error)
{
  g_autoptr (GVariant) result = value;
  ShmFailure *failure = shm_worker_end (self, error);

  /* One that fails ends the region, and says so before the others can complain that it has left. */
  if (self->work->kind == SHM_WORK_REGION && failure == NULL)
    shm_region_leave (self);
  if (G_UNLIKELY (traced_since != 0))
    shm_worker_send_trace (self, item, item + 1, traced_since);

  shm_store (&self->line->n_done, ++self->n_items);
  if (G_UNLIKELY (failure != NULL))
    {
      if (!shm_worker_fail (self, SHM_FRAME_FAILURE, item, failure))
        return FALSE;
    }
  else if (result != NULL &&
           !shm_worker_send_result (self, item, item + 1, g_steal_pointer (&result)))
    return FALSE;
  shm_worker_set_done (self, item + 1);
  return TRUE;
}

static gboolean
shm_worker_run_items (ShmWorker *self, guint64 begin, guint64 end)
{
  guint64 item;

  for (item = begin; item < end; item++)
    {
      GVariant *value;
      GError *error = NULL;
      gint64 since = 0;

      if (shm_worker_is_stopped (self) || shm_worker_is_spent (self))
        return FALSE;
      shm_worker_begin (self, item);
      if (G_UNLIKELY (self->work->trace))
        since = shm_now_ns ();
      value = shm_worker_call_item (self, item, &error);
      if (!shm_worker_end_item (self, item, since, value, error))
        return FALSE;
    }
  return TRUE;
}

/* Has the pages of the places mapped, as far as they are there, which takes a fourth of the time of a fault for each. Where
 * that is not to be had, the faults come. */
static void
shm_worker_map_places (guint8 *places, guint64 n, gssize stride)
{
  gsize page = (gsize) sysconf (_SC_PAGESIZE);
  gsize step = (gsize) ABS (stride);
  guint8 *first = stride < 0 ? places - (n - 1) * step : places;
  gsize odd = (guintptr) first & (page - 1);

  if (step <= page / 2 && n * step >= MAP_PAGES * page)
    madvise (first - odd, odd + n * step, MADV_POPULATE_READ);
}

/* Whether there is more to say of the item that has ended than that it is done. */
static inline gboolean
shm_worker_has_more_to_say (ShmWorker *self)
{
  return self->failure != NULL || self->in_critical || self->in_ordered ||
         self->control->header->item_timeout != 0;
}

/* Items that write their places may be as small as one instruction. */
static gboolean
shm_worker_run_places (ShmWorker *self, guint64 begin, guint64 end)
{
  const ShmWork *work = self->work;
  guint64 index = shm_worker_to_index (self, begin);
  gssize stride = work->into->strides[0];
  guint8 *place = work->into->data + (gssize) index * stride;
  guint64 item;

  if (self->can_be_killed)
    shm_worker_map_places (place, end - begin, stride);
  for (item = begin; item < end; item++)
    {
      GError *error = NULL;
      gint64 since = 0;

      if (shm_worker_is_stopped (self) || shm_worker_is_spent (self))
        return FALSE;
      shm_worker_begin (self, item);
      if (G_UNLIKELY (work->trace))
        since = shm_now_ns ();
      if (!((ShmIntoFunc) work->call.func) (self->pool, index, place, work->call.data, &error))
        shm_worker_set_unknown (self, &error);

      if (G_LIKELY (error == NULL && since == 0 && !shm_worker_has_more_to_say (self)))
        {
          shm_store (&self->line->n_done, ++self->n_items);
          shm_worker_set_done (self, item + 1);
        }
      else if (!shm_worker_end_item (self, item, since, NULL, error))
        return FALSE;
      index++;
      place += stride;
    }
  return TRUE;
}

static GVariant *
shm_worker_call_range (ShmWorker *self, guint64 begin, guint64 end, GError **error)
{
  const ShmWork *work = self->work;
  guint64 first = shm_worker_to_index (self, begin);
  guint64 last = shm_worker_to_index (self, end);
  GVariant *value;

  if (work->kind == SHM_WORK_RANGE)
    {
      value = ((ShmRangeFunc) work->call.func) (self->pool, first, last, work->call.data, error);
      return value ? g_variant_take_ref (value) : NULL;
    }

  if (!((ShmLoopFunc) work->call.func) (self->pool, first, last, work->call.data, error))
    shm_worker_set_unknown (self, error);
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
      gint64 since = 0;

      if (shm_worker_is_stopped (self) || shm_worker_is_spent (self))
        return FALSE;
      shm_worker_begin (self, begin);
      if (G_UNLIKELY (self->work->trace))
        since = shm_now_ns ();
      value = shm_worker_call_range (self, begin, until, &error);
      failure = shm_worker_end (self, error);

      if (failure != NULL)
        until = line->begun - 1;
      if (G_UNLIKELY (since != 0))
        shm_worker_send_trace (self, begin, until + (failure != NULL), since);
      if (value != NULL && until > begin &&
          !shm_worker_send_result (self, begin, until, g_steal_pointer (&value)))
        {
          g_clear_pointer (&failure, shm_failure_unref);
          return FALSE;
        }
      /* First: once all is done the caller may count. */
      self->n_items += until - begin + (failure != NULL);
      shm_store (&line->n_done, self->n_items);
      shm_worker_set_done (self, until);
      begin = until;
      if (failure != NULL)
        {
          if (!shm_worker_fail (self, SHM_FRAME_FAILURE, begin, failure))
            return FALSE;
          begin++;
        }
    }
  return TRUE;
}

static inline gboolean
shm_worker_works_by_item (ShmWorker *self)
{
  return self->work->kind != SHM_WORK_RANGE && self->work->kind != SHM_WORK_LOOP;
}

/* Claims one range and works on it; FALSE: there is nothing left for this worker. */
gboolean
shm_worker_step (ShmWorker *self)
{
  ShmControlHeader *header = self->control->header;
  gboolean automatic = header->chunk_size == 0 && header->schedule == SHM_SCHEDULE_DYNAMIC &&
                       !shm_load (&header->ordered_used);
  gint64 started = 0;
  gboolean go_on;

  if (shm_worker_is_stopped (self) || !shm_schedule_claim (self->control, self->rank, self->grain))
    return FALSE;
  if (automatic)
    started = shm_now_ns ();

  self->outer = shm_worker_swap_current (self);
  if (self->work->kind == SHM_WORK_INTO)
    go_on = shm_worker_run_places (self, self->line->begin, self->line->end);
  else if (shm_worker_works_by_item (self))
    go_on = shm_worker_run_items (self, self->line->begin, self->line->end);
  else
    go_on = shm_worker_run_range (self, self->line->begin, self->line->end);
  shm_worker_swap_current (self->outer);

  /* The last chunks shrink with what is left; they say nothing about the size that would be right.
   */
  if (automatic && self->line->end - self->line->begin >= self->grain)
    self->grain = shm_schedule_adapt (self->grain, shm_now_ns () - started);
  return go_on;
}

static gint64
shm_worker_get_cpu_time (void)
{
  struct timespec time;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time);
  return (gint64) time.tv_sec * 1000000000 + time.tv_nsec;
}

/* A set-up or tear-down has returned. Takes the error; TRUE: it went well. */
static gboolean
shm_worker_check (ShmWorker *self, GError *error)
{
  g_autoptr (GError) told = error;
  ShmFailure *failure = g_steal_pointer (&self->failure);

  shm_worker_swap_current (self->outer);
  shm_worker_leave_sections (self);
  if (failure == NULL && told != NULL)
    failure = shm_failure_new (SHM_NO_ITEM, self->rank, told);
  if (failure != NULL)
    shm_worker_fail (self, SHM_FRAME_BROKEN, SHM_NO_ITEM, failure);
  return failure == NULL;
}

static void
shm_worker_start_watch (ShmWorker *self)
{
  self->line->started = shm_now_ns ();
  self->line->cpu_time = -shm_worker_get_cpu_time ();
}

static void
shm_worker_stop_watch (ShmWorker *self)
{
  self->line->cpu_time += shm_worker_get_cpu_time ();
  self->line->ended = shm_now_ns ();
}

/* FALSE: the set-up has failed, and the job ends. */
gboolean
shm_worker_set_up (ShmWorker *self)
{
  const ShmCall *call = &self->work->set_up;
  GError *error = NULL;

  shm_worker_start_watch (self);
  if (call->func != NULL)
    {
      shm_store (&self->line->life, SHM_LIFE_SET_UP);
      self->outer = shm_worker_swap_current (self);
      self->state = ((ShmSetUpFunc) call->func) (self->pool, self->rank, call->data, &error);
      if (!shm_worker_check (self, error))
        {
          shm_worker_stop_watch (self);
          return FALSE;
        }
    }
  if (self->control->header->keep)
    shm_fork_flush ();
  shm_store (&self->line->life, SHM_LIFE_WORK);
  return TRUE;
}

/* For a worker whose set-up went well, when it ends for whatever reason. */
void
shm_worker_tear_down (ShmWorker *self)
{
  const ShmCall *call = &self->work->tear_down;
  g_autoptr (GVariant) value = NULL;
  GError *error = NULL;

  if (call->func != NULL)
    {
      shm_store (&self->line->life, SHM_LIFE_TEAR_DOWN);
      self->outer = shm_worker_swap_current (self);
      value =
          ((ShmTearDownFunc) call->func) (self->pool, self->rank, self->state, call->data, &error);
      if (value != NULL)
        value = g_variant_take_ref (g_steal_pointer (&value));
      if (shm_worker_check (self, error) && value != NULL && !shm_worker_is_stopped (self))
        {
          ShmFrame frame = { .kind = SHM_FRAME_SUMMARY, .value = g_steal_pointer (&value) };

          self->outlet (self, &frame);
        }
    }
  shm_worker_stop_watch (self);
  shm_store (&self->line->life, SHM_LIFE_OVER);
}

/* The life of a caller that takes part in a region: it claims nothing, since its range is set already. */
void
shm_worker_run_part (ShmWorker *self)
{
  if (!shm_worker_set_up (self))
    return;
  self->outer = shm_worker_swap_current (self);
  shm_worker_run_items (self, self->line->begin, self->line->end);
  shm_worker_swap_current (self->outer);
  shm_worker_tear_down (self);
}

/* The whole life of a worker that has a thread or a process of its own. */
void
shm_worker_run (ShmWorker *self)
{
  if (!shm_worker_set_up (self))
    return;
  while (shm_worker_step (self))
    ;
  shm_worker_tear_down (self);
}

/* FALSE: it is not an item that can begin now. */
gboolean
shm_worker_begin_item (ShmWorker *self, guint64 item)
{
  ShmLine *line = self->line;

  if (shm_worker_works_by_item (self) || self->line->life != SHM_LIFE_WORK ||
      item + 1 < line->begun || item >= line->end)
    return FALSE;
  shm_worker_begin (self, item);
  return TRUE;
}

/* What this run was given, with a reference of its own; NULL without an error: nothing. */
GVariant *
shm_worker_get_argument (ShmWorker *self, GError **error)
{
  const ShmControlHeader *header = self->control->header;

  if (header->argument_size == 0)
    return self->work->argument ? g_variant_ref (self->work->argument) : NULL;
  if (header->argument_size == SHM_NO_ITEM)
    return NULL;
  if (self->argument == NULL || self->argument_number != header->argument_number)
    {
      g_clear_pointer (&self->argument, g_variant_unref);
      self->argument =
          shm_arena_get (self->arena, header->argument_at, header->argument_size, error);
      self->argument_number = header->argument_number;
    }
  return self->argument ? g_variant_ref (self->argument) : NULL;
}

/* The item in work fails with more than an error can say. */
void
shm_worker_fail_item (ShmWorker *self,
                      const GError *error,
                      const char *traceback,
                      GVariant *payload)
{
  g_clear_pointer (&self->failure, shm_failure_unref);
  self->failure = shm_failure_new (shm_worker_get_index (self), self->rank, error);
  self->failure->traceback = g_strdup (traceback);
  self->failure->payload = payload ? g_variant_ref_sink (payload) : NULL;
}
