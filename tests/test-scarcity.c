/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* No descriptors, no processes, no memory. What cannot be undone in this process is done in a child of it. */

#include "config.h"

#include "test-util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_ITEMS 500

static GVariant *
map_rank (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return g_variant_new_int32 (shm_map_reduce_get_rank (pool));
}

/* Takes all descriptors but so many. */
static GArray *
use_up_fds (guint n_left)
{
  GArray *fds = g_array_new (FALSE, FALSE, sizeof (int));
  int fd;

  while ((fd = open ("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
    g_array_append_val (fds, fd);
  g_assert_cmpint (errno, ==, EMFILE);
  for (; n_left > 0; n_left--)
    {
      close (g_array_index (fds, int, fds->len - 1));
      g_array_set_size (fds, fds->len - 1);
    }
  return fds;
}

static void
give_back_fds (GArray *fds)
{
  guint i;

  for (i = 0; i < fds->len; i++)
    close (g_array_index (fds, int, i));
  g_array_unref (fds);
}

/* With however few descriptors: all results, or a clear error, and never a hang or a loss. */
static void
test_few_fds (gconstpointer data)
{
  struct rlimit before, few;
  guint n_left, n_good = 0;

  g_log_set_always_fatal (G_LOG_FATAL_MASK);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  few = before;
  few.rlim_cur = 64;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);

  for (n_left = 0; n_left < 16; n_left++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (4, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (ShmJob) job = shm_job_new (pool, N_ITEMS);
      g_autoptr (GError) error = NULL;
      GArray *fds;
      gboolean ok;

      shm_map_reduce_set_schedule (pool, GPOINTER_TO_UINT (data));
      shm_job_set_map_func (job, map_rank, NULL, NULL);
      fds = use_up_fds (n_left);
      ok = shm_job_run (job, NULL, &error);
      give_back_fds (fds);
      if (ok)
        {
          n_good++;
          g_assert_no_error (error);
          g_assert_cmpuint (shm_job_get_results (job)->len, ==, N_ITEMS);
          g_assert_nonnull (g_ptr_array_index (shm_job_get_results (job), N_ITEMS - 1));
        }
      else
        {
          g_assert_true (g_error_matches (error, SHM_ERROR, SHM_ERROR_NO_WORKERS) ||
                         g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES));
          g_assert_cmpuint (n_left, <, 12);
        }
    }
  g_assert_cmpuint (n_good, >, 5);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
}

/* From here on this process cannot fork: clone and its kin fail with EAGAIN. */
static gboolean
forbid_fork (void)
{
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { G_N_ELEMENTS (filter), filter };

  return prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void
test_no_processes (void)
{
  if (g_test_subprocess ())
    {
      g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;
      TestLeftovers before;

      if (!forbid_fork ())
        _exit (77);
      test_leftovers_take (&before);
      results = shm_map_reduce_map (pool, N_ITEMS, NULL, map_rank, NULL, NULL, &error);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_WORKERS);
      g_assert_nonnull (strstr (error->message, g_strerror (EAGAIN)));
      test_leftovers_check (&before);
      return;
    }
  if (test_under_valgrind () || TEST_SANITIZED)
    {
      g_test_skip ("the tool itself needs a process");
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
}

/* The same, once two workers run: they do the work, and it is said that they are fewer. */
static void
test_few_processes (gconstpointer data)
{
  if (g_test_subprocess ())
    {
      g_autoptr (ShmMapReduce) pool = test_pool (16, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GError) error = NULL;
      struct rlimit limit = { 3, 3 };
      guint i;

      g_log_set_always_fatal (G_LOG_FATAL_MASK);
      /* A user who has nothing else, and may have three processes: this one, and two workers. */
      if (geteuid () == 0 && setresuid (54321, 54321, 54321) != 0)
        _exit (77);
      if (setrlimit (RLIMIT_NPROC, &limit) != 0)
        _exit (77);
      shm_map_reduce_set_schedule (pool, GPOINTER_TO_UINT (data));
      results = shm_map_reduce_map (pool, N_ITEMS, NULL, map_rank, NULL, NULL, &error);
      g_assert_no_error (error);
      for (i = 0; i < N_ITEMS; i++)
        g_assert_nonnull (g_ptr_array_index (results, i));
      return;
    }
  if (geteuid () != 0)
    {
      g_test_skip ("this user may have other processes");
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("*Running with * of 16 workers: *");
}

static void
test_no_memory (void)
{
  const gsize shape = (gsize) 1 << 50;
  g_autoptr (GError) error = NULL;

  g_assert_null (shm_array_new_full (SHM_DTYPE_F8, 0, &shape, 1, SHM_ARRAY_FLAGS_RESERVE, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY);
}

/* The address space is full: a control block is refused, and nothing else happens. */
static void
test_no_address_space (void)
{
  if (g_test_subprocess ())
    {
      g_autoptr (ShmMapReduce) pool = test_pool (4000, SHM_BACKEND_TYPE_PROCESS);
      g_autoptr (GError) error = NULL;
      struct rlimit limit = { (rlim_t) 512 << 20, (rlim_t) 512 << 20 };

      setrlimit (RLIMIT_AS, &limit);
      g_assert_null (shm_map_reduce_map (pool, 100000, NULL, map_rank, NULL, NULL, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY);
      return;
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  g_test_skip ("the sanitizer has taken it all");
#else
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
#endif
}

static GVariant *
map_block (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  guint8 *bytes = g_malloc0 (65536);

  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, 65536, TRUE, g_free, bytes);
}

static GVariant *
reduce_slowly (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  guint *n = user_data;

  g_usleep (500);
  ++*n;
  return NULL;
}

/* A slow reduce makes the workers wait; nothing is lost, and the memory does not grow with what waits. */
static void
test_slow_reduce (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (4, GPOINTER_TO_UINT (data));
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  guint n = 0;

  results = shm_map_reduce_map (pool, 300, NULL, map_block, reduce_slowly, &n, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, 300);
}

/* Whether the worker's main context can be woken. */
static GVariant *
map_wake (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  GMainContext *context = g_main_context_get_thread_default ();
  GPollFD poll_fd;
  gint timeout;

  g_assert_cmpint (g_main_context_query (context, G_MAXINT, &timeout, &poll_fd, 1), ==, 1);
  g_main_context_wakeup (context);
  return g_variant_new_boolean (g_poll (&poll_fd, 1, 0) == 1 && poll_fd.revents == G_IO_IN);
}

/* A worker comes when the caller has a new limit, which is below what it has open. */
static void
test_lower_limit (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (1, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, 1);
  struct rlimit before, few;
  GArray *fds;
  guint i;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  few = before;
  few.rlim_cur = 64;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);
  fds = use_up_fds (16);
  shm_job_set_map_func (job, map_wake, NULL, NULL);
  shm_job_set_keep_workers (job, TRUE);
  shm_map_reduce_set_max_items_per_worker (pool, 1);
  test_run_job (job);
  give_back_fds (fds);
  few.rlim_cur = 32;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);
  for (i = 0; i < 3; i++)
    {
      test_run_job (job);
      g_assert_true (g_variant_get_boolean (g_ptr_array_index (shm_job_get_results (job), 0)));
    }
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add_data ("/scarcity/fds/dynamic", GUINT_TO_POINTER (SHM_SCHEDULE_DYNAMIC), test_few_fds);
  test_add_data ("/scarcity/fds/static", GUINT_TO_POINTER (SHM_SCHEDULE_STATIC), test_few_fds);
  test_add ("/scarcity/fds/lower-limit", test_lower_limit);
  test_add ("/scarcity/no-processes", test_no_processes);
  test_add_data ("/scarcity/few-processes/dynamic", GUINT_TO_POINTER (SHM_SCHEDULE_DYNAMIC),
                 test_few_processes);
  test_add_data ("/scarcity/few-processes/static", GUINT_TO_POINTER (SHM_SCHEDULE_STATIC),
                 test_few_processes);
  test_add ("/scarcity/no-memory", test_no_memory);
  test_add ("/scarcity/no-address-space", test_no_address_space);
  test_add_data ("/scarcity/process/slow-reduce", GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS),
                 test_slow_reduce);
  test_add_data ("/scarcity/thread/slow-reduce", GUINT_TO_POINTER (SHM_BACKEND_TYPE_THREAD),
                 test_slow_reduce);

  return g_test_run ();
}
