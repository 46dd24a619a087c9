/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Headers of .npy files. One that is accepted has to be within what it was read from, and to be the
 * same when it is written and read again.
 */

#include "config.h"

#include <string.h>

#include "fuzz-share.h"

#include "shmem-glib/shm-error.h"
#include "shmem-glib/shm-npy-private.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

const char *const fuzz_target_name = "npy";
const char *const fuzz_target_tokens[] = {
  "{",     "}",     "(",          ")",     "[",  ",",  ":",  "'descr': ", "'fortran_order': ",
  "True",  "False", "'shape': ",  "'<f8'", "-1", "3L", "0",  "'|V12'",    "18446744073709551615",
  "'>i4'", "((",    "4294967296", "'|O'",  " ",  "\n", "\"", "'",         NULL,
};

static void
check_again (const ShmNpyHeader *header)
{
  g_autoptr (GBytes) bytes =
      shm_npy_format (header->dtype, header->item_size, header->shape, header->n_dims);
  ShmNpyHeader again;
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  g_assert_true (shm_npy_parse (data, size, &again, NULL));
  g_assert_cmpint (again.dtype, ==, header->dtype);
  g_assert_cmpuint (again.item_size, ==, header->item_size);
  g_assert_cmpmem (again.shape, again.n_dims * sizeof (gsize), header->shape,
                   header->n_dims * sizeof (gsize));
  g_assert_cmpuint (again.offset, ==, size);
}

gboolean
fuzz_target_run (const guint8 *data, gsize size)
{
  g_autofree guint8 *exact = g_memdup2 (data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;
  ShmNpyHeader header;

  if (!shm_npy_parse (exact, size, &header, &error))
    {
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
      return FALSE;
    }

  g_assert_no_error (error);
  g_assert_cmpuint (header.offset, <=, size);
  g_assert_cmpuint (header.n_dims, <=, SHM_ARRAY_MAX_DIMS);
  g_assert_cmpuint (header.item_size, >, 0);
  check_again (&header);
  array =
      shm_array_new_laid_out (header.dtype, header.item_size, header.shape, header.n_dims, &error);
  return array != NULL;
}

void
fuzz_target_repair (guint8 *data, gsize size)
{
  gsize start = size > 6 && data[6] == 1 ? 10 : 12;

  if (size < start)
    return;
  data[8] = (guint8) (size - start);
  data[9] = (guint8) ((size - start) >> 8);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  fuzz_target_run (data, size);
  return 0;
}
