/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Maps whose workers are shot at by a thread, at any moment, with any signal: every result must be exact, and
 * nothing may be left. With `-m slow` it is thousands of maps, else it is a few seconds of them.
 */

#include "config.h"

#include "test-util.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct
{
  gint stop;
  gint n_shots;
  gboolean hostile;
} Chaos;

static guint
collect_children (pid_t *pids, guint max)
{
  DIR *dir = opendir ("/proc/self/task");
  struct dirent *entry;
  guint n = 0;

  while (dir != NULL && (entry = readdir (dir)) != NULL)
    {
      char path[300];
      FILE *file;
      int pid;

      snprintf (path, sizeof path, "/proc/self/task/%s/children", entry->d_name);
      file = fopen (path, "re");
      while (file != NULL && n < max && fscanf (file, "%d", &pid) == 1)
        pids[n++] = pid;
      if (file != NULL)
        fclose (file);
    }
  if (dir != NULL)
    closedir (dir);
  return n;
}

static gpointer
shoot (gpointer data)
{
  static const int signals[] = { SIGKILL, SIGSEGV, SIGABRT, SIGTERM, SIGSTOP };
  Chaos *chaos = data;
  g_autoptr (GRand) rand = g_rand_new_with_seed (g_test_rand_int ());

  while (!g_atomic_int_get (&chaos->stop))
    {
      pid_t pids[64];
      guint n = collect_children (pids, G_N_ELEMENTS (pids));
      int number = signals[g_rand_int_range (rand, 0, G_N_ELEMENTS (signals))];
      pid_t pid;

      /* Where all is slower, a worker must still have a chance to begin. */
      g_usleep (g_rand_int_range (rand, 50, 3000) * (test_under_valgrind () ? 100 : 1));
      if (n == 0)
        continue;
      pid = pids[g_rand_int_range (rand, 0, n)];
      if (kill (pid, number) != 0)
        continue;
      g_atomic_int_inc (&chaos->n_shots);
      if (number == SIGSTOP)
        {
          g_usleep (g_rand_int_range (rand, 50, 2000));
          kill (pid, SIGCONT);
        }
    }
  return NULL;
}

static void
swallow (const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
}

/* Threads that hold locks when a fork comes: they allocate, log, and make types and variants. */
static gpointer
be_hostile (gpointer data)
{
  Chaos *chaos = data;
  guint n = 0;

  while (!g_atomic_int_get (&chaos->stop))
    {
      g_autofree char *name = g_strdup_printf ("hostile-%p-%u", (gpointer) &name, n++);
      g_autoptr (GVariant) variant = g_variant_ref_sink (g_variant_new ("(sa{sv})", name, NULL));
      g_autoptr (GCancellable) object = g_cancellable_new ();
      gpointer memory = g_malloc (n % 100000);

      g_log ("hostile", G_LOG_LEVEL_DEBUG, "%s", name);
      /* These are for ever. */
      if (n % 16 == 0 && n < 100000)
        g_quark_from_string (name);
      if (n % 64 == 0 && n < 100000)
        g_type_register_static_simple (G_TYPE_OBJECT, name, sizeof (GObjectClass), NULL,
                                       sizeof (GObject), NULL, 0);
      g_free (memory);
    }
  return NULL;
}

/* A result, and a line in a shared table under the critical lock or in order, so that these are shot at too. */
typedef struct
{
  ShmArray *array;
  gint64 *counts;
  guint how;
} Shared;

static GVariant *
map_work (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  Shared *shared = user_data;
  guint i;

  for (i = 0; i < 2000 + index * 37 % 5000; i++)
    __asm__ volatile("");
  if (shared->how == 1)
    {
      g_autoptr (ShmCriticalLocker) locker = shm_critical_locker_new (pool, error);

      if (locker == NULL)
        return NULL;
      shared->counts[index] = index;
    }
  else if (shared->how == 2)
    {
      g_autoptr (ShmOrderedLocker) locker = shm_ordered_locker_new (pool, error);

      if (locker == NULL)
        return NULL;
      shared->counts[index] = index;
    }
  else if (shared->how == 3 && index % 40 == 0)
    {
      guint8 *bytes = g_malloc (600000);

      memset (bytes, index, 600000);
      return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, 600000, TRUE, g_free,
                                      bytes);
    }
  return g_variant_new ("(ts)", index, "result");
}

static GVariant *
range_work (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  GVariantBuilder builder;
  guint64 i;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(ts)"));
  for (i = begin; i < end; i++)
    {
      shm_map_reduce_begin_item (pool, i);
      g_variant_builder_add_value (&builder, map_work (pool, i, user_data, error));
    }
  return g_variant_builder_end (&builder);
}

static void
check_result (GVariant *result, guint64 index, guint how)
{
  g_assert_nonnull (result);
  if (how == 3 && index % 40 == 0)
    {
      gsize size;
      const guint8 *bytes = g_variant_get_fixed_array (result, &size, 1);

      g_assert_cmpuint (size, ==, 600000);
      g_assert_cmpuint (bytes[0], ==, index & 0xff);
      g_assert_cmpuint (bytes[size - 1], ==, index & 0xff);
    }
  else
    {
      guint64 value;

      g_variant_get (result, "(t&s)", &value, NULL);
      g_assert_cmpuint (value, ==, index);
    }
}

static void
one_map (guint round, gsize n)
{
  static const ShmSchedule schedules[] = { SHM_SCHEDULE_DYNAMIC, SHM_SCHEDULE_STATIC,
                                           SHM_SCHEDULE_GUIDED };
  g_autoptr (ShmMapReduce) pool = test_pool (1 + round % 4, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, n);
  g_autoptr (GError) error = NULL;
  Shared shared = { .how = round % 5 };
  GPtrArray *results;
  guint64 next = 0;
  gsize i;

  shared.array = shm_array_new (SHM_DTYPE_I8, &n, 1, NULL);
  shared.counts = shm_array_get_data (shared.array);
  shm_map_reduce_set_max_retries (pool, 10000);
  shm_map_reduce_set_schedule (pool, schedules[round % 3]);
  shm_map_reduce_set_chunk_size (pool, round % 7 == 0 ? 1 : 0);
  if (round % 11 == 0)
    shm_map_reduce_set_max_items_per_worker (pool, 50);
  if (shared.how == 4)
    shm_job_set_range_func (job, range_work, &shared, NULL);
  else
    shm_job_set_map_func (job, map_work, &shared, NULL);
  shm_job_run (job, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (shm_job_get_failures (job)->len, ==, 0);

  results = shm_job_get_results (job);
  for (i = 0; i < results->len; i++)
    {
      GVariant *result = g_ptr_array_index (results, i);
      gsize k;

      if (shared.how != 4)
        check_result (result, next++, shared.how);
      else
        for (k = 0; k < g_variant_n_children (result); k++)
          {
            g_autoptr (GVariant) child = g_variant_get_child_value (result, k);

            check_result (child, next++, shared.how);
          }
    }
  g_assert_cmpuint (next, ==, n);
  for (i = 0; i < n && (shared.how == 1 || shared.how == 2); i++)
    g_assert_cmpint (shared.counts[i], ==, i);
  g_object_unref (shared.array);
}

static glong
get_resident (void)
{
  g_autofree char *statm = NULL;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &statm, NULL, NULL));
  return strtol (strchr (statm, ' '), NULL, 10) * (sysconf (_SC_PAGESIZE) / 1024);
}

static void
test_chaos (gconstpointer data)
{
  Chaos chaos = { .hostile = GPOINTER_TO_INT (data) };
  guint n_rounds = g_test_slow () ? 3000 : 40;
  struct rlimit none = { 0, 0 };
  GThread *threads[4];
  guint n_threads = 0, round;
  glong resident = 0;

  /* Valgrind runs one thread at a time, and those that spin leave the others little. */
  if ((TEST_SANITIZED || test_under_valgrind ()) && chaos.hostile)
    {
      g_test_skip ("no fork beside threads that allocate");
      return;
    }
  setrlimit (RLIMIT_CORE, &none);
  if (test_under_valgrind ())
    n_rounds = 5;
  threads[n_threads++] = g_thread_new ("shooter", shoot, &chaos);
  while (chaos.hostile && n_threads < G_N_ELEMENTS (threads))
    threads[n_threads++] = g_thread_new ("hostile", be_hostile, &chaos);

  /* Where the processors are busy the shooter may have few turns. */
  for (round = 0; round < n_rounds || (g_atomic_int_get (&chaos.n_shots) <= (gint) n_rounds / 8 &&
                                       round < 100 * n_rounds);
       round++)
    {
      one_map (round, 400);
      if (round == n_rounds / 4)
        resident = get_resident ();
    }
  g_atomic_int_set (&chaos.stop, 1);
  while (n_threads > 0)
    g_thread_join (threads[--n_threads]);

  g_test_message ("%u maps, %d shots", round, chaos.n_shots);
  g_assert_cmpint (chaos.n_shots, >, (gint) n_rounds / 8);
  if (g_test_slow ())
    g_assert_cmpint (get_resident () - resident, <, 40000);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  g_log_set_handler ("hostile", G_LOG_LEVEL_DEBUG, swallow, NULL);
  test_add_data ("/chaos/quiet", GINT_TO_POINTER (FALSE), test_chaos);
  test_add_data ("/chaos/hostile-threads", GINT_TO_POINTER (TRUE), test_chaos);

  return g_test_run ();
}
