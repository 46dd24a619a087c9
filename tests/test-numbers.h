/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "test-util.h"

#include "shmem-glib/shm-algorithms-private.h"

/* Arrays of random numbers of every type, and what naive code needs to look at them. */

typedef enum
{
  TEST_PATTERN_SMALL,   /* small numbers, whose sums are exact where they are integers */
  TEST_PATTERN_SPECIAL, /* all bits random; NaN, infinities, both zeros among floating-point ones */
  TEST_PATTERN_EQUAL,
  TEST_PATTERN_ASCENDING,
  TEST_PATTERN_DESCENDING,
  TEST_N_PATTERNS
} TestPattern;

typedef struct
{
  ShmMapReduce *pool;
  TestPattern pattern;
  ShmArray *whole;  /* that the array is, or is a view of */
  ShmArray *before; /* a copy of it */
} TestSubject;

typedef void (*TestSubjectFunc) (TestSubject *subject, ShmArray *array, gpointer data);

typedef struct
{
  gboolean is_real;
  gboolean is_negative;
  guint64 bits; /* of an integer, signed ones in two's complement */
  double real;
} TestNumber;

extern const ShmTuning test_default_tuning;

void test_set_small_tuning (void);

TestNumber test_number (ShmArray *contiguous, gsize i);
double test_number_to_double (TestNumber number);
gboolean test_number_is_nan (TestNumber number);
int test_number_compare (TestNumber a, TestNumber b);
GVariant *test_value (ShmArray *array, gsize i);
void test_randomise (ShmArray *contiguous, TestPattern pattern);

/* Calls @func for arrays and views of all types and many sizes and patterns, with pools of one to
 * five workers. */
void test_for_subjects (ShmBackendType backend,
                        gboolean with_complex,
                        TestSubjectFunc func,
                        gpointer data);

/* Asserts that what is not in the view is as it was. */
void test_check_gaps (TestSubject *subject, ShmArray *view);
