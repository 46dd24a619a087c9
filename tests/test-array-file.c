/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-file-util.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static ShmArray *
open_i4 (TestFile *file, ShmFileMode mode, gsize length, guint64 offset, GError **error)
{
  return shm_array_new_for_file (file->file, mode, SHM_DTYPE_I4, 0, &length, 1, offset, error);
}

static void
check_error (
    TestFile *file, ShmFileMode mode, gsize length, guint64 offset, GQuark domain, int code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (open_i4 (file, mode, length, offset, &error));
  g_assert_error (error, domain, code);
}

static void
test_create (void)
{
  g_auto (TestFile) file = { 0 };
  const gsize last[] = { 999 };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (ShmArray) again = NULL;
  g_autoptr (GBytes) bytes = NULL;

  test_file_init (&file);
  array = open_i4 (&file, SHM_FILE_MODE_CREATE, 1000, 4, &error);
  g_assert_no_error (error);
  g_assert_false (shm_array_is_read_only (array));
  g_assert_cmpint (shm_array_get_int64 (array, last, 1, &error), ==, 0);
  g_assert_true (shm_array_set_int64 (array, last, 1, 77, &error));
  g_assert_true (shm_array_sync (array, &error));
  g_assert_no_error (error);

  bytes = test_file_read (&file);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 4004);
  g_assert_cmpint (((const gint32 *) g_bytes_get_data (bytes, NULL))[1000], ==, 77);

  /* Two mappings of one file are the same memory, and who has gone leaves it as it is. */
  again = open_i4 (&file, SHM_FILE_MODE_READ_WRITE, 1000, 4, &error);
  g_assert_no_error (error);
  g_assert_true (shm_array_set_int64 (again, last, 1, 78, &error));
  g_assert_cmpint (shm_array_get_int64 (array, last, 1, &error), ==, 78);
  g_clear_object (&array);
  g_clear_object (&again);
  again = open_i4 (&file, SHM_FILE_MODE_READ_ONLY, 1000, 4, &error);
  g_assert_cmpint (shm_array_get_int64 (again, last, 1, &error), ==, 78);

  check_error (&file, SHM_FILE_MODE_CREATE, 1000, 4, G_IO_ERROR, G_IO_ERROR_EXISTS);
  g_clear_pointer (&bytes, g_bytes_unref);
  bytes = test_file_read (&file);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 4004);
}

static void
test_replace (void)
{
  g_auto (TestFile) file = { 0 };
  const gsize first[] = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) old = NULL;
  g_autoptr (ShmArray) new = NULL;
  g_autofree char *link_path = NULL;
  g_autoptr (GFile) link = NULL;
  struct stat status;
  const gsize length = 3;

  test_file_init (&file);
  old = open_i4 (&file, SHM_FILE_MODE_REPLACE, 100000, 0, &error);
  g_assert_no_error (error);
  g_assert_true (shm_array_fill (old, g_variant_new_int32 (5), &error));
  g_assert_cmpint (g_chmod (file.path, 0640), ==, 0);

  /* by a link too, which stays; the old one can be read to its end by those who have it */
  link_path = g_strconcat (file.path, "-link", NULL);
  g_assert_cmpint (symlink ("items", link_path), ==, 0);
  link = g_file_new_for_path (link_path);
  new =
      shm_array_new_for_file (link, SHM_FILE_MODE_REPLACE, SHM_DTYPE_I4, 0, &length, 1, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpint (shm_array_get_int64 (new, first, 1, &error), ==, 0);
  g_assert_cmpint (((const gint32 *) shm_array_get_data (old))[99999], ==, 5);
  g_assert_cmpint (lstat (link_path, &status), ==, 0);
  g_assert_true (S_ISLNK (status.st_mode));
  g_unlink (link_path);
  g_assert_cmpint (stat (file.path, &status), ==, 0);
  g_assert_cmpint (status.st_size, ==, 12);
  g_assert_cmpint (status.st_mode & 0777, ==, 0640);

  if (geteuid () != 0)
    {
      g_assert_cmpint (g_chmod (file.path, 0440), ==, 0);
      check_error (&file, SHM_FILE_MODE_REPLACE, 3, 0, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
      check_error (&file, SHM_FILE_MODE_READ_WRITE, 3, 0, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
    }
}

static void
test_read_only (void)
{
  g_auto (TestFile) file = { 0 };
  const gint32 items[] = { 1, 2, 3, 4 };
  const gsize index[] = { 1 };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (ShmArray) view = NULL;
  g_autoptr (ShmArray) copy = NULL;

  test_file_init (&file);
  test_file_write (&file, items, sizeof (items));
  array = open_i4 (&file, SHM_FILE_MODE_READ_ONLY, 4, 0, &error);
  g_assert_no_error (error);
  view = shm_array_slice (array, 0, 1, 3, 1, &error);
  g_assert_true (shm_array_is_read_only (array));
  g_assert_true (shm_array_is_read_only (view));
  g_assert_cmpint (shm_array_get_int64 (view, index, 1, &error), ==, 3);
  g_assert_no_error (error);

  g_assert_false (shm_array_set_int64 (array, index, 1, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_READ_ONLY);
  g_clear_error (&error);
  g_assert_false (shm_array_set_double (view, index, 1, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_READ_ONLY);
  g_clear_error (&error);
  g_assert_false (shm_array_set_value (view, index, 1, g_variant_new_int32 (0), &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_READ_ONLY);
  g_clear_error (&error);
  g_assert_false (shm_array_fill (view, g_variant_new_int32 (0), &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_READ_ONLY);
  g_clear_error (&error);
  g_assert_true (shm_array_sync (array, &error));

  copy = shm_array_new_copy (view, &error);
  g_assert_no_error (error);
  g_assert_false (shm_array_is_read_only (copy));
  g_assert_true (shm_array_set_int64 (copy, index, 1, 9, &error));
  g_assert_true (shm_array_sync (copy, &error));
  g_assert_no_error (error);
}

static void
test_errors (void)
{
  g_auto (TestFile) file = { 0 };
  g_autoptr (GFile) remote = g_file_new_for_uri ("http://example.org/items");
  g_autoptr (GFile) full = g_file_new_for_path ("/dev/full");
  g_autoptr (GError) error = NULL;
  const gsize length = 2;
  guint i;

  test_file_init (&file);
  check_error (&file, SHM_FILE_MODE_READ_ONLY, 1, 0, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  check_error (&file, SHM_FILE_MODE_READ_WRITE, 1, 0, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);

  /* What does not become an array leaves no file. */
  check_error (&file, SHM_FILE_MODE_CREATE, 1, 2, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  check_error (&file, SHM_FILE_MODE_REPLACE, 1, 2, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  check_error (&file, SHM_FILE_MODE_CREATE, G_MAXSIZE, 0, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  for (i = 0; i < 2; i++)
    {
      ShmFileMode mode = i == 0 ? SHM_FILE_MODE_CREATE : SHM_FILE_MODE_REPLACE;

      g_assert_null (open_i4 (&file, mode, 1, G_MAXUINT64 - 3, &error));
      g_assert_cmpint (error->domain, ==, G_IO_ERROR);
      g_clear_error (&error);
      g_assert_null (open_i4 (&file, mode, 1, G_MAXINT64 - 7, &error));
      g_assert_cmpint (error->domain, ==, G_IO_ERROR);
      g_clear_error (&error);
    }
  g_assert_false (g_file_test (file.path, G_FILE_TEST_EXISTS));

  test_file_write (&file, "12345678", 8);
  check_error (&file, SHM_FILE_MODE_READ_ONLY, 3, 0, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  check_error (&file, SHM_FILE_MODE_READ_WRITE, 2, 4, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  check_error (&file, SHM_FILE_MODE_READ_WRITE, 0, 12, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  check_error (&file, SHM_FILE_MODE_READ_ONLY, 1, G_MAXUINT64, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  check_error (&file, SHM_FILE_MODE_READ_ONLY, 1, 2, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);

  g_assert_null (shm_array_new_for_file (remote, SHM_FILE_MODE_READ_ONLY, SHM_DTYPE_I4, 0, &length,
                                         1, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  g_assert_null (shm_array_new_for_file (full, SHM_FILE_MODE_READ_WRITE, SHM_DTYPE_I4, 0, &length,
                                         1, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (
      shm_array_new_for_file (full, SHM_FILE_MODE_REPLACE, SHM_DTYPE_I4, 0, &length, 1, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (
      shm_array_new_for_file (full, SHM_FILE_MODE_CREATE, SHM_DTYPE_I4, 0, &length, 1, 0, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS);
  g_clear_error (&error);
  g_assert_null (shm_array_new_for_file (file.file, SHM_FILE_MODE_READ_ONLY, SHM_DTYPE_RECORD, 0,
                                         &length, 1, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);

  /* a pipe with nobody at its other end is refused, not waited for */
  g_unlink (file.path);
  g_assert_cmpint (mkfifo (file.path, 0600), ==, 0);
  check_error (&file, SHM_FILE_MODE_READ_ONLY, 1, 0, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  check_error (&file, SHM_FILE_MODE_READ_WRITE, 1, 0, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
}

static void
test_shapes (void)
{
  const guint64 offsets[] = { 0, 8, 4096, 4104, 100000 };
  const gsize shape[] = { 3, 5 };
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (offsets); i++)
    {
      g_auto (TestFile) file = { 0 };
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) records = NULL;
      g_autoptr (ShmArray) numbers = NULL;
      g_autoptr (ShmArray) nothing = NULL;
      const gsize index[] = { 2, 4 };
      const gsize none = 0;
      g_autoptr (GVariant) value = NULL;

      test_file_init (&file);
      records = shm_array_new_for_file (file.file, SHM_FILE_MODE_CREATE, SHM_DTYPE_RECORD, 8, shape,
                                        2, offsets[i], &error);
      g_assert_no_error (error);
      numbers = shm_array_new_for_file (file.file, SHM_FILE_MODE_READ_WRITE, SHM_DTYPE_F8, 0, shape,
                                        2, offsets[i], &error);
      g_assert_no_error (error);
      nothing = open_i4 (&file, SHM_FILE_MODE_READ_ONLY, none, offsets[i] + 120, &error);
      g_assert_no_error (error);
      g_assert_cmpuint (shm_array_get_n_bytes (nothing), ==, 0);

      g_assert_true (shm_array_set_double (numbers, index, 2, 2.5, &error));
      value = shm_array_get_value (records, index, 2, &error);
      g_assert_no_error (error);
      g_assert_cmpfloat (*(const double *) g_variant_get_data (value), ==, 2.5);
    }
}

/* An empty file is one of no items. */
static void
test_empty (void)
{
  g_auto (TestFile) file = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (GBytes) bytes = NULL;

  test_file_init (&file);
  array = open_i4 (&file, SHM_FILE_MODE_CREATE, 0, 0, &error);
  g_assert_no_error (error);
  g_assert_true (shm_array_sync (array, &error));
  g_assert_true (shm_array_fill (array, g_variant_new_int32 (1), &error));
  g_assert_no_error (error);
  bytes = test_file_read (&file);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 0);
}

static gboolean
write_squares (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  double *items = shm_array_get_data (user_data);
  guint64 i;

  for (i = begin; i < end; i++)
    items[i] = (double) (i * i);
  return TRUE;
}

static void
test_workers (void)
{
  g_auto (TestFile) file = { 0 };
  const gsize length = 10000;
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (GBytes) bytes = NULL;
  const double *items;
  gsize i;

  test_file_init (&file);
  array = shm_array_new_for_file (file.file, SHM_FILE_MODE_CREATE, SHM_DTYPE_F8, 0, &length, 1, 0,
                                  &error);
  g_assert_no_error (error);
  g_assert_true (shm_map_reduce_for_range (pool, 0, length, NULL, write_squares, array, &error));
  g_assert_no_error (error);
  g_clear_object (&array);

  bytes = test_file_read (&file);
  items = g_bytes_get_data (bytes, NULL);
  for (i = 0; i < length; i++)
    g_assert_cmpfloat (items[i], ==, (double) (i * i));
}

int
main (int argc, char **argv)
{
  g_setenv ("LC_ALL", "C", TRUE);
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add ("/array-file/create", test_create);
  test_add ("/array-file/replace", test_replace);
  test_add ("/array-file/read-only", test_read_only);
  test_add ("/array-file/errors", test_errors);
  test_add ("/array-file/shapes", test_shapes);
  test_add ("/array-file/empty", test_empty);
  test_add ("/array-file/workers", test_workers);

  return g_test_run ();
}
