/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <math.h>
#include <string.h>

/* The smallest and the greatest value of each type of real numbers, as variants. */
static const struct
{
  ShmDtype dtype;
  const char *name;
  gsize size;
  const char *type;
  const char *least;
  const char *greatest;
  const char *below;
  const char *above;
} integers[] = {
  { SHM_DTYPE_BOOL, "b1", 1, "b", "false", "true", "-1", "2" },
  { SHM_DTYPE_I1, "i1", 1, "n", "int16 -128", "int16 127", "-129", "128" },
  { SHM_DTYPE_I2, "i2", 2, "n", "int16 -32768", "int16 32767", "-32769", "32768" },
  { SHM_DTYPE_I4, "i4", 4, "i", "-2147483648", "2147483647", "int64 -2147483649",
    "int64 2147483648" },
  { SHM_DTYPE_I8, "i8", 8, "x", "int64 -9223372036854775808", "int64 9223372036854775807",
    "-9223372036854777856.0", "uint64 9223372036854775808" },
  { SHM_DTYPE_U1, "u1", 1, "y", "byte 0", "byte 255", "-1", "300" },
  { SHM_DTYPE_U2, "u2", 2, "q", "uint16 0", "uint16 65535", "-1", "65536" },
  { SHM_DTYPE_U4, "u4", 4, "u", "uint32 0", "uint32 4294967295", "-1", "uint64 4294967296" },
  { SHM_DTYPE_U8, "u8", 8, "t", "uint64 0", "uint64 18446744073709551615", "-1",
    "18446744073709551616.0" },
};

static GVariant *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  GVariant *value = g_variant_parse (NULL, text, NULL, NULL, &error);

  g_assert_no_error (error);
  return value;
}

/* Consumes @value, floating or not. */
static void
check_set_fails (ShmArray *array, const gsize *index, GVariant *value, const char *part)
{
  g_autoptr (GVariant) sunk = g_variant_take_ref (value);
  g_autoptr (GVariant) before = shm_array_get_value (array, index, 1, NULL);
  g_autoptr (GVariant) after = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_false (shm_array_set_value (array, index, 1, sunk, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, part));
  g_assert_nonnull (strstr (error->message, shm_dtype_to_string (shm_array_get_dtype (array))));
  after = shm_array_get_value (array, index, 1, NULL);
  g_assert_cmpvariant (before, after);
}

static void
check_round_trip (ShmArray *array, const gsize *index, const char *text)
{
  g_autoptr (GVariant) value = parse (text);
  g_autoptr (GVariant) actual = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (shm_array_set_value (array, index, 1, value, &error));
  g_assert_no_error (error);
  actual = shm_array_get_value (array, index, 1, &error);
  g_assert_no_error (error);
  g_assert_false (g_variant_is_floating (actual));
  g_assert_cmpvariant (actual, value);
}

static void
test_integer_values (void)
{
  const gsize shape[] = { 4 };
  const gsize one[] = { 1 };
  const char *ones[] = { "true",     "byte 1",  "int16 1",  "uint16 1", "1",
                         "uint32 1", "int64 1", "uint64 1", "1.0",      "(1.0, 0.0)" };

  for (gsize i = 0; i < G_N_ELEMENTS (integers); i++)
    {
      g_autoptr (ShmArray) array = test_new_array (integers[i].dtype, 1, shape);
      g_autoptr (GVariant) first = NULL;
      const gsize zero[] = { 0 };

      g_assert_cmpstr (shm_dtype_to_string (integers[i].dtype), ==, integers[i].name);
      g_assert_cmpuint (shm_dtype_get_size (integers[i].dtype), ==, integers[i].size);
      check_round_trip (array, one, integers[i].least);
      check_round_trip (array, one, integers[i].greatest);
      first = shm_array_get_value (array, zero, 1, NULL);
      g_assert_cmpstr (g_variant_get_type_string (first), ==, integers[i].type);

      check_set_fails (array, one, parse (integers[i].below), "-");
      check_set_fails (array, one, parse (integers[i].above), "does not fit");
      check_set_fails (array, one, g_variant_new_double (2.5), "2.5");
      check_set_fails (array, one, g_variant_new_double (-0.5), "-0.5");
      check_set_fails (array, one, g_variant_new_double (1e30), "1e+30");
      check_set_fails (array, one, g_variant_new_double (INFINITY), "inf");
      check_set_fails (array, one, g_variant_new_double (NAN), "nan");
      check_set_fails (array, one, g_variant_new ("(dd)", 1.0, 2.0), "(1, 2)");
      check_set_fails (array, one, g_variant_new_string ("1"), "“s”");

      for (gsize j = 0; j < G_N_ELEMENTS (ones); j++)
        {
          g_autoptr (GVariant) value = parse (ones[j]);
          g_autoptr (GError) error = NULL;

          g_assert_true (shm_array_set_int64 (array, one, 1, 0, &error));
          g_assert_true (shm_array_set_value (array, one, 1, value, &error));
          g_assert_no_error (error);
          g_assert_cmpint (shm_array_get_int64 (array, one, 1, &error), ==, 1);
          g_assert_cmpfloat (shm_array_get_double (array, one, 1, &error), ==, 1.0);
          g_assert_no_error (error);
        }
      g_assert_cmpint (shm_array_get_int64 (array, zero, 1, NULL), ==, 0);
    }
}

static void
test_wide_integers (void)
{
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_U8, 0, NULL);
  g_autoptr (ShmArray) truth = test_new_array (SHM_DTYPE_BOOL, 0, NULL);
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (shm_array_set_value (array, NULL, 0, g_variant_new_uint64 (G_MAXUINT64), &error));
  g_assert_cmpfloat (shm_array_get_double (array, NULL, 0, &error), ==, 0x1p64);
  g_assert_no_error (error);
  g_assert_cmpint (shm_array_get_int64 (array, NULL, 0, &error), ==, 0);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "18446744073709551615"));
  g_clear_error (&error);
  g_assert_false (shm_array_set_int64 (array, NULL, 0, -1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);

  /* a truth value that was written as a byte */
  *(guint8 *) shm_array_get_data (truth) = 7;
  value = shm_array_get_value (truth, NULL, 0, NULL);
  g_assert_true (g_variant_get_boolean (value));
  g_assert_cmpint (shm_array_get_int64 (truth, NULL, 0, NULL), ==, 1);
}

static void
test_real_values (void)
{
  const ShmDtype dtypes[] = { SHM_DTYPE_F4, SHM_DTYPE_F8 };
  const gsize shape[] = { 3 };
  const gsize one[] = { 1 };

  for (gsize i = 0; i < G_N_ELEMENTS (dtypes); i++)
    {
      g_autoptr (ShmArray) array = test_new_array (dtypes[i], 1, shape);
      g_autoptr (GError) error = NULL;

      check_round_trip (array, one, "-2.5");
      check_round_trip (array, one, "0.0");
      g_assert_true (shm_array_set_double (array, one, 1, INFINITY, &error));
      g_assert_true (isinf (shm_array_get_double (array, one, 1, &error)));
      g_assert_cmpint (shm_array_get_int64 (array, one, 1, &error), ==, 0);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      g_assert_true (shm_array_set_double (array, one, 1, NAN, &error));
      g_assert_true (isnan (shm_array_get_double (array, one, 1, &error)));
      g_assert_true (shm_array_set_int64 (array, one, 1, -7, &error));
      g_assert_cmpint (shm_array_get_int64 (array, one, 1, &error), ==, -7);
      g_assert_true (shm_array_set_double (array, one, 1, 0.1, &error));
      g_assert_cmpfloat_with_epsilon (shm_array_get_double (array, one, 1, &error), 0.1, 1e-7);
      g_assert_no_error (error);
      shm_array_get_int64 (array, one, 1, &error);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);

      check_set_fails (array, one, g_variant_new ("(dd)", 1.0, 2.0), "(1, 2)");
      check_set_fails (array, one, g_variant_new_string ("1"), "“s”");
      if (dtypes[i] == SHM_DTYPE_F4)
        check_set_fails (array, one, g_variant_new_double (1e300), "1e+300");
    }
}

static void
test_complex_values (void)
{
  const ShmDtype dtypes[] = { SHM_DTYPE_C8, SHM_DTYPE_C16 };
  const gsize shape[] = { 3 };
  const gsize one[] = { 1 };

  for (gsize i = 0; i < G_N_ELEMENTS (dtypes); i++)
    {
      g_autoptr (ShmArray) array = test_new_array (dtypes[i], 1, shape);
      g_autoptr (GVariant) value = NULL;
      g_autoptr (GError) error = NULL;
      double real, imag;

      check_round_trip (array, one, "(-2.5, 4.0)");
      shm_array_get_double (array, one, 1, &error);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      shm_array_get_int64 (array, one, 1, &error);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      g_assert_true (shm_array_set_double (array, one, 1, 1.5, &error));
      g_assert_no_error (error);
      value = shm_array_get_value (array, one, 1, &error);
      g_variant_get (value, "(dd)", &real, &imag);
      g_assert_cmpfloat (real, ==, 1.5);
      g_assert_cmpfloat (imag, ==, 0.0);
      if (dtypes[i] == SHM_DTYPE_C8)
        check_set_fails (array, one, g_variant_new ("(dd)", 0.0, 1e300), "1e+300");
    }
}

static void
test_record_values (void)
{
  const gsize shape[] = { 3 };
  const gsize one[] = { 1 };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array =
      shm_array_new_full (SHM_DTYPE_RECORD, 5, shape, 1, SHM_ARRAY_FLAGS_NONE, &error);
  g_autoptr (GVariant) item = parse ("[byte 9, 8, 7, 6, 5]");
  g_autoptr (GVariant) short_item = NULL;

  g_assert_no_error (error);
  check_round_trip (array, one, "[byte 1, 2, 3, 4, 5]");
  check_set_fails (array, one, g_variant_new_int32 (1), "“i”");
  g_assert_cmpmem (shm_array_get_data (array), 15, "\0\0\0\0\0\1\2\3\4\5\0\0\0\0\0", 15);

  short_item = parse ("[byte 1, 2, 3, 4]");
  g_assert_false (shm_array_set_value (array, one, 1, short_item, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "5"));
  g_assert_nonnull (strstr (error->message, "4"));
  g_clear_error (&error);
  shm_array_get_double (array, one, 1, &error);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (shm_array_set_int64 (array, one, 1, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);

  g_assert_true (shm_array_fill (array, item, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (shm_array_get_data (array), 15, "\11\10\7\6\5\11\10\7\6\5\11\10\7\6\5", 15);
}

static void
test_bounds (void)
{
  const gsize shape[] = { 2, 3 };
  const gsize bad[][2] = { { 2, 0 }, { 0, 3 }, { G_MAXSIZE, 0 }, { 0, G_MAXSIZE } };
  const gsize good[] = { 1, 2, 0 };
  const gsize none[] = { 0 };
  g_autoptr (ShmArray) array = test_new_range (2, shape);
  g_autoptr (ShmArray) empty = test_new_array (SHM_DTYPE_F8, 1, none);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (shm_array_get_int64 (array, good, 2, &error), ==, 5);
  g_assert_no_error (error);
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_cmpfloat (shm_array_get_double (array, bad[i], 2, &error), ==, 0.0);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
      g_clear_error (&error);
      g_assert_false (shm_array_set_double (array, bad[i], 2, 1.0, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
      g_clear_error (&error);
      g_assert_null (shm_array_get_value (array, bad[i], 2, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
      g_clear_error (&error);
      g_assert_false (shm_array_set_value (array, bad[i], 2, g_variant_new_int32 (1), &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
      g_clear_error (&error);
    }
  shm_array_get_int64 (array, bad[1], 2, &error);
  g_assert_cmpstr (error->message, ==, "Index 3 is out of bounds for axis 1 of length 3");
  g_clear_error (&error);
  for (gsize n = 0; n <= 3; n++)
    {
      if (n == 2)
        continue;
      shm_array_get_int64 (array, good, n, &error);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
      g_clear_error (&error);
    }
  shm_array_get_double (empty, none, 1, &error);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
}

int
main (int argc, char **argv)
{
  g_setenv ("LC_ALL", "C", TRUE);
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/array/values/integers", test_integer_values);
  g_test_add_func ("/array/values/wide-integers", test_wide_integers);
  g_test_add_func ("/array/values/reals", test_real_values);
  g_test_add_func ("/array/values/complex", test_complex_values);
  g_test_add_func ("/array/values/records", test_record_values);
  g_test_add_func ("/array/bounds", test_bounds);

  return g_test_run ();
}
