/* SPDX-License-Identifier: MIT */
/*
 * sleep.c - the hooks of sleeping.
 */
#include <errno.h>

#include "core/wait.h"
#include "os/clock.h"
#include "posix/deadline.h"
#include "posix/interrupt.h"
#include "posix/region.h"
#include "posix/try.h"
#include "weft/time.h"

/* 0 or -EINTR, whatever the handler's flags are. */
static int sleep_until(weft_time deadline)
{
	int r;

	wf_cancellation_point();
	do
		r = weft_sleep_until(deadline);
	while (r == -ECANCELED && !wf_handled());
	return r == -ECANCELED ? -EINTR : 0;
}

static void tell_left(struct timespec *left, weft_time deadline)
{
	weft_time now = wf_clock_now();

	if (left)
		*left = wf_time_spec(deadline > now ? deadline - now : 0);
}

static int sleep_for(const struct timespec *length, struct timespec *left)
{
	weft_time deadline;
	int r = wf_deadline_in(length, &deadline);

	if (r == 0)
		r = sleep_until(deadline);
	if (r == -EINTR)
		tell_left(left, deadline);
	return r;
}

/* A clock that may be set is asked again. */
static int sleep_at(clockid_t clock, const struct timespec *until)
{
	weft_time deadline;
	int r;

	if (until->tv_sec < 0)
		return -EINVAL;
	do {
		r = wf_deadline_at(clock, until, &deadline);
		if (r == 0)
			r = sleep_until(deadline);
	} while (r == 0 && !wf_deadline_reached(clock, until));
	return r;
}

static bool ours(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC ||
	       clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
}

WF_HOOK int nanosleep(const struct timespec *length, struct timespec *left)
{
	return identity_hooked() ? (int)wf_returned(sleep_for(length, left))
				 : libc(nanosleep)(length, left);
}

WF_HOOK int clock_nanosleep(clockid_t clock, int flags,
			    const struct timespec *length,
			    struct timespec *left)
{
	if (!identity_hooked() || !ours(clock))
		return REGION(clock_nanosleep, clock, flags, length, left);
	return -(flags & TIMER_ABSTIME ? sleep_at(clock, length)
				       : sleep_for(length, left));
}

WF_HOOK int usleep(useconds_t usec)
{
	struct timespec length = {usec / 1000000, usec % 1000000 * 1000};

	return nanosleep(&length, NULL);
}

/* What is left, to the second. */
WF_HOOK unsigned sleep(unsigned seconds)
{
	struct timespec length = {seconds, 0}, left = {0};

	if (!identity_hooked())
		return libc(sleep)(seconds);
	if (sleep_for(&length, &left) == 0)
		return 0;
	return (unsigned)left.tv_sec + (left.tv_nsec >= 500000000);
}

WF_HOOK int thrd_sleep(const struct timespec *length, struct timespec *left)
{
	int r;

	if (!identity_hooked())
		return libc(thrd_sleep)(length, left);
	r = sleep_for(length, left);
	return r == -EINTR ? -1 : r < 0 ? -2 : 0;
}
