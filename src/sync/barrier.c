/* SPDX-License-Identifier: MIT */
/*
 * barrier.c - the barrier: a round ends when enough wait for it.
 */
#include <errno.h>

#include "sync/round.h"

static struct wf_round *round_of(struct weft_barrier *b)
{
	return round_in(&b->round_);
}

int weft_barrier_init(struct weft_barrier *b, uint32_t n)
{
	if (!n)
		return -EINVAL;
	*b = (struct weft_barrier){.round_ = {.count_ = n}};
	return 0;
}

static int wait_for(struct wf_round *r, struct weft_fiber *me,
		    weft_time deadline)
{
	struct wf_seat seat;

	seat_begin(&seat, me, "barrier", r);
	spin_lock(&r->queue.lock);
	if (r->queue.count + 1 < r->count)
		return wf_round_join(r, &seat, deadline);
	wf_round_end(r);
	return WEFT_BARRIER_LAST;
}

int weft_barrier_wait_until(struct weft_barrier *b, weft_time deadline)
{
	struct weft_fiber *me = wf_waiter_begin();
	int e;

	if (unlikely(!me))
		return -ENOMEM;
	e = wait_allowed(me);
	if (e == 0)
		e = wait_for(round_of(b), me, deadline);
	wf_waiter_end(me);
	return e;
}

int weft_barrier_wait(struct weft_barrier *b)
{
	return weft_barrier_wait_until(b, WEFT_FOREVER);
}

void weft_barrier_destroy(struct weft_barrier *b)
{
	wf_queue_check_empty(&round_of(b)->queue, "barrier");
}
