/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <shmem-glib/shm-error.h>
#include <shmem-glib/shm-mapping-private.h>

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define ALL_FLAGS                                                                                  \
  (SHM_ARRAY_FLAGS_RESERVE | SHM_ARRAY_FLAGS_HUGE_PAGES | SHM_ARRAY_FLAGS_SHAREABLE |              \
   SHM_ARRAY_FLAGS_POPULATE)

static guint
count_lines (const char *path)
{
  g_autofree char *text = NULL;
  guint n = 0;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  for (const char *c = text; *c != '\0'; c++)
    n += *c == '\n';
  return n;
}

static void
test_flags (void)
{
  const gsize size = 100000;

  for (guint flags = 0; flags <= ALL_FLAGS; flags++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmMapping) mapping =
          shm_mapping_new_anonymous (size, (ShmArrayFlags) flags, &error);
      guint8 *bytes;

      g_assert_no_error (error);
      g_assert_nonnull (mapping);
      g_assert_cmpuint (shm_mapping_get_size (mapping), ==, size);
      bytes = shm_mapping_get_address (mapping);
      g_assert_nonnull (bytes);
      for (gsize i = 0; i < size; i++)
        g_assert_cmpuint (bytes[i], ==, 0);
      memset (bytes, 0xa5, size);

      if (flags & SHM_ARRAY_FLAGS_SHAREABLE)
        g_assert_cmpint (shm_mapping_get_fd (mapping), >=, 0);
      else
        g_assert_cmpint (shm_mapping_get_fd (mapping), ==, -1);
    }
}

static void
test_zero_size (void)
{
  for (guint flags = 0; flags <= ALL_FLAGS; flags++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmMapping) mapping = shm_mapping_new_anonymous (0, (ShmArrayFlags) flags, &error);

      g_assert_no_error (error);
      g_assert_nonnull (shm_mapping_get_address (mapping));
      g_assert_cmpuint (shm_mapping_get_size (mapping), ==, 0);
    }
}

static void
test_too_large (void)
{
  for (guint flags = 0; flags <= ALL_FLAGS; flags++)
    {
      g_autoptr (GError) error = NULL;
      ShmMapping *mapping;

      mapping = shm_mapping_new_anonymous ((gsize) G_MAXSSIZE + 1, (ShmArrayFlags) flags, &error);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT);
      g_assert_null (mapping);
      g_clear_error (&error);

      mapping = shm_mapping_new_anonymous (G_MAXSSIZE, (ShmArrayFlags) flags, &error);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY);
      g_assert_null (mapping);
    }
}

static void
test_reserve_too_much (void)
{
#if GLIB_SIZEOF_SIZE_T >= 8
  const guint flags[] = {
    SHM_ARRAY_FLAGS_RESERVE,
    SHM_ARRAY_FLAGS_RESERVE | SHM_ARRAY_FLAGS_SHAREABLE,
  };

  for (gsize i = 0; i < G_N_ELEMENTS (flags); i++)
    {
      g_autoptr (GError) error = NULL;
      ShmMapping *mapping;

      mapping = shm_mapping_new_anonymous ((gsize) 1 << 46, (ShmArrayFlags) flags[i], &error);
      g_assert_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY);
      g_assert_nonnull (strstr (error->message, "64.0"));
      g_assert_null (mapping);
    }
#else
  g_test_skip ("the address space is too small");
#endif
}

/* Blocks that were committed belong to the file, and pages to the mapping, before anyone touches
 * them. */
static void
test_reserve_commits (void)
{
  const gsize size = 1 << 20;
  const gsize n_pages = size / (gsize) sysconf (_SC_PAGESIZE);
  g_autofree guint8 *is_resident = g_malloc (n_pages);
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmMapping) file = NULL;
  g_autoptr (ShmMapping) pages = NULL;
  g_autoptr (ShmMapping) probe = NULL;
  struct stat st;

  file =
      shm_mapping_new_anonymous (size, SHM_ARRAY_FLAGS_RESERVE | SHM_ARRAY_FLAGS_SHAREABLE, &error);
  g_assert_no_error (error);
  g_assert_cmpint (fstat (shm_mapping_get_fd (file), &st), ==, 0);
  g_assert_cmpint (st.st_blocks * 512, >=, size);

  pages = shm_mapping_new_anonymous (size, SHM_ARRAY_FLAGS_RESERVE, &error);
  g_assert_no_error (error);
  probe = shm_mapping_new_anonymous (size, SHM_ARRAY_FLAGS_NONE, &error);
  g_assert_no_error (error);
  if (madvise (shm_mapping_get_address (probe), size, MADV_POPULATE_WRITE) != 0)
    {
      g_test_skip ("this kernel does not populate mappings");
      return;
    }
  g_assert_cmpint (mincore (shm_mapping_get_address (pages), size, is_resident), ==, 0);
  for (gsize i = 0; i < n_pages; i++)
    g_assert_cmpint (is_resident[i] & 1, ==, 1);
}

static void
test_seals (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ShmMapping) mapping =
      shm_mapping_new_anonymous (5000, SHM_ARRAY_FLAGS_SHAREABLE, &error);
  int fd;
  int seals;

  g_assert_no_error (error);
  fd = shm_mapping_get_fd (mapping);
  g_assert_cmpint (fd, >=, 0);
  seals = fcntl (fd, F_GET_SEALS);
  g_assert_cmpint (seals & (F_SEAL_SHRINK | F_SEAL_GROW), ==, F_SEAL_SHRINK);
  g_assert_cmpint (seals & F_SEAL_WRITE, ==, 0);
  g_assert_cmpint (ftruncate (fd, 0), ==, -1);
  g_assert_cmpint (ftruncate (fd, 1 << 20), ==, 0);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
}

/* What a child writes, and what it drops. */
static void
test_fork (void)
{
  for (guint flags = 0; flags <= ALL_FLAGS; flags++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmMapping) mapping =
          shm_mapping_new_anonymous (sizeof (int), (ShmArrayFlags) flags, &error);
      int *number;
      pid_t pid;
      int status;

      g_assert_no_error (error);
      number = shm_mapping_get_address (mapping);
      pid = fork ();
      g_assert_cmpint (pid, >=, 0);
      if (pid == 0)
        {
          *number = 1234;
          shm_mapping_unref (mapping);
          _exit (0);
        }
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      g_assert_cmpint (status, ==, 0);
      g_assert_cmpint (*number, ==, 1234);
    }
}

static void
test_ref (void)
{
  g_autoptr (GError) error = NULL;
  ShmMapping *mapping = shm_mapping_new_anonymous (10, SHM_ARRAY_FLAGS_SHAREABLE, &error);
  guint8 *bytes;
  int fd;

  g_assert_no_error (error);
  g_assert_true (shm_mapping_ref (mapping) == mapping);
  shm_mapping_unref (mapping);
  bytes = shm_mapping_get_address (mapping);
  bytes[9] = 1;
  fd = shm_mapping_get_fd (mapping);
  g_assert_cmpint (fcntl (fd, F_GETFD), >=, 0);
  shm_mapping_unref (mapping);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, -1);
}

static void
create_and_destroy (guint n_rounds)
{
  for (guint round = 0; round < n_rounds; round++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ShmMapping) mapping = shm_mapping_new_anonymous (
          round * 100, (ShmArrayFlags) (round % (ALL_FLAGS + 1)), &error);
      ShmMapping *none;

      g_assert_no_error (error);
      none =
          shm_mapping_new_anonymous (G_MAXSSIZE, (ShmArrayFlags) (round % (ALL_FLAGS + 1)), NULL);
      g_assert_null (none);
    }
}

static void
test_no_leak (void)
{
  guint n_fds;
  guint n_maps;

  create_and_destroy (50);
  n_fds = test_count_fds ();
  n_maps = count_lines ("/proc/self/maps");
  create_and_destroy (500);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  /* The heap and the tables of a memory checker may take a few of their own. */
  g_assert_cmpuint (count_lines ("/proc/self/maps"), <, n_maps + 50);
}

/* A directory tree with the files that tell how much memory there is. */
static void
write_file (const char *root, const char *path, const char *text)
{
  g_autofree char *full_path = g_build_filename (root, path, NULL);
  g_autofree char *directory = g_path_get_dirname (full_path);

  g_assert_cmpint (g_mkdir_with_parents (directory, 0700), ==, 0);
  g_assert_true (g_file_set_contents (full_path, text, -1, NULL));
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      remove_tree (child);
    }
  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
test_available (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *root = g_dir_make_tmp ("test-mapping-XXXXXX", &error);

  g_assert_no_error (error);
  g_assert_cmpuint (shm_mapping_available_memory (root), ==, G_MAXUINT64);

  write_file (root, "proc/meminfo",
              "MemTotal:       32000000 kB\nMemFree: 5 kB\nMemAvailable:   16000000 kB\n");
  g_assert_cmpuint (shm_mapping_available_memory (root), ==, G_GUINT64_CONSTANT (16384000000));

  /* version 2: the least of all ancestors counts, "max" is no limit, a file cache is no usage */
  write_file (root, "proc/self/cgroup", "0::/one/two\n");
  g_assert_cmpuint (shm_mapping_available_memory (root), ==, G_GUINT64_CONSTANT (16384000000));
  write_file (root, "sys/fs/cgroup/one/two/memory.max", "max\n");
  write_file (root, "sys/fs/cgroup/one/two/memory.current", "100\n");
  g_assert_cmpuint (shm_mapping_available_memory (root), ==, G_GUINT64_CONSTANT (16384000000));
  write_file (root, "sys/fs/cgroup/one/memory.max", "5000000\n");
  write_file (root, "sys/fs/cgroup/one/memory.current", "1000000\n");
  g_assert_cmpuint (shm_mapping_available_memory (root), ==, 4000000);
  write_file (root, "sys/fs/cgroup/one/memory.stat",
              "anon 400000\ninactive_file 200000\nactive_file 300000\nfile 500000\n");
  g_assert_cmpuint (shm_mapping_available_memory (root), ==, 4500000);
  write_file (root, "sys/fs/cgroup/one/memory.current", "6000000\n");
  g_assert_cmpuint (shm_mapping_available_memory (root), ==, 0);

  /* version 1, and a path of the host, of which a container sees the root alone */
  write_file (root, "proc/self/cgroup", "5:cpu,memory:/docker/abc\n1:name=systemd:/x:y\n");
  write_file (root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "3000000\n");
  write_file (root, "sys/fs/cgroup/memory/memory.usage_in_bytes", "1000000\n");
  write_file (root, "sys/fs/cgroup/memory/memory.stat",
              "inactive_file 1\ntotal_inactive_file 100000\ntotal_active_file 5\n");
  g_assert_cmpuint (shm_mapping_available_memory (root), ==, 2100005);

  remove_tree (root);
}

int
main (int argc, char **argv)
{
  g_setenv ("LC_ALL", "C", TRUE);
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/mapping/flags", test_flags);
  g_test_add_func ("/mapping/zero-size", test_zero_size);
  g_test_add_func ("/mapping/too-large", test_too_large);
  g_test_add_func ("/mapping/reserve/too-much", test_reserve_too_much);
  g_test_add_func ("/mapping/reserve/commits", test_reserve_commits);
  g_test_add_func ("/mapping/seals", test_seals);
  g_test_add_func ("/mapping/fork", test_fork);
  g_test_add_func ("/mapping/ref", test_ref);
  g_test_add_func ("/mapping/no-leak", test_no_leak);
  g_test_add_func ("/mapping/available", test_available);

  return g_test_run ();
}
