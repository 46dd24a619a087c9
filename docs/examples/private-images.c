/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: private-images [NUMBER]
 *
 * Draws the density of Peter de Jong's strange attractor out of NUMBER points. Each worker has an
 * image of its own, so that none waits for another: it is made when the worker is set up, and
 * handed to the caller when it is torn down. The caller adds the images up in the order of the
 * ranks. With the static schedule, each rank has the same items each time, and the sum is the same
 * to the last bit, although its parts are rounded; that is checked.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 512 /* of the image, in pixels each way */
#define N_PIXELS ((gsize) SIZE * SIZE)
#define N_ITEMS 64
#define N_COLUMNS 72 /* of what is shown */
#define N_ROWS 30
#define TOLERANCE 1e-9
#define SEED 20240229

typedef double Image[SIZE][SIZE];

static gpointer
set_up (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  return g_new0 (double, N_PIXELS);
}

/* The variant takes the image over, without a copy, and frees it. */
static GVariant *
tear_down (ShmMapReduce *pool, guint rank, gpointer state, gpointer user_data, GError **error)
{
  return g_variant_new_from_data (G_VARIANT_TYPE ("ad"), state, sizeof (Image), TRUE, g_free,
                                  state);
}

/* A point is shared out to the four pixels around it, the more to the nearer ones. */
static void
add_point (Image image, double x, double y)
{
  double column = (x + 2.0) / 4.0 * (SIZE - 2);
  double row = (y + 2.0) / 4.0 * (SIZE - 2);
  int i = (int) row, j = (int) column;
  double down = row - i, right = column - j;

  image[i][j] += (1.0 - down) * (1.0 - right);
  image[i][j + 1] += (1.0 - down) * right;
  image[i + 1][j] += down * (1.0 - right);
  image[i + 1][j + 1] += down * right;
}

/* Follows one orbit; each item begins somewhere else. */
static GVariant *
work (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const guint64 *n_points = user_data;
  Image *image = shm_map_reduce_get_state (pool);
  guint64 seed = shm_job_seed (shm_map_reduce_get_job (pool), index);
  double x = (double) (seed & G_MAXUINT32) / G_MAXUINT32;
  double y = (double) (seed >> 32) / G_MAXUINT32;
  guint64 n = (index + 1) * *n_points / N_ITEMS - index * *n_points / N_ITEMS;

  for (gint64 i = -100; i < (gint64) n; i++)
    {
      double next_x = sin (1.4 * y) - cos (-2.3 * x);

      y = sin (2.4 * x) - cos (-2.1 * y);
      x = next_x;
      /* The first ones have not come near the attractor yet. */
      if (i >= 0)
        add_point (*image, x, y);
    }
  return NULL;
}

static void
print_statistics (GPtrArray *ranks)
{
  g_print ("%4s %6s %9s %9s %9s\n", "rank", "items", "busy", "processor", "memory");
  for (guint i = 0; i < ranks->len; i++)
    {
      ShmStatistics *rank = g_ptr_array_index (ranks, i);

      g_print ("%4d %6" G_GUINT64_FORMAT " %6.0f ms %6.0f ms %5.1f MiB\n",
               shm_statistics_get_rank (rank), shm_statistics_get_n_items (rank),
               (double) shm_statistics_get_busy_time (rank) / 1000.0,
               (double) shm_statistics_get_cpu_time (rank) / 1000.0,
               (double) shm_statistics_get_peak_memory (rank) / (1 << 20));
    }
}

/* Returns: (transfer full): a job that has ended, or NULL */
static ShmJob *
draw (guint64 n_points, ShmBackendType backend, GError **error)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = shm_job_new (pool, N_ITEMS);

  shm_map_reduce_set_backend (pool, backend);
  shm_map_reduce_set_schedule (pool, SHM_SCHEDULE_STATIC);
  shm_job_set_seed (job, SEED);
  shm_job_set_set_up_func (job, set_up, NULL, NULL);
  shm_job_set_map_func (job, work, &n_points, NULL);
  shm_job_set_tear_down_func (job, tear_down, NULL, NULL);
  return shm_job_run (job, NULL, error) ? g_steal_pointer (&job) : NULL;
}

/* Returns: (transfer full): the sum of the images */
static double *
add_images (ShmJob *job)
{
  GPtrArray *images = shm_job_get_summaries (job);
  double *sum = g_new0 (double, N_PIXELS);

  for (guint i = 0; i < images->len; i++)
    {
      gsize n_pixels;
      const double *image =
          g_variant_get_fixed_array (g_ptr_array_index (images, i), &n_pixels, sizeof (double));

      for (gsize j = 0; j < n_pixels; j++)
        sum[j] += image[j];
    }
  return sum;
}

/* By the logarithm of the density, which shows the faint parts too. */
static void
show (const double *image)
{
  static const char shades[] = " .:-=+*#%@";
  double cells[N_ROWS][N_COLUMNS] = { 0 };
  double densest = 0.0;

  for (gsize i = 0; i < N_PIXELS; i++)
    cells[i / SIZE * N_ROWS / SIZE][i % SIZE * N_COLUMNS / SIZE] += image[i];
  for (int row = 0; row < N_ROWS; row++)
    for (int column = 0; column < N_COLUMNS; column++)
      densest = MAX (densest, cells[row][column]);
  for (int row = 0; row < N_ROWS; row++)
    {
      char line[N_COLUMNS + 1] = "";

      for (int i = 0; i < N_COLUMNS; i++)
        line[i] = shades[(int) (log1p (cells[row][i]) / log1p (densest) * (sizeof shades - 2))];
      g_print ("%s\n", g_strchomp (line));
    }
}

static gboolean
run (guint64 n_points, GError **error)
{
  g_autoptr (ShmJob) job = draw (n_points, SHM_BACKEND_TYPE_PROCESS, error);
  g_autoptr (ShmJob) second_job = NULL;
  g_autoptr (ShmJob) serial_job = NULL;
  g_autofree double *image = NULL, *second = NULL, *serial = NULL;
  double sum = 0.0, difference = 0.0;

  if (job == NULL || (second_job = draw (n_points, SHM_BACKEND_TYPE_PROCESS, error)) == NULL ||
      (serial_job = draw (n_points, SHM_BACKEND_TYPE_SERIAL, error)) == NULL)
    return FALSE;
  image = add_images (job);
  second = add_images (second_job);
  serial = add_images (serial_job);
  show (image);
  print_statistics (shm_job_get_statistics (job));
  for (gsize i = 0; i < N_PIXELS; i++)
    {
      sum += image[i];
      difference = MAX (difference, fabs (image[i] - serial[i]) / MAX (serial[i], 1.0));
    }
  if (memcmp (image, second, sizeof (Image)) != 0 || difference > TOLERANCE ||
      fabs (sum - (double) n_points) > TOLERANCE * (double) n_points)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_FAILED,
                   "the images differ, from the serial one by %g, or lack points", difference);
      return FALSE;
    }
  g_print ("Two runs drew the same image of %" G_GUINT64_FORMAT " points, to the last bit.\n"
           "That of one process alone, which adds in another order, differs by %.1g at most.\n",
           n_points, difference);
  return TRUE;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  guint64 n_points = 10000000;

  setlocale (LC_ALL, "");
  if (argc > 2)
    {
      g_printerr ("usage: private-images [NUMBER]\n");
      return EXIT_FAILURE;
    }
  if ((argc == 2 && !g_ascii_string_to_unsigned (argv[1], 10, 1, G_MAXUINT32, &n_points, &error)) ||
      !run (n_points, &error))
    {
      g_printerr ("private-images: %s\n", error->message);
      return EXIT_FAILURE;
    }
  return EXIT_SUCCESS;
}
