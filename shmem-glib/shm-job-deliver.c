/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What comes from the workers, in the job's main context.
 *
 * A result goes through the reduce function, then to the list or to who listens. Where the order of the items matters
 * it first waits in `early` until the backend has said, with look (), that all items before it are done and
 * have arrived. There, too, the workers are let on: the window begins at the lowest item that is not done.
 */

#include "config.h"

#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-job-private.h"

#define FEED_TIME 8000   /* µs, after which other sources get their turn */
#define PUBLISH_TIME 500 /* µs, after which fed items are handed out while more are made */

static void
shm_job_unref_result (gpointer value)
{
  if (value != NULL)
    g_variant_unref (value);
}

static GPtrArray *
shm_job_new_list (guint length)
{
  GPtrArray *list = g_ptr_array_new_full (length, shm_job_unref_result);

  g_ptr_array_set_size (list, length);
  return list;
}

static gboolean
shm_job_has_place_for_each (ShmJob *self)
{
  return self->work.kind == SHM_WORK_MAP || self->work.kind == SHM_WORK_REGION;
}

static void
shm_job_keep_result (ShmJob *self, guint64 begin, GVariant *value)
{
  if (shm_job_has_place_for_each (self))
    {
      if (begin >= G_MAXUINT)
        {
          g_variant_unref (value);
          shm_job_abort (self,
                         g_error_new_literal (SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                                              _ ("There are more results than a list can hold")));
          return;
        }
      if (self->results == NULL)
        self->results = shm_job_new_list (self->n_items);
      else if (self->results->len < self->n_items)
        g_ptr_array_set_size (self->results, self->n_items);
      if (g_ptr_array_index (self->results, begin) != NULL)
        {
          g_variant_unref (value);
          shm_job_abort (self, g_error_new_literal (SHM_ERROR, SHM_ERROR_BAD_RESULT,
                                                    _ ("Two results arrived for one item")));
          return;
        }
      g_ptr_array_index (self->results, begin) = value;
    }
  else
    {
      ShmRangeResult range = { begin, value };

      if (self->ranges == NULL)
        self->ranges = g_array_new (FALSE, FALSE, sizeof (ShmRangeResult));
      g_array_append_val (self->ranges, range);
    }
}

static GVariant *
shm_job_reduce (ShmJob *self, guint64 index, GVariant *result)
{
  GError *error = NULL;
  GVariant *value =
      ((ShmReduceFunc) self->reduce.func) (self->pool, index, result, self->reduce.data, &error);

  if (value != NULL)
    value = g_variant_take_ref (value);
  if (error != NULL)
    {
      g_clear_pointer (&value, g_variant_unref);
      shm_job_abort (self, error);
    }
  return value;
}

static void
shm_job_stream_result (ShmJob *self, guint64 index, GVariant *result)
{
  GError *error = NULL;

  if (self->result.func != NULL &&
      !((ShmResultFunc) self->result.func) (self, index, result, self->result.data, &error))
    {
      if (error == NULL)
        g_set_error_literal (&error, SHM_ERROR, SHM_ERROR_FAILED,
                             _ ("A result was refused, and no reason was given"));
      shm_job_abort (self, error);
      return;
    }
  g_clear_error (&error);
  shm_job_emit_result (self, index, result);
}

/* Takes the value. */
static void
shm_job_take_result (ShmJob *self, guint64 begin, GVariant *value)
{
  guint64 index = self->work.base + begin;

  if (self->error == NULL && self->reduce.func != NULL)
    {
      g_autoptr (GVariant) result = value;

      value = shm_job_reduce (self, index, result);
    }
  if (value == NULL)
    return;
  if (self->error != NULL)
    g_variant_unref (value);
  else if (self->output == SHM_OUTPUT_LIST)
    shm_job_keep_result (self, begin, value);
  else
    {
      shm_job_stream_result (self, index, value);
      g_variant_unref (value);
    }
}

static gint
shm_job_compare_ranges (gconstpointer a, gconstpointer b)
{
  guint64 first = ((const ShmRangeResult *) a)->begin;
  guint64 second = ((const ShmRangeResult *) b)->begin;

  return first < second ? -1 : first > second;
}

static gint
shm_job_compare_early (gconstpointer a, gconstpointer b, gpointer user_data)
{
  return shm_job_compare_ranges (a, b);
}

static void
shm_job_free_early (gpointer data)
{
  ShmRangeResult *early = data;

  g_clear_pointer (&early->value, g_variant_unref);
  g_free (early);
}

/* Takes the value. */
static void
shm_job_put_early (ShmJob *self, guint64 begin, GVariant *value)
{
  ShmRangeResult *early = g_new (ShmRangeResult, 1);

  early->begin = begin;
  early->value = value;
  if (self->early == NULL)
    self->early = g_sequence_new (shm_job_free_early);
  g_sequence_insert_sorted (self->early, early, shm_job_compare_early, NULL);
}

/* The turn of all results below has come. */
static void
shm_job_take_early (ShmJob *self, guint64 below)
{
  while (self->early != NULL && !g_sequence_is_empty (self->early))
    {
      GSequenceIter *first = g_sequence_get_begin_iter (self->early);
      ShmRangeResult *early = g_sequence_get (first);
      guint64 begin = early->begin;
      GVariant *value = early->value;

      if (begin >= below)
        return;
      early->value = NULL;
      g_sequence_remove (first);
      shm_job_take_result (self, begin, value);
    }
}

/* Takes the value. */
static void
shm_job_keep_summary (ShmJob *self, guint rank, GVariant *value)
{
  ShmRangeResult summary = { rank, value };

  if (self->summed == NULL)
    self->summed = g_array_new (FALSE, FALSE, sizeof (ShmRangeResult));
  g_array_append_val (self->summed, summary);
}

static void
shm_job_trace (ShmJob *self, guint rank, const ShmFrame *frame)
{
  ShmTraceEvent event = {
    .begin = self->work.base + frame->begin,
    .end = self->work.base + frame->end,
    .rank = rank,
  };

  if (self->trace == NULL || !g_variant_is_of_type (frame->value, G_VARIANT_TYPE ("(xxi)")))
    return;
  g_variant_get (frame->value, "(xxi)", &event.started, &event.ended, &event.pid);
  shm_trace_add (self->trace, &event);
}

void
shm_job_frame (gpointer job, guint rank, ShmFrame *frame)
{
  ShmJob *self = job;

  if (frame->kind != SHM_FRAME_SUMMARY)
    {
      frame->begin -= self->backend->control->first;
      frame->end -= self->backend->control->first;
    }
  if (self->error != NULL)
    g_variant_unref (frame->value);
  else if (frame->kind == SHM_FRAME_SUMMARY)
    shm_job_keep_summary (self, rank, frame->value);
  else if (frame->kind == SHM_FRAME_TRACE)
    {
      shm_job_trace (self, rank, frame);
      g_variant_unref (frame->value);
    }
  else if (self->in_order)
    shm_job_put_early (self, frame->begin, frame->value);
  else
    shm_job_take_result (self, frame->begin, frame->value);
}

/* Makes items up to the window's end; TRUE: time is up, and there is room for more. */
static gboolean
shm_job_feed (ShmJob *self, guint64 limit)
{
  ShmControl *control = self->backend->control;
  ShmInput *input = &self->input;
  gint64 published = g_get_monotonic_time ();
  gint64 until = published + FEED_TIME;
  GError *error = NULL;

  while (self->error == NULL && !self->feed_ended && input->n_fed < limit)
    {
      gint64 now = g_get_monotonic_time ();
      g_autoptr (GVariant) item = NULL;

      if (now >= until)
        break;
      if (now >= published + PUBLISH_TIME)
        {
          shm_control_set_limit (control, input->n_fed, FALSE);
          published = now;
        }
      item = ((ShmFeedFunc) self->feed.func) (self, input->n_fed, self->feed.data, &error);
      if (item != NULL)
        item = g_variant_take_ref (g_steal_pointer (&item));
      if (error == NULL && self->error == NULL && item != NULL)
        shm_input_feed (input, control, item, &error);
      if (error != NULL)
        shm_job_abort (self, error);
      else
        self->feed_ended = item == NULL;
    }
  if (self->error != NULL)
    return FALSE;
  shm_control_set_limit (control, input->n_fed, self->feed_ended);
  self->n_items = input->n_fed;
  return !self->feed_ended && input->n_fed < limit;
}

/* All results of items below `lowest` have arrived. TRUE: there is more to do at once. */
gboolean
shm_job_look (gpointer job, guint64 lowest)
{
  ShmJob *self = job;
  guint64 limit;

  shm_job_check_dropped (self);
  if (self->in_order)
    shm_job_take_early (self, lowest);
  if (self->window_used == 0 || self->error != NULL)
    return FALSE;

  limit = lowest + MIN (self->window_used, G_MAXUINT64 - lowest);
  if (self->input.kind != SHM_INPUT_FEED)
    {
      limit = MIN (limit, self->n_items);
      shm_control_set_limit (self->backend->control, limit, limit == self->n_items);
      return FALSE;
    }
  shm_input_release (&self->input, lowest);
  return !self->feed_ended && shm_job_feed (self, limit);
}

/* Whether the item may be tried again, which counts as a try. Only who died did not fail by himself. */
static gboolean
shm_job_retry (ShmJob *self, const ShmFailure *failure)
{
  guint n_tries;

  if (failure->pid == 0 || failure->index == SHM_NO_ITEM || failure->is_final)
    return FALSE;
  if (self->n_tries == NULL)
    self->n_tries = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  n_tries = GPOINTER_TO_UINT (g_hash_table_lookup (self->n_tries, &failure->index));
  if (n_tries >= self->max_retries)
    return FALSE;
  g_hash_table_replace (self->n_tries, g_memdup2 (&failure->index, sizeof failure->index),
                        GUINT_TO_POINTER (n_tries + 1));
  return TRUE;
}

static void
shm_job_trace_death (ShmJob *self, const ShmFailure *failure)
{
  gint64 now = shm_now_ns ();
  gboolean has_item = failure->index != SHM_NO_ITEM;
  ShmTraceEvent event = {
    .begin = has_item ? failure->index : 0,
    .end = has_item ? failure->index + 1 : 0,
    .started = now,
    .ended = now,
    .rank = failure->rank,
    .pid = failure->pid,
    .died = TRUE,
  };

  shm_trace_add (self->trace, &event);
}

ShmVerdict
shm_job_failure (gpointer job, ShmFailure *failure)
{
  ShmJob *self = job;
  gboolean collect =
      self->failure_policy == SHM_FAILURE_POLICY_COLLECT && self->work.kind != SHM_WORK_REGION;

  if (self->error != NULL)
    {
      shm_failure_unref (failure);
      return SHM_VERDICT_STOP;
    }
  if (self->trace != NULL && failure->pid != 0)
    shm_job_trace_death (self, failure);
  if (shm_job_retry (self, failure))
    {
      shm_failure_unref (failure);
      return SHM_VERDICT_RETRY;
    }
  g_ptr_array_add (self->failures, failure);
  if (collect && failure->index != SHM_NO_ITEM && !failure->is_final)
    return SHM_VERDICT_SKIP;
  self->error = shm_failure_to_error (failure);
  return SHM_VERDICT_STOP;
}

static gint
shm_job_compare_failures (gconstpointer a, gconstpointer b)
{
  guint64 first = (*(ShmFailure *const *) a)->index;
  guint64 second = (*(ShmFailure *const *) b)->index;

  return first < second ? -1 : first > second;
}

/* The list of the values, in order. Takes the array. */
static GPtrArray *
shm_job_sort_values (GArray *array)
{
  GPtrArray *list = shm_job_new_list (array ? array->len : 0);
  guint i;

  if (array == NULL)
    return list;
  g_array_sort (array, shm_job_compare_ranges);
  for (i = 0; i < array->len; i++)
    g_ptr_array_index (list, i) = g_array_index (array, ShmRangeResult, i).value;
  g_array_unref (array);
  return list;
}

/* Nothing more will come, so the turn of all that has come is now. */
void
shm_job_flush (ShmJob *self)
{
  if (self->error == NULL)
    shm_job_take_early (self, G_MAXUINT64);
}

/* Puts everything in order. */
void
shm_job_collect (ShmJob *self)
{
  g_clear_pointer (&self->early, g_sequence_free);

  if (!shm_job_has_place_for_each (self) || self->output != SHM_OUTPUT_LIST)
    self->results = shm_job_sort_values (g_steal_pointer (&self->ranges));
  else if (self->results == NULL)
    self->results = shm_job_new_list (self->n_items);
  else
    g_ptr_array_set_size (self->results, self->n_items);
  self->summaries = shm_job_sort_values (g_steal_pointer (&self->summed));

  if (self->error != NULL)
    {
      g_clear_pointer (&self->results, g_ptr_array_unref);
      g_clear_pointer (&self->summaries, g_ptr_array_unref);
    }
  g_ptr_array_sort (self->failures, shm_job_compare_failures);
  g_clear_pointer (&self->n_tries, g_hash_table_unref);
}
