/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fuzz-corpus.h"

#include <string.h>

static void
input_clear (gpointer data)
{
  FuzzInput *input = data;

  g_free (input->name);
  g_free (input->data);
}

static gint
input_compare (gconstpointer a, gconstpointer b)
{
  return strcmp (((const FuzzInput *) a)->name, ((const FuzzInput *) b)->name);
}

/* In the order of their names, since folders have none. */
GArray *
fuzz_corpus_read (const char *folder_name)
{
  g_autofree char *folder = g_test_build_filename (G_TEST_DIST, "fuzz", folder_name, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, &error);
  g_autoptr (GArray) inputs = g_array_new (FALSE, FALSE, sizeof (FuzzInput));
  const char *name;

  g_assert_no_error (error);
  g_array_set_clear_func (inputs, input_clear);
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      FuzzInput input = { g_strdup (name), NULL, 0 };

      g_file_get_contents (path, (char **) &input.data, &input.size, &error);
      g_assert_no_error (error);
      g_array_append_val (inputs, input);
    }
  g_array_sort (inputs, input_compare);
  g_assert_cmpuint (inputs->len, >, 0);
  return g_steal_pointer (&inputs);
}
