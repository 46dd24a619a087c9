// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

// oneTBB, for the benchmarks in C.

#include "bench-peers.h"
#include "bench-util.h"

#include <mutex>
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/spin_mutex.h>

namespace tbb = oneapi::tbb;

static tbb::spin_mutex mutex;

gboolean
peer_has_tbb (void)
{
  return TRUE;
}

void
peer_tbb (guint64 n_items, guint64 chunk, PeerFunc func, gpointer data)
{
  tbb::global_control control (tbb::global_control::max_allowed_parallelism, BENCH_N_WORKERS);

  tbb::parallel_for (
      tbb::blocked_range<guint64> (0, n_items, chunk),
      [=] (const tbb::blocked_range<guint64> &range) {
        for (guint64 i = range.begin (); i != range.end (); i++)
          func (i, data);
      },
      tbb::simple_partitioner ());
}

void
peer_tbb_ordered (guint64 n_items, PeerFunc func, PeerFunc in_order, gpointer data)
{
  tbb::global_control control (tbb::global_control::max_allowed_parallelism, BENCH_N_WORKERS);
  guint64 next = 0;

  tbb::parallel_pipeline (
      4 * BENCH_N_WORKERS,
      tbb::make_filter<void, guint64> (tbb::filter_mode::serial_in_order,
                                       [&] (tbb::flow_control &flow) -> guint64 {
                                         if (next == n_items)
                                           {
                                             flow.stop ();
                                             return 0;
                                           }
                                         return next++;
                                       }) &
          tbb::make_filter<guint64, guint64> (tbb::filter_mode::parallel,
                                              [=] (guint64 i) {
                                                func (i, data);
                                                return i;
                                              }) &
          tbb::make_filter<guint64, void> (tbb::filter_mode::serial_in_order,
                                           [=] (guint64 i) { in_order (i, data); }));
}

void
peer_tbb_critical (PeerFunc func, guint64 index, gpointer data)
{
  std::lock_guard<tbb::spin_mutex> guard (mutex);

  func (index, data);
}
