/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What is around a caller: a bus connection with its thread, a terminal, a memory limit. */

#include "config.h"

#include "test-util.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static GVariant *
map_variants (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_autoptr (GVariant) dict = g_variant_ref_sink (g_variant_new_parsed ("{'a': <%t>}", index));
  guint64 value;

  g_variant_lookup (dict, "a", "t", &value);
  return g_variant_new ("(ts)", value, "x");
}

static void
on_name_acquired (GDBusConnection *connection,
                  const char *sender,
                  const char *path,
                  const char *interface,
                  const char *signal,
                  GVariant *parameters,
                  gpointer user_data)
{
}

/* A live connection, whose thread makes variants of its own all the time: it is sent signals by itself. */
static void
test_bus (void)
{
  g_autoptr (GDBusConnection) bus = NULL;
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GError) error = NULL;
  guint round, i, id;

  if (TEST_SANITIZED || g_getenv ("DBUS_SESSION_BUS_ADDRESS") == NULL)
    {
      g_test_skip ("there is no session bus, or no fork beside threads that allocate");
      return;
    }
  bus = g_bus_get_sync (G_BUS_TYPE_SESSION, NULL, &error);
  g_assert_no_error (error);
  id = g_dbus_connection_signal_subscribe (bus, NULL, "org.example.Test", NULL, NULL, NULL,
                                           G_DBUS_SIGNAL_FLAGS_NONE, on_name_acquired, NULL, NULL);
  for (round = 0; round < (g_test_slow () ? 5000 : test_scale (200)); round++)
    {
      g_autoptr (GPtrArray) results = NULL;

      for (i = 0; i < 20; i++)
        g_dbus_connection_emit_signal (bus, NULL, "/org/example/Test", "org.example.Test",
                                       "Changed", g_variant_new ("(sa{sv})", "x", NULL), NULL);
      results = shm_map_reduce_map (pool, 50, NULL, map_variants, NULL, NULL, &error);
      g_assert_no_error (error);
      for (i = 0; i < 50; i++)
        {
          guint64 value;

          g_variant_get (g_ptr_array_index (results, i), "(t&s)", &value, NULL);
          g_assert_cmpuint (value, ==, i);
        }
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
  g_dbus_connection_signal_unsubscribe (bus, id);
}

typedef struct
{
  GMainLoop *loop;
  GCancellable *cancellable;
  guint n_interrupts;
  GError *error;
} Terminal;

static gboolean
on_interrupt (gpointer user_data)
{
  Terminal *terminal = user_data;

  terminal->n_interrupts++;
  g_cancellable_cancel (terminal->cancellable);
  return G_SOURCE_CONTINUE;
}

static GVariant *
map_interrupted (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  /* What a terminal does at Ctrl-C: to all of the foreground group. */
  if (index == 1)
    kill (0, SIGINT);
  sleep (60);
  return NULL;
}

static void
on_interrupted (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Terminal *terminal = user_data;

  g_assert_null (shm_map_reduce_map_finish (SHM_MAP_REDUCE (source), result, &terminal->error));
  g_main_loop_quit (terminal->loop);
}

/* The caller hears of it once, and decides; the workers do not die of it by themselves. */
static void
test_interrupt (void)
{
  if (g_test_subprocess ())
    {
      g_autoptr (ShmMapReduce) pool = test_pool (3, SHM_BACKEND_TYPE_PROCESS);
      Terminal terminal = { .loop = g_main_loop_new (NULL, FALSE),
                            .cancellable = g_cancellable_new () };

      setpgid (0, 0);
      g_unix_signal_add (SIGINT, on_interrupt, &terminal);
      shm_map_reduce_map_async (pool, 3, map_interrupted, NULL, NULL, terminal.cancellable,
                                on_interrupted, &terminal);
      g_main_loop_run (terminal.loop);
      g_assert_error (terminal.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_cmpuint (terminal.n_interrupts, ==, 1);
      _exit (0);
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
}

/* Makes a group of our own with a memory limit and goes into it; FALSE if that cannot be done here. */
static char *
enter_small_group (gsize limit)
{
  static const char *const parents[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup" };
  g_autofree char *size = g_strdup_printf ("%zu", limit);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (parents); i++)
    {
      g_autofree char *group = g_strdup_printf ("%s/shm-test-%d", parents[i], (int) getpid ());
      g_autofree char *procs = g_build_filename (group, "cgroup.procs", NULL);
      g_autofree char *max = g_build_filename (group, "memory.max", NULL);
      g_autofree char *swap = g_build_filename (group, "memory.swap.max", NULL);
      g_autofree char *old = g_build_filename (group, "memory.limit_in_bytes", NULL);
      g_autofree char *pid = g_strdup_printf ("%d", (int) getpid ());

      if (mkdir (group, 0755) != 0)
        continue;
      g_file_set_contents_full (swap, "0", 1, G_FILE_SET_CONTENTS_NONE, 0644, NULL);
      if ((g_file_set_contents_full (max, size, -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL) ||
           g_file_set_contents_full (old, size, -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL)) &&
          g_file_set_contents_full (procs, pid, -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL))
        return g_steal_pointer (&group);
      rmdir (group);
    }
  return NULL;
}

static GVariant *
map_eat (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  gsize size = (gsize) 400 << 20;

  if (index == 1)
    {
      gpointer memory = g_malloc (size);

      memset (memory, 1, size);
      /* Somebody might read it, for all that the compiler knows. */
      __asm__ volatile("" : : "r"(memory) : "memory");
    }
  if (index == 2)
    raise (SIGKILL);
  return NULL;
}

/* More than the group may have is an error at once, and not a death later. */
static void
check_reserve (gsize size)
{
  static const ShmArrayFlags flags[] = { SHM_ARRAY_FLAGS_RESERVE,
                                         SHM_ARRAY_FLAGS_RESERVE | SHM_ARRAY_FLAGS_SHAREABLE };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (flags); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (shm_array_new_full (SHM_DTYPE_U1, 0, &size, 1, flags[i], &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY);
    }
}

/* In a subprocess, which is the one that goes into the group; its parent removes that. */
static void
test_oom (void)
{
  g_autofree char *group = NULL;
  int status;
  pid_t pid;

  if (test_under_valgrind () || TEST_SANITIZED)
    {
      g_test_skip ("the tool eats the memory itself");
      return;
    }
  pid = fork ();
  if (pid == 0)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (ShmJob) job = shm_job_new (pool, 3);
      GPtrArray *failures;

      if (enter_small_group ((gsize) 100 << 20) == NULL)
        _exit (77);
      check_reserve ((gsize) 400 << 20);
      shm_map_reduce_set_failure_policy (pool, SHM_FAILURE_POLICY_COLLECT);
      shm_job_set_map_func (job, map_eat, NULL, NULL);
      g_assert_true (shm_job_run (job, NULL, NULL));
      failures = shm_job_get_failures (job);
      g_assert_cmpuint (failures->len, ==, 2);
      g_assert_cmpint (shm_failure_get_kind (failures->pdata[0]), ==, SHM_FAILURE_KIND_OOM);
      g_assert_error (shm_failure_get_error (failures->pdata[0]), SHM_ERROR, SHM_ERROR_WORKER_OOM);
      g_assert_cmpuint (shm_failure_get_peak_memory (failures->pdata[0]), >, (gsize) 20 << 20);
      /* The next one was killed by somebody else. */
      g_assert_cmpint (shm_failure_get_kind (failures->pdata[1]), ==, SHM_FAILURE_KIND_SIGNAL);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  group = g_strdup_printf ("/sys/fs/cgroup/memory/shm-test-%d", (int) pid);
  rmdir (group);
  g_free (group);
  group = g_strdup_printf ("/sys/fs/cgroup/shm-test-%d", (int) pid);
  rmdir (group);
  if (WIFEXITED (status) && WEXITSTATUS (status) == 77)
    g_test_skip ("no control group can be made here");
  else
    g_assert_cmpint (status, ==, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add ("/hostile/interrupt", test_interrupt);
  test_add ("/hostile/oom", test_oom);
  /* The connection goes away in its own time. */
  g_test_add_func ("/hostile/bus", test_bus);

  return g_test_run ();
}
