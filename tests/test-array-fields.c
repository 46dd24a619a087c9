/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <string.h>

/* A field of every type, and some with axes of their own. */
typedef struct
{
  guint8 b1;
  gint8 i1;
  gint16 i2;
  gint32 i4;
  gint64 i8;
  guint8 u1;
  guint16 u2;
  guint32 u4;
  guint64 u8;
  float f4;
  double f8;
  float c8[2];
  double c16[2];
  guint8 bytes[5];
  double matrix[2][3];
} Record;

#define FIELD(name, dtype)                                                                         \
  {                                                                                                \
#name, dtype, G_STRUCT_OFFSET(Record, name)                                                    \
  }

static const struct
{
  const char *name;
  ShmDtype dtype;
  gsize offset;
} fields[] = {
  FIELD (b1, SHM_DTYPE_BOOL), FIELD (i1, SHM_DTYPE_I1), FIELD (i2, SHM_DTYPE_I2),
  FIELD (i4, SHM_DTYPE_I4),   FIELD (i8, SHM_DTYPE_I8), FIELD (u1, SHM_DTYPE_U1),
  FIELD (u2, SHM_DTYPE_U2),   FIELD (u4, SHM_DTYPE_U4), FIELD (u8, SHM_DTYPE_U8),
  FIELD (f4, SHM_DTYPE_F4),   FIELD (f8, SHM_DTYPE_F8), FIELD (c8, SHM_DTYPE_C8),
  FIELD (c16, SHM_DTYPE_C16),
};

static const gsize matrix_shape[] = { 2, 3 };

static ShmArray *
new_records (gsize n_dims, const gsize *shape)
{
  g_autoptr (GError) error = NULL;
  ShmArray *array = shm_array_new_full (SHM_DTYPE_RECORD, sizeof (Record), shape, n_dims,
                                        SHM_ARRAY_FLAGS_NONE, &error);

  g_assert_no_error (error);
  for (gsize i = 0; i < G_N_ELEMENTS (fields); i++)
    g_assert_true (shm_array_add_field (array, fields[i].name, fields[i].dtype, 0, fields[i].offset,
                                        NULL, 0, &error));
  g_assert_true (shm_array_add_field (array, "bytes", SHM_DTYPE_RECORD, 5,
                                      G_STRUCT_OFFSET (Record, bytes), NULL, 0, &error));
  g_assert_true (shm_array_add_field (array, "matrix", SHM_DTYPE_F8, 8,
                                      G_STRUCT_OFFSET (Record, matrix), matrix_shape, 2, &error));
  g_assert_no_error (error);
  return array;
}

static void
fill_record (Record *record, guint n)
{
  record->b1 = n % 2;
  record->i1 = (gint8) - (gint) n;
  record->i2 = (gint16) (-100 * (gint) n);
  record->i4 = -100000 * (gint) n;
  record->i8 = G_GINT64_CONSTANT (-10000000000) * n;
  record->u1 = (guint8) n;
  record->u2 = (guint16) (100 * n);
  record->u4 = 100000 * n;
  record->u8 = G_GUINT64_CONSTANT (10000000000) * n;
  record->f4 = 0.5f * (float) n;
  record->f8 = 0.25 * n;
  record->c8[0] = (float) n;
  record->c8[1] = -(float) n;
  record->c16[0] = n;
  record->c16[1] = -2.0 * n;
  memset (record->bytes, (int) n, sizeof (record->bytes));
  for (gsize i = 0; i < 6; i++)
    record->matrix[i / 3][i % 3] = 10.0 * n + (double) i;
}

static void
check_value (ShmArray *records, const char *name, const gsize *index, gsize n, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) field = shm_array_get_field (records, name, &error);
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GVariant) expected = NULL;

  g_assert_no_error (error);
  value = shm_array_get_value (field, index, n, &error);
  g_assert_no_error (error);
  expected = g_variant_parse (g_variant_get_type (value), text, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpvariant (value, expected);
}

static void
check_record (ShmArray *records, const gsize *index, gsize n_index)
{
  const gsize place[] = { index[0], index[1], 1, 2 };

  g_assert_cmpuint (n_index, ==, 2);
  check_value (records, "b1", index, 2, "true");
  check_value (records, "i1", index, 2, "-7");
  check_value (records, "i2", index, 2, "-700");
  check_value (records, "i4", index, 2, "-700000");
  check_value (records, "i8", index, 2, "-70000000000");
  check_value (records, "u1", index, 2, "7");
  check_value (records, "u2", index, 2, "700");
  check_value (records, "u4", index, 2, "700000");
  check_value (records, "u8", index, 2, "70000000000");
  check_value (records, "f4", index, 2, "3.5");
  check_value (records, "f8", index, 2, "1.75");
  check_value (records, "c8", index, 2, "(7, -7)");
  check_value (records, "c16", index, 2, "(7, -14)");
  check_value (records, "bytes", index, 2, "[7, 7, 7, 7, 7]");
  check_value (records, "matrix", place, 4, "75");
}

static void
test_views (void)
{
  const gsize shape[] = { 3, 4 };
  const gsize at[] = { 1, 3 };
  const gsize at_turned[] = { 0, 1 };
  g_autoptr (ShmArray) array = new_records (2, shape);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) backwards = shm_array_slice (array, 1, -1, G_MININT64, -1, &error);
  g_autoptr (ShmArray) turned = shm_array_transpose (backwards, NULL, 0, &error);
  g_autoptr (ShmArray) copy = NULL;
  g_autoptr (ShmArray) like = NULL;
  g_autoptr (ShmArray) matrix = NULL;
  g_autoptr (ShmArray) all = NULL;
  const gssize *strides;
  Record *records = shm_array_get_data (array);

  g_assert_no_error (error);
  for (guint i = 0; i < 12; i++)
    fill_record (&records[i], i);
  check_record (array, at, 2);
  check_record (turned, at_turned, 2);
  copy = shm_array_new_copy (turned, &error);
  g_assert_no_error (error);
  check_record (copy, at_turned, 2);

  matrix = shm_array_get_field (turned, "matrix", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (shm_array_get_n_dims (matrix), ==, 4);
  strides = shm_array_get_strides (matrix, NULL);
  g_assert_cmpint (strides[0], ==, -(gssize) sizeof (Record));
  g_assert_cmpint (strides[1], ==, 4 * (gssize) sizeof (Record));
  g_assert_cmpint (strides[2], ==, 24);
  g_assert_cmpint (strides[3], ==, 8);
  g_assert_false (shm_array_is_contiguous (matrix));
  g_assert_cmpuint (shm_array_get_n_bytes (matrix), ==, 12 * 48);

  /* the view holds the memory, and writes into it */
  shm_array_close (turned);
  shm_array_close (backwards);
  g_assert_true (shm_array_fill (matrix, g_variant_new_double (-1.0), &error));
  for (guint i = 0; i < 12; i++)
    {
      Record expected = { .b1 = 0 };

      fill_record (&expected, i);
      for (gsize j = 0; j < 6; j++)
        g_assert_cmpfloat (records[i].matrix[j / 3][j % 3], ==, -1.0);
      g_assert_cmpmem (records[i].bytes, 5, expected.bytes, 5);
      g_assert_cmpfloat (records[i].c16[1], ==, expected.c16[1]);
    }

  like = shm_array_new_like (array, &error);
  g_assert_no_error (error);
  {
    g_auto (GStrv) names = shm_array_list_fields (like);

    g_assert_cmpuint (g_strv_length (names), ==, G_N_ELEMENTS (fields) + 2);
    g_assert_cmpstr (names[0], ==, "b1");
    g_assert_cmpstr (names[G_N_ELEMENTS (fields) + 1], ==, "matrix");
  }
  g_assert_null (shm_array_get_field (turned, "matrix", &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
}

static void
test_lookup (void)
{
  g_autoptr (ShmArray) array = new_records (0, NULL);
  g_autoptr (ShmArray) plain = test_new_array (SHM_DTYPE_F8, 0, NULL);
  g_auto (GStrv) none = shm_array_list_fields (plain);
  ShmDtype dtype;
  gsize item_size, offset, n_dims;
  const gsize *shape;

  g_assert_true (
      shm_array_lookup_field (array, "matrix", &dtype, &item_size, &offset, &shape, &n_dims));
  g_assert_cmpint (dtype, ==, SHM_DTYPE_F8);
  g_assert_cmpuint (item_size, ==, 8);
  g_assert_cmpuint (offset, ==, G_STRUCT_OFFSET (Record, matrix));
  g_assert_cmpmem (shape, n_dims * sizeof (gsize), matrix_shape, sizeof (matrix_shape));
  g_assert_true (shm_array_lookup_field (array, "bytes", NULL, &item_size, NULL, NULL, &n_dims));
  g_assert_cmpuint (item_size, ==, 5);
  g_assert_cmpuint (n_dims, ==, 0);
  g_assert_false (shm_array_lookup_field (array, "nothing", &dtype, NULL, NULL, NULL, NULL));
  g_assert_false (shm_array_lookup_field (plain, "f8", NULL, NULL, NULL, NULL, NULL));
  g_assert_cmpuint (g_strv_length (none), ==, 0);
}

static void
check_add_fails (ShmArray *array,
                 const char *name,
                 ShmDtype dtype,
                 gsize item_size,
                 gsize offset,
                 const gsize *shape,
                 gsize n_dims,
                 ShmError code)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (
      shm_array_add_field (array, name, dtype, item_size, offset, shape, n_dims, &error));
  g_assert_error (error, SHM_ERROR, (int) code);
}

static void
test_errors (void)
{
  const gsize shape[] = { 2 };
  const gsize two[] = { 2 };
  const gsize three[] = { 3 };
  const gsize large[] = { G_MAXSIZE, G_MAXSIZE };
  const gsize zero_and_large[] = { 0, G_MAXSIZE, G_MAXSIZE };
  const gsize none[] = { 0 };
  const gsize ones[33] = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) plain = test_new_array (SHM_DTYPE_C16, 1, shape);
  g_autoptr (ShmArray) array =
      shm_array_new_full (SHM_DTYPE_RECORD, 16, shape, 1, SHM_ARRAY_FLAGS_NONE, &error);
  g_autoptr (ShmArray) before = NULL;
  g_autoptr (ShmArray) empty = NULL;
  g_autoptr (ShmArray) field = NULL;
  const ShmError bounds = SHM_ERROR_OUT_OF_BOUNDS;
  const ShmError argument = SHM_ERROR_INVALID_ARGUMENT;

  g_assert_no_error (error);
  before = shm_array_index (array, 0, 0, &error);
  check_add_fails (array, "a", SHM_DTYPE_F8, 0, 9, NULL, 0, bounds);
  check_add_fails (array, "a", SHM_DTYPE_F8, 0, 17, NULL, 0, bounds);
  check_add_fails (array, "a", SHM_DTYPE_F8, 0, G_MAXSIZE, NULL, 0, bounds);
  check_add_fails (array, "a", SHM_DTYPE_F8, 0, 0, three, 1, bounds);
  check_add_fails (array, "a", SHM_DTYPE_F8, 0, 8, two, 1, bounds);
  check_add_fails (array, "a", SHM_DTYPE_F8, 0, 0, large, 2, bounds);
  check_add_fails (array, "a", SHM_DTYPE_F8, 0, 0, zero_and_large, 3, bounds);
  check_add_fails (array, "a", SHM_DTYPE_RECORD, 17, 0, NULL, 0, bounds);
  check_add_fails (array, "a", SHM_DTYPE_RECORD, 0, 0, NULL, 0, argument);
  check_add_fails (array, "a", SHM_DTYPE_F8, 4, 0, NULL, 0, argument);
  check_add_fails (array, "a", SHM_DTYPE_F8, 0, 0, ones, 33, argument);
  check_add_fails (array, "", SHM_DTYPE_F8, 0, 0, NULL, 0, argument);
  check_add_fails (plain, "real", SHM_DTYPE_F8, 0, 0, NULL, 0, argument);

  g_assert_true (shm_array_add_field (array, "a", SHM_DTYPE_F8, 0, 8, NULL, 0, &error));
  check_add_fails (array, "a", SHM_DTYPE_F8, 0, 0, NULL, 0, argument);
  /* a union, not aligned, and a field of nothing */
  g_assert_true (shm_array_add_field (array, "b", SHM_DTYPE_U4, 0, 9, NULL, 0, &error));
  g_assert_true (shm_array_add_field (array, "nothing", SHM_DTYPE_U4, 0, 12, none, 1, &error));
  g_assert_no_error (error);
  field = shm_array_get_field (array, "nothing", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (shm_array_get_n_elements (field), ==, 0);
  g_clear_object (&field);

  g_assert_null (shm_array_get_field (array, "c", &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "“c”"));
  g_clear_error (&error);
  /* views made before do not hear of it */
  g_assert_null (shm_array_get_field (before, "a", &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);

  empty = shm_array_slice (array, 0, 1, 1, 1, &error);
  field = shm_array_get_field (empty, "b", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (shm_array_get_n_elements (field), ==, 0);
  g_clear_object (&field);

  field = shm_array_get_field (array, "b", &error);
  g_assert_true (shm_array_fill (field, g_variant_new_uint32 (0xdeadbeef), &error));
  g_assert_no_error (error);
  g_assert_cmpmem ((guint8 *) shm_array_get_data (array) + 16 + 9, 4, shm_array_get_data (field),
                   4);
}

/* By way of a variant: every type of items, fields, no items and no axis. */
static void
test_variants (void)
{
  const gsize shape[] = { 2, 3 };
  const gsize zeros[] = { 2, 0 };
  g_autoptr (GError) error = NULL;

  for (guint dtype = SHM_DTYPE_BOOL; dtype < SHM_DTYPE_RECORD; dtype++)
    for (gsize n_dims = 0; n_dims <= 2; n_dims++)
      for (guint is_empty = 0; is_empty <= 1; is_empty++)
        {
          g_autoptr (ShmArray) array =
              test_new_array ((ShmDtype) dtype, n_dims, is_empty ? zeros : shape);
          g_autoptr (ShmArray) turned = shm_array_transpose (array, NULL, 0, &error);
          g_autoptr (GVariant) variant = NULL;
          g_autoptr (ShmArray) back = NULL;
          g_autoptr (ShmArray) copy = NULL;
          gsize n_bytes = shm_array_get_n_bytes (array);
          guint8 *bytes = shm_array_get_data (array);

          for (gsize i = 0; i < n_bytes; i++)
            bytes[i] = (guint8) (dtype == SHM_DTYPE_BOOL ? i % 2 : i);
          variant = shm_array_to_variant (turned, &error);
          g_assert_no_error (error);
          g_assert_cmpstr (g_variant_get_type_string (variant), ==, "(sata(sstat)ay)");
          g_assert_true (g_variant_is_normal_form (variant));
          back = shm_array_new_from_variant (variant, &error);
          g_assert_no_error (error);
          copy = shm_array_new_copy (turned, &error);
          g_assert_cmpint (shm_array_get_dtype (back), ==, dtype);
          g_assert_cmpmem (shm_array_get_shape (back, NULL), n_dims * sizeof (gsize),
                           shm_array_get_shape (turned, NULL), n_dims * sizeof (gsize));
          g_assert_cmpmem (shm_array_get_data (back), n_bytes, shm_array_get_data (copy), n_bytes);
        }

  {
    g_autoptr (ShmArray) records = new_records (2, shape);
    g_autoptr (GVariant) variant = NULL;
    g_autoptr (GVariant) again = NULL;
    g_autoptr (ShmArray) back = NULL;
    const gsize at[] = { 1, 0 };

    fill_record (shm_array_get_data (records), 1);
    fill_record ((Record *) shm_array_get_data (records) + 3, 7);
    variant = shm_array_to_variant (records, &error);
    g_assert_no_error (error);
    back = shm_array_new_from_variant (variant, &error);
    g_assert_no_error (error);
    check_record (back, at, 2);
    again = shm_array_to_variant (back, &error);
    g_assert_cmpvariant (again, variant);
    shm_array_close (back);
    g_assert_null (shm_array_to_variant (back, &error));
    g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  }
}

static void
test_bad_variants (void)
{
  const struct
  {
    const char *text;
    ShmError code;
  } cases[] = {
    { "'f8'", SHM_ERROR_INVALID_ARGUMENT },
    { "('f8', @at [], @at [], @ay [])", SHM_ERROR_INVALID_ARGUMENT },
    { "('f8', @at [], @a(sstat) [], @ay [1, 2, 3, 4, 5, 6, 7])", SHM_ERROR_INVALID_ARGUMENT },
    { "('f8', @at [2], @a(sstat) [], @ay [1, 2, 3, 4, 5, 6, 7, 8])", SHM_ERROR_INVALID_ARGUMENT },
    { "('x8', @at [0], @a(sstat) [], @ay [])", SHM_ERROR_INVALID_ARGUMENT },
    { "('|V0', @at [0], @a(sstat) [], @ay [])", SHM_ERROR_INVALID_ARGUMENT },
    { "('|V', @at [0], @a(sstat) [], @ay [])", SHM_ERROR_INVALID_ARGUMENT },
    { "('|V-1', @at [0], @a(sstat) [], @ay [])", SHM_ERROR_INVALID_ARGUMENT },
    { "('|V99999999999999999999', @at [0], @a(sstat) [], @ay [])", SHM_ERROR_INVALID_ARGUMENT },
    { "('u1', @at [18446744073709551615], @a(sstat) [], @ay [1])", SHM_ERROR_INVALID_ARGUMENT },
    { "('u1', @at [4294967296, 4294967296], @a(sstat) [], @ay [])", SHM_ERROR_INVALID_ARGUMENT },
    { "('u1', @at [1000000000000], @a(sstat) [], @ay [1])", SHM_ERROR_INVALID_ARGUMENT },
    { "('u1', @at [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1], "
      "@a(sstat) [], @ay [1])",
      SHM_ERROR_INVALID_ARGUMENT },
    { "('u1', @at [1], [('a', 'u1', uint64 0, @at [])], @ay [1])", SHM_ERROR_INVALID_ARGUMENT },
    { "('|V2', @at [1], [('', 'u1', uint64 0, @at [])], @ay [1, 2])", SHM_ERROR_INVALID_ARGUMENT },
    { "('|V2', @at [1], [('a', 'zz', uint64 0, @at [])], @ay [1, 2])", SHM_ERROR_INVALID_ARGUMENT },
    { "('|V2', @at [1], [('a', 'u1', uint64 2, @at [])], @ay [1, 2])", SHM_ERROR_OUT_OF_BOUNDS },
    { "('|V2', @at [1], [('a', 'u1', uint64 0, @at [3])], @ay [1, 2])", SHM_ERROR_OUT_OF_BOUNDS },
  };
  g_autoptr (GError) error = NULL;
  const char *foreign = G_BYTE_ORDER == G_LITTLE_ENDIAN ? ">f8" : "<f8";
  g_autoptr (GVariant) swapped = g_variant_ref_sink (g_variant_new (
      "(s@at@a(sstat)@ay)", foreign, g_variant_new_array (G_VARIANT_TYPE_UINT64, NULL, 0),
      g_variant_new_array (G_VARIANT_TYPE ("(sstat)"), NULL, 0),
      g_variant_new_bytestring ("1234567")));
  guint8 noise[64];

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GVariant) variant = g_variant_parse (NULL, cases[i].text, NULL, NULL, &error);

      g_assert_no_error (error);
      g_assert_null (shm_array_new_from_variant (variant, &error));
      g_assert_error (error, SHM_ERROR, (int) cases[i].code);
      g_clear_error (&error);
    }
  g_assert_null (shm_array_new_from_variant (swapped, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);

  /* bytes of no sense: an array or an error, never a crash */
  for (guint i = 0; i < test_scale (4000); i++)
    {
      g_autoptr (GVariant) variant = NULL;
      g_autoptr (ShmArray) array = NULL;

      for (gsize j = 0; j < sizeof (noise); j++)
        noise[j] = (guint8) g_test_rand_int_range (0, 256);
      if (i % 2 == 0)
        memcpy (noise, "|V2", 4);
      variant = g_variant_ref_sink (g_variant_new_from_data (
          G_VARIANT_TYPE ("(sata(sstat)ay)"), noise, sizeof (noise), FALSE, NULL, NULL));
      array = shm_array_new_from_variant (variant, NULL);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/array/fields/views", test_views);
  test_add ("/array/fields/lookup", test_lookup);
  test_add ("/array/fields/errors", test_errors);
  test_add ("/array/variant/types", test_variants);
  test_add ("/array/variant/bad", test_bad_variants);

  return g_test_run ();
}
