/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define SHM_RECYCLER_BYTES ((guint64) 32 << 20) /* that wait to be used again, for each rank */

/* Pieces of an arena on their way back to the worker that has filled them. */
typedef struct _ShmRecycler ShmRecycler;

typedef struct
{
  guint64 offset;
  guint64 size;
} ShmScrap;

typedef void (*ShmScrapFunc) (const ShmScrap *scrap, gpointer data);

ShmRecycler *shm_recycler_new (guint n_ranks);
void shm_recycler_free (ShmRecycler *self);

/* for the caller */
gboolean shm_recycler_give (ShmRecycler *self, guint rank, const ShmScrap *scrap);
void shm_recycler_close (ShmRecycler *self, ShmScrapFunc func, gpointer data);

/* for the worker */
gboolean shm_recycler_take (ShmRecycler *self, guint rank, ShmScrap *scrap);

G_END_DECLS
