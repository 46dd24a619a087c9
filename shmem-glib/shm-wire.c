/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Frames on a ring: a header, the type string padded to 8 bytes, the serialised value padded to 8. A large value is put
 * into the arena, by one copy, and the frame says where; the caller maps it and uses it in place.
 *
 * The reader believes nothing, since the memory of a worker may be damaged while the worker lives:
 * each frame is copied out of the ring and only the copy is looked at.
 */

#include "config.h"

#include "shm-wire-private.h"

#include <string.h>

#include "shm-error.h"
#include "shm-i18n-private.h"

#define MAX_TYPE_LENGTH 65536
/* no address space has more */
#define MAX_SIZE (GLIB_SIZEOF_SIZE_T > 4 ? G_MAXSSIZE / 65536 : G_MAXSSIZE / 2)
#define SMALL_BODY 512
#define LARGE_VALUE ((gsize) 256 * 1024)
#define FIRST_BODY (2 * SHM_RING_DATA)

static inline gsize
shm_wire_pad (gsize size)
{
  return (size + 7) & ~(gsize) 7;
}

/* Whether any bytes make a value of the type: an array of numbers of this size has no other form. GLib would look at
 * each number, at some 20 ns. */
static gboolean
shm_wire_is_plain (const char *type, gsize size)
{
  static const char letters[] = "ynqiuxtd";
  static const guint8 sizes[] = { 1, 2, 2, 4, 4, 8, 8, 8 };
  const char *letter;

  if (type[0] != 'a' || type[1] == '\0' || type[2] != '\0')
    return FALSE;
  letter = strchr (letters, type[1]);
  return letter != NULL && size % sizes[letter - letters] == 0;
}

static gboolean
shm_wire_put (ShmRingWriter *writer,
              gconstpointer data,
              guint64 size,
              gboolean plain,
              guint64 *offset,
              GError **error)
{
  ShmLine *line = writer->line;
  guint64 pages = shm_arena_round (size);

  if (!shm_ring_wait_for_arena (writer))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, _ ("the job is being ended"));
      return FALSE;
    }
  if (shm_arena_take_room (writer->arena, writer->rank, pages, offset))
    {
      line->arena_put += pages;
      return shm_arena_write_again (writer->arena, data, size, *offset, !plain, error);
    }
  if (pages > shm_arena_get_part_size () - line->arena_head)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                           _ ("A worker has put too much into shared memory"));
      return FALSE;
    }
  *offset = shm_arena_get_base (writer->rank + 1) + line->arena_head;
  /* What was written in vain stays unused. */
  line->arena_head += pages;
  line->arena_put += pages;
  return shm_arena_write (writer->arena, data, size, *offset, error);
}

/* Puts the data into whole pages of the arena, after waiting for the caller if it is far behind. */
gboolean
shm_wire_deposit (
    ShmRingWriter *writer, gconstpointer data, guint64 size, guint64 *offset, GError **error)
{
  return shm_wire_put (writer, data, size, TRUE, offset, error);
}

static gboolean
shm_wire_write_body (ShmRingWriter *writer,
                     const ShmFrameHeader *header,
                     const char *type,
                     gconstpointer data,
                     gsize size)
{
  static const guint8 zeros[8] = { 0 };

  return shm_ring_write (writer, header, sizeof *header) &&
         shm_ring_write (writer, type, header->type_length) &&
         shm_ring_write (writer, zeros, shm_wire_pad (header->type_length) - header->type_length) &&
         (size == 0 || shm_ring_write (writer, data, size)) &&
         shm_ring_write (writer, zeros, shm_wire_pad (size) - size);
}

/* FALSE: the job was stopped while the ring was full. */
gboolean
shm_wire_write (
    ShmRingWriter *writer, ShmFrameKind kind, guint64 begin, guint64 end, GVariant *value)
{
  const char *type = g_variant_get_type_string (value);
  gsize type_length = strlen (type);
  gsize size = g_variant_get_size (value);
  ShmFrameHeader header = { kind, type_length, begin, end, size };
  gsize type_padded = shm_wire_pad (type_length);
  guint8 *room = shm_ring_reserve (writer, sizeof header + type_padded + shm_wire_pad (size));
  guint64 offset;

  if (room != NULL)
    {
      memcpy (room, &header, sizeof header);
      memcpy (room + sizeof header, type, type_length);
      if (size > 0)
        g_variant_store (value, room + sizeof header + type_padded);
    }
  else if (size >= LARGE_VALUE && writer->arena != NULL &&
           shm_wire_put (writer, g_variant_get_data (value), size, shm_wire_is_plain (type, size),
                         &offset, NULL))
    {
      header.kind |= SHM_FRAME_IN_ARENA;
      if (!shm_wire_write_body (writer, &header, type, &offset, sizeof offset))
        return FALSE;
    }
  else if (!shm_wire_write_body (writer, &header, type, size ? g_variant_get_data (value) : NULL,
                                 size))
    return FALSE;

  shm_ring_publish (writer);
  return TRUE;
}

static gboolean
shm_wire_check_header (const ShmWireReader *self, guint64 first, guint64 limit, GError **error)
{
  const ShmFrameHeader *header = &self->header;
  guint32 kind = header->kind & ~SHM_FRAME_IN_ARENA;
  const char *what = NULL;

  gboolean of_items = kind != SHM_FRAME_BROKEN && kind != SHM_FRAME_SUMMARY;

  if (kind < SHM_FRAME_RESULT || kind > SHM_FRAME_TRACE ||
      (kind != header->kind && self->arena == NULL))
    /* TRANSLATORS: what is wrong in “What a worker sent is damaged (%s)”; so are the next ones */
    what = _ ("unknown kind");
  else if (header->type_length == 0 || header->type_length > MAX_TYPE_LENGTH)
    what = _ ("length of the type");
  else if (of_items ? header->begin < first || header->begin >= header->end || header->end > limit
                    : header->begin != 0 || header->end != 0)
    what = _ ("items that the job does not have");
  else if (header->size > MAX_SIZE)
    what = _ ("size of the value");

  if (what == NULL)
    return TRUE;
  g_set_error (error, SHM_ERROR, SHM_ERROR_BAD_RESULT, _ ("What a worker sent is damaged (%s)"),
               what);
  return FALSE;
}

/* The frequent small types, without a buffer of their own. */
static GVariant *
shm_wire_parse_basic (char type, const guint8 *data, gsize size)
{
#define BASIC(letter, ctype, make)                                                                 \
  case letter:                                                                                     \
    {                                                                                              \
      ctype v;                                                                                     \
                                                                                                   \
      if (size != sizeof v)                                                                        \
        return NULL;                                                                               \
      memcpy (&v, data, sizeof v);                                                                 \
      return g_variant_new_##make (v);                                                             \
    }
  switch (type)
    {
      BASIC ('y', guint8, byte)
      BASIC ('n', gint16, int16)
      BASIC ('q', guint16, uint16)
      BASIC ('i', gint32, int32)
      BASIC ('u', guint32, uint32)
      BASIC ('x', gint64, int64)
      BASIC ('t', guint64, uint64)
      BASIC ('d', gdouble, double)
    default:
      return NULL;
    }
#undef BASIC
}

static gboolean
shm_wire_is_type (const char *type, gsize length)
{
  return strlen (type) == length && g_variant_type_string_is_valid (type) &&
         g_variant_type_is_definite ((const GVariantType *) type);
}

/* What the arena has, in place. */
static GVariant *
shm_wire_parse_large (ShmArena *arena,
                      const char *type,
                      const guint8 *data,
                      gsize size,
                      gboolean plain,
                      GError **error)
{
  g_autoptr (GBytes) bytes = NULL;
  ShmMapping *mapping;
  guint64 offset;

  memcpy (&offset, data, sizeof offset);
  mapping = shm_arena_map (arena, offset, size, error);
  if (mapping == NULL)
    return NULL;
  bytes = g_bytes_new_with_free_func (shm_mapping_get_address (mapping), size,
                                      (GDestroyNotify) shm_mapping_unref, mapping);
  return g_variant_new_from_bytes ((const GVariantType *) type, bytes, plain);
}

/* Takes the body. */
static GVariant *
shm_wire_parse (const ShmWireReader *self, guint8 *body, gboolean is_small, GError **error)
{
  const ShmFrameHeader *header = &self->header;
  gsize type_padded = shm_wire_pad (header->type_length);
  g_autofree char *type = NULL;
  GVariant *value = NULL;
  guint8 *data = body + type_padded;
  gpointer owned = is_small ? NULL : body;
  gboolean plain;

  if (header->type_length == 1 && !(header->kind & SHM_FRAME_IN_ARENA))
    value = shm_wire_parse_basic (body[0], data, header->size);
  if (value == NULL)
    {
      type = g_strndup ((const char *) body, header->type_length);
      plain = shm_wire_is_plain (type, header->size);
      if (!shm_wire_is_type (type, header->type_length))
        value = NULL;
      else if (header->kind & SHM_FRAME_IN_ARENA)
        value = shm_wire_parse_large (self->arena, type, data, header->size, plain, error);
      else
        {
          if (is_small)
            data = owned = g_memdup2 (data, header->size);
          value = g_variant_new_from_data ((const GVariantType *) type, data, header->size, plain,
                                           g_free, g_steal_pointer (&owned));
        }
      if (value != NULL && !plain && !g_variant_is_normal_form (value))
        g_clear_pointer (&value, g_variant_unref);
    }
  g_free (owned);

  if (value == NULL && (error == NULL || *error == NULL))
    g_set_error (error, SHM_ERROR, SHM_ERROR_BAD_RESULT, _ ("What a worker sent is damaged (%s)"),
                 /* TRANSLATORS: what is wrong in “What a worker sent is damaged (%s)” */
                 _ ("not a value of its type"));
  return value ? g_variant_ref_sink (value) : NULL;
}

/* Takes what there is of the body. The buffer grows with what arrives, not with what was announced.
 */
static gboolean
shm_wire_fill (ShmWireReader *self, ShmRing *ring, gsize available, GError **error)
{
  gsize piece = MIN (available, self->body_size - self->body_filled);

  if (self->body == NULL || self->body_filled + piece > self->body_allocated)
    {
      gsize wanted = MIN (self->body_size, MAX (2 * self->body_allocated, FIRST_BODY));
      guint8 *body = g_try_realloc (self->body, wanted);

      if (body == NULL)
        {
          g_autofree char *size = g_format_size_full (wanted, G_FORMAT_SIZE_IEC_UNITS);

          g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY, _ ("No memory for a result of %s"),
                       size);
          return FALSE;
        }
      self->body = body;
      self->body_allocated = wanted;
    }
  shm_ring_peek (ring, 0, self->body + self->body_filled, piece);
  shm_ring_take (ring, piece);
  self->body_filled += piece;
  return TRUE;
}

ShmWireStatus
shm_wire_read (ShmWireReader *self,
               ShmRing *ring,
               guint64 first,
               guint64 limit,
               ShmFrame *frame,
               GError **error)
{
  guint64 small[SMALL_BODY / 8];
  gsize wanted = self->has_header ? SHM_RING_DATA : sizeof self->header + SMALL_BODY;
  gsize available = shm_ring_look (ring, &self->seen_head, wanted);
  guint8 *body;
  gboolean is_small;

  if (available > SHM_RING_DATA)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_BAD_RESULT, _ ("What a worker sent is damaged (%s)"),
                   /* TRANSLATORS: what is wrong in “What a worker sent is damaged (%s)” */
                   _ ("position in the stream"));
      return SHM_WIRE_ERROR;
    }
  if (!self->has_header)
    {
      if (available < sizeof self->header)
        return SHM_WIRE_NOTHING;
      shm_ring_peek (ring, 0, &self->header, sizeof self->header);
      if (!shm_wire_check_header (self, first, limit, error))
        return SHM_WIRE_ERROR;
      self->body_size = shm_wire_pad (self->header.type_length) +
                        (self->header.kind & SHM_FRAME_IN_ARENA ? sizeof (guint64)
                                                                : shm_wire_pad (self->header.size));
    }

  is_small = !self->has_header && self->body_size <= SMALL_BODY &&
             available >= sizeof self->header + self->body_size;
  if (is_small)
    {
      body = (guint8 *) small;
      shm_ring_peek (ring, sizeof self->header, body, self->body_size);
      shm_ring_take (ring, sizeof self->header + self->body_size);
    }
  else
    {
      if (!self->has_header)
        {
          shm_ring_take (ring, sizeof self->header);
          self->has_header = TRUE;
          available = shm_ring_look (ring, &self->seen_head, SHM_RING_DATA);
          /* If that is damage, the next look will tell. */
          available = MIN (available, SHM_RING_DATA);
        }
      if (!shm_wire_fill (self, ring, available, error))
        return SHM_WIRE_ERROR;
      if (self->body_filled < self->body_size)
        return SHM_WIRE_NOTHING;
      body = g_steal_pointer (&self->body);
      shm_wire_reader_clear (self);
    }

  frame->kind = self->header.kind & ~SHM_FRAME_IN_ARENA;
  frame->begin = self->header.begin;
  frame->end = self->header.end;
  frame->failure = NULL;
  frame->value = shm_wire_parse (self, body, is_small, error);
  return frame->value ? SHM_WIRE_FRAME : SHM_WIRE_BAD_VALUE;
}

void
shm_wire_reader_clear (ShmWireReader *self)
{
  g_clear_pointer (&self->body, g_free);
  self->body_allocated = 0;
  self->body_filled = 0;
  self->has_header = FALSE;
}
