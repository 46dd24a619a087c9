/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What this process may use of the machine.
 *
 * Limits of control groups hold for everything below the group that has them, so the effective one
 * is the least on the way from the process's own group up to the root. /proc/self/cgroup names the
 * group in each hierarchy: "0::/a/b" in the unified one (v2), "4:cpu,cpuacct:/a/b" in one of the
 * old ones (v1); a hybrid system has both, and a controller is live in only one of them, so that
 * reading both and taking the least is right. /proc/self/mountinfo tells where a hierarchy is
 * mounted, and which of its groups is the one that is seen at the mount point: in a container often
 * not the root.
 *
 * None of these files is trusted to be there or to be well formed: what cannot be read is no limit.
 */

#include "config.h"

#include "shm-cpu-private.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#define NO_LIMIT G_MAXUINT64

/* The kernel refuses sets smaller than its own; no kernel can be built for this many. */
#define MAX_CPUS (1 << 22)

/* Reads one limit from the files of the group in @dir, NO_LIMIT where there is none. */
typedef guint64 (*LimitReader) (const char *dir);

typedef struct
{
  char *group;       /* the group that is seen at the mount point */
  char *mount_point; /* as the process sees it, without the prefix of a test's tree */
} CgroupMount;

static void
cgroup_mount_free (CgroupMount *mount)
{
  g_free (mount->group);
  g_free (mount->mount_point);
  g_free (mount);
}

static char *
read_file_at (const char *dir, const char *name)
{
  g_autofree char *path = g_strconcat (dir, "/", name, NULL);
  char *contents = NULL;

  if (!g_file_get_contents (path, &contents, NULL, NULL))
    return NULL;
  return g_strstrip (contents);
}

static gboolean
parse_positive (const char *text, guint64 *value)
{
  return g_ascii_string_to_unsigned (text, 10, 1, G_MAXUINT64, value, NULL);
}

static guint64
read_positive_at (const char *dir, const char *name)
{
  g_autofree char *text = read_file_at (dir, name);
  guint64 value;

  return text != NULL && parse_positive (text, &value) ? value : NO_LIMIT;
}

static guint64
cpus_for_quota (guint64 quota, guint64 period)
{
  return quota / period + (quota % period != 0 ? 1 : 0);
}

static guint64
read_cpu_max (const char *dir)
{
  g_autofree char *text = read_file_at (dir, "cpu.max");
  g_auto (GStrv) words = NULL;
  guint64 quota, period;

  if (text == NULL)
    return NO_LIMIT;
  words = g_strsplit (text, " ", -1);
  if (g_strv_length (words) != 2 || !parse_positive (words[0], &quota) ||
      !parse_positive (words[1], &period))
    return NO_LIMIT;
  return cpus_for_quota (quota, period);
}

static guint64
read_cpu_cfs_quota (const char *dir)
{
  guint64 quota = read_positive_at (dir, "cpu.cfs_quota_us");
  guint64 period = read_positive_at (dir, "cpu.cfs_period_us");

  if (quota == NO_LIMIT || period == NO_LIMIT)
    return NO_LIMIT;
  return cpus_for_quota (quota, period);
}

static guint64
read_memory_max (const char *dir)
{
  return read_positive_at (dir, "memory.max");
}

static guint64
read_memory_limit (const char *dir)
{
  return read_positive_at (dir, "memory.limit_in_bytes");
}

/* The kernel writes blanks and backslashes in the fields of mountinfo as octal numbers. */
static char *
unescape_mountinfo (const char *field)
{
  GString *plain = g_string_new (NULL);

  while (*field != '\0')
    {
      if (field[0] == '\\' && field[1] >= '0' && field[1] <= '3' && field[2] >= '0' &&
          field[2] <= '7' && field[3] >= '0' && field[3] <= '7')
        {
          g_string_append_c (
              plain, (char) ((field[1] - '0') * 64 + (field[2] - '0') * 8 + (field[3] - '0')));
          field += 4;
        }
      else
        {
          g_string_append_c (plain, *field++);
        }
    }
  return g_string_free (plain, FALSE);
}

static gboolean
has_word (const char *list, const char *word)
{
  g_auto (GStrv) words = g_strsplit (list, ",", -1);

  return g_strv_contains ((const char *const *) words, word);
}

/* The mounts of the hierarchy that has @controller (v1), or of the unified one if that is %NULL. */
static GPtrArray *
find_cgroup_mounts (const char *mountinfo, const char *controller)
{
  GPtrArray *mounts = g_ptr_array_new_with_free_func ((GDestroyNotify) cgroup_mount_free);
  g_auto (GStrv) lines = g_strsplit (mountinfo, "\n", -1);

  for (char **line = lines; *line != NULL; line++)
    {
      /* id, parent, device, root, mount point, options, any number of tags, "-", type, source,
       * options */
      g_auto (GStrv) fields = g_strsplit (*line, " ", -1);
      guint n_fields = g_strv_length (fields);
      guint dash = 6;
      CgroupMount *mount;

      while (dash < n_fields && strcmp (fields[dash], "-") != 0)
        dash++;
      if (dash + 3 >= n_fields || fields[4][0] != '/')
        continue;
      if (controller == NULL ? strcmp (fields[dash + 1], "cgroup2") != 0
                             : strcmp (fields[dash + 1], "cgroup") != 0 ||
                                   !has_word (fields[dash + 3], controller))
        continue;

      mount = g_new0 (CgroupMount, 1);
      mount->group = unescape_mountinfo (fields[3]);
      mount->mount_point = unescape_mountinfo (fields[4]);
      g_ptr_array_add (mounts, mount);
    }
  return mounts;
}

/* The path of @group below the group that is seen at a mount point, or %NULL if it is not there. */
static const char *
group_below (const char *mounted_group, const char *group)
{
  gsize length = strcmp (mounted_group, "/") == 0 ? 0 : strlen (mounted_group);
  const char *below;

  if (strncmp (group, mounted_group, length) != 0)
    return NULL;
  below = group + length;
  if (*below != '\0' && *below != '/')
    return NULL;
  if (g_str_has_suffix (below, "/..") || strstr (below, "/../") != NULL)
    return NULL;
  return below;
}

static guint64
least_limit_upward (const char *top, const char *below, LimitReader reader)
{
  g_autofree char *dir = g_strconcat (top, below, NULL);
  gsize top_length = strlen (top);
  guint64 limit = NO_LIMIT;

  /* a group that has gone, or that a container does not see, still counts by those above it */
  for (;;)
    {
      guint64 own_limit = reader (dir);

      limit = MIN (limit, own_limit);
      if (strlen (dir) <= top_length)
        return limit;
      *strrchr (dir, '/') = '\0';
    }
}

static guint64
hierarchy_limit (const char *root,
                 const char *mountinfo,
                 const char *controller,
                 const char *group,
                 LimitReader reader)
{
  g_autoptr (GPtrArray) mounts = find_cgroup_mounts (mountinfo, controller);
  guint64 limit = NO_LIMIT;
  gboolean found = FALSE;

  if (mounts->len == 0)
    {
      CgroupMount *usual = g_new0 (CgroupMount, 1);

      usual->group = g_strdup ("/");
      usual->mount_point =
          g_strconcat ("/sys/fs/cgroup/", controller != NULL ? controller : "", NULL);
      g_ptr_array_add (mounts, usual);
    }

  for (guint i = 0; i < mounts->len; i++)
    {
      const CgroupMount *mount = g_ptr_array_index (mounts, i);
      const char *below = group_below (mount->group, group);
      g_autofree char *top = NULL;
      guint64 mount_limit;

      if (below == NULL)
        continue;
      top = g_strconcat (root, mount->mount_point, NULL);
      mount_limit = least_limit_upward (top, below, reader);
      limit = MIN (limit, mount_limit);
      found = TRUE;
    }

  /* Seen from another cgroup namespace ("/../.." in either path) the group cannot be named. What is
   * mounted is then most often a group above it, or the container's own. */
  for (guint i = 0; i < mounts->len && !found; i++)
    {
      const CgroupMount *mount = g_ptr_array_index (mounts, i);
      g_autofree char *top = g_strconcat (root, mount->mount_point, NULL);
      guint64 mount_limit = reader (top);

      limit = MIN (limit, mount_limit);
    }
  return limit;
}

static guint64
cgroup_limit (const char *root,
              const char *controller,
              LimitReader unified_reader,
              LimitReader v1_reader)
{
  g_autofree char *proc = g_strconcat (root, "/proc/self", NULL);
  g_autofree char *groups = read_file_at (proc, "cgroup");
  g_autofree char *mountinfo = NULL;
  g_auto (GStrv) lines = NULL;
  guint64 limit = NO_LIMIT;

  if (groups == NULL)
    return NO_LIMIT;
  mountinfo = read_file_at (proc, "mountinfo");
  lines = g_strsplit (groups, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    {
      /* number, controllers, group; the group may have colons in its name */
      g_auto (GStrv) fields = g_strsplit (*line, ":", 3);
      gboolean is_unified;
      guint64 group_limit;

      if (g_strv_length (fields) != 3 || fields[2][0] != '/')
        continue;
      is_unified = strcmp (fields[0], "0") == 0 && fields[1][0] == '\0';
      if (!is_unified && !has_word (fields[1], controller))
        continue;
      group_limit =
          hierarchy_limit (root, mountinfo != NULL ? mountinfo : "", is_unified ? NULL : controller,
                           fields[2], is_unified ? unified_reader : v1_reader);
      limit = MIN (limit, group_limit);
    }
  return limit;
}

/* The number in a line "oom_kill 3" of a file in @dir, or NO_LIMIT. */
static guint64
read_oom_kills (const char *dir, const char *name)
{
  g_autofree char *contents = read_file_at (dir, name);
  const char *line = contents != NULL ? g_strrstr (contents, "oom_kill ") : NULL;

  return line != NULL ? g_ascii_strtoull (line + strlen ("oom_kill "), NULL, 10) : NO_LIMIT;
}

static guint64
read_unified_oom_kills (const char *dir)
{
  return read_oom_kills (dir, "memory.events");
}

/* Counted downwards, so that the least of them is the largest number. */
static guint64
read_v1_oom_kills (const char *dir)
{
  guint64 n = read_oom_kills (dir, "memory.oom_control");

  return n != NO_LIMIT ? NO_LIMIT - n : NO_LIMIT;
}

static guint64
read_nothing (const char *dir)
{
  return NO_LIMIT;
}

/*
 * shm_cpu_oom_kills_at:
 * @root: what stands before each path, "" for the system itself
 *
 * How often the kernel has killed a process of this control group since memory had run out. In the
 * unified hierarchy a group's count includes those below it, so the least on the way upward is the
 * group's own; in the old one it does not, and any on the way may have done it.
 *
 * Returns: the number, or 0 if the system does not tell
 */
guint64
shm_cpu_oom_kills_at (const char *root)
{
  guint64 unified = cgroup_limit (root, "memory", read_unified_oom_kills, read_nothing);
  guint64 v1 = NO_LIMIT - cgroup_limit (root, "memory", read_nothing, read_v1_oom_kills);

  return (unified != NO_LIMIT ? unified : 0) + v1;
}

/*
 * shm_cpu_oom_kills:
 * @max_age: in µs, how old the answer may be
 *
 * The same for the system itself. To read it takes as long as a fork.
 *
 * Returns: the number, or 0 if the system does not tell
 */
guint64
shm_cpu_oom_kills (gint64 max_age)
{
  static gint64
      read_at; /* monotonic time; 0: never. Both are atomic, and no harm is done if they do not fit. */
  static guint64 last;
  gint64 now = g_get_monotonic_time ();
  gint64 then = __atomic_load_n (&read_at, __ATOMIC_ACQUIRE);

  if (then == 0 || now - then > max_age)
    {
      __atomic_store_n (&last, shm_cpu_oom_kills_at (""), __ATOMIC_RELAXED);
      __atomic_store_n (&read_at, now, __ATOMIC_RELEASE);
    }
  return __atomic_load_n (&last, __ATOMIC_RELAXED);
}

static guint
count_affinity (void)
{
  for (gsize n_cpus = CPU_SETSIZE; n_cpus <= MAX_CPUS; n_cpus *= 2)
    {
      gsize size = CPU_ALLOC_SIZE (n_cpus);
      g_autofree cpu_set_t *set = g_malloc0 (size);

      if (sched_getaffinity (0, size, set) == 0)
        return (guint) CPU_COUNT_S (size, set);
      if (errno != EINVAL)
        break;
    }
  return 0;
}

/*
 * shm_cpu_quota_at:
 * @root: what stands before each path, "" for the system itself
 *
 * The CPU time that control groups grant, in CPUs, rounded up.
 *
 * Returns: the number of CPUs, or 0 if there is no quota
 */
guint
shm_cpu_quota_at (const char *root)
{
  guint64 limit = cgroup_limit (root, "cpu", read_cpu_max, read_cpu_cfs_quota);

  return limit == NO_LIMIT ? 0 : (guint) MIN (limit, G_MAXUINT);
}

/*
 * shm_cpu_memory_limit_at:
 * @root: what stands before each path, "" for the system itself
 *
 * The memory that control groups grant. The v1 kernel has no word for "no limit", but a number near
 * 2⁶³, which is returned as it stands.
 *
 * Returns: the number of bytes, or %G_MAXUINT64 if there is no limit
 */
guint64
shm_cpu_memory_limit_at (const char *root)
{
  return cgroup_limit (root, "memory", read_memory_max, read_memory_limit);
}

/*
 * shm_cpu_parse_n_workers:
 * @text: (nullable): the value of an environment variable
 *
 * Reads the first number of a list like "4,2": OpenMP's, one number for each level of nesting.
 *
 * Returns: the number, or 0 if it is not a number from 1 to %G_MAXINT
 */
guint
shm_cpu_parse_n_workers (const char *text)
{
  g_autofree char *first = NULL;
  guint64 value;

  if (text == NULL)
    return 0;
  first = g_strstrip (g_strndup (text, strcspn (text, ",")));
  if (!g_ascii_string_to_unsigned (first, 10, 1, G_MAXINT, &value, NULL))
    return 0;
  return (guint) value;
}

/*
 * shm_cpu_default_workers:
 *
 * The number of workers of a pool that was not told one: what OMP_NUM_THREADS says, else
 * PBS_NUM_PPN, else shm_cpu_count().
 *
 * Returns: the number, at least 1
 */
guint
shm_cpu_default_workers (void)
{
  guint n_workers = shm_cpu_parse_n_workers (g_getenv ("OMP_NUM_THREADS"));

  if (n_workers == 0)
    n_workers = shm_cpu_parse_n_workers (g_getenv ("PBS_NUM_PPN"));
  return n_workers != 0 ? n_workers : shm_cpu_count ();
}

/* The CPUs that are online, or the quota. Each pool asks for it, and it takes reading some files,
 * so the answer is kept for a second. Two threads that ask at once may both read, which does no
 * harm. */
static guint
count_machine (void)
{
  static gint64 read_at; /* atomic, as is */
  static guint count;
  gint64 now = g_get_monotonic_time ();
  gint64 then = __atomic_load_n (&read_at, __ATOMIC_ACQUIRE);
  long n_online;
  guint quota;
  guint n;

  if (then != 0 && now - then < G_USEC_PER_SEC)
    return __atomic_load_n (&count, __ATOMIC_RELAXED);

  n_online = sysconf (_SC_NPROCESSORS_ONLN);
  quota = shm_cpu_quota_at ("");
  n = n_online > 0 ? (guint) MIN (n_online, G_MAXINT) : G_MAXINT;
  if (quota > 0)
    n = MIN (n, quota);
  __atomic_store_n (&count, n, __ATOMIC_RELAXED);
  __atomic_store_n (&read_at, now, __ATOMIC_RELEASE);
  return n;
}

/**
 * shm_cpu_count:
 *
 * Counts the CPUs that this process may use: the least of the CPUs that are online, of those that
 * the calling thread may run on (sched_getaffinity(2)), and of the CPU quota of its control groups,
 * versions 1 and 2, rounded up (see the kernel's "Control Group v2" and "CFS Bandwidth Control").
 *
 * The environment has no say in it. It does in the number of workers of a pool that was not told
 * one: there `OMP_NUM_THREADS`, and else `PBS_NUM_PPN`, stand before this count.
 *
 * An administrator may change what the count stands on: it follows within a second. The function
 * may be called from any thread.
 *
 * Returns: the number of CPUs, at least 1
 *
 * Since: 1.0
 */
guint
shm_cpu_count (void)
{
  guint n_allowed = count_affinity ();
  guint count = count_machine ();

  return MAX (n_allowed > 0 ? MIN (count, n_allowed) : count, 1);
}

/**
 * shm_total_memory:
 *
 * Tells how much memory this process may use: the least of the physical memory of the machine and
 * of the limits of its control groups, versions 1 and 2. Swap space is not counted, and neither is
 * it asked what is in use at the moment.
 *
 * The function may be called from any thread.
 *
 * Returns: the memory in bytes, or 0 if the system does not tell
 *
 * Since: 1.0
 */
guint64
shm_total_memory (void)
{
  long n_pages = sysconf (_SC_PHYS_PAGES);
  long page_size = sysconf (_SC_PAGESIZE);
  guint64 limit = shm_cpu_memory_limit_at ("");

  if (n_pages > 0 && page_size > 0)
    limit = MIN (limit, (guint64) n_pages * (guint64) page_size);
  return limit == NO_LIMIT ? 0 : limit;
}
