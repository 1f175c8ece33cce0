/* SPDX-License-Identifier: MIT */
/*
 * cond.c - the condition: a queue that is joined before the mutex is unlocked,
 * so that no signal given under the mutex, or after it, is missed.
 *
 * Who is woken locks the mutex by itself.  To move it to the mutex's queue
 * instead would spare a wake where the mutex is held, but then a condition
 * would have to know one mutex, and a mutex would have to hand over to each
 * of them, one switch after another.
 */
#include <errno.h>

#include "sync/mutex.h"
#include "sync/queue.h"

static struct wf_queue *queue_of(struct weft_cond *c)
{
	return queue_in(&c->queue_);
}

/* The mutex is held before and after. */
static int wait_for(struct weft_cond *c, struct weft_mutex *m,
		    struct weft_fiber *me, weft_time deadline)
{
	struct wf_queue *q = queue_of(c);
	struct wf_seat seat;
	int r;

	seat_begin(&seat, me, "condition", c);
	spin_lock(&q->lock);
	queue_join(q, &seat.node);
	spin_unlock(&q->lock);
	weft_mutex_unlock(m);
	r = wf_queue_wait(q, &seat, deadline, false);
	wf_mutex_lock(m, me);
	return r;
}

int weft_cond_wait_until(struct weft_cond *c, struct weft_mutex *m,
			 weft_time deadline)
{
	struct weft_fiber *me = wf_waiter_begin();
	int r;

	if (!me)
		return -ENOMEM;
	r = wait_allowed(me);
	if (r == 0)
		r = wait_for(c, m, me, wait_deadline(me, deadline));
	wf_waiter_end(me);
	return r;
}

int weft_cond_wait(struct weft_cond *c, struct weft_mutex *m)
{
	return weft_cond_wait_until(c, m, WEFT_FOREVER);
}

void weft_cond_signal(struct weft_cond *c)
{
	struct wf_queue *q = queue_of(c);
	struct wf_wakes wakes;

	wakes_begin(&wakes);
	spin_lock(&q->lock);
	wf_queue_claim(q, 0, &wakes);
	spin_unlock(&q->lock);
	wf_wakes_fire(&wakes, NULL);
}

void weft_cond_broadcast(struct weft_cond *c)
{
	wf_queue_wake_all(queue_of(c), 0);
}

void weft_cond_destroy(struct weft_cond *c)
{
	wf_queue_check_empty(queue_of(c), "condition");
}
