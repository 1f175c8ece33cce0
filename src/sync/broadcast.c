/* SPDX-License-Identifier: MIT */
/*
 * broadcast.c - a ring of values that everybody reads.
 *
 * Value number n lies in slot n modulo slots, until number n + slots takes its
 * place.  A receiver is the number of the value that it reads next; one whose
 * value is gone goes on with the oldest that is there.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "sync/bell.h"
#include "weft/chan.h"

static struct wf_queue *bell_of(struct weft_broadcast *b)
{
	return queue_in(&b->bell_);
}

/* Zero bytes have one too. */
static uint64_t slots(const struct weft_broadcast *b)
{
	return b->more_slots_ + 1;
}

static char *slot(struct weft_broadcast *b, uint64_t n)
{
	return b->values_ + n % slots(b) * b->size_;
}

/* --- beginning and end --- */

int weft_broadcast_init(struct weft_broadcast *b, size_t size, size_t count,
			void *buffer)
{
	size_t bytes;

	*b = (struct weft_broadcast){.size_ = size};
	if (!count || __builtin_mul_overflow(size, count, &bytes))
		return -EINVAL;
	if (bytes && !buffer) {
		buffer = malloc(bytes);
		if (!buffer)
			return -ENOMEM;
		b->owned_ = true;
	}
	b->values_ = buffer;
	b->more_slots_ = count - 1;
	return 0;
}

void weft_broadcast_destroy(struct weft_broadcast *b)
{
	wf_queue_check_empty(bell_of(b), "broadcast");
	if (b->owned_)
		free(b->values_);
	*b = (struct weft_broadcast){0};
}

/* --- send --- */

/* Context: the lock is held. */
static int put(struct weft_broadcast *b, const void *value)
{
	if (b->closed_)
		return -EPIPE;
	if (b->size_)
		memcpy(slot(b, b->sent_), value, b->size_);
	b->sent_++;
	return 0;
}

int weft_broadcast_send(struct weft_broadcast *b, const void *value)
{
	int r;

	spin_lock(&bell_of(b)->lock);
	r = put(b, value);
	wf_bell_ring(bell_of(b));
	return r;
}

void weft_broadcast_close(struct weft_broadcast *b)
{
	spin_lock(&bell_of(b)->lock);
	b->closed_ = true;
	wf_bell_ring(bell_of(b));
}

/* --- receive --- */

void weft_broadcast_subscribe(struct weft_broadcast *b,
			      struct weft_broadcast_receiver *r)
{
	spin_lock(&bell_of(b)->lock);
	*r = (struct weft_broadcast_receiver){.from_ = b, .next_ = b->sent_};
	spin_unlock(&bell_of(b)->lock);
}

static struct wf_queue *bell(struct weft_case *c)
{
	struct weft_broadcast_receiver *r = c->object_;

	return bell_of(r->from_);
}

static bool ready(struct weft_case *c)
{
	struct weft_broadcast_receiver *r = c->object_;

	return r->next_ != r->from_->sent_ || r->from_->closed_;
}

/* Go on with the oldest that is there; how many were lost by that. */
static int catch_up(struct weft_broadcast_receiver *r)
{
	uint64_t behind = r->from_->sent_ - r->next_, lost;

	if (behind <= slots(r->from_))
		return 0;
	lost = behind - slots(r->from_);
	r->next_ += lost;
	return lost < INT_MAX ? (int)lost : INT_MAX;
}

static int take(struct weft_case *c)
{
	struct weft_broadcast_receiver *r = c->object_;
	struct weft_broadcast *b = r->from_;
	int lost;

	if (r->next_ == b->sent_)
		return -EPIPE;
	lost = catch_up(r);
	if (b->size_)
		memcpy(c->value_, slot(b, r->next_), b->size_);
	r->next_++;
	return lost;
}

struct weft_case weft_case_broadcast(struct weft_broadcast_receiver *r,
				     void *value)
{
	static const struct wf_bell_kind kind = {
		.as = WF_BELL_CASE,
		.bell = bell,
		.ready = ready,
		.take = take,
	};

	return (struct weft_case){
		.kind_ = &kind.as, .object_ = r, .value_ = value};
}

int weft_broadcast_recv_until(struct weft_broadcast_receiver *r, void *value,
			      weft_time deadline)
{
	struct weft_case c = weft_case_broadcast(r, value);

	return wf_select_one(&c, "broadcast", r->from_, deadline);
}

int weft_broadcast_recv(struct weft_broadcast_receiver *r, void *value)
{
	return weft_broadcast_recv_until(r, value, WEFT_FOREVER);
}

int weft_broadcast_try_recv(struct weft_broadcast_receiver *r, void *value)
{
	struct weft_case c = weft_case_broadcast(r, value);

	return wf_bell_attempt(&c) ? c.result : -EAGAIN;
}
