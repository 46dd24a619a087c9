/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What a job tells of itself: progress, statistics, and the record of its items. */

#include "config.h"

#include "shm-job-private.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "shm-error.h"
#include "shm-fork-private.h"
#include "shm-i18n-private.h"

#define TICK_TIME 50   /* ms */
#define TICKS_A_LINE 2 /* between two lines of progress */
#define LINE_WIDTH 79  /* columns, where there is no terminal that knows better */

static guint64
shm_job_count_done (ShmJob *self)
{
  guint64 n_done = shm_control_count_done (self->backend->control) - self->n_done_before;

  /* Items that had to be worked on twice count twice, up to here. */
  return CLAMP (n_done, self->n_done, MAX (self->n_items, self->n_done));
}

/* Whether it is known how many items there will be. */
static gboolean
shm_job_knows_end (ShmJob *self)
{
  return self->input.kind != SHM_INPUT_FEED || self->feed_ended;
}

static guint
shm_job_get_terminal_width (void)
{
  struct winsize size;

  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
    return size.ws_col - 1;
  return LINE_WIDTH;
}

/* Gives up the stream if it does not take it. */
static void
shm_job_write_progress (ShmJob *self, const char *text)
{
  if (self->progress_to_terminal && write (STDERR_FILENO, text, strlen (text)) < 0)
    self->progress_to_terminal = FALSE;
  if (self->progress_stream != NULL &&
      !g_output_stream_write_all (self->progress_stream, text, strlen (text), NULL, NULL, NULL))
    g_clear_object (&self->progress_stream);
}

static void
shm_job_show_progress (ShmJob *self, gint64 now, const char *end)
{
  guint width = self->progress_to_terminal ? shm_job_get_terminal_width () : LINE_WIDTH;
  g_autofree char *line = shm_progress_format (&self->progress, self->n_done, self->n_items,
                                               shm_job_knows_end (self), now, width);
  g_autofree char *text = g_strdup_printf ("\r%s%s", line, end);

  shm_job_write_progress (self, text);
  self->progress_shown = TRUE;
}

static gboolean
shm_job_shows_progress (ShmJob *self)
{
  return self->progress_to_terminal || self->progress_stream != NULL;
}

static void
shm_job_update_progress (ShmJob *self, gint64 now)
{
  self->n_done = shm_job_count_done (self);
  shm_progress_update (&self->progress, now, self->n_done);
  shm_job_notify_progress (self);
}

static gboolean
shm_job_tick (gpointer job)
{
  g_autoptr (ShmJob) self = NULL;
  gint64 now = g_get_monotonic_time ();

  shm_job_check_dropped (job);
  self = g_object_ref (job);
  shm_job_update_progress (self, now);
  if (shm_job_shows_progress (self) && ++self->n_ticks % TICKS_A_LINE == 0)
    shm_job_show_progress (self, now, "");
  return G_SOURCE_CONTINUE;
}

/* A file for each job of the process: the second one is name-2.json. */
static GFile *
shm_job_get_trace_file (void)
{
  static gint n_traces = 0;
  const char *name = g_getenv ("SHM_TRACE");
  gint number;
  g_autofree char *numbered = NULL;
  const char *dot;

  if (name == NULL || *name == '\0')
    return NULL;
  number = g_atomic_int_add (&n_traces, 1) + 1;
  if (number == 1)
    return g_file_new_for_commandline_arg (name);
  dot = strrchr (name, '.');
  if (dot == NULL || strchr (dot, '/') != NULL)
    dot = name + strlen (name);
  numbered = g_strdup_printf ("%.*s-%d%s", (int) (dot - name), name, number, dot);
  return g_file_new_for_commandline_arg (numbered);
}

/* The job has started. */
void
shm_job_start_report (ShmJob *self)
{
  gboolean is_inner = shm_fork_is_child () || shm_worker_get_current () != NULL;
  const char *wanted = g_getenv ("SHM_PROGRESS");

  self->statistics = g_ptr_array_new_with_free_func ((GDestroyNotify) shm_statistics_unref);
  if (self->work.trace)
    self->trace = shm_trace_new ();
  self->progress_to_terminal = !is_inner && !self->is_quiet && wanted != NULL && *wanted != '\0' &&
                               !g_str_equal (wanted, "0") && isatty (STDERR_FILENO);
  shm_progress_start (&self->progress, g_get_monotonic_time ());
  self->tick_source = g_timeout_source_new (TICK_TIME);
  g_source_set_callback (self->tick_source, shm_job_tick, self, NULL);
  g_source_set_static_name (self->tick_source, "shmem-glib progress");
  g_source_attach (self->tick_source, self->context);
}

static void
shm_job_save_trace (ShmJob *self)
{
  g_autoptr (GFile) file = NULL;
  g_autoptr (GError) error = NULL;

  if (!self->trace_to_file)
    return;
  file = shm_job_get_trace_file ();
  if (file != NULL && !shm_trace_write (self->trace, file, NULL, &error))
    g_message ("%s", error->message);
}

static gint
shm_job_compare_statistics (gconstpointer a, gconstpointer b)
{
  return (*(ShmStatistics *const *) a)->rank - (*(ShmStatistics *const *) b)->rank;
}

void
shm_job_stop_report (ShmJob *self)
{
  g_source_destroy (self->tick_source);
  g_clear_pointer (&self->tick_source, g_source_unref);
}

/* The workers are gone; the control block is not. */
void
shm_job_end_report (ShmJob *self)
{
  gint64 now = g_get_monotonic_time ();

  shm_job_stop_report (self);
  shm_job_update_progress (self, now);
  if (shm_job_shows_progress (self) && (self->progress_shown || self->progress_stream != NULL))
    shm_job_show_progress (self, now, "\n");
  g_ptr_array_sort (self->statistics, shm_job_compare_statistics);
  shm_job_save_trace (self);
}

static ShmStatistics *
shm_job_find_statistics (ShmJob *self, guint rank)
{
  ShmStatistics *statistics;
  guint i;

  for (i = 0; i < self->statistics->len; i++)
    {
      statistics = g_ptr_array_index (self->statistics, i);
      if (statistics->rank == (gint) rank)
        return statistics;
    }
  statistics = shm_statistics_new (rank);
  g_ptr_array_add (self->statistics, statistics);
  return statistics;
}

void
shm_job_left (gpointer job, guint rank, const ShmLine *line, gint64 cpu_time, guint64 peak_memory)
{
  ShmJob *self = job;
  ShmStatistics *statistics;

  if (line->arena_put > 0)
    self->has_deposits = TRUE;
  /* It was gone before it had begun. */
  if (line->started == 0)
    return;
  statistics = shm_job_find_statistics (self, rank);
  statistics->n_lives++;
  statistics->n_items += line->n_done;
  statistics->elapsed_time += ((line->ended ? line->ended : shm_now_ns ()) - line->started) / 1000;
  statistics->critical_time += line->slept[SHM_SLEEP_CRITICAL] / 1000;
  statistics->ordered_time += line->slept[SHM_SLEEP_ORDERED] / 1000;
  statistics->barrier_time += line->slept[SHM_SLEEP_BARRIER] / 1000;
  statistics->output_time += line->slept[SHM_SLEEP_OUTPUT] / 1000;
  statistics->input_time += line->slept[SHM_SLEEP_INPUT] / 1000;
  statistics->cpu_time += cpu_time;
  statistics->peak_memory = MAX (statistics->peak_memory, peak_memory);
}

/**
 * shm_job_get_n_done:
 * @self: a job
 *
 * Gets how many items were worked on; see #ShmJob:n-done. To be called in the thread that runs the
 * job's main context, as are the three others.
 *
 * Returns: the number of items
 *
 * Since: 1.0
 */
guint64
shm_job_get_n_done (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), 0);

  return self->state == SHM_JOB_RUNNING ? shm_job_count_done (self) : self->n_done;
}

/**
 * shm_job_get_fraction:
 * @self: a job
 *
 * Gets the part of the items that was worked on; see #ShmJob:fraction.
 *
 * Returns: the part, from 0 to 1
 *
 * Since: 1.0
 */
gdouble
shm_job_get_fraction (ShmJob *self)
{
  guint64 n_done;

  g_return_val_if_fail (SHM_IS_JOB (self), 0.0);

  if (!shm_job_knows_end (self))
    return 0.0;
  n_done = shm_job_get_n_done (self);
  /* Their number may have been set for the next run already. */
  if (n_done >= self->n_items)
    return self->n_items > 0 || self->state == SHM_JOB_DONE ? 1.0 : 0.0;
  return (gdouble) n_done / (gdouble) self->n_items;
}

/**
 * shm_job_get_rate:
 * @self: a job
 *
 * Gets how many items are worked on in a second; see #ShmJob:rate.
 *
 * Returns: the number of items in a second, or 0 if it is not known
 *
 * Since: 1.0
 */
gdouble
shm_job_get_rate (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), 0.0);

  return shm_progress_get_rate (&self->progress);
}

/**
 * shm_job_get_eta:
 * @self: a job
 *
 * Gets in how many seconds the job will have ended; see #ShmJob:eta.
 *
 * Returns: the time in seconds, or -1 if it is not known
 *
 * Since: 1.0
 */
gdouble
shm_job_get_eta (ShmJob *self)
{
  g_return_val_if_fail (SHM_IS_JOB (self), -1.0);

  if (self->state == SHM_JOB_DONE)
    return 0.0;
  if (!shm_job_knows_end (self) || self->state == SHM_JOB_NEW)
    return -1.0;
  return shm_progress_get_eta (&self->progress, self->n_items - MIN (self->n_done, self->n_items));
}

/**
 * shm_job_write_trace:
 * @self: a job that has ended, and whose #ShmJob:trace was set
 * @file: the file, which is replaced if it exists
 * @cancellable: (nullable): what may cancel the writing
 * @error: return location for an error
 *
 * Writes which worker worked on what and when, in the Trace Event format that Perfetto and the
 * tracing page of Chrome open.
 *
 * Returns: %TRUE if it was written
 *
 * Since: 1.0
 */
gboolean
shm_job_write_trace (ShmJob *self, GFile *file, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (SHM_IS_JOB (self), FALSE);
  g_return_val_if_fail (G_IS_FILE (file), FALSE);

  if (self->state != SHM_JOB_DONE || self->trace == NULL)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("No trace was made of this job, or the job has not ended"));
      return FALSE;
    }
  return shm_trace_write (self->trace, file, cancellable, error);
}
