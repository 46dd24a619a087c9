/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The sort of one type of items. It is included once for each, after
 *
 *     #define SORT_NAME  what the names of the functions end with
 *     #define SORT_TYPE  the C type of an item
 *     #define SORT_KEY_TYPE  the unsigned integer type of its key
 *     #define SORT_KEY(item)  the key of an item
 *
 * There is no guard, and no use of it but in shm-algorithms-sort.c.
 */

#define SORT_PASTE_(name, suffix) name##suffix
#define SORT_PASTE(name, suffix) SORT_PASTE_ (name, suffix)
#define SORT_FUNCTION(name) SORT_PASTE (name, SORT_NAME)

/* For a handful. */
static void
SORT_FUNCTION (shm_insert_) (SORT_TYPE *items, gsize n)
{
  for (gsize i = 1; i < n; i++)
    {
      SORT_TYPE item = items[i];
      gsize at = i;

      for (; at > 0 && SORT_KEY (item) < SORT_KEY (items[at - 1]); at--)
        items[at] = items[at - 1];
      items[at] = item;
    }
}

/* Puts the items in the order of one byte of their keys; those where it is equal stay in order. */
static void
SORT_FUNCTION (shm_deal_) (
    const SORT_TYPE *from, SORT_TYPE *to, gsize n, guint shift, const guint32 *counts)
{
  guint32 next[256];
  guint32 sum = 0;

  for (guint i = 0; i < 256; i++)
    {
      next[i] = sum;
      sum += counts[i];
    }
  for (gsize i = 0; i < n; i++)
    to[next[(guint8) (SORT_KEY (from[i]) >> shift)]++] = from[i];
}

/* Sorts the items at @from into @target, with @spare to work in: byte by byte of the keys, from the
 * lowest one on, without the bytes that all keys have in common. @from may be @spare; if it is not,
 * it stays as it is.
 */
static void
SORT_FUNCTION (shm_sort_) (gconstpointer from_, gpointer target_, gpointer spare_, gsize n)
{
  const SORT_TYPE *from = from_;
  SORT_TYPE *target = target_;
  SORT_TYPE *spare = spare_;
  guint32 counts[sizeof (SORT_KEY_TYPE)][256] = { { 0 } };
  guint digits[sizeof (SORT_KEY_TYPE)];
  guint n_digits = 0;
  SORT_KEY_TYPE last = n > 0 ? SORT_KEY (from[0]) : 0;
  gboolean sorted = TRUE;

  if (n > 48)
    {
      for (gsize i = 0; i < n; i++)
        {
          SORT_KEY_TYPE key = SORT_KEY (from[i]);

          sorted &= last <= key;
          last = key;
          for (guint digit = 0; digit < sizeof (SORT_KEY_TYPE); digit++)
            counts[digit][(guint8) (key >> (8 * digit))]++;
        }
      for (guint digit = 0; digit < sizeof (SORT_KEY_TYPE) && !sorted; digit++)
        {
          if (counts[digit][(guint8) (last >> (8 * digit))] != n)
            digits[n_digits++] = digit;
        }
    }

  if (n_digits == 0 || (n_digits % 2 == 0 && from == spare))
    {
      memcpy (target, from, n * sizeof (SORT_TYPE));
      from = target;
    }
  if (n <= 48)
    SORT_FUNCTION (shm_insert_) (target, n);
  for (guint i = 0; i < n_digits; i++)
    {
      SORT_TYPE *to = (n_digits - i) % 2 != 0 ? target : spare;

      SORT_FUNCTION (shm_deal_) (from, to, n, 8 * digits[i], counts[digits[i]]);
      from = to;
    }
}

/* How many of the first @place items of the merger of two runs come from @a. */
static gsize
SORT_FUNCTION (shm_split_) (
    const SORT_TYPE *a, gsize n_a, const SORT_TYPE *b, gsize n_b, gsize place)
{
  gsize low = place > n_b ? place - n_b : 0;
  gsize high = MIN (place, n_a);

  while (low < high)
    {
      gsize middle = low + (high - low) / 2;

      if (SORT_KEY (b[place - middle - 1]) < SORT_KEY (a[middle]))
        high = middle;
      else
        low = middle + 1;
    }
  return low;
}

typedef struct
{
  const SORT_TYPE *a;
  const SORT_TYPE *a_end;
  const SORT_TYPE *b;
  const SORT_TYPE *b_end;
  SORT_TYPE *to;
} SORT_FUNCTION (ShmMerge_);

/* One step of a merger, while both runs have items; items of @b go first only if they are less. */
static inline void
SORT_FUNCTION (shm_step_) (SORT_FUNCTION (ShmMerge_) * merge)
{
  gboolean from_b = SORT_KEY (*merge->b) < SORT_KEY (*merge->a);
  const SORT_TYPE *from = from_b ? merge->b : merge->a;

  *merge->to++ = *from;
  merge->b += from_b;
  merge->a += !from_b;
}

static inline gsize
SORT_FUNCTION (shm_steps_) (const SORT_FUNCTION (ShmMerge_) * merge)
{
  return MIN ((gsize) (merge->a_end - merge->a), (gsize) (merge->b_end - merge->b));
}

static void
SORT_FUNCTION (shm_finish_) (SORT_FUNCTION (ShmMerge_) * merge)
{
  gsize n;

  while ((n = SORT_FUNCTION (shm_steps_) (merge)) > 0)
    {
      while (n-- > 0)
        SORT_FUNCTION (shm_step_) (merge);
    }
  n = (gsize) (merge->a_end - merge->a);
  memcpy (merge->to, merge->a, n * sizeof (SORT_TYPE));
  memcpy (merge->to + n, merge->b, (gsize) (merge->b_end - merge->b) * sizeof (SORT_TYPE));
}

/* Writes the places @begin to @end - 1 of the merger of two runs to @to, as four mergers that take
 * turns: each step of one waits for the one before it, but not for those of the others.
 */
static void
SORT_FUNCTION (shm_merge_) (
    gconstpointer a_, gsize n_a, gconstpointer b_, gsize n_b, gsize begin, gsize end, gpointer to_)
{
  const SORT_TYPE *a = a_;
  const SORT_TYPE *b = b_;
  SORT_FUNCTION (ShmMerge_) merges[4];
  gsize cut = begin;
  gsize cut_a = SORT_FUNCTION (shm_split_) (a, n_a, b, n_b, cut);
  gsize n;

  for (guint i = 0; i < 4; i++)
    {
      gsize next = i < 3 ? begin + (end - begin) / 4 * (i + 1) : end;
      gsize next_a = SORT_FUNCTION (shm_split_) (a, n_a, b, n_b, next);

      merges[i].a = a + cut_a;
      merges[i].a_end = a + next_a;
      merges[i].b = b + (cut - cut_a);
      merges[i].b_end = b + (next - next_a);
      merges[i].to = (SORT_TYPE *) to_ + (cut - begin);
      cut = next;
      cut_a = next_a;
    }

  for (;;)
    {
      SORT_FUNCTION (ShmMerge_) first = merges[0], second = merges[1];
      SORT_FUNCTION (ShmMerge_) third = merges[2], fourth = merges[3];

      n = MIN (SORT_FUNCTION (shm_steps_) (&first), SORT_FUNCTION (shm_steps_) (&second));
      n = MIN (n, SORT_FUNCTION (shm_steps_) (&third));
      n = MIN (n, SORT_FUNCTION (shm_steps_) (&fourth));
      if (n == 0)
        break;
      while (n-- > 0)
        {
          SORT_FUNCTION (shm_step_) (&first);
          SORT_FUNCTION (shm_step_) (&second);
          SORT_FUNCTION (shm_step_) (&third);
          SORT_FUNCTION (shm_step_) (&fourth);
        }
      merges[0] = first;
      merges[1] = second;
      merges[2] = third;
      merges[3] = fourth;
    }
  for (guint i = 0; i < 4; i++)
    SORT_FUNCTION (shm_finish_) (&merges[i]);
}

#undef SORT_NAME
#undef SORT_TYPE
#undef SORT_KEY_TYPE
#undef SORT_KEY
#undef SORT_FUNCTION
#undef SORT_PASTE
#undef SORT_PASTE_
