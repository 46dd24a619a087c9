/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* A loop without results, as the contestants run it that call a function for each item, or each range.
 *
 * The floor and the serial loop are not among them: the function is inlined into these. */

#pragma once

#include "bench-peers.h"

#include <shmem-glib/shmem-glib.h>

G_BEGIN_DECLS

/* what the data of a contestant begins with */
typedef struct
{
  PeerFunc work;
  ShmLoopFunc work_on_range; /* the same for all items of a range */
  guint64 n_items;
  guint64 chunk_size; /* 0: as the library finds best; the peers claim one item at a time */
} BenchLoop;

void bench_loop_run_ours (gpointer data);
void bench_loop_run_our_threads (gpointer data);
void bench_loop_run_openmp (gpointer data);
void bench_loop_run_tbb (gpointer data);
void bench_loop_run_g_thread_pool (gpointer data);

G_END_DECLS
