/* SPDX-License-Identifier: MIT */
/*
 * carrier.h - the thread that carries a worker, and how it can lose it.
 *
 * A worker (queues, timers, epoll) and the thread that runs it are two
 * objects, so that a worker whose thread is stuck in one fiber can go on with
 * another thread.  The owner's plain operations on a worker happen only
 * between enter and leave:
 *
 *      enter    inside + 1 (plain); [worker-taken]; load lost: if set, the
 *               worker is no longer ours: touch nothing of it, use the
 *               injection queue instead
 *      leave    inside - 1 (plain)
 *      take     lost = TRYING; membarrier [worker-taken]; if inside is 0,
 *               lost = TAKEN, and the worker has another thread from now on;
 *               else lost = 0, the attempt has failed.  One taker at a time.
 *
 * Either the owner's load of `lost` comes after the taker's store, and it
 * keeps away; or its store of `inside` came before the membarrier, and the
 * taker sees it.  Both may happen: then nobody is harmed, and the owner, which
 * has found `lost` set for a moment, has used the injection queue once.
 *
 * A carrier that finds itself lost goes on with its fiber until that departs,
 * then queues it by injection and joins the spares.  What a departing fiber
 * left to be done travels with the switch and stays with the thread.
 *
 * Without membarrier(2), `fence` makes enter pay for the fence.
 */
#ifndef WF_CARRIER_H
#define WF_CARRIER_H

#include <signal.h>
#include <sys/types.h>

#include "base/check.h"
#include "core/life.h"

#define WF_BUDGET 128 /* operations that succeed at once, then a yield */

#define WF_TRYING 1u
#define WF_TAKEN  2u

struct wf_worker;

struct wf_carrier {
	struct weft_fiber loop;   /* its own context, and what runs there */
	struct wf_life loop_life; /* of which only the sanitizer's state */
	_Atomic uint32_t inside;  /* owner writes, taker reads */
	_Atomic uint32_t lost;    /* taker writes, owner reads */
	bool fence;               /* constant */
	uint32_t budget;          /* owner: of the fiber that runs */
	uint32_t calls; /* owner: as the worker's, since a fiber last parked */
	/* Taker, then owner once lost: how its fiber holds the thread. */
	bool computes;
	uint32_t stuck_site; /* see run/trace.h */
	weft_time stuck_since;
	_Atomic(struct weft_fiber *) running; /* owner writes: or its loop */
	_Atomic pid_t tid; /* atomic: the kernel's number of the thread, or 0 */
	stack_t altstack;  /* the thread's, for handlers of signals */
	struct wf_worker *worker; /* constant between two takeovers */
};

/* Zeroed memory becomes one that has not been given a worker. */
void wf_carrier_begin(struct wf_carrier *c);

/*
 * The worker while inside, NULL if it has been taken away.  An attempt to take
 * it that begins meanwhile fails: a worker that was ours at enter stays ours
 * until leave, even if this says NULL for a moment.
 */
static inline struct wf_worker *carrier_worker(struct wf_carrier *c)
{
	return unlikely(atom_load_rlx(&c->lost)) ? NULL : c->worker;
}

/* The worker, to be used until leave; NULL if it has been taken away. */
static inline struct wf_worker *carrier_enter(struct wf_carrier *c)
{
	atom_store_rlx(&c->inside, atom_load_rlx(&c->inside) + 1);
	/* [worker-taken] */
	atom_fence_light();
	if (unlikely(c->fence))
		/* [worker-taken] */
		atom_fence_sc();
	return carrier_worker(c);
}

/* release [worker-taken]: the taker sees what we did inside. */
static inline void carrier_leave(struct wf_carrier *c)
{
	/* release [worker-taken] */
	atom_store_rel(&c->inside, atom_load_rlx(&c->inside) - 1);
}

/*
 * Take the worker away from its thread.  False if that is inside.
 *
 * Context: the one taker.
 */
bool wf_carrier_take(struct wf_carrier *c);

/*
 * Whether the worker is ours, when nobody is trying to take it any more.
 *
 * Context: the owner, inside.
 */
static inline bool carrier_settled(struct wf_carrier *c)
{
	uint32_t lost;

	/* acquire [worker-taken] */
	while (unlikely((lost = atom_load_acq(&c->lost)) == WF_TRYING))
		wf_cpu_relax();
	return lost == 0;
}

#endif
