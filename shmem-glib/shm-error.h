/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib-object.h>
#include <shmem-glib/shm-version.h>

G_BEGIN_DECLS

/**
 * SECTION:shm-error
 * @title: Errors
 * @short_description: the error domain
 *
 * What can go wrong, apart from the errors of the work functions, which keep their own domain.
 */

/**
 * SHM_ERROR:
 *
 * The error domain of shmem-glib; its codes are in #ShmError.
 *
 * Messages are in the language of the locale, where there is a translation and the application has called
 * setlocale(). They are looked for in the prefix in which the library is. An application that has them elsewhere calls
 * bindtextdomain ("shmem-glib-1.0", folder) before it makes other calls.
 *
 * Since: 1.0
 */
#define SHM_ERROR (shm_error_quark ())

/**
 * ShmError:
 * @SHM_ERROR_FAILED: something failed for which there is no code of its own
 * @SHM_ERROR_INVALID_ARGUMENT: a value that cannot be used was given
 * @SHM_ERROR_OUT_OF_BOUNDS: an index or a range lies outside of its array
 * @SHM_ERROR_NO_MEMORY: the memory, or the address space, cannot be had
 * @SHM_ERROR_NO_WORKERS: no worker could be started
 * @SHM_ERROR_WORKER_SIGNAL: a signal ended a worker
 * @SHM_ERROR_WORKER_EXIT: a worker exited in the middle of its work
 * @SHM_ERROR_WORKER_TIMEOUT: an item took longer than it may
 * @SHM_ERROR_WORKER_OOM: a worker was killed since memory had run out
 * @SHM_ERROR_BAD_RESULT: a result could not be sent, or what arrived was not a result
 * @SHM_ERROR_WRONG_STATE: the call is not possible now: a section entered twice, a job run twice
 * @SHM_ERROR_NOT_SUPPORTED: this machine cannot do it
 * @SHM_ERROR_READ_ONLY: the memory of an array may only be read
 * @SHM_ERROR_UNTRUSTED: memory from another process is not sealed, so that it could vanish
 *
 * The codes of %SHM_ERROR.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_ERROR_FAILED,
  SHM_ERROR_INVALID_ARGUMENT,
  SHM_ERROR_OUT_OF_BOUNDS,
  SHM_ERROR_NO_MEMORY,
  SHM_ERROR_NO_WORKERS,
  SHM_ERROR_WORKER_SIGNAL,
  SHM_ERROR_WORKER_EXIT,
  SHM_ERROR_WORKER_TIMEOUT,
  SHM_ERROR_WORKER_OOM,
  SHM_ERROR_BAD_RESULT,
  SHM_ERROR_WRONG_STATE,
  SHM_ERROR_NOT_SUPPORTED,
  SHM_ERROR_READ_ONLY,
  SHM_ERROR_UNTRUSTED
} ShmError;

SHM_AVAILABLE_IN_1_0
GQuark shm_error_quark (void);

G_END_DECLS
