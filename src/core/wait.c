/* SPDX-License-Identifier: MIT */
/*
 * wait.c - see wait.h.
 */
#include "core/wait.h"

#include <errno.h>

#include "core/gate.h"
#include "core/sched.h"
#include "core/self.h"
#include "os/clock.h"

static inline void fire_all(struct wf_wakes *l, struct wf_carrier *here,
			    void (*unpark)(struct weft_fiber *,
					   struct wf_carrier *))
{
	struct wf_wait *w = l->first, *next;

	for (; w; w = next) {
		next = w->next;
		unpark(wait_fire(w), here);
	}
	wakes_begin(l);
}

static void unpark(struct weft_fiber *f, struct wf_carrier *unused)
{
	(void)unused;
	wf_unpark(f);
}

/* Behind those who wait for their turn already, and each other. */
static void unpark_in_order(struct weft_fiber *f, struct wf_carrier *here)
{
	if (park_permit(f))
		wf_sched_queue_here(f, here);
}

void wf_wakes_fire(struct wf_wakes *l, struct wf_carrier *here)
{
	struct weft_fiber *self;

	if (here) {
		fire_all(l, here, wf_unpark_here);
	} else if (likely(l->count == 1)) {
		wf_unpark(wait_fire(l->first));
		wakes_begin(l);
	} else if (l->count && (self = wf_self())) {
		carrier_enter(self->carrier);
		fire_all(l, self->carrier, unpark_in_order);
		carrier_leave(self->carrier);
	} else {
		fire_all(l, NULL, unpark);
	}
}

bool wf_cancelled(struct weft_fiber *me)
{
	return !me->shield && (atom_load_rlx(&me->cancel) ||
			       atom_load_rlx(&wf_runtime.stopping) ||
			       (me->scope && scope_cancelled(me->scope)));
}

int wf_wait_allowed(struct weft_fiber *me)
{
	if (unlikely(wf_cancelled(me)))
		return -ECANCELED;
	if (unlikely(me->deadline != WEFT_FOREVER && !me->shield &&
		     me->deadline <= wf_clock_now()))
		return -ETIMEDOUT;
	return 0;
}

static struct wf_timer *timer_of(struct weft_fiber *me)
{
	return &me->life->timer;
}

/* The present worker's wheel, or the first one's, which may be asleep then. */
static WF_NOINLINE void arm_anew(struct weft_fiber *me, weft_time deadline)
{
	struct wf_worker *w;

	wf_timer_disarm(timer_of(me));
	w = carrier_enter(me->carrier);
	if (likely(w)) {
		wf_timer_arm(timer_of(me), &w->timers, me, deadline);
	} else {
		w = wf_runtime.workers;
		wf_timer_arm(timer_of(me), &w->timers, me, deadline);
		wf_sched_wake_worker(w);
	}
	carrier_leave(me->carrier);
}

/* A thread's sleep ends by itself, and what lies before time has passed. */
static inline bool timed(struct weft_fiber *me, weft_time deadline)
{
	return deadline > 0 && deadline != WEFT_FOREVER &&
	       fiber_kind(me) != WF_THREAD;
}

static inline void arm(struct wf_wait *w, weft_time deadline)
{
	if (timed(w->waiter, deadline) &&
	    !timer_surely_covers(w->waiter, deadline) &&
	    !timer_covers(timer_of(w->waiter), deadline))
		arm_anew(w->waiter, deadline);
}

static inline bool may_have_fired(struct weft_fiber *me, weft_time deadline)
{
	return !timer_surely_covers(me, deadline) && timer_fired(timer_of(me));
}

/*
 * A timer that has fired may have been an earlier wait's.  One that is armed
 * anew has fired at once if the deadline has passed since the clock was read:
 * then nobody wakes us.
 */
static inline bool expired(struct wf_wait *w, weft_time deadline)
{
	if (deadline == WEFT_FOREVER)
		return false;
	if (!timed(w->waiter, deadline))
		return wf_clock_now() >= deadline;
	while (may_have_fired(w->waiter, deadline)) {
		if (wf_clock_now() >= deadline)
			return true;
		arm(w, deadline);
	}
	return false;
}

/* Why the waiter should give up, 0 if it should not. */
static inline int reason(struct wf_wait *w, weft_time deadline, bool shielded)
{
	if (!shielded && wf_cancelled(w->waiter))
		return -ECANCELED;
	if (unlikely(w->inside && wf_gate_closing()))
		return -ESHUTDOWN;
	return expired(w, deadline) ? -ETIMEDOUT : 0;
}

static inline int sleep_until(struct wf_wait *w, weft_time deadline,
			      bool shielded)
{
	for (;;) {
		/* acquire [wait-fired] */
		uint32_t word = atom_load_acq(&w->word);
		int why;

		if ((word & 3) == WF_FIRED)
			return (int)(word >> 2);
		why = reason(w, deadline, shielded);
		if (why && (w->alone || wait_withdraw(w)))
			return why;
		/* Claimed: a wake comes, and nothing else counts. */
		wf_park_for(w->waiter, w, why ? WEFT_FOREVER : deadline);
	}
}

int wf_wait_sleep(struct wf_wait *w, weft_time deadline, bool shielded)
{
	arm(w, deadline);
	return sleep_until(w, deadline, shielded);
}

int wf_wait_withdraw(struct wf_wait *w)
{
	return wait_withdraw(w) ? 0 : sleep_until(w, WEFT_FOREVER, true);
}

int wf_wait_once(struct wf_wait *w, weft_time deadline, bool shielded)
{
	int why;

	arm(w, deadline);
	why = reason(w, deadline, shielded);
	if (why)
		return why;
	wf_park_for(w->waiter, w, deadline);
	return 0;
}
