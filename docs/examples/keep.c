/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: keep [NUMBER]
 *
 * Draws the curve height * exp (-rate * x) through NUMBER noisy points, 1000 or more, by the method
 * of Gauss and Newton. Each step is a small job, which adds up over all points what the equations
 * of the step need. The workers stay from step to step; the argument of the job tells them which
 * curve the step before has found.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define N_WORKERS 2
#define BLOCK 1024 /* points, for each item */
#define MAX_STEPS 50
#define HEIGHT 3.0
#define RATE 0.5
#define FIRST_HEIGHT 2.0
#define FIRST_RATE 0.4

typedef struct
{
  guint64 n_points;
  double *x;
  double *y;
} Points;

static void
measure (Points *points, guint64 n_points)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (1809);

  points->n_points = n_points;
  points->x = g_new (double, n_points);
  points->y = g_new (double, n_points);
  for (guint64 i = 0; i < n_points; i++)
    {
      points->x[i] = g_rand_double_range (random, 0.0, 5.0);
      points->y[i] = HEIGHT * exp (-RATE * points->x[i]) + g_rand_double_range (random, -0.1, 0.1);
    }
}

/* What one block adds to the equations, and which process has added it up. The points were there
 * when the workers were forked; the curve was not.
 */
static GVariant *
add_up (ShmMapReduce *pool, guint64 block, gpointer user_data, GError **error)
{
  const Points *points = user_data;
  g_autoptr (GVariant) curve = shm_map_reduce_get_argument (pool, error);
  guint64 end = MIN ((block + 1) * BLOCK, points->n_points);
  double height, rate, aa = 0.0, ab = 0.0, bb = 0.0, ar = 0.0, br = 0.0;

  if (curve == NULL)
    return NULL;
  g_variant_get (curve, "(dd)", &height, &rate);
  for (guint64 i = block * BLOCK; i < end; i++)
    {
      double a = exp (-rate * points->x[i]);
      double b = -points->x[i] * height * a;
      double rest = points->y[i] - height * a;

      aa += a * a;
      ab += a * b;
      bb += b * b;
      ar += a * rest;
      br += b * rest;
    }
  return g_variant_new ("(dddddi)", aa, ab, bb, ar, br, (gint) getpid ());
}

/* Solves the equations, and returns how far the curve has moved. */
static double
improve (GPtrArray *results, GHashTable *pids, double *height, double *rate)
{
  double aa = 0.0, ab = 0.0, bb = 0.0, ar = 0.0, br = 0.0, determinant, by_height, by_rate;

  for (guint i = 0; i < results->len; i++)
    {
      double part[5];
      gint pid;

      g_variant_get (results->pdata[i], "(dddddi)", &part[0], &part[1], &part[2], &part[3],
                     &part[4], &pid);
      aa += part[0];
      ab += part[1];
      bb += part[2];
      ar += part[3];
      br += part[4];
      g_hash_table_add (pids, GINT_TO_POINTER (pid));
    }
  determinant = aa * bb - ab * ab;
  by_height = (bb * ar - ab * br) / determinant;
  by_rate = (aa * br - ab * ar) / determinant;
  *height += by_height;
  *rate += by_rate;
  return fabs (by_height) + fabs (by_rate);
}

static gboolean
fit (Points *points, ShmBackendType backend, double *height, double *rate, GError **error)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = shm_job_new (pool, (points->n_points + BLOCK - 1) / BLOCK);
  g_autoptr (GHashTable) pids = g_hash_table_new (NULL, NULL);
  double moved = G_MAXDOUBLE;
  guint step;

  shm_map_reduce_set_backend (pool, backend);
  shm_map_reduce_set_n_workers (pool, N_WORKERS);
  shm_job_set_map_func (job, add_up, points, NULL);
  shm_job_set_keep_workers (job, TRUE);

  *height = FIRST_HEIGHT;
  *rate = FIRST_RATE;
  for (step = 0; step < MAX_STEPS && moved > 1e-12; step++)
    {
      shm_job_set_argument (job, g_variant_new ("(dd)", *height, *rate));
      if (!shm_job_run (job, NULL, error))
        return FALSE;
      moved = improve (shm_job_get_results (job), pids, height, rate);
    }
  g_print ("%.6f * exp (-%.6f * x) after %u steps; processes that worked on them: %u\n", *height,
           *rate, step, g_hash_table_size (pids));
  if (g_hash_table_size (pids) <= N_WORKERS)
    return TRUE;
  g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED, "the workers did not stay");
  return FALSE;
}

static gboolean
run (guint64 n_points, GError **error)
{
  Points points;
  double height, rate, serial_height, serial_rate;
  gboolean ok;

  measure (&points, n_points);
  ok = fit (&points, SHM_BACKEND_TYPE_PROCESS, &height, &rate, error) &&
       fit (&points, SHM_BACKEND_TYPE_SERIAL, &serial_height, &serial_rate, error);
  g_free (points.x);
  g_free (points.y);
  if (!ok)
    return FALSE;
  if (fabs (height - HEIGHT) > 0.05 || fabs (rate - RATE) > 0.05)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED, "that is another curve");
      return FALSE;
    }
  /* The results are added up in the order of the items. So they are the same, to the last bit. */
  if (height != serial_height || rate != serial_rate)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED,
                           "one process alone finds another curve");
      return FALSE;
    }
  return TRUE;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  guint64 n_points = 100000;

  setlocale (LC_ALL, "");
  if (argc > 2)
    {
      g_printerr ("usage: keep [NUMBER]\n");
      return EXIT_FAILURE;
    }
  if ((argc == 2 &&
       !g_ascii_string_to_unsigned (argv[1], 10, 1000, 1000000000, &n_points, &error)) ||
      !run (n_points, &error))
    {
      g_printerr ("keep: %s\n", error->message);
      return EXIT_FAILURE;
    }
  return EXIT_SUCCESS;
}
