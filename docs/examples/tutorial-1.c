/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "primes.h"

int
main (void)
{
  guint64 total = 0;

  for (guint64 block = 0; block < N_BLOCKS; block++)
    total += count_primes (block);

  g_print ("%" G_GUINT64_FORMAT " primes\n", total);
  return 0;
}
