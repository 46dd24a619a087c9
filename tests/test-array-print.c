/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <locale.h>
#include <string.h>

/* What numpy.array2string (array, floatmode='unique') makes, from numpy 1.24. */
static const struct
{
  ShmDtype dtype;
  gsize n_dims;
  gsize shape[4];
  const char *values;
  const char *text;
} cases[] = {
  { SHM_DTYPE_BOOL, 1, { 4 }, "@ab [true, false, true, true]", "[ True False  True  True]" },
  { SHM_DTYPE_BOOL, 0, { 0 }, "@ab [true]", "True" },
  { SHM_DTYPE_I1,
    2,
    { 2, 3 },
    "@ax [-128, 0, 127, 1, -1, 10]",
    "[[-128    0  127]\n"
    " [   1   -1   10]]" },
  { SHM_DTYPE_I2, 1, { 3 }, "@ax [-32768, 0, 32767]", "[-32768      0  32767]" },
  { SHM_DTYPE_I4,
    3,
    { 2, 2, 2 },
    "@ax [1, 2, 3, 4, 5, 6, -7, 800]",
    "[[[  1   2]\n"
    "  [  3   4]]\n"
    "\n"
    " [[  5   6]\n"
    "  [ -7 800]]]" },
  { SHM_DTYPE_I8,
    1,
    { 2 },
    "@ax [-9223372036854775808, 9223372036854775807]",
    "[-9223372036854775808  9223372036854775807]" },
  { SHM_DTYPE_U1, 1, { 3 }, "@at [0, 7, 255]", "[  0   7 255]" },
  { SHM_DTYPE_U2,
    2,
    { 2, 1 },
    "@at [65535, 1]",
    "[[65535]\n"
    " [    1]]" },
  { SHM_DTYPE_U4, 0, { 0 }, "@at [4294967295]", "4294967295" },
  { SHM_DTYPE_U8,
    1,
    { 2 },
    "@at [0, 18446744073709551615]",
    "[                   0 18446744073709551615]" },
  { SHM_DTYPE_F4,
    1,
    { 4 },
    "@ad [0.10000000149011612, 0.3333333432674408, 16777216.0, -2.5]",
    "[ 1.0000000e-01  3.3333334e-01  1.6777216e+07 -2.5000000e+00]" },
  { SHM_DTYPE_F4,
    1,
    { 3 },
    "@ad [95250568.0, 1.0, 0.0]",
    "[9.525057e+07 1.000000e+00 0.000000e+00]" },
  { SHM_DTYPE_F4,
    1,
    { 2 },
    "@ad [3.4028234663852886e+38, 1.401298464324817e-45]",
    "[3.4028235e+38 1.4012985e-45]" },
  { SHM_DTYPE_F8, 0, { 0 }, "@ad [0.1]", "0.1" },
  { SHM_DTYPE_F8, 1, { 3 }, "@ad [1.0, 2.0, 3.0]", "[1. 2. 3.]" },
  { SHM_DTYPE_F8,
    1,
    { 4 },
    "@ad [0.1, 0.2, 0.30000000000000004, -1.0]",
    "[ 0.1                  0.2                  0.30000000000000004\n"
    " -1.                 ]" },
  { SHM_DTYPE_F8,
    1,
    { 3 },
    "@ad [10000000000.0, 0.1, 0.3333333333333333]",
    "[1.000000000000000e+10 1.000000000000000e-01 3.333333333333333e-01]" },
  { SHM_DTYPE_F8, 1, { 3 }, "@ad [1e-05, 0.0, -0.0]", "[ 1.e-05  0.e+00 -0.e+00]" },
  { SHM_DTYPE_F8,
    1,
    { 3 },
    "@ad [2.2250738585072014e-308, 1.7976931348623157e+308, 1.0]",
    "[2.2250738585072014e-308 1.7976931348623157e+308 1.0000000000000000e+000]" },
  { SHM_DTYPE_F8,
    1,
    { 2 },
    "@ad [5.684341886080802e-14, 7.120236347223045e-307]",
    "[5.684341886080802e-014 7.120236347223045e-307]" },
  { SHM_DTYPE_F8,
    2,
    { 2, 3 },
    "@ad [1.5, nan, inf, -inf, -0.25, 1000.0]",
    "[[ 1.5e+00      nan      inf]\n"
    " [    -inf -2.5e-01  1.0e+03]]" },
  { SHM_DTYPE_F8, 1, { 3 }, "@ad [nan, nan, nan]", "[nan nan nan]" },
  { SHM_DTYPE_F8, 1, { 2 }, "@ad [nan, -inf]", "[ nan -inf]" },
  { SHM_DTYPE_F8, 1, { 2 }, "@ad [100000000.0, 99999999.0]", "[1.0000000e+08 9.9999999e+07]" },
  { SHM_DTYPE_F8,
    1,
    { 16 },
    "@ad [0.0, 0.1, 0.2, 0.30000000000000004, 0.4, 0.5, 0.6000000000000001, "
    "0.7000000000000001, 0.8, 0.9, 1.0, 1.1, 1.2000000000000002, 1.3, 1.4000000000000001, "
    "1.5]",
    "[0.                  0.1                 0.2\n"
    " 0.30000000000000004 0.4                 0.5\n"
    " 0.6000000000000001  0.7000000000000001  0.8\n"
    " 0.9                 1.                  1.1\n"
    " 1.2000000000000002  1.3                 1.4000000000000001\n"
    " 1.5                ]" },
  { SHM_DTYPE_C8,
    1,
    { 2 },
    "@a(dd) [(1.0, 2.0), (-0.10000000149011612, -0.3333333432674408)]",
    "[ 1. +2.j         -0.1-0.33333334j]" },
  { SHM_DTYPE_C16,
    2,
    { 2, 2 },
    "@a(dd) [(1.0, 2.0), (0.5, 0.0), (-0.0, -10000000000.0), (3.0, 0.0)]",
    "[[ 1. +2.e+00j  0.5+0.e+00j]\n"
    " [-0. -1.e+10j  3. +0.e+00j]]" },
  { SHM_DTYPE_C16,
    1,
    { 3 },
    "@a(dd) [(nan, inf), (-inf, nan), (1.0, -1.0)]",
    "[ nan+infj -inf+nanj   1. -1.j]" },
  { SHM_DTYPE_C16, 0, { 0 }, "@a(dd) [(1.5, -2.0)]", "1.5-2.j" },
  { SHM_DTYPE_F8, 3, { 2, 0, 3 }, "@ad []", "[]" },
  { SHM_DTYPE_I4, 4, { 1, 1, 1, 1 }, "@ax [5]", "[[[[5]]]]" },
  { SHM_DTYPE_I4,
    4,
    { 2, 1, 2, 2 },
    "@ax [0, 1, 2, 3, 4, 5, 6, 7]",
    "[[[[0 1]\n"
    "   [2 3]]]\n"
    "\n"
    "\n"
    " [[[4 5]\n"
    "   [6 7]]]]" },
};

/* The same for integers that count up from 0. */
static const struct
{
  gsize n_dims;
  gsize shape[4];
  const char *text;
} long_cases[] = {
  { 1, { 1001 }, "[   0    1    2 ...  998  999 1000]" },
  { 2,
    { 20, 60 },
    "[[   0    1    2 ...   57   58   59]\n"
    " [  60   61   62 ...  117  118  119]\n"
    " [ 120  121  122 ...  177  178  179]\n"
    " ...\n"
    " [1020 1021 1022 ... 1077 1078 1079]\n"
    " [1080 1081 1082 ... 1137 1138 1139]\n"
    " [1140 1141 1142 ... 1197 1198 1199]]" },
  { 4,
    { 2, 1, 7, 80 },
    "[[[[   0    1    2 ...   77   78   79]\n"
    "   [  80   81   82 ...  157  158  159]\n"
    "   [ 160  161  162 ...  237  238  239]\n"
    "   ...\n"
    "   [ 320  321  322 ...  397  398  399]\n"
    "   [ 400  401  402 ...  477  478  479]\n"
    "   [ 480  481  482 ...  557  558  559]]]\n"
    "\n"
    "\n"
    " [[[ 560  561  562 ...  637  638  639]\n"
    "   [ 640  641  642 ...  717  718  719]\n"
    "   [ 720  721  722 ...  797  798  799]\n"
    "   ...\n"
    "   [ 880  881  882 ...  957  958  959]\n"
    "   [ 960  961  962 ... 1037 1038 1039]\n"
    "   [1040 1041 1042 ... 1117 1118 1119]]]]" },
};

static ShmArray *
new_array_of (ShmDtype dtype, gsize n_dims, const gsize *shape, const char *values)
{
  ShmArray *array = test_new_array (dtype, n_dims, shape);
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) items = g_variant_parse (NULL, values, NULL, NULL, &error);
  const gsize n = shm_array_get_n_elements (array);
  g_autoptr (ShmArray) flat = NULL;

  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_n_children (items), ==, n);
  flat = shm_array_ravel (array, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) item = g_variant_get_child_value (items, i);

      g_assert_true (shm_array_set_value (flat, &i, 1, item, &error));
      g_assert_no_error (error);
    }
  return array;
}

static void
check_text (ShmArray *array, const char *expected)
{
  g_autofree char *text = shm_array_to_string (array);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_cases (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (ShmArray) array =
          new_array_of (cases[i].dtype, cases[i].n_dims, cases[i].shape, cases[i].values);

      check_text (array, cases[i].text);
    }
}

static void
test_long (void)
{
  const gsize most[] = { 1000 };
  g_autoptr (ShmArray) array = test_new_range (1, most);
  g_autofree char *text = shm_array_to_string (array);

  for (gsize i = 0; i < G_N_ELEMENTS (long_cases); i++)
    {
      g_autoptr (ShmArray) abridged = test_new_range (long_cases[i].n_dims, long_cases[i].shape);

      check_text (abridged, long_cases[i].text);
    }

  /* A thousand items are all there. */
  g_assert_cmpuint (strlen (text), ==, 4056);
  g_assert_null (strstr (text, "..."));
  g_assert_nonnull (strstr (text, " 499 "));
  g_assert_true (g_str_has_suffix (text, " 999]"));
}

static void
test_views (void)
{
  const gsize shape[] = { 3, 4 };
  g_autoptr (ShmArray) array = test_new_range (2, shape);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) part = shm_array_slice (array, 1, G_MAXINT64, G_MININT64, -2, &error);
  g_autoptr (ShmArray) turned = shm_array_transpose (part, NULL, 0, &error);

  g_assert_no_error (error);
  check_text (part, "[[ 3  1]\n [ 7  5]\n [11  9]]");
  check_text (turned, "[[ 3  7 11]\n [ 1  5  9]]");
  shm_array_close (part);
  check_text (part, "closed");
  check_text (turned, "[[ 3  7 11]\n [ 1  5  9]]");
}

typedef struct
{
  guint32 id;
  double position[2][2];
  guint8 flag;
  float value[2];
  guint8 raw[3];
} Record;

static void
test_records (void)
{
  const gsize shape[] = { 3 };
  const gsize two_by_two[] = { 2, 2 };
  const gsize bytes_shape[] = { 2 };
  const Record records[] = {
    { .id = 1, .flag = 1, .value = { 1, 0 }, .raw = { 0, 0xab, 0x7f } },
    { .id = 20,
      .position = { { 1, 2 }, { 3, -0.5 } },
      .value = { 2, -1 },
      .raw = { 0, 0xab, 0x7f } },
    { .id = 300, .flag = 1, .value = { -0.0f, -3.25f }, .raw = { 0, 0xab, 0x7f } },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = shm_array_new_full (SHM_DTYPE_RECORD, sizeof (Record), shape, 1,
                                                   SHM_ARRAY_FLAGS_NONE, &error);
  g_autoptr (ShmArray) bytes =
      shm_array_new_full (SHM_DTYPE_RECORD, 3, bytes_shape, 1, SHM_ARRAY_FLAGS_NONE, &error);
  g_autoptr (ShmArray) numbers =
      shm_array_new_full (SHM_DTYPE_RECORD, 8, bytes_shape, 1, SHM_ARRAY_FLAGS_NONE, &error);
  g_autoptr (ShmArray) one = NULL;

  g_assert_no_error (error);
  memcpy (shm_array_get_data (bytes),
          "\x00\x01\xfe"
          "a \n",
          6);
  check_text (bytes, "[b'\\x00\\x01\\xFE' b'\\x61\\x20\\x0A']");

  g_assert_true (shm_array_add_field (numbers, "x", SHM_DTYPE_F8, 0, 0, NULL, 0, &error));
  check_text (numbers, "[(0.,) (0.,)]");

  memcpy (shm_array_get_data (array), records, sizeof (records));
  shm_array_add_field (array, "id", SHM_DTYPE_U4, 0, G_STRUCT_OFFSET (Record, id), NULL, 0, &error);
  shm_array_add_field (array, "position", SHM_DTYPE_F8, 0, G_STRUCT_OFFSET (Record, position),
                       two_by_two, 2, &error);
  shm_array_add_field (array, "flag", SHM_DTYPE_BOOL, 0, G_STRUCT_OFFSET (Record, flag), NULL, 0,
                       &error);
  shm_array_add_field (array, "value", SHM_DTYPE_C8, 0, G_STRUCT_OFFSET (Record, value), NULL, 0,
                       &error);
  shm_array_add_field (array, "raw", SHM_DTYPE_RECORD, 3, G_STRUCT_OFFSET (Record, raw), NULL, 0,
                       &error);
  g_assert_no_error (error);
  check_text (array, "[(  1, [[ 0. ,  0. ], [ 0. ,  0. ]],  True,  1.+0.j  , b'\\x00\\xAB\\x7F')\n"
                     " ( 20, [[ 1. ,  2. ], [ 3. , -0.5]], False,  2.-1.j  , b'\\x00\\xAB\\x7F')\n"
                     " (300, [[ 0. ,  0. ], [ 0. ,  0. ]],  True, -0.-3.25j, b'\\x00\\xAB\\x7F')]");
  one = shm_array_index (array, 0, 1, &error);
  g_assert_no_error (error);
  check_text (one, "(20, [[ 1. ,  2. ], [ 3. , -0.5]], False, 2.-1.j, b'\\x00\\xAB\\x7F')");
}

/* A locale with a decimal comma, where the system has one. */
static void
test_locale (void)
{
  const gsize shape[] = { 2 };
  g_autofree char *before = g_strdup (setlocale (LC_ALL, NULL));
  g_autoptr (ShmArray) array = new_array_of (SHM_DTYPE_F8, 1, shape, "[0.5, 1e10]");

  if (setlocale (LC_ALL, "de_DE.UTF-8") == NULL)
    {
      g_test_skip ("no locale de_DE.UTF-8");
      return;
    }
  check_text (array, "[5.e-01 1.e+10]");
  setlocale (LC_ALL, before);
}

/* Whatever is printed reads back as the same number. */
static void
test_round_trip (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (20240301);
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_F8, 0, NULL);
  g_autoptr (ShmArray) single = test_new_array (SHM_DTYPE_F4, 0, NULL);
  const guint n = test_scale (4000);

  for (guint i = 0; i < n; i++)
    {
      double *value = shm_array_get_data (array);
      float *value_single = shm_array_get_data (single);
      g_autofree char *text = NULL;
      g_autofree char *text_single = NULL;
      guint64 bits = (guint64) g_rand_int (rand) << 32 | g_rand_int (rand);

      if (i % 4 == 0)
        bits &= G_GUINT64_CONSTANT (0x7ff) << 52;
      memcpy (value, &bits, sizeof (bits));
      *value_single = (float) g_rand_double_range (rand, -1e9, 1e9);
      text = shm_array_to_string (array);
      text_single = shm_array_to_string (single);
      if (*value == *value)
        g_assert_cmpfloat (g_ascii_strtod (text, NULL), ==, *value);
      g_assert_cmpfloat ((float) g_ascii_strtod (text_single, NULL), ==, *value_single);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/array/print/types", test_cases);
  test_add ("/array/print/long", test_long);
  test_add ("/array/print/views", test_views);
  test_add ("/array/print/records", test_records);
  test_add ("/array/print/locale", test_locale);
  test_add ("/array/print/round-trip", test_round_trip);

  return g_test_run ();
}
