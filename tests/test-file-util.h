/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib/gstdio.h>

#include "test-util.h"

/* A file of a name that is free, which is removed with its folder when the test is over. */
typedef struct
{
  char *folder;
  char *path;
  GFile *file;
} TestFile;

static inline void
test_file_init (TestFile *self)
{
  g_autoptr (GError) error = NULL;

  self->folder = g_dir_make_tmp ("shmem-glib-XXXXXX", &error);
  g_assert_no_error (error);
  self->path = g_build_filename (self->folder, "items", NULL);
  self->file = g_file_new_for_path (self->path);
}

/* Nothing else than the file may be in the folder, else it stays, and the test fails. */
static inline void
test_file_clear (TestFile *self)
{
  g_unlink (self->path);
  g_assert_cmpint (g_rmdir (self->folder), ==, 0);
  g_free (self->folder);
  g_free (self->path);
  g_object_unref (self->file);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (TestFile, test_file_clear)

/* What it has on the disk, as bytes. */
static inline void
test_file_write (TestFile *self, gconstpointer data, gsize size)
{
  g_autoptr (GError) error = NULL;

  g_file_set_contents (self->path, data, (gssize) size, &error);
  g_assert_no_error (error);
}

static inline GBytes *
test_file_read (TestFile *self)
{
  g_autoptr (GError) error = NULL;
  char *data;
  gsize size;

  g_file_get_contents (self->path, &data, &size, &error);
  g_assert_no_error (error);
  return g_bytes_new_take (data, size);
}
