/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Memory of large results on its way back to the workers. */

#include "config.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shmem-glib/shm-recycler-private.h"
#include "test-util.h"

#define MIB ((guint64) 1 << 20)

static void
test_order (void)
{
  ShmRecycler *recycler = shm_recycler_new (2);
  ShmScrap scrap;
  guint i;

  g_assert_nonnull (recycler);
  g_assert_false (shm_recycler_take (recycler, 0, &scrap));
  for (i = 1; i <= 5; i++)
    g_assert_true (shm_recycler_give (recycler, 1, &(ShmScrap){ i * MIB, i * 4096 }));
  g_assert_false (shm_recycler_take (recycler, 0, &scrap));
  for (i = 1; i <= 5; i++)
    {
      g_assert_true (shm_recycler_take (recycler, 1, &scrap));
      g_assert_cmpuint (scrap.offset, ==, i * MIB);
      g_assert_cmpuint (scrap.size, ==, i * 4096);
    }
  g_assert_false (shm_recycler_take (recycler, 1, &scrap));
  shm_recycler_free (recycler);
}

/* Neither too many bytes nor too many pieces wait, and what is taken makes room. */
static void
test_bounds (void)
{
  ShmRecycler *recycler = shm_recycler_new (1);
  ShmScrap scrap;
  guint i, n;

  g_assert_false (shm_recycler_give (recycler, 1, &(ShmScrap){ 0, 4096 }));
  g_assert_false (shm_recycler_give (recycler, 0, &(ShmScrap){ 0, SHM_RECYCLER_BYTES + 4096 }));
  for (n = 0; shm_recycler_give (recycler, 0, &(ShmScrap){ n * 8 * MIB, 8 * MIB }); n++)
    g_assert_cmpuint (n, <, 1000);
  g_assert_cmpuint (n * 8 * MIB, ==, SHM_RECYCLER_BYTES);
  g_assert_true (shm_recycler_take (recycler, 0, &scrap));
  g_assert_true (shm_recycler_give (recycler, 0, &scrap));
  while (shm_recycler_take (recycler, 0, &scrap))
    ;

  for (n = 0; shm_recycler_give (recycler, 0, &(ShmScrap){ n * MIB, 4096 }); n++)
    g_assert_cmpuint (n, <, 1000);
  g_assert_cmpuint (n, >, 8);
  for (i = 0; shm_recycler_take (recycler, 0, &scrap); i++)
    g_assert_cmpuint (scrap.offset, ==, i * MIB);
  g_assert_cmpuint (i, ==, n);
  shm_recycler_free (recycler);
}

static void
count_scrap (const ShmScrap *scrap, gpointer data)
{
  *(guint64 *) data += scrap->size;
}

static void
test_close (void)
{
  ShmRecycler *recycler = shm_recycler_new (2);
  ShmScrap scrap;
  guint64 n_bytes = 0;

  shm_recycler_give (recycler, 0, &(ShmScrap){ 0, 4096 });
  shm_recycler_give (recycler, 0, &(ShmScrap){ MIB, 8192 });
  shm_recycler_give (recycler, 1, &(ShmScrap){ MIB, 16384 });
  g_assert_true (shm_recycler_take (recycler, 0, &scrap));
  shm_recycler_close (recycler, count_scrap, &n_bytes);
  g_assert_cmpuint (n_bytes, ==, 8192 + 16384);
  g_assert_false (shm_recycler_give (recycler, 0, &(ShmScrap){ 0, 4096 }));
  shm_recycler_free (recycler);
}

/* A child takes what its parent gives, each piece once and whole. */
static void
test_processes (void)
{
  ShmRecycler *recycler = shm_recycler_new (1);
  guint n = test_under_valgrind () ? 1000 : 100000;
  guint64 given = 0;
  int status;
  pid_t pid = fork ();

  if (pid == 0)
    {
      guint64 taken = 0;
      ShmScrap scrap;

      while (taken < n)
        if (!shm_recycler_take (recycler, 0, &scrap))
          g_thread_yield ();
        else if (scrap.offset != taken * 4096 || scrap.size != 4096 + taken % 16)
          _exit (1);
        else
          taken++;
      /* A memory checker looks at the child too. */
      shm_recycler_free (recycler);
      _exit (0);
    }
  while (given < n)
    if (shm_recycler_give (recycler, 0, &(ShmScrap){ given * 4096, 4096 + given % 16 }))
      given++;
    else
      g_thread_yield ();
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  shm_recycler_free (recycler);
}

static GVariant *
map_large (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  gsize size = MIB + index % 7 * 10000;
  guint8 *bytes = g_malloc (size);

  memset (bytes, index, size);
  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes);
}

typedef struct
{
  GVariant *kept;
  guint64 kept_index;
} Taken;

static void
check_large (GVariant *result, guint64 index)
{
  gsize size = g_variant_get_size (result);
  const guint8 *bytes = g_variant_get_data (result);
  gsize i;

  g_assert_cmpuint (size, ==, MIB + index % 7 * 10000);
  for (i = 0; i < size; i += 999)
    g_assert_cmpuint (bytes[i], ==, (guint8) index);
}

/* What is held is not written again, whatever happens to the others. */
static gboolean
take_large (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Taken *taken = user_data;

  check_large (result, index);
  if (taken->kept != NULL)
    check_large (taken->kept, taken->kept_index);
  if (index % 10 == 0)
    {
      g_clear_pointer (&taken->kept, g_variant_unref);
      taken->kept = g_variant_ref (result);
      taken->kept_index = index;
    }
  return TRUE;
}

/* Every third is of a type that is looked into before it is believed. */
static GVariant *
map_mixed (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  GVariant *bytes = map_large (pool, index, NULL, NULL);

  return index % 3 == 0 ? g_variant_new_variant (bytes) : bytes;
}

static gboolean
take_mixed (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  g_autoptr (GVariant) bytes =
      index % 3 == 0 ? g_variant_get_variant (result) : g_variant_ref (result);

  return take_large (job, index, bytes, user_data, error);
}

static void
test_mixed (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, 100);
  Taken taken = { 0 };

  shm_job_set_map_func (job, map_mixed, NULL, NULL);
  shm_job_set_result_func (job, take_mixed, &taken, NULL);
  shm_job_set_output (job, SHM_OUTPUT_STREAM);
  test_run_job (job);
  check_large (taken.kept, taken.kept_index);
  g_variant_unref (taken.kept);
}

static void
test_results (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (3, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, 300);
  Taken taken = { 0 };

  shm_job_set_map_func (job, map_large, NULL, NULL);
  shm_job_set_result_func (job, take_large, &taken, NULL);
  shm_job_set_output (job, SHM_OUTPUT_STREAM);
  test_run_job (job);
  check_large (taken.kept, taken.kept_index);
  g_variant_unref (taken.kept);
}

/* Deposits, each got twice. */

typedef struct
{
  GPtrArray *kept; /* arrays, until there are a few */
  GArray *indices;
} Withdrawn;

static GVariant *
map_deposit (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autofree guint8 *bytes = g_malloc (MIB);
  guint64 offset;

  memset (bytes, index, MIB);
  if (!shm_map_reduce_deposit (pool, (guint64) (guintptr) bytes, MIB, &offset, error))
    return NULL;
  return g_variant_new_uint64 (offset);
}

static void
check_kept (Withdrawn *withdrawn)
{
  guint i;

  for (i = 0; i < withdrawn->kept->len; i++)
    {
      const guint8 *bytes = shm_array_get_data (g_ptr_array_index (withdrawn->kept, i));

      g_assert_cmpuint (bytes[0], ==, (guint8) g_array_index (withdrawn->indices, guint64, i));
      g_assert_cmpuint (bytes[MIB - 1], ==, bytes[0]);
    }
}

/* Every other one is held for a while; of the others both go at once. */
static gboolean
take_deposit (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  Withdrawn *withdrawn = user_data;
  guint64 offset = g_variant_get_uint64 (result);
  g_autoptr (ShmArray) first = shm_job_withdraw (job, offset, MIB, error);
  ShmArray *second = shm_job_withdraw (job, offset, MIB, error);

  g_assert_true (first != NULL && second != NULL);
  check_kept (withdrawn);
  if (withdrawn->kept->len >= 6)
    {
      g_ptr_array_remove_index (withdrawn->kept, 0);
      g_array_remove_index (withdrawn->indices, 0);
    }
  if (index % 2 == 0)
    {
      g_ptr_array_add (withdrawn->kept, second);
      g_array_append_val (withdrawn->indices, index);
    }
  else
    g_object_unref (second);
  return TRUE;
}

static void
test_withdrawn_twice (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, 300);
  Withdrawn withdrawn = {
    .kept = g_ptr_array_new_with_free_func (g_object_unref),
    .indices = g_array_new (FALSE, FALSE, sizeof (guint64)),
  };

  shm_job_set_map_func (job, map_deposit, NULL, NULL);
  shm_job_set_result_func (job, take_deposit, &withdrawn, NULL);
  shm_job_set_output (job, SHM_OUTPUT_STREAM);
  test_run_job (job);
  check_kept (&withdrawn);
  g_ptr_array_unref (withdrawn.kept);
  g_array_unref (withdrawn.indices);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/recycler/order", test_order);
  test_add ("/recycler/bounds", test_bounds);
  test_add ("/recycler/close", test_close);
  test_add ("/recycler/processes", test_processes);
  test_add ("/recycler/results", test_results);
  test_add ("/recycler/mixed", test_mixed);
  test_add ("/recycler/withdrawn-twice", test_withdrawn_twice);

  return g_test_run ();
}
