/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/**
 * SECTION:shm-failure
 * @title: ShmFailure
 * @short_description: what went wrong, where and why
 *
 * Everything that goes wrong in one item becomes one failure, whatever it was.
 */

/**
 * ShmFailure:
 *
 * What went wrong in one item of a job: an error that the work function returned, the death of the worker, or
 * a time that was exceeded. It says which item, on which worker, and how; it never changes.
 *
 * The list of them is in shm_job_get_failures(). The error that ends a job is made of the first one: it has the
 * domain and code of shm_failure_get_error(), and a message that names item and rank.
 *
 * Since: 1.0
 */

#include "config.h"

#include "shm-failure-private.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "shm-control-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#define WIRE_TYPE "(sismsmv)"

G_DEFINE_BOXED_TYPE (ShmFailure, shm_failure, shm_failure_ref, shm_failure_unref)

static ShmFailure *
shm_failure_alloc (ShmFailureKind kind, guint64 index, gint rank)
{
  ShmFailure *self = g_new0 (ShmFailure, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->kind = kind;
  self->index = index;
  self->rank = rank;
  return self;
}

ShmFailure *
shm_failure_new (guint64 index, gint rank, const GError *error)
{
  ShmFailure *self = shm_failure_alloc (SHM_FAILURE_KIND_ERROR, index, rank);

  if (g_error_matches (error, SHM_ERROR, SHM_ERROR_WORKER_TIMEOUT))
    self->kind = SHM_FAILURE_KIND_TIMEOUT;
  self->error = g_error_copy (error);
  return self;
}

static char *
shm_failure_describe_signal (gint number)
{
#if HAVE_SIGABBREV_NP
  const char *name = sigabbrev_np (number);

  if (name != NULL)
    return g_strdup_printf ("%d (SIG%s)", number, name);
#endif
  return g_strdup_printf ("%d (%s)", number, g_strsignal (number));
}

static void
shm_failure_set_signal (ShmFailure *self, gint number)
{
  g_autofree char *name = shm_failure_describe_signal (number);

  self->kind = SHM_FAILURE_KIND_SIGNAL;
  self->status = number;
  self->error = g_error_new (SHM_ERROR, SHM_ERROR_WORKER_SIGNAL,
                             _ ("the worker was killed by signal %s"), name);
}

gint64
shm_death_get_cpu_time (const ShmDeath *death)
{
  const struct timeval *user = &death->rusage.ru_utime;
  const struct timeval *system = &death->rusage.ru_stime;

  return ((gint64) user->tv_sec + system->tv_sec) * G_USEC_PER_SEC + user->tv_usec +
         system->tv_usec;
}

/* More is lost than the item; the error says why. */
void
shm_failure_set_final (ShmFailure *self, const char *why)
{
  g_autofree char *message = g_steal_pointer (&self->error->message);

  self->is_final = TRUE;
  /* TRANSLATORS: how a worker died, and more about it, such as “while it was set up” */
  self->error->message = g_strdup_printf (_ ("%s (%s)"), message, why);
}

ShmFailure *
shm_failure_new_death (guint64 index, gint rank, const ShmDeath *death)
{
  ShmFailure *self = shm_failure_alloc (SHM_FAILURE_KIND_EXIT, index, rank);
  gint status = death->wait_status;

  self->pid = death->pid;
  self->cpu_time = shm_death_get_cpu_time (death);
  self->peak_memory = (guint64) death->rusage.ru_maxrss * 1024;

  if (death->timed_out)
    {
      self->kind = SHM_FAILURE_KIND_TIMEOUT;
      self->error = g_error_new_literal (SHM_ERROR, SHM_ERROR_WORKER_TIMEOUT,
                                         _ ("the item took longer than it may"));
    }
  else if (status == SHM_WAIT_STATUS_UNKNOWN)
    self->error = g_error_new_literal (
        SHM_ERROR, SHM_ERROR_WORKER_EXIT,
        _ ("the worker died; its status is not known, since the application ignores SIGCHLD or "
           "waits for children that are not its own"));
  else if (WIFSIGNALED (status) && WTERMSIG (status) == SIGKILL && death->oom)
    {
      self->kind = SHM_FAILURE_KIND_OOM;
      self->status = SIGKILL;
      self->error = g_error_new_literal (SHM_ERROR, SHM_ERROR_WORKER_OOM,
                                         _ ("the worker was killed since memory had run out"));
    }
  else if (WIFSIGNALED (status))
    shm_failure_set_signal (self, WTERMSIG (status));
  else
    {
      self->status = WEXITSTATUS (status);
      self->error = g_error_new (SHM_ERROR, SHM_ERROR_WORKER_EXIT,
                                 _ ("the worker exited with status %d"), self->status);
    }
  return self;
}

/* Strings in a GVariant must be UTF-8; messages may be anything. */
static char *
shm_failure_to_utf8 (const char *text)
{
  return text ? g_utf8_make_valid (text, -1) : NULL;
}

GVariant *
shm_failure_to_variant (const ShmFailure *self)
{
  g_autofree char *message = shm_failure_to_utf8 (self->error->message);
  g_autofree char *traceback = shm_failure_to_utf8 (self->traceback);

  return g_variant_ref_sink (g_variant_new (WIRE_TYPE, g_quark_to_string (self->error->domain),
                                            self->error->code, message, traceback, self->payload));
}

/* NULL if it is not the variant of a failure. */
ShmFailure *
shm_failure_from_variant (guint64 index, gint rank, GVariant *variant)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) payload = NULL;
  const char *domain, *message;
  char *traceback;
  gint32 code;
  ShmFailure *self;

  if (!g_variant_is_of_type (variant, G_VARIANT_TYPE (WIRE_TYPE)))
    return NULL;
  g_variant_get (variant, "(&si&smsmv)", &domain, &code, &message, &traceback, &payload);
  if (*domain == '\0')
    domain = "shm-error-quark";
  error = g_error_new_literal (g_quark_from_string (domain), code, message);
  self = shm_failure_new (index, rank, error);
  self->traceback = traceback;
  self->payload = g_steal_pointer (&payload);
  return self;
}

/* The error for the caller: the worker's own domain and code, a message that names item and rank.
 */
GError *
shm_failure_to_error (const ShmFailure *self)
{
  GError *error = g_error_copy (self->error);
  unsigned long long item = self->index;
  g_autofree char *inner = g_steal_pointer (&error->message);

  /* TRANSLATORS: numbers of workers and items count from 0; behind the colon stands what went wrong */
  if (self->index == SHM_NO_ITEM && self->pid != 0)
    error->message =
        g_strdup_printf (_ ("Worker %d (process %d): %s"), self->rank, (gint) self->pid, inner);
  else if (self->index == SHM_NO_ITEM)
    error->message = g_strdup_printf (_ ("Worker %d: %s"), self->rank, inner);
  else if (self->pid != 0)
    error->message = g_strdup_printf (_ ("Item %llu on worker %d (process %d): %s"), item,
                                      self->rank, (gint) self->pid, inner);
  else
    error->message = g_strdup_printf (_ ("Item %llu on worker %d: %s"), item, self->rank, inner);
  return error;
}

/* The same where there is but one item, which nobody counts. */
GError *
shm_failure_to_plain_error (const ShmFailure *self)
{
  GError *error = g_error_copy (self->error);
  g_autofree char *inner = NULL;

  if (self->pid == 0)
    return error;
  inner = g_steal_pointer (&error->message);
  error->message = g_strdup_printf (_ ("Process %d: %s"), (gint) self->pid, inner);
  return error;
}

/**
 * shm_failure_ref:
 * @self: a failure
 *
 * Takes a reference. May be called from any thread.
 *
 * Returns: (transfer full): @self
 *
 * Since: 1.0
 */
ShmFailure *
shm_failure_ref (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * shm_failure_unref:
 * @self: (transfer full): a failure
 *
 * Drops a reference. May be called from any thread.
 *
 * Since: 1.0
 */
void
shm_failure_unref (ShmFailure *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_clear_error (&self->error);
  g_free (self->traceback);
  g_clear_pointer (&self->payload, g_variant_unref);
  g_free (self);
}

/**
 * shm_failure_has_index:
 * @self: a failure
 *
 * Tells whether an item is to blame. None is if a worker could not be started, died again and again between
 * two items, or failed in its set-up or tear-down.
 *
 * Returns: %TRUE if shm_failure_get_index() is an item
 *
 * Since: 1.0
 */
gboolean
shm_failure_has_index (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->index != SHM_NO_ITEM;
}

/**
 * shm_failure_get_index:
 * @self: a failure
 *
 * Gets the item that failed.
 *
 * Returns: the index of the item, or %G_MAXUINT64 if none is to blame
 *
 * Since: 1.0
 */
guint64
shm_failure_get_index (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, SHM_NO_ITEM);

  return self->index;
}

/**
 * shm_failure_get_rank:
 * @self: a failure
 *
 * Gets the worker on which it happened.
 *
 * Returns: the rank of the worker, counted from 0
 *
 * Since: 1.0
 */
gint
shm_failure_get_rank (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, -1);

  return self->rank;
}

/**
 * shm_failure_get_pid:
 * @self: a failure
 *
 * Gets the process that died of it. The process is gone.
 *
 * Returns: the process ID, or 0 if no process died
 *
 * Since: 1.0
 */
gint
shm_failure_get_pid (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->pid;
}

/**
 * shm_failure_get_kind:
 * @self: a failure
 *
 * Gets how the item failed.
 *
 * Returns: the kind
 *
 * Since: 1.0
 */
ShmFailureKind
shm_failure_get_kind (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, SHM_FAILURE_KIND_ERROR);

  return self->kind;
}

/**
 * shm_failure_get_status:
 * @self: a failure
 *
 * Gets the number of the signal, for %SHM_FAILURE_KIND_SIGNAL and %SHM_FAILURE_KIND_OOM; or the exit status,
 * for %SHM_FAILURE_KIND_EXIT.
 *
 * Returns: the number, or 0 for the other kinds
 *
 * Since: 1.0
 */
gint
shm_failure_get_status (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->status;
}

/**
 * shm_failure_get_error:
 * @self: a failure
 *
 * Gets the error: the work function's own one, or one of %SHM_ERROR.
 *
 * Returns: (transfer none): the error
 *
 * Since: 1.0
 */
const GError *
shm_failure_get_error (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->error;
}

/**
 * shm_failure_get_traceback:
 * @self: a failure
 *
 * Gets where in the work function it happened, if shm_map_reduce_fail_item() said so.
 *
 * Returns: (nullable): text for a person to read, or %NULL
 *
 * Since: 1.0
 */
const char *
shm_failure_get_traceback (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->traceback;
}

/**
 * shm_failure_get_payload:
 * @self: a failure
 *
 * Gets what shm_map_reduce_fail_item() was given for the caller: a language binding's own exception, for
 * example.
 *
 * Returns: (transfer none) (nullable): the payload, or %NULL
 *
 * Since: 1.0
 */
GVariant *
shm_failure_get_payload (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->payload;
}

/**
 * shm_failure_get_cpu_time:
 * @self: a failure
 *
 * Gets the processor time that the worker which died had used, for all its items, in user and system mode.
 *
 * Returns: the time in microseconds, or 0 if no process died, or nothing is known
 *
 * Since: 1.0
 */
gint64
shm_failure_get_cpu_time (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->cpu_time;
}

/**
 * shm_failure_get_peak_memory:
 * @self: a failure
 *
 * Gets the largest resident set of the worker which died, shared memory included.
 *
 * Returns: the size in bytes, or 0 if no process died, or nothing is known
 *
 * Since: 1.0
 */
guint64
shm_failure_get_peak_memory (ShmFailure *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->peak_memory;
}
