/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* A file in memory, without a name, that a job's processes share by its descriptor. */
typedef struct
{
  int fd; /* -1: there is none */
} ShmArena;

/* The part of an arena that one process fills: it grows at its head and is given back at its tail. */
typedef struct
{
  guint64 base;
  guint64 head;
  guint64 tail;
} ShmArenaPart;

gboolean shm_arena_open (ShmArena *arena, GError **error);
void shm_arena_close (ShmArena *arena);
gboolean shm_arena_put (ShmArena *arena,
                        ShmArenaPart *part,
                        GVariant *value,
                        guint64 *offset,
                        guint64 *size,
                        GError **error);
GVariant *shm_arena_get (const ShmArena *arena, guint64 offset, guint64 size, GError **error);
void shm_arena_give_back (ShmArena *arena, ShmArenaPart *part, guint64 tail);

G_END_DECLS
