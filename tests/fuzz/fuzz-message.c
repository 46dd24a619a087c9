/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Messages of arrays, as the bytes of their variants. An array that comes of one has to lie within
 * its memory with all its items.
 */

#include "config.h"

#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz-share.h"

#include "shmem-glib/shm-array-iter.h"
#include "shmem-glib/shm-array-private.h"
#include "shmem-glib/shm-error.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

const char *const fuzz_target_name = "message";
const char *const fuzz_target_tokens[] = { "<f8", "|u1", "<i2",  "|V7", "|V4097",
                                           ">f8", "|O",  "<c16", "V",   NULL };

/* Memory that is kept: to make it costs more than all else. */
static GUnixFDList *
get_memory (void)
{
  static GUnixFDList *list;
  int fd;

  if (list != NULL)
    return list;
  list = g_unix_fd_list_new ();
  fd = memfd_create ("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_assert_true (fd >= 0 && ftruncate (fd, FUZZ_MESSAGE_MEMORY) == 0);
  g_assert_cmpint (fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK), ==, 0);
  g_assert_cmpint (g_unix_fd_list_append (list, fd, NULL), ==, 0);
  close (fd);
  return list;
}

static void
check_array (ShmArray *array)
{
  const guint8 *start = shm_mapping_get_address (array->mapping);
  gsize n_items = 0;
  ShmArrayIter iter;

  shm_array_iter_init (&iter, array);
  while (shm_array_iter_next (&iter))
    for (gsize i = 0; i < iter.n_items; i++, n_items++)
      {
        guint8 *item = (guint8 *) iter.data + (gssize) i * iter.stride;

        g_assert_true (item >= start && item + array->item_size <= start + FUZZ_MESSAGE_MEMORY);
        memset (item, 1, array->item_size);
      }
  g_assert_cmpuint (n_items, ==, array->n_elements);
}

/* Views of it, which do sums with its strides. */
static void
check_views (ShmArray *array)
{
  for (guint axis = 0; axis < array->n_dims; axis++)
    {
      g_autoptr (ShmArray) back =
          shm_array_slice (array, axis, G_MAXINT64, G_MININT64, -1 - (gint64) axis, NULL);
      g_autoptr (ShmArray) index = shm_array_index (array, axis, -1, NULL);

      check_array (back);
      if (index != NULL)
        check_array (index);
    }
}

gboolean
fuzz_target_run (const guint8 *data, gsize size)
{
  g_autoptr (GVariant) message = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;
  guint8 *exact = g_memdup2 (data, size);

  message = g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE (SHM_ARRAY_MESSAGE_TYPE),
                                                         exact, size, FALSE, g_free, exact));
  array = shm_array_new_from_message (message, get_memory (), &error);
  if (array == NULL)
    {
      g_assert_true (g_error_matches (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT) ||
                     g_error_matches (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS));
      return FALSE;
    }
  g_assert_no_error (error);
  check_array (array);
  check_views (array);
  return TRUE;
}

void
fuzz_target_repair (guint8 *data, gsize size)
{
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  fuzz_target_run (data, size);
  return 0;
}
