/* SPDX-License-Identifier: MIT */
/*
 * atom.h - the only spelling of atomics in weft.
 *
 * Each name says its order, so that the implicit seq_cst of plain C11 accesses
 * cannot be written by accident.  Each use other than _rlx carries a [label];
 * the label appears on both ends of the pairing, and the lint test fails on a
 * label that appears only once.
 *
 * Suffixes: rlx relaxed, acq acquire, rel release, ar both, sc sequentially
 * consistent.
 */
#ifndef WF_ATOM_H
#define WF_ATOM_H

#include <stdatomic.h>

#define WF_RLX memory_order_relaxed
#define WF_ACQ memory_order_acquire
#define WF_REL memory_order_release
#define WF_AR  memory_order_acq_rel
#define WF_SC  memory_order_seq_cst

#define atom_load_rlx(p)     atomic_load_explicit(p, WF_RLX)
#define atom_load_acq(p)     atomic_load_explicit(p, WF_ACQ)
#define atom_store_rlx(p, v) atomic_store_explicit(p, v, WF_RLX)
#define atom_store_rel(p, v) atomic_store_explicit(p, v, WF_REL)
#define atom_swap_rlx(p, v)  atomic_exchange_explicit(p, v, WF_RLX)
#define atom_swap_acq(p, v)  atomic_exchange_explicit(p, v, WF_ACQ)
#define atom_swap_ar(p, v)   atomic_exchange_explicit(p, v, WF_AR)
#define atom_swap_sc(p, v)   atomic_exchange_explicit(p, v, WF_SC)
#define atom_add_rlx(p, v)   atomic_fetch_add_explicit(p, v, WF_RLX)
#define atom_add_ar(p, v)    atomic_fetch_add_explicit(p, v, WF_AR)
#define atom_add_sc(p, v)    atomic_fetch_add_explicit(p, v, WF_SC)
#define atom_sub_rlx(p, v)   atomic_fetch_sub_explicit(p, v, WF_RLX)
#define atom_sub_ar(p, v)    atomic_fetch_sub_explicit(p, v, WF_AR)
#define atom_or_rlx(p, v)    atomic_fetch_or_explicit(p, v, WF_RLX)
#define atom_or_ar(p, v)     atomic_fetch_or_explicit(p, v, WF_AR)
#define atom_and_ar(p, v)    atomic_fetch_and_explicit(p, v, WF_AR)
#define atom_and_rel(p, v)   atomic_fetch_and_explicit(p, v, WF_REL)
#define atom_and_rlx(p, v)   atomic_fetch_and_explicit(p, v, WF_RLX)

/* Compare and swap; on failure *e is what was found. */
#define atom_cas_rlx(p, e, v)                                                  \
	atomic_compare_exchange_strong_explicit(p, e, v, WF_RLX, WF_RLX)
#define atom_cas_acq(p, e, v)                                                  \
	atomic_compare_exchange_strong_explicit(p, e, v, WF_ACQ, WF_ACQ)
#define atom_cas_rel(p, e, v)                                                  \
	atomic_compare_exchange_strong_explicit(p, e, v, WF_REL, WF_RLX)
#define atom_cas_ar(p, e, v)                                                   \
	atomic_compare_exchange_strong_explicit(p, e, v, WF_AR, WF_ACQ)
#define atom_cas_sc(p, e, v)                                                   \
	atomic_compare_exchange_strong_explicit(p, e, v, WF_SC, WF_SC)

/* For counters that one thread writes and others read: no locked instruction.
 */
#define atom_bump_rlx(p) atom_store_rlx(p, atom_load_rlx(p) + 1)
#define atom_drop_rlx(p) atom_store_rlx(p, atom_load_rlx(p) - 1)

#define atom_fence_sc() atomic_thread_fence(WF_SC)

/*
 * The cheap half of an asymmetric fence: the compiler keeps the order, and the
 * other side runs wf_membarrier(), which makes every CPU keep it.
 */
#define atom_fence_light() atomic_signal_fence(WF_SC)

#endif
