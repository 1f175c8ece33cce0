/* SPDX-License-Identifier: MIT */
/*
 * sched.h - from one fiber to the next.
 *
 * A fiber that leaves picks its successor from its worker's own queue and
 * switches to it directly.  Everything else, injected fibers, stealing, events,
 * spinning, sleeping, is done by the worker's loop in its carrier's own
 * context, to which a fiber switches when it finds no successor, and once in
 * 61 turns.
 *
 * What a leaving fiber leaves to be done (commit its park, queue it, free it)
 * needs its context to be saved, so it is done by whoever arrives, on another
 * stack: it travels with the switch as a message, which lies on the stack that
 * is left.  The first thing at every arrival is wf_arrive().
 */
#ifndef WF_SCHED_H
#define WF_SCHED_H

#include "core/worker.h"

#define WF_TURNS 61 /* between two looks at events and injected fibers */

/* Done on arrival, for a fiber that has left. */
typedef void (*wf_departure)(struct weft_fiber *gone, struct wf_carrier *here);

struct wf_message {
	wf_departure then;
	struct weft_fiber *from;
	struct weft_fiber *to;
};

/* After a switch has returned `message`, or at the entry of a new context. */
void wf_arrive(struct weft_fiber *self, struct wf_message *message);

/* Leave; returns when somebody has queued `self` and it is dispatched. */
void wf_sched_leave(struct weft_fiber *self, wf_departure then);

/* The same, but returns at once if nobody else is there to run. */
void wf_sched_yield(struct weft_fiber *self);

/*
 * One operation has been done at once: yield when the fiber's budget of them is
 * spent.  `self` may be NULL: a thread has none.
 */
static inline void sched_spend(struct weft_fiber *self)
{
	if (self && unlikely(--self->carrier->budget == 0))
		wf_sched_yield(self);
}

/*
 * The same of a call on a descriptor, with that result.  The thread counts it,
 * and has a worker to tell when the next fiber parks.
 */
static inline void sched_called(struct weft_fiber *self, long result)
{
	if (self && result > 0)
		self->carrier->calls++;
	sched_spend(self);
}

/*
 * Leave for good; `self` and its stack are freed on arrival.
 * Context: fiber, whose function has returned `result`.
 */
_Noreturn void wf_sched_exit(struct weft_fiber *self, void *result);

/*
 * Make a fiber runnable: it is asleep, and the caller is the only one who has
 * found that out.  On a fiber it goes to the caller's worker and is next.
 *
 * Context: anyone.
 */
void wf_sched_queue(struct weft_fiber *f);

/* The same on arrival or in a worker's loop, in order behind the others. */
void wf_sched_queue_here(struct weft_fiber *f, struct wf_carrier *here);

/* A fiber that has never run; its stack is reserved. */
void wf_sched_spawn(struct weft_fiber *f, struct wf_worker *w);

/*
 * Worker's loop: run `f`, and return when a fiber has nobody to switch to.
 */
void wf_sched_dispatch(struct wf_carrier *c, struct weft_fiber *f);

/* Worker's loop: from its own queue, NULL if that is empty. */
struct weft_fiber *wf_sched_pick(struct wf_worker *w);

/* Work has been published; wake somebody if nobody looks for it. */
void wf_sched_notify(void);

/* Whatever it waits for, make the worker pass through its loop. */
void wf_sched_wake_worker(struct wf_worker *w);

/* Leave the gate, and let the runtime end if it waits for that. */
void wf_sched_leave_gate(void);

#endif
