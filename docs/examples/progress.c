/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: progress [NUMBER]
 *
 * Fills a table of records, one for each of the first NUMBER numbers: how many steps it takes from
 * there to 1 if even numbers are halved, and odd ones tripled and one added (Collatz), and how high
 * that leads. Then a second job checks each record against the one after it on its way.
 *
 * Both run beside a main loop, which Ctrl-C still reaches. The first job shows its progress by what
 * the program itself prints when a property changes; the second has the library write a line. With
 * SHM_PROGRESS=1 in the environment, jobs do that in any program, on a terminal.
 */

#include <shmem-glib/shmem-glib.h>

#include <gio/gunixoutputstream.h>
#include <glib-unix.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct
{
  guint64 highest;
  guint64 n_steps;
} Record;

typedef struct
{
  guint64 n_records;
  Record *records; /* shared by all: record i is of the number i + 1 */
} Table;

typedef struct
{
  GMainLoop *loop;
  gboolean ok;
  GError *error;
} Outcome;

static guint64
get_next (guint64 number)
{
  return number % 2 == 0 ? number / 2 : 3 * number + 1;
}

static gboolean
fill_range (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  const Table *table = user_data;

  for (guint64 i = begin; i < end; i++)
    {
      Record record = { .highest = i + 1 };

      for (guint64 number = i + 1; number != 1; number = get_next (number))
        {
          record.highest = MAX (record.highest, number);
          record.n_steps++;
        }
      table->records[i] = record;
    }
  return TRUE;
}

static gboolean
check_range (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  const Table *table = user_data;

  for (guint64 i = begin; i < end; i++)
    {
      const Record *record = &table->records[i], *later;
      guint64 number = i + 1;
      guint64 n_steps = 0, highest = number;

      /* On the way there are numbers that the table does not reach. */
      do
        {
          number = get_next (number);
          highest = MAX (highest, number);
          n_steps++;
        }
      while (number > table->n_records);
      later = &table->records[number - 1];

      if (i == 0 ? record->n_steps != 0 || record->highest != 1
                 : record->n_steps != n_steps + later->n_steps ||
                       record->highest != MAX (highest, later->highest))
        {
          g_set_error (error, SHM_ERROR, SHM_ERROR_FAILED,
                       "the record of %" G_GUINT64_FORMAT " is wrong", i + 1);
          return FALSE;
        }
    }
  return TRUE;
}

static void
on_fraction (ShmJob *job, GParamSpec *property, gpointer user_data)
{
  double eta = shm_job_get_eta (job);
  g_autofree char *left =
      eta >= 0.0 ? g_strdup_printf (", %4.1f s left", eta) : g_strdup (", nobody knows how long");

  g_print ("\rFilling: %3.0f %%, %5.2f million records a second%s ",
           100.0 * shm_job_get_fraction (job), shm_job_get_rate (job) / 1e6, left);
}

static gboolean
on_interrupt (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return G_SOURCE_CONTINUE;
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Outcome *outcome = user_data;

  outcome->ok = shm_job_run_finish (SHM_JOB (source), result, &outcome->error);
  g_main_loop_quit (outcome->loop);
}

/* A main loop would run in any case in an application that has windows. */
static gboolean
run_job (ShmJob *job, GCancellable *cancellable, GError **error)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Outcome outcome = { .loop = loop };

  shm_job_run_async (job, cancellable, on_done, &outcome);
  g_main_loop_run (loop);
  if (!outcome.ok)
    g_propagate_error (error, outcome.error);
  return outcome.ok;
}

static gboolean
run (guint64 n_records, GError **error)
{
  const gsize shape[] = { n_records };
  g_autoptr (ShmArray) array = shm_array_new_full (SHM_DTYPE_RECORD, sizeof (Record), shape, 1,
                                                   SHM_ARRAY_FLAGS_RESERVE, error);
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) fill = shm_job_new (pool, n_records);
  g_autoptr (ShmJob) check = shm_job_new (pool, n_records);
  g_autoptr (GOutputStream) stream = g_unix_output_stream_new (STDERR_FILENO, FALSE);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  guint interrupt = g_unix_signal_add (SIGINT, on_interrupt, cancellable);
  Table table = { .n_records = n_records };
  guint64 longest = 0;
  gboolean ok;

  if (array == NULL)
    return FALSE;
  table.records = shm_array_get_data (array);

  shm_job_set_loop_func (fill, fill_range, &table, NULL);
  g_signal_connect (fill, "notify::fraction", G_CALLBACK (on_fraction), NULL);
  shm_job_set_loop_func (check, check_range, &table, NULL);
  shm_job_set_progress_stream (check, stream);

  ok = run_job (fill, cancellable, error);
  g_print ("\n%" G_GUINT64_FORMAT " records were filled.\n", shm_job_get_n_done (fill));
  ok = ok && run_job (check, cancellable, error);
  g_source_remove (interrupt);
  if (!ok)
    return FALSE;

  for (guint64 i = 1; i < n_records; i++)
    if (table.records[i].n_steps > table.records[longest].n_steps)
      longest = i;
  g_print ("They are right. The longest way is that of %" G_GUINT64_FORMAT ": %" G_GUINT64_FORMAT
           " steps, by way of %" G_GUINT64_FORMAT ".\n",
           longest + 1, table.records[longest].n_steps, table.records[longest].highest);
  return TRUE;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  guint64 n_records = 10000000;

  setlocale (LC_ALL, "");
  if (argc > 2)
    {
      g_printerr ("usage: progress [NUMBER]\n");
      return EXIT_FAILURE;
    }
  /* Up to so far, none of the ways leads out of 64 bits. */
  if ((argc == 2 && !g_ascii_string_to_unsigned (argv[1], 10, 1, 1000000000, &n_records, &error)) ||
      !run (n_records, &error))
    {
      g_printerr ("progress: %s\n", error->message);
      return EXIT_FAILURE;
    }
  return EXIT_SUCCESS;
}
