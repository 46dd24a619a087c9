/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Memory that is used again from run to run of workers that stay: that of large results, and arrays for the results. */

#include "config.h"

#include "test-util.h"

#include <signal.h>
#include <string.h>

/* Large results of workers that stay, that die, and whose runs fail; held, and dropped in another thread. */

#define LARGE ((gsize) 300 * 1024)
#define N_LARGE 60

typedef struct
{
  /* i8: what happens at the item in the middle: 0: nothing, 1: it dies once, 2: it fails */
  ShmArray *plan;
  GAsyncQueue *queue;
  GPtrArray *held;
} Large;

static guint8
get_mark (guint64 argument, guint64 index)
{
  return argument * 31 + index;
}

static GVariant *
map_large (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Large *large = user_data;
  gint64 *plan = shm_array_get_data (large->plan);
  g_autoptr (GVariant) argument = shm_map_reduce_get_argument (pool, error);
  gsize size = LARGE + index % 5 * 10000;
  guint8 *bytes;

  if (index == N_LARGE / 2 && *plan == 1)
    {
      *plan = 0;
      raise (SIGKILL);
    }
  if (index == N_LARGE / 2 && *plan == 2)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "planned");
      return NULL;
    }
  bytes = g_malloc (size);
  memset (bytes, get_mark (g_variant_get_uint64 (argument), index), size);
  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes);
}

typedef struct
{
  GVariant *value; /* NULL: it is the last one */
  guint8 mark;
} Held;

static void
held_free (gpointer data)
{
  Held *held = data;
  const guint8 *bytes;
  gsize i, size;

  if (held->value != NULL)
    {
      bytes = g_variant_get_data (held->value);
      size = g_variant_get_size (held->value);
      for (i = 0; i < size; i += 997)
        g_assert_cmpuint (bytes[i], ==, held->mark);
      g_variant_unref (held->value);
    }
  g_free (held);
}

static gpointer
drop_all (gpointer queue)
{
  gboolean last = FALSE;

  while (!last)
    {
      Held *held = g_async_queue_pop (queue);

      last = held->value == NULL;
      held_free (held);
    }
  return NULL;
}

static Held *
held_new (GVariant *value, guint8 mark)
{
  Held *held = g_new (Held, 1);

  held->value = value ? g_variant_ref (value) : NULL;
  held->mark = mark;
  return held;
}

static gboolean
take_large (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Large *large = user_data;
  guint8 mark = get_mark (g_variant_get_uint64 (shm_job_get_argument (job)), index);

  if (index % 4 == 0)
    g_async_queue_push (large->queue, held_new (result, mark));
  if (index % 7 == 0)
    g_ptr_array_add (large->held, held_new (result, mark));
  if (large->held->len > 20)
    g_ptr_array_remove_range (large->held, 0, 5);
  return TRUE;
}

static void
test_large (void)
{
  Large large = { 0 };
  ShmMapReduce *pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  ShmJob *job = shm_job_new (pool, N_LARGE);
  guint n_rounds = test_scale (60);
  GThread *thread;
  guint round;

  large.plan = test_new_array (SHM_DTYPE_I8, 0, NULL);
  large.queue = g_async_queue_new ();
  large.held = g_ptr_array_new_with_free_func (held_free);
  shm_map_reduce_set_max_retries (pool, 1);
  shm_job_set_output (job, SHM_OUTPUT_STREAM);
  shm_job_set_map_func (job, map_large, &large, NULL);
  shm_job_set_result_func (job, take_large, &large, NULL);
  shm_job_set_keep_workers (job, TRUE);
  thread = g_thread_new ("dropper", drop_all, large.queue);
  for (round = 0; round < n_rounds; round++)
    {
      g_autoptr (GError) error = NULL;
      gint64 *plan = shm_array_get_data (large.plan);

      *plan = round % 4 == 1 ? 1 : round % 8 == 6 ? 2 : 0;
      shm_job_set_argument (job, g_variant_new_uint64 (round));
      if (!shm_job_run (job, NULL, &error))
        {
          g_assert_cmpint (*plan, ==, 2);
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
        }
      if (round % 16 == 15)
        shm_job_release_workers (job);
    }
  g_object_unref (job);
  g_async_queue_push (large.queue, held_new (NULL, 0));
  g_thread_join (thread);
  g_ptr_array_unref (large.held);
  g_async_queue_unref (large.queue);
  g_object_unref (large.plan);
  g_object_unref (pool);
}

/* An array for the results that is closed between two runs, and another one in its place. */

static gboolean
write_into (ShmMapReduce *pool, guint64 index, gpointer place, gpointer user_data, GError **error)
{
  g_autoptr (GVariant) argument = shm_map_reduce_get_argument (pool, error);

  *(gint64 *) place = index + g_variant_get_int64 (argument);
  return TRUE;
}

static void
test_into (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, 0);
  gint64 round, i;

  shm_job_set_keep_workers (job, TRUE);
  for (round = 0; round < 10; round++)
    {
      gsize length = 50 + round;
      g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_I8, 1, &length);
      g_autoptr (GError) error = NULL;
      const gint64 *items = shm_array_get_data (array);
      guint again;

      g_assert_true (shm_job_set_into_func (job, array, write_into, NULL, NULL, &error));
      for (again = 0; again < 3; again++)
        {
          shm_job_set_argument (job, g_variant_new_int64 (round * 100 + again));
          test_run_job (job);
          for (i = 0; i < (gint64) length; i++)
            g_assert_cmpint (items[i], ==, i + round * 100 + again);
        }
      shm_array_close (array);
      g_assert_false (shm_job_run (job, NULL, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add ("/keep-memory/large", test_large);
  test_add ("/keep-memory/into", test_into);
  return g_test_run ();
}
