/* SPDX-License-Identifier: MIT */
/*
 * waiter.h - whoever waits: a fiber, or a thread that has borrowed a handle.
 */
#ifndef WF_WAITER_H
#define WF_WAITER_H

#include "core/park.h"
#include "core/self.h"

/* Say that nobody can wait here, and abort. */
_Noreturn WF_COLD void wf_waiter_none(void);

/*
 * The calling fiber; NULL on a thread.  Aborts in a worker's own context, which
 * must not block.
 */
static inline struct weft_fiber *waiter_fiber(void)
{
	struct weft_fiber *me = wf_self();

	if (unlikely(me && fiber_kind(me) == WF_LOOP))
		wf_waiter_none();
	return me;
}

/*
 * The handle by which the caller waits: its own if it is a fiber, else one
 * that is borrowed until wf_waiter_end(); NULL without memory.
 */
struct weft_fiber *wf_waiter_begin(void);
void wf_waiter_end(struct weft_fiber *me);

/*
 * Sleep until unparked, or for no reason.  `deadline` ends the sleep of a
 * thread only: fibers have timers, see wait.h.  `wait` is what those who look
 * see meanwhile; NULL if there is nothing to see.
 */
void wf_park_for(struct weft_fiber *me, struct wf_wait *wait,
		 weft_time deadline);

static inline void wf_park(struct weft_fiber *me, weft_time deadline)
{
	wf_park_for(me, NULL, deadline);
}

/* Context: anyone. */
void wf_unpark(struct weft_fiber *f);

/*
 * Keep a fiber that is asleep where it is, until it is released; false if it is
 * not asleep.  Its stack may be read meanwhile, and f->wait, which is NULL or
 * on that stack.  Not to be held while the caller waits for anything.
 *
 * Context: anyone, inside the gate.
 */
static inline bool wf_hold(struct weft_fiber *f)
{
	return park_hold(f);
}

void wf_release(struct weft_fiber *f);

/* In a worker's loop: woken fibers run in the order of their events. */
void wf_unpark_here(struct weft_fiber *f, struct wf_carrier *here);

#endif
