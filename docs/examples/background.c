/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: background FILE...
 *
 * Indexes the words of text files in a child, while the main loop of this process goes on and shows
 * how far the child is: it counts in an array that both share.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <stdlib.h>

typedef struct
{
  char **paths;
  gint64 *counters; /* in shared memory: files and words */
  GMainLoop *loop;
  GVariant *index;
  GError *error;
} Indexer;

static void
index_text (GHashTable *index, const char *text, gint64 *n_words)
{
  g_auto (GStrv) words = g_strsplit_set (text, " \n\"#%&'()*+,-./:;<=>?[\\]^{|}~", -1);

  for (guint i = 0; words[i] != NULL; i++)
    if (*words[i] != '\0')
      {
        guint count = GPOINTER_TO_UINT (g_hash_table_lookup (index, words[i]));

        g_hash_table_replace (index, g_strdup (words[i]), GUINT_TO_POINTER (count + 1));
        (*n_words)++;
      }
}

/* This is called in the child. */
static GVariant *
index_files (gpointer user_data, GError **error)
{
  const Indexer *self = user_data;
  g_autoptr (GHashTable) index = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a{su}"));
  GHashTableIter iter;
  gpointer word, count;

  for (guint i = 0; self->paths[i] != NULL; i++)
    {
      g_autofree char *text = NULL;

      if (!g_file_get_contents (self->paths[i], &text, NULL, error))
        return NULL;
      index_text (index, text, &self->counters[1]);
      self->counters[0]++;
    }
  g_hash_table_iter_init (&iter, index);
  while (g_hash_table_iter_next (&iter, &word, &count))
    g_variant_builder_add (&builder, "{su}", word, GPOINTER_TO_UINT (count));
  return g_variant_builder_end (&builder);
}

static gboolean
show_counters (gpointer user_data)
{
  const gint64 *counters = ((Indexer *) user_data)->counters;

  g_print ("\r%" G_GINT64_FORMAT " files, %" G_GINT64_FORMAT " words", counters[0], counters[1]);
  return G_SOURCE_CONTINUE;
}

static void
on_indexed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Indexer *self = user_data;

  self->index = shm_background_wait_finish (SHM_BACKGROUND (source), result, &self->error);
  show_counters (self);
  g_main_loop_quit (self->loop);
}

int
main (int argc, char *argv[])
{
  const gsize shape[] = { 2 };
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Indexer self = { .paths = argv + 1, .loop = loop };
  g_autoptr (ShmArray) counters = shm_array_new (SHM_DTYPE_I8, shape, 1, &self.error);
  g_autoptr (ShmBackground) background = NULL;
  GVariantIter iter;
  gint64 sum = 0;
  guint count;

  setlocale (LC_ALL, "");
  if (counters != NULL)
    {
      self.counters = shm_array_get_data (counters);
      background = shm_background_new (index_files, &self, NULL, &self.error);
    }
  if (background != NULL)
    {
      shm_background_wait_async (background, NULL, on_indexed, &self);
      g_timeout_add (2, show_counters, &self);
      g_main_loop_run (loop);
    }
  if (self.error != NULL)
    {
      g_printerr ("\nbackground: %s\n", self.error->message);
      return EXIT_FAILURE;
    }
  g_variant_iter_init (&iter, self.index);
  g_print (", of which %" G_GSIZE_FORMAT " are different.\n", g_variant_iter_n_children (&iter));
  while (g_variant_iter_next (&iter, "{&su}", NULL, &count))
    sum += count;
  g_variant_unref (self.index);
  return sum == self.counters[1] ? EXIT_SUCCESS : EXIT_FAILURE;
}
