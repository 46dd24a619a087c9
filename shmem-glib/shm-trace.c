/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What the workers did and when, in the Trace Event format (the JSON object form), which
 * chrome://tracing and Perfetto show. The caller is the process, each rank a thread of it.
 */

#include "config.h"

#include "shm-trace-private.h"

#include <unistd.h>

#include "shm-i18n-private.h"

#define BUFFER_SIZE (64 * 1024)

struct _ShmTrace
{
  GArray *events; /* of ShmTraceEvent, as they came */
  gint64 origin;  /* when the first of them began */
};

/* A file on its way: what is written piece by piece, and what it takes to undo it. */
typedef struct
{
  GFile *file;
  gboolean is_new; /* it was not there before */
  GOutputStream *stream;
  GString *line;
  gint pid;
  GHashTable *ranks; /* those that have their name in the file */
} ShmTraceWriter;

ShmTrace *
shm_trace_new (void)
{
  ShmTrace *self = g_new0 (ShmTrace, 1);

  self->events = g_array_new (FALSE, FALSE, sizeof (ShmTraceEvent));
  self->origin = G_MAXINT64;
  return self;
}

void
shm_trace_free (ShmTrace *self)
{
  g_array_unref (self->events);
  g_free (self);
}

void
shm_trace_add (ShmTrace *self, const ShmTraceEvent *event)
{
  g_array_append_vals (self->events, event, 1);
  self->origin = MIN (self->origin, event->started);
}

guint64
shm_trace_get_n_events (const ShmTrace *self)
{
  return self->events->len;
}

/* A string of JSON. The text may be anything: a program's name is a file's name. */
static void
shm_trace_append_string (GString *line, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  const char *c;

  g_string_append_c (line, '"');
  for (c = valid; *c != '\0'; c++)
    if ((guchar) *c < 0x20)
      g_string_append_printf (line, "\\u%04x", *c);
    else
      {
        if (*c == '"' || *c == '\\')
          g_string_append_c (line, '\\');
        g_string_append_c (line, *c);
      }
  g_string_append_c (line, '"');
}

/* Microseconds with three decimals, in integers, since printf() has the locale's decimal point. */
static void
shm_trace_append_time (GString *line, const char *key, gint64 from, gint64 to)
{
  guint64 time = to > from ? (guint64) to - (guint64) from : 0;

  g_string_append_printf (line, ",\"%s\":%" G_GUINT64_FORMAT ".%03u", key, time / 1000,
                          (guint) (time % 1000));
}

static void
shm_trace_append_process (GString *line, gint pid)
{
  const char *name = g_get_prgname ();

  g_string_append_printf (
      line,
      "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%d,\"tid\":0,\"args\":{\"name\":", pid);
  shm_trace_append_string (line, name != NULL ? name : "shmem-glib");
  g_string_append (line, "}}");
}

static void
shm_trace_append_rank (GString *line, gint pid, guint32 rank)
{
  g_string_append_printf (line,
                          ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":%d,\"tid\":%u,"
                          "\"args\":{\"name\":\"rank %u\"}}",
                          pid, rank, rank);
  g_string_append_printf (line,
                          ",\n{\"name\":\"thread_sort_index\",\"ph\":\"M\",\"pid\":%d,\"tid\":%u,"
                          "\"args\":{\"sort_index\":%u}}",
                          pid, rank, rank);
}

/* Perfetto does not know `cname`, so a death has a category of its own as well. */
static void
shm_trace_append_event (GString *line, gint pid, gint64 origin, const ShmTraceEvent *event)
{
  guint64 n_items = event->end > event->begin ? event->end - event->begin : 0;

  if (n_items == 0)
    g_string_append (line, ",\n{\"name\":\"no item\"");
  else if (n_items == 1)
    g_string_append_printf (line, ",\n{\"name\":\"item %" G_GUINT64_FORMAT "\"", event->begin);
  else
    g_string_append_printf (line,
                            ",\n{\"name\":\"items %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT "\"",
                            event->begin, event->end - 1);
  g_string_append_printf (line, ",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":%d,\"tid\":%u",
                          event->died ? "death" : "work", pid, event->rank);
  shm_trace_append_time (line, "ts", origin, event->started);
  shm_trace_append_time (line, "dur", event->started, event->ended);
  if (event->died)
    g_string_append (line, ",\"cname\":\"terrible\"");
  g_string_append (line, ",\"args\":{");
  if (event->died)
    g_string_append (line, "\"died\":true,");
  if (n_items > 0)
    g_string_append_printf (line, "\"index\":%" G_GUINT64_FORMAT ",", event->begin);
  g_string_append_printf (line, "\"count\":%" G_GUINT64_FORMAT ",\"worker_pid\":%d}}", n_items,
                          event->pid);
}

/* A file that is there stays as it is until the new one is whole. (What a link points to does not:
 * GIO writes that in place.)
 */
static gboolean
shm_trace_writer_open (ShmTraceWriter *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (GError) local = NULL;
  GFileOutputStream *base = g_file_create (self->file, G_FILE_CREATE_NONE, cancellable, &local);

  self->is_new = base != NULL;
  if (g_error_matches (local, G_IO_ERROR, G_IO_ERROR_EXISTS))
    base = g_file_replace (self->file, NULL, FALSE, G_FILE_CREATE_NONE, cancellable, error);
  else if (local != NULL)
    g_propagate_error (error, g_steal_pointer (&local));
  if (base == NULL)
    return FALSE;
  self->stream = g_buffered_output_stream_new_sized (G_OUTPUT_STREAM (base), BUFFER_SIZE);
  g_object_unref (base);
  return TRUE;
}

/* A stream that is closed cancelled leaves the old file; a new one has to be taken away. */
static void
shm_trace_writer_undo (ShmTraceWriter *self)
{
  g_autoptr (GCancellable) cancelled = g_cancellable_new ();

  if (self->stream == NULL)
    return;
  g_cancellable_cancel (cancelled);
  g_output_stream_close (self->stream, cancelled, NULL);
  if (self->is_new)
    g_file_delete (self->file, NULL, NULL);
}

static gboolean
shm_trace_writer_put (ShmTraceWriter *self, GCancellable *cancellable, GError **error)
{
  gboolean written = g_output_stream_write_all (self->stream, self->line->str, self->line->len,
                                                NULL, cancellable, error);

  g_string_truncate (self->line, 0);
  return written;
}

static gboolean
shm_trace_writer_run (ShmTraceWriter *self,
                      const ShmTrace *trace,
                      GCancellable *cancellable,
                      GError **error)
{
  guint i;

  if (!shm_trace_writer_open (self, cancellable, error))
    return FALSE;
  g_string_append (self->line, "{\"traceEvents\":[\n");
  shm_trace_append_process (self->line, self->pid);
  for (i = 0; i < trace->events->len; i++)
    {
      const ShmTraceEvent *event = &g_array_index (trace->events, ShmTraceEvent, i);

      if (g_hash_table_add (self->ranks, GUINT_TO_POINTER (event->rank)))
        shm_trace_append_rank (self->line, self->pid, event->rank);
      shm_trace_append_event (self->line, self->pid, trace->origin, event);
      if (!shm_trace_writer_put (self, cancellable, error))
        return FALSE;
    }
  g_string_append (self->line, "\n],\"displayTimeUnit\":\"ms\"}\n");
  /* Not left to closing, which would put the new file in its place although a flush fails. */
  return shm_trace_writer_put (self, cancellable, error) &&
         g_output_stream_flush (self->stream, cancellable, error) &&
         g_output_stream_close (self->stream, cancellable, error);
}

/* An error leaves what was there before: the old file, or none. */
gboolean
shm_trace_write (const ShmTrace *self, GFile *file, GCancellable *cancellable, GError **error)
{
  ShmTraceWriter writer = { .file = file,
                            .line = g_string_new (NULL),
                            .pid = getpid (),
                            .ranks = g_hash_table_new (NULL, NULL) };
  gboolean written = shm_trace_writer_run (&writer, self, cancellable, error);

  if (!written)
    {
      shm_trace_writer_undo (&writer);
      g_prefix_error_literal (error, _ ("The trace could not be written: "));
    }
  g_clear_object (&writer.stream);
  g_string_free (writer.line, TRUE);
  g_hash_table_unref (writer.ranks);
  return written;
}
