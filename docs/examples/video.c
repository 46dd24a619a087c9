/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: video [NUMBER [FILE.y4m]]
 *
 * Computes NUMBER frames of a dive into the Mandelbrot set. A worker allocates each frame when it comes
 * to it, and hands it over. The caller takes the frames in their order while later ones are made,
 * and encodes them; at most a window of them waits. The video is compared with what one process
 * alone makes, by checksum, and is written to FILE if one is given.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 480
#define HEIGHT 270
#define WINDOW 8
#define MAX_ROUNDS 200

typedef struct
{
  GChecksum *checksum;
  GOutputStream *stream; /* or NULL */
  guint64 n_frames;
  guint64 n_bytes;
} Encoder;

static guint8
get_grey (double x, double y)
{
  double a = 0.0, b = 0.0;
  guint n_rounds;

  for (n_rounds = 0; n_rounds < MAX_ROUNDS && a * a + b * b <= 4.0; n_rounds++)
    {
      double next = a * a - b * b + x;

      b = 2.0 * a * b + y;
      a = next;
    }
  return n_rounds == MAX_ROUNDS ? 16 : (guint8) (235 - n_rounds * 8 % 200);
}

static GVariant *
draw_frame (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  guint8 *frame = g_malloc (WIDTH * HEIGHT);
  double scale = 3.0 / WIDTH * pow (0.9, (double) index);

  for (guint row = 0; row < HEIGHT; row++)
    for (guint column = 0; column < WIDTH; column++)
      frame[row * WIDTH + column] = get_grey (-0.743643887 + scale * ((double) column - WIDTH / 2),
                                              0.131825904 + scale * ((double) row - HEIGHT / 2));
  return g_variant_new_from_data (G_VARIANT_TYPE ("ay"), frame, WIDTH * HEIGHT, TRUE, g_free,
                                  frame);
}

static gboolean
encode (Encoder *encoder, const void *data, gsize n_bytes, GError **error)
{
  g_checksum_update (encoder->checksum, data, (gssize) n_bytes);
  encoder->n_bytes += n_bytes;
  return encoder->stream == NULL ||
         g_output_stream_write_all (encoder->stream, data, n_bytes, NULL, NULL, error);
}

/* A frame is freed when this returns. */
static gboolean
take_frame (ShmJob *job, guint64 index, GVariant *frame, gpointer user_data, GError **error)
{
  Encoder *encoder = user_data;

  if (index != encoder->n_frames++)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_FAILED,
                   "frame %" G_GUINT64_FORMAT " comes out of order", index);
      return FALSE;
    }
  return encode (encoder, "FRAME\n", 6, error) &&
         encode (encoder, g_variant_get_data (frame), g_variant_get_size (frame), error);
}

/* Returns: (transfer full): the checksum, or NULL */
static char *
make_video (guint64 n_frames, ShmBackendType backend, GOutputStream *stream, GError **error)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = shm_job_new (pool, n_frames);
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree char *header =
      g_strdup_printf ("YUV4MPEG2 W%d H%d F25:1 Ip A1:1 Cmono\n", WIDTH, HEIGHT);
  g_autofree char *size = NULL;
  Encoder encoder = { .checksum = checksum, .stream = stream };
  gint64 start = g_get_monotonic_time ();
  double seconds;

  shm_map_reduce_set_backend (pool, backend);
  shm_job_set_output (job, SHM_OUTPUT_STREAM_IN_ORDER);
  shm_job_set_window (job, WINDOW);
  shm_job_set_map_func (job, draw_frame, NULL, NULL);
  shm_job_set_result_func (job, take_frame, &encoder, NULL);
  if (!encode (&encoder, header, strlen (header), error) || !shm_job_run (job, NULL, error))
    return NULL;

  seconds = (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
  size = g_format_size (encoder.n_bytes);
  g_print ("%" G_GUINT64_FORMAT " frames, %s in %.3f s: %.1f frames in a second\n",
           encoder.n_frames, size, seconds, (double) encoder.n_frames / seconds);
  return g_strdup (g_checksum_get_string (checksum));
}

static gboolean
run (guint64 n_frames, const char *path, GError **error)
{
  g_autoptr (GFile) file = path != NULL ? g_file_new_for_commandline_arg (path) : NULL;
  g_autoptr (GFileOutputStream) stream = NULL;
  g_autofree char *checksum = NULL;
  g_autofree char *serial_checksum = NULL;

  if (file != NULL)
    {
      stream = g_file_replace (file, NULL, FALSE, G_FILE_CREATE_NONE, NULL, error);
      if (stream == NULL)
        return FALSE;
    }
  g_print ("The workers: ");
  checksum = make_video (n_frames, SHM_BACKEND_TYPE_PROCESS, (GOutputStream *) stream, error);
  if (checksum == NULL ||
      (stream != NULL && !g_output_stream_close (G_OUTPUT_STREAM (stream), NULL, error)))
    return FALSE;
  g_print ("One process: ");
  serial_checksum = make_video (n_frames, SHM_BACKEND_TYPE_SERIAL, NULL, error);
  if (serial_checksum == NULL)
    return FALSE;
  if (!g_str_equal (checksum, serial_checksum))
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED, "the videos differ");
      return FALSE;
    }
  g_print ("Both made the same video: %s\n", checksum);
  return TRUE;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  guint64 n_frames = 50;

  setlocale (LC_ALL, "");
  if (argc > 3)
    {
      g_printerr ("usage: video [NUMBER [FILE.y4m]]\n");
      return EXIT_FAILURE;
    }
  if ((argc > 1 && !g_ascii_string_to_unsigned (argv[1], 10, 1, 100000, &n_frames, &error)) ||
      !run (n_frames, argc > 2 ? argv[2] : NULL, &error))
    {
      g_printerr ("video: %s\n", error->message);
      return EXIT_FAILURE;
    }
  return EXIT_SUCCESS;
}
