/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How fast a job goes; zero it before its first use. All times are monotonic, in microseconds. */
typedef struct
{
  gint64 started;
  gint64 updated;    /* the last update */
  gint64 counted_at; /* the last update that made the average */
  guint64 n_counted; /* items in the average */
  guint64 n_done;    /* as last seen; more than n_counted only if no time has passed since */
  gdouble average;   /* items per second, biased: as if the time before the start were idle */
} ShmProgress;

void shm_progress_start (ShmProgress *progress, gint64 now);
void shm_progress_update (ShmProgress *progress, gint64 now, guint64 n_done);
gdouble shm_progress_get_rate (const ShmProgress *progress);
gdouble shm_progress_get_eta (const ShmProgress *progress, guint64 n_left);
char *shm_progress_format (const ShmProgress *progress,
                           guint64 n_done,
                           guint64 n_items,
                           gboolean n_items_known,
                           gint64 now,
                           guint width);

G_END_DECLS
