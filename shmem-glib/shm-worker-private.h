/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-control-private.h"
#include "shm-frame-private.h"
#include "shm-input-private.h"
#include "shm-array-private.h"
#include "shm-job.h"

G_BEGIN_DECLS

typedef enum
{
  SHM_WORK_MAP,   /* a function for each item */
  SHM_WORK_INTO,  /* the same, that writes its place of an array */
  SHM_WORK_RANGE, /* a function for each range, with a result */
  SHM_WORK_LOOP,  /* a function for each range, without one */
  SHM_WORK_REGION /* a function for each rank, with a result; the items are the ranks */
} ShmWorkKind;

/* A closure of the user's. */
typedef struct
{
  GCallback func; /* NULL: there is none */
  gpointer data;
  GDestroyNotify destroy;
} ShmCall;

typedef struct _ShmProgram ShmProgram;

typedef struct
{
  ShmWorkKind kind;
  ShmCall call;
  ShmCall set_up;
  ShmCall tear_down;
  ShmProgram *program; /* what a worker executes; NULL: it is forked, and has the closures */
  ShmJob *job;         /* borrowed */
  ShmInput *input;
  ShmArray *into; /* owned by the job */
  guint64 base;   /* the first item, as the user counts; inside, items count from 0 */
  guint64 seed;
  GVariant *argument; /* owned by the job */
  gboolean reseed;    /* GLib's random numbers begin anew with each item */
  gboolean drop_results;
  gboolean trace;
} ShmWork;

typedef struct _ShmWorker ShmWorker;

/* A loop that the workers of a region share; inside, iterations count from 0. */
typedef struct
{
  guint64 begin; /* the first iteration, as the user counts */
  guint64 n;
  ShmSchedule schedule;
  guint64 chunk_size;
  guint64 at; /* the range that this worker has */
  guint64 end;
} ShmLoop;

/* How what a worker makes leaves it; each backend has its own. It takes what is in the frame. FALSE: the job was
 * stopped. */
typedef gboolean (*ShmOutlet) (ShmWorker *worker, const ShmFrame *frame);

struct _ShmWorker
{
  ShmControl *control;
  guint rank;
  ShmMapReduce *pool; /* borrowed from the job */
  const ShmWork *work;
  ShmOutlet outlet;
  gpointer outlet_data;

  ShmLine *line;
  ShmWorker *outer; /* whose work function started this one, in the same thread */
  guint64 grain;
  guint64 ordered_item; /* the last one that entered, or SHM_NO_ITEM */
  guint64 n_items;      /* that it has done */
  gpointer state;       /* what the set-up returned */
  GVariant *argument;   /* that with this number; NULL: not asked for */
  guint64 argument_number;
  ShmLoop loop;           /* of a region: the one in work */
  ShmFailure *failure;    /* that the work function has told of, of the item in work */
  guint n_dealt;          /* of a region: loops that were dealt out by the shared word */
  gboolean can_be_killed; /* a process: the caller sees to the deadlines of its items */
  gboolean in_ordered;
  gboolean in_critical;
  gboolean in_loop; /* of a region */
  ShmArena *arena;  /* of a process */
};

guint64 shm_work_seed (const ShmWork *work, guint64 index);

/* The item as the user counts, and back; the worker owns it, so that this is its run. */
static inline guint64
shm_worker_to_index (const ShmWorker *worker, guint64 item)
{
  return worker->work->base + item - worker->control->header->first;
}

static inline guint64
shm_worker_to_item (const ShmWorker *worker, guint64 index)
{
  return index - worker->work->base + worker->control->header->first;
}

void shm_worker_init (ShmWorker *worker);
gboolean shm_worker_step (ShmWorker *worker);
void shm_worker_run (ShmWorker *worker);
void shm_worker_run_part (ShmWorker *worker);
gboolean shm_worker_set_up (ShmWorker *worker);
void shm_worker_tear_down (ShmWorker *worker);

/* Each call from inside of a work function looks here first. In a library this is a call into the loader, unless the
 * word has a fixed place beside the program's own. glibc keeps room for a few such words of libraries that are loaded
 * later; others do not load the library then. */
#ifdef __GLIBC__
#define SHM_THREAD __thread __attribute__ ((tls_model ("initial-exec")))
#else
#define SHM_THREAD __thread
#endif

/* the worker in whose work function the calling thread is */
extern SHM_THREAD ShmWorker *shm_worker_current;
ShmWorker *shm_worker_swap_current (ShmWorker *worker);

static inline ShmWorker *
shm_worker_get_current (void)
{
  return shm_worker_current;
}

static inline ShmWorker *
shm_worker_find (ShmMapReduce *pool)
{
  ShmWorker *worker = shm_worker_current;

  while (worker != NULL && worker->pool != pool)
    worker = worker->outer;
  return worker;
}

guint shm_worker_count_taken (void);

gboolean shm_worker_begin_item (ShmWorker *worker, guint64 item);
GVariant *shm_worker_get_argument (ShmWorker *worker, GError **error);
void shm_worker_fail_item (ShmWorker *worker,
                           const GError *error,
                           const char *traceback,
                           GVariant *payload);

/* sections, and what waits in them */
void shm_worker_start_clock (ShmWorker *worker, gint64 elapsed);
void shm_worker_pause_clock (ShmWorker *worker, gint64 *elapsed);
void shm_worker_wait_begin (ShmWorker *worker, gint64 *elapsed);
void shm_worker_wait_end (ShmWorker *worker, gint64 elapsed);
gboolean shm_worker_set_stopped (GError **error);
void shm_worker_leave_sections (ShmWorker *worker);
gboolean shm_worker_critical_enter (ShmWorker *worker, GError **error);
void shm_worker_critical_leave (ShmWorker *worker);
gboolean shm_worker_ordered_enter (ShmWorker *worker, GError **error);
void shm_worker_ordered_leave (ShmWorker *worker);

G_END_DECLS
