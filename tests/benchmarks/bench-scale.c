/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Many workers, many items, many results: what they take of time and memory. */

#include "config.h"

#include "bench-util.h"

#include <shmem-glib/shmem-glib.h>

#define N_MANY_WORKERS 1024

typedef struct
{
  guint64 n_items;
  guint n_workers;
} Scale;

static GVariant *
map_to_number (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_uint64 (index);
}

static GVariant *
map_to_nothing (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return NULL;
}

static void
run_map (gpointer data)
{
  const Scale *self = data;
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, self->n_workers);
  results = shm_map_reduce_map (pool, self->n_items, NULL, map_to_number, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_get_uint64 (g_ptr_array_index (results, self->n_items - 1)), ==,
                    self->n_items - 1);
}

/* The same list of variants, made by hand. */
static void
make_list (gpointer data)
{
  const Scale *self = data;
  g_autoptr (GPtrArray) results =
      g_ptr_array_new_full ((guint) self->n_items, (GDestroyNotify) g_variant_unref);

  for (guint64 i = 0; i < self->n_items; i++)
    g_ptr_array_add (results, g_variant_ref_sink (g_variant_new_uint64 (i)));
}

static void
run_without_results (gpointer data)
{
  const Scale *self = data;
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = shm_job_new (pool, self->n_items);
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, self->n_workers);
  shm_job_set_map_func (job, map_to_nothing, NULL, NULL);
  shm_job_set_output (job, SHM_OUTPUT_NONE);
  shm_job_run (job, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (shm_job_get_n_done (job), ==, self->n_items);
}

static void
measure_workers (void)
{
  static const BenchContestant contestants[] = { { "shm_map_reduce_map", BENCH_ROLE_OURS,
                                                   run_map } };
  const BenchCase bench_case = {
    "scale-workers", "100,000 items by 1,024 workers", "ms", 1e3, FALSE, 3
  };
  Scale self = { bench_size (100 * 1000, 200), (guint) bench_size (N_MANY_WORKERS, 64) };

  bench_compete (&bench_case, contestants, G_N_ELEMENTS (contestants), &self);
}

static void
measure_items (void)
{
  static const BenchContestant contestants[] = { { "ShmJob without results", BENCH_ROLE_OURS,
                                                   run_without_results } };
  Scale self = { bench_size (100 * 1000 * 1000, 1000), BENCH_N_WORKERS };
  const BenchCase times = { "scale-items", "100 million items without results",
                            "ns/item",     1e9 / (double) self.n_items,
                            FALSE,         3 };
  const BenchCase memory = { "scale-items-memory", "Memory of 100 million items without results",
                             "MiB" };

  bench_compete (&times, contestants, G_N_ELEMENTS (contestants), &self);
  bench_print_figure (&memory, "ShmJob without results", BENCH_ROLE_OURS,
                      bench_measure_memory (run_without_results, &self, NULL));
}

static void
measure_results (void)
{
  Scale self = { bench_size (10 * 1000 * 1000, 1000), BENCH_N_WORKERS };
  const BenchCase memory = { "scale-results-memory", "Memory of 10 million results", "MiB" };

  bench_print_figure (&memory, "shm_map_reduce_map", BENCH_ROLE_OURS,
                      bench_measure_memory (run_map, &self, NULL));
  bench_print_figure (&memory, "floor: the same variants in a list", BENCH_ROLE_FLOOR,
                      bench_measure_memory (make_list, &self, NULL));
}

int
main (int argc, char *argv[])
{
  bench_init (&argc, &argv, "Many workers, items and results.");
  measure_workers ();
  measure_items ();
  measure_results ();
  return 0;
}
