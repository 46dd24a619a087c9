/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* In the caller, before it forks. */
void shm_thread_limit_prepare (void);
/* In the child, in the thread that will work, before anything of the user's runs there. */
void shm_thread_limit_apply (guint n_threads, gboolean automatic);

G_END_DECLS
