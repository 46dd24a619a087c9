/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-backend-private.h"
#include "shm-fork-context-private.h"
#include "shm-fork-private.h"
#include "shm-wire-private.h"

G_BEGIN_DECLS

#define PROVE_TIME G_USEC_PER_SEC /* for a child to prove itself */

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
  gboolean timed_out; /* its item did, and it is being killed */
  gboolean summed_up; /* what its tear-down returned has arrived */
  /* as it was when the run began, for those that were kept */
  guint64 n_done_before;
  gint64 slept_before[SHM_N_SLEEPS];
  gint64 cpu_time_before; /* µs */
  gint64 stopped_since;   /* monotonic time, µs: seen stopped between two items; 0: it was not */
} ShmSlot;

typedef struct
{
  ShmBackend parent;
  ShmForkFds fds;
  ShmForkContext fork_context;
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
  gint64 run_started;  /* monotonic time, ns; 0: it is the first one */
  pid_t owner;         /* who has forked the children; in other processes they are not touched */
} ShmProcess;

/* shm-backend-process.c */
ShmVerdict shm_process_report (ShmProcess *self, ShmFailure *failure);
void shm_process_report_error (ShmProcess *self, guint64 item, guint rank, const GError *error);
void shm_process_kill_all (ShmProcess *self, int number);
void shm_process_fill (ShmProcess *self);
gboolean shm_process_drain (ShmProcess *self, guint rank, gint64 until);
GSource *shm_process_new_source (ShmProcess *self);
void shm_process_free (ShmBackend *backend);

/* shm-process-keep.c */
gboolean shm_process_rest (ShmProcess *self, guint64 lowest);
gboolean shm_process_can_resume (ShmBackend *backend, const ShmBackendSetup *setup);
void shm_process_resume (ShmBackend *backend, const ShmBackendSetup *setup);
void shm_process_release (ShmBackend *backend);
void shm_process_remember (ShmProcess *self, guint rank, gboolean is_new);
void
shm_process_tell_of_worker (ShmProcess *self, guint rank, gint64 cpu_time, guint64 peak_memory);

/* shm-process-death.c */
void shm_process_gone (ShmProcess *self, guint rank, ShmDeath *death);

/* shm-process-timers.c */
void shm_process_set_timer (ShmProcess *self);
void shm_process_check_timers (ShmProcess *self);

G_END_DECLS
