/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-control-private.h"
#include "shm-failure-private.h"
#include "shm-map-reduce.h"

G_BEGIN_DECLS

typedef enum
{
  SHM_WORK_MAP,   /* a function for each item */
  SHM_WORK_RANGE, /* a function for each range, with a result */
  SHM_WORK_LOOP   /* a function for each range, without one */
} ShmWorkKind;

typedef struct
{
  ShmWorkKind kind;
  union
  {
    ShmMapFunc map;
    ShmRangeFunc range;
    ShmLoopFunc loop;
  } func;
  gpointer user_data;
  guint64 base; /* the first item, as the user counts; inside, items count from 0 */
} ShmWork;

typedef struct _ShmWorker ShmWorker;

/* How what a worker makes leaves it; each backend has its own. They take what they are given.
 * FALSE: the job was stopped. */
typedef struct
{
  gboolean (*result) (ShmWorker *worker, guint64 begin, guint64 end, GVariant *value);
  gboolean (*failure) (ShmWorker *worker, guint64 item, ShmFailure *failure);
} ShmOutlet;

struct _ShmWorker
{
  ShmControl *control;
  guint rank;
  ShmMapReduce *pool; /* borrowed from the job */
  const ShmWork *work;
  const ShmOutlet *outlet;
  gpointer outlet_data;

  ShmLine *line;
  ShmWorker *outer; /* whose work function started this one, in the same thread */
  guint64 grain;
  guint64 ordered_item;   /* the last one that entered, or SHM_NO_ITEM */
  guint64 n_items;        /* that it has done */
  ShmFailure *failure;    /* that the work function has told of, of the item in work */
  gboolean can_be_killed; /* a process: the caller sees to the deadlines of its items */
  gboolean in_ordered;
  gboolean in_critical;
};

void shm_worker_init (ShmWorker *worker);
gboolean shm_worker_step (ShmWorker *worker);
void shm_worker_run (ShmWorker *worker);

/* the worker in whose work function the calling thread is */
ShmWorker *shm_worker_get_current (void);
ShmWorker *shm_worker_swap_current (ShmWorker *worker);
ShmWorker *shm_worker_find (ShmMapReduce *pool);

gboolean shm_worker_begin_item (ShmWorker *worker, guint64 item);
void shm_worker_fail_item (ShmWorker *worker,
                           const GError *error,
                           const char *traceback,
                           GVariant *payload);
gboolean shm_worker_critical_enter (ShmWorker *worker, GError **error);
void shm_worker_critical_leave (ShmWorker *worker);
gboolean shm_worker_ordered_enter (ShmWorker *worker, GError **error);
void shm_worker_ordered_leave (ShmWorker *worker);

G_END_DECLS
