/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* A library that has a number of threads, as those for OpenMP and BLAS do. What its functions are
 * called is said where it is compiled. */

#ifdef FAKE_SET

#ifndef FAKE_INT
#define FAKE_INT int
#endif

#ifndef FAKE_INITIAL
#define FAKE_INITIAL 8
#endif

void FAKE_SET (FAKE_INT n);
FAKE_INT FAKE_GET (void);

extern int fake_n_calls;
extern int fake_n_started;

static FAKE_INT n_threads = FAKE_INITIAL;
int fake_n_calls;
int fake_n_started;

#ifdef FAKE_POOL
extern int FAKE_POOL;
int FAKE_POOL = FAKE_INITIAL;
#endif

void
FAKE_SET (FAKE_INT n)
{
  fake_n_calls++;
  n_threads = n;
#ifdef FAKE_POOL
  fake_n_started = FAKE_POOL - 1;
#endif
}

FAKE_INT
FAKE_GET (void) { return n_threads; }

#endif

#ifdef FAKE_MARK
extern int FAKE_MARK;
int FAKE_MARK;
#endif
