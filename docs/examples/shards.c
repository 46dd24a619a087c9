/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: shards [FOLDER]
 *
 * Factorises the numbers in many small files, the shards, and writes one file for each. What goes
 * wrong with a shard is listed, and keeps nothing from being done with the others. Such work can be
 * taken up again: a shard that has its output already is left alone. So this makes three runs: one
 * with a spoilt shard and a missing one, one after these are mended, and one that finds nothing to
 * do. At last each factorisation is multiplied out.
 *
 * The shards are made in FOLDER, which is created, or in a temporary one, which is removed.
 */

#include <shmem-glib/shmem-glib.h>

#include <glib/gstdio.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#define N_SHARDS 24
#define N_LINES 250

enum
{
  SPOILT = 5,
  MISSING = 11
};

static char *
get_path (const char *folder, guint shard, const char *kind)
{
  return g_strdup_printf ("%s/%02u.%s", folder, shard, kind);
}

/* Work of the inner job: one line of a shard. */
static GVariant *
factorise (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const char *const *lines = user_data;
  g_autoptr (GString) factors = g_string_new (NULL);
  guint64 number;

  if (!g_ascii_string_to_unsigned (lines[index], 10, 2, G_MAXINT64, &number, error))
    return NULL;
  g_string_append_printf (factors, "%s =", lines[index]);
  for (guint64 divisor = 2; divisor * divisor <= number; divisor++)
    for (; number % divisor == 0; number /= divisor)
      g_string_append_printf (factors, " %" G_GUINT64_FORMAT " *", divisor);
  g_string_append_printf (factors, " %" G_GUINT64_FORMAT, number);
  return g_variant_new_string (factors->str);
}

/* Work of the outer job: one shard. A job that starts inside of a worker runs serially there, with
 * the same code as anywhere else. g_file_set_contents() renames the file into its place, so that it
 * is whole if it is there at all, whenever the program ends.
 */
static GVariant *
work (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const char *folder = user_data;
  g_autoptr (GVariant) item = shm_job_get_item (shm_map_reduce_get_job (pool), index, error);
  g_autoptr (ShmMapReduce) inner = shm_map_reduce_new ();
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GString) output = g_string_new (NULL);
  g_autofree char *in_path = NULL, *out_path = NULL, *text = NULL;
  g_auto (GStrv) lines = NULL;

  if (item == NULL)
    return NULL;
  in_path = get_path (folder, g_variant_get_uint32 (item), "numbers");
  out_path = get_path (folder, g_variant_get_uint32 (item), "factors");
  if (!g_file_get_contents (in_path, &text, NULL, error))
    return NULL;

  lines = g_strsplit (g_strchomp (text), "\n", -1);
  results = shm_map_reduce_map (inner, g_strv_length (lines), NULL, factorise, NULL, lines, error);
  if (results == NULL)
    return NULL;
  for (guint i = 0; i < results->len; i++)
    g_string_append_printf (output, "%s\n", g_variant_get_string (results->pdata[i], NULL));
  g_file_set_contents (out_path, output->str, (gssize) output->len, error);
  return NULL;
}

static gboolean
run (const char *folder, guint n_expected, guint n_expected_failures, GError **error)
{
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("au"));
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = shm_job_new (pool, 0);
  g_autoptr (GVariant) shards = NULL;
  GPtrArray *failures;

  for (guint shard = 0; shard < N_SHARDS; shard++)
    {
      g_autofree char *path = get_path (folder, shard, "factors");

      if (!g_file_test (path, G_FILE_TEST_EXISTS))
        g_variant_builder_add (&builder, "u", shard);
    }
  shards = g_variant_ref_sink (g_variant_builder_end (&builder));

  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  shm_job_set_items (job, shards);
  shm_job_set_map_func (job, work, (gpointer) folder, NULL);
  if (!shm_job_run (job, NULL, error))
    return FALSE;

  failures = shm_job_get_failures (job);
  g_print ("%" G_GSIZE_FORMAT " shards to do, %u failed\n", g_variant_n_children (shards),
           failures->len);
  for (guint i = 0; i < failures->len; i++)
    {
      ShmFailure *failure = g_ptr_array_index (failures, i);
      const GError *reason = shm_failure_get_error (failure);
      guint32 shard;

      g_variant_get_child (shards, shm_failure_get_index (failure), "u", &shard);
      g_print ("  shard %u: %s (%s, %d)\n", shard, reason->message,
               g_quark_to_string (reason->domain), reason->code);
    }
  if (g_variant_n_children (shards) != n_expected || failures->len != n_expected_failures)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_FAILED, "there should be %u, and %u should fail",
                   n_expected, n_expected_failures);
      return FALSE;
    }
  return TRUE;
}

static gboolean
make_shard (const char *folder, guint shard, gboolean spoilt, GError **error)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (shard);
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree char *path = get_path (folder, shard, "numbers");

  for (guint line = 0; line < N_LINES; line++)
    if (spoilt && line == 7)
      g_string_append (text, "seven hundred\n");
    else
      g_string_append_printf (text, "%u\n", g_rand_int (random) | 2);
  return g_file_set_contents (path, text->str, (gssize) text->len, error);
}

static gboolean
check_shard (const char *folder, guint shard, GError **error)
{
  g_autofree char *path = get_path (folder, shard, "factors");
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  gboolean ok;

  if (!g_file_get_contents (path, &text, NULL, error))
    return FALSE;
  lines = g_strsplit (g_strchomp (text), "\n", -1);
  ok = g_strv_length (lines) == N_LINES;
  for (guint i = 0; ok && lines[i] != NULL; i++)
    {
      char *end;
      guint64 number = g_ascii_strtoull (lines[i], &end, 10);
      guint64 product = 1;

      while (*end != '\0' && product != 0)
        product *= g_ascii_strtoull (end + strspn (end, " =*"), &end, 10);
      ok = product == number;
    }
  if (!ok)
    g_set_error (error, SHM_ERROR, SHM_ERROR_FAILED, "“%s” is wrong", path);
  return ok;
}

static gboolean
run_all (const char *folder, GError **error)
{
  for (guint shard = 0; shard < N_SHARDS; shard++)
    if (shard != MISSING && !make_shard (folder, shard, shard == SPOILT, error))
      return FALSE;
  if (!run (folder, N_SHARDS, 2, error) || !make_shard (folder, SPOILT, FALSE, error) ||
      !make_shard (folder, MISSING, FALSE, error) || !run (folder, 2, 0, error) ||
      !run (folder, 0, 0, error))
    return FALSE;
  for (guint shard = 0; shard < N_SHARDS; shard++)
    if (!check_shard (folder, shard, error))
      return FALSE;
  g_print ("All of the %d numbers are the product of their factors.\n", N_SHARDS * N_LINES);
  return TRUE;
}

static void
remove_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      g_unlink (path);
    }
  g_rmdir (folder);
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  g_autofree char *temporary = NULL;
  gboolean ok = FALSE;

  setlocale (LC_ALL, "");
  if (argc > 2 || (argc == 2 && g_mkdir (argv[1], 0777) != 0))
    {
      g_printerr ("usage: shards [FOLDER], which must not be there yet\n");
      return EXIT_FAILURE;
    }
  if (argc == 1)
    temporary = g_dir_make_tmp ("shards-XXXXXX", &error);
  if (argc == 2 || temporary != NULL)
    ok = run_all (argc == 2 ? argv[1] : temporary, &error);
  if (temporary != NULL)
    remove_folder (temporary);
  if (!ok)
    g_printerr ("shards: %s\n", error->message);
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
