/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <shmem-glib/shmem-glib.h>

#include "primes.h"

static GVariant *
work (ShmMapReduce *pool, guint64 block, gpointer user_data, GError **error)
{
  guint64 *counts = user_data;

  counts[block] = count_primes (block);
  return NULL;
}

int
main (void)
{
  const gsize shape[] = { N_BLOCKS };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = shm_array_new (SHM_DTYPE_U8, shape, 1, &error);
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = shm_job_new (pool, N_BLOCKS);
  guint64 *counts;
  guint64 total = 0;

  if (array != NULL)
    {
      counts = shm_array_get_data (array);
      shm_job_set_map_func (job, work, counts, NULL);
    }
  if (array == NULL || !shm_job_run (job, NULL, &error))
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }

  for (guint block = 0; block < N_BLOCKS; block++)
    total += counts[block];
  g_print ("%" G_GUINT64_FORMAT " primes\n", total);
  return 0;
}
