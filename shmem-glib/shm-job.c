/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/**
 * ShmJob:
 *
 * One map in flight: what shm_map_reduce_map() makes and runs, for those who want more than it
 * offers.
 *
 * A job is made for a pool, whose properties it takes over when it starts, and a number of items;
 * or the items come from an array in a #GVariant, from a #GListModel, or one after the other from a function:
 * shm_job_set_items(), shm_job_set_model(), shm_job_set_feed_func().
 *
 * It is given one work function, with shm_job_set_map_func(), shm_job_set_range_func() or
 * shm_job_set_loop_func(); or the workers are programs, shm_job_set_program(). Each worker may be set up before its first item and torn down after its last one, and may
 * gather something of its own in between: shm_job_set_set_up_func(), shm_job_set_tear_down_func().
 *
 * Then it is run, with shm_job_run() or shm_job_run_async(): once, or as often as you like if #ShmJob:keep-workers is set. What becomes of the results is for
 * #ShmJob:output to say. While it runs, #ShmJob:n-done, #ShmJob:fraction, #ShmJob:rate and #ShmJob:eta tell how it
 * goes, and notify in its main context, about twenty times a second. After it, there are the
 * results, the failures and the statistics.
 *
 * With `SHM_PROGRESS=1` in the environment, each job that runs for a while shows a line of progress on standard
 * error, if that is a terminal. With `SHM_TRACE=`file, each job writes its trace, see shm_job_write_trace(): the first one
 * that ends to that file, the second one to name-2.json if it is name.json, and so on.
 *
 * A job that loses its last reference while it runs asynchronously is cancelled soon after: hold one for as long as it is to
 * run.
 *
 * Since: 1.0
 */

/**
 * SECTION:shm-job
 * @title: ShmJob
 * @short_description: one map in flight
 *
 * A job takes one closure a setter. See #ShmMapReduce for the short calls.
 */

#include "config.h"

#include "shm-job-private.h"

#include "shm-array-private.h"
#include "shm-enum-types.h"
#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-program-private.h"

enum
{
  PROP_0,
  PROP_POOL,
  PROP_N_ITEMS,
  PROP_OUTPUT,
  PROP_WINDOW,
  PROP_PAUSED,
  PROP_SEED,
  PROP_TRACE,
  PROP_KEEP_WORKERS,
  PROP_N_DONE,
  PROP_FRACTION,
  PROP_RATE,
  PROP_ETA,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];
static guint result_signal;

G_DEFINE_FINAL_TYPE (ShmJob, shm_job, G_TYPE_OBJECT)

void
shm_job_set_call (ShmCall *call, GCallback func, gpointer data, GDestroyNotify destroy)
{
  ShmCall old = *call;

  *call = (ShmCall){ func, data, destroy };
  if (old.destroy != NULL)
    old.destroy (old.data);
}

/* A closure may hold what in turn holds the job. */
void
shm_job_clear_calls (ShmJob *self)
{
  ShmCall *calls[] = { &self->work.call, &self->work.set_up, &self->work.tear_down,
                       &self->feed,      &self->reduce,      &self->result };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (calls); i++)
    shm_job_set_call (calls[i], NULL, NULL, NULL);
  g_clear_pointer (&self->work.program, shm_program_free);
}

static void
shm_job_finalize (GObject *object)
{
  ShmJob *self = SHM_JOB (object);

  g_assert (self->state != SHM_JOB_RUNNING);
  shm_job_drop_kept (self);
  shm_job_clear_calls (self);
  shm_input_clear (&self->input);
  g_clear_pointer (&self->work.argument, g_variant_unref);
  g_clear_object (&self->work.into);
  g_clear_pointer (&self->results, g_ptr_array_unref);
  g_clear_pointer (&self->summaries, g_ptr_array_unref);
  g_clear_pointer (&self->statistics, g_ptr_array_unref);
  g_clear_pointer (&self->failures, g_ptr_array_unref);
  g_clear_pointer (&self->trace, shm_trace_free);
  g_clear_pointer (&self->arena, shm_arena_unref);
  g_clear_error (&self->error);
  g_clear_object (&self->progress_stream);
  g_clear_object (&self->pool);

  G_OBJECT_CLASS (shm_job_parent_class)->finalize (object);
}

static void
shm_job_get_property (GObject *object, guint property_id, GValue *value, GParamSpec *pspec)
{
  ShmJob *self = SHM_JOB (object);

  switch (property_id)
    {
    case PROP_POOL:
      g_value_set_object (value, self->pool);
      break;
    case PROP_N_ITEMS:
      g_value_set_uint64 (value, self->n_items);
      break;
    case PROP_OUTPUT:
      g_value_set_enum (value, self->output);
      break;
    case PROP_WINDOW:
      g_value_set_uint64 (value, self->window);
      break;
    case PROP_PAUSED:
      g_value_set_boolean (value, self->paused);
      break;
    case PROP_SEED:
      g_value_set_uint64 (value, self->work.seed);
      break;
    case PROP_TRACE:
      g_value_set_boolean (value, self->trace_wanted);
      break;
    case PROP_KEEP_WORKERS:
      g_value_set_boolean (value, self->keep_workers);
      break;
    case PROP_N_DONE:
      g_value_set_uint64 (value, shm_job_get_n_done (self));
      break;
    case PROP_FRACTION:
      g_value_set_double (value, shm_job_get_fraction (self));
      break;
    case PROP_RATE:
      g_value_set_double (value, shm_job_get_rate (self));
      break;
    case PROP_ETA:
      g_value_set_double (value, shm_job_get_eta (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
shm_job_set_property (GObject *object, guint property_id, const GValue *value, GParamSpec *pspec)
{
  ShmJob *self = SHM_JOB (object);

  switch (property_id)
    {
    case PROP_POOL:
      self->pool = g_value_dup_object (value);
      break;
    case PROP_N_ITEMS:
      self->n_items = g_value_get_uint64 (value);
      break;
    case PROP_OUTPUT:
      shm_job_set_output (self, g_value_get_enum (value));
      break;
    case PROP_WINDOW:
      shm_job_set_window (self, g_value_get_uint64 (value));
      break;
    case PROP_PAUSED:
      shm_job_set_paused (self, g_value_get_boolean (value));
      break;
    case PROP_SEED:
      shm_job_set_seed (self, g_value_get_uint64 (value));
      break;
    case PROP_TRACE:
      shm_job_set_trace (self, g_value_get_boolean (value));
      break;
    case PROP_KEEP_WORKERS:
      shm_job_set_keep_workers (self, g_value_get_boolean (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
shm_job_constructed (GObject *object)
{
  ShmJob *self = SHM_JOB (object);

  if (self->pool == NULL)
    self->pool = shm_map_reduce_new ();
  G_OBJECT_CLASS (shm_job_parent_class)->constructed (object);
}

static void
shm_job_class_init (ShmJobClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamFlags constant =
      G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;
  GParamFlags setting = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;
  GParamFlags telling = G_PARAM_READABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->constructed = shm_job_constructed;
  object_class->finalize = shm_job_finalize;
  object_class->get_property = shm_job_get_property;
  object_class->set_property = shm_job_set_property;

  /**
   * ShmJob:pool:
   *
   * The pool whose properties the job takes over when it starts; a new pool if none is given.
   *
   * Since: 1.0
   */
  properties[PROP_POOL] = g_param_spec_object ("pool", "Pool", "The pool that the job is of",
                                               SHM_TYPE_MAP_REDUCE, constant);

  /**
   * ShmJob:n-items:
   *
   * The number of items. Where a function feeds them, it is the number that was fed up to now; else
   * it does not change while the job runs.
   *
   * Since: 1.0
   */
  properties[PROP_N_ITEMS] = g_param_spec_uint64 (
      "n-items", "Number of items", "The number of items", 0, G_MAXUINT64, 0, constant);

  /**
   * ShmJob:output:
   *
   * What becomes of the results.
   *
   * Since: 1.0
   */
  properties[PROP_OUTPUT] = g_param_spec_enum ("output", "Output", "What becomes of the results",
                                               SHM_TYPE_OUTPUT, SHM_OUTPUT_LIST, setting);

  /**
   * ShmJob:window:
   *
   * How many items may be on their way together, where items are fed and where results are
   * streamed in the order of the items, or in any order if a window is set: no item is begun, nor asked of a feed function, before all but so many of those
   * before it are done. So memory stays bounded, however long the job. 0 is automatic: 64 for each worker.
   *
   * Such jobs hand out their items as with %SHM_SCHEDULE_DYNAMIC, in ranges of at most a quarter of
   * each worker's share of the window: of 16 items, if it is automatic.
   *
   * Since: 1.0
   */
  properties[PROP_WINDOW] =
      g_param_spec_uint64 ("window", "Window", "Items on their way together, or 0 for automatic", 0,
                           G_MAXUINT32, 0, setting);

  /**
   * ShmJob:paused:
   *
   * Whether the job is paused: no worker begins another range of items. Ranges in work are finished, and what comes
   * of them arrives, so a consumer that falls behind can pause the job until it has caught up; with a #ShmJob:window
   * it knows how much may still come. A job that was paused before it runs begins when it is not paused any more.
   * A paused job can be cancelled, but ends by itself only if nothing is left to begin. A region knows no pause.
   *
   * Since: 1.0
   */
  properties[PROP_PAUSED] =
      g_param_spec_boolean ("paused", "Paused", "Whether no more items are begun", FALSE, setting);

  /**
   * ShmJob:seed:
   *
   * What shm_job_seed() derives the seed of each item from. If it is not 0, the random numbers of
   * GLib (g_random_int() and its like) begin anew with each item in worker processes and in serial jobs, so that an
   * item draws the same numbers whoever works on it; that costs about a microsecond an item. It has no effect on them
   * in threads, which share one generator. If it is 0, the job takes a random one when it starts.
   *
   * Since: 1.0
   */
  properties[PROP_SEED] =
      g_param_spec_uint64 ("seed", "Seed", "What the seeds of the items are derived from, or 0", 0,
                           G_MAXUINT64, 0, setting);

  /**
   * ShmJob:trace:
   *
   * Whether the beginning and the end of each item, or range, are recorded for shm_job_write_trace().
   * It costs about a microsecond and 48 bytes each.
   *
   * Since: 1.0
   */
  properties[PROP_TRACE] = g_param_spec_boolean (
      "trace", "Trace", "Whether a record of the items is made", FALSE, setting);

  /**
   * ShmJob:keep-workers:
   *
   * Whether the job can be run again, and keeps its functions and, where it can, its worker processes in between:
   * for many small runs, each of which costs a few wake-ups then, and no fork.
   *
   * Workers that were kept see the caller's private memory as it was when they were forked. What changes between the
   * runs must lie in shared arrays that were made before, or be the argument: shm_job_set_argument(). A large result of
   * an earlier job is shared memory as well, which is used again once the caller drops it. The number of
   * items may change as well: shm_job_set_n_items(); and #ShmJob:paused. Whatever else is set, of the job or of its pool, has the next
   * run start new workers; so does a failure. With %SHM_SCHEDULE_STATIC, with items from elsewhere than a count,
   * with results in the order of the items, a tear-down function or a trace, each run starts its own; and in
   * threads.
   *
   * Between the runs the workers sleep, and nobody watches them. They leave with the job's last reference, with
   * shm_job_release_workers(), or with the caller. They hold what they have inherited, such as pipes and sockets of the
   * application. #ShmMapReduce:worker-cpu-time counts all runs of a worker together.
   *
   * Since: 1.0
   */
  properties[PROP_KEEP_WORKERS] = g_param_spec_boolean (
      "keep-workers", "Keep workers", "Whether the job can be run again", FALSE, setting);

  /**
   * ShmJob:n-done:
   *
   * The number of items that were worked on, those that failed included. Notifies while the job
   * runs, about twenty times a second.
   *
   * Since: 1.0
   */
  properties[PROP_N_DONE] =
      g_param_spec_uint64 ("n-done", "Number of items done", "The number of items worked on", 0,
                           G_MAXUINT64, 0, telling);

  /**
   * ShmJob:fraction:
   *
   * The part of the items that was worked on, from 0 to 1, for a progress bar. It stays 0 for as
   * long as a function feeds items, since nobody knows their number. Notifies as #ShmJob:n-done does.
   *
   * Since: 1.0
   */
  properties[PROP_FRACTION] = g_param_spec_double (
      "fraction", "Fraction", "The part of the items worked on", 0.0, 1.0, 0.0, telling);

  /**
   * ShmJob:rate:
   *
   * How many items are worked on in a second, averaged over the last few seconds; 0 while it is not
   * known. Notifies as #ShmJob:n-done does.
   *
   * Since: 1.0
   */
  properties[PROP_RATE] =
      g_param_spec_double ("rate", "Rate", "Items in a second", 0.0, G_MAXDOUBLE, 0.0, telling);

  /**
   * ShmJob:eta:
   *
   * In how many seconds the job will have ended, if it goes on as in the last few seconds; -1 while
   * it is not known. Notifies as #ShmJob:n-done does.
   *
   * Since: 1.0
   */
  properties[PROP_ETA] = g_param_spec_double ("eta", "Estimated time", "Seconds to the end, or -1",
                                              -1.0, G_MAXDOUBLE, -1.0, telling);

  g_object_class_install_properties (object_class, N_PROPS, properties);

  /**
   * ShmJob::result:
   * @self: the job
   * @index: the item that the result is of, or the first one of its range
   * @result: the result
   *
   * A result has arrived, and #ShmJob:output says that results are streamed. Emitted in the job's
   * main context; the next results wait until the handlers return, and so do the workers once
   * a bounded buffer is full.
   *
   * Since: 1.0
   */
  result_signal = g_signal_new ("result", SHM_TYPE_JOB, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                G_TYPE_NONE, 2, G_TYPE_UINT64, G_TYPE_VARIANT);
}

static void
shm_job_init (ShmJob *self)
{
  self->work.job = self;
  self->work.input = &self->input;
  self->failures = g_ptr_array_new_with_free_func ((GDestroyNotify) shm_failure_unref);
}

/**
 * shm_job_new:
 * @pool: a pool
 * @n_items: the number of items
 *
 * Makes a job, which does nothing until it has a work function and is run. Where the items come
 * from elsewhere, as with shm_job_set_items(), @n_items counts for nothing.
 *
 * Returns: (transfer full): a new job
 *
 * Since: 1.0
 */
ShmJob *
shm_job_new (ShmMapReduce *pool, guint64 n_items)
{
  g_return_val_if_fail (SHM_IS_MAP_REDUCE (pool), NULL);

  return g_object_new (SHM_TYPE_JOB, "pool", pool, "n-items", n_items, NULL);
}

/**
 * shm_job_get_pool:
 * @self: a job
 *
 * Gets the pool of the job.
 *
 * Returns: (transfer none): the pool
 *
 * Since: 1.0
 */
ShmMapReduce *
shm_job_get_pool (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  return self->pool;
}

/**
 * shm_job_get_n_items:
 * @self: a job
 *
 * Gets the number of items; see #ShmJob:n-items.
 *
 * Returns: the number of items
 *
 * Since: 1.0
 */
guint64
shm_job_get_n_items (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), 0);

  return self->n_items;
}

void
shm_job_update_n_items (ShmJob *self, guint64 n_items)
{
  if (self->n_items == n_items)
    return;
  self->n_items = n_items;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_N_ITEMS]);
}

/* Tells what the workers have done. */
void
shm_job_notify_progress (ShmJob *self)
{
  GObject *object = G_OBJECT (self);

  g_object_freeze_notify (object);
  if (self->input.kind == SHM_INPUT_FEED)
    g_object_notify_by_pspec (object, properties[PROP_N_ITEMS]);
  g_object_notify_by_pspec (object, properties[PROP_N_DONE]);
  g_object_notify_by_pspec (object, properties[PROP_FRACTION]);
  g_object_notify_by_pspec (object, properties[PROP_RATE]);
  g_object_notify_by_pspec (object, properties[PROP_ETA]);
  g_object_thaw_notify (object);
}

void
shm_job_emit_result (ShmJob *self, guint64 index, GVariant *value)
{
  if (g_signal_has_handler_pending (self, result_signal, 0, FALSE))
    g_signal_emit (self, result_signal, 0, index, value);
}

/**
 * shm_job_get_results:
 * @self: a job
 *
 * Gets the results of a job that has ended well. With a map function there is one element for each
 * item, in the order of the items, %NULL where there is no result. With a range function there is
 * one element for each range that had a result, in the order of the ranges. With a loop function
 * there is none, nor where #ShmJob:output is another than %SHM_OUTPUT_LIST.
 *
 * Returns: (transfer none) (nullable) (element-type GVariant): the results, or %NULL if the job has
 * not ended, or has failed
 *
 * Since: 1.0
 */
GPtrArray *
shm_job_get_results (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  return self->state == SHM_JOB_DONE ? self->results : NULL;
}

/**
 * shm_job_get_failures:
 * @self: a job
 *
 * Gets what went wrong in a job that has ended, in the order of the items: with %SHM_FAILURE_POLICY_COLLECT
 * every item that failed, with %SHM_FAILURE_POLICY_ABORT the one whose error ended the job. What was mended by
 * a retry is not in it.
 *
 * Returns: (transfer none) (nullable) (element-type ShmFailure): the failures, or %NULL if the job
 *   has not ended
 *
 * Since: 1.0
 */
GPtrArray *
shm_job_get_failures (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  return self->state == SHM_JOB_DONE ? self->failures : NULL;
}

GPtrArray *
shm_job_steal_results (ShmJob *self)
{
  return g_steal_pointer (&self->results);
}

/**
 * shm_job_withdraw:
 * @self: a job
 * @offset: what shm_map_reduce_deposit() said
 * @n_bytes: how many bytes were put there
 * @error: return location for an error
 *
 * Gets what a worker process has put into shared memory, in place. May be called while the job
 * runs, in the thread that runs its main context, and after it. What is got twice is the same memory, which goes with
 * the last of the two; then the worker may use it again, and it must not be got any more.
 *
 * Returns: (transfer full): an array of %SHM_DTYPE_U1 with @n_bytes elements, or %NULL with @error set
 *
 * Since: 1.0
 */
ShmArray *
shm_job_withdraw (ShmJob *self, guint64 offset, guint64 n_bytes, GError **error)
{
  ShmMapping *mapping;

  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  if (self->arena == NULL)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("The job has nothing in shared memory"));
      return NULL;
    }
  mapping = shm_arena_map (self->arena, offset, n_bytes, error);
  return mapping ? shm_array_new_for_mapping (mapping, SHM_DTYPE_U1, n_bytes) : NULL;
}

/**
 * shm_job_get_summaries:
 * @self: a job
 *
 * Gets what the tear-down functions of the workers returned, in the order of the ranks; see
 * shm_job_set_tear_down_func(). A rank that had several workers one after the other, see
 * #ShmMapReduce:max-items-per-worker, has what each of them returned, in their order.
 *
 * With %SHM_SCHEDULE_STATIC each rank has the same items each time, so that a sum in this order
 * does not depend on timing.
 *
 * Returns: (transfer none) (nullable) (element-type GVariant): what they returned, without those
 *   who returned nothing, or %NULL if the job has not ended, or has failed
 *
 * Since: 1.0
 */
GPtrArray *
shm_job_get_summaries (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  return self->state == SHM_JOB_DONE ? self->summaries : NULL;
}

/**
 * shm_job_get_statistics:
 * @self: a job
 *
 * Gets what each worker did, in a job that has ended.
 *
 * Returns: (transfer none) (nullable) (element-type ShmStatistics): the statistics of each rank
 *   that had a worker, in the order of the ranks, or %NULL if the job has not ended
 *
 * Since: 1.0
 */
GPtrArray *
shm_job_get_statistics (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), NULL);

  return self->state == SHM_JOB_DONE ? self->statistics : NULL;
}
