/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib-object.h>
#include <shmem-glib/shm-version.h>

G_BEGIN_DECLS

/**
 * SECTION:shm-enums
 * @title: Enumerations
 * @short_description: the choices that arrays and pools offer
 *
 * The kinds of array items, and the ways in which a pool works.
 */

/**
 * ShmDtype:
 * @SHM_DTYPE_BOOL: a truth value of one byte, 0 or 1
 * @SHM_DTYPE_I1: a signed integer of 1 byte
 * @SHM_DTYPE_I2: a signed integer of 2 bytes
 * @SHM_DTYPE_I4: a signed integer of 4 bytes
 * @SHM_DTYPE_I8: a signed integer of 8 bytes
 * @SHM_DTYPE_U1: an unsigned integer of 1 byte
 * @SHM_DTYPE_U2: an unsigned integer of 2 bytes
 * @SHM_DTYPE_U4: an unsigned integer of 4 bytes
 * @SHM_DTYPE_U8: an unsigned integer of 8 bytes
 * @SHM_DTYPE_F4: an IEEE 754 number of 4 bytes, C's `float`
 * @SHM_DTYPE_F8: an IEEE 754 number of 8 bytes, C's `double`
 * @SHM_DTYPE_C8: a complex number, two `float`s: real and imaginary part
 * @SHM_DTYPE_C16: a complex number, two `double`s: real and imaginary part
 * @SHM_DTYPE_RECORD: an opaque record of any size
 *
 * The type of an array's items. All are in the machine's own byte order.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_DTYPE_BOOL,
  SHM_DTYPE_I1,
  SHM_DTYPE_I2,
  SHM_DTYPE_I4,
  SHM_DTYPE_I8,
  SHM_DTYPE_U1,
  SHM_DTYPE_U2,
  SHM_DTYPE_U4,
  SHM_DTYPE_U8,
  SHM_DTYPE_F4,
  SHM_DTYPE_F8,
  SHM_DTYPE_C8,
  SHM_DTYPE_C16,
  SHM_DTYPE_RECORD
} ShmDtype;

/**
 * ShmArrayFlags:
 * @SHM_ARRAY_FLAGS_NONE: nothing special
 * @SHM_ARRAY_FLAGS_RESERVE: commit the memory now, so that running out of it is an error at
 * creation and not a bus error later
 * @SHM_ARRAY_FLAGS_HUGE_PAGES: advise the system to use huge pages; no promise, since many systems
 * do not allow them in shared memory
 * @SHM_ARRAY_FLAGS_SHAREABLE: keep the memory in a file descriptor that is sealed against shrinking,
 * so that shm_array_to_message() and shm_array_dup_fd() can hand it to processes that this one did
 * not fork; shm_array_resize() needs it too
 * @SHM_ARRAY_FLAGS_POPULATE: fetch all pages of the memory into this process now, so that the first
 * use of each is as fast as the later ones
 *
 * How the memory of an array is obtained.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_ARRAY_FLAGS_NONE = 0,
  SHM_ARRAY_FLAGS_RESERVE = 1 << 0,
  SHM_ARRAY_FLAGS_HUGE_PAGES = 1 << 1,
  SHM_ARRAY_FLAGS_SHAREABLE = 1 << 2,
  SHM_ARRAY_FLAGS_POPULATE = 1 << 3
} ShmArrayFlags;

/**
 * ShmAdvice:
 * @SHM_ADVICE_NORMAL: nothing special; takes back @SHM_ADVICE_SEQUENTIAL and @SHM_ADVICE_RANDOM
 * @SHM_ADVICE_SEQUENTIAL: the items are used in the order in which they lie
 * @SHM_ADVICE_RANDOM: the items are used in no order, so that reading ahead is of no use
 * @SHM_ADVICE_WILL_NEED: the items are used soon; what was paged out is fetched, and memory, other than a file, is mapped
 *   into this process at once, so that it has not to find each page when it uses it
 * @SHM_ADVICE_PAGE_OUT: the items are not used soon; they may go to where the system pages memory
 *   out to, and come back when they are used
 *
 * How the memory of an array will be used.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_ADVICE_NORMAL,
  SHM_ADVICE_SEQUENTIAL,
  SHM_ADVICE_RANDOM,
  SHM_ADVICE_WILL_NEED,
  SHM_ADVICE_PAGE_OUT
} ShmAdvice;

/**
 * ShmFileMode:
 * @SHM_FILE_MODE_READ_ONLY: an existing file, which may only be read
 * @SHM_FILE_MODE_READ_WRITE: an existing file, which is also written to
 * @SHM_FILE_MODE_CREATE: a new file; that there is one of its name already is an error
 * @SHM_FILE_MODE_REPLACE: a new file, which takes the place of one of its name; those who have
 *   mapped or opened the old one keep it
 *
 * How the file of an array is opened.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_FILE_MODE_READ_ONLY,
  SHM_FILE_MODE_READ_WRITE,
  SHM_FILE_MODE_CREATE,
  SHM_FILE_MODE_REPLACE
} ShmFileMode;

/**
 * ShmBackendType:
 * @SHM_BACKEND_TYPE_PROCESS: forked processes: the work function sees everything the caller had at
 * the start of the job, copy-on-write, and shares what lies in #ShmArray memory
 * @SHM_BACKEND_TYPE_THREAD: threads of the calling process: everything is shared, a crash ends them
 * all
 * @SHM_BACKEND_TYPE_SERIAL: the calling thread itself, one item after the other: for debugging
 *
 * Who does the work of a pool.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_BACKEND_TYPE_PROCESS,
  SHM_BACKEND_TYPE_THREAD,
  SHM_BACKEND_TYPE_SERIAL
} ShmBackendType;

/**
 * ShmSchedule:
 * @SHM_SCHEDULE_DYNAMIC: each worker claims the next chunk when it has finished its last one;
 * chunks of #ShmMapReduce:chunk-size items, or of a size that follows the time which items take
 * @SHM_SCHEDULE_STATIC: each worker's items are known from the start: one contiguous block each,
 * or, with a chunk size, chunks dealt out in turn
 * @SHM_SCHEDULE_GUIDED: like dynamic, with chunks that shrink with the items left, down to
 *   #ShmMapReduce:chunk-size
 *
 * How the items of a job are dealt to the workers; the words are OpenMP's. A serial job goes
 * through them one after the other.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_SCHEDULE_DYNAMIC,
  SHM_SCHEDULE_STATIC,
  SHM_SCHEDULE_GUIDED
} ShmSchedule;

/**
 * ShmOutput:
 * @SHM_OUTPUT_LIST: the results are kept, and are a list in the order of the items in the end
 * @SHM_OUTPUT_STREAM: each result is given to who listens, in the order in which they arrive, and not kept
 * @SHM_OUTPUT_STREAM_IN_ORDER: each result is given to who listens, in the order of the items, and not kept
 * @SHM_OUTPUT_NONE: the results are dropped where they are made, and not reduced
 *
 * What becomes of the results of a job.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_OUTPUT_LIST,
  SHM_OUTPUT_STREAM,
  SHM_OUTPUT_STREAM_IN_ORDER,
  SHM_OUTPUT_NONE
} ShmOutput;

/**
 * ShmRegionFlags:
 * @SHM_REGION_FLAGS_NONE: all workers are new
 * @SHM_REGION_FLAGS_WITH_CALLER: the caller itself is the worker of rank 0
 *
 * Who takes part in a region.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_REGION_FLAGS_NONE = 0,
  SHM_REGION_FLAGS_WITH_CALLER = 1 << 0
} ShmRegionFlags;

/**
 * ShmSearchSide:
 * @SHM_SEARCH_SIDE_LEFT: before all items that are equal
 * @SHM_SEARCH_SIDE_RIGHT: behind all items that are equal
 *
 * Where shm_map_reduce_searchsorted() would put a value beside items that are equal to it.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_SEARCH_SIDE_LEFT,
  SHM_SEARCH_SIDE_RIGHT
} ShmSearchSide;

/**
 * ShmFailurePolicy:
 * @SHM_FAILURE_POLICY_ABORT: the first failure ends the job
 * @SHM_FAILURE_POLICY_COLLECT: the job goes on with the other items; the results hold %NULL at those that
 *   failed, and shm_job_get_failures() lists them
 *
 * What becomes of a job when an item fails, after its retries if it has any.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_FAILURE_POLICY_ABORT,
  SHM_FAILURE_POLICY_COLLECT
} ShmFailurePolicy;

/**
 * ShmFailureKind:
 * @SHM_FAILURE_KIND_ERROR: the work function returned an error, or a result that could not be sent
 * @SHM_FAILURE_KIND_SIGNAL: a signal ended the worker
 * @SHM_FAILURE_KIND_EXIT: the worker exited in the middle of its work
 * @SHM_FAILURE_KIND_TIMEOUT: the item took longer than #ShmMapReduce:item-timeout
 * @SHM_FAILURE_KIND_OOM: the kernel killed the worker since memory had run out
 *
 * How an item failed.
 *
 * Since: 1.0
 */
typedef enum
{
  SHM_FAILURE_KIND_ERROR,
  SHM_FAILURE_KIND_SIGNAL,
  SHM_FAILURE_KIND_EXIT,
  SHM_FAILURE_KIND_TIMEOUT,
  SHM_FAILURE_KIND_OOM
} ShmFailureKind;

G_END_DECLS
