/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <glib.h>

#define N_BLOCKS 300
#define BLOCK_SIZE 10000

/* How many of the numbers of a block are prime: slow on purpose. */
static inline guint64
count_primes (guint64 block)
{
  guint64 n_primes = 0;

  for (guint64 number = block * BLOCK_SIZE; number < (block + 1) * BLOCK_SIZE; number++)
    {
      gboolean is_prime = number > 1;

      for (guint64 divisor = 2; is_prime && divisor * divisor <= number; divisor++)
        is_prime = number % divisor != 0;
      n_primes += is_prime ? 1 : 0;
    }
  return n_primes;
}
