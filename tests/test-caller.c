/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Callers that become another program, or have a copy; and workers that become another user. What happens to the workers
 * is seen from outside, by a process that started the caller. */

#include "config.h"

#include "test-util.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_WORKERS 2
#define PAUSE "--pause" /* the argument of the program that callers become */
#define NOBODY 65534
#define FIRST_FD 3
#define N_FDS 100

static char *own_path;

static int told[2]; /* workers write to it, and the caller reads */

static void
execute (void)
{
  execl (own_path, own_path, PAUSE, NULL);
  _exit (1);
}

static gboolean
is_told (guint n)
{
  char byte;

  while (n > 0 && read (told[0], &byte, 1) == 1)
    n--;
  return n == 0;
}

static GVariant *
pause_for_ever (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  g_assert_cmpint (write (told[1], "", 1), ==, 1);
  for (;;)
    pause ();
  return NULL;
}

static GVariant *
pause_in_background (gpointer user_data, GError **error)
{
  return pause_for_ever (NULL, 0, NULL, error);
}

static GVariant *
map_nothing (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  return NULL;
}

static void
execute_while_resting (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (N_WORKERS, SHM_BACKEND_TYPE_PROCESS);
  ShmJob *job = shm_job_new (pool, 10);

  shm_job_set_keep_workers (job, TRUE);
  shm_job_set_map_func (job, map_nothing, NULL, NULL);
  test_run_job (job);
  execute ();
}

static void
execute_while_running (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (N_WORKERS, SHM_BACKEND_TYPE_PROCESS);
  ShmJob *job = shm_job_new (pool, N_WORKERS);

  shm_job_set_map_func (job, pause_for_ever, NULL, NULL);
  shm_job_run_async (job, NULL, NULL, NULL);
  if (is_told (N_WORKERS))
    execute ();
}

static void
execute_with_background (void)
{
  g_autoptr (GError) error = NULL;
  ShmBackground *background = shm_background_new (pause_in_background, NULL, NULL, &error);

  g_assert_no_error (error);
  while (shm_background_is_running (background) &&
         poll (&(struct pollfd){ told[0], POLLIN, 0 }, 1, 0) == 0)
    ;
  if (is_told (1))
    execute ();
}

static gpointer
execute_when_told (gpointer data)
{
  if (is_told (N_WORKERS))
    execute ();
  return NULL;
}

/* The main thread waits, and another one executes the program. */
static void
execute_while_waiting (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (N_WORKERS, SHM_BACKEND_TYPE_PROCESS);

  g_thread_unref (g_thread_new (NULL, execute_when_told, NULL));
  shm_map_reduce_map (pool, N_WORKERS, NULL, pause_for_ever, NULL, NULL, NULL);
}

static gpointer
become_nobody (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  g_assert_cmpint (setgroups (0, NULL), ==, 0);
  g_assert_cmpint (setresgid (NOBODY, NOBODY, NOBODY), ==, 0);
  g_assert_cmpint (setresuid (NOBODY, NOBODY, NOBODY), ==, 0);
  return NULL;
}

static gpointer
die_when_told (gpointer data)
{
  if (is_told (N_WORKERS))
    kill (getpid (), SIGKILL);
  return NULL;
}

/* Workers that have become another user outlive no caller. */
static void
die_of_nobodies (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (N_WORKERS, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, N_WORKERS);

  g_thread_unref (g_thread_new (NULL, die_when_told, NULL));
  shm_job_set_set_up_func (job, become_nobody, NULL, NULL);
  shm_job_set_map_func (job, pause_for_ever, NULL, NULL);
  shm_job_run (job, NULL, NULL);
}

/* In a process of its own: the caller. When it is no more, neither are its workers. */
static void
test_end (gconstpointer data)
{
  void (*run) (void) = data;
  struct pollfd end = { .events = POLLIN };
  int ends[2];
  pid_t pid;

  if (run == die_of_nobodies && geteuid () != 0)
    {
      g_test_skip ("only root may become somebody else");
      return;
    }
  g_assert_true (g_unix_open_pipe (ends, FD_CLOEXEC, NULL));
  pid = fork ();
  if (pid == 0)
    {
      close (ends[0]);
      if (!g_unix_open_pipe (told, FD_CLOEXEC, NULL))
        _exit (1);
      run ();
      _exit (1);
    }
  close (ends[1]);
  end.fd = ends[0];
  /* The end of file says that all who had its other end are gone: the program has not got it. */
  g_assert_cmpint (poll (&end, 1, 60000), ==, 1);
  g_assert_cmpint (end.revents & POLLHUP, !=, 0);
  close (ends[0]);
  if (run != die_of_nobodies)
    {
      g_assert_cmpint (waitpid (pid, NULL, WNOHANG), ==, 0);
      kill (pid, SIGKILL);
    }
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
}

/* A copy of the caller that has closed everything, and opened files of its own, gives the job back: all of them are still
 * open then. */
static int
count_closed (ShmJob *job)
{
  int n_closed = 0;
  int fd;

  for (fd = FIRST_FD; fd < FIRST_FD + N_FDS; fd++)
    close (fd);
  for (fd = FIRST_FD; fd < FIRST_FD + N_FDS; fd++)
    if (open ("/dev/null", O_RDONLY) != fd)
      return N_FDS;
  g_object_unref (job);
  for (fd = FIRST_FD; fd < FIRST_FD + N_FDS; fd++)
    n_closed += fcntl (fd, F_GETFD) < 0;
  return n_closed;
}

static void
test_copy (void)
{
  g_autoptr (ShmMapReduce) pool = test_pool (N_WORKERS, SHM_BACKEND_TYPE_PROCESS);
  g_autoptr (ShmJob) job = shm_job_new (pool, 10);
  int status;
  pid_t pid;

  shm_job_set_keep_workers (job, TRUE);
  shm_job_set_map_func (job, map_nothing, NULL, NULL);
  test_run_job (job);
  pid = fork ();
  if (pid == 0)
    test_leave_copy (count_closed (job));
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  test_run_job (job);
}

int
main (int argc, char *argv[])
{
  if (argc > 1 && strcmp (argv[1], PAUSE) == 0)
    for (;;)
      pause ();
  own_path = g_file_read_link ("/proc/self/exe", NULL);
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add_data ("/caller/execute/resting", execute_while_resting, test_end);
  test_add_data ("/caller/execute/running", execute_while_running, test_end);
  test_add_data ("/caller/execute/background", execute_with_background, test_end);
  test_add_data ("/caller/execute/waiting", execute_while_waiting, test_end);
  test_add_data ("/caller/killed/other-user", die_of_nobodies, test_end);
  test_add ("/caller/copy", test_copy);

  return g_test_run ();
}
