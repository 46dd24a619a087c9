/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include "shm-failure.h"

G_BEGIN_DECLS

/* What is known of a process that has ended. */
typedef struct
{
  pid_t pid;
  gint wait_status; /* or SHM_WAIT_STATUS_UNKNOWN: somebody else, or the kernel, has taken it */
  struct rusage rusage;
  gboolean timed_out; /* it was killed for that */
  gboolean oom;       /* the kernel killed something for that, and this was killed by SIGKILL */
} ShmDeath;

#define SHM_WAIT_STATUS_UNKNOWN (-1)

gint64 shm_death_get_cpu_time (const ShmDeath *death); /* µs */

struct _ShmFailure
{
  gatomicrefcount ref_count;
  ShmFailureKind kind;
  guint64 index; /* the item as the user counts, or SHM_NO_ITEM */
  gint rank;
  pid_t pid;     /* of the worker that died, else 0 */
  gint status;   /* signal or exit status */
  GError *error; /* its message does not name item and rank yet */
  char *traceback;
  GVariant *payload;
  gint64 cpu_time; /* µs */
  guint64 peak_memory;
  gboolean is_final; /* neither trying again nor leaving the item out would make up for it */
};

ShmFailure *shm_failure_new (guint64 index, gint rank, const GError *error);
ShmFailure *shm_failure_new_death (guint64 index, gint rank, const ShmDeath *death);

void shm_failure_set_final (ShmFailure *failure, const char *why);

GVariant *shm_failure_to_variant (const ShmFailure *failure);
ShmFailure *shm_failure_from_variant (guint64 index, gint rank, GVariant *variant);
GError *shm_failure_to_error (const ShmFailure *failure);
GError *shm_failure_to_plain_error (const ShmFailure *failure);

G_END_DECLS
