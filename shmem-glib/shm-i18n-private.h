/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

const char *shm_gettext (const char *message) G_GNUC_FORMAT (1);
const char *shm_ngettext (const char *singular, const char *plural, gulong n) G_GNUC_FORMAT (1)
    G_GNUC_FORMAT (2);

#define _(message) shm_gettext (message)

G_END_DECLS
