/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The fork itself.
 *
 * A child inherits the caller's signal handlers, file descriptors, stdio buffers, atexit functions
 * and default main context, none of which is its own. So the child resets the handlers and the
 * mask, closes what belongs to the jobs of the caller, leaves by _exit () whatever happens, has a
 * fresh thread-default main context, and dies when the caller does.
 *
 * That it dies with the caller: where the caller's main thread forks, PR_SET_PDEATHSIG does it. Other
 * threads may end before the caller does, and their children with them. That signal is not sent either if
 * the main thread executes another program, or once the child has become another user. Where that may
 * happen the caller alone holds the writing end of the job's lifeline, a pipe that nobody ever writes to.
 * Each such child opens the reading end anew (an open file description of its own) and has the kernel send
 * it SIGKILL when the pipe hangs up, also in the middle of a long loop in C. To open it takes as long as a
 * tenth of a fork.
 *
 * The set of these descriptors is guarded by a mutex that every fork of the process takes and gives
 * back, in handlers of pthread_atfork (), so a child always finds it whole, and knows each
 * descriptor that was open. Whoever holds that mutex waits for nothing else: a language's own fork,
 * which has the language's lock already, can take it.
 *
 * That a child is gone is told by its pidfd; where the system has none, by a pipe whose writing end
 * only the child holds. Nobody else's child is ever waited for, and SIGCHLD is not touched. If the
 * application ignores SIGCHLD the kernel reaps the child, and its status is not to be had.
 */

#include "config.h"

#include "shm-fork-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if HAVE_SINGLE_THREADED
#include <sys/single_threaded.h>
#endif

#include "shm-debug-private.h"
#include "shm-i18n-private.h"

static pthread_mutex_t fds_mutex = PTHREAD_MUTEX_INITIALIZER;
static GArray *fds; /* of int; guarded by fds_mutex */
static pid_t child_pid;
static int own_lifeline = -1; /* the child's own reading end */
static ShmForkHook fork_hook; /* guarded by fds_mutex */

static void
shm_fork_set_errno (GError **error, const char *message)
{
  int saved_errno = errno;

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno), "%s: %s", message,
               g_strerror (saved_errno));
}

static void
shm_fork_add_fd (int fd)
{
  if (fds == NULL)
    fds = g_array_new (FALSE, FALSE, sizeof (int));
  g_array_append_val (fds, fd);
}

static void
shm_fork_before (void)
{
  pthread_mutex_lock (&fds_mutex);
}

static void
shm_fork_after (void)
{
  pthread_mutex_unlock (&fds_mutex);
}

static void
shm_fork_lock (void)
{
  static gsize prepared = 0;

  if (g_once_init_enter (&prepared))
    {
      pthread_atfork (shm_fork_before, shm_fork_after, shm_fork_after);
      g_once_init_leave (&prepared, 1);
    }
  pthread_mutex_lock (&fds_mutex);
}

static gboolean
shm_fork_open (int *fd, int (*open_fd) (void), GError **error)
{
  shm_fork_lock ();
  *fd = open_fd ();
  if (*fd >= 0)
    shm_fork_add_fd (*fd);
  pthread_mutex_unlock (&fds_mutex);

  if (*fd < 0)
    shm_fork_set_errno (error, _ ("No file descriptor for a job"));
  return *fd >= 0;
}

static int
shm_fork_new_eventfd (void)
{
  return eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
}

gboolean
shm_fork_open_eventfd (int *fd, GError **error)
{
  return shm_fork_open (fd, shm_fork_new_eventfd, error);
}

static int
shm_fork_new_memfd (void)
{
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
  int fd = memfd_create ("shmem-glib", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

  if (fd < 0 && errno == EINVAL)
    fd = memfd_create ("shmem-glib", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd >= 0)
    fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK);
  return fd;
}

/* A file in memory that cannot shrink. */
gboolean
shm_fork_open_memfd (int *fd, GError **error)
{
  return shm_fork_open (fd, shm_fork_new_memfd, error);
}

/* Whether there is a descriptor left, for somebody who does not survive that there is none. */
gboolean
shm_fork_have_fd (GError **error)
{
  int fd;

  if (!shm_fork_open_eventfd (&fd, error))
    return FALSE;
  shm_fork_close_fd (&fd);
  return TRUE;
}

gboolean
shm_fork_open_pipe (int new_fds[2], GError **error)
{
  gboolean ok;

  shm_fork_lock ();
  ok = pipe2 (new_fds, O_CLOEXEC | O_NONBLOCK) == 0;
  if (ok)
    {
      shm_fork_add_fd (new_fds[0]);
      shm_fork_add_fd (new_fds[1]);
    }
  else
    new_fds[0] = new_fds[1] = -1;
  pthread_mutex_unlock (&fds_mutex);

  if (!ok)
    shm_fork_set_errno (error, _ ("No file descriptor for a job"));
  return ok;
}

void
shm_fork_close_fd (int *fd)
{
  guint i;

  if (*fd < 0)
    return;
  shm_fork_lock ();
  for (i = 0; i < fds->len; i++)
    if (g_array_index (fds, int, i) == *fd)
      {
        g_array_remove_index_fast (fds, i);
        break;
      }
  close (*fd);
  if (fds->len == 0)
    g_clear_pointer (&fds, g_array_unref);
  pthread_mutex_unlock (&fds_mutex);
  *fd = -1;
}

static int
shm_fork_pidfd_open (pid_t pid)
{
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
  return syscall (SYS_pidfd_open, pid, 0);
}

gboolean
shm_fork_have_pidfd (void)
{
  static gint answer = 0; /* 0: not asked yet */
  int fd;

  if (shm_debug_has (SHM_DEBUG_NO_PIDFD))
    return FALSE;
  if (g_atomic_int_get (&answer) == 0)
    {
      fd = shm_fork_pidfd_open (getpid ());
      if (fd < 0 && errno == EMFILE)
        return TRUE;
      if (fd >= 0)
        close (fd);
      g_atomic_int_set (&answer, fd >= 0 ? 1 : -1);
    }
  return g_atomic_int_get (&answer) > 0;
}

/* Whether this process is a worker. */
gboolean
shm_fork_is_child (void)
{
  return child_pid != 0 && getpid () == child_pid;
}

static gboolean
shm_fork_is_main_thread (void)
{
  return syscall (SYS_gettid) == getpid ();
}

/* Gives what the next child needs to die with us, if there is none yet. */
gboolean
shm_fork_open_lifeline (ShmForkFds *self, gboolean always, GError **error)
{
  return self->lifeline[0] >= 0 || (!always && shm_fork_is_main_thread ()) ||
         shm_fork_open_pipe (self->lifeline, error);
}

/* Whether another thread may hold a lock at the moment of the fork. */
gboolean
shm_fork_caller_has_threads (void)
{
#if HAVE_SINGLE_THREADED
  return !__libc_single_threaded;
#else
  return TRUE;
#endif
}

static void
shm_fork_flush_stream (FILE *stream)
{
  /* To look costs nothing; a lock that is written would be a page that the next child has to copy.
   * Another thread that is stuck in a write must not stop us. */
  if (__fpending (stream) > 0 && ftrylockfile (stream) == 0)
    {
      fflush_unlocked (stream);
      funlockfile (stream);
    }
}

/* Writes what this process has printed. */
void
shm_fork_flush (void)
{
  shm_fork_flush_stream (stdout);
  shm_fork_flush_stream (stderr);
}

static void
shm_fork_purge_stream (FILE *stream)
{
  if (__fpending (stream) > 0)
    __fpurge (stream);
}

/* Ends a child; its own output is written, nothing of the caller's runs. */
void
shm_fork_leave (int status)
{
  shm_fork_flush ();
  _exit (status);
}

#if HAVE_ON_EXIT
/* The work function called exit (): what the caller registered must not run here. */
static void
shm_fork_on_exit (int status, void *data)
{
  if (shm_fork_is_child ())
    shm_fork_leave (status);
}
#else
static void
shm_fork_at_exit (void)
{
  if (shm_fork_is_child ())
    shm_fork_leave (EXIT_FAILURE);
}
#endif

/* Ctrl-C reaches the whole foreground group: the caller decides what becomes of the job. A handler,
 * and not SIG_IGN, so that programs which a worker starts die of it as usual. */
static void
shm_fork_on_interrupt (int number)
{
}

/* What the caller ignores a worker ignores too: under nohup it lives on, and who ignores SIGPIPE relies on
 * EPIPE. But a worker must die when it is told to, must be able to have children, and keep to its limits. */
static gboolean
shm_fork_must_hear (int number)
{
  return number == SIGTERM || number == SIGCHLD || number == SIGXCPU;
}

/* In a child that is about to execute a program, which shall die with the caller as well, and not of
 * Ctrl-C before it can say what becomes of that. */
void
shm_fork_leave_for_program (void)
{
  if (own_lifeline >= 0)
    fcntl (own_lifeline, F_SETFD, 0);
  signal (SIGINT, SIG_IGN);
}

/* In the program. */
void
shm_fork_enter_program (void)
{
  struct sigaction action;

  child_pid = getpid ();
  if (sigaction (SIGINT, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
    {
      memset (&action, 0, sizeof action);
      action.sa_handler = shm_fork_on_interrupt;
      action.sa_flags = SA_RESTART;
      sigaction (SIGINT, &action, NULL);
    }
}

static void
shm_fork_reset_signals (void)
{
  struct sigaction action;
  sigset_t none;
  int number;

  for (number = 1; number < NSIG; number++)
    {
      if (number == SIGKILL || number == SIGSTOP || number == SIGINT ||
          sigaction (number, NULL, &action) != 0)
        continue;
      if (action.sa_handler == SIG_DFL ||
          (action.sa_handler == SIG_IGN && !shm_fork_must_hear (number)))
        continue;
      memset (&action, 0, sizeof action);
      action.sa_handler = SIG_DFL;
      sigaction (number, &action, NULL);
    }

  memset (&action, 0, sizeof action);
  action.sa_handler = shm_fork_on_interrupt;
  action.sa_flags = SA_RESTART;
  sigaction (SIGINT, &action, NULL);

  sigemptyset (&none);
  pthread_sigmask (SIG_SETMASK, &none, NULL);
}

static void
shm_fork_close_fds (const ShmForkFds *keep, int child_end)
{
  guint i;

  for (i = 0; i < fds->len; i++)
    {
      int fd = g_array_index (fds, int, i);

      if (fd != keep->event_fd && fd != keep->arena_fd && fd != keep->control_fd &&
          fd != keep->lifeline[0] && fd != child_end)
        close (fd);
    }
  g_array_set_size (fds, 0);
  shm_fork_add_fd (keep->event_fd);
  if (keep->arena_fd >= 0)
    shm_fork_add_fd (keep->arena_fd);
  if (keep->control_fd >= 0)
    shm_fork_add_fd (keep->control_fd);
}

/* Writes a number to the end of a text. In a new child each page that printf () and malloc () touch would first have to be
 * mapped, or copied. */
void
shm_fork_append_number (char *end, guint number)
{
  char digits[16];
  guint n = 0;

  do
    digits[n++] = '0' + number % 10;
  while ((number /= 10) > 0);
  while (n > 0)
    *end++ = digits[--n];
  *end = '\0';
}

/* Has the kernel kill us when the pipe hangs up. */
static gboolean
shm_fork_watch_lifeline (int lifeline)
{
  char path[32] = "/proc/self/fd/";
  int own;

  shm_fork_append_number (path + strlen (path), lifeline);
  own = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (own < 0)
    return FALSE;
  fcntl (own, F_SETOWN, getpid ());
  fcntl (own, F_SETSIG, SIGKILL);
  fcntl (own, F_SETFL, O_NONBLOCK | O_ASYNC);
  own_lifeline = own;
  return TRUE;
}

static void
shm_fork_die_with_caller (int lifeline, pid_t caller, gboolean main_thread)
{
  struct pollfd poll_fd = { lifeline, POLLIN, 0 };

  own_lifeline = -1;
  if (lifeline < 0 || !shm_fork_watch_lifeline (lifeline) || main_thread)
    prctl (PR_SET_PDEATHSIG, SIGKILL);
  /* It may have died before we were ready for it. */
  if (getppid () != caller || (own_lifeline >= 0 && poll (&poll_fd, 1, 0) > 0))
    _exit (EXIT_FAILURE);
  if (lifeline >= 0)
    close (lifeline);
}

static void
shm_fork_enter_child (const ShmForkFds *keep, int child_end, pid_t caller, gboolean main_thread)
{
  child_pid = getpid ();
  /* What another thread had written since the flush is still the caller's to write. */
  shm_fork_purge_stream (stdout);
  shm_fork_purge_stream (stderr);
  shm_fork_close_fds (keep, child_end);

  shm_fork_die_with_caller (keep->lifeline[0], caller, main_thread);
#if HAVE_ON_EXIT
  on_exit (shm_fork_on_exit, NULL);
#else
  atexit (shm_fork_at_exit);
#endif
  shm_fork_reset_signals ();
}

/* Exercises the locks that a thread of the caller may have held at the moment of the fork: if one
 * of them was, this never returns, and the caller makes another child. */
void
shm_fork_prove (void)
{
  g_autoptr (GVariant) variant = g_variant_ref_sink (g_variant_new ("(sa{sv}mai)", "", NULL, NULL));
  g_autoptr (GObject) object = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *name = g_strdup_printf ("ShmForkProbe%d", (int) getpid ());
  GType type = g_type_register_static_simple (G_TYPE_OBJECT, name, sizeof (GObjectClass), NULL,
                                              sizeof (GObject), NULL, 0);

  error = g_error_new_literal (g_quark_from_string (name), 0, name);
  object = g_object_new (type, NULL);
  g_signal_new ("probe", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  g_signal_emit_by_name (object, "probe");
  /* This takes the lock of g_log (), and says nothing. */
  g_log_set_fatal_mask (name, g_log_set_fatal_mask (name, G_LOG_FATAL_MASK));
  if (shm_fork_have_fd (NULL))
    g_main_context_unref (g_main_context_new ());
}

/* Sets how children are made from now on; the data of the hook before is given back. */
ShmForkHook
shm_fork_set_hook (ShmForkHook hook)
{
  ShmForkHook old;

  shm_fork_lock ();
  old = fork_hook;
  fork_hook = hook;
  pthread_mutex_unlock (&fds_mutex);
  return old;
}

static pid_t
shm_fork_call (int *fork_errno)
{
  ShmForkHook hook;
  pid_t pid;

  /* The handlers must be there, and the hook whole. */
  shm_fork_lock ();
  hook = fork_hook;
  pthread_mutex_unlock (&fds_mutex);

  errno = EAGAIN;
  pid = hook.func ? hook.func (hook.user_data) : fork ();
  *fork_errno = errno != 0 ? errno : EAGAIN;
  return pid;
}

/* Forks. In the child everything that this file's head promises has been done when it returns;
 * *child has the pid 0 there. The caller keeps the lifeline, and must watch the child next. */
gboolean
shm_fork (ShmChild *child, const ShmForkFds *keep, GError **error)
{
  int ends[2] = { -1, -1 };
  pid_t caller = getpid ();
  gboolean main_thread = shm_fork_is_main_thread ();
  int fork_errno;
  sigset_t all, old;
  pid_t pid;

  if (!shm_fork_have_pidfd () && !shm_fork_open_pipe (ends, error))
    return FALSE;

  shm_fork_flush ();
  /* No handler of the caller may run in the child before the child has reset it. */
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);
  pid = shm_fork_call (&fork_errno);
  /* Never by what was returned: a hook that failed in the child returns whatever. */
  if (getpid () != caller)
    {
      child->pid = 0;
      child->watch = -1;
      shm_fork_enter_child (keep, ends[1], caller, main_thread);
      return TRUE;
    }
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  child->pid = MAX (pid, 0);
  child->watch = ends[0];
  shm_fork_close_fd (&ends[1]);
  if (pid > 0)
    return TRUE;

  shm_fork_close_fd (&child->watch);
  errno = fork_errno;
  shm_fork_set_errno (error, _ ("A worker cannot be forked"));
  return FALSE;
}

/* Learns of the end of a child that was forked just now, which must not end by itself before that. FALSE: that cannot be
 * had, and the child is gone. */
gboolean
shm_fork_watch (ShmChild *child, GError **error)
{
  ShmDeath death;
  int watch_errno;

  if (child->watch >= 0)
    return TRUE;
  shm_fork_lock ();
  child->watch = shm_fork_pidfd_open (child->pid);
  watch_errno = errno;
  if (child->watch >= 0)
    shm_fork_add_fd (child->watch);
  pthread_mutex_unlock (&fds_mutex);
  /* The kernel, or the application, was faster: it is gone and reaped already. */
  if (child->watch >= 0 || watch_errno == ESRCH)
    return TRUE;

  kill (child->pid, SIGKILL);
  shm_fork_reap (child, TRUE, &death);
  errno = watch_errno;
  shm_fork_set_errno (error, _ ("A worker cannot be watched"));
  return FALSE;
}

/* Never hits another process that has got the pid of a child that is gone. */
void
shm_fork_kill (const ShmChild *child, int number)
{
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
  if (child->pid <= 0 || (shm_fork_have_pidfd () &&
                          syscall (SYS_pidfd_send_signal, child->watch, number, NULL, 0) == 0))
    return;
  if (!shm_fork_have_pidfd () || errno == ENOSYS || errno == EPERM)
    kill (child->pid, number);
}

/* TRUE: the child is gone, its watch is closed, and *death tells how. */
gboolean
shm_fork_reap (ShmChild *child, gboolean block, ShmDeath *death)
{
  gint status = 0;
  pid_t pid;

  do
    pid = wait4 (child->pid, &status, block ? 0 : WNOHANG, &death->rusage);
  while (pid < 0 && errno == EINTR);

  if (pid == 0)
    return FALSE;
  death->pid = child->pid;
  death->wait_status = pid < 0 ? SHM_WAIT_STATUS_UNKNOWN : status;
  shm_fork_close_fd (&child->watch);
  child->pid = 0;
  return TRUE;
}
