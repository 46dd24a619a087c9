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

#include "shm-backend-private.h"

#include <signal.h>
#include <string.h>

#include "shm-cpu-private.h"
#include "shm-debug-private.h"
#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"
#include "shm-process-child-private.h"
#include "shm-schedule-private.h"
#include "shm-thread-limit-private.h"
#include "shm-wire-private.h"

#define PROVE_TIME G_USEC_PER_SEC            /* for a child to prove itself */
#define PROVE_TIME_MAX (60 * G_USEC_PER_SEC) /* the same, if it waits for a processor */
#define GRACE_TIME (G_USEC_PER_SEC / 2)      /* between SIGTERM and SIGKILL */
#define MAX_STARTS 192                       /* of one slot, in a row, with no proof; */
#define HUNG_STARTS 6      /* one that hung, and so took a second, counts so much */
#define MAX_IDLE_DEATHS 64 /* in a row, with no item done in between */
#define FORK_AGAIN_TIME (G_USEC_PER_SEC / 20) /* after a fork that failed */
#define MAX_FORK_FAILURES 20         /* in a row, while workers may wait for the one missing */
#define NO_PIDFD_TIME G_USEC_PER_SEC /* for a child whose watch another process has inherited */
#define DISPATCH_TIME 8000           /* µs, after which other sources get their turn */

typedef struct
{
  ShmChild child; /* pid 0: empty */
  gpointer tag;   /* of its watch in the source; NULL: it is gone already */
  ShmWireReader reader;
  guint64 handed_over; /* end of the last range that arrived from this child */
  GError *damage;      /* what it sent made no sense, and so it was killed */
  gint64 started;      /* monotonic time, µs */
  gint64 prove_by;     /* 0: it has proved itself */
  guint n_starts;
  gboolean timed_out;   /* its item did, and it is being killed */
  gboolean summed_up;   /* what its tear-down returned has arrived */
  gint64 stopped_since; /* monotonic time, µs: seen stopped between two items; 0: it was not */
} ShmSlot;

typedef struct
{
  ShmBackend parent;
  ShmForkFds fds;
  GSource *source;
  ShmSlot *slots;
  guint n_children;
  guint n_idle_deaths;
  guint n_fork_failures; /* in a row */
  gint64 fork_again_at;  /* 0: there is no need */
  guint next_rank;       /* where the next look begins */
  gboolean stopping;
  gboolean warned;
  guint64 n_oom_kills; /* in our control group, as last seen */
  gint64 kill_at;      /* 0: nothing is to be killed */
} ShmProcess;

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

static void
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

      if (slot->child.pid == 0)
        continue;
      if (slot->prove_by != 0)
        first = MIN (first, slot->prove_by);
      first = MIN (first, shm_process_get_deadline (self, rank, now));
    }
  g_source_set_ready_time (self->source, first == G_MAXINT64 ? -1 : first);
}

static gboolean
shm_process_launch (ShmProcess *self, guint rank, GError **error)
{
  ShmControl *control = self->parent.control;
  ShmSlot *slot = &self->slots[rank];
  gboolean prove = shm_fork_caller_has_threads () || shm_debug_has (SHM_DEBUG_PROVE);

  shm_ring_reset (shm_control_get_ring (control, rank));
  slot->handed_over = 0;
  g_clear_error (&slot->damage);
  slot->timed_out = FALSE;
  slot->summed_up = FALSE;
  slot->stopped_since = 0;
  shm_store (&control->lines[rank].state, SHM_LINE_FORKED);
  if (!shm_fork (&slot->child, &self->fds, error))
    {
      shm_store (&control->lines[rank].state, SHM_LINE_EMPTY);
      return FALSE;
    }
  if (slot->child.pid == 0)
    shm_process_child_main (&self->parent, rank, prove);

  __atomic_store_n (&control->lines[rank].state, SHM_LINE_STARTING, __ATOMIC_SEQ_CST);
  shm_futex_wake (&control->lines[rank].state, 1);
  if (slot->child.watch >= 0)
    slot->tag = g_source_add_unix_fd (self->source, slot->child.watch, G_IO_IN | G_IO_HUP);
  slot->started = g_get_monotonic_time ();
  slot->prove_by = slot->started + PROVE_TIME;
  self->n_children++;
  return TRUE;
}

static void
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

static ShmVerdict
shm_process_report (ShmProcess *self, ShmFailure *failure)
{
  ShmBackend *backend = &self->parent;
  ShmVerdict verdict = backend->setup.client->failure (backend->setup.job, failure);

  if (verdict == SHM_VERDICT_STOP)
    shm_process_stop (backend);
  return verdict;
}

static void
shm_process_report_error (ShmProcess *self, guint64 item, guint rank, const GError *error)
{
  guint64 index = item == SHM_NO_ITEM ? item : self->parent.setup.work->base + item;

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

/* Gives empty slots that have work a child. */
static void
shm_process_fill (ShmProcess *self)
{
  ShmBackend *backend = &self->parent;
  guint rank;

  self->fork_again_at = 0;
  for (rank = 0; rank < backend->setup.settings.n_workers && !self->stopping; rank++)
    {
      g_autoptr (GError) error = NULL;

      if (self->slots[rank].child.pid != 0 || !shm_schedule_has_more (backend->control, rank))
        continue;
      if (shm_process_launch (self, rank, &error))
        {
          self->n_fork_failures = 0;
          continue;
        }
      shm_process_fork_failed (self, rank, error);
      break;
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
  index = frame->kind == SHM_FRAME_BROKEN ? SHM_NO_ITEM : setup->work->base + frame->begin;
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

  if (put == line->arena_taken)
    return;
  shm_store (&line->arena_taken, put);
  shm_ring_wake (shm_control_get_ring (control, rank));
}

/* FALSE: time is up, and there may be more. */
static gboolean
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

      switch (shm_wire_read (&slot->reader, ring, backend->control->limit, &frame, &error))
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
          if (frame.end - frame.begin != 1)
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
      gsize needed = slot->reader.has_header ? 1 : sizeof (ShmFrameHeader);

      if (slot->child.pid != 0 && slot->tag == NULL)
        return TRUE;
      if (slot->damage == NULL &&
          shm_ring_get_available (shm_control_get_ring (backend->control, rank)) >=
              (urgent ? SHM_RING_DATA / 2 : needed))
        return TRUE;
    }
  return FALSE;
}

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
  guint64 n = shm_cpu_oom_kills_at ("");
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

  if (line->life == SHM_LIFE_SET_UP)
    return _ ("while it was set up");
  if (work->tear_down.func == NULL || self->slots[rank].summed_up || line->life == SHM_LIFE_OVER)
    return NULL;
  if (line->life == SHM_LIFE_TEAR_DOWN)
    return _ ("while it was torn down");
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
      guint64 index =
          remains.item == SHM_NO_ITEM ? SHM_NO_ITEM : backend->setup.work->base + remains.item;
      ShmFailure *failure;

      death->timed_out = slot->timed_out;
      death->oom = death->wait_status == SIGKILL && shm_process_look_for_oom (self);
      failure = shm_failure_new_death (index, rank, death);
      if (loss != NULL)
        shm_failure_set_final (failure, loss);
      verdict = shm_process_report (self, failure);
    }
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

static void
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
  backend->setup.client->left (backend->setup.job, rank, line, shm_death_get_cpu_time (death),
                               (guint64) death->rusage.ru_maxrss * 1024);
  shm_lock_break (&control->header->critical, rank + 1);
  shm_schedule_clear (control, rank);
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

static void
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
  if (drained && !self->stopping && setup->client->look (setup->job, lowest))
    g_source_set_ready_time (self->source, 0);

  if (self->n_children == 0)
    {
      g_source_destroy (self->source);
      setup->client->finished (setup->job);
    }
}

static void
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
  g_clear_pointer (&backend->control, shm_control_free);
  for (rank = 0; rank < backend->setup.settings.n_workers; rank++)
    {
      shm_wire_reader_clear (&self->slots[rank].reader);
      g_clear_error (&self->slots[rank].damage);
    }
  g_free (self->slots);
  g_free (self);
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
  self->fds.lifeline[0] = self->fds.lifeline[1] = -1;
  self->slots = g_new0 (ShmSlot, setup->settings.n_workers);
  for (rank = 0; rank < setup->settings.n_workers; rank++)
    self->slots[rank].reader.arena = setup->arena;
  backend->control = shm_control_new (&backend->setup.settings, error);
  if (backend->control == NULL || !shm_fork_open_pipe (self->fds.lifeline, error))
    {
      shm_process_free (backend);
      return NULL;
    }
  self->fds.event_fd = backend->control->header->event_fd;
  self->fds.arena_fd = shm_arena_get_fd (setup->arena);
  shm_thread_limit_prepare ();
  self->source = shm_backend_source_new (backend, shm_process_pending, shm_process_dispatch);
  shm_process_fill (self);
  /* While the children work. */
  self->n_oom_kills = shm_cpu_oom_kills_at ("");
  if (self->n_children > 0 && setup->settings.window == 0)
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
};
