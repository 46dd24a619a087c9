/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Who works on which items.
 *
 * A claim must be one atomic step that also says whose it is: a worker may be killed between any
 * two instructions, and no item may get lost or be done twice. So `next` holds the next free item
 * and the rank of the last claimer; a worker writes what it is about to claim into its own line,
 * then swaps `next`. If it dies right there, the caller finds the claim made if `next` still names
 * the dead rank with that end, or if a later claimer, who notes whom it supersedes in its own row
 * of `confirmed` before its own swap, has seen it. Both the words and the row only ever grow.
 *
 * Ranges of the dead become orphans, which any worker claims before new ones, the lowest first.
 *
 * The `floor` of a line is for ordered sections: see shm-schedule-turn.c.
 */

#include "config.h"

#include "shm-schedule-private.h"

#include <string.h>

#define RANK_BITS 16
#define TARGET_NS 400000

/* Where the block of a rank begins, if each has one; that of the rank behind the last one is the end. */
guint64
shm_schedule_get_block (guint64 n, guint64 n_workers, guint64 rank)
{
  return n / n_workers * rank + MIN (n % n_workers, rank);
}

void
shm_schedule_init (ShmControl *control)
{
  ShmControlHeader *header = control->header;
  guint64 n = header->n_items;
  guint64 p = control->n_workers;
  guint rank;

  for (rank = 0; rank < p; rank++)
    {
      ShmLine *line = &control->lines[rank];

      line->floor = G_MAXUINT64;
      if (header->schedule == SHM_SCHEDULE_STATIC)
        {
          line->position = header->chunk_size ? MIN (n, rank * header->chunk_size)
                                              : shm_schedule_get_block (n, p, rank);
          if (rank == 0 && header->with_caller)
            line->position = n;
          if (shm_schedule_has_more (control, rank))
            line->floor = line->position;
        }
    }
}

/* STATIC: the range of this rank at its position; begin == end if there is none left. */
static void
shm_schedule_peek_static (
    ShmControl *control, guint rank, guint64 *begin, guint64 *end, guint64 *next)
{
  ShmControlHeader *header = control->header;
  guint64 n = header->n_items;
  guint64 p = control->n_workers;
  guint64 chunk = header->chunk_size;

  *begin = shm_load (&control->lines[rank].position);
  if (chunk == 0)
    {
      *end = MAX (*begin, shm_schedule_get_block (n, p, rank + 1));
      *next = *end;
    }
  else
    {
      *end = MIN (n, *begin + MIN (chunk, n - *begin));
      *next = chunk > (n - *begin) / p ? n : *begin + p * chunk;
    }
}

/* Slots that may be in use; what is shared may be damaged. */
guint
shm_schedule_count_slots (ShmControl *control)
{
  guint32 used = shm_load (&control->header->orphans_used);

  return MIN (used, SHM_CONTROL_ORPHANS);
}

/* Whether a new worker of this rank would find something to do. */
gboolean
shm_schedule_has_more (ShmControl *control, guint rank)
{
  ShmControlHeader *header = control->header;
  guint64 begin, end, next;
  guint i;

  if (shm_load (&header->n_orphans))
    for (i = 0; i < shm_schedule_count_slots (control); i++)
      if (shm_load (&control->orphans[i].owner) == SHM_ORPHAN_FREE)
        return TRUE;

  if (header->schedule != SHM_SCHEDULE_STATIC)
    return !shm_load (&header->closed) ||
           shm_load (&header->next) >> RANK_BITS < shm_load (&header->limit);
  shm_schedule_peek_static (control, rank, &begin, &end, &next);
  return begin < end;
}

/* Below which item nobody needs to wait for a rank that owns no range: what it has still to claim is its own where each
 * rank has its items from the beginning. */
guint64
shm_schedule_get_free_floor (ShmControl *control, guint rank)
{
  guint64 begin, end, next;

  if (control->header->schedule != SHM_SCHEDULE_STATIC)
    return G_MAXUINT64;
  shm_schedule_peek_static (control, rank, &begin, &end, &next);
  return begin < end ? begin : G_MAXUINT64;
}

static void
shm_schedule_intend (ShmLine *line, guint64 begin, guint64 end)
{
  shm_store (&line->begin, begin);
  shm_store (&line->end, end);
  __atomic_store_n (&line->floor, begin, __ATOMIC_SEQ_CST);
}

static void
shm_schedule_own (ShmLine *line)
{
  shm_store (&line->done, line->begin);
  shm_store (&line->begun, line->begin);
  shm_store (&line->state, SHM_LINE_RUNNING);
}

static ShmOrphan *
shm_schedule_lowest_orphan (ShmControl *control)
{
  ShmOrphan *lowest = NULL;
  guint i;

  for (i = 0; i < shm_schedule_count_slots (control); i++)
    {
      ShmOrphan *orphan = &control->orphans[i];

      if (shm_load (&orphan->owner) == SHM_ORPHAN_FREE &&
          (lowest == NULL || orphan->begin < lowest->begin))
        lowest = orphan;
    }
  return lowest;
}

/* Claims the lowest orphan that begins below `limit`. */
static gboolean
shm_schedule_claim_orphan (ShmControl *control, guint rank, guint64 limit)
{
  ShmLine *line = &control->lines[rank];
  ShmOrphan *orphan;

  while ((orphan = shm_schedule_lowest_orphan (control)) != NULL)
    {
      guint32 expected = SHM_ORPHAN_FREE;
      guint64 begin = shm_load (&orphan->begin);

      if (begin >= limit)
        return FALSE;
      __atomic_store_n (&line->floor, begin, __ATOMIC_SEQ_CST);
      if (!__atomic_compare_exchange_n (&orphan->owner, &expected, rank + 1, FALSE,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        continue;

      /* It may have been taken and filled again since we have looked. */
      if (shm_load (&orphan->begin) != begin)
        {
          __atomic_store_n (&orphan->owner, SHM_ORPHAN_FREE, __ATOMIC_SEQ_CST);
          continue;
        }
      /* Dying from here on leaves the slot with our name in it, until the line says it all. */
      shm_schedule_intend (line, orphan->begin, orphan->end);
      shm_schedule_own (line);
      __atomic_add_fetch (&control->header->n_hand_overs, 1, __ATOMIC_SEQ_CST);
      shm_store (&orphan->owner, 0);
      __atomic_sub_fetch (&control->header->n_orphans, 1, __ATOMIC_SEQ_CST);
      return TRUE;
    }
  return FALSE;
}

static gboolean
shm_schedule_claim_static (ShmControl *control, guint rank)
{
  ShmLine *line = &control->lines[rank];
  guint64 begin, end, next;

  shm_schedule_peek_static (control, rank, &begin, &end, &next);
  if (begin >= end)
    return FALSE;
  shm_schedule_intend (line, begin, end);
  shm_store (&line->position, next);
  shm_schedule_own (line);
  return TRUE;
}

/* How many to claim of those that are left; `grain` is the wanted number, where it is automatic. */
guint64
shm_schedule_get_chunk (const ShmControl *control,
                        ShmSchedule schedule,
                        guint64 chunk_size,
                        guint64 left,
                        guint64 grain)
{
  const ShmControlHeader *header = control->header;
  guint64 share = left / control->n_workers / 2 + 1;
  guint64 chunk;

  if (schedule == SHM_SCHEDULE_GUIDED)
    chunk = MAX (share, chunk_size);
  else if (chunk_size)
    chunk = chunk_size;
  else if (shm_load (&header->ordered_used))
    chunk = 1;
  else
    chunk = MIN (grain, share);
  if (header->max_chunk)
    chunk = MIN (chunk, header->max_chunk);
  return MIN (chunk, left);
}

static gboolean
shm_schedule_claim_next (ShmControl *control, guint rank, guint64 grain, guint64 limit)
{
  ShmControlHeader *header = control->header;
  ShmLine *line = &control->lines[rank];
  guint64 word = shm_load (&header->next);

  for (;;)
    {
      guint64 begin = word >> RANK_BITS;
      guint64 last = word & ((1 << RANK_BITS) - 1);
      guint64 end;

      if (begin >= limit)
        return FALSE;
      end = begin + shm_schedule_get_chunk (control, header->schedule, header->chunk_size,
                                            limit - begin, grain);
      if (last != 0 && last != rank + 1)
        shm_store (shm_control_get_confirmed (control, rank, last - 1), begin);
      shm_schedule_intend (line, begin, end);
      if (__atomic_compare_exchange_n (&header->next, &word, end << RANK_BITS | (rank + 1), FALSE,
                                       __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
        break;
    }
  shm_schedule_own (line);
  return TRUE;
}

/* Takes what there is; FALSE: nothing. */
static gboolean
shm_schedule_take (ShmControl *control, guint rank, guint64 grain, guint64 limit)
{
  ShmControlHeader *header = control->header;
  ShmLine *line = &control->lines[rank];
  gboolean is_static = header->schedule == SHM_SCHEDULE_STATIC;

  /* The lowest first: an ordered section must never wait for what its own worker has still to do.
   */
  if (G_UNLIKELY (shm_load (&header->n_orphans)) &&
      shm_schedule_claim_orphan (control, rank, is_static ? line->position : G_MAXUINT64))
    return TRUE;
  if (!is_static)
    return shm_schedule_claim_next (control, rank, grain, limit);
  return shm_schedule_claim_static (control, rank) ||
         (shm_load (&header->n_orphans) && shm_schedule_claim_orphan (control, rank, G_MAXUINT64));
}

static gboolean
shm_schedule_try (ShmControl *control, guint rank, guint64 grain, guint64 limit, gboolean paused)
{
  ShmControlHeader *header = control->header;
  ShmLine *line = &control->lines[rank];
  gboolean claimed;

  /* While the end is 0 there is no claim; the old range's end would look like one. */
  shm_store (&line->end, 0);
  shm_store (&line->state, SHM_LINE_CLAIMING);

  claimed = !paused && shm_schedule_take (control, rank, grain, limit);
  if (!claimed)
    {
      shm_store (&line->floor, shm_schedule_get_free_floor (control, rank));
      shm_store (&line->state, SHM_LINE_READY);
      shm_fence ();
    }
  /* The floor may have risen from what a lost race had shown. The other ways have had their fence. */
  if (header->schedule == SHM_SCHEDULE_STATIC)
    shm_fence ();
  if (G_UNLIKELY (shm_load (&header->n_turn_waiters)))
    shm_schedule_wake_turn (control);
  return claimed;
}

/* Asks the caller for more items, at the latest before this worker sleeps. */
static void
shm_schedule_ask_for_more (ShmControl *control, gboolean urgent)
{
  ShmControlHeader *header = control->header;
  guint64 next = shm_load (&header->next) >> RANK_BITS;
  guint64 limit = shm_load (&header->limit);

  if (urgent || limit - next < header->max_chunk * control->n_workers * 2)
    shm_control_ask (control, urgent);
}

/* Claims a range for this rank: its line says which. `grain` is the wanted number of items, where
 * the size of chunks is automatic. Sleeps while there is nothing yet; FALSE: there will be nothing for this
 * worker, or the job was stopped. */
gboolean
shm_schedule_claim (ShmControl *control, guint rank, guint64 grain)
{
  ShmControlHeader *header = control->header;
  gint64 since = 0;
  gboolean claimed;

  for (;;)
    {
      /* In this order: what comes after these reads wakes us, or is seen; and who sees the items of a run that begins
       * with a pause sees the pause. */
      guint32 wake = __atomic_load_n (&header->limit_wake, __ATOMIC_SEQ_CST);
      gboolean closed = __atomic_load_n (&header->closed, __ATOMIC_SEQ_CST);
      guint64 limit = __atomic_load_n (&header->limit, __ATOMIC_SEQ_CST);
      gboolean paused = __atomic_load_n (&header->paused, __ATOMIC_SEQ_CST);

      claimed = shm_schedule_try (control, rank, grain, limit, paused);
      /* A pause ends where nothing is left to begin, which the caller sees. */
      if (!closed || paused)
        shm_schedule_ask_for_more (control, !claimed);
      if (claimed || (closed && !paused) || !header->can_sleep || shm_load (&header->stop))
        break;
      if (since == 0)
        since = shm_now_ns ();
      shm_futex_wait (&header->limit_wake, wake);
    }
  /* What is slept between two runs is nobody's time. */
  if (since != 0 && !header->keep)
    control->lines[rank].slept[SHM_SLEEP_INPUT] += shm_now_ns () - since;
  return claimed;
}

/* The next wanted number of items, when `grain` items took so long. */
guint64
shm_schedule_adapt (guint64 grain, gint64 elapsed_ns)
{
  if (elapsed_ns < TARGET_NS / 16)
    return MIN (grain * 8, G_GUINT64_CONSTANT (1) << 30);
  if (elapsed_ns < TARGET_NS / 2)
    return MIN (grain * 2, G_GUINT64_CONSTANT (1) << 30);
  if (elapsed_ns > TARGET_NS * 2)
    {
      guint64 fitting = (guint64) ((gdouble) grain * TARGET_NS / elapsed_ns);

      /* Not all at once, unless it was very long: the processor may only have been away. */
      if (elapsed_ns < TARGET_NS * 25)
        fitting = MAX (fitting, grain / 4);
      return MAX (1, fitting);
    }
  return grain;
}

static gboolean
shm_schedule_was_claimed (ShmControl *control, guint rank)
{
  ShmControlHeader *header = control->header;
  ShmLine *line = &control->lines[rank];
  guint by;

  if (line->end == 0)
    return FALSE;
  if (header->schedule == SHM_SCHEDULE_STATIC)
    return line->position > line->begin;
  if (shm_load (&header->next) == (line->end << RANK_BITS | (rank + 1)))
    return TRUE;
  for (by = 0; by < control->n_workers; by++)
    if (shm_load (shm_control_get_confirmed (control, by, rank)) >= line->end)
      return TRUE;
  return FALSE;
}

static gboolean
shm_schedule_is_owner (const ShmLine *line)
{
  return line->state == SHM_LINE_RUNNING || line->state == SHM_LINE_RECYCLED;
}

/* Reads from the line of a dead worker what it owned. `handed_over` is the end of the last range
 * whose result arrived from it, or 0: the result counts, even if its worker could not say so any
 * more. */
void
shm_schedule_resolve (ShmControl *control, guint rank, guint64 handed_over, ShmRemains *remains)
{
  ShmLine *line = &control->lines[rank];
  gboolean adopted = FALSE;
  guint i;

  remains->begin = remains->end = 0;
  remains->item = SHM_NO_ITEM;

  for (i = 0; i < shm_schedule_count_slots (control); i++)
    {
      ShmOrphan *orphan = &control->orphans[i];

      if (shm_load (&orphan->owner) != rank + 1)
        continue;
      if (!shm_schedule_is_owner (line))
        {
          remains->begin = orphan->begin;
          remains->end = orphan->end;
          adopted = TRUE;
        }
      shm_store (&orphan->owner, 0);
      __atomic_sub_fetch (&control->header->n_orphans, 1, __ATOMIC_SEQ_CST);
    }

  if (shm_schedule_is_owner (line))
    {
      guint64 done = line->done;

      if (handed_over > done && handed_over <= line->end)
        done = handed_over;
      remains->begin = done;
      remains->end = line->end;
      if (line->begun > done && line->begun <= line->end)
        remains->item = line->begun - 1;
    }
  else if (!adopted && line->state == SHM_LINE_CLAIMING && shm_schedule_was_claimed (control, rank))
    {
      remains->begin = line->begin;
      remains->end = line->end;
    }
}

/* FALSE: all slots are taken. For the caller alone. */
gboolean
shm_schedule_add_orphan (ShmControl *control, guint64 begin, guint64 end)
{
  guint32 *used = &control->header->orphans_used;
  guint i;

  for (i = 0; i < SHM_CONTROL_ORPHANS; i++)
    {
      ShmOrphan *orphan = &control->orphans[i];

      if (shm_load (&orphan->owner) != 0)
        continue;
      /* From here on `turn` does not count. */
      __atomic_add_fetch (&control->header->n_hand_overs, 1, __ATOMIC_SEQ_CST);
      shm_store (&orphan->begin, begin);
      shm_store (&orphan->end, end);
      __atomic_add_fetch (&control->header->n_orphans, 1, __ATOMIC_SEQ_CST);
      __atomic_store_n (&orphan->owner, SHM_ORPHAN_FREE, __ATOMIC_SEQ_CST);
      if (i >= *used)
        __atomic_store_n (used, i + 1, __ATOMIC_SEQ_CST);
      if (!control->closed)
        shm_control_wake (&control->header->limit_wake);
      return TRUE;
    }
  return FALSE;
}

/* Makes the line of a dead worker fit for its successor; its orphans must have been added before,
 * since from here on nobody waits for it. */
void
shm_schedule_clear (ShmControl *control, guint rank)
{
  ShmLine *line = &control->lines[rank];

  line->begin = line->end = line->begun = line->done = 0;
  line->item_started = 0;
  control->n_done_before += line->n_done;
  line->n_done = 0;
  line->life = SHM_LIFE_NONE;
  line->arena_put = line->arena_taken = 0;
  line->started = line->ended = 0;
  line->cpu_time = 0;
  memset (line->slept, 0, sizeof line->slept);
  if (line->turn_waiting)
    __atomic_sub_fetch (&control->header->n_turn_waiters, 1, __ATOMIC_SEQ_CST);
  line->turn_waiting = 0;
  shm_store (&line->state, SHM_LINE_EMPTY);
  __atomic_add_fetch (&control->header->n_hand_overs, 1, __ATOMIC_SEQ_CST);
  __atomic_store_n (&line->floor, shm_schedule_get_free_floor (control, rank), __ATOMIC_SEQ_CST);
  shm_fence ();
  if (shm_load (&control->header->n_turn_waiters))
    shm_schedule_wake_turn (control);
}

/* The lowest item of a line that is not done, as far as it shows. */
static guint64
shm_schedule_lowest_of_line (ShmControl *control, guint rank)
{
  ShmLine *line = &control->lines[rank];
  guint64 lowest = G_MAXUINT64;
  guint64 begin, end, next;

  /* Each word is read once: MIN () would read it again, and something else.
   * The position first: once it has moved on, the line says CLAIMING at least. */
  if (control->header->schedule == SHM_SCHEDULE_STATIC)
    {
      shm_schedule_peek_static (control, rank, &begin, &end, &next);
      if (begin < end)
        lowest = begin;
    }
  shm_fence ();
  switch (shm_load (&line->state))
    {
    case SHM_LINE_CLAIMING:
      end = shm_load (&line->end);
      begin = shm_load (&line->begin);
      if (end != 0)
        lowest = MIN (lowest, begin);
      break;
    case SHM_LINE_RUNNING:
    case SHM_LINE_RECYCLED:
      begin = shm_load (&line->done);
      if (begin < shm_load (&line->end))
        lowest = MIN (lowest, begin);
      break;
    default:
      break;
    }
  return lowest;
}

static guint64
shm_schedule_look_for_unfinished (ShmControl *control)
{
  ShmControlHeader *header = control->header;
  guint64 lowest = G_MAXUINT64;
  guint i;

  if (header->schedule != SHM_SCHEDULE_STATIC)
    lowest = __atomic_load_n (&header->next, __ATOMIC_SEQ_CST) >> RANK_BITS;
  for (i = 0; i < control->n_workers; i++)
    {
      guint64 of_line = shm_schedule_lowest_of_line (control, i);

      lowest = MIN (lowest, of_line);
    }
  for (i = 0; shm_load (&header->n_orphans) && i < shm_schedule_count_slots (control); i++)
    if (shm_load (&control->orphans[i].owner) != 0)
      lowest = MIN (lowest, control->orphans[i].begin);
  return lowest;
}

/* Every item below this is done, and its result has been handed over. For the caller alone.
 *
 * `next` is read first: a claim that is not in it yet lies above it, and a claim that is in it was in its line
 * before. A range that moves between a line and a slot is looked for again. */
guint64
shm_schedule_get_lowest_unfinished (ShmControl *control)
{
  guint32 *n_hand_overs = &control->header->n_hand_overs;
  guint32 before, after = __atomic_load_n (n_hand_overs, __ATOMIC_SEQ_CST);
  guint64 lowest;

  do
    {
      before = after;
      lowest = shm_schedule_look_for_unfinished (control);
      after = __atomic_load_n (n_hand_overs, __ATOMIC_SEQ_CST);
    }
  while (before != after);
  /* A claimer that is about to lose its race can show a range that others have done meanwhile. */
  control->lowest = MAX (control->lowest, lowest);
  return control->lowest;
}
