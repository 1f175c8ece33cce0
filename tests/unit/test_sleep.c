/* SPDX-License-Identifier: MIT */
/*
 * test_sleep.c - time: the clock, deadlines that saturate, and sleeping, on
 * fibers and on threads.
 */
#include "support/t.h"

#include <errno.h>

#include "support/thread.h"
#include "weft/fiber.h"
#include "weft/runtime.h"
#include "weft/time.h"

TestSuite(sleep, .timeout = 10 * T_SLOW);

Test(sleep, the_clock_does_not_go_back)
{
	weft_time before = weft_now(), now;

	for (int i = 0; i < 100000; i++, before = now) {
		now = weft_now();
		cr_assert_geq(now, before);
	}
	cr_assert_gt(before, 0);
}

Test(sleep, a_deadline_lies_its_delay_ahead)
{
	weft_time before = weft_now(), deadline = weft_after(WEFT_SEC(1000));

	cr_assert_geq(deadline, before + WEFT_SEC(1000));
	cr_assert_leq(deadline, weft_now() + WEFT_SEC(1000));
	cr_assert_leq(weft_after(-1), weft_now());
}

Test(sleep, deadlines_saturate)
{
	cr_assert_eq(weft_after(WEFT_FOREVER), WEFT_FOREVER);
	cr_assert_eq(weft_after(WEFT_FOREVER - 1), WEFT_FOREVER);
	cr_assert_lt(weft_after(INT64_MIN), 0);
}

Test(sleep, units_are_nanoseconds)
{
	cr_assert_eq(WEFT_SEC(2), 2000000000);
	cr_assert_eq(WEFT_MSEC(2), 2000000);
	cr_assert_eq(WEFT_USEC(2), 2000);
	cr_assert_eq(WEFT_NSEC(2), 2);
	cr_assert_eq(WEFT_SEC(-1), -1000000000);
}

static void *sleep_a_little(void *unused)
{
	for (weft_time delay = 1; delay < WEFT_MSEC(8); delay *= 3) {
		weft_time end = weft_after(delay);

		T_CHECK(weft_sleep(delay) == 0);
		T_CHECK(weft_now() >= end);
		end = weft_after(delay);
		T_CHECK(weft_sleep_until(end) == 0);
		T_CHECK(weft_now() >= end);
	}
	return unused;
}

static int sleep_everywhere(void *arg)
{
	(void)arg;
	sleep_a_little(NULL);
	t_on_thread(sleep_a_little, NULL);
	return 0;
}

Test(sleep, it_never_ends_early)
{
	t_run(1, sleep_everywhere, NULL);
	t_run(2, sleep_everywhere, NULL);
}

Test(sleep, it_works_without_a_runtime)
{
	sleep_a_little(NULL);
	t_verify();
}

static void *sleep_in_the_past(void *unused)
{
	T_CHECK(weft_sleep(0) == 0);
	T_CHECK(weft_sleep(-WEFT_SEC(1)) == 0);
	T_CHECK(weft_sleep(INT64_MIN) == 0);
	T_CHECK(weft_sleep_until(0) == 0);
	T_CHECK(weft_sleep_until(INT64_MIN) == 0);
	T_CHECK(weft_sleep_until(weft_now()) == 0);
	return unused;
}

static int sleep_in_the_past_everywhere(void *arg)
{
	(void)arg;
	sleep_in_the_past(NULL);
	t_on_thread(sleep_in_the_past, NULL);
	return 0;
}

Test(sleep, a_deadline_that_has_passed_is_no_error)
{
	t_run(1, sleep_in_the_past_everywhere, NULL);
}

/* --- many --- */

static _Atomic int woken;

static void *sleep_and_count(void *delay)
{
	T_CHECK(weft_sleep_until((weft_time)(intptr_t)delay) == 0);
	return (void *)(intptr_t)atomic_fetch_add(&woken, 1);
}

static int sleep_in_turn(void *arg)
{
	weft_time begin = weft_after(WEFT_MSEC(20));
	struct weft_fiber *f[4];
	void *place;

	(void)arg;
	for (int i = 0; i < 4; i++) {
		weft_time end = begin - WEFT_MSEC(4) * i;

		T_CHECK(weft_spawn(&f[i], NULL, sleep_and_count,
				   (void *)(intptr_t)end) == 0);
	}
	for (int i = 0; i < 4; i++) {
		T_CHECK(weft_join(f[i], &place) == 0);
		T_CHECK((intptr_t)place == 3 - i);
	}
	return 0;
}

Test(sleep, on_one_worker_the_nearest_deadline_wakes_first)
{
	t_run(1, sleep_in_turn, NULL);
}

static void *sleep_at_random(void *seed)
{
	uint64_t state = (uintptr_t)seed;

	for (int i = 0; i < 3; i++) {
		weft_time end = weft_after(
			(weft_time)(t_random(&state) % WEFT_MSEC(30)));

		T_CHECK(weft_sleep_until(end) == 0);
		T_CHECK(weft_now() >= end);
	}
	atomic_fetch_add(&woken, 1);
	return NULL;
}

static int many_sleep(void *seed)
{
	for (size_t i = t_scale(10000); i; i--)
		T_CHECK(weft_spawn(NULL, NULL, sleep_at_random,
				   (void *)(*(uint64_t *)seed + i)) == 0);
	return 0;
}

ParameterizedTestParameters(sleep, ten_thousand_all_wake_and_none_early)
{
	static unsigned workers[] = {1, 2, 8};

	return cr_make_param_array(unsigned, workers, 3);
}

ParameterizedTest(unsigned *workers, sleep,
		  ten_thousand_all_wake_and_none_early)
{
	uint64_t seed = t_seed();

	t_run(*workers, many_sleep, &seed);
	cr_assert_eq((size_t)atomic_load(&woken), t_scale(10000));
}

static void *keep_yielding(void *unused)
{
	while (!atomic_load(&woken))
		weft_yield();
	return unused;
}

static int sleep_beside_a_busy_one(void *arg)
{
	(void)arg;
	T_CHECK(weft_spawn(NULL, NULL, keep_yielding, NULL) == 0);
	T_CHECK(weft_sleep(WEFT_MSEC(2)) == 0);
	atomic_store(&woken, 1);
	return 0;
}

Test(sleep, timers_are_served_while_others_keep_the_worker_busy)
{
	t_run(1, sleep_beside_a_busy_one, NULL);
}
