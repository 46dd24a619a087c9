/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What happens to workers as time goes by: one that does not prove itself, one whose item takes too long, one that does
 * not end. See shm-backend-process.c.
 */

#include "config.h"

#include "shm-process-private.h"

#include <signal.h>
#include <string.h>

#define PROVE_TIME_MAX (60 * G_USEC_PER_SEC) /* the same, if it waits for a processor */
#define NO_PIDFD_TIME G_USEC_PER_SEC /* for a child whose watch another process has inherited */

/* While an item is in work its deadline; else none can come before a whole time from now. */
static gint64
shm_process_get_deadline (ShmProcess *self, guint rank, gint64 now)
{
  ShmLine *line = &self->parent.control->lines[rank];
  gint64 timeout = self->parent.setup.settings.item_timeout;
  gint64 started = shm_load (&line->item_started);

  if (timeout == 0 || self->slots[rank].timed_out)
    return G_MAXINT64;
  return (started > 0 ? started : now) + timeout;
}

void
shm_process_set_timer (ShmProcess *self)
{
  gint64 first = self->kill_at ? self->kill_at : G_MAXINT64;
  gint64 now = g_get_monotonic_time ();
  guint rank;

  if (!self->stopping && self->fork_again_at != 0)
    first = self->fork_again_at;
  if (!shm_fork_have_pidfd () && self->n_children > 0)
    first = MIN (first, now + NO_PIDFD_TIME);

  for (rank = 0; rank < self->parent.setup.settings.n_workers && !self->stopping; rank++)
    {
      ShmSlot *slot = &self->slots[rank];
      gint64 deadline;

      if (slot->child.pid == 0)
        continue;
      if (slot->prove_by != 0)
        first = MIN (first, slot->prove_by);
      deadline = shm_process_get_deadline (self, rank, now);
      first = MIN (first, deadline);
    }
  g_source_set_ready_time (self->source, first == G_MAXINT64 ? -1 : first);
}

/* The state of a child as ps shows it, or 0 if it cannot be told. */
static char
shm_process_get_state (const ShmSlot *slot)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", (int) slot->child.pid);
  g_autofree char *stat = NULL;
  const char *end;

  if (!g_file_get_contents (path, &stat, NULL, NULL))
    return 0;
  end = strrchr (stat, ')');
  return end != NULL && end[1] == ' ' ? end[2] : 0;
}

/* Whether a child only waits for a processor, which is not its fault. */
static gboolean
shm_process_is_runnable (const ShmSlot *slot)
{
  char state = shm_process_get_state (slot);

  return state == 'R' || state == 'D';
}

static void
shm_process_check_proof (ShmProcess *self, guint rank, gint64 now)
{
  ShmSlot *slot = &self->slots[rank];
  ShmLine *line = &self->parent.control->lines[rank];
  guint32 expected = SHM_LINE_STARTING;

  if (slot->child.pid == 0 || slot->prove_by == 0)
    return;
  if (shm_load (&line->state) != SHM_LINE_STARTING)
    slot->prove_by = 0;
  else if (now >= slot->prove_by)
    {
      if (now < slot->started + PROVE_TIME_MAX && shm_process_is_runnable (slot))
        slot->prove_by = now + PROVE_TIME;
      else if (__atomic_compare_exchange_n (&line->state, &expected, SHM_LINE_CONDEMNED, FALSE,
                                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        {
          g_debug ("Worker %u (process %d) inherited a held lock and is replaced", rank,
                   (int) slot->child.pid);
          shm_fork_kill (&slot->child, SIGKILL);
          slot->prove_by = 0;
        }
      else
        slot->prove_by = 0;
    }
}

/* An item whose time is over; see the clock in shm-worker.c. */
static void
shm_process_check_deadline (ShmProcess *self, guint rank, gint64 now)
{
  ShmSlot *slot = &self->slots[rank];
  ShmLine *line = &self->parent.control->lines[rank];
  gint64 started = shm_load (&line->item_started);

  if (slot->child.pid == 0 || slot->timed_out || self->parent.setup.settings.item_timeout == 0)
    return;
  if (started <= 0)
    {
      /* Between two items no time runs; but if it is stopped there for a whole time, nobody will go on. */
      gboolean stopped = shm_process_get_state (slot) == 'T';

      if (!stopped)
        slot->stopped_since = 0;
      else if (slot->stopped_since == 0)
        slot->stopped_since = now;
      slot->timed_out =
          stopped && now >= slot->stopped_since + self->parent.setup.settings.item_timeout;
    }
  else if (now >= started + self->parent.setup.settings.item_timeout)
    slot->timed_out =
        __atomic_compare_exchange_n (&line->item_started, &started, SHM_ITEM_CONDEMNED, FALSE,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  if (slot->timed_out)
    shm_fork_kill (&slot->child, SIGKILL);
}

void
shm_process_check_timers (ShmProcess *self)
{
  gint64 ready = g_source_get_ready_time (self->source);
  gint64 now;
  guint rank;

  if (ready < 0 || (now = g_get_monotonic_time ()) < ready)
    return;
  if (self->stopping)
    {
      if (self->kill_at != 0 && now >= self->kill_at)
        {
          shm_process_kill_all (self, SIGKILL);
          self->kill_at = 0;
        }
    }
  else
    for (rank = 0; rank < self->parent.setup.settings.n_workers; rank++)
      {
        shm_process_check_proof (self, rank, now);
        shm_process_check_deadline (self, rank, now);
      }
  if (!self->stopping && self->fork_again_at != 0 && now >= self->fork_again_at)
    shm_process_fill (self);
  shm_process_set_timer (self);
}
