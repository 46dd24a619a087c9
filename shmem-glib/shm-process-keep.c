/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Workers that stay for another run of their job.
 *
 * Their limit stays open: who finds nothing to claim says so, and sleeps until the limit is raised, as it does
 * where items are fed. When the lowest unfinished item is the limit and all rings are empty, the run is over: the
 * caller takes the source away, and from then on nobody watches the children. The next run has a source of its own, which
 * sees at once who has died meanwhile; such a worker owned nothing, and its slot gets another child.
 *
 * They leave when the limit is closed, or with their caller.
 */

#include "config.h"

#include "shm-process-private.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shm-schedule-private.h"

#define LEAVE_TIME G_USEC_PER_SEC /* for workers that are told to go; then they are killed */

/* How long a child has computed, in µs. */
static gint64
shm_process_get_cpu_time (const ShmSlot *slot)
{
  struct timespec time;
  clockid_t clock;

  if (slot->child.pid == 0 || clock_getcpuclockid (slot->child.pid, &clock) != 0 ||
      clock_gettime (clock, &time) != 0)
    return 0;
  return (gint64) time.tv_sec * G_USEC_PER_SEC + time.tv_nsec / 1000;
}

/* What the worker has done in this run; it is gone, or rests. */
void
shm_process_tell_of_worker (ShmProcess *self, guint rank, gint64 cpu_time, guint64 peak_memory)
{
  ShmBackend *backend = &self->parent;
  ShmSlot *slot = &self->slots[rank];
  ShmLine line = backend->control->lines[rank];
  guint i;

  /* Of one that others have reaped nothing is known. */
  cpu_time = MAX (cpu_time - slot->cpu_time_before, 0);
  line.n_done -= slot->n_done_before;
  for (i = 0; i < SHM_N_SLEEPS; i++)
    line.slept[i] -= slot->slept_before[i];
  if (line.started != 0 && line.started < self->run_started)
    line.started = self->run_started;
  backend->setup.client->left (backend->setup.job, rank, &line, cpu_time, peak_memory);
}

/* A run begins; none if `is_new`, since then the worker does. */
void
shm_process_remember (ShmProcess *self, guint rank, gboolean is_new)
{
  const ShmLine *line = &self->parent.control->lines[rank];
  ShmSlot *slot = &self->slots[rank];

  slot->n_done_before = is_new ? 0 : line->n_done;
  slot->cpu_time_before = is_new ? 0 : shm_process_get_cpu_time (slot);
  if (is_new)
    memset (slot->slept_before, 0, sizeof slot->slept_before);
  else
    memcpy (slot->slept_before, line->slept, sizeof slot->slept_before);
}

/* Whether no worker is in its set-up, or has it still before it: what goes wrong there is of the run in which the
 * worker starts, and so is the argument that it sees. */
static gboolean
shm_process_is_set_up (ShmProcess *self)
{
  const ShmBackend *backend = &self->parent;
  guint rank;

  if (backend->setup.work->set_up.func == NULL)
    return TRUE;
  for (rank = 0; rank < backend->setup.settings.n_workers; rank++)
    if (self->slots[rank].child.pid != 0 &&
        shm_load (&backend->control->lines[rank].life) < SHM_LIFE_WORK)
      return FALSE;
  return TRUE;
}

/* Whether nothing is left to do, and the workers are to stay. If so, they rest from here on. */
gboolean
shm_process_rest (ShmProcess *self, guint64 lowest)
{
  ShmBackend *backend = &self->parent;
  guint rank;

  if (!backend->setup.settings.keep || self->stopping || lowest < backend->control->limit ||
      !shm_process_is_set_up (self))
    return FALSE;
  g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  for (rank = 0; rank < backend->setup.settings.n_workers; rank++)
    {
      self->slots[rank].tag = NULL;
      if (self->slots[rank].child.pid != 0)
        shm_process_tell_of_worker (self, rank, shm_process_get_cpu_time (&self->slots[rank]), 0);
    }
  return TRUE;
}

/* What was put into the arena may still be in use, and so its places are not used again: at some time they run out. */
static gboolean
shm_process_has_places (const ShmBackend *backend)
{
  guint rank;

  for (rank = 0; rank < backend->setup.settings.n_workers; rank++)
    if (shm_load (&backend->control->lines[rank].arena_head) > shm_arena_get_base (1) / 2)
      return FALSE;
  return TRUE;
}

/* Whether its workers are those that this run would have. */
gboolean
shm_process_can_resume (ShmBackend *backend, const ShmBackendSetup *setup)
{
  ShmControlSettings wanted = setup->settings;
  const ShmProcess *self = (const ShmProcess *) backend;

  /* What start () has set, and what may differ. */
  wanted.with_rings = wanted.with_wakeups = TRUE;
  wanted.n_items = backend->setup.settings.n_items;
  wanted.paused = backend->setup.settings.paused;
  return self->owner == getpid () && shm_process_has_places (backend) &&
         setup->pool == backend->setup.pool && setup->work == backend->setup.work &&
         setup->arena == backend->setup.arena &&
         setup->settings.n_items <= SHM_CONTROL_MAX_ITEMS - backend->control->limit &&
         memcmp (&wanted, &backend->setup.settings, sizeof wanted) == 0 &&
         memcmp (&setup->limits, &backend->setup.limits, sizeof setup->limits) == 0;
}

void
shm_process_resume (ShmBackend *backend, const ShmBackendSetup *setup)
{
  ShmProcess *self = (ShmProcess *) backend;
  guint rank;

  backend->setup.context = setup->context;
  backend->setup.job = setup->job;
  self->run_started = shm_now_ns ();
  self->n_idle_deaths = 0;
  self->source = shm_process_new_source (self);
  for (rank = 0; rank < setup->settings.n_workers; rank++)
    {
      ShmSlot *slot = &self->slots[rank];

      shm_process_remember (self, rank, FALSE);
      slot->stopped_since = 0;
      if (slot->child.pid != 0 && slot->child.watch >= 0)
        slot->tag = g_source_add_unix_fd (self->source, slot->child.watch, G_IO_IN | G_IO_HUP);
    }
  shm_control_set_paused (backend->control, setup->settings.paused);
  shm_control_begin_run (backend->control, setup->settings.n_items);
  if (setup->settings.n_items > 0)
    shm_process_set_timer (self);
  else
    g_source_set_ready_time (self->source, 0);
  g_source_attach (self->source, setup->context);
}

/* FALSE: it is still there. */
static gboolean
shm_process_await_end (const ShmSlot *slot, gint64 until)
{
  struct pollfd watch = { .fd = slot->child.watch, .events = POLLIN };
  gint64 left;

  /* Without one it is gone already. */
  if (slot->child.watch < 0)
    return TRUE;
  while ((left = until - g_get_monotonic_time ()) > 0)
    if (poll (&watch, 1, left / 1000 + 1) > 0)
      return TRUE;
  return FALSE;
}

/* In a copy of the caller the children are no children, and what number a descriptor has is not known any more: its end
 * will close it. */
static void
shm_process_forget (ShmProcess *self)
{
  self->fds.lifeline[0] = self->fds.lifeline[1] = -1;
  self->parent.control->event_fd = -1;
  /* It cannot be freed without its wake-up. */
  self->fork_context.context = NULL;
  self->n_children = 0;
  shm_process_free (&self->parent);
}

void
shm_process_release (ShmBackend *backend)
{
  ShmProcess *self = (ShmProcess *) backend;
  gint64 until = g_get_monotonic_time () + LEAVE_TIME;
  guint rank;

  if (self->owner != getpid ())
    {
      shm_process_forget (self);
      return;
    }
  shm_control_set_paused (backend->control, FALSE);
  shm_control_set_limit (backend->control, backend->control->limit, TRUE);
  for (rank = 0; rank < backend->setup.settings.n_workers; rank++)
    {
      ShmSlot *slot = &self->slots[rank];
      ShmDeath death;

      if (slot->child.pid == 0)
        continue;
      if (!shm_process_await_end (slot, until))
        shm_fork_kill (&slot->child, SIGKILL);
      shm_fork_reap (&slot->child, TRUE, &death);
    }
  self->n_children = 0;
  shm_process_free (backend);
}
