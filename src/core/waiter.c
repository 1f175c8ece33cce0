/* SPDX-License-Identifier: MIT */
/*
 * waiter.c - see waiter.h; park.h has the protocol.
 */
#include "core/waiter.h"

#include "base/check.h"
#include "core/sched.h"

#define FRAME_LINES 14

void wf_waiter_none(void)
{
	wf_panic("a call that waits, where no fiber runs");
}

struct weft_fiber *wf_waiter_begin(void)
{
	struct weft_fiber *me = waiter_fiber();

	if (me)
		return me;
	me = wf_fiber_alloc(NULL);
	if (!me)
		return NULL;
	atom_store_rlx(&me->kind, WF_THREAD);
	me->scope = NULL;
	me->deadline = WEFT_FOREVER;
	me->shield = 0;
	atom_store_rlx(&me->cancel, 0);
	return me;
}

void wf_waiter_end(struct weft_fiber *me)
{
	if (fiber_kind(me) == WF_THREAD)
		wf_fiber_free(NULL, me);
}

/* Run by wf_arrive(), on another stack, once the fiber has left in park. */
static void commit(struct weft_fiber *f, struct wf_carrier *here)
{
	struct wf_worker *w = carrier_worker(here);

	if (likely(w)) {
		atom_bump_rlx(&w->parks);
		atom_store_rlx(&w->calls,
			       atom_load_rlx(&w->calls) + here->calls);
		here->calls = 0;
	}
	if (!park_commit(f))
		wf_sched_queue_here(f, here);
}

void wf_park_for(struct weft_fiber *me, struct wf_wait *wait,
		 weft_time deadline)
{
	me->wait = wait;
	if (unlikely(fiber_kind(me) == WF_THREAD))
		park_thread(me, deadline);
	else if (!park_use_permit(me))
		wf_sched_leave(me, commit);
}

void wf_unpark(struct weft_fiber *f)
{
	if (park_permit(f))
		wf_sched_queue(f);
}

void wf_release(struct weft_fiber *f)
{
	if (park_release(f))
		wf_sched_queue(f);
}

/*
 * An event has come after a long time, and more are looked at before the fiber
 * runs: time to fetch all that a read has on its stack.
 */
void wf_unpark_here(struct weft_fiber *f, struct wf_carrier *here)
{
	if (!park_permit(f))
		return;
	fiber_prefetch(f, 0, FRAME_LINES, wf_prefetch_far);
	wf_sched_queue_here(f, here);
}
