/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Doubles computed from doubles, with work functions that fail and die. */

#include "config.h"

#include "test-numbers.h"

#include <math.h>
#include <signal.h>

static gboolean
map_doubles (ShmMapReduce *pool,
             const double *input,
             double *output,
             guint64 begin,
             gsize n_items,
             gpointer user_data,
             GError **error)
{
  g_assert_cmpint (shm_map_reduce_get_rank (pool), >=, 0);
  g_assert_cmpuint (n_items, >, 0);
  for (gsize i = 0; i < n_items; i++)
    output[i] = 2.0 * input[i] + (double) (begin + i);
  return TRUE;
}

static void
check_map (TestSubject *subject, ShmArray *array, gpointer data)
{
  static const ShmDtype types[] = { SHM_DTYPE_F8, SHM_DTYPE_F4 };
  gsize n = shm_array_get_n_elements (array);

  for (guint t = 0; t < G_N_ELEMENTS (types); t++)
    {
      g_autoptr (ShmArray) whole = test_new_array (types[t], 1, (const gsize[]){ 2 * n });
      g_autoptr (ShmArray) output = shm_array_slice (whole, 0, 0, G_MAXINT64, 2, NULL);
      g_autoptr (ShmArray) copy = shm_array_new_copy (array, NULL);
      g_autoptr (ShmArray) result = NULL;
      g_autoptr (GError) error = NULL;

      g_assert_true (shm_map_reduce_map_double (subject->pool, array, output, NULL, map_doubles,
                                                NULL, &error));
      g_assert_no_error (error);
      result = shm_array_new_copy (output, NULL);
      for (gsize i = 0; i < n; i++)
        {
          double wanted = 2.0 * test_number_to_double (test_number (copy, i)) + (double) i;
          double got = test_number_to_double (test_number (result, i));

          if (types[t] == SHM_DTYPE_F4)
            wanted = (float) wanted;
          g_assert_true (got == wanted || (isnan (got) && isnan (wanted)));
        }
      for (gsize i = 0; i < n; i++)
        g_assert_cmpfloat (shm_array_get_double (whole, (const gsize[]){ 2 * i + 1 }, 1, NULL), ==,
                           0.0);
    }
}

static void
test_map (gconstpointer data)
{
  test_for_subjects (GPOINTER_TO_UINT (data), FALSE, check_map, NULL);
}

static void
test_map_in_place (gconstpointer data)
{
  const gsize n = 10000;
  g_autoptr (ShmMapReduce) pool = test_pool (3, GPOINTER_TO_UINT (data));
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_F8, 1, &n);
  g_autoptr (GError) error = NULL;
  double *items = shm_array_get_data (array);

  for (gsize i = 0; i < n; i++)
    items[i] = (double) i;
  g_assert_true (shm_map_reduce_map_double (pool, array, array, NULL, map_doubles, NULL, &error));
  g_assert_no_error (error);
  for (gsize i = 0; i < n; i++)
    g_assert_cmpfloat (items[i], ==, 3.0 * (double) i);
}

/* Computes in place, and has written some items when there is an accident: two of them fail, or,
 * with @user_data, the worker dies once.
 */
static gboolean
map_with_accidents (ShmMapReduce *pool,
                    const double *input,
                    double *output,
                    guint64 begin,
                    gsize n_items,
                    gpointer user_data,
                    GError **error)
{
  for (gsize i = 0; i < n_items; i++)
    {
      output[i] = 3.0 * input[i];
      if (user_data == NULL && (begin + i == 3000 || begin + i == 7777))
        {
          g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "never");
          return FALSE;
        }
      if (user_data != NULL && i == n_items / 2 &&
          __atomic_exchange_n ((gint64 *) user_data, 1, __ATOMIC_SEQ_CST) == 0)
        raise (SIGKILL);
    }
  return TRUE;
}

static void
check_map_with_accidents (ShmMapReduce *pool, gint64 *has_died)
{
  const gsize n = 20000;
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_F8, 1, &n);
  g_autoptr (GError) error = NULL;
  double *items = shm_array_get_data (array);

  for (gsize i = 0; i < n; i++)
    items[i] = 1.0 + (double) i;
  g_assert_true (
      shm_map_reduce_map_double (pool, array, array, NULL, map_with_accidents, has_died, &error));
  g_assert_no_error (error);
  for (gsize i = 0; i < n; i++)
    {
      gboolean fails = has_died == NULL && (i == 3000 || i == 7777);

      g_assert_cmpfloat (items[i], ==, (fails ? 1.0 : 3.0) * (1.0 + (double) i));
    }
}

static void
test_map_collects (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));

  shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
  check_map_with_accidents (pool, NULL);
}

static void
test_map_again (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmArray) has_died = test_new_array (SHM_DTYPE_I8, 0, NULL);

  shm_map_reduce_set_max_retries (pool, 1);
  check_map_with_accidents (pool, shm_array_get_data (has_died));
  g_assert_cmpint (shm_array_get_int64 (has_died, NULL, 0, NULL), ==, 1);
}

static gboolean
fail_late (ShmMapReduce *pool,
           const double *input,
           double *output,
           guint64 begin,
           gsize n_items,
           gpointer user_data,
           GError **error)
{
  if (begin + n_items < 5000)
    return TRUE;
  if (user_data != NULL)
    raise (SIGKILL);
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "late");
  return FALSE;
}

static void
test_map_fails (gconstpointer data)
{
  const gsize n = 10000;
  ShmBackendType backend = GPOINTER_TO_UINT (data);
  g_autoptr (ShmMapReduce) pool = test_pool (2, backend);
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_F8, 1, &n);
  g_autoptr (GError) error = NULL;

  g_assert_false (shm_map_reduce_map_double (pool, array, array, NULL, fail_late, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  if (backend != SHM_BACKEND_TYPE_PROCESS)
    return;
  g_clear_error (&error);
  g_assert_false (shm_map_reduce_map_double (pool, array, array, NULL, fail_late, pool, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();
  test_set_small_tuning ();

  test_add_for_backends ("map-double", "map", test_map);
  test_add_for_backends ("map-double", "in-place", test_map_in_place);
  test_add_for_backends ("map-double", "fails", test_map_fails);
  test_add_for_backends ("map-double", "collects", test_map_collects);
  test_add ("/map-double/process/again", test_map_again);

  return g_test_run ();
}
