/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The rate is an exponential average over time: what was done t seconds ago counts exp (-t / 3).
 *
 * Items are taken as done evenly since the last one, however many updates came in between, so that
 * a job of items that take long does not seem to race at each of them and to stand still after it.
 * While nothing more arrives, the rate is at most what it would be if the next item came now: it
 * stays as it is until that item is overdue, then it falls, and it does not jump when the item
 * comes. An average that began a short while ago is divided by the weight that it has so far.
 */

#include "config.h"

#include "shm-progress-private.h"

#include <math.h>
#include <string.h>

#include "shm-i18n-private.h"

#define TIME_CONSTANT (3.0 * G_USEC_PER_SEC)

/* Columns of a bar with its brackets. */
#define BAR_MIN 12
#define BAR_MAX 52

#define SEPARATOR "  "
#define SEPARATOR_WIDTH ((guint) sizeof SEPARATOR - 1)

/* A forecast of more than that is none. */
#define ETA_MAX (10000.0 * 3600.0)

/* As they stand in the line. */
typedef enum
{
  PART_PERCENT,
  PART_BAR,
  PART_COUNT,
  PART_RATE,
  PART_ELAPSED,
  PART_ETA,
  N_PARTS
} ShmProgressPart;

void
shm_progress_start (ShmProgress *self, gint64 now)
{
  *self = (ShmProgress){ .started = now, .updated = now, .counted_at = now };
}

/* How much weight so much time has, next to all that was before it. */
static gdouble
shm_progress_weigh (gint64 time)
{
  return -expm1 (-(gdouble) time / TIME_CONSTANT);
}

/* The biased average if so many items had been done between the last count and `now`. */
static gdouble
shm_progress_extend (const ShmProgress *self, gint64 now, guint64 n_items)
{
  gint64 time = now - self->counted_at;
  gdouble weight = shm_progress_weigh (time);
  gdouble rate = (gdouble) n_items * G_USEC_PER_SEC / time;

  return self->average * (1.0 - weight) + rate * weight;
}

void
shm_progress_update (ShmProgress *self, gint64 now, guint64 n_done)
{
  self->n_done = MAX (self->n_done, n_done);
  self->updated = MAX (self->updated, now);
  if (self->n_done == self->n_counted || now <= self->counted_at)
    return;
  self->average = shm_progress_extend (self, now, self->n_done - self->n_counted);
  self->n_counted = self->n_done;
  self->counted_at = now;
}

/* In items per second; 0 while it is not known. */
gdouble
shm_progress_get_rate (const ShmProgress *self)
{
  gdouble rate, overdue;

  if (self->n_counted == 0)
    return 0.0;
  rate = self->average / shm_progress_weigh (self->counted_at - self->started);
  if (self->updated == self->counted_at)
    return rate;
  overdue = shm_progress_extend (self, self->updated, 1) /
            shm_progress_weigh (self->updated - self->started);
  return MIN (rate, overdue);
}

/* In seconds; -1 while it is not known. */
gdouble
shm_progress_get_eta (const ShmProgress *self, guint64 n_left)
{
  gdouble rate = shm_progress_get_rate (self);

  if (n_left == 0)
    return 0.0;
  return rate > 0.0 ? (gdouble) n_left / rate : -1.0;
}

/* Three digits that count; at most five columns. The line is the same in all locales, but for its
 * words.
 */
static char *
shm_progress_format_number (gdouble number)
{
  static const char units[][2] = { "", "k", "M", "G", "T", "P", "E" };
  char digits[G_ASCII_DTOSTR_BUF_SIZE];
  const char *format = "%.0f";
  guint unit = 0;

  while (number >= 999.5 && unit + 1 < G_N_ELEMENTS (units))
    {
      number /= 1000.0;
      unit++;
    }
  if (number < 9.995)
    format = "%.2f";
  else if (number < 99.95)
    format = "%.1f";
  g_ascii_formatd (digits, sizeof digits, format, number);
  return g_strconcat (digits, units[unit], NULL);
}

static char *
shm_progress_format_rate (const ShmProgress *self)
{
  gdouble rate = shm_progress_get_rate (self);
  gboolean slow = rate > 0.0 && rate < 0.1;
  g_autofree char *number =
      rate > 0.0 ? shm_progress_format_number (slow ? rate * 3600.0 : rate) : g_strdup ("?");
  g_autofree char *padded = g_strdup_printf ("%5s", number);

  /* TRANSLATORS: a number of items per hour, or per second */
  return slow ? g_strdup_printf (_ ("%s/h"), padded) : g_strdup_printf (_ ("%s/s"), padded);
}

static char *
shm_progress_format_time (guint64 seconds)
{
  return g_strdup_printf ("%" G_GUINT64_FORMAT ":%02u:%02u", seconds / 3600,
                          (guint) (seconds / 60 % 60), (guint) (seconds % 60));
}

static char *
shm_progress_format_eta (const ShmProgress *self, guint64 n_left)
{
  gdouble eta = shm_progress_get_eta (self, n_left);
  g_autofree char *time = eta >= 0.0 && eta < ETA_MAX
                              ? shm_progress_format_time ((guint64) ceil (eta))
                              : g_strdup ("?:??:??");

  /* TRANSLATORS: how long it will still take, as hours:minutes:seconds */
  return g_strdup_printf (_ ("ETA %s"), time);
}

static char *
shm_progress_format_bar (gdouble fraction, guint width)
{
  char *bar = g_strnfill (width, ' ');

  memset (bar + 1, '#', (gsize) (fraction * (width - 2)));
  bar[0] = '[';
  bar[width - 1] = ']';
  return bar;
}

static guint
shm_progress_count_columns (const char *text)
{
  guint n = 0;

  for (; *text != '\0'; text = g_utf8_next_char (text))
    {
      gunichar c = g_utf8_get_char (text);

      if (!g_unichar_iszerowidth (c))
        n += g_unichar_iswide (c) ? 2 : 1;
    }
  return n;
}

/* One line of at most `width` columns, without its end. The parts that matter most come in as long
 * as there is room, none is ever cut, and the bar has what is left; "" if nothing fits.
 */
char *
shm_progress_format (const ShmProgress *self,
                     guint64 n_done,
                     guint64 n_items,
                     gboolean n_items_known,
                     gint64 now,
                     guint width)
{
  static const ShmProgressPart by_weight[] = { PART_PERCENT, PART_COUNT, PART_ETA, PART_RATE,
                                               PART_ELAPSED };
  char *parts[N_PARTS] = { NULL };
  GString *line = g_string_new (NULL);
  gdouble fraction = n_done < n_items ? (gdouble) n_done / n_items : 1.0;
  g_autofree char *done = g_strdup_printf ("%" G_GUINT64_FORMAT, n_done);
  guint used = 0, i;

  if (n_items_known)
    {
      g_autofree char *items = g_strdup_printf ("%" G_GUINT64_FORMAT, n_items);
      guint64 n_left = n_done < n_items ? n_items - n_done : 0;
      guint percent = n_left > 0 ? MIN ((guint) (fraction * 100.0), 99) : 100;

      parts[PART_PERCENT] = g_strdup_printf ("%3u%%", percent);
      parts[PART_COUNT] = g_strdup_printf ("%*s/%s", (int) strlen (items), done, items);
      parts[PART_ETA] = shm_progress_format_eta (self, n_left);
    }
  else
    parts[PART_COUNT] = g_steal_pointer (&done);
  parts[PART_RATE] = shm_progress_format_rate (self);
  parts[PART_ELAPSED] =
      shm_progress_format_time ((guint64) MAX (now - self->started, 0) / G_USEC_PER_SEC);

  for (i = 0; i < G_N_ELEMENTS (by_weight); i++)
    {
      char **part = &parts[by_weight[i]];
      guint columns = used > 0 ? SEPARATOR_WIDTH : 0;

      if (*part == NULL)
        continue;
      columns += shm_progress_count_columns (*part);
      if (columns <= width - used)
        used += columns;
      else
        g_clear_pointer (part, g_free);
    }
  if (n_items_known && used > 0 && width - used >= BAR_MIN + SEPARATOR_WIDTH)
    parts[PART_BAR] =
        shm_progress_format_bar (fraction, MIN (width - used - SEPARATOR_WIDTH, BAR_MAX));

  for (i = 0; i < N_PARTS; i++)
    if (parts[i] != NULL)
      {
        g_string_append (line, line->len > 0 ? SEPARATOR : "");
        g_string_append (line, parts[i]);
        g_free (parts[i]);
      }
  return g_string_free (line, FALSE);
}
