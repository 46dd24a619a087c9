/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>
#include <shmem-glib/shm-failure.h>
#include <shmem-glib/shm-version.h>

G_BEGIN_DECLS

#define SHM_TYPE_BACKGROUND (shm_background_get_type ())

SHM_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (ShmBackground, shm_background, SHM, BACKGROUND, GObject)

/**
 * ShmBackgroundFunc:
 * @user_data: what was given with the function
 * @error: return location for an error
 *
 * What a #ShmBackground calls, in its child. What it returns travels to the caller; a floating
 * #GVariant is sunk. %NULL without an error means that there is no result.
 *
 * Returns: (transfer full) (nullable): the result, or %NULL
 *
 * Since: 1.0
 */
typedef GVariant *(*ShmBackgroundFunc) (gpointer user_data, GError **error);

SHM_AVAILABLE_IN_1_0
ShmBackground *shm_background_new (ShmBackgroundFunc func,
                                   gpointer user_data,
                                   GDestroyNotify destroy,
                                   GError **error);

SHM_AVAILABLE_IN_1_0
GVariant *shm_background_wait (ShmBackground *self, GCancellable *cancellable, GError **error);
SHM_AVAILABLE_IN_1_0
void shm_background_wait_async (ShmBackground *self,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data);
SHM_AVAILABLE_IN_1_0
GVariant *shm_background_wait_finish (ShmBackground *self, GAsyncResult *result, GError **error);

SHM_AVAILABLE_IN_1_0
void shm_background_cancel (ShmBackground *self);
SHM_AVAILABLE_IN_1_0
gboolean shm_background_is_running (ShmBackground *self);
SHM_AVAILABLE_IN_1_0
ShmFailure *shm_background_get_failure (ShmBackground *self);

SHM_AVAILABLE_IN_1_0
void shm_background_fail (const GError *error, const char *traceback, GVariant *payload);

G_END_DECLS
