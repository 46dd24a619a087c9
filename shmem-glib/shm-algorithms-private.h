/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-algorithms.h"

G_BEGIN_DECLS

/* How the work is divided. What the sums of floating-point numbers are, to the last bit, depends on
 * the size of a block and of a piece, and on nothing else; the rest is about time. Tests set small
 * numbers, so that small arrays have many blocks and many runs to merge.
 */
typedef struct
{
  gsize block;      /* items that are claimed together */
  gsize grain;      /* blocks to fill, or of something as light, that are worth one more worker */
  gsize sort_bytes; /* at most as much is sorted in one piece, by one worker; it stays in a cache */
  gsize sort_grain; /* such pieces that are worth one more worker */
  void (*sort_watch) (guint phase, gsize chunk); /* called before each step of a sort, or NULL */
} ShmTuning;

extern ShmTuning shm_algorithms_tuning;

/* Items that are worked on at once in a core's cache. */
#define SHM_PIECE 2048

/* Room for a piece, if it is not side by side in its array. */
typedef union
{
  guint8 bytes[SHM_PIECE * 16];
  double alignment;
} ShmPiece;

#define SHM_AS_IT_IS(item) (item)
#define SHM_AS_TRUTH(item) ((item) != 0)

/* item type, C type, the widest of its kind, how to read an item */
#define SHM_INTEGER_ITEMS(DO)                                                                      \
  DO (SHM_DTYPE_BOOL, guint8, guint64, SHM_AS_TRUTH)                                               \
  DO (SHM_DTYPE_I1, gint8, gint64, SHM_AS_IT_IS)                                                   \
  DO (SHM_DTYPE_I2, gint16, gint64, SHM_AS_IT_IS)                                                  \
  DO (SHM_DTYPE_I4, gint32, gint64, SHM_AS_IT_IS)                                                  \
  DO (SHM_DTYPE_I8, gint64, gint64, SHM_AS_IT_IS)                                                  \
  DO (SHM_DTYPE_U1, guint8, guint64, SHM_AS_IT_IS)                                                 \
  DO (SHM_DTYPE_U2, guint16, guint64, SHM_AS_IT_IS)                                                \
  DO (SHM_DTYPE_U4, guint32, guint64, SHM_AS_IT_IS)                                                \
  DO (SHM_DTYPE_U8, guint64, guint64, SHM_AS_IT_IS)

#define SHM_REAL_ITEMS(DO)                                                                         \
  SHM_INTEGER_ITEMS (DO)                                                                           \
  DO (SHM_DTYPE_F4, float, double, SHM_AS_IT_IS)                                                   \
  DO (SHM_DTYPE_F8, double, double, SHM_AS_IT_IS)

/* How much more work a block is than to fill it. */
#define SHM_WEIGHT_LIGHT 1
#define SHM_WEIGHT_COUNT 4
#define SHM_WEIGHT_SEARCH 8

static inline gsize
shm_count_blocks (gsize n_items, gsize block)
{
  return n_items / block + (n_items % block != 0);
}

gboolean shm_algorithms_check_real (ShmArray *array, GError **error);
gboolean shm_algorithms_is_direct (ShmArray *array);
guint shm_algorithms_count_workers (ShmMapReduce *self, gsize n_blocks, gsize weight, gsize grain);
ShmMapReduce *shm_algorithms_new_pool (ShmMapReduce *self, guint n_workers);
gboolean shm_algorithms_for_blocks (ShmMapReduce *self,
                                    gsize n_blocks,
                                    gsize weight,
                                    GCancellable *cancellable,
                                    ShmLoopFunc func,
                                    gpointer user_data,
                                    GError **error);

ShmArray *shm_algorithms_new_scratch (gsize item_size, gsize n_items, GError **error);
GVariant *shm_algorithms_get_item (ShmArray *array, gsize item, GError **error);
gconstpointer shm_algorithms_read (ShmArray *array, gsize begin, gsize n, ShmPiece *piece);
const double *shm_algorithms_read_doubles (ShmArray *array, gsize begin, gsize n, double *buffer);
void shm_algorithms_write (ShmArray *array, gsize begin, gsize n, gconstpointer items);

G_END_DECLS
