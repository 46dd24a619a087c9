/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* What the benchmarks have in common: contestants that take turns, and what is measured as lines of
 * JSON on standard output, which report.py reads. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* as many for all, on any machine: the ratios are for them */
#define BENCH_N_WORKERS 2

typedef enum
{
  BENCH_ROLE_OURS,
  BENCH_ROLE_PEER,
  BENCH_ROLE_FLOOR, /* written by hand for this one workload */
  BENCH_ROLE_SERIAL
} BenchRole;

typedef enum
{
  BENCH_NEEDS_NOTHING,
  BENCH_NEEDS_OPENMP,
  BENCH_NEEDS_TBB
} BenchNeeds;

typedef void (*BenchFunc) (gpointer data);

typedef struct
{
  const char *name;
  BenchRole role;
  BenchFunc run;
  BenchFunc prepare; /* before and after each run, outside of what is measured; may be NULL */
  BenchFunc finish;
  BenchNeeds needs;
  /* Once a process has had a thread, libraries take it for one with threads for ever, and forks cost
   * more. So contestants with threads run in a child of their own. */
  gboolean has_threads;
} BenchContestant;

typedef struct
{
  const char *workload; /* a short name that stays the same, by which promises refer to it */
  const char *title;
  const char *unit;
  double scale;        /* how many of the unit a second is; of a rate, what is done in one run */
  gboolean is_rate;    /* the unit is something per second: more is better */
  guint n_rounds;      /* 0 means 7 */
  const gint64 *start; /* where the time to count from is noted, in µs; NULL: the run's beginning */
} BenchCase;

void bench_init (int *argc, char **argv[], const char *summary);
gboolean bench_is_quick (void);
/* The size of a workload: @full, or @quick where only the program itself is tried. */
guint64 bench_size (guint64 full, guint64 quick);

void bench_compete (const BenchCase *bench_case,
                    const BenchContestant *contestants,
                    gsize n_contestants,
                    gpointer data);

/* Runs @func in a child, and returns by how many MiB the memory of that child grew at most; that of
 * its own children comes into @in_children. */
double bench_measure_memory (BenchFunc func, gpointer data, double *in_children);
/* A figure that is no time. */
void bench_print_figure (const BenchCase *bench_case,
                         const char *contestant,
                         BenchRole role,
                         double figure);

G_END_DECLS
