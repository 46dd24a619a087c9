/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: ordered-append [NEW-FILE]
 *
 * Appends chunks of different lengths to one file. The workers make them all at the same time, and
 * take turns to write: in the ordered section, which the items enter in their order. Afterwards the
 * file is compared with what one process alone would have written. Without an argument it is a
 * temporary file.
 */

#include <shmem-glib/shmem-glib.h>

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#define N_CHUNKS 500
#define MIN_LINES 50
#define MAX_LINES 99
#define N_ROUNDS 24

/* Makes some lines, each with a digest that follows from the line before. */
static GString *
make_chunk (guint64 index)
{
  GString *chunk = g_string_new (NULL);
  guint64 n_lines = MIN_LINES + index * 7919 % (MAX_LINES - MIN_LINES + 1);
  g_autofree char *digest = g_strdup_printf ("%" G_GUINT64_FORMAT, index);

  for (guint64 line = 0; line < n_lines; line++)
    {
      for (guint round = 0; round < N_ROUNDS; round++)
        {
          char *next = g_compute_checksum_for_string (G_CHECKSUM_SHA256, digest, -1);

          g_free (digest);
          digest = next;
        }
      g_string_append_printf (chunk, "%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT " %s\n", index,
                              line, digest);
    }
  return chunk;
}

static gboolean
write_all (int fd, const char *text, gsize length, GError **error)
{
  while (length > 0)
    {
      gssize n_written = write (fd, text, length);

      if (n_written < 0 && errno != EINTR)
        {
          int saved_errno = errno;

          g_set_error (error, G_IO_ERROR, (int) g_io_error_from_errno (saved_errno),
                       "cannot write to the file: %s", g_strerror (saved_errno));
          return FALSE;
        }
      if (n_written > 0)
        {
          text += n_written;
          length -= (gsize) n_written;
        }
    }
  return TRUE;
}

/* Only the writing is ordered; the locker leaves the section when the function returns. */
static GVariant *
work (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const int *fd = user_data;
  g_autoptr (GString) chunk = make_chunk (index);
  g_autoptr (ShmOrderedLocker) locker = shm_ordered_locker_new (pool, error);

  if (locker != NULL)
    write_all (*fd, chunk->str, chunk->len, error);
  return NULL;
}

static gboolean
check_file (int fd, const GString *expected, GError **error)
{
  g_autoptr (GMappedFile) file = g_mapped_file_new_from_fd (fd, FALSE, error);
  const char *contents;
  gsize length, i;

  if (file == NULL)
    return FALSE;
  contents = g_mapped_file_get_contents (file);
  length = MIN (g_mapped_file_get_length (file), expected->len);

  for (i = 0; i < length && contents[i] == expected->str[i]; i++)
    ;
  if (i < expected->len || g_mapped_file_get_length (file) != expected->len)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_FAILED,
                   "the file has %zu bytes, where %zu are expected, and is wrong from byte %zu",
                   g_mapped_file_get_length (file), expected->len, i);
      return FALSE;
    }
  return TRUE;
}

static double
seconds_since (gint64 start)
{
  return (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
}

static gboolean
append_in_order (int fd, GError **error)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GString) expected = g_string_new (NULL);
  guint n_workers = MIN (shm_map_reduce_count_workers (pool), N_CHUNKS);
  double seconds, serial_seconds;
  gint64 start = g_get_monotonic_time ();

  results = shm_map_reduce_map (pool, N_CHUNKS, NULL, work, NULL, &fd, error);
  if (results == NULL)
    return FALSE;
  seconds = seconds_since (start);

  start = g_get_monotonic_time ();
  for (guint64 index = 0; index < N_CHUNKS; index++)
    {
      g_autoptr (GString) chunk = make_chunk (index);

      g_string_append_len (expected, chunk->str, (gssize) chunk->len);
    }
  serial_seconds = seconds_since (start);

  g_print ("Number of workers: %u\n"
           "They took %.3f s, and the serial loop %.3f s: they were %.2f times as fast.\n",
           n_workers, seconds, serial_seconds, serial_seconds / seconds);
  if (!check_file (fd, expected, error))
    return FALSE;
  g_print ("The file has %zu bytes; it is whole and in order.\n", expected->len);
  return TRUE;
}

/* A temporary file loses its name at once, so that it is gone however the program ends. */
static int
open_file (const char *path, GError **error)
{
  const int flags = O_RDWR | O_APPEND | O_CLOEXEC;
  g_autofree char *temporary = NULL;
  int fd;

  if (path != NULL)
    fd = open (path, flags | O_CREAT | O_EXCL, 0666);
  else
    {
      temporary = g_build_filename (g_get_tmp_dir (), "ordered-append-XXXXXX", NULL);
      fd = g_mkstemp_full (temporary, flags, 0600);
    }
  if (fd < 0)
    {
      int saved_errno = errno;

      g_set_error (error, G_IO_ERROR, (int) g_io_error_from_errno (saved_errno),
                   "cannot create “%s”: %s", path != NULL ? path : temporary,
                   g_strerror (saved_errno));
    }
  else if (path == NULL)
    unlink (temporary);
  return fd;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  gboolean ok = FALSE;
  int fd;

  setlocale (LC_ALL, "");
  if (argc > 2)
    {
      g_printerr ("usage: ordered-append [NEW-FILE]\n");
      return EXIT_FAILURE;
    }

  fd = open_file (argv[1], &error);
  if (fd >= 0)
    {
      g_print ("Appending %d chunks of %d to %d lines to %s\n", N_CHUNKS, MIN_LINES, MAX_LINES,
               argc == 2 ? argv[1] : "a temporary file");
      ok = append_in_order (fd, &error);
      if (!g_close (fd, ok ? &error : NULL))
        ok = FALSE;
    }
  if (!ok)
    g_printerr ("ordered-append: %s\n", error->message);
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
