/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shmem-glib/shm-cpu-private.h"

#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#define V2_MOUNT "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw\n"
#define V1_CPU_MOUNT                                                                               \
  "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
#define V1_MEMORY_MOUNT "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"

#define GIB (G_GUINT64_CONSTANT (1) << 30)

typedef struct
{
  char *root;
} Tree;

static void
tree_set_up (Tree *tree, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  tree->root = g_dir_make_tmp ("shm-cpu-XXXXXX", &error);
  g_assert_no_error (error);
}

static void
remove_recursively (const char *path)
{
  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    {
      g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
      const char *name;

      g_assert_nonnull (dir);
      while ((name = g_dir_read_name (dir)) != NULL)
        {
          g_autofree char *child = g_build_filename (path, name, NULL);

          remove_recursively (child);
        }
    }
  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
tree_tear_down (Tree *tree, gconstpointer data)
{
  remove_recursively (tree->root);
  g_free (tree->root);
}

static void
tree_write (Tree *tree, const char *path, const char *contents)
{
  g_autofree char *full = g_build_filename (tree->root, path, NULL);
  g_autofree char *dir = g_path_get_dirname (full);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir_with_parents (dir, 0700), ==, 0);
  g_file_set_contents (full, contents, -1, &error);
  g_assert_no_error (error);
}

static void
tree_write_v2 (Tree *tree, const char *group)
{
  g_autofree char *line = g_strdup_printf ("0::%s\n", group);

  tree_write (tree, "proc/self/cgroup", line);
  tree_write (tree, "proc/self/mountinfo", V2_MOUNT);
}

static void
test_no_files (Tree *tree, gconstpointer data)
{
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 0);
  g_assert_cmpuint (shm_cpu_memory_limit_at (tree->root), ==, G_MAXUINT64);
  g_assert_cmpuint (shm_cpu_quota_at ("/dev/null"), ==, 0);

  /* groups, but none of their files; as in the root group, which has no limits */
  tree_write_v2 (tree, "/a/b");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 0);
  g_assert_cmpuint (shm_cpu_memory_limit_at (tree->root), ==, G_MAXUINT64);
}

static void
test_v2_nested (Tree *tree, gconstpointer data)
{
  tree_write_v2 (tree, "/slice/job/step");
  tree_write (tree, "sys/fs/cgroup/slice/cpu.max", "400000 100000\n");
  tree_write (tree, "sys/fs/cgroup/slice/job/cpu.max", "250000 100000\n");
  tree_write (tree, "sys/fs/cgroup/slice/job/step/cpu.max", "max 100000\n");
  tree_write (tree, "sys/fs/cgroup/slice/other/cpu.max", "100000 100000\n");
  tree_write (tree, "sys/fs/cgroup/slice/memory.max", "2147483648\n");
  tree_write (tree, "sys/fs/cgroup/slice/job/memory.max", "max\n");
  tree_write (tree, "sys/fs/cgroup/slice/job/step/memory.max", "4294967296\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 3);
  g_assert_cmpuint (shm_cpu_memory_limit_at (tree->root), ==, 2 * GIB);

  tree_write (tree, "sys/fs/cgroup/slice/job/step/cpu.max", "200000 100000\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 2);

  /* the group in which a container starts is often seen as the root, and has its files there */
  tree_write_v2 (tree, "/");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 0);
  tree_write (tree, "sys/fs/cgroup/cpu.max", "700000 100000\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 7);
  tree_write_v2 (tree, "/gone/for/ever (deleted)");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 7);
}

static void
test_v2_without_mountinfo (Tree *tree, gconstpointer data)
{
  tree_write (tree, "proc/self/cgroup", "0::/a\n");
  tree_write (tree, "sys/fs/cgroup/a/cpu.max", "300000 100000\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 3);
}

static void
test_v2_max (Tree *tree, gconstpointer data)
{
  tree_write_v2 (tree, "/a");
  tree_write (tree, "sys/fs/cgroup/cpu.max", "max 100000\n");
  tree_write (tree, "sys/fs/cgroup/a/cpu.max", "max 100000\n");
  tree_write (tree, "sys/fs/cgroup/a/memory.max", "max\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 0);
  g_assert_cmpuint (shm_cpu_memory_limit_at (tree->root), ==, G_MAXUINT64);
}

static void
test_rounding (Tree *tree, gconstpointer data)
{
  const struct
  {
    const char *cpu_max;
    guint expected;
  } cases[] = {
    { "1 1000000", 1 },
    { "1000 100000", 1 },
    { "99999 100000", 1 },
    { "100000 100000", 1 },
    { "100001 100000", 2 },
    { "50000 20000", 3 },
    { "4294967295 1", G_MAXUINT },
    { "18446744073709551614 1", G_MAXUINT },
  };

  tree_write_v2 (tree, "/a");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      tree_write (tree, "sys/fs/cgroup/a/cpu.max", cases[i].cpu_max);
      g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, cases[i].expected);
    }
}

static void
test_v1 (Tree *tree, gconstpointer data)
{
  tree_write (tree, "proc/self/cgroup",
              "9:name=systemd:/x\n8:cpuset:/c\n4:memory:/m/n\n2:cpu,cpuacct:/a/b\n");
  tree_write (tree, "proc/self/mountinfo", V1_CPU_MOUNT V1_MEMORY_MOUNT);
  tree_write (tree, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  tree_write (tree, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  tree_write (tree, "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
  tree_write (tree, "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
  tree_write (tree, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  tree_write (tree, "sys/fs/cgroup/memory/m/n/memory.limit_in_bytes", "1073741824\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 0);
  g_assert_cmpuint (shm_cpu_memory_limit_at (tree->root), ==, GIB);

  tree_write (tree, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "150000\n");
  tree_write (tree, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 3);
}

static void
test_v1_container (Tree *tree, gconstpointer data)
{
  /* the container's group is what is mounted, and its path is the host's */
  tree_write (tree, "proc/self/cgroup", "2:cpu:/docker/abc\n");
  tree_write (tree, "proc/self/mountinfo",
              "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
  tree_write (tree, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
  tree_write (tree, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 2);

  tree_write (tree, "proc/self/cgroup", "2:cpu:/docker/abc/inner\n");
  tree_write (tree, "sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "100000\n");
  tree_write (tree, "sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 1);

  /* a name that only begins like the mounted one is another group */
  tree_write (tree, "proc/self/cgroup", "2:cpu:/docker/abc/inner\n3:cpu:/docker/abcinner\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 1);
  tree_write (tree, "proc/self/cgroup", "2:cpu:/docker/abc/../inner\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 2);
}

static void
test_hybrid (Tree *tree, gconstpointer data)
{
  tree_write (tree, "proc/self/cgroup", "4:cpu,cpuacct:/old\n1:name=systemd:/new\n0::/new\n");
  tree_write (tree, "proc/self/mountinfo",
              "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n" V1_CPU_MOUNT
              "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n");
  tree_write (tree, "sys/fs/cgroup/cpu,cpuacct/old/cpu.cfs_quota_us", "400000\n");
  tree_write (tree, "sys/fs/cgroup/cpu,cpuacct/old/cpu.cfs_period_us", "100000\n");
  tree_write (tree, "sys/fs/cgroup/unified/new/memory.max", "1073741824\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 4);
  g_assert_cmpuint (shm_cpu_memory_limit_at (tree->root), ==, GIB);

  tree_write (tree, "sys/fs/cgroup/unified/new/cpu.max", "100000 100000\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 1);
}

static void
test_namespaces (Tree *tree, gconstpointer data)
{
  tree_write (tree, "sys/fs/cgroup/cpu.max", "500000 100000\n");
  tree_write (tree, "sys/fs/cgroup/user/cpu.max", "200000 100000\n");

  /* the process has left the namespace whose root is mounted */
  tree_write_v2 (tree, "/../../user");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 5);
  tree_write_v2 (tree, "/..");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 5);

  /* the host's mount is seen from a namespace further down */
  tree_write (tree, "proc/self/mountinfo",
              "31 23 0:28 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 5);
  tree_write (tree, "proc/self/cgroup", "0::/../../user\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 2);
  tree_write (tree, "proc/self/cgroup", "0::/\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 5);

  /* nothing above the mount point is ever read */
  tree_write (tree, "sys/fs/cpu.max", "100000 100000\n");
  tree_write (tree, "cpu.max", "100000 100000\n");
  tree_write_v2 (tree, "/../..");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 5);
  tree_write_v2 (tree, "/user/../../..");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 5);
}

static void
test_strange_names (Tree *tree, gconstpointer data)
{
  tree_write (tree, "proc/self/cgroup", "0::/a:b c\n");
  tree_write (tree, "proc/self/mountinfo",
              "31 23 0:28 / /my\\040groups\\134x rw shared:1 master:2 - cgroup2 none rw\n");
  tree_write (tree, "my groups\\x/a:b c/cpu.max", "600000 100000\n");
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 6);
}

static void
test_malformed (Tree *tree, gconstpointer data)
{
  static const char *const cpu_max[] = { "",
                                         "\n",
                                         " ",
                                         "100000",
                                         "max",
                                         "max max",
                                         "0 100000",
                                         "100000 0",
                                         "-1 100000",
                                         "100000 -1",
                                         "+1 100000",
                                         "1e5 100000",
                                         "100000 100000 100000",
                                         "99999999999999999999999 100000",
                                         "100000\t100000",
                                         "\xff\xfe \x80" };
  static const char *const memory_max[] = {
    "", "max", "0", "-1", "1024 kB", "0x400", "1G", "\xff", "1.5", "99999999999999999999999"
  };
  static const char *const groups[] = {
    "",    "\n\n",   "0",       "0:",      "0::",   "0::a",    "::",       ":::::",    "0::\\",
    "cpu", "4:cpu:", "4:cpu:a", "x:cpu:/", "0:,:/", "0:,,,:/", "0::/\xff", "0:://///", "4:,cpu,:///"
  };
  static const char *const mounts[] = {
    "",
    "\n",
    " ",
    "-",
    "- - - - - - - - -",
    "31 23 0:28 / /sys/fs/cgroup rw",
    "31 23 0:28 / /sys/fs/cgroup rw -",
    "31 23 0:28 / /sys/fs/cgroup rw - cgroup2",
    "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2",
    "31 23 0:28 / relative rw - cgroup2 cgroup2 rw",
    "31 23 0:28 \\ /\\ rw - cgroup2 cgroup2 rw",
    "31 23 0:28 \\0 /\\04 rw - cgroup2 cgroup2 rw",
    "31 23 0:28 \\000 /\\000 rw - cgroup2 cgroup2 rw",
    "31 23 0:28  /\\999 rw - cgroup2 cgroup2 rw",
    "31 23 0:28 / / rw - cgroup2 cgroup2 rw",
  };

  tree_write_v2 (tree, "/a");
  for (guint i = 0; i < G_N_ELEMENTS (cpu_max); i++)
    {
      tree_write (tree, "sys/fs/cgroup/a/cpu.max", cpu_max[i]);
      g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 0);
    }
  for (guint i = 0; i < G_N_ELEMENTS (memory_max); i++)
    {
      tree_write (tree, "sys/fs/cgroup/a/memory.max", memory_max[i]);
      g_assert_cmpuint (shm_cpu_memory_limit_at (tree->root), ==, G_MAXUINT64);
    }

  tree_write (tree, "sys/fs/cgroup/a/cpu.max", "400000 100000\n");
  for (guint i = 0; i < G_N_ELEMENTS (groups); i++)
    {
      tree_write (tree, "proc/self/cgroup", groups[i]);
      g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 0);
    }
  /* without a line that can be understood, the usual mount point is tried */
  tree_write (tree, "proc/self/cgroup", "0::/a\n");
  for (guint i = 0; i < G_N_ELEMENTS (mounts); i++)
    {
      guint quota;

      tree_write (tree, "proc/self/mountinfo", mounts[i]);
      quota = shm_cpu_quota_at (tree->root);
      g_assert_true (quota == 0 || quota == 4);
    }
}

/* Any one file damaged at any place: the answer may be anything, but there is one. */
static void
test_damaged (Tree *tree, gconstpointer data)
{
  static const struct
  {
    const char *path;
    const char *contents;
  } files[] = {
    { "proc/self/cgroup", "4:cpu,cpuacct:/a/b\n0::/a/b\n" },
    { "proc/self/mountinfo", V1_CPU_MOUNT V2_MOUNT },
    { "sys/fs/cgroup/a/cpu.max", "400000 100000\n" },
    { "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "400000\n" },
    { "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n" },
  };
  static const char bytes[] = "\\/:.- ,\n01x\xff";

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    tree_write (tree, files[i].path, files[i].contents);
  g_assert_cmpuint (shm_cpu_quota_at (tree->root), ==, 4);

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      gsize length = strlen (files[i].contents);

      for (guint round = 0; round < 100; round++)
        {
          g_autofree char *contents = g_strdup (files[i].contents);
          guint n_damages = (guint) g_test_rand_int_range (1, 5);

          for (guint j = 0; j < n_damages; j++)
            contents[g_test_rand_int_range (0, (gint32) length)] =
                bytes[g_test_rand_int_range (0, (gint32) sizeof bytes)];
          tree_write (tree, files[i].path, contents);
          shm_cpu_quota_at (tree->root);
          shm_cpu_memory_limit_at (tree->root);
        }
      tree_write (tree, files[i].path, files[i].contents);
    }
}

static void
test_parse_n_workers (void)
{
  g_assert_cmpuint (shm_cpu_parse_n_workers ("4"), ==, 4);
  g_assert_cmpuint (shm_cpu_parse_n_workers ("4,2"), ==, 4);
  g_assert_cmpuint (shm_cpu_parse_n_workers (" 16 , 2"), ==, 16);
  g_assert_cmpuint (shm_cpu_parse_n_workers ("3,"), ==, 3);
  g_assert_cmpuint (shm_cpu_parse_n_workers ("2147483647"), ==, G_MAXINT);
  g_assert_cmpuint (shm_cpu_parse_n_workers (NULL), ==, 0);
  g_assert_cmpuint (shm_cpu_parse_n_workers (""), ==, 0);
  g_assert_cmpuint (shm_cpu_parse_n_workers (" "), ==, 0);
  g_assert_cmpuint (shm_cpu_parse_n_workers (",4"), ==, 0);
  g_assert_cmpuint (shm_cpu_parse_n_workers ("0"), ==, 0);
  g_assert_cmpuint (shm_cpu_parse_n_workers ("-3"), ==, 0);
  g_assert_cmpuint (shm_cpu_parse_n_workers ("four"), ==, 0);
  g_assert_cmpuint (shm_cpu_parse_n_workers ("4x"), ==, 0);
  g_assert_cmpuint (shm_cpu_parse_n_workers ("4 2"), ==, 0);
  g_assert_cmpuint (shm_cpu_parse_n_workers ("2147483648"), ==, 0);
  g_assert_cmpuint (shm_cpu_parse_n_workers ("99999999999999999999999"), ==, 0);
}

static void
test_default_workers (void)
{
  guint count;

  g_unsetenv ("OMP_NUM_THREADS");
  g_unsetenv ("PBS_NUM_PPN");
  g_assert_cmpuint (shm_cpu_default_workers (), ==, shm_cpu_count ());

  g_setenv ("PBS_NUM_PPN", "5", TRUE);
  g_assert_cmpuint (shm_cpu_default_workers (), ==, 5);
  g_setenv ("OMP_NUM_THREADS", "7,2", TRUE);
  g_assert_cmpuint (shm_cpu_default_workers (), ==, 7);
  g_setenv ("OMP_NUM_THREADS", "many", TRUE);
  g_assert_cmpuint (shm_cpu_default_workers (), ==, 5);
  g_setenv ("PBS_NUM_PPN", "0", TRUE);
  g_assert_cmpuint (shm_cpu_default_workers (), ==, shm_cpu_count ());

  /* the count itself is deaf to the environment, and no bound of the pool's size */
  count = shm_cpu_count ();
  g_setenv ("OMP_NUM_THREADS", "1000000", TRUE);
  g_assert_cmpuint (shm_cpu_count (), ==, count);
  g_assert_cmpuint (shm_cpu_default_workers (), ==, 1000000);
  g_unsetenv ("OMP_NUM_THREADS");
  g_unsetenv ("PBS_NUM_PPN");
}

static void
test_this_system (void)
{
  guint64 physical = (guint64) sysconf (_SC_PHYS_PAGES) * (guint64) sysconf (_SC_PAGESIZE);

  g_assert_cmpuint (shm_cpu_count (), >=, 1);
  g_assert_cmpuint (shm_cpu_count (), <=, (guint) sysconf (_SC_NPROCESSORS_ONLN));
  g_assert_cmpuint (shm_total_memory (), >, 0);
  g_assert_cmpuint (shm_total_memory (), <=, physical);
}

static void
test_affinity (void)
{
  cpu_set_t before, one;
  int cpu = 0;

  if (sched_getaffinity (0, sizeof before, &before) != 0)
    {
      g_test_skip ("this machine has more CPUs than a plain cpu_set_t holds");
      return;
    }
  while (!CPU_ISSET (cpu, &before))
    cpu++;
  CPU_ZERO (&one);
  CPU_SET (cpu, &one);
  if (sched_setaffinity (0, sizeof one, &one) != 0)
    {
      g_test_skip ("the affinity may not be changed here");
      return;
    }
  g_assert_cmpuint (shm_cpu_count (), ==, 1);
  g_assert_cmpint (sched_setaffinity (0, sizeof before, &before), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add (name, Tree, NULL, tree_set_up, func, tree_tear_down)
  ADD ("/cpu/no-files", test_no_files);
  ADD ("/cpu/v2/nested", test_v2_nested);
  ADD ("/cpu/v2/without-mountinfo", test_v2_without_mountinfo);
  ADD ("/cpu/v2/max", test_v2_max);
  ADD ("/cpu/rounding", test_rounding);
  ADD ("/cpu/v1/nested", test_v1);
  ADD ("/cpu/v1/container", test_v1_container);
  ADD ("/cpu/hybrid", test_hybrid);
  ADD ("/cpu/namespaces", test_namespaces);
  ADD ("/cpu/strange-names", test_strange_names);
  ADD ("/cpu/malformed", test_malformed);
  ADD ("/cpu/damaged", test_damaged);
#undef ADD
  g_test_add_func ("/cpu/parse-n-workers", test_parse_n_workers);
  g_test_add_func ("/cpu/default-workers", test_default_workers);
  g_test_add_func ("/cpu/this-system", test_this_system);
  g_test_add_func ("/cpu/affinity", test_affinity);

  return g_test_run ();
}
