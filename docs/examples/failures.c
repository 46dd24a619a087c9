/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Adds up shards of numbers, some of which go wrong: one has a line that is no number, one crashes
 * its worker, one never ends, and one kills the worker at its first try. The rest is done all the
 * same, and what went wrong is shown in a table.
 *
 * Do not run it with SHM_DEBUG=serial: then it is this process that crashes.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define N_SHARDS 12
#define N_LINES 1000
#define TIMEOUT 1000 /* milliseconds */

enum
{
  SPOILT = 3,
  CRASHES = 5,
  HANGS = 7,
  UNLUCKY = 9
};

/* The lines of a shard; one of them is not what it should be. */
static char *
read_shard (guint64 shard)
{
  GString *text = g_string_new (NULL);

  for (guint64 line = 0; line < N_LINES; line++)
    if (shard == SPOILT && line == 7)
      g_string_append (text, "seven\n");
    else
      g_string_append_printf (text, "%" G_GUINT64_FORMAT "\n", shard * N_LINES + line);
  return g_string_free (text, FALSE);
}

static void
have_an_accident (guint64 shard, gint64 n_tries)
{
  const struct rlimit nothing = { 0, 0 };

  if (shard == CRASHES)
    {
      /* It is meant, so no core file is wanted. */
      setrlimit (RLIMIT_CORE, &nothing);
      raise (SIGSEGV);
    }
  if (shard == HANGS)
    for (;;)
      pause ();
  if (shard == UNLUCKY && n_tries == 1)
    raise (SIGKILL);
}

/* What a worker has counted in its own memory dies with it, so the tries are counted in an array. */
static GVariant *
add_shard (ShmMapReduce *pool, guint64 shard, gpointer user_data, GError **error)
{
  gint64 *n_tries = shm_array_get_data (user_data);
  g_autofree char *text = read_shard (shard);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  gint64 sum = 0;

  have_an_accident (shard, ++n_tries[shard]);
  for (guint i = 0; *lines[i] != '\0'; i++)
    {
      gint64 number;

      if (!g_ascii_string_to_signed (lines[i], 10, 0, G_MAXINT32, &number, error))
        return NULL;
      sum += number;
    }
  return g_variant_new_int64 (sum);
}

/* Whether just the three have no sum, and the others the right one. */
static gboolean
check_sums (GPtrArray *sums)
{
  for (guint64 shard = 0; shard < N_SHARDS; shard++)
    {
      GVariant *sum = g_ptr_array_index (sums, shard);
      gint64 expected = (2 * (gint64) shard * N_LINES + N_LINES - 1) * N_LINES / 2;
      gboolean failed = shard == SPOILT || shard == CRASHES || shard == HANGS;

      if (failed != (sum == NULL) || (sum != NULL && g_variant_get_int64 (sum) != expected))
        return FALSE;
    }
  return TRUE;
}

static void
print_failures (GPtrArray *failures, const gint64 *n_tries)
{
  g_autoptr (GEnumClass) kinds = g_type_class_ref (SHM_TYPE_FAILURE_KIND);

  g_print ("%5s  %-7s  %5s  %7s  %s\n", "shard", "kind", "tries", "process", "why");
  for (guint i = 0; i < failures->len; i++)
    {
      ShmFailure *failure = g_ptr_array_index (failures, i);
      guint64 shard = shm_failure_get_index (failure);
      const GEnumValue *kind = g_enum_get_value (kinds, (int) shm_failure_get_kind (failure));
      int pid = shm_failure_get_pid (failure);
      g_autofree char *process = pid != 0 ? g_strdup_printf ("%d", pid) : g_strdup ("-");

      g_print ("%5" G_GUINT64_FORMAT "  %-7s  %5" G_GINT64_FORMAT "  %7s  %s\n", shard,
               kind->value_nick, n_tries[shard], process, shm_failure_get_error (failure)->message);
    }
}

int
main (void)
{
  const gsize shape[] = { N_SHARDS };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) tries = NULL;
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = shm_job_new (pool, N_SHARDS);
  const gint64 *n_tries;

  setlocale (LC_ALL, "");
  tries = shm_array_new (SHM_DTYPE_I8, shape, G_N_ELEMENTS (shape), &error);
  if (tries == NULL)
    {
      g_printerr ("failures: %s\n", error->message);
      return EXIT_FAILURE;
    }
  n_tries = shm_array_get_data (tries);

  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  shm_map_reduce_set_max_retries (pool, 1);
  shm_map_reduce_set_item_timeout (pool, TIMEOUT);
  shm_job_set_map_func (job, add_shard, tries, NULL);
  if (!shm_job_run (job, NULL, &error))
    {
      g_printerr ("failures: %s\n", error->message);
      return EXIT_FAILURE;
    }

  g_print ("%d shards, of which %u failed\n", N_SHARDS, shm_job_get_failures (job)->len);
  print_failures (shm_job_get_failures (job), n_tries);
  g_print ("Shard %d was tried %" G_GINT64_FORMAT " times, and has its sum.\n", UNLUCKY,
           n_tries[UNLUCKY]);
  if (!check_sums (shm_job_get_results (job)))
    {
      g_printerr ("failures: a sum is wrong, or missing, or there is one too many\n");
      return EXIT_FAILURE;
    }
  g_print ("The other sums are right.\n");
  return EXIT_SUCCESS;
}
