/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: endless-input [NUMBER]
 *
 * Finds the first NUMBER primes above 10^12. Nobody knows how many numbers have to be looked at, so
 * a feed function makes the items, one after the other while the job runs, and ends them when enough
 * was found. The results arrive in order, are counted and forgotten. At no time are there more items
 * on their way than the window is wide, and so the memory does not grow, however far the search
 * goes. A sieve checks what was found.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

#define FIRST G_GUINT64_CONSTANT (1000000000001)
#define BLOCK 2000 /* numbers of an item, odd and even */
#define WINDOW 32

typedef struct
{
  guint64 n_wanted;
  guint64 n_found;
  guint64 sum; /* of the primes, from the first */
  guint64 last;
  guint64 n_fed;
  guint64 n_taken;
  guint64 n_widest; /* the most items that were on their way */
} Search;

static guint64
power (guint64 base, guint64 exponent, guint64 modulus)
{
  guint64 result = 1;

  for (; exponent > 0; exponent /= 2)
    {
      if (exponent % 2 == 1)
        result = (guint64) ((unsigned __int128) result * base % modulus);
      base = (guint64) ((unsigned __int128) base * base % modulus);
    }
  return result;
}

/* Miller and Rabin's test. With these bases no composite number up to 3.4 * 10^14 passes it:
 * G. Jaeschke, On strong pseudoprimes to several bases, 1993.
 */
static gboolean
is_prime (guint64 number)
{
  static const guint64 bases[] = { 2, 3, 5, 7, 11, 13, 17 };
  guint64 odd = number - 1;

  for (guint i = 0; i < G_N_ELEMENTS (bases); i++)
    if (number % bases[i] == 0)
      return FALSE;
  while (odd % 2 == 0)
    odd /= 2;
  for (guint i = 0; i < G_N_ELEMENTS (bases); i++)
    {
      guint64 x = power (bases[i], odd, number);
      guint64 exponent;

      for (exponent = odd; x != 1 && x != number - 1 && exponent < number - 1; exponent *= 2)
        x = (guint64) ((unsigned __int128) x * x % number);
      if (x != number - 1 && (x != 1 || exponent != odd))
        return FALSE;
    }
  return TRUE;
}

/* The feed function is called in the caller, as is take(): they need no lock. */
static GVariant *
feed (ShmJob *job, guint64 index, gpointer user_data, GError **error)
{
  Search *search = user_data;

  if (search->n_found == search->n_wanted)
    return NULL;
  search->n_fed++;
  search->n_widest = MAX (search->n_widest, search->n_fed - search->n_taken);
  return g_variant_new_uint64 (FIRST + index * BLOCK);
}

static GVariant *
work (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (GVariant) item = shm_job_get_item (shm_map_reduce_get_job (pool), index, error);
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("at"));
  guint64 begin;

  if (item == NULL)
    return NULL;
  begin = g_variant_get_uint64 (item);
  for (guint64 number = begin; number < begin + BLOCK; number += 2)
    if (is_prime (number))
      g_variant_builder_add (&builder, "t", number);
  return g_variant_builder_end (&builder);
}

static gboolean
take (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Search *search = user_data;
  gsize n_primes;
  const guint64 *primes = g_variant_get_fixed_array (result, &n_primes, sizeof (guint64));

  search->n_taken++;
  for (gsize i = 0; i < n_primes && search->n_found < search->n_wanted; i++)
    {
      search->n_found++;
      search->sum += primes[i];
      search->last = primes[i];
    }
  return TRUE;
}

/* Eratosthenes' sieve, block by block. */
static gboolean
check (const Search *search)
{
  guint64 n_found = 0, sum = 0;

  for (guint64 begin = FIRST; begin <= search->last; begin += BLOCK * 1000)
    {
      g_autofree gboolean *composite = g_new0 (gboolean, BLOCK * 1000);

      for (guint64 i = 2; i * i < begin + BLOCK * 1000; i += i == 2 ? 1 : 2)
        for (guint64 k = (begin + i - 1) / i * i; k < begin + BLOCK * 1000; k += i)
          composite[k - begin] = TRUE;
      for (guint64 number = begin; number < begin + BLOCK * 1000; number++)
        if (!composite[number - begin] && number <= search->last)
          {
            n_found++;
            sum += number;
          }
    }
  return n_found == search->n_wanted && sum == search->sum;
}

/* Returns: the most memory that this process had up to now, in KiB */
static glong
get_peak_memory (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

static gboolean
find_primes (Search *search, GError **error)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = shm_job_new (pool, 0);
  glong memory = get_peak_memory ();

  shm_job_set_feed_func (job, feed, search, NULL);
  shm_job_set_window (job, WINDOW);
  shm_job_set_map_func (job, work, NULL, NULL);
  shm_job_set_output (job, SHM_OUTPUT_STREAM_IN_ORDER);
  shm_job_set_result_func (job, take, search, NULL);
  if (!shm_job_run (job, NULL, error))
    return FALSE;

  g_print ("%" G_GUINT64_FORMAT " primes above 10^12, the last of them %" G_GUINT64_FORMAT "\n"
           "Items: %" G_GUINT64_FORMAT ", of which at most %" G_GUINT64_FORMAT
           " were on their way at a time.\n"
           "The memory of this process grew by %ld KiB.\n",
           search->n_found, search->last, search->n_fed, search->n_widest,
           get_peak_memory () - memory);
  if (search->n_widest > WINDOW || !check (search))
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED,
                           "the sieve finds others, or the window was too wide");
      return FALSE;
    }
  g_print ("A sieve finds the same primes.\n");
  return TRUE;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  Search search = { .n_wanted = 100000 };

  setlocale (LC_ALL, "");
  if (argc > 2)
    {
      g_printerr ("usage: endless-input [NUMBER]\n");
      return EXIT_FAILURE;
    }
  if ((argc == 2 &&
       !g_ascii_string_to_unsigned (argv[1], 10, 1, G_MAXUINT32, &search.n_wanted, &error)) ||
      !find_primes (&search, &error))
    {
      g_printerr ("endless-input: %s\n", error->message);
      return EXIT_FAILURE;
    }
  return EXIT_SUCCESS;
}
