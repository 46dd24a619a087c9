/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define N_ITEMS 3000

typedef struct
{
  ShmArray *array;
  gint64 *cells;
  guint variant;
} Shared;

static void
shared_init (Shared *shared, gsize n)
{
  shared->array = shm_array_new (SHM_DTYPE_I8, &n, 1, NULL);
  shared->cells = shm_array_get_data (shared->array);
}

static GVariant *
add_in_critical (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Shared *shared = user_data;
  g_autoptr (ShmCriticalLocker) locker = shm_critical_locker_new (pool, error);
  volatile gint64 *cell = shared->cells;

  if (locker == NULL)
    return NULL;
  /* Far enough apart that two at once would be seen. */
  *cell = *cell + 1;
  if (index % 64 == 0)
    sched_yield ();
  shared->cells[1] += index;
  return NULL;
}

static void
test_critical (gconstpointer data)
{
  static const guint workers[] = { 1, 2, 16 };
  guint w;

  for (w = 0; w < G_N_ELEMENTS (workers); w++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (workers[w], GPOINTER_TO_UINT (data));
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;
      Shared shared;

      shared_init (&shared, 2);
      shm_map_reduce_set_chunk_size (pool, 1);
      results = shm_map_reduce_map (pool, N_ITEMS, NULL, add_in_critical, NULL, &shared, &error);
      g_assert_no_error (error);
      g_assert_cmpint (shared.cells[0], ==, N_ITEMS);
      g_assert_cmpint (shared.cells[1], ==, N_ITEMS * (N_ITEMS - 1) / 2);
      g_object_unref (shared.array);
    }
}

static GVariant *
enter_critical_twice (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (ShmCriticalLocker) locker = shm_critical_locker_new (pool, error);

  if (locker != NULL && shm_map_reduce_critical_enter (pool, error))
    return g_variant_new_boolean (TRUE);
  return NULL;
}

static void
test_critical_twice (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  results = shm_map_reduce_map (pool, 3, NULL, enter_critical_twice, NULL, NULL, &error);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
}

static void
test_outside (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GError) error = NULL;

  g_assert_false (shm_map_reduce_critical_enter (pool, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  g_clear_error (&error);
  g_assert_null (shm_ordered_locker_new (pool, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
}

/* Each item that enters appends its index. Which enter, and how long they work, differs by variant.
 */
static GVariant *
append_in_order (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Shared *shared = user_data;
  guint i;

  for (i = 0; i < (index * 7919) % 500; i++)
    __asm__ volatile("");
  if (shared->variant == 1 && index % 3 == 0)
    return NULL;
  if (shared->variant == 2 && index % 100 != 99)
    return NULL;
  if (shared->variant == 3 && index % 500 == 0)
    g_usleep (1000);

  {
    g_autoptr (ShmOrderedLocker) locker = shm_ordered_locker_new (pool, error);

    if (locker == NULL)
      return NULL;
    shared->cells[1 + shared->cells[0]++] = index;
  }
  return g_variant_new_uint64 (index);
}

typedef struct
{
  ShmBackendType backend;
  ShmSchedule schedule;
  guint64 chunk_size;
} OrderedParams;

static void
check_ascending (const Shared *shared)
{
  gint64 i;

  for (i = 1; i < shared->cells[0]; i++)
    g_assert_cmpint (shared->cells[i + 1], >, shared->cells[i]);
}

static void
test_ordered (gconstpointer data)
{
  static const guint workers[] = { 1, 2, 3, 16 };
  const OrderedParams *params = data;
  gsize n = test_scale (N_ITEMS);
  guint w, variant;

  for (w = 0; w < G_N_ELEMENTS (workers); w++)
    for (variant = 0; variant < 4; variant++)
      {
        g_autoptr (ShmMapReduce) pool = test_pool (workers[w], params->backend);
        g_autoptr (GPtrArray) results = NULL;
        g_autoptr (GError) error = NULL;
        Shared shared = { .variant = variant };
        gsize i, n_entered = 0;

        /* A fork takes long there; each number of workers and each variant still come by. */
        if (test_under_valgrind () && (w + variant) % 4 != 0)
          continue;
        shared_init (&shared, n + 1);
        shm_map_reduce_set_schedule (pool, params->schedule);
        shm_map_reduce_set_chunk_size (pool, params->chunk_size);
        results = shm_map_reduce_map (pool, n, NULL, append_in_order, NULL, &shared, &error);
        g_assert_no_error (error);
        for (i = 0; i < n; i++)
          n_entered += g_ptr_array_index (results, i) != NULL;
        g_assert_cmpint (shared.cells[0], ==, n_entered);
        if (variant == 0)
          g_assert_cmpuint (n_entered, ==, n);
        check_ascending (&shared);
        g_object_unref (shared.array);
      }
}

static GVariant *
enter_ordered_twice (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (!shm_map_reduce_ordered_enter (pool, error))
    return NULL;
  shm_map_reduce_ordered_leave (pool);
  if (index == 5 && shm_map_reduce_ordered_enter (pool, error))
    shm_map_reduce_ordered_leave (pool);
  return NULL;
}

static void
test_ordered_twice (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  results = shm_map_reduce_map (pool, 100, NULL, enter_ordered_twice, NULL, NULL, &error);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  g_assert_true (g_str_has_prefix (error->message, "Item 5 on worker "));
}

/* In a range, each item that is begun may enter once. */
static GVariant *
range_in_order (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  Shared *shared = user_data;
  guint64 i;

  for (i = begin; i < end; i++)
    {
      g_autoptr (ShmOrderedLocker) locker = NULL;

      shm_map_reduce_begin_item (pool, i);
      locker = shm_ordered_locker_new (pool, error);
      if (locker == NULL)
        return NULL;
      shared->cells[1 + shared->cells[0]++] = i;
    }
  return NULL;
}

static void
test_ordered_ranges (gconstpointer data)
{
  static const guint64 chunks[] = { 0, 1, 17 };
  gsize n = test_scale (N_ITEMS);
  guint c;

  for (c = 0; c < G_N_ELEMENTS (chunks); c++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (3, GPOINTER_TO_UINT (data));
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;
      Shared shared = { 0 };

      shared_init (&shared, n + 1);
      shm_map_reduce_set_chunk_size (pool, chunks[c]);
      results = shm_map_reduce_map_ranges (pool, n, NULL, range_in_order, &shared, &error);
      g_assert_no_error (error);
      g_assert_cmpint (shared.cells[0], ==, n);
      check_ascending (&shared);
      g_object_unref (shared.array);
    }
}

static GVariant *
wait_for_first (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (index == 0)
    g_usleep (test_under_valgrind () ? 2000000 : 500000);
  if (shm_map_reduce_ordered_enter (pool, error))
    shm_map_reduce_ordered_leave (pool);
  return NULL;
}

/* Who waits sleeps. */
static void
test_waiting_is_idle (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (4, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  struct rusage before, after;
  gint64 used;

  getrusage (RUSAGE_CHILDREN, &before);
  shm_map_reduce_set_chunk_size (pool, 1);
  results = shm_map_reduce_map (pool, 4, NULL, wait_for_first, NULL, NULL, NULL);
  g_assert_nonnull (results);
  getrusage (RUSAGE_CHILDREN, &after);
  used = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * G_USEC_PER_SEC +
         after.ru_utime.tv_usec - before.ru_utime.tv_usec;
  g_assert_cmpint (used, <, test_under_valgrind () ? 1500000 : 250000);
}

static GVariant *
die_inside (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  gboolean ordered = GPOINTER_TO_INT (user_data);

  if (ordered ? !shm_map_reduce_ordered_enter (pool, error)
              : !shm_map_reduce_critical_enter (pool, error))
    return NULL;
  if (index == 20)
    raise (SIGKILL);
  if (ordered)
    shm_map_reduce_ordered_leave (pool);
  else
    shm_map_reduce_critical_leave (pool);
  return NULL;
}

/* The others, who wait, go home. */
static void
test_death_inside (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (4, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  results = shm_map_reduce_map (pool, 1000, NULL, die_inside, NULL, (gpointer) data, &error);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
  g_assert_true (g_str_has_prefix (error->message, "Item 20 on worker "));
}

static GVariant *
forget_to_leave (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (!shm_map_reduce_critical_enter (pool, error) || !shm_map_reduce_ordered_enter (pool, error))
    return NULL;
  return NULL;
}

/* A section that is not left is left at the end of the item, and complained about. */
static void
test_forgotten (void)
{
  if (g_test_subprocess ())
    {
      g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (GPtrArray) results = NULL;

      g_log_set_always_fatal (G_LOG_FATAL_MASK);
      g_log_set_fatal_mask ("shmem-glib", G_LOG_FATAL_MASK);
      results = shm_map_reduce_map (pool, 3, NULL, forget_to_leave, NULL, NULL, NULL);
      g_assert_nonnull (results);
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("*returned inside of its critical section*");
  g_test_trap_assert_stderr ("*returned inside of its ordered section*");
}

static void
add_ordered (void)
{
  static OrderedParams params[3 * 3 * 3];
  static const guint64 chunks[] = { 0, 1, 5 };
  ShmBackendType backend;
  guint n = 0, s, c;

  for (backend = SHM_BACKEND_TYPE_PROCESS; backend <= SHM_BACKEND_TYPE_SERIAL; backend++)
    for (s = 0; s < 3; s++)
      for (c = 0; c < 3; c++)
        {
          g_autofree char *path = NULL;

          params[n] = (OrderedParams){ backend, (ShmSchedule) s, chunks[c] };
          path = g_strdup_printf ("/sections/%s/ordered/schedule-%u/chunk-%u",
                                  test_backend_name (backend), s, (guint) chunks[c]);
          test_add_data (path, &params[n++], test_ordered);
        }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add_for_backends ("sections", "critical", test_critical);
  test_add_for_backends ("sections", "critical-twice", test_critical_twice);
  add_ordered ();
  test_add_for_backends ("sections", "ordered-twice", test_ordered_twice);
  test_add_for_backends ("sections", "ordered-ranges", test_ordered_ranges);
  test_add ("/sections/outside", test_outside);
  test_add ("/sections/waiting-is-idle", test_waiting_is_idle);
  test_add_data ("/sections/death-in-critical", GINT_TO_POINTER (FALSE), test_death_inside);
  test_add_data ("/sections/death-in-ordered", GINT_TO_POINTER (TRUE), test_death_inside);
  test_add ("/sections/forgotten", test_forgotten);

  return g_test_run ();
}
