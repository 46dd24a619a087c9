/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shmem-glib/shm-fork-private.h"

/* What a job has, for one child. */
typedef struct
{
  ShmForkFds fds;
  ShmChild child;
} Family;

static gboolean
family_fork (Family *family)
{
  g_autoptr (GError) error = NULL;

  family->fds.arena_fd = -1;
  family->fds.control_fd = -1;
  g_assert_true (shm_fork_open_eventfd (&family->fds.event_fd, &error));
  g_assert_no_error (error);
  g_assert_true (shm_fork_open_pipe (family->fds.lifeline, &error));
  g_assert_no_error (error);
  g_assert_true (shm_fork (&family->child, &family->fds, &error));
  g_assert_no_error (error);
  if (family->child.pid == 0)
    return TRUE;
  g_assert_true (shm_fork_watch (&family->child, &error));
  g_assert_no_error (error);
  return FALSE;
}

static void
family_wait (Family *family, ShmDeath *death)
{
  struct pollfd watch = { family->child.watch, POLLIN, 0 };

  g_assert_cmpint (poll (&watch, 1, 60000), ==, 1);
  while (!shm_fork_reap (&family->child, FALSE, death))
    g_thread_yield ();
  g_assert_cmpint (family->child.pid, ==, 0);
  g_assert_cmpint (family->child.watch, ==, -1);
  shm_fork_close_fd (&family->fds.event_fd);
  shm_fork_close_fd (&family->fds.lifeline[0]);
  shm_fork_close_fd (&family->fds.lifeline[1]);
}

static void
test_status (void)
{
  Family family;
  ShmDeath death;

  if (family_fork (&family))
    shm_fork_leave (42);
  g_assert_false (shm_fork_is_child ());
  family_wait (&family, &death);
  g_assert_true (WIFEXITED (death.wait_status));
  g_assert_cmpint (WEXITSTATUS (death.wait_status), ==, 42);

  if (family_fork (&family))
    for (;;)
      pause ();
  shm_fork_kill (&family.child, SIGKILL);
  family_wait (&family, &death);
  g_assert_true (WIFSIGNALED (death.wait_status));
  g_assert_cmpint (WTERMSIG (death.wait_status), ==, SIGKILL);
}

/* Whoever started this program in the background may have had it ignore signals. */
static void
stop_ignoring (void)
{
  struct sigaction action, reset = { .sa_handler = SIG_DFL };
  int number;

  for (number = 1; number < SIGSYS; number++)
    if (sigaction (number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
      sigaction (number, &reset, NULL);
}

/* Each check has a status of its own, so that a failure tells which it was. */
static int
check_child (const Family *family)
{
  struct sigaction action;
  sigset_t mask;
  int number;

  if (!shm_fork_is_child ())
    return 1;
  for (number = 1; number < SIGSYS; number++)
    if (number != SIGINT && number != SIGHUP && sigaction (number, NULL, &action) == 0 &&
        action.sa_handler != SIG_DFL)
      return 2;
  /* What the caller ignores stays ignored. */
  if (sigaction (SIGHUP, NULL, &action) != 0 || action.sa_handler != SIG_IGN)
    return 7;
  sigaction (SIGINT, NULL, &action);
  if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
    return 3;
  sigprocmask (SIG_SETMASK, NULL, &mask);
  for (number = 1; number < 32; number++)
    if (sigismember (&mask, number))
      return 4;
  /* Its job's wake-up is there; the caller's end of the lifeline is not, and its number may be taken by our own. */
  if (fcntl (family->fds.event_fd, F_GETFD) < 0)
    return 5;
  if (fcntl (family->fds.lifeline[1], F_GETFL) != -1 &&
      (fcntl (family->fds.lifeline[1], F_GETFL) & O_ACCMODE) != O_RDONLY)
    return 6;
  raise (SIGINT);
  return 0;
}

static void
handler (int number)
{
}

static void
test_hygiene (void)
{
  struct sigaction action = { .sa_handler = handler }, ignore = { .sa_handler = SIG_IGN };
  struct sigaction old[3];
  sigset_t block, mask;
  ShmDeath death;
  Family family;

  stop_ignoring ();
  sigaction (SIGUSR1, &action, &old[0]);
  sigaction (SIGHUP, &ignore, &old[1]);
  sigaction (SIGCHLD, &action, &old[2]);
  sigemptyset (&block);
  sigaddset (&block, SIGUSR2);
  pthread_sigmask (SIG_BLOCK, &block, &mask);
  if (family_fork (&family))
    shm_fork_leave (check_child (&family));
  family_wait (&family, &death);
  g_assert_cmpint (death.wait_status, ==, 0);
  /* The caller's own are as they were. */
  pthread_sigmask (SIG_SETMASK, &mask, &block);
  g_assert_true (sigismember (&block, SIGUSR2));
  sigaction (SIGUSR1, &old[0], &action);
  g_assert_true (action.sa_handler == handler);
  sigaction (SIGHUP, &old[1], NULL);
  sigaction (SIGCHLD, &old[2], NULL);
}

static void
bad_at_exit (void)
{
  _exit (99);
}

/* C's exit () in a child ends it with its status, and runs nothing of the caller's. */
static void
test_exit (void)
{
  ShmDeath death;
  Family family;

  if (g_test_subprocess ())
    {
      atexit (bad_at_exit);
      if (family_fork (&family))
        exit (7);
      family_wait (&family, &death);
      g_assert_cmpint (WEXITSTATUS (death.wait_status), ==, 7);
      _exit (0);
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
}

static void
test_prove (void)
{
  ShmDeath death;
  Family family;

  if (family_fork (&family))
    {
      shm_fork_prove ();
      shm_fork_leave (0);
    }
  family_wait (&family, &death);
  g_assert_cmpint (death.wait_status, ==, 0);
}

/* There is no engine of JavaScript here. */
static void
test_gjs (void)
{
  for (int i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (shm_gjs_prepare (&error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_NOT_SUPPORTED);
    }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add ("/fork/status", test_status);
  test_add ("/fork/hygiene", test_hygiene);
  test_add ("/fork/exit", test_exit);
  test_add ("/fork/prove", test_prove);
  test_add ("/fork/gjs", test_gjs);

  return g_test_run ();
}
