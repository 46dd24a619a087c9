/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-file-util.h"

#include <string.h>

#include "shmem-glib/shm-npy-private.h"

static GBytes *
new_header (guint major, const char *text, gssize length)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  gsize n = strlen (text);
  guint8 start[12] = { 0x93, 'N', 'U', 'M', 'P', 'Y', (guint8) major };
  gsize i;

  if (length < 0)
    length = (gssize) n;
  for (i = 0; i < 4; i++)
    start[8 + i] = (guint8) (length >> (8 * i));
  g_byte_array_append (bytes, start, major == 1 ? 10 : 12);
  g_byte_array_append (bytes, (const guint8 *) text, n);
  return g_byte_array_free_to_bytes (g_steal_pointer (&bytes));
}

static gboolean
parse (guint major, const char *text, ShmNpyHeader *header, GError **error)
{
  g_autoptr (GBytes) bytes = new_header (major, text, -1);
  gsize n_bytes;
  const guint8 *data = g_bytes_get_data (bytes, &n_bytes);
  g_autofree guint8 *exact = g_memdup2 (data, n_bytes);

  return shm_npy_parse (exact, n_bytes, header, error);
}

#define REST "'fortran_order': False, 'shape': (3, 4), }"
#define DESCR "{'descr': '<f8', 'fortran_order': False, 'shape': "

static void
test_good_headers (void)
{
  static const struct
  {
    const char *text;
    ShmDtype dtype;
    gsize item_size;
    gboolean is_fortran;
    gsize n_dims;
    gsize first;
  } cases[] = {
    { "{'descr': '<f8', " REST "   \n", SHM_DTYPE_F8, 8, FALSE, 2, 3 },
    { "{\"shape\":(7,),\"fortran_order\":True,\"descr\":\"|u1\"}", SHM_DTYPE_U1, 1, TRUE, 1, 7 },
    { " { 'descr' : '|V12' , 'fortran_order' : False , 'shape' : ( ) } \t\r\n", SHM_DTYPE_RECORD,
      12, FALSE, 0, 0 },
    { "{'descr': '|b1', 'fortran_order': False, 'shape': (3L, 4L)}", SHM_DTYPE_BOOL, 1, FALSE, 2,
      3 },
    { DESCR "(0, 18446744073709551615)}", SHM_DTYPE_F8, 8, FALSE, 2, 0 },
  };
  guint major;
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    for (major = 1; major <= 3; major++)
      {
        g_autoptr (GError) error = NULL;
        ShmNpyHeader header;

        parse (major, cases[i].text, &header, &error);
        g_assert_no_error (error);
        g_assert_cmpint (header.dtype, ==, cases[i].dtype);
        g_assert_cmpuint (header.item_size, ==, cases[i].item_size);
        g_assert_cmpint (header.is_fortran_order, ==, cases[i].is_fortran);
        g_assert_cmpuint (header.n_dims, ==, cases[i].n_dims);
        g_assert_cmpuint (header.shape[0], ==, cases[i].first);
        g_assert_cmpuint (header.offset, ==, strlen (cases[i].text) + (major == 1 ? 10 : 12));
      }
}

/* What is wrong, and a part of the message that says so. */
static void
test_bad_headers (void)
{
  static const char *const cases[][2] = {
    { "", "ends too early" },
    { "{", "ends too early" },
    { "{}", "lacks" },
    { "{'descr': '<f8'}", "lacks" },
    { "{'descr': '<f8", "ends too early" },
    { "{'descr': '>f8', " REST, "“>f8”" },
    { "{'descr': '<f2', " REST, "“<f2”" },
    { "{'descr': '<U5', " REST, "“<U5”" },
    { "{'descr': '<M8[ns]', " REST, "“<M8[ns]”" },
    { "{'descr': '|O', " REST, "objects" },
    { "{'descr': 'O', " REST, "objects" },
    { "{'descr': '|V0', " REST, "“|V0”" },
    { "{'descr': '|V', " REST, "“|V”" },
    { "{'descr': '|V-1', " REST, "“|V-1”" },
    { "{'descr': '|V99999999999999999999', " REST, "record" },
    { "{'descr': [('x', '<f8'), ('y', '<f8')], " REST, "structures" },
    { "{'descr': '<\\x66', " REST, "0x5c" },
    { "{'descr': '<f\xc3\xa4', " REST, "0xc3" },
    { "{'descr': 'ffffffffffffffffffffffffffffffffffffffff', " REST, "0x66" },
    { "{'descr': 5, " REST, "0x35" },
    { "{'descr': '<f8', 'descr': '<f8', " REST, "“descr”" },
    { "{'descr': '<f8', 'more': 1, " REST, "“more”" },
    { "{'descr': '<f8' " REST, "0x27" },
    { "{'descr' '<f8', " REST, "0x27" },
    { "{,}", "0x2c" },
    { "{'descr': '<f8', " REST "x", "0x78" },
    { "{'descr': '<f8', " REST " {}", "0x7b" },
    { "{'descr': '<f8', 'fortran_order': 0, 'shape': ()}", "0x30" },
    { "{'descr': '<f8', 'fortran_order': Tru", "0x54" },
    { DESCR "3}", "0x33" },
    { DESCR "(3)}", "tuple" },
    { DESCR "(3 4)}", "0x34" },
    { DESCR "(,)}", "0x2c" },
    { DESCR "(-1,)}", "negative" },
    { DESCR "(+1,)}", "0x2b" },
    { DESCR "(3, -4)}", "negative" },
    { DESCR "(3.5,)}", "0x2e" },
    { DESCR "(1_0,)}", "0x5f" },
    { DESCR "(0x10,)}", "0x78" },
    { DESCR "((3,), 4)}", "0x28" },
    { DESCR "((((((((((((((((((((((((((((((((((((((((", "0x28" },
    { DESCR "(18446744073709551616, 2)}", "too large" },
    { DESCR "(99999999999999999999999999999999999999999999999999, 2)}", "too large" },
    { DESCR "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}", "dimensions" },
    { DESCR "(3, 4)", "ends too early" },
    { DESCR "(3, 4", "ends too early" },
    { DESCR "(3, ", "ends too early" },
    { "__import__('os').system('true')", "0x5f" },
  };
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      ShmNpyHeader header;

      g_assert_false (parse (1 + i % 3, cases[i][0], &header, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      if (strstr (error->message, cases[i][1]) == NULL)
        g_error ("%s: %s", cases[i][0], error->message);
    }
}

static void
test_bad_starts (void)
{
  static const gssize lengths[] = { 500, 65535, 65536, 65537, 16777216, 4294967295 };
  static const guint8 versions[][2] = { { 0, 0 }, { 1, 1 }, { 2, 1 }, { 4, 0 }, { 255, 255 } };
  const char *text = "{'descr': '<f8', " REST;
  g_autoptr (GBytes) bytes = new_header (1, text, -1);
  gsize size, i;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  ShmNpyHeader header;
  GError *error = NULL;

  /* cut off at each byte */
  for (i = 0; i < size; i++)
    {
      g_autofree guint8 *start = g_memdup2 (data, i);

      g_assert_false (shm_npy_parse (start, i, &header, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  /* a length beyond the end, or beyond all reason */
  for (i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autoptr (GBytes) long_bytes = new_header (2, text, lengths[i]);

      data = g_bytes_get_data (long_bytes, &size);
      g_assert_false (shm_npy_parse (data, size, &header, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  for (i = 0; i < G_N_ELEMENTS (versions); i++)
    {
      g_autofree guint8 *copy = g_memdup2 (g_bytes_get_data (bytes, &size), size);

      memcpy (copy + 6, versions[i], 2);
      g_assert_false (shm_npy_parse (copy, size, &header, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, "version"));
      g_clear_error (&error);
    }
}

static void
test_format (void)
{
  gsize shape[SHM_ARRAY_MAX_DIMS];
  gsize n_dims, i;

  for (i = 0; i < G_N_ELEMENTS (shape); i++)
    shape[i] = G_MAXSIZE - i;
  for (n_dims = 0; n_dims <= SHM_ARRAY_MAX_DIMS; n_dims++)
    {
      g_autoptr (GBytes) bytes = shm_npy_format (SHM_DTYPE_C16, 16, shape, n_dims);
      g_autoptr (GError) error = NULL;
      ShmNpyHeader header;
      gsize size;
      const guint8 *data = g_bytes_get_data (bytes, &size);

      g_assert_cmpuint (size % 64, ==, 0);
      g_assert_cmpint (data[size - 1], ==, '\n');
      shm_npy_parse (data, size, &header, &error);
      g_assert_no_error (error);
      g_assert_cmpuint (header.offset, ==, size);
      g_assert_cmpint (header.dtype, ==, SHM_DTYPE_C16);
      g_assert_cmpmem (header.shape, header.n_dims * sizeof (gsize), shape,
                       n_dims * sizeof (gsize));
    }
}

static void
check_open_error (TestFile *file, ShmFileMode mode, GQuark domain, int code, const char *part)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (shm_array_new_for_npy (file->file, mode, &error));
  g_assert_error (error, domain, code);
  g_assert_nonnull (strstr (error->message, file->path));
  g_assert_nonnull (strstr (error->message, part));
}

static void
test_file_errors (void)
{
  static const struct
  {
    const char *text;
    int code;
    const char *part;
  } cases[] = {
    { "{'descr': '>f8', " REST, SHM_ERROR_INVALID_ARGUMENT, ">f8" },
    { "{'descr': '<f8', " REST "    ", SHM_ERROR_OUT_OF_BOUNDS, "too short" },
    { DESCR "(0,), }", SHM_ERROR_INVALID_ARGUMENT, "aligned" },
    { DESCR "(4294967296, 4294967296), }", SHM_ERROR_INVALID_ARGUMENT, "too large" },
    { DESCR "(0, 18446744073709551615), }", SHM_ERROR_INVALID_ARGUMENT, "too large" },
    { DESCR "(1152921504606846975,), }", SHM_ERROR_OUT_OF_BOUNDS, "too short" },
  };
  g_auto (TestFile) file = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;
  const gsize length = 3;
  gsize i;

  test_file_init (&file);
  g_assert_null (shm_array_new_for_npy (file.file, SHM_FILE_MODE_READ_ONLY, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (shm_array_new_for_npy (file.file, SHM_FILE_MODE_CREATE, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (shm_array_create_npy (file.file, SHM_FILE_MODE_READ_WRITE, SHM_DTYPE_F8, 0,
                                       &length, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  array = test_new_array (SHM_DTYPE_F8, 1, &length);
  g_assert_false (shm_array_save_npy (array, file.file, SHM_FILE_MODE_READ_ONLY, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (g_file_test (file.path, G_FILE_TEST_EXISTS));

  test_file_write (&file, "", 0);
  check_open_error (&file, SHM_FILE_MODE_READ_ONLY, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT, ".npy");
  test_file_write (&file, "PK\3\4 a file of another kind", 24);
  check_open_error (&file, SHM_FILE_MODE_READ_WRITE, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT, ".npy");
  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GBytes) bytes = new_header (1 + i % 3, cases[i].text, -1);

      test_file_write (&file, g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
      check_open_error (&file, SHM_FILE_MODE_READ_WRITE, SHM_ERROR, cases[i].code, cases[i].part);
    }

  g_assert_false (shm_array_save_npy (array, file.file, SHM_FILE_MODE_CREATE, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS);
  g_clear_error (&error);
  g_assert_true (shm_array_save_npy (array, file.file, SHM_FILE_MODE_REPLACE, &error));
  g_assert_no_error (error);
}

/* Saves views of a file to that file. */
static void
test_save_itself (void)
{
  g_auto (TestFile) file = { 0 };
  const gsize shape[] = { 3, 4 };
  const gsize corner[] = { 0, 1 };
  g_autoptr (ShmArray) source = test_new_range (2, shape);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (ShmArray) lines = NULL;
  g_autoptr (ShmArray) view = NULL;

  test_file_init (&file);
  g_assert_true (shm_array_save_npy (source, file.file, SHM_FILE_MODE_CREATE, &error));
  array = shm_array_new_for_npy (file.file, SHM_FILE_MODE_READ_WRITE, &error);
  g_assert_no_error (error);
  lines = shm_array_slice (array, 0, G_MAXINT64, G_MININT64, -1, &error);
  view = shm_array_slice (lines, 1, 0, G_MAXINT64, 2, &error);
  g_assert_true (shm_array_save_npy (view, file.file, SHM_FILE_MODE_REPLACE, &error));
  g_assert_no_error (error);
  g_assert_cmpint (shm_array_get_int64 (view, corner, 2, &error), ==, 10);

  g_clear_object (&array);
  array = shm_array_new_for_npy (file.file, SHM_FILE_MODE_READ_ONLY, &error);
  g_assert_no_error (error);
  g_assert_true (shm_array_is_read_only (array));
  g_assert_cmpint (shm_array_get_int64 (array, corner, 2, &error), ==, 10);
  g_assert_false (shm_array_set_int64 (array, corner, 2, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_READ_ONLY);
}

/* Runs a program in Python; FALSE if there is no numpy. */
static gboolean
run_numpy (const char *program, const char *argument, char **output)
{
  const char *const argv[] = { "python3", "-c", program, argument, NULL };
  g_autoptr (GError) error = NULL;
  g_autofree char *errors = NULL;
  int status;

  /* the distribution's own, which has the libraries that the distribution has */
  if (!g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, output, &errors,
                     &status, &error))
    return FALSE;
  if (strstr (errors, "No module named 'numpy'") != NULL)
    return FALSE;
  if (status != 0)
    g_error ("%s: %s", argument, errors);
  return TRUE;
}

static const char *const npy_types[] = { "|b1", "|i1", "<i2", "<i4", "<i8", "|u1",  "<u2",
                                         "<u4", "<u8", "<f4", "<f8", "<c8", "<c16", "|V5" };

G_STATIC_ASSERT (G_N_ELEMENTS (npy_types) == SHM_DTYPE_RECORD + 1);

static void
test_numpy_reads (void)
{
  const char *program = "import sys, numpy\n"
                        "for mode in (None, 'r', 'r+', 'c'):\n"
                        "  a = numpy.load(sys.argv[1], mmap_mode=mode)\n"
                        "print(a.dtype.str, a.shape, a.flags.c_contiguous, a.tobytes().hex())\n";
  guint dtype;

  for (dtype = 0; dtype <= SHM_DTYPE_RECORD; dtype++)
    {
      g_auto (TestFile) file = { 0 };
      const gsize shapes[][3] = { { 2, 3, 2 }, { 3, 4, 1 }, { 12, 1, 1 } };
      gsize n_dims = 3 - dtype % 3;
      gsize item_size = dtype == SHM_DTYPE_RECORD ? 5 : 0;
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) array = NULL;
      g_autoptr (GString) expected = g_string_new (NULL);
      g_autofree char *output = NULL;
      guint8 *items;
      gsize i;

      test_file_init (&file);
      array = shm_array_create_npy (file.file, SHM_FILE_MODE_CREATE, (ShmDtype) dtype, item_size,
                                    shapes[dtype % 3], n_dims, &error);
      g_assert_no_error (error);
      g_assert_cmpuint (shm_array_get_address (array) % 64, ==, 0);
      items = shm_array_get_data (array);
      for (i = 0; i < shm_array_get_n_bytes (array); i++)
        items[i] = dtype == SHM_DTYPE_BOOL ? i % 2 : (guint8) (i * 7);

      if (!run_numpy (program, file.path, &output))
        {
          g_test_skip ("there is no numpy");
          return;
        }
      g_string_append_printf (expected, "%s (", npy_types[dtype]);
      for (i = 0; i < n_dims; i++)
        g_string_append_printf (expected, "%s%zu", i > 0 ? ", " : "", shapes[dtype % 3][i]);
      g_string_append_printf (expected, "%s) True ", n_dims == 1 ? "," : "");
      for (i = 0; i < shm_array_get_n_bytes (array); i++)
        g_string_append_printf (expected, "%02x", items[i]);
      g_assert_cmpstr (g_strchomp (output), ==, expected->str);
    }
}

/* The items count up in C order, in files of both orders and all versions. */
static void
test_numpy_writes (void)
{
  const char *program =
      "import sys, numpy\n"
      "path, dtype, order, version = sys.argv[1].split(' ')\n"
      "a = numpy.arange(12).astype('u1' if dtype == '|V5' else dtype).reshape((3, 4))\n"
      "if dtype == '|V5':\n"
      "  a = numpy.array([bytes([i] * 5) for i in range(12)], dtype).reshape((3, 4))\n"
      "with open(path, 'wb') as f:\n"
      "  numpy.lib.format.write_array(f, numpy.asarray(a, order=order), (int(version), 0))\n";
  guint dtype;

  for (dtype = 0; dtype <= SHM_DTYPE_RECORD; dtype++)
    {
      g_auto (TestFile) file = { 0 };
      gboolean is_fortran = dtype % 2 == 1;
      const gsize index[] = { 2, 1 };
      const gsize *shape;
      gsize n_dims;
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) array = NULL;
      g_autoptr (ShmArray) copy = NULL;
      g_autofree char *argument = NULL;

      test_file_init (&file);
      argument = g_strdup_printf ("%s %s %s %u", file.path, npy_types[dtype],
                                  is_fortran ? "F" : "C", 1 + dtype % 3);
      if (!run_numpy (program, argument, NULL))
        {
          g_test_skip ("there is no numpy");
          return;
        }
      array = shm_array_new_for_npy (file.file, SHM_FILE_MODE_READ_WRITE, &error);
      g_assert_no_error (error);
      g_assert_cmpint (shm_array_get_dtype (array), ==, dtype);
      shape = shm_array_get_shape (array, &n_dims);
      g_assert_cmpuint (n_dims, ==, 2);
      g_assert_cmpuint (shape[0], ==, 3);
      g_assert_cmpuint (shape[1], ==, 4);
      g_assert_cmpint (shm_array_is_contiguous (array), ==, !is_fortran);

      copy = shm_array_new_copy (array, &error);
      g_assert_no_error (error);
      if (dtype == SHM_DTYPE_RECORD)
        g_assert_cmpmem ((guint8 *) shm_array_get_data (copy) + 45, 5, "\11\11\11\11\11", 5);
      else if (dtype == SHM_DTYPE_C8 || dtype == SHM_DTYPE_C16)
        {
          g_autoptr (GVariant) value = shm_array_get_value (array, index, 2, &error);
          double real, imag;

          g_variant_get (value, "(dd)", &real, &imag);
          g_assert_cmpfloat (real, ==, 9.0);
        }
      else
        {
          g_assert_cmpint (shm_array_get_int64 (array, index, 2, &error), ==,
                           dtype == SHM_DTYPE_BOOL ? 1 : 9);
        }
      g_assert_no_error (error);
    }
}

int
main (int argc, char **argv)
{
  g_setenv ("LC_ALL", "C", TRUE);
  g_setenv ("PATH", "/usr/bin:/bin:/usr/local/bin", TRUE);
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add ("/npy/good-headers", test_good_headers);
  test_add ("/npy/bad-headers", test_bad_headers);
  test_add ("/npy/bad-starts", test_bad_starts);
  test_add ("/npy/format", test_format);
  test_add ("/npy/file-errors", test_file_errors);
  test_add ("/npy/save-itself", test_save_itself);
  test_add ("/npy/numpy-reads", test_numpy_reads);
  test_add ("/npy/numpy-writes", test_numpy_writes);

  return g_test_run ();
}
