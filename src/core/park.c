/* SPDX-License-Identifier: MIT */
/*
 * park.c - see park.h.
 */
#include "core/park.h"

#include "core/sched.h"
#include "core/self.h"

struct weft_fiber *wf_waiter_begin(void)
{
	struct weft_fiber *me = wf_self();

	if (me) {
		if (unlikely(me->kind == WF_LOOP))
			wf_panic("a call that waits, where no fiber runs");
		return me;
	}
	me = wf_fiber_alloc(NULL);
	if (!me)
		return NULL;
	me->kind = WF_THREAD;
	me->deadline = WEFT_FOREVER;
	me->shield = 0;
	atom_store_rlx(&me->cancel, 0);
	return me;
}

void wf_waiter_end(struct weft_fiber *me)
{
	if (me->kind == WF_THREAD)
		wf_fiber_free(NULL, me);
}

/* Run by wf_arrive(), on another stack, once the fiber has left in park. */
static void commit(struct weft_fiber *f, struct wf_carrier *here)
{
	uint32_t found = 0;

	/* release [context-saved]; on failure acquire [wake-reason] */
	if (!atom_cas_ar(&f->word, &found, WF_PARKED))
		wf_sched_queue_here(f, here);
}

static void park_thread(struct weft_fiber *me, weft_time deadline)
{
	uint32_t found = 0;

	if (atom_cas_rlx(&me->word, &found, WF_PARKED | WF_ASLEEP))
		wf_futex_wait(&me->word, WF_PARKED | WF_ASLEEP, deadline);
	/* acquire [wake-reason] */
	atom_swap_acq(&me->word, 0);
}

void wf_park(struct weft_fiber *me, weft_time deadline)
{
	if (me->kind == WF_THREAD) {
		park_thread(me, deadline);
		return;
	}
	if (atom_load_rlx(&me->word) & WF_PERMIT) {
		/* acquire [wake-reason] */
		atom_swap_acq(&me->word, 0);
		return;
	}
	wf_sched_leave(me, commit);
}

void wf_unpark(struct weft_fiber *f)
{
	if (park_permit(f))
		wf_sched_queue(f);
}

void wf_unpark_here(struct weft_fiber *f, struct wf_carrier *here)
{
	if (park_permit(f))
		wf_sched_queue_here(f, here);
}
