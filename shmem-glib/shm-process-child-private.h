/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-backend-private.h"

G_BEGIN_DECLS

void shm_process_child_main (ShmBackend *backend, guint rank, gboolean prove) G_GNUC_NORETURN;

G_END_DECLS
