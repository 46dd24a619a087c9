/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shmem-glib/shm-schedule-private.h"

static ShmControl *
new_control (guint n_workers, guint64 n_items, ShmSchedule schedule, guint64 chunk_size)
{
  ShmControlSettings settings = {
    .n_items = n_items, .chunk_size = chunk_size, .n_workers = n_workers, .schedule = schedule
  };
  g_autoptr (GError) error = NULL;
  ShmControl *control = shm_control_new (&settings, &error);

  g_assert_no_error (error);
  return control;
}

static const ShmSchedule schedules[] = { SHM_SCHEDULE_DYNAMIC, SHM_SCHEDULE_STATIC,
                                         SHM_SCHEDULE_GUIDED };

/* Whoever claims when: each item once, and each rank in ascending order. */
static void
test_coverage (void)
{
  static const guint64 sizes[] = { 0, 1, 2, 3, 7, 64, 1000 };
  static const guint64 chunks[] = { 0, 1, 3, 100, G_MAXUINT64 };
  guint s, n, c, p;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    for (n = 0; n < G_N_ELEMENTS (sizes); n++)
      for (c = 0; c < G_N_ELEMENTS (chunks); c++)
        for (p = 1; p <= 9; p += 2)
          {
            g_autoptr (ShmControl) control = new_control (p, sizes[n], schedules[s], chunks[c]);
            g_autofree guint8 *counts = g_new0 (guint8, sizes[n] + 1);
            guint64 last[9] = { 0 };
            guint active = (1 << p) - 1;
            guint64 i;

            while (active != 0)
              {
                guint rank = g_test_rand_int_range (0, p);
                ShmLine *line = &control->lines[rank];

                if (!(active & (1 << rank)))
                  continue;
                g_assert_true (shm_schedule_has_more (control, rank) ==
                               shm_schedule_claim (control, rank, g_test_rand_int_range (1, 20)));
                if (line->state != SHM_LINE_RUNNING)
                  {
                    active &= ~(1 << rank);
                    continue;
                  }
                g_assert_cmpuint (line->begin, >=, last[rank]);
                g_assert_cmpuint (line->end, >, line->begin);
                g_assert_cmpuint (line->end, <=, sizes[n]);
                last[rank] = line->end;
                for (i = line->begin; i < line->end; i++)
                  counts[i]++;
              }
            for (i = 0; i < sizes[n]; i++)
              g_assert_cmpuint (counts[i], ==, 1);
          }
}

typedef struct
{
  ShmControl *control;
  guint rank;
  guint8 *counts;
} Claimer;

static gpointer
claim_all (gpointer data)
{
  Claimer *claimer = data;
  ShmLine *line = &claimer->control->lines[claimer->rank];
  guint64 i;

  while (shm_schedule_claim (claimer->control, claimer->rank, 5))
    for (i = line->begin; i < line->end; i++)
      __atomic_add_fetch (&claimer->counts[i], 1, __ATOMIC_RELAXED);
  return NULL;
}

static void
test_concurrent (void)
{
  guint s, p;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    {
      const guint64 n = test_scale (200000);
      g_autoptr (ShmControl) control = new_control (4, n, schedules[s], s == 0 ? 1 : 0);
      g_autofree guint8 *counts = g_new0 (guint8, n);
      Claimer claimers[4];
      GThread *threads[4];
      guint64 i;

      for (p = 0; p < 4; p++)
        {
          claimers[p] = (Claimer){ control, p, counts };
          threads[p] = g_thread_new (NULL, claim_all, &claimers[p]);
        }
      for (p = 0; p < 4; p++)
        g_thread_join (threads[p]);
      for (i = 0; i < n; i++)
        g_assert_cmpuint (counts[i], ==, 1);
    }
}

/* A shared page of counters, which the victim and its successor write. */
#define N_ITEMS 8

static void
work_off (ShmControl *control, guint rank, guint8 *counts)
{
  ShmLine *line = &control->lines[rank];
  guint64 i;

  for (i = line->begin; i < line->end; i++)
    {
      shm_store (&line->begun, i + 1);
      counts[i]++;
      shm_store (&line->done, i + 1);
    }
}

static void
victim_main (ShmControl *control, guint8 *counts)
{
  ptrace (PTRACE_TRACEME, 0, NULL, NULL);
  raise (SIGSTOP);
  while (shm_schedule_claim (control, 0, 2))
    work_off (control, 0, counts);
  _exit (0);
}

static void
add_rest (ShmControl *control, const ShmRemains *remains)
{
  if (remains->item == SHM_NO_ITEM)
    {
      if (remains->begin < remains->end)
        g_assert_true (shm_schedule_add_orphan (control, remains->begin, remains->end));
      return;
    }
  g_assert_cmpuint (remains->item, ==, remains->begin);
  if (remains->item + 1 < remains->end)
    g_assert_true (shm_schedule_add_orphan (control, remains->item + 1, remains->end));
}

/* Kills the victim after so many instructions; FALSE if it had ended before. A rival claims one
 * range in between, so that what the victim did is superseded. */
static gboolean
kill_after (guint n_instructions, ShmSchedule schedule, gboolean with_orphan, gboolean with_rival)
{
  g_autoptr (ShmControl) control = new_control (2, N_ITEMS, schedule, 2);
  guint8 *counts = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  gboolean alive = TRUE;
  ShmRemains remains;
  guint rank, i, n_missing = 0;
  int status;
  pid_t pid;

  if (with_orphan)
    {
      /* Items 0 and 1 are those of a worker that is gone. */
      g_assert_true (shm_schedule_claim (control, 0, 2));
      g_assert_true (shm_schedule_add_orphan (control, 0, 2));
      shm_schedule_clear (control, 0);
    }

  pid = fork ();
  if (pid == 0)
    victim_main (control, counts);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSTOPPED (status));
  for (i = 0; alive && i < n_instructions; i++)
    {
      g_assert_cmpint (ptrace (PTRACE_SINGLESTEP, pid, NULL, NULL), ==, 0);
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      alive = WIFSTOPPED (status);
    }

  if (with_rival && shm_schedule_claim (control, 1, 2))
    work_off (control, 1, counts);
  if (alive)
    {
      kill (pid, SIGKILL);
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      shm_schedule_resolve (control, 0, 0, &remains);
      add_rest (control, &remains);
      shm_schedule_clear (control, 0);

      for (rank = 0; rank < 2; rank++)
        while (shm_schedule_claim (control, rank, 2))
          work_off (control, rank, counts);
      for (i = 0; i < N_ITEMS; i++)
        {
          if (i == remains.item && counts[i] == 0)
            n_missing++;
          else
            g_assert_cmpuint (counts[i], ==, 1);
        }
      g_assert_cmpuint (n_missing, <=, 1);
    }

  munmap (counts, 4096);
  return alive;
}

static gboolean
can_trace (void)
{
  pid_t pid = fork ();
  int status;

  if (pid == 0)
    {
      if (ptrace (PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit (1);
      raise (SIGSTOP);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  if (!WIFSTOPPED (status))
    return FALSE;
  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return TRUE;
}

static void
test_killed_anywhere (void)
{
  cpu_set_t one, before;
  guint s, orphan, rival;

  /* Instrumented code takes thirty times as many steps to the same stores. */
  if (test_under_valgrind () || TEST_SANITIZED || !can_trace ())
    {
      g_test_skip ("no stepping through a child here");
      return;
    }
  /* Waking the other one on another processor would cost twenty times as much as the step. */
  g_assert_cmpint (sched_getaffinity (0, sizeof before, &before), ==, 0);
  CPU_ZERO (&one);
  CPU_SET (sched_getcpu (), &one);
  sched_setaffinity (0, sizeof one, &one);
  for (s = 0; s < 2; s++)
    for (orphan = 0; orphan < 2; orphan++)
      for (rival = 0; rival < 2; rival++)
        {
          guint n = 0;

          /* The first claims at every instruction, the later ones here and there; all of them in
           * slow mode. */
          while (kill_after (n, schedules[s], orphan, rival))
            n += n < 250 || g_test_slow () ? 1 : 23;
          g_test_message ("schedule %u, orphan %u, rival %u: %u instructions", s, orphan, rival, n);
          g_assert_cmpuint (n, >, 100);
        }
  sched_setaffinity (0, sizeof before, &before);
}

static void
test_result_counts_as_done (void)
{
  g_autoptr (ShmControl) control = new_control (1, 10, SHM_SCHEDULE_DYNAMIC, 10);
  ShmRemains remains;

  g_assert_true (shm_schedule_claim (control, 0, 1));
  control->lines[0].begun = 5;
  control->lines[0].done = 4;
  shm_schedule_resolve (control, 0, 4, &remains);
  g_assert_cmpuint (remains.begin, ==, 4);
  g_assert_cmpuint (remains.item, ==, 4);
  g_assert_cmpuint (remains.end, ==, 10);
  /* The worker died after it had published the result of item 4, and before it said so. */
  shm_schedule_resolve (control, 0, 5, &remains);
  g_assert_cmpuint (remains.begin, ==, 5);
  g_assert_cmpuint (remains.item, ==, SHM_NO_ITEM);
  /* A claim of what it cannot have is not believed. */
  shm_schedule_resolve (control, 0, 11, &remains);
  g_assert_cmpuint (remains.begin, ==, 4);
}

static void
test_orphans_are_bounded (void)
{
  g_autoptr (ShmControl) control = new_control (1, 1000, SHM_SCHEDULE_DYNAMIC, 1);
  guint n = 0;

  while (shm_schedule_add_orphan (control, n, n + 1))
    n++;
  g_assert_cmpuint (n, ==, SHM_CONTROL_ORPHANS);
  /* They come back lowest first. */
  g_assert_true (shm_schedule_claim (control, 0, 1));
  g_assert_cmpuint (control->lines[0].begin, ==, 0);
  g_assert_true (shm_schedule_claim (control, 0, 1));
  g_assert_cmpuint (control->lines[0].begin, ==, 1);
}

/* One that is about to lose its race shows what others have done meanwhile, and takes nothing back. */
static void
test_unfinished_never_falls (void)
{
  g_autoptr (ShmControl) control = new_control (2, 100, SHM_SCHEDULE_DYNAMIC, 10);
  ShmLine *line = &control->lines[0];
  ShmLine *late = &control->lines[1];

  g_assert_true (shm_schedule_claim (control, 0, 1));
  g_assert_cmpuint (shm_schedule_get_lowest_unfinished (control), ==, 0);
  line->done = line->end;
  g_assert_true (shm_schedule_claim (control, 0, 1));
  g_assert_cmpuint (shm_schedule_get_lowest_unfinished (control), ==, 10);
  late->state = SHM_LINE_CLAIMING;
  late->begin = 0;
  late->end = 10;
  g_assert_cmpuint (shm_schedule_get_lowest_unfinished (control), ==, 10);
}

#define N_UNFINISHED 200000

typedef struct
{
  ShmControl *control;
  guint8 *is_done;
  gint n_running;
} Unfinished;

typedef struct
{
  Unfinished *all;
  guint rank;
} UnfinishedRank;

static gpointer
finish_items (gpointer data)
{
  UnfinishedRank *own = data;
  ShmLine *line = &own->all->control->lines[own->rank];

  while (shm_schedule_claim (own->all->control, own->rank, 2))
    while (line->done < line->end)
      {
        __atomic_store_n (&own->all->is_done[line->done], 1, __ATOMIC_RELEASE);
        shm_store (&line->done, line->done + 1);
      }
  g_atomic_int_dec_and_test (&own->all->n_running);
  return NULL;
}

/* Whatever is looked at while workers claim and finish: what is said to be done is. */
static void
test_unfinished_concurrent (void)
{
  guint s, i;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    {
      guint64 n = test_scale (N_UNFINISHED);
      g_autoptr (ShmControl) control = new_control (4, n, schedules[s], 3);
      g_autofree guint8 *is_done = g_new0 (guint8, n);
      Unfinished all = { control, is_done, 4 };
      UnfinishedRank ranks[4];
      GThread *threads[4];
      guint64 lowest = 0;

      for (i = 0; i < 4; i++)
        {
          ranks[i] = (UnfinishedRank){ &all, i };
          threads[i] = g_thread_new (NULL, finish_items, &ranks[i]);
        }
      while (g_atomic_int_get (&all.n_running) > 0)
        {
          guint64 unfinished = shm_schedule_get_lowest_unfinished (control);

          unfinished = MIN (unfinished, n);
          g_assert_cmpuint (unfinished, >=, lowest);
          /* Where one thread runs at a time nothing changes until another one does. */
          if (unfinished == lowest && test_under_valgrind ())
            g_thread_yield ();
          for (; lowest < unfinished; lowest++)
            g_assert_cmpuint (__atomic_load_n (&is_done[lowest], __ATOMIC_ACQUIRE), ==, 1);
        }
      for (i = 0; i < 4; i++)
        g_thread_join (threads[i]);
    }
}

/* Once the job is stopped nobody waits: FALSE tells that it is not this rank's turn. */
static void
assert_turn (ShmControl *control, guint rank, gboolean expected)
{
  g_assert_true (shm_schedule_enter_turn (control, rank) == expected);
}

static void
test_turns (void)
{
  guint s;

  for (s = 0; s < G_N_ELEMENTS (schedules); s++)
    {
      g_autoptr (ShmControl) control =
          new_control (3, 30, schedules[s], schedules[s] == SHM_SCHEDULE_GUIDED ? 0 : 2);
      ShmRemains remains;
      guint rank;

      control->header->spin = 0;
      control->header->stop = 1;
      for (rank = 0; rank < 3; rank++)
        g_assert_true (shm_schedule_claim (control, rank, 1));
      assert_turn (control, 1, FALSE);
      assert_turn (control, 2, FALSE);
      assert_turn (control, 0, TRUE);
      shm_schedule_pass_turn (control, 0);
      assert_turn (control, 2, FALSE);
      /* This one does not enter. */
      g_assert_true (shm_schedule_claim (control, 1, 1));
      assert_turn (control, 1, FALSE);
      assert_turn (control, 2, TRUE);
      shm_schedule_pass_turn (control, 2);
      if (schedules[s] != SHM_SCHEDULE_STATIC)
        assert_turn (control, 1, TRUE);

      /* It has passed, and died before it could say that it is done: it will pass again. */
      shm_schedule_resolve (control, 2, 0, &remains);
      g_assert_cmpuint (remains.begin, <, remains.end);
      g_assert_true (shm_schedule_add_orphan (control, remains.begin, remains.end));
      assert_turn (control, 1, FALSE);
      shm_schedule_clear (control, 2);
      assert_turn (control, 1, FALSE);
      g_assert_true (shm_schedule_claim (control, 2, 1));
      g_assert_cmpuint (control->lines[2].begin, ==, remains.begin);
      assert_turn (control, 1, FALSE);
    }
}

static void
test_adapt (void)
{
  guint64 grain = 1;
  guint i;

  /* Items of 10 ns: soon thousands; of 10 ms: soon one. */
  for (i = 0; i < 20; i++)
    grain = shm_schedule_adapt (grain, grain * 10);
  g_assert_cmpuint (grain, >, 5000);
  g_assert_cmpuint (grain, <, 100000);
  for (i = 0; i < 3; i++)
    grain = shm_schedule_adapt (grain, grain * 10000000);
  g_assert_cmpuint (grain, ==, 1);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/schedule/coverage", test_coverage);
  test_add ("/schedule/concurrent", test_concurrent);
  test_add ("/schedule/killed-anywhere", test_killed_anywhere);
  test_add ("/schedule/result-counts-as-done", test_result_counts_as_done);
  test_add ("/schedule/orphans-are-bounded", test_orphans_are_bounded);
  test_add ("/schedule/unfinished-never-falls", test_unfinished_never_falls);
  test_add ("/schedule/unfinished-concurrent", test_unfinished_concurrent);
  test_add ("/schedule/turns", test_turns);
  test_add ("/schedule/adapt", test_adapt);

  return g_test_run ();
}
