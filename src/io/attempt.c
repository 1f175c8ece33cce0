/* SPDX-License-Identifier: MIT */
/*
 * attempt.c - see attempt.h.
 */
#include "io/attempt.h"

#include <errno.h>
#include <fcntl.h>

#include "core/sched.h"
#include "core/self.h"
#include "os/call.h"
#include "os/clock.h"

#define BACKOFF_LAST WEFT_SEC(1)

bool wf_blocks(struct wf_source *s)
{
	return !s->nonblock && !(wf_call(fcntl, s->fd, F_GETFL) & O_NONBLOCK);
}

void wf_budget_spend(void)
{
	sched_spend(wf_self());
}

/* False: not yet, wait. */
static bool once(struct wf_source *s, struct wf_attempt *a, long *result)
{
	uint64_t seen = source_ready(s);
	long n;

	if (!a->no_wait && !(seen & source_enders(a->want)))
		return false;
	n = a->call(s, a);
	/* A datagram socket that has been shut down says so only to those who
	 * block. */
	if (n == -EAGAIN && a->want == WF_IN && seen & WF_IN_HUP &&
	    atom_load_rlx(&s->kind) == WF_SOCKET)
		n = 0;
	if (n == -EAGAIN && !a->no_wait) {
		wf_source_empty(s, a->want, seen);
		return false;
	}
	if (n > 0 && (size_t)n < a->expected && s->tcp)
		wf_source_short(s, a->want, seen);
	*result = n;
	return true;
}

/* The kernel may have what the worker has not been told yet. */
static long last_try(struct wf_source *s, struct wf_attempt *a, int error)
{
	long n = error == -ETIMEDOUT ? a->call(s, a) : error;

	return n == -EAGAIN ? error : n;
}

static inline int allowed(struct weft_fiber *self)
{
	return self ? wait_allowed(self) : 0;
}

static inline long repeat(struct wf_source *s, struct wf_attempt *a,
			  struct weft_fiber *self, const char *what)
{
	long result;
	int r;

	while (!once(s, a, &result)) {
		if (unlikely(source_closing(s)))
			return -EBADF;
		r = wf_source_wait(s, self, a->want, what, a->deadline);
		if (r < 0)
			return last_try(s, a, r);
	}
	return result;
}

static inline const char *direction(const struct wf_attempt *a)
{
	return a->want & WF_OUT ? "write" : "read";
}

long wf_attempt_to(const char *what, struct wf_source *s, struct wf_attempt *a)
{
	return repeat(s, a, wf_self(), what);
}

long wf_attempt_on(struct wf_source *s, struct wf_attempt *a)
{
	return repeat(s, a, wf_self(), direction(a));
}

long wf_attempt_step(struct wf_source *s, struct wf_attempt *a)
{
	struct weft_fiber *self = wf_self();
	long n = source_closing(s) ? -EBADF : allowed(self);

	if (likely(n == 0)) {
		n = repeat(s, a, self, direction(a));
		sched_called(self, n);
	}
	return n;
}

int wf_back_off(struct wf_source *s, weft_time *delay, weft_time deadline)
{
	weft_time until = weft_after(*delay);
	int r;

	r = wf_source_wait(s, wf_self(), 0, "back off",
			   until < deadline ? until : deadline);
	*delay = *delay * 2 < BACKOFF_LAST ? *delay * 2 : BACKOFF_LAST;
	return r == -ETIMEDOUT && until < deadline ? 0 : r;
}

int wf_attempt_allowed(void)
{
	return allowed(wf_self());
}

int wf_attempt_enter(int fd, struct wf_source **s)
{
	int r = allowed(wf_self());

	return likely(r == 0) ? wf_source_enter(fd, s) : r;
}

/* A fiber is asked for once a call: it is the same wherever it comes back. */
long wf_attempt(int fd, struct wf_attempt *a)
{
	struct weft_fiber *self = wf_self();
	struct wf_source *s;
	long n = allowed(self);

	if (likely(n == 0))
		n = wf_source_enter(fd, &s);
	if (unlikely(n < 0))
		return n;
	n = repeat(s, a, self, direction(a));
	wf_source_leave(s);
	sched_called(self, n);
	return n;
}
