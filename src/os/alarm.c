/* SPDX-License-Identifier: MIT */
/*
 * alarm.c - see alarm.h.
 */
#include "os/alarm.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/timerfd.h>

#include "os/call.h"
#include "os/clock.h"
#include "os/poll.h"

int wf_alarm_open(struct wf_alarm *a)
{
	long r = wf_poll_raised(
		wf_call(timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC));

	if (r < 0)
		return (int)r;
	a->fd = (int)r;
	return 0;
}

void wf_alarm_close(struct wf_alarm *a)
{
	int fd = a->fd;

	a->fd = -1;
	wf_call(close, fd);
}

/* Zero would be never. */
void wf_alarm_set(struct wf_alarm *a, weft_time at)
{
	struct itimerspec when = {.it_value = wf_time_spec(at > 0 ? at : 1)};

	wf_call(timerfd_settime, a->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void wf_alarm_wait(struct wf_alarm *a)
{
	uint64_t count;

	wf_call(read, a->fd, &count, sizeof count);
}
