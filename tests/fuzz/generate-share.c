/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Writes the corpora that fuzzing of .npy headers and of messages begins with.
 *
 *     generate-share FOLDER-OF-NPY FOLDER-OF-MESSAGES
 */

#include "config.h"

#include <string.h>

#include "fuzz-share.h"

#include "shmem-glib/shm-npy-private.h"

#define DESCR "{'descr': '<f8', 'fortran_order': False, 'shape': "

static void
save (const char *folder, const char *kind, guint number, gconstpointer data, gsize size)
{
  g_autofree char *name = g_strdup_printf ("%s-%03u", kind, number);
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (GError) error = NULL;

  if (!g_file_set_contents (path, data, (gssize) size, &error))
    g_error ("%s", error->message);
}

static void
save_header (const char *folder, const char *kind, guint number, const char *text)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  guint length = (guint) strlen (text);
  guint8 start[12] = { 0x93, 'N', 'U', 'M', 'P', 'Y', (guint8) (1 + number % 3) };

  start[8] = (guint8) length;
  start[9] = (guint8) (length >> 8);
  g_byte_array_append (bytes, start, number % 3 == 0 ? 10 : 12);
  g_byte_array_append (bytes, (const guint8 *) text, length);
  save (folder, kind, number, bytes->data, bytes->len);
}

static void
generate_npy (const char *folder)
{
  static const char *const good[] = {
    DESCR "(3, 4), }    \n",
    DESCR "(), }",
    DESCR "(0,), }",
    "{'descr': '|u1', 'fortran_order': True, 'shape': (7L, 8L, 9L)}",
    "{\"shape\": (5,), \"descr\": \"|V12\", \"fortran_order\": False}",
    "{'descr': '<c16', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), }",
  };
  static const char *const bad[] = {
    "",
    "{}",
    DESCR "(-1,)}",
    DESCR "(3)}",
    DESCR "((3,), 4)}",
    DESCR "(4294967296, 4294967296)}",
    DESCR "(18446744073709551616,)}",
    DESCR "(3,)} junk",
    "{'descr': '>f8', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f8', 'descr': '<f8', 'shape': (3,)}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    save_header (folder, "good", i, good[i]);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    save_header (folder, "bad", i, bad[i]);
}

static void
generate_messages (const char *folder)
{
  static const char *const good[] = {
    "('<f8', @at [], @ax [], 0, 0)",
    "('<f8', [512], [8], 0, 0)",
    "('<i4', [10, 4], [-64, 8], 2048, 0)",
    "('|u1', [4096], [-1], 4095, 0)",
    "('|V7', [3, 4, 5], [140, 35, 7], 13, 0)",
    "('<c16', [2, 0, 3], [48, 48, 16], 64, 0)",
    "('<i2', [1, 1, 2], [9223372036854775807, 3, 2], 4, 0)",
  };
  static const char *const bad[] = {
    "('>f8', [1], [8], 0, 0)",
    "('<f8', [1], [8], 0, 1)",
    "('<f8', [513], [8], 0, 0)",
    "('<f8', [2], [-8], 0, 0)",
    "('<f8', [2], [4], 0, 0)",
    "('<f8', [1, 2], [8], 0, 0)",
    "('<f8', [18446744073709551615], [8], 0, 0)",
    "('<f8', [1000000], [0], 0, 0)",
    "('<f8', [2], [-9223372036854775808], 8, 0)",
    "('|V4097', @at [], @ax [], 0, 0)",
  };
  const GVariantType *type = G_VARIANT_TYPE (SHM_ARRAY_MESSAGE_TYPE);

  for (guint i = 0; i < G_N_ELEMENTS (good) + G_N_ELEMENTS (bad); i++)
    {
      gboolean is_good = i < G_N_ELEMENTS (good);
      guint number = is_good ? i : i - (guint) G_N_ELEMENTS (good);
      g_autoptr (GError) error = NULL;
      g_autoptr (GVariant) value =
          g_variant_parse (type, is_good ? good[number] : bad[number], NULL, NULL, &error);

      if (value == NULL)
        g_error ("%s", error->message);
      save (folder, is_good ? "good" : "bad", number, g_variant_get_data (value),
            g_variant_get_size (value));
    }
}

int
main (int argc, char *argv[])
{
  if (argc != 3)
    {
      g_printerr ("usage: %s FOLDER-OF-NPY FOLDER-OF-MESSAGES\n", argv[0]);
      return 2;
    }
  generate_npy (argv[1]);
  generate_messages (argv[2]);
  return 0;
}
