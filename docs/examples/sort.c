/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: sort [NUMBER]
 *
 * Looks at NUMBER heights of people, 4 Mi if it is not given: their mean, the least and the
 * greatest, a histogram, and the quartiles, for which they are sorted. All of it is done on the
 * workers of one pool, and would be the same to the last bit on any other.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>

#define N_BINS 12
#define MAX_ITEMS (G_MAXSSIZE / sizeof (double))

/* A random number for each item, which follows from its index (Steele, Lea, Flood, Fast Splittable
 * Pseudorandom Number Generators, OOPSLA 2014). */
static double
uniform (guint64 index)
{
  guint64 word = (index + 1) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  word = (word ^ word >> 30) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  word = (word ^ word >> 27) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return (double) ((word ^ word >> 31) >> 11) * 0x1p-53;
}

static gboolean
measure (ShmMapReduce *pool,
         const double *input,
         double *output,
         guint64 begin,
         gsize n_items,
         gpointer user_data,
         GError **error)
{
  for (gsize i = 0; i < n_items; i++)
    {
      double radius = sqrt (-2.0 * log (1.0 - uniform (2 * (begin + i))));

      output[i] = 172.0 + 9.0 * radius * cos (2.0 * G_PI * uniform (2 * (begin + i) + 1));
    }
  return TRUE;
}

static gboolean
print_histogram (ShmMapReduce *pool, ShmArray *heights, GError **error)
{
  g_autoptr (ShmArray) counts =
      shm_map_reduce_histogram (pool, heights, N_BINS, 142.0, 202.0, NULL, error);
  gsize n = shm_array_get_n_elements (heights);

  if (counts == NULL)
    return FALSE;
  for (gsize bin = 0; bin < N_BINS; bin++)
    {
      gint64 count = shm_array_get_int64 (counts, &bin, 1, NULL);
      g_autofree char *bar = g_strnfill ((gsize) (200.0 * (double) count / (double) n), '*');

      g_print ("%4d cm %s\n", (int) (142 + 5 * bin), bar);
    }
  return TRUE;
}

static gboolean
look (ShmMapReduce *pool, ShmArray *heights, GError **error)
{
  gsize n = shm_array_get_n_elements (heights);
  const double *items = shm_array_get_data (heights);
  g_autoptr (GVariant) least = NULL;
  g_autoptr (GVariant) greatest = NULL;
  double sum;

  if (!shm_map_reduce_map_double (pool, heights, heights, NULL, measure, NULL, error) ||
      !print_histogram (pool, heights, error))
    return FALSE;

  sum = shm_map_reduce_sum (pool, heights, NULL, error);
  least = isnan (sum) ? NULL : shm_map_reduce_min (pool, heights, NULL, NULL, error);
  greatest = least == NULL ? NULL : shm_map_reduce_max (pool, heights, NULL, NULL, error);
  if (greatest == NULL || !shm_map_reduce_sort (pool, heights, NULL, error))
    return FALSE;
  g_print ("mean %.6f cm, quartiles %.6f, %.6f and %.6f cm, from %.3f to %.3f cm\n",
           sum / (double) n, items[n / 4], items[n / 2], items[n * 3 / 4],
           g_variant_get_double (least), g_variant_get_double (greatest));

  g_assert (items[0] == g_variant_get_double (least));
  g_assert (items[n - 1] == g_variant_get_double (greatest));
  for (gsize i = 1; i < n; i++)
    g_assert (items[i - 1] <= items[i]);
  return TRUE;
}

int
main (int argc, char *argv[])
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmArray) heights = NULL;
  g_autoptr (GError) error = NULL;
  guint64 n = 4 << 20;
  gsize shape;

  setlocale (LC_ALL, "");
  if (argc == 1 || g_ascii_string_to_unsigned (argv[1], 10, 1, MAX_ITEMS, &n, &error))
    {
      shape = n;
      heights = shm_array_new (SHM_DTYPE_F8, &shape, 1, &error);
    }
  if (heights != NULL && look (pool, heights, &error))
    return EXIT_SUCCESS;
  g_printerr ("sort: %s\n", error->message);
  return EXIT_FAILURE;
}
