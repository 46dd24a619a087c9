/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-frame-private.h"
#include "shm-ring-private.h"

G_BEGIN_DECLS

typedef enum
{
  SHM_WIRE_NOTHING, /* no whole frame has arrived yet */
  SHM_WIRE_FRAME,
  SHM_WIRE_BAD_VALUE, /* a frame whose value is damaged; what follows it is not */
  SHM_WIRE_ERROR      /* from here on nothing from this worker can be understood */
} ShmWireStatus;

/* in kind: the data lies in the arena, and the body says where */
#define SHM_FRAME_IN_ARENA 0x100u

typedef struct
{
  guint32 kind;
  guint32 type_length;
  guint64 begin;
  guint64 end;
  guint64 size;
} ShmFrameHeader;

/* Puts frames together; zero it before its first use. */
typedef struct
{
  ShmFrameHeader header;
  gboolean has_header;
  guint64 seen_head; /* of the ring, at the last look */
  ShmArena *arena;   /* where large values are, or NULL */
  guint8 *body;
  gsize body_size;
  gsize body_allocated;
  gsize body_filled;
} ShmWireReader;

gboolean shm_wire_write (
    ShmRingWriter *writer, ShmFrameKind kind, guint64 begin, guint64 end, GVariant *value);
gboolean shm_wire_deposit (
    ShmRingWriter *writer, gconstpointer data, guint64 size, guint64 *offset, GError **error);
ShmWireStatus shm_wire_read (ShmWireReader *reader,
                             ShmRing *ring,
                             guint64 first,
                             guint64 limit,
                             ShmFrame *frame,
                             GError **error);
void shm_wire_reader_clear (ShmWireReader *reader);

G_END_DECLS
