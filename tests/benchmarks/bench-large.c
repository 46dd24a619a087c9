/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* W4: 256 results of 4 MiB, of which the caller keeps all, or looks at each once and drops it. */

#include "config.h"

#include "bench-floor.h"
#include "bench-peers.h"
#include "bench-util.h"

#include <semaphore.h>
#include <shmem-glib/shmem-glib.h>
#include <sys/socket.h>

#define PAGE 4096
#define N_SLOTS 2 /* of a ring: one to fill while the other is taken */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

typedef struct
{
  guint64 n_items;
  gsize size;
  gsize n_seen;        /* results that were looked at */
  GPtrArray *variants; /* kept */
  guint8 **blocks;     /* kept, by item */
  GDestroyNotify free_block;
  guint8 *arena;
  guint8 *buffer; /* of the caller, to copy into */
} Large;

static void
fill (guint8 *block, guint64 index, gsize size)
{
  memset (block, (int) (index & 0xff), size);
}

/* Looks at one byte of each page. */
static void
look_at (Large *self, guint64 index, const guint8 *block)
{
  guint8 difference = 0;

  for (gsize i = 0; i < self->size; i += PAGE)
    difference |= block[i] ^ (guint8) (index & 0xff);
  g_assert_cmpuint (difference, ==, 0);
  self->n_seen++;
}

static void
begin_blocks (gpointer data)
{
  Large *self = data;

  self->blocks = g_new0 (guint8 *, self->n_items);
  self->free_block = g_free;
  self->n_seen = 0;
}

static void
check_blocks (gpointer data)
{
  Large *self = data;

  for (guint64 i = 0; i < self->n_items; i++)
    {
      look_at (self, i, self->blocks[i]);
      if (self->free_block != NULL)
        self->free_block (self->blocks[i]);
    }
  g_clear_pointer (&self->blocks, g_free);
}

/* The library */

static GVariant *
map_item (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const Large *self = user_data;
  guint8 *block = g_malloc (self->size);

  fill (block, index, self->size);
  return g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING, block, self->size, TRUE, g_free,
                                  block);
}

static void
run_map (gpointer data)
{
  Large *self = data;
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, BENCH_N_WORKERS);
  self->variants = shm_map_reduce_map (pool, self->n_items, NULL, map_item, NULL, self, &error);
  g_assert_no_error (error);
}

static void
check_variants (gpointer data)
{
  Large *self = data;

  for (guint64 i = 0; i < self->n_items; i++)
    look_at (self, i, g_variant_get_data (g_ptr_array_index (self->variants, i)));
  g_clear_pointer (&self->variants, g_ptr_array_unref);
}

static gboolean
take_result (ShmJob *job, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  look_at (user_data, index, g_variant_get_data (result));
  return TRUE;
}

static void
run_stream (gpointer data)
{
  Large *self = data;
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmJob) job = NULL;
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, BENCH_N_WORKERS);
  job = shm_job_new (pool, self->n_items);
  shm_job_set_map_func (job, map_item, self, NULL);
  shm_job_set_result_func (job, take_result, self, NULL);
  shm_job_set_output (job, SHM_OUTPUT_STREAM);
  shm_job_run (job, NULL, &error);
  g_assert_no_error (error);
}

/* A pipe for all bytes. */

static void
write_block (FloorPipe *pipe, guint64 index, gpointer data)
{
  const Large *self = data;
  static guint8 *block;

  if (block == NULL)
    block = g_malloc (self->size);
  fill (block, index, self->size);
  floor_write (pipe, index, block, self->size);
}

static void
keep_block (guint64 index, const guint8 *bytes, gsize size, gpointer data)
{
  const Large *self = data;

  self->blocks[index] = g_memdup2 (bytes, size);
}

static void
drop_block (guint64 index, const guint8 *bytes, gsize size, gpointer data)
{
  look_at (data, index, bytes);
}

static void
run_pipe (gpointer data)
{
  const Large *self = data;

  floor_map (self->n_items, 1, self->size, write_block, keep_block, data);
}

static void
run_pipe_stream (gpointer data)
{
  const Large *self = data;

  floor_map (self->n_items, 1, self->size, write_block, drop_block, data);
}

/* An arena of all results, whose pages are made one result at a time. */

static void
write_into_arena (FloorPipe *pipe, guint64 index, gpointer data)
{
  const Large *self = data;
  guint8 *block = self->arena + index * self->size;

  /* an old kernel cannot, and makes them one by one */
  madvise (block, self->size, MADV_POPULATE_WRITE);
  fill (block, index, self->size);
  floor_write (pipe, index, NULL, 0);
  floor_flush (pipe);
}

static void
take_from_arena (guint64 index, const guint8 *bytes, gsize size, gpointer data)
{
  const Large *self = data;

  self->blocks[index] = self->arena + index * self->size;
}

static void
run_arena (gpointer data)
{
  Large *self = data;

  self->arena = floor_map_memory (self->n_items * self->size);
  self->free_block = NULL;
  floor_map (self->n_items, 1, 0, write_into_arena, take_from_arena, data);
}

static void
check_arena (gpointer data)
{
  Large *self = data;

  check_blocks (data);
  munmap (self->arena, self->n_items * self->size);
}

/* A memfd for each result. */

static void
send_block (int socket_fd, guint64 index, const Large *self)
{
  int fd = memfd_create ("result", MFD_CLOEXEC);
  struct iovec vector = { &index, sizeof (index) };
  union
  {
    char bytes[CMSG_SPACE (sizeof (int))];
    struct cmsghdr align;
  } control = { { 0 } };
  struct msghdr message = { .msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof (control.bytes) };
  struct cmsghdr *header = CMSG_FIRSTHDR (&message);
  guint8 *block;

  g_assert (fd >= 0 && ftruncate (fd, (off_t) self->size) == 0);
  block = mmap (NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  g_assert (block != MAP_FAILED);
  madvise (block, self->size, MADV_POPULATE_WRITE);
  fill (block, index, self->size);
  munmap (block, self->size);

  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN (sizeof (int));
  memcpy (CMSG_DATA (header), &fd, sizeof (int));
  g_assert (sendmsg (socket_fd, &message, 0) == sizeof (index));
  close (fd);
}

static gboolean
receive_block (int socket_fd, const Large *self)
{
  guint64 index;
  struct iovec vector = { &index, sizeof (index) };
  union
  {
    char bytes[CMSG_SPACE (sizeof (int))];
    struct cmsghdr align;
  } control;
  struct msghdr message = { .msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof (control.bytes) };
  gssize n = recvmsg (socket_fd, &message, MSG_CMSG_CLOEXEC);
  int fd;

  g_assert (n == 0 || n == sizeof (index));
  if (n == 0)
    return FALSE;
  memcpy (&fd, CMSG_DATA (CMSG_FIRSTHDR (&message)), sizeof (int));
  self->blocks[index] = mmap (NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  g_assert (self->blocks[index] != MAP_FAILED);
  close (fd);
  return TRUE;
}

static void
run_memfds (gpointer data)
{
  Large *self = data;
  FloorCounter *counter = floor_map_memory (sizeof (FloorCounter));
  pid_t pids[BENCH_N_WORKERS];
  int ends[2];

  self->free_block = NULL;
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), ==, 0);
  for (guint rank = 0; rank < BENCH_N_WORKERS; rank++)
    {
      pids[rank] = fork ();
      if (pids[rank] == 0)
        {
          for (guint64 i; (i = floor_claim (counter, 1)) < self->n_items;)
            send_block (ends[1], i, self);
          _exit (0);
        }
    }
  close (ends[1]);
  while (receive_block (ends[0], self))
    ;
  close (ends[0]);
  floor_wait (pids, BENCH_N_WORKERS);
  munmap (counter, sizeof (FloorCounter));
}

static void
check_memfds (gpointer data)
{
  Large *self = data;
  guint8 **blocks = g_memdup2 (self->blocks, self->n_items * sizeof (*blocks));

  check_blocks (data);
  for (guint64 i = 0; i < self->n_items; i++)
    munmap (blocks[i], self->size);
  g_free (blocks);
}

/* A ring of each worker in shared memory, whose slots are used again. */

typedef struct
{
  FloorCounter counter;
  sem_t filled; /* by whichever worker */
  struct
  {
    sem_t free;
    guint64 n_filled;
    guint64 items[N_SLOTS];
  } rings[BENCH_N_WORKERS];
} Rings;

static void
fill_ring (Rings *rings, guint rank, guint8 *slots, const Large *self)
{
  for (guint64 n = 0, i; (i = floor_claim (&rings->counter, 1)) < self->n_items; n++)
    {
      while (sem_wait (&rings->rings[rank].free) != 0)
        ;
      fill (slots + (n % N_SLOTS) * self->size, i, self->size);
      rings->rings[rank].items[n % N_SLOTS] = i;
      __atomic_store_n (&rings->rings[rank].n_filled, n + 1, __ATOMIC_RELEASE);
      sem_post (&rings->filled);
    }
}

static void
run_rings (Large *self, gboolean copy)
{
  Rings *rings = floor_map_memory (sizeof (Rings));
  gsize ring_size = N_SLOTS * self->size;
  guint8 *slots = floor_map_memory (BENCH_N_WORKERS * ring_size);
  guint64 n_taken[BENCH_N_WORKERS] = { 0 };
  pid_t pids[BENCH_N_WORKERS];

  sem_init (&rings->filled, TRUE, 0);
  for (guint rank = 0; rank < BENCH_N_WORKERS; rank++)
    {
      sem_init (&rings->rings[rank].free, TRUE, N_SLOTS);
      pids[rank] = fork ();
      if (pids[rank] == 0)
        {
          fill_ring (rings, rank, slots + rank * ring_size, self);
          _exit (0);
        }
    }

  for (guint64 i = 0; i < self->n_items; i++)
    {
      guint rank = 0;
      guint8 *slot;
      guint64 item;

      while (sem_wait (&rings->filled) != 0)
        ;
      while (__atomic_load_n (&rings->rings[rank].n_filled, __ATOMIC_ACQUIRE) == n_taken[rank])
        rank = (rank + 1) % BENCH_N_WORKERS;
      slot = slots + rank * ring_size + (n_taken[rank] % N_SLOTS) * self->size;
      item = rings->rings[rank].items[n_taken[rank] % N_SLOTS];
      if (copy)
        memcpy (self->buffer, slot, self->size);
      look_at (self, item, copy ? self->buffer : slot);
      n_taken[rank]++;
      sem_post (&rings->rings[rank].free);
    }

  floor_wait (pids, BENCH_N_WORKERS);
  munmap (slots, BENCH_N_WORKERS * ring_size);
  munmap (rings, sizeof (Rings));
}

static void
run_ring_with_copy (gpointer data)
{
  run_rings (data, TRUE);
}

static void
run_ring_in_place (gpointer data)
{
  run_rings (data, FALSE);
}

/* Threads, and none */

static void
make_block (guint64 index, gpointer data)
{
  const Large *self = data;

  self->blocks[index] = g_malloc (self->size);
  fill (self->blocks[index], index, self->size);
}

static void
run_openmp (gpointer data)
{
  const Large *self = data;

  peer_openmp (self->n_items, 1, make_block, data);
}

static void
run_tbb (gpointer data)
{
  const Large *self = data;

  peer_tbb (self->n_items, 1, make_block, data);
}

static void
run_g_thread_pool (gpointer data)
{
  const Large *self = data;

  peer_g_thread_pool (self->n_items, 1, make_block, data);
}

static void
run_serial (gpointer data)
{
  const Large *self = data;

  for (guint64 i = 0; i < self->n_items; i++)
    make_block (i, data);
}

static void
run_serial_stream (gpointer data)
{
  Large *self = data;

  for (guint64 i = 0; i < self->n_items; i++)
    {
      fill (self->buffer, i, self->size);
      look_at (self, i, self->buffer);
    }
}

static void
prepare_openmp (gpointer data)
{
  begin_blocks (data);
  peer_warm_openmp (data);
}

static void
prepare_tbb (gpointer data)
{
  begin_blocks (data);
  peer_warm_tbb (data);
}

static void
prepare_g_thread_pool (gpointer data)
{
  begin_blocks (data);
  peer_warm_g_thread_pool (data);
}

static void
begin_stream (gpointer data)
{
  Large *self = data;

  self->n_seen = 0;
}

static void
check_stream (gpointer data)
{
  const Large *self = data;

  g_assert_cmpuint (self->n_seen, ==, self->n_items);
}

static void
compete (Large *self)
{
  static const BenchContestant kept[] = {
    { "shm_map_reduce_map", BENCH_ROLE_OURS, run_map, NULL, check_variants },
    { "floor: a pipe", BENCH_ROLE_FLOOR, run_pipe, begin_blocks, check_blocks },
    { "floor: a memfd for each", BENCH_ROLE_FLOOR, run_memfds, begin_blocks, check_memfds },
    { "floor: an arena, populated", BENCH_ROLE_FLOOR, run_arena, begin_blocks, check_arena },
    { "OpenMP", BENCH_ROLE_PEER, run_openmp, prepare_openmp, check_blocks, BENCH_NEEDS_OPENMP,
      TRUE },
    { "oneTBB", BENCH_ROLE_PEER, run_tbb, prepare_tbb, check_blocks, BENCH_NEEDS_TBB, TRUE },
    { "GThreadPool", BENCH_ROLE_PEER, run_g_thread_pool, prepare_g_thread_pool, check_blocks,
      BENCH_NEEDS_NOTHING, TRUE },
    { "loop", BENCH_ROLE_SERIAL, run_serial, begin_blocks, check_blocks },
  };
  static const BenchContestant streamed[] = {
    { "ShmJob, streamed", BENCH_ROLE_OURS, run_stream, begin_stream, check_stream },
    { "floor: a pipe", BENCH_ROLE_FLOOR, run_pipe_stream, begin_stream, check_stream },
    { "floor: a ring, and a copy", BENCH_ROLE_FLOOR, run_ring_with_copy, begin_stream,
      check_stream },
    { "floor: a ring, in place", BENCH_ROLE_FLOOR, run_ring_in_place, begin_stream, check_stream },
    { "loop", BENCH_ROLE_SERIAL, run_serial_stream, begin_stream, check_stream },
  };
  double amount = (double) (self->n_items * self->size) / (1 << 30);
  const BenchCase keep = { "W4-kept", "256 results of 4 MiB, kept", "GiB/s", amount, TRUE };
  const BenchCase stream = { "W4-streamed", "256 results of 4 MiB, streamed", "GiB/s", amount,
                             TRUE };

  bench_compete (&keep, kept, G_N_ELEMENTS (kept), self);
  bench_compete (&stream, streamed, G_N_ELEMENTS (streamed), self);
}

static void
measure_memory (Large *self)
{
  const BenchCase bench_case = { "W4-memory", "Memory of the streamed results", "MiB", 0.0, FALSE };
  double in_worker;
  double in_caller = bench_measure_memory (run_stream, self, &in_worker);

  bench_print_figure (&bench_case, "ShmJob, streamed: the caller", BENCH_ROLE_OURS, in_caller);
  bench_print_figure (&bench_case, "ShmJob, streamed: the greatest worker", BENCH_ROLE_OURS,
                      in_worker);
}

int
main (int argc, char *argv[])
{
  g_autofree guint8 *buffer = NULL;
  Large self = { 0 };

  bench_init (&argc, &argv, "Large results (W4).");
  self.n_items = bench_size (256, 8);
  self.size = bench_size (4 << 20, 1 << 20);
  buffer = g_malloc0 (self.size);
  self.buffer = buffer;
  compete (&self);
  measure_memory (&self);
  return 0;
}
