/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Results by index: shm_map_reduce_map_into (), shm_job_set_into_func (). */

#include "config.h"

#include "test-util.h"

#include <signal.h>
#include <string.h>

#define N 100000 /* enough for ranges of many pages */

static gboolean
write_square (ShmMapReduce *pool, guint64 index, gpointer item, gpointer user_data, GError **error)
{
  double *place = item;

  g_assert_cmpint (shm_map_reduce_get_rank (pool), >=, 0);
  *place += (double) index * index;
  return TRUE;
}

static gboolean
write_row (ShmMapReduce *pool, guint64 index, gpointer item, gpointer user_data, GError **error)
{
  ShmArray *array = user_data;
  gssize step = shm_array_get_strides (array, NULL)[1];
  gsize i;

  for (i = 0; i < shm_array_get_shape (array, NULL)[1]; i++)
    *(double *) ((guint8 *) item + (gssize) i * step) = 100.0 * index + i;
  return TRUE;
}

static ShmArray *
make_array (gsize n_dims, const gsize *shape)
{
  g_autoptr (GError) error = NULL;
  ShmArray *array = shm_array_new (SHM_DTYPE_F8, shape, n_dims, &error);

  g_assert_no_error (error);
  return array;
}

static void
test_items (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (3, GPOINTER_TO_UINT (data));
  g_autoptr (ShmArray) array = make_array (1, (gsize[]){ N });
  g_autoptr (ShmArray) back = NULL;
  g_autoptr (GError) error = NULL;
  const double *values = shm_array_get_data (array);
  guint i;

  g_assert_true (shm_map_reduce_map_into (pool, array, NULL, write_square, NULL, &error));
  g_assert_no_error (error);
  for (i = 0; i < N; i++)
    g_assert_cmpfloat (values[i], ==, (double) i * i);

  /* Every third one from the end. */
  back = shm_array_slice (array, 0, N - 1, -1 - N, -3, &error);
  g_assert_no_error (error);
  g_assert_true (shm_map_reduce_map_into (pool, back, NULL, write_square, NULL, &error));
  g_assert_no_error (error);
  for (i = 0; i < N; i++)
    {
      guint place = (N - 1 - i) / 3;

      g_assert_cmpfloat (values[i], ==,
                         (double) i * i + ((N - 1 - i) % 3 == 0 ? (double) place * place : 0));
    }
}

static void
test_rows (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmArray) whole = make_array (2, (gsize[]){ 7, 5 });
  g_autoptr (ShmArray) turned = NULL;
  g_autoptr (GError) error = NULL;
  const double *values = shm_array_get_data (whole);
  guint i;

  turned = shm_array_transpose (whole, NULL, 0, &error);
  g_assert_no_error (error);
  g_assert_true (shm_map_reduce_map_into (pool, turned, NULL, write_row, turned, &error));
  g_assert_no_error (error);
  for (i = 0; i < 35; i++)
    g_assert_cmpfloat (values[i], ==, 100.0 * (i % 5) + i / 5);
}

static void
test_empty (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmArray) array = make_array (2, (gsize[]){ 0, 3 });
  g_autoptr (GError) error = NULL;

  g_assert_true (shm_map_reduce_map_into (pool, array, NULL, write_square, NULL, &error));
  g_assert_no_error (error);
}

static void
test_bad_arrays (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmArray) scalar = make_array (0, NULL);
  g_autoptr (ShmArray) array = make_array (1, (gsize[]){ 4 });
  g_autoptr (ShmJob) job = shm_job_new (pool, 0);
  g_autoptr (ShmJob) large = shm_job_new (pool, 0);
  g_autoptr (GError) error = NULL;

  g_assert_false (shm_map_reduce_map_into (pool, scalar, NULL, write_square, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);

  g_assert_true (shm_job_set_into_func (large, array, write_square, NULL, NULL, &error));
  shm_job_set_items (large, g_variant_new_parsed ("[1, 2, 3, 4, 5]"));
  g_assert_false (shm_job_run (large, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "5"));
  g_clear_error (&error);

  shm_array_close (array);
  g_assert_false (shm_job_set_into_func (job, array, write_square, NULL, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
}

static gboolean
fail_somehow (ShmMapReduce *pool, guint64 index, gpointer item, gpointer user_data, GError **error)
{
  if (index == 11)
    return FALSE;
  if (index == 22)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "busy");
      return FALSE;
    }
  if (index == 33 && GPOINTER_TO_UINT (user_data) == SHM_BACKEND_TYPE_PROCESS)
    raise (SIGKILL);
  if (index == 44)
    {
      g_autoptr (GError) told = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CLOSED, "told");

      shm_map_reduce_fail_item (pool, told, NULL, NULL);
      return TRUE;
    }
  return write_square (pool, index, item, NULL, error);
}

/* Who fails is known, and its place stays as it was. */
static void
test_failures (gconstpointer data)
{
  gboolean is_process = GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_PROCESS;
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmArray) array = make_array (1, (gsize[]){ 100 });
  g_autoptr (ShmJob) job = shm_job_new (pool, 0);
  g_autoptr (GError) error = NULL;
  const double *values = shm_array_get_data (array);
  GPtrArray *failures;
  guint i;

  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  shm_map_reduce_set_max_retries (pool, 0);
  g_assert_true (shm_job_set_into_func (job, array, fail_somehow, (gpointer) data, NULL, &error));
  test_run_job (job);
  failures = shm_job_get_failures (job);
  g_assert_cmpuint (failures->len, ==, is_process ? 4 : 3);
  for (i = 0; i < failures->len; i++)
    g_assert_cmpint (shm_failure_get_index (g_ptr_array_index (failures, i)), ==,
                     11 * (i + 1 + (i == 2 && !is_process)));
  g_assert_true (g_error_matches (shm_failure_get_error (g_ptr_array_index (failures, 1)),
                                  G_IO_ERROR, G_IO_ERROR_BUSY));
  for (i = 0; i < 100; i++)
    g_assert_cmpfloat (values[i], ==,
                       i == 11 || i == 22 || (i == 33 && is_process) || i == 44 ? 0
                                                                                : (double) i * i);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  test_add_for_backends ("into", "items", test_items);
  test_add_for_backends ("into", "rows", test_rows);
  test_add_for_backends ("into", "empty", test_empty);
  test_add_for_backends ("into", "failures", test_failures);
  test_add ("/into/bad-arrays", test_bad_arrays);

  return g_test_run ();
}
