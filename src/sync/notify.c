/* SPDX-License-Identifier: MIT */
/*
 * notify.c - the notification: a permit, or those who wait for one, and never
 * both.
 *
 * Who waits by itself and who selects among other things are linked in one
 * queue, each by a node that carries the number of the last notify_all before
 * it: so who comes while all are being woken, in passes, is not among them.
 */
#include <errno.h>

#include "core/select.h"
#include "sync/queue.h"

static struct wf_queue *queue_of(struct weft_notify *n)
{
	return queue_in(&n->queue_);
}

/* --- context of these: the lock is held --- */

static bool take(struct weft_notify *n)
{
	bool there = n->permit_;

	n->permit_ = false;
	return there;
}

static void join(struct weft_notify *n, struct wf_node *node)
{
	node->want = n->calls_;
	queue_join(queue_of(n), node);
}

/* Claim the first who came before this call; false if there is nobody. */
static bool claim(struct weft_notify *n, uint32_t call, struct wf_wakes *wakes)
{
	struct wf_queue *q = queue_of(n);
	struct wf_list *l = &q->list;

	while (l->head && (int32_t)(node_of(l->head)->want - call) < 0)
		if (wait_claim(queue_pop(q), wakes))
			return true;
	return false;
}

/* --- wait --- */

static int wait_for(struct weft_notify *n, struct weft_fiber *me,
		    weft_time deadline)
{
	struct wf_queue *q = queue_of(n);
	struct wf_seat s;
	bool taken;

	seat_begin(&s, me, "notification", n);
	spin_lock(&q->lock);
	taken = take(n);
	if (!taken)
		join(n, &s.node);
	spin_unlock(&q->lock);
	if (taken)
		return 0;
	return wf_queue_wait(q, &s, wait_deadline(me, deadline), false);
}

int weft_notify_wait_until(struct weft_notify *n, weft_time deadline)
{
	struct weft_fiber *me = wf_waiter_begin();
	int r;

	if (unlikely(!me))
		return -ENOMEM;
	r = wait_allowed(me);
	if (r == 0)
		r = wait_for(n, me, deadline);
	wf_waiter_end(me);
	return r;
}

int weft_notify_wait(struct weft_notify *n)
{
	return weft_notify_wait_until(n, WEFT_FOREVER);
}

int weft_notify_try_wait(struct weft_notify *n)
{
	struct wf_queue *q = queue_of(n);
	bool taken;

	spin_lock(&q->lock);
	taken = take(n);
	spin_unlock(&q->lock);
	return taken ? 0 : -EAGAIN;
}

/* --- notify --- */

void weft_notify_one(struct weft_notify *n)
{
	struct wf_queue *q = queue_of(n);
	struct wf_wakes wakes;

	wakes_begin(&wakes);
	spin_lock(&q->lock);
	if (!claim(n, n->calls_ + 1, &wakes))
		n->permit_ = true;
	spin_unlock(&q->lock);
	wf_wakes_fire(&wakes, NULL);
}

void weft_notify_all(struct weft_notify *n)
{
	struct wf_queue *q = queue_of(n);
	struct wf_wakes wakes;
	uint32_t call;
	bool full;

	wakes_begin(&wakes);
	spin_lock(&q->lock);
	call = ++n->calls_;
	do {
		while (wakes.count < WF_WAKES && claim(n, call, &wakes))
			;
		full = wakes.count == WF_WAKES;
		spin_unlock(&q->lock);
		wf_wakes_fire(&wakes, NULL);
		if (full)
			spin_lock(&q->lock);
	} while (full);
}

/* --- the case of a selection --- */

static bool attempt_case(struct weft_case *c)
{
	c->result = 0;
	return weft_notify_try_wait(c->object_) == 0;
}

static enum wf_linked link_case(struct weft_case *c)
{
	struct weft_notify *n = c->object_;
	enum wf_linked r = WF_LINKED;

	spin_lock(&queue_of(n)->lock);
	if (!n->permit_)
		join(n, case_node(c));
	else if (wait_withdraw(case_node(c)->wait))
		r = take(n) ? WF_DONE : WF_NOT_DONE;
	else
		r = WF_LOST;
	spin_unlock(&queue_of(n)->lock);
	return r;
}

static void unlink_case(struct weft_case *c)
{
	wf_queue_leave(queue_of(c->object_), case_node(c));
}

struct weft_case weft_case_notified(struct weft_notify *n)
{
	static const struct weft_case_kind_ kind = {
		.attempt = attempt_case,
		.link = link_case,
		.unlink = unlink_case,
	};

	return (struct weft_case){.kind_ = &kind, .object_ = n};
}

void weft_notify_destroy(struct weft_notify *n)
{
	wf_queue_check_empty(queue_of(n), "notification");
}
