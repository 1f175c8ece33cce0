/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the one clock: CLOCK_MONOTONIC in signed nanoseconds.
 */
#ifndef WF_CLOCK_H
#define WF_CLOCK_H

#include <time.h>

#include "weft/time.h"

weft_time wf_clock_now(void);

/* The sum, or the end of time. */
static inline weft_time wf_time_add(weft_time t, weft_time delay)
{
	weft_time sum;

	if (__builtin_add_overflow(t, delay, &sum))
		return delay < 0 ? INT64_MIN : WEFT_FOREVER;
	return sum;
}

/* How long from `now`; what never comes stays so. */
static inline weft_time wf_time_until(weft_time t, weft_time now)
{
	return t == WEFT_FOREVER ? t : wf_time_add(t, -now);
}

/* `t` is not negative. */
static inline struct timespec wf_time_spec(weft_time t)
{
	return (struct timespec){.tv_sec = t / WEFT_SEC(1),
				 .tv_nsec = t % WEFT_SEC(1)};
}

#endif
