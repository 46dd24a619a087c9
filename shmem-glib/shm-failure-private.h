/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>
#include <sys/types.h>

G_BEGIN_DECLS

typedef enum
{
  SHM_FAILURE_KIND_ERROR,
  SHM_FAILURE_KIND_SIGNAL,
  SHM_FAILURE_KIND_EXIT
} ShmFailureKind;

/* What went wrong, where and why. */
typedef struct
{
  ShmFailureKind kind;
  guint64 index; /* the item as the user counts, or SHM_NO_ITEM */
  gint rank;
  pid_t pid;     /* of the worker that died, else 0 */
  GError *error; /* its message does not name item and rank yet */
  char *traceback;
  GVariant *payload;
} ShmFailure;

ShmFailure *shm_failure_new (guint64 index, gint rank, const GError *error);
ShmFailure *shm_failure_new_death (guint64 index, gint rank, pid_t pid, gint wait_status);
void shm_failure_free (ShmFailure *failure);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ShmFailure, shm_failure_free)

/* the wait status of a child that somebody else, or the kernel, has taken */
#define SHM_WAIT_STATUS_UNKNOWN (-1)

GVariant *shm_failure_to_variant (const ShmFailure *failure);
ShmFailure *shm_failure_from_variant (guint64 index, gint rank, GVariant *variant);
GError *shm_failure_to_error (const ShmFailure *failure);

G_END_DECLS
