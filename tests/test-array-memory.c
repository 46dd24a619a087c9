/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <gio/gunixfdlist.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Headers older than the kernel lack it. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

static const gsize three[] = { 3 };

static void
check_closed (gboolean ok, GError **error)
{
  g_assert_false (ok);
  g_assert_error (*error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
  g_clear_error (error);
}

/* Every call on a closed array has an answer. */
static void
test_close (void)
{
  const gsize index[] = { 1 };
  const guint axes[] = { 0 };
  g_autoptr (GFile) file = g_file_new_for_path ("/nonexistent/file.npy");
  g_autoptr (GUnixFDList) fd_list = g_unix_fd_list_new ();

  for (guint dtype = SHM_DTYPE_BOOL; dtype <= SHM_DTYPE_RECORD; dtype++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) array =
          shm_array_new_full ((ShmDtype) dtype, dtype == SHM_DTYPE_RECORD ? 8 : 0, three, 1,
                              SHM_ARRAY_FLAGS_SHAREABLE, &error);
      g_autoptr (ShmArray) like = NULL;
      g_autofree char *text = NULL;
      gboolean is_number =
          dtype != SHM_DTYPE_RECORD && dtype != SHM_DTYPE_C8 && dtype != SHM_DTYPE_C16;
      gboolean is_integer = dtype >= SHM_DTYPE_I1 && dtype <= SHM_DTYPE_U8;
      gsize n_dims;

      g_assert_no_error (error);
      if (dtype == SHM_DTYPE_RECORD)
        g_assert_true (shm_array_add_field (array, "x", SHM_DTYPE_F8, 0, 0, NULL, 0, &error));
      g_assert_false (shm_array_is_closed (array));
      shm_array_close (array);
      shm_array_close (array);
      g_assert_true (shm_array_is_closed (array));

      g_assert_null (shm_array_get_data (array));
      g_assert_cmpuint (shm_array_get_address (array), ==, 0);
      check_closed (shm_array_get_value (array, index, 1, &error) != NULL, &error);
      check_closed (shm_array_set_value (array, index, 1, g_variant_new_byte (0), &error), &error);
      check_closed (shm_array_fill (array, g_variant_new_byte (0), &error), &error);
      check_closed (shm_array_slice (array, 0, 0, 1, 1, &error) != NULL, &error);
      check_closed (shm_array_index (array, 0, 0, &error) != NULL, &error);
      check_closed (shm_array_reshape (array, three, 1, &error) != NULL, &error);
      check_closed (shm_array_ravel (array, &error) != NULL, &error);
      check_closed (shm_array_transpose (array, axes, 1, &error) != NULL, &error);
      check_closed (shm_array_insert_axis (array, 0, &error) != NULL, &error);
      check_closed (shm_array_get_field (array, "x", &error) != NULL, &error);
      check_closed (shm_array_get_bytes (array, &error) != NULL, &error);
      check_closed (shm_array_new_copy (array, &error) != NULL, &error);
      check_closed (shm_array_to_variant (array, &error) != NULL, &error);
      check_closed (shm_array_advise (array, SHM_ADVICE_NORMAL, &error), &error);
      check_closed (shm_array_resize (array, three, 1, &error), &error);
      check_closed (shm_array_sync (array, &error), &error);
      check_closed (shm_array_dup_fd (array, &error) >= 0, &error);
      check_closed (shm_array_to_message (array, fd_list, &error) != NULL, &error);
      check_closed (shm_array_seal_read_only (array, &error), &error);
      check_closed (shm_array_save_npy (array, file, SHM_FILE_MODE_CREATE, &error), &error);
      g_assert_false (shm_array_is_read_only (array));
      if (is_number)
        {
          shm_array_get_double (array, index, 1, &error);
          check_closed (FALSE, &error);
          shm_array_get_int64 (array, index, 1, &error);
          check_closed (FALSE, &error);
          check_closed (shm_array_set_double (array, index, 1, 0.0, &error), &error);
          check_closed (shm_array_set_int64 (array, index, 1, 0, &error), &error);
        }
      if (is_integer)
        check_closed (shm_array_add_int64 (array, index, 1, 1, NULL, &error), &error);

      /* what it is can still be told */
      g_assert_cmpint (shm_array_get_dtype (array), ==, dtype);
      g_assert_cmpuint (shm_array_get_shape (array, &n_dims)[0], ==, 3);
      g_assert_cmpuint (n_dims, ==, 1);
      g_assert_true (shm_array_is_contiguous (array));
      text = shm_array_to_string (array);
      g_assert_cmpstr (text, ==, "closed");
      like = shm_array_new_like (array, &error);
      g_assert_no_error (error);
    }
}

/* The memory goes at once, unless there are views; those and bytes go on. */
static void
test_close_and_views (void)
{
  TestLeftovers before, now;
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;
  g_autoptr (ShmArray) view = NULL;
  g_autoptr (GBytes) bytes = NULL;

  test_leftovers_take (&before);
  array = test_new_range (1, three);
  shm_array_close (array);
  test_leftovers_check (&before);
  g_clear_object (&array);

  array = test_new_range (1, three);
  view = shm_array_slice (array, 0, 1, 3, 1, &error);
  bytes = shm_array_get_bytes (array, &error);
  g_assert_no_error (error);
  shm_array_close (array);
  g_assert_cmpint (((gint32 *) shm_array_get_data (view))[1], ==, 2);
  shm_array_close (view);
  g_assert_cmpint (((const gint32 *) g_bytes_get_data (bytes, NULL))[2], ==, 2);
  test_leftovers_take (&now);
  g_assert_cmpuint (now.n_shared_mappings, ==, before.n_shared_mappings + 1);
  g_clear_pointer (&bytes, g_bytes_unref);
  test_leftovers_check (&before);

  /* one that nobody constructed */
  g_clear_object (&array);
  array = g_object_new (SHM_TYPE_ARRAY, NULL);
  g_assert_false (shm_array_is_closed (array));
  g_assert_true (shm_array_advise (array, SHM_ADVICE_RANDOM, &error));
  g_assert_false (shm_array_resize (array, three, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  shm_array_close (array);
  g_assert_true (shm_array_is_closed (array));
}

/* In a child, to close takes nothing from the parent. */
static void
test_close_in_child (void)
{
  g_autoptr (ShmArray) array = test_new_range (1, three);
  gint32 *items = shm_array_get_data (array);
  pid_t pid = fork ();
  int status;

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      items[1] = 17;
      shm_array_close (array);
      _exit (shm_array_get_data (array) == NULL ? 0 : 1);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpint (items[1], ==, 17);
}

static void
test_populate (void)
{
  const gsize n_pages = 300;
  const gsize page_size = (gsize) sysconf (_SC_PAGESIZE);
  const gsize shape[] = { n_pages * page_size };

  for (guint flags = 0; flags < 16; flags++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree guint8 *is_resident = g_malloc0 (n_pages);
      g_autoptr (ShmArray) array =
          shm_array_new_full (SHM_DTYPE_U1, 0, shape, 1, (ShmArrayFlags) flags, &error);
      const guint8 *items;

      g_assert_no_error (error);
      g_assert_cmpint (mincore (shm_array_get_data (array), n_pages * page_size, is_resident), ==,
                       0);
      for (gsize i = 0; (flags & SHM_ARRAY_FLAGS_POPULATE) != 0 && i < n_pages; i++)
        g_assert_cmpint (is_resident[i] & 1, ==, 1);
      items = shm_array_get_data (array);
      for (gsize i = 0; i < shape[0]; i += page_size / 2)
        g_assert_cmpint (items[i], ==, 0);
    }
}

/* No advice changes an item. */
static void
test_advise (void)
{
  const gsize shape[] = { 100, 1000 };

  for (guint flags = 0; flags < 2; flags++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) array = shm_array_new_full (
          SHM_DTYPE_I4, 0, shape, 2, flags == 0 ? SHM_ARRAY_FLAGS_NONE : SHM_ARRAY_FLAGS_SHAREABLE,
          &error);
      g_autoptr (ShmArray) part = shm_array_slice (array, 0, 90, 10, -7, &error);
      g_autoptr (ShmArray) turned = shm_array_transpose (part, NULL, 0, &error);
      g_autoptr (ShmArray) item = shm_array_index (turned, 0, 3, &error);
      g_autoptr (ShmArray) none = shm_array_slice (item, 0, 1, 1, 1, &error);
      ShmArray *arrays[] = { array, part, turned, item, none };
      gint32 *items = shm_array_get_data (array);

      g_assert_no_error (error);
      for (gint32 i = 0; i < 100000; i++)
        items[i] = i;
      for (guint advice = SHM_ADVICE_NORMAL; advice <= SHM_ADVICE_PAGE_OUT; advice++)
        for (gsize i = 0; i < G_N_ELEMENTS (arrays); i++)
          {
            if (!shm_array_advise (arrays[i], (ShmAdvice) advice, &error))
              g_assert_error (error, SHM_ERROR, SHM_ERROR_NOT_SUPPORTED);
            g_clear_error (&error);
          }
      g_assert_true (shm_array_advise (array, SHM_ADVICE_NORMAL, &error));
      for (gint32 i = 0; i < 100000; i++)
        g_assert_cmpint (items[i], ==, i);
    }
}

#define N_PAGES 4096

/* How many faults it takes to write each page of the array. */
static GVariant *
count_faults (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  ShmArray *array = user_data;
  guint8 *bytes = shm_array_get_data (array);
  gsize size = shm_array_get_n_bytes (array);
  struct rusage before, after;

  if (index == 1 && !shm_array_advise (array, SHM_ADVICE_WILL_NEED, error))
    return NULL;
  getrusage (RUSAGE_SELF, &before);
  for (gsize i = 0; i < size; i += size / N_PAGES)
    bytes[i]++;
  getrusage (RUSAGE_SELF, &after);
  return g_variant_new_int64 (after.ru_minflt - before.ru_minflt);
}

/* What will be needed is mapped at once, where the system can do that. */
static void
test_advise_worker (void)
{
  const gsize shape[] = { N_PAGES * (gsize) sysconf (_SC_PAGESIZE) };
  g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmArray) array = test_new_array (SHM_DTYPE_U1, 1, shape);
  g_autoptr (GError) error = NULL;
  gint64 n_faults[2];

  memset (shm_array_get_data (array), 1, shape[0]);
  if (madvise (shm_array_get_data (array), shape[0], MADV_POPULATE_READ) != 0)
    {
      g_test_skip ("The system cannot map pages in advance");
      return;
    }
  /* each item in a worker that has not seen the array */
  shm_map_reduce_set_max_items_per_worker (pool, 1);
  {
    g_autoptr (GPtrArray) counts =
        shm_map_reduce_map (pool, 2, NULL, count_faults, NULL, array, &error);

    g_assert_no_error (error);
    for (guint i = 0; i < 2; i++)
      n_faults[i] = g_variant_get_int64 (g_ptr_array_index (counts, i));
  }
  g_test_message ("%" G_GINT64_FORMAT " faults, %" G_GINT64_FORMAT " after the advice", n_faults[0],
                  n_faults[1]);
  g_assert_cmpint (n_faults[1], <, n_faults[0] / 2 + N_PAGES / 8);
}

static void
check_items (ShmArray *array, gsize n_kept, gsize n)
{
  const gint32 *items = shm_array_get_data (array);

  g_assert_cmpuint (shm_array_get_n_elements (array), ==, n);
  for (gsize i = 0; i < n; i++)
    g_assert_cmpint (items[i], ==, i < n_kept ? (gint32) i + 1 : 0);
}

static void
count_notify (GObject *object, GParamSpec *pspec, guint *n)
{
  (*n)++;
}

/* Sizes up and down, over the ends of pages and within them. */
static void
test_resize (void)
{
  const guint all_flags[] = {
    SHM_ARRAY_FLAGS_SHAREABLE,
    SHM_ARRAY_FLAGS_SHAREABLE | SHM_ARRAY_FLAGS_RESERVE,
    SHM_ARRAY_FLAGS_SHAREABLE | SHM_ARRAY_FLAGS_POPULATE | SHM_ARRAY_FLAGS_HUGE_PAGES,
  };
  const gsize sizes[] = { 10, 1000, 20, 5000, 4096, 0, 7, 1024, 1025, 1, 200000, 3 };

  for (gsize j = 0; j < G_N_ELEMENTS (all_flags); j++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) array =
          shm_array_new_full (SHM_DTYPE_I4, 0, three, 1, (ShmArrayFlags) all_flags[j], &error);
      gsize n_kept = 3;
      guint n_notified = 0;

      g_assert_no_error (error);
      g_signal_connect (array, "notify::n-elements", G_CALLBACK (count_notify), &n_notified);
      for (gint32 i = 0; i < 3; i++)
        ((gint32 *) shm_array_get_data (array))[i] = i + 1;
      for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++)
        {
          const gsize shape[] = { 1, sizes[i] };

          g_assert_true (shm_array_resize (array, shape, 2, &error));
          g_assert_no_error (error);
          n_kept = MIN (n_kept, sizes[i]);
          check_items (array, n_kept, sizes[i]);
          /* all of it is marked, so that what comes back would show */
          for (gsize k = 0; k < sizes[i]; k++)
            ((gint32 *) shm_array_get_data (array))[k] = (gint32) k + 1;
          n_kept = sizes[i];
        }
      g_assert_cmpuint (n_notified, ==, G_N_ELEMENTS (sizes));
      g_assert_true (shm_array_resize (array, NULL, 0, &error));
      g_assert_cmpuint (shm_array_get_n_dims (array), ==, 0);
      g_assert_cmpint (shm_array_get_int64 (array, NULL, 0, &error), ==, 1);
      g_assert_no_error (error);
    }
}

static void
test_resize_errors (void)
{
  const gsize five[] = { 5 };
  const gsize huge[] = { G_MAXSIZE };
  const gsize large[] = { G_GUINT64_CONSTANT (1) << 58 };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) private = test_new_range (1, three);
  g_autoptr (ShmArray) array =
      shm_array_new_full (SHM_DTYPE_I4, 0, three, 1, SHM_ARRAY_FLAGS_SHAREABLE, &error);
  g_autoptr (ShmArray) view = NULL;
  g_autoptr (GBytes) bytes = NULL;
  gint32 *items;

  g_assert_no_error (error);
  items = shm_array_get_data (array);
  for (gint32 i = 0; i < 3; i++)
    items[i] = i + 1;

  g_assert_false (shm_array_resize (private, five, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (shm_array_resize (array, huge, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (shm_array_resize (array, large, 1, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY);
  g_clear_error (&error);

  view = shm_array_slice (array, 0, 0, 2, 1, &error);
  check_closed (shm_array_resize (array, five, 1, &error), &error);
  check_closed (shm_array_resize (view, five, 1, &error), &error);
  g_clear_object (&view);
  bytes = shm_array_get_bytes (array, &error);
  check_closed (shm_array_resize (array, five, 1, &error), &error);
  g_clear_pointer (&bytes, g_bytes_unref);
  g_assert_true (shm_array_get_data (array) == items);
  check_items (array, 3, 3);

  /* what is cut off of sealed memory could not be made zeros */
  if (shm_array_seal_read_only (array, &error))
    {
      check_closed (shm_array_resize (array, NULL, 0, &error), &error);
      g_assert_true (shm_array_resize (array, five, 1, &error));
      check_items (array, 3, 5);
    }
  g_clear_error (&error);

  /* a view that is left alone with the memory */
  view = shm_array_slice (array, 0, 0, 2, 1, &error);
  shm_array_close (array);
  check_closed (shm_array_resize (view, five, 1, &error), &error);
}

/* Memory stays shared with those that were forked before; what is cut off does not kill them. */
static void
test_resize_shared (void)
{
  const gsize small[] = { 2 };
  const gsize large[] = { 100000 };
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array =
      shm_array_new_full (SHM_DTYPE_I4, 0, large, 1, SHM_ARRAY_FLAGS_SHAREABLE, &error);
  int to_child[2], status;
  pid_t pid;
  gint32 *items;

  g_assert_no_error (error);
  items = shm_array_get_data (array);
  items[1] = 5;
  items[99999] = 6;
  g_assert_cmpint (pipe (to_child), ==, 0);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      char byte;

      close (to_child[1]);
      if (read (to_child[0], &byte, 1) != 1 || items[1] != 7 || items[99999] != 0)
        _exit (1);
      items[0] = 8;
      /* makes its own mapping larger, beyond what the parent has */
      items[99999] = 9;
      _exit (shm_array_resize (array, (const gsize[]){ 150000 }, 1, NULL) ? 0 : 2);
    }
  close (to_child[0]);

  g_assert_true (shm_array_resize (array, small, 1, &error));
  g_assert_no_error (error);
  items = shm_array_get_data (array);
  items[1] = 7;
  g_assert_cmpint (write (to_child[1], "x", 1), ==, 1);
  close (to_child[1]);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpint (items[0], ==, 8);
  g_assert_true (shm_array_resize (array, large, 1, &error));
  g_assert_no_error (error);
  items = shm_array_get_data (array);
  g_assert_cmpint (items[1], ==, 7);
  g_assert_cmpint (items[50000], ==, 0);
  g_assert_cmpint (items[99999], ==, 9);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/array/close/calls", test_close);
  test_add ("/array/close/views", test_close_and_views);
  test_add ("/array/close/child", test_close_in_child);
  test_add ("/array/populate", test_populate);
  test_add ("/array/advise", test_advise);
  test_add ("/array/advise-worker", test_advise_worker);
  test_add ("/array/resize/sizes", test_resize);
  test_add ("/array/resize/errors", test_resize_errors);
  test_add ("/array/resize/shared", test_resize_shared);

  return g_test_run ();
}
