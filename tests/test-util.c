/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

guint
test_count_fds (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  g_assert_nonnull (dir);
  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

static void
test_add_children_of_thread (GPtrArray *list, const char *thread)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/task/%s/children", thread);
  g_autofree char *children = NULL;
  g_auto (GStrv) pids = NULL;
  guint i;

  if (!g_file_get_contents (path, &children, NULL, NULL))
    return;
  pids = g_strsplit (g_strstrip (children), " ", -1);
  for (i = 0; pids[i] != NULL; i++)
    if (*pids[i] != '\0' && !g_ptr_array_find_with_equal_func (list, pids[i], g_str_equal, NULL))
      g_ptr_array_add (list, g_strdup (pids[i]));
}

/* The pids of the children of all threads, zombies too. A thread that was joined may still be on its way out, and then
 * its children become those of the first thread: that one comes last, so that a child is seen twice rather than
 * never. */
GPtrArray *
test_list_children (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  g_autofree char *first = g_strdup_printf ("%d", (int) getpid ());
  GPtrArray *list = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    if (!g_str_equal (name, first))
      test_add_children_of_thread (list, name);
  test_add_children_of_thread (list, first);
  return list;
}

static guint
test_count_children (void)
{
  g_autoptr (GPtrArray) list = test_list_children ();

  return list->len;
}

/* Those that can be written; the C library keeps a cache of its own in one that cannot. */
static guint
test_count_shared_mappings (void)
{
  g_autofree char *maps = NULL;
  g_auto (GStrv) lines = NULL;
  guint n = 0, i;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));
  lines = g_strsplit (maps, "\n", -1);
  for (i = 0; lines[i] != NULL; i++)
    {
      const char *flags = strchr (lines[i], ' ');

      if (flags != NULL && flags[2] == 'w' && flags[4] == 's')
        n++;
    }
  return n;
}

void
test_leftovers_take (TestLeftovers *leftovers)
{
  /* GLib makes it once, with its wake-up, and keeps it. */
  g_main_context_default ();
  leftovers->n_fds = test_count_fds ();
  leftovers->n_children = test_count_children ();
  leftovers->n_shared_mappings = test_count_shared_mappings ();
}

void
test_leftovers_check (const TestLeftovers *before)
{
  TestLeftovers after;

  test_leftovers_take (&after);
  g_assert_cmpuint (after.n_children, ==, before->n_children);
  g_assert_cmpuint (after.n_fds, ==, before->n_fds);
  g_assert_cmpuint (after.n_shared_mappings, ==, before->n_shared_mappings);
}

typedef struct
{
  GTestFunc func;
  GTestDataFunc data_func;
  gconstpointer data;
} TestCase;

static GSList *test_cases;

static void
test_run_case (gconstpointer user_data)
{
  const TestCase *test_case = user_data;
  TestLeftovers before;

  test_leftovers_take (&before);
  if (test_case->func != NULL)
    test_case->func ();
  else
    test_case->data_func (test_case->data);
  test_leftovers_check (&before);
}

static void
test_add_case (const char *path, GTestFunc func, GTestDataFunc data_func, gconstpointer data)
{
  TestCase *test_case;

#if defined(__SANITIZE_THREAD__)
  /* The thread sanitizer does not follow forks. */
  if (strstr (path, "/thread/") == NULL && strstr (path, "concurrent") == NULL)
    return;
#endif
  test_case = g_new0 (TestCase, 1);
  test_case->func = func;
  test_case->data_func = data_func;
  test_case->data = data;
  /* In a subprocess GLib forgets the tests that it does not run; nothing else keeps them. */
  test_cases = g_slist_prepend (test_cases, test_case);
  g_test_add_data_func (path, test_case, test_run_case);
}

void
test_add (const char *path, GTestFunc func)
{
  test_add_case (path, func, NULL, NULL);
}

void
test_add_data (const char *path, gconstpointer data, GTestDataFunc func)
{
  test_add_case (path, NULL, func, data);
}

/* GLib's own thread for signals and children has descriptors that stay once they are there. */
void
test_start_glib_thread (void)
{
  g_source_remove (g_unix_signal_add (SIGUSR2, G_SOURCE_FUNC (g_source_remove), NULL));
}

/* Another program has the status, since valgrind would change it: in a copy of the caller nobody frees what it has. */
void
test_leave_copy (gint status)
{
  char command[32];

  g_snprintf (command, sizeof command, "exit %d", status);
  execl ("/bin/sh", "sh", "-c", command, NULL);
  _exit (EXIT_FAILURE);
}

/* Without valgrind's header, which is not everywhere. */
gboolean
test_under_valgrind (void)
{
  const char *preload = g_getenv ("LD_PRELOAD");

  return preload != NULL && strstr (preload, "vgpreload") != NULL;
}

/* How often to repeat something: less under valgrind, where all is some thirty times slower, and where a fork has the
 * address sanitizer's memory to copy. */
guint
test_scale (guint n)
{
#if defined(__SANITIZE_ADDRESS__)
  return MAX (1, n / 4);
#else
  return test_under_valgrind () ? MAX (1, n / 20) : n;
#endif
}

ShmMapReduce *
test_pool (guint n_workers, ShmBackendType backend)
{
  return g_object_new (SHM_TYPE_MAP_REDUCE, "n-workers", n_workers, "backend", backend, NULL);
}

const char *
test_backend_name (ShmBackendType backend)
{
  static const char *const names[] = { "process", "thread", "serial" };

  return names[backend];
}

void
test_add_for_backends (const char *prefix, const char *name, GTestDataFunc func)
{
  ShmBackendType backend;

  for (backend = SHM_BACKEND_TYPE_PROCESS; backend <= SHM_BACKEND_TYPE_SERIAL; backend++)
    {
      g_autofree char *path =
          g_strdup_printf ("/%s/%s/%s", prefix, test_backend_name (backend), name);

      test_add_data (path, GUINT_TO_POINTER (backend), func);
    }
}

void
test_run_job (ShmJob *job)
{
  g_autoptr (GError) error = NULL;
  gboolean ok = shm_job_run (job, NULL, &error);

  g_assert_no_error (error);
  g_assert_true (ok);
}

/* The memory of this process, in bytes. */
guint64
test_get_resident (void)
{
  g_autofree char *statm = NULL;
  g_auto (GStrv) parts = NULL;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &statm, NULL, NULL));
  parts = g_strsplit (statm, " ", 3);
  return g_ascii_strtoull (parts[1], NULL, 10) * sysconf (_SC_PAGESIZE);
}

ShmArray *
test_new_array (ShmDtype dtype, gsize n_dims, const gsize *shape)
{
  g_autoptr (GError) error = NULL;
  ShmArray *array = shm_array_new (dtype, shape, n_dims, &error);

  g_assert_no_error (error);
  g_assert_nonnull (array);
  return array;
}

/* An array of i4 whose items count up in C order. */
ShmArray *
test_new_range (gsize n_dims, const gsize *shape)
{
  ShmArray *array = test_new_array (SHM_DTYPE_I4, n_dims, shape);
  gint32 *items = shm_array_get_data (array);
  gsize i;

  for (i = 0; i < shm_array_get_n_elements (array); i++)
    items[i] = (gint32) i;
  return array;
}
