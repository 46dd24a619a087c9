/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-error.h"

/* clang-format off */
G_DEFINE_QUARK (shm-error-quark, shm_error)
/* clang-format on */
