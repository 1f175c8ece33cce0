/* SPDX-License-Identifier: MIT */
/*
 * sleep.c - waiting for nothing but time, and letting others go first.
 */
#include <errno.h>

#include "core/sched.h"
#include "core/self.h"
#include "core/wait.h"
#include "os/call.h"
#include "os/clock.h"

int weft_sleep_until(weft_time deadline)
{
	struct weft_fiber *me = wf_waiter_begin();
	struct wf_wait wait;
	int r;

	if (!me)
		return -ENOMEM;
	r = wait_allowed(me);
	if (r == 0 && deadline <= wf_clock_now()) {
		weft_yield();
	} else if (r == 0) {
		wait_begin(&wait, me, "sleep", 0);
		r = wf_wait_sleep(&wait, wait_deadline(me, deadline), false);
		/* It is the scope's that has passed, if it is the nearer. */
		if (r == -ETIMEDOUT && deadline <= wf_clock_now())
			r = 0;
	}
	wf_waiter_end(me);
	return r;
}

int weft_sleep(weft_time delay)
{
	return weft_sleep_until(weft_after(delay));
}

void weft_yield(void)
{
	struct weft_fiber *self = wf_self();

	if (self)
		wf_sched_yield(self);
	else
		wf_call(sched_yield);
}
