/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* A fork of gjs that the engine survives.
 *
 * SpiderMonkey has helper threads, which sweep, compile and mark. In a child they are gone, and the
 * first collection waits for them for ever. But an embedder may run the helpers' tasks itself: so
 * there is a pool of threads here that takes them over, of which we know when it is idle, and which
 * can be made anew in a child.
 *
 *     engine ── shm_gjs_dispatch () ──▸ n_waiting ── shm_gjs_run () ──▸ RunHelperThreadTask ()
 *
 * Invariants: a task that was dispatched is counted in `n_waiting` until a thread takes it, and
 * that thread in `n_busy` until the task is done. Who forks holds `mutex` while both are zero: then
 * no helper holds a lock of the engine, since a thread of the pool takes them only within a task.
 * The engine calls the dispatch with its own lock held, and then `mutex` is taken; never the other
 * way round.
 *
 * The engine's own threads, started before, are still there, and sleep: nothing is dispatched to
 * them any more. But they must have come to rest, or one would hold the engine's lock at the moment
 * of a fork.
 *
 * Nothing of the engine is linked. Its calls are looked up by their names, which differ by version,
 * since the type of the callback is part of them: up to version 102 the engine picks the task
 * itself, later it hands the task to the callback.
 */

#include "config.h"

#include "shm-gjs.h"

#include <dlfcn.h>
#include <gio/gio.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "shm-debug-private.h"
#include "shm-error.h"
#include "shm-fork-func.h"
#include "shm-i18n-private.h"

/* No more than the engine's own count, which is two on the smallest machines. */
#define N_THREADS 2
#define STACK_SIZE (2 * 1024 * 1024)

#define N_SAMPLES 3
#define SAMPLE_INTERVAL (500)          /* microseconds */
#define REST_TIME (5 * G_USEC_PER_SEC) /* how long the engine's threads may take to come to rest */

#define SET_CALLBACK_102 "_ZN2JS27SetHelperThreadTaskCallbackEPFvNS_14DispatchReasonEEmm"
#define RUN_TASK_102 "_ZN2JS19RunHelperThreadTaskEv"
#define SET_CALLBACK_128 "_ZN2JS27SetHelperThreadTaskCallbackEPFvPNS_16HelperThreadTaskEEmm"
#define RUN_TASK_128 "_ZN2JS19RunHelperThreadTaskEPNS_16HelperThreadTaskE"
#define COLLECT "_Z5JS_GCP9JSContextN2JS8GCReasonE"
#define SET_PARAMETER "_Z17JS_SetGCParameterP9JSContext12JSGCParamKeyj"

#define REASON_API 0            /* JS::GCReason::API */
#define PARAMETER_INCREMENTAL 5 /* JSGC_INCREMENTAL_GC_ENABLED */

typedef struct
{
  gpointer (*get_current) (void);
  gpointer (*get_native_context) (gpointer context);
  void (*collect) (gpointer native_context, int reason);
  void (*set_parameter) (gpointer native_context, int parameter, guint32 value);
  void (*set_callback) (void *callback, gsize n_threads, gsize stack_size);
  void *callback;
  void (*run_task) (void);                /* up to version 102 */
  void (*run_given_task) (gpointer task); /* later */
} ShmGjsEngine;

typedef struct _ShmGjsTask ShmGjsTask;

struct _ShmGjsTask
{
  gpointer task;
  ShmGjsTask *next;
};

static ShmGjsEngine engine;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static guint n_waiting;
static guint n_busy;
static ShmGjsTask *first_task; /* where tasks are given: n_waiting of them */
static ShmGjsTask **last_task = &first_task;

static gpointer
shm_gjs_take_task (void)
{
  ShmGjsTask *first = first_task;
  gpointer task = NULL;

  if (first != NULL)
    {
      task = first->task;
      first_task = first->next;
      if (first_task == NULL)
        last_task = &first_task;
      g_free (first);
    }
  return task;
}

static void *
shm_gjs_run (void *data)
{
  gpointer task;

  pthread_mutex_lock (&mutex);
  while (TRUE)
    {
      while (n_waiting == 0)
        pthread_cond_wait (&changed, &mutex);
      n_waiting--;
      n_busy++;
      task = shm_gjs_take_task ();
      pthread_mutex_unlock (&mutex);

      if (engine.run_given_task != NULL)
        engine.run_given_task (task);
      else
        engine.run_task ();

      pthread_mutex_lock (&mutex);
      n_busy--;
      if (n_busy == 0 && n_waiting == 0)
        pthread_cond_broadcast (&changed);
    }
  return NULL;
}

/* The engine calls these, with its lock held. */
static void
shm_gjs_dispatch (int reason)
{
  pthread_mutex_lock (&mutex);
  n_waiting++;
  pthread_cond_broadcast (&changed);
  pthread_mutex_unlock (&mutex);
}

static void
shm_gjs_dispatch_task (gpointer task)
{
  ShmGjsTask *last = g_new (ShmGjsTask, 1);

  last->task = task;
  last->next = NULL;
  pthread_mutex_lock (&mutex);
  *last_task = last;
  last_task = &last->next;
  n_waiting++;
  pthread_cond_broadcast (&changed);
  pthread_mutex_unlock (&mutex);
}

/* Returns an errno. The threads hear no signal. */
static int
shm_gjs_start_threads (void)
{
  pthread_attr_t attributes;
  sigset_t all, old;
  guint n_threads = 0;
  int result = 0;

  pthread_attr_init (&attributes);
  pthread_attr_setstacksize (&attributes, STACK_SIZE);
  pthread_attr_setdetachstate (&attributes, PTHREAD_CREATE_DETACHED);
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);
  for (guint i = 0; i < N_THREADS && result == 0; i++)
    {
      pthread_t thread;

      result = pthread_create (&thread, &attributes, shm_gjs_run, NULL);
      if (result == 0)
        {
          pthread_setname_np (thread, "shm-gjs");
          n_threads++;
        }
    }
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  pthread_attr_destroy (&attributes);
  /* One of them is enough to go on. */
  return n_threads > 0 ? 0 : result;
}

/* Where there is not even one thread, the child must not work: it leaves, as one that could not be
 * made. */
static void
shm_gjs_renew (void)
{
  pthread_mutex_init (&mutex, NULL);
  pthread_cond_init (&changed, NULL);
  if (shm_gjs_start_threads () != 0)
    _exit (1);
}

static gint
shm_gjs_fork (gpointer user_data)
{
  pid_t pid;

  pthread_mutex_lock (&mutex);
  while (n_waiting > 0 || n_busy > 0)
    pthread_cond_wait (&changed, &mutex);
  pid = fork ();
  if (pid == 0)
    shm_gjs_renew ();
  else
    pthread_mutex_unlock (&mutex);
  return pid;
}

/* Between the slices of a sweep gjs calls no function of JavaScript: it returns what is zero, and
 * results would be lost. FALSE: the engine has no such call. */
static gboolean
shm_gjs_sweep_in_one_go (void)
{
  *(void **) &engine.set_parameter = dlsym (RTLD_DEFAULT, SET_PARAMETER);
  if (engine.set_parameter == NULL)
    return FALSE;
  engine.set_parameter (engine.get_native_context (engine.get_current ()), PARAMETER_INCREMENTAL,
                        0);
  return TRUE;
}

static gboolean
shm_gjs_find (GError **error)
{
  *(void **) &engine.get_current = dlsym (RTLD_DEFAULT, "gjs_context_get_current");
  *(void **) &engine.get_native_context = dlsym (RTLD_DEFAULT, "gjs_context_get_native_context");
  if (engine.get_current == NULL || engine.get_native_context == NULL ||
      engine.get_current () == NULL)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_NOT_SUPPORTED,
                           _ ("This thread does not run JavaScript of gjs"));
      return FALSE;
    }

  *(void **) &engine.collect = dlsym (RTLD_DEFAULT, COLLECT);
  *(void **) &engine.set_callback = dlsym (RTLD_DEFAULT, SET_CALLBACK_102);
  *(void **) &engine.run_task = dlsym (RTLD_DEFAULT, RUN_TASK_102);
  engine.callback = (void *) shm_gjs_dispatch;
  if (engine.set_callback == NULL || engine.run_task == NULL)
    {
      *(void **) &engine.set_callback = dlsym (RTLD_DEFAULT, SET_CALLBACK_128);
      *(void **) &engine.run_given_task = dlsym (RTLD_DEFAULT, RUN_TASK_128);
      engine.run_task = NULL;
      engine.callback = (void *) shm_gjs_dispatch_task;
    }
  if (!shm_gjs_sweep_in_one_go () || engine.collect == NULL || engine.set_callback == NULL ||
      (engine.run_task == NULL && engine.run_given_task == NULL) ||
      shm_debug_has (SHM_DEBUG_UNKNOWN_GJS))
    {
      g_set_error_literal (
          error, SHM_ERROR, SHM_ERROR_NOT_SUPPORTED,
          _ ("This version of the JavaScript engine is not known: it cannot be forked, and workers "
             "have to be programs of their own"));
      return FALSE;
    }
  return TRUE;
}

/* Whether a thread of this process is one of the engine's, and does anything but sleep. */
static gboolean
shm_gjs_is_awake (const char *thread)
{
  g_autofree char *path = g_build_filename ("/proc/self/task", thread, "stat", NULL);
  g_autofree char *contents = NULL;
  const char *name_end;

  if (!g_file_get_contents (path, &contents, NULL, NULL))
    return FALSE; /* it has ended */
  name_end = strrchr (contents, ')');
  return strstr (contents, "(JS Helper") != NULL && name_end != NULL &&
         !g_str_has_prefix (name_end, ") S");
}

static gboolean
shm_gjs_is_at_rest (void)
{
  g_autoptr (GDir) threads = g_dir_open ("/proc/self/task", 0, NULL);
  const char *thread;

  if (threads == NULL)
    return FALSE;
  while ((thread = g_dir_read_name (threads)) != NULL)
    if (shm_gjs_is_awake (thread))
      return FALSE;
  return TRUE;
}

/* The engine tells nobody when its threads go to sleep, so this is the one place where nothing is
 * left but to look repeatedly. */
static gboolean
shm_gjs_wait_for_rest (GError **error)
{
  gint64 end = g_get_monotonic_time () + REST_TIME;
  guint n_at_rest = 0;

  while (n_at_rest < N_SAMPLES)
    {
      n_at_rest = shm_gjs_is_at_rest () ? n_at_rest + 1 : 0;
      if (n_at_rest == N_SAMPLES)
        break;
      if (g_get_monotonic_time () > end)
        {
          g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED,
                               _ ("The threads of the JavaScript engine do not come to rest"));
          return FALSE;
        }
      g_usleep (SAMPLE_INTERVAL);
    }
  return TRUE;
}

static gboolean
shm_gjs_install (GError **error)
{
  int result = shm_gjs_start_threads ();

  if (result != 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (result), "%s: %s",
                   _ ("No thread for the JavaScript engine"), g_strerror (result));
      return FALSE;
    }
  engine.set_callback (engine.callback, N_THREADS, STACK_SIZE);
  return TRUE;
}

/**
 * shm_gjs_prepare:
 * @error: return location for an error
 *
 * Prepares the JavaScript engine of gjs for forks, once in a process, and sets with
 * shm_set_fork_func() how it is forked from now on. Without it a worker process that runs
 * JavaScript hangs sooner or later, in the collector of the engine.
 *
 * It is for the module of gjs, which calls it when it is loaded, and makes all pools serial where
 * it fails. It must be called in the thread that runs JavaScript, which alone may start jobs whose
 * functions are JavaScript. It collects all garbage, and takes a few milliseconds. From then on the
 * collector works in one go, and not in slices, since gjs does not call functions of JavaScript
 * between two slices of a sweep. Calls after the one that succeeded do nothing.
 *
 * Outside of gjs, and with versions of the engine that are not known, it is a
 * %SHM_ERROR_NOT_SUPPORTED; a %SHM_ERROR_FAILED where the threads of the engine go on for several
 * seconds.
 *
 * Returns: %TRUE if worker processes may run JavaScript
 *
 * Since: 1.0
 */
gboolean
shm_gjs_prepare (GError **error)
{
  static gboolean is_installed;
  static gboolean is_prepared;
  gpointer native_context;

  if (is_prepared)
    return TRUE;
  if (!is_installed && (!shm_gjs_find (error) || !shm_gjs_install (error)))
    return FALSE;
  is_installed = TRUE;

  native_context = engine.get_native_context (engine.get_current ());
  engine.collect (native_context, REASON_API);
  if (!shm_gjs_wait_for_rest (error))
    return FALSE;
  shm_set_fork_func (shm_gjs_fork, NULL, NULL);
  is_prepared = TRUE;
  return TRUE;
}
