/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Workers as forked processes.
 *
 * A slot for each rank: empty, or a child. Its line in the control block tells what the child is
 * doing; the caller reads it once the child is gone, and only then may write it.
 *
 *     empty → FORKED → STARTING → READY ⇄ CLAIMING → RUNNING … → FINISHED or RECYCLED → gone → empty
 *                         ↓ (not proved in time: CONDEMNED, killed, gone) → empty
 *
 * FORKED is left when the caller can watch the child: one that cannot be watched is killed at once, and has
 * done nothing. STARTING is left by one compare-and-exchange, of the child to READY or of the caller to
 * CONDEMNED, so a child that the caller gives up never claims anything. Whenever a child is gone,
 * whichever way, first its ring is drained, then its line is read, then what it had claimed and not
 * done becomes orphans, then the slot is emptied; after that, slots with work left get a new child.
 * The backend has finished when every slot is empty and no work is left, or when it was stopped and
 * every slot is empty.
 *
 * A child is waited for only after its watch said that it is gone, and killed only while it has not
 * been waited for, so no pid is ever used that is not ours.
 */

#include "config.h"

#include "shm-process-private.h"

#include <signal.h>
#include <unistd.h>

#include "shm-cpu-private.h"
#include "shm-debug-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-process-child-private.h"
#include "shm-schedule-private.h"
#include "shm-thread-limit-private.h"

#define GRACE_TIME (G_USEC_PER_SEC / 2)       /* between SIGTERM and SIGKILL */
#define FORK_AGAIN_TIME (G_USEC_PER_SEC / 20) /* after a fork that failed */
#define MAX_FORK_FAILURES 20 /* in a row, while workers may wait for the one missing */
#define FORK_TOGETHER 4      /* children, before the first of them is watched */
#define DISPATCH_TIME 8000   /* µs, after which other sources get their turn */
#define OOM_COUNT_TIME (G_USEC_PER_SEC / 10) /* as old may be what is known of the kernel's kills */

static void
shm_process_clear_slot (ShmProcess *self, guint rank)
{
  ShmControl *control = self->parent.control;
  ShmSlot *slot = &self->slots[rank];

  slot->handed_over = 0;
  shm_process_remember (self, rank, TRUE);
  g_clear_error (&slot->damage);
  slot->timed_out = FALSE;
  slot->summed_up = FALSE;
  slot->stopped_since = 0;
  shm_store (&control->lines[rank].state, SHM_LINE_FORKED);
}

/* The child begins once it is watched. */
static gboolean
shm_process_watch (ShmProcess *self, guint rank, GError **error)
{
  guint32 *state = &self->parent.control->lines[rank].state;
  ShmSlot *slot = &self->slots[rank];

  if (!shm_fork_watch (&slot->child, error))
    {
      shm_store (state, SHM_LINE_EMPTY);
      return FALSE;
    }
  __atomic_store_n (state, SHM_LINE_STARTING, __ATOMIC_SEQ_CST);
  shm_futex_wake (state, 1);
  if (slot->child.watch >= 0)
    slot->tag = g_source_add_unix_fd (self->source, slot->child.watch, G_IO_IN | G_IO_HUP);
  slot->started = g_get_monotonic_time ();
  slot->prove_by = slot->started + PROVE_TIME;
  self->n_children++;
  return TRUE;
}

/* Whether the caller may become another program while it has workers, or a worker another user. */
static gboolean
shm_process_may_change (ShmProcess *self)
{
  const ShmBackendSetup *setup = &self->parent.setup;

  return !setup->waits || setup->settings.keep || setup->work->set_up.func != NULL ||
         setup->work->program != NULL;
}

/* Gives each of these slots a child. They are forked one right after the other, and all that is to be done for them
 * is done before or afterwards: a fork protects all the caller's memory, so each page that it writes between two of
 * them costs it one fault more. FALSE: this one could not be had, and perhaps others. */
static gboolean
shm_process_launch (
    ShmProcess *self, const guint *ranks, guint n_ranks, guint *failed, GError **error)
{
  gboolean prove = shm_fork_caller_has_threads () || shm_debug_has (SHM_DEBUG_PROVE);
  gboolean ok;
  guint n_forked, i;

  *failed = ranks[0];
  if (!shm_fork_open_lifeline (&self->fds, shm_process_may_change (self), error))
    return FALSE;
  for (i = 0; i < n_ranks; i++)
    shm_process_clear_slot (self, ranks[i]);
  shm_fork_context_push (&self->fork_context);
  for (n_forked = 0; n_forked < n_ranks; n_forked++)
    {
      ShmChild *child = &self->slots[ranks[n_forked]].child;

      if (!shm_fork (child, &self->fds, error))
        break;
      if (child->pid == 0)
        shm_process_child_main (self, ranks[n_forked], prove);
    }

  shm_fork_context_pop (&self->fork_context);
  ok = n_forked == n_ranks;
  if (!ok)
    *failed = ranks[n_forked];
  for (i = n_forked; i < n_ranks; i++)
    shm_store (&self->parent.control->lines[ranks[i]].state, SHM_LINE_EMPTY);
  for (i = 0; i < n_forked; i++)
    if (!shm_process_watch (self, ranks[i], ok ? error : NULL))
      {
        ok = FALSE;
        *failed = ranks[i];
      }
  return ok;
}

void
shm_process_kill_all (ShmProcess *self, int number)
{
  guint rank;

  for (rank = 0; rank < self->parent.setup.settings.n_workers; rank++)
    shm_fork_kill (&self->slots[rank].child, number);
}

static void
shm_process_stop (ShmBackend *backend)
{
  ShmProcess *self = (ShmProcess *) backend;

  if (self->stopping)
    return;
  self->stopping = TRUE;
  self->kill_at = g_get_monotonic_time () + GRACE_TIME;
  shm_control_stop (backend->control);
  shm_process_kill_all (self, SIGTERM);
  /* One that was stopped would not hear the first. */
  shm_process_kill_all (self, SIGCONT);
  g_source_set_ready_time (self->source, self->n_children > 0 ? self->kill_at : 0);
}

ShmVerdict
shm_process_report (ShmProcess *self, ShmFailure *failure)
{
  ShmBackend *backend = &self->parent;
  ShmVerdict verdict = backend->setup.client->failure (backend->setup.job, failure);

  if (verdict == SHM_VERDICT_STOP)
    shm_process_stop (backend);
  return verdict;
}

void
shm_process_report_error (ShmProcess *self, guint64 item, guint rank, const GError *error)
{
  guint64 index = shm_backend_to_index (&self->parent, item);

  shm_process_report (self, shm_failure_new (index, rank, error));
}

/* A fork has failed, and there is work for its slot. It is tried again soon; meanwhile the others do what they
 * can, and if they sleep in ordered sections, they may wait for what nobody does. */
static void
shm_process_fork_failed (ShmProcess *self, guint rank, const GError *error)
{
  ShmBackend *backend = &self->parent;

  self->n_fork_failures++;
  self->fork_again_at = g_get_monotonic_time () + FORK_AGAIN_TIME;
  if (self->n_children == 0 || (self->n_fork_failures > MAX_FORK_FAILURES &&
                                (shm_load (&backend->control->header->n_turn_waiters) > 0 ||
                                 backend->setup.work->kind == SHM_WORK_REGION)))
    {
      g_autoptr (GError) no_workers = g_error_new (
          SHM_ERROR, SHM_ERROR_NO_WORKERS, _ ("No worker can be started: %s"), error->message);

      shm_process_report_error (self, SHM_NO_ITEM, rank, no_workers);
    }
  else if (!self->warned)
    {
      self->warned = TRUE;
      g_message (_ ("Running with %u of %u workers: %s"), self->n_children,
                 backend->setup.settings.n_workers, error->message);
    }
}

/* Gives empty slots that have work a child, a few at a time, so that the first need not wait for the last. */
void
shm_process_fill (ShmProcess *self)
{
  ShmBackend *backend = &self->parent;
  guint rank = 0;

  self->fork_again_at = 0;
  while (rank < backend->setup.settings.n_workers && !self->stopping)
    {
      g_autoptr (GError) error = NULL;
      guint ranks[FORK_TOGETHER];
      guint failed;
      guint n = 0;

      for (; rank < backend->setup.settings.n_workers && n < FORK_TOGETHER; rank++)
        if (self->slots[rank].child.pid == 0 && shm_schedule_has_more (backend->control, rank))
          ranks[n++] = rank;
      if (n == 0)
        break;
      if (!shm_process_launch (self, ranks, n, &failed, &error))
        {
          shm_process_fork_failed (self, failed, error);
          break;
        }
      self->n_fork_failures = 0;
    }
}

static void
shm_process_deliver (ShmProcess *self, guint rank, ShmFrame *frame)
{
  const ShmBackendSetup *setup = &self->parent.setup;
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GError) error = NULL;
  ShmFailure *failure;
  guint64 index;

  if (frame->kind == SHM_FRAME_RESULT || frame->kind == SHM_FRAME_FAILURE)
    self->slots[rank].handed_over = frame->end;
  if (frame->kind == SHM_FRAME_SUMMARY)
    self->slots[rank].summed_up = TRUE;
  if (self->stopping)
    {
      g_variant_unref (frame->value);
      return;
    }
  if (frame->kind != SHM_FRAME_FAILURE && frame->kind != SHM_FRAME_BROKEN)
    {
      setup->client->frame (setup->job, rank, frame);
      return;
    }
  value = frame->value;
  index = shm_backend_to_index (&self->parent,
                                frame->kind == SHM_FRAME_BROKEN ? SHM_NO_ITEM : frame->begin);
  failure = shm_failure_from_variant (index, rank, value);
  if (failure == NULL)
    {
      g_set_error_literal (&error, SHM_ERROR, SHM_ERROR_BAD_RESULT,
                           _ ("an error arrived that makes no sense"));
      failure = shm_failure_new (index, rank, error);
    }
  shm_process_report (self, failure);
}

/* All that the worker has sent was read, and with it what it has put into the arena. */
static void
shm_process_take_arena (ShmProcess *self, guint rank)
{
  ShmControl *control = self->parent.control;
  ShmLine *line = &control->lines[rank];
  guint64 put = shm_load (&line->arena_put);

  ShmRing *ring = shm_control_get_ring (control, rank);

  if (put == line->arena_taken && !shm_ring_is_awaited (ring))
    return;
  shm_store (&line->arena_taken, put);
  shm_ring_wake (ring);
}

/* FALSE: time is up, and there may be more. */
gboolean
shm_process_drain (ShmProcess *self, guint rank, gint64 until)
{
  ShmBackend *backend = &self->parent;
  ShmRing *ring = shm_control_get_ring (backend->control, rank);
  ShmSlot *slot = &self->slots[rank];
  guint count = 0;

  while (slot->damage == NULL)
    {
      g_autoptr (GError) error = NULL;
      ShmFrame frame;

      switch (shm_wire_read (&slot->reader, ring, backend->control->first, backend->control->limit,
                             &frame, &error))
        {
        case SHM_WIRE_NOTHING:
          shm_process_take_arena (self, rank);
          return TRUE;
        case SHM_WIRE_ERROR:
          slot->damage = g_steal_pointer (&error);
          shm_fork_kill (&slot->child, SIGKILL);
          return TRUE;
        case SHM_WIRE_BAD_VALUE:
          /* Of a range nobody can tell which items are lost with it. */
          if (frame.end - frame.begin != 1 || frame.kind == SHM_FRAME_TRACE)
            {
              slot->damage = g_steal_pointer (&error);
              shm_fork_kill (&slot->child, SIGKILL);
              return TRUE;
            }
          slot->handed_over = frame.end;
          if (!self->stopping)
            shm_process_report_error (self, frame.begin, rank, error);
          break;
        case SHM_WIRE_FRAME:
        default:
          shm_process_deliver (self, rank, &frame);
        }
      if ((++count & 7) == 0 && g_get_monotonic_time () >= until)
        return FALSE;
    }
  return TRUE;
}

static gboolean
shm_process_pending (ShmBackend *backend, gboolean urgent)
{
  ShmProcess *self = (ShmProcess *) backend;
  guint rank;

  for (rank = 0; rank < backend->setup.settings.n_workers; rank++)
    {
      ShmSlot *slot = &self->slots[rank];
      ShmRing *ring = shm_control_get_ring (backend->control, rank);
      gsize needed = slot->reader.has_header ? 1 : sizeof (ShmFrameHeader);

      if (slot->child.pid != 0 && slot->tag == NULL)
        return TRUE;
      /* Who waits for the arena may have been read to the end, and does not ask twice. */
      if (slot->damage == NULL &&
          (shm_ring_is_awaited (ring) ||
           shm_ring_get_available (ring) >= (urgent ? SHM_RING_DATA / 2 : needed)))
        return TRUE;
    }
  return FALSE;
}

static gboolean
shm_process_reap (ShmProcess *self)
{
  gboolean any = FALSE;
  guint rank;

  for (rank = 0; rank < self->parent.setup.settings.n_workers; rank++)
    {
      ShmSlot *slot = &self->slots[rank];
      ShmDeath death = { .pid = slot->child.pid };

      if (death.pid == 0 ||
          (slot->tag != NULL && shm_fork_have_pidfd () &&
           !g_source_query_unix_fd (self->source, slot->tag)) ||
          !shm_fork_reap (&slot->child, FALSE, &death))
        continue;
      shm_process_gone (self, rank, &death);
      any = TRUE;
    }
  return any;
}

static void
shm_process_dispatch (ShmBackend *backend)
{
  ShmProcess *self = (ShmProcess *) backend;
  gint64 until = g_get_monotonic_time () + DISPATCH_TIME;
  const ShmBackendSetup *setup = &backend->setup;
  guint n_workers = setup->settings.n_workers;
  guint64 lowest = shm_schedule_get_lowest_unfinished (backend->control);
  gboolean drained = TRUE;
  guint i;

  shm_control_end_pause (backend->control, lowest);
  /* One that has much to say must not keep the others from being heard. */
  for (i = 0; i < n_workers && drained; i++)
    {
      guint rank = self->next_rank;

      self->next_rank = (rank + 1) % n_workers;
      drained = shm_process_drain (self, rank, until);
    }

  if (shm_process_reap (self) && !self->stopping)
    {
      shm_process_fill (self);
      shm_process_set_timer (self);
    }
  shm_process_check_timers (self);
  /* If what was read last was the last, then nothing else brings us back to what was left for the next time. */
  if (!drained || (!self->stopping && setup->client->look (setup->job, lowest)))
    g_source_set_ready_time (self->source, 0);

  if (drained && shm_process_rest (self, lowest))
    setup->client->idle (setup->job);
  else if (self->n_children == 0)
    {
      g_source_destroy (self->source);
      setup->client->finished (setup->job);
    }
}

void
shm_process_free (ShmBackend *backend)
{
  ShmProcess *self = (ShmProcess *) backend;
  guint rank;

  g_assert (self->n_children == 0);
  if (self->source != NULL)
    {
      g_source_destroy (self->source);
      g_source_unref (self->source);
    }
  shm_fork_close_fd (&self->fds.lifeline[0]);
  shm_fork_close_fd (&self->fds.lifeline[1]);
  shm_fork_context_clear (&self->fork_context);
  g_clear_pointer (&backend->control, shm_control_free);
  for (rank = 0; rank < backend->setup.settings.n_workers; rank++)
    {
      shm_wire_reader_clear (&self->slots[rank].reader);
      g_clear_error (&self->slots[rank].damage);
    }
  g_free (self->slots);
  g_free (self);
}

GSource *
shm_process_new_source (ShmProcess *self)
{
  return shm_backend_source_new (&self->parent, shm_process_pending, shm_process_dispatch);
}

static ShmBackend *
shm_process_start (const ShmBackendSetup *setup, GError **error)
{
  ShmProcess *self = g_new0 (ShmProcess, 1);
  ShmBackend *backend = &self->parent;
  guint rank;

  backend->klass = &shm_backend_process_class;
  backend->setup = *setup;
  backend->setup.settings.with_rings = TRUE;
  backend->setup.settings.with_wakeups = TRUE;
  self->owner = getpid ();
  backend->setup.settings.with_fd = setup->work->program != NULL;
  self->fds.lifeline[0] = self->fds.lifeline[1] = -1;
  self->slots = g_new0 (ShmSlot, setup->settings.n_workers);
  for (rank = 0; rank < setup->settings.n_workers; rank++)
    self->slots[rank].reader.arena = setup->arena;
  backend->control = shm_control_new (&backend->setup.settings, error);
  if (backend->control == NULL)
    {
      shm_process_free (backend);
      return NULL;
    }
  self->fds.event_fd = backend->control->event_fd;
  self->fds.arena_fd = shm_arena_get_fd (setup->arena);
  self->fds.control_fd = backend->control->map_fd;
  shm_thread_limit_prepare ();
  self->source = shm_process_new_source (self);
  shm_process_fill (self);
  /* While the children work. */
  self->n_oom_kills = shm_cpu_oom_kills (OOM_COUNT_TIME);
  if (self->n_children > 0 && setup->settings.window == 0 && setup->settings.n_items > 0)
    shm_process_set_timer (self);
  else
    g_source_set_ready_time (self->source, 0);
  g_source_attach (self->source, setup->context);
  return backend;
}

const ShmBackendClass shm_backend_process_class = {
  .start = shm_process_start,
  .stop = shm_process_stop,
  .free = shm_process_free,
  .can_resume = shm_process_can_resume,
  .resume = shm_process_resume,
  .release = shm_process_release,
};
