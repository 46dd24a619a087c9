/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "shm-mapping-private.h"

G_BEGIN_DECLS

/* A file in memory, without a name, that a job's processes share by its descriptor. */
typedef struct _ShmArena ShmArena;

/* The part of an arena that one process fills: it grows at its head and is given back at its tail. */
typedef struct
{
  guint64 base;
  guint64 head;
  guint64 tail;
} ShmArenaPart;

ShmArena *shm_arena_new (guint n_ranks, GError **error);
ShmArena *shm_arena_attach (int fd);
ShmArena *shm_arena_ref (ShmArena *arena);
void shm_arena_unref (ShmArena *arena);
int shm_arena_get_fd (ShmArena *arena);

guint64 shm_arena_get_base (guint n);
guint64 shm_arena_get_part_size (void);
guint64 shm_arena_round (guint64 size);
gboolean shm_arena_take_room (ShmArena *arena, guint rank, guint64 size, guint64 *offset);
void shm_arena_stop_recycling (ShmArena *arena);
void shm_arena_enter_worker (ShmArena *arena);
gboolean
shm_arena_write (ShmArena *arena, gconstpointer data, gsize size, guint64 offset, GError **error);
gboolean shm_arena_write_again (ShmArena *arena,
                                gconstpointer data,
                                gsize size,
                                guint64 offset,
                                gboolean by_call,
                                GError **error);
ShmMapping *shm_arena_map (ShmArena *arena, guint64 offset, guint64 size, GError **error);

gboolean shm_arena_put (ShmArena *arena,
                        ShmArenaPart *part,
                        GVariant *value,
                        guint64 *offset,
                        guint64 *size,
                        GError **error);
GVariant *shm_arena_get (ShmArena *arena, guint64 offset, guint64 size, GError **error);
void shm_arena_give_back (ShmArena *arena, ShmArenaPart *part, guint64 tail);

G_END_DECLS
