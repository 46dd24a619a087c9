/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>
#include <shmem-glib/shm-version.h>

G_BEGIN_DECLS

/**
 * SECTION:shm-gjs
 * @title: Forking in JavaScript
 * @short_description: what makes the engine of gjs ready for a fork
 *
 * The JavaScript engine of gjs has threads of its own, without which its collector waits for ever.
 * So a fork has to be prepared; the module for gjs does it when it is loaded.
 */

SHM_AVAILABLE_IN_1_0
gboolean shm_gjs_prepare (GError **error);

G_END_DECLS
