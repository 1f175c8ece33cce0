/* SPDX-License-Identifier: MIT */
/*
 * chan.c - channels: a ring of values, who waits to send, who waits to receive,
 * and a lock over all.
 *
 *      receivers wait    only while it is empty
 *      senders wait      only while it is full
 *      with 0 slots      it is both
 *
 * Whoever finds somebody waiting on the other side claims it under the lock and
 * passes the value by copying, from stack to stack or through the ring, so that
 * values stay in order; a value is never on its way without an owner.  Who
 * waits, alone or among the cases of a selection, is linked by a struct
 * weft_case.
 */
#include "weft/chan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/sched.h"
#include "core/select.h"

enum way {
	SEND,
	RECV,
};

/* What every step touches is on one line, which CPUs hand to each other. */
_Static_assert(sizeof(struct weft_chan) == WF_CACHE_LINE &&
		       sizeof(struct wf_list) == 2 * sizeof(void *),
	       "the lock, the lists and the ring are one line");

static struct wf_spin *lock_of(struct weft_chan *c)
{
	return (struct wf_spin *)(void *)&c->lock_;
}

static struct wf_list *who_waits(struct weft_chan *c, enum way way)
{
	return (struct wf_list *)(void *)(way == SEND ? &c->sender_first_
						      : &c->receiver_first_);
}

/* --- context of these: the lock is held --- */

/* Values are words or pointers most of the time. */
static WF_INLINE void copy(void *to, const void *from, size_t size)
{
	if (likely(size == sizeof(uint64_t)))
		memcpy(to, from, sizeof(uint64_t));
	else if (size)
		memcpy(to, from, size);
}

/* NULL is a valid array of values of no size, but no pointer to add to. */
static inline void *nth(void *values, size_t size, size_t n)
{
	return (void *)((uintptr_t)values + n * size);
}

static inline void *slot(struct weft_chan *c, size_t i)
{
	i += c->first_;
	return nth(c->values_, c->size_, i < c->slots_ ? i : i - c->slots_);
}

static inline void put(struct weft_chan *c, const void *value)
{
	copy(slot(c, c->count_), value, c->size_);
	c->count_++;
}

static inline void get(struct weft_chan *c, void *value)
{
	copy(value, slot(c, 0), c->size_);
	c->count_--;
	c->first_ = c->first_ + 1 < c->slots_ ? c->first_ + 1 : 0;
}

/* The first who waits, its wait claimed; NULL if nobody does. */
static WF_INLINE struct weft_case *claim(struct weft_chan *c, enum way way,
					 int result, struct wf_wakes *wakes)
{
	struct wf_list *l = who_waits(c, way);
	struct wf_link *link;

	while ((link = list_pop(l))) {
		struct weft_case *found = case_of(node_of(link));

		if (!wait_claim(node_of(link), wakes))
			continue;
		found->result = result;
		return found;
	}
	return NULL;
}

static WF_INLINE int send_now(struct weft_chan *c, const void *value,
			      struct wf_wakes *wakes)
{
	struct weft_case *receiver;

	if (unlikely(c->closed_))
		return -EPIPE;
	receiver = claim(c, RECV, 0, wakes);
	if (receiver)
		copy(receiver->value_, value, c->size_);
	else if (c->count_ < c->slots_)
		put(c, value);
	else
		return -EAGAIN;
	return 0;
}

static WF_INLINE int recv_now(struct weft_chan *c, void *value,
			      struct wf_wakes *wakes)
{
	struct weft_case *sender;

	if (c->count_) {
		get(c, value);
		sender = claim(c, SEND, 0, wakes);
		if (sender)
			put(c, sender->value_);
		return 0;
	}
	sender = claim(c, SEND, 0, wakes);
	if (sender)
		copy(value, sender->value_, c->size_);
	else
		return c->closed_ ? -EPIPE : -EAGAIN;
	return 0;
}

static WF_INLINE int do_now(struct weft_chan *c, enum way way, void *value,
			    struct wf_wakes *wakes)
{
	return way == SEND ? send_now(c, value, wakes)
			   : recv_now(c, value, wakes);
}

/* --- one value --- */

struct seat {
	struct wf_wait wait;
	struct weft_case as;
};

static void sit(struct seat *s, struct weft_chan *c, enum way way, void *value,
		struct weft_fiber *me)
{
	wait_begin(&s->wait, me, way == SEND ? "send" : "receive",
		   (uintptr_t)c);
	s->wait.alone = true;
	s->as.value_ = value;
	*case_node(&s->as) = (struct wf_node){.wait = &s->wait};
	list_push(who_waits(c, way), &case_node(&s->as)->link);
}

/* -EAGAIN: not now; if there is a seat, `me` waits in it. */
static WF_INLINE int attempt(struct weft_chan *c, enum way way, void *value,
			     struct weft_fiber *me, struct seat *s)
{
	struct wf_wakes wakes;
	int r;

	wakes_begin(&wakes);
	spin_lock(lock_of(c));
	r = do_now(c, way, value, &wakes);
	if (r == -EAGAIN && s)
		sit(s, c, way, value, me);
	spin_unlock(lock_of(c));
	if (wakes.count)
		wf_wakes_fire(&wakes, NULL);
	return r;
}

/* False: it was not linked. */
static bool leave(struct weft_chan *c, enum way way, struct weft_case *as)
{
	bool linked;

	spin_lock(lock_of(c));
	linked = list_remove(who_waits(c, way), &case_node(as)->link);
	spin_unlock(lock_of(c));
	return linked;
}

/* The wait has ended by itself. */
static WF_COLD int give_up(struct seat *s, struct weft_chan *c, enum way way,
			   int why)
{
	if (leave(c, way, &s->as))
		return why;
	wf_wait_sleep(&s->wait, WEFT_FOREVER, true);
	return s->as.result;
}

static WF_INLINE int sleep_in(struct seat *s, struct weft_chan *c, enum way way,
			      struct weft_fiber *me, weft_time deadline)
{
	int r = wait_sleep(&s->wait, wait_deadline(me, deadline), false);

	return likely(r >= 0) ? s->as.result : give_up(s, c, way, r);
}

static int wait_as_thread(struct weft_chan *c, enum way way, void *value,
			  weft_time deadline)
{
	struct weft_fiber *me;
	struct seat s;
	int r = attempt(c, way, value, NULL, NULL);

	if (r != -EAGAIN)
		return r;
	me = wf_waiter_begin();
	if (!me)
		return -ENOMEM;
	r = wait_allowed(me);
	if (r == 0)
		r = attempt(c, way, value, me, &s);
	if (r == -EAGAIN)
		r = sleep_in(&s, c, way, me, deadline);
	wf_waiter_end(me);
	return r;
}

static WF_INLINE int pass(struct weft_chan *c, enum way way, void *value,
			  weft_time deadline)
{
	struct weft_fiber *me = waiter_fiber();
	struct seat s;
	int r;

	if (unlikely(!me))
		return wait_as_thread(c, way, value, deadline);
	r = wait_allowed(me);
	if (unlikely(r))
		return r;
	r = attempt(c, way, value, me, &s);
	if (r == -EAGAIN)
		return sleep_in(&s, c, way, me, deadline);
	sched_spend(me);
	return r;
}

int weft_chan_send_until(struct weft_chan *c, const void *value,
			 weft_time deadline)
{
	return pass(c, SEND, (void *)(uintptr_t)value, deadline);
}

int weft_chan_send(struct weft_chan *c, const void *value)
{
	return pass(c, SEND, (void *)(uintptr_t)value, WEFT_FOREVER);
}

int weft_chan_try_send(struct weft_chan *c, const void *value)
{
	return attempt(c, SEND, (void *)(uintptr_t)value, NULL, NULL);
}

int weft_chan_recv_until(struct weft_chan *c, void *value, weft_time deadline)
{
	return pass(c, RECV, value, deadline);
}

int weft_chan_recv(struct weft_chan *c, void *value)
{
	return pass(c, RECV, value, WEFT_FOREVER);
}

int weft_chan_try_recv(struct weft_chan *c, void *value)
{
	return attempt(c, RECV, value, NULL, NULL);
}

/* --- many values --- */

/* What is there; fewer if that wakes as many as one hold of the lock may. */
static size_t recv_more(struct weft_chan *c, void *values, size_t max)
{
	struct wf_wakes wakes;
	size_t n = 0;

	wakes_begin(&wakes);
	spin_lock(lock_of(c));
	while (n < max && wakes.count < WF_WAKES &&
	       recv_now(c, nth(values, c->size_, n), &wakes) == 0)
		n++;
	spin_unlock(lock_of(c));
	wf_wakes_fire(&wakes, NULL);
	return n;
}

ssize_t weft_chan_recv_many_until(struct weft_chan *c, void *values, size_t max,
				  weft_time deadline)
{
	int r;

	if (!max)
		return -EINVAL;
	r = pass(c, RECV, values, deadline);
	if (r < 0)
		return r;
	return 1 + (ssize_t)recv_more(c, nth(values, c->size_, 1), max - 1);
}

ssize_t weft_chan_recv_many(struct weft_chan *c, void *values, size_t max)
{
	return weft_chan_recv_many_until(c, values, max, WEFT_FOREVER);
}

/* --- cases of a selection --- */

/* Somebody else than the one to whom `mine` belongs. */
static bool other_waits(struct wf_list *l, struct wf_wait *mine)
{
	list_for_each (link, l)
		if (node_of(link)->wait != mine)
			return true;
	return false;
}

static bool can_now(struct weft_chan *c, enum way way, struct wf_wait *mine)
{
	if (c->closed_)
		return true;
	if (way == SEND ? c->count_ < c->slots_ : c->count_ > 0)
		return true;
	return other_waits(who_waits(c, way == SEND ? RECV : SEND), mine);
}

static enum wf_linked link_or_do(struct weft_chan *c, enum way way,
				 struct weft_case *as, struct wf_wakes *wakes)
{
	struct wf_node *node = case_node(as);

	if (!can_now(c, way, node->wait)) {
		list_push(who_waits(c, way), &node->link);
		return WF_LINKED;
	}
	if (!wait_withdraw(node->wait))
		return WF_LOST;
	as->result = do_now(c, way, as->value_, wakes);
	return as->result == -EAGAIN ? WF_NOT_DONE : WF_DONE;
}

static enum wf_linked link_case(struct weft_case *as, enum way way)
{
	struct weft_chan *c = as->object_;
	struct wf_wakes wakes;
	enum wf_linked r;

	wakes_begin(&wakes);
	spin_lock(lock_of(c));
	r = link_or_do(c, way, as, &wakes);
	spin_unlock(lock_of(c));
	wf_wakes_fire(&wakes, NULL);
	return r;
}

static bool attempt_case(struct weft_case *as, enum way way)
{
	as->result = attempt(as->object_, way, as->value_, NULL, NULL);
	return as->result != -EAGAIN;
}

static bool attempt_send(struct weft_case *as)
{
	return attempt_case(as, SEND);
}

static enum wf_linked link_send(struct weft_case *as)
{
	return link_case(as, SEND);
}

static void unlink_send(struct weft_case *as)
{
	leave(as->object_, SEND, as);
}

static bool attempt_recv(struct weft_case *as)
{
	return attempt_case(as, RECV);
}

static enum wf_linked link_recv(struct weft_case *as)
{
	return link_case(as, RECV);
}

static void unlink_recv(struct weft_case *as)
{
	leave(as->object_, RECV, as);
}

struct weft_case weft_case_send(struct weft_chan *c, const void *value)
{
	static const struct weft_case_kind_ kind = {
		.attempt = attempt_send,
		.link = link_send,
		.unlink = unlink_send,
	};

	return (struct weft_case){.kind_ = &kind,
				  .object_ = c,
				  .value_ = (void *)(uintptr_t)value};
}

struct weft_case weft_case_recv(struct weft_chan *c, void *value)
{
	static const struct weft_case_kind_ kind = {
		.attempt = attempt_recv,
		.link = link_recv,
		.unlink = unlink_recv,
	};

	return (struct weft_case){
		.kind_ = &kind, .object_ = c, .value_ = value};
}

/* --- beginning and end --- */

int weft_chan_init(struct weft_chan *c, size_t size, size_t slots, void *buffer)
{
	*c = (struct weft_chan){0};
	if (size > UINT32_MAX || slots > UINT32_MAX)
		return -EINVAL;
	if (size && slots && !buffer) {
		buffer = malloc(size * slots);
		if (!buffer)
			return -ENOMEM;
		c->owned_ = true;
	}
	c->values_ = buffer;
	c->size_ = (uint32_t)size;
	c->slots_ = (uint32_t)slots;
	return 0;
}

void weft_chan_destroy(struct weft_chan *c)
{
	DCHECK(list_empty(who_waits(c, SEND)) &&
	       list_empty(who_waits(c, RECV)));
	if (c->owned_)
		free(c->values_);
	*c = (struct weft_chan){0};
}

void weft_chan_close(struct weft_chan *c)
{
	struct wf_wakes wakes;
	bool full;

	wakes_begin(&wakes);
	do {
		spin_lock(lock_of(c));
		c->closed_ = true;
		while (wakes.count < WF_WAKES &&
		       (claim(c, RECV, -EPIPE, &wakes) ||
			claim(c, SEND, -EPIPE, &wakes)))
			;
		full = wakes.count == WF_WAKES;
		spin_unlock(lock_of(c));
		wf_wakes_fire(&wakes, NULL);
	} while (full);
}

size_t weft_chan_count(struct weft_chan *c)
{
	size_t n;

	spin_lock(lock_of(c));
	n = c->count_;
	spin_unlock(lock_of(c));
	return n;
}
