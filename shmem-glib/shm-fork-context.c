/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The main context that forked children find as their thread-default one. The caller's own would not do: its wake-up
 * is shared with the caller.
 *
 * The caller makes it, pushes it before it forks and pops it afterwards, so that it costs a child two calls of the
 * system, and not a dozen pages that it would have to map or copy. Nothing is ever attached to it in the caller. Each
 * child puts an eventfd of its own in place of the one that it has inherited, under the same number; before that
 * nothing may use the context.
 */

#include "config.h"

#include "shm-fork-context-private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm-fork-private.h"

/* The descriptor by which the context is woken, or -1 if that is not an eventfd, of which one is enough. */
static int
shm_fork_context_find_wakeup (GMainContext *context)
{
  GPollFD poll_fd = { -1, 0, 0 };
  struct stat info;
  gint timeout;

  if (g_main_context_query (context, G_MAXINT, &timeout, &poll_fd, 1) != 1 ||
      fstat (poll_fd.fd, &info) != 0 || S_ISFIFO (info.st_mode))
    return -1;
  return poll_fd.fd;
}

/* Before the forks. It does without if there is no descriptor left: GLib would end the program. */
void
shm_fork_context_push (ShmForkContext *self)
{
  gboolean is_new = self->context == NULL && shm_fork_have_fd (NULL);

  if (is_new)
    self->context = g_main_context_new ();
  if (self->context != NULL)
    g_main_context_push_thread_default (self->context);
  /* For that it has to be ours. */
  if (is_new)
    self->wakeup = shm_fork_context_find_wakeup (self->context);
}

/* After the forks, in the caller. */
void
shm_fork_context_pop (ShmForkContext *self)
{
  if (self->context != NULL)
    g_main_context_pop_thread_default (self->context);
}

/* Puts an eventfd of its own in the place of another. FALSE: that cannot be done, since there is none left, or since the
 * number is above a limit that has been lowered. */
static gboolean
shm_fork_context_replace (int wakeup)
{
  int own = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  gboolean ok;

  if (own < 0 && errno == EMFILE)
    {
      /* That makes room for one. */
      close (wakeup);
      own = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
  if (own < 0 || own == wakeup)
    return own >= 0;
  ok = dup3 (own, wakeup, O_CLOEXEC) >= 0;
  close (own);
  return ok;
}

/* In the child. */
void
shm_fork_context_adopt (ShmForkContext *self)
{
  if (self->context == NULL || (self->wakeup >= 0 && shm_fork_context_replace (self->wakeup)))
    return;
  if (shm_fork_have_fd (NULL))
    g_main_context_push_thread_default (g_main_context_new ());
}

void
shm_fork_context_clear (ShmForkContext *self)
{
  g_clear_pointer (&self->context, g_main_context_unref);
}
