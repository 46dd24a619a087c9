/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* A lock that lies in shared memory and survives its owner.
 *
 * The word holds the owner, so taking the lock and saying who has it are one atomic step: whenever a
 * worker dies, the word tells whether it was the owner. The caller, who learns of every death, then
 * breaks the lock (shm_lock_break ()). It wakes all sleepers at each death, owner or not, since the
 * dead one may have been woken by a release and not have taken the lock yet.
 *
 * A waiter spins for a short time, then sleeps in the kernel. Who is to sleep no more is told by a
 * mark in the word itself: the kernel compares the word before it lets anybody sleep, so nobody can
 * go to sleep after the mark was made.
 */

#include "config.h"

#include "shm-sync-private.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The younger ones of 32 bits have only the call with times of 64 bits. There are no times here. */
#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#endif

#define MAX_PAUSE 64

void
shm_futex_wait (guint32 *word, guint32 value)
{
  syscall (SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

void
shm_futex_wake (guint32 *word, gint n_waiters)
{
  syscall (SYS_futex, word, FUTEX_WAKE, n_waiters, NULL, NULL, 0);
}

/* Monotonic. */
gint64
shm_now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (gint64) now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline gboolean
shm_lock_swap (ShmLock *lock, guint32 *expected, guint32 value)
{
  return __atomic_compare_exchange_n (&lock->word, expected, value, FALSE, __ATOMIC_SEQ_CST,
                                      __ATOMIC_ACQUIRE);
}

static gboolean
shm_lock_sleep (ShmLock *lock, guint32 owner)
{
  guint32 word = shm_load (&lock->word);

  while (!(word & SHM_LOCK_STOPPED))
    {
      /* Who has slept cannot know whether others sleep still, and so always leaves the mark. */
      if ((word & SHM_LOCK_OWNER) == 0)
        {
          if (shm_lock_swap (lock, &word, owner | SHM_LOCK_WAITERS))
            return TRUE;
          continue;
        }
      if (!(word & SHM_LOCK_WAITERS) && !shm_lock_swap (lock, &word, word | SHM_LOCK_WAITERS))
        continue;
      shm_futex_wait (&lock->word, word | SHM_LOCK_WAITERS);
      word = shm_load (&lock->word);
    }
  return FALSE;
}

/* TRUE: the lock is ours; FALSE: it was stopped. */
gboolean
shm_lock_acquire (ShmLock *lock, guint32 owner, guint spin, gint64 *slept)
{
  gboolean ours;
  gint64 since;
  guint i, pause;

  g_assert (owner != 0 && (owner & ~SHM_LOCK_OWNER) == 0);

  /* Each look takes the word away from the processor of its owner; fewer and fewer let the owner get on. */
  for (i = 0, pause = 1; i <= spin; i += pause, pause = MIN (2 * pause, MAX_PAUSE))
    {
      guint32 word = shm_load (&lock->word);
      guint j;

      if (word == 0 && shm_lock_swap (lock, &word, owner))
        return TRUE;
      for (j = 0; j < pause; j++)
        shm_pause ();
    }

  since = shm_now_ns ();
  ours = shm_lock_sleep (lock, owner);
  *slept += shm_now_ns () - since;
  return ours;
}

/* Sends home who waits, and who will. */
void
shm_lock_stop (ShmLock *lock)
{
  __atomic_or_fetch (&lock->word, SHM_LOCK_STOPPED, __ATOMIC_SEQ_CST);
  shm_futex_wake (&lock->word, INT_MAX);
}

/* Called by the caller after each death of a worker; TRUE if the dead one had the lock. */
gboolean
shm_lock_break (ShmLock *lock, guint32 owner)
{
  gboolean owned = (shm_load (&lock->word) & SHM_LOCK_OWNER) == owner;

  if (owned)
    __atomic_fetch_and (&lock->word, SHM_LOCK_STOPPED, __ATOMIC_SEQ_CST);
  shm_futex_wake (&lock->word, INT_MAX);
  return owned;
}
