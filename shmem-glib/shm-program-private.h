/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "shm-backend-private.h"

G_BEGIN_DECLS

/* What a job's workers execute. */
struct _ShmProgram
{
  char **argv;
  int *fds; /* that they inherit */
  gsize n_fds;
};

ShmProgram *shm_program_new (const char *const *argv, const int *fds, gsize n_fds);
void shm_program_free (ShmProgram *program);

/* Becomes the program; returns only if that cannot be. */
void shm_program_execute (const ShmBackend *backend, guint rank, GError **error);

G_END_DECLS
