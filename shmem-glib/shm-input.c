/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Where the items of a job come from.
 *
 * What can be indexed does not travel: forked workers inherit it, and threads share it, so it must not change while the
 * job runs. A variant is serialised before that, so that no worker needs its lock; of a list model the list of its
 * objects is taken.
 *
 * Fed items come after the fork. The caller puts an item into the slot of its index, then raises the limit below which
 * items can be claimed; the worker that owns an item reads its slot; once all items up to it are done, however often
 * they had to be tried, the caller empties the slot. So a slot has one writer, the caller, and nobody
 * reads it while it is written; a worker that dies leaves it as it was.
 */

#include "config.h"

#include "shm-input-private.h"

#include "shm-error.h"
#include "shm-i18n-private.h"

static void
shm_input_drop (ShmInput *self)
{
  guint64 i;

  g_clear_pointer (&self->values, g_variant_unref);
  g_clear_pointer (&self->objects, g_ptr_array_unref);
  for (i = self->n_released; self->fed != NULL && i < self->n_fed; i++)
    g_variant_unref (self->fed[i % self->window]);
  g_clear_pointer (&self->fed, g_free);
  g_clear_pointer (&self->ends, g_free);
  self->arena = NULL;
}

void
shm_input_set_values (ShmInput *self, GVariant *values)
{
  shm_input_drop (self);
  self->kind = SHM_INPUT_VALUES;
  self->values = g_variant_ref_sink (values);
  g_variant_get_data (values);
}

void
shm_input_set_objects (ShmInput *self, GListModel *model)
{
  guint n = g_list_model_get_n_items (model);
  guint i;

  shm_input_drop (self);
  self->kind = SHM_INPUT_OBJECTS;
  self->objects = g_ptr_array_new_full (n, g_object_unref);
  for (i = 0; i < n; i++)
    g_ptr_array_add (self->objects, g_list_model_get_item (model, i));
}

/* Gives up the items; the kind stays. */
void
shm_input_clear (ShmInput *self)
{
  shm_input_drop (self);
}

/* Whether there were items, which were given up. */
gboolean
shm_input_is_gone (const ShmInput *self)
{
  return (self->kind == SHM_INPUT_VALUES && self->values == NULL) ||
         (self->kind == SHM_INPUT_OBJECTS && self->objects == NULL);
}

/* The items are needed again only if there may be another run, and if they are there from the beginning. */
void
shm_input_end_run (ShmInput *self, gboolean may_run_again)
{
  if (!may_run_again || self->kind == SHM_INPUT_FEED)
    shm_input_drop (self);
  self->n_fed = self->n_released = 0;
  self->part = (ShmArenaPart){ 0 };
}

/* Without an arena the workers are in this process; the first `used` bytes of the caller's part are taken. */
gboolean
shm_input_open (ShmInput *self, guint64 window, ShmArena *arena, guint64 used, GError **error)
{
  self->window = window;
  self->arena = arena;
  self->part.base = shm_arena_round (used);
  if (arena == NULL)
    self->fed = g_try_new0 (GVariant *, window);
  else
    self->ends = g_try_new0 (guint64, window);
  if (self->fed == NULL && self->ends == NULL)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
                   _ ("No memory for a window of %llu items"), (unsigned long long) window);
      return FALSE;
    }
  return TRUE;
}

/* Takes the next item; there must be room for it. It can be claimed once the limit is above it. */
gboolean
shm_input_feed (ShmInput *self, ShmControl *control, GVariant *value, GError **error)
{
  guint64 at = self->n_fed % self->window;

  g_assert (self->n_fed < self->n_released + self->window);
  if (self->fed != NULL)
    self->fed[at] = g_variant_ref (value);
  else
    {
      ShmFeedSlot *slot = &control->feed[at];

      if (!shm_arena_put (self->arena, &self->part, value, &slot->offset, &slot->size, error))
        return FALSE;
      self->ends[at] = self->part.head;
    }
  self->n_fed++;
  return TRUE;
}

/* All items below this one are done. */
void
shm_input_release (ShmInput *self, guint64 lowest_unfinished)
{
  guint64 until = MIN (lowest_unfinished, self->n_fed);

  if (until <= self->n_released)
    return;
  if (self->fed == NULL)
    shm_arena_give_back (self->arena, &self->part, self->ends[(until - 1) % self->window]);
  for (; self->n_released < until; self->n_released++)
    if (self->fed != NULL)
      g_clear_pointer (&self->fed[self->n_released % self->window], g_variant_unref);
}

/* The value of an item that the worker owns, with a reference of its own. */
GVariant *
shm_input_get_value (ShmInput *self, const ShmControl *control, guint64 item, GError **error)
{
  switch (self->kind)
    {
    case SHM_INPUT_VALUES:
      return g_variant_get_child_value (self->values, item);
    case SHM_INPUT_FEED:
      if (self->fed != NULL)
        return g_variant_ref (self->fed[item % self->window]);
      return shm_arena_get (self->arena, control->feed[item % self->window].offset,
                            control->feed[item % self->window].size, error);
    case SHM_INPUT_COUNT:
    case SHM_INPUT_OBJECTS:
    default:
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("the items of the job are not values"));
      return NULL;
    }
}

/* With a reference of its own. */
GObject *
shm_input_get_object (ShmInput *self, guint64 item, GError **error)
{
  if (self->kind != SHM_INPUT_OBJECTS)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                           _ ("the items of the job are not objects"));
      return NULL;
    }
  return g_object_ref (g_ptr_array_index (self->objects, item));
}
