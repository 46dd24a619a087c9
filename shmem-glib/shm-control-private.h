/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "shm-enums.h"
#include "shm-sync-private.h"

G_BEGIN_DECLS

#define SHM_CONTROL_MAX_WORKERS 4096
#define SHM_CONTROL_MAX_ITEMS ((G_GUINT64_CONSTANT (1) << 48) - 1)
#define SHM_CONTROL_ORPHANS 65536
#define SHM_NO_ITEM G_MAXUINT64

typedef enum
{
  SHM_LINE_EMPTY,     /* no worker */
  SHM_LINE_FORKED,    /* waits until the caller can watch it */
  SHM_LINE_STARTING,  /* has not proved itself */
  SHM_LINE_CONDEMNED, /* did not prove itself in time; the caller is killing it */
  SHM_LINE_READY,     /* owns no range */
  SHM_LINE_CLAIMING,  /* is about to own begin … end, or just does */
  SHM_LINE_RUNNING,   /* owns begin … end */
  SHM_LINE_RECYCLED,  /* owns begin … end, and leaves it to others, between two items */
  SHM_LINE_FINISHED   /* there is nothing left for it, and all its results are handed over */
} ShmLineState;

/* in item_started: its time is over, and the worker is being killed */
#define SHM_ITEM_CONDEMNED G_MININT64

/* What a worker sleeps for, as the statistics have it. */
typedef enum
{
  SHM_SLEEP_CRITICAL,
  SHM_SLEEP_ORDERED,
  SHM_SLEEP_BARRIER,
  SHM_SLEEP_OUTPUT, /* room for results */
  SHM_SLEEP_INPUT,  /* items */
  SHM_N_SLEEPS
} ShmSleepKind;

/* Where a worker is, apart from its ranges. */
typedef enum
{
  SHM_LIFE_NONE,
  SHM_LIFE_SET_UP,
  SHM_LIFE_WORK,
  SHM_LIFE_TEAR_DOWN,
  SHM_LIFE_OVER
} ShmLife;

/* Whether the caller is to look at how far the items are. */
typedef enum
{
  SHM_NOT_ASKED,
  SHM_ASKED_SOON,
  SHM_ASKED_NOW
} ShmAsked;

typedef enum
{
  SHM_AWAKE,
  SHM_DROWSY, /* has just looked, and will look again soon: to be woken only for what is urgent */
  SHM_ASLEEP  /* to be woken for anything */
} ShmSleep;

/* What one worker tells about itself, in program order, so that its death can be read from it.
 * Written by the worker; by the caller before the worker starts and after it is gone. */
typedef struct
{
  guint64 begin; /* the claimed range */
  guint64 end;
  guint64 begun;       /* the item in work, plus 1: something is executing if begun > done */
  guint64 done;        /* items of the range below this are done and handed over */
  guint64 floor;       /* no item below this waits for this worker to pass its ordered section */
  guint64 position;    /* STATIC: where this rank's next range begins */
  gint64 item_started; /* monotonic time in µs at which the item in work began; see shm-worker.c */
  guint32 state;       /* ShmLineState; STARTING is left by compare and exchange */
  guint32 turn_waiting; /* counted in n_turn_waiters */
  /* on a cache line of its own, since the others write it */
  guint32 turn_wake __attribute__ ((aligned (SHM_CACHE_LINE)));
  guint64 n_done SHM_IN_ONE_STEP; /* items that this worker has done, in all its ranges */
  guint32 life;                   /* ShmLife */
  guint32 loop;        /* of a region: the loop that it is in or has been in, counted from 1 */
  guint64 loop_floor;  /* no iteration of that loop below this waits for this worker */
  guint64 arena_head;  /* in the rank's part: where its next piece begins */
  guint64 arena_put;   /* bytes ever put there by this worker */
  guint64 arena_taken; /* as much of that as lies behind frames that the caller has read */
  /* for the statistics, in monotonic ns */
  gint64 started;  /* 0: it has not */
  gint64 ended;    /* 0: it has not, or had no time to say so */
  gint64 cpu_time; /* of a thread */
  gint64 slept[SHM_N_SLEEPS];
} __attribute__ ((aligned (SHM_CACHE_LINE))) ShmLine;

/* A range that lost its worker. `owner` says whose it is. */
typedef struct
{
  guint64 begin;
  guint64 end;
  guint32 owner; /* 0: empty; SHM_ORPHAN_FREE: to be claimed; else the claiming rank + 1 */
} SHM_IN_ONE_STEP ShmOrphan;

#define SHM_ORPHAN_FREE G_MAXUINT32

typedef struct
{
  /* constant while the workers live */
  guint64 n_items;
  guint64 chunk_size;
  guint32 schedule;
  guint32 spin;
  gboolean stop_at_failure;
  gint64 item_timeout;          /* µs; 0: none */
  guint64 max_items_per_worker; /* 0: no end */
  guint64 max_chunk;            /* 0: none; while there is a window no range is larger */
  gboolean in_order;            /* the caller keeps results until all items before them are done */
  gboolean can_sleep;           /* a worker may sleep until there are items */
  gboolean with_caller;         /* the caller itself is rank 0 of the region */
  gboolean keep; /* the limit stays open: when all is done the workers wait for another run */
  guint n_taken; /* workers, times those of the jobs around this one */
  /* read often, written seldom */
  guint64 first
      SHM_IN_ONE_STEP; /* where the items of this run begin; the caller sets it before the limit */
  guint64 argument_at; /* of this run, in the arena; see shm-job-keep.c */
  guint64 argument_size;   /* 0: it was inherited */
  guint64 argument_number; /* counts those that were sent, from 1 */
  guint64 limit;           /* items from this one on cannot be claimed yet; only grows */
  guint32 closed;          /* the limit is the last one */
  guint32 limit_wake;      /* who waits for items sleeps on it */
  guint32 paused;          /* nobody may claim a range */
  guint32 stop;            /* nobody may begin another item; sleepers go home */
  guint32 n_orphans;       /* never too low; a death can leave it too high */
  guint32 orphans_used;    /* slots from this one on have never been used */
  guint32 n_hand_overs;    /* counts moves of ranges between lines and slots */
  guint32 ordered_used;    /* chunks of automatic size hold one item from here on */
  /* next item << 16 | rank + 1 of the last claimer */
  guint64 next __attribute__ ((aligned (SHM_CACHE_LINE)));
  guint64 loop __attribute__ ((aligned (SHM_CACHE_LINE)));    /* see shm-region.c */
  guint64 barrier __attribute__ ((aligned (SHM_CACHE_LINE))); /* see shm-region.c */
  guint32 barrier_wake;
  guint32 barrier_broken;
  guint32 sleep __attribute__ ((aligned (SHM_CACHE_LINE))); /* ShmSleep, the caller's */
  guint32 asked;                                            /* ShmAsked */
  guint64 turn __attribute__ ((aligned (SHM_CACHE_LINE)));  /* see shm-schedule-turn.c */
  guint32 n_turn_waiters __attribute__ ((aligned (SHM_CACHE_LINE)));
  ShmLock critical __attribute__ ((aligned (SHM_CACHE_LINE)));
} ShmControlHeader;

G_STATIC_ASSERT (G_STRUCT_OFFSET (ShmLine, begin) % 8 == 0);
G_STATIC_ASSERT (G_STRUCT_OFFSET (ShmLine, item_started) % 8 == 0);
G_STATIC_ASSERT (G_STRUCT_OFFSET (ShmLine, n_done) % 8 == 0);
G_STATIC_ASSERT (G_STRUCT_OFFSET (ShmLine, loop_floor) % 8 == 0);
G_STATIC_ASSERT (G_STRUCT_OFFSET (ShmLine, slept) % 8 == 0);
G_STATIC_ASSERT (G_STRUCT_OFFSET (ShmControlHeader, first) % 8 == 0);
G_STATIC_ASSERT (G_STRUCT_OFFSET (ShmControlHeader, limit) % 8 == 0);
G_STATIC_ASSERT (sizeof (ShmOrphan) % 8 == 0);
G_STATIC_ASSERT (sizeof (ShmLine) % SHM_CACHE_LINE == 0);
G_STATIC_ASSERT (sizeof (ShmControlHeader) % SHM_CACHE_LINE == 0);

/* Where an item that was fed lies in the arena. */
typedef struct
{
  guint64 offset;
  guint64 size;
} ShmFeedSlot;

/* One job's shared memory, as this process sees it. */
typedef struct
{
  ShmControlHeader *header;
  ShmLine *lines;
  guint64 *confirmed; /* see shm_control_get_confirmed () */
  ShmOrphan *orphans;
  ShmFeedSlot *feed; /* item i lies in slot i % feed_size */
  gsize feed_size;
  guint8 *rings;
  gsize ring_size; /* bytes for each worker, its header included */
  gsize map_size;
  guint n_workers;
  int event_fd;
  int map_fd;    /* of the mapping, where strangers attach to it, else -1 */
  guint64 first; /* the caller's own copies: what is shared may get damaged */
  guint64 limit;
  gboolean closed;
  guint64 n_done_before; /* the caller's: done by workers that are gone */
  guint64 lowest;        /* the caller's: all items below this have been seen done */
} ShmControl;

typedef struct
{
  guint64 n_items;
  guint64 chunk_size; /* 0: automatic */
  guint n_workers;
  ShmSchedule schedule;
  gboolean stop_at_failure;
  gint64 item_timeout;          /* µs; 0: none */
  guint64 max_items_per_worker; /* 0: no end */
  guint64 window;               /* 0: all items can be claimed from the beginning */
  gboolean paused;              /* from the beginning */
  gboolean in_order;            /* the caller wants to hear of each item that is done */
  gsize feed_size;              /* slots for items that are fed to processes */
  gboolean with_caller;         /* rank 0 is the caller's own */
  gboolean keep;         /* the workers stay for another run; `n_items` are those of the first */
  guint n_taken;         /* workers, times those of the jobs around this one */
  gboolean with_rings;   /* results travel through shared memory */
  gboolean with_wakeups; /* the workers do not run in the caller's own thread */
  gboolean with_fd;      /* processes that were not forked for it attach to the mapping */
  guint64 argument_at;   /* in the arena */
  guint64 argument_size; /* 0: it was inherited; SHM_NO_ITEM: there is none */
} ShmControlSettings;

ShmControl *shm_control_new (const ShmControlSettings *settings, GError **error);
ShmControl *
shm_control_attach (int map_fd, int event_fd, guint n_workers, gsize feed_size, GError **error);
void shm_control_free (ShmControl *control);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ShmControl, shm_control_free)

void shm_control_notify (ShmControl *control, gboolean urgent);
void shm_control_ask (ShmControl *control, gboolean urgent);
void shm_control_stop (ShmControl *control);
void shm_control_wake (guint32 *word);
void shm_control_set_paused (ShmControl *control, gboolean paused);
void shm_control_end_pause (ShmControl *control, guint64 lowest);
void shm_control_set_limit (ShmControl *control, guint64 limit, gboolean closed);
void shm_control_begin_run (ShmControl *control, guint64 n_items);
guint64 shm_control_count_done (ShmControl *control);
gpointer shm_control_get_ring (ShmControl *control, guint rank);

/* In a row of confirmed claims; each has cache lines of its own. */
static inline gsize
shm_control_get_row_length (guint n_workers)
{
  const gsize n = SHM_CACHE_LINE / sizeof (guint64);

  return (n_workers + n - 1) / n * n;
}

/* Where a claim of `whose` ended, as seen by `by`. */
static inline guint64 *
shm_control_get_confirmed (ShmControl *control, guint by, guint whose)
{
  return &control->confirmed[by * shm_control_get_row_length (control->n_workers) + whose];
}

G_END_DECLS
