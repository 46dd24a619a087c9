/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-backend-private.h"
#include "shm-input-private.h"
#include "shm-job.h"
#include "shm-progress-private.h"
#include "shm-statistics-private.h"
#include "shm-trace-private.h"

G_BEGIN_DECLS

typedef enum
{
  SHM_JOB_NEW,
  SHM_JOB_RUNNING,
  SHM_JOB_DONE
} ShmJobState;

typedef struct
{
  guint64 begin;
  GVariant *value;
} ShmRangeResult;

/* Called once, from the job's context, when the job is DONE. Takes the error; NULL: all is well. */
typedef void (*ShmJobDoneFunc) (ShmJob *self, GError *error, gpointer data);

struct _ShmJob
{
  GObject parent_instance;

  /* before it runs */
  ShmMapReduce *pool;
  guint64 n_items; /* of a feed: those that were fed */
  ShmWork work;
  ShmInput input;
  ShmCall feed;
  ShmCall reduce;
  ShmCall result;
  guint64 window;
  ShmOutput output;
  gboolean paused;
  gboolean trace_wanted;
  gboolean with_caller; /* of a region */
  gboolean is_quiet;    /* the environment cannot make it tell of itself */
  GOutputStream *progress_stream;
  gboolean keep_workers; /* it may be run again */

  /* of its run */
  ShmJobState state;
  ShmFailurePolicy failure_policy; /* of the pool, at the start, as is */
  guint max_retries;
  gboolean has_deposits;
  gboolean in_order;   /* results wait in `early` for their turn */
  guint64 window_used; /* 0: all can be claimed from the beginning */
  gboolean feed_ended;
  ShmBackend *backend;
  ShmArena *arena;  /* of processes; after the run only if there may be something in it */
  ShmBackend *kept; /* between runs: what has its workers, and the arena */
  ShmArenaPart argument_part;
  gboolean argument_is_new; /* to workers that were kept */
  guint64 n_done_before;    /* by kept workers, in earlier runs */
  gboolean is_idle;         /* all is done, and the workers stay */
  GMainContext *context;
  GCancellable *cancellable;
  GSource *cancel_source;
  GSource *tick_source;
  ShmJobDoneFunc done;
  gpointer done_data;
  gboolean has_task; /* which holds it: see shm-job-run.c */
  guint n_holds;     /* the job must not end yet */
  gboolean ended;    /* it would have */
  GError *error;
  GPtrArray *results;    /* by item */
  GArray *ranges;        /* of ShmRangeResult, as they came */
  GSequence *early;      /* of owned ShmRangeResult, by begin */
  GArray *summed;        /* of ShmRangeResult: rank and what its tear-down returned, as they came */
  GPtrArray *summaries;  /* by rank, then as they came */
  GPtrArray *statistics; /* by rank */
  GPtrArray *failures;
  GHashTable *n_tries; /* of the items that were tried again; (owned gint64 → guint) */
  ShmProgress progress;
  guint64 n_done; /* as last told */
  guint n_ticks;
  gboolean progress_to_terminal;
  gboolean progress_shown; /* there is a line to end */
  gboolean trace_to_file;
  ShmTrace *trace;
};

/* shm-job.c */
void shm_job_set_call (ShmCall *call, GCallback func, gpointer data, GDestroyNotify destroy);
void shm_job_clear_calls (ShmJob *self);
GPtrArray *shm_job_steal_results (ShmJob *self);
void shm_job_update_n_items (ShmJob *self, guint64 n_items);
void shm_job_notify_progress (ShmJob *self);
void shm_job_emit_result (ShmJob *self, guint64 index, GVariant *value);

/* shm-job-deliver.c: what comes from the workers, while the job is RUNNING */
void shm_job_frame (gpointer job, guint rank, ShmFrame *frame);
ShmVerdict shm_job_failure (gpointer job, ShmFailure *failure);
gboolean shm_job_look (gpointer job, guint64 lowest);
void shm_job_flush (ShmJob *self);
void shm_job_collect (ShmJob *self);

/* shm-job-into.c */
gboolean shm_job_check_into (ShmJob *self, GError **error);

/* shm-job-work.c */
void shm_job_set_work (
    ShmJob *self, ShmWorkKind kind, GCallback func, gpointer user_data, GDestroyNotify destroy);
void shm_job_set_base (ShmJob *self, guint64 base);
void
shm_job_set_region (ShmJob *self, ShmRegionFunc func, gpointer user_data, gboolean with_caller);

/* shm-job-report.c */
void shm_job_start_report (ShmJob *self);
void shm_job_stop_report (ShmJob *self);
void shm_job_end_report (ShmJob *self);
void
shm_job_left (gpointer job, guint rank, const ShmLine *line, gint64 cpu_time, guint64 peak_memory);

/* shm-job-keep.c */
gboolean shm_job_may_run (ShmJob *self);
gboolean shm_job_can_keep (ShmJob *self, const ShmBackendClass *klass);
void shm_job_forget_run (ShmJob *self);
gboolean shm_job_put_argument (ShmJob *self, guint64 *at, guint64 *size, GError **error);
gboolean shm_job_resume (ShmJob *self, ShmBackendSetup *setup, GError **error);
void shm_job_begin_rest (ShmJob *self);
void shm_job_drop_kept (ShmJob *self);

/* shm-job-run.c */
gboolean shm_job_start (ShmJob *self,
                        GMainContext *context,
                        GCancellable *cancellable,
                        ShmJobDoneFunc done,
                        gpointer done_data,
                        GError **error);
void shm_job_abort (ShmJob *self, GError *error);
gboolean shm_job_is_serial (ShmJob *self);
void shm_job_release_hold (ShmJob *self);
void shm_job_check_dropped (ShmJob *self);

G_END_DECLS
