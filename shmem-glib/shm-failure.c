/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-failure-private.h"

#include <string.h>
#include <sys/wait.h>

#include "shm-control-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#define WIRE_TYPE "(sismsmv)"

ShmFailure *
shm_failure_new (guint64 index, gint rank, const GError *error)
{
  ShmFailure *self = g_new0 (ShmFailure, 1);

  self->kind = SHM_FAILURE_KIND_ERROR;
  self->index = index;
  self->rank = rank;
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

ShmFailure *
shm_failure_new_death (guint64 index, gint rank, pid_t pid, gint wait_status)
{
  ShmFailure *self = g_new0 (ShmFailure, 1);

  self->index = index;
  self->rank = rank;
  self->pid = pid;
  if (wait_status == SHM_WAIT_STATUS_UNKNOWN)
    {
      self->kind = SHM_FAILURE_KIND_EXIT;
      self->error = g_error_new_literal (
          SHM_ERROR, SHM_ERROR_WORKER_EXIT,
          _ ("the worker died; its status is not known, since the application ignores SIGCHLD or "
             "waits for children that are not its own"));
    }
  else if (WIFSIGNALED (wait_status))
    {
      g_autofree char *name = shm_failure_describe_signal (WTERMSIG (wait_status));

      self->kind = SHM_FAILURE_KIND_SIGNAL;
      self->error = g_error_new (SHM_ERROR, SHM_ERROR_WORKER_SIGNAL,
                                 _ ("the worker was killed by signal %s"), name);
    }
  else
    {
      self->kind = SHM_FAILURE_KIND_EXIT;
      self->error = g_error_new (SHM_ERROR, SHM_ERROR_WORKER_EXIT,
                                 _ ("the worker exited with status %d"), WEXITSTATUS (wait_status));
    }
  return self;
}

void
shm_failure_free (ShmFailure *self)
{
  g_clear_error (&self->error);
  g_free (self->traceback);
  g_clear_pointer (&self->payload, g_variant_unref);
  g_free (self);
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
  g_autofree char *item = g_strdup_printf ("%" G_GUINT64_FORMAT, self->index);
  g_autofree char *inner = g_steal_pointer (&error->message);

  if (self->index == SHM_NO_ITEM && self->pid != 0)
    error->message =
        g_strdup_printf (_ ("Worker %d (process %d): %s"), self->rank, (gint) self->pid, inner);
  else if (self->index == SHM_NO_ITEM)
    error->message = g_strdup_printf (_ ("Worker %d: %s"), self->rank, inner);
  else if (self->pid != 0)
    error->message = g_strdup_printf (_ ("Item %s on worker %d (process %d): %s"), item, self->rank,
                                      (gint) self->pid, inner);
  else
    error->message = g_strdup_printf (_ ("Item %s on worker %d: %s"), item, self->rank, inner);
  return error;
}
