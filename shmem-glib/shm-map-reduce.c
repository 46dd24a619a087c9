/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/**
 * SECTION:shm-map-reduce
 * @title: ShmMapReduce
 * @short_description: a pool of workers
 *
 * A pool maps a function over items on workers that share memory. See the type for how.
 */

/**
 * ShmMapReduce:
 *
 * A pool of workers: forked processes, or threads, or the caller itself (#ShmBackendType).
 *
 * The work function may be any function or closure. With forked workers, everything it refers to is
 * inherited at the start of the job, copy-on-write: a worker reads what the caller had, and what it
 * writes is its own, but for the memory of #ShmArray, which all share. Results travel back as
 * #GVariant. Never return a pointer to what a worker has allocated: it means nothing to the caller.
 *
 * |[<!-- language="C" -->
 * static GVariant *
 * square (ShmMapReduce *pool, guint64 index, gpointer user_data, GError **error)
 * {
 *   return g_variant_new_uint64 (index * index);
 * }
 *
 * g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
 * g_autoptr (GPtrArray) squares = shm_map_reduce_map (pool, 100, NULL, square, NULL, NULL, &error);
 * ]|
 *
 * A pool holds nothing but its properties; the workers live as long as a job does. The properties
 * may be changed at any time, for the jobs that start later. A pool may be used from several
 * threads, and several jobs may run at once, as long as nobody changes its properties meanwhile.
 *
 * A job that is started in a work function runs serially, in that worker, unless its pool is #ShmMapReduce:nested.
 *
 * The library never touches `SIGCHLD`, and waits for no child but its own.
 *
 * Since: 1.0
 */

#include "config.h"

#include "shm-map-reduce-private.h"

#include "shm-control-private.h"
#include "shm-enum-types.h"

enum
{
  PROP_0,
  PROP_N_WORKERS,
  PROP_BACKEND,
  PROP_SCHEDULE,
  PROP_CHUNK_SIZE,
  PROP_MIN_LENGTH,
  PROP_FAILURE_POLICY,
  PROP_MAX_RETRIES,
  PROP_ITEM_TIMEOUT,
  PROP_MAX_ITEMS_PER_WORKER,
  PROP_WORKER_MEMORY,
  PROP_WORKER_CPU_TIME,
  PROP_WORKER_NICENESS,
  PROP_DETERMINISTIC,
  PROP_NESTED,
  PROP_WORKER_THREADS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (ShmMapReduce, shm_map_reduce, G_TYPE_OBJECT)

static void
shm_map_reduce_get_property (GObject *object, guint property_id, GValue *value, GParamSpec *pspec)
{
  ShmMapReduce *self = SHM_MAP_REDUCE (object);

  switch (property_id)
    {
    case PROP_N_WORKERS:
      g_value_set_uint (value, self->n_workers);
      break;
    case PROP_BACKEND:
      g_value_set_enum (value, self->backend);
      break;
    case PROP_SCHEDULE:
      g_value_set_enum (value, self->schedule);
      break;
    case PROP_CHUNK_SIZE:
      g_value_set_uint64 (value, self->chunk_size);
      break;
    case PROP_MIN_LENGTH:
      g_value_set_uint64 (value, self->min_length);
      break;
    case PROP_FAILURE_POLICY:
      g_value_set_enum (value, self->failure_policy);
      break;
    case PROP_MAX_RETRIES:
      g_value_set_uint (value, self->max_retries);
      break;
    case PROP_ITEM_TIMEOUT:
      g_value_set_uint (value, self->item_timeout);
      break;
    case PROP_MAX_ITEMS_PER_WORKER:
      g_value_set_uint64 (value, self->max_items_per_worker);
      break;
    case PROP_WORKER_MEMORY:
      g_value_set_uint64 (value, self->worker_memory);
      break;
    case PROP_WORKER_CPU_TIME:
      g_value_set_uint (value, self->worker_cpu_time);
      break;
    case PROP_WORKER_NICENESS:
      g_value_set_int (value, self->worker_niceness);
      break;
    case PROP_DETERMINISTIC:
      g_value_set_boolean (value, self->deterministic);
      break;
    case PROP_NESTED:
      g_value_set_boolean (value, self->nested);
      break;
    case PROP_WORKER_THREADS:
      g_value_set_uint (value, self->worker_threads);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
shm_map_reduce_set_property (GObject *object,
                             guint property_id,
                             const GValue *value,
                             GParamSpec *pspec)
{
  ShmMapReduce *self = SHM_MAP_REDUCE (object);

  switch (property_id)
    {
    case PROP_N_WORKERS:
      shm_map_reduce_set_n_workers (self, g_value_get_uint (value));
      break;
    case PROP_BACKEND:
      shm_map_reduce_set_backend (self, g_value_get_enum (value));
      break;
    case PROP_SCHEDULE:
      shm_map_reduce_set_schedule (self, g_value_get_enum (value));
      break;
    case PROP_CHUNK_SIZE:
      shm_map_reduce_set_chunk_size (self, g_value_get_uint64 (value));
      break;
    case PROP_MIN_LENGTH:
      shm_map_reduce_set_min_length (self, g_value_get_uint64 (value));
      break;
    case PROP_FAILURE_POLICY:
      shm_map_reduce_set_failure_policy (self, g_value_get_enum (value));
      break;
    case PROP_MAX_RETRIES:
      shm_map_reduce_set_max_retries (self, g_value_get_uint (value));
      break;
    case PROP_ITEM_TIMEOUT:
      shm_map_reduce_set_item_timeout (self, g_value_get_uint (value));
      break;
    case PROP_MAX_ITEMS_PER_WORKER:
      shm_map_reduce_set_max_items_per_worker (self, g_value_get_uint64 (value));
      break;
    case PROP_WORKER_MEMORY:
      shm_map_reduce_set_worker_memory (self, g_value_get_uint64 (value));
      break;
    case PROP_WORKER_CPU_TIME:
      shm_map_reduce_set_worker_cpu_time (self, g_value_get_uint (value));
      break;
    case PROP_WORKER_NICENESS:
      shm_map_reduce_set_worker_niceness (self, g_value_get_int (value));
      break;
    case PROP_DETERMINISTIC:
      shm_map_reduce_set_deterministic (self, g_value_get_boolean (value));
      break;
    case PROP_NESTED:
      shm_map_reduce_set_nested (self, g_value_get_boolean (value));
      break;
    case PROP_WORKER_THREADS:
      shm_map_reduce_set_worker_threads (self, g_value_get_uint (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
shm_map_reduce_class_init (ShmMapReduceClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GParamFlags flags = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->get_property = shm_map_reduce_get_property;
  object_class->set_property = shm_map_reduce_set_property;

  /**
   * ShmMapReduce:n-workers:
   *
   * The number of workers, at most 4096; or 0, for the number that shm_map_reduce_count_workers()
   * finds. A job never has more workers than items.
   *
   * Since: 1.0
   */
  properties[PROP_N_WORKERS] = g_param_spec_uint ("n-workers", "Number of workers",
                                                  "The number of workers, or 0 for automatic", 0,
                                                  SHM_CONTROL_MAX_WORKERS, 0, flags);

  /**
   * ShmMapReduce:backend:
   *
   * Who does the work. `SHM_DEBUG=serial` in the environment and shm_set_debug() overrule it.
   *
   * Since: 1.0
   */
  properties[PROP_BACKEND] =
      g_param_spec_enum ("backend", "Backend", "Who does the work", SHM_TYPE_BACKEND_TYPE,
                         SHM_BACKEND_TYPE_PROCESS, flags);

  /**
   * ShmMapReduce:schedule:
   *
   * How the items are dealt to the workers.
   *
   * Since: 1.0
   */
  properties[PROP_SCHEDULE] =
      g_param_spec_enum ("schedule", "Schedule", "How the items are dealt to the workers",
                         SHM_TYPE_SCHEDULE, SHM_SCHEDULE_DYNAMIC, flags);

  /**
   * ShmMapReduce:chunk-size:
   *
   * The number of items that a worker claims together; 0 for automatic: with %SHM_SCHEDULE_DYNAMIC,
   * as many as take a few tenths of a millisecond, and single ones from when an item first enters
   * an ordered section; with %SHM_SCHEDULE_STATIC, one block for each worker; with
   * %SHM_SCHEDULE_GUIDED, at least one.
   *
   * Since: 1.0
   */
  properties[PROP_CHUNK_SIZE] =
      g_param_spec_uint64 ("chunk-size", "Chunk size", "Items claimed together, or 0 for automatic",
                           0, G_MAXUINT64, 0, flags);

  /**
   * ShmMapReduce:min-length:
   *
   * A job with fewer items than this is run serially by the caller.
   *
   * Since: 1.0
   */
  properties[PROP_MIN_LENGTH] =
      g_param_spec_uint64 ("min-length", "Minimal length", "Fewer items than this are run serially",
                           0, G_MAXUINT64, 0, flags);

  /**
   * ShmMapReduce:failure-policy:
   *
   * What becomes of a job when an item fails.
   *
   * Since: 1.0
   */
  properties[PROP_FAILURE_POLICY] = g_param_spec_enum (
      "failure-policy", "Failure policy", "What becomes of a job when an item fails",
      SHM_TYPE_FAILURE_POLICY, SHM_FAILURE_POLICY_ABORT, flags);

  /**
   * ShmMapReduce:max-retries:
   *
   * How often an item is tried again, on another worker, when the worker that had it died or was
   * killed for its time. Errors that the work function returns are not retried. An item that uses
   * up its retries fails; with %SHM_FAILURE_POLICY_COLLECT it is set aside, and the rest is done.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_RETRIES] = g_param_spec_uint (
      "max-retries", "Maximal retries", "How often an item is tried again", 0, G_MAXUINT, 0, flags);

  /**
   * ShmMapReduce:item-timeout:
   *
   * The time in milliseconds that one item may take, or 0 for any. What it waits for a critical or
   * ordered section does not count. A worker process whose item takes longer is killed and
   * replaced, also one that is stopped; the others do not notice. A thread cannot be killed: there,
   * and in serial jobs, the item fails once it has ended. For a function that works on ranges, the
   * time counts from each shm_map_reduce_begin_item(), and without those it is the time of a range;
   * where no worker can be killed, only the item that was begun last is looked at.
   *
   * Since: 1.0
   */
  properties[PROP_ITEM_TIMEOUT] =
      g_param_spec_uint ("item-timeout", "Item timeout",
                         "Milliseconds that one item may take, or 0", 0, G_MAXUINT, 0, flags);

  /**
   * ShmMapReduce:max-items-per-worker:
   *
   * The number of items after which a worker process is replaced by a fresh one, between two items,
   * or 0 for never. It has no effect on threads, nor in serial jobs.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_ITEMS_PER_WORKER] = g_param_spec_uint64 (
      "max-items-per-worker", "Maximal items per worker",
      "Items after which a worker is replaced, or 0", 0, G_MAXUINT64, 0, flags);

  /**
   * ShmMapReduce:worker-memory:
   *
   * The address space in bytes that each worker process may take beside what it inherits, or 0 for
   * any (RLIMIT_AS of setrlimit(2)). Where it runs out, allocations fail, which in GLib ends the
   * process.
   *
   * Since: 1.0
   */
  properties[PROP_WORKER_MEMORY] =
      g_param_spec_uint64 ("worker-memory", "Worker memory", "Bytes that a worker may take, or 0",
                           0, G_MAXUINT64, 0, flags);

  /**
   * ShmMapReduce:worker-cpu-time:
   *
   * The processor time in seconds that each worker process may use, or 0 for any (RLIMIT_CPU of
   * setrlimit(2)). One that uses more is killed by SIGXCPU.
   *
   * Since: 1.0
   */
  properties[PROP_WORKER_CPU_TIME] = g_param_spec_uint (
      "worker-cpu-time", "Worker CPU time", "Seconds of processor time that a worker may use, or 0",
      0, G_MAXINT, 0, flags);

  /**
   * ShmMapReduce:worker-niceness:
   *
   * What is added to the caller's niceness in worker processes: positive numbers give way to other
   * processes.
   *
   * Since: 1.0
   */
  properties[PROP_WORKER_NICENESS] = g_param_spec_int (
      "worker-niceness", "Worker niceness", "Added to the niceness of workers", -40, 39, 0, flags);

  /**
   * ShmMapReduce:deterministic:
   *
   * Whether the reduce function is called in the order of the items, and not as results arrive, so
   * that what it computes does not depend on timing. What arrives early waits, in memory that is
   * bounded only where #ShmJob:window holds.
   *
   * Since: 1.0
   */
  properties[PROP_DETERMINISTIC] =
      g_param_spec_boolean ("deterministic", "Deterministic",
                            "Whether results are reduced in the order of the items", FALSE, flags);

  /**
   * ShmMapReduce:nested:
   *
   * Whether a job of this pool that is started in a work function has workers of its own, and does
   * not run serially. With #ShmMapReduce:n-workers at 0 the processors are divided then: each
   * worker of the outer job uses its share.
   *
   * Since: 1.0
   */
  properties[PROP_NESTED] = g_param_spec_boolean (
      "nested", "Nested", "Whether jobs inside of workers have workers of their own", FALSE, flags);

  /**
   * ShmMapReduce:worker-threads:
   *
   * The number of threads that OpenMP and the libraries of linear algebra (OpenBLAS, MKL, BLIS) may
   * start in each worker process; 0 for the number of processors divided by the number of workers,
   * and at least one; for GNU OpenMP, whose threads do not survive a fork, it is one
   * then. It is set in the worker's environment and, where such a library is
   * loaded when the job starts, by its own call. What says a smaller number already keeps it.
   *
   * Since: 1.0
   */
  properties[PROP_WORKER_THREADS] = g_param_spec_uint (
      "worker-threads", "Worker threads", "Threads that libraries may start in each worker, or 0",
      0, G_MAXINT, 0, flags);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
shm_map_reduce_init (ShmMapReduce *self)
{
}

/**
 * shm_map_reduce_new:
 *
 * Makes a pool of forked workers, as many as the process may use processors.
 *
 * Returns: (transfer full): a new pool
 *
 * Since: 1.0
 */
ShmMapReduce *
shm_map_reduce_new (void)
{
  return g_object_new (SHM_TYPE_MAP_REDUCE, NULL);
}
