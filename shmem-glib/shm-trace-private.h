/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* One stretch of work: what a worker did between two looks at the clock. */
typedef struct
{
  guint64 begin; /* items begin … end - 1; none unless end is the larger */
  guint64 end;
  gint64 started; /* monotonic, in ns */
  gint64 ended;
  guint32 rank;
  gint32 pid;
  gboolean died; /* of it, or during it */
} ShmTraceEvent;

typedef struct _ShmTrace ShmTrace;

ShmTrace *shm_trace_new (void);
void shm_trace_free (ShmTrace *trace);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ShmTrace, shm_trace_free)

void shm_trace_add (ShmTrace *trace, const ShmTraceEvent *event);
guint64 shm_trace_get_n_events (const ShmTrace *trace);
gboolean
shm_trace_write (const ShmTrace *trace, GFile *file, GCancellable *cancellable, GError **error);

G_END_DECLS
