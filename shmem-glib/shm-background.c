/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* States: (new) → RUNNING → ended → settled.
 *
 * While it is RUNNING there is a job of one item, of a pool of one worker, in a main context of its
 * own, `inner`. Nothing runs `inner` but who waits: shm_background_wait () itself, and a source in
 * the context of each asynchronous wait; besides, shm_background_is_running () takes one look, and
 * shm_background_cancel () and dispose run it to the end. So a child is watched, and reaped, only
 * then.
 *
 * The job calls shm_background_ended () from `inner`; no code of the user's runs there, but for the
 * call itself if it is serial (`calling`). Whoever ran `inner` settles then, outside of it: job and
 * context are freed, the user's data is destroyed, and every wait gets the answer, which stays.
 *
 * An asynchronous wait is a GTask in `waits`. It holds a reference to the background, as does its
 * source while it is dispatched: so dispose finds no wait, and never runs inside of `inner`.
 *
 * A process that inherits a background by fork has none of this: the child is not its child. There
 * `inner` is not touched, and what it holds is left as it is.
 */

/**
 * SECTION:shm-background
 * @title: ShmBackground
 * @short_description: one call in one child
 *
 * A function that runs in a forked child while the caller goes on. See the type for how.
 */

/**
 * ShmBackground:
 *
 * One call of a function in one forked child, which starts at once, while the caller goes on. The
 * child has what the caller had at the start, copy-on-write, and shares the memory of #ShmArray; it
 * is of the same kind as the workers of a #ShmMapReduce. What the function returns, or the error
 * that it fails with, is the answer, which shm_background_wait() and shm_background_wait_async()
 * wait for. There may be any number of waits, also after the end: each has the same answer.
 *
 * |[<!-- language="C" -->
 * static GVariant *
 * measure (gpointer user_data, GError **error)
 * {
 *   g_autofree char *contents = NULL;
 *   gsize length;
 *
 *   if (!g_file_get_contents (user_data, &contents, &length, error))
 *     return NULL;
 *   return g_variant_new_uint64 (g_utf8_strlen (contents, length));
 * }
 *
 * g_autoptr (ShmBackground) background = shm_background_new (measure, path, NULL, &error);
 * // … what else there is to do …
 * g_autoptr (GVariant) result = shm_background_wait (background, NULL, &error);
 * ]|
 *
 * Nobody looks at the child unless somebody waits. Until then, or until shm_background_cancel(), or
 * until the last reference is dropped, a child that has ended stays a zombie. And a child
 * that could not begin its call, since it had inherited a lock that another thread held, or was
 * killed too early, is replaced only while somebody waits.
 *
 * Dropping the last reference while the call runs ends the child, and returns when it is gone: the
 * child gets `SIGTERM`, and half a second later `SIGKILL`. An asynchronous wait holds a reference.
 * If the caller dies, the child is killed.
 *
 * A background may be used from one thread at a time; a thread may not use it while another one
 * still has asynchronous waits on it.
 *
 * With shm_get_debug(), and in a work function of a pool, there is no child: the call is made in
 * the caller, when it is waited for. It is not made if nobody ever waits.
 *
 * Since: 1.0
 */

#include "config.h"

#include "shm-background.h"

#include <sys/types.h>
#include <unistd.h>

#include "shm-cancel-source-private.h"
#include "shm-context-source-private.h"
#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"
#include "shm-job-private.h"

struct _ShmBackground
{
  GObject parent_instance;

  ShmBackgroundFunc func;
  gpointer user_data;
  GDestroyNotify destroy;

  pid_t owner;         /* the process that made it */
  GMainContext *inner; /* this and the job: until it is settled */
  ShmJob *job;
  gboolean serial;  /* the call is made by who waits */
  GQueue waits;     /* of GTask, owned, whose data is a ShmWait */
  gboolean calling; /* the call is on this thread's stack */

  gboolean ended; /* what follows is the answer */
  GVariant *result;
  GError *error;
  ShmFailure *failure;
};

typedef struct
{
  GSource *source; /* runs `inner` */
  GSource *cancel_source;
} ShmWait;

G_DEFINE_FINAL_TYPE (ShmBackground, shm_background, G_TYPE_OBJECT)

/* The work function of the job. */
static GVariant *
shm_background_call (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  ShmBackground *self = user_data;
  GVariant *result;

  self->calling = TRUE;
  result = self->func (self->user_data, error);
  self->calling = FALSE;
  return result;
}

static void
shm_background_ended (ShmJob *job, GError *error, gpointer user_data)
{
  ShmBackground *self = user_data;
  GPtrArray *failures = shm_job_get_failures (job);

  self->ended = TRUE;
  if (error == NULL)
    {
      g_autoptr (GPtrArray) results = shm_job_steal_results (job);
      GVariant *result = g_ptr_array_index (results, 0);

      self->result = result ? g_variant_ref (result) : NULL;
    }
  else if (failures->len > 0)
    {
      self->failure = shm_failure_ref (g_ptr_array_index (failures, 0));
      self->error = shm_failure_to_plain_error (self->failure);
      g_error_free (error);
    }
  else
    self->error = error;
}

/* Takes the task, which is in no list any more. */
static void
shm_background_answer (ShmBackground *self, GTask *task)
{
  if (!g_task_return_error_if_cancelled (task))
    {
      if (self->error != NULL)
        g_task_return_error (task, g_error_copy (self->error));
      else
        g_task_return_pointer (task, self->result ? g_variant_ref (self->result) : NULL,
                               (GDestroyNotify) g_variant_unref);
    }
  g_object_unref (task);
}

static void
shm_wait_free (gpointer data)
{
  ShmWait *self = data;

  g_source_destroy (self->source);
  g_source_unref (self->source);
  if (self->cancel_source != NULL)
    {
      g_source_destroy (self->cancel_source);
      g_source_unref (self->cancel_source);
    }
  g_free (self);
}

static void
shm_background_release (ShmBackground *self)
{
  g_clear_object (&self->job);
  g_clear_pointer (&self->inner, g_main_context_unref);
  if (self->destroy != NULL)
    g_steal_pointer (&self->destroy) (g_steal_pointer (&self->user_data));
}

/* Has to be called outside of `inner`. */
static void
shm_background_settle (ShmBackground *self)
{
  g_autoptr (ShmBackground) keep = NULL;
  GTask *task;

  if (!self->ended || self->inner == NULL)
    return;
  keep = g_object_ref (self);
  shm_background_release (self);
  while ((task = g_queue_pop_head (&self->waits)) != NULL)
    {
      g_task_set_task_data (task, NULL, NULL);
      shm_background_answer (self, task);
    }
}

/* Whether there is something to run here. */
static gboolean
shm_background_is_mine (ShmBackground *self)
{
  return self->inner != NULL && self->owner == getpid ();
}

static void
shm_background_abort (ShmBackground *self)
{
  shm_job_abort (self->job, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                                 _ ("The call in the background was cancelled")));
  /* Inside of its own serial call, who waits sees to the rest. */
  if (self->calling)
    return;
  while (!self->ended)
    g_main_context_iteration (self->inner, TRUE);
  shm_background_settle (self);
}

static void
shm_background_dispose (GObject *object)
{
  ShmBackground *self = SHM_BACKGROUND (object);

  if (shm_background_is_mine (self))
    shm_background_abort (self);

  G_OBJECT_CLASS (shm_background_parent_class)->dispose (object);
}

static void
shm_background_finalize (GObject *object)
{
  ShmBackground *self = SHM_BACKGROUND (object);

  g_clear_pointer (&self->result, g_variant_unref);
  g_clear_error (&self->error);
  g_clear_pointer (&self->failure, shm_failure_unref);

  G_OBJECT_CLASS (shm_background_parent_class)->finalize (object);
}

static void
shm_background_class_init (ShmBackgroundClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = shm_background_dispose;
  object_class->finalize = shm_background_finalize;
}

static void
shm_background_init (ShmBackground *self)
{
  g_queue_init (&self->waits);
}

/**
 * shm_background_new: (constructor)
 * @func: (scope notified) (closure user_data) (destroy destroy): what to call, in the child
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, in the caller
 * @error: return location for an error
 *
 * Forks a child, which calls @func.
 *
 * @destroy is called once: in a wait that sees the end, or in shm_background_cancel() or
 * shm_background_is_running(); at the latest when the background is freed, also if it could not be
 * made.
 *
 * The error is %SHM_ERROR_NO_MEMORY, or one of %G_IO_ERROR if there is no file descriptor left.
 * If no child can be had, it is the wait that says so, with %SHM_ERROR_NO_WORKERS.
 *
 * Returns: (transfer full): a new background, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmBackground *
shm_background_new (ShmBackgroundFunc func,
                    gpointer user_data,
                    GDestroyNotify destroy,
                    GError **error)
{
  g_autoptr (ShmBackground) self = NULL;
  g_autoptr (ShmMapReduce) pool = NULL;

  g_return_val_if_fail (func != NULL, NULL);

  self = g_object_new (SHM_TYPE_BACKGROUND, NULL);
  self->func = func;
  self->user_data = user_data;
  self->destroy = destroy;
  self->owner = getpid ();
  pool = g_object_new (SHM_TYPE_MAP_REDUCE, "n-workers", 1, NULL);
  self->job = shm_job_new (pool, 1);
  self->job->is_quiet = TRUE;
  shm_job_set_map_func (self->job, shm_background_call, self, NULL);

  /* GLib aborts where there is no descriptor for a context. */
  if (shm_fork_have_fd (error))
    {
      self->inner = g_main_context_new ();
      if (shm_job_start (self->job, self->inner, NULL, shm_background_ended, self, error))
        {
          self->serial = self->job->backend->klass == &shm_backend_serial_class;
          return g_steal_pointer (&self);
        }
    }
  shm_background_release (self);
  return NULL;
}

/* Whether it can be waited for, or has ended already. */
static gboolean
shm_background_check (ShmBackground *self, GError **error)
{
  if (self->ended || (shm_background_is_mine (self) && !self->calling))
    return TRUE;
  g_set_error_literal (
      error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
      self->func == NULL
          ? _ ("Nothing was called in the background")
          : _ ("A call in the background cannot be waited for by itself, or by another process "
               "than the one that began it"));
  return FALSE;
}

static gboolean
shm_background_wake (GCancellable *cancellable, gpointer user_data)
{
  gboolean *woken = user_data;

  *woken = TRUE;
  return G_SOURCE_REMOVE;
}

static void
shm_background_run (ShmBackground *self, GCancellable *cancellable)
{
  GSource *cancel_source = NULL;
  gboolean woken = FALSE;

  if (cancellable != NULL)
    {
      cancel_source = shm_cancel_source_new (cancellable, self->inner);
      g_source_set_callback (cancel_source, G_SOURCE_FUNC (shm_background_wake), &woken, NULL);
      g_source_attach (cancel_source, self->inner);
    }
  while (!self->ended && !woken)
    g_main_context_iteration (self->inner, TRUE);
  if (cancel_source != NULL)
    {
      g_source_destroy (cancel_source);
      g_source_unref (cancel_source);
    }
}

/**
 * shm_background_wait:
 * @self: a background
 * @cancellable: (nullable): what may cancel the wait
 * @error: return location for an error
 *
 * Waits until the call has ended, and returns its result; the calling thread sleeps meanwhile. No
 * main context of the application is run.
 *
 * In C, %NULL stands for no result and for an error: @error tells which.
 *
 * The error is the function's own one, with its domain, code and message; or
 * %SHM_ERROR_WORKER_SIGNAL, %SHM_ERROR_WORKER_EXIT or %SHM_ERROR_WORKER_OOM, with a message that
 * names the process, if the child died; or %SHM_ERROR_BAD_RESULT if the result could not be sent;
 * or %SHM_ERROR_NO_WORKERS; or %G_IO_ERROR_CANCELLED after shm_background_cancel(). See also
 * shm_background_get_failure().
 *
 * If @cancellable is cancelled, the wait ends with %G_IO_ERROR_CANCELLED; the call goes on, and may
 * be waited for again.
 *
 * It is %SHM_ERROR_WRONG_STATE to wait in the call itself, or in a process that was forked later.
 *
 * Returns: (transfer full) (nullable): the result; or %NULL if there is none, or @error is set
 *
 * Since: 1.0
 */
GVariant *
shm_background_wait (ShmBackground *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (ShmBackground) keep = NULL;

  g_return_val_if_fail (SHM_IS_BACKGROUND (self), NULL);

  if (g_cancellable_set_error_if_cancelled (cancellable, error) ||
      !shm_background_check (self, error))
    return NULL;
  keep = g_object_ref (self);
  if (!self->ended)
    shm_background_run (self, cancellable);
  shm_background_settle (self);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  if (self->error != NULL)
    g_propagate_error (error, g_error_copy (self->error));
  return self->result ? g_variant_ref (self->result) : NULL;
}

static gboolean
shm_background_turned (gpointer user_data)
{
  ShmBackground *self = user_data;

  shm_background_settle (self);
  return self->ended ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static gboolean
shm_background_wait_cancelled (GCancellable *cancellable, gpointer user_data)
{
  GTask *task = user_data;
  ShmBackground *self = g_task_get_source_object (task);

  g_queue_remove (&self->waits, task);
  g_task_set_task_data (task, NULL, NULL);
  shm_background_answer (self, task);
  return G_SOURCE_REMOVE;
}

static GSource *
shm_background_attach (GTask *task, GSource *source)
{
  g_source_attach (source, g_task_get_context (task));
  return source;
}

/**
 * shm_background_wait_async:
 * @self: a background
 * @cancellable: (nullable): what may cancel the wait
 * @callback: (scope async) (closure user_data) (nullable): called when the call has ended
 * @user_data: data for @callback
 *
 * Waits beside the thread-default main context of the calling thread, which stays alive. Call
 * shm_background_wait_finish() in @callback.
 *
 * Since: 1.0
 */
void
shm_background_wait_async (ShmBackground *self,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  GError *error = NULL;
  GTask *task;
  ShmWait *wait;

  g_return_if_fail (SHM_IS_BACKGROUND (self));

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, shm_background_wait_async);
  /* What has been decided stays decided. */
  g_task_set_check_cancellable (task, FALSE);
  if (!shm_background_check (self, &error))
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  if (self->ended || g_cancellable_is_cancelled (cancellable))
    {
      shm_background_answer (self, task);
      return;
    }

  wait = g_new0 (ShmWait, 1);
  wait->source = shm_context_source_new (self->inner);
  g_source_set_callback (wait->source, shm_background_turned, g_object_ref (self), g_object_unref);
  shm_background_attach (task, wait->source);
  if (cancellable != NULL)
    {
      wait->cancel_source = shm_cancel_source_new (cancellable, g_task_get_context (task));
      g_source_set_callback (wait->cancel_source, G_SOURCE_FUNC (shm_background_wait_cancelled),
                             task, NULL);
      shm_background_attach (task, wait->cancel_source);
    }
  g_task_set_task_data (task, wait, shm_wait_free);
  g_queue_push_tail (&self->waits, task);
}

/**
 * shm_background_wait_finish:
 * @self: a background
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends what shm_background_wait_async() began. The errors are those of shm_background_wait().
 *
 * Returns: (transfer full) (nullable): the result; or %NULL if there is none, or @error is set
 *
 * Since: 1.0
 */
GVariant *
shm_background_wait_finish (ShmBackground *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (SHM_IS_BACKGROUND (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * shm_background_cancel:
 * @self: a background
 *
 * Ends the call, and its child: when this returns, the child is gone, unless the call is a serial
 * one that cancels itself. All waits, those that come later too, then fail with
 * %G_IO_ERROR_CANCELLED. Does nothing if somebody has seen the end of the call already, or in a
 * process that was forked later.
 *
 * The child gets `SIGTERM`, and half a second later `SIGKILL`.
 *
 * Since: 1.0
 */
void
shm_background_cancel (ShmBackground *self)
{
  g_autoptr (ShmBackground) keep = NULL;

  g_return_if_fail (SHM_IS_BACKGROUND (self));

  keep = g_object_ref (self);
  if (shm_background_is_mine (self))
    shm_background_abort (self);
}

/**
 * shm_background_is_running:
 * @self: a background
 *
 * Tells whether there is no answer yet; takes a look at the child, and does not wait. If it is
 * %FALSE, shm_background_wait() returns at once.
 *
 * A serial call, which is made when it is waited for, counts as running before.
 *
 * Returns: %TRUE if the call has not ended
 *
 * Since: 1.0
 */
gboolean
shm_background_is_running (ShmBackground *self)
{
  g_autoptr (ShmBackground) keep = NULL;

  g_return_val_if_fail (SHM_IS_BACKGROUND (self), FALSE);

  keep = g_object_ref (self);
  if (shm_background_is_mine (self) && !self->serial)
    {
      g_main_context_iteration (self->inner, FALSE);
      shm_background_settle (self);
    }
  return self->func != NULL && !self->ended;
}

/**
 * shm_background_get_failure:
 * @self: a background
 *
 * Gets what went wrong, once a wait has failed with it. It says more than the error: whether the
 * child died and how, and what shm_background_fail() told. Item and rank are 0.
 *
 * Returns: (transfer none) (nullable): the failure; or %NULL if the call has not ended, or has
 *   ended well, or was cancelled
 *
 * Since: 1.0
 */
ShmFailure *
shm_background_get_failure (ShmBackground *self)
{
  g_return_val_if_fail (SHM_IS_BACKGROUND (self), NULL);

  return self->failure;
}

/**
 * shm_background_fail:
 * @error: why
 * @traceback: (nullable): where, for a person to read
 * @payload: (nullable): what else the caller is to get; a floating reference is sunk
 *
 * Fails the call in the background that the calling thread is in, with more than an error can tell:
 * all of it is in shm_background_get_failure(). The function should return soon; what it returns,
 * and an error that it sets beside, count for nothing.
 *
 * This is meant for language bindings, whose exceptions say more than a #GError.
 *
 * Since: 1.0
 */
void
shm_background_fail (const GError *error, const char *traceback, GVariant *payload)
{
  ShmWorker *worker = shm_worker_get_current ();

  while (worker != NULL && worker->work->call.func != G_CALLBACK (shm_background_call))
    worker = worker->outer;

  g_return_if_fail (worker != NULL);
  g_return_if_fail (error != NULL);

  shm_worker_fail_item (worker, error, traceback, payload);
}
