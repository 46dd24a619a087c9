/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Sorts, fills and adds up 8 Mi doubles with two workers. Peers of the sort are qsort(3),
 * g_qsort_with_data() and g_array_sort(). The floors of fill and sum are what memory gives to two
 * threads that only write, or only read; beside them are memset(3) and a plain loop, in one thread.
 * All numbers lie in shared memory: private memory would have to be copied, page by page, by who
 * writes it after a fork. Contestants with threads touch it first, as they are in a process that has
 * yet to find its pages.
 */

#include "config.h"

#include "bench-util.h"

#include <shmem-glib/shmem-glib.h>
#include <stdlib.h>
#include <string.h>

typedef struct
{
  gsize n;
  ShmArray *array;
  double *original;
  double *items;  /* of the array */
  double *others; /* as many, for the peers and the floors */
  double sum;
} Bench;

static int
compare (const void *a, const void *b)
{
  double left = *(const double *) a;
  double right = *(const double *) b;

  return (left > right) - (left < right);
}

static int
compare_with_data (gconstpointer a, gconstpointer b, gpointer data)
{
  return compare (a, b);
}

static void
shuffle_array (gpointer data)
{
  const Bench *bench = data;

  memcpy (bench->items, bench->original, bench->n * sizeof (double));
}

static void
shuffle_others (gpointer data)
{
  const Bench *bench = data;

  memcpy (bench->others, bench->original, bench->n * sizeof (double));
}

static ShmMapReduce *
new_pool (ShmBackendType backend)
{
  ShmMapReduce *pool = shm_map_reduce_new ();

  shm_map_reduce_set_n_workers (pool, BENCH_N_WORKERS);
  shm_map_reduce_set_backend (pool, backend);
  return pool;
}

static void
sort_by (Bench *bench, ShmBackendType backend)
{
  g_autoptr (ShmMapReduce) pool = new_pool (backend);
  g_autoptr (GError) error = NULL;

  shm_map_reduce_sort (pool, bench->array, NULL, &error);
  g_assert_no_error (error);
}

static void
run_sort (gpointer data)
{
  sort_by (data, SHM_BACKEND_TYPE_PROCESS);
}

static void
run_sort_in_threads (gpointer data)
{
  sort_by (data, SHM_BACKEND_TYPE_THREAD);
}

static void
run_argsort (gpointer data)
{
  const Bench *bench = data;
  g_autoptr (ShmMapReduce) pool = new_pool (SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) order = shm_map_reduce_argsort (pool, bench->array, NULL, &error);

  g_assert_no_error (error);
}

static void
run_qsort (gpointer data)
{
  const Bench *bench = data;

  qsort (bench->others, bench->n, sizeof (double), compare);
}

static void
run_g_qsort (gpointer data)
{
  const Bench *bench = data;

  g_qsort_with_data (bench->others, (gint) bench->n, sizeof (double), compare_with_data, NULL);
}

static void
run_g_array_sort (gpointer data)
{
  const Bench *bench = data;
  GArray array = { (char *) bench->others, (guint) bench->n };
  g_autoptr (GArray) copy = g_array_sized_new (FALSE, FALSE, sizeof (double), array.len);

  g_array_append_vals (copy, array.data, array.len);
  g_array_sort (copy, compare);
}

static void
fill_by (Bench *bench, ShmBackendType backend, double value)
{
  g_autoptr (ShmMapReduce) pool = new_pool (backend);
  g_autoptr (GError) error = NULL;

  shm_map_reduce_fill_array (pool, bench->array, g_variant_new_double (value), NULL, &error);
  g_assert_no_error (error);
}

static void
run_fill (gpointer data)
{
  fill_by (data, SHM_BACKEND_TYPE_PROCESS, 2.5);
}

static void
run_fill_in_threads (gpointer data)
{
  fill_by (data, SHM_BACKEND_TYPE_THREAD, 2.5);
}

static void
run_fill_zeros (gpointer data)
{
  fill_by (data, SHM_BACKEND_TYPE_PROCESS, 0.0);
}

static void
run_fill_zeros_in_threads (gpointer data)
{
  fill_by (data, SHM_BACKEND_TYPE_THREAD, 0.0);
}

static void
run_memset (gpointer data)
{
  const Bench *bench = data;

  memset (bench->others, 1, bench->n * sizeof (double));
}

static void
sum_by (Bench *bench, ShmBackendType backend)
{
  g_autoptr (ShmMapReduce) pool = new_pool (backend);
  g_autoptr (GError) error = NULL;

  bench->sum += shm_map_reduce_sum (pool, bench->array, NULL, &error);
  g_assert_no_error (error);
}

static void
run_sum (gpointer data)
{
  sum_by (data, SHM_BACKEND_TYPE_PROCESS);
}

static void
run_sum_in_threads (gpointer data)
{
  sum_by (data, SHM_BACKEND_TYPE_THREAD);
}

static void
run_sum_loop (gpointer data)
{
  Bench *bench = data;
  double sum = 0.0;

  for (gsize i = 0; i < bench->n; i++)
    sum += bench->others[i];
  bench->sum += sum;
}

/* Half of the numbers, for one of two threads. */
typedef struct
{
  double *items;
  gsize n;
  guint64 bits;
} Half;

static gpointer
write_half (gpointer data)
{
  Half *half = data;

  memset (half->items, 1, half->n * sizeof (double));
  return NULL;
}

/* Four at a time, so that no step has to wait for the one before it. */
static gpointer
read_half (gpointer data)
{
  Half *half = data;
  const guint64 *words = (const guint64 *) half->items;
  guint64 bits[4] = { 0 };

  for (gsize i = 0; i + 4 <= half->n; i += 4)
    {
      for (guint k = 0; k < 4; k++)
        bits[k] ^= words[i + k];
    }
  half->bits = bits[0] ^ bits[1] ^ bits[2] ^ bits[3];
  return NULL;
}

static void
run_halves (Bench *bench, GThreadFunc func)
{
  gsize middle = bench->n / 2;
  Half halves[] = { { bench->others, middle }, { bench->others + middle, bench->n - middle } };
  GThread *thread = g_thread_new ("floor", func, &halves[0]);

  func (&halves[1]);
  g_thread_join (thread);
  bench->sum += (double) (halves[0].bits ^ halves[1].bits);
}

static void
run_write_floor (gpointer data)
{
  run_halves (data, write_half);
}

static void
run_read_floor (gpointer data)
{
  run_halves (data, read_half);
}

/* What the workers cost without their work. */
static gboolean
do_nothing (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  return TRUE;
}

static void
run_nothing (gpointer data)
{
  g_autoptr (ShmMapReduce) pool = new_pool (SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GError) error = NULL;

  shm_map_reduce_for_range (pool, 0, BENCH_N_WORKERS, NULL, do_nothing, NULL, &error);
  g_assert_no_error (error);
}

#define THREADS BENCH_NEEDS_NOTHING, TRUE

int
main (int argc, char *argv[])
{
  static const BenchContestant sorts[] = {
    { "shm_map_reduce_sort", BENCH_ROLE_OURS, run_sort, shuffle_array },
    { "shm_map_reduce_sort, threads", BENCH_ROLE_OURS, run_sort_in_threads, shuffle_array, NULL,
      THREADS },
    { "shm_map_reduce_argsort", BENCH_ROLE_OURS, run_argsort, shuffle_array },
    { "qsort", BENCH_ROLE_SERIAL, run_qsort, shuffle_others },
    { "g_qsort_with_data", BENCH_ROLE_SERIAL, run_g_qsort, shuffle_others },
    { "g_array_sort", BENCH_ROLE_SERIAL, run_g_array_sort, shuffle_others },
  };
  static const BenchContestant fills[] = {
    { "shm_map_reduce_fill_array", BENCH_ROLE_OURS, run_fill },
    { "shm_map_reduce_fill_array, threads", BENCH_ROLE_OURS, run_fill_in_threads, shuffle_array,
      NULL, THREADS },
    { "the same, of zeros", BENCH_ROLE_OURS, run_fill_zeros },
    { "the same, of zeros, threads", BENCH_ROLE_OURS, run_fill_zeros_in_threads, shuffle_array,
      NULL, THREADS },
    { "workers alone", BENCH_ROLE_OURS, run_nothing },
    { "floor: two threads that write", BENCH_ROLE_FLOOR, run_write_floor, shuffle_others, NULL,
      THREADS },
    { "memset", BENCH_ROLE_SERIAL, run_memset },
  };
  static const BenchContestant sums[] = {
    { "shm_map_reduce_sum", BENCH_ROLE_OURS, run_sum },
    { "shm_map_reduce_sum, threads", BENCH_ROLE_OURS, run_sum_in_threads, shuffle_array, NULL,
      THREADS },
    { "workers alone", BENCH_ROLE_OURS, run_nothing },
    { "floor: two threads that read", BENCH_ROLE_FLOOR, run_read_floor, shuffle_others, NULL,
      THREADS },
    { "loop", BENCH_ROLE_SERIAL, run_sum_loop },
  };
  static const BenchCase sort_case = { "sort", "Sorting 8 Mi doubles", "ms", 1e3, FALSE, 3 };
  static const BenchCase fill_case = { "fill", "Filling 8 Mi doubles", "ms", 1e3, FALSE, 11 };
  static const BenchCase sum_case = { "sum", "Adding up 8 Mi doubles", "ms", 1e3, FALSE, 11 };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (ShmArray) original = NULL;
  g_autoptr (ShmArray) others = NULL;
  g_autoptr (GRand) random = g_rand_new_with_seed (1);
  Bench bench = { 0 };

  bench_init (&argc, &argv, "Sums, fills and sorts of an array.");
  bench.n = bench_size (8 << 20, 1000);
  array = shm_array_new (SHM_DTYPE_F8, &bench.n, 1, &error);
  original = array != NULL ? shm_array_new_like (array, &error) : NULL;
  others = original != NULL ? shm_array_new_like (array, &error) : NULL;
  if (others == NULL)
    {
      g_printerr ("bench-algorithms: %s\n", error->message);
      return EXIT_FAILURE;
    }
  bench.array = array;
  bench.items = shm_array_get_data (array);
  bench.original = shm_array_get_data (original);
  bench.others = shm_array_get_data (others);
  for (gsize i = 0; i < bench.n; i++)
    bench.original[i] = g_rand_double (random) - 0.5;
  shuffle_array (&bench);
  shuffle_others (&bench);

  bench_compete (&sum_case, sums, G_N_ELEMENTS (sums), &bench);
  bench_compete (&fill_case, fills, G_N_ELEMENTS (fills), &bench);
  bench_compete (&sort_case, sorts, G_N_ELEMENTS (sorts), &bench);
  return EXIT_SUCCESS;
}
