/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Errors in other languages, from the translations of the build folder. The system need not have these locales: they are
 * made here, as other names of the one that any system has.
 */

#include "config.h"

#include "test-util.h"

#include <glib/gstdio.h>
#include <libintl.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

#define BAD_ITEM 3

typedef struct
{
  const char *locale;
  const char *message;   /* of a plain error */
  const char *swapped;   /* of one whose numbers may stand in another order */
  const char *one, *two; /* of one with a plural */
  const char *death;     /* of a worker, put together of two; a pattern */
} Language;

static const Language languages[] = {
  { "de_DE.UTF-8", "Die Schrittweite eines Ausschnitts kann nicht 0 sein",
    "Werte des Typs i8 können nicht unter Elementen des Typs f8 gesucht werden",
    "Es gibt keine Achse 7 in einem Array mit 1 Dimension",
    "Es gibt keine Achse 7 in einem Array mit 2 Dimensionen",
    "Element 3 auf Worker ? (Prozess *): der Worker wurde durch das Signal 9 (*) beendet" },
  { "es_ES.UTF-8", "El paso de un segmento no puede ser 0",
    "No se pueden buscar valores de tipo i8 entre elementos de tipo f8",
    "No hay ningún eje 7 en un array de 1 dimensión",
    "No hay ningún eje 7 en un array de 2 dimensiones",
    "Elemento 3 en el trabajador ? (proceso *): el trabajador fue terminado por la señal 9 (*)" },
  { "fr_FR.UTF-8", "Le pas d’une tranche ne peut pas être 0",
    "Impossible de chercher des valeurs de type i8 parmi des éléments de type f8",
    "Il n’y a pas d’axe 7 dans un tableau à 1 dimension",
    "Il n’y a pas d’axe 7 dans un tableau à 2 dimensions",
    "Élément 3 sur le worker ? (processus *)\302\240: le worker a été tué par le signal 9 (*)" },
  { "ja_JP.UTF-8", "スライスのステップを 0 にすることはできません",
    "型 f8 の要素の中から型 i8 の値を検索することはできません", "1 次元の配列に軸 7 はありません",
    "2 次元の配列に軸 7 はありません",
    "項目 3 (ワーカー ?、プロセス *): ワーカーがシグナル 9 (*) で強制終了しました" },
  { "pt_BR.UTF-8", "O passo de uma fatia não pode ser 0",
    "Não é possível buscar valores do tipo i8 entre elementos do tipo f8",
    "Não há eixo 7 em um array de 1 dimensão", "Não há eixo 7 em um array de 2 dimensões",
    "Item 3 no worker ? (processo *): o worker foi terminado pelo sinal 9 (*)" },
  { "zh_CN.UTF-8", "切片的步长不能为 0", "无法在类型为 f8 的元素中查找类型为 i8 的值",
    "1 维数组中没有轴 7", "2 维数组中没有轴 7",
    "项 3（工作者 ?，进程 *）：工作者被信号 9 (*) 终止" },
};

static const Language english = {
  "eo.UTF-8",
  "The step of a slice cannot be 0",
  "Values of type i8 cannot be searched for among items of type f8",
  "There is no axis 7 in an array of 1 dimension",
  "There is no axis 7 in an array of 2 dimensions",
  "Item 3 on worker ? (process *): the worker was killed by signal 9 (*)",
};

static char *locale_folder;
static char *missing_locale;

static GVariant *
map_dying (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
{
  if (index == BAD_ITEM)
    kill (getpid (), SIGKILL);
  return NULL;
}

static void
check_messages (const Language *expected)
{
  const gsize shape[] = { 2, 2 };
  g_autoptr (ShmArray) line = test_new_array (SHM_DTYPE_F8, 1, shape);
  g_autoptr (ShmArray) plane = test_new_array (SHM_DTYPE_F8, 2, shape);
  g_autoptr (ShmArray) integers = test_new_array (SHM_DTYPE_I8, 1, shape);
  g_autoptr (ShmMapReduce) pool = test_pool (2, SHM_BACKEND_TYPE_PROCESS);
  GError *error = NULL;

  g_assert_null (shm_array_slice (line, 0, 0, 2, 0, &error));
  g_assert_cmpstr (error->message, ==, expected->message);
  g_clear_error (&error);

  g_assert_null (
      shm_map_reduce_searchsorted (pool, line, integers, SHM_SEARCH_SIDE_LEFT, NULL, &error));
  g_assert_cmpstr (error->message, ==, expected->swapped);
  g_clear_error (&error);

  g_assert_null (shm_array_index (line, 7, 0, &error));
  g_assert_cmpstr (error->message, ==, expected->one);
  g_clear_error (&error);
  g_assert_null (shm_array_index (plane, 7, 0, &error));
  g_assert_cmpstr (error->message, ==, expected->two);
  g_clear_error (&error);

  g_assert_null (shm_map_reduce_map (pool, BAD_ITEM + 1, NULL, map_dying, NULL, NULL, &error));
  g_assert_error (error, SHM_ERROR, SHM_ERROR_WORKER_SIGNAL);
  if (!g_pattern_match_simple (expected->death, error->message))
    g_test_fail_printf ("“%s” is not like “%s”", error->message, expected->death);
  g_clear_error (&error);
}

/* A language for the locale, or another one that goes before it. */
static gboolean
enter_locale (const char *locale, const char *language)
{
  if (language != NULL)
    g_setenv ("LANGUAGE", language, TRUE);
  else
    g_unsetenv ("LANGUAGE");
  if (missing_locale == NULL && setlocale (LC_ALL, locale) != NULL)
    return TRUE;
  g_test_skip_printf ("there is no locale %s: %s", locale,
                      missing_locale != NULL ? missing_locale : "setlocale() refused it");
  return FALSE;
}

static void
leave_locale (void)
{
  g_unsetenv ("LANGUAGE");
  setlocale (LC_ALL, "C");
}

static void
test_language (gconstpointer data)
{
  const Language *language = data;

  if (!enter_locale (language->locale, NULL))
    return;
  check_messages (language);
  leave_locale ();
}

/* The first of the user's languages that there is, whatever the locale. */
static void
test_preference (void)
{
  if (!enter_locale ("de_DE.UTF-8", "eo:ja:fr"))
    return;
  check_messages (&languages[3]);
  leave_locale ();
}

/* Between two messages: nothing is kept of the language before. */
static void
test_change (void)
{
  if (!enter_locale ("pt_BR.UTF-8", NULL))
    return;
  check_messages (&languages[4]);
  leave_locale ();
  check_messages (&english);
}

/* What makes a locale of this name; NULL, or why there can be none. */
static char *
make_locale (const char *name)
{
  static const char *const everywhere[] = { "/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8",
                                            "/usr/lib64/locale/C.utf8" };
  g_autofree char *path = g_build_filename (locale_folder, name, NULL);
  g_autofree char *language = g_strndup (name, strcspn (name, "."));
  const char *localedef[] = { "localedef", "--no-archive", "-c", "-f", "UTF-8",
                              "-i",        language,       path, NULL };
  g_autofree char *output = NULL;
  g_autofree char *errors = NULL;
  GError *error = NULL;
  char *reason;

  for (gsize i = 0; i < G_N_ELEMENTS (everywhere); i++)
    if (g_file_test (everywhere[i], G_FILE_TEST_IS_DIR) && symlink (everywhere[i], path) == 0)
      return NULL;

  /* It also fails where it has only warned; what counts is whether there is a locale. */
  if (g_spawn_sync (NULL, (char **) localedef, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output,
                    &errors, NULL, &error) &&
      g_file_test (path, G_FILE_TEST_IS_DIR))
    return NULL;
  reason = g_strdup_printf ("no C.UTF-8 among the locales, and %s",
                            error != NULL ? error->message : "localedef makes none");
  g_clear_error (&error);
  return reason;
}

static void
make_locales (void)
{
  GError *error = NULL;

  locale_folder = g_dir_make_tmp ("shmem-glib-XXXXXX", &error);
  g_assert_no_error (error);
  g_setenv ("LOCPATH", locale_folder, TRUE);
  /* Other C libraries take any name for a locale. */
#ifdef __GLIBC__
  for (gsize i = 0; i < G_N_ELEMENTS (languages) && missing_locale == NULL; i++)
    missing_locale = make_locale (languages[i].locale);
  if (missing_locale == NULL)
    missing_locale = make_locale (english.locale);
#endif
}

static void
remove_folder (const char *path)
{
  GDir *folder = g_dir_open (path, 0, NULL);
  const char *name;

  while (folder != NULL && (name = g_dir_read_name (folder)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      if (g_unlink (child) != 0)
        remove_folder (child);
    }
  g_clear_pointer (&folder, g_dir_close);
  g_rmdir (path);
}

int
main (int argc, char **argv)
{
  g_autofree char *translations = NULL;
  int result;

  g_test_init (&argc, &argv, NULL);
  /* As an application would that carries the library: the translations are not where they are to be installed. */
  translations = g_test_build_filename (G_TEST_BUILT, "..", "po", NULL);
  bindtextdomain (GETTEXT_PACKAGE, translations);
  make_locales ();

  for (gsize i = 0; i < G_N_ELEMENTS (languages); i++)
    {
      g_autofree char *path = g_strdup_printf ("/translations/%s", languages[i].locale);

      test_add_data (path, &languages[i], test_language);
    }
  test_add_data ("/translations/none", &english, test_language);
  test_add ("/translations/preference", test_preference);
  test_add ("/translations/change", test_change);
  result = g_test_run ();

  remove_folder (locale_folder);
  g_free (locale_folder);
  g_free (missing_locale);
  return result;
}
