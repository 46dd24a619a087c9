/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: cross-match [NUMBER]
 *
 * Finds for each of NUMBER stars of one catalogue the nearest source of another one within a tenth
 * of a degree. The workers go through the sources, and keep in a shared table what is nearest to a
 * star up to then: in the critical section, since sources of several workers may be near the same
 * star. The reduce function shows how fast it goes. A comparison of each with each gives the same.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RADIUS (0.1 * G_PI / 180.0) /* as a chord of the unit sphere, nearly the same as its arc */
#define SCATTER (0.02 * G_PI / 180.0)

/* A direction on the sky. */
typedef struct
{
  double x, y, z;
} Star;

typedef struct
{
  double distance; /* or 0 with a source of 0 if there is none */
  guint64 source;  /* counted from 1 */
} Match;

typedef struct
{
  guint64 star;
  guint64 source;
  double distance;
} Candidate;

typedef struct
{
  guint64 n_stars; /* in each of the catalogues */
  Star *stars;     /* sorted by z */
  Star *sources;
  Match *matches; /* shared by all, one for each star; touched in the critical section only */
  guint64 n_done; /* the caller's, as is what follows */
  gint64 started;
  gint64 shown;
} Sky;

static double
get_distance (const Star *a, const Star *b)
{
  double x = a->x - b->x, y = a->y - b->y, z = a->z - b->z;

  return sqrt (x * x + y * y + z * z);
}

/* Of two sources at the same distance the first is kept, in whatever order they come. */
static void
keep_nearest (Match *match, guint64 source, double distance)
{
  if (match->source == 0 || distance < match->distance ||
      (distance == match->distance && source < match->source))
    *match = (Match){ distance, source };
}

/* Returns: the first star that is not south of z */
static guint64
find_zone (const Sky *sky, double z)
{
  guint64 begin = 0, end = sky->n_stars;

  while (begin < end)
    {
      guint64 middle = begin + (end - begin) / 2;

      if (sky->stars[middle].z < z)
        begin = middle + 1;
      else
        end = middle;
    }
  return begin;
}

/* All of the range is looked for first, so that the section is entered once. */
static GVariant *
match_range (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  const Sky *sky = user_data;
  g_autoptr (GArray) candidates = g_array_new (FALSE, FALSE, sizeof (Candidate));
  g_autoptr (ShmCriticalLocker) locker = NULL;

  for (guint64 i = begin; i < end; i++)
    for (guint64 star = find_zone (sky, sky->sources[i].z - RADIUS);
         star < sky->n_stars && sky->stars[star].z <= sky->sources[i].z + RADIUS; star++)
      {
        double distance = get_distance (&sky->stars[star], &sky->sources[i]);
        Candidate candidate = { star, i + 1, distance };

        if (distance <= RADIUS)
          g_array_append_val (candidates, candidate);
      }

  locker = shm_critical_locker_new (pool, error);
  if (locker == NULL)
    return NULL;
  for (guint i = 0; i < candidates->len; i++)
    {
      const Candidate *candidate = &g_array_index (candidates, Candidate, i);

      keep_nearest (&sky->matches[candidate->star], candidate->source, candidate->distance);
    }
  return g_variant_new_uint64 (end - begin);
}

static GVariant *
show_rate (ShmMapReduce *pool, guint64 begin, GVariant *result, gpointer user_data, GError **error)
{
  Sky *sky = user_data;
  gint64 now = g_get_monotonic_time ();

  sky->n_done += g_variant_get_uint64 (result);
  if (now - sky->shown > G_USEC_PER_SEC / 10 || sky->n_done == sky->n_stars)
    {
      g_print ("\r%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " sources, %.0f in a second",
               sky->n_done, sky->n_stars,
               (double) sky->n_done * G_USEC_PER_SEC / (double) MAX (now - sky->started, 1));
      sky->shown = now;
    }
  return NULL;
}

static int
compare_stars (gconstpointer a, gconstpointer b)
{
  double difference = ((const Star *) a)->z - ((const Star *) b)->z;

  return (difference > 0.0) - (difference < 0.0);
}

/* Half of the sources are stars, at about their places; the other half is anywhere. */
static void
make_catalogues (guint64 n_stars, Star *stars, Star *sources)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (1718);

  for (guint64 i = 0; i < 2 * n_stars; i++)
    {
      double z = g_rand_double_range (random, -1.0, 1.0);
      double longitude = g_rand_double_range (random, 0.0, 2.0 * G_PI);
      double r = sqrt (1.0 - z * z);
      Star *star = i < n_stars ? &stars[i] : &sources[i - n_stars];

      *star = (Star){ r * cos (longitude), r * sin (longitude), z };
    }
  for (guint64 i = 0; i < n_stars; i += 2)
    sources[i] = (Star){ stars[i].x + g_rand_double_range (random, -SCATTER, SCATTER),
                         stars[i].y + g_rand_double_range (random, -SCATTER, SCATTER),
                         stars[i].z + g_rand_double_range (random, -SCATTER, SCATTER) };
  qsort (stars, n_stars, sizeof (Star), compare_stars);
}

static gboolean
check (const Sky *sky, GError **error)
{
  g_autofree Match *expected = g_new0 (Match, sky->n_stars);
  guint64 n_matched = 0;

  for (guint64 star = 0; star < sky->n_stars; star++)
    {
      for (guint64 i = 0; i < sky->n_stars; i++)
        {
          double distance = get_distance (&sky->stars[star], &sky->sources[i]);

          if (distance <= RADIUS)
            keep_nearest (&expected[star], i + 1, distance);
        }
      n_matched += expected[star].source != 0;
    }
  if (memcmp (expected, sky->matches, sky->n_stars * sizeof (Match)) != 0)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED,
                           "the comparison of each with each gives other matches");
      return FALSE;
    }
  g_print ("%" G_GUINT64_FORMAT " stars have a source; a comparison of each with each finds the "
           "same ones.\n",
           n_matched);
  return TRUE;
}

static gboolean
run (guint64 n_stars, GError **error)
{
  const gsize shape[] = { 2, n_stars };
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = shm_job_new (pool, n_stars);
  g_autoptr (ShmArray) catalogues =
      shm_array_new_full (SHM_DTYPE_RECORD, sizeof (Star), shape, 2, SHM_ARRAY_FLAGS_NONE, error);
  g_autoptr (ShmArray) matches = NULL;
  Sky sky = { .n_stars = n_stars };

  if (catalogues == NULL ||
      (matches = shm_array_new_full (SHM_DTYPE_RECORD, sizeof (Match), shape + 1, 1,
                                     SHM_ARRAY_FLAGS_NONE, error)) == NULL)
    return FALSE;
  sky.matches = shm_array_get_data (matches);
  sky.stars = shm_array_get_data (catalogues);
  sky.sources = sky.stars + n_stars;
  make_catalogues (n_stars, sky.stars, sky.sources);

  shm_job_set_range_func (job, match_range, &sky, NULL);
  shm_job_set_reduce_func (job, show_rate, &sky, NULL);
  sky.started = sky.shown = g_get_monotonic_time ();
  if (!shm_job_run (job, NULL, error))
    return FALSE;
  g_print ("\n");
  return check (&sky, error);
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  guint64 n_stars = 20000;

  setlocale (LC_ALL, "");
  if (argc > 2)
    {
      g_printerr ("usage: cross-match [NUMBER]\n");
      return EXIT_FAILURE;
    }
  if ((argc == 2 && !g_ascii_string_to_unsigned (argv[1], 10, 1, G_MAXINT32, &n_stars, &error)) ||
      !run (n_stars, &error))
    {
      g_printerr ("cross-match: %s\n", error->message);
      return EXIT_FAILURE;
    }
  return EXIT_SUCCESS;
}
