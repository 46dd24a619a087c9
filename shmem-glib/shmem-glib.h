/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#define SHM_INSIDE
#include <shmem-glib/shm-version.h>

#include <shmem-glib/shm-algorithms.h>
#include <shmem-glib/shm-array-iter.h>
#include <shmem-glib/shm-array.h>
#include <shmem-glib/shm-background.h>
#include <shmem-glib/shm-cpu.h>
#include <shmem-glib/shm-debug.h>
#include <shmem-glib/shm-enum-types.h>
#include <shmem-glib/shm-enums.h>
#include <shmem-glib/shm-error.h>
#include <shmem-glib/shm-failure.h>
#include <shmem-glib/shm-fork-func.h>
#include <shmem-glib/shm-gjs.h>
#include <shmem-glib/shm-job.h>
#include <shmem-glib/shm-locker.h>
#include <shmem-glib/shm-map-reduce.h>
#include <shmem-glib/shm-program.h>
#include <shmem-glib/shm-statistics.h>
#undef SHM_INSIDE
