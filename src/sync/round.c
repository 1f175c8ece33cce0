/* SPDX-License-Identifier: MIT */
/*
 * round.c - see round.h.
 */
#include "sync/round.h"

#include <errno.h>

#include "base/check.h"

/* False: the round has ended, and takes us along. */
static bool give_up(struct wf_round *r, struct wf_seat *s, uint64_t number)
{
	bool same;

	spin_lock(&r->queue.lock);
	same = r->number == number;
	if (same)
		queue_leave(&r->queue, &s->node);
	spin_unlock(&r->queue.lock);
	return same;
}

int wf_round_join(struct wf_round *r, struct wf_seat *s, weft_time deadline)
{
	uint64_t number = r->number;
	int e;

	queue_join(&r->queue, &s->node);
	spin_unlock(&r->queue.lock);
	e = wf_wait_sleep(&s->wait, wait_deadline(s->wait.waiter, deadline),
			  false);
	if (e < 0 && give_up(r, s, number))
		return e;
	if (e < 0)
		wf_wait_sleep(&s->wait, WEFT_FOREVER, true);
	return 0;
}

void wf_round_end(struct wf_round *r)
{
	struct wf_list all = r->queue.list;
	struct wf_wakes wakes;

	r->number++;
	r->queue.list = (struct wf_list){0};
	r->queue.count = 0;
	spin_unlock(&r->queue.lock);
	wakes_begin(&wakes);
	while (!list_empty(&all)) {
		/* Nobody leaves this list by itself: no lock is needed. */
		while (!list_empty(&all) && wakes.count < WF_WAKES)
			wait_claim(node_of(list_pop(&all)), &wakes);
		wf_wakes_fire(&wakes, NULL);
	}
}

/* Context: the lock is held. */
static void count_down(struct wf_round *r, uint64_t n, const char *what)
{
	if (unlikely(n > r->count))
		wf_panic("a %s is counted below zero", what);
	r->count -= n;
}

void wf_round_arrive(struct wf_round *r, uint64_t n, const char *what)
{
	spin_lock(&r->queue.lock);
	count_down(r, n, what);
	if (r->count == 0)
		wf_round_end(r);
	else
		spin_unlock(&r->queue.lock);
}

static int wait_for(struct wf_round *r, uint64_t n, struct weft_fiber *me,
		    weft_time deadline, const char *what)
{
	struct wf_seat seat;

	seat_begin(&seat, me, what, r);
	spin_lock(&r->queue.lock);
	count_down(r, n, what);
	if (r->count)
		return wf_round_join(r, &seat, deadline);
	wf_round_end(r);
	return 0;
}

int wf_round_wait(struct wf_round *r, uint64_t n, weft_time deadline,
		  const char *what)
{
	struct weft_fiber *me = wf_waiter_begin();
	int e;

	if (unlikely(!me))
		return -ENOMEM;
	e = wait_allowed(me);
	if (e == 0)
		e = wait_for(r, n, me, deadline, what);
	wf_waiter_end(me);
	return e;
}
