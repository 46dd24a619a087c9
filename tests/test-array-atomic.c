/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_PROCESSES 4
#define N_ADDS 100000

static const struct
{
  ShmDtype dtype;
  guint n_bits;
  gboolean is_signed;
} integers[] = {
  { SHM_DTYPE_I1, 8, TRUE },   { SHM_DTYPE_I2, 16, TRUE },  { SHM_DTYPE_I4, 32, TRUE },
  { SHM_DTYPE_I8, 64, TRUE },  { SHM_DTYPE_U1, 8, FALSE },  { SHM_DTYPE_U2, 16, FALSE },
  { SHM_DTYPE_U4, 32, FALSE }, { SHM_DTYPE_U8, 64, FALSE },
};

static const gsize two[] = { 2 };
static const gsize zero[] = { 0 };
static const gsize one[] = { 1 };

/* What @value becomes in an item of so many bits, as the functions give it. */
static gint64
wrap (gint64 value, guint n_bits, gboolean is_signed)
{
  guint64 bits = (guint64) value << (64 - n_bits);

  return is_signed ? (gint64) bits >> (64 - n_bits) : (gint64) (bits >> (64 - n_bits));
}

/* The neighbour of an item stays what it is, so the item is what was changed, and nothing beside. */
static void
check_neighbour (ShmArray *array)
{
  g_autoptr (GVariant) value = shm_array_get_value (array, zero, 1, NULL);
  g_autofree char *text = g_variant_print (value, FALSE);

  g_assert_cmpfloat (g_ascii_strtod (g_str_has_prefix (text, "0x") ? text + 2 : text, NULL), ==,
                     0.0);
}

static void
test_add_integers (void)
{
  const gint64 steps[] = { 1, -1, 100, 100, 1000000, -3, G_MAXINT64, G_MAXINT64, G_MININT64, -1 };

  for (gsize i = 0; i < G_N_ELEMENTS (integers); i++)
    {
      g_autoptr (ShmArray) array = test_new_array (integers[i].dtype, 1, two);
      g_autoptr (GError) error = NULL;
      gint64 expected = 0;

      for (gsize j = 0; j < G_N_ELEMENTS (steps); j++)
        {
          gint64 old = 99;

          g_assert_true (shm_array_add_int64 (array, one, 1, steps[j], &old, &error));
          g_assert_no_error (error);
          g_assert_cmpint (old, ==, expected);
          expected = wrap ((gint64) ((guint64) expected + (guint64) steps[j]), integers[i].n_bits,
                           integers[i].is_signed);
        }
      g_assert_true (shm_array_add_int64 (array, one, 1, 0, NULL, &error));
      check_neighbour (array);
    }
}

static void
test_limits (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (integers); i++)
    {
      g_autoptr (ShmArray) array = test_new_array (integers[i].dtype, 1, two);
      g_autoptr (GError) error = NULL;
      gint64 old = 99;
      gint64 least = integers[i].is_signed ? -100 : 3;

      g_assert_true (shm_array_update_max_int64 (array, one, 1, 50, &old, &error));
      g_assert_cmpint (old, ==, 0);
      g_assert_true (shm_array_update_max_int64 (array, one, 1, 20, &old, &error));
      g_assert_cmpint (old, ==, 50);
      g_assert_true (shm_array_update_min_int64 (array, one, 1, 60, &old, &error));
      g_assert_cmpint (old, ==, 50);
      g_assert_true (shm_array_update_min_int64 (array, one, 1, least, &old, &error));
      g_assert_cmpint (old, ==, 50);
      g_assert_true (shm_array_update_min_int64 (array, one, 1, least, &old, NULL));
      g_assert_cmpint (old, ==, least);
      g_assert_no_error (error);
      check_neighbour (array);

      if (integers[i].n_bits == 64)
        continue;
      g_assert_false (
          shm_array_update_min_int64 (array, one, 1, G_GINT64_CONSTANT (1) << 40, &old, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, "1099511627776 does not fit"));
      g_clear_error (&error);
      g_assert_false (shm_array_update_max_int64 (
          array, one, 1, integers[i].is_signed ? -(G_GINT64_CONSTANT (1) << 40) : -1, &old,
          &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
    }
}

static void
test_large_unsigned (void)
{
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_U8, 1, two);
  g_autoptr (GError) error = NULL;
  guint64 *items = shm_array_get_data (array);
  gint64 old = 0;

  /* -1 stands for the greatest number */
  g_assert_true (shm_array_update_max_int64 (array, one, 1, -1, &old, &error));
  g_assert_true (items[1] == G_MAXUINT64);
  g_assert_true (shm_array_update_max_int64 (array, one, 1, 5, &old, &error));
  g_assert_cmpint (old, ==, -1);
  g_assert_true (items[1] == G_MAXUINT64);
  g_assert_true (shm_array_compare_exchange_int64 (array, one, 1, -1, -2, &old, &error));
  g_assert_cmpint (old, ==, -1);
  g_assert_true (items[1] == G_MAXUINT64 - 1);
  g_assert_true (shm_array_update_min_int64 (array, one, 1, 5, &old, &error));
  g_assert_cmpint (old, ==, -2);
  g_assert_true (items[1] == 5);
  g_assert_no_error (error);
}

static void
test_compare_exchange (void)
{
  g_autoptr (ShmArray) flags = test_new_array (SHM_DTYPE_BOOL, 1, two);
  g_autoptr (GError) error = NULL;
  gint64 old = 99;

  for (gsize i = 0; i < G_N_ELEMENTS (integers); i++)
    {
      g_autoptr (ShmArray) array = test_new_array (integers[i].dtype, 1, two);
      gint64 value = integers[i].is_signed ? -5 : 5;

      g_assert_true (shm_array_compare_exchange_int64 (array, one, 1, 1, 7, &old, &error));
      g_assert_cmpint (old, ==, 0);
      g_assert_true (shm_array_compare_exchange_int64 (array, one, 1, 0, value, &old, &error));
      g_assert_cmpint (old, ==, 0);
      g_assert_true (shm_array_compare_exchange_int64 (array, one, 1, value, 9, &old, &error));
      g_assert_cmpint (old, ==, value);
      g_assert_cmpint (shm_array_get_int64 (array, one, 1, &error), ==, 9);
      g_assert_no_error (error);
      check_neighbour (array);
    }

  g_assert_true (shm_array_compare_exchange_int64 (flags, one, 1, 0, 1, &old, &error));
  g_assert_cmpint (old, ==, 0);
  g_assert_true (shm_array_compare_exchange_int64 (flags, one, 1, 0, 1, NULL, &error));
  g_assert_cmpint (shm_array_get_int64 (flags, one, 1, &error), ==, 1);
  g_assert_no_error (error);
  g_assert_false (shm_array_compare_exchange_int64 (flags, one, 1, 0, 2, &old, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (shm_array_compare_exchange_int64 (flags, one, 1, -1, 0, &old, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
}

static void
test_doubles (void)
{
  const ShmDtype dtypes[] = { SHM_DTYPE_F4, SHM_DTYPE_F8 };

  for (gsize i = 0; i < G_N_ELEMENTS (dtypes); i++)
    {
      g_autoptr (ShmArray) array = test_new_array (dtypes[i], 1, two);
      g_autoptr (GError) error = NULL;
      double third = dtypes[i] == SHM_DTYPE_F4 ? (double) (1.0f / 3.0f) : 1.0 / 3.0;
      double old = 99.0;

      g_assert_true (shm_array_add_double (array, one, 1, 2.5, &old, &error));
      g_assert_cmpfloat (old, ==, 0.0);
      g_assert_true (shm_array_add_double (array, one, 1, -2.5, &old, &error));
      g_assert_cmpfloat (old, ==, 2.5);
      g_assert_true (shm_array_add_double (array, one, 1, 1.0 / 3.0, NULL, &error));
      g_assert_true (shm_array_update_min_double (array, one, 1, 7.0, &old, &error));
      g_assert_cmpfloat (old, ==, third);
      g_assert_true (shm_array_update_max_double (array, one, 1, 7.0, &old, &error));
      g_assert_true (shm_array_update_min_double (array, one, 1, -0.5, &old, &error));
      g_assert_cmpfloat (old, ==, 7.0);
      g_assert_true (shm_array_update_max_double (array, one, 1, NAN, &old, &error));
      g_assert_cmpfloat (old, ==, -0.5);
      g_assert_true (shm_array_update_min_double (array, one, 1, -INFINITY, &old, &error));
      g_assert_cmpfloat (old, ==, -0.5);

      /* a number takes the place of what is none, which takes no number's place */
      g_assert_true (shm_array_set_double (array, one, 1, NAN, &error));
      g_assert_true (shm_array_update_max_double (array, one, 1, NAN, &old, &error));
      g_assert_true (isnan (old));
      g_assert_true (shm_array_update_max_double (array, one, 1, -3.0, &old, &error));
      g_assert_true (isnan (old));
      g_assert_cmpfloat (shm_array_get_double (array, one, 1, &error), ==, -3.0);
      g_assert_true (shm_array_add_double (array, one, 1, NAN, NULL, &error));
      g_assert_true (isnan (shm_array_get_double (array, one, 1, &error)));
      g_assert_no_error (error);
      check_neighbour (array);
    }
}

static void
test_errors (void)
{
  g_autoptr (GError) error = NULL;
  const gsize beyond[] = { 2 };
  const gsize packed = 3;

  for (guint dtype = SHM_DTYPE_BOOL; dtype <= SHM_DTYPE_RECORD; dtype++)
    {
      gsize item_size = dtype == SHM_DTYPE_RECORD ? 8 : 0;
      gboolean is_integer = dtype >= SHM_DTYPE_I1 && dtype <= SHM_DTYPE_U8;
      gboolean is_real = dtype == SHM_DTYPE_F4 || dtype == SHM_DTYPE_F8;
      g_autoptr (ShmArray) array =
          shm_array_new_full ((ShmDtype) dtype, item_size, two, 1, SHM_ARRAY_FLAGS_NONE, &error);

      g_assert_no_error (error);
      g_assert_cmpint (shm_array_add_int64 (array, one, 1, 1, NULL, NULL), ==, is_integer);
      g_assert_cmpint (shm_array_update_min_int64 (array, one, 1, 0, NULL, NULL), ==, is_integer);
      g_assert_cmpint (shm_array_update_max_int64 (array, one, 1, 0, NULL, NULL), ==, is_integer);
      g_assert_cmpint (shm_array_compare_exchange_int64 (array, one, 1, 0, 0, NULL, NULL), ==,
                       is_integer || dtype == SHM_DTYPE_BOOL);
      g_assert_cmpint (shm_array_add_double (array, one, 1, 1, NULL, NULL), ==, is_real);
      g_assert_cmpint (shm_array_update_min_double (array, one, 1, 0, NULL, NULL), ==, is_real);
      g_assert_cmpint (shm_array_update_max_double (array, one, 1, 0, NULL, NULL), ==, is_real);
      if (!is_integer)
        {
          g_assert_false (shm_array_add_int64 (array, one, 1, 1, NULL, &error));
          g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
          g_clear_error (&error);
          continue;
        }
      g_assert_false (shm_array_add_int64 (array, beyond, 1, 1, NULL, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
      g_clear_error (&error);
      g_assert_false (shm_array_add_int64 (array, NULL, 0, 1, NULL, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
      g_clear_error (&error);
      shm_array_close (array);
      g_assert_false (shm_array_add_int64 (array, one, 1, 1, NULL, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
      g_clear_error (&error);
    }

  /* the second record of three packed bytes has its number at byte 3 */
  {
    g_autoptr (ShmArray) records =
        shm_array_new_full (SHM_DTYPE_RECORD, packed, two, 1, SHM_ARRAY_FLAGS_NONE, &error);
    g_autoptr (ShmArray) numbers = NULL;

    g_assert_true (shm_array_add_field (records, "n", SHM_DTYPE_I2, 0, 0, NULL, 0, &error));
    numbers = shm_array_get_field (records, "n", &error);
    g_assert_no_error (error);
    g_assert_true (shm_array_add_int64 (numbers, zero, 1, 1, NULL, &error));
    g_assert_true (shm_array_set_int64 (numbers, one, 1, 1, &error));
    g_assert_no_error (error);
    g_assert_false (shm_array_add_int64 (numbers, one, 1, 1, NULL, &error));
    g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
    g_assert_nonnull (strstr (error->message, "aligned"));
    g_assert_cmpint (shm_array_get_int64 (numbers, one, 1, NULL), ==, 1);
  }
}

/* Memory that another process has sealed. */
static void
test_read_only (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array =
      shm_array_new_full (SHM_DTYPE_I4, 0, two, 1, SHM_ARRAY_FLAGS_SHAREABLE, &error);
  g_autoptr (ShmArray) sealed = NULL;
  int fd;

  g_assert_no_error (error);
  if (!shm_array_seal_read_only (array, &error))
    {
      g_assert_error (error, SHM_ERROR, SHM_ERROR_NOT_SUPPORTED);
      g_test_skip ("no seal against writing");
      return;
    }
  fd = shm_array_dup_fd (array, &error);
  sealed = shm_array_new_from_fd (fd, SHM_DTYPE_I4, 0, two, 1, 0, &error);
  g_assert_no_error (error);
  close (fd);
  g_assert_false (shm_array_add_int64 (sealed, one, 1, 1, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_READ_ONLY);
  g_clear_error (&error);
  g_assert_false (shm_array_compare_exchange_int64 (sealed, one, 1, 1, 1, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_READ_ONLY);
  g_clear_error (&error);
  g_assert_true (shm_array_add_int64 (array, one, 1, 3, NULL, &error));
  g_assert_cmpint (shm_array_get_int64 (sealed, one, 1, &error), ==, 3);
  g_assert_no_error (error);
}

/* Adds of several processes at the same items: of all sizes, side by side in one record. */
static void
test_processes (void)
{
  const ShmDtype dtypes[] = { SHM_DTYPE_I8, SHM_DTYPE_F8, SHM_DTYPE_I4, SHM_DTYPE_F4,
                              SHM_DTYPE_U2, SHM_DTYPE_U1, SHM_DTYPE_I1, SHM_DTYPE_U4 };
  const gsize offsets[] = { 0, 8, 16, 20, 24, 26, 27, 28 };
  const gint64 n_adds = test_scale (N_ADDS);
  const gint64 total = N_PROCESSES * n_adds;
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) record =
      shm_array_new_full (SHM_DTYPE_RECORD, 32, NULL, 0, SHM_ARRAY_FLAGS_NONE, &error);
  ShmArray *fields[G_N_ELEMENTS (dtypes)];
  pid_t pids[N_PROCESSES];

  g_assert_no_error (error);
  for (gsize i = 0; i < G_N_ELEMENTS (dtypes); i++)
    {
      g_autofree char *name = g_strdup_printf ("field %zu", i);

      shm_array_add_field (record, name, dtypes[i], 0, offsets[i], NULL, 0, &error);
      fields[i] = shm_array_get_field (record, name, &error);
      g_assert_no_error (error);
    }
  g_clear_object (&record);

  for (guint i = 0; i < N_PROCESSES; i++)
    {
      pids[i] = fork ();
      g_assert_cmpint (pids[i], >=, 0);
      if (pids[i] == 0)
        {
          gboolean ok = TRUE;

          for (gint64 j = 0; ok && j < n_adds; j++)
            {
              ok = shm_array_add_int64 (fields[0], NULL, 0, 1, NULL, NULL) &&
                   shm_array_add_double (fields[1], NULL, 0, 0.5, NULL, NULL) &&
                   shm_array_update_max_int64 (fields[2], NULL, 0, (gint64) i * n_adds + j, NULL,
                                               NULL) &&
                   shm_array_update_min_double (fields[3], NULL, 0, -(double) j, NULL, NULL) &&
                   shm_array_add_int64 (fields[4], NULL, 0, 1, NULL, NULL) &&
                   shm_array_add_int64 (fields[5], NULL, 0, 1, NULL, NULL) &&
                   shm_array_add_int64 (fields[6], NULL, 0, -1, NULL, NULL);
              for (gint64 old = 0, seen = -1; ok && seen != old;)
                {
                  old = seen < 0 ? 0 : seen;
                  ok = shm_array_compare_exchange_int64 (fields[7], NULL, 0, old, old + 1, &seen,
                                                         NULL);
                }
            }
          _exit (ok ? 0 : 1);
        }
    }
  for (guint i = 0; i < N_PROCESSES; i++)
    {
      int status;

      g_assert_cmpint (waitpid (pids[i], &status, 0), ==, pids[i]);
      g_assert_cmpint (status, ==, 0);
    }

  g_assert_cmpint (shm_array_get_int64 (fields[0], NULL, 0, &error), ==, total);
  g_assert_cmpfloat (shm_array_get_double (fields[1], NULL, 0, &error), ==, 0.5 * (double) total);
  g_assert_cmpint (shm_array_get_int64 (fields[2], NULL, 0, &error), ==, total - 1);
  g_assert_cmpfloat (shm_array_get_double (fields[3], NULL, 0, &error), ==, -(double) (n_adds - 1));
  g_assert_cmpint (shm_array_get_int64 (fields[4], NULL, 0, &error), ==, total % 65536);
  g_assert_cmpint (shm_array_get_int64 (fields[5], NULL, 0, &error), ==, total % 256);
  g_assert_cmpint (shm_array_get_int64 (fields[6], NULL, 0, &error), ==, wrap (-total, 8, TRUE));
  g_assert_cmpint (shm_array_get_int64 (fields[7], NULL, 0, &error), ==, total);
  g_assert_no_error (error);
  for (gsize i = 0; i < G_N_ELEMENTS (dtypes); i++)
    g_object_unref (fields[i]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/array/atomic/add", test_add_integers);
  test_add ("/array/atomic/limits", test_limits);
  test_add ("/array/atomic/large-unsigned", test_large_unsigned);
  test_add ("/array/atomic/compare-exchange", test_compare_exchange);
  test_add ("/array/atomic/doubles", test_doubles);
  test_add ("/array/atomic/errors", test_errors);
  test_add ("/array/atomic/read-only", test_read_only);
  test_add ("/array/atomic/processes", test_processes);

  return g_test_run ();
}
