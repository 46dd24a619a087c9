/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What a job tells of itself, and the random numbers that it gives: progress, statistics, trace, seeds. */

#include "config.h"

#include "test-util.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct
{
  ShmJob *job;
  guint64 n_done;
  gdouble fraction;
  guint n_notified;
} Watch;

static void
spin (gint64 time)
{
  gint64 until = g_get_monotonic_time () + time;

  while (g_get_monotonic_time () < until)
    ;
}

static void
on_n_done (GObject *object, GParamSpec *pspec, gpointer user_data)
{
  Watch *watch = user_data;
  guint64 n_done = shm_job_get_n_done (watch->job);
  gdouble fraction = shm_job_get_fraction (watch->job);
  gdouble eta = shm_job_get_eta (watch->job);

  g_assert_cmpuint (n_done, >=, watch->n_done);
  g_assert_cmpuint (n_done, <=, shm_job_get_n_items (watch->job));
  g_assert_cmpfloat (fraction, >=, watch->fraction);
  g_assert_cmpfloat (fraction, <=, 1.0);
  g_assert_true (eta == -1.0 || eta >= 0.0);
  g_assert_cmpfloat (shm_job_get_rate (watch->job), >=, 0.0);
  watch->n_done = n_done;
  watch->fraction = fraction;
  watch->n_notified++;
}

static GVariant *
map_short (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return index % 10 ? NULL : g_variant_new_uint64 (index);
}

static void
test_progress (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  guint n = test_scale (200000);
  g_autoptr (ShmJob) job = shm_job_new (pool, n);
  Watch watch = { job, 0, 0.0, 0 };
  gint64 started = g_get_monotonic_time ();
  gdouble seconds;

  g_signal_connect (job, "notify::n-done", G_CALLBACK (on_n_done), &watch);
  g_assert_cmpuint (shm_job_get_n_done (job), ==, 0);
  g_assert_cmpfloat (shm_job_get_fraction (job), ==, 0.0);
  g_assert_cmpfloat (shm_job_get_rate (job), ==, 0.0);
  g_assert_cmpfloat (shm_job_get_eta (job), ==, -1.0);
  shm_job_set_map_func (job, map_short, NULL, NULL);
  test_run_job (job);
  seconds = (gdouble) (g_get_monotonic_time () - started) / G_USEC_PER_SEC;
  g_assert_cmpuint (watch.n_done, ==, n);
  g_assert_cmpuint (watch.n_notified, >=, 1);
  g_assert_cmpfloat (watch.n_notified, <=, 25.0 * seconds + 10.0);
  g_assert_cmpuint (shm_job_get_n_done (job), ==, n);
  g_assert_cmpfloat (shm_job_get_fraction (job), ==, 1.0);
  g_assert_cmpfloat (shm_job_get_eta (job), ==, 0.0);
}

static GVariant *
map_nothing (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return NULL;
}

static void
test_no_items (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, 0);

  shm_job_set_map_func (job, map_nothing, NULL, NULL);
  test_run_job (job);
  g_assert_cmpuint (shm_job_get_n_done (job), ==, 0);
  g_assert_cmpfloat (shm_job_get_fraction (job), ==, 1.0);
  g_assert_cmpfloat (shm_job_get_eta (job), ==, 0.0);
}

static GVariant *
map_long (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  spin (5000);
  return NULL;
}

/* A line that is written over and over in its place, and ended once; how often it was written. */
static guint
check_stream (ShmBackendType backend, guint n_items)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, backend);
  g_autoptr (ShmJob) job = shm_job_new (pool, n_items);
  g_autoptr (GOutputStream) stream = g_memory_output_stream_new_resizable ();
  g_autofree char *text = NULL;
  g_autofree char *of_all = g_strdup_printf ("/%u", n_items);
  g_autofree char *all = g_strdup_printf ("%u/%u", n_items, n_items);
  g_auto (GStrv) lines = NULL;
  guint i;

  shm_job_set_progress_stream (job, stream);
  shm_job_set_map_func (job, map_long, NULL, NULL);
  test_run_job (job);
  text = g_strndup (g_memory_output_stream_get_data (G_MEMORY_OUTPUT_STREAM (stream)),
                    g_memory_output_stream_get_data_size (G_MEMORY_OUTPUT_STREAM (stream)));
  g_assert_true (g_str_has_prefix (text, "\r"));
  g_assert_true (g_str_has_suffix (text, "\n"));
  lines = g_strsplit (text, "\r", -1);
  g_assert_cmpuint (g_strv_length (lines), >=, 2);
  for (i = 1; lines[i] != NULL; i++)
    {
      g_assert_nonnull (strstr (lines[i], of_all));
      g_assert_true ((strchr (lines[i], '\n') != NULL) == (lines[i + 1] == NULL));
    }
  g_assert_nonnull (strstr (lines[i - 1], "100%"));
  g_assert_nonnull (strstr (lines[i - 1], all));
  return i - 1;
}

static void
test_stream (gconstpointer data)
{
  guint n_lines = 0;
  guint n_items;

  /* Where the processors are busy the main context may have had no turn before the end. */
  for (n_items = 50; n_lines < 2 && n_items < 5000; n_items *= 2)
    n_lines = check_stream (GPOINTER_TO_UINT (data), n_items);
  g_assert_cmpuint (n_lines, >=, 2);
}

/* One that takes ten bytes only, and one that is closed. */
static void
test_failing_stream (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  guint closed;

  for (closed = 0; closed <= 1; closed++)
    {
      g_autoptr (ShmJob) job = shm_job_new (pool, 40);
      char room[10];
      g_autoptr (GOutputStream) stream = g_memory_output_stream_new (room, sizeof room, NULL, NULL);

      if (closed)
        g_assert_true (g_output_stream_close (stream, NULL, NULL));
      shm_job_set_progress_stream (job, stream);
      shm_job_set_map_func (job, map_long, NULL, NULL);
      test_run_job (job);
      g_assert_cmpuint (shm_job_get_n_done (job), ==, 40);
    }
}

typedef gint64 (*GetTime) (ShmStatistics *statistics);

static gint64
sum_up (ShmJob *job, GetTime get_time)
{
  GPtrArray *list = shm_job_get_statistics (job);
  gint64 sum = 0;
  guint i;

  for (i = 0; i < list->len; i++)
    sum += get_time (g_ptr_array_index (list, i));
  return sum;
}

static guint
check_items (ShmJob *job, guint64 n)
{
  GPtrArray *list = shm_job_get_statistics (job);
  guint64 n_items = 0;
  guint n_lives = 0;
  gint last = -1;
  guint i;

  for (i = 0; i < list->len; i++)
    {
      ShmStatistics *statistics = g_ptr_array_index (list, i);

      g_assert_cmpint (shm_statistics_get_rank (statistics), >, last);
      last = shm_statistics_get_rank (statistics);
      n_items += shm_statistics_get_n_items (statistics);
      n_lives += shm_statistics_get_n_lives (statistics);
      g_assert_cmpint (shm_statistics_get_busy_time (statistics), >=, 0);
      g_assert_cmpint (shm_statistics_get_busy_time (statistics), <=,
                       shm_statistics_get_elapsed_time (statistics));
    }
  g_assert_cmpuint (n_items, ==, n);
  return n_lives;
}

static void
test_statistics (gconstpointer data)
{
  gboolean is_process = GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_PROCESS;
  gboolean is_serial = GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_SERIAL;
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, 60);
  g_autoptr (ShmJob) recycled = shm_job_new (pool, 60);
  guint i;

  g_assert_null (shm_job_get_statistics (job));
  shm_job_set_map_func (job, map_long, NULL, NULL);
  test_run_job (job);
  g_assert_cmpuint (check_items (job, 60), ==, is_serial ? 1 : 2);
  g_assert_cmpint (sum_up (job, shm_statistics_get_elapsed_time), >=, 60 * 5000);
  for (i = 0; i < shm_job_get_statistics (job)->len; i++)
    {
      ShmStatistics *statistics = g_ptr_array_index (shm_job_get_statistics (job), i);

      g_assert_cmpint (shm_statistics_get_cpu_time (statistics), >, 0);
      g_assert_true ((shm_statistics_get_peak_memory (statistics) > 0) == is_process);
    }

  shm_map_reduce_set_max_items_per_worker (pool, 10);
  shm_job_set_map_func (recycled, map_nothing, NULL, NULL);
  test_run_job (recycled);
  g_assert_cmpuint (check_items (recycled, 60), >=, is_process ? 6 : 1);
}

/* Two items, of which the first keeps the second waiting. */
typedef struct
{
  int ends[2]; /* of a pair of sockets; -1: one worker does both items, one after the other */
  gulong hold; /* how long somebody is kept waiting, in microseconds */
} Contention;

/* Goes on when both items have come so far, each in a worker of its own. */
static void
meet (const Contention *contention, guint64 index)
{
  char byte = 0;

  if (contention->ends[index] < 0)
    return;
  g_assert_cmpint (write (contention->ends[index], &byte, 1), ==, 1);
  g_assert_cmpint (read (contention->ends[index], &byte, 1), ==, 1);
}

static GVariant *
map_critical (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const Contention *contention = user_data;

  if (index == 1)
    meet (contention, index);
  if (!shm_map_reduce_critical_enter (pool, error))
    return NULL;
  if (index == 0)
    {
      meet (contention, index);
      g_usleep (contention->hold);
    }
  shm_map_reduce_critical_leave (pool);
  return NULL;
}

static GVariant *
map_ordered (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const Contention *contention = user_data;

  meet (contention, index);
  if (index == 0)
    g_usleep (contention->hold);
  if (shm_map_reduce_ordered_enter (pool, error))
    shm_map_reduce_ordered_leave (pool);
  return NULL;
}

static GVariant *
map_large (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  gsize size = 100 * 1024;
  guint8 *bytes = g_malloc0 (size);

  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes);
}

static gboolean
take_slowly (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  const Contention *contention = user_data;

  if (index % 25 == 0)
    g_usleep (contention->hold);
  return TRUE;
}

static GVariant *
feed_slowly (ShmJob *job, guint64 index, gpointer user_data, GError **error)
{
  const Contention *contention = user_data;

  g_usleep (contention->hold);
  return index < 3 ? g_variant_new_uint64 (index) : NULL;
}

static const GetTime waiting_times[] = { shm_statistics_get_critical_time,
                                         shm_statistics_get_ordered_time,
                                         shm_statistics_get_output_time,
                                         shm_statistics_get_input_time };

/* A job in which workers wait for what the time at `index` is about. */
static ShmJob *
run_contended (ShmMapReduce *pool, guint index, Contention *contention)
{
  GetTime time = waiting_times[index];
  gboolean is_output = time == shm_statistics_get_output_time;
  ShmJob *job = shm_job_new (pool, is_output ? 100 : 2);

  if (time == shm_statistics_get_critical_time)
    shm_job_set_map_func (job, map_critical, contention, NULL);
  else if (time == shm_statistics_get_ordered_time)
    shm_job_set_map_func (job, map_ordered, contention, NULL);
  else if (is_output)
    {
      shm_job_set_map_func (job, map_large, NULL, NULL);
      shm_job_set_result_func (job, take_slowly, contention, NULL);
      shm_job_set_output (job, SHM_OUTPUT_STREAM);
    }
  else
    {
      shm_job_set_map_func (job, map_nothing, NULL, NULL);
      shm_job_set_feed_func (job, feed_slowly, contention, NULL);
      shm_job_set_window (job, 1);
    }
  test_run_job (job);
  return job;
}

/* Workers that wait say what for. One that is kept waiting has to get as far as its sleep meanwhile,
 * and where the machine is too busy for that it is kept longer, in another job. */
static void
test_waiting (gconstpointer data)
{
  gboolean is_serial = GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_SERIAL;
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  Contention contention = { { -1, -1 }, 0 };
  guint i, k;

  shm_map_reduce_set_chunk_size (pool, 1);
  if (!is_serial)
    g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, contention.ends));
  for (i = 0; i < G_N_ELEMENTS (waiting_times); i++)
    {
      gint64 waited = 0;

      for (contention.hold = 1000; waited == 0 && contention.hold < 10000000; contention.hold *= 2)
        {
          g_autoptr (ShmJob) job = run_contended (pool, i, &contention);

          waited = sum_up (job, waiting_times[i]);
          for (k = 0; k < G_N_ELEMENTS (waiting_times); k++)
            if (is_serial || (k != i && k < 2))
              g_assert_cmpint (sum_up (job, waiting_times[k]), ==, 0);
          if (is_serial)
            break;
        }
      g_assert_true (is_serial || waited > 0);
    }
  if (!is_serial)
    {
      close (contention.ends[0]);
      close (contention.ends[1]);
    }
}

static guint
count_in (const char *text, const char *part)
{
  guint n = 0;

  while ((text = strstr (text, part)) != NULL)
    {
      n++;
      text += strlen (part);
    }
  return n;
}

/* A record of so many items. */
static void
check_trace (const char *name, guint n)
{
  const char *const argv[] = { "/usr/bin/python3", "-c",
                               "import json, sys; json.load (open (sys.argv[1]))", name, NULL };
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  gint status;

  g_file_get_contents (name, &text, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (count_in (text, "\"ph\":\"X\""), ==, n);
  if (!g_file_test (argv[0], G_FILE_TEST_IS_EXECUTABLE))
    return;
  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status,
                &error);
  g_assert_no_error (error);
  g_assert_cmpint (status, ==, 0);
}

static void
test_trace (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, 300);
  g_autoptr (ShmJob) untraced = shm_job_new (pool, 3);
  g_autofree char *directory = g_dir_make_tmp ("shm-XXXXXX", NULL);
  g_autofree char *name = g_build_filename (directory, "trace.json", NULL);
  g_autoptr (GFile) file = g_file_new_for_path (name);
  g_autoptr (GError) early = NULL;
  g_autoptr (GError) none = NULL;
  g_autoptr (GError) error = NULL;

  shm_job_set_trace (job, TRUE);
  shm_job_set_map_func (job, map_short, NULL, NULL);
  g_assert_false (shm_job_write_trace (job, file, NULL, &early));
  g_assert_error (early, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  test_run_job (job);
  g_assert_true (shm_job_write_trace (job, file, NULL, &error));
  g_assert_no_error (error);
  check_trace (name, 300);

  shm_job_set_map_func (untraced, map_short, NULL, NULL);
  test_run_job (untraced);
  g_assert_false (shm_job_write_trace (untraced, file, NULL, &none));
  g_assert_error (none, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  g_remove (name);
  g_rmdir (directory);
}

/* With SHM_TRACE in the environment, a file for each job. */
static void
test_trace_file (gconstpointer data)
{
  g_autofree char *directory = NULL;
  g_autofree char *name = NULL;
  g_autofree char *second = NULL;

  if (g_test_subprocess ())
    {
      g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
      guint n;

      for (n = 10; n <= 20; n += 10)
        {
          g_autoptr (ShmJob) job = shm_job_new (pool, n);

          shm_job_set_map_func (job, map_short, NULL, NULL);
          test_run_job (job);
        }
      return;
    }
  directory = g_dir_make_tmp ("shm-XXXXXX", NULL);
  name = g_build_filename (directory, "trace.json", NULL);
  second = g_build_filename (directory, "trace-2.json", NULL);
  g_setenv ("SHM_TRACE", name, TRUE);
  g_test_trap_subprocess (NULL, 0, 0);
  g_unsetenv ("SHM_TRACE");
  g_test_trap_assert_passed ();
  check_trace (name, 10);
  check_trace (second, 20);
  g_remove (name);
  g_remove (second);
  g_rmdir (directory);
}

static GVariant *
map_random (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  guint32 first = g_random_int ();

  return g_variant_new ("(tuu)", shm_job_seed (shm_map_reduce_get_job (pool), index), first,
                        g_random_int ());
}

static GPtrArray *
get_random (guint n_workers, ShmBackendType backend, guint64 chunk_size, guint64 seed)
{
  g_autoptr (ShmMapReduce) pool = test_pool (n_workers, backend);
  g_autoptr (ShmJob) job = shm_job_new (pool, 200);

  shm_map_reduce_set_chunk_size (pool, chunk_size);
  shm_job_set_seed (job, seed);
  shm_job_set_map_func (job, map_random, NULL, NULL);
  test_run_job (job);
  return g_ptr_array_ref (shm_job_get_results (job));
}

/* An item has the same numbers wherever it is, and no two items have. */
static void
test_seed (gconstpointer data)
{
  ShmBackendType backend = GPOINTER_TO_UINT (data);
  g_autoptr (GPtrArray) expected = get_random (1, SHM_BACKEND_TYPE_SERIAL, 0, 12345);
  g_autoptr (GPtrArray) other = get_random (1, backend, 0, 54321);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_variant_hash, g_variant_equal);
  guint n_workers, i;

  for (n_workers = 1; n_workers <= 4; n_workers++)
    {
      g_autoptr (GPtrArray) results = get_random (n_workers, backend, n_workers % 2 * 9, 12345);

      for (i = 0; i < 200; i++)
        {
          g_autoptr (GVariant) seed = g_variant_get_child_value (g_ptr_array_index (results, i), 0);
          g_autoptr (GVariant) expected_seed =
              g_variant_get_child_value (g_ptr_array_index (expected, i), 0);

          g_assert_cmpvariant (seed, expected_seed);
          /* Threads share one generator. */
          if (backend != SHM_BACKEND_TYPE_THREAD)
            g_assert_cmpvariant (g_ptr_array_index (results, i), g_ptr_array_index (expected, i));
        }
    }
  for (i = 0; i < 200; i++)
    {
      g_autoptr (GVariant) first = g_variant_get_child_value (g_ptr_array_index (expected, i), 1);

      g_assert_false (
          g_variant_equal (g_ptr_array_index (expected, i), g_ptr_array_index (other, i)));
      g_assert_true (g_hash_table_add (seen, g_variant_ref (first)));
    }
  for (i = 0; i < 200; i++)
    {
      g_autoptr (GVariant) first = g_variant_get_child_value (g_ptr_array_index (expected, i), 1);
      gpointer key;

      g_assert_true (g_hash_table_steal_extended (seen, first, &key, NULL));
      g_variant_unref (key);
    }
}

/* Without a seed all workers have numbers of their own, and so has each job. */
static void
test_no_seed (gconstpointer data)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  guint run, i;

  for (run = 0; run < 3; run++)
    {
      g_autoptr (GPtrArray) results = get_random (3, GPOINTER_TO_UINT (data), 10, 0);

      for (i = 0; i < 200; i++)
        {
          guint64 both;
          guint32 first, second;

          g_variant_get (g_ptr_array_index (results, i), "(tuu)", NULL, &first, &second);
          both = (guint64) first << 32 | second;
          g_assert_true (g_hash_table_add (seen, g_memdup2 (&both, sizeof both)));
        }
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  /* What GLib makes once and keeps. */
  g_main_context_default ();
  test_start_glib_thread ();

  test_add_for_backends ("job-report", "progress", test_progress);
  test_add_for_backends ("job-report", "no-items", test_no_items);
  test_add_for_backends ("job-report", "stream", test_stream);
  test_add_for_backends ("job-report", "failing-stream", test_failing_stream);
  test_add_for_backends ("job-report", "statistics", test_statistics);
  test_add_for_backends ("job-report", "waiting", test_waiting);
  test_add_for_backends ("job-report", "trace", test_trace);
  test_add_for_backends ("job-report", "trace-file", test_trace_file);
  test_add_for_backends ("job-report", "seed", test_seed);
  test_add_for_backends ("job-report", "no-seed", test_no_seed);

  return g_test_run ();
}
