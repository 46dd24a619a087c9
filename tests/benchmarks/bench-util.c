/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "bench-peers.h"
#include "bench-util.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_ROUNDS 7
#define LEAST_ROUNDS 3
#define PATIENCE 20.0 /* seconds for a case, after which fewer rounds have to do */

static gboolean quick;

void
bench_init (int *argc, char **argv[], const char *summary)
{
  const GOptionEntry entries[] = {
    { "quick", 'q', 0, G_OPTION_ARG_NONE, &quick, "Run tiny workloads once", NULL }, { NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (context, summary);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error))
    {
      g_printerr ("%s\n", error->message);
      exit (2);
    }
}

gboolean
bench_is_quick (void)
{
  return quick;
}

guint64
bench_size (guint64 full, guint64 quick_size)
{
  return quick ? quick_size : full;
}

/* Why a contestant cannot take part, or NULL. */
static const char *
get_obstacle (BenchNeeds needs)
{
  switch (needs)
    {
    case BENCH_NEEDS_OPENMP:
      return peer_has_openmp () ? NULL : "built without OpenMP";
    case BENCH_NEEDS_TBB:
      return peer_has_tbb () ? NULL : "built without oneTBB";
    case BENCH_NEEDS_NOTHING:
    default:
      return NULL;
    }
}

static void
print_string (GString *line, const char *key, const char *value)
{
  /* the names and titles here have nothing to escape but quotes and backslashes */
  g_autofree char *escaped = g_strescape (value, NULL);

  g_assert (g_str_is_ascii (value));
  g_string_append_printf (line, "\"%s\": \"%s\", ", key, escaped);
}

static void
print_number (GString *line, const char *key, double value)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append_printf (line, "\"%s\": %s, ", key,
                          g_ascii_formatd (buffer, sizeof (buffer), "%.6g", value));
}

/* The line is all but its end. */
static GString *
begin_line (const BenchCase *bench_case, const char *contestant, BenchRole role)
{
  static const char *const roles[] = { "ours", "peer", "floor", "serial" };
  GString *line = g_string_new ("{");

  print_string (line, "workload", bench_case->workload);
  print_string (line, "title", bench_case->title);
  print_string (line, "language", "C");
  print_string (line, "contestant", contestant);
  print_string (line, "role", roles[role]);
  return line;
}

static void
end_line (GString *line, const char *last_key, guint last_value)
{
  g_autofree char *text = NULL;

  g_string_append_printf (line, "\"%s\": %u}", last_key, last_value);
  text = g_string_free (line, FALSE);
  g_print ("%s\n", text);
  fflush (stdout);
}

static int
compare (const void *a, const void *b)
{
  double left = *(const double *) a;
  double right = *(const double *) b;

  return (left > right) - (left < right);
}

/* Between two of the sorted figures it is as far from either as the fraction says. */
static double
get_quantile (const double *sorted, guint n, double fraction)
{
  double place = fraction * (n - 1);
  guint below = (guint) place;
  guint above = below + 1 < n ? below + 1 : below;

  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

static void
print_figures (
    const BenchCase *bench_case, const char *contestant, BenchRole role, double *figures, guint n)
{
  GString *line = begin_line (bench_case, contestant, role);

  qsort (figures, n, sizeof (*figures), compare);
  print_string (line, "unit", bench_case->unit);
  print_string (line, "better", bench_case->is_rate ? "more" : "less");
  print_number (line, "median", get_quantile (figures, n, 0.5));
  print_number (line, "low", get_quantile (figures, n, 0.25));
  print_number (line, "high", get_quantile (figures, n, 0.75));
  end_line (line, "rounds", n);
}

void
bench_print_figure (const BenchCase *bench_case,
                    const char *contestant,
                    BenchRole role,
                    double figure)
{
  print_figures (bench_case, contestant, role, &figure, 1);
}

static void
print_left_out (const BenchCase *bench_case, const BenchContestant *contestant, const char *why)
{
  GString *line = begin_line (bench_case, contestant->name, contestant->role);

  print_string (line, "left_out", why);
  end_line (line, "rounds", 0);
}

static double
get_seconds (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static double
time_run (const BenchCase *bench_case, const BenchContestant *contestant, gpointer data)
{
  double start, end;

  if (contestant->prepare != NULL)
    contestant->prepare (data);
  start = get_seconds ();
  contestant->run (data);
  end = get_seconds ();
  if (bench_case->start != NULL)
    start = (double) *bench_case->start / 1e6;
  if (contestant->finish != NULL)
    contestant->finish (data);
  return end - start;
}

static void
wait_for_success (pid_t pid)
{
  int status;

  g_assert_cmpint (pid, >, 0);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  if (!WIFEXITED (status) || WEXITSTATUS (status) != 0)
    g_error ("a child of the benchmark has ended badly: status %d", status);
}

static double
time_in_child (const BenchCase *bench_case, const BenchContestant *contestant, gpointer data)
{
  double *seconds =
      mmap (NULL, sizeof (double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  double result;
  pid_t pid;

  g_assert (seconds != MAP_FAILED);
  pid = fork ();
  if (pid == 0)
    {
      *seconds = time_run (bench_case, contestant, data);
      _exit (0);
    }
  wait_for_success (pid);
  result = *seconds;
  munmap (seconds, sizeof (double));
  return result;
}

void
bench_compete (const BenchCase *bench_case,
               const BenchContestant *contestants,
               gsize n_contestants,
               gpointer data)
{
  guint n_rounds = bench_case->n_rounds > 0 ? bench_case->n_rounds : DEFAULT_ROUNDS;
  guint n_planned = quick ? 1 : n_rounds;
  double start = get_seconds ();
  g_autofree double *figures = g_new (double, n_contestants *n_planned);

  n_rounds = n_planned;
#ifdef __GLIBC__
  /* What the case before has left on the heap would make each fork dearer. */
  malloc_trim (0);
#endif
  for (guint round = 0; round < n_rounds; round++)
    {
      for (gsize i = 0; i < n_contestants; i++)
        {
          double seconds;

          if (get_obstacle (contestants[i].needs) != NULL)
            continue;
          seconds = (contestants[i].has_threads ? time_in_child : time_run) (bench_case,
                                                                             &contestants[i], data);
          figures[i * n_planned + round] =
              bench_case->is_rate ? bench_case->scale / seconds : bench_case->scale * seconds;
        }
      if (round + 1 >= LEAST_ROUNDS && get_seconds () - start > PATIENCE)
        n_rounds = round + 1;
    }

  for (gsize i = 0; i < n_contestants; i++)
    {
      const char *obstacle = get_obstacle (contestants[i].needs);

      if (obstacle != NULL)
        print_left_out (bench_case, &contestants[i], obstacle);
      else
        print_figures (bench_case, contestants[i].name, contestants[i].role,
                       figures + i * n_planned, n_rounds);
    }
}

/* In KiB. */
static long
get_peak (int whose)
{
  struct rusage usage;

  getrusage (whose, &usage);
  return usage.ru_maxrss;
}

/* What a child has from the fork on is the memory of its parent, and so is its peak: it is the
 * current size that growth has to be counted from. */
static long
get_size (void)
{
  g_autofree char *status = NULL;
  const char *line;

  if (!g_file_get_contents ("/proc/self/status", &status, NULL, NULL))
    return get_peak (RUSAGE_SELF);
  line = strstr (status, "VmRSS:");
  return line != NULL ? (long) g_ascii_strtoll (line + strlen ("VmRSS:"), NULL, 10)
                      : get_peak (RUSAGE_SELF);
}

double
bench_measure_memory (BenchFunc func, gpointer data, double *in_children)
{
  double *growth =
      mmap (NULL, 2 * sizeof (double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  double result;
  pid_t pid;

  g_assert (growth != MAP_FAILED);
  pid = fork ();
  if (pid == 0)
    {
      long before = get_size ();

      func (data);
      growth[0] = (double) (get_peak (RUSAGE_SELF) - before) / 1024.0;
      growth[1] = (double) (get_peak (RUSAGE_CHILDREN) - before) / 1024.0;
      _exit (0);
    }
  wait_for_success (pid);
  result = MAX (growth[0], 0.0);
  if (in_children != NULL)
    *in_children = MAX (growth[1], 0.0);
  munmap (growth, 2 * sizeof (double));
  return result;
}
