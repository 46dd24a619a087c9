/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "test-numbers.h"

#include <math.h>
#include <string.h>

/* For large arrays: the sizes are those of the library, and two blocks are worth two workers. */
const ShmTuning test_default_tuning = {
  .block = 65536,
  .grain = 1,
  .sort_bytes = 1 << 19,
  .sort_grain = 1,
};

/* So that a hundred items have many blocks, and several levels of mergers. */
void
test_set_small_tuning (void)
{
  shm_algorithms_tuning.block = 64;
  shm_algorithms_tuning.grain = 1;
  shm_algorithms_tuning.sort_bytes = 128;
  shm_algorithms_tuning.sort_grain = 1;
}

#define INTEGER(type)                                                                              \
  memcpy (&number.type##_, item, sizeof (g##type));                                                \
  return (TestNumber) { FALSE, number.type##_ < 0, (guint64) number.type##_ }

TestNumber
test_number (ShmArray *contiguous, gsize i)
{
  const guint8 *item =
      (const guint8 *) shm_array_get_data (contiguous) + i * shm_array_get_item_size (contiguous);
  union
  {
    gint8 int8_;
    gint16 int16_;
    gint32 int32_;
    gint64 int64_;
    guint8 uint8_;
    guint16 uint16_;
    guint32 uint32_;
    guint64 uint64_;
    float float_;
    double double_;
  } number;

  switch (shm_array_get_dtype (contiguous))
    {
    case SHM_DTYPE_BOOL:
      return (TestNumber){ FALSE, FALSE, *item != 0 };
    case SHM_DTYPE_I1:
      INTEGER (int8);
    case SHM_DTYPE_I2:
      INTEGER (int16);
    case SHM_DTYPE_I4:
      INTEGER (int32);
    case SHM_DTYPE_I8:
      INTEGER (int64);
    case SHM_DTYPE_U1:
      return (TestNumber){ FALSE, FALSE, *item };
    case SHM_DTYPE_U2:
      memcpy (&number.uint16_, item, 2);
      return (TestNumber){ FALSE, FALSE, number.uint16_ };
    case SHM_DTYPE_U4:
      memcpy (&number.uint32_, item, 4);
      return (TestNumber){ FALSE, FALSE, number.uint32_ };
    case SHM_DTYPE_U8:
      memcpy (&number.uint64_, item, 8);
      return (TestNumber){ FALSE, FALSE, number.uint64_ };
    case SHM_DTYPE_F4:
    case SHM_DTYPE_C8:
      memcpy (&number.float_, item, sizeof (float));
      return (TestNumber){ .is_real = TRUE, .real = number.float_ };
    case SHM_DTYPE_F8:
    case SHM_DTYPE_C16:
      memcpy (&number.double_, item, sizeof (double));
      return (TestNumber){ .is_real = TRUE, .real = number.double_ };
    case SHM_DTYPE_RECORD:
    default:
      g_assert_not_reached ();
    }
}

double
test_number_to_double (TestNumber number)
{
  if (number.is_real)
    return number.real;
  return number.is_negative ? (double) (gint64) number.bits : (double) number.bits;
}

gboolean
test_number_is_nan (TestNumber number)
{
  return number.is_real && isnan (number.real);
}

/* NaN comes last, and is equal to itself. */
int
test_number_compare (TestNumber a, TestNumber b)
{
  if (a.is_real)
    {
      if (isnan (a.real) || isnan (b.real))
        return (isnan (a.real) ? 1 : 0) - (isnan (b.real) ? 1 : 0);
      return (a.real > b.real) - (a.real < b.real);
    }
  if (a.is_negative != b.is_negative)
    return a.is_negative ? -1 : 1;
  return (a.bits > b.bits) - (a.bits < b.bits);
}

/* The item of any array that is number @i in C order. */
GVariant *
test_value (ShmArray *array, gsize i)
{
  gsize index[32];
  gsize n_dims;
  const gsize *shape = shm_array_get_shape (array, &n_dims);
  GVariant *value;

  for (gsize axis = n_dims; axis-- > 0;)
    {
      index[axis] = i % shape[axis];
      i /= shape[axis];
    }
  value = shm_array_get_value (array, index, n_dims, NULL);
  g_assert_nonnull (value);
  return value;
}

static double
special_double (void)
{
  static const double specials[] = { 0.0, -0.0, NAN,   -NAN,   INFINITY, -INFINITY,
                                     1.0, -1.0, 1e-40, -1e-40, 5e-324,   -5e-324 };

  return specials[g_test_rand_int_range (0, G_N_ELEMENTS (specials))];
}

static double
pattern_double (TestPattern pattern, gsize i, gsize n)
{
  switch (pattern)
    {
    case TEST_PATTERN_EQUAL:
      return 1.0;
    case TEST_PATTERN_ASCENDING:
      return floor ((double) i * 100.0 / (double) n);
    case TEST_PATTERN_DESCENDING:
      return floor ((double) (n - i) * 100.0 / (double) n);
    case TEST_PATTERN_SPECIAL:
      return special_double ();
    default:
      return g_test_rand_int_range (0, 100);
    }
}

void
test_randomise (ShmArray *contiguous, TestPattern pattern)
{
  ShmDtype dtype = shm_array_get_dtype (contiguous);
  gsize size = shm_array_get_item_size (contiguous);
  gsize n = shm_array_get_n_elements (contiguous);
  guint8 *item = shm_array_get_data (contiguous);

  for (gsize i = 0; i < n; i++, item += size)
    {
      double value = pattern_double (pattern, i, n);
      float narrow = (float) value;
      guint64 bits =
          pattern == TEST_PATTERN_SPECIAL
              ? (guint64) (guint32) g_test_rand_int () << 32 | (guint32) g_test_rand_int ()
              : (guint64) value;

      if (dtype == SHM_DTYPE_F4 || dtype == SHM_DTYPE_C8)
        memcpy (item, &narrow, sizeof (float));
      else if (dtype == SHM_DTYPE_F8 || dtype == SHM_DTYPE_C16)
        memcpy (item, &value, sizeof (double));
      else if (dtype == SHM_DTYPE_BOOL)
        *item = pattern == TEST_PATTERN_SPECIAL ? bits & 3 : bits & 1;
      else
        memcpy (item, (guint8 *) &bits + (G_BYTE_ORDER == G_BIG_ENDIAN ? 8 - size : 0), size);
      if (dtype == SHM_DTYPE_C8)
        memcpy (item + 4, &narrow, sizeof (float));
      if (dtype == SHM_DTYPE_C16)
        memcpy (item + 8, &value, sizeof (double));
    }
}

/* An array of @n items or more: all of one, a view backwards with gaps, or a plane of which both
 * axes have gaps. */
static ShmArray *
test_new_subject (TestSubject *subject, ShmDtype dtype, gsize n, guint layout)
{
  const gsize line[] = { layout == 1 ? 3 * n : n };
  const gsize plane[] = { (n + 6) / 7 * 2, 21 };
  g_autoptr (ShmArray) rows = NULL;

  subject->whole = test_new_array (dtype, layout == 2 ? 2 : 1, layout == 2 ? plane : line);
  test_randomise (subject->whole, subject->pattern);
  subject->before = shm_array_new_copy (subject->whole, NULL);
  switch (layout)
    {
    case 0:
      return g_object_ref (subject->whole);
    case 1:
      return shm_array_slice (subject->whole, 0, G_MAXINT64, G_MININT64, -3, NULL);
    default:
      rows = shm_array_slice (subject->whole, 0, G_MAXINT64, G_MININT64, -2, NULL);
      return shm_array_slice (rows, 1, 1, G_MAXINT64, 3, NULL);
    }
}

void
test_for_subjects (ShmBackendType backend,
                   gboolean with_complex,
                   TestSubjectFunc func,
                   gpointer data)
{
  static const gsize sizes[] = { 0, 1, 2, 63, 64, 65, 130, 1000 };
  ShmDtype last = with_complex ? SHM_DTYPE_C16 : SHM_DTYPE_F8;
  /* A fork takes long there; each type still comes by. */
  guint step = test_under_valgrind () ? 23 : TEST_SANITIZED ? 7 : 1;
  guint round = 0;

  for (guint dtype = 0; dtype <= last; dtype++)
    for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
      for (guint layout = 0; layout < 3; layout++)
        {
          TestSubject subject = { 0 };
          g_autoptr (ShmArray) array = NULL;

          /* Two numbers without a common factor, so that all pairs come by. */
          round++;
          if (backend == SHM_BACKEND_TYPE_PROCESS && round % step != 0)
            continue;
          subject.pattern = (TestPattern) (round % TEST_N_PATTERNS);
          subject.pool = test_pool (1 + round / 3 % 5, backend);
          array = test_new_subject (&subject, (ShmDtype) dtype, sizes[s], layout);
          func (&subject, array, data);
          g_object_unref (subject.pool);
          g_object_unref (subject.whole);
          g_object_unref (subject.before);
        }
}

void
test_check_gaps (TestSubject *subject, ShmArray *view)
{
  gsize size = shm_array_get_item_size (subject->whole);
  gsize n_dims, n_view_dims;
  const gsize *shape = shm_array_get_shape (subject->whole, &n_dims);
  const guint8 *now = shm_array_get_data (subject->whole);
  const guint8 *before = shm_array_get_data (subject->before);
  gsize n = shm_array_get_n_elements (subject->whole);
  gsize n_changed = 0;

  shm_array_get_shape (view, &n_view_dims);
  g_assert_cmpuint (n_view_dims, ==, n_dims);
  for (gsize i = 0; i < n; i++)
    {
      gboolean in_view = n_dims == 1
                             ? (n - 1 - i) % 3 == 0
                             : (shape[0] - 1 - i / shape[1]) % 2 == 0 && i % shape[1] % 3 == 1;

      if (in_view)
        n_changed++;
      else
        g_assert_cmpmem (now + i * size, size, before + i * size, size);
    }
  g_assert_cmpuint (n_changed, ==, shm_array_get_n_elements (view));
}
