/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: word-count [FILE-OR-FOLDER...]
 *
 * Counts the words in text files. Each file is an item, for which a worker returns a dictionary of
 * words and counts; the caller reduces them into one table while the workers go on.
 *
 * Folders are searched with all that is below them, but for hidden files and symbolic links. Files
 * that are not text have no words. Without arguments, the words of the sources that this program
 * was built from, and of their licence, are counted.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#define N_SHOWN 10

/* The build of the library says where the sources are. */
#ifndef SOURCE_ROOT
#define SOURCE_ROOT "."
#endif

typedef struct
{
  GPtrArray *paths;
  GHashTable *counts; /* the caller's: only the reduce function touches it */
} WordCount;

/* A table of words and guint counts, both of its own. */
static GHashTable *
new_counts (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

static guint
get_count (GHashTable *counts, const char *word)
{
  const guint *count = g_hash_table_lookup (counts, word);

  return count != NULL ? *count : 0;
}

static void
add_count (GHashTable *counts, const char *word, guint increment)
{
  guint *count = g_hash_table_lookup (counts, word);

  if (count == NULL)
    {
      count = g_new0 (guint, 1);
      g_hash_table_insert (counts, g_strdup (word), count);
    }
  *count += increment;
}

/* A word is a run of letters, however they are written: upper or lower case, composed or not. */
static gboolean
count_file (GHashTable *counts, const char *path, GError **error)
{
  g_autofree char *contents = NULL;
  g_autofree char *valid = NULL;
  g_autofree char *folded = NULL;
  g_autofree char *text = NULL;
  const char *word = NULL;
  gsize length;

  if (!g_file_get_contents (path, &contents, &length, error))
    return FALSE;
  if (memchr (contents, '\0', length) != NULL)
    return TRUE;
  valid = g_utf8_make_valid (contents, (gssize) length);
  folded = g_utf8_casefold (valid, -1);
  text = g_utf8_normalize (folded, -1, G_NORMALIZE_ALL_COMPOSE);

  for (char *here = text, *next; here != NULL; here = next)
    {
      gunichar letter = g_utf8_get_char (here);

      next = letter != 0 ? g_utf8_next_char (here) : NULL;
      if (g_unichar_isalpha (letter))
        word = word != NULL ? word : here;
      else if (word != NULL)
        {
          *here = '\0';
          add_count (counts, word, 1);
          word = NULL;
        }
    }
  return TRUE;
}

static GVariant *
work (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const WordCount *self = user_data;
  g_autoptr (GHashTable) counts = new_counts ();
  GVariantBuilder builder;
  GHashTableIter iter;
  gpointer word, count;

  if (!count_file (counts, g_ptr_array_index (self->paths, index), error))
    return NULL;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{su}"));
  g_hash_table_iter_init (&iter, counts);
  while (g_hash_table_iter_next (&iter, &word, &count))
    g_variant_builder_add (&builder, "{su}", word, *(const guint *) count);
  return g_variant_builder_end (&builder);
}

static GVariant *
reduce (ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  WordCount *self = user_data;
  GVariantIter iter;
  const char *word;
  guint count;

  g_variant_iter_init (&iter, result);
  while (g_variant_iter_next (&iter, "{&su}", &word, &count))
    add_count (self->counts, word, count);
  return NULL;
}

static gboolean
find_files (GPtrArray *paths, const char *path, GError **error)
{
  g_autoptr (GDir) dir = NULL;
  const char *name;

  if (g_file_test (path, G_FILE_TEST_IS_REGULAR))
    {
      g_ptr_array_add (paths, g_strdup (path));
      return TRUE;
    }

  dir = g_dir_open (path, 0, error);
  if (dir == NULL)
    return FALSE;
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      if (name[0] == '.' || g_file_test (child, G_FILE_TEST_IS_SYMLINK) ||
          !(g_file_test (child, G_FILE_TEST_IS_REGULAR) || g_file_test (child, G_FILE_TEST_IS_DIR)))
        continue;
      if (!find_files (paths, child, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
find_all_files (GPtrArray *paths, char **arguments, GError **error)
{
  const char *const sources[] = { SOURCE_ROOT "/LICENSE", SOURCE_ROOT "/shmem-glib",
                                  SOURCE_ROOT "/docs", SOURCE_ROOT "/tests", NULL };
  const char *const *names = *arguments != NULL ? (const char *const *) arguments : sources;

  for (; *names != NULL; names++)
    {
      if (!g_file_test (*names, G_FILE_TEST_IS_REGULAR | G_FILE_TEST_IS_DIR))
        {
          g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT,
                       *arguments != NULL
                           ? "there is no file or folder “%s”"
                           : "the sources have gone from “%s”: name what to count in",
                       *names);
          return FALSE;
        }
      if (!find_files (paths, *names, error))
        return FALSE;
    }
  if (paths->len == 0)
    g_set_error_literal (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "there are no files to count in");
  return paths->len > 0;
}

static gboolean
counts_are_equal (GHashTable *a, GHashTable *b)
{
  GHashTableIter iter;
  gpointer word, count;

  g_hash_table_iter_init (&iter, a);
  while (g_hash_table_iter_next (&iter, &word, &count))
    if (get_count (b, word) != *(const guint *) count)
      return FALSE;
  return g_hash_table_size (a) == g_hash_table_size (b);
}

/* The most frequent first; the alphabet decides between equals. */
static int
compare_words (gconstpointer a, gconstpointer b, gpointer user_data)
{
  const char *first = *(const char *const *) a;
  const char *second = *(const char *const *) b;
  guint first_count = get_count (user_data, first);
  guint second_count = get_count (user_data, second);

  if (first_count != second_count)
    return first_count > second_count ? -1 : 1;
  return strcmp (first, second);
}

static void
print_counts (GHashTable *counts)
{
  g_autofree gpointer *words = NULL;
  guint n_words;
  guint64 total = 0;

  words = g_hash_table_get_keys_as_array (counts, &n_words);
  g_qsort_with_data (words, (int) n_words, sizeof (*words), compare_words, counts);
  for (guint i = 0; i < n_words; i++)
    total += get_count (counts, words[i]);

  g_print ("Number of words: %" G_GUINT64_FORMAT ", of which %u are different\n", total, n_words);
  for (guint i = 0; i < MIN (n_words, N_SHOWN); i++)
    g_print ("  %8u  %s\n", get_count (counts, words[i]), (const char *) words[i]);
}

static double
seconds_since (gint64 start)
{
  return (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
}

/* The workers go first, so that it is the serial run which finds the files in the page cache. */
static gboolean
count_words (WordCount *self, GError **error)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GHashTable) serial_counts = new_counts ();
  g_autoptr (GPtrArray) results = NULL;
  guint n_workers = MIN (shm_map_reduce_count_workers (pool), self->paths->len);
  double seconds, serial_seconds;
  gint64 start = g_get_monotonic_time ();

  results = shm_map_reduce_map (pool, self->paths->len, NULL, work, reduce, self, error);
  if (results == NULL)
    return FALSE;
  seconds = seconds_since (start);

  start = g_get_monotonic_time ();
  for (guint i = 0; i < self->paths->len; i++)
    if (!count_file (serial_counts, g_ptr_array_index (self->paths, i), error))
      return FALSE;
  serial_seconds = seconds_since (start);

  print_counts (self->counts);
  g_print ("Number of workers: %u\n"
           "They took %.3f s, and the serial loop %.3f s: they were %.2f times as fast.\n",
           n_workers, seconds, serial_seconds, serial_seconds / seconds);
  if (!counts_are_equal (self->counts, serial_counts))
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED,
                           "the serial count is different: did a file change meanwhile?");
      return FALSE;
    }
  g_print ("The serial count is the same, word for word.\n");
  if (serial_seconds < seconds)
    g_print ("In files as small as these, to hand over the counts costs as much as to count.\n");
  return TRUE;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GHashTable) counts = new_counts ();
  WordCount self = { paths, counts };

  setlocale (LC_ALL, "");
  if (find_all_files (paths, argv + 1, &error))
    {
      g_print ("Number of files: %u\n", paths->len);
      if (count_words (&self, &error))
        return EXIT_SUCCESS;
    }
  g_printerr ("word-count: %s\n", error->message);
  return EXIT_FAILURE;
}
