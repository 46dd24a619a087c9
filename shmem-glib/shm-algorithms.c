/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Numerics on whole arrays, written with the public pool alone: what is common to them, and those
 * that have a result for each item.
 *
 * The items of an array are dealt out in blocks of a fixed size, in C order, whoever works on them.
 * A block is worked on in pieces, which are side by side in memory: in place where the array is
 * contiguous, copied to a worker's stack where it is not. So every inner loop is one over plain
 * numbers, and a view gives the same bits as a copy of it.
 */

#include "config.h"

#include "shm-algorithms.h"

#include "shm-algorithms-private.h"
#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"

#include <sys/mman.h>
#include <unistd.h>

ShmTuning shm_algorithms_tuning = {
  .block = 65536,
  .grain = 16,
  .sort_bytes = 1 << 19,
  .sort_grain = 2,
};

/* Whether an array holds real numbers, and is there. */
gboolean
shm_algorithms_check_real (ShmArray *array, GError **error)
{
  if (array->dtype < SHM_DTYPE_C8)
    return shm_array_check_open (array, error);

  g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
               _ ("An item of type %s is not a real number"), shm_dtype_to_string (array->dtype));
  return FALSE;
}

/* How many workers so many blocks are worth; with one the caller had better do it. */
guint
shm_algorithms_count_workers (ShmMapReduce *self, gsize n_blocks, gsize weight, gsize grain)
{
  gsize n_worth = MIN (n_blocks, n_blocks * weight / grain);

  if (shm_map_reduce_get_backend (self) == SHM_BACKEND_TYPE_SERIAL || n_worth < 2)
    return 1;
  return (guint) MIN (shm_map_reduce_count_workers (self), n_worth);
}

/* A pool with workers as @self has them, and none of its other settings: those are for items of the
 * user, not for blocks.
 */
ShmMapReduce *
shm_algorithms_new_pool (ShmMapReduce *self, guint n_workers)
{
  ShmMapReduce *pool = shm_map_reduce_new ();

  shm_map_reduce_set_n_workers (pool, n_workers);
  shm_map_reduce_set_backend (pool, shm_map_reduce_get_backend (self));
  shm_map_reduce_set_max_retries (pool, shm_map_reduce_get_max_retries (self));
  shm_map_reduce_set_nested (pool, shm_map_reduce_get_nested (self));
  shm_map_reduce_set_worker_threads (pool, shm_map_reduce_get_worker_threads (self));
  shm_map_reduce_set_worker_memory (pool, shm_map_reduce_get_worker_memory (self));
  shm_map_reduce_set_worker_cpu_time (pool, shm_map_reduce_get_worker_cpu_time (self));
  shm_map_reduce_set_worker_niceness (pool, shm_map_reduce_get_worker_niceness (self));
  return pool;
}

/* Calls @func for ranges of blocks; it must be able to do a block again. */
gboolean
shm_algorithms_for_blocks (ShmMapReduce *self,
                           gsize n_blocks,
                           gsize weight,
                           GCancellable *cancellable,
                           ShmLoopFunc func,
                           gpointer user_data,
                           GError **error)
{
  guint n_workers =
      shm_algorithms_count_workers (self, n_blocks, weight, shm_algorithms_tuning.grain);

  if (n_workers > 1)
    {
      g_autoptr (ShmMapReduce) pool = shm_algorithms_new_pool (self, n_workers);

      return shm_map_reduce_for_range (pool, 0, n_blocks, cancellable, func, user_data, error);
    }

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  for (gsize block = 0; block < n_blocks; block++)
    {
      if (!func (self, block, block + 1, user_data, error) ||
          g_cancellable_set_error_if_cancelled (cancellable, error))
        return FALSE;
    }
  return TRUE;
}

/* Memory that all workers share, for what they hand to each other. */
ShmArray *
shm_algorithms_new_scratch (gsize item_size, gsize n_items, GError **error)
{
  return shm_array_new_full (SHM_DTYPE_RECORD, item_size, &n_items, 1, SHM_ARRAY_FLAGS_HUGE_PAGES,
                             error);
}

/* The value of an item, counted in C order. */
GVariant *
shm_algorithms_get_item (ShmArray *array, gsize item, GError **error)
{
  gsize index[SHM_ARRAY_MAX_DIMS];

  for (gsize axis = array->n_dims; axis-- > 0;)
    {
      index[axis] = item % array->shape[axis];
      item /= array->shape[axis];
    }
  return shm_array_get_value (array, index, array->n_dims, error);
}

/* Whether the items can be used where they are, as plain numbers of C. Fields of packed records may
 * not be aligned.
 */
gboolean
shm_algorithms_is_direct (ShmArray *array)
{
  return shm_array_is_contiguous (array) &&
         (guintptr) array->data % MIN (array->item_size, sizeof (guint64)) == 0;
}

static void
shm_algorithms_copy_out (ShmArray *array, gsize begin, gsize n, guint8 *target)
{
  ShmArrayIter iter;

  shm_array_iter_init (&iter, array);
  shm_array_iter_set_range (&iter, begin, begin + n);
  while (shm_array_iter_next (&iter))
    {
      shm_array_run_read (&iter, target, array->item_size);
      target += iter.n_items * array->item_size;
    }
}

/* The items from @begin on, side by side: the array's own memory, or a copy in @piece. */
gconstpointer
shm_algorithms_read (ShmArray *array, gsize begin, gsize n, ShmPiece *piece)
{
  g_assert (n <= SHM_PIECE);

  if (shm_algorithms_is_direct (array))
    return array->data + begin * array->item_size;
  shm_algorithms_copy_out (array, begin, n, piece->bytes);
  return piece->bytes;
}

#define CONVERT(dtype_, type, wide, AS)                                                            \
  case dtype_:                                                                                     \
    {                                                                                              \
      const type *items = raw;                                                                     \
                                                                                                   \
      for (gsize i = 0; i < n; i++)                                                                \
        buffer[i] = (double) AS (items[i]);                                                        \
      break;                                                                                       \
    }

/* The same as doubles, of an array of any real type; @buffer has room for a piece. */
const double *
shm_algorithms_read_doubles (ShmArray *array, gsize begin, gsize n, double *buffer)
{
  ShmPiece piece;
  gconstpointer raw;

  if (array->dtype == SHM_DTYPE_F8 && shm_algorithms_is_direct (array))
    return (const double *) array->data + begin;
  if (array->dtype == SHM_DTYPE_F8)
    {
      shm_algorithms_copy_out (array, begin, n, (guint8 *) buffer);
      return buffer;
    }

  raw = shm_algorithms_read (array, begin, n, &piece);
  switch (array->dtype)
    {
      SHM_INTEGER_ITEMS (CONVERT)
      CONVERT (SHM_DTYPE_F4, float, double, SHM_AS_IT_IS)
    default:
      g_assert_not_reached ();
    }
  return buffer;
}

/* Writes what is side by side at @items to the items of the array from @begin on. */
void
shm_algorithms_write (ShmArray *array, gsize begin, gsize n, gconstpointer items)
{
  const guint8 *source = items;
  ShmArrayIter iter;

  shm_array_iter_init (&iter, array);
  shm_array_iter_set_range (&iter, begin, begin + n);
  while (shm_array_iter_next (&iter))
    {
      shm_array_run_write (&iter, source, array->item_size);
      source += iter.n_items * array->item_size;
    }
}

typedef struct
{
  ShmArray *array;
  const guint8 *item;
} ShmFill;

/* A forked worker has to find each page of shared memory once. It finds those that it will write
 * together in two thirds of the time that filling takes with single faults. Sums gain nothing from
 * that, since a fault for reading brings sixteen pages, and sorts lose. It is advice: kernels before
 * Linux 5.14 do not know it.
 */
static void
shm_fill_prepare (ShmMapReduce *pool, gpointer memory, gsize n_bytes)
{
#ifdef MADV_POPULATE_WRITE
  guintptr page = (guintptr) sysconf (_SC_PAGESIZE);
  guintptr begin = (guintptr) memory & ~(page - 1);
  guintptr end = ((guintptr) memory + n_bytes + page - 1) & ~(page - 1);

  if (n_bytes >= page && pool != NULL && shm_map_reduce_get_rank (pool) >= 0 &&
      shm_map_reduce_get_backend (pool) == SHM_BACKEND_TYPE_PROCESS)
    madvise ((gpointer) begin, end - begin, MADV_POPULATE_WRITE);
#endif
}

static gboolean
shm_fill_blocks (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  const ShmFill *fill = user_data;
  ShmArray *array = fill->array;
  gsize block = shm_algorithms_tuning.block;
  gboolean contiguous = shm_array_is_contiguous (array);

  for (; begin < end; begin++)
    {
      gsize first = begin * block;
      gsize last = MIN (first + block, array->n_elements);
      ShmArrayIter iter;

      if (contiguous)
        shm_fill_prepare (pool, array->data + first * array->item_size,
                          (last - first) * array->item_size);
      shm_array_iter_init (&iter, array);
      shm_array_iter_set_range (&iter, first, last);
      while (shm_array_iter_next (&iter))
        shm_array_run_fill (&iter, fill->item, array->item_size);
    }
  return TRUE;
}

/**
 * shm_map_reduce_fill_array:
 * @self: a pool
 * @array: an array of any type
 * @value: an item, as shm_array_set_value() takes it; if it is floating, it is consumed
 * @cancellable: (nullable): what may cancel it
 * @error: return location for an error
 *
 * Sets all items of @array to @value, as shm_array_fill() does, on the workers. If @value does not
 * fit, that is a %SHM_ERROR_INVALID_ARGUMENT, and nothing is written. After any other error some of
 * the items are @value, and the others what they were. #ShmMapReduce:max-retries counts.
 *
 * Returns: %TRUE, or %FALSE with @error set, also as by shm_job_run()
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_fill_array (
    ShmMapReduce *self, ShmArray *array, GVariant *value, GCancellable *cancellable, GError **error)
{
  g_autoptr (GVariant) sunk = NULL;
  g_autofree guint8 *item = NULL;
  ShmFill fill = { .array = array };
  gsize n_blocks;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);
  g_return_val_if_fail (SHM_IS_ARRAY (array), FALSE);
  g_return_val_if_fail (value != NULL, FALSE);

  sunk = g_variant_ref_sink (value);
  if (!shm_array_check_open (array, error))
    return FALSE;
  item = shm_array_encode_fill (array, sunk, error);
  if (item == NULL)
    return FALSE;
  fill.item = item;
  n_blocks = shm_count_blocks (array->n_elements, shm_algorithms_tuning.block);
  return shm_algorithms_for_blocks (self, n_blocks, SHM_WEIGHT_LIGHT, cancellable, shm_fill_blocks,
                                    &fill, error);
}

typedef struct
{
  ShmArray *input;
  ShmArray *output;
  ShmDoublesFunc func;
  gpointer user_data;
} ShmDoublesMap;

/* What is computed in place is stored only when all of it is there: a piece that fails half way can
 * be done again.
 */
static gboolean
shm_map_doubles_piece (
    ShmMapReduce *pool, const ShmDoublesMap *map, gsize begin, gsize n, GError **error)
{
  gboolean direct = map->output->dtype == SHM_DTYPE_F8 && map->output->data != map->input->data &&
                    shm_algorithms_is_direct (map->output);
  double read[SHM_PIECE];
  double made[SHM_PIECE];
  float floats[SHM_PIECE];
  const double *input = shm_algorithms_read_doubles (map->input, begin, n, read);
  double *output = direct ? (double *) map->output->data + begin : made;

  if (!map->func (pool, input, output, begin, n, map->user_data, error))
    return FALSE;
  if (direct)
    return TRUE;

  if (map->output->dtype == SHM_DTYPE_F4)
    {
      for (gsize i = 0; i < n; i++)
        floats[i] = (float) made[i];
      shm_algorithms_write (map->output, begin, n, floats);
    }
  else
    shm_algorithms_write (map->output, begin, n, made);
  return TRUE;
}

/* A piece that fails is done again item by item, so that the one to blame is found, and none that
 * was stored is computed twice when the loop goes on behind it.
 */
static gboolean
shm_map_doubles_range (
    ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  const ShmDoublesMap *map = user_data;
  gsize n;

  for (; begin < end; begin += n)
    {
      g_autoptr (GError) unused = NULL;

      n = MIN (end - begin, SHM_PIECE);
      shm_map_reduce_begin_item (pool, begin);
      if (shm_map_doubles_piece (pool, map, begin, n, &unused))
        continue;
      for (guint64 item = begin; item < begin + n; item++)
        {
          shm_map_reduce_begin_item (pool, item);
          if (!shm_map_doubles_piece (pool, map, item, 1, error))
            return FALSE;
        }
    }
  return TRUE;
}

static gboolean
shm_algorithms_check_map (ShmArray *input, ShmArray *output, GError **error)
{
  if (!shm_algorithms_check_real (input, error) || !shm_array_check_open (output, error) ||
      !shm_array_check_writable (output, error))
    return FALSE;
  if (output->dtype != SHM_DTYPE_F4 && output->dtype != SHM_DTYPE_F8)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("An item of type %s is not a floating-point number"),
                   shm_dtype_to_string (output->dtype));
      return FALSE;
    }
  if (input->n_elements != output->n_elements)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("The arrays differ in their numbers of items: %zu and %zu"),
                   input->n_elements, output->n_elements);
      return FALSE;
    }
  return TRUE;
}

/**
 * shm_map_reduce_map_double: (skip)
 * @self: a pool
 * @input: an array of real numbers
 * @output: an array of as many floating-point numbers; it may be @input itself
 * @cancellable: (nullable): what may cancel it
 * @func: (scope call) (closure user_data): what computes doubles from doubles, in a worker
 * @user_data: data for @func
 * @error: return location for an error
 *
 * Sets the items of @output to what @func computes from those of @input, which it is given as
 * doubles, up to 2048 of them at a time. Integers above two to the 53rd are rounded, and so is what
 * is stored in items of type f4.
 *
 * It is a loop as shm_map_reduce_for_range() has it, over the items of the arrays; so all settings
 * of the pool count. @func may be called with any number of neighbouring items; where the result
 * for an item depends on that item alone, it is the same for every number of workers. Where @func
 * fails, it is called again for each of these items by itself, and the first that fails is the one
 * to blame.
 *
 * Complex numbers and records, an @output of another type than f4 and f8, and different numbers of
 * items are %SHM_ERROR_INVALID_ARGUMENT. After an error of the loop some items of @output are
 * computed, and the others what they were; no item that is computed in place is computed from what
 * was computed, whatever is tried again, unless a worker is killed in the very moment in which it stores
 * what it has computed. Two arrays that overlap otherwise than by being the same give anything.
 *
 * Returns: %TRUE, or %FALSE with @error set, also as by shm_job_run()
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_map_double (ShmMapReduce *self,
                           ShmArray *input,
                           ShmArray *output,
                           GCancellable *cancellable,
                           ShmDoublesFunc func,
                           gpointer user_data,
                           GError **error)
{
  ShmDoublesMap map = { input, output, func, user_data };

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);
  g_return_val_if_fail (SHM_IS_ARRAY (input), FALSE);
  g_return_val_if_fail (SHM_IS_ARRAY (output), FALSE);
  g_return_val_if_fail (func != NULL, FALSE);

  return shm_algorithms_check_map (input, output, error) &&
         shm_map_reduce_for_range (self, 0, input->n_elements, cancellable, shm_map_doubles_range,
                                   &map, error);
}
