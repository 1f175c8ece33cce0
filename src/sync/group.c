/* SPDX-License-Identifier: MIT */
/*
 * group.c - the group: a round ends whenever as many are done as were added.
 */
#include "base/check.h"
#include "sync/round.h"

static struct wf_round *round_of(struct weft_group *g)
{
	return round_in(&g->round_);
}

void weft_group_add(struct weft_group *g, uint64_t n)
{
	struct wf_round *r = round_of(g);

	spin_lock(&r->queue.lock);
	if (unlikely(n > WEFT_GROUP_MAX || r->count > WEFT_GROUP_MAX - n))
		wf_panic("a group has more added than can be");
	r->count += n;
	spin_unlock(&r->queue.lock);
}

void weft_group_done(struct weft_group *g)
{
	wf_round_arrive(round_of(g), 1, "group");
}

int weft_group_wait_until(struct weft_group *g, weft_time deadline)
{
	return wf_round_wait(round_of(g), 0, deadline, "group");
}

int weft_group_wait(struct weft_group *g)
{
	return weft_group_wait_until(g, WEFT_FOREVER);
}

void weft_group_destroy(struct weft_group *g)
{
	wf_queue_check_empty(&round_of(g)->queue, "group");
}
