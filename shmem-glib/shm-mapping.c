/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "shm-mapping-private.h"

#include "shm-error.h"
#include "shm-i18n-private.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One piece of memory that this process and those it forks all read and write.
 *
 * Every array, view and GBytes on the memory holds one reference; the last to go unmaps it and
 * closes its file descriptor. The count lies in private memory, so a forked child counts its own
 * references, and what it drops does not touch the mapping of its parent.
 *
 * What is always true: `address` is a mapping of `mapped_size` bytes, or MAP_FAILED while the
 * struct is being built; `fd` is open, close-on-exec and ours alone, or -1. So one destructor
 * serves a finished mapping and every way in which making it can fail.
 */
struct _ShmMapping
{
  gatomicrefcount ref_count;
  guint8 *address;
  gsize size;
  gsize mapped_size;
  int fd;
  gboolean is_read_only;
  gboolean is_file; /* what is not there has to be read from somewhere */
  ShmArrayFlags flags;
  void (*release) (gpointer data, gpointer address, gsize size);
  gpointer release_data;
};

/* Headers older than the kernel lack these. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* A signal makes fallocate() give back all that the call has allocated. Short calls get through
 * even under a fast interval timer.
 */
#define COMMIT_STEP ((gsize) 64 << 20)

/* Where a version of the control groups keeps a group's memory figures. */
typedef struct
{
  const char *mount;
  const char *limit;
  const char *usage;
  const char *inactive_file;
  const char *active_file;
} ShmCgroupNames;

static const ShmCgroupNames cgroup_v1 = {
  "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
  "total_inactive_file",  "total_active_file",
};

static const ShmCgroupNames cgroup_v2 = {
  "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file", "active_file",
};

static gboolean
read_number (const char *directory, const char *name, guint64 *number)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autofree char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) &&
         g_ascii_string_to_unsigned (g_strstrip (text), 10, 0, G_MAXUINT64, number, NULL);
}

/* Finds the number in the line that starts with @key; 0 if there is none. */
static guint64
find_number (const char *text, const char *key)
{
  gsize length = strlen (key);

  for (const char *line = text; line != NULL; line = strchr (line, '\n'))
    {
      line += *line == '\n';
      if (strncmp (line, key, length) == 0 && g_ascii_isspace (line[length]))
        return g_ascii_strtoull (line + length, NULL, 10);
    }
  return 0;
}

/* What is left of one group's limit. Cached file pages count as usage, but the kernel drops them
 * before it would kill anyone.
 */
static guint64
cgroup_room (const ShmCgroupNames *names, const char *directory)
{
  g_autofree char *stat_path = g_build_filename (directory, "memory.stat", NULL);
  g_autofree char *stat = NULL;
  guint64 limit = 0;
  guint64 usage = 0;

  if (!read_number (directory, names->limit, &limit) ||
      !read_number (directory, names->usage, &usage))
    return G_MAXUINT64;

  if (g_file_get_contents (stat_path, &stat, NULL, NULL))
    {
      guint64 cached =
          find_number (stat, names->inactive_file) + find_number (stat, names->active_file);

      usage -= MIN (usage, cached);
    }
  return limit - MIN (limit, usage);
}

/* A group's memory is also its ancestors'. In a container the path may be the host's, which is not
 * there; the walk then ends at the root of the mount, which is the container's own group.
 */
static guint64
cgroup_walk (const ShmCgroupNames *names, const char *root, const char *group)
{
  g_autofree char *path = g_strdup (group);
  guint64 room = G_MAXUINT64;
  gboolean at_top = FALSE;

  while (!at_top)
    {
      g_autofree char *directory = g_build_filename (root, names->mount, path, NULL);
      char *parent = g_path_get_dirname (path);

      room = MIN (room, cgroup_room (names, directory));
      at_top = strcmp (parent, path) == 0;
      g_free (path);
      path = parent;
    }
  return room;
}

/* How many bytes can be committed without waking the OOM killer, by the figures under the directory
 * @root; G_MAXUINT64 where the system does not say.
 */
guint64
shm_mapping_available_memory (const char *root)
{
  g_autofree char *meminfo_path = g_build_filename (root, "proc/meminfo", NULL);
  g_autofree char *cgroup_path = g_build_filename (root, "proc/self/cgroup", NULL);
  g_autofree char *meminfo = NULL;
  g_autofree char *cgroups = NULL;
  g_auto (GStrv) lines = NULL;
  guint64 available = G_MAXUINT64;

  if (g_file_get_contents (meminfo_path, &meminfo, NULL, NULL) &&
      strstr (meminfo, "MemAvailable:") != NULL)
    available = find_number (meminfo, "MemAvailable:") * 1024;

  if (!g_file_get_contents (cgroup_path, &cgroups, NULL, NULL))
    return available;

  /* A line is "hierarchy:controllers:group"; version 2 has hierarchy 0 and no controllers. */
  lines = g_strsplit (cgroups, "\n", -1);
  for (gsize i = 0; lines[i] != NULL; i++)
    {
      g_auto (GStrv) fields = g_strsplit (lines[i], ":", 3);
      g_auto (GStrv) controllers = NULL;

      if (g_strv_length (fields) != 3)
        continue;
      controllers = g_strsplit (fields[1], ",", -1);
      if (strcmp (fields[0], "0") == 0 && fields[1][0] == '\0')
        available = MIN (available, cgroup_walk (&cgroup_v2, root, fields[2]));
      else if (g_strv_contains ((const char *const *) controllers, "memory"))
        available = MIN (available, cgroup_walk (&cgroup_v1, root, fields[2]));
    }
  return available;
}

/* Leaves one part in sixteen to everyone else: the figures are estimates, and page tables come on
 * top. */
static gboolean
shm_mapping_check_available (gsize size, GError **error)
{
  guint64 available = shm_mapping_available_memory ("/");
  g_autofree char *wanted_text = NULL;
  g_autofree char *available_text = NULL;

  if (size <= available - available / 16)
    return TRUE;

  wanted_text = g_format_size_full (size, G_FORMAT_SIZE_IEC_UNITS);
  available_text = g_format_size_full (available, G_FORMAT_SIZE_IEC_UNITS);
  g_set_error (error, SHM_ERROR, SHM_ERROR_NO_MEMORY,
               _ ("Cannot reserve %s of shared memory: only %s are available"), wanted_text,
               available_text);
  return FALSE;
}

static void
shm_mapping_set_error (GError **error, int error_number, gsize size)
{
  g_autofree char *text = g_format_size_full (size, G_FORMAT_SIZE_IEC_UNITS);
  ShmError code = SHM_ERROR_FAILED;

  /* EFAULT is what populating says where a write would be a bus error. */
  if (error_number == ENOMEM || error_number == ENOSPC || error_number == EFBIG ||
      error_number == EFAULT || error_number == EAGAIN)
    {
      code = SHM_ERROR_NO_MEMORY;
      error_number = ENOMEM;
    }
  else if (error_number == ENOSYS || error_number == ENODEV)
    code = SHM_ERROR_NOT_SUPPORTED;

  g_set_error (error, SHM_ERROR, code, _ ("Cannot get %s of shared memory: %s"), text,
               g_strerror (error_number));
}

static gsize
round_to_pages (gsize size)
{
  gsize page_size = (gsize) sysconf (_SC_PAGESIZE);

  return (MAX (size, 1) + page_size - 1) / page_size * page_size;
}

static ShmMapping *
shm_mapping_alloc (gsize size, ShmArrayFlags flags)
{
  ShmMapping *self = g_new0 (ShmMapping, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->address = MAP_FAILED;
  self->size = size;
  self->mapped_size = round_to_pages (size);
  self->fd = -1;
  self->flags = flags;
  return self;
}

/* Gives a file its first @size bytes; FALSE with errno set if there is no room. */
gboolean
shm_mapping_allocate_fd (int fd, guint64 size)
{
  for (guint64 offset = 0; offset < size; offset += COMMIT_STEP)
    {
      guint64 length = MIN (COMMIT_STEP, size - offset);
      int result;

      do
        result = fallocate (fd, 0, (off_t) offset, (off_t) length);
      while (result < 0 && errno == EINTR);
      if (result < 0)
        return FALSE;
    }
  return TRUE;
}

/* Fetches the pages beyond the first @from bytes, for writing. */
static gboolean
shm_mapping_commit_pages (ShmMapping *self, gsize from)
{
  int result;

  do
    result = madvise (self->address + from, self->mapped_size - from, MADV_POPULATE_WRITE);
  while (result < 0 && errno == EINTR);
  return result == 0;
}

/* The same for those who want it for speed alone. Where Linux is older than 5.14, reading a byte
 * does it too, if not as gently where there is no memory.
 */
static gboolean
shm_mapping_populate (ShmMapping *self, gsize from)
{
  gsize page_size = (gsize) sysconf (_SC_PAGESIZE);

  if (shm_mapping_commit_pages (self, from))
    return TRUE;
  if (errno != EINVAL)
    return FALSE;

  for (gsize offset = from; offset < self->mapped_size; offset += page_size)
    (void) *(volatile guint8 *) (self->address + offset);
  return TRUE;
}

/* Maps the memory of a descriptor, or anonymous memory if it is -1. */
static gboolean
shm_mapping_map (ShmMapping *self, int fd, guint64 offset)
{
  int map_flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
  int protection = self->is_read_only ? PROT_READ : PROT_READ | PROT_WRITE;

  self->address = mmap (NULL, self->mapped_size, protection, map_flags, fd, (off_t) offset);
  if (self->address == MAP_FAILED)
    {
      /* The size is all that can be invalid here. */
      if (errno == EINVAL)
        errno = ENOMEM;
      return FALSE;
    }

  if (self->flags & SHM_ARRAY_FLAGS_HUGE_PAGES)
    (void) madvise (self->address, self->mapped_size, MADV_HUGEPAGE);
  return TRUE;
}

/* Whoever has mapped the memory could get a bus error where it shrinks, but nothing happens to him
 * where it grows.
 */
static gboolean
shm_mapping_open_memfd (ShmMapping *self)
{
  /* Rounded up to pages, the size can be one that no file offset reaches. */
  if (self->mapped_size > G_MAXSSIZE)
    {
      errno = EFBIG;
      return FALSE;
    }

  self->fd = memfd_create ("shmem-glib", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  if (self->fd < 0 && errno == EINVAL)
    self->fd = memfd_create ("shmem-glib", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  return self->fd >= 0 && ftruncate (self->fd, (off_t) self->mapped_size) == 0 &&
         fcntl (self->fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0;
}

static ShmMapping *
shm_mapping_new_memfd (gsize size, ShmArrayFlags flags, GError **error)
{
  g_autoptr (ShmMapping) self = shm_mapping_alloc (size, flags);

  if (!shm_mapping_open_memfd (self) ||
      ((flags & SHM_ARRAY_FLAGS_RESERVE) != 0 &&
       !shm_mapping_allocate_fd (self->fd, self->mapped_size)) ||
      !shm_mapping_map (self, self->fd, 0) ||
      ((flags & SHM_ARRAY_FLAGS_POPULATE) != 0 && !shm_mapping_populate (self, 0)))
    {
      shm_mapping_set_error (error, errno, size);
      return NULL;
    }

  /* The mapping holds the memory; a descriptor is kept for those who asked for one. */
  if ((flags & SHM_ARRAY_FLAGS_SHAREABLE) == 0)
    {
      close (self->fd);
      self->fd = -1;
    }
  return g_steal_pointer (&self);
}

/* Maps @size bytes of zeros. A @size of 0 maps a page, so that every mapping has an address.
 *
 * With SHM_ARRAY_FLAGS_RESERVE the pages are there when this returns; so that asking for too many
 * is an error, and not the death of some process, what is available is looked up first.
 */
ShmMapping *
shm_mapping_new_anonymous (gsize size, ShmArrayFlags flags, GError **error)
{
  g_autoptr (ShmMapping) self = NULL;

  if (size > G_MAXSSIZE)
    {
      g_set_error (error, SHM_ERROR, SHM_ERROR_INVALID_ARGUMENT,
                   _ ("%zu bytes are more than an address space holds"), size);
      return NULL;
    }
  if ((flags & SHM_ARRAY_FLAGS_RESERVE) != 0 && !shm_mapping_check_available (size, error))
    return NULL;
  if (flags & SHM_ARRAY_FLAGS_SHAREABLE)
    return shm_mapping_new_memfd (size, flags, error);

  self = shm_mapping_alloc (size, flags);
  if (!shm_mapping_map (self, -1, 0))
    {
      shm_mapping_set_error (error, errno, size);
      return NULL;
    }
  if ((flags & SHM_ARRAY_FLAGS_RESERVE) != 0 && !shm_mapping_commit_pages (self, 0))
    {
      /* Linux before 5.14 cannot populate a mapping, but it can fill a file. */
      if (errno == EINVAL)
        return shm_mapping_new_memfd (size, flags, error);

      shm_mapping_set_error (error, errno, size);
      return NULL;
    }
  if ((flags & SHM_ARRAY_FLAGS_POPULATE) != 0 && !shm_mapping_populate (self, 0))
    {
      shm_mapping_set_error (error, errno, size);
      return NULL;
    }
  return g_steal_pointer (&self);
}

/* Whether no view and no GBytes in this process is on the memory but the one that asks. */
gboolean
shm_mapping_has_one_owner (ShmMapping *self)
{
  return g_atomic_ref_count_compare (&self->ref_count, 1);
}

gboolean
shm_mapping_is_resizable (ShmMapping *self)
{
  return self->fd >= 0 && (self->flags & SHM_ARRAY_FLAGS_SHAREABLE) != 0;
}

/* Makes the descriptor's file at least @size bytes long. Another process may make it longer at the
 * same time, and cutting it off again is what the seal forbids.
 */
static gboolean
shm_mapping_extend_fd (ShmMapping *self, gsize size)
{
  struct stat status;

  for (;;)
    {
      if (fstat (self->fd, &status) < 0)
        return FALSE;
      if ((gsize) status.st_size >= size || ftruncate (self->fd, (off_t) size) == 0)
        return TRUE;
      if (errno == EPERM)
        break;
      if (errno != EINTR)
        return FALSE;
    }
  return fstat (self->fd, &status) == 0 && (gsize) status.st_size >= size;
}

/* Drops the bytes from @size on, to the end of the file, which keeps its length: they are zeros if
 * they are asked for again.
 */
static gboolean
shm_mapping_drop_tail (ShmMapping *self, gsize size)
{
  struct stat status;
  int result;

  if (fstat (self->fd, &status) < 0)
    return FALSE;
  if ((gsize) status.st_size <= size)
    return TRUE;

  do
    result = fallocate (self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) size,
                        status.st_size - (off_t) size);
  while (result < 0 && errno == EINTR);
  return result == 0;
}

/* Gets what lies beyond the first @from bytes of a mapping that has grown. */
static gboolean
shm_mapping_extend (ShmMapping *self, gsize from)
{
  return shm_mapping_extend_fd (self, self->mapped_size) &&
         ((self->flags & SHM_ARRAY_FLAGS_RESERVE) == 0 ||
          shm_mapping_allocate_fd (self->fd, self->mapped_size)) &&
         ((self->flags & SHM_ARRAY_FLAGS_POPULATE) == 0 || shm_mapping_populate (self, from));
}

static gboolean
shm_mapping_remap (ShmMapping *self, gsize mapped_size)
{
  gpointer address = mremap (self->address, self->mapped_size, mapped_size, MREMAP_MAYMOVE);

  if (address == MAP_FAILED)
    {
      /* As above, only the size can be. */
      if (errno == EINVAL)
        errno = ENOMEM;
      return FALSE;
    }
  self->address = address;
  self->mapped_size = mapped_size;
  return TRUE;
}

/* Changes the size of a mapping that has one owner, who has to ask for its address again. Nothing
 * else has changed after an error.
 */
gboolean
shm_mapping_resize (ShmMapping *self, gsize size, GError **error)
{
  gsize old_mapped_size = self->mapped_size;
  gsize new_mapped_size = round_to_pages (size);
  gboolean ok = FALSE;

  if ((self->flags & SHM_ARRAY_FLAGS_RESERVE) != 0 && new_mapped_size > old_mapped_size &&
      !shm_mapping_check_available (new_mapped_size - old_mapped_size, error))
    return FALSE;

  if (new_mapped_size > G_MAXSSIZE)
    {
      errno = EFBIG;
    }
  else if (new_mapped_size <= old_mapped_size)
    {
      ok = (size >= self->size || shm_mapping_drop_tail (self, size)) &&
           shm_mapping_remap (self, new_mapped_size);
    }
  else if (shm_mapping_remap (self, new_mapped_size))
    {
      ok = shm_mapping_extend (self, old_mapped_size);
      if (!ok)
        {
          int error_number = errno;

          (void) shm_mapping_remap (self, old_mapped_size);
          errno = error_number;
        }
    }
  if (!ok)
    {
      if (errno == EPERM)
        g_set_error_literal (error, SHM_ERROR, SHM_ERROR_WRONG_STATE,
                             _ ("The memory is sealed, so its size cannot be changed"));
      else
        shm_mapping_set_error (error, errno, size);
      return FALSE;
    }

  self->size = size;
  return TRUE;
}

/* Advice about all pages in which the bytes lie; all of it leaves their content alone. */
gboolean
shm_mapping_advise (
    ShmMapping *self, gpointer address, gsize n_bytes, ShmAdvice advice, GError **error)
{
  static const int system_advice[] = {
    [SHM_ADVICE_NORMAL] = MADV_NORMAL,    [SHM_ADVICE_SEQUENTIAL] = MADV_SEQUENTIAL,
    [SHM_ADVICE_RANDOM] = MADV_RANDOM,    [SHM_ADVICE_WILL_NEED] = MADV_WILLNEED,
    [SHM_ADVICE_PAGE_OUT] = MADV_PAGEOUT,
  };
  gsize before = (guintptr) address % (gsize) sysconf (_SC_PAGESIZE);
  guint8 *begin = (guint8 *) address - before;
  int result;

  do
    result = madvise (begin, n_bytes + before, system_advice[advice]);
  while (result < 0 && errno == EINTR);
  /* Pages that are there are mapped, sixteen at a time, and can be written then as well. Where that is not to be had, the
   * faults come. */
  if (result == 0 && advice == SHM_ADVICE_WILL_NEED && !self->is_file)
    (void) madvise (begin, n_bytes + before, MADV_POPULATE_READ);
  if (result == 0)
    return TRUE;

  g_set_error (error, SHM_ERROR, errno == EINVAL ? SHM_ERROR_NOT_SUPPORTED : SHM_ERROR_FAILED,
               _ ("Cannot advise the system about memory: %s"), g_strerror (errno));
  return FALSE;
}

ShmMapping *
shm_mapping_new_for_fd (
    int fd, guint64 offset, gsize size, gboolean is_read_only, gboolean keep_fd, GError **error)
{
  g_autoptr (ShmMapping) self = shm_mapping_alloc (size, SHM_ARRAY_FLAGS_NONE);

  self->is_read_only = is_read_only;
  self->is_file = fcntl (fd, F_GET_SEALS) < 0;
  if ((keep_fd && (self->fd = fcntl (fd, F_DUPFD_CLOEXEC, 3)) < 0) ||
      !shm_mapping_map (self, fd, offset))
    {
      shm_mapping_set_error (error, errno, size);
      return NULL;
    }
  return g_steal_pointer (&self);
}

ShmMapping *
shm_mapping_ref (ShmMapping *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
shm_mapping_unref (ShmMapping *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  if (self->release != NULL)
    self->release (self->release_data, self->address, self->mapped_size);
  else if (self->address != MAP_FAILED)
    munmap (self->address, self->mapped_size);
  if (self->fd >= 0)
    close (self->fd);
  g_free (self);
}

ShmMapping *
shm_mapping_new_take (gpointer address,
                      gsize size,
                      gsize mapped_size,
                      void (*release) (gpointer data, gpointer address, gsize size),
                      gpointer data)
{
  ShmMapping *self = g_new0 (ShmMapping, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->address = address;
  self->size = size;
  self->mapped_size = mapped_size;
  self->fd = -1;
  self->release = release;
  self->release_data = data;
  return self;
}

/* Never NULL. */
gpointer
shm_mapping_get_address (ShmMapping *self)
{
  return self->address;
}

/* The bytes that were asked for; the mapping itself is whole pages. */
gsize
shm_mapping_get_size (ShmMapping *self)
{
  return self->size;
}

/* -1 if the memory has no file descriptor; what is returned stays the mapping's. */
int
shm_mapping_get_fd (ShmMapping *self)
{
  return self->fd;
}

gboolean
shm_mapping_is_read_only (ShmMapping *self)
{
  return self->is_read_only;
}

/* Waits until what was written is on the disk, if a file is behind the memory. */
gboolean
shm_mapping_sync (ShmMapping *self, GError **error)
{
  int saved_errno;

  if (msync (self->address, self->mapped_size, MS_SYNC) == 0)
    return TRUE;

  saved_errno = errno;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno),
               _ ("Cannot write shared memory to its file: %s"), g_strerror (saved_errno));
  return FALSE;
}
