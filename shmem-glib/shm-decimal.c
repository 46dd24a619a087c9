/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-decimal-private.h"

#include <math.h>
#include <string.h>

/* Decimal digits of floating-point numbers, in no locale. */

/* As many digits as always tell a number from all others. */
#define N_DIGITS_SINGLE 9
#define N_DIGITS_DOUBLE 17

/* The first @n_digits digits of a finite number, rounded. */
void
shm_decimal_round (ShmDecimal *self, double value, gsize n_digits)
{
  char text[40];
  char format[16];

  g_assert (n_digits >= 1 && n_digits <= N_DIGITS_DOUBLE);

  g_snprintf (format, sizeof (format), "%%.%zue", n_digits - 1);
  g_ascii_formatd (text, sizeof (text), format, fabs (value));

  self->digits[0] = text[0];
  if (n_digits > 1)
    memcpy (self->digits + 1, text + 2, n_digits - 1);
  self->n_digits = n_digits;
  self->exponent = (int) g_ascii_strtoll (strchr (text, 'e') + 1, NULL, 10);
}

static gboolean
shm_decimal_is (const ShmDecimal *self, double value, gboolean is_single)
{
  char text[40];
  double read;

  g_snprintf (text, sizeof (text), "%.*se%d", (int) self->n_digits, self->digits,
              self->exponent - (int) self->n_digits + 1);
  read = g_ascii_strtod (text, NULL);
  return is_single ? (float) read == (float) fabs (value) : read == fabs (value);
}

/* Goes up by one in the last digit. */
static void
shm_decimal_step (ShmDecimal *self)
{
  gsize i = self->n_digits;

  while (i > 0 && self->digits[i - 1] == '9')
    self->digits[--i] = '0';
  if (i > 0)
    {
      self->digits[i - 1]++;
      return;
    }
  self->digits[0] = '1';
  self->exponent++;
}

/* The fewest digits that read back as the same number, and of these the nearest to it. */
void
shm_decimal_shortest (ShmDecimal *self, double value, gboolean is_single)
{
  gsize n_most = is_single ? N_DIGITS_SINGLE : N_DIGITS_DOUBLE;
  int exponent;
  gboolean is_power_of_two = frexp (fabs (value), &exponent) == 0.5;

  for (gsize n_digits = 1; n_digits <= n_most; n_digits++)
    {
      shm_decimal_round (self, value, n_digits);
      if (shm_decimal_is (self, value, is_single))
        break;
      /* Numbers lie twice as close below a power of two as above it, so that the second nearest
       * can be within reach while the nearest is not.
       */
      if (is_power_of_two && n_digits > 1)
        {
          shm_decimal_step (self);
          if (shm_decimal_is (self, value, is_single))
            break;
        }
    }
  while (self->n_digits > 1 && self->digits[self->n_digits - 1] == '0')
    self->n_digits--;
}
