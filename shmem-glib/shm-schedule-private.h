/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-control-private.h"

G_BEGIN_DECLS

/* What a dead worker leaves behind. */
typedef struct
{
  guint64 begin; /* not done, or not handed over */
  guint64 end;
  guint64 item; /* what was executing, or SHM_NO_ITEM */
} ShmRemains;

void shm_schedule_init (ShmControl *control);
gboolean shm_schedule_claim (ShmControl *control, guint rank, guint64 grain);
guint64 shm_schedule_adapt (guint64 grain, gint64 elapsed_ns);
gboolean shm_schedule_has_more (ShmControl *control, guint rank);

/* for whoever deals out anything */
guint64 shm_schedule_get_block (guint64 n, guint64 n_workers, guint64 rank);
guint64 shm_schedule_get_chunk (const ShmControl *control,
                                ShmSchedule schedule,
                                guint64 chunk_size,
                                guint64 left,
                                guint64 grain);

/* for the caller, once the worker is gone */
void
shm_schedule_resolve (ShmControl *control, guint rank, guint64 handed_over, ShmRemains *remains);
gboolean shm_schedule_add_orphan (ShmControl *control, guint64 begin, guint64 end);
void shm_schedule_clear (ShmControl *control, guint rank);
guint64 shm_schedule_get_lowest_unfinished (ShmControl *control);

/* for shm-schedule-turn.c */
guint shm_schedule_count_slots (ShmControl *control);
guint64 shm_schedule_get_free_floor (ShmControl *control, guint rank);

/* shm-schedule-turn.c: ordered sections */
gboolean shm_schedule_enter_turn (ShmControl *control, guint rank);
gboolean shm_schedule_await_turn (ShmControl *control,
                                  guint rank,
                                  gboolean (*has_turn) (gconstpointer data, gboolean thorough),
                                  gconstpointer data);
void shm_schedule_pass_turn (ShmControl *control, guint rank);
void shm_schedule_wake_turn (ShmControl *control);

G_END_DECLS
