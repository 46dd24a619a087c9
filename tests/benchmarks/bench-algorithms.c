/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: bench-algorithms [NUMBER]
 *
 * Sorts, fills and adds up NUMBER doubles, 8 Mi if it is not given, with two workers. Peers of the
 * sort are qsort(3), g_qsort_with_data() and g_array_sort(). The floors of fill and sum are what
 * memory gives to two threads that only write, or only read; beside them are memset(3) and a plain
 * loop, in one thread. Runs are interleaved; medians are printed, and their ratios to the first line
 * of each part, which is the floor where there is one. All numbers lie in shared memory: private
 * memory would have to be copied, page by page, by who writes it after a fork.
 */

#include "config.h"

#include <shmem-glib/shmem-glib.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 5
#define MAX_ITEMS (G_GUINT64_CONSTANT (64) << 20)

typedef struct
{
  gsize n;
  ShmArray *array;
  double *original;
  double *items;  /* of the array */
  double *others; /* as many, for the peers and the floors */
  double sum;
} Bench;

typedef struct
{
  const char *name;
  void (*prepare) (Bench *bench);
  void (*run) (Bench *bench, ShmMapReduce *pool);
  gboolean has_pool;
  ShmBackendType backend;
} Contestant;

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
shuffle_array (Bench *bench)
{
  memcpy (bench->items, bench->original, bench->n * sizeof (double));
}

static void
shuffle_others (Bench *bench)
{
  memcpy (bench->others, bench->original, bench->n * sizeof (double));
}

static void
run_sort (Bench *bench, ShmMapReduce *pool)
{
  g_autoptr (GError) error = NULL;

  shm_map_reduce_sort (pool, bench->array, NULL, &error);
  g_assert_no_error (error);
}

static void
run_argsort (Bench *bench, ShmMapReduce *pool)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) order = shm_map_reduce_argsort (pool, bench->array, NULL, &error);

  g_assert_no_error (error);
}

static void
run_qsort (Bench *bench, ShmMapReduce *pool)
{
  qsort (bench->others, bench->n, sizeof (double), compare);
}

static void
run_g_qsort (Bench *bench, ShmMapReduce *pool)
{
  g_qsort_with_data (bench->others, (gint) bench->n, sizeof (double), compare_with_data, NULL);
}

static void
run_g_array_sort (Bench *bench, ShmMapReduce *pool)
{
  GArray array = { (char *) bench->others, (guint) bench->n };
  g_autoptr (GArray) copy = g_array_sized_new (FALSE, FALSE, sizeof (double), array.len);

  g_array_append_vals (copy, array.data, array.len);
  g_array_sort (copy, compare);
}

static void
fill (Bench *bench, ShmMapReduce *pool, double value)
{
  g_autoptr (GError) error = NULL;

  shm_map_reduce_fill_array (pool, bench->array, g_variant_new_double (value), NULL, &error);
  g_assert_no_error (error);
}

static void
run_fill (Bench *bench, ShmMapReduce *pool)
{
  fill (bench, pool, 2.5);
}

static void
run_fill_zeros (Bench *bench, ShmMapReduce *pool)
{
  fill (bench, pool, 0.0);
}

static void
run_memset (Bench *bench, ShmMapReduce *pool)
{
  memset (bench->others, 1, bench->n * sizeof (double));
}

static void
run_sum (Bench *bench, ShmMapReduce *pool)
{
  g_autoptr (GError) error = NULL;

  bench->sum += shm_map_reduce_sum (pool, bench->array, NULL, &error);
  g_assert_no_error (error);
}

static void
run_sum_loop (Bench *bench, ShmMapReduce *pool)
{
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
run_write_floor (Bench *bench, ShmMapReduce *pool)
{
  run_halves (bench, write_half);
}

static void
run_read_floor (Bench *bench, ShmMapReduce *pool)
{
  run_halves (bench, read_half);
}

/* What the workers cost without their work. */
static gboolean
do_nothing (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  return TRUE;
}

static void
run_nothing (Bench *bench, ShmMapReduce *pool)
{
  g_autoptr (GError) error = NULL;

  shm_map_reduce_for_range (pool, 0, 2, NULL, do_nothing, NULL, &error);
  g_assert_no_error (error);
}

static void
compete (Bench *bench, const char *title, const Contestant *contestants, guint n_contestants)
{
  double times[8][ROUNDS];

  g_assert_cmpuint (n_contestants, <=, G_N_ELEMENTS (times));
  for (guint round = 0; round < ROUNDS; round++)
    {
      for (guint i = 0; i < n_contestants; i++)
        {
          g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
          gint64 start;

          shm_map_reduce_set_n_workers (pool, 2);
          shm_map_reduce_set_backend (pool, contestants[i].backend);
          if (contestants[i].prepare != NULL)
            contestants[i].prepare (bench);
          start = g_get_monotonic_time ();
          contestants[i].run (bench, pool);
          times[i][round] = (double) (g_get_monotonic_time () - start) / 1e3;
        }
    }

  g_print ("%s of %zu doubles, medians of %d\n", title, bench->n, ROUNDS);
  for (guint i = 0; i < n_contestants; i++)
    {
      qsort (times[i], ROUNDS, sizeof (double), compare);
      g_print ("  %-26s %-8s %10.3f ms %8.2f\n", contestants[i].name,
               !contestants[i].has_pool                             ? ""
               : contestants[i].backend == SHM_BACKEND_TYPE_PROCESS ? "process"
                                                                    : "thread",
               times[i][ROUNDS / 2], times[i][ROUNDS / 2] / times[0][ROUNDS / 2]);
    }
}

#define PROCESS TRUE, SHM_BACKEND_TYPE_PROCESS
#define THREAD TRUE, SHM_BACKEND_TYPE_THREAD

int
main (int argc, char *argv[])
{
  static const Contestant sorts[] = {
    { "shm_map_reduce_sort", shuffle_array, run_sort, PROCESS },
    { "shm_map_reduce_sort", shuffle_array, run_sort, THREAD },
    { "shm_map_reduce_argsort", shuffle_array, run_argsort, PROCESS },
    { "qsort", shuffle_others, run_qsort },
    { "g_qsort_with_data", shuffle_others, run_g_qsort },
    { "g_array_sort", shuffle_others, run_g_array_sort },
  };
  static const Contestant fills[] = {
    { "floor, two threads", NULL, run_write_floor },
    { "shm_map_reduce_fill_array", NULL, run_fill, PROCESS },
    { "shm_map_reduce_fill_array", NULL, run_fill, THREAD },
    { "the same, of zeros", NULL, run_fill_zeros, PROCESS },
    { "the same, of zeros", NULL, run_fill_zeros, THREAD },
    { "memset, one thread", NULL, run_memset },
    { "workers alone", NULL, run_nothing, PROCESS },
  };
  static const Contestant sums[] = {
    { "floor, two threads", NULL, run_read_floor },
    { "shm_map_reduce_sum", NULL, run_sum, PROCESS },
    { "shm_map_reduce_sum", NULL, run_sum, THREAD },
    { "loop, one thread", NULL, run_sum_loop },
    { "workers alone", NULL, run_nothing, PROCESS },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (ShmArray) original = NULL;
  g_autoptr (ShmArray) others = NULL;
  g_autoptr (GRand) random = g_rand_new_with_seed (1);
  guint64 n = 8 << 20;
  Bench bench = { 0 };

  if (argc > 1 && !g_ascii_string_to_unsigned (argv[1], 10, 1, MAX_ITEMS, &n, &error))
    {
      g_printerr ("bench-algorithms: the number of items: %s\n", error->message);
      return EXIT_FAILURE;
    }

  bench.n = n;
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

  compete (&bench, "sum", sums, G_N_ELEMENTS (sums));
  compete (&bench, "fill", fills, G_N_ELEMENTS (fills));
  compete (&bench, "sort", sorts, G_N_ELEMENTS (sorts));
  return EXIT_SUCCESS;
}
