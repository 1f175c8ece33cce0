/* SPDX-License-Identifier: MIT */
/*
 * try.c - see try.h.
 */
#include "posix/try.h"

#include <errno.h>

#include "core/sched.h"
#include "os/clock.h"
#include "posix/interrupt.h"
#include "posix/known.h"

/* False: it would block. */
static bool once(struct wf_source *s, struct wf_try *t, bool first,
		 long *result)
{
	uint64_t seen = source_ready(s);
	long n;

	if (!t->no_wait && !first && !(seen & source_enders(t->want)))
		return false;
	n = t->call(s, t);
	*result = n;
	if (n == -EAGAIN && !t->no_wait) {
		wf_source_empty(s, t->want, seen);
		return false;
	}
	if (n > 0 && (size_t)n < t->expected && s->tcp)
		wf_source_short(s, t->want, seen);
	return true;
}

/* What is known to be empty may have been filled since. */
static long answer(struct wf_source *s, struct wf_try *t)
{
	long n = t->call(s, t);

	return n == -EINTR ? -EAGAIN : n;
}

/* -ECANCELED: the caller has to see to that, outside of the source. */
static long try_inside(struct wf_source *s, struct wf_try *t)
{
	/* Only of these what is known is all that the kernel would look at. */
	bool first = !s->tcp || t->asks;
	long result;
	int r;

	for (; !once(s, t, first, &result); first = false) {
		if (wf_known_nonblock(s->fd))
			return answer(s, t);
		if (!t->until)
			t->until = wf_descriptor_limit(s, t->want & WF_OUT);
		r = wf_source_wait(s, wf_self(), t->want, t->what, t->until);
		if (r == -ETIMEDOUT)
			return answer(s, t);
		if (r < 0)
			return r;
	}
	return result;
}

long wf_try(int fd, struct wf_try *t)
{
	struct wf_source *s;
	long r;

	wf_cancellation_point();
	for (;;) {
		r = wf_source_enter(fd, &s);
		if (unlikely(r < 0))
			return r;
		r = try_inside(s, t);
		wf_source_leave(s);
		if (likely(r != -ECANCELED))
			break;
		/* The kernel begins no call anew that has a time limit, or
		 * has done a part. */
		if (!wf_interrupted() || t->until != WEFT_FOREVER || t->partly)
			return -EINTR;
	}
	/* Cancelled before somebody closed it. */
	if (unlikely(r == -EBADF))
		wf_cancellation_point();
	sched_called(wf_self(), r);
	return r;
}
