/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <shmem-glib/shmem-glib.h>

static GVariant *
square (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_uint64 (index * index);
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GPtrArray) squares = shm_map_reduce_map (pool, 10, NULL, square, NULL, NULL, &error);

  for (guint i = 0; squares != NULL && i < squares->len; i++)
    g_print ("%u: %" G_GUINT64_FORMAT "\n", i, g_variant_get_uint64 (squares->pdata[i]));
  if (squares == NULL)
    g_printerr ("%s\n", error->message);
  return squares != NULL ? 0 : 1;
}
