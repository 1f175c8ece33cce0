/* SPDX-License-Identifier: MIT */
/*
 * region.c - see region.h.
 */
#include "posix/region.h"

#include "os/call.h"
#include "posix/delivery.h"
#include "posix/interrupt.h"
#include "posix/quiet.h"

/*
 * What was sent in the last moment may not have been delivered: now it is
 * blocked, so it is taken from the kernel and noted.
 */
static void fetch(struct wf_identity *me)
{
	uint64_t pending = 0;
	siginfo_t info;
	int signal;

	wf_call(rt_sigpending, &pending, sizeof pending);
	pending &= ~me->mask;
	while (pending && (signal = wf_signal_fetch_kernels(pending, &info)))
		wf_signal_send(me, signal, &info);
}

static void give_back(struct wf_identity *me)
{
	/* First: a handler may want that lock. */
	wf_signals_off();
	spin_lock(&me->signals);
	me->regions = 0;
	spin_unlock(&me->signals);
	fetch(me);
	/* And what comes next the kernel cannot give it. */
	wf_signals_masked(me->mask);
}

static void borrow(struct wf_identity *me, uint32_t depth)
{
	/* What another fiber's write inside libc has left to this thread. */
	wf_sigpipe_drop();
	spin_lock(&me->signals);
	me->regions = depth;
	spin_unlock(&me->signals);
	/* What came before that: the call would not be interrupted by it. */
	if (unlikely(signals_due(me)))
		wf_signals_hand_over(me, ~me->mask);
	/* From here on a handler may run. */
	wf_signals_back(me->mask);
}

/* What comes before may make it a thread of the kernel's. */
static void enter(void (*before)(void))
{
	struct wf_identity *me = identity_self();

	if (me && me->regions) {
		me->regions++;
	} else if (me) {
		before();
		if (identity_self())
			borrow(me, 1);
	}
}

static void take_signals(void)
{
	wf_interrupted_by_signal();
}

void wf_region_enter(void)
{
	enter(wf_cancellation_point);
}

void wf_region_enter_firmly(void)
{
	enter(take_signals);
}

void wf_region_leave(void)
{
	struct wf_identity *me = identity_self();

	if (!me)
		return;
	if (me->regions > 1) {
		me->regions--;
		return;
	}
	give_back(me);
	if (unlikely(signals_due(me)))
		wf_signals_take(me);
}

/* Context: a fiber; which it may be no more when it comes back. */
void wf_region_enter_holding(struct wf_held *held)
{
	struct wf_identity *me = identity_self();

	held->outer = me->held;
	held->depth = me->regions + 1;
	me->held = held;
	wf_region_enter_firmly();
}

void wf_region_leave_holding(struct wf_held *held)
{
	struct wf_identity *me;

	wf_region_leave();
	me = identity_own();
	/* A handler may have forked: the child has none. */
	if (me)
		me->held = held->outer;
}

void wf_region_leave_to(uint32_t depth)
{
	struct wf_identity *me = identity_self();

	if (!me)
		return;
	wf_identity_let_go(me, depth);
	if (me->regions <= depth)
		return;
	if (depth)
		me->regions = depth;
	else
		give_back(me);
}

uint32_t wf_region_suspend(void)
{
	struct wf_identity *me = identity_self();
	uint32_t depth = me ? me->regions : 0;

	if (depth)
		give_back(me);
	return depth;
}

void wf_region_resume(uint32_t depth)
{
	struct wf_identity *me = identity_self();

	/* It may have become a thread of the kernel's meanwhile. */
	if (me)
		borrow(me, depth);
}
