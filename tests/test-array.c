/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_DIMS 32

static void
test_dtype_strings (void)
{
  const char *native = G_BYTE_ORDER == G_LITTLE_ENDIAN ? "<" : ">";
  const char *foreign = G_BYTE_ORDER == G_LITTLE_ENDIAN ? ">" : "<";
  const char *bad[] = { "",   "=",    "f",   "f2",  "f16", "c32", "i16", "d",      "V",
                        "V8", "==i4", " i4", "i4 ", "I4",  "O",   "U8",  "float64" };

  for (guint i = 0; i < SHM_DTYPE_RECORD; i++)
    {
      const char *prefixes[] = { "", "=", "|", native };
      const char *name = shm_dtype_to_string ((ShmDtype) i);
      g_autoptr (GError) error = NULL;
      g_autofree char *swapped = g_strconcat (foreign, name, NULL);

      for (gsize j = 0; j < G_N_ELEMENTS (prefixes); j++)
        {
          g_autofree char *string = g_strconcat (prefixes[j], name, NULL);

          g_assert_cmpint (shm_dtype_from_string (string, &error), ==, i);
          g_assert_no_error (error);
        }
      g_assert_cmpint (shm_dtype_from_string (swapped, &error), ==, SHM_DTYPE_BOOL);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, swapped));
    }

  g_assert_cmpint (shm_dtype_from_string ("?", NULL), ==, SHM_DTYPE_BOOL);
  g_assert_cmpint (shm_dtype_from_string ("i1", NULL), ==, SHM_DTYPE_I1);
  g_assert_cmpint (shm_dtype_from_string ("u8", NULL), ==, SHM_DTYPE_U8);
  g_assert_cmpint (shm_dtype_from_string ("c16", NULL), ==, SHM_DTYPE_C16);
  g_assert_cmpuint (shm_dtype_get_size (SHM_DTYPE_F4), ==, 4);
  g_assert_cmpuint (shm_dtype_get_size (SHM_DTYPE_F8), ==, 8);
  g_assert_cmpuint (shm_dtype_get_size (SHM_DTYPE_C8), ==, 8);
  g_assert_cmpuint (shm_dtype_get_size (SHM_DTYPE_C16), ==, 16);
  g_assert_cmpuint (shm_dtype_get_size (SHM_DTYPE_RECORD), ==, 0);
  g_assert_cmpstr (shm_dtype_to_string (SHM_DTYPE_RECORD), ==, "V");

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      shm_dtype_from_string (bad[i], &error);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
    }
}

static void
check_shape (ShmArray *array, gsize n_dims, const gsize *shape, gsize n_elements)
{
  gsize n = 99;
  const gsize *actual = shm_array_get_shape (array, &n);
  const gssize *strides;

  g_assert_cmpuint (n, ==, n_dims);
  g_assert_cmpuint (shm_array_get_n_dims (array), ==, n_dims);
  g_assert_cmpmem (actual, n * sizeof (gsize), shape, n_dims * sizeof (gsize));
  strides = shm_array_get_strides (array, &n);
  g_assert_nonnull (strides);
  g_assert_cmpuint (n, ==, n_dims);
  g_assert_cmpuint (shm_array_get_n_elements (array), ==, n_elements);
  g_assert_cmpuint (shm_array_get_n_bytes (array), ==,
                    n_elements * shm_array_get_item_size (array));
  g_assert_nonnull (shm_array_get_data (array));
  g_assert_cmpuint (shm_array_get_address (array), ==, (guintptr) shm_array_get_data (array));
}

static void
test_shapes (void)
{
  const gsize none[] = { 0 };
  const gsize empty[] = { 3, 0, 2 };
  const gsize cube[] = { 2, 3, 4 };
  gsize many[MAX_DIMS + 1];

  for (gsize i = 0; i < G_N_ELEMENTS (many); i++)
    many[i] = i % 8 == 0 ? 2 : 1;

  for (guint dtype = 0; dtype < SHM_DTYPE_RECORD; dtype++)
    {
      g_autoptr (ShmArray) a0 = test_new_array ((ShmDtype) dtype, 0, NULL);
      g_autoptr (ShmArray) a1 = test_new_array ((ShmDtype) dtype, 1, none);
      g_autoptr (ShmArray) a3 = test_new_array ((ShmDtype) dtype, 3, empty);
      g_autoptr (ShmArray) a = test_new_array ((ShmDtype) dtype, 3, cube);
      g_autoptr (ShmArray) a32 = test_new_array ((ShmDtype) dtype, MAX_DIMS, many);
      g_autoptr (GError) error = NULL;
      gssize size = (gssize) shm_dtype_get_size ((ShmDtype) dtype);
      const gssize *strides = shm_array_get_strides (a, NULL);

      check_shape (a0, 0, NULL, 1);
      check_shape (a1, 1, none, 0);
      check_shape (a3, 3, empty, 0);
      check_shape (a, 3, cube, 24);
      check_shape (a32, MAX_DIMS, many, 16);
      g_assert_cmpint (shm_array_get_dtype (a), ==, dtype);
      g_assert_cmpint (strides[0], ==, 12 * size);
      g_assert_cmpint (strides[1], ==, 4 * size);
      g_assert_cmpint (strides[2], ==, size);
      g_assert_true (shm_array_is_contiguous (a0));
      g_assert_true (shm_array_is_contiguous (a3));
      g_assert_true (shm_array_is_contiguous (a));

      g_assert_null (shm_array_new ((ShmDtype) dtype, many, MAX_DIMS + 1, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, "33"));
    }
}

static void
test_overflow (void)
{
  const gsize shapes[][3] = {
    { G_MAXSIZE, G_MAXSIZE, G_MAXSIZE },
    { G_MAXSIZE, 1, 1 },
    { (gsize) G_MAXSSIZE / 8 + 1, 1, 1 },
    { (gsize) 1 << (GLIB_SIZEOF_SIZE_T * 4), (gsize) 1 << (GLIB_SIZEOF_SIZE_T * 4), 1 },
    { 0, G_MAXSIZE, 1 },
    { G_MAXSIZE, 2, 0 },
  };
  const gsize largest[] = { G_MAXSSIZE / 8 };
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (shapes); i++)
    {
      g_assert_null (shm_array_new (SHM_DTYPE_F8, shapes[i], 3, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  g_assert_null (
      shm_array_new_full (SHM_DTYPE_RECORD, G_MAXSIZE, NULL, 0, SHM_ARRAY_FLAGS_NONE, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);

  g_assert_null (shm_array_new (SHM_DTYPE_F8, largest, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY);
}

static void
test_no_memory (void)
{
#if GLIB_SIZEOF_SIZE_T >= 8
  const gsize shape[] = { (gsize) 1 << 46 };
  const guint flags[] = { SHM_ARRAY_FLAGS_RESERVE,
                          SHM_ARRAY_FLAGS_RESERVE | SHM_ARRAY_FLAGS_SHAREABLE };

  for (gsize i = 0; i < G_N_ELEMENTS (flags); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (
          shm_array_new_full (SHM_DTYPE_U1, 0, shape, 1, (ShmArrayFlags) flags[i], &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY);
    }
#else
  g_test_skip ("the address space is too small");
#endif
}

static void
test_item_sizes (void)
{
  const gsize shape[] = { 3 };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) records =
      shm_array_new_full (SHM_DTYPE_RECORD, 7, shape, 1, SHM_ARRAY_FLAGS_NONE, &error);
  g_autoptr (ShmArray) numbers = NULL;

  g_assert_no_error (error);
  g_assert_cmpuint (shm_array_get_item_size (records), ==, 7);
  g_assert_cmpuint (shm_array_get_n_bytes (records), ==, 21);

  numbers = shm_array_new_full (SHM_DTYPE_F8, 8, shape, 1, SHM_ARRAY_FLAGS_SHAREABLE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (shm_array_get_item_size (numbers), ==, 8);

  g_assert_null (shm_array_new_full (SHM_DTYPE_F8, 4, shape, 1, SHM_ARRAY_FLAGS_NONE, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (shm_array_new_full (SHM_DTYPE_RECORD, 0, shape, 1, SHM_ARRAY_FLAGS_NONE, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (shm_array_new (SHM_DTYPE_RECORD, shape, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "shm_array_new_full"));
}

static void
test_constructors (void)
{
  const gsize shape[] = { 2, 3 };
  const gint16 numbers[] = { 1, -2, 3, -4, 5, -6 };
  const gsize index[] = { 1, 0 };
  g_autoptr (GBytes) bytes = g_bytes_new_static (numbers, sizeof (numbers));
  g_autoptr (ShmArray) from_data = NULL;
  g_autoptr (ShmArray) from_bytes = NULL;
  g_autoptr (ShmArray) like = NULL;
  g_autoptr (ShmArray) filled = NULL;
  g_autoptr (ShmArray) copy = NULL;
  g_autoptr (ShmArray) blank = g_object_new (SHM_TYPE_ARRAY, NULL);
  g_autoptr (ShmArray) view = NULL;
  g_autoptr (GBytes) no_bytes = NULL;
  g_autoptr (GError) error = NULL;

  from_data = shm_array_new_from_data (SHM_DTYPE_I2, shape, 2, (const guint8 *) numbers,
                                       sizeof (numbers), &error);
  g_assert_no_error (error);
  g_assert_cmpmem (shm_array_get_data (from_data), 12, numbers, 12);
  g_assert_cmpint (shm_array_get_int64 (from_data, index, 2, &error), ==, -4);
  from_bytes = shm_array_new_from_bytes (SHM_DTYPE_I2, shape, 2, bytes, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (shm_array_get_data (from_bytes), 12, numbers, 12);
  g_assert_null (shm_array_new_from_bytes (SHM_DTYPE_I4, shape, 2, bytes, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "12"));
  g_assert_nonnull (strstr (error->message, "24"));
  g_clear_error (&error);

  like = shm_array_new_like (from_data, &error);
  g_assert_no_error (error);
  check_shape (like, 2, shape, 6);
  g_assert_cmpint (shm_array_get_dtype (like), ==, SHM_DTYPE_I2);
  g_assert_cmpint (shm_array_get_int64 (like, index, 2, &error), ==, 0);
  copy = shm_array_new_copy (from_data, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (shm_array_get_data (copy), 12, numbers, 12);
  g_assert_true (shm_array_get_data (copy) != shm_array_get_data (from_data));

  filled = shm_array_new_filled (SHM_DTYPE_F8, shape, 2, g_variant_new_int32 (7), &error);
  g_assert_no_error (error);
  g_assert_cmpfloat (shm_array_get_double (filled, index, 2, &error), ==, 7.0);
  g_assert_null (shm_array_new_filled (SHM_DTYPE_U1, shape, 2, g_variant_new_int32 (300), &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "300"));
  g_assert_nonnull (strstr (error->message, "u1"));
  g_clear_error (&error);

  /* one that nobody constructed is empty, and as good as any other */
  g_assert_cmpuint (shm_array_get_n_elements (blank), ==, 0);
  view = shm_array_slice (blank, 0, 0, G_MAXINT64, 1, &error);
  g_assert_no_error (error);
  g_assert_true (shm_array_fill (view, g_variant_new_boolean (TRUE), &error));
  no_bytes = shm_array_get_bytes (view, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (no_bytes), ==, 0);
}

static void
test_properties (void)
{
  const gsize shape[] = { 5, 4 };
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_C16, 2, shape);
  ShmDtype dtype;
  guint64 item_size, n_dims, n_elements, n_bytes;

  g_object_get (array, "dtype", &dtype, "item-size", &item_size, "n-dims", &n_dims, "n-elements",
                &n_elements, "n-bytes", &n_bytes, NULL);
  g_assert_cmpint (dtype, ==, SHM_DTYPE_C16);
  g_assert_cmpuint (item_size, ==, 16);
  g_assert_cmpuint (n_dims, ==, 2);
  g_assert_cmpuint (n_elements, ==, 20);
  g_assert_cmpuint (n_bytes, ==, 320);
}

static void
test_views_outlive_base (void)
{
  const gsize shape[] = { 4, 5 };
  const gsize index[] = { 1 };
  ShmArray *array = test_new_range (2, shape);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) row = shm_array_index (array, 0, 2, &error);
  g_autoptr (ShmArray) part = NULL;
  g_autoptr (GBytes) bytes = NULL;

  g_assert_no_error (error);
  g_object_add_weak_pointer (G_OBJECT (array), (gpointer *) &array);
  g_object_unref (array);
  g_assert_null (array);

  part = shm_array_slice (row, 0, 1, 4, 1, &error);
  g_assert_no_error (error);
  g_clear_object (&row);
  g_assert_cmpint (shm_array_get_int64 (part, index, 1, &error), ==, 12);
  bytes = shm_array_get_bytes (part, &error);
  g_assert_no_error (error);
  g_assert_true (g_bytes_get_data (bytes, NULL) == shm_array_get_data (part));
  g_assert_true (shm_array_set_int64 (part, index, 1, 77, &error));
  g_clear_object (&part);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 12);
  g_assert_cmpint (((const gint32 *) g_bytes_get_data (bytes, NULL))[1], ==, 77);
}

static void
test_fork (void)
{
  const gsize shape[] = { 1000 };
  const guint flags[] = { SHM_ARRAY_FLAGS_NONE, SHM_ARRAY_FLAGS_RESERVE,
                          SHM_ARRAY_FLAGS_SHAREABLE };

  for (gsize i = 0; i < G_N_ELEMENTS (flags); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) array =
          shm_array_new_full (SHM_DTYPE_F8, 0, shape, 1, (ShmArrayFlags) flags[i], &error);
      g_autoptr (ShmArray) view = shm_array_slice (array, 0, 500, G_MAXINT64, 1, &error);
      double *items;
      pid_t pid;
      int status;

      g_assert_no_error (error);
      items = shm_array_get_data (array);
      pid = fork ();
      g_assert_cmpint (pid, >=, 0);
      if (pid == 0)
        {
          gboolean done = shm_array_fill (view, g_variant_new_double (2.5), NULL);

          g_object_unref (view);
          g_object_unref (array);
          _exit (done ? 0 : 1);
        }
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      g_assert_cmpint (status, ==, 0);
      for (gsize j = 0; j < 1000; j++)
        g_assert_cmpfloat (items[j], ==, j < 500 ? 0.0 : 2.5);
    }
}

static guint
count_maps (void)
{
  g_autofree char *text = NULL;
  guint n = 0;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &text, NULL, NULL));
  for (const char *c = text; *c != '\0'; c++)
    n += *c == '\n';
  return n;
}

static void
create_and_destroy (guint n_rounds)
{
  for (guint round = 0; round < n_rounds; round++)
    {
      const gsize shape[] = { round % 13, 50 };
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) array =
          shm_array_new_full (SHM_DTYPE_F4, 0, shape, 2, (ShmArrayFlags) (round % 8), &error);
      g_autoptr (ShmArray) view = shm_array_slice (array, 1, 3, 10, 1, &error);
      g_autoptr (ShmArray) copy = shm_array_new_copy (view, &error);
      g_autoptr (GBytes) bytes = shm_array_get_bytes (copy, &error);

      g_assert_no_error (error);
      g_assert_null (shm_array_new_from_bytes (SHM_DTYPE_U1, NULL, 0, bytes, NULL));
    }
}

static void
test_no_leak (void)
{
  guint n_fds;
  guint n_maps;

  create_and_destroy (50);
  n_fds = test_count_fds ();
  n_maps = count_maps ();
  create_and_destroy (500);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  /* The heap and the tables of a memory checker may take a few of their own. */
  g_assert_cmpuint (count_maps (), <, n_maps + 50);
}

int
main (int argc, char **argv)
{
  g_setenv ("LC_ALL", "C", TRUE);
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/array/dtype-strings", test_dtype_strings);
  g_test_add_func ("/array/shapes", test_shapes);
  g_test_add_func ("/array/overflow", test_overflow);
  g_test_add_func ("/array/no-memory", test_no_memory);
  g_test_add_func ("/array/item-sizes", test_item_sizes);
  g_test_add_func ("/array/constructors", test_constructors);
  g_test_add_func ("/array/properties", test_properties);
  g_test_add_func ("/array/views-outlive-base", test_views_outlive_base);
  g_test_add_func ("/array/fork", test_fork);
  g_test_add_func ("/array/no-leak", test_no_leak);

  return g_test_run ();
}
