/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What the driver runs: one target is linked to it. */
extern const char *const fuzz_target_name;
extern const char *const fuzz_target_tokens[]; /* what may well be put into an input */

/* Whether an array came of the input; it aborts if that is not a good one. */
gboolean fuzz_target_run (const guint8 *data, gsize size);

/* Makes lengths in a mutated input right again, where it has some, so that the rest is looked at. */
void fuzz_target_repair (guint8 *data, gsize size);

/* The memory in which the arrays of messages lie. */
#define FUZZ_MESSAGE_MEMORY 4096

G_END_DECLS
