/* SPDX-FileCopyrightText: The shmem-glib authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The same loop on each of the peers that have threads. */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef void (*PeerFunc) (guint64 index, gpointer data);

gboolean peer_has_openmp (void);
gboolean peer_has_tbb (void);

/* Calls @func for each index below @n_items, @chunk of them a claim. */
void peer_openmp (guint64 n_items, guint64 chunk, PeerFunc func, gpointer data);
void peer_tbb (guint64 n_items, guint64 chunk, PeerFunc func, gpointer data);
void peer_g_thread_pool (guint64 n_items, guint64 chunk, PeerFunc func, gpointer data);

/* The same with one thread. */
void peer_openmp_alone (guint64 n_items, PeerFunc func, gpointer data);

/* Calls @func for each, and then @in_order in the order of the indices. */
void peer_openmp_ordered (guint64 n_items, PeerFunc func, PeerFunc in_order, gpointer data);
void peer_tbb_ordered (guint64 n_items, PeerFunc func, PeerFunc in_order, gpointer data);

/* Calls @func with the lock that the peer has for it. */
void peer_openmp_critical (PeerFunc func, guint64 index, gpointer data);
void peer_tbb_critical (PeerFunc func, guint64 index, gpointer data);

/* Starts their threads, so that a run finds them there. */
void peer_warm_openmp (gpointer data);
void peer_warm_tbb (gpointer data);
void peer_warm_g_thread_pool (gpointer data);

G_END_DECLS
