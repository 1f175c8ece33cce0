/* SPDX-License-Identifier: MIT */
/*
 * ticker.c - what happens again and again: instants, and sleeping until them.
 */
#include <errno.h>

#include "os/clock.h"
#include "weft/time.h"

int weft_ticker_start(struct weft_ticker *t, weft_time first, weft_time period,
		      enum weft_ticks policy)
{
	if (period <= 0 || (unsigned)policy > WEFT_TICKS_SKIP)
		return -EINVAL;
	*t = (struct weft_ticker){first, period, policy};
	return 0;
}

/* How many periods `now` is behind the tick that is due. */
static int64_t missed_by(const struct weft_ticker *t, weft_time now)
{
	weft_time late;

	if (__builtin_sub_overflow(now, t->next_, &late))
		late = INT64_MAX;
	return late / t->period_;
}

/* The tick that was due is taken; `missed` others are, too. */
static void advance(struct weft_ticker *t, weft_time now, int64_t missed)
{
	if (missed == 0 || t->policy_ == WEFT_TICKS_BURST)
		t->next_ = wf_time_add(t->next_, t->period_);
	else if (t->policy_ == WEFT_TICKS_DELAY)
		t->next_ = wf_time_add(now, t->period_);
	else
		t->next_ =
			wf_time_add(t->next_ + missed * t->period_, t->period_);
}

int64_t weft_ticker_wait_until(struct weft_ticker *t, weft_time deadline)
{
	weft_time until = deadline < t->next_ ? deadline : t->next_, now;
	int64_t missed;
	int r;

	if (t->period_ <= 0)
		return -EINVAL;
	r = weft_sleep_until(until);
	if (r < 0)
		return r;
	now = wf_clock_now();
	if (now < t->next_)
		return -ETIMEDOUT;
	missed = missed_by(t, now);
	advance(t, now, missed);
	return missed;
}

int64_t weft_ticker_wait(struct weft_ticker *t)
{
	return weft_ticker_wait_until(t, WEFT_FOREVER);
}
