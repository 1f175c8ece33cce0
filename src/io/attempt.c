/* SPDX-License-Identifier: MIT */
/*
 * attempt.c - see attempt.h.
 */
#include "io/attempt.h"

#include <errno.h>

#include "core/sched.h"
#include "core/self.h"

void wf_budget_spend(void)
{
	struct weft_fiber *self = wf_self();

	if (self && --self->carrier->budget == 0)
		wf_sched_yield(self);
}

static bool can(uint64_t ready, uint64_t want)
{
	return ready & (want & WF_IN ? WF_CAN_IN : WF_CAN_OUT);
}

/* False: not yet, wait. */
static bool once(struct wf_source *s, struct wf_attempt *a, long *result)
{
	uint64_t seen = source_ready(s);
	long n;

	if (!can(seen, a->want))
		return false;
	n = a->call(s, a);
	if (n == -EAGAIN) {
		wf_source_empty(s, a->want, seen);
		return false;
	}
	if (n > 0 && (size_t)n < a->expected && s->tcp)
		wf_source_short(s, a->want, seen);
	*result = n;
	return true;
}

static bool closing(struct wf_source *s)
{
	return atom_load_rlx(&s->use) >> 32;
}

long wf_attempt_on(struct wf_source *s, struct wf_attempt *a)
{
	long result;
	int r;

	for (;;) {
		if (once(s, a, &result))
			break;
		if (unlikely(closing(s)))
			return -EBADF;
		r = wf_source_wait(s, a->want, a->deadline);
		if (r < 0)
			return r;
	}
	return result;
}

int wf_attempt_enter(int fd, struct wf_source **s)
{
	struct weft_fiber *self = wf_self();
	int r = self ? wf_wait_allowed(self) : 0;

	return likely(r == 0) ? wf_source_enter(fd, s) : r;
}

long wf_attempt(int fd, struct wf_attempt *a)
{
	struct wf_source *s;
	long n = wf_attempt_enter(fd, &s);

	if (unlikely(n < 0))
		return n;
	n = wf_attempt_on(s, a);
	wf_source_leave(s);
	wf_budget_spend();
	return n;
}
