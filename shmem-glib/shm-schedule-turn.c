/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Whose turn it is in ordered sections.
 *
 * Ranges are the units, since within a range one worker goes through the items in order anyway. Each line's
 * `floor` says below which item nobody needs to wait for that worker; a range may enter when no other floor
 * and no orphan lies below it. A worker lowers its floor only before its claim can succeed, so that who claims
 * later sees it; each rise looks for a sleeper whose turn has come.
 *
 * Mostly every item enters, and then `turn` of the header says it in one word: who passes leaves the end of its
 * range there, below which all have passed. It is but a hint, since items that do not enter do not write it, and
 * it counts only while no range has ever lost its worker: one that is done again passes again.
 */

#include "config.h"

#include "shm-schedule-private.h"

#define LOOKS 16 /* one of so many is thorough while it spins */

/* The lowest item that waits to pass, and the rank that has it, or -1; by one look at all of them. */
static guint64
shm_schedule_look_for_floor (ShmControl *control, gint *who)
{
  ShmControlHeader *header = control->header;
  guint64 lowest = G_MAXUINT64;
  guint i;

  *who = -1;
  for (i = 0; i < control->n_workers; i++)
    {
      guint64 item = __atomic_load_n (&control->lines[i].floor, __ATOMIC_SEQ_CST);

      if (item < lowest)
        {
          lowest = item;
          *who = i;
        }
    }
  if (shm_load (&header->n_orphans))
    for (i = 0; i < shm_schedule_count_slots (control); i++)
      {
        ShmOrphan *orphan = &control->orphans[i];

        if (shm_load (&orphan->owner) != 0 && orphan->begin < lowest)
          {
            lowest = orphan->begin;
            *who = -1;
          }
      }
  return lowest;
}

/* A range that moves between a line and a slot is always in one of them, but a look that comes by at the wrong
 * moment can miss it in both: it is repeated if one has moved. */
static guint64
shm_schedule_lowest_floor (ShmControl *control, gint *who)
{
  guint32 *n_hand_overs = &control->header->n_hand_overs;
  guint32 before, after = __atomic_load_n (n_hand_overs, __ATOMIC_SEQ_CST);
  guint64 lowest;

  do
    {
      before = after;
      lowest = shm_schedule_look_for_floor (control, who);
      after = __atomic_load_n (n_hand_overs, __ATOMIC_SEQ_CST);
    }
  while (before != after);
  return lowest;
}

typedef struct
{
  ShmControl *control;
  guint rank;
} ShmTurn;

static gboolean
shm_schedule_has_turn (gconstpointer data, gboolean thorough)
{
  const ShmTurn *turn = data;
  ShmControlHeader *header = turn->control->header;
  guint64 begin = turn->control->lines[turn->rank].begin;
  gint who;

  if (__atomic_load_n (&header->turn, __ATOMIC_SEQ_CST) >= begin &&
      __atomic_load_n (&header->n_hand_overs, __ATOMIC_SEQ_CST) == 0)
    return TRUE;
  return thorough && shm_schedule_lowest_floor (turn->control, &who) >= begin;
}

/* Waits until every item before this rank's range has passed; FALSE if the job was stopped. */
gboolean
shm_schedule_enter_turn (ShmControl *control, guint rank)
{
  ShmTurn turn = { control, rank };

  return shm_schedule_await_turn (control, rank, shm_schedule_has_turn, &turn);
}

/* A thorough look disturbs those who are looked at. */
gboolean
shm_schedule_await_turn (ShmControl *control,
                         guint rank,
                         gboolean (*has_turn) (gconstpointer data, gboolean thorough),
                         gconstpointer data)
{
  ShmControlHeader *header = control->header;
  ShmLine *line = &control->lines[rank];
  guint spin;
  gboolean turn = FALSE;
  gint64 since;

  if (!shm_load (&header->ordered_used))
    shm_store (&header->ordered_used, 1);

  for (spin = 0; spin <= header->spin; spin++)
    {
      if (has_turn (data, spin % LOOKS == LOOKS - 1 || spin == header->spin))
        return TRUE;
      shm_pause ();
    }

  /* Dying in between leaves the count too high, which costs a look, and never too low. */
  __atomic_add_fetch (&header->n_turn_waiters, 1, __ATOMIC_SEQ_CST);
  /* Who raises a floor looks at this afterwards; we look at the floors after this, and a mere release could be
   * overtaken by that look. */
  __atomic_store_n (&line->turn_waiting, 1, __ATOMIC_SEQ_CST);
  since = shm_now_ns ();
  for (;;)
    {
      guint32 wake = shm_load (&line->turn_wake);

      turn = has_turn (data, TRUE);
      if (turn || shm_load (&header->stop))
        break;
      shm_futex_wait (&line->turn_wake, wake);
    }
  line->slept[SHM_SLEEP_ORDERED] += shm_now_ns () - since;
  shm_store (&line->turn_waiting, 0);
  __atomic_sub_fetch (&header->n_turn_waiters, 1, __ATOMIC_SEQ_CST);
  return turn;
}

/* Wakes the worker whose turn it is, if it sleeps. */
void
shm_schedule_wake_turn (ShmControl *control)
{
  gint who;

  shm_schedule_lowest_floor (control, &who);
  if (who < 0)
    return;
  __atomic_add_fetch (&control->lines[who].turn_wake, 1, __ATOMIC_SEQ_CST);
  shm_futex_wake (&control->lines[who].turn_wake, 1);
}

/* This rank, whose turn it is, has passed: nobody needs to wait for its range any more. */
void
shm_schedule_pass_turn (ShmControl *control, guint rank)
{
  ShmControlHeader *header = control->header;
  ShmLine *line = &control->lines[rank];

  shm_store (&line->floor, shm_schedule_get_free_floor (control, rank));
  /* One full fence for both: who does not see them is counted below. */
  __atomic_exchange_n (&header->turn, line->end, __ATOMIC_SEQ_CST);
  if (G_UNLIKELY (__atomic_load_n (&header->n_turn_waiters, __ATOMIC_SEQ_CST)))
    shm_schedule_wake_turn (control);
}
