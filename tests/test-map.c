/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <string.h>
#include <unistd.h>

typedef struct
{
  ShmBackendType backend;
  guint n_workers;
  guint n_items;
} Params;

static GVariant *
square (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_uint64 (index * index);
}

static GVariant *
sum (ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  guint64 *total = user_data;

  g_assert_cmpint (shm_map_reduce_get_rank (pool), ==, -1);
  g_assert_cmpuint (g_variant_get_uint64 (result), ==, index * index);
  *total += g_variant_get_uint64 (result);
  return g_variant_ref (result);
}

static void
test_sizes (gconstpointer data)
{
  const Params *params = data;
  g_autoptr (ShmMapReduce) pool = test_pool (params->n_workers, params->backend);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  guint64 total = 0, expected = 0;
  guint i;

  results = shm_map_reduce_map (pool, params->n_items, NULL, square, sum, &total, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (results->len, ==, params->n_items);
  for (i = 0; i < results->len; i++)
    {
      GVariant *result = g_ptr_array_index (results, i);

      g_assert_false (g_variant_is_floating (result));
      g_assert_cmpuint (g_variant_get_uint64 (result), ==, (guint64) i * i);
      expected += (guint64) i * i;
    }
  g_assert_cmpuint (total, ==, expected);
}

static GVariant *
only_odd (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return index % 2 ? g_variant_new_string ("odd") : NULL;
}

static void
test_no_result (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  guint i;

  results = shm_map_reduce_map (pool, 100, NULL, only_odd, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (results->len, ==, 100);
  for (i = 0; i < 100; i++)
    g_assert_true ((g_ptr_array_index (results, i) != NULL) == (i % 2 != 0));
}

static GVariant *
drop (ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  guint *n = user_data;

  ++*n;
  return index == 7 ? g_variant_new_string ("seven") : NULL;
}

static void
test_reduce_replaces (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  guint n = 0, i;

  results = shm_map_reduce_map (pool, 50, NULL, square, drop, &n, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, 50);
  for (i = 0; i < 50; i++)
    {
      GVariant *result = g_ptr_array_index (results, i);

      if (i == 7)
        g_assert_cmpstr (g_variant_get_string (result, NULL), ==, "seven");
      else
        g_assert_null (result);
    }
}

/* Values of many types and sizes, some larger than the ring that they go through. */
static GVariant *
make_value (guint64 index)
{
  GVariantBuilder builder;
  gsize size, i;
  guint8 *bytes;

  switch (index % 9)
    {
    case 0:
      return g_variant_new_boolean (index % 2);
    case 1:
      return g_variant_new_byte (index);
    case 2:
      return g_variant_new_double (index / 7.0);
    case 3:
      return g_variant_new_take_string (g_strdup_printf ("item %d", (int) index));
    case 4:
      return g_variant_new ("(iasmv)", (int) index, NULL, g_variant_new_int16 (-3));
    case 5:
      g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{sd}"));
      for (i = 0; i < index; i++)
        {
          g_autofree char *key = g_strdup_printf ("%d", (int) i);

          g_variant_builder_add (&builder, "{sd}", key, (gdouble) i);
        }
      return g_variant_builder_end (&builder);
    case 6:
      return g_variant_new_array (G_VARIANT_TYPE_STRING, NULL, 0);
    case 7:
      return g_variant_new ("()");
    default:
      size = index * 20011 + 7;
      bytes = g_malloc (size);
      for (i = 0; i < size; i++)
        bytes[i] = i * index;
      return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes);
    }
}

static GVariant *
map_value (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return make_value (index);
}

static void
test_values (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (3, GPOINTER_TO_UINT (data));
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  guint i;

  results = shm_map_reduce_map (pool, 200, NULL, map_value, NULL, NULL, &error);
  g_assert_no_error (error);
  for (i = 0; i < 200; i++)
    {
      g_autoptr (GVariant) expected = g_variant_ref_sink (make_value (i));

      g_assert_cmpvariant (g_ptr_array_index (results, i), expected);
    }
}

static GVariant *
range_ends (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  return g_variant_new ("(tt)", begin, end);
}

static void
test_ranges (gconstpointer data)
{
  static const ShmSchedule schedules[] = { SHM_SCHEDULE_DYNAMIC, SHM_SCHEDULE_STATIC,
                                           SHM_SCHEDULE_GUIDED };
  static const guint64 chunks[] = { 0, 1, 7, 5000 };
  guint s, c, i;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    for (c = 0; c < G_N_ELEMENTS (chunks); c++)
      {
        g_autoptr (ShmMapReduce) pool = test_pool (3, GPOINTER_TO_UINT (data));
        g_autoptr (GPtrArray) results = NULL;
        g_autoptr (GError) error = NULL;
        guint64 next = 0;

        shm_map_reduce_set_schedule (pool, schedules[s]);
        shm_map_reduce_set_chunk_size (pool, chunks[c]);
        results = shm_map_reduce_map_ranges (pool, 1000, NULL, range_ends, NULL, &error);
        g_assert_no_error (error);
        for (i = 0; i < results->len; i++)
          {
            guint64 begin, end;

            g_variant_get (g_ptr_array_index (results, i), "(tt)", &begin, &end);
            g_assert_cmpuint (begin, ==, next);
            g_assert_cmpuint (end, >, begin);
            if (schedules[s] == SHM_SCHEDULE_DYNAMIC && chunks[c] != 0)
              g_assert_cmpuint (end - begin, ==, MIN (chunks[c], 1000 - begin));
            next = end;
          }
        g_assert_cmpuint (next, ==, 1000);
      }
}

static gboolean
count_items (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  gint64 *counts = shm_array_get_data (user_data);
  guint64 i;

  g_assert_cmpint (shm_map_reduce_get_rank (pool), >=, 0);
  for (i = begin; i < end; i++)
    counts[i - 1000]++;
  return TRUE;
}

static void
test_for_range (gconstpointer data)
{
  static const ShmSchedule schedules[] = { SHM_SCHEDULE_DYNAMIC, SHM_SCHEDULE_STATIC,
                                           SHM_SCHEDULE_GUIDED };
  gsize n = 20000;
  guint s, i;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    {
      g_autoptr (ShmArray) counts = shm_array_new (SHM_DTYPE_I8, &n, 1, NULL);
      g_autoptr (ShmMapReduce) pool = test_pool (4, GPOINTER_TO_UINT (data));
      g_autoptr (GError) error = NULL;
      gint64 *count = shm_array_get_data (counts);

      shm_map_reduce_set_schedule (pool, schedules[s]);
      g_assert_true (
          shm_map_reduce_for_range (pool, 1000, 1000 + n, NULL, count_items, counts, &error));
      g_assert_no_error (error);
      for (i = 0; i < n; i++)
        g_assert_cmpint (count[i], ==, 1);
      g_assert_true (shm_map_reduce_for_range (pool, 5, 5, NULL, count_items, counts, &error));
    }
}

static GVariant *
map_rank (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new ("(ii)", shm_map_reduce_get_rank (pool), (int) getpid ());
}

static void
test_rank (gconstpointer data)
{
  ShmBackendType backend = GPOINTER_TO_UINT (data);
  g_autoptr (ShmMapReduce) pool = test_pool (3, backend);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  guint i;

  g_assert_cmpint (shm_map_reduce_get_rank (pool), ==, -1);
  results = shm_map_reduce_map (pool, 300, NULL, map_rank, NULL, NULL, &error);
  g_assert_no_error (error);
  for (i = 0; i < results->len; i++)
    {
      gint rank, pid;

      g_variant_get (g_ptr_array_index (results, i), "(ii)", &rank, &pid);
      g_assert_cmpint (rank, >=, 0);
      g_assert_cmpint (rank, <, backend == SHM_BACKEND_TYPE_SERIAL ? 1 : 3);
      if (backend == SHM_BACKEND_TYPE_PROCESS)
        g_assert_cmpint (pid, !=, getpid ());
      else
        g_assert_cmpint (pid, ==, getpid ());
    }
}

static GVariant *
map_pid (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_int32 (getpid ());
}

static GVariant *
nested (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  ShmMapReduce *inner = user_data;
  g_autoptr (GPtrArray) results = shm_map_reduce_map (inner, 10, NULL, map_pid, NULL, NULL, error);
  gint rank = shm_map_reduce_get_rank (pool);
  guint i;

  if (results == NULL)
    return NULL;
  g_assert_cmpint (rank, >=, 0);
  g_assert_cmpint (shm_map_reduce_get_rank (inner), ==, inner == pool ? rank : -1);
  for (i = 0; i < results->len; i++)
    if (g_variant_get_int32 (g_ptr_array_index (results, i)) != getpid ())
      return NULL;
  return g_variant_new_boolean (TRUE);
}

static void
test_nested (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmMapReduce) other = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  ShmMapReduce *inner[] = { pool, other };
  guint i, k;

  for (k = 0; k < 2; k++)
    {
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;

      results = shm_map_reduce_map (pool, 20, NULL, nested, NULL, inner[k], &error);
      g_assert_no_error (error);
      for (i = 0; i < 20; i++)
        g_assert_nonnull (g_ptr_array_index (results, i));
    }
}

static void
test_min_length (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) few = NULL;
  g_autoptr (GPtrArray) many = NULL;

  shm_map_reduce_set_min_length (pool, 10);
  few = shm_map_reduce_map (pool, 9, NULL, map_pid, NULL, NULL, NULL);
  g_assert_cmpint (g_variant_get_int32 (g_ptr_array_index (few, 0)), ==, getpid ());
  many = shm_map_reduce_map (pool, 10, NULL, map_pid, NULL, NULL, NULL);
  g_assert_cmpint (g_variant_get_int32 (g_ptr_array_index (many, 0)), !=, getpid ());
}

static void
test_debug (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;

  g_assert_false (shm_get_debug ());
  shm_set_debug (TRUE);
  g_assert_true (shm_get_debug ());
  results = shm_map_reduce_map (pool, 9, NULL, map_pid, NULL, NULL, NULL);
  g_assert_cmpint (g_variant_get_int32 (g_ptr_array_index (results, 8)), ==, getpid ());
  shm_set_debug (FALSE);
}

static void
test_n_workers (void)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();

  g_assert_cmpuint (shm_map_reduce_get_n_workers (pool), ==, 0);
  g_setenv ("PBS_NUM_PPN", "5", TRUE);
  g_assert_cmpuint (shm_map_reduce_count_workers (pool), ==, 5);
  g_setenv ("OMP_NUM_THREADS", "3", TRUE);
  g_assert_cmpuint (shm_map_reduce_count_workers (pool), ==, 3);
  g_unsetenv ("PBS_NUM_PPN");
  g_unsetenv ("OMP_NUM_THREADS");
  g_assert_cmpuint (shm_map_reduce_count_workers (pool), ==, shm_cpu_count ());
  shm_map_reduce_set_n_workers (pool, 7);
  g_assert_cmpuint (shm_map_reduce_count_workers (pool), ==, 7);
}

static void
notified (GObject *object, GParamSpec *pspec, gpointer user_data)
{
  g_string_append_printf (user_data, "%s ", pspec->name);
}

static void
test_properties (void)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GString) names = g_string_new (NULL);

  g_signal_connect (pool, "notify", G_CALLBACK (notified), names);
  g_object_set (pool, "n-workers", 3, NULL);
  g_object_set (pool, "n-workers", 3, NULL);
  g_object_set (pool, "backend", SHM_BACKEND_TYPE_THREAD, NULL);
  g_object_set (pool, "schedule", SHM_SCHEDULE_GUIDED, NULL);
  g_object_set (pool, "chunk-size", (guint64) 4, NULL);
  g_object_set (pool, "min-length", (guint64) 5, NULL);
  g_assert_cmpstr (names->str, ==, "n-workers backend schedule chunk-size min-length ");
  g_assert_cmpuint (shm_map_reduce_get_n_workers (pool), ==, 3);
  g_assert_cmpint (shm_map_reduce_get_backend (pool), ==, SHM_BACKEND_TYPE_THREAD);
  g_assert_cmpint (shm_map_reduce_get_schedule (pool), ==, SHM_SCHEDULE_GUIDED);
  g_assert_cmpuint (shm_map_reduce_get_chunk_size (pool), ==, 4);
  g_assert_cmpuint (shm_map_reduce_get_min_length (pool), ==, 5);
}

static GVariant *
map_random (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_uint32 (g_random_int ());
}

static void
test_random_differs (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  guint i;

  g_random_int ();
  for (i = 0; i < 4; i++)
    {
      g_autoptr (GPtrArray) results =
          shm_map_reduce_map (pool, 1, NULL, map_random, NULL, NULL, NULL);

      g_assert_true (g_hash_table_add (
          seen, GUINT_TO_POINTER (g_variant_get_uint32 (g_ptr_array_index (results, 0)))));
    }
}

static GVariant *
map_context (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  GMainContext *context = g_main_context_get_thread_default ();

  /* It is one that nobody else has, and works. */
  return g_variant_new_boolean (context != NULL && context != g_main_context_default () &&
                                !g_main_context_iteration (context, FALSE));
}

static void
test_own_context (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = shm_map_reduce_map (pool, 2, NULL, map_context, NULL, NULL, NULL);

  g_assert_true (g_variant_get_boolean (g_ptr_array_index (results, 0)));
  g_assert_true (g_variant_get_boolean (g_ptr_array_index (results, 1)));
}

/* Whether the context has been woken, and has not noticed yet. */
static gboolean
is_woken (GMainContext *context)
{
  GPollFD poll_fd;
  gint timeout;

  g_assert_cmpint (g_main_context_query (context, G_MAXINT, &timeout, &poll_fd, 1), ==, 1);
  poll_fd.events = G_IO_IN;
  return g_poll (&poll_fd, 1, 0) == 1;
}

static gboolean
note_idle (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

static GVariant *
wake_the_first (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  GMainContext *context = g_main_context_get_thread_default ();
  g_autoptr (GSource) source = g_idle_source_new ();
  gboolean noted = FALSE;

  g_assert_false (is_woken (context));
  if (!shm_map_reduce_barrier (pool, error))
    return NULL;
  if (rank == 0)
    g_main_context_wakeup (context);
  if (!shm_map_reduce_barrier (pool, error))
    return NULL;
  g_assert_true (is_woken (context) == (rank == 0));
  if (!shm_map_reduce_barrier (pool, error))
    return NULL;

  g_source_set_callback (source, note_idle, &noted, NULL);
  g_source_attach (source, context);
  while (!noted)
    g_main_context_iteration (context, TRUE);
  return g_variant_new_uint32 (rank);
}

/* The caller makes one context for all its children: each has a wake-up of its own. */
static void
test_own_wake_up (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (5, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GMainContext) before = g_main_context_ref_thread_default ();
  g_autoptr (GMainContext) after = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) ranks =
      shm_map_reduce_run (pool, SHM_REGION_FLAGS_NONE, NULL, wake_the_first, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (ranks->len, ==, 5);
  after = g_main_context_ref_thread_default ();
  g_assert_true (after == before);
}

static gpointer
map_in_thread (gpointer data)
{
  ShmMapReduce *pool = data;
  guint i;

  for (i = 0; i < test_scale (30); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GPtrArray) results =
          shm_map_reduce_map (pool, 100, NULL, square, NULL, NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (g_variant_get_uint64 (g_ptr_array_index (results, 99)), ==, 99 * 99);
    }
  return NULL;
}

static void
test_from_threads (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  GThread *threads[4];
  guint i;

  if (TEST_SANITIZED && GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_PROCESS)
    {
      g_test_skip ("no fork beside threads that allocate");
      return;
    }
  for (i = 0; i < 4; i++)
    threads[i] = g_thread_new (NULL, map_in_thread, pool);
  for (i = 0; i < 4; i++)
    g_thread_join (threads[i]);
}

static void
add_sizes (void)
{
  static Params params[3 * 4 * 4];
  static const guint workers[] = { 1, 2, 32, 0 };
  static const guint items[] = { 0, 1, 2, 100000 };
  ShmBackendType backend;
  guint n = 0, w, i;

  for (backend = SHM_BACKEND_TYPE_PROCESS; backend <= SHM_BACKEND_TYPE_SERIAL; backend++)
    for (w = 0; w < G_N_ELEMENTS (workers); w++)
      for (i = 0; i < G_N_ELEMENTS (items); i++)
        {
          g_autofree char *path = NULL;

          params[n] = (Params){ backend, workers[w], items[i] };
          if (test_under_valgrind ())
            params[n].n_items = MIN (params[n].n_items, 2000);
          path = g_strdup_printf ("/map/%s/%u-workers/%u-items", test_backend_name (backend),
                                  workers[w], items[i]);
          test_add_data (path, &params[n++], test_sizes);
        }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  add_sizes ();
  test_add_for_backends ("map", "no-result", test_no_result);
  test_add_for_backends ("map", "reduce-replaces", test_reduce_replaces);
  test_add_for_backends ("map", "values", test_values);
  test_add_for_backends ("map", "ranges", test_ranges);
  test_add_for_backends ("map", "for-range", test_for_range);
  test_add_for_backends ("map", "rank", test_rank);
  test_add_for_backends ("map", "nested", test_nested);
  test_add_for_backends ("map", "from-threads", test_from_threads);
  test_add ("/map/min-length", test_min_length);
  test_add ("/map/debug", test_debug);
  test_add ("/map/n-workers", test_n_workers);
  test_add ("/map/properties", test_properties);
  test_add ("/map/random-differs", test_random_differs);
  test_add ("/map/own-context", test_own_context);
  test_add ("/map/own-wake-up", test_own_wake_up);

  return g_test_run ();
}
