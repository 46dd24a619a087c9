/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What the caller does with the bytes that a worker has sent, whatever they are.
 *
 *     input = FuzzWirePrologue | bytes
 *
 * The bytes arrive in a ring, in pieces; after each piece frames are read until there is no whole
 * one left, and each value is looked at from end to end. The pieces must make no difference: what
 * came in several is read once more in one, and has to give the same.
 */

#include "config.h"

#include "fuzz-wire.h"

#include <string.h>

#include "shmem-glib/shm-error.h"
#include "shmem-glib/shm-failure-private.h"
#include "shmem-glib/shm-wire-private.h"

#define N_ITEMS 1000000
#define MAX_BYTES (SHM_RING_DATA / 2)
#define MAX_LOOK 4096 /* bytes of a value; the rest of a larger one has nothing new */

typedef struct
{
  ShmControl *control;
  ShmRing *ring;
  ShmWireReader reader;
  FuzzWireCounts *counts;
} FuzzWire;

int LLVMFuzzerInitialize (int *argc, char ***argv);
int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static guint8 *
fuzz_wire_get_data (FuzzWire *self)
{
  return (guint8 *) self->ring + SHM_RING_SIZE - SHM_RING_DATA;
}

/* Like GLib's hash of strings, of what may hold zeros. */
static void
fuzz_wire_digest (FuzzWire *self, gconstpointer data, gsize size)
{
  const guint8 *bytes = data;
  gsize i;

  for (i = 0; i < size; i++)
    self->counts->digest = self->counts->digest * 33 + bytes[i];
}

static void
fuzz_wire_touch (FuzzWire *self, GVariant *value)
{
  g_autoptr (GVariant) normal = NULL;
  gsize size = g_variant_get_size (value);

  g_assert_false (g_variant_is_floating (value));
  g_assert_true (g_variant_is_normal_form (value));
  normal = g_variant_get_normal_form (value);
  if (size <= MAX_LOOK)
    {
      g_autofree char *text = g_variant_print (value, TRUE);

      g_assert_nonnull (text);
    }
  fuzz_wire_digest (self, g_variant_get_type_string (value),
                    strlen (g_variant_get_type_string (value)));
  if (size > 0)
    fuzz_wire_digest (self, g_variant_get_data (value), MIN (size, MAX_LOOK));
}

static void
fuzz_wire_take_failure (FuzzWire *self, const ShmFrame *frame)
{
  ShmFailure *failure = shm_failure_from_variant (frame->begin, 3, frame->value);
  g_autoptr (GVariant) again = NULL;
  g_autoptr (GError) error = NULL;

  if (failure == NULL)
    return;
  error = shm_failure_to_error (failure);
  g_assert_cmpuint (error->domain, !=, 0);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  again = shm_failure_to_variant (failure);
  g_assert_true (g_variant_is_normal_form (again));
  self->counts->n_failures++;
  shm_failure_unref (failure);
}

static void
fuzz_wire_take (FuzzWire *self, ShmFrame *frame)
{
  g_autoptr (GVariant) value = frame->value;

  gboolean of_worker = frame->kind == SHM_FRAME_BROKEN || frame->kind == SHM_FRAME_SUMMARY;

  g_assert_true (frame->kind >= SHM_FRAME_RESULT && frame->kind <= SHM_FRAME_TRACE);
  g_assert_true (of_worker ? frame->begin == 0 && frame->end == 0
                           : frame->begin < frame->end && frame->end <= N_ITEMS);
  fuzz_wire_digest (self, &frame->kind, sizeof frame->kind);
  fuzz_wire_digest (self, &frame->begin, sizeof frame->begin);
  fuzz_wire_digest (self, &frame->end, sizeof frame->end);
  fuzz_wire_touch (self, value);
  if (frame->kind == SHM_FRAME_FAILURE || frame->kind == SHM_FRAME_BROKEN)
    fuzz_wire_take_failure (self, frame);
  else
    self->counts->n_results++;
}

/* FALSE: nothing more can be understood. */
static gboolean
fuzz_wire_drain (FuzzWire *self)
{
  for (;;)
    {
      g_autoptr (GError) error = NULL;
      ShmFrame frame = { 0 };
      ShmWireStatus status = shm_wire_read (&self->reader, self->ring, 0, N_ITEMS, &frame, &error);

      if (status == SHM_WIRE_ERROR || status == SHM_WIRE_BAD_VALUE)
        g_assert_true (error != NULL && error->domain == SHM_ERROR && frame.value == NULL);
      else
        g_assert_no_error (error);

      switch (status)
        {
        case SHM_WIRE_NOTHING:
          return TRUE;
        case SHM_WIRE_FRAME:
          fuzz_wire_take (self, &frame);
          break;
        case SHM_WIRE_BAD_VALUE:
          g_assert_cmpuint (frame.begin, <=, frame.end);
          fuzz_wire_digest (self, &frame.begin, sizeof frame.begin);
          self->counts->n_bad_values++;
          break;
        case SHM_WIRE_ERROR:
        default:
          self->counts->has_error = TRUE;
          return FALSE;
        }
    }
}

/* The bytes must fit in what is free. */
static gboolean
fuzz_wire_arrive (FuzzWire *self, const guint8 *bytes, gsize size)
{
  gsize offset = self->ring->head & (SHM_RING_DATA - 1);
  gsize piece = MIN (size, SHM_RING_DATA - offset);

  memcpy (fuzz_wire_get_data (self) + offset, bytes, piece);
  memcpy (fuzz_wire_get_data (self), bytes + piece, size - piece);
  self->ring->head += size;
  return fuzz_wire_drain (self);
}

/* Short pieces for the most part, now and then a long one. */
static gsize
fuzz_wire_next_piece (guint32 *seed)
{
  *seed = *seed * 1664525 + 1013904223;
  return (*seed >> 24) % 5 == 0 ? 1 + (*seed >> 16) % 512 : 1 + (*seed >> 16) % 48;
}

static gboolean
fuzz_wire_send (FuzzWire *self, const guint8 *bytes, gsize size, guint8 pieces)
{
  guint32 seed = pieces;

  while (size > 0)
    {
      gsize wanted = pieces == 0 ? size : fuzz_wire_next_piece (&seed);
      gsize piece = MIN (size, wanted);

      if (!fuzz_wire_arrive (self, bytes, piece))
        return FALSE;
      bytes += piece;
      size -= piece;
    }
  return TRUE;
}

static gboolean
fuzz_wire_send_filler (FuzzWire *self, guint8 byte, guint n_blocks)
{
  static guint8 block[FUZZ_WIRE_BLOCK];
  guint i;

  memset (block, byte, sizeof block);
  for (i = 0; i < n_blocks; i++)
    if (!fuzz_wire_arrive (self, block, sizeof block))
      return FALSE;
  return TRUE;
}

/* A worker that writes where it should not says that it has sent what it has not. */
static void
fuzz_wire_damage (FuzzWire *self)
{
  memset (fuzz_wire_get_data (self), 0, SHM_RING_DATA);
  self->ring->head = self->ring->tail - 1;
  g_assert_false (fuzz_wire_drain (self));
}

static void
fuzz_wire_init (FuzzWire *self, FuzzWireCounts *counts, guint8 before_end)
{
  static ShmControl *control;
  ShmControlSettings settings = { .n_items = N_ITEMS, .n_workers = 1, .with_rings = TRUE };

  if (control == NULL)
    control = shm_control_new (&settings, NULL);
  g_assert_nonnull (control);
  memset (self, 0, sizeof *self);
  memset (counts, 0, sizeof *counts);
  self->control = control;
  self->counts = counts;
  self->ring = shm_control_get_ring (control, 0);
  self->ring->head = SHM_RING_DATA - before_end;
  shm_ring_reset (self->ring);
}

static void
fuzz_wire_run_pieces (const FuzzWirePrologue *prologue,
                      guint8 pieces,
                      const guint8 *bytes,
                      gsize size,
                      FuzzWireCounts *counts)
{
  FuzzWire self;
  gboolean more;

  fuzz_wire_init (&self, counts, prologue->before_end);
  more = fuzz_wire_send (&self, bytes, size, pieces);
  if (more && size > 0 && prologue->filler >= FUZZ_WIRE_FILLER)
    more = fuzz_wire_send_filler (&self, bytes[size - 1], prologue->filler - FUZZ_WIRE_FILLER + 1);
  counts->is_torn = self.reader.has_header || shm_ring_get_available (self.ring) > 0;
  if (more && prologue->damage == 1)
    fuzz_wire_damage (&self);
  shm_wire_reader_clear (&self.reader);
}

void
fuzz_wire_run (const guint8 *data, gsize size, FuzzWireCounts *counts)
{
  FuzzWirePrologue prologue;
  FuzzWireCounts at_once;

  memset (counts, 0, sizeof *counts);
  if (size < sizeof prologue)
    return;
  memcpy (&prologue, data, sizeof prologue);
  data += sizeof prologue;
  size = MIN (size - sizeof prologue, MAX_BYTES);

  fuzz_wire_run_pieces (&prologue, prologue.pieces, data, size, counts);
  if (prologue.pieces == 0)
    return;
  fuzz_wire_run_pieces (&prologue, 0, data, size, &at_once);
  g_assert_cmpuint (counts->digest, ==, at_once.digest);
  g_assert_cmpuint (counts->n_results, ==, at_once.n_results);
  g_assert_cmpuint (counts->n_failures, ==, at_once.n_failures);
  g_assert_cmpuint (counts->n_bad_values, ==, at_once.n_bad_values);
  g_assert_cmpint (counts->has_error, ==, at_once.has_error);
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
  return 0;
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  FuzzWireCounts counts;

  fuzz_wire_run (data, size, &counts);
  return 0;
}
