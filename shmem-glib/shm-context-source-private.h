/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* The callback is called after each turn of the inner context. */
GSource *shm_context_source_new (GMainContext *inner);

G_END_DECLS
