/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Sorting: chunks first, each by one worker, and then mergers of neighbouring runs, level by level.
 *
 *     array    3 1 2 0 | 7 5 6 4 | …        chunks, as many as a power of two, or fewer
 *     phase 0  0 1 2 3 | 4 5 6 7 | …        each sorted, into buffer 0
 *     phase 1  0 1 2 3   4 5 6 7 | …        runs of two chunks, into buffer 1
 *     phase 2  runs of four chunks, into buffer 0, and so on
 *
 * A level is dealt out by places of its result, a chunk's length at a time, however long its runs
 * are: where the two runs are cut for a place is found by a binary search along their "merge path",
 * so all workers share in the last merger too. (Odeh, Green, Mwassi, Shmueli, Birk, Merge Path –
 * Parallel Merging Made Simple, IPDPS workshops 2012.) The chunks stay in a core's cache, and are
 * sorted by the bytes of their keys.
 *
 * The number of levels is odd, so the last one ends in buffer 1. For an array that is contiguous
 * that is the array itself. Else, and for indices, a last phase stores what is in buffer 1.
 *
 * All phases are one region, with the barrier of a shared loop after each. What a phase reads it
 * does not write, and `n_done` in shared memory says how many phases have ended. Every worker sets
 * it when it has passed the barrier, before it writes anything of the next phase; the numbers are
 * the same, whoever is late. So if a worker dies, or all is cancelled, the buffer that was read last
 * still has all items, and the caller puts them back: an array is never left with items missing.
 */

#include "config.h"

#include "shm-algorithms.h"

#include "shm-algorithms-private.h"
#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-sort-key-private.h"

#include <string.h>

/* An item of any type as its key, and where it comes from. */
typedef struct
{
  guint64 key;
  gint64 index;
} ShmPair;

#define SORT_NAME b1
#define SORT_TYPE guint8
#define SORT_KEY_TYPE guint8
#define SORT_KEY(item) shm_key_b1 (item)
#include "shm-sort-template-private.h"

#define SORT_NAME i1
#define SORT_TYPE guint8
#define SORT_KEY_TYPE guint8
#define SORT_KEY(item) shm_key_i1 (item)
#include "shm-sort-template-private.h"

#define SORT_NAME i2
#define SORT_TYPE guint16
#define SORT_KEY_TYPE guint16
#define SORT_KEY(item) shm_key_i2 (item)
#include "shm-sort-template-private.h"

#define SORT_NAME i4
#define SORT_TYPE guint32
#define SORT_KEY_TYPE guint32
#define SORT_KEY(item) shm_key_i4 (item)
#include "shm-sort-template-private.h"

#define SORT_NAME i8
#define SORT_TYPE guint64
#define SORT_KEY_TYPE guint64
#define SORT_KEY(item) shm_key_i8 (item)
#include "shm-sort-template-private.h"

#define SORT_NAME u1
#define SORT_TYPE guint8
#define SORT_KEY_TYPE guint8
#define SORT_KEY(item) shm_key_u1 (item)
#include "shm-sort-template-private.h"

#define SORT_NAME u2
#define SORT_TYPE guint16
#define SORT_KEY_TYPE guint16
#define SORT_KEY(item) shm_key_u2 (item)
#include "shm-sort-template-private.h"

#define SORT_NAME u4
#define SORT_TYPE guint32
#define SORT_KEY_TYPE guint32
#define SORT_KEY(item) shm_key_u4 (item)
#include "shm-sort-template-private.h"

#define SORT_NAME u8
#define SORT_TYPE guint64
#define SORT_KEY_TYPE guint64
#define SORT_KEY(item) shm_key_u8 (item)
#include "shm-sort-template-private.h"

#define SORT_NAME f4
#define SORT_TYPE guint32
#define SORT_KEY_TYPE guint32
#define SORT_KEY(item) shm_key_f4 (item)
#include "shm-sort-template-private.h"

#define SORT_NAME f8
#define SORT_TYPE guint64
#define SORT_KEY_TYPE guint64
#define SORT_KEY(item) shm_key_f8 (item)
#include "shm-sort-template-private.h"

#define SORT_NAME pairs
#define SORT_TYPE ShmPair
#define SORT_KEY_TYPE guint64
#define SORT_KEY(item) ((item).key)
#include "shm-sort-template-private.h"

/* The functions for a type, as the template has them. */
typedef struct
{
  void (*sort) (gconstpointer from, gpointer target, gpointer spare, gsize n);
  void (*merge) (
      gconstpointer a, gsize n_a, gconstpointer b, gsize n_b, gsize begin, gsize end, gpointer to);
} ShmSorter;

#define SORTER(dtype_, name, type) [dtype_] = { shm_sort_##name, shm_merge_##name },

static const ShmSorter shm_sorters[] = { SHM_SORT_ITEMS (SORTER) };
static const ShmSorter shm_pair_sorter = { shm_sort_pairs, shm_merge_pairs };

typedef struct
{
  const ShmSorter *sorter;
  ShmArray *array;
  gint64 *indices;   /* where the indices go, or NULL: sort the array itself */
  gboolean in_place; /* the array is buffer 1 */
  gsize size;        /* of what is sorted: an item, or a pair */
  gsize n;
  gsize chunk; /* items */
  gsize n_chunks;
  guint n_levels;
  guint n_phases;
  guint8 *buffers[2];
  guint *n_done; /* shared */
} ShmSort;

/* What one worker does in one phase. */
typedef struct
{
  const ShmSort *sort;
  guint phase;
  guint8 *spare; /* a chunk of its own */
} ShmSortWork;

#define LOAD_PAIRS(dtype_, name, type)                                                             \
  case dtype_:                                                                                     \
    for (gsize i = 0; i < n; i++)                                                                  \
      pairs[i] = (ShmPair){ shm_key_##name (((const type *) raw)[i]), (gint64) (begin + i) };      \
    break;

static void
shm_sort_load_pairs (ShmArray *array, gsize begin, gsize n, ShmPair *pairs)
{
  ShmPiece piece;
  gconstpointer raw = shm_algorithms_read (array, begin, n, &piece);

  switch (array->dtype)
    {
      SHM_SORT_ITEMS (LOAD_PAIRS)
    default:
      g_assert_not_reached ();
    }
}

/* Where the items of a chunk are to be read: in the array, or gathered at @spare. */
static const guint8 *
shm_sort_load (const ShmSort *sort, gsize begin, gsize end, guint8 *spare)
{
  gsize at;

  if (sort->in_place)
    return sort->buffers[1] + begin * sort->size;

  if (sort->indices != NULL)
    {
      for (at = begin; at < end; at += SHM_PIECE)
        shm_sort_load_pairs (sort->array, at, MIN (end - at, SHM_PIECE),
                             (ShmPair *) (gpointer) (spare + (at - begin) * sort->size));
    }
  else
    {
      ShmArrayIter iter;

      shm_array_iter_init (&iter, sort->array);
      shm_array_iter_set_range (&iter, begin, end);
      for (at = 0; shm_array_iter_next (&iter); at += iter.n_items)
        shm_array_run_read (&iter, spare + at * sort->size, sort->size);
    }
  return spare;
}

static void
shm_sort_store (const ShmSort *sort, gsize begin, gsize end)
{
  const guint8 *items = sort->buffers[1] + begin * sort->size;
  const ShmPair *pairs = (const ShmPair *) (gconstpointer) items;

  if (sort->indices == NULL)
    {
      shm_algorithms_write (sort->array, begin, end - begin, items);
      return;
    }
  for (gsize i = begin; i < end; i++)
    sort->indices[i] = pairs[i - begin].index;
}

/* The items from @begin to @end - 1 of the runs that this level makes, which lie in one of them. */
static void
shm_sort_merge (const ShmSort *sort, guint level, gsize begin, gsize end)
{
  gsize length = sort->chunk << (level - 1);
  gsize left = begin / (2 * length) * (2 * length);
  gsize middle = MIN (left + length, sort->n);
  gsize right = MIN (middle + length, sort->n);
  const guint8 *from = sort->buffers[(level - 1) % 2];
  guint8 *to = sort->buffers[level % 2];

  sort->sorter->merge (from + left * sort->size, middle - left, from + middle * sort->size,
                       right - middle, begin - left, end - left, to + begin * sort->size);
}

static gboolean
shm_sort_chunks (
    ShmMapReduce *pool, guint64 first, guint64 last, gpointer user_data, GError **error)
{
  const ShmSortWork *work = user_data;
  const ShmSort *sort = work->sort;

  for (; first < last; first++)
    {
      gsize begin = first * sort->chunk;
      gsize end = MIN (begin + sort->chunk, sort->n);

      if (shm_algorithms_tuning.sort_watch != NULL)
        shm_algorithms_tuning.sort_watch (work->phase, first);
      if (work->phase == 0)
        sort->sorter->sort (shm_sort_load (sort, begin, end, work->spare),
                            sort->buffers[0] + begin * sort->size, work->spare, end - begin);
      else if (work->phase <= sort->n_levels)
        shm_sort_merge (sort, work->phase, begin, end);
      else
        shm_sort_store (sort, begin, end);
    }
  return TRUE;
}

/* All phases, as one of the workers of @pool, or alone if that is NULL. */
static gboolean
shm_sort_work (const ShmSort *sort, ShmMapReduce *pool, GCancellable *cancellable, GError **error)
{
  g_autofree guint8 *spare = g_try_malloc (sort->chunk * sort->size);
  ShmSortWork work = { .sort = sort, .spare = spare };

  if (spare == NULL)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_NO_MEMORY, _ ("No memory to sort in"));
      return FALSE;
    }
  for (; work.phase < sort->n_phases; work.phase++)
    {
      if (pool != NULL)
        {
          if (!shm_map_reduce_share_range (pool, 0, sort->n_chunks, SHM_SCHEDULE_DYNAMIC, 1,
                                           shm_sort_chunks, &work, error))
            return FALSE;
        }
      else
        {
          for (gsize i = 0; i < sort->n_chunks; i++)
            {
              if (g_cancellable_set_error_if_cancelled (cancellable, error))
                return FALSE;
              shm_sort_chunks (NULL, i, i + 1, &work, NULL);
            }
        }
      __atomic_store_n (sort->n_done, work.phase + 1, __ATOMIC_SEQ_CST);
    }
  return TRUE;
}

static GVariant *
shm_sort_region (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  shm_sort_work (user_data, pool, NULL, error);
  return NULL;
}

/* After a failure: makes the array whole, with all items in some order. */
static void
shm_sort_restore (const ShmSort *sort)
{
  guint n_done = __atomic_load_n (sort->n_done, __ATOMIC_SEQ_CST);

  if (sort->indices != NULL)
    return;
  /* The buffer that the phase in work has read is that of the last one that ended. */
  if (sort->in_place && n_done > 0 && (n_done - 1) % 2 == 0)
    memcpy (sort->buffers[1], sort->buffers[0], sort->n * sort->size);
  else if (!sort->in_place && n_done > sort->n_levels)
    shm_sort_store (sort, 0, sort->n);
}

/* Chunks and levels: an odd number of these, with chunks that fit into a cache. */
static void
shm_sort_plan (ShmSort *sort)
{
  gsize most = MAX (shm_algorithms_tuning.sort_bytes / sort->size, 1);

  sort->n_levels = 1;
  while (shm_count_blocks (sort->n, (gsize) 1 << sort->n_levels) > most)
    sort->n_levels += 2;
  sort->chunk = shm_count_blocks (sort->n, (gsize) 1 << sort->n_levels);
  sort->n_chunks = shm_count_blocks (sort->n, sort->chunk);
  sort->n_phases = sort->n_levels + (sort->in_place ? 1 : 2);
}

static gboolean
shm_sort_run (ShmMapReduce *self, ShmSort *sort, GCancellable *cancellable, GError **error)
{
  g_autoptr (ShmArray) scratch = NULL;
  g_autoptr (ShmArray) more_scratch = NULL;
  g_autoptr (ShmArray) done = NULL;
  g_autoptr (GPtrArray) results = NULL;
  guint n_workers;
  gboolean ok;

  sort->n = sort->array->n_elements;
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (sort->n == 0)
    return TRUE;

  shm_sort_plan (sort);
  done = shm_algorithms_new_scratch (sizeof (guint), 1, error);
  scratch = done != NULL ? shm_algorithms_new_scratch (sort->size, sort->n, error) : NULL;
  if (scratch == NULL)
    return FALSE;
  sort->n_done = shm_array_get_data (done);
  sort->buffers[0] = shm_array_get_data (scratch);
  sort->buffers[1] = sort->array->data;
  if (!sort->in_place)
    {
      more_scratch = shm_algorithms_new_scratch (sort->size, sort->n, error);
      if (more_scratch == NULL)
        return FALSE;
      sort->buffers[1] = shm_array_get_data (more_scratch);
    }

  n_workers =
      shm_algorithms_count_workers (self, sort->n_chunks, 1, shm_algorithms_tuning.sort_grain);
  if (n_workers > 1)
    {
      g_autoptr (ShmMapReduce) pool = shm_algorithms_new_pool (self, n_workers);

      results = shm_map_reduce_run (pool, SHM_REGION_FLAGS_NONE, cancellable, shm_sort_region, sort,
                                    error);
      ok = results != NULL;
    }
  else
    ok = shm_sort_work (sort, NULL, cancellable, error);
  if (!ok)
    shm_sort_restore (sort);
  return ok;
}

/**
 * shm_map_reduce_sort:
 * @self: a pool
 * @array: an array of real numbers
 * @cancellable: (nullable): what may cancel it
 * @error: return location for an error
 *
 * Sorts @array in place, in ascending order. An array of several dimensions is sorted as a whole:
 * its items ascend in C order. NaN comes last. The order of items that are equal, such as both
 * zeros, and NaN of different kinds, stays as it was.
 *
 * It needs as much memory again as the array has, twice as much for a view that is not contiguous,
 * and up to half a mebibyte for each worker.
 *
 * Whatever goes wrong, @array keeps all its items; after an error their order is undefined. A
 * worker that dies ends the sort; nothing is tried again.
 *
 * Complex numbers and records are %SHM_ERROR_INVALID_ARGUMENT; memory that cannot be had is
 * %SHM_ERROR_NO_MEMORY.
 *
 * Returns: %TRUE, or %FALSE with @error set, also as by shm_map_reduce_run()
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_sort (ShmMapReduce *self, ShmArray *array, GCancellable *cancellable, GError **error)
{
  ShmSort sort = { .array = array };

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);
  g_return_val_if_fail (SHM_IS_ARRAY (array), FALSE);

  if (!shm_algorithms_check_real (array, error) || !shm_array_check_writable (array, error))
    return FALSE;
  sort.sorter = &shm_sorters[array->dtype];
  sort.size = array->item_size;
  sort.in_place = shm_algorithms_is_direct (array);
  return shm_sort_run (self, &sort, cancellable, error);
}

/**
 * shm_map_reduce_argsort:
 * @self: a pool
 * @array: an array of real numbers
 * @cancellable: (nullable): what may cancel it
 * @error: return location for an error
 *
 * Finds the order of the items of @array: item k of the result says which item of @array comes
 * k-th when they ascend, counted from 0 in C order. NaN comes last; items that are equal come in the
 * order that they have in @array, which stays as it is.
 *
 * It needs 32 bytes of memory for each item beside the result, and up to half a mebibyte for each
 * worker. A worker that dies ends it; nothing is tried again.
 *
 * Complex numbers and records are %SHM_ERROR_INVALID_ARGUMENT; memory that cannot be had is
 * %SHM_ERROR_NO_MEMORY.
 *
 * Returns: (transfer full): the order, an array of type i8 with one dimension, or %NULL with @error
 *   set, also as by shm_map_reduce_run()
 *
 * Since: 1.0
 */
ShmArray *
shm_map_reduce_argsort (ShmMapReduce *self,
                        ShmArray *array,
                        GCancellable *cancellable,
                        GError **error)
{
  ShmSort sort = { .array = array, .sorter = &shm_pair_sorter, .size = sizeof (ShmPair) };
  g_autoptr (ShmArray) indices = NULL;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), NULL);
  g_return_val_if_fail (SHM_IS_ARRAY (array), NULL);

  if (!shm_algorithms_check_real (array, error))
    return NULL;
  indices = shm_array_new (SHM_DTYPE_I8, &array->n_elements, 1, error);
  if (indices == NULL)
    return NULL;
  sort.indices = shm_array_get_data (indices);
  return shm_sort_run (self, &sort, cancellable, error) ? g_steal_pointer (&indices) : NULL;
}
