/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-util.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shmem-glib/shm-thread-limit-private.h"

/* In a child an assertion would abort with a core, and say nothing of where it was. */
#define CHECK(condition)                                                                           \
  G_STMT_START                                                                                     \
  {                                                                                                \
    if (!(condition))                                                                              \
      {                                                                                            \
        g_printerr ("%s: %s\n", G_STRLOC, #condition);                                             \
        return FALSE;                                                                              \
      }                                                                                            \
  }                                                                                                \
  G_STMT_END

typedef gboolean (*ChildFunc) (gpointer data);

static const char *const variables[] = {
  "OMP_NUM_THREADS",  "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
  "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",  "VECLIB_MAXIMUM_THREADS",
};

/* The libraries, and what each calls its getter. */
static const struct
{
  const char *name;
  const char *get;
} fakes[] = {
  { "openblas", "openblas_get_num_threads64_" },
  { "scipy_openblas", "scipy_openblas_get_num_threads" },
  { "blas", "openblas_get_num_threads" },
  { "gomp", "omp_get_max_threads" },
};

static gboolean
run_in_child (ChildFunc func, gpointer data)
{
  int status;
  pid_t pid = fork ();

  if (pid == 0)
    _exit (func (data) ? EXIT_SUCCESS : EXIT_FAILURE);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return WIFEXITED (status) && WEXITSTATUS (status) == EXIT_SUCCESS;
}

/* The caller of each test is a process of its own: what was found once is never forgotten. */
static gboolean
be_caller (gpointer data)
{
  ChildFunc func = *(ChildFunc *) data;

  for (guint i = 0; i < G_N_ELEMENTS (variables); i++)
    unsetenv (variables[i]);
  return func (NULL);
}

static void
test_caller (gconstpointer data)
{
  ChildFunc func = (ChildFunc) data;

  g_assert_true (run_in_child (be_caller, &func));
}

static void *
open_fake (const char *name, int mode)
{
  g_autofree char *file = g_strdup_printf ("lib%s-fake.so", name);
  g_autofree char *path = g_test_build_filename (G_TEST_BUILT, file, NULL);
  void *handle = dlopen (path, RTLD_NOW | mode);

  if (handle == NULL)
    g_printerr ("%s\n", dlerror ());
  return handle;
}

static int
call_getter (void *handle, const char *name)
{
  int (*get) (void) = (int (*) (void)) dlsym (handle, name);

  return get != NULL ? get () : 0;
}

static void
call_setter (void *handle, const char *name, int n)
{
  void (*set) (int) = (void (*) (int)) dlsym (handle, name);

  set (n);
}

static int
get_number (void *handle, const char *name)
{
  int *number = dlsym (handle, name);

  return number != NULL ? *number : -1;
}

static gboolean
check_all_variables (gpointer expected)
{
  shm_thread_limit_apply (3, FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (variables); i++)
    CHECK (g_strcmp0 (getenv (variables[i]), expected) == 0);
  return TRUE;
}

static gboolean
call_nothing_loaded (gpointer data)
{
  shm_thread_limit_prepare ();
  CHECK (run_in_child (check_all_variables, (gpointer) "3"));
  CHECK (getenv ("OMP_NUM_THREADS") == NULL);
  return TRUE;
}

static gboolean
call_unprepared (gpointer data)
{
  return run_in_child (check_all_variables, (gpointer) "3");
}

static gboolean
check_variables (gpointer data)
{
  shm_thread_limit_apply (3, FALSE);
  CHECK (g_strcmp0 (getenv ("OMP_NUM_THREADS"), "2,4") == 0);
  CHECK (g_strcmp0 (getenv ("OPENBLAS_NUM_THREADS"), "3") == 0);
  CHECK (g_strcmp0 (getenv ("MKL_NUM_THREADS"), "3") == 0);
  CHECK (g_strcmp0 (getenv ("BLIS_NUM_THREADS"), " 1") == 0);
  /* it would have taken what OMP_NUM_THREADS says */
  CHECK (g_strcmp0 (getenv ("NUMEXPR_NUM_THREADS"), "2") == 0);
  return TRUE;
}

static gboolean
call_smaller_variables (gpointer data)
{
  setenv ("OMP_NUM_THREADS", "2,4", TRUE);
  setenv ("OPENBLAS_NUM_THREADS", "64", TRUE);
  setenv ("MKL_NUM_THREADS", "many", TRUE);
  setenv ("BLIS_NUM_THREADS", " 1", TRUE);
  shm_thread_limit_prepare ();
  return run_in_child (check_variables, NULL);
}

static gboolean
check_fakes (gpointer data)
{
  void *const *handles = data;

  shm_thread_limit_apply (3, FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (fakes); i++)
    {
      CHECK (call_getter (handles[i], fakes[i].get) == 3);
      CHECK (get_number (handles[i], "fake_n_calls") == 1);
    }
  CHECK (get_number (handles[0], "fake_n_started") == 2);
  return TRUE;
}

static gboolean
call_loaded (gpointer data)
{
  void *handles[G_N_ELEMENTS (fakes)];

  for (guint i = 0; i < G_N_ELEMENTS (fakes); i++)
    CHECK ((handles[i] = open_fake (fakes[i].name, RTLD_LOCAL)) != NULL);
  shm_thread_limit_prepare ();
  shm_thread_limit_prepare ();
  CHECK (run_in_child (check_fakes, handles));
  /* What a worker does stays there. */
  for (guint i = 0; i < G_N_ELEMENTS (fakes); i++)
    CHECK (call_getter (handles[i], fakes[i].get) == 8);
  return TRUE;
}

static gboolean
check_smaller (gpointer data)
{
  void *const *handles = data;

  shm_thread_limit_apply (3, FALSE);
  CHECK (call_getter (handles[0], "openblas_get_num_threads64_") == 2);
  CHECK (get_number (handles[0], "fake_n_calls") == 1);
  CHECK (get_number (handles[0], "blas_num_threads") == 3);
  /* BLIS says -1 until it has been told. */
  CHECK (call_getter (handles[1], "bli_thread_get_num_threads") == -1);
  shm_thread_limit_apply (1, FALSE);
  CHECK (call_getter (handles[0], "openblas_get_num_threads64_") == 1);
  CHECK (get_number (handles[0], "fake_n_started") == 0);
  return TRUE;
}

static gboolean
check_blis (gpointer data)
{
  shm_thread_limit_apply (3, FALSE);
  CHECK (call_getter (data, "bli_thread_get_num_threads") == 3);
  return TRUE;
}

static gboolean
call_smaller (gpointer data)
{
  void *handles[] = { open_fake ("openblas", RTLD_LOCAL), open_fake ("blis", RTLD_LOCAL) };
  void (*set) (long);

  CHECK (handles[0] != NULL && handles[1] != NULL);
  call_setter (handles[0], "openblas_set_num_threads64_", 2);
  shm_thread_limit_prepare ();
  CHECK (run_in_child (check_smaller, handles));
  set = (void (*) (long)) dlsym (handles[1], "bli_thread_set_num_threads");
  set (8);
  return run_in_child (check_blis, handles[1]);
}

static gboolean
check_gomp (gpointer data)
{
  shm_thread_limit_apply (1, FALSE);
  CHECK (call_getter (data, "omp_get_max_threads") == 1);
  return TRUE;
}

static gboolean
check_untouched (gpointer data)
{
  shm_thread_limit_apply (1, FALSE);
  CHECK (call_getter (data, "omp_get_max_threads") == 8);
  CHECK (g_strcmp0 (getenv ("OMP_NUM_THREADS"), "1") == 0);
  return TRUE;
}

static gboolean
call_loaded_later (gpointer data)
{
  void *handle;

  shm_thread_limit_prepare ();
  CHECK ((handle = open_fake ("gomp", RTLD_LOCAL)) != NULL);
  CHECK (run_in_child (check_untouched, handle));
  shm_thread_limit_prepare ();
  return run_in_child (check_gomp, handle);
}

static gboolean
check_applies (gpointer data)
{
  shm_thread_limit_apply (1, FALSE);
  return TRUE;
}

static gboolean
call_unloaded (gpointer data)
{
  void *handle = open_fake ("gomp", RTLD_LOCAL);

  CHECK (handle != NULL);
  shm_thread_limit_prepare ();
  dlclose (handle);
  CHECK (run_in_child (check_applies, NULL));
  shm_thread_limit_prepare ();
  CHECK (run_in_child (check_applies, NULL));
  CHECK ((handle = open_fake ("gomp", RTLD_LOCAL)) != NULL);
  shm_thread_limit_prepare ();
  return run_in_child (check_gomp, handle);
}

/* Its name says nothing, but everybody can see it. */
static gboolean
call_global (gpointer data)
{
  void *handle = open_fake ("plain", RTLD_GLOBAL);

  CHECK (handle != NULL);
  shm_thread_limit_prepare ();
  dlclose (handle);
  CHECK ((handle = open_fake ("plain", RTLD_GLOBAL)) != NULL);
  return run_in_child (check_gomp, handle);
}

/* LLVM's runtime is not started by being told, but is told if it runs. */
static gboolean
call_lazy (gpointer data)
{
  g_autofree char *name = g_strdup_printf ("__KMP_REGISTERED_LIB_%d", (int) getpid ());
  void *handle = open_fake ("omp", RTLD_LOCAL);

  CHECK (handle != NULL);
  shm_thread_limit_prepare ();
  CHECK (run_in_child (check_untouched, handle));
  setenv (name, "1", TRUE);
  return run_in_child (check_gomp, handle);
}

static gboolean
check_mkl (gpointer data)
{
  shm_thread_limit_apply (1, FALSE);
  CHECK (call_getter (data, "MKL_Get_Max_Threads") == 1);
  return TRUE;
}

static gboolean
check_mkl_untouched (gpointer data)
{
  shm_thread_limit_apply (1, FALSE);
  CHECK (call_getter (data, "MKL_Get_Max_Threads") == 8);
  return TRUE;
}

static gboolean
call_mkl (gpointer data)
{
  void *handle = open_fake ("mkl_rt", RTLD_LOCAL);

  CHECK (handle != NULL);
  shm_thread_limit_prepare ();
  CHECK (run_in_child (check_mkl_untouched, handle));
  CHECK (open_fake ("mkl_core", RTLD_LOCAL) != NULL);
  shm_thread_limit_prepare ();
  return run_in_child (check_mkl, handle);
}

static gpointer
prepare_often (gpointer data)
{
  for (guint i = 0; i < test_scale (200); i++)
    {
      void *handle = open_fake (data, RTLD_LOCAL);

      g_assert_nonnull (handle);
      shm_thread_limit_prepare ();
      dlclose (handle);
      shm_thread_limit_prepare ();
    }
  return NULL;
}

static void
test_concurrent (void)
{
  GThread *threads[G_N_ELEMENTS (fakes)];

  for (guint i = 0; i < G_N_ELEMENTS (fakes); i++)
    threads[i] = g_thread_new ("prepare", prepare_often, (gpointer) fakes[i].name);
  for (guint i = 0; i < G_N_ELEMENTS (fakes); i++)
    g_thread_join (threads[i]);
}

static void
add_caller (const char *path, ChildFunc func)
{
  test_add_data (path, (gconstpointer) func, test_caller);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_caller ("/thread-limit/nothing-loaded", call_nothing_loaded);
  add_caller ("/thread-limit/unprepared", call_unprepared);
  add_caller ("/thread-limit/smaller-variables", call_smaller_variables);
  add_caller ("/thread-limit/loaded", call_loaded);
  add_caller ("/thread-limit/smaller", call_smaller);
  add_caller ("/thread-limit/loaded-later", call_loaded_later);
  add_caller ("/thread-limit/unloaded", call_unloaded);
  add_caller ("/thread-limit/global", call_global);
  add_caller ("/thread-limit/lazy", call_lazy);
  add_caller ("/thread-limit/mkl", call_mkl);
  test_add ("/thread-limit/concurrent", test_concurrent);
  return g_test_run ();
}
