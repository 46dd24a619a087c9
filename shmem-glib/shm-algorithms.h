/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>
#include <shmem-glib/shm-array.h>
#include <shmem-glib/shm-enums.h>
#include <shmem-glib/shm-map-reduce.h>
#include <shmem-glib/shm-version.h>

G_BEGIN_DECLS

/**
 * SECTION:shm-algorithms
 * @title: Parallel numerics
 * @short_description: sums, sorts and searches of arrays on the workers of a pool
 *
 * Whole-array functions that the workers of a pool share out among themselves. Results are the same
 * to the last bit for every number of workers and every backend.
 *
 * All take views as well as whole arrays, of any shape. Where a result depends on the order of the
 * items, or names one of them, they are counted from 0 in C order: the last index runs fastest.
 *
 * Of the settings of the pool, #ShmMapReduce:n-workers, #ShmMapReduce:backend,
 * #ShmMapReduce:nested, and those of the workers' memory, processor time, niceness and threads
 * count, and where it is said so #ShmMapReduce:max-retries. How the work is divided is for these
 * functions to choose; small arrays are worked on by the caller, without any worker.
 * shm_map_reduce_map_double() is a loop as others are, and heeds all settings.
 *
 * The arrays must not be written by anybody else meanwhile. A closed array is a
 * %SHM_ERROR_WRONG_STATE; one that would have to be written, and may only be read, is a
 * %SHM_ERROR_READ_ONLY.
 */

/**
 * ShmDoublesFunc:
 * @pool: the pool that works
 * @input: (array length=n_items): the items to read
 * @output: (array length=n_items): where to write as many
 * @begin: which item of the arrays the first of them is, in C order
 * @n_items: how many there are, at least 1
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * Computes doubles from doubles, in a worker. @input and @output may be the same memory.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
typedef gboolean (*ShmDoublesFunc) (ShmMapReduce *pool,
                                    const double *input,
                                    double *output,
                                    guint64 begin,
                                    gsize n_items,
                                    gpointer user_data,
                                    GError **error);

SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_fill_array (ShmMapReduce *self,
                                    ShmArray *array,
                                    GVariant *value,
                                    GCancellable *cancellable,
                                    GError **error);
SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_map_double (ShmMapReduce *self,
                                    ShmArray *input,
                                    ShmArray *output,
                                    GCancellable *cancellable,
                                    ShmDoublesFunc func,
                                    gpointer user_data,
                                    GError **error);

SHM_AVAILABLE_IN_1_0
double
shm_map_reduce_sum (ShmMapReduce *self, ShmArray *array, GCancellable *cancellable, GError **error);
SHM_AVAILABLE_IN_1_0
GVariant *shm_map_reduce_sum_value (ShmMapReduce *self,
                                    ShmArray *array,
                                    GCancellable *cancellable,
                                    GError **error);
SHM_AVAILABLE_IN_1_0
double shm_map_reduce_dot (
    ShmMapReduce *self, ShmArray *a, ShmArray *b, GCancellable *cancellable, GError **error);
SHM_AVAILABLE_IN_1_0
GVariant *shm_map_reduce_min (
    ShmMapReduce *self, ShmArray *array, GCancellable *cancellable, guint64 *index, GError **error);
SHM_AVAILABLE_IN_1_0
GVariant *shm_map_reduce_max (
    ShmMapReduce *self, ShmArray *array, GCancellable *cancellable, guint64 *index, GError **error);

SHM_AVAILABLE_IN_1_0
ShmArray *shm_map_reduce_histogram (ShmMapReduce *self,
                                    ShmArray *array,
                                    guint64 n_bins,
                                    double low,
                                    double high,
                                    GCancellable *cancellable,
                                    GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_map_reduce_histogram_edges (ShmMapReduce *self,
                                          ShmArray *array,
                                          ShmArray *edges,
                                          GCancellable *cancellable,
                                          GError **error);

SHM_AVAILABLE_IN_1_0
gboolean shm_map_reduce_sort (ShmMapReduce *self,
                              ShmArray *array,
                              GCancellable *cancellable,
                              GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_map_reduce_argsort (ShmMapReduce *self,
                                  ShmArray *array,
                                  GCancellable *cancellable,
                                  GError **error);
SHM_AVAILABLE_IN_1_0
ShmArray *shm_map_reduce_searchsorted (ShmMapReduce *self,
                                       ShmArray *sorted,
                                       ShmArray *values,
                                       ShmSearchSide side,
                                       GCancellable *cancellable,
                                       GError **error);

G_END_DECLS
