/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The order of items: each is seen as an unsigned integer of its size, and has a key, another one,
 * whose order is the one wanted. Keys are equal where items are: both zeros, every NaN, every truth
 * value but 0. NaN comes last. None of these functions has a branch, since what decides is random.
 */

/* item type, name of the key, the unsigned integer */
#define SHM_SORT_ITEMS(DO)                                                                         \
  DO (SHM_DTYPE_BOOL, b1, guint8)                                                                  \
  DO (SHM_DTYPE_I1, i1, guint8)                                                                    \
  DO (SHM_DTYPE_I2, i2, guint16)                                                                   \
  DO (SHM_DTYPE_I4, i4, guint32)                                                                   \
  DO (SHM_DTYPE_I8, i8, guint64)                                                                   \
  DO (SHM_DTYPE_U1, u1, guint8)                                                                    \
  DO (SHM_DTYPE_U2, u2, guint16)                                                                   \
  DO (SHM_DTYPE_U4, u4, guint32)                                                                   \
  DO (SHM_DTYPE_U8, u8, guint64)                                                                   \
  DO (SHM_DTYPE_F4, f4, guint32)                                                                   \
  DO (SHM_DTYPE_F8, f8, guint64)

static inline guint8
shm_key_b1 (guint8 item)
{
  return item != 0;
}

#define SHM_INTEGER_KEYS(bits, type, sign)                                                         \
  static inline type shm_key_u##bits (type item) { return item; }                                  \
                                                                                                   \
  static inline type shm_key_i##bits (type item) { return (type) (item ^ (sign)); }

SHM_INTEGER_KEYS (1, guint8, 0x80)
SHM_INTEGER_KEYS (2, guint16, 0x8000)
SHM_INTEGER_KEYS (4, guint32, 0x80000000)
SHM_INTEGER_KEYS (8, guint64, G_GUINT64_CONSTANT (0x8000000000000000))

/* Negative numbers have all bits turned over, others the sign alone; that puts -0 right before 0,
 * and one is added to it.
 */
#define SHM_FLOAT_KEY(bits, type, signed_type, sign, infinity)                                     \
  static inline type shm_key_f##bits (type item)                                                   \
  {                                                                                                \
    type key = item ^ ((type) ((signed_type) item >> (bits * 8 - 1)) | (sign));                    \
                                                                                                   \
    key += item == (sign);                                                                         \
    return key | -(type) ((item & ~(sign)) > (infinity));                                          \
  }

SHM_FLOAT_KEY (4, guint32, gint32, 0x80000000U, 0x7f800000U)
SHM_FLOAT_KEY (8,
               guint64,
               gint64,
               G_GUINT64_CONSTANT (0x8000000000000000),
               G_GUINT64_CONSTANT (0x7ff0000000000000))

#undef SHM_INTEGER_KEYS
#undef SHM_FLOAT_KEY

G_END_DECLS
