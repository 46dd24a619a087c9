/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Results that need no way back: each item writes its own place of a shared array. */

#include "config.h"

#include "shm-array-private.h"
#include "shm-error.h"
#include "shm-i18n-private.h"
#include "shm-job-private.h"

/* Whether each item of the job has a place. */
gboolean
shm_job_check_into (ShmJob *self, GError **error)
{
  gsize n_places;

  if (self->work.kind != SHM_WORK_INTO)
    return TRUE;
  if (!shm_array_check_open (self->work.into, error))
    return FALSE;
  n_places = self->work.into->shape[0];
  if (self->input.kind != SHM_INPUT_FEED && self->n_items <= n_places)
    return TRUE;
  if (self->input.kind == SHM_INPUT_FEED)
    g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                 _ ("Nobody knows whether all items that are fed fit into an array of length %zu"),
                 n_places);
  else
    g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                 shm_ngettext ("%llu item does not fit into an array of length %zu",
                               "%llu items do not fit into an array of length %zu", self->n_items),
                 (unsigned long long) self->n_items, n_places);
  return FALSE;
}

/**
 * shm_job_set_into_func:
 * @self: a job that has not been run, or keeps its workers and does not run
 * @array: where the results go: item i belongs to the element i of its first axis
 * @func: (scope notified) (closure user_data) (destroy destroy): what works on an item, and writes its place
 * @user_data: data for @func
 * @destroy: (nullable): frees @user_data, in the caller, when the job has ended
 * @error: return location for an error
 *
 * Gives the job a function that is called once for each item, and writes what comes out directly into its own part
 * of @array, which the job holds. There are no other results. It takes the place of any other work function, and
 * the number of items becomes that of the elements of @array along its first axis; it may be made smaller.
 *
 * An array without an axis, or one that is read-only or closed, is an error.
 *
 * Returns: %TRUE if the array will do
 *
 * Since: 1.0
 */
gboolean
shm_job_set_into_func (ShmJob *self,
                       ShmArray *array,
                       ShmIntoFunc func,
                       gpointer user_data,
                       GDestroyNotify destroy,
                       GError **error)
{
  g_return_val_if_fail (SHM_IS_JOB (self), FALSE);
  g_return_val_if_fail (SHM_IS_ARRAY (array), FALSE);
  g_return_val_if_fail (func != NULL, FALSE);

  if (!shm_array_check_open (array, error) || !shm_array_check_writable (array, error))
    return FALSE;
  if (array->n_dims == 0)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                           _ ("An array without an axis has no place for each item"));
      return FALSE;
    }
  shm_job_set_work (self, SHM_WORK_INTO, G_CALLBACK (func), user_data, destroy);
  g_set_object (&self->work.into, array);
  if (self->input.kind == SHM_INPUT_COUNT)
    shm_job_update_n_items (self, array->shape[0]);
  return TRUE;
}

/**
 * shm_map_reduce_map_into:
 * @self: a pool
 * @array: where the results go: item i belongs to the element i of its first axis
 * @cancellable: (nullable): what may cancel the job
 * @func: (scope call) (closure user_data): what works on an item, and writes its place
 * @user_data: data for @func
 * @error: return location for an error
 *
 * Calls @func for each element of @array along its first axis, on the workers, and waits for the end. Each call
 * writes its own element, or its own part of an array that has more axes; nothing is sent back, so that an item costs
 * a few ten nanoseconds. The first failure ends the job; see shm_job_run() for the errors, and
 * shm_job_set_into_func().
 *
 * Returns: %TRUE if all items were done
 *
 * Since: 1.0
 */
gboolean
shm_map_reduce_map_into (ShmMapReduce *self,
                         ShmArray *array,
                         GCancellable *cancellable,
                         ShmIntoFunc func,
                         gpointer user_data,
                         GError **error)
{
  g_autoptr (ShmJob) job = NULL;

  g_return_val_if_fail (SHM_IS_MAP_REDUCE (self), FALSE);
  g_return_val_if_fail (SHM_IS_ARRAY (array), FALSE);
  g_return_val_if_fail (func != NULL, FALSE);

  job = shm_job_new (self, 0);
  return shm_job_set_into_func (job, array, func, user_data, NULL, error) &&
         shm_job_run (job, cancellable, error);
}
