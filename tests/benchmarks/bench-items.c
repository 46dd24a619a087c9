/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* W1: trivial items, each with a result: the item plus one.
 *
 * The results are a list of variants, in one half of the contest, and numbers in memory in the
 * other. Each run checks them. */

#include "config.h"

#include "bench-floor.h"
#include "bench-peers.h"
#include "bench-util.h"

#include <shmem-glib/shmem-glib.h>

#define N_ALWAYS 4

typedef struct
{
  guint64 n_items;
  ShmArray *array;    /* for runs that share memory */
  guint64 *numbers;   /* of the array */
  guint64 *own;       /* private to the caller, for the others */
  GPtrArray *results; /* of runs with variants */
} Items;

static guint64
compute (guint64 index)
{
  return index + 1;
}

/* With variants. */

static GVariant *
map_item (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_uint64 (compute (index));
}

static void
run_map (gpointer data)
{
  Items *items = data;
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, BENCH_N_WORKERS);
  items->results = shm_map_reduce_map (pool, items->n_items, NULL, map_item, NULL, NULL, &error);
  g_assert_no_error (error);
}

static void
write_variant (FloorPipe *pipe, guint64 index, gpointer data)
{
  g_autoptr (GVariant) variant = g_variant_ref_sink (g_variant_new_uint64 (compute (index)));

  floor_write (pipe, index, g_variant_get_data (variant), g_variant_get_size (variant));
}

static void
take_variant (guint64 index, const guint8 *bytes, gsize size, gpointer data)
{
  Items *items = data;
  g_autoptr (GBytes) copy = g_bytes_new (bytes, size);
  GVariant *variant = g_variant_new_from_bytes (G_VARIANT_TYPE_UINT64, copy, FALSE);

  g_ptr_array_index (items->results, index) = g_variant_ref_sink (variant);
}

static void
run_variant_floor (gpointer data)
{
  Items *items = data;

  items->results = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
  g_ptr_array_set_size (items->results, (gint) items->n_items);
  floor_map (items->n_items, 1, sizeof (guint64), write_variant, take_variant, items);
}

static void
run_serial_variants (gpointer data)
{
  Items *items = data;

  items->results = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
  for (guint64 i = 0; i < items->n_items; i++)
    g_ptr_array_add (items->results, g_variant_ref_sink (g_variant_new_uint64 (compute (i))));
}

static void
check_variants (gpointer data)
{
  Items *items = data;

  g_assert_cmpuint (items->results->len, ==, items->n_items);
  for (guint64 i = 0; i < items->n_items; i++)
    g_assert_cmpuint (g_variant_get_uint64 (g_ptr_array_index (items->results, i)), ==,
                      compute (i));
  g_clear_pointer (&items->results, g_ptr_array_unref);
}

/* Without. */

static gboolean
map_into (ShmMapReduce *pool, guint64 index, gpointer item, gpointer user_data, GError **error)
{
  guint64 *number = item;

  *number = compute (index);
  return TRUE;
}

static void
run_map_into (gpointer data)
{
  const Items *items = data;
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, BENCH_N_WORKERS);
  shm_map_reduce_map_into (pool, items->array, NULL, map_into, NULL, &error);
  g_assert_no_error (error);
}

static gboolean
map_range (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  guint64 *numbers = user_data;

  for (guint64 i = begin; i < end; i++)
    numbers[i] = compute (i);
  return TRUE;
}

static void
run_loop (gpointer data)
{
  const Items *items = data;
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, BENCH_N_WORKERS);
  shm_map_reduce_for_range (pool, 0, items->n_items, NULL, map_range, items->numbers, &error);
  g_assert_no_error (error);
}

static void
write_record (FloorPipe *pipe, guint64 index, gpointer data)
{
  guint64 number = compute (index);

  floor_write (pipe, index, &number, sizeof (number));
}

static void
take_record (guint64 index, const guint8 *bytes, gsize size, gpointer data)
{
  const Items *items = data;

  memcpy (&items->own[index], bytes, sizeof (guint64));
}

static void
run_record_floor (gpointer data)
{
  const Items *items = data;

  floor_map (items->n_items, 1, sizeof (guint64), write_record, take_record, data);
}

static void
write_own (guint64 index, gpointer data)
{
  guint64 *own = data;

  own[index] = compute (index);
}

static void
run_openmp (gpointer data)
{
  const Items *items = data;

  peer_openmp (items->n_items, 1, write_own, items->own);
}

static void
run_openmp_chunks (gpointer data)
{
  const Items *items = data;

  peer_openmp (items->n_items, 1024, write_own, items->own);
}

static void
run_tbb (gpointer data)
{
  const Items *items = data;

  peer_tbb (items->n_items, 1, write_own, items->own);
}

static void
run_g_thread_pool (gpointer data)
{
  const Items *items = data;

  peer_g_thread_pool (items->n_items, 1, write_own, items->own);
}

static void
run_serial (gpointer data)
{
  const Items *items = data;

  for (guint64 i = 0; i < items->n_items; i++)
    write_own (i, items->own);
}

static void
clear_numbers (gpointer data)
{
  const Items *items = data;

  memset (items->numbers, 0, items->n_items * sizeof (guint64));
}

static void
clear_own (gpointer data)
{
  const Items *items = data;

  memset (items->own, 0, items->n_items * sizeof (guint64));
}

static void
warm_openmp (gpointer data)
{
  clear_own (data);
  peer_warm_openmp (data);
}

static void
warm_tbb (gpointer data)
{
  clear_own (data);
  peer_warm_tbb (data);
}

static void
warm_g_thread_pool (gpointer data)
{
  clear_own (data);
  peer_warm_g_thread_pool (data);
}

static void
check (const guint64 *numbers, guint64 n_items)
{
  for (guint64 i = 0; i < n_items; i++)
    g_assert_cmpuint (numbers[i], ==, compute (i));
}

static void
check_numbers (gpointer data)
{
  const Items *items = data;

  check (items->numbers, items->n_items);
}

static void
check_own (gpointer data)
{
  const Items *items = data;

  check (items->own, items->n_items);
}

typedef struct
{
  const char *id;
  const char *name;
  guint64 full;
  guint64 quick;
  guint n_rounds;
} Size;

static const Size sizes[] = {
  { "1e4", "10,000", 10 * 1000, 100, 21 },
  { "1e5", "100,000", 100 * 1000, 200, 11 },
  { "1e6", "1 million", 1000 * 1000, 300, 5 },
  { "1e7", "10 million", 10 * 1000 * 1000, 400, 3 },
};

static void
compete (const Size *size,
         const char *workload,
         const char *title,
         const BenchContestant *contestants,
         gsize n_contestants)
{
  guint64 n_items = bench_size (size->full, size->quick);
  g_autofree char *id = g_strdup_printf ("%s-%s", workload, size->id);
  g_autofree char *full_title = g_strdup_printf ("%s trivial items, %s", size->name, title);
  const BenchCase bench_case = { id,    full_title,    "us/item", 1e6 / (double) n_items,
                                 FALSE, size->n_rounds };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = shm_array_new (SHM_DTYPE_U8, &n_items, 1, &error);
  g_autofree guint64 *own = g_new0 (guint64, n_items);
  Items items = { n_items, array, NULL, own };

  g_assert_no_error (error);
  items.numbers = shm_array_get_data (array);
  bench_compete (&bench_case, contestants, n_contestants, &items);
}

/* All peers are there for one size; at the others it is seen whether a cost grows. */
static void
compete_without (const Size *size, gboolean with_all_peers)
{
  static const BenchContestant contestants[] = {
    { "shm_map_reduce_map_into", BENCH_ROLE_OURS, run_map_into, clear_numbers, check_numbers },
    { "shm_map_reduce_for_range into an array", BENCH_ROLE_OURS, run_loop, clear_numbers,
      check_numbers },
    { "floor: fork, claims, a record each in a pipe", BENCH_ROLE_FLOOR, run_record_floor, clear_own,
      check_own },
    { "OpenMP, one a claim", BENCH_ROLE_PEER, run_openmp, warm_openmp, check_own,
      BENCH_NEEDS_OPENMP, TRUE },
    { "OpenMP, 1024 a claim", BENCH_ROLE_PEER, run_openmp_chunks, warm_openmp, check_own,
      BENCH_NEEDS_OPENMP, TRUE },
    { "oneTBB, one a claim", BENCH_ROLE_PEER, run_tbb, warm_tbb, check_own, BENCH_NEEDS_TBB, TRUE },
    { "GThreadPool, one a task", BENCH_ROLE_PEER, run_g_thread_pool, warm_g_thread_pool, check_own,
      BENCH_NEEDS_NOTHING, TRUE },
    { "loop", BENCH_ROLE_SERIAL, run_serial, clear_own, check_own },
  };

  compete (size, "W1-numbers", "results by index", contestants,
           with_all_peers ? G_N_ELEMENTS (contestants) : N_ALWAYS);
}

static void
compete_with_variants (const Size *size)
{
  static const BenchContestant contestants[] = {
    { "shm_map_reduce_map", BENCH_ROLE_OURS, run_map, NULL, check_variants },
    { "floor: fork, claims, a variant each in a pipe", BENCH_ROLE_FLOOR, run_variant_floor, NULL,
      check_variants },
    { "loop", BENCH_ROLE_SERIAL, run_serial_variants, NULL, check_variants },
  };

  compete (size, "W1-variants", "a variant each", contestants, G_N_ELEMENTS (contestants));
}

int
main (int argc, char *argv[])
{
  bench_init (&argc, &argv, "Trivial items with a result each (W1).");
  /* These come first: GLib keeps the memory of variants, and each fork would copy its table of pages. */
  for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++)
    compete_without (&sizes[i], g_str_equal (sizes[i].id, "1e5"));
  for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++)
    compete_with_variants (&sizes[i]);
  return 0;
}
