/* SPDX-License-Identifier: MIT */
/*
 * wait.h - how one waits for any of several things, and of all that could end
 * the wait exactly one does.
 *
 * A wait is one word, and has a node for each object waited on.  Both lie on
 * the stack of the waiter; a node is linked in its object under the object's
 * lock.  Nothing is allocated.
 *
 *      word            the wait
 *      WAITING         nobody has ended it
 *      CLAIMED by i    a notifier of node i will; it holds the object's lock,
 *                      or has collected the wait in a list to fire
 *      FIRED by i      that has happened: the frame may go
 *      SELF            the waiter has ended it: deadline or cancel
 *
 *      claim, under the object's lock    WAITING -> CLAIMED by i, by CAS; only
 *                                        then unlink the node and hand over;
 *                                        if it fails, skip the node
 *      fire, after unlocking             read next and handle; CLAIMED ->
 *                                        FIRED, the last touch of the frame
 *                                        [wait-fired]; unpark the handle
 *      give up, the waiter               WAITING -> SELF by CAS; then it
 *                                        unlinks its nodes under the locks
 *
 * Deadline and cancel never touch objects: they flag the fiber (or its timer)
 * and unpark it, and it gives up by itself.  If that CAS fails, somebody has
 * granted something, and success wins.  The waiter leaves only on FIRED or
 * SELF.
 *
 * Most waits have one node.  Such a wait may be `alone`: then its waiter gives
 * up only under the lock of that one object, while it is linked there, and a
 * claim is a plain store:
 *
 *      claim, under the lock     -> CLAIMED; unlink the node
 *      end, after unlocking      -> FIRED, by whoever has unlinked the node
 *                                [wait-fired]; unpark: where one is woken, and
 *                                nothing has to be collected
 *      give up, under the lock   if it is linked, unlink it; else it has been
 *                                claimed, or is about to end: wait until FIRED
 *
 * A waiter that was fired by node i still has its other nodes linked, and
 * unlinks them before its frame goes; notifiers skip them meanwhile.
 *
 * Orders: [wait-claim] the CAS that claims acquires what the waiter wrote into
 * wait and nodes, which linking released through the object's lock;
 * [wait-fired] as above: the waiter sees what the notifier has handed over.
 */
#ifndef WF_WAIT_H
#define WF_WAIT_H

#include "core/timer.h"
#include "core/waiter.h"
#include "core/worker.h"
#include "os/clock.h"

#define WF_WAITING 0u
#define WF_SELF    1u
#define WF_CLAIMED 2u /* + index << 2 */
#define WF_FIRED   3u /* + index << 2 */

#define WF_WAKES 64 /* at most so many are collected in one hold of a lock */

struct wf_wait {
	_Atomic uint32_t word;
	bool inside; /* a thread's, which has come through the gate */
	bool alone;  /* see above; constant */
	struct weft_fiber *waiter;
	struct wf_wait *next; /* in a list to fire; owned by who has claimed */
	/* For those who look: constant while it waits. */
	const char *what; /* "read", "join", ... */
	uintptr_t object; /* descriptor or count, or an address; 0: none */
	weft_time since;  /* the worker's last pass before it */
};

/* Objects below this are numbers. */
#define WF_OBJECT_NUMBERS ((uintptr_t)1 << 22)

struct wf_node {
	struct wf_link link; /* in the object's list, under its lock */
	struct wf_wait *wait;
	uint32_t index; /* which of the wait's nodes this is */
	uint32_t want;  /* the object's own */
};

static inline struct wf_node *node_of(struct wf_link *link)
{
	return container_of(link, struct wf_node, link);
}

/* Claimed waits, to be fired when the lock is no longer held. */
struct wf_wakes {
	struct wf_wait *first, **last;
	unsigned count;
};

/* A fiber does not read the clock for it. */
static inline weft_time wait_since(const struct weft_fiber *waiter)
{
	struct wf_worker *w = NULL;

	if (likely(fiber_kind(waiter) != WF_THREAD))
		w = waiter->carrier->worker;
	return likely(w) ? atom_load_rlx(&w->now) : wf_clock_now();
}

/* `what` lasts as long as the program. */
static inline void wait_begin(struct wf_wait *w, struct weft_fiber *waiter,
			      const char *what, uintptr_t object)
{
	atom_store_rlx(&w->word, WF_WAITING);
	w->waiter = waiter;
	w->inside = false;
	w->alone = false;
	w->what = what;
	w->object = object;
	w->since = wait_since(waiter);
}

static inline void wakes_begin(struct wf_wakes *l)
{
	l->first = NULL;
	l->last = &l->first;
	l->count = 0;
}

/*
 * Claim the node's wait and collect it; false if it has ended otherwise.
 * Context: the lock of the node's object is held.
 */
static inline bool wait_claim(struct wf_node *node, struct wf_wakes *l)
{
	struct wf_wait *w = node->wait;
	uint32_t claimed = node->index << 2 | WF_CLAIMED, found = WF_WAITING;

	if (w->alone)
		atom_store_rlx(&w->word, claimed);
	/* acquire [wait-claim] */
	else if (!atom_cas_ar(&w->word, &found, claimed))
		return false;
	wf_prefetch(w->waiter); /* to be unparked when the lock is free */
	w->next = NULL;
	*l->last = w;
	l->last = &w->next;
	l->count++;
	return true;
}

/*
 * Fire one that has been claimed; or end one that is alone, and whose node the
 * caller has unlinked.  The waiter is returned, who has to be unparked.
 * Context: the lock of the node's object is not held.
 */
static inline struct weft_fiber *wait_fire(struct wf_wait *w)
{
	struct weft_fiber *waiter = w->waiter;

	/* release [wait-fired] */
	atom_store_rel(&w->word, atom_load_rlx(&w->word) | WF_FIRED);
	return waiter;
}

/* Fire what has been collected.  `here` as in wf_unpark_here(), or NULL. */
void wf_wakes_fire(struct wf_wakes *l, struct wf_carrier *here);

/*
 * Sleep until fired or `deadline`.  Returns the index of the node that fired.
 * After an error nobody will fire, and the caller unlinks the nodes; but a wait
 * that is alone goes on, and the caller gives up as said above.
 *
 * Errors: -ETIMEDOUT; -ECANCELED, unless `shielded`; -ESHUTDOWN the wait is of
 * a thread inside a runtime that ends: it leaves and waits by itself.
 */
int wf_wait_sleep(struct wf_wait *w, weft_time deadline, bool shielded);

/*
 * The same for one who has asked wait_allowed() and has not slept since: what
 * has changed by now has left a permit.
 */
static inline int wait_sleep(struct wf_wait *w, weft_time deadline,
			     bool shielded)
{
	uint32_t word;

	if (unlikely(deadline != WEFT_FOREVER))
		return wf_wait_sleep(w, deadline, shielded);
	wf_park_for(w->waiter, w, deadline);
	/* acquire [wait-fired] */
	word = atom_load_acq(&w->word);
	return likely((word & 3) == WF_FIRED)
		       ? (int)(word >> 2)
		       : wf_wait_sleep(w, deadline, shielded);
}

/*
 * End a wait without sleeping: 0 if nobody has claimed it, else the index of
 * the node that has fired.
 */
int wf_wait_withdraw(struct wf_wait *w);

/* The same, for its waiter under a lock: false, somebody has claimed it. */
static inline bool wait_withdraw(struct wf_wait *w)
{
	uint32_t waiting = WF_WAITING;

	/* acquire [wait-claim] */
	return atom_cas_ar(&w->word, &waiting, WF_SELF);
}

/*
 * Like wf_wait_sleep() for a wait that may go on: sleep until unparked for any
 * reason.  Returns 0 after any wake.
 */
int wf_wait_once(struct wf_wait *w, weft_time deadline, bool shielded);

/*
 * What a call that may wait looks at first: 0, -ECANCELED, or -ETIMEDOUT if
 * the deadline of the fiber's scope has passed.  The other one is its slow
 * half.
 */
int wf_wait_allowed(struct weft_fiber *me);

static inline int wait_allowed(struct weft_fiber *me)
{
	if (likely(me->deadline == WEFT_FOREVER &&
		   !atom_load_rlx(&me->cancel) &&
		   !atom_load_rlx(&wf_runtime.stopping) &&
		   !(me->scope && scope_cancelled(me->scope))))
		return 0;
	return wf_wait_allowed(me);
}

/* Whether the fiber, its scope or the runtime is, and it is not shielded. */
bool wf_cancelled(struct weft_fiber *me);

/* The nearer one of a call's deadline and the scope's. */
static inline weft_time wait_deadline(const struct weft_fiber *me,
				      weft_time deadline)
{
	return me->shield || deadline < me->deadline ? deadline : me->deadline;
}

#endif
