/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define SHM_CACHE_LINE 64

/* For 64 bits that others read while they are written: on i386 they are aligned to 4 bytes only, and
 * what lies across two cache lines is not read in one step. Whether the processor can do it at all is
 * asked when the library is configured. */
#define SHM_IN_ONE_STEP __attribute__ ((aligned (8)))

#define shm_load(p) __atomic_load_n ((p), __ATOMIC_ACQUIRE)
#define shm_store(p, v) __atomic_store_n ((p), (v), __ATOMIC_RELEASE)
#define shm_fence() __atomic_thread_fence (__ATOMIC_SEQ_CST)

static inline void
shm_pause (void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause ();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Sleeps while *word is value; wakes early for no reason now and then. */
void shm_futex_wait (guint32 *word, guint32 value);
void shm_futex_wake (guint32 *word, gint n_waiters);

/* The owner, or 0 if it is free, and marks. */
typedef struct
{
  guint32 word;
} ShmLock;

#define SHM_LOCK_WAITERS 0x80000000u /* somebody may sleep on it */
#define SHM_LOCK_STOPPED 0x40000000u /* nobody may wait for it any more */
#define SHM_LOCK_OWNER 0x3fffffffu

gint64 shm_now_ns (void);

/* *slept grows by the nanoseconds that were slept. */
gboolean shm_lock_acquire (ShmLock *lock, guint32 owner, guint spin, gint64 *slept);
void shm_lock_stop (ShmLock *lock);
gboolean shm_lock_break (ShmLock *lock, guint32 owner);

/* TRUE: the lock was free, and is ours. */
static inline gboolean
shm_lock_try (ShmLock *lock, guint32 owner)
{
  guint32 expected = 0;

  return __atomic_compare_exchange_n (&lock->word, &expected, owner, FALSE, __ATOMIC_SEQ_CST,
                                      __ATOMIC_RELAXED);
}

static inline void
shm_lock_release (ShmLock *lock)
{
  if (G_UNLIKELY (__atomic_fetch_and (&lock->word, SHM_LOCK_STOPPED, __ATOMIC_SEQ_CST) &
                  SHM_LOCK_WAITERS))
    shm_futex_wake (&lock->word, 1);
}

G_END_DECLS
