/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <string.h>
#include <sys/stat.h>

#include "shmem-glib/shm-failure-private.h"
#include "shmem-glib/shm-wire-private.h"

#define N_ITEMS 1000000

typedef struct
{
  ShmControl *control;
  ShmRing *ring;
  ShmRingWriter writer;
  ShmWireReader reader;
} Pipe;

static void
pipe_init (Pipe *pipe)
{
  ShmControlSettings settings = {
    .n_items = N_ITEMS, .n_workers = 1, .with_rings = TRUE, .with_wakeups = TRUE
  };

  memset (pipe, 0, sizeof *pipe);
  pipe->control = shm_control_new (&settings, NULL);
  pipe->ring = shm_control_get_ring (pipe->control, 0);
  shm_ring_writer_init (&pipe->writer, pipe->control, 0);
}

static void
pipe_clear (Pipe *pipe)
{
  shm_wire_reader_clear (&pipe->reader);
  shm_control_free (pipe->control);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Pipe, pipe_clear)

static ShmWireStatus
pipe_read (Pipe *pipe, ShmFrame *frame)
{
  g_autoptr (GError) error = NULL;
  ShmWireStatus status = shm_wire_read (&pipe->reader, pipe->ring, 0, N_ITEMS, frame, &error);

  g_assert_true ((error != NULL) == (status == SHM_WIRE_ERROR || status == SHM_WIRE_BAD_VALUE));
  if (error != NULL)
    g_assert_cmpint (error->domain, ==, SHM_ERROR);
  return status;
}

static void
test_round_trip (void)
{
  static const char *const texts[] = {
    "true",
    "byte 7",
    "int16 -3",
    "uint16 9",
    "-5",
    "uint32 6",
    "int64 -7",
    "uint64 8",
    "2.5",
    "'text'",
    "''",
    "[1, 2, 3]",
    "@as []",
    "()",
    "{'a': <1>}",
    "(1, 'x', <@mi nothing>)",
    "objectpath '/a'",
    "signature 'a{sv}'",
    "handle 3",
    "@mv just <()>",
    "[[byte 1], [], [2, 3]]",
  };
  g_auto (Pipe) pipe;
  guint round, i;

  pipe_init (&pipe);
  /* Often enough for the ring to go round, with frames across its end. */
  for (round = 0; round < 1000; round++)
    for (i = 0; i < G_N_ELEMENTS (texts); i++)
      {
        g_autoptr (GVariant) value = g_variant_parse (NULL, texts[i], NULL, NULL, NULL);
        ShmFrame frame;

        g_assert_nonnull (value);
        g_assert_true (shm_wire_write (&pipe.writer, SHM_FRAME_RESULT, i, i + 3, value));
        g_assert_cmpint (pipe_read (&pipe, &frame), ==, SHM_WIRE_FRAME);
        g_assert_cmpint (frame.kind, ==, SHM_FRAME_RESULT);
        g_assert_cmpuint (frame.begin, ==, i);
        g_assert_cmpuint (frame.end, ==, i + 3);
        g_assert_cmpvariant (frame.value, value);
        g_variant_unref (frame.value);
        g_assert_cmpint (pipe_read (&pipe, &frame), ==, SHM_WIRE_NOTHING);
      }
}

static gpointer
write_large (gpointer data)
{
  Pipe *pipe = data;
  guint i;

  for (i = 0; i < 20; i++)
    {
      gsize size = i * 77777 + 1;
      guint8 *bytes = g_malloc (size);
      g_autoptr (GVariant) value = NULL;

      memset (bytes, i, size);
      value = g_variant_ref_sink (
          g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes));
      g_assert_true (shm_wire_write (&pipe->writer, SHM_FRAME_RESULT, i, i + 1, value));
    }
  return NULL;
}

/* Frames larger than the ring: the writer sleeps until there is room, and is woken. */
static void
test_larger_than_ring (void)
{
  g_auto (Pipe) pipe;
  GThread *thread;
  guint n = 0;

  pipe_init (&pipe);
  thread = g_thread_new (NULL, write_large, &pipe);
  while (n < 20)
    {
      ShmFrame frame;
      gconstpointer bytes;
      gsize size;

      if (pipe_read (&pipe, &frame) == SHM_WIRE_NOTHING)
        {
          g_thread_yield ();
          continue;
        }
      g_assert_cmpuint (frame.begin, ==, n);
      bytes = g_variant_get_fixed_array (frame.value, &size, 1);
      g_assert_cmpuint (size, ==, n * 77777 + 1);
      g_assert_cmpuint (((const guint8 *) bytes)[0], ==, n);
      g_assert_cmpuint (((const guint8 *) bytes)[size - 1], ==, n);
      g_variant_unref (frame.value);
      n++;
    }
  g_thread_join (thread);
}

/* A worker that waits for room must leave when the job is stopped. */
static void
test_stopped_while_full (void)
{
  g_autoptr (GVariant) value = NULL;
  g_auto (Pipe) pipe;
  g_autofree guint8 *bytes = g_malloc0 (SHM_RING_DATA * 2);

  pipe_init (&pipe);
  shm_control_stop (pipe.control);
  value = g_variant_ref_sink (
      g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, SHM_RING_DATA * 2, 1));
  g_assert_false (shm_wire_write (&pipe.writer, SHM_FRAME_RESULT, 0, 1, value));
}

static void
send_raw (Pipe *pipe, ShmFrameHeader header, const char *body, gsize size)
{
  g_assert_true (shm_ring_write (&pipe->writer, &header, sizeof header));
  if (size > 0)
    g_assert_true (shm_ring_write (&pipe->writer, body, size));
  shm_ring_publish (&pipe->writer);
}

static void
test_damaged_headers (void)
{
  static const ShmFrameHeader headers[] = {
    { 0, 1, 0, 1, 8 },
    { 3, 1, 0, 1, 8 },
    { SHM_FRAME_RESULT, 0, 0, 1, 8 },
    { SHM_FRAME_RESULT, 1000000, 0, 1, 8 },
    { SHM_FRAME_RESULT, 1, 1, 1, 8 },
    { SHM_FRAME_RESULT, 1, 2, 1, 8 },
    { SHM_FRAME_RESULT, 1, 0, N_ITEMS + 1, 8 },
    { SHM_FRAME_RESULT, 1, 0, 1, G_MAXUINT64 },
    { SHM_FRAME_RESULT, 1, 0, 1, G_MAXINT64 },
    { SHM_FRAME_RESULT, 1, 0, 1, G_GUINT64_CONSTANT (1) << 62 },
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (headers); i++)
    {
      g_auto (Pipe) pipe;
      ShmFrame frame;

      pipe_init (&pipe);
      send_raw (&pipe, headers[i], "x\0\0\0\0\0\0\0abcdefgh", 16);
      g_assert_cmpint (pipe_read (&pipe, &frame), ==, SHM_WIRE_ERROR);
    }
}

static void
test_damaged_values (void)
{
  static const struct
  {
    const char *type;
    gsize size;
  } values[] = {
    { "b", 1 },    /* 'a' is no truth value */
    { "x", 7 },    /* not of its size */
    { "s", 4 },    /* no end */
    { "ai", 3 },   /* half an item */
    { "(ii", 8 },  /* no type */
    { "*", 8 },    /* no definite type */
    { "zz", 8 },   /* no type either */
    { "a{sv}", 8 } /* no end of its parts */
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_auto (Pipe) pipe;
      char body[16] = { 0 };
      ShmFrame frame;
      g_autoptr (GVariant) good = g_variant_ref_sink (g_variant_new_int32 (5));

      pipe_init (&pipe);
      memcpy (body, values[i].type, strlen (values[i].type));
      memcpy (body + 8, "abcdefgh", 8);
      send_raw (&pipe,
                (ShmFrameHeader){ SHM_FRAME_RESULT, strlen (values[i].type), 4, 5, values[i].size },
                body, 16);
      g_assert_true (shm_wire_write (&pipe.writer, SHM_FRAME_RESULT, 5, 6, good));
      g_assert_cmpint (pipe_read (&pipe, &frame), ==, SHM_WIRE_BAD_VALUE);
      g_assert_cmpuint (frame.begin, ==, 4);
      /* What follows it is whole. */
      g_assert_cmpint (pipe_read (&pipe, &frame), ==, SHM_WIRE_FRAME);
      g_assert_cmpint (g_variant_get_int32 (frame.value), ==, 5);
      g_variant_unref (frame.value);
    }
}

/* A piece that is used again may be longer, as far as its pages reach: all of them belong to the file. */
static void
test_whole_pages (void)
{
  g_autoptr (GError) error = NULL;
  g_auto (Pipe) pipe;
  struct stat status;
  guint64 offset;

  pipe_init (&pipe);
  pipe.writer.arena = shm_arena_new (1, &error);
  g_assert_no_error (error);
  g_assert_true (shm_wire_deposit (&pipe.writer, "short", 5, &offset, &error));
  g_assert_no_error (error);
  g_assert_cmpint (fstat (shm_arena_get_fd (pipe.writer.arena), &status), ==, 0);
  g_assert_cmpuint (status.st_size, ==, offset + shm_arena_round (5));
  shm_arena_unref (pipe.writer.arena);
}

/* A worker that has filled its part of the arena does not go on in that of the next one. */
static void
test_full_part (void)
{
  g_autoptr (GError) error = NULL;
  g_auto (Pipe) pipe;
  guint64 offset;

  pipe_init (&pipe);
  pipe.writer.arena = shm_arena_new (1, &error);
  g_assert_no_error (error);
  pipe.control->lines[0].arena_head = shm_arena_get_part_size () - shm_arena_round (1);

  g_assert_true (shm_wire_deposit (&pipe.writer, "last", 4, &offset, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (offset, ==, shm_arena_get_base (2) - shm_arena_round (1));
  g_assert_false (shm_wire_deposit (&pipe.writer, "more", 4, &offset, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY);
  shm_arena_unref (pipe.writer.arena);
}

/* A piece that is used again is mapped already, whatever lay there before. */
static void
test_recycled (void)
{
  g_autoptr (GError) error = NULL;
  g_auto (Pipe) pipe;
  gsize size = (gsize) 1 << 20;
  g_autofree char *text = g_malloc (size);
  ShmArena *arena;
  gconstpointer last = NULL;
  guint64 start;
  guint i;

  pipe_init (&pipe);
  arena = pipe.reader.arena = shm_arena_new (1, &error);
  g_assert_no_error (error);
  pipe.writer.arena = arena;
  start = pipe.control->lines[0].arena_head;

  for (i = 0; i < 8; i++)
    {
      gboolean plain = i % 3 != 2;
      g_autoptr (GVariant) sent = NULL;
      ShmFrame frame;

      memset (text, 'a' + (int) i, size - 1 - i * 5000);
      text[size - 1 - i * 5000] = '\0';
      sent = g_variant_ref_sink (plain ? g_variant_new_bytestring (text)
                                       : g_variant_new ("(s)", text));
      g_assert_true (shm_wire_write (&pipe.writer, SHM_FRAME_RESULT, i, i + 1, sent));
      g_assert_cmpint (pipe_read (&pipe, &frame), ==, SHM_WIRE_FRAME);
      g_assert_true (g_variant_equal (frame.value, sent));
      if (plain && last != NULL)
        g_assert_true (g_variant_get_data (frame.value) == last);
      last = g_variant_get_data (frame.value);
      g_variant_unref (frame.value);
    }
  g_assert_cmpuint (pipe.control->lines[0].arena_head - start, ==, shm_arena_round (size));
  shm_arena_stop_recycling (arena);
  shm_arena_unref (arena);
}

/* A position that cannot be made the reader take what is in the ring again and again, up to the size that a
 * header had announced. */
static void
test_damaged_head (void)
{
  ShmFrameHeader header = { SHM_FRAME_RESULT, 2, 4, 5, G_GUINT64_CONSTANT (1) << 40 };
  g_auto (Pipe) pipe;
  ShmFrame frame;

  pipe_init (&pipe);
  send_raw (&pipe, header, "ay", 2);
  g_assert_cmpint (pipe_read (&pipe, &frame), ==, SHM_WIRE_NOTHING);
  pipe.ring->head = G_MAXUINT64;
  g_assert_cmpint (pipe_read (&pipe, &frame), ==, SHM_WIRE_ERROR);
}

static void
test_torn (void)
{
  g_auto (Pipe) pipe;
  ShmFrame frame;

  pipe_init (&pipe);
  send_raw (&pipe, (ShmFrameHeader){ SHM_FRAME_RESULT, 1, 4, 5, 4096 }, "y", 1);
  g_assert_cmpint (pipe_read (&pipe, &frame), ==, SHM_WIRE_NOTHING);
  g_assert_cmpint (pipe_read (&pipe, &frame), ==, SHM_WIRE_NOTHING);
}

/* Random bytes, and good frames with random bytes changed: anything but a crash. */
static void
test_random_bytes (void)
{
  guint round, i;

  for (round = 0; round < test_scale (20000); round++)
    {
      g_auto (Pipe) pipe;
      g_autoptr (GVariant) value = g_variant_ref_sink (
          g_variant_new ("(a{sv}(ixd)as)", NULL, 1, G_GINT64_CONSTANT (2), 3.0, NULL));
      guint8 *data;
      ShmFrame frame;
      ShmWireStatus status;

      pipe_init (&pipe);
      g_assert_true (shm_wire_write (&pipe.writer, SHM_FRAME_RESULT, 0, 1, value));
      g_assert_true (shm_wire_write (&pipe.writer, SHM_FRAME_RESULT, 1, 2, value));
      data = (guint8 *) pipe.ring + 4096;
      for (i = g_test_rand_int_range (1, 6); i > 0; i--)
        data[g_test_rand_int_range (0, 160)] ^= 1 << g_test_rand_int_range (0, 8);
      do
        {
          frame.value = NULL;
          status = pipe_read (&pipe, &frame);
          if (status == SHM_WIRE_FRAME)
            {
              g_autofree char *text = g_variant_print (frame.value, TRUE);
              g_autoptr (ShmFailure) failure = shm_failure_from_variant (0, 0, frame.value);

              g_assert_nonnull (text);
              g_variant_unref (frame.value);
            }
        }
      while (status == SHM_WIRE_FRAME || status == SHM_WIRE_BAD_VALUE);
    }
}

static void
test_failure (void)
{
  g_autoptr (GError) error =
      g_error_new_literal (G_FILE_ERROR, G_FILE_ERROR_NOSPC, "no room \xff here");
  g_autoptr (ShmFailure) failure = shm_failure_new (17, 3, error);
  g_autoptr (ShmFailure) copy = NULL;
  g_autoptr (GVariant) variant = NULL;
  g_autoptr (GError) told = NULL;

  failure->traceback = g_strdup ("here\nthere");
  failure->payload = g_variant_ref_sink (g_variant_new_int32 (5));
  variant = shm_failure_to_variant (failure);
  copy = shm_failure_from_variant (17, 3, variant);
  g_assert_error (copy->error, G_FILE_ERROR, G_FILE_ERROR_NOSPC);
  g_assert_cmpstr (copy->traceback, ==, "here\nthere");
  g_assert_cmpint (g_variant_get_int32 (copy->payload), ==, 5);
  told = shm_failure_to_error (copy);
  g_assert_cmpstr (told->message, ==, "Item 17 on worker 3: no room \357\277\275 here");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/wire/round-trip", test_round_trip);
  test_add ("/wire/larger-than-ring", test_larger_than_ring);
  test_add ("/wire/stopped-while-full", test_stopped_while_full);
  test_add ("/wire/damaged-headers", test_damaged_headers);
  test_add ("/wire/damaged-values", test_damaged_values);
  test_add ("/wire/damaged-head", test_damaged_head);
  test_add ("/wire/torn", test_torn);
  test_add ("/wire/random-bytes", test_random_bytes);
  test_add ("/wire/failure", test_failure);
  test_add ("/wire/whole-pages", test_whole_pages);
  test_add ("/wire/full-part", test_full_part);
  test_add ("/wire/recycled", test_recycled);

  return g_test_run ();
}
