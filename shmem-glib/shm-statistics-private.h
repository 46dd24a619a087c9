/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-statistics.h"

G_BEGIN_DECLS

struct _ShmStatistics
{
  gatomicrefcount ref_count;
  gint rank;
  guint64 n_items;
  guint n_lives;
  gint64 critical_time; /* all times in µs, and of all lives together */
  gint64 ordered_time;
  gint64 barrier_time;
  gint64 output_time;
  gint64 input_time;
  gint64 elapsed_time;
  gint64 cpu_time;
  guint64 peak_memory; /* bytes, or 0: of the largest life */
};

ShmStatistics *shm_statistics_new (gint rank);

G_END_DECLS
