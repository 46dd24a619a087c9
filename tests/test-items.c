/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Where the items of a job come from: variants, list models, and functions that feed; see also test-feed.c. */

#include "config.h"

#include "test-util.h"

#include <string.h>
#include <sys/stat.h>

#define MIB ((guint64) 1 << 20)

/* What the item says that it is. */
static guint64
get_number (ShmMapReduce *pool, guint64 index)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) item = shm_job_get_item (shm_map_reduce_get_job (pool), index, &error);
  guint64 number;
  const char *word;

  g_assert_no_error (error);
  g_variant_get (item, "(t&s)", &number, &word);
  g_assert_cmpstr (word, ==, "item");
  return number;
}

static GVariant *
feed_number (ShmJob *job, guint64 index, gpointer user_data, GError **error)
{
  return index < GPOINTER_TO_UINT (user_data) ? g_variant_new ("(ts)", index, "item") : NULL;
}

static GVariant *
map_number (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_uint64 (get_number (pool, index));
}

static void
check_numbers (ShmJob *job, guint64 n)
{
  GPtrArray *results = shm_job_get_results (job);
  guint64 i;

  g_assert_cmpuint (results->len, ==, n);
  for (i = 0; i < n; i++)
    g_assert_cmpuint (g_variant_get_uint64 (g_ptr_array_index (results, i)), ==, i);
}

static GVariant *
map_item (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return shm_job_get_item (shm_map_reduce_get_job (pool), index, error);
}

/* The children of all sorts of containers come back as they are. */
static void
test_values (gconstpointer data)
{
  static const char *const texts[] = {
    "[(1, 'one', [<1>]), (2, '', []), (3, 'three', [<'x'>, <3.5>])]",
    "['a', '', 'ccc', '\\u00e4']",
    "(1, 'two', [3.0], (true, <4>), @ay [])",
    "{'k': 1, 'l': 2}",
    "@mi just 5",
    "@mi nothing",
    "@as []",
    "()",
  };
  g_autoptr (ShmMapReduce) pool = test_pool (3, GPOINTER_TO_UINT (data));
  guint t;

  for (t = 0; t < G_N_ELEMENTS (texts); t++)
    {
      g_autoptr (ShmJob) job = shm_job_new (pool, 5);
      g_autoptr (GError) error = NULL;
      g_autoptr (GVariant) items = g_variant_parse (NULL, texts[t], NULL, NULL, &error);
      GPtrArray *results;
      gsize i;

      g_assert_no_error (error);
      shm_job_set_items (job, items);
      g_assert_cmpuint (shm_job_get_n_items (job), ==, g_variant_n_children (items));
      shm_job_set_map_func (job, map_item, NULL, NULL);
      test_run_job (job);
      results = shm_job_get_results (job);
      g_assert_cmpuint (results->len, ==, g_variant_n_children (items));
      for (i = 0; i < results->len; i++)
        {
          g_autoptr (GVariant) child = g_variant_get_child_value (items, i);

          g_assert_cmpvariant (g_ptr_array_index (results, i), child);
        }
    }
}

static GVariant *
map_object (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (GObject) object = shm_job_get_object (shm_map_reduce_get_job (pool), index, error);

  return object ? g_variant_new_string (g_action_get_name (G_ACTION (object))) : NULL;
}

/* What is in the list when it is given, whatever becomes of the list. */
static void
test_model (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  guint n, i;

  for (n = 0; n <= 100; n += 50)
    {
      g_autoptr (GListStore) store = g_list_store_new (G_TYPE_SIMPLE_ACTION);
      g_autoptr (ShmJob) job = shm_job_new (pool, 5);
      GPtrArray *results;

      for (i = 0; i < n; i++)
        {
          g_autofree char *name = g_strdup_printf ("a%u", i);
          g_autoptr (GSimpleAction) action = g_simple_action_new (name, NULL);

          g_list_store_append (store, action);
        }
      shm_job_set_model (job, G_LIST_MODEL (store));
      g_list_store_remove_all (store);
      shm_job_set_map_func (job, map_object, NULL, NULL);
      test_run_job (job);
      results = shm_job_get_results (job);
      g_assert_cmpuint (results->len, ==, n);
      for (i = 0; i < n; i++)
        {
          g_autofree char *name = g_strdup_printf ("a%u", i);

          g_assert_cmpstr (g_variant_get_string (g_ptr_array_index (results, i), NULL), ==, name);
        }
    }
}

/* Without an error of its own, an item outside of the work function's own range is refused. */
static void
check_refused (ShmJob *job, guint64 index)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) other = NULL;

  g_assert_null (shm_job_get_item (job, index, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  g_assert_null (shm_job_get_object (job, index, &other));
  g_assert_error (other, SHM_ERROR, SHM_ERROR_WRONG_STATE);
}

static GVariant *
map_others (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  ShmJob *job = shm_map_reduce_get_job (pool);

  g_assert_cmpuint (get_number (pool, index), ==, index);
  /* One that is done may have made room for another already. */
  if (index > 0)
    check_refused (job, index - 1);
  check_refused (job, index + 1000000);
  check_refused (job, G_MAXUINT64);
  return NULL;
}

static gpointer
set_up_refused (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  check_refused (shm_map_reduce_get_job (pool), 0);
  return NULL;
}

static void
test_own_only (gconstpointer data)
{
  gboolean fed;

  for (fed = FALSE; fed <= TRUE; fed++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (1, GPOINTER_TO_UINT (data));
      g_autoptr (ShmJob) job = shm_job_new (pool, 0);
      GVariantBuilder builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a(ts)"));
      guint64 i;

      check_refused (job, 0);
      shm_map_reduce_set_chunk_size (pool, 16);
      shm_job_set_window (job, 64);
      for (i = 0; i < 2000; i++)
        g_variant_builder_add (&builder, "(ts)", i, "item");
      shm_job_set_items (job, g_variant_builder_end (&builder));
      if (fed)
        shm_job_set_feed_func (job, feed_number, GUINT_TO_POINTER (2000), NULL);
      shm_job_set_set_up_func (job, set_up_refused, NULL, NULL);
      shm_job_set_map_func (job, map_others, NULL, NULL);
      test_run_job (job);
      g_assert_cmpuint (shm_job_get_n_done (job), ==, 2000);
      check_refused (job, 0);
    }
}

static GVariant *
map_nothing (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  check_refused (shm_map_reduce_get_job (pool), index);
  return NULL;
}

/* Items that are nothing but their indices. */
static void
test_no_values (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, 20);

  shm_job_set_map_func (job, map_nothing, NULL, NULL);
  test_run_job (job);
}

/* A window that no memory has room for is an error at the worst. */
static void
test_huge_window (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, 0);
  g_autoptr (GError) error = NULL;

  if (TEST_SANITIZED || test_under_valgrind ())
    {
      g_test_skip ("an allocator that does not refuse");
      return;
    }
  shm_job_set_window (job, G_MAXUINT32);
  shm_job_set_feed_func (job, feed_number, GUINT_TO_POINTER (100), NULL);
  shm_job_set_map_func (job, map_number, NULL, NULL);
  if (shm_job_run (job, NULL, &error))
    check_numbers (job, 100);
  else
    g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY);
}

static const char *const odd_items[] = {
  "()",    "@as []",     "@ay []",           "@mi nothing", "''",
  "'x'",   "(1, 'two')", "@a{sv} {}",        "true",        "byte 1",
  "<<1>>", "[1.5, 2.5]", "((), ((),), [()])"
};

static GVariant *
feed_odd (ShmJob *job, guint64 index, gpointer user_data, GError **error)
{
  return index < 200 ? g_variant_parse (NULL, odd_items[index % G_N_ELEMENTS (odd_items)], NULL,
                                        NULL, error)
                     : NULL;
}

/* Items of no bytes, of any type, and of different types. */
static void
test_feed_types (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, 0);
  guint64 i;

  shm_job_set_window (job, 13);
  shm_job_set_feed_func (job, feed_odd, NULL, NULL);
  shm_job_set_map_func (job, map_item, NULL, NULL);
  test_run_job (job);
  for (i = 0; i < 200; i++)
    {
      g_autoptr (GVariant) item = feed_odd (job, i, NULL, NULL);

      g_assert_cmpvariant (g_ptr_array_index (shm_job_get_results (job), i), item);
    }
}

/* The memory that this process holds, in bytes: its own and that of files in memory. */
static guint64
get_memory (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *name;
  guint64 size = test_get_resident ();

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/fd", name, NULL);
      g_autofree char *target = g_file_read_link (path, NULL);
      struct stat status;

      if (target != NULL && g_str_has_prefix (target, "/memfd:") && stat (path, &status) == 0)
        size += (guint64) status.st_blocks * 512;
    }
  return size;
}

static GVariant *
feed_large (ShmJob *job, guint64 index, gpointer user_data, GError **error)
{
  guint64 *highest = user_data;
  guint8 *bytes;

  *highest = MAX (*highest, get_memory ());
  if (index >= 100)
    return NULL;
  bytes = g_malloc (4 * MIB);
  memset (bytes, (int) index + 1, 4 * MIB);
  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, 4 * MIB, TRUE, g_free, bytes);
}

static GVariant *
map_large (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (GVariant) item = map_item (pool, index, NULL, error);
  const guint8 *bytes = g_variant_get_data (item);

  g_assert_cmpuint (g_variant_get_size (item), ==, 4 * MIB);
  return g_variant_new ("(yy)", bytes[0], bytes[4 * MIB - 1]);
}

/* No more memory than for the items in the window, and some for the one on its way. */
static void
test_feed_memory (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, 0);
  guint64 before = get_memory ();
  guint64 highest = before;
  guint64 i;

  shm_job_set_window (job, 4);
  shm_job_set_feed_func (job, feed_large, &highest, NULL);
  shm_job_set_map_func (job, map_large, NULL, NULL);
  test_run_job (job);
  for (i = 0; i < 100; i++)
    {
      guint8 first, last;

      g_variant_get (g_ptr_array_index (shm_job_get_results (job), i), "(yy)", &first, &last);
      g_assert_cmpuint (first, ==, i + 1);
      g_assert_cmpuint (last, ==, i + 1);
    }
  /* The sanitizer keeps for a while what was freed. */
  if (!TEST_SANITIZED && !test_under_valgrind ())
    g_assert_cmpuint (highest - before, <, 80 * MIB);
}

/* In a work function, a job that is fed by that function. */
static GVariant *
map_outer (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (ShmJob) job = shm_job_new (pool, 0);

  shm_job_set_feed_func (job, feed_number, GUINT_TO_POINTER (200), NULL);
  shm_job_set_map_func (job, map_number, NULL, NULL);
  test_run_job (job);
  check_numbers (job, 200);
  return map_number (pool, index, user_data, error);
}

static void
test_feed_nested (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (2, GPOINTER_TO_UINT (data));
  g_autoptr (ShmJob) job = shm_job_new (pool, 0);

  shm_job_set_window (job, 3);
  shm_job_set_feed_func (job, feed_number, GUINT_TO_POINTER (20), NULL);
  shm_job_set_map_func (job, map_outer, NULL, NULL);
  test_run_job (job);
  check_numbers (job, 20);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  /* What GLib makes once and keeps. */
  g_main_context_default ();
  test_start_glib_thread ();

  test_add_for_backends ("items", "values", test_values);
  test_add_for_backends ("items", "model", test_model);
  test_add_for_backends ("items", "own-only", test_own_only);
  test_add_for_backends ("items", "no-values", test_no_values);
  test_add_for_backends ("items", "huge-window", test_huge_window);
  test_add_for_backends ("items", "feed-types", test_feed_types);
  test_add_for_backends ("items", "feed-memory", test_feed_memory);
  test_add_for_backends ("items", "feed-nested", test_feed_nested);

  return g_test_run ();
}
