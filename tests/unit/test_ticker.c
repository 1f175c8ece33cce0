/* SPDX-License-Identifier: MIT */
/*
 * test_ticker.c - periodic ticks: none comes early, and those that nobody took
 * in time are told and follow the policy.
 *
 * Being late is made by beginning in the past, with periods of an hour.
 */
#include "support/io.h"

#include <errno.h>

TestSuite(ticker, .timeout = 10 * T_SLOW);

#define HOUR WEFT_SEC(3600)

static const enum weft_ticks policies[] = {WEFT_TICKS_BURST, WEFT_TICKS_DELAY,
					   WEFT_TICKS_SKIP};

static int tick_on_time(void *unused)
{
	weft_time first = weft_after(WEFT_MSEC(3)), period = WEFT_MSEC(2);
	struct weft_ticker t;
	int64_t n = 0;

	(void)unused;
	T_CHECK(weft_ticker_start(&t, first, period, WEFT_TICKS_SKIP) == 0);
	for (int i = 0; i < 5; i++) {
		int64_t missed = weft_ticker_wait(&t);

		T_CHECK(missed >= 0);
		T_CHECK(weft_now() >= first + n * period);
		n += missed + 1;
	}
	return 0;
}

Test(ticker, no_tick_comes_before_it_is_due)
{
	t_in_each_way(tick_on_time, NULL);
}

/* Eleven ticks are due, the last one half an hour ago. */
static weft_time start_late(struct weft_ticker *t, enum weft_ticks policy)
{
	weft_time first = weft_now() - 10 * HOUR - HOUR / 2;

	T_CHECK(weft_ticker_start(t, first, HOUR, policy) == 0);
	return first;
}

static int burst(void *unused)
{
	struct weft_ticker t;
	weft_time first = start_late(&t, WEFT_TICKS_BURST);

	(void)unused;
	for (int left = 10; left >= 0; left--)
		T_CHECK(weft_ticker_wait(&t) == left);
	T_CHECK(weft_ticker_wait_until(&t, 0) == -ETIMEDOUT);
	T_CHECK(t.next_ == first + 11 * HOUR);
	return 0;
}

Test(ticker, a_burst_loses_none)
{
	t_in_each_way(burst, NULL);
}

static int skip(void *unused)
{
	struct weft_ticker t;
	weft_time first = start_late(&t, WEFT_TICKS_SKIP);

	(void)unused;
	T_CHECK(weft_ticker_wait(&t) == 10);
	T_CHECK(weft_ticker_wait_until(&t, 0) == -ETIMEDOUT);
	T_CHECK(t.next_ == first + 11 * HOUR);
	return 0;
}

Test(ticker, those_that_are_skipped_are_told_and_the_plan_stays)
{
	t_in_each_way(skip, NULL);
}

static int delay(void *unused)
{
	struct weft_ticker t;
	weft_time begin = weft_now();

	(void)unused;
	start_late(&t, WEFT_TICKS_DELAY);
	T_CHECK(weft_ticker_wait(&t) == 10);
	T_CHECK(weft_ticker_wait_until(&t, 0) == -ETIMEDOUT);
	T_CHECK(t.next_ >= begin + HOUR && t.next_ <= weft_now() + HOUR);
	return 0;
}

Test(ticker, a_delay_moves_the_plan)
{
	t_in_each_way(delay, NULL);
}

static int late_by_less(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < 3; i++) {
		weft_time first = weft_now() - HOUR / 2;
		struct weft_ticker t;

		T_CHECK(weft_ticker_start(&t, first, HOUR, policies[i]) == 0);
		T_CHECK(weft_ticker_wait(&t) == 0);
		T_CHECK(t.next_ == first + HOUR);
	}
	return 0;
}

Test(ticker, being_late_by_less_than_a_period_moves_nothing)
{
	t_in_each_way(late_by_less, NULL);
}

static int time_out(void *unused)
{
	weft_time first = weft_after(HOUR), until = weft_after(WEFT_MSEC(2));
	struct weft_ticker t;

	(void)unused;
	T_CHECK(weft_ticker_start(&t, first, HOUR, WEFT_TICKS_BURST) == 0);
	T_CHECK(weft_ticker_wait_until(&t, until) == -ETIMEDOUT);
	T_CHECK(weft_now() >= until && t.next_ == first);
	/* One that is due comes, however late one asks. */
	start_late(&t, WEFT_TICKS_BURST);
	T_CHECK(weft_ticker_wait_until(&t, 0) == 10);
	return 0;
}

Test(ticker, at_a_deadline_no_tick_is_taken)
{
	t_in_each_way(time_out, NULL);
}

static void *wait_cancelled(void *unused)
{
	struct weft_ticker t;
	weft_time first = start_late(&t, WEFT_TICKS_SKIP);

	weft_cancel(weft_self());
	T_CHECK(weft_ticker_wait(&t) == -ECANCELED && t.next_ == first);
	return unused;
}

static int cancel(void *unused)
{
	struct weft_scope_options o = {.deadline = 1};
	struct weft_scope s;
	struct weft_ticker t;
	struct weft_fiber *f;

	(void)unused;
	T_CHECK(weft_spawn(&f, NULL, wait_cancelled, NULL) == 0);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(weft_ticker_start(&t, weft_after(HOUR), HOUR,
				  WEFT_TICKS_SKIP) == 0);
	T_CHECK(weft_scope_begin(&s, &o) == 0);
	T_CHECK(weft_ticker_wait(&t) == -ETIMEDOUT);
	T_CHECK(weft_scope_end(&s) == 0);
	return 0;
}

Test(ticker, cancel_and_the_deadline_of_a_scope_end_the_wait)
{
	t_on_fibers(cancel, NULL);
}

static int at_the_edges(void *unused)
{
	struct weft_ticker t = {0};

	(void)unused;
	T_CHECK(weft_ticker_wait(&t) == -EINVAL);
	T_CHECK(weft_ticker_start(&t, 0, 0, WEFT_TICKS_BURST) == -EINVAL);
	T_CHECK(weft_ticker_start(&t, 0, -1, WEFT_TICKS_BURST) == -EINVAL);
	T_CHECK(weft_ticker_start(&t, 0, 1, (enum weft_ticks)3) == -EINVAL);
	for (size_t i = 0; i < 3; i++) {
		T_CHECK(weft_ticker_start(&t, weft_now(), WEFT_FOREVER,
					  policies[i]) == 0);
		T_CHECK(weft_ticker_wait(&t) == 0);
		T_CHECK(t.next_ == WEFT_FOREVER);
		T_CHECK(weft_ticker_start(&t, INT64_MIN, 1, policies[i]) == 0);
		T_CHECK(weft_ticker_wait(&t) == INT64_MAX);
	}
	return 0;
}

Test(ticker, sums_saturate_and_nonsense_is_refused)
{
	t_in_each_way(at_the_edges, NULL);
}
