/* SPDX-License-Identifier: MIT */
/*
 * test_epoll.c - os/poll: how long a wait lasts, with and without nanoseconds,
 * and what ends it.
 */
#include "support/t.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cc.h"
#include "os/clock.h"
#include "os/feature.h"
#include "os/poll.h"

TestSuite(epoll, .timeout = 20 * T_SLOW);

static struct wf_poll poll_;
static struct epoll_event events[4];

static void open_poll(void)
{
	cr_assert_eq(wf_feature_probe(), 0);
	cr_assert_eq(wf_poll_open(&poll_), 0);
}

/*
 * A wait that ended before its deadline would be begun again at once: one call
 * for one deadline is what keeps a worker from turning in circles.
 */
Test(epoll, a_wait_without_events_lasts_for_its_delay)
{
	const weft_time delays[] = {
		1,
		WEFT_USEC(1),
		WEFT_USEC(300),
		WEFT_USEC(999),
		WEFT_MSEC(1),
		WEFT_MSEC(1) + 1,
		WEFT_USEC(2500),
	};

	open_poll();
	for (size_t i = 0; i < t_scale(10) * array_count(delays); i++) {
		weft_time delay = delays[i % array_count(delays)];
		weft_time deadline = wf_clock_now() + delay;

		cr_assert_eq(wf_poll_wait(&poll_, events, 4, delay), 0);
		cr_assert_geq(wf_clock_now(), deadline, "delay %ld",
			      (long)delay);
	}
}

Test(epoll, a_delay_that_is_not_positive_only_looks)
{
	open_poll();
	cr_assert_eq(wf_poll_wait(&poll_, events, 4, 0), 0);
	cr_assert_eq(wf_poll_wait(&poll_, events, 4, INT64_MIN), 0);
	wf_poll_wake(&poll_);
	cr_assert_eq(wf_poll_wait(&poll_, events, 4, INT64_MIN), 1);
}

/* What no number of milliseconds holds is no short wait. */
Test(epoll, an_event_ends_a_wait_however_long)
{
	const weft_time delays[] = {
		WEFT_FOREVER,
		WEFT_FOREVER - 1,
		WEFT_SEC(100000000),
	};

	open_poll();
	for (size_t i = 0; i < array_count(delays); i++) {
		wf_poll_wake(&poll_);
		cr_assert_eq(wf_poll_wait(&poll_, events, 4, delays[i]), 1);
		cr_assert_eq(events[0].data.u64, WF_POLL_WAKE);
		wf_poll_drain(&poll_);
		cr_assert_eq(wf_poll_try(&poll_, events, 4), 0);
	}
}

Test(epoll, a_descriptor_is_reported_once_for_each_change)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t one = 1;

	open_poll();
	cr_assert_eq(wf_poll_add(&poll_, fd, 7), 0);
	cr_assert(poll_used(&poll_));
	wf_poll_try(&poll_, events, 4); /* it can be written */
	cr_assert_eq(write(fd, &one, sizeof one), (ssize_t)sizeof one);
	cr_assert_eq(wf_poll_wait(&poll_, events, 4, WEFT_FOREVER), 1);
	cr_assert_eq(events[0].data.u64, 7);
	cr_assert_eq(wf_poll_try(&poll_, events, 4), 0);
	wf_poll_remove(&poll_, fd);
	cr_assert_not(poll_used(&poll_));
}
