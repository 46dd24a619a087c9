/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A finite number, without its sign, as digits[0].digits[1]digits[2]… times ten to the exponent. */
typedef struct
{
  char digits[20];
  gsize n_digits;
  int exponent;
} ShmDecimal;

void shm_decimal_round (ShmDecimal *self, double value, gsize n_digits);
void shm_decimal_shortest (ShmDecimal *self, double value, gboolean is_single);

G_END_DECLS
