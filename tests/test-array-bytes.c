/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

static const gsize shape[] = { 2, 3 };

static void
test_copies (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = shm_array_new (SHM_DTYPE_U1, shape, 2, &error);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GBytes) none = NULL;
  const guint8 data[] = { 1, 2, 3 };

  g_assert_no_error (error);
  g_assert_true (shm_array_write_bytes (array, 2, data, sizeof data, &error));
  g_assert_true (shm_array_write_bytes (array, 6, NULL, 0, &error));
  bytes = shm_array_read_bytes (array, 1, 5, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "\0\1\2\3\0", 5);
  none = shm_array_read_bytes (array, 6, 0, &error);
  g_assert_cmpuint (g_bytes_get_size (none), ==, 0);
}

static void
test_bounds (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = shm_array_new (SHM_DTYPE_U2, shape, 2, &error);
  g_autoptr (ShmArray) column = shm_array_index (array, 1, 0, &error);
  const guint8 data[13] = { 0 };

  g_assert_null (shm_array_read_bytes (array, 12, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_read_bytes (array, G_MAXUINT64, 2, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_read_bytes (array, 2, G_MAXSIZE, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_false (shm_array_write_bytes (array, 0, data, sizeof data, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_read_bytes (column, 0, 2, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
}

static void
test_closed (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = shm_array_new (SHM_DTYPE_F8, shape, 2, &error);

  shm_array_close (array);
  g_assert_null (shm_array_read_bytes (array, 0, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  g_clear_error (&error);
  g_assert_false (shm_array_write_bytes (array, 0, NULL, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
}

int
main (int argc, char **argv)
{
  g_setenv ("LC_ALL", "C", TRUE);
  g_test_init (&argc, &argv, NULL);

  test_add ("/array-bytes/copies", test_copies);
  test_add ("/array-bytes/bounds", test_bounds);
  test_add ("/array-bytes/closed", test_closed);

  return g_test_run ();
}
