/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>
#include <sys/types.h>

#include "shm-failure-private.h"
#include "shm-fork-func.h"

G_BEGIN_DECLS

/* File descriptors that belong to a job of this process, and that no other job's worker may keep.
 */
gboolean shm_fork_open_eventfd (int *fd, GError **error);
gboolean shm_fork_open_memfd (int *fd, GError **error);
gboolean shm_fork_open_pipe (int fds[2], GError **error);
gboolean shm_fork_have_fd (GError **error);
void shm_fork_close_fd (int *fd);

typedef struct
{
  pid_t pid; /* 0 in the child */
  int watch; /* becomes readable, or hangs up, when the child is gone; -1: it is gone already */
} ShmChild;

/* what of the job's a worker needs; -1 for none */
typedef struct
{
  int event_fd;
  int arena_fd;
  int control_fd;
  int lifeline[2]; /* see shm_fork_open_lifeline () */
} ShmForkFds;

/* a language's own way to fork */
typedef struct
{
  ShmForkFunc func; /* NULL: fork () */
  gpointer user_data;
  GDestroyNotify destroy;
} ShmForkHook;

ShmForkHook shm_fork_set_hook (ShmForkHook hook);
gboolean shm_fork_open_lifeline (ShmForkFds *fds, gboolean always, GError **error);
gboolean shm_fork (ShmChild *child, const ShmForkFds *fds, GError **error);
gboolean shm_fork_watch (ShmChild *child, GError **error);
gboolean shm_fork_have_pidfd (void);
gboolean shm_fork_is_child (void);
gboolean shm_fork_caller_has_threads (void);
void shm_fork_kill (const ShmChild *child, int number);
void shm_fork_prove (void);
void shm_fork_flush (void);
void shm_fork_append_number (char *end, guint number);
void shm_fork_leave (int status) G_GNUC_NORETURN;
void shm_fork_leave_for_program (void);
void shm_fork_enter_program (void);
gboolean shm_fork_reap (ShmChild *child, gboolean block, ShmDeath *death);

G_END_DECLS
