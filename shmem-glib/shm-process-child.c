/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The life of a forked worker, from the fork to its _exit (). It writes its own line and its own ring of the
 * control block, and never returns.
 */

#include "config.h"

#include "shm-process-child-private.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shm-fork-private.h"
#include "shm-program-private.h"
#include "shm-thread-limit-private.h"
#include "shm-wire-private.h"

static gboolean
shm_process_child_send (ShmWorker *worker, const ShmFrame *frame)
{
  g_autoptr (GVariant) value =
      frame->failure ? shm_failure_to_variant (frame->failure) : frame->value;
  gboolean ok = shm_wire_write (worker->outlet_data, frame->kind, frame->begin, frame->end, value);

  if (frame->failure != NULL)
    {
      shm_failure_unref (frame->failure);
      shm_control_notify (worker->control, TRUE);
    }
  return ok;
}

/* Bytes of address space in use. */
static guint64
shm_process_child_get_address_space (void)
{
  g_autofree char *statm = NULL;

  if (!g_file_get_contents ("/proc/self/statm", &statm, NULL, NULL))
    return 0;
  return g_ascii_strtoull (statm, NULL, 10) * sysconf (_SC_PAGESIZE);
}

/* None of this can fail but where the process may have even less already. */
void
shm_process_child_limit (const ShmWorkerLimits *limits)
{
  struct rlimit limit;

  if (limits->memory != 0)
    {
      limit.rlim_cur = limit.rlim_max = shm_process_child_get_address_space () + limits->memory;
      setrlimit (RLIMIT_AS, &limit);
    }
  if (limits->cpu_time != 0)
    {
      /* The first limit sends SIGXCPU, the second one SIGKILL. */
      limit.rlim_cur = limits->cpu_time;
      limit.rlim_max = limits->cpu_time + 1;
      setrlimit (RLIMIT_CPU, &limit);
    }
  if (limits->niceness != 0)
    setpriority (PRIO_PROCESS, 0, getpriority (PRIO_PROCESS, 0) + limits->niceness);
}

static void
shm_process_child_open_outlet (ShmWorker *worker, ShmRingWriter *writer, ShmArena *arena)
{
  shm_ring_writer_init (writer, worker->control, worker->rank);
  shm_arena_enter_worker (arena);
  writer->arena = worker->arena = arena;
  worker->outlet = shm_process_child_send;
  worker->outlet_data = writer;
  shm_worker_init (worker);
}

void
shm_process_child_work (ShmWorker *worker, ShmArena *arena)
{
  ShmRingWriter writer;

  shm_process_child_open_outlet (worker, &writer, arena);
  shm_worker_run (worker);
  if (worker->line->state != SHM_LINE_RECYCLED)
    shm_store (&worker->line->state, SHM_LINE_FINISHED);
  shm_fork_leave (EXIT_SUCCESS);
}

/* What is left of the worker where it cannot become a program: the reason, which ends the job. */
static void
shm_process_child_become_program (ShmBackend *backend, ShmWorker *worker)
{
  g_autoptr (GError) error = NULL;
  ShmRingWriter writer;
  ShmFrame frame = { .kind = SHM_FRAME_BROKEN };

  shm_program_execute (backend, worker->rank, &error);
  shm_process_child_open_outlet (worker, &writer, backend->setup.arena);
  frame.failure = shm_failure_new (SHM_NO_ITEM, worker->rank, error);
  shm_process_child_send (worker, &frame);
  shm_fork_leave (EXIT_FAILURE);
}

void
shm_process_child_main (ShmProcess *self, guint rank, gboolean prove)
{
  ShmBackend *backend = &self->parent;
  ShmLine *line = &backend->control->lines[rank];
  guint32 expected = SHM_LINE_STARTING;
  ShmWorkerLimits limits = backend->setup.limits;
  ShmWorker worker = {
    .control = backend->control,
    .rank = rank,
    .pool = backend->setup.pool,
    .work = backend->setup.work,
    .can_be_killed = TRUE,
  };

  /* An outer worker whose work function started this job is another process. */
  shm_worker_swap_current (NULL);
  shm_fork_context_adopt (&self->fork_context);
  if (prove)
    shm_fork_prove ();
  /* All children have inherited the same state. */
  g_random_set_seed ((guint32) g_get_monotonic_time () ^ (guint32) getpid () * 2654435761u);
  /* It counts from what the worker has when it begins. */
  if (worker.work->program != NULL)
    limits.memory = 0;
  shm_process_child_limit (&limits);
  shm_thread_limit_apply (backend->setup.limits.n_threads,
                          backend->setup.limits.threads_are_automatic);
  while (shm_load (&line->state) == SHM_LINE_FORKED)
    shm_futex_wait (&line->state, SHM_LINE_FORKED);
  if (!__atomic_compare_exchange_n (&line->state, &expected, SHM_LINE_READY, FALSE,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    shm_fork_leave (EXIT_FAILURE);

  if (worker.work->program != NULL)
    shm_process_child_become_program (backend, &worker);
  shm_process_child_work (&worker, backend->setup.arena);
}
