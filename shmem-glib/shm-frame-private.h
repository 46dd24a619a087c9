/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-failure-private.h"

G_BEGIN_DECLS

typedef enum
{
  SHM_FRAME_RESULT = 1, /* items begin … end - 1 are done; value is their result */
  SHM_FRAME_FAILURE,    /* item begin failed */
  SHM_FRAME_BROKEN,     /* the worker as a whole failed; begin and end are 0, as below */
  SHM_FRAME_SUMMARY,    /* value is what the worker's tear-down returned */
  SHM_FRAME_TRACE /* items begin … end - 1 were worked on; value, (xxi), is from when to when, and the pid */
} ShmFrameKind;

/* What a worker tells the caller. */
typedef struct
{
  ShmFrameKind kind;
  guint64 begin;
  guint64 end;
  GVariant *value; /* owned */
  ShmFailure *
      failure; /* owned, of FAILURE and BROKEN; where they travel, value says it (shm_failure_from_variant ()) */
} ShmFrame;

G_END_DECLS
