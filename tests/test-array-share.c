/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_ITEMS 1000

static const char *program;

/* i4, counting up */
static ShmArray *
new_shareable (void)
{
  const gsize shape[] = { N_ITEMS / 10, 10 };
  g_autoptr (GError) error = NULL;
  ShmArray *array =
      shm_array_new_full (SHM_DTYPE_I4, 0, shape, 2, SHM_ARRAY_FLAGS_SHAREABLE, &error);
  gint32 *items = shm_array_get_data (array);
  gint32 i;

  g_assert_no_error (error);
  for (i = 0; i < N_ITEMS; i++)
    items[i] = i;
  return array;
}

static void
check_item (ShmArray *array, gsize i, gsize j, gint64 value)
{
  const gsize index[] = { i, j };
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (shm_array_get_int64 (array, index, 2, &error), ==, value);
  g_assert_no_error (error);
}

static ShmArray *
pass_on (ShmArray *array)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) message = shm_array_to_message (array, fds, &error);
  ShmArray *other;

  g_assert_no_error (error);
  g_assert_false (g_variant_is_floating (message));
  g_assert_true (g_variant_is_of_type (message, G_VARIANT_TYPE (SHM_ARRAY_MESSAGE_TYPE)));
  other = shm_array_new_from_message (message, fds, &error);
  g_assert_no_error (error);
  g_assert_true (shm_array_get_data (other) != shm_array_get_data (array));
  return other;
}

static void
test_message (void)
{
  g_autoptr (ShmArray) array = new_shareable ();
  g_autoptr (ShmArray) other = pass_on (array);
  g_autoptr (ShmArray) third = pass_on (other);
  const gsize index[] = { 99, 9 };

  g_assert_false (shm_array_is_read_only (other));
  g_assert_true (shm_array_is_contiguous (other));
  check_item (third, 99, 9, 999);
  g_assert_true (shm_array_set_int64 (third, index, 2, 5, NULL));
  check_item (array, 99, 9, 5);
  g_clear_object (&array);
  check_item (other, 99, 9, 5);
}

static void
test_views (void)
{
  g_autoptr (ShmArray) array = new_shareable ();
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) up = shm_array_slice (array, 0, G_MAXINT64, G_MININT64, -3, &error);
  g_autoptr (ShmArray) view = shm_array_slice (up, 1, 7, 0, -2, &error);
  g_autoptr (ShmArray) nothing = shm_array_slice (view, 0, 5, 5, 1, &error);
  g_autoptr (ShmArray) item = shm_array_index (view, 0, 0, &error);
  g_autoptr (ShmArray) scalar = shm_array_index (item, 0, 1, &error);
  g_autoptr (ShmArray) other = pass_on (view);
  g_autoptr (ShmArray) other_nothing = pass_on (nothing);
  g_autoptr (ShmArray) other_scalar = pass_on (scalar);
  g_autoptr (ShmArray) again = pass_on (other);
  const gssize *strides = shm_array_get_strides (other, NULL);

  g_assert_no_error (error);
  g_assert_cmpint (strides[0], ==, -120);
  g_assert_cmpint (strides[1], ==, -8);
  check_item (other, 0, 0, 997);
  check_item (other, 1, 2, 963);
  check_item (again, 33, 3, 1);
  g_assert_cmpuint (shm_array_get_n_elements (other_nothing), ==, 0);
  g_assert_cmpint (shm_array_get_int64 (other_scalar, NULL, 0, &error), ==, 995);
  g_assert_true (shm_array_fill (other, g_variant_new_int32 (-1), &error));
  g_assert_no_error (error);
  check_item (array, 99, 7, -1);
  check_item (array, 99, 8, 998);
}

static void
test_types (void)
{
  const gsize shape[] = { 2, 0, 3 };
  guint dtype;

  for (dtype = 0; dtype <= SHM_DTYPE_RECORD; dtype++)
    {
      gsize item_size = dtype == SHM_DTYPE_RECORD ? 21 : shm_dtype_get_size ((ShmDtype) dtype);
      gsize n_dims = dtype % 4;
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) array = shm_array_new_full ((ShmDtype) dtype, item_size, shape, n_dims,
                                                       SHM_ARRAY_FLAGS_SHAREABLE, &error);
      g_autoptr (ShmArray) other = pass_on (array);

      g_assert_cmpint (shm_array_get_dtype (other), ==, dtype);
      g_assert_cmpuint (shm_array_get_item_size (other), ==, item_size);
      g_assert_cmpuint (shm_array_get_n_dims (other), ==, n_dims);
      g_assert_cmpmem (shm_array_get_shape (other, NULL), n_dims * sizeof (gsize), shape,
                       n_dims * sizeof (gsize));
    }
}

static void
test_read_only (void)
{
  g_autoptr (ShmArray) array = new_shareable ();
  g_autoptr (ShmArray) early = pass_on (array);
  g_autoptr (ShmArray) late = NULL;
  const gsize index[] = { 0, 0 };
  g_autoptr (GError) error = NULL;
  int fd;

  if (!shm_array_seal_read_only (array, &error))
    {
      g_assert_error (error, SHM_ERROR, SHM_ERROR_NOT_SUPPORTED);
      g_test_skip ("the kernel lacks the seal");
      return;
    }
  g_assert_true (shm_array_seal_read_only (early, &error));
  late = pass_on (array);
  g_assert_true (shm_array_is_read_only (late));
  g_assert_false (shm_array_is_read_only (array));
  g_assert_false (shm_array_is_read_only (early));
  g_assert_false (shm_array_set_int64 (late, index, 2, 4, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_READ_ONLY);
  g_clear_error (&error);

  g_assert_true (shm_array_set_int64 (array, index, 2, 4, &error));
  check_item (late, 0, 0, 4);
  g_assert_true (shm_array_set_int64 (early, index, 2, 5, &error));
  check_item (late, 0, 0, 5);

  /* nor does the descriptor let anyone write by other means */
  fd = shm_array_dup_fd (late, &error);
  g_assert_no_error (error);
  g_assert_true (mmap (NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
  g_assert_cmpint (pwrite (fd, "x", 1, 0), ==, -1);
  close (fd);
}

static void
test_not_shareable (void)
{
  g_autoptr (ShmArray) plain = test_new_array (SHM_DTYPE_U1, 0, NULL);
  g_autoptr (ShmArray) blank = g_object_new (SHM_TYPE_ARRAY, NULL);
  ShmArray *const arrays[] = { plain, blank };
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (arrays); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_cmpint (shm_array_dup_fd (arrays[i], &error), ==, -1);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      g_assert_null (shm_array_to_message (arrays[i], fds, &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      g_assert_false (shm_array_seal_read_only (arrays[i], &error));
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
    }
  g_assert_cmpint (g_unix_fd_list_get_length (fds), ==, 0);
}

/* What cannot be handed over is, as a copy, views and the fields of records included. */
static void
test_copies (void)
{
  const gsize shape[] = { 20, 30 };
  const gsize n = 3;
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) plain = shm_array_new (SHM_DTYPE_I4, shape, 2, NULL);
  g_autoptr (ShmArray) view = shm_array_transpose (plain, NULL, 0, NULL);
  g_autoptr (ShmArray) copy = NULL;
  g_autoptr (ShmArray) received = NULL;
  g_autoptr (ShmArray) records =
      shm_array_new_full (SHM_DTYPE_RECORD, 12, &n, 1, SHM_ARRAY_FLAGS_NONE, NULL);
  g_autoptr (ShmArray) record_copy = NULL;
  g_auto (GStrv) fields = NULL;

  for (gsize i = 0; i < 600; i++)
    ((gint32 *) shm_array_get_data (plain))[i] = (gint32) i;
  copy =
      shm_array_new_copy_full (view, SHM_ARRAY_FLAGS_SHAREABLE | SHM_ARRAY_FLAGS_RESERVE, &error);
  g_assert_no_error (error);
  g_assert_true (shm_array_is_contiguous (copy));
  received = pass_on (copy);
  check_item (received, 7, 11, 11 * 30 + 7);
  g_assert_true (shm_array_fill (plain, g_variant_new_byte (0), NULL));
  check_item (received, 7, 11, 11 * 30 + 7);

  g_assert_true (shm_array_add_field (records, "x", SHM_DTYPE_F8, 0, 4, NULL, 0, NULL));
  record_copy = shm_array_new_copy_full (records, SHM_ARRAY_FLAGS_SHAREABLE, &error);
  g_assert_no_error (error);
  fields = shm_array_list_fields (record_copy);
  g_assert_cmpstr (fields[0], ==, "x");

  shm_array_close (plain);
  g_assert_null (shm_array_new_copy_full (plain, SHM_ARRAY_FLAGS_SHAREABLE, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WRONG_STATE);
}

static void
test_from_fd (void)
{
  const gsize shape[] = { 5 };
  const gsize large[] = { 2000 };
  const gsize index[] = { 4 };
  g_autoptr (ShmArray) array = new_shareable ();
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) other = NULL;
  g_autofree char *path = NULL;
  int fd = shm_array_dup_fd (array, &error);
  int read_fd;

  g_assert_no_error (error);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  other = shm_array_new_from_fd (fd, SHM_DTYPE_I4, 0, shape, 1, 40, &error);
  g_assert_no_error (error);
  g_assert_cmpint (shm_array_get_int64 (other, index, 1, &error), ==, 14);
  g_clear_object (&other);
  other = shm_array_new_from_fd (fd, SHM_DTYPE_RECORD, 3, shape, 1, 1, &error);
  g_assert_no_error (error);

  g_assert_null (shm_array_new_from_fd (fd, SHM_DTYPE_I4, 0, large, 1, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_new_from_fd (fd, SHM_DTYPE_I4, 0, shape, 1, G_MAXUINT64, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  g_assert_null (shm_array_new_from_fd (fd, SHM_DTYPE_I4, 0, shape, 1, 2, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (shm_array_new_from_fd (fd, SHM_DTYPE_RECORD, 0, shape, 1, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);

  /* opened for reading only */
  path = g_strdup_printf ("/proc/self/fd/%d", fd);
  read_fd = open (path, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (read_fd, >=, 0);
  g_clear_object (&other);
  other = shm_array_new_from_fd (read_fd, SHM_DTYPE_I4, 0, shape, 1, 0, &error);
  g_assert_no_error (error);
  g_assert_true (shm_array_is_read_only (other));
  close (read_fd);
  close (fd);
}

static void
check_untrusted (int fd)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GVariant) message = NULL;

  g_assert_null (shm_array_new_from_fd (fd, SHM_DTYPE_U1, 0, NULL, 0, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_UNTRUSTED);
  g_clear_error (&error);

  if (fd < 0 || g_unix_fd_list_append (fds, fd, NULL) < 0)
    return;
  message = g_variant_ref_sink (g_variant_new_parsed ("('|u1', @at [], @ax [], @t 0, @h 0)"));
  g_assert_null (shm_array_new_from_message (message, fds, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_UNTRUSTED);
}

static void
test_untrusted (void)
{
  int memory[] = { memfd_create ("test", MFD_CLOEXEC), memfd_create ("test", MFD_CLOEXEC),
                   memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING),
                   memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING) };
  int others[4];
  g_autofree char *path = NULL;
  gsize i;

  g_assert_cmpint (fcntl (memory[3], F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL), ==, 0);
  for (i = 0; i < G_N_ELEMENTS (memory); i++)
    {
      g_assert_true (i == 3 || ftruncate (memory[i], 4096) == 0);
      check_untrusted (memory[i]);
      close (memory[i]);
    }

  g_assert_cmpint (pipe2 (others, O_CLOEXEC), ==, 0);
  others[2] = g_file_open_tmp (NULL, &path, NULL);
  g_assert_cmpint (write (others[2], "abc", 3), ==, 3);
  others[3] = open ("/dev/zero", O_RDWR | O_CLOEXEC);
  for (i = 0; i < G_N_ELEMENTS (others); i++)
    {
      check_untrusted (others[i]);
      close (others[i]);
    }
  unlink (path);
  check_untrusted (-1);
}

/* Sealed, but with nothing in it. */
static void
test_empty_memory (void)
{
  const gsize none = 0;
  int fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) array = NULL;

  g_assert_cmpint (fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK), ==, 0);
  g_assert_null (shm_array_new_from_fd (fd, SHM_DTYPE_U1, 0, NULL, 0, 0, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
  g_clear_error (&error);
  array = shm_array_new_from_fd (fd, SHM_DTYPE_U1, 0, &none, 1, 0, &error);
  g_assert_no_error (error);
  close (fd);
}

/* The memory has 4096 bytes. */
static void
test_hostile_messages (void)
{
  static const struct
  {
    const char *text;
    int code;
  } cases[] = {
    { "'text'", SHM_ERROR_INVALID_ARGUMENT },
    { "('<i4', [@t 10], [@x 4], @t 0, 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('>i4', [@t 10], [@x 4], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('', [@t 10], [@x 4], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('|O', [@t 10], [@x 8], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('|V0', [@t 10], [@x 8], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('|V18446744073709551615', @at [], @ax [], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('|V9223372036854775807', @at [], @ax [], @t 0, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('|V9223372036854775807', [@t 2], [@x 1], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('<i4', [@t 10], [@x 4, 4], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('<i4', [@t 10], @ax [], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('<i4', [@t 18446744073709551615], [@x 4], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('<i4', [@t 0, 18446744073709551615], [@x 4, 4], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('<i4', [@t 4294967296, 4294967296], [@x 4, 4], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('<i4', [@t 1025], [@x 4], @t 0, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 1024], [@x 4], @t 4, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 1024], [@x -4], @t 4088, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 2], [@x -4], @t 0, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 2, 2], [@x 2048, 2048], @t 0, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 2], [@x 9223372036854775804], @t 0, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 2], [@x -9223372036854775808], @t 0, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 4, 4], [@x 4611686018427387904, 4611686018427387904], @t 0, @h 0)",
      SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 0, 4], [@x 4, 4611686018427387904], @t 0, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 1], [@x 4], @t 4096, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 0], [@x 4], @t 4100, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 1], [@x 4], @t 18446744073709551612, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 1000000], [@x 0], @t 0, @h 0)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 2], [@x 6], @t 0, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('<i4', [@t 2], [@x 4], @t 2, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('<c16', [@t 2], [@x 16], @t 4, @h 0)", SHM_ERROR_INVALID_ARGUMENT },
    { "('<i4', [@t 1], [@x 4], @t 0, @h 1)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 1], [@x 4], @t 0, @h -1)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 1], [@x 4], @t 0, @h 2147483647)", SHM_ERROR_OUT_OF_BOUNDS },
    { "('<i4', [@t 1], [@x 4], @t 0, @h -2147483648)", SHM_ERROR_OUT_OF_BOUNDS },
  };
  g_autoptr (ShmArray) array = new_shareable ();
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GVariant) good = shm_array_to_message (array, fds, NULL);
  g_autoptr (GError) error = NULL;
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GVariant) message = g_variant_parse (NULL, cases[i].text, NULL, NULL, &error);

      g_assert_no_error (error);
      g_assert_null (shm_array_new_from_message (message, fds, &error));
      if (!g_error_matches (error, SHM_ERROR, cases[i].code))
        g_error ("%s: %s", cases[i].text, error ? error->message : "no error");
      g_clear_error (&error);
    }
  g_assert_null (shm_array_new_from_message (good, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_OUT_OF_BOUNDS);
}

/* Strides that mean nothing, where there is no second item, do no harm in views either. */
static void
test_idle_strides (void)
{
  g_autoptr (ShmArray) array = new_shareable ();
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GVariant) good = shm_array_to_message (array, fds, NULL);
  g_autoptr (GVariant) message = g_variant_ref_sink (g_variant_new_parsed (
      "('<i4', [@t 1, 0, 2], [@x 9223372036854775807, -9223372036854775808, 4], @t 0, @h 0)"));
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) other = shm_array_new_from_message (message, fds, &error);
  g_autoptr (ShmArray) view = NULL;

  g_assert_no_error (error);
  view = shm_array_slice (other, 1, G_MAXINT64, G_MININT64, -5, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (shm_array_get_n_elements (view), ==, 0);
}

/* The other process, which has inherited descriptor 3 alone: checks what it finds, and answers in
 * the memory.
 */
static int
be_other_process (const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) message =
      g_variant_parse (G_VARIANT_TYPE (SHM_ARRAY_MESSAGE_TYPE), text, NULL, NULL, &error);
  const int fds[] = { 3, -1 };
  g_autoptr (GUnixFDList) list = g_unix_fd_list_new_from_array (fds, 1);
  g_autoptr (ShmArray) array = NULL;
  const gsize index[] = { 3 };

  g_assert_no_error (error);
  array = shm_array_new_from_message (message, list, &error);
  g_assert_no_error (error);
  g_assert_cmpint (shm_array_get_int64 (array, index, 1, &error), ==, 967);
  g_assert_true (shm_array_fill (array, g_variant_new_int32 (42), &error));
  return 0;
}

static void
test_other_process (void)
{
  g_autoptr (ShmArray) array = new_shareable ();
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmArray) column = shm_array_index (array, 1, 7, &error);
  g_autoptr (ShmArray) view = shm_array_slice (column, 0, G_MAXINT64, G_MININT64, -1, &error);
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GVariant) message = shm_array_to_message (view, fds, &error);
  g_autofree char *text = g_variant_print (message, TRUE);
  const char *const argv[] = { program, "--other-process", text, NULL };
  const int target_fd = 3;
  int fd = shm_array_dup_fd (array, &error);
  int status;
  GPid pid;

  g_assert_no_error (error);
  g_spawn_async_with_pipes_and_fds (NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, -1, -1,
                                    -1, &fd, &target_fd, 1, &pid, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  close (fd);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  check_item (array, 99, 7, 42);
  check_item (array, 0, 7, 42);
  check_item (array, 0, 6, 6);
}

static void
hand_over_and_fail (guint n_rounds)
{
  guint round;

  for (round = 0; round < n_rounds; round++)
    {
      g_autoptr (ShmArray) array = new_shareable ();
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmArray) other = pass_on (array);
      g_autoptr (ShmArray) reader = NULL;
      const gsize large[] = { 5000 };
      int fd = shm_array_dup_fd (array, &error);

      (void) shm_array_seal_read_only (array, NULL);
      reader = pass_on (other);
      g_assert_null (shm_array_new_from_fd (fd, SHM_DTYPE_I4, 0, large, 1, 0, NULL));
      close (fd);
    }
}

static guint
count_maps (void)
{
  g_autofree char *text = NULL;
  guint n = 0;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &text, NULL, NULL));
  for (const char *c = text; (c = strstr (c, "memfd:")) != NULL; c++)
    n++;
  return n;
}

/* Mappings that can only be read are not counted around each test. */
static void
test_no_leak (void)
{
  guint n_maps = count_maps ();

  hand_over_and_fail (test_scale (300));
  g_assert_cmpuint (count_maps (), ==, n_maps);
}

int
main (int argc, char **argv)
{
  g_setenv ("LC_ALL", "C", TRUE);
  if (argc == 3 && strcmp (argv[1], "--other-process") == 0)
    return be_other_process (argv[2]);

  program = argv[0];
  g_test_init (&argc, &argv, NULL);
  test_start_glib_thread ();

  test_add ("/array-share/message", test_message);
  test_add ("/array-share/views", test_views);
  test_add ("/array-share/types", test_types);
  test_add ("/array-share/read-only", test_read_only);
  test_add ("/array-share/not-shareable", test_not_shareable);
  test_add ("/array-share/copies", test_copies);
  test_add ("/array-share/from-fd", test_from_fd);
  test_add ("/array-share/untrusted", test_untrusted);
  test_add ("/array-share/empty-memory", test_empty_memory);
  test_add ("/array-share/hostile-messages", test_hostile_messages);
  test_add ("/array-share/idle-strides", test_idle_strides);
  test_add ("/array-share/other-process", test_other_process);
  test_add ("/array-share/no-leak", test_no_leak);

  return g_test_run ();
}
