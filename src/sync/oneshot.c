/* SPDX-License-Identifier: MIT */
/*
 * oneshot.c - one value, once: sent, received, or closed before.
 */
#include <errno.h>
#include <string.h>

#include "sync/bell.h"
#include "weft/chan.h"

static struct wf_queue *bell_of(struct weft_oneshot *o)
{
	return queue_in(&o->bell_);
}

void weft_oneshot_init(struct weft_oneshot *o, void *storage, size_t size)
{
	*o = (struct weft_oneshot){.value_ = storage, .size_ = size};
}

void weft_oneshot_destroy(struct weft_oneshot *o)
{
	wf_queue_check_empty(bell_of(o), "oneshot");
}

/* --- send --- */

/* Context: the lock is held. */
static int put(struct weft_oneshot *o, const void *value)
{
	if (o->sent_)
		return -EALREADY;
	if (o->closed_)
		return -EPIPE;
	if (o->size_)
		memcpy(o->value_, value, o->size_);
	o->sent_ = true;
	return 0;
}

int weft_oneshot_send(struct weft_oneshot *o, const void *value)
{
	int r;

	spin_lock(&bell_of(o)->lock);
	r = put(o, value);
	wf_bell_ring(bell_of(o));
	return r;
}

void weft_oneshot_close(struct weft_oneshot *o)
{
	spin_lock(&bell_of(o)->lock);
	o->closed_ = true;
	wf_bell_ring(bell_of(o));
}

/* --- receive --- */

static struct wf_queue *bell(struct weft_case *c)
{
	return bell_of(c->object_);
}

static bool ready(struct weft_case *c)
{
	struct weft_oneshot *o = c->object_;

	return o->sent_ || o->closed_;
}

static int take(struct weft_case *c)
{
	struct weft_oneshot *o = c->object_;

	if (!o->sent_ || o->received_)
		return -EPIPE;
	if (o->size_)
		memcpy(c->value_, o->value_, o->size_);
	o->received_ = true;
	return 0;
}

struct weft_case weft_case_oneshot(struct weft_oneshot *o, void *value)
{
	static const struct wf_bell_kind kind = {
		.as = WF_BELL_CASE,
		.bell = bell,
		.ready = ready,
		.take = take,
	};

	return (struct weft_case){
		.kind_ = &kind.as, .object_ = o, .value_ = value};
}

int weft_oneshot_recv_until(struct weft_oneshot *o, void *value,
			    weft_time deadline)
{
	struct weft_case c = weft_case_oneshot(o, value);

	return wf_select_one(&c, "oneshot", o, deadline);
}

int weft_oneshot_recv(struct weft_oneshot *o, void *value)
{
	return weft_oneshot_recv_until(o, value, WEFT_FOREVER);
}

int weft_oneshot_try_recv(struct weft_oneshot *o, void *value)
{
	struct weft_case c = weft_case_oneshot(o, value);

	return wf_bell_attempt(&c) ? c.result : -EAGAIN;
}
