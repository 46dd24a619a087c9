/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  char *name;
  guint8 *data;
  gsize size;
} FuzzInput;

/* The files of a folder beside this one, in the order of their names. */
GArray *fuzz_corpus_read (const char *folder_name);

G_END_DECLS
