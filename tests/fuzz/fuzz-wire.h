/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How an input begins, before the bytes that a worker would send. */
typedef struct
{
  guint8 before_end; /* the first byte lies so many bytes before the end of the ring */
  guint8 pieces;     /* 0: all arrives at once; else the seed of the lengths of the pieces */
  guint8 filler;     /* from FUZZ_WIRE_FILLER on, so many blocks of the last byte follow, and one */
  guint8 damage;     /* 1: the head is damaged in the end; else it is not */
} FuzzWirePrologue;

#define FUZZ_WIRE_FILLER 0xf0
#define FUZZ_WIRE_BLOCK ((gsize) 48 * 1024)

typedef struct
{
  guint n_results;
  guint n_failures; /* that make sense */
  guint n_bad_values;
  gboolean has_error;
  gboolean is_torn; /* part of a frame is left */
  guint32 digest;   /* of all that was read, in its order */
} FuzzWireCounts;

void fuzz_wire_run (const guint8 *data, gsize size, FuzzWireCounts *counts);

G_END_DECLS
