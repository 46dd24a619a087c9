/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <math.h>
#include <string.h>

#include "shmem-glib/shm-progress-private.h"

#define SECOND ((gint64) G_USEC_PER_SEC)

/* The clock is monotonic and begins anywhere. */
#define START (12345 * SECOND + 678)

#define assert_near(a, b) g_assert_cmpfloat_with_epsilon (a, b, 1e-9 * (1.0 + fabs ((gdouble) (b))))

static void
test_unknown (void)
{
  ShmProgress progress = { 0 };

  shm_progress_start (&progress, START);
  g_assert_cmpfloat (shm_progress_get_rate (&progress), ==, 0.0);
  g_assert_cmpfloat (shm_progress_get_eta (&progress, 1), ==, -1.0);
  g_assert_cmpfloat (shm_progress_get_eta (&progress, 0), ==, 0.0);
  shm_progress_update (&progress, START + 5 * SECOND, 0);
  g_assert_cmpfloat (shm_progress_get_rate (&progress), ==, 0.0);
  g_assert_cmpfloat (shm_progress_get_eta (&progress, 1), ==, -1.0);
}

/* It may be used for one job after another. */
static void
test_first (void)
{
  ShmProgress progress = { 0 };
  gint64 elapsed;

  for (elapsed = 1; elapsed < 1000 * SECOND; elapsed *= 10)
    {
      shm_progress_start (&progress, START);
      shm_progress_update (&progress, START + elapsed, 20);
      assert_near (shm_progress_get_rate (&progress), 20.0 * SECOND / elapsed);
      assert_near (shm_progress_get_eta (&progress, 40), 2.0 * elapsed / SECOND);
    }
}

static void
test_steady (void)
{
  ShmProgress progress = { 0 };
  guint64 i;

  shm_progress_start (&progress, START);
  for (i = 1; i < 10000; i++)
    {
      shm_progress_update (&progress, START + i * SECOND / 25, 7 * i);
      assert_near (shm_progress_get_rate (&progress), 7 * 25);
      assert_near (shm_progress_get_eta (&progress, 350), 2.0);
    }
}

/* Most updates bring nothing, and the rate is the same at all of them. */
static void
test_long_items (void)
{
  ShmProgress progress = { 0 };
  gint64 i;

  shm_progress_start (&progress, START);
  for (i = 1; i < 3000; i++)
    {
      shm_progress_update (&progress, START + i * SECOND / 25, i / 250);
      assert_near (shm_progress_get_rate (&progress), i < 250 ? 0.0 : 0.1);
    }
}

static void
test_smoothing (void)
{
  ShmProgress progress = { 0 };
  gdouble kept = exp (-1.0);

  shm_progress_start (&progress, START);
  shm_progress_update (&progress, START + 3 * SECOND, 30);
  shm_progress_update (&progress, START + 6 * SECOND, 330);
  assert_near (shm_progress_get_rate (&progress), (10.0 * kept + 100.0) / (kept + 1.0));
  shm_progress_update (&progress, START + 9 * SECOND, 330);
  shm_progress_update (&progress, START + 9 * SECOND, 630);
  assert_near (shm_progress_get_rate (&progress),
               (10.0 * kept * kept + 100.0 * kept + 100.0) / (kept * kept + kept + 1.0));
  /* what was long ago does not count */
  shm_progress_update (&progress, START + 1009 * SECOND, 5630);
  assert_near (shm_progress_get_rate (&progress), 5.0);
}

static void
test_same_time (void)
{
  ShmProgress progress = { 0 };

  shm_progress_start (&progress, START);
  shm_progress_update (&progress, START, 5);
  g_assert_cmpfloat (shm_progress_get_rate (&progress), ==, 0.0);
  shm_progress_update (&progress, START + SECOND, 5);
  assert_near (shm_progress_get_rate (&progress), 5.0);
  shm_progress_update (&progress, START + SECOND, 9);
  shm_progress_update (&progress, START + SECOND, 10);
  assert_near (shm_progress_get_rate (&progress), 5.0);
  shm_progress_update (&progress, START + 2 * SECOND, 10);
  assert_near (shm_progress_get_rate (&progress), 5.0);
  /* a clock that goes back is one that stands still */
  shm_progress_update (&progress, START, 12);
  shm_progress_update (&progress, START + 2 * SECOND, 13);
  assert_near (shm_progress_get_rate (&progress), 5.0);
  shm_progress_update (&progress, START + 3 * SECOND, 15);
  assert_near (shm_progress_get_rate (&progress), 5.0);
}

static void
test_falling_count (void)
{
  ShmProgress progress = { 0 }, other = { 0 };

  shm_progress_start (&progress, START);
  shm_progress_start (&other, START);
  shm_progress_update (&progress, START + SECOND, 10);
  shm_progress_update (&other, START + SECOND, 10);
  shm_progress_update (&progress, START + 3 * SECOND, 4);
  shm_progress_update (&other, START + 3 * SECOND, 10);
  g_assert_cmpfloat (shm_progress_get_rate (&progress), ==, shm_progress_get_rate (&other));
  shm_progress_update (&progress, START + 4 * SECOND, 12);
  shm_progress_update (&other, START + 4 * SECOND, 12);
  g_assert_cmpfloat (shm_progress_get_rate (&progress), ==, shm_progress_get_rate (&other));
}

/* Nothing arrives for an hour: the ETA grows, and neither jumps to the end of time nor back. */
static void
test_stall (void)
{
  ShmProgress progress = { 0 };
  gdouble rate, last = 10.0;
  gint64 i;

  shm_progress_start (&progress, START);
  shm_progress_update (&progress, START + 10 * SECOND, 100);
  for (i = 1; i <= 3600 * 10; i++)
    {
      shm_progress_update (&progress, START + 10 * SECOND + i * SECOND / 10, 100);
      rate = shm_progress_get_rate (&progress);
      g_assert_cmpfloat (rate, >, 0.0);
      if (i == 1)
        assert_near (rate, 10.0);
      else
        g_assert_cmpfloat (rate, <, last);
      assert_near (shm_progress_get_eta (&progress, 50), 50.0 / rate);
      last = rate;
    }
  g_assert_cmpfloat_with_epsilon (last, 1.0 / 3600.0, 1e-6);
  shm_progress_update (&progress, START + 10 * SECOND + 3600 * SECOND, 101);
  assert_near (shm_progress_get_rate (&progress), last);
}

static void
assert_line (const ShmProgress *progress,
             guint64 n_done,
             gint64 n_items,
             gint64 elapsed,
             guint width,
             const char *expected)
{
  g_autofree char *line = shm_progress_format (progress, n_done, n_items < 0 ? 0 : n_items,
                                               n_items >= 0, START + elapsed, width);

  g_assert_cmpstr (line, ==, expected);
}

/* A progress that has gone at this rate for ten seconds. */
static void
set_rate (ShmProgress *progress, guint64 n_done)
{
  shm_progress_start (progress, START);
  shm_progress_update (progress, START + 10 * SECOND, n_done);
}

static void
test_line (void)
{
  ShmProgress progress = { 0 };

  shm_progress_start (&progress, START);
  assert_line (&progress, 0, 1000, 0, 70,
               "  0%  [                    ]     0/1000      ?/s  0:00:00  ETA ?:??:??");
  set_rate (&progress, 420);
  assert_line (&progress, 420, 1000, 10 * SECOND, 70,
               " 42%  [########            ]   420/1000   42.0/s  0:00:10  ETA 0:00:14");
  assert_line (&progress, 999, 1000, 3723 * SECOND, 70,
               " 99%  [################### ]   999/1000   42.0/s  1:02:03  ETA 0:00:01");
  assert_line (&progress, 1000, 1000, 10 * SECOND, 70,
               "100%  [####################]  1000/1000   42.0/s  0:00:10  ETA 0:00:00");
  /* more than all, and all of nothing */
  assert_line (&progress, 1005, 1000, 10 * SECOND, 70,
               "100%  [####################]  1005/1000   42.0/s  0:00:10  ETA 0:00:00");
  assert_line (&progress, 0, 0, 0, 66,
               "100%  [######################]  0/0   42.0/s  0:00:00  ETA 0:00:00");
}

static void
test_unknown_total (void)
{
  ShmProgress progress = { 0 };

  set_rate (&progress, 420);
  assert_line (&progress, 420, -1, 10 * SECOND, 80, "420   42.0/s  0:00:10");
  assert_line (&progress, 420, -1, 10 * SECOND, 21, "420   42.0/s  0:00:10");
  assert_line (&progress, 420, -1, 10 * SECOND, 20, "420   42.0/s");
  assert_line (&progress, 420, -1, 10 * SECOND, 11, "420");
  assert_line (&progress, 420, -1, 10 * SECOND, 2, "");
}

static void
test_rates (void)
{
  static const struct
  {
    guint64 n_done; /* in 10 s */
    const char *expected;
  } rates[] = {
    { 1, " 0.10/s" },
    { 12, " 1.20/s" },
    { 9990, "  999/s" },
    { 9994, "  999/s" },
    { 9995, "1.00k/s" },
    { 99940, "9.99k/s" },
    { 99960, "10.0k/s" },
    { 999600, " 100k/s" },
    { 9994000, " 999k/s" },
    { 9996000, "1.00M/s" },
    { G_GUINT64_CONSTANT (12300000000), "1.23G/s" },
    { G_MAXUINT64, "1.84E/s" },
  };
  ShmProgress progress = { 0 };
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (rates); i++)
    {
      g_autofree char *expected = g_strdup_printf ("0  %s  0:00:00", rates[i].expected);

      set_rate (&progress, rates[i].n_done);
      assert_line (&progress, 0, -1, 0, 80, expected);
    }
  /* one every two minutes */
  shm_progress_start (&progress, START);
  shm_progress_update (&progress, START + 120 * SECOND, 1);
  assert_line (&progress, 1, -1, 120 * SECOND, 80, "1   30.0/h  0:02:00");
}

/* What matters least goes first, unless it is what fits; and nothing is cut. */
static void
test_widths (void)
{
  ShmProgress progress = { 0 };
  guint width;

  set_rate (&progress, 420);
  assert_line (&progress, 420, 1000, 10 * SECOND, 60,
               " 42%  [####      ]   420/1000   42.0/s  0:00:10  ETA 0:00:14");
  assert_line (&progress, 420, 1000, 10 * SECOND, 59,
               " 42%   420/1000   42.0/s  0:00:10  ETA 0:00:14");
  for (width = 0; width <= 200; width++)
    {
      g_autofree char *line =
          shm_progress_format (&progress, 420, 1000, TRUE, START + 10 * SECOND, width);

      g_assert_cmpuint (strlen (line), <=, width);
      g_assert_cmpuint (strlen (line), <=, 100);
      g_assert_true (strpbrk (line, "\n\r\033") == NULL);
      g_assert_cmpint (strstr (line, "42%") != NULL, ==, width >= 4);
      g_assert_cmpint (strstr (line, "420/1000") != NULL, ==, width >= 15);
      g_assert_cmpint (strstr (line, "ETA 0:00:14") != NULL, ==, width >= 28);
      if (width >= 28)
        g_assert_cmpint (strstr (line, "42.0/s") != NULL, ==, width >= 37);
      if (width >= 28)
        g_assert_cmpint (strstr (line, "0:00:10") != NULL, ==, width >= 46);
    }
}

/* Years, and numbers that do not fit into a double. */
static void
test_extremes (void)
{
  ShmProgress progress = { 0 };

  shm_progress_start (&progress, START);
  shm_progress_update (&progress, START + 1, 1);
  shm_progress_update (&progress, G_MAXINT64, 1);
  assert_line (&progress, G_MAXUINT64 - 1, -1, 3600 * SECOND * 1000000, 80,
               "18446744073709551614   0.00/h  1000000:00:00");
  assert_line (&progress, 1, G_MAXINT64, 0, 80,
               "  0%                    1/9223372036854775807   0.00/h  0:00:00  ETA ?:??:??");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/progress/unknown", test_unknown);
  test_add ("/progress/first", test_first);
  test_add ("/progress/steady", test_steady);
  test_add ("/progress/long-items", test_long_items);
  test_add ("/progress/smoothing", test_smoothing);
  test_add ("/progress/same-time", test_same_time);
  test_add ("/progress/falling-count", test_falling_count);
  test_add ("/progress/stall", test_stall);
  test_add ("/progress/line", test_line);
  test_add ("/progress/unknown-total", test_unknown_total);
  test_add ("/progress/rates", test_rates);
  test_add ("/progress/widths", test_widths);
  test_add ("/progress/extremes", test_extremes);

  return g_test_run ();
}
