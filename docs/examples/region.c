/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* usage: region [SIZE]
 *
 * Finds how warm a square plate of SIZE points each way becomes whose upper edge is kept hot, and
 * the others cold, by successive over-relaxation: each point is drawn to the mean of its four
 * neighbours, over and over; first the red points of a chequerboard, then the black ones. The
 * workers stay for all of it, as in a parallel region of OpenMP, and deal the rows out to each other.
 * The caller is one of them. The serial loop comes to the same temperatures, to the last bit.
 */

#include <shmem-glib/shmem-glib.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SWEEPS 10000
#define HOT 100.0
#define TOLERANCE 1e-6
#define N_COLUMNS 64 /* of what is shown */
#define N_ROWS 24

/* The memory is shared; the structure is so only between threads, so that just one of them may
 * write to it.
 */
typedef struct
{
  gsize size;
  double factor;
  double *temperatures;
  double *changes; /* the largest one of each sweep */
  gsize n_sweeps;
} Plate;

/* What a worker is at. */
typedef struct
{
  const Plate *plate;
  gsize sweep;
  gsize colour; /* 0 or 1 */
} Step;

static double
relax_rows (const Plate *plate, gsize colour, gsize begin, gsize end)
{
  double change = 0.0;

  for (gsize row = begin; row < end; row++)
    for (gsize column = 1 + (row + colour) % 2; column < plate->size - 1; column += 2)
      {
        double *point = &plate->temperatures[row * plate->size + column];
        double mean =
            (point[-(gssize) plate->size] + point[plate->size] + point[-1] + point[1]) / 4;
        double step = plate->factor * (mean - *point);

        *point += step;
        change = MAX (change, fabs (step));
      }
  return change;
}

static gboolean
relax_range (ShmMapReduce *pool, guint64 begin, guint64 end, gpointer user_data, GError **error)
{
  const Step *step = user_data;
  double *largest = &step->plate->changes[step->sweep];
  double change = relax_rows (step->plate, step->colour, begin, end);
  g_autoptr (ShmCriticalLocker) locker = shm_critical_locker_new (pool, error);

  if (locker != NULL)
    *largest = MAX (*largest, change);
  return locker != NULL;
}

static void
heat (const Plate *plate)
{
  for (gsize i = 0; i < plate->size; i++)
    plate->temperatures[i] = HOT;
}

/* Each worker runs this. As the rows of a colour are dealt out, all wait until all are done; so they
 * read the same change, and leave together. What rank 0 counts stays, since it is the caller.
 */
static GVariant *
relax (ShmMapReduce *pool, guint rank, gpointer user_data, GError **error)
{
  Plate *plate = user_data;
  Step step = { .plate = plate };

  if (rank == 0)
    heat (plate);
  if (!shm_map_reduce_barrier (pool, error))
    return NULL;
  do
    for (step.colour = 0; step.colour < 2; step.colour++)
      if (!shm_map_reduce_share_range (pool, 1, plate->size - 1, SHM_SCHEDULE_STATIC, 0,
                                       relax_range, &step, error))
        return NULL;
  while (plate->changes[step.sweep++] > TOLERANCE && step.sweep < MAX_SWEEPS);
  if (rank == 0)
    plate->n_sweeps = step.sweep;
  return NULL;
}

static void
relax_serially (Plate *plate)
{
  double change;

  heat (plate);
  do
    {
      double red = relax_rows (plate, 0, 1, plate->size - 1);
      double black = relax_rows (plate, 1, 1, plate->size - 1);

      change = MAX (red, black);
      plate->changes[plate->n_sweeps++] = change;
    }
  while (change > TOLERANCE && plate->n_sweeps < MAX_SWEEPS);
}

static void
show (const Plate *plate)
{
  static const char shades[] = " .:-=+*#%@";

  for (gsize i = 0; i < N_ROWS; i++)
    {
      const double *row = &plate->temperatures[i * plate->size / N_ROWS * plate->size];
      char line[N_COLUMNS + 1] = "";

      for (gsize j = 0; j < N_COLUMNS; j++)
        line[j] = shades[(int) (row[j * plate->size / N_COLUMNS] / HOT * (sizeof shades - 2))];
      g_print ("%s\n", g_strchomp (line));
    }
}

static double
seconds_since (gint64 start)
{
  return (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
}

/* Returns: (transfer full): the memory of the plate, all of it zeros, or NULL */
static ShmArray *
make_plate (Plate *plate, gsize size, GError **error)
{
  const gsize shape[] = { size * size + MAX_SWEEPS };
  ShmArray *memory = shm_array_new_full (SHM_DTYPE_F8, 0, shape, 1, SHM_ARRAY_FLAGS_RESERVE, error);

  if (memory != NULL)
    /* David M. Young (1954): the factor with which it takes the fewest sweeps */
    *plate = (Plate){ .size = size,
                      .factor = 2.0 / (1.0 + sin (G_PI / (double) (size - 1))),
                      .temperatures = shm_array_get_data (memory),
                      .changes = (double *) shm_array_get_data (memory) + size * size };
  return memory;
}

static gboolean
run (gsize size, GError **error)
{
  Plate plate, serial_plate;
  g_autoptr (ShmMapReduce) pool = shm_map_reduce_new ();
  g_autoptr (ShmArray) memory = make_plate (&plate, size, error);
  g_autoptr (ShmArray) serial_memory = NULL;
  g_autoptr (GPtrArray) results = NULL;
  double seconds, serial_seconds;
  gint64 start;

  if (memory == NULL || (serial_memory = make_plate (&serial_plate, size, error)) == NULL)
    return FALSE;
  start = g_get_monotonic_time ();
  results = shm_map_reduce_run (pool, SHM_REGION_FLAGS_WITH_CALLER, NULL, relax, &plate, error);
  if (results == NULL)
    return FALSE;
  seconds = seconds_since (start);
  start = g_get_monotonic_time ();
  relax_serially (&serial_plate);
  serial_seconds = seconds_since (start);

  show (&plate);
  g_print ("The last of %zu sweeps changed no point by more than %.1g degrees.\n"
           "%u workers took %.3f s, and the serial loop %.3f s: they were %.2f times as fast.\n",
           plate.n_sweeps, plate.changes[plate.n_sweeps - 1], results->len, seconds, serial_seconds,
           serial_seconds / seconds);
  if (plate.n_sweeps != serial_plate.n_sweeps ||
      memcmp (shm_array_get_data (memory), shm_array_get_data (serial_memory),
              shm_array_get_n_bytes (memory)) != 0)
    {
      g_set_error_literal (error, SHM_ERROR, SHM_ERROR_FAILED,
                           "the serial loop came to other temperatures");
      return FALSE;
    }
  g_print ("Both came to the same temperatures, to the last bit.\n");
  return TRUE;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  guint64 size = 600;

  setlocale (LC_ALL, "");
  if (argc > 2)
    {
      g_printerr ("usage: region [SIZE]\n");
      return EXIT_FAILURE;
    }
  if ((argc == 2 && !g_ascii_string_to_unsigned (argv[1], 10, 3, 20000, &size, &error)) ||
      !run (size, &error))
    {
      g_printerr ("region: %s\n", error->message);
      return EXIT_FAILURE;
    }
  return EXIT_SUCCESS;
}
