/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <glib/gstdio.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shmem-glib/shm-trace-private.h"

/* A strict reader of JSON. What it makes of it: a{sv}, av, s and b; a number is its own text in a
 * tuple, so that its digits can be looked at, and null is the empty tuple.
 */

static GVariant *json_read_value (const char **at);

static void
json_skip_space (const char **at)
{
  *at += strspn (*at, " \t\r\n");
}

static gboolean
json_take (const char **at, const char *token)
{
  if (!g_str_has_prefix (*at, token))
    return FALSE;
  *at += strlen (token);
  return TRUE;
}

static void
json_expect (const char **at, const char *token)
{
  if (!json_take (at, token))
    g_error ("%s expected, not: %.60s", token, *at);
}

static gunichar
json_read_hex (const char **at)
{
  gunichar c = 0;
  guint i;

  for (i = 0; i < 4; i++)
    {
      gint digit = g_ascii_xdigit_value (*(*at)++);

      g_assert_cmpint (digit, >=, 0);
      c = c * 16 + digit;
    }
  g_assert_false (c >= 0xd800 && c < 0xe000);
  return c;
}

static char *
json_read_string (const char **at)
{
  static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  GString *text = g_string_new (NULL);

  json_expect (at, "\"");
  while (**at != '"')
    {
      char c = *(*at)++;
      const char *escape;

      g_assert_cmpuint ((guchar) c, >=, 0x20);
      if (c != '\\')
        g_string_append_c (text, c);
      else if (json_take (at, "u"))
        g_string_append_unichar (text, json_read_hex (at));
      else
        {
          escape = **at != '\0' ? strchr (escapes, *(*at)++) : NULL;
          g_assert_nonnull (escape);
          g_string_append_c (text, meanings[escape - escapes]);
        }
    }
  (*at)++;
  g_assert_true (g_utf8_validate (text->str, text->len, NULL));
  return g_string_free (text, FALSE);
}

static GVariant *
json_read_number (const char **at)
{
  static GRegex *regex;
  g_autoptr (GMatchInfo) match = NULL;
  g_autofree char *number = NULL;

  if (regex == NULL)
    regex =
        g_regex_new ("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?", G_REGEX_ANCHORED, 0, NULL);
  if (!g_regex_match (regex, *at, 0, &match))
    g_error ("a value expected, not: %.60s", *at);
  number = g_match_info_fetch (match, 0);
  *at += strlen (number);
  return g_variant_new ("(s)", number);
}

/* With its keys as they came, and none of them twice. */
static GVariant *
json_read_object (const char **at)
{
  g_autoptr (GHashTable) keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  json_expect (at, "{");
  json_skip_space (at);
  if (json_take (at, "}"))
    return g_variant_builder_end (&builder);
  do
    {
      char *key;

      json_skip_space (at);
      key = json_read_string (at);
      g_assert_true (g_hash_table_add (keys, key));
      json_skip_space (at);
      json_expect (at, ":");
      g_variant_builder_add (&builder, "{sv}", key, json_read_value (at));
    }
  while (json_take (at, ","));
  json_expect (at, "}");
  return g_variant_builder_end (&builder);
}

static GVariant *
json_read_array (const char **at)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("av"));
  json_expect (at, "[");
  json_skip_space (at);
  if (json_take (at, "]"))
    return g_variant_builder_end (&builder);
  do
    g_variant_builder_add (&builder, "v", json_read_value (at));
  while (json_take (at, ","));
  json_expect (at, "]");
  return g_variant_builder_end (&builder);
}

/* And the space around it. */
static GVariant *
json_read_value (const char **at)
{
  GVariant *value;

  json_skip_space (at);
  if (**at == '{')
    value = json_read_object (at);
  else if (**at == '[')
    value = json_read_array (at);
  else if (**at == '"')
    value = g_variant_new_take_string (json_read_string (at));
  else if (json_take (at, "true"))
    value = g_variant_new_boolean (TRUE);
  else if (json_take (at, "false"))
    value = g_variant_new_boolean (FALSE);
  else if (json_take (at, "null"))
    value = g_variant_new ("()");
  else
    value = json_read_number (at);
  json_skip_space (at);
  return value;
}

static GVariant *
json_parse (const char *text)
{
  GVariant *value = g_variant_ref_sink (json_read_value (&text));

  g_assert_cmpstr (text, ==, "");
  return value;
}

/* A folder of its own for each test, in which nothing may be left but the file. */
typedef struct
{
  char *dir;
  char *path;
  GFile *file;
} Place;

static void
place_init (Place *place)
{
  g_autoptr (GError) error = NULL;

  place->dir = g_dir_make_tmp ("test-trace-XXXXXX", &error);
  g_assert_no_error (error);
  place->path = g_build_filename (place->dir, "trace.json", NULL);
  place->file = g_file_new_for_path (place->path);
}

static void
place_clear (Place *place)
{
  g_unlink (place->path);
  g_assert_cmpint (g_rmdir (place->dir), ==, 0);
  g_object_unref (place->file);
  g_free (place->path);
  g_free (place->dir);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Place, place_clear)

static char *
place_get_text (Place *place)
{
  g_autoptr (GError) error = NULL;
  char *text;

  g_file_get_contents (place->path, &text, NULL, &error);
  g_assert_no_error (error);
  return text;
}

static void
place_write (Place *place, const ShmTrace *trace)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (shm_trace_write (trace, place->file, NULL, &error));
  g_assert_no_error (error);
}

/* The events of the file, which is checked as a whole. */
static GVariant *
place_get_events (Place *place)
{
  g_autofree char *text = place_get_text (place);
  g_autoptr (GVariant) root = json_parse (text);
  const char *unit;

  g_assert_cmpuint (g_variant_n_children (root), ==, 2);
  g_assert_true (g_variant_lookup (root, "displayTimeUnit", "&s", &unit));
  g_assert_cmpstr (unit, ==, "ms");
  return g_variant_lookup_value (root, "traceEvents", G_VARIANT_TYPE ("av"));
}

static void G_GNUC_PRINTF (3, 4)
    assert_event (GVariant *events, gsize i, const char *expected_format, ...)
{
  g_autoptr (GVariant) boxed = g_variant_get_child_value (events, i);
  g_autoptr (GVariant) event = g_variant_get_variant (boxed);
  g_autoptr (GVariant) expected = NULL;
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, expected_format);
  text = g_strdup_vprintf (expected_format, args);
  va_end (args);
  expected = json_parse (text);
  g_assert_cmpvariant (event, expected);
}

static void
assert_process (GVariant *events, const char *name)
{
  assert_event (events, 0,
                "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%d,\"tid\":0,"
                "\"args\":{\"name\":\"%s\"}}",
                getpid (), name);
}

static void
test_empty (void)
{
  g_autoptr (ShmTrace) trace = shm_trace_new ();
  g_autoptr (GVariant) events = NULL;
  g_auto (Place) place;

  place_init (&place);
  g_assert_cmpuint (shm_trace_get_n_events (trace), ==, 0);
  place_write (&place, trace);
  events = place_get_events (&place);
  g_assert_cmpuint (g_variant_n_children (events), ==, 1);
  assert_process (events, g_get_prgname ());
}

static ShmTrace *
new_trace (void)
{
  static const ShmTraceEvent events[] = {
    { .begin = 5, .end = 6, .started = 5000001234, .ended = 5000002000, .rank = 1, .pid = 71 },
    /* the first to begin is the last to end */
    { .begin = 1, .end = 4, .started = 5000000000, .ended = 7123456789, .rank = 0, .pid = 70 },
    { .begin = 6, .end = 7, .started = 5000003000, .ended = 5000004000, .rank = 1, .died = TRUE },
    { .started = 5000005000, .ended = 5000004000, .rank = 4000, .pid = 72, .died = TRUE },
    { .begin = G_MAXUINT64 - 1, .end = G_MAXUINT64, .started = 5000005000, .ended = 5000005001 },
  };
  ShmTrace *trace = shm_trace_new ();
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (events); i++)
    shm_trace_add (trace, &events[i]);
  g_assert_cmpuint (shm_trace_get_n_events (trace), ==, G_N_ELEMENTS (events));
  return trace;
}

static void
assert_rank (GVariant *events, gsize i, guint rank)
{
  assert_event (events, i,
                "{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":%d,\"tid\":%u,"
                "\"args\":{\"name\":\"rank %u\"}}",
                getpid (), rank, rank);
  assert_event (events, i + 1,
                "{\"name\":\"thread_sort_index\",\"ph\":\"M\",\"pid\":%d,\"tid\":%u,"
                "\"args\":{\"sort_index\":%u}}",
                getpid (), rank, rank);
}

static void
test_fields (void)
{
  g_autoptr (ShmTrace) trace = new_trace ();
  g_autoptr (GVariant) events = NULL;
  g_auto (Place) place;

  place_init (&place);
  place_write (&place, trace);
  events = place_get_events (&place);
  g_assert_cmpuint (g_variant_n_children (events), ==, 12);
  assert_process (events, g_get_prgname ());
  assert_rank (events, 1, 1);
  assert_event (events, 3,
                "{\"name\":\"item 5\",\"cat\":\"work\",\"ph\":\"X\",\"pid\":%d,\"tid\":1,"
                "\"ts\":1.234,\"dur\":0.766,"
                "\"args\":{\"index\":5,\"count\":1,\"worker_pid\":71}}",
                getpid ());
  assert_rank (events, 4, 0);
  assert_event (events, 6,
                "{\"name\":\"items 1 to 3\",\"cat\":\"work\",\"ph\":\"X\",\"pid\":%d,\"tid\":0,"
                "\"ts\":0.000,\"dur\":2123456.789,"
                "\"args\":{\"index\":1,\"count\":3,\"worker_pid\":70}}",
                getpid ());
  assert_event (events, 7,
                "{\"name\":\"item 6\",\"cat\":\"death\",\"ph\":\"X\",\"pid\":%d,\"tid\":1,"
                "\"ts\":3.000,\"dur\":1.000,\"cname\":\"terrible\","
                "\"args\":{\"died\":true,\"index\":6,\"count\":1,\"worker_pid\":0}}",
                getpid ());
  assert_rank (events, 8, 4000);
  assert_event (events, 10,
                "{\"name\":\"no item\",\"cat\":\"death\",\"ph\":\"X\",\"pid\":%d,\"tid\":4000,"
                "\"ts\":5.000,\"dur\":0.000,\"cname\":\"terrible\","
                "\"args\":{\"died\":true,\"count\":0,\"worker_pid\":72}}",
                getpid ());
  assert_event (events, 11,
                "{\"name\":\"item 18446744073709551614\",\"cat\":\"work\",\"ph\":\"X\","
                "\"pid\":%d,\"tid\":0,\"ts\":5.000,\"dur\":0.001,"
                "\"args\":{\"index\":18446744073709551614,\"count\":1,\"worker_pid\":0}}",
                getpid ());
}

static void
test_program_names (void)
{
  static const struct
  {
    const char *name;
    const char *expected;
  } names[] = {
    { "a \"b\" \\c", "a \\\"b\\\" \\\\c" },
    { "Größe/大きさ", "Größe/大きさ" },
    { "\001\t\n\r\033\177", "\\u0001\\t\\n\\r\\u001b\177" },
    { "latin-\xe9-1", "latin-\xef\xbf\xbd-1" },
    { "", "" },
  };
  g_autoptr (ShmTrace) trace = shm_trace_new ();
  g_autofree char *own = g_strdup (g_get_prgname ());
  g_auto (Place) place;
  gsize i;

  place_init (&place);
  for (i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (GVariant) events = NULL;

      g_set_prgname (names[i].name);
      place_write (&place, trace);
      events = place_get_events (&place);
      assert_process (events, names[i].expected);
    }
  g_set_prgname (own);
}

/* Where numbers have a decimal comma. */
static void
test_locale (void)
{
  g_autoptr (ShmTrace) trace = new_trace ();
  g_autofree char *text = NULL, *other = NULL;
  g_autofree char *locale = g_strdup (setlocale (LC_NUMERIC, NULL));
  g_auto (Place) place;

  place_init (&place);
  place_write (&place, trace);
  text = place_get_text (&place);
  if (setlocale (LC_NUMERIC, "de_DE.UTF-8") == NULL &&
      setlocale (LC_NUMERIC, "fr_FR.UTF-8") == NULL)
    {
      g_test_skip ("no such locale");
      return;
    }
  place_write (&place, trace);
  setlocale (LC_NUMERIC, locale);
  other = place_get_text (&place);
  g_assert_cmpstr (other, ==, text);
}

/* In kibibytes; 0 if the kernel does not tell. */
static guint64
get_peak_memory (void)
{
  g_autofree char *status = NULL;
  const char *line;

  g_assert_true (g_file_get_contents ("/proc/self/status", &status, NULL, NULL));
  line = strstr (status, "\nVmHWM:");
  return line != NULL ? g_ascii_strtoull (line + strlen ("\nVmHWM:"), NULL, 10) : 0;
}

static gboolean
reset_peak_memory (void)
{
  return g_file_set_contents_full ("/proc/self/clear_refs", "5", 1, G_FILE_SET_CONTENTS_NONE, 0600,
                                   NULL);
}

/* The file is much larger than what it takes to write it. */
static void
test_many (void)
{
  guint n = test_scale (g_test_slow () ? 1000000 : 100000), i;
  g_autoptr (ShmTrace) trace = shm_trace_new ();
  g_autoptr (GFileInputStream) base = NULL;
  g_autoptr (GDataInputStream) stream = NULL;
  g_autoptr (GError) error = NULL;
  guint64 peak;
  gboolean measured;
  g_auto (Place) place;

  place_init (&place);
  for (i = 0; i < n; i++)
    {
      ShmTraceEvent event = { .begin = i, .end = i + 1, .rank = i % 8, .pid = 1000 };

      event.started = i * G_GINT64_CONSTANT (1001);
      event.ended = event.started + 1000;
      shm_trace_add (trace, &event);
    }
  g_assert_cmpuint (shm_trace_get_n_events (trace), ==, n);
  measured = !TEST_SANITIZED && !test_under_valgrind () && reset_peak_memory ();
  peak = get_peak_memory ();
  place_write (&place, trace);
  if (measured)
    g_assert_cmpuint (get_peak_memory (), <, peak + 4096);

  base = g_file_read (place.file, NULL, &error);
  g_assert_no_error (error);
  stream = g_data_input_stream_new (G_INPUT_STREAM (base));
  i = 0;
  for (;;)
    {
      g_autofree char *line = g_data_input_stream_read_line (stream, NULL, NULL, &error);
      g_autoptr (GVariant) event = NULL;
      const char *name;

      g_assert_no_error (error);
      g_assert_nonnull (line);
      if (g_str_has_prefix (line, "]"))
        break;
      if (strstr (line, "\"X\"") == NULL)
        continue;
      if (g_str_has_suffix (line, ","))
        line[strlen (line) - 1] = '\0';
      event = json_parse (line);
      g_assert_true (g_variant_lookup (event, "name", "&s", &name));
      g_assert_cmpuint (g_ascii_strtoull (name + strlen ("item "), NULL, 10), ==, i);
      i++;
    }
  g_assert_cmpuint (i, ==, n);
}

/* What was there is replaced, with its mode as it was. */
static void
test_replace (void)
{
  g_autoptr (ShmTrace) trace = shm_trace_new ();
  g_autoptr (GVariant) events = NULL;
  g_autofree char *old = g_strnfill (100000, 'x');
  GStatBuf status;
  g_auto (Place) place;

  place_init (&place);
  g_assert_true (g_file_set_contents (place.path, old, -1, NULL));
  g_assert_cmpint (g_chmod (place.path, 0640), ==, 0);
  place_write (&place, trace);
  events = place_get_events (&place);
  g_assert_cmpuint (g_variant_n_children (events), ==, 1);
  g_assert_cmpint (g_stat (place.path, &status), ==, 0);
  g_assert_cmpuint (status.st_mode & 0777, ==, 0640);
}

static void
assert_fails (const ShmTrace *trace, const char *path, GCancellable *cancellable, gint code)
{
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GError) error = NULL;

  g_assert_false (shm_trace_write (trace, file, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, code);
  g_assert_true (g_str_has_prefix (error->message, "The trace could not be written: "));
  g_assert_false (shm_trace_write (trace, file, cancellable, NULL));
}

static void
test_unwritable (void)
{
  g_autoptr (ShmTrace) trace = new_trace ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *nowhere = NULL, *through = NULL, *text = NULL;
  g_auto (Place) place;

  place_init (&place);
  nowhere = g_build_filename (place.dir, "nowhere", "trace.json", NULL);
  through = g_build_filename (place.path, "trace.json", NULL);
  assert_fails (trace, nowhere, NULL, G_IO_ERROR_NOT_FOUND);
  assert_fails (trace, place.dir, NULL, G_IO_ERROR_IS_DIRECTORY);
  g_cancellable_cancel (cancellable);
  assert_fails (trace, place.path, cancellable, G_IO_ERROR_CANCELLED);
  g_assert_false (g_file_test (place.path, G_FILE_TEST_EXISTS));

  g_assert_true (g_file_set_contents (place.path, "old", -1, NULL));
  assert_fails (trace, place.path, cancellable, G_IO_ERROR_CANCELLED);
  assert_fails (trace, through, NULL, G_IO_ERROR_NOT_DIRECTORY);
  text = place_get_text (&place);
  g_assert_cmpstr (text, ==, "old");
}

/* As on a full disk, after this many bytes. */
static void
check_full (const ShmTrace *trace, rlim_t room)
{
  struct rlimit limit, old_limit;
  void (*old_handler) (int) = signal (SIGXFSZ, SIG_IGN);
  g_autofree char *text = NULL;
  g_auto (Place) place;

  place_init (&place);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &old_limit), ==, 0);
  limit = old_limit;
  limit.rlim_cur = room;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  assert_fails (trace, place.path, NULL, G_IO_ERROR_FAILED);
  g_assert_false (g_file_test (place.path, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_set_contents (place.path, "old", -1, NULL));
  assert_fails (trace, place.path, NULL, G_IO_ERROR_FAILED);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &old_limit), ==, 0);
  signal (SIGXFSZ, old_handler);
  text = place_get_text (&place);
  g_assert_cmpstr (text, ==, "old");
}

/* In the middle, and with the last bytes. */
static void
test_full (void)
{
  g_autoptr (ShmTrace) trace = new_trace ();
  g_autoptr (ShmTrace) large = shm_trace_new ();
  ShmTraceEvent event = { .end = 1 };
  guint i;

  for (i = 0; i < 5000; i++)
    shm_trace_add (large, &event);
  check_full (trace, 100);
  check_full (large, 100000);
}

int
main (int argc, char *argv[])
{
  /* No other file system than the kernel's, which would bring threads and a bus. */
  g_setenv ("GIO_USE_VFS", "local", TRUE);
  g_setenv ("GIO_MODULE_DIR", "/nonexistent", TRUE);
  g_test_init (&argc, &argv, NULL);

  test_add ("/trace/empty", test_empty);
  test_add ("/trace/fields", test_fields);
  test_add ("/trace/program-names", test_program_names);
  test_add ("/trace/locale", test_locale);
  test_add ("/trace/many", test_many);
  test_add ("/trace/replace", test_replace);
  test_add ("/trace/unwritable", test_unwritable);
  test_add ("/trace/full", test_full);

  return g_test_run ();
}
