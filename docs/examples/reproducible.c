/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: reproducible [SEED]
 *
 * Estimates with random numbers how far apart two points in a cube are on average. Each item has a
 * generator of its own, begun with the seed of that item, and the pool is deterministic, so that
 * the results are added up in the order of the items. So the estimate is the same to the last bit
 * for any number of workers, be they processes or threads.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>

#define N_ITEMS 200
#define N_PAIRS 1000          /* of each item */
#define EXACT 0.6617071822671 /* David P. Robbins, 1978 */
#define DEVIATION 0.2494      /* of a single distance */

static GVariant *
work (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  guint64 seed = shm_job_seed (shm_map_reduce_get_job (pool), index);
  const guint32 halves[] = { (guint32) seed, (guint32) (seed >> 32) };
  g_autoptr (GRand) random = g_rand_new_with_seed_array (halves, G_N_ELEMENTS (halves));
  double sum = 0.0;

  for (guint pair = 0; pair < N_PAIRS; pair++)
    {
      double squares = 0.0;

      for (guint axis = 0; axis < 3; axis++)
        {
          double difference = g_rand_double (random);

          difference -= g_rand_double (random);
          squares += difference * difference;
        }
      sum += sqrt (squares);
    }
  return g_variant_new_double (sum);
}

static GVariant *
reduce (ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  double *sum = user_data;

  *sum += g_variant_get_double (result);
  return NULL;
}

static gboolean
estimate (guint64 seed, ShmBackendType backend, guint n_workers, double *distance, GError **error)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = shm_job_new (pool, N_ITEMS);
  double sum = 0.0;

  shm_map_reduce_set_backend (pool, backend);
  shm_map_reduce_set_n_workers (pool, n_workers);
  shm_map_reduce_set_deterministic (pool, TRUE);
  shm_job_set_seed (job, seed);
  shm_job_set_map_func (job, work, NULL, NULL);
  shm_job_set_reduce_func (job, reduce, &sum, NULL);
  if (!shm_job_run (job, NULL, error))
    return FALSE;
  *distance = sum / N_ITEMS / N_PAIRS;
  return TRUE;
}

static gboolean
run (guint64 seed, GError **error)
{
  g_autoptr (GEnumClass) backends = g_type_class_ref (SHM_TYPE_BACKEND_TYPE);
  double first = 0.0;

  for (guint backend = SHM_BACKEND_TYPE_PROCESS; backend <= SHM_BACKEND_TYPE_SERIAL; backend++)
    for (guint n_workers = 1; n_workers <= (backend == SHM_BACKEND_TYPE_SERIAL ? 1 : 4);
         n_workers++)
      {
        double distance;

        if (!estimate (seed, backend, n_workers, &distance, error))
          return FALSE;
        g_print ("%-7s  %u  %.17g\n", g_enum_get_value (backends, (int) backend)->value_nick,
                 n_workers, distance);
        if (first == 0.0)
          first = distance;
        if (distance != first)
          {
            g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED, "that is another number");
            return FALSE;
          }
      }
  g_print ("exact       %.13f\n", EXACT);
  /* By chance it is as far off as that once in a million seeds. */
  if (fabs (first - EXACT) > 5.0 * DEVIATION / sqrt (N_ITEMS * N_PAIRS))
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED, "that is too far from it");
      return FALSE;
    }
  return TRUE;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  guint64 seed = 1;

  setlocale (LC_ALL, "");
  if (argc > 2)
    {
      g_printerr ("usage: reproducible [SEED]\n");
      return EXIT_FAILURE;
    }
  if ((argc == 2 && !g_ascii_string_to_unsigned (argv[1], 10, 1, G_MAXUINT64, &seed, &error)) ||
      !run (seed, &error))
    {
      g_printerr ("reproducible: %s\n", error->message);
      return EXIT_FAILURE;
    }
  return EXIT_SUCCESS;
}
