/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What is done when a worker is gone: its last words, what it owned, whose fault it was. See shm-backend-process.c.
 */

#include "config.h"

#include "shm-process-private.h"

#include <signal.h>

#include "shm-cpu-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-schedule-private.h"

#define MAX_STARTS 192     /* of one slot, in a row, with no proof; */
#define HUNG_STARTS 6      /* one that hung, and so took a second, counts so much */
#define MAX_IDLE_DEATHS 64 /* in a row, with no item done in between */

/* What a dead worker owned goes back to the others, but for an item that is to blame and left out.
 */
static void
shm_process_orphan (ShmProcess *self, guint rank, const ShmRemains *remains, ShmVerdict verdict)
{
  ShmControl *control = self->parent.control;
  gboolean ok = TRUE;

  if (verdict == SHM_VERDICT_RETRY)
    {
      if (remains->begin < remains->end)
        ok = shm_schedule_add_orphan (control, remains->begin, remains->end);
    }
  else
    {
      if (remains->begin < remains->item)
        ok = shm_schedule_add_orphan (control, remains->begin, remains->item);
      if (remains->item + 1 < remains->end)
        ok = shm_schedule_add_orphan (control, remains->item + 1, remains->end) && ok;
    }
  if (!ok)
    {
      g_autoptr (GError) error =
          g_error_new_literal (SHM_ERROR, SHM_ERROR_FAILED, _ ("Too many workers have died"));

      shm_process_report_error (self, SHM_NO_ITEM, rank, error);
    }
}

/* Whether the kernel has killed something in our control group since the last look. */
static gboolean
shm_process_look_for_oom (ShmProcess *self)
{
  guint64 n = shm_cpu_oom_kills (0);
  gboolean more = n > self->n_oom_kills;

  self->n_oom_kills = n;
  return more;
}

/* Whether something dies with the worker that nobody can do again, and what. */
static const char *
shm_process_get_loss (ShmProcess *self, guint rank)
{
  const ShmLine *line = &self->parent.control->lines[rank];
  const ShmWork *work = self->parent.setup.work;

  /* Another one would fare no better. */
  if (work->program != NULL && line->life == SHM_LIFE_NONE)
    return _ ("before the program had begun to work");
  if (line->life == SHM_LIFE_SET_UP)
    /* TRANSLATORS: “it” is the worker; put in parentheses behind how the worker died */
    return _ ("while it was set up");
  if (work->tear_down.func == NULL || self->slots[rank].summed_up || line->life == SHM_LIFE_OVER)
    return NULL;
  if (line->life == SHM_LIFE_TEAR_DOWN)
    /* TRANSLATORS: “it” is the worker; put in parentheses behind how the worker died */
    return _ ("while it was torn down");
  /* TRANSLATORS: “it” is the worker; put in parentheses behind how the worker died */
  return line->n_done > 0 ? _ ("what it had gathered is lost") : NULL;
}

/* A worker died while it owned a range, or could have. */
static void
shm_process_bury (ShmProcess *self, guint rank, ShmDeath *death)
{
  ShmBackend *backend = &self->parent;
  ShmSlot *slot = &self->slots[rank];
  const char *loss = shm_process_get_loss (self, rank);
  ShmVerdict verdict = SHM_VERDICT_RETRY;
  ShmRemains remains;

  shm_schedule_resolve (backend->control, rank, slot->handed_over, &remains);
  if (backend->control->lines[rank].state == SHM_LINE_RECYCLED)
    remains.item = SHM_NO_ITEM;
  /* The part of a rank is for no other worker. */
  else if (backend->setup.work->kind == SHM_WORK_REGION && remains.begin < remains.end)
    remains.item = remains.begin;
  if (loss != NULL || remains.item != SHM_NO_ITEM ||
      (backend->control->lines[rank].state != SHM_LINE_RECYCLED &&
       ++self->n_idle_deaths > MAX_IDLE_DEATHS))
    {
      guint64 index = shm_backend_to_index (backend, remains.item);
      ShmFailure *failure;

      death->timed_out = slot->timed_out;
      death->oom = death->wait_status == SIGKILL && shm_process_look_for_oom (self);
      failure = shm_failure_new_death (index, rank, death);
      if (loss != NULL)
        shm_failure_set_final (failure, loss);
      verdict = shm_process_report (self, failure);
    }
  /* Left out, and so done with. */
  if (verdict == SHM_VERDICT_SKIP)
    backend->control->n_done_before++;
  if (verdict != SHM_VERDICT_STOP)
    shm_process_orphan (self, rank, &remains, verdict);
}

/* What a worker sent made no sense: results that it had sent behind that are lost, and which ones cannot be told.
 * So the job ends, whatever its policy. */
static void
shm_process_report_damage (ShmProcess *self, guint rank, const ShmDeath *death)
{
  ShmFailure *failure = shm_failure_new (SHM_NO_ITEM, rank, self->slots[rank].damage);

  failure->pid = death->pid;
  shm_process_report (self, failure);
}

void
shm_process_gone (ShmProcess *self, guint rank, ShmDeath *death)
{
  ShmBackend *backend = &self->parent;
  ShmControl *control = backend->control;
  ShmSlot *slot = &self->slots[rank];
  ShmLine *line = &control->lines[rank];
  gboolean proved = line->state > SHM_LINE_CONDEMNED;

  if (slot->tag != NULL)
    g_source_remove_unix_fd (self->source, g_steal_pointer (&slot->tag));
  self->n_children--;
  shm_process_drain (self, rank, G_MAXINT64);
  shm_wire_reader_clear (&slot->reader);
  shm_ring_reset (shm_control_get_ring (control, rank));

  if (!self->stopping)
    {
      if (proved)
        {
          slot->n_starts = 0;
          if (line->n_done > 0)
            self->n_idle_deaths = 0;
          if (slot->damage != NULL)
            shm_process_report_damage (self, rank, death);
          else if (line->state != SHM_LINE_FINISHED)
            shm_process_bury (self, rank, death);
        }
      else
        {
          slot->n_starts += line->state == SHM_LINE_CONDEMNED ? HUNG_STARTS : 1;
          if (slot->n_starts >= MAX_STARTS)
            shm_process_report (self, shm_failure_new_death (SHM_NO_ITEM, rank, death));
        }
    }
  g_clear_error (&slot->damage);
  shm_process_tell_of_worker (self, rank, shm_death_get_cpu_time (death),
                              (guint64) death->rusage.ru_maxrss * 1024);
  shm_lock_break (&control->header->critical, rank + 1);
  shm_schedule_clear (control, rank);
}
