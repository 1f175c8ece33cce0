/* SPDX-License-Identifier: MIT */
/*
 * deadline.c - see deadline.h.
 */
#include "posix/deadline.h"

#include <errno.h>

#include "os/call.h"
#include "os/clock.h"

/* A sum that is past the end of time is the end of time. */
static weft_time length_of(const struct timespec *ts)
{
	weft_time n;

	if (__builtin_mul_overflow((weft_time)ts->tv_sec, WEFT_SEC(1), &n))
		return ts->tv_sec < 0 ? INT64_MIN : WEFT_FOREVER;
	return wf_time_add(n, ts->tv_nsec);
}

static bool valid(const struct timespec *ts)
{
	return ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000;
}

int wf_deadline_at(clockid_t clock, const struct timespec *ts,
		   weft_time *deadline)
{
	struct timespec now;

	*deadline = WEFT_FOREVER;
	if (!ts)
		return 0;
	if (!valid(ts))
		return -EINVAL;
	*deadline = length_of(ts);
	if (clock == CLOCK_MONOTONIC)
		return 0;
	if (wf_call(clock_gettime, clock, &now) < 0)
		return -EINVAL;
	*deadline = wf_time_add(wf_clock_now(),
				wf_time_add(*deadline, -length_of(&now)));
	return 0;
}

int wf_deadline_in(const struct timespec *ts, weft_time *deadline)
{
	*deadline = WEFT_FOREVER;
	if (!ts)
		return 0;
	if (!valid(ts) || ts->tv_sec < 0)
		return -EINVAL;
	*deadline = wf_time_add(wf_clock_now(), length_of(ts));
	return 0;
}

bool wf_deadline_reached(clockid_t clock, const struct timespec *ts)
{
	struct timespec now;

	if (wf_call(clock_gettime, clock, &now) < 0)
		return true;
	return now.tv_sec > ts->tv_sec ||
	       (now.tv_sec == ts->tv_sec && now.tv_nsec >= ts->tv_nsec);
}

bool wf_limit_valid(clockid_t clock, const struct timespec *ts)
{
	return limit_clock(clock) && valid(ts);
}

int wf_limit_begin(struct wf_limit *l, clockid_t clock,
		   const struct timespec *ts)
{
	*l = (struct wf_limit){.clock = clock, .ts = ts};
	if (!limit_clock(clock))
		return -EINVAL;
	return wf_deadline_at(clock, ts, &l->deadline);
}

bool wf_limit_over(struct wf_limit *l)
{
	return l->clock == CLOCK_MONOTONIC ||
	       wf_deadline_reached(l->clock, l->ts) ||
	       wf_deadline_at(l->clock, l->ts, &l->deadline) < 0;
}
