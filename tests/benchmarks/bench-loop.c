/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "bench-loop.h"

#include "bench-util.h"

static void
bench_loop_run_by (BenchLoop *self, ShmBackendType backend)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, BENCH_N_WORKERS);
  shm_map_reduce_set_chunk_size (pool, self->chunk_size);
  shm_map_reduce_set_backend (pool, backend);
  shm_map_reduce_for_range (pool, 0, self->n_items, NULL, self->work_on_range, self, &error);
  g_assert_no_error (error);
}

void
bench_loop_run_ours (gpointer data)
{
  bench_loop_run_by (data, SHM_BACKEND_TYPE_PROCESS);
}

void
bench_loop_run_our_threads (gpointer data)
{
  bench_loop_run_by (data, SHM_BACKEND_TYPE_THREAD);
}

void
bench_loop_run_openmp (gpointer data)
{
  const BenchLoop *self = data;

  peer_openmp (self->n_items, 1, self->work, data);
}

void
bench_loop_run_tbb (gpointer data)
{
  const BenchLoop *self = data;

  peer_tbb (self->n_items, 1, self->work, data);
}

void
bench_loop_run_g_thread_pool (gpointer data)
{
  const BenchLoop *self = data;

  peer_g_thread_pool (self->n_items, 1, self->work, data);
}
