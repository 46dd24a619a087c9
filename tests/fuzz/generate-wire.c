/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Writes the corpus that fuzzing begins with: frames as workers send them, torn ones, damaged ones.
 *
 *     generate-wire FOLDER
 */

#include "config.h"

#include <gio/gio.h>
#include <string.h>

#include "fuzz-wire.h"

#include "shmem-glib/shm-error.h"
#include "shmem-glib/shm-failure-private.h"
#include "shmem-glib/shm-wire-private.h"

typedef struct
{
  const char *folder;
  ShmControl *control;
  ShmRing *ring;
  ShmRingWriter writer;
  guint n_files;
} Generator;

/* Takes what was written into the ring; each file lies elsewhere in it, and is cut in another way,
 * if the prologue says nothing else. */
static void
save (Generator *self, const char *kind, gsize length, const FuzzWirePrologue *prologue)
{
  g_autofree char *name = g_strdup_printf ("%s-%03u", kind, self->n_files);
  g_autofree char *path = g_build_filename (self->folder, name, NULL);
  g_autoptr (GError) error = NULL;
  gsize size = MIN (length, shm_ring_get_available (self->ring));
  g_autofree guint8 *input = g_malloc (sizeof *prologue + size);
  FuzzWirePrologue usual = { self->n_files * 16, self->n_files % 2 ? self->n_files : 0, 0, 0 };

  memcpy (input, prologue ? prologue : &usual, sizeof *prologue);
  shm_ring_peek (self->ring, 0, input + sizeof *prologue, size);
  shm_ring_reset (self->ring);
  if (!g_file_set_contents (path, (char *) input, sizeof *prologue + size, &error))
    g_error ("%s", error->message);
  self->n_files++;
}

static void
write_frame (Generator *self, ShmFrameKind kind, guint64 begin, guint64 end, GVariant *value)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (value);

  if (!shm_wire_write (&self->writer, kind, begin, end, owned))
    g_error ("the ring is full");
}

static void
write_raw (Generator *self, const ShmFrameHeader *header, gconstpointer body, gsize size)
{
  if (!shm_ring_write (&self->writer, header, sizeof *header) ||
      !shm_ring_write (&self->writer, body, size))
    g_error ("the ring is full");
  shm_ring_publish (&self->writer);
}

static GVariant *
new_bytes (gsize size)
{
  g_autofree guint8 *bytes = g_malloc (size);

  memset (bytes, 'b', size);
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, size, 1);
}

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
  "handle 3",
  "'text'",
  "''",
  "objectpath '/a/b'",
  "signature 'a{sv}'",
  "()",
  "<()>",
  "<<<<'deep'>>>>",
  "@ms nothing",
  "@mms just nothing",
  "just 5",
  "@mv just <()>",
  "[1, 2, 3]",
  "[1.5, 2.5]",
  "[true, false]",
  "@as []",
  "@aas [[], ['a'], ['b', 'cc', '']]",
  "[byte 1, 2, 3]",
  "[[byte 1], [], [2, 3]]",
  "['one', 'two', 'three']",
  "{'a': <1>, 'b': <'x'>}",
  "{1: 2.5, 3: 4.5}",
  "@(sii) ('x', 1, 2)",
  "(byte 1, int64 2, int16 3, 4.5, true)",
  "(1, 'x', <@mi nothing>)",
  "((1, ('a', ['b'])), {'c': <[<1>, <'d'>]>})",
  "[(1, 'a'), (2, 'bb')]",
  "@a(ms) [(just 'a',), (nothing,)]",
};

static void
generate_good (Generator *self)
{
  static const gsize sizes[] = { 500, 512, 520, 1024, 4000 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      GVariant *value = g_variant_parse (NULL, texts[i], NULL, NULL, NULL);

      g_assert_nonnull (value);
      write_frame (self, SHM_FRAME_RESULT, i, i + 1 + i % 3, value);
      if (i % 4 == 3)
        write_frame (self, SHM_FRAME_RESULT, 999999, 1000000, g_variant_new_uint32 (i));
      save (self, "good", G_MAXSIZE, NULL);
    }
  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      write_frame (self, SHM_FRAME_RESULT, 1, 2, new_bytes (sizes[i]));
      save (self, "good", G_MAXSIZE, NULL);
    }
  for (i = 0; i < 20; i++)
    write_frame (self, SHM_FRAME_RESULT, i, i + 1, g_variant_new_double (i));
  save (self, "good", G_MAXSIZE, NULL);
}

static GVariant *
new_failure (const GError *error, const char *traceback, GVariant *payload)
{
  g_autoptr (ShmFailure) failure = shm_failure_new (7, 1, error);

  failure->traceback = g_strdup (traceback);
  failure->payload = payload ? g_variant_ref_sink (payload) : NULL;
  return shm_failure_to_variant (failure);
}

static void
generate_failures (Generator *self)
{
  const GError errors[] = {
    { SHM_ERROR, SHM_ERROR_FAILED, (char *) "it failed" },
    { SHM_ERROR, SHM_ERROR_WORKER_TIMEOUT, (char *) "the item took longer than it may" },
    { G_IO_ERROR, G_IO_ERROR_NOT_FOUND, (char *) "" },
    { g_quark_from_static_string ("python"), -1, (char *) "ValueError: \303\244" },
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      g_autoptr (GVariant) plain = new_failure (&errors[i], NULL, NULL);
      g_autoptr (GVariant) full = new_failure (&errors[i], "line 1\nline 2",
                                               g_variant_new_parsed ("{'pickle': <b'\\200'>}"));

      write_frame (self, SHM_FRAME_FAILURE, i, i + 1, plain);
      save (self, "failure", G_MAXSIZE, NULL);
      write_frame (self, SHM_FRAME_RESULT, i, i + 1, g_variant_new_int32 (4));
      write_frame (self, SHM_FRAME_FAILURE, i + 1, i + 2, full);
      save (self, "failure", G_MAXSIZE, NULL);
    }
  write_frame (self, SHM_FRAME_FAILURE, 1, 2,
               g_variant_new_parsed ("('', 3, @ms nothing, 'm', @ms nothing, @mv nothing)"));
  save (self, "nonsense", G_MAXSIZE, NULL);
  write_frame (self, SHM_FRAME_FAILURE, 1, 2,
               g_variant_new_parsed ("('', 3, 'm', @ms nothing, @mv nothing)"));
  save (self, "nonsense", G_MAXSIZE, NULL);
}

static void
generate_torn (Generator *self)
{
  static const gsize lengths[] = { 1, 31, 32, 33, 39, 40, 47, 100, 300, 1000 };
  const FuzzWirePrologue damaged = { 64, 0, 0, 1 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      write_frame (self, SHM_FRAME_RESULT, i, i + 1, new_bytes (3000));
      save (self, "torn", lengths[i], NULL);
    }
  write_frame (self, SHM_FRAME_RESULT, 0, 1, new_bytes (3000));
  save (self, "head", 200, &damaged);
  write_frame (self, SHM_FRAME_RESULT, 0, 1, g_variant_new_int32 (4));
  save (self, "head", G_MAXSIZE, &damaged);
}

/* Frames whose bytes, but for the first, are the filler. */
static void
generate_large (Generator *self)
{
  static const gsize sizes[] = { 40000, 150000, 600000, 720000, 5000000 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      const ShmFrameHeader header = { SHM_FRAME_RESULT, 2, i, i + 1, sizes[i] };
      guint n_blocks = MIN (16, 1 + sizes[i] / FUZZ_WIRE_BLOCK);
      const FuzzWirePrologue prologue = { i * 50, i, FUZZ_WIRE_FILLER + n_blocks - 1, 0 };

      write_raw (self, &header, "at\0\0\0\0\0\0zz", 10);
      save (self, "large", G_MAXSIZE, &prologue);
    }
}

static void
generate_bad (Generator *self)
{
  static const ShmFrameHeader headers[] = {
    { 0, 1, 0, 1, 8 },
    { 3, 1, 0, 1, 8 },
    { SHM_FRAME_RESULT, 0, 0, 1, 8 },
    { SHM_FRAME_RESULT, 65537, 0, 1, 8 },
    { SHM_FRAME_RESULT, 1, 2, 1, 8 },
    { SHM_FRAME_RESULT, 1, 0, 1000001, 8 },
    { SHM_FRAME_FAILURE, 1, 0, 1, G_MAXUINT64 },
    { SHM_FRAME_FAILURE, 1, 0, 1, G_GUINT64_CONSTANT (1) << 62 },
  };
  static const struct
  {
    const char *type;
    gsize size;
  } values[] = {
    { "b", 1 },  { "x", 7 },  { "s", 4 },  { "ai", 3 },    { "(ii", 8 },   { "*", 8 },
    { "zz", 8 }, { "mv", 8 }, { "as", 8 }, { "a{sv}", 8 }, { "(sis)", 8 }, { "v", 8 },
  };
  char body[16] = "";
  guint i;

  for (i = 0; i < G_N_ELEMENTS (headers); i++)
    {
      write_raw (self, &headers[i], "x\0\0\0\0\0\0\0abcdefgh", 16);
      save (self, "bad", G_MAXSIZE, NULL);
    }
  for (i = 0; i < G_N_ELEMENTS (values); i++)
    {
      const ShmFrameHeader header = { SHM_FRAME_RESULT, strlen (values[i].type), i, i + 1,
                                      values[i].size };

      memset (body, 0, sizeof body);
      memcpy (body, values[i].type, strlen (values[i].type));
      memcpy (body + 8, "abcdefgh", 8);
      write_raw (self, &header, body, 16);
      write_frame (self, SHM_FRAME_RESULT, 5, 6, g_variant_new_int32 (5));
      save (self, "bad", G_MAXSIZE, NULL);
    }
}

int
main (int argc, char *argv[])
{
  ShmControlSettings settings = { .n_items = 1000000, .n_workers = 1, .with_rings = TRUE };
  g_autoptr (ShmControl) control = shm_control_new (&settings, NULL);
  Generator self = { .control = control };

  if (argc != 2 || control == NULL)
    {
      g_printerr ("usage: %s FOLDER\n", argv[0]);
      return 2;
    }
  self.folder = argv[1];
  self.ring = shm_control_get_ring (control, 0);
  shm_ring_writer_init (&self.writer, control, 0);

  generate_good (&self);
  generate_failures (&self);
  generate_torn (&self);
  generate_large (&self);
  generate_bad (&self);
  g_print ("%u files\n", self.n_files);
  return 0;
}
