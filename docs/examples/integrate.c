/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: integrate [NUMBER]
 *
 * Integrates 1 / x^x from 0 to 1. The values at NUMBER points, 128 Mi if it is not given, lie in a
 * shared array of 1 GiB, which the workers fill chunk by chunk. Three sums come out of it, and have
 * to agree: of the array, read by the caller afterwards; of what the workers add up in shared
 * memory, in the critical section; of their results, in the reduce function.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (G_GUINT64_CONSTANT (1) << 20)
#define MAX_POINTS (G_MAXSSIZE / sizeof (double))
#define TOLERANCE 1e-9

typedef struct
{
  guint64 n_points;
  guint64 n_chunks;
  double *values;       /* shared by all */
  double *critical_sum; /* shared by all, so it is touched in the critical section only */
  double reduced_sum;   /* the caller's: only the reduce function touches it */
} Integral;

/* The work on one chunk, for workers and for the serial run alike. */
static double
fill_chunk (const Integral *integral, guint64 chunk)
{
  const double width = 1.0 / (double) integral->n_points;
  guint64 begin = chunk * CHUNK;
  guint64 end = MIN (begin + CHUNK, integral->n_points);
  double sum = 0.0;

  for (guint64 i = begin; i < end; i++)
    {
      double x = ((double) i + 0.5) * width;

      integral->values[i] = pow (x, -x);
      sum += integral->values[i];
    }
  return sum;
}

static GVariant *
work (ShmMapReduce *pool, guint64 chunk, gpointer user_data, GError **error)
{
  const Integral *integral = user_data;
  double sum = fill_chunk (integral, chunk);
  g_autoptr (ShmCriticalLocker) locker = shm_critical_locker_new (pool, error);

  if (locker == NULL)
    return NULL;
  *integral->critical_sum += sum;
  return g_variant_new_double (sum);
}

static GVariant *
reduce (ShmMapReduce *pool, guint64 chunk, GVariant *result, gpointer user_data, GError **error)
{
  Integral *integral = user_data;

  integral->reduced_sum += g_variant_get_double (result);
  return NULL;
}

static guint64
available_memory (void)
{
  guint64 available = shm_total_memory ();
  g_autofree char *meminfo = NULL;
  const char *line = NULL;

  if (available == 0)
    available = G_MAXUINT64;
  if (g_file_get_contents ("/proc/meminfo", &meminfo, NULL, NULL))
    line = strstr (meminfo, "MemAvailable:");
  if (line != NULL)
    available = MIN (available, g_ascii_strtoull (strchr (line, ':') + 1, NULL, 10) * 1024);
  return available;
}

/* Leaves an eighth of the memory to others. */
static guint64
fit_into_memory (guint64 n_points)
{
  guint64 available = available_memory ();
  guint64 most = (available - available / 8) / sizeof (double);
  g_autofree char *needed = NULL;
  g_autofree char *there = NULL;
  guint64 fitting = 1;

  if (n_points <= most)
    return n_points;

  while (fitting <= most / 2)
    fitting *= 2;
  needed = g_format_size_full (n_points * sizeof (double), G_FORMAT_SIZE_IEC_UNITS);
  there = g_format_size_full (available, G_FORMAT_SIZE_IEC_UNITS);
  g_print ("This machine is too small for %" G_GUINT64_FORMAT " points: they need %s of memory, "
           "and %s are available.\nTaking %" G_GUINT64_FORMAT " points instead.\n",
           n_points, needed, there, fitting);
  return fitting;
}

static double
seconds_since (gint64 start)
{
  return (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
}

static void
print_sum (const Integral *integral, const char *name, double sum, double seconds)
{
  g_print ("  %-18s %.15f %8.3f s\n", name, sum / (double) integral->n_points, seconds);
}

static double
run_serially (const Integral *integral)
{
  gint64 start = g_get_monotonic_time ();
  double sum = 0.0;
  double seconds;

  for (guint64 chunk = 0; chunk < integral->n_chunks; chunk++)
    sum += fill_chunk (integral, chunk);
  seconds = seconds_since (start);
  print_sum (integral, "serial", sum, seconds);
  return seconds;
}

/* The array must be all zeros still, so that what is summed is what the workers wrote. */
static gboolean
run_in_parallel (Integral *integral, double *seconds, GError **error)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GPtrArray) results = NULL;
  guint64 n_workers = MIN (shm_map_reduce_count_workers (pool), integral->n_chunks);
  double array_sum = 0.0;
  double difference;
  gint64 start = g_get_monotonic_time ();

  results = shm_map_reduce_map (pool, integral->n_chunks, NULL, work, reduce, integral, error);
  if (results == NULL)
    return FALSE;
  *seconds = seconds_since (start);
  g_print ("Number of workers: %" G_GUINT64_FORMAT "\n", n_workers);
  print_sum (integral, "reduced results", integral->reduced_sum, *seconds);
  print_sum (integral, "critical section", *integral->critical_sum, *seconds);

  start = g_get_monotonic_time ();
  for (guint64 i = 0; i < integral->n_points; i++)
    array_sum += integral->values[i];
  print_sum (integral, "array, afterwards", array_sum, seconds_since (start));

  difference =
      MAX (ABS (*integral->critical_sum - array_sum), ABS (integral->reduced_sum - array_sum));
  if (!(difference <= TOLERANCE * array_sum))
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_FAILED, "the three sums differ by up to %g",
                   difference);
      return FALSE;
    }
  return TRUE;
}

/* Johann Bernoulli (1697): the integral is the sum of 1 / n^n over all n from 1. */
static double
exact_integral (void)
{
  double sum = 0.0;

  for (int n = 16; n > 0; n--)
    sum += pow (n, -n);
  return sum;
}

/* The memory is reserved, since it costs more when it is first touched, and only one of the runs
 * would pay for that. */
static gboolean
integrate (guint64 n_points, GError **error)
{
  const gsize shape[] = { n_points };
  g_autoptr (ShmArray) critical_sum = shm_array_new (SHM_DTYPE_F8, NULL, 0, error);
  g_autoptr (ShmArray) values = NULL;
  g_autofree char *size = g_format_size_full (n_points * sizeof (double), G_FORMAT_SIZE_IEC_UNITS);
  Integral integral = { .n_points = n_points, .n_chunks = (n_points - 1) / CHUNK + 1 };
  double seconds, serial_seconds;

  if (critical_sum == NULL)
    return FALSE;
  values = shm_array_new_full (SHM_DTYPE_F8, 0, shape, 1, SHM_ARRAY_FLAGS_RESERVE, error);
  if (values == NULL)
    return FALSE;
  integral.values = shm_array_get_data (values);
  integral.critical_sum = shm_array_get_data (critical_sum);

  g_print ("The integral of 1 / x^x from 0 to 1\n"
           "Number of points: %" G_GUINT64_FORMAT " (%s), in chunks of %" G_GUINT64_FORMAT "\n",
           n_points, size, CHUNK);
  if (!run_in_parallel (&integral, &seconds, error))
    return FALSE;
  serial_seconds = run_serially (&integral);
  g_print ("  %-18s %.15f\n", "exact", exact_integral ());
  g_print ("The three sums agree to %g; the workers were %.2f times as fast as the serial loop.\n",
           TOLERANCE, serial_seconds / seconds);
  return TRUE;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  guint64 n_points = 128 * CHUNK;

  setlocale (LC_ALL, "");
  if (argc > 2)
    {
      g_printerr ("usage: integrate [NUMBER]\n");
      return EXIT_FAILURE;
    }
  if (argc == 2 && !g_ascii_string_to_unsigned (argv[1], 10, 1, MAX_POINTS, &n_points, &error))
    {
      g_printerr ("integrate: the number of points: %s\n", error->message);
      return EXIT_FAILURE;
    }
  if (!integrate (fit_into_memory (n_points), &error))
    {
      g_printerr ("integrate: %s\n", error->message);
      return EXIT_FAILURE;
    }
  return EXIT_SUCCESS;
}
