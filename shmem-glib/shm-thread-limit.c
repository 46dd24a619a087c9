/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Keeps the threads of numerical libraries inside a worker down.
 *
 * OpenMP and BLAS libraries start a thread for each CPU. In each of as many workers that makes a
 * crowd in which everybody waits for everybody. So a worker tells them all how many threads are its
 * share: those that will be loaded later, and the programs that it runs, by the environment, which
 * they read once, when they start; those that are loaded already by the function that each of them
 * has for it.
 *
 * The functions are looked up in the caller, since the dynamic loader has locks that may be held at
 * the moment of the fork. What was found is kept in a table that only grows, whose entries never
 * change once their function is there: so it needs no lock, any thread may look up at any time, and
 * every child finds a table that it can use. The worst that two threads can do to each other is to
 * enter a function twice, and then it is called twice.
 *
 * A library that has an entry is never unloaded: its owner could let go of it between the look-up
 * and the fork, and the worker would jump into nothing. Only libraries that have one of the
 * functions are held, which programs hardly ever unload, as their threads run in there; a plugin
 * that depends on one can come and go.
 *
 * What runs in the child takes locks of these libraries, of malloc () and of setenv (), which
 * another thread may have held at the moment of the fork. So it is for a child that has not proved
 * itself yet: if it hangs here, the caller makes another one.
 *
 * What is known of these libraries and fork:
 *
 * - libgomp has threads that do not survive a fork, and does not know it: where the thread that
 *   forked has used OpenMP, a child that does so with more than one thread waits for ever (GCC bug
 *   60035); with one thread it does not. The number is the calling thread's own: threads that the
 *   worker starts have the one that the library was loaded with.
 * - OpenBLAS with threads of its own ends them before a fork, in the caller, and its setter starts
 *   them again in the child (OpenBLAS issues 294 and 1837): all of them, however many are then
 *   used. They spin for some time before they sleep. So the size of that pool is set first, where
 *   the library lets us see it.
 * - The OpenMP runtime of LLVM and Intel survives a fork. To ask it anything starts it, and that
 *   leaves a file in /dev/shm which a worker, as it leaves by _exit (), never removes. Where it was
 *   not running in the caller it reads the environment when it starts, and needs no call; where it
 *   was, it keeps the caller's number, whatever the environment says.
 * - MKL's dispatcher loads the rest of MKL at the first call, which a child must not do here. Until
 *   then the environment is enough.
 * - Setters of 64 bit integers (BLIS) and of plain ones get a long, which is right for both where
 *   arguments are passed in registers.
 */

#include "config.h"

#include "shm-thread-limit-private.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm-fork-private.h"

#define MAX_SETTERS 64

typedef void (*SetFunc) (long n_threads);
typedef int (*GetFunc) (void);

/* What a library calls its functions. */
typedef struct
{
  const char *set;
  const char *get;
  const char *pool;  /* an int, the number of threads that it starts */
  const char *lazy;  /* what it has if it must not be asked before it runs */
  const char *needs; /* in the name of another library: only where that is loaded too */
} SetterNames;

typedef struct
{
  SetFunc set; /* atomic; written last */
  GetFunc get;
  int *pool;
  gboolean lazy;
  gboolean loses_threads; /* its threads do not survive a fork */
} Setter;

static const SetterNames setter_names[] = {
  { "omp_set_num_threads", "omp_get_max_threads", NULL, "kmp_set_blocktime", NULL },
  { "openblas_set_num_threads", "openblas_get_num_threads", "blas_num_threads", NULL, NULL },
  { "openblas_set_num_threads64_", "openblas_get_num_threads64_", "blas_num_threads", NULL, NULL },
  { "openblas_set_num_threads_64", "openblas_get_num_threads_64", "blas_num_threads", NULL, NULL },
  { "scipy_openblas_set_num_threads", "scipy_openblas_get_num_threads", "blas_num_threads", NULL,
    NULL },
  { "scipy_openblas_set_num_threads64_", "scipy_openblas_get_num_threads64_", "blas_num_threads",
    NULL, NULL },
  { "MKL_Set_Num_Threads", "MKL_Get_Max_Threads", NULL, NULL, "mkl_core" },
  { "bli_thread_set_num_threads", "bli_thread_get_num_threads", NULL, NULL, NULL },
};

/* Words in the names of the files that are looked at. Debian's libblas.so.3 and liblapack.so.3, and
 * conda's libcblas.so.3, may be any of these libraries under another name. */
static const char *const file_words[] = {
  "blas", "lapack", "blis", "mkl_", "gomp", "iomp", "libomp"
};

/* OMP_NUM_THREADS comes first: the others take its value if they have none. */
static const char *const variables[] = {
  "OMP_NUM_THREADS",  "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
  "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",  "VECLIB_MAXIMUM_THREADS",
};

static Setter setters[MAX_SETTERS];
static guint n_setters;      /* entries that are taken; atomic */
static guint64 seen_changes; /* how often libraries had come and gone at the last look-up; atomic */

/* FALSE: there is an entry, or no room for one. */
static gboolean
shm_thread_limit_is_new (SetFunc set)
{
  guint n = __atomic_load_n (&n_setters, __ATOMIC_ACQUIRE);

  for (guint i = 0; i < n; i++)
    if (__atomic_load_n (&setters[i].set, __ATOMIC_ACQUIRE) == set)
      return FALSE;
  return n < MAX_SETTERS;
}

static void
shm_thread_limit_add (const Setter *setter)
{
  guint i = __atomic_load_n (&n_setters, __ATOMIC_RELAXED);

  do
    if (i >= MAX_SETTERS)
      return;
  while (!__atomic_compare_exchange_n (&n_setters, &i, i + 1, TRUE, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED));
  setters[i].get = setter->get;
  setters[i].pool = setter->pool;
  setters[i].lazy = setter->lazy;
  setters[i].loses_threads = setter->loses_threads;
  __atomic_store_n (&setters[i].set, setter->set, __ATOMIC_RELEASE);
}

/* A symbol of the very library that @base is the address of. */
static void *
shm_thread_limit_find_beside (void *handle, const char *name, const void *base)
{
  void *symbol = name != NULL ? dlsym (handle, name) : NULL;
  Dl_info info;

  return symbol != NULL && dladdr (symbol, &info) != 0 && info.dli_fbase == base ? symbol : NULL;
}

/* Looks for what @handle has, itself and in what it depends on. */
static void
shm_thread_limit_scan (void *handle, GPtrArray *files)
{
  for (guint i = 0; i < G_N_ELEMENTS (setter_names); i++)
    {
      const SetterNames *names = &setter_names[i];
      Setter setter = { (SetFunc) dlsym (handle, names->set), NULL, NULL, FALSE };
      gboolean needed = names->needs == NULL;
      Dl_info info;

      for (guint j = 0; j < files->len && !needed; j++)
        needed = strstr (g_ptr_array_index (files, j), names->needs) != NULL;
      if (!needed || setter.set == NULL || !shm_thread_limit_is_new (setter.set) ||
          dladdr ((void *) setter.set, &info) == 0)
        continue;

      setter.get = (GetFunc) shm_thread_limit_find_beside (handle, names->get, info.dli_fbase);
      setter.pool = shm_thread_limit_find_beside (handle, names->pool, info.dli_fbase);
      setter.lazy = shm_thread_limit_find_beside (handle, names->lazy, info.dli_fbase) != NULL;
      setter.loses_threads = names->lazy != NULL && !setter.lazy;
      /* This handle is never closed. The program itself has none, and needs none. */
      dlopen (info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
      shm_thread_limit_add (&setter);
    }
}

static int
shm_thread_limit_read_changes (struct dl_phdr_info *info, size_t size, void *data)
{
  *(guint64 *) data = info->dlpi_adds + info->dlpi_subs;
  return 1;
}

/* No library can be opened while the loader's list is read, so the names are collected first. */
static int
shm_thread_limit_collect (struct dl_phdr_info *info, size_t size, void *data)
{
  GPtrArray *files = data;
  const char *slash = strrchr (info->dlpi_name, '/');
  const char *base = slash != NULL ? slash + 1 : info->dlpi_name;

  for (guint i = 0; i < G_N_ELEMENTS (file_words); i++)
    if (strstr (base, file_words[i]) != NULL)
      {
        g_ptr_array_add (files, g_strdup (info->dlpi_name));
        break;
      }
  return 0;
}

/* Looks for libraries that have come since the last call; if there are none, this takes well under
 * a microsecond. It may be called from any thread. */
void
shm_thread_limit_prepare (void)
{
  g_autoptr (GPtrArray) files = NULL;
  guint64 changes = 0;

  dl_iterate_phdr (shm_thread_limit_read_changes, &changes);
  if (changes == __atomic_load_n (&seen_changes, __ATOMIC_ACQUIRE))
    return;

  files = g_ptr_array_new_with_free_func (g_free);
  dl_iterate_phdr (shm_thread_limit_collect, files);
  for (guint i = 0; i < files->len; i++)
    {
      void *handle = dlopen (g_ptr_array_index (files, i), RTLD_LAZY | RTLD_NOLOAD);

      if (handle == NULL)
        continue;
      shm_thread_limit_scan (handle, files);
      dlclose (handle);
    }
  /* what the program itself has, or a library of any name that it is linked with */
  shm_thread_limit_scan (RTLD_DEFAULT, files);
  /* What came after the names were collected has changed the number again. */
  __atomic_store_n (&seen_changes, changes, __ATOMIC_RELEASE);
}

/* What the variable is to say, or 0 if it may stay as it is; @n_set is what it then says; of a list, a number for each
 * level of nesting, the first. */
static guint
shm_thread_limit_choose (guint i, guint n_threads, guint n_unset, guint *n_set)
{
  const char *old = getenv (variables[i]);
  guint64 n_old = old != NULL ? g_ascii_strtoull (old, NULL, 10) : 0;

  if (n_old >= 1 && n_old <= n_threads)
    {
      *n_set = (guint) n_old;
      return 0;
    }
  *n_set = old != NULL ? n_threads : n_unset;
  return *n_set;
}

static gboolean
shm_thread_limit_is_replaced (const char *entry, const guint *numbers)
{
  for (guint i = 0; i < G_N_ELEMENTS (variables); i++)
    {
      gsize length = strlen (variables[i]);

      if (numbers[i] != 0 && strncmp (entry, variables[i], length) == 0 && entry[length] == '=')
        return TRUE;
    }
  return FALSE;
}

/* Sets those that have a number. All at once: putenv () would make a longer environment for each, and in a process that has
 * not called it yet the C library first looks up what it needs for that, in every library that is loaded. */
static void
shm_thread_limit_put_variables (const guint *numbers)
{
  /* The environment refers to them. They do not lie on the stack: if that is of another thread than forks next, the C library
   * gives it to a new thread of that child. */
  static char entries[G_N_ELEMENTS (variables)][48];
  static char *environment[96]; /* a longer one is allocated */
  guint n_old = 0;
  guint n_max;
  char **all, **entry;

  while (environ != NULL && environ[n_old] != NULL)
    n_old++;
  n_max = n_old + G_N_ELEMENTS (variables) + 1;
  all = n_max <= G_N_ELEMENTS (environment) ? environment : g_new (char *, n_max);
  entry = all;

  for (guint i = 0; i < n_old; i++)
    if (!shm_thread_limit_is_replaced (environ[i], numbers))
      *entry++ = environ[i];
  for (guint i = 0; i < G_N_ELEMENTS (variables); i++)
    if (numbers[i] != 0)
      {
        shm_fork_append_number (stpcpy (stpcpy (entries[i], variables[i]), "="), numbers[i]);
        *entry++ = entries[i];
      }
  *entry = NULL;
  environ = all;
}

/* Whether the OpenMP runtime of LLVM and Intel was running in the process that forked us. It says
 * so to other copies of itself: in a file, or in the environment, by its age. */
static gboolean
shm_thread_limit_was_running (void)
{
  static const char *const dirs[] = { "/dev/shm", "/tmp" };
  char name[96];

  snprintf (name, sizeof name, "__KMP_REGISTERED_LIB_%d", (int) getppid ());
  if (getenv (name) != NULL)
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (dirs); i++)
    {
      snprintf (name, sizeof name, "%s/__KMP_REGISTERED_LIB_%d_%d", dirs[i], (int) getppid (),
                (int) getuid ());
      if (access (name, F_OK) == 0)
        return TRUE;
    }
  return FALSE;
}

/* Limits the numerical libraries of a forked child to @n_threads, at least 1, for each call; who
 * says a smaller number already keeps it. */
void
shm_thread_limit_apply (guint n_threads, gboolean automatic)
{
  guint n = CLAMP (n_threads, 1, G_MAXINT);
  guint n_found = __atomic_load_n (&n_setters, __ATOMIC_ACQUIRE);
  guint numbers[G_N_ELEMENTS (variables)];
  guint n_omp = n;
  guint n_puts = 0;

  for (guint i = 0; i < G_N_ELEMENTS (variables); i++)
    {
      guint n_set;

      numbers[i] = shm_thread_limit_choose (i, n, n_omp, &n_set);
      n_puts += numbers[i] != 0;
      if (i == 0)
        n_omp = n_set;
    }
  if (n_puts > 0)
    shm_thread_limit_put_variables (numbers);

  for (guint i = 0; i < n_found; i++)
    {
      const Setter *setter = &setters[i];
      SetFunc set = __atomic_load_n (&setter->set, __ATOMIC_ACQUIRE);
      int max;

      /* Another thread was about to write it. */
      if (set == NULL)
        continue;
      if (setter->lazy && !shm_thread_limit_was_running ())
        continue;
      /* Nobody can tell whether the thread that forked has used it. */
      max = automatic && setter->loses_threads ? 1 : (int) n;
      if (setter->pool != NULL && *setter->pool > max)
        *setter->pool = max;
      if (setter->get == NULL || setter->get () > max)
        set (max);
    }
}
