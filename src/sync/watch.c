/* SPDX-License-Identifier: MIT */
/*
 * watch.c - a value that changes, and who wants to know.
 *
 * The value has a version, 1 in the beginning; a receiver is the version that
 * it has seen last, 0 in the beginning.
 */
#include <errno.h>
#include <string.h>

#include "sync/bell.h"
#include "weft/chan.h"

static struct wf_queue *bell_of(struct weft_watch *w)
{
	return queue_in(&w->bell_);
}

static uint64_t version(const struct weft_watch *w)
{
	return w->changes_ + 1;
}

static void copy(struct weft_watch *w, void *to, const void *from)
{
	if (w->size_)
		memcpy(to, from, w->size_);
}

void weft_watch_init(struct weft_watch *w, void *value, size_t size)
{
	*w = (struct weft_watch){.value_ = value, .size_ = size};
}

void weft_watch_destroy(struct weft_watch *w)
{
	wf_queue_check_empty(bell_of(w), "watch");
}

/* --- the value --- */

int weft_watch_set(struct weft_watch *w, const void *value)
{
	int r = -EPIPE;

	spin_lock(&bell_of(w)->lock);
	if (!w->closed_) {
		copy(w, w->value_, value);
		w->changes_++;
		r = 0;
	}
	wf_bell_ring(bell_of(w));
	return r;
}

void weft_watch_get(struct weft_watch *w, void *value)
{
	spin_lock(&bell_of(w)->lock);
	copy(w, value, w->value_);
	spin_unlock(&bell_of(w)->lock);
}

void weft_watch_close(struct weft_watch *w)
{
	spin_lock(&bell_of(w)->lock);
	w->closed_ = true;
	wf_bell_ring(bell_of(w));
}

/* --- receive --- */

void weft_watch_subscribe(struct weft_watch *w, struct weft_watch_receiver *r)
{
	*r = (struct weft_watch_receiver){.from_ = w};
}

static struct wf_queue *bell(struct weft_case *c)
{
	struct weft_watch_receiver *r = c->object_;

	return bell_of(r->from_);
}

static bool ready(struct weft_case *c)
{
	struct weft_watch_receiver *r = c->object_;

	return r->seen_ != version(r->from_) || r->from_->closed_;
}

static int take(struct weft_case *c)
{
	struct weft_watch_receiver *r = c->object_;
	struct weft_watch *w = r->from_;

	if (r->seen_ == version(w))
		return -EPIPE;
	copy(w, c->value_, w->value_);
	r->seen_ = version(w);
	return 0;
}

struct weft_case weft_case_watch(struct weft_watch_receiver *r, void *value)
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

int weft_watch_recv_until(struct weft_watch_receiver *r, void *value,
			  weft_time deadline)
{
	struct weft_case c = weft_case_watch(r, value);

	return wf_select_one(&c, "watch", r->from_, deadline);
}

int weft_watch_recv(struct weft_watch_receiver *r, void *value)
{
	return weft_watch_recv_until(r, value, WEFT_FOREVER);
}

int weft_watch_try_recv(struct weft_watch_receiver *r, void *value)
{
	struct weft_case c = weft_case_watch(r, value);

	return wf_bell_attempt(&c) ? c.result : -EAGAIN;
}
