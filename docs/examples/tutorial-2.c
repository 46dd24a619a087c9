/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <shmem-glib/shmem-glib.h>

#include "primes.h"

static GVariant *
work (ShmMapReduce *pool, guint64 block, gpointer user_data, GError **error)
{
  return g_variant_new_uint64 (count_primes (block));
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GPtrArray) counts = NULL;
  guint64 total = 0;

  counts = shm_map_reduce_map (pool, N_BLOCKS, NULL, work, NULL, NULL, &error);
  if (counts == NULL)
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }

  for (guint i = 0; i < counts->len; i++)
    total += g_variant_get_uint64 (counts->pdata[i]);
  g_print ("%" G_GUINT64_FORMAT " primes\n", total);
  return 0;
}
