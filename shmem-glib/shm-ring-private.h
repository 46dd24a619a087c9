/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-arena-private.h"
#include "shm-control-private.h"

G_BEGIN_DECLS

#define SHM_RING_DATA ((gsize) 256 * 1024)

/* A stream of bytes from one worker to the caller, in shared memory; the data lie right behind it. */
typedef struct
{
  guint64 head __attribute__ ((aligned (SHM_CACHE_LINE))); /* bytes ever published; the worker's */
  guint64 tail __attribute__ ((aligned (SHM_CACHE_LINE))); /* bytes ever taken; the caller's */
  guint32 drained; /* counts the awakenings of a worker that waits for room */
  guint32 waiting; /* it does */
} ShmRing;

#define SHM_RING_SIZE (sizeof (ShmRing) + SHM_RING_DATA)

#define SHM_RING_ARENA                                                                             \
  ((guint64) 8 << 20) /* a worker that has put so many unread bytes there waits */

/* the worker's end */
typedef struct
{
  ShmControl *control;
  ShmLine *line;
  ShmRing *ring;
  ShmArena *arena; /* where large values go, or NULL */
  guint rank;
  guint64 head; /* written, perhaps not published */
  guint64 tail; /* as last seen */
} ShmRingWriter;

void shm_ring_writer_init (ShmRingWriter *writer, ShmControl *control, guint rank);
gboolean shm_ring_wait_for_arena (ShmRingWriter *writer);
gboolean shm_ring_write (ShmRingWriter *writer, gconstpointer data, gsize size);
gpointer shm_ring_reserve (ShmRingWriter *writer, gsize size);
void shm_ring_publish (ShmRingWriter *writer);

/* the caller's end */
void shm_ring_reset (ShmRing *ring);
gsize shm_ring_get_available (ShmRing *ring);
gsize shm_ring_look (ShmRing *ring, guint64 *seen_head, gsize wanted);
void shm_ring_peek (ShmRing *ring, gsize offset, gpointer data, gsize size);
void shm_ring_take (ShmRing *ring, gsize size);
gboolean shm_ring_is_awaited (ShmRing *ring);
void shm_ring_wake (ShmRing *ring);

G_END_DECLS
