/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Mappings of pieces of an arena that nobody uses now, kept for when the pieces come again. */
typedef struct _ShmShelf ShmShelf;

ShmShelf *shm_shelf_new (guint64 max_bytes);
void shm_shelf_free (ShmShelf *self);
void shm_shelf_close (ShmShelf *self);
void shm_shelf_put (ShmShelf *self, guint64 offset, gpointer address, gsize size);
gpointer shm_shelf_take (ShmShelf *self, guint64 offset, gsize size);
void shm_shelf_discard (ShmShelf *self, guint64 offset);

G_END_DECLS
