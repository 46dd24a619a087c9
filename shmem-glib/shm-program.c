/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Workers that are programs of their own.
 *
 * Such a worker is forked as any other, and so is watched, killed and buried as any other; but once
 * it is READY it executes its program, which maps the job's control block anew, by a descriptor that
 * it has inherited, and goes on from there:
 *
 *     caller ── fork ──▸ child ── execute ──▸ program ── shm_serve_ranges () ──▸ the worker's loop
 *
 * Between the fork and the execution nothing but the library runs, so the caller may be of a kind
 * that does not survive a fork. Which descriptors and which worker it is stands in the environment,
 * with the process ID, so that nobody else takes it for his; and with the version of the library,
 * since both sides have to agree on what the control block looks like.
 */

#include "config.h"

#include "shm-program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"
#include "shm-job-private.h"
#include "shm-process-child-private.h"
#include "shm-program-private.h"

#define VARIABLE "SHM_WORKER"

/* version, pid; descriptors of control block, eventfd and arena, and those of the user; rank,
 * workers, slots for fed items; first item, number of items, seed; reseed, drop results, trace;
 * bytes of memory */
#define SETUP_TYPE "(siiiiaiuuttttbbbt)"

#define VERSION_TEXT                                                                               \
  G_STRINGIFY (SHM_MAJOR_VERSION)                                                                  \
  "." G_STRINGIFY (SHM_MINOR_VERSION) "." G_STRINGIFY (SHM_MICRO_VERSION)

ShmProgram *
shm_program_new (const char *const *argv, const int *fds, gsize n_fds)
{
  ShmProgram *self = g_new (ShmProgram, 1);

  self->argv = g_strdupv ((char **) argv);
  self->fds = g_memdup2 (fds, n_fds * sizeof *fds);
  self->n_fds = n_fds;
  return self;
}

void
shm_program_free (ShmProgram *self)
{
  g_strfreev (self->argv);
  g_free (self->fds);
  g_free (self);
}

static char *
shm_program_describe (const ShmBackend *backend, guint rank)
{
  const ShmWork *work = backend->setup.work;
  const ShmControl *control = backend->control;
  const ShmProgram *program = work->program;
  g_autoptr (GVariant) setup = NULL;
  GVariantBuilder fds;
  gsize i;

  g_variant_builder_init (&fds, G_VARIANT_TYPE ("ai"));
  for (i = 0; i < program->n_fds; i++)
    g_variant_builder_add (&fds, "i", program->fds[i]);
  setup = g_variant_ref_sink (
      g_variant_new (SETUP_TYPE, VERSION_TEXT, (gint) getpid (), control->map_fd, control->event_fd,
                     shm_arena_get_fd (backend->setup.arena), &fds, rank, control->n_workers,
                     (guint64) control->feed_size, work->base, control->header->n_items, work->seed,
                     work->reseed, work->drop_results, work->trace, backend->setup.limits.memory));
  return g_variant_print (setup, FALSE);
}

void
shm_program_execute (const ShmBackend *backend, guint rank, GError **error)
{
  const ShmProgram *program = backend->setup.work->program;
  g_autofree char *setup = shm_program_describe (backend, rank);
  int saved_errno;
  gsize i;

  fcntl (backend->control->map_fd, F_SETFD, 0);
  fcntl (backend->control->event_fd, F_SETFD, 0);
  fcntl (shm_arena_get_fd (backend->setup.arena), F_SETFD, 0);
  for (i = 0; i < program->n_fds; i++)
    fcntl (program->fds[i], F_SETFD, 0);
  setenv (VARIABLE, setup, TRUE);
  shm_fork_leave_for_program ();
  execvp (program->argv[0], program->argv);

  saved_errno = errno;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno),
               _ ("The program “%s” cannot be executed: %s"), program->argv[0],
               g_strerror (saved_errno));
}

/* From here on nobody inherits it any more. */
static void
shm_program_close_on_exec (int fd)
{
  fcntl (fd, F_SETFD, FD_CLOEXEC);
}

/* What the caller has left for this process, or NULL. */
static GVariant *
shm_program_get_setup (GError **error)
{
  const char *text = g_getenv (VARIABLE);
  g_autoptr (GVariant) setup = NULL;
  const char *version;
  gint32 pid;

  if (text != NULL)
    setup = g_variant_parse (G_VARIANT_TYPE (SETUP_TYPE), text, NULL, NULL, NULL);
  if (setup != NULL)
    g_variant_get_child (setup, 1, "i", &pid);
  if (setup == NULL || pid != getpid ())
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("This process is not a worker that a job has started as a program"));
      return NULL;
    }
  g_variant_get_child (setup, 0, "&s", &version);
  if (g_strcmp0 (version, VERSION_TEXT) != 0)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_NOT_SUPPORTED,
                   _ ("The worker has version %s of the library, and its caller version %s"),
                   VERSION_TEXT, version);
      return NULL;
    }
  return g_steal_pointer (&setup);
}

/* The job as its worker sees it. */
static ShmJob *
shm_program_make_job (GVariant *setup, ShmRangeFunc func, gpointer user_data, ShmArena *arena)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  guint64 n_items, feed_size;
  ShmJob *job;

  g_variant_get_child (setup, 8, "t", &feed_size);
  g_variant_get_child (setup, 10, "t", &n_items);
  job = shm_job_new (pool, feed_size > 0 ? 0 : n_items);
  job->work.kind = SHM_WORK_RANGE;
  job->work.call.func = G_CALLBACK (func);
  job->work.call.data = user_data;
  g_variant_get_child (setup, 9, "t", &job->work.base);
  g_variant_get_child (setup, 11, "t", &job->work.seed);
  g_variant_get_child (setup, 12, "b", &job->work.reseed);
  g_variant_get_child (setup, 13, "b", &job->work.drop_results);
  g_variant_get_child (setup, 14, "b", &job->work.trace);
  if (feed_size > 0)
    {
      job->input.kind = SHM_INPUT_FEED;
      job->input.window = feed_size;
      job->input.arena = arena;
    }
  return job;
}

/**
 * shm_serve_ranges:
 * @func: (scope call) (closure user_data): what works on a range of items
 * @user_data: data for @func
 * @error: return location for an error
 *
 * In a program that a job has started because of shm_job_set_program(): works on ranges of the job's items with @func,
 * until there are no more, and ends the process. All that a work function may do elsewhere @func may
 * do here, on the pool that it is given, which is this worker's own view of the caller's; its items
 * are had with shm_job_get_item() where the job feeds them.
 *
 * The process has been started afresh: apart from its arguments, its environment and the descriptors that were named
 * it has nothing of the caller's, and it may do all that other processes may.
 *
 * It returns only where there is nothing to serve: a process that is not such a worker gets a
 * %SHM_ERROR_WRONG_STATE, and one with another version of the library than its caller's a
 * %SHM_ERROR_NOT_SUPPORTED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 1.0
 */
gboolean
shm_serve_ranges (ShmRangeFunc func, gpointer user_data, GError **error)
{
  g_autoptr (GVariant) setup = NULL;
  g_autoptr (GVariant) fds = NULL;
  gint32 map_fd, event_fd, arena_fd;
  ShmWorkerLimits limits = { 0 };
  const gint32 *user_fds;
  guint64 feed_size;
  guint n_workers;
  ShmArena *arena;
  ShmJob *job;
  ShmWorker worker = { .can_be_killed = TRUE };
  gsize i, n_fds;

  g_return_val_if_fail (func != NULL, FALSE);

  setup = shm_program_get_setup (error);
  if (setup == NULL)
    return FALSE;
  unsetenv (VARIABLE);
  g_variant_get_child (setup, 2, "i", &map_fd);
  g_variant_get_child (setup, 3, "i", &event_fd);
  g_variant_get_child (setup, 4, "i", &arena_fd);
  g_variant_get_child (setup, 5, "@ai", &fds);
  g_variant_get_child (setup, 6, "u", &worker.rank);
  g_variant_get_child (setup, 7, "u", &n_workers);
  g_variant_get_child (setup, 8, "t", &feed_size);
  g_variant_get_child (setup, 15, "t", &limits.memory);

  shm_program_close_on_exec (map_fd);
  shm_program_close_on_exec (event_fd);
  shm_program_close_on_exec (arena_fd);
  user_fds = g_variant_get_fixed_array (fds, &n_fds, sizeof *user_fds);
  for (i = 0; i < n_fds; i++)
    shm_program_close_on_exec (user_fds[i]);

  worker.control = shm_control_attach (map_fd, event_fd, n_workers, feed_size, error);
  if (worker.control == NULL)
    return FALSE;
  shm_fork_enter_program ();
  arena = shm_arena_attach (arena_fd);
  job = shm_program_make_job (setup, func, user_data, arena);
  worker.pool = job->pool;
  worker.work = &job->work;
  shm_process_child_limit (&limits);
  shm_process_child_work (&worker, arena);
}
