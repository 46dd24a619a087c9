/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "bench-peers.h"
#include "bench-util.h"

/* A few items do not keep both threads busy, which would begin to run late. */
#define WARM_ITEMS 1000

static void
do_nothing (guint64 index, gpointer data)
{
}

/* OpenMP */

#ifdef _OPENMP

gboolean
peer_has_openmp (void)
{
  return TRUE;
}

void
peer_openmp (guint64 n_items, guint64 chunk, PeerFunc func, gpointer data)
{
#pragma omp parallel for schedule(dynamic, chunk) num_threads(BENCH_N_WORKERS)
  for (guint64 i = 0; i < n_items; i++)
    func (i, data);
}

void
peer_openmp_alone (guint64 n_items, PeerFunc func, gpointer data)
{
#pragma omp parallel for schedule(dynamic, 1) num_threads(1)
  for (guint64 i = 0; i < n_items; i++)
    func (i, data);
}

void
peer_openmp_ordered (guint64 n_items, PeerFunc func, PeerFunc in_order, gpointer data)
{
#pragma omp parallel for schedule(dynamic, 1) ordered num_threads(BENCH_N_WORKERS)
  for (guint64 i = 0; i < n_items; i++)
    {
      func (i, data);
#pragma omp ordered
      in_order (i, data);
    }
}

void
peer_openmp_critical (PeerFunc func, guint64 index, gpointer data)
{
#pragma omp critical
  func (index, data);
}

#else

gboolean
peer_has_openmp (void)
{
  return FALSE;
}

/* These are not called. */

void
peer_openmp (guint64 n_items, guint64 chunk, PeerFunc func, gpointer data)
{
  g_assert_not_reached ();
}

void
peer_openmp_alone (guint64 n_items, PeerFunc func, gpointer data)
{
  g_assert_not_reached ();
}

void
peer_openmp_ordered (guint64 n_items, PeerFunc func, PeerFunc in_order, gpointer data)
{
  g_assert_not_reached ();
}

void
peer_openmp_critical (PeerFunc func, guint64 index, gpointer data)
{
  g_assert_not_reached ();
}

#endif

void
peer_warm_openmp (gpointer data)
{
  peer_openmp (WARM_ITEMS, 1, do_nothing, NULL);
}

/* oneTBB, of which the other half is in bench-tbb.cc */

#ifndef HAVE_TBB

gboolean
peer_has_tbb (void)
{
  return FALSE;
}

void
peer_tbb (guint64 n_items, guint64 chunk, PeerFunc func, gpointer data)
{
  g_assert_not_reached ();
}

void
peer_tbb_ordered (guint64 n_items, PeerFunc func, PeerFunc in_order, gpointer data)
{
  g_assert_not_reached ();
}

void
peer_tbb_critical (PeerFunc func, guint64 index, gpointer data)
{
  g_assert_not_reached ();
}

#endif

void
peer_warm_tbb (gpointer data)
{
  peer_tbb (WARM_ITEMS, 1, do_nothing, NULL);
}

/* GLib */

typedef struct
{
  guint64 n_items;
  guint64 chunk;
  PeerFunc func;
  gpointer data;
} Loop;

/* A task is the number of a chunk, from 1, since NULL cannot be pushed. */
static void
run_chunk (gpointer task, gpointer user_data)
{
  const Loop *loop = user_data;
  guint64 begin = ((guint64) GPOINTER_TO_SIZE (task) - 1) * loop->chunk;
  guint64 end = MIN (begin + loop->chunk, loop->n_items);

  for (guint64 i = begin; i < end; i++)
    loop->func (i, loop->data);
}

/* Pools that are not exclusive share threads, which stay when a pool is freed. */
void
peer_g_thread_pool (guint64 n_items, guint64 chunk, PeerFunc func, gpointer data)
{
  Loop loop = { n_items, chunk, func, data };
  GThreadPool *pool = g_thread_pool_new (run_chunk, &loop, BENCH_N_WORKERS, FALSE, NULL);
  guint64 n_chunks = (n_items + chunk - 1) / chunk;

  for (guint64 i = 1; i <= n_chunks; i++)
    g_thread_pool_push (pool, GSIZE_TO_POINTER (i), NULL);
  g_thread_pool_free (pool, FALSE, TRUE);
}

void
peer_warm_g_thread_pool (gpointer data)
{
  peer_g_thread_pool (WARM_ITEMS, 1, do_nothing, NULL);
}
