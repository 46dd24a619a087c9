/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Regions that end well; for the others see test-region-end.c. */

#include "config.h"

#include "test-util.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define WITH_CALLER 0x100
#define MAX_WORKERS 8

/* What the tests are about: a backend, and whether the caller takes part. */
static ShmBackendType
get_backend (gconstpointer data)
{
  return GPOINTER_TO_UINT (data) & 0xff;
}

static ShmRegionFlags
get_flags (gconstpointer data)
{
  return GPOINTER_TO_UINT (data) & WITH_CALLER ? SHM_REGION_FLAGS_WITH_CALLER
                                               : SHM_REGION_FLAGS_NONE;
}

typedef struct
{
  ShmArray *array;
  gint64 *items; /* of the array, shared by all */
  guint n_workers;
  gint pipe[2];
  gint private_number;
  guint n_rounds;
} Region;

static void
region_init (Region *region, gsize n_items)
{
  const gsize shape[] = { n_items };

  *region = (Region){ .pipe = { -1, -1 } };
  region->array = test_new_array (SHM_DTYPE_I8, 1, shape);
  region->items = shm_array_get_data (region->array);
}

static void
region_clear (Region *region)
{
  g_object_unref (region->array);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Region, region_clear)

static GPtrArray *
run (gconstpointer mode, guint n_workers, ShmRegionFunc func, Region *region)
{
  g_autoptr (ShmMapReduce) pool = test_pool (n_workers, get_backend (mode));
  g_autoptr (GError) error = NULL;
  GPtrArray *results;

  region->n_workers = get_backend (mode) == SHM_BACKEND_TYPE_SERIAL ? 1 : n_workers;
  results = shm_map_reduce_run (pool, get_flags (mode), NULL, func, region, &error);
  g_assert_no_error (error);
  g_assert_nonnull (results);
  g_assert_cmpuint (results->len, ==, region->n_workers);
  return results;
}

static gint64
get (gint64 *number)
{
  return __atomic_load_n (number, __ATOMIC_SEQ_CST);
}

static gint64
add (gint64 *number, gint64 n)
{
  return __atomic_add_fetch (number, n, __ATOMIC_SEQ_CST);
}

/* Fails the worker if something is not as it should be; in a child an assertion would say less. */
static gboolean
check (gint64 is, gint64 should_be, const char *what, GError **error)
{
  if (is != should_be)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                 "%s is %" G_GINT64_FORMAT " and not %" G_GINT64_FORMAT, what, is, should_be);
  return is == should_be;
}

static GVariant *
count_rank (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;

  add (&region->items[rank], 1);
  if (!check (shm_map_reduce_get_rank (pool), rank, "the rank", error) || rank % 3 == 1)
    return NULL;
  return g_variant_new_uint32 (rank * 10);
}

static void
test_each_once (gconstpointer data)
{
  static const guint sizes[] = { 1, 2, 3, 8 };
  guint i, rank;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_auto (Region) region;
      g_autoptr (GPtrArray) results = NULL;

      region_init (&region, MAX_WORKERS);
      results = run (data, sizes[i], count_rank, &region);
      for (rank = 0; rank < results->len; rank++)
        {
          GVariant *result = g_ptr_array_index (results, rank);

          g_assert_cmpint (region.items[rank], ==, 1);
          if (rank % 3 == 1)
            g_assert_null (result);
          else
            g_assert_cmpuint (g_variant_get_uint32 (result), ==, rank * 10);
        }
    }
}

/* Each phase writes to one of two rows, so that one barrier between two phases is enough. */
static GVariant *
run_phases (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;
  guint n = region->n_workers;
  guint phase;

  for (phase = 1; phase <= region->n_rounds; phase++)
    {
      gint64 *row = region->items + phase % 2 * MAX_WORKERS;

      row[rank] = phase * 100 + rank;
      if (!shm_map_reduce_barrier (pool, error) ||
          !check (row[(rank + 1) % n], phase * 100 + (rank + 1) % n, "the next one's", error) ||
          !check (row[(rank + n - 1) % n], phase * 100 + (rank + n - 1) % n, "the last one's",
                  error))
        return NULL;
    }
  return NULL;
}

static void
test_phases (gconstpointer data)
{
  static const guint sizes[] = { 1, 2, 3, 8 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_auto (Region) region;
      g_autoptr (GPtrArray) results = NULL;

      region_init (&region, 2 * MAX_WORKERS);
      region.n_rounds = test_scale (500);
      results = run (data, sizes[i], run_phases, &region);
    }
}

#define MAX_ITERATIONS 300
#define FAR (G_GUINT64_CONSTANT (1) << 60)

static const ShmSchedule schedules[] = { SHM_SCHEDULE_DYNAMIC, SHM_SCHEDULE_STATIC,
                                         SHM_SCHEDULE_GUIDED };
static const guint64 chunks[] = { 0, 1, 3, 1000, G_MAXUINT64 };

static gboolean
count_iterations (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  Region *region = user_data;
  guint64 i;

  for (i = begin; i < end; i++)
    add (&region->items[i % FAR], 1);
  return TRUE;
}

static gboolean
check_counts (Region *region, guint64 n, GError **error)
{
  guint64 i;

  for (i = 0; i < MAX_ITERATIONS; i++)
    {
      if (!check (region->items[i], i < n ? 1 : 0, "a count", error))
        return FALSE;
      region->items[i] = 0;
    }
  return TRUE;
}

/* All kinds of loops one after the other; each rank sees what all others have done. */
static GVariant *
run_loops (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  static const guint64 sizes[] = { 0, 1, 2, 7, MAX_ITERATIONS };
  Region *region = user_data;
  guint s, c, n;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    for (c = 0; c < G_N_ELEMENTS (chunks); c++)
      for (n = 0; n < G_N_ELEMENTS (sizes); n++)
        {
          guint64 begin = (s + c) % 2 ? FAR : 0;

          if (!shm_map_reduce_share_range (pool, begin, begin + sizes[n], schedules[s], chunks[c],
                                           count_iterations, region, error) ||
              (rank == 0 && !check_counts (region, sizes[n], error)) ||
              !shm_map_reduce_barrier (pool, error))
            return NULL;
        }
  return NULL;
}

static void
test_loops (gconstpointer data)
{
  static const guint sizes[] = { 1, 2, 3, 8 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_auto (Region) region;
      g_autoptr (GPtrArray) results = NULL;

      region_init (&region, MAX_ITERATIONS);
      results = run (data, sizes[i], run_loops, &region);
    }
}

static gboolean
count_range (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  Region *region = user_data;

  add (&region->items[0], end - begin);
  return TRUE;
}

#define HUGE_N (G_GINT64_CONSTANT (1) << 40)
#define TOO_MANY (G_GUINT64_CONSTANT (1) << 48)

static GVariant *
run_huge (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;
  g_autoptr (GError) too_many = NULL;
  guint s;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    if (!shm_map_reduce_share_range (pool, 5, 5 + HUGE_N, schedules[s], 0, count_range, region,
                                     error) ||
        !check (region->items[0], (s + 1) * HUGE_N, "the number of iterations", error) ||
        !shm_map_reduce_barrier (pool, error))
      return NULL;
  if (!shm_map_reduce_share_range (pool, 0, TOO_MANY - 1, SHM_SCHEDULE_STATIC, 0, count_range,
                                   region, error) ||
      shm_map_reduce_share_range (pool, 0, TOO_MANY, SHM_SCHEDULE_STATIC, 0, count_range, region,
                                  &too_many))
    return NULL;
  check (too_many->code, SHM_ERROR_INVALID_ARGUMENT, "the error", error);
  return NULL;
}

static void
test_huge (gconstpointer data)
{
  g_auto (Region) region;
  g_autoptr (GPtrArray) results = NULL;

  region_init (&region, 1);
  results = run (data, 3, run_huge, &region);
}

/* More loops than are told apart by their numbers in the shared word; and some that leave it alone, as many as
 * there are numbers, between two that do not. */
static GVariant *
run_many_loops (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;
  gint64 expected = 0;
  guint i;

  for (i = 0; i < region->n_rounds; i++)
    {
      gboolean plain = i > 0 && i < 65536;
      guint64 n = plain && i % 2 ? 0 : 3;

      expected += n;
      if (!shm_map_reduce_share_range (pool, 0, n,
                                       plain ? SHM_SCHEDULE_STATIC : SHM_SCHEDULE_DYNAMIC, 1,
                                       count_range, region, error) ||
          (i % 2 && (!check (region->items[0], expected, "the number of iterations", error) ||
                     !shm_map_reduce_barrier (pool, error))))
        return NULL;
    }
  return NULL;
}

static void
test_many_loops (gconstpointer data)
{
  g_auto (Region) region;
  g_autoptr (GPtrArray) results = NULL;

  region_init (&region, 1);
  region.n_rounds = test_scale (70000);
  results = run (data, 2, run_many_loops, &region);
}

/* Appends to a list, whose length is its first item. */
static gboolean
append_in_order (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  Region *region = user_data;
  g_autoptr (GError) twice = NULL;
  guint64 i;

  /* The late one may come now. */
  if (region->pipe[1] >= 0 && write (region->pipe[1], "", 1) != 1)
    return FALSE;
  if (begin % 5 == 3)
    return TRUE;
  if (!shm_map_reduce_ordered_enter (pool, error))
    return FALSE;
  for (i = begin; i < end; i++)
    region->items[++region->items[0]] = i;
  shm_map_reduce_ordered_leave (pool);
  if (begin % 5 != 1)
    return TRUE;
  return !shm_map_reduce_ordered_enter (pool, &twice) &&
         check (twice->code, SHM_ERROR_WRONG_STATE, "the error of a second entry", error);
}

static gboolean
check_ascending (Region *region, GError **error)
{
  gint64 i;

  for (i = 2; i <= region->items[0]; i++)
    if (region->items[i] <= region->items[i - 1])
      return check (region->items[i], region->items[i - 1] + 1, "what follows", error);
  region->items[0] = 0;
  return TRUE;
}

static void
empty_pipe (int fd)
{
  struct pollfd poll_fd = { fd, POLLIN, 0 };
  char bytes[256];

  while (poll (&poll_fd, 1, 0) == 1 && read (fd, bytes, sizeof bytes) > 0)
    ;
}

/* One of them comes to the loop only when another is in it. */
static GVariant *
run_ordered (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;
  guint s, c, round;
  char byte;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    for (c = 0; c < G_N_ELEMENTS (chunks); c++)
      for (round = 0; round < region->n_rounds; round++)
        {
          gboolean is_late = region->n_workers > 1 && rank == round % region->n_workers;

          /* Rank 0 may have all of it, and nobody could let it in. */
          if (schedules[s] == SHM_SCHEDULE_STATIC && chunks[c] > 3)
            is_late = FALSE;

          if (is_late && read (region->pipe[0], &byte, 1) != 1)
            return NULL;
          if (!shm_map_reduce_share_range (pool, 0, 100, schedules[s], chunks[c], append_in_order,
                                           region, error) ||
              (rank == 0 && !check_ascending (region, error)))
            return NULL;
          /* The bytes of this loop must not let anybody into the next one. */
          if (is_late)
            empty_pipe (region->pipe[0]);
          if (!shm_map_reduce_barrier (pool, error))
            return NULL;
        }
  return NULL;
}

static void
test_ordered (gconstpointer data)
{
  static const guint sizes[] = { 1, 2, 3, 8 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_auto (Region) region;
      g_autoptr (GPtrArray) results = NULL;

      region_init (&region, 101);
      region.n_rounds = MAX (1, test_scale (40));
      g_assert_true (g_unix_open_pipe (region.pipe, FD_CLOEXEC, NULL));
      results = run (data, sizes[i], run_ordered, &region);
      close (region.pipe[0]);
      close (region.pipe[1]);
    }
}

/* Many short turns, for wake-ups that get lost. */
static GVariant *
run_turns (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;
  guint s;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    if (!shm_map_reduce_share_range (pool, 0, region->n_rounds, schedules[s], 1, append_in_order,
                                     region, error) ||
        (rank == 0 && !check_ascending (region, error)) || !shm_map_reduce_barrier (pool, error))
      return NULL;
  return NULL;
}

static void
test_turns (gconstpointer data)
{
  guint n;

  for (n = 2; n <= 4; n++)
    {
      g_auto (Region) region;
      g_autoptr (GPtrArray) results = NULL;

      region_init (&region, 20001);
      region.n_rounds = test_scale (20000);
      results = run (data, n, run_turns, &region);
    }
}

static gboolean
count_in_critical (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  Region *region = user_data;
  guint64 i;

  for (i = begin; i < end; i++)
    {
      g_autoptr (ShmCriticalLocker) locker = shm_critical_locker_new (pool, error);

      if (locker == NULL)
        return FALSE;
      region->items[0]++;
    }
  return TRUE;
}

static GVariant *
run_critical (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;
  guint s;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    if (!shm_map_reduce_share_range (pool, 0, region->n_rounds, schedules[s], 0, count_in_critical,
                                     region, error) ||
        !check (region->items[0], (s + 1) * region->n_rounds, "the count", error) ||
        !shm_map_reduce_barrier (pool, error))
      return NULL;
  return NULL;
}

static void
test_critical (gconstpointer data)
{
  g_auto (Region) region;
  g_autoptr (GPtrArray) results = NULL;

  region_init (&region, 1);
  region.n_rounds = test_scale (2000);
  results = run (data, 4, run_critical, &region);
}

#define LARGE ((gsize) 8 << 20)

static GVariant *
make_large (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  guint8 *bytes = g_malloc (LARGE);

  memset (bytes, rank + 1, LARGE);
  return g_variant_new_from_data (G_VARIANT_TYPE ("ay"), bytes, LARGE, TRUE, g_free, bytes);
}

static void
test_large_results (gconstpointer data)
{
  g_auto (Region) region;
  g_autoptr (GPtrArray) results = NULL;
  guint rank;

  region_init (&region, 1);
  results = run (data, 3, make_large, &region);
  for (rank = 0; rank < results->len; rank++)
    {
      GVariant *result = g_ptr_array_index (results, rank);
      const guint8 *bytes = g_variant_get_data (result);

      g_assert_cmpuint (g_variant_get_size (result), ==, LARGE);
      g_assert_cmpuint (bytes[0], ==, rank + 1);
      g_assert_cmpuint (bytes[LARGE / 2], ==, rank + 1);
      g_assert_cmpuint (bytes[LARGE - 1], ==, rank + 1);
    }
}

static GVariant *
meet_once (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;

  add (&region->items[0], 1);
  if (!shm_map_reduce_barrier (pool, error) ||
      !check (get (&region->items[0]) % region->n_workers, 0, "the rest", error) ||
      !shm_map_reduce_barrier (pool, error))
    return NULL;
  return g_variant_new_uint32 (rank);
}

static void
test_again_and_again (gconstpointer data)
{
  const guint n = test_scale (500);
  g_auto (Region) region;
  guint i;

  region_init (&region, 1);
  for (i = 0; i < n; i++)
    {
      g_autoptr (GPtrArray) results = run (data, 2 + i % 2, meet_once, &region);
      guint rank;

      for (rank = 0; rank < results->len; rank++)
        g_assert_cmpuint (g_variant_get_uint32 (g_ptr_array_index (results, rank)), ==, rank);
      region.items[0] = 0;
    }
}

static GVariant *
write_privately (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;

  if (rank == 0)
    region->private_number = 17;
  region->items[rank] = getpid ();
  return NULL;
}

/* Rank 0 is the caller itself, if it takes part, or where there is nobody else. */
static void
test_caller_is_rank_0 (gconstpointer data)
{
  g_auto (Region) region;
  g_autoptr (GPtrArray) results = NULL;
  gboolean with_caller = get_flags (data) == SHM_REGION_FLAGS_WITH_CALLER;
  gboolean is_process = get_backend (data) == SHM_BACKEND_TYPE_PROCESS;

  region_init (&region, MAX_WORKERS);
  results = run (data, 3, write_privately, &region);
  g_assert_cmpint (region.private_number, ==, is_process && !with_caller ? 0 : 17);
  g_assert_true ((region.items[0] == getpid ()) == (!is_process || with_caller));
  if (region.n_workers > 1)
    g_assert_true ((region.items[1] == getpid ()) == !is_process);
}

static GVariant *
run_region_inside (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Region *region = user_data;
  g_autoptr (GPtrArray) results =
      shm_map_reduce_run (pool, SHM_REGION_FLAGS_WITH_CALLER, NULL, meet_once, region, error);

  if (results != NULL)
    check (results->len, 1, "the number of workers inside", error);
  return NULL;
}

/* In a work function, and where a debugger is to see it, one worker is all. */
static void
test_serial_where_it_must (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (3, get_backend (data));
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GPtrArray) alone = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Region) region;

  region_init (&region, MAX_WORKERS);
  region.n_workers = 1;
  results = shm_map_reduce_map (pool, 10, NULL, run_region_inside, NULL, &region, &error);
  g_assert_no_error (error);

  shm_set_debug (TRUE);
  alone = shm_map_reduce_run (pool, get_flags (data), NULL, write_privately, &region, &error);
  shm_set_debug (FALSE);
  g_assert_no_error (error);
  g_assert_cmpuint (alone->len, ==, 1);
  g_assert_cmpint (region.private_number, ==, 17);
}

static void
add_for_modes (const char *name, GTestDataFunc func)
{
  guint backend, with_caller;

  for (backend = SHM_BACKEND_TYPE_PROCESS; backend <= SHM_BACKEND_TYPE_SERIAL; backend++)
    for (with_caller = 0; with_caller <= WITH_CALLER; with_caller += WITH_CALLER)
      {
        g_autofree char *path = g_strdup_printf ("/region/%s/%s%s", test_backend_name (backend),
                                                 with_caller ? "with-caller/" : "", name);

        test_add_data (path, GUINT_TO_POINTER (backend | with_caller), func);
      }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  add_for_modes ("each-once", test_each_once);
  add_for_modes ("phases", test_phases);
  add_for_modes ("loops", test_loops);
  add_for_modes ("huge", test_huge);
  add_for_modes ("many-loops", test_many_loops);
  add_for_modes ("ordered", test_ordered);
  add_for_modes ("turns", test_turns);
  add_for_modes ("critical", test_critical);
  add_for_modes ("large-results", test_large_results);
  add_for_modes ("again-and-again", test_again_and_again);
  add_for_modes ("caller-is-rank-0", test_caller_is_rank_0);
  add_for_modes ("serial-where-it-must", test_serial_where_it_must);

  return g_test_run ();
}
