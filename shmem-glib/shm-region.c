/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Barriers and loops of a region, in which all workers run one function side by side.
 *
 * The word of the barrier holds how many wait at it, how many have left the region, and a
 * generation that the last one to arrive moves on. If some have left while all others wait, nobody would ever
 * come: the barrier is broken, and all get an error. A worker that dies ends the job, which sends
 * everybody home.
 *
 * A loop is shared by claims on one word, which holds the number of the loop, among those
 * that need the word, and the next iteration. Each loop ends with a barrier, so all workers are in the same loop or at the barrier
 * behind it, and one word is enough: who comes first finds the number of the last loop and begins anew.
 *
 * Ordered sections of a loop: `loop_floor` of each line says below which iteration nobody needs to wait for that
 * worker, as `floor` does for the items of a job; see shm-schedule-turn.c. A worker lowers it before its claim
 * can succeed. With a static schedule one that has not come to the loop yet still has all its blocks to do,
 * unless it has left the region: then the barrier behind the loop will tell.
 */

#include "config.h"

#include "shm-region-private.h"

#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-schedule-private.h"

#define ONE_ARRIVED (G_GUINT64_CONSTANT (1) << 32)
#define ONE_GONE (G_GUINT64_CONSTANT (1) << 48)
#define LOOP_NONE G_MAXUINT32 /* of a line: its worker has left the region */
#define LOOP_BITS 48
#define LOOP_MASK ((G_GUINT64_CONSTANT (1) << LOOP_BITS) - 1)

static inline guint32
shm_region_generation (guint64 word)
{
  return (guint32) word;
}

static inline guint
shm_region_arrived (guint64 word)
{
  return (word >> 32) & 0xffff;
}

static inline guint
shm_region_gone (guint64 word)
{
  return word >> 48;
}

/* Adds one who waits, or one who leaves; TRUE: the barrier opens. */
static gboolean
shm_region_count (ShmControl *control, guint64 one, guint32 *generation)
{
  ShmControlHeader *header = control->header;
  guint64 word = shm_load (&header->barrier);
  guint64 after;
  gboolean opens;

  do
    {
      after = word + one;
      opens = shm_region_arrived (after) > 0 &&
              shm_region_arrived (after) + shm_region_gone (after) == control->n_workers;
      *generation = shm_region_generation (word);
      if (opens)
        {
          if (shm_region_gone (after) > 0)
            __atomic_store_n (&header->barrier_broken, 1, __ATOMIC_SEQ_CST);
          after = (guint64) shm_region_gone (after) << 48 | (guint32) (*generation + 1);
        }
    }
  while (!__atomic_compare_exchange_n (&header->barrier, &word, after, FALSE, __ATOMIC_SEQ_CST,
                                       __ATOMIC_ACQUIRE));
  if (opens)
    shm_control_wake (&header->barrier_wake);
  return opens;
}

/* FALSE: the job was stopped. */
static gboolean
shm_region_await (ShmWorker *worker, guint32 generation)
{
  ShmControlHeader *header = worker->control->header;
  gboolean open = FALSE;
  gint64 since;
  guint spin;

  for (spin = 0; spin <= header->spin; spin++)
    {
      if (shm_region_generation (shm_load (&header->barrier)) != generation)
        return TRUE;
      shm_pause ();
    }

  since = shm_now_ns ();
  for (;;)
    {
      guint32 wake = __atomic_load_n (&header->barrier_wake, __ATOMIC_SEQ_CST);

      open = shm_region_generation (shm_load (&header->barrier)) != generation;
      if (open || shm_load (&header->stop))
        break;
      shm_futex_wait (&header->barrier_wake, wake);
    }
  worker->line->slept[SHM_SLEEP_BARRIER] += shm_now_ns () - since;
  return open;
}

static gboolean
shm_region_check (ShmWorker *worker, GError **error)
{
  if (worker->work->kind != SHM_WORK_REGION || worker->line->life != SHM_LIFE_WORK ||
      worker->in_loop)
    {
      g_set_error_literal (
          error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
          _ ("this can be done in the function of a region only, and outside of its loops"));
      return FALSE;
    }
  if (worker->in_critical)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("a barrier cannot be inside of a critical section"));
      return FALSE;
    }
  return TRUE;
}

/* Waits until all workers of the region have come here. */
gboolean
shm_region_barrier (ShmWorker *worker, GError **error)
{
  ShmControlHeader *header = worker->control->header;
  guint32 generation;
  gint64 elapsed = 0;
  gboolean open;

  if (!shm_region_check (worker, error))
    return FALSE;
  /* Who was sent home is still counted as one who waits, and must not be counted twice. */
  if (shm_load (&header->stop))
    return shm_worker_set_stopped (error);
  shm_worker_wait_begin (worker, &elapsed);
  open = shm_region_count (worker->control, ONE_ARRIVED, &generation) ||
         shm_region_await (worker, generation);
  shm_worker_wait_end (worker, elapsed);
  if (!open || (shm_load (&header->barrier_broken) && shm_load (&header->stop)))
    return shm_worker_set_stopped (error);
  if (!shm_load (&header->barrier_broken))
    return TRUE;
  g_set_error_literal (
      error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
      _ ("another worker has left the region, and will never come to this barrier"));
  return FALSE;
}

static void
shm_region_wake_turn (ShmControl *control)
{
  guint rank;

  shm_fence ();
  if (!shm_load (&control->header->n_turn_waiters))
    return;
  for (rank = 0; rank < control->n_workers; rank++)
    if (shm_load (&control->lines[rank].turn_waiting))
      shm_control_wake (&control->lines[rank].turn_wake);
}

/* The worker's function has returned. */
void
shm_region_leave (ShmWorker *worker)
{
  guint32 generation;

  shm_store (&worker->line->loop, LOOP_NONE);
  shm_region_wake_turn (worker->control);
  shm_region_count (worker->control, ONE_GONE, &generation);
}

static guint64
shm_region_first_static (const ShmLoop *loop, guint n_workers, guint rank)
{
  guint64 first = loop->chunk_size ? rank * loop->chunk_size
                                   : shm_schedule_get_block (loop->n, n_workers, rank);

  return first < loop->n ? first : G_MAXUINT64;
}

static void
shm_region_set_floor (ShmWorker *worker, guint64 floor)
{
  __atomic_store_n (&worker->line->loop_floor, floor, __ATOMIC_SEQ_CST);
}

/* Its next block, or G_MAXUINT64 where it cannot tell. */
static guint64
shm_region_get_next (ShmWorker *worker)
{
  ShmLoop *loop = &worker->loop;
  guint n_workers = worker->control->n_workers;

  if (loop->schedule != SHM_SCHEDULE_STATIC || loop->chunk_size == 0 ||
      loop->chunk_size > (loop->n - loop->at) / n_workers)
    return G_MAXUINT64;
  return loop->at + n_workers * loop->chunk_size < loop->n ? loop->at + n_workers * loop->chunk_size
                                                           : G_MAXUINT64;
}

static gboolean
shm_region_claim_static (ShmWorker *worker, gboolean is_first)
{
  ShmLoop *loop = &worker->loop;
  guint n_workers = worker->control->n_workers;

  loop->at = is_first ? shm_region_first_static (loop, n_workers, worker->rank)
                      : shm_region_get_next (worker);
  shm_region_set_floor (worker, loop->at);
  if (loop->at == G_MAXUINT64)
    return FALSE;
  loop->end = loop->chunk_size ? loop->at + MIN (loop->chunk_size, loop->n - loop->at)
                               : shm_schedule_get_block (loop->n, n_workers, worker->rank + 1);
  return loop->at < loop->end;
}

static gboolean
shm_region_claim_next (ShmWorker *worker)
{
  ShmControlHeader *header = worker->control->header;
  ShmLoop *loop = &worker->loop;
  guint64 tag = (guint64) worker->n_dealt << LOOP_BITS;
  guint64 word = shm_load (&header->loop);

  do
    {
      loop->at = (word & ~LOOP_MASK) == tag ? word & LOOP_MASK : 0;
      if (loop->at >= loop->n)
        {
          shm_region_set_floor (worker, G_MAXUINT64);
          return FALSE;
        }
      loop->end =
          loop->at + shm_schedule_get_chunk (worker->control, loop->schedule, loop->chunk_size,
                                             loop->n - loop->at, worker->grain);
      shm_region_set_floor (worker, loop->at);
    }
  while (!__atomic_compare_exchange_n (&header->loop, &word, tag | loop->end, FALSE,
                                       __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
  return TRUE;
}

static gboolean
shm_region_claim (ShmWorker *worker, gboolean is_first)
{
  gboolean claimed;

  if (shm_load (&worker->control->header->stop))
    return FALSE;
  claimed = worker->loop.schedule == SHM_SCHEDULE_STATIC
                ? shm_region_claim_static (worker, is_first)
                : shm_region_claim_next (worker);
  shm_region_wake_turn (worker->control);
  return claimed;
}

static gboolean
shm_region_run_loop (ShmWorker *worker, const ShmCall *call, GError **error)
{
  ShmLoop *loop = &worker->loop;
  gboolean automatic = loop->chunk_size == 0 && loop->schedule == SHM_SCHEDULE_DYNAMIC;
  gboolean is_first;

  for (is_first = TRUE; shm_region_claim (worker, is_first); is_first = FALSE)
    {
      gint64 since = automatic ? shm_now_ns () : 0;
      GError *told = NULL;
      gboolean ok = ((ShmLoopFunc) call->func) (worker->pool, loop->begin + loop->at,
                                                loop->begin + loop->end, call->data, &told);

      shm_worker_leave_sections (worker);
      if (told != NULL || !ok)
        {
          if (told == NULL)
            told = g_error_new_literal (SHM_ERROR, SHM_ERROR_FAILED,
                                        _ ("the work function failed and did not say why"));
          g_propagate_error (error, told);
          return FALSE;
        }
      if (automatic && loop->end - loop->at >= worker->grain)
        worker->grain = shm_schedule_adapt (worker->grain, shm_now_ns () - since);
    }
  return TRUE;
}

/* Calls the function for ranges of the loop, on all workers that come here, and waits for them at its end. */
gboolean
shm_region_share (ShmWorker *worker,
                  guint64 begin,
                  guint64 end,
                  ShmSchedule schedule,
                  guint64 chunk_size,
                  const ShmCall *call,
                  GError **error)
{
  gboolean ok;

  if (!shm_region_check (worker, error))
    return FALSE;
  worker->loop = (ShmLoop){
    .begin = begin,
    .n = end - begin,
    .schedule = schedule,
    .chunk_size = MIN (chunk_size, MAX (end - begin, 1)),
  };
  worker->grain = 1;
  worker->ordered_item = SHM_NO_ITEM;
  shm_region_set_floor (worker, schedule == SHM_SCHEDULE_STATIC
                                    ? shm_region_first_static (
                                          &worker->loop, worker->control->n_workers, worker->rank)
                                    : G_MAXUINT64);
  /* Only those that write the word are told apart by it, or an old number could come by again. */
  if (schedule != SHM_SCHEDULE_STATIC && begin < end)
    worker->n_dealt++;
  shm_store (&worker->line->loop, worker->line->loop + 1);
  worker->in_loop = TRUE;
  ok = shm_region_run_loop (worker, call, error);
  worker->in_loop = FALSE;
  shm_region_set_floor (worker, G_MAXUINT64);
  shm_region_wake_turn (worker->control);
  return ok && shm_region_barrier (worker, error);
}

static gboolean
shm_region_has_turn (gconstpointer data, gboolean thorough)
{
  const ShmWorker *worker = data;
  const ShmLoop *loop = &worker->loop;
  guint n_workers = worker->control->n_workers;
  guint rank;

  for (rank = 0; rank < n_workers; rank++)
    {
      ShmLine *line = &worker->control->lines[rank];
      guint32 number = __atomic_load_n (&line->loop, __ATOMIC_SEQ_CST);
      guint64 floor = G_MAXUINT64;

      if (rank == worker->rank)
        continue;
      if (number == worker->line->loop)
        floor = __atomic_load_n (&line->loop_floor, __ATOMIC_SEQ_CST);
      else if (number != LOOP_NONE && loop->schedule == SHM_SCHEDULE_STATIC)
        floor = shm_region_first_static (loop, n_workers, rank);
      if (floor < loop->at)
        return FALSE;
    }
  return TRUE;
}

/* Waits until every range before this worker's has passed; FALSE if the job was stopped. */
gboolean
shm_region_enter_turn (ShmWorker *worker)
{
  return shm_schedule_await_turn (worker->control, worker->rank, shm_region_has_turn, worker);
}

void
shm_region_pass_turn (ShmWorker *worker)
{
  shm_region_set_floor (worker, shm_region_get_next (worker));
  shm_region_wake_turn (worker->control);
}
