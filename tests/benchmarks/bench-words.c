/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* W5: counting words: 2,000 lines of 1 KB, a dictionary for each, and all put together in the end. */

#include "config.h"

#include "bench-floor.h"
#include "bench-peers.h"
#include "bench-util.h"

#include <shmem-glib/shmem-glib.h>

#define LINE_LENGTH 1000
#define N_WORDS 4000 /* that there are */
#define MAX_WORD 16
#define MAX_PACKED (LINE_LENGTH * 8)

typedef struct
{
  GPtrArray *lines;
  GHashTable *counts; /* of all, in the caller */
  GMutex lock;        /* of the counts, for threads */
  guint64 n_words;    /* that there are in all lines */
} Words;

static GHashTable *
new_counts (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

static void
add_count (GHashTable *counts, const char *word, guint32 increment)
{
  guint32 count = GPOINTER_TO_UINT (g_hash_table_lookup (counts, word));

  /* a word that is there already keeps its key, and this one is freed */
  g_hash_table_insert (counts, g_strdup (word), GUINT_TO_POINTER (count + increment));
}

static GHashTable *
count_line (const char *line)
{
  GHashTable *counts = new_counts ();
  char word[MAX_WORD];
  gsize length = 0;

  for (const char *here = line;; here++)
    {
      if (g_ascii_isalpha (*here))
        {
          g_assert_cmpuint (length, <, MAX_WORD - 1);
          word[length++] = *here;
          continue;
        }
      word[length] = '\0';
      if (length > 0)
        add_count (counts, word, 1);
      length = 0;
      if (*here == '\0')
        return counts;
    }
}

/* A line of text as packed bytes: of each word its letters with a 0, and its count. */
static gsize
pack_line (const char *line, guint8 *packed)
{
  g_autoptr (GHashTable) counts = count_line (line);
  GHashTableIter iter;
  gpointer word, value;
  guint8 *here = packed;

  g_hash_table_iter_init (&iter, counts);
  while (g_hash_table_iter_next (&iter, &word, &value))
    {
      gsize length = strlen (word) + 1;
      guint32 count = GPOINTER_TO_UINT (value);

      memcpy (here, word, length);
      memcpy (here + length, &count, sizeof (count));
      here += length + sizeof (count);
    }
  return (gsize) (here - packed);
}

static void
add_packed (GHashTable *counts, const guint8 *packed, gsize size)
{
  const guint8 *end = packed + size;

  while (packed < end)
    {
      const char *word = (const char *) packed;
      guint32 count;

      packed += strlen (word) + 1;
      memcpy (&count, packed, sizeof (count));
      packed += sizeof (count);
      add_count (counts, word, count);
    }
}

/* The library */

static GVariant *
map_to_dictionary (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const Words *self = user_data;
  g_autoptr (GHashTable) counts = count_line (g_ptr_array_index (self->lines, index));
  GVariantBuilder builder;
  GHashTableIter iter;
  gpointer word, count;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{su}"));
  g_hash_table_iter_init (&iter, counts);
  while (g_hash_table_iter_next (&iter, &word, &count))
    g_variant_builder_add (&builder, "{su}", word, GPOINTER_TO_UINT (count));
  return g_variant_builder_end (&builder);
}

static GVariant *
reduce_dictionary (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  const Words *self = user_data;
  GVariantIter iter;
  const char *word;
  guint32 count;

  g_variant_iter_init (&iter, result);
  while (g_variant_iter_next (&iter, "{&su}", &word, &count))
    add_count (self->counts, word, count);
  return NULL;
}

static GVariant *
map_to_packed (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  const Words *self = user_data;
  guint8 packed[MAX_PACKED];
  gsize size = pack_line (g_ptr_array_index (self->lines, index), packed);

  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, packed, size, 1);
}

static GVariant *
reduce_packed (
    ShmMapReduce *pool, guint64 index, GVariant *result, gpointer user_data, GError **error)
{
  const Words *self = user_data;

  add_packed (self->counts, g_variant_get_data (result), g_variant_get_size (result));
  return NULL;
}

static void
run_map (Words *self, ShmMapFunc func, ShmReduceFunc reduce)
{
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (GPtrArray) results = NULL;
  g_autoptr (GError) error = NULL;

  shm_map_reduce_set_n_workers (pool, BENCH_N_WORKERS);
  results = shm_map_reduce_map (pool, self->lines->len, NULL, func, reduce, self, &error);
  g_assert_no_error (error);
}

static void
run_dictionaries (gpointer data)
{
  run_map (data, map_to_dictionary, reduce_dictionary);
}

static void
run_packed (gpointer data)
{
  run_map (data, map_to_packed, reduce_packed);
}

/* The others */

static void
write_packed (FloorPipe *pipe, guint64 index, gpointer data)
{
  const Words *self = data;
  guint8 packed[MAX_PACKED];
  gsize size = pack_line (g_ptr_array_index (self->lines, index), packed);

  floor_write (pipe, index, packed, size);
}

static void
take_packed (guint64 index, const guint8 *bytes, gsize size, gpointer data)
{
  const Words *self = data;

  add_packed (self->counts, bytes, size);
}

static void
run_floor (gpointer data)
{
  const Words *self = data;

  floor_map (self->lines->len, 1, MAX_PACKED, write_packed, take_packed, data);
}

static void
count_and_add (guint64 index, gpointer data)
{
  Words *self = data;
  g_autoptr (GHashTable) counts = count_line (g_ptr_array_index (self->lines, index));
  GHashTableIter iter;
  gpointer word, count;

  g_mutex_lock (&self->lock);
  g_hash_table_iter_init (&iter, counts);
  while (g_hash_table_iter_next (&iter, &word, &count))
    add_count (self->counts, word, GPOINTER_TO_UINT (count));
  g_mutex_unlock (&self->lock);
}

static void
run_openmp (gpointer data)
{
  const Words *self = data;

  peer_openmp (self->lines->len, 1, count_and_add, data);
}

static void
run_tbb (gpointer data)
{
  const Words *self = data;

  peer_tbb (self->lines->len, 1, count_and_add, data);
}

static void
run_g_thread_pool (gpointer data)
{
  const Words *self = data;

  peer_g_thread_pool (self->lines->len, 1, count_and_add, data);
}

static void
run_serial (gpointer data)
{
  const Words *self = data;

  for (guint i = 0; i < self->lines->len; i++)
    count_and_add (i, data);
}

static void
prepare (gpointer data)
{
  Words *self = data;

  self->counts = new_counts ();
}

static void
prepare_openmp (gpointer data)
{
  prepare (data);
  peer_warm_openmp (data);
}

static void
prepare_tbb (gpointer data)
{
  prepare (data);
  peer_warm_tbb (data);
}

static void
prepare_g_thread_pool (gpointer data)
{
  prepare (data);
  peer_warm_g_thread_pool (data);
}

static void
check (gpointer data)
{
  Words *self = data;
  GHashTableIter iter;
  gpointer count;
  guint64 n_words = 0;

  g_hash_table_iter_init (&iter, self->counts);
  while (g_hash_table_iter_next (&iter, NULL, &count))
    n_words += GPOINTER_TO_UINT (count);
  g_assert_cmpuint (n_words, ==, self->n_words);
  g_clear_pointer (&self->counts, g_hash_table_unref);
}

/* Some words are more frequent than others, as in every language. */
static char *
make_line (GRand *random, guint64 *n_words)
{
  GString *line = g_string_new (NULL);

  while (line->len < LINE_LENGTH)
    {
      double x = g_rand_double (random);
      guint word = (guint) (x * x * x * N_WORDS);

      for (guint length = 2 + word % 8; length > 0; length--, word = word * 7 + 3)
        g_string_append_c (line, (char) ('a' + word % 26));
      g_string_append_c (line, ' ');
      (*n_words)++;
    }
  return g_string_free (line, FALSE);
}

int
main (int argc, char *argv[])
{
  static const BenchContestant contestants[] = {
    { "shm_map_reduce_map, packed bytes", BENCH_ROLE_OURS, run_packed, prepare, check },
    { "shm_map_reduce_map, a{su}", BENCH_ROLE_OURS, run_dictionaries, prepare, check },
    { "floor: fork, claims, packed bytes in a pipe", BENCH_ROLE_FLOOR, run_floor, prepare, check },
    { "OpenMP", BENCH_ROLE_PEER, run_openmp, prepare_openmp, check, BENCH_NEEDS_OPENMP, TRUE },
    { "oneTBB", BENCH_ROLE_PEER, run_tbb, prepare_tbb, check, BENCH_NEEDS_TBB, TRUE },
    { "GThreadPool", BENCH_ROLE_PEER, run_g_thread_pool, prepare_g_thread_pool, check,
      BENCH_NEEDS_NOTHING, TRUE },
    { "loop", BENCH_ROLE_SERIAL, run_serial, prepare, check },
  };
  const BenchCase bench_case = {
    "W5", "Counting words in 2,000 lines of 1 KB", "ms", 1e3, FALSE, 11
  };
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GRand) random = g_rand_new_with_seed (5);
  Words self = { .lines = lines };

  bench_init (&argc, &argv, "Counting words (W5).");
  for (guint64 i = 0; i < bench_size (2000, 20); i++)
    g_ptr_array_add (lines, make_line (random, &self.n_words));
  bench_compete (&bench_case, contestants, G_N_ELEMENTS (contestants), &self);
  return 0;
}
