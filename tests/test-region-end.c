/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Regions that end early: errors, deaths, wrong use. */

#include "config.h"

#include "test-util.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shmem-glib/shm-region-private.h"

#define MAX_WORKERS 8

static gint n_forks;
static gint forks_to_fail; /* so many, from the second one on; negative: from the first one on */

/* It comes before the C library's, and fails when it is told to. */
pid_t
fork (void)
{
  pid_t (*real) (void) = (pid_t (*) (void)) dlsym (RTLD_NEXT, "fork");

  n_forks++;
  if (forks_to_fail < 0 || (n_forks > 1 && n_forks - 1 <= forks_to_fail))
    {
      errno = EAGAIN;
      return -1;
    }
  return real ();
}

typedef struct
{
  ShmArray *array;
  gint64 *items; /* of the array, shared by all */
  gint pipe[2];
  guint n_workers;
  guint how;
  guint64 spin;
} Region;

static void
region_init (Region *region)
{
  const gsize shape[] = { 2 * MAX_WORKERS };

  *region = (Region){ .pipe = { -1, -1 } };
  region->array = test_new_array (SHM_DTYPE_I8, 1, shape);
  region->items = shm_array_get_data (region->array);
  g_assert_true (g_unix_open_pipe (region->pipe, FD_CLOEXEC, NULL));
}

static void
region_clear (Region *region)
{
  close (region->pipe[0]);
  close (region->pipe[1]);
  g_object_unref (region->array);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Region, region_clear)

/* The region must fail; the error. */
static GError *
run (guint n_workers,
     ShmBackendType backend,
     ShmRegionFlags flags,
     GCancellable *cancellable,
     ShmRegionFunc func,
     Region *region)
{
  g_autoptr (ShmMapReduce) pool = test_pool (n_workers, backend);
  g_autoptr (GPtrArray) results = NULL;
  GError *error = NULL;

  region->n_workers = backend == SHM_BACKEND_TYPE_SERIAL ? 1 : n_workers;
  results = shm_map_reduce_run (pool, flags, cancellable, func, region, &error);
  g_assert_null (results);
  g_assert_nonnull (error);
  return error;
}

static void
count (gint64 *number)
{
  __atomic_add_fetch (number, 1, __ATOMIC_SEQ_CST);
}

static GVariant *
meet (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  while (shm_map_reduce_barrier (pool, error))
    ;
  return NULL;
}

static gboolean
refuse (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  if (begin != 0)
    return TRUE;
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "no");
  return FALSE;
}

/* The last rank fails, in one way or the other, and the others wait for it. */
static GVariant *
fail_last (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;
  guint last = region->how == 0 ? region->n_workers - 1 : 0;
  GError *told = NULL;

  /* One that has not begun when the region ends never does. */
  if (!shm_map_reduce_barrier (pool, error))
    return NULL;
  if (rank == last && region->how < 2)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "no");
      return NULL;
    }
  if (region->how < 2)
    shm_map_reduce_barrier (pool, &told);
  else
    shm_map_reduce_share_range (pool, 0, 20, SHM_SCHEDULE_DYNAMIC, 1, refuse, NULL, &told);
  /* Threads run on to their ends. */
  if (told != NULL && g_error_matches (told, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    count (&region->items[0]);
  g_propagate_error (error, told);
  return NULL;
}

/* Its own error ends the region, and not what the others make of it. */
static void
test_error (gconstpointer data)
{
  const guint n = test_scale (60);
  guint flags, how, i;

  for (flags = SHM_REGION_FLAGS_NONE; flags <= SHM_REGION_FLAGS_WITH_CALLER; flags++)
    for (how = 0; how < 3; how++)
      for (i = 0; i < n; i++)
        {
          g_autoptr (GError) error = NULL;
          g_auto (Region) region;

          region_init (&region);
          region.how = how;
          error = run (3, GPOINTER_TO_UINT (data), flags, NULL, fail_last, &region);
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
          if (GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_THREAD)
            g_assert_cmpint (region.items[0], ==, 2);
        }
}

/* A worker whose job is being ended does not get through, however often it asks. */
static GVariant *
ask_again (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;
  guint i;

  if (!shm_map_reduce_barrier (pool, error))
    return NULL;
  if (rank == 0)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "no");
      return NULL;
    }
  for (i = 0; i < 5; i++)
    {
      g_autoptr (GError) told = NULL;

      if (!shm_map_reduce_barrier (pool, &told) &&
          g_error_matches (told, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        count (&region->items[0]);
    }
  return NULL;
}

static void
test_ask_again (void)
{
  guint i;

  for (i = 0; i < test_scale (60); i++)
    {
      g_autoptr (GError) error = NULL;
      g_auto (Region) region;

      region_init (&region);
      error = run (3, SHM_BACKEND_TYPE_THREAD, SHM_REGION_FLAGS_NONE, NULL, ask_again, &region);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
      g_assert_cmpint (region.items[0], ==, 10);
    }
}

static gboolean
take_turn (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  if (!shm_map_reduce_ordered_enter (pool, error))
    return FALSE;
  shm_map_reduce_ordered_leave (pool);
  return TRUE;
}

/* Rank 0 leaves and the others wait for it: at a barrier, in a loop, in an ordered section of a loop. */
static GVariant *
leave_early (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;

  if (rank == 0)
    return NULL;
  if (region->how == 0)
    shm_map_reduce_barrier (pool, error);
  else
    shm_map_reduce_share_range (pool, 0, 100,
                                region->how == 1 ? SHM_SCHEDULE_DYNAMIC : SHM_SCHEDULE_STATIC, 1,
                                take_turn, NULL, error);
  return NULL;
}

static void
test_leave_early (gconstpointer data)
{
  guint flags, how, n;

  for (flags = SHM_REGION_FLAGS_NONE; flags <= SHM_REGION_FLAGS_WITH_CALLER; flags++)
    for (how = 0; how < 3; how++)
      for (n = 2; n <= 4; n++)
        {
          g_autoptr (GError) error = NULL;
          g_auto (Region) region;

          region_init (&region);
          region.how = how;
          error = run (n, GPOINTER_TO_UINT (data), flags, NULL, leave_early, &region);
          g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
        }
}

static gboolean
expect_wrong_state (gboolean ok, GError *told, GError **error)
{
  if (ok || !g_error_matches (told, SHM_ERROR, SHM_ERROR_WRONG_STATE))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "it went well, or failed in another way: %s",
                 told ? told->message : "");
  g_clear_error (&told);
  return *error == NULL;
}

static gboolean
loop_wrongly (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  GError *told = NULL;
  gboolean ok = shm_map_reduce_barrier (pool, &told);

  if (!expect_wrong_state (ok, told, error))
    return FALSE;
  told = NULL;
  ok = shm_map_reduce_share_range (pool, 0, 1, SHM_SCHEDULE_DYNAMIC, 1, refuse, NULL, &told);
  return expect_wrong_state (ok, told, error);
}

static GVariant *
use_wrongly (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  GError *told = NULL;
  gboolean ok;

  ok = shm_map_reduce_ordered_enter (pool, &told);
  if (!expect_wrong_state (ok, told, error) ||
      !shm_map_reduce_share_range (pool, 0, 10, SHM_SCHEDULE_DYNAMIC, 1, loop_wrongly, NULL,
                                   error) ||
      !shm_map_reduce_critical_enter (pool, error))
    return NULL;
  told = NULL;
  ok = shm_map_reduce_barrier (pool, &told);
  if (!expect_wrong_state (ok, told, error))
    return NULL;
  told = NULL;
  ok = shm_map_reduce_share_range (pool, 0, 10, SHM_SCHEDULE_DYNAMIC, 1, loop_wrongly, NULL, &told);
  if (!expect_wrong_state (ok, told, error))
    return NULL;
  shm_map_reduce_critical_leave (pool);
  return shm_map_reduce_barrier (pool, error) ? g_variant_new_boolean (TRUE) : NULL;
}

static GVariant *
map_wrongly (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return loop_wrongly (pool, 0, 0, NULL, error) ? g_variant_new_boolean (TRUE) : NULL;
}

static void
test_wrong_use (gconstpointer data)
{
  guint flags;

  for (flags = SHM_REGION_FLAGS_NONE; flags <= SHM_REGION_FLAGS_WITH_CALLER; flags++)
    {
      g_autoptr (ShmMapReduce) pool = test_pool (3, GPOINTER_TO_UINT (data));
      g_autoptr (GPtrArray) results = NULL;
      g_autoptr (GPtrArray) mapped = NULL;
      g_autoptr (GError) error = NULL;

      results = shm_map_reduce_run (pool, flags, NULL, use_wrongly, NULL, &error);
      g_assert_no_error (error);
      g_assert_nonnull (results->pdata[0]);
      mapped = shm_map_reduce_map (pool, 3, NULL, map_wrongly, NULL, NULL, &error);
      g_assert_no_error (error);
      g_assert_false (shm_map_reduce_barrier (pool, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
    }
}

typedef enum
{
  DIE_AT_ONCE,
  DIE_AFTER_BARRIER,
  DIE_IN_LOOP,
  DIE_IN_ORDERED,
  DIE_IN_CRITICAL,
  DIE_LATER,
  N_DEATHS
} Death;

static gboolean
die_in_section (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  Region *region = user_data;
  gboolean dies = shm_map_reduce_get_rank (pool) == 1;

  if (dies && region->how == DIE_IN_LOOP)
    raise (SIGKILL);
  if (!shm_map_reduce_ordered_enter (pool, error))
    return FALSE;
  if (dies && region->how == DIE_IN_ORDERED)
    raise (SIGKILL);
  shm_map_reduce_ordered_leave (pool);
  if (!shm_map_reduce_critical_enter (pool, error))
    return FALSE;
  if (dies && region->how == DIE_IN_CRITICAL)
    raise (SIGKILL);
  shm_map_reduce_critical_leave (pool);
  return TRUE;
}

/* Rank 1 dies; the others wait for it. Where it dies later, rank 0 works meanwhile, and tells it when. */
static GVariant *
die_somewhere (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;
  char byte;

  if (rank == 1 && region->how == DIE_AT_ONCE)
    raise (SIGKILL);
  if (!shm_map_reduce_barrier (pool, error))
    return NULL;
  if (rank == 1 && region->how == DIE_AFTER_BARRIER)
    raise (SIGKILL);
  if (region->how == DIE_LATER && rank == 1 && read (region->pipe[0], &byte, 1) == 1)
    raise (SIGKILL);
  if (region->how == DIE_LATER && rank == 0 && write (region->pipe[1], "", 1) != 1)
    return NULL;
  shm_map_reduce_share_range (pool, 0, 100, SHM_SCHEDULE_STATIC, 1, die_in_section, region, error);
  return NULL;
}

static void
test_death (gconstpointer data)
{
  guint how, n;

  for (how = 0; how < N_DEATHS; how++)
    for (n = 2; n <= 4; n++)
      {
        g_autoptr (GError) error = NULL;
        g_auto (Region) region;

        region_init (&region);
        region.how = how;
        error = run (n, SHM_BACKEND_TYPE_PROCESS, GPOINTER_TO_UINT (data), NULL, die_somewhere,
                     &region);
        g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
      }
}

/* All go from barrier to barrier, and one kills its sibling, which mostly sleeps in one. */
static GVariant *
kill_sibling (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;
  guint64 i;

  region->items[rank] = getpid ();
  if (!shm_map_reduce_barrier (pool, error))
    return NULL;
  if (rank == 0)
    {
      for (i = 0; i < region->spin % 50; i++)
        if (!shm_map_reduce_barrier (pool, error))
          return NULL;
      for (i = 0; i < region->spin; i++)
        shm_pause ();
      kill (region->items[1], SIGKILL);
    }
  return meet (pool, rank, NULL, error);
}

static void
test_kill_sibling (gconstpointer data)
{
  const guint n = test_scale (200);
  guint i;

  for (i = 0; i < n; i++)
    {
      g_autoptr (GError) error = NULL;
      g_auto (Region) region;

      region_init (&region);
      region.spin = g_test_rand_int_range (0, 5000);
      error = run (2 + i % 3, SHM_BACKEND_TYPE_PROCESS, GPOINTER_TO_UINT (data), NULL, kill_sibling,
                   &region);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
    }
}

/* A child that waits at the barrier, and tells by its exit whether it opened. */
static pid_t
start_waiter (ShmControl *control, guint rank, gboolean traced)
{
  ShmWork work = { .kind = SHM_WORK_REGION };
  ShmWorker worker = { .control = control, .rank = rank, .work = &work };
  pid_t pid = fork ();

  if (pid != 0)
    return pid;
  shm_worker_init (&worker);
  worker.line->life = SHM_LIFE_WORK;
  if (traced)
    {
      ptrace (PTRACE_TRACEME, 0, NULL, NULL);
      raise (SIGSTOP);
    }
  _exit (shm_region_barrier (&worker, NULL) ? 0 : 1);
}

static int
wait_for (pid_t pid)
{
  int status;

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return status;
}

/* Kills one of two after so many instructions; the other must get through, or be sent home, as the caller does
 * with all who live when one has died. FALSE if it had ended before. */
static gboolean
kill_after (guint n_instructions, gboolean is_last)
{
  ShmControlSettings settings = { .n_items = 2, .n_workers = 2, .schedule = SHM_SCHEDULE_STATIC };
  g_autoptr (ShmControl) control = shm_control_new (&settings, NULL);
  gboolean alive = TRUE, opened;
  pid_t victim, other;
  int status;
  guint i;

  if (!is_last)
    victim = start_waiter (control, 0, TRUE);
  other = start_waiter (control, 1, FALSE);
  if (is_last)
    victim = start_waiter (control, 0, TRUE);
  g_assert_true (WIFSTOPPED (wait_for (victim)));
  for (i = 0; alive && i < n_instructions; i++)
    {
      g_assert_cmpint (ptrace (PTRACE_SINGLESTEP, victim, NULL, NULL), ==, 0);
      alive = WIFSTOPPED (wait_for (victim));
    }
  if (alive)
    {
      kill (victim, SIGKILL);
      wait_for (victim);
    }
  opened = (guint32) shm_load (&control->header->barrier) != 0;
  shm_control_stop (control);
  status = wait_for (other);
  g_assert_true (WIFEXITED (status));
  if (!alive || opened)
    g_assert_cmpint (WEXITSTATUS (status), ==, 0);
  return alive;
}

static void
test_killed_anywhere (void)
{
  guint n = 0;

  if (test_under_valgrind () || TEST_SANITIZED)
    {
      g_test_skip ("no stepping through a child here");
      return;
    }
  while (kill_after (n, n % 2))
    n += n < 400 || g_test_slow () ? 1 : 23;
  g_test_message ("%u instructions", n);
  g_assert_cmpuint (n, >, 30);
}

/* What the caller does while a child dies: it works, and then waits for the critical section or at the barrier. */
static GVariant *
wait_for_dead (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;
  char byte;

  if (rank == 1)
    {
      if (!shm_map_reduce_critical_enter (pool, error) || write (region->pipe[1], "", 1) != 1)
        return NULL;
      raise (SIGKILL);
    }
  if (rank != 0)
    return meet (pool, rank, NULL, error);
  if (read (region->pipe[0], &byte, 1) != 1)
    return NULL;
  region->spin = 17;
  if (region->how == 0)
    shm_map_reduce_critical_enter (pool, error);
  else
    shm_map_reduce_barrier (pool, error);
  return NULL;
}

static void
test_caller_waits_for_dead (void)
{
  guint i;

  for (i = 0; i < 20; i++)
    {
      g_autoptr (GError) error = NULL;
      g_auto (Region) region;

      region_init (&region);
      region.how = i % 2;
      error = run (2 + i % 3, SHM_BACKEND_TYPE_PROCESS, SHM_REGION_FLAGS_WITH_CALLER, NULL,
                   wait_for_dead, &region);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
      g_assert_cmpint (region.spin, ==, 17);
    }
}

static GVariant *
cancel_in_region (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Region *region = user_data;

  if (rank == 0 && write (region->pipe[1], "", 1) != 1)
    return NULL;
  return meet (pool, rank, NULL, error);
}

typedef struct
{
  gint fd;
  GCancellable *cancellable;
} Canceller;

static gpointer
cancel_when_told (gpointer data)
{
  Canceller *canceller = data;
  char byte;

  g_assert_cmpint (read (canceller->fd, &byte, 1), ==, 1);
  g_cancellable_cancel (canceller->cancellable);
  return NULL;
}

static void
test_cancel (gconstpointer data)
{
  guint flags, i;

  if (TEST_SANITIZED && GPOINTER_TO_UINT (data) == SHM_BACKEND_TYPE_PROCESS)
    {
      g_test_skip ("no fork beside threads that allocate");
      return;
    }
  for (flags = SHM_REGION_FLAGS_NONE; flags <= SHM_REGION_FLAGS_WITH_CALLER; flags++)
    for (i = 0; i < 10; i++)
      {
        g_autoptr (GCancellable) cancellable = g_cancellable_new ();
        g_autoptr (GError) error = NULL;
        g_auto (Region) region;
        Canceller canceller;
        GThread *thread;

        region_init (&region);
        canceller = (Canceller){ region.pipe[0], cancellable };
        thread = g_thread_new (NULL, cancel_when_told, &canceller);
        error =
            run (2 + i % 3, GPOINTER_TO_UINT (data), flags, cancellable, cancel_in_region, &region);
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        g_thread_join (thread);
      }
}

static GVariant *
meet_once (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  shm_map_reduce_barrier (pool, error);
  return NULL;
}

/* No process can be forked, or not the second one for a while: then it waits. */
static void
test_no_fork (gconstpointer data)
{
  g_autoptr (ShmMapReduce) pool = test_pool (3, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) never = NULL;
  g_auto (Region) region;
  guint flags = GPOINTER_TO_UINT (data);

  region_init (&region);
  forks_to_fail = -1;
  error = run (3, SHM_BACKEND_TYPE_PROCESS, flags, NULL, meet_once, &region);
  g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_WORKERS);
  g_clear_error (&error);
  forks_to_fail = 0;

  g_test_expect_message ("shmem-glib", G_LOG_LEVEL_MESSAGE, "Running with 1 of 3 workers*");
  n_forks = 0;
  forks_to_fail = 3;
  results = shm_map_reduce_run (pool, flags, NULL, meet_once, NULL, &error);
  forks_to_fail = 0;
  g_test_assert_expected_messages ();
  g_assert_no_error (error);
  g_assert_cmpuint (results->len, ==, 3);

  g_test_expect_message ("shmem-glib", G_LOG_LEVEL_MESSAGE, "Running with 1 of 3 workers*");
  n_forks = 0;
  forks_to_fail = G_MAXINT;
  never = run (3, SHM_BACKEND_TYPE_PROCESS, flags, NULL, meet_once, &region);
  forks_to_fail = 0;
  g_test_assert_expected_messages ();
  g_assert_error (never, SHM_ERROR, SHM_ERROR_NO_WORKERS);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  test_add_data ("/region/process/cancel", GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS),
                 test_cancel);
  test_add_data ("/region/thread/cancel", GUINT_TO_POINTER (SHM_BACKEND_TYPE_THREAD), test_cancel);
  test_add_data ("/region/process/error", GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS), test_error);
  test_add_data ("/region/thread/error", GUINT_TO_POINTER (SHM_BACKEND_TYPE_THREAD), test_error);
  test_add ("/region/thread/ask-again", test_ask_again);
  test_add_data ("/region/process/leave-early", GUINT_TO_POINTER (SHM_BACKEND_TYPE_PROCESS),
                 test_leave_early);
  test_add_data ("/region/thread/leave-early", GUINT_TO_POINTER (SHM_BACKEND_TYPE_THREAD),
                 test_leave_early);
  test_add_for_backends ("region", "wrong-use", test_wrong_use);
  test_add_data ("/region/process/death", GUINT_TO_POINTER (SHM_REGION_FLAGS_NONE), test_death);
  test_add_data ("/region/process/with-caller/death",
                 GUINT_TO_POINTER (SHM_REGION_FLAGS_WITH_CALLER), test_death);
  test_add_data ("/region/process/kill-sibling", GUINT_TO_POINTER (SHM_REGION_FLAGS_NONE),
                 test_kill_sibling);
  test_add_data ("/region/process/with-caller/kill-sibling",
                 GUINT_TO_POINTER (SHM_REGION_FLAGS_WITH_CALLER), test_kill_sibling);
  test_add ("/region/process/killed-anywhere", test_killed_anywhere);
  test_add ("/region/process/with-caller/waits-for-dead", test_caller_waits_for_dead);
  test_add_data ("/region/process/no-fork", GUINT_TO_POINTER (SHM_REGION_FLAGS_NONE), test_no_fork);
  test_add_data ("/region/process/with-caller/no-fork",
                 GUINT_TO_POINTER (SHM_REGION_FLAGS_WITH_CALLER), test_no_fork);

  return g_test_run ();
}
