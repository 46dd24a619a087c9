/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-arena-private.h"
#include "shm-control-private.h"

G_BEGIN_DECLS

typedef enum
{
  SHM_INPUT_COUNT,  /* items are nothing but their indices */
  SHM_INPUT_VALUES, /* children of a variant */
  SHM_INPUT_OBJECTS,
  SHM_INPUT_FEED /* values that come one after the other */
} ShmInputKind;

/* The items of a job. */
typedef struct
{
  ShmInputKind kind;
  GVariant *values;
  GPtrArray *objects;

  /* of a feed: item i is kept in slot i % window until it is done */
  guint64 window;
  guint64 n_fed;
  guint64 n_released;
  GVariant **fed;  /* where the workers are in this process, else */
  ShmArena *arena; /* borrowed; where they are not */
  ShmArenaPart part;
  guint64 *ends; /* of each slot's value in the part */
} ShmInput;

void shm_input_set_values (ShmInput *input, GVariant *values);
void shm_input_set_objects (ShmInput *input, GListModel *model);
void shm_input_clear (ShmInput *input);
gboolean shm_input_is_gone (const ShmInput *input);
void shm_input_end_run (ShmInput *input, gboolean may_run_again);

/* for the caller, of a feed */
gboolean
shm_input_open (ShmInput *input, guint64 window, ShmArena *arena, guint64 used, GError **error);
gboolean shm_input_feed (ShmInput *input, ShmControl *control, GVariant *value, GError **error);
void shm_input_release (ShmInput *input, guint64 lowest_unfinished);

/* for a worker */
GVariant *
shm_input_get_value (ShmInput *input, const ShmControl *control, guint64 item, GError **error);
GObject *shm_input_get_object (ShmInput *input, guint64 item, GError **error);

G_END_DECLS
