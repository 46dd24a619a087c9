/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Runs the fuzz target with no fuzzer: on each file of the corpus, then on mutations of them, which
 * are the same each time.
 */

#include "config.h"

#include "../test-util.h"

#include <string.h>

#include "fuzz-corpus.h"
#include "fuzz-wire.h"

#define N_MUTATIONS 200000
#define SEED 20221217
#define LONGEST_INPUT 8192

/* The name of a file made by generate-wire says what must come of it. */
static void
check_counts (const char *name, const FuzzWireCounts *counts)
{
  gboolean whole = !counts->has_error && counts->n_bad_values == 0;

  if (g_str_has_prefix (name, "good-"))
    g_assert_true (whole && !counts->is_torn && counts->n_results > 0);
  else if (g_str_has_prefix (name, "failure-"))
    g_assert_true (whole && !counts->is_torn && counts->n_failures > 0);
  else if (g_str_has_prefix (name, "torn-"))
    g_assert_true (whole && counts->is_torn);
  else if (g_str_has_prefix (name, "bad-"))
    g_assert_false (whole);
}

static void
test_corpus (void)
{
  g_autoptr (GArray) inputs = fuzz_corpus_read ("corpus-wire");
  guint i;

  for (i = 0; i < inputs->len; i++)
    {
      const FuzzInput *input = &g_array_index (inputs, FuzzInput, i);
      FuzzWireCounts counts;

      g_test_message ("%s", input->name);
      fuzz_wire_run (input->data, input->size, &counts);
      /* The files have the byte order of most. */
      if (G_BYTE_ORDER == G_LITTLE_ENDIAN)
        check_counts (input->name, &counts);
    }
}

/* Lengths and numbers of items that are near to something. */
static guint64
mutate_number (GRand *rand)
{
  static const guint64 numbers[] = {
    0,
    1,
    7,
    8,
    9,
    255,
    512,
    513,
    65535,
    65536,
    65537,
    262144,
    1000000,
    1000001,
    G_MAXINT32,
    G_MAXUINT32,
    G_GUINT64_CONSTANT (1) << 47,
    G_MAXINT64,
    G_MAXUINT64 - 7,
    G_MAXUINT64,
  };

  return numbers[g_rand_int_range (rand, 0, G_N_ELEMENTS (numbers))];
}

/* Overwrites one part of the bytes, which are not none. */
static void
mutate_place (GRand *rand, GByteArray *bytes)
{
  guint at = g_rand_int_range (rand, 0, bytes->len);
  guint64 number = mutate_number (rand);

  switch (g_rand_int_range (rand, 0, 4))
    {
    case 0:
      bytes->data[at] ^= 1 << g_rand_int_range (rand, 0, 8);
      break;
    case 1:
      bytes->data[at] = g_rand_int_range (rand, 0, 256);
      break;
    case 2:
      at &= ~3u;
      memcpy (bytes->data + at, &number, MIN (4, bytes->len - at));
      break;
    default:
      at = (at & ~7u) + 4; /* fields of a header begin after the prologue */
      if (at < bytes->len)
        memcpy (bytes->data + at, &number, MIN (8, bytes->len - at));
    }
}

/* Takes a part away, repeats it, or puts in one of another input. */
static void
mutate_length (GRand *rand, GByteArray *bytes, const FuzzInput *other)
{
  guint at = g_rand_int_range (rand, 0, bytes->len);
  guint length = g_rand_int_range (rand, 1, bytes->len - at + 1);

  switch (g_rand_int_range (rand, 0, 4))
    {
    case 0:
      g_byte_array_remove_range (bytes, at, MIN (length, 16));
      break;
    case 1:
      g_byte_array_set_size (bytes, at);
      break;
    case 2:
      {
        g_autofree guint8 *part = g_memdup2 (bytes->data + at, length);

        if (bytes->len + length <= LONGEST_INPUT)
          g_byte_array_append (bytes, part, length);
        break;
      }
    default:
      if (other->size > 4 && bytes->len + other->size <= LONGEST_INPUT)
        g_byte_array_append (bytes, other->data + 4, other->size - 4);
    }
}

static const FuzzInput *
pick_input (GRand *rand, const GArray *inputs)
{
  return &g_array_index (inputs, FuzzInput, g_rand_int_range (rand, 0, inputs->len));
}

static void
test_mutations (void)
{
  g_autoptr (GArray) inputs = fuzz_corpus_read ("corpus-wire");
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  GRand *rand = g_rand_new_with_seed (SEED);
  guint64 n_frames = 0, n_damaged = 0;
  guint round, n_rounds = test_scale (N_MUTATIONS);

  for (round = 0; round < n_rounds; round++)
    {
      const FuzzInput *input = pick_input (rand, inputs);
      FuzzWireCounts counts;
      guint i;

      g_byte_array_set_size (bytes, 0);
      g_byte_array_append (bytes, input->data, input->size);
      for (i = g_rand_int_range (rand, 1, 9); i > 0 && bytes->len > 0; i--)
        if (g_rand_int_range (rand, 0, 4) > 0)
          mutate_place (rand, bytes);
        else
          mutate_length (rand, bytes, pick_input (rand, inputs));
      fuzz_wire_run (bytes->data, bytes->len, &counts);
      n_frames += counts.n_results + counts.n_failures;
      n_damaged += counts.n_bad_values + counts.has_error;
    }
  g_rand_free (rand);
  g_test_message ("%u inputs: %" G_GUINT64_FORMAT " good frames, %" G_GUINT64_FORMAT " damages",
                  n_rounds, n_frames, n_damaged);
  /* Else the mutations are too wild or too tame to find anything. */
  g_assert_cmpuint (n_frames, >, n_rounds / 10);
  g_assert_cmpuint (n_damaged, >, n_rounds / 10);
}

int
main (int argc, char *argv[])
{
  static const guint8 nothing[sizeof (FuzzWirePrologue)];
  FuzzWireCounts counts;

  g_test_init (&argc, &argv, NULL);
  /* It maps its ring once, and keeps it. */
  fuzz_wire_run (nothing, sizeof nothing, &counts);

  test_add ("/fuzz/wire/corpus", test_corpus);
  test_add ("/fuzz/wire/mutations", test_mutations);

  return g_test_run ();
}
