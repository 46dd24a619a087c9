/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shmem-glib/shm-sync-private.h"

typedef struct
{
  ShmLock lock;
  gint64 count;
  guint32 inside; /* futex: a child has the lock */
} Shared;

static Shared *
shared_new (void)
{
  return mmap (NULL, sizeof (Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static gint64 slept; /* of this process */

static void
add_many (Shared *shared, guint32 owner, guint n, guint spin)
{
  guint i;

  for (i = 0; i < n; i++)
    {
      g_assert_true (shm_lock_acquire (&shared->lock, owner, spin, &slept));
      shared->count++;
      shm_lock_release (&shared->lock);
    }
}

/* Between processes, with and without spinning. */
static void
test_exclusion (gconstpointer data)
{
  Shared *shared = shared_new ();
  guint n = test_scale (20000), spin = GPOINTER_TO_UINT (data), i;

  for (i = 1; i <= 4; i++)
    if (fork () == 0)
      {
        add_many (shared, i, n, spin);
        _exit (0);
      }
  for (i = 1; i <= 4; i++)
    {
      int status;

      wait (&status);
      g_assert_cmpint (status, ==, 0);
    }
  g_assert_cmpint (shared->count, ==, 4 * n);
  g_assert_cmpuint (shared->lock.word, ==, 0);
  munmap (shared, sizeof *shared);
}

static pid_t
fork_owner (Shared *shared, guint32 owner)
{
  pid_t pid = fork ();

  if (pid == 0)
    {
      shm_lock_acquire (&shared->lock, owner, 0, &slept);
      shm_store (&shared->inside, 1);
      shm_futex_wake (&shared->inside, 1);
      for (;;)
        pause ();
    }
  while (!shm_load (&shared->inside))
    shm_futex_wait (&shared->inside, 0);
  return pid;
}

/* The owner dies; who waits gets the lock when the death is told, and only then. */
static void
test_owner_dies (void)
{
  Shared *shared = shared_new ();
  pid_t owner = fork_owner (shared, 7);
  pid_t waiter = fork ();
  int status;

  if (waiter == 0)
    {
      add_many (shared, 8, 1, 0);
      _exit (0);
    }
  while (!(shm_load (&shared->lock.word) & SHM_LOCK_WAITERS))
    g_thread_yield ();
  kill (owner, SIGKILL);
  g_assert_cmpint (waitpid (owner, &status, 0), ==, owner);
  g_assert_cmpint (shared->count, ==, 0);
  /* Another death does not open it. */
  g_assert_false (shm_lock_break (&shared->lock, 9));
  g_assert_cmpuint (shared->lock.word & ~SHM_LOCK_WAITERS, ==, 7);
  g_assert_true (shm_lock_break (&shared->lock, 7));
  g_assert_cmpint (waitpid (waiter, &status, 0), ==, waiter);
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpint (shared->count, ==, 1);
  g_assert_cmpuint (shared->lock.word, ==, 0);
  munmap (shared, sizeof *shared);
}

/* A job that is being ended sends home who waits. */
static void
test_stop (void)
{
  Shared *shared = shared_new ();
  pid_t owner = fork_owner (shared, 1);
  pid_t waiter = fork ();
  int status;

  if (waiter == 0)
    _exit (shm_lock_acquire (&shared->lock, 2, 100, &slept) ? 1 : 0);
  while (!(shm_load (&shared->lock.word) & SHM_LOCK_WAITERS))
    g_thread_yield ();
  shm_lock_stop (&shared->lock);
  g_assert_cmpint (waitpid (waiter, &status, 0), ==, waiter);
  g_assert_cmpint (status, ==, 0);
  /* Nobody can wait from then on, and it does not open either. */
  g_assert_false (shm_lock_acquire (&shared->lock, 3, 10, &slept));
  g_assert_cmpuint (shared->lock.word & SHM_LOCK_OWNER, ==, 1);
  kill (owner, SIGKILL);
  g_assert_cmpint (waitpid (owner, &status, 0), ==, owner);
  munmap (shared, sizeof *shared);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  test_add_data ("/sync/exclusion/sleeping", GUINT_TO_POINTER (0), test_exclusion);
  test_add_data ("/sync/exclusion/spinning", GUINT_TO_POINTER (1000), test_exclusion);
  test_add ("/sync/owner-dies", test_owner_dies);
  test_add ("/sync/stop", test_stop);

  return g_test_run ();
}
