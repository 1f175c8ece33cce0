/* SPDX-License-Identifier: MIT */
/*
 * select.c - see select.h.
 */
#include "core/select.h"

#include <errno.h>

#include "core/sched.h"
#include "os/clock.h"

struct selection {
	struct weft_case *cases;
	size_t count;
	const char *what; /* for those who look */
	uintptr_t object;
	struct wf_wait wait;
};

/* The worker's random numbers; or a thread's, from the clock. */
static size_t anywhere(struct weft_fiber *me, size_t count)
{
	struct wf_rng seed = {0};
	struct wf_worker *w;
	size_t i;

	if (count < 2)
		return 0;
	if (fiber_kind(me) == WF_THREAD) {
		seed.state = (uint64_t)wf_clock_now();
		return rng_below(&seed, (uint32_t)count);
	}
	w = carrier_enter(me->carrier);
	i = rng_below(w ? &w->rng : &seed, (uint32_t)count);
	carrier_leave(me->carrier);
	return i;
}

/* The index of one that could be done, or -EAGAIN. */
static int attempt_all(struct selection *s, struct weft_fiber *me)
{
	size_t i = anywhere(me, s->count);

	for (size_t n = s->count; n; n--) {
		if (s->cases[i].kind_->attempt(&s->cases[i]))
			return (int)i;
		i = i + 1 < s->count ? i + 1 : 0;
	}
	return -EAGAIN;
}

/* How many have been linked; *last is what came of the last one. */
static size_t link_all(struct selection *s, enum wf_linked *last)
{
	size_t i;

	*last = WF_LINKED;
	for (i = 0; i < s->count && *last == WF_LINKED; i++) {
		struct weft_case *c = &s->cases[i];

		*case_node(c) = (struct wf_node){.wait = &s->wait,
						 .index = (uint32_t)i};
		*last = c->kind_->link(c);
	}
	return i;
}

/* Returns the index of the case that has been done, -EAGAIN, or an error. */
static int wait_for_any(struct selection *s, struct weft_fiber *me,
			weft_time deadline)
{
	enum wf_linked last;
	size_t linked;
	int r;

	wait_begin(&s->wait, me, s->what, s->object);
	linked = link_all(s, &last);
	if (last == WF_DONE)
		r = (int)linked - 1;
	else if (last == WF_NOT_DONE)
		r = -EAGAIN;
	else
		r = wf_wait_sleep(&s->wait,
				  last == WF_LOST ? WEFT_FOREVER
						  : wait_deadline(me, deadline),
				  last == WF_LOST);
	for (size_t i = 0; i < linked; i++)
		s->cases[i].kind_->unlink(&s->cases[i]);
	if (r < 0 || last == WF_DONE || !s->cases[r].kind_->settle)
		return r;
	return s->cases[r].kind_->settle(&s->cases[r]) ? r : -EAGAIN;
}

/* Ready, but not heard of yet, is better than late. */
static int last_attempt(struct selection *s, struct weft_fiber *me)
{
	int i = attempt_all(s, me);

	return i == -EAGAIN ? -ETIMEDOUT : i;
}

static int any(struct selection *s, struct weft_fiber *me, weft_time deadline)
{
	int r = wait_allowed(me);

	if (r)
		return r;
	do {
		r = attempt_all(s, me);
		if (r == -EAGAIN)
			r = wait_for_any(s, me, deadline);
		/* -ESHUTDOWN: a descriptor has another answer by now. */
	} while (r == -EAGAIN || r == -ESHUTDOWN);
	sched_spend(waiter_fiber());
	return r == -ETIMEDOUT ? last_attempt(s, me) : r;
}

static int select_until(struct selection *s, weft_time deadline)
{
	struct weft_fiber *me = wf_waiter_begin();
	int r;

	if (!me)
		return -ENOMEM;
	r = any(s, me, deadline);
	wf_waiter_end(me);
	return r;
}

int weft_select_until(struct weft_case *cases, size_t count, weft_time deadline)
{
	struct selection s = {.cases = cases,
			      .count = count,
			      .what = "select",
			      .object = count};

	return select_until(&s, deadline);
}

int wf_select_one(struct weft_case *c, const char *what, const void *object,
		  weft_time deadline)
{
	struct selection s = {.cases = c,
			      .count = 1,
			      .what = what,
			      .object = (uintptr_t)object};
	int r = select_until(&s, deadline);

	return r < 0 ? r : c->result;
}

int weft_select(struct weft_case *cases, size_t count)
{
	return weft_select_until(cases, count, WEFT_FOREVER);
}

int weft_try_select(struct weft_case *cases, size_t count)
{
	struct selection s = {.cases = cases, .count = count};
	struct weft_fiber *me = wf_waiter_begin();
	int r;

	if (!me)
		return -ENOMEM;
	r = attempt_all(&s, me);
	wf_waiter_end(me);
	return r;
}
