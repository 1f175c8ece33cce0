/* SPDX-License-Identifier: MIT */
/*
 * latch.c - the latch: one round, which ends when all have arrived.
 */
#include <errno.h>

#include "sync/round.h"

static struct wf_round *round_of(struct weft_latch *l)
{
	return round_in(&l->round_);
}

void weft_latch_init(struct weft_latch *l, uint64_t n)
{
	*l = (struct weft_latch){.round_ = {.count_ = n}};
}

void weft_latch_arrive(struct weft_latch *l, uint64_t n)
{
	wf_round_arrive(round_of(l), n, "latch");
}

int weft_latch_wait_until(struct weft_latch *l, weft_time deadline)
{
	return wf_round_wait(round_of(l), 0, deadline, "latch");
}

int weft_latch_wait(struct weft_latch *l)
{
	return weft_latch_wait_until(l, WEFT_FOREVER);
}

int weft_latch_arrive_and_wait_until(struct weft_latch *l, weft_time deadline)
{
	return wf_round_wait(round_of(l), 1, deadline, "latch");
}

int weft_latch_arrive_and_wait(struct weft_latch *l)
{
	return weft_latch_arrive_and_wait_until(l, WEFT_FOREVER);
}

int weft_latch_try_wait(struct weft_latch *l)
{
	struct wf_round *r = round_of(l);
	uint64_t left;

	spin_lock(&r->queue.lock);
	left = r->count;
	spin_unlock(&r->queue.lock);
	return left ? -EAGAIN : 0;
}

void weft_latch_destroy(struct weft_latch *l)
{
	wf_queue_check_empty(&round_of(l)->queue, "latch");
}
