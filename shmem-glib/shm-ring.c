/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* One worker writes, the caller reads; both positions only grow.
 *
 * What is published survives its worker: the caller takes it from the ring after the death. A
 * worker that finds the ring full publishes what it has, wakes the caller and sleeps on `drained`.
 * The caller trusts nothing that it finds here: it copies out first and checks the copy.
 */

#include "config.h"

#include "shm-ring-private.h"

#include <string.h>

#define WAKE_STEP (SHM_RING_DATA / 4)

G_STATIC_ASSERT ((SHM_RING_DATA & (SHM_RING_DATA - 1)) == 0);

static inline guint8 *
shm_ring_at (ShmRing *ring, guint64 position)
{
  return (guint8 *) (ring + 1) + (position & (SHM_RING_DATA - 1));
}

void
shm_ring_writer_init (ShmRingWriter *self, ShmControl *control, guint rank)
{
  self->control = control;
  self->line = &control->lines[rank];
  self->arena = NULL;
  self->rank = rank;
  self->ring = shm_control_get_ring (control, rank);
  self->head = self->ring->head;
  self->tail = self->ring->tail;
}

/* Bytes that the caller has not taken yet. */
static gsize
shm_ring_writer_get_used (ShmRingWriter *self)
{
  self->tail = shm_load (&self->ring->tail);
  return self->head - self->tail;
}

/* Makes what was written visible, and wakes the caller as need be. */
void
shm_ring_publish (ShmRingWriter *self)
{
  shm_store (&self->ring->head, self->head);
  shm_control_notify (self->control, self->head - self->tail >= SHM_RING_DATA / 2 &&
                                         shm_ring_writer_get_used (self) >= SHM_RING_DATA / 2);
}

static gboolean
shm_ring_has_room (ShmRingWriter *self)
{
  return shm_ring_writer_get_used (self) < SHM_RING_DATA;
}

static gboolean
shm_ring_has_arena (ShmRingWriter *self)
{
  return self->line->arena_put - shm_load (&self->line->arena_taken) < SHM_RING_ARENA;
}

/* Sleeps until there is room; FALSE if the job was stopped. */
static gboolean
shm_ring_wait (ShmRingWriter *self, gboolean (*has_room) (ShmRingWriter *self))
{
  ShmRing *ring = self->ring;
  gint64 since;
  gboolean room;

  shm_ring_publish (self);
  since = shm_now_ns ();
  for (;;)
    {
      guint32 drained = shm_load (&ring->drained);

      room = has_room (self);
      if (room || shm_load (&self->control->header->stop))
        break;
      shm_store (&ring->waiting, 1);
      shm_fence ();
      if (has_room (self))
        continue;
      shm_control_notify (self->control, TRUE);
      shm_futex_wait (&ring->drained, drained);
    }
  self->line->slept[SHM_SLEEP_OUTPUT] += shm_now_ns () - since;
  return room;
}

/* The same for what is put beside the ring. */
gboolean
shm_ring_wait_for_arena (ShmRingWriter *self)
{
  return shm_ring_has_arena (self) || shm_ring_wait (self, shm_ring_has_arena);
}

/* Room for so many bytes in one piece, which count as written; NULL if that cannot be had at once.
 */
gpointer
shm_ring_reserve (ShmRingWriter *self, gsize size)
{
  gsize offset = self->head & (SHM_RING_DATA - 1);
  gpointer data;

  if (size > SHM_RING_DATA - offset)
    return NULL;
  if (self->head - self->tail + size > SHM_RING_DATA &&
      shm_ring_writer_get_used (self) + size > SHM_RING_DATA)
    return NULL;
  data = shm_ring_at (self->ring, self->head);
  self->head += size;
  return data;
}

gboolean
shm_ring_write (ShmRingWriter *self, gconstpointer data, gsize size)
{
  const guint8 *from = data;

  while (size > 0)
    {
      gsize offset = self->head & (SHM_RING_DATA - 1);
      gsize piece;

      if (self->head - self->tail == SHM_RING_DATA && !shm_ring_wait (self, shm_ring_has_room))
        return FALSE;
      piece = MIN (size, SHM_RING_DATA - offset);
      piece = MIN (piece, SHM_RING_DATA - (self->head - self->tail));
      memcpy (shm_ring_at (self->ring, self->head), from, piece);
      self->head += piece;
      from += piece;
      size -= piece;
    }
  return TRUE;
}

/* For a new worker; what the last one left has been taken, but for a torn end. */
void
shm_ring_reset (ShmRing *ring)
{
  ring->tail = ring->head;
  ring->waiting = 0;
}

/* More than SHM_RING_DATA if the head is damaged. */
gsize
shm_ring_get_available (ShmRing *ring)
{
  return shm_load (&ring->head) - ring->tail;
}

/* The same, as far as it is needed: as long as what was seen before will do, the head is not looked at, on whose cache
 * line the worker writes. */
gsize
shm_ring_look (ShmRing *ring, guint64 *seen_head, gsize wanted)
{
  gsize available = *seen_head - ring->tail;

  if (available >= wanted && available <= SHM_RING_DATA)
    return available;
  *seen_head = shm_load (&ring->head);
  return *seen_head - ring->tail;
}

void
shm_ring_peek (ShmRing *ring, gsize offset, gpointer data, gsize size)
{
  guint64 position = ring->tail + offset;
  gsize piece = MIN (size, SHM_RING_DATA - (position & (SHM_RING_DATA - 1)));

  memcpy (data, shm_ring_at (ring, position), piece);
  if (piece < size)
    memcpy ((guint8 *) data + piece, shm_ring_at (ring, position + piece), size - piece);
}

/* A worker that finds the ring full is let on once there is room for many results: if each one that is taken did
 * that, both would go to sleep for each one. While something is left to be read, the next step is still to come. */
void
shm_ring_take (ShmRing *ring, gsize size)
{
  guint64 tail = ring->tail;

  shm_store (&ring->tail, tail + size);
  if (tail / WAKE_STEP != (tail + size) / WAKE_STEP)
    shm_ring_wake (ring);
}

/* Whether the worker waits until something is taken. */
gboolean
shm_ring_is_awaited (ShmRing *ring)
{
  return shm_load (&ring->waiting) != 0;
}

/* Lets on a worker that waits, after something was taken. */
void
shm_ring_wake (ShmRing *ring)
{
  shm_fence ();
  if (shm_load (&ring->waiting))
    {
      shm_store (&ring->waiting, 0);
      __atomic_add_fetch (&ring->drained, 1, __ATOMIC_SEQ_CST);
      shm_futex_wake (&ring->drained, 1);
    }
}
