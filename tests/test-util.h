/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>
#include <shmem-glib/shmem-glib.h>

/* What a process has that could be left over. */
typedef struct
{
  guint n_fds;
  guint n_children;
  guint n_shared_mappings;
} TestLeftovers;

/* The C library's malloc survives a fork while other threads use it; the sanitizers' ones do not. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SANITIZED TRUE
#else
#define TEST_SANITIZED FALSE
#endif

void test_leftovers_take (TestLeftovers *leftovers);
void test_leftovers_check (const TestLeftovers *before);

/* A fixture function pair would do, but a wrapper keeps each test a plain function. */
void test_add (const char *path, GTestFunc func);
void test_add_data (const char *path, gconstpointer data, GTestDataFunc func);

void test_start_glib_thread (void);
gboolean test_under_valgrind (void);

/* Ends a child that the test has forked. */
void test_leave_copy (gint status) G_GNUC_NORETURN;

guint test_scale (guint n);

ShmMapReduce *test_pool (guint n_workers, ShmBackendType backend);
const char *test_backend_name (ShmBackendType backend);

/* Adds a test for each backend, which is its data. */
void test_add_for_backends (const char *prefix, const char *name, GTestDataFunc func);

/* Runs a job that must end well. */
void test_run_job (ShmJob *job);

guint test_count_fds (void);
GPtrArray *test_list_children (void);
guint64 test_get_resident (void);
ShmArray *test_new_array (ShmDtype dtype, gsize n_dims, const gsize *shape);
ShmArray *test_new_range (gsize n_dims, const gsize *shape);
