/* SPDX-License-Identifier: MIT */
/*
 * clock.c - reading it.  libc's clock_gettime() needs no system call.
 */
#include "os/clock.h"

weft_time wf_clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return WEFT_SEC(ts.tv_sec) + ts.tv_nsec;
}

weft_time weft_now(void)
{
	return wf_clock_now();
}

weft_time weft_after(weft_time delay)
{
	return delay == WEFT_FOREVER ? WEFT_FOREVER
				     : wf_time_add(wf_clock_now(), delay);
}
