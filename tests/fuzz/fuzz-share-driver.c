/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Runs a target with no fuzzer: on each file of its corpus, then on mutations of them, which are the
 * same each time.
 */

#include "config.h"

#include "../test-util.h"

#include <string.h>

#include "fuzz-corpus.h"
#include "fuzz-share.h"

#define N_MUTATIONS 100000
#define SEED 20240506
#define LONGEST_INPUT 2048

static GArray *
read_corpus (void)
{
  g_autofree char *name = g_strconcat ("corpus-", fuzz_target_name, NULL);

  return fuzz_corpus_read (name);
}

/* The name of a file says what must come of it. */
static void
test_corpus (void)
{
  g_autoptr (GArray) inputs = read_corpus ();

  for (guint i = 0; i < inputs->len; i++)
    {
      const FuzzInput *input = &g_array_index (inputs, FuzzInput, i);
      gboolean accepted = fuzz_target_run (input->data, input->size);

      /* The files have the byte order of most. */
      if (G_BYTE_ORDER == G_LITTLE_ENDIAN && accepted != g_str_has_prefix (input->name, "good-"))
        g_error ("%s was %s", input->name, accepted ? "accepted" : "refused");
    }
}

static guint8
mutate_byte (GRand *rand, guint8 byte)
{
  switch (g_rand_int_range (rand, 0, 4))
    {
    case 0:
      return (guint8) g_rand_int (rand);
    case 1:
      return byte ^ (guint8) (1 << g_rand_int_range (rand, 0, 8));
    case 2:
      return 0;
    default:
      return (guint8) (byte + g_rand_int_range (rand, -2, 3));
    }
}

static void
insert (GByteArray *bytes, guint at, const char *token)
{
  guint length = (guint) strlen (token);
  guint n_after = bytes->len - at;

  g_byte_array_set_size (bytes, bytes->len + length);
  memmove (bytes->data + at + length, bytes->data + at, n_after);
  memcpy (bytes->data + at, token, length);
}

static void
mutate (GRand *rand, GByteArray *bytes)
{
  guint at = (guint) g_rand_int_range (rand, 0, (gint32) bytes->len);
  guint n_tokens = g_strv_length ((char **) fuzz_target_tokens);
  const char *token = fuzz_target_tokens[g_rand_int_range (rand, 0, (gint32) n_tokens)];

  switch (g_rand_int_range (rand, 0, 8))
    {
    case 0:
      g_byte_array_set_size (bytes, at);
      break;
    case 1:
      g_byte_array_remove_range (bytes, at, MIN (8, bytes->len - at));
      break;
    case 2:
      insert (bytes, at, token);
      break;
    case 3:
      memcpy (bytes->data + at, token, MIN (strlen (token), bytes->len - at));
      break;
    default:
      bytes->data[at] = mutate_byte (rand, bytes->data[at]);
    }
}

static void
test_mutations (void)
{
  g_autoptr (GArray) inputs = read_corpus ();
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (GRand) rand = g_rand_new_with_seed (SEED);
  guint n_rounds = test_scale (N_MUTATIONS);
  guint n_accepted = 0;

  for (guint round = 0; round < n_rounds; round++)
    {
      gint32 which = g_rand_int_range (rand, 0, (gint32) inputs->len);
      const FuzzInput *input = &g_array_index (inputs, FuzzInput, which);

      g_byte_array_set_size (bytes, 0);
      g_byte_array_append (bytes, input->data, (guint) input->size);
      for (gint32 i = g_rand_int_range (rand, 1, 4); i > 0; i--)
        if (bytes->len > 0 && bytes->len < LONGEST_INPUT)
          mutate (rand, bytes);
      if (round % 2 == 0)
        fuzz_target_repair (bytes->data, bytes->len);
      n_accepted += fuzz_target_run (bytes->data, bytes->len) ? 1 : 0;
    }
  g_test_message ("%u inputs, %u accepted", n_rounds, n_accepted);
  /* Else the mutations are too wild or too tame to find anything. */
  g_assert_cmpuint (n_accepted, >, n_rounds / 500);
  g_assert_cmpuint (n_accepted, <, n_rounds / 2);
}

int
main (int argc, char *argv[])
{
  g_autofree char *corpus_path = NULL;
  g_autofree char *mutations_path = NULL;

  g_test_init (&argc, &argv, NULL);
  /* It keeps what it needs. */
  fuzz_target_run (NULL, 0);

  corpus_path = g_strdup_printf ("/fuzz/%s/corpus", fuzz_target_name);
  mutations_path = g_strdup_printf ("/fuzz/%s/mutations", fuzz_target_name);
  test_add (corpus_path, test_corpus);
  test_add (mutations_path, test_mutations);

  return g_test_run ();
}
