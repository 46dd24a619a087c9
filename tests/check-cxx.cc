/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The public headers are C++ too, and the names link. */

#include <shmem-glib/shmem-glib.h>

int
main ()
{
  ShmError code = SHM_ERROR_FAILED;

  if (shm_cpu_count () < 1 || shm_total_memory () < 1)
    return 1;
  return SHM_ERROR != 0 && code == SHM_ERROR_FAILED && SHM_CHECK_VERSION (0, 1, 0) ? 0 : 1;
}
