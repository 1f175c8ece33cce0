/* SPDX-License-Identifier: MIT */
/*
 * wait.c - see wait.h.
 */
#include "core/wait.h"

#include <errno.h>

#include "core/gate.h"
#include "core/sched.h"
#include "os/clock.h"

bool wf_wait_claim(struct wf_node *node, struct wf_wakes *l)
{
	struct wf_wait *w = node->wait;
	uint32_t found = WF_WAITING;

	/* acquire [wait-claim] */
	if (!atom_cas_ar(&w->word, &found, node->index << 2 | WF_CLAIMED))
		return false;
	w->next = NULL;
	*l->last = w;
	l->last = &w->next;
	l->count++;
	return true;
}

void wf_wakes_fire(struct wf_wakes *l, struct wf_carrier *here)
{
	struct wf_wait *w = l->first, *next;

	for (; w; w = next) {
		struct weft_fiber *waiter = w->waiter;
		uint32_t claimed = atom_load_rlx(&w->word);

		next = w->next;
		/* release [wait-fired] */
		atom_store_rel(&w->word, claimed | WF_FIRED);
		if (here)
			wf_unpark_here(waiter, here);
		else
			wf_unpark(waiter);
	}
	wakes_begin(l);
}

bool wf_cancelled(struct weft_fiber *me)
{
	return !me->shield && (atom_load_rlx(&me->cancel) ||
			       atom_load_rlx(&wf_runtime.stopping));
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

weft_time wf_wait_deadline(struct weft_fiber *me, weft_time deadline)
{
	return me->shield || deadline < me->deadline ? deadline : me->deadline;
}

/*
 * Fibers have a timer; a thread's sleep ends by itself, and a deadline before
 * the beginning of time has passed.
 */
static void arm(struct wf_wait *w, weft_time deadline)
{
	struct weft_fiber *me = w->waiter;
	struct wf_worker *worker;

	if (deadline <= 0 || deadline == WEFT_FOREVER || me->kind == WF_THREAD)
		return;
	worker = carrier_enter(me->carrier);
	w->armed = true;
	if (likely(worker)) {
		wf_timer_arm(&w->timer, &worker->timers, me, deadline);
	} else {
		worker = wf_runtime.workers;
		wf_timer_arm(&w->timer, &worker->timers, me, deadline);
		/* It may sleep longer than that. */
		wf_sched_wake_worker(worker);
	}
	carrier_leave(me->carrier);
}

static bool expired(struct wf_wait *w, weft_time deadline)
{
	if (deadline == WEFT_FOREVER)
		return false;
	if (w->armed)
		return timer_fired(&w->timer);
	return wf_clock_now() >= deadline;
}

/* Why the waiter should give up, 0 if it should not. */
static int reason(struct wf_wait *w, weft_time deadline, bool shielded)
{
	if (!shielded && wf_cancelled(w->waiter))
		return -ECANCELED;
	if (unlikely(w->inside && wf_gate_closing()))
		return -ESHUTDOWN;
	return expired(w, deadline) ? -ETIMEDOUT : 0;
}

static int sleep_until(struct wf_wait *w, weft_time deadline, bool shielded)
{
	for (;;) {
		/* acquire [wait-fired] */
		uint32_t word = atom_load_acq(&w->word), waiting = WF_WAITING;
		int why;

		if ((word & 3) == WF_FIRED)
			return (int)(word >> 2);
		why = reason(w, deadline, shielded);
		/* acquire [wait-claim]: on failure it is for the next round */
		if (why && atom_cas_ar(&w->word, &waiting, WF_SELF))
			return why;
		/* Claimed: a wake comes, and nothing else counts. */
		wf_park(w->waiter, why ? WEFT_FOREVER : deadline);
	}
}

int wf_wait_sleep(struct wf_wait *w, weft_time deadline, bool shielded)
{
	int r;

	arm(w, deadline);
	r = sleep_until(w, deadline, shielded);
	wf_wait_end(w);
	return r;
}

int wf_wait_withdraw(struct wf_wait *w)
{
	uint32_t waiting = WF_WAITING;

	/* acquire [wait-claim] */
	if (atom_cas_ar(&w->word, &waiting, WF_SELF))
		return 0;
	return sleep_until(w, WEFT_FOREVER, true);
}

int wf_wait_once(struct wf_wait *w, weft_time deadline)
{
	int why;

	if (!w->armed)
		arm(w, deadline);
	why = reason(w, deadline, false);
	if (why)
		return why;
	wf_park(w->waiter, deadline);
	return 0;
}

void wf_wait_end(struct wf_wait *w)
{
	if (w->armed)
		wf_timer_disarm(&w->timer);
	w->armed = false;
}
