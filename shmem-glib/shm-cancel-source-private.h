/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

GSource *shm_cancel_source_new (GCancellable *cancellable, GMainContext *context);

G_END_DECLS
