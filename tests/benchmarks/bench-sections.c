/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* W6: 2,000,000 critical sections, by two workers and by one. W7: 200,000 ordered sections. So many that what they
 * cost is seen, and not how workers are started, which W2 is about. */

#include "config.h"

#include "bench-floor.h"
#include "bench-peers.h"
#include "bench-util.h"

#include <linux/futex.h>
#include <pthread.h>
#include <shmem-glib/shmem-glib.h>
#include <sys/syscall.h>

#define N_SPINS 2000

typedef struct
{
  pthread_mutex_t mutex;
  guint64 sum __attribute__ ((aligned (64)));
  guint32 turn __attribute__ ((aligned (64))); /* the item that may enter */
  guint32 n_sleepers;
} Shared;

typedef struct
{
  guint64 n_items;
  guint n_workers;
  Shared *shared;
  GMutex lock;
} Sections;

static void
add_one (guint64 index, gpointer data)
{
  Shared *shared = data;

  shared->sum++;
}

static void
add_in_order (guint64 index, gpointer data)
{
  const Sections *self = data;

  g_assert_cmpuint (self->shared->sum, ==, index);
  self->shared->sum++;
}

static void
do_nothing (guint64 index, gpointer data)
{
}

static void
clear (gpointer data)
{
  const Sections *self = data;

  self->shared->sum = 0;
  self->shared->turn = 0;
}

static void
check (gpointer data)
{
  const Sections *self = data;

  g_assert_cmpuint (self->shared->sum, ==, self->n_items);
}

/* The critical section */

static gboolean
add_in_critical (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  const Sections *self = user_data;

  for (guint64 i = begin; i < end; i++)
    {
      if (!shm_map_reduce_critical_enter (pool, error))
        return FALSE;
      add_one (i, self->shared);
      shm_map_reduce_critical_leave (pool);
    }
  return TRUE;
}

static void
run_critical_by (Sections *self, ShmBackendType backend)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, self->n_workers);
  shm_map_reduce_set_backend (pool, backend);
  shm_map_reduce_for_range (pool, 0, self->n_items, NULL, add_in_critical, self, &error);
  g_assert_no_error (error);
}

static void
run_critical (gpointer data)
{
  run_critical_by (data, SHM_BACKEND_TYPE_PROCESS);
}

static void
run_critical_in_threads (gpointer data)
{
  run_critical_by (data, SHM_BACKEND_TYPE_THREAD);
}

static void
add_with_mutex (guint64 index, gpointer data)
{
  const Sections *self = data;
  Shared *shared = self->shared;

  if (pthread_mutex_lock (&shared->mutex) == EOWNERDEAD)
    pthread_mutex_consistent (&shared->mutex);
  add_one (index, shared);
  pthread_mutex_unlock (&shared->mutex);
}

static void
run_mutex (gpointer data)
{
  const Sections *self = data;

  floor_each (self->n_items, 64, self->n_workers, add_with_mutex, data);
}

static void
set_up_mutex (Sections *self, gboolean is_robust)
{
  pthread_mutexattr_t attributes;

  pthread_mutexattr_init (&attributes);
  pthread_mutexattr_setpshared (&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust (&attributes,
                               is_robust ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED);
  pthread_mutex_init (&self->shared->mutex, &attributes);
  pthread_mutexattr_destroy (&attributes);
  clear (self);
}

static void
set_up_robust_mutex (gpointer data)
{
  set_up_mutex (data, TRUE);
}

static void
set_up_plain_mutex (gpointer data)
{
  set_up_mutex (data, FALSE);
}

static void
add_with_openmp (guint64 index, gpointer data)
{
  const Sections *self = data;

  peer_openmp_critical (add_one, index, self->shared);
}

static void
run_openmp_critical (gpointer data)
{
  const Sections *self = data;

  if (self->n_workers == 1)
    peer_openmp_alone (self->n_items, add_with_openmp, data);
  else
    peer_openmp (self->n_items, 64, add_with_openmp, data);
}

static void
add_with_tbb (guint64 index, gpointer data)
{
  const Sections *self = data;

  peer_tbb_critical (add_one, index, self->shared);
}

static void
run_tbb_critical (gpointer data)
{
  const Sections *self = data;

  peer_tbb (self->n_items, 64, add_with_tbb, data);
}

static void
add_with_g_mutex (guint64 index, gpointer data)
{
  Sections *self = data;

  g_mutex_lock (&self->lock);
  add_one (index, self->shared);
  g_mutex_unlock (&self->lock);
}

static void
run_g_mutex (gpointer data)
{
  const Sections *self = data;

  if (self->n_workers == 1)
    for (guint64 i = 0; i < self->n_items; i++)
      add_with_g_mutex (i, data);
  else
    peer_g_thread_pool (self->n_items, 64, add_with_g_mutex, data);
}

/* The ordered section */

static GVariant *
add_in_ordered (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (!shm_map_reduce_ordered_enter (pool, error))
    return NULL;
  add_in_order (index, user_data);
  shm_map_reduce_ordered_leave (pool);
  return NULL;
}

static void
run_ordered_by (Sections *self, guint64 chunk_size)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = NULL;
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, self->n_workers);
  shm_map_reduce_set_chunk_size (pool, chunk_size);
  job = shm_job_new (pool, self->n_items);
  shm_job_set_map_func (job, add_in_ordered, self, NULL);
  shm_job_set_output (job, SHM_OUTPUT_NONE);
  shm_job_run (job, NULL, &error);
  g_assert_no_error (error);
}

static void
run_ordered (gpointer data)
{
  run_ordered_by (data, 0);
}

static void
run_ordered_one_by_one (gpointer data)
{
  run_ordered_by (data, 1);
}

static gboolean
is_turn (const Shared *shared, guint32 index)
{
  return __atomic_load_n (&shared->turn, __ATOMIC_SEQ_CST) == index;
}

static void
sleep_until_turn (Shared *shared, guint32 index)
{
  guint32 turn;

  __atomic_fetch_add (&shared->n_sleepers, 1, __ATOMIC_SEQ_CST);
  while ((turn = __atomic_load_n (&shared->turn, __ATOMIC_SEQ_CST)) != index)
    syscall (SYS_futex, &shared->turn, FUTEX_WAIT, turn, NULL, NULL, 0);
  __atomic_fetch_sub (&shared->n_sleepers, 1, __ATOMIC_SEQ_CST);
}

/* Spin for a while, then sleep. */
static void
take_turn (guint64 index, gpointer data)
{
  const Sections *self = data;
  Shared *shared = self->shared;

  for (guint i = 0; i < N_SPINS && !is_turn (shared, (guint32) index); i++)
    {
#if defined(__x86_64__) || defined(__i386__)
      __builtin_ia32_pause ();
#endif
    }
  sleep_until_turn (shared, (guint32) index);
  add_in_order (index, data);
  __atomic_store_n (&shared->turn, (guint32) index + 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n (&shared->n_sleepers, __ATOMIC_SEQ_CST) > 0)
    syscall (SYS_futex, &shared->turn, FUTEX_WAKE, G_MAXINT, NULL, NULL, 0);
}

static void
run_turns (gpointer data)
{
  const Sections *self = data;

  floor_each (self->n_items, 1, self->n_workers, take_turn, data);
}

static void
run_openmp_ordered (gpointer data)
{
  const Sections *self = data;

  peer_openmp_ordered (self->n_items, do_nothing, add_in_order, data);
}

static void
run_tbb_ordered (gpointer data)
{
  const Sections *self = data;

  peer_tbb_ordered (self->n_items, do_nothing, add_in_order, data);
}

static void
prepare_openmp (gpointer data)
{
  const Sections *self = data;

  clear (data);
  if (self->n_workers > 1)
    peer_warm_openmp (data);
}

static void
prepare_tbb (gpointer data)
{
  clear (data);
  peer_warm_tbb (data);
}

static void
prepare_threads (gpointer data)
{
  clear (data);
  peer_warm_g_thread_pool (data);
}

static void
compete_in_critical (Sections *self, const char *workload, const char *title, gsize n_contestants)
{
  static const BenchContestant contestants[] = {
    { "critical section", BENCH_ROLE_OURS, run_critical, clear, check },
    { "critical section, threads", BENCH_ROLE_OURS, run_critical_in_threads, prepare_threads, check,
      BENCH_NEEDS_NOTHING, TRUE },
    { "floor: a robust mutex of processes", BENCH_ROLE_FLOOR, run_mutex, set_up_robust_mutex,
      check },
    { "floor: a plain mutex of processes", BENCH_ROLE_FLOOR, run_mutex, set_up_plain_mutex, check },
    { "OpenMP critical", BENCH_ROLE_PEER, run_openmp_critical, prepare_openmp, check,
      BENCH_NEEDS_OPENMP, TRUE },
    { "GMutex", BENCH_ROLE_PEER, run_g_mutex, prepare_threads, check, BENCH_NEEDS_NOTHING, TRUE },
    { "oneTBB spin_mutex", BENCH_ROLE_PEER, run_tbb_critical, prepare_tbb, check, BENCH_NEEDS_TBB,
      TRUE },
  };
  const BenchCase bench_case = { workload, title, "us/section", 1e6 / (double) self->n_items,
                                 FALSE,    11 };

  bench_compete (&bench_case, contestants, n_contestants, self);
}

static void
compete_in_ordered (Sections *self)
{
  static const BenchContestant contestants[] = {
    { "ordered section", BENCH_ROLE_OURS, run_ordered, clear, check },
    { "ordered section, one item a claim", BENCH_ROLE_OURS, run_ordered_one_by_one, clear, check },
    { "floor: spin, then a futex", BENCH_ROLE_FLOOR, run_turns, clear, check },
    { "OpenMP ordered", BENCH_ROLE_PEER, run_openmp_ordered, prepare_openmp, check,
      BENCH_NEEDS_OPENMP, TRUE },
    { "oneTBB parallel_pipeline", BENCH_ROLE_PEER, run_tbb_ordered, prepare_tbb, check,
      BENCH_NEEDS_TBB, TRUE },
  };
  const BenchCase bench_case = { "W7",         "200,000 ordered sections",
                                 "us/section", 1e6 / (double) self->n_items,
                                 FALSE,        11 };

  bench_compete (&bench_case, contestants, G_N_ELEMENTS (contestants), self);
}

int
main (int argc, char *argv[])
{
  Sections self = { .n_workers = BENCH_N_WORKERS };

  bench_init (&argc, &argv, "Critical and ordered sections (W6, W7).");
  self.shared = floor_map_memory (sizeof (Shared));
  self.n_items = bench_size (2000 * 1000, 100);
  compete_in_critical (&self, "W6-contended", "2,000,000 critical sections, two workers", 7);
  /* oneTBB has no way to take one thread alone that would not be a loop of one's own */
  self.n_workers = 1;
  compete_in_critical (&self, "W6-free", "2,000,000 critical sections, one worker", 6);
  self.n_workers = BENCH_N_WORKERS;
  self.n_items = bench_size (200 * 1000, 50);
  compete_in_ordered (&self);
  munmap (self.shared, sizeof (Shared));
  return 0;
}
