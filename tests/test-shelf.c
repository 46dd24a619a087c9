/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Mappings of pieces that come again. */

#include "config.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shmem-glib/shm-shelf-private.h"
#include "test-util.h"

#define N_MANY 10000

static gsize
get_page (void)
{
  return (gsize) sysconf (_SC_PAGESIZE);
}

static guint8 *
new_mapping (gsize size)
{
  gpointer address = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  g_assert_true (address != MAP_FAILED);
  return address;
}

static gboolean
is_mapped (guint8 *address)
{
  unsigned char resident;

  return mincore (address, get_page (), &resident) == 0;
}

static void
test_put_and_take (void)
{
  gsize page = get_page ();
  ShmShelf *shelf = shm_shelf_new (100 * page);
  guint8 *first = new_mapping (4 * page);
  guint8 *second = new_mapping (4 * page);

  g_assert_null (shm_shelf_take (shelf, 0, page));
  shm_shelf_put (shelf, 0, first, 4 * page);
  shm_shelf_put (shelf, 4 * page, second, 4 * page);
  g_assert_null (shm_shelf_take (shelf, page, page));
  g_assert_true (shm_shelf_take (shelf, 4 * page, 4 * page) == second);
  g_assert_null (shm_shelf_take (shelf, 4 * page, 4 * page));
  g_assert_true (shm_shelf_take (shelf, 0, 4 * page) == first);

  /* the end of a larger one goes */
  shm_shelf_put (shelf, 0, first, 4 * page);
  g_assert_true (shm_shelf_take (shelf, 0, page) == first);
  g_assert_true (is_mapped (first));
  g_assert_false (is_mapped (first + page));
  /* and all of a smaller one, or of one that is not wanted */
  shm_shelf_put (shelf, 0, first, page);
  g_assert_null (shm_shelf_take (shelf, 0, 2 * page));
  g_assert_false (is_mapped (first));
  shm_shelf_put (shelf, 0, second, 4 * page);
  shm_shelf_discard (shelf, 0);
  g_assert_false (is_mapped (second));
  shm_shelf_discard (shelf, 0);
  shm_shelf_free (shelf);
}

/* Neither too many bytes nor too many mappings are kept, and the oldest go first. */
static void
test_bounds (void)
{
  gsize page = get_page ();
  ShmShelf *shelf = shm_shelf_new (4 * page);
  guint8 *mappings[3];
  guint n_kept = 0;
  guint i;

  for (i = 0; i < 3; i++)
    {
      mappings[i] = new_mapping (2 * page);
      shm_shelf_put (shelf, i, mappings[i], 2 * page);
    }
  g_assert_false (is_mapped (mappings[0]));
  g_assert_null (shm_shelf_take (shelf, 0, page));
  g_assert_true (shm_shelf_take (shelf, 1, 2 * page) == mappings[1]);
  shm_shelf_put (shelf, 1, mappings[1], 2 * page);
  mappings[0] = new_mapping (5 * page);
  shm_shelf_put (shelf, 0, mappings[0], 5 * page);
  g_assert_false (is_mapped (mappings[0]));
  g_assert_true (is_mapped (mappings[1]));
  shm_shelf_free (shelf);
  g_assert_false (is_mapped (mappings[1]));

  shelf = shm_shelf_new (G_MAXUINT64);
  for (i = 0; i < N_MANY; i++)
    shm_shelf_put (shelf, i, new_mapping (page), page);
  for (i = 0; i < N_MANY; i++)
    {
      guint8 *address = shm_shelf_take (shelf, i, page);

      if (address == NULL)
        g_assert_cmpuint (n_kept, ==, 0);
      else
        {
          n_kept++;
          munmap (address, page);
        }
    }
  g_assert_cmpuint (n_kept, >, 64);
  g_assert_cmpuint (n_kept, <, N_MANY / 10);
  shm_shelf_free (shelf);
}

static void
test_close (void)
{
  gsize page = get_page ();
  ShmShelf *shelf = shm_shelf_new (4 * page);
  guint8 *first = new_mapping (page);
  guint8 *second = new_mapping (page);

  shm_shelf_put (shelf, 0, first, page);
  shm_shelf_close (shelf);
  g_assert_false (is_mapped (first));
  shm_shelf_put (shelf, 0, second, page);
  g_assert_false (is_mapped (second));
  g_assert_null (shm_shelf_take (shelf, 0, page));
  shm_shelf_free (shelf);
}

/* A child has the mappings, but they are not its own to hand out. */
static void
test_child (void)
{
  gsize page = get_page ();
  ShmShelf *shelf = shm_shelf_new (4 * page);
  guint8 *kept = new_mapping (page);
  guint8 *dropped = new_mapping (page);
  int status;
  pid_t pid;

  shm_shelf_put (shelf, 0, kept, page);
  pid = fork ();
  if (pid == 0)
    {
      gboolean ok = shm_shelf_take (shelf, 0, page) == NULL;

      shm_shelf_put (shelf, page, dropped, page);
      ok = ok && !is_mapped (dropped);
      shm_shelf_free (shelf);
      _exit (ok && is_mapped (kept) ? 0 : 1);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  g_assert_true (is_mapped (dropped));
  munmap (dropped, page);
  g_assert_true (shm_shelf_take (shelf, 0, page) == kept);
  munmap (kept, page);
  shm_shelf_free (shelf);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/shelf/put-and-take", test_put_and_take);
  test_add ("/shelf/bounds", test_bounds);
  test_add ("/shelf/close", test_close);
  test_add ("/shelf/child", test_child);

  return g_test_run ();
}
