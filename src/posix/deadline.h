/* SPDX-License-Identifier: MIT */
/*
 * deadline.h - the times of POSIX calls as deadlines of weft's clock.
 */
#ifndef WF_POSIX_DEADLINE_H
#define WF_POSIX_DEADLINE_H

#include <stdbool.h>
#include <time.h>

#include "weft/time.h"

/*
 * When the clock shows `ts`; WEFT_FOREVER if that is NULL.
 * Errors: -EINVAL the nanoseconds are none, or no such clock.
 */
int wf_deadline_at(clockid_t clock, const struct timespec *ts,
		   weft_time *deadline);

/* So long from now.  Errors: -EINVAL. */
int wf_deadline_in(const struct timespec *ts, weft_time *deadline);

/*
 * A deadline has passed: whether the clock, which may have been set meanwhile,
 * shows `ts` too.
 */
bool wf_deadline_reached(clockid_t clock, const struct timespec *ts);

/* A time until which a call waits, on a clock that may be set meanwhile. */
struct wf_limit {
	clockid_t clock;
	const struct timespec *ts; /* NULL: none */
	weft_time deadline;
};

/* Whether calls take a time of that clock. */
static inline bool limit_clock(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
}

/* Whether both are what calls take. */
bool wf_limit_valid(clockid_t clock, const struct timespec *ts);

/* Errors: -EINVAL they are not valid. */
int wf_limit_begin(struct wf_limit *l, clockid_t clock,
		   const struct timespec *ts);

/* The deadline has passed; if false, the call goes on until the new one. */
bool wf_limit_over(struct wf_limit *l);

#endif
