/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Floors: what one would write by hand for one workload alone, with no care for what may go wrong.
 *
 * Forked workers claim items with an atomic addition in shared memory, and write what is small into
 * a pipe of their own, many to a write(). The functions are inlined into each benchmark: a program
 * that is written for one workload makes no calls through pointers either. */

#pragma once

#include "bench-util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLOOR_INLINE static inline __attribute__ ((always_inline))

#define FLOOR_PIPE_SIZE (1 << 20)
#define FLOOR_BATCH 32768 /* bytes, so that the caller has work while the workers go on */

typedef struct
{
  guint64 next __attribute__ ((aligned (64)));
} FloorCounter;

typedef struct
{
  int fd;
  gsize used;
  guint8 *batch;
} FloorPipe;

/* what is before each result in a pipe; with a result of 8 bytes it is a record of 16 */
typedef struct
{
  guint32 index;
  guint32 size;
} FloorHeader;

FLOOR_INLINE gpointer
floor_map_memory (gsize size)
{
  gpointer memory = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  g_assert (memory != MAP_FAILED);
  return memory;
}

FLOOR_INLINE guint64
floor_claim (FloorCounter *counter, guint64 n)
{
  return __atomic_fetch_add (&counter->next, n, __ATOMIC_RELAXED);
}

FLOOR_INLINE void
floor_wait (const pid_t *pids, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      int status;

      g_assert_cmpint (waitpid (pids[i], &status, 0), ==, pids[i]);
      g_assert_cmpint (status, ==, 0);
    }
}

/* A loop without results. */
FLOOR_INLINE void
floor_each (guint64 n_items,
            guint64 chunk,
            guint n_workers,
            void (*func) (guint64 index, gpointer data),
            gpointer data)
{
  FloorCounter *counter = floor_map_memory (sizeof (FloorCounter));
  pid_t pids[BENCH_N_WORKERS];

  for (guint rank = 0; rank < n_workers; rank++)
    {
      pids[rank] = fork ();
      if (pids[rank] == 0)
        {
          for (guint64 begin; (begin = floor_claim (counter, chunk)) < n_items;)
            for (guint64 i = begin; i < MIN (begin + chunk, n_items); i++)
              func (i, data);
          _exit (0);
        }
    }
  floor_wait (pids, n_workers);
  munmap (counter, sizeof (FloorCounter));
}

static inline void
floor_write_all (int fd, const guint8 *bytes, gsize size)
{
  while (size > 0)
    {
      gssize n = write (fd, bytes, size);

      g_assert (n > 0 || errno == EINTR);
      if (n > 0)
        {
          bytes += n;
          size -= (gsize) n;
        }
    }
}

static inline void
floor_flush (FloorPipe *self)
{
  floor_write_all (self->fd, self->batch, self->used);
  self->used = 0;
}

FLOOR_INLINE void
floor_write (FloorPipe *self, guint64 index, gconstpointer bytes, gsize size)
{
  FloorHeader header = { (guint32) index, (guint32) size };

  if (self->used + sizeof (header) + size > FLOOR_BATCH)
    floor_flush (self);
  memcpy (self->batch + self->used, &header, sizeof (header));
  self->used += sizeof (header);
  if (size > FLOOR_BATCH - sizeof (header))
    {
      floor_flush (self);
      floor_write_all (self->fd, bytes, size);
      return;
    }
  memcpy (self->batch + self->used, bytes, size);
  self->used += size;
}

/* A map whose results go through pipes: `work` calls floor_write() in a worker, and `take` gets what
 * was written in the caller. A result is at most @max_size bytes. */
FLOOR_INLINE void
floor_map (guint64 n_items,
           guint64 chunk,
           gsize max_size,
           void (*work) (FloorPipe *pipe, guint64 index, gpointer data),
           void (*take) (guint64 index, const guint8 *bytes, gsize size, gpointer data),
           gpointer data)
{
  FloorCounter *counter = floor_map_memory (sizeof (FloorCounter));
  gsize capacity = sizeof (FloorHeader) + max_size + FLOOR_PIPE_SIZE;
  pid_t pids[BENCH_N_WORKERS];
  struct pollfd fds[BENCH_N_WORKERS];
  guint8 *buffers[BENCH_N_WORKERS];
  gsize used[BENCH_N_WORKERS] = { 0 };
  guint n_open = BENCH_N_WORKERS;

  for (guint rank = 0; rank < BENCH_N_WORKERS; rank++)
    {
      int ends[2];

      g_assert_cmpint (pipe (ends), ==, 0);
      fcntl (ends[1], F_SETPIPE_SZ, FLOOR_PIPE_SIZE);
      pids[rank] = fork ();
      if (pids[rank] == 0)
        {
          FloorPipe out = { ends[1], 0, g_malloc (FLOOR_BATCH) };

          for (guint64 begin; (begin = floor_claim (counter, chunk)) < n_items;)
            for (guint64 i = begin; i < MIN (begin + chunk, n_items); i++)
              work (&out, i, data);
          floor_flush (&out);
          _exit (0);
        }
      close (ends[1]);
      fds[rank] = (struct pollfd){ ends[0], POLLIN, 0 };
      buffers[rank] = g_malloc (capacity);
    }

  while (n_open > 0)
    {
      g_assert (poll (fds, BENCH_N_WORKERS, -1) > 0 || errno == EINTR);
      for (guint rank = 0; rank < BENCH_N_WORKERS; rank++)
        {
          guint8 *buffer = buffers[rank];
          FloorHeader header;
          gsize place = 0;
          gssize n;

          if (fds[rank].fd < 0 || fds[rank].revents == 0)
            continue;
          n = read (fds[rank].fd, buffer + used[rank], capacity - used[rank]);
          if (n <= 0)
            {
              close (fds[rank].fd);
              fds[rank].fd = -1;
              n_open--;
              continue;
            }
          used[rank] += (gsize) n;
          while (used[rank] - place >= sizeof (header))
            {
              memcpy (&header, buffer + place, sizeof (header));
              if (used[rank] - place < sizeof (header) + header.size)
                break;
              take (header.index, buffer + place + sizeof (header), header.size, data);
              place += sizeof (header) + header.size;
            }
          used[rank] -= place;
          memmove (buffer, buffer + place, used[rank]);
        }
    }

  floor_wait (pids, BENCH_N_WORKERS);
  for (guint rank = 0; rank < BENCH_N_WORKERS; rank++)
    g_free (buffers[rank]);
  munmap (counter, sizeof (FloorCounter));
}
