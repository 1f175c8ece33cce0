/* SPDX-License-Identifier: MIT */
/*
 * test_park.c - sleeping and waking: no wake is lost, none counts twice, and
 * nobody runs on two threads at a time.
 */
#include "support/t.h"

#include "core/self.h"
#include "core/waiter.h"
#include "support/thread.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

TestSuite(park, .timeout = 10 * T_SLOW);

static _Atomic(struct weft_fiber *) sleeper;
static _Atomic bool flag;

static int wake_before_park(void *arg)
{
	(void)arg;
	wf_unpark(wf_self());
	wf_park(wf_self(), WEFT_FOREVER);
	return 7;
}

Test(park, a_wake_that_comes_first_is_not_lost)
{
	cr_assert_eq(t_run(1, wake_before_park, NULL), 7);
}

static int wake_yield_park(void *arg)
{
	(void)arg;
	wf_unpark(wf_self());
	weft_yield();
	wf_park(wf_self(), WEFT_FOREVER);
	return 7;
}

Test(park, yielding_does_not_use_up_the_wake)
{
	cr_assert_eq(t_run(1, wake_yield_park, NULL), 7);
}

static void *raise_flag_and_wake(void *unused)
{
	(void)unused;
	atomic_store(&flag, true);
	wf_unpark(atomic_load(&sleeper));
	return NULL;
}

static void sleep_for_flag(void)
{
	while (!atomic_load(&flag))
		wf_park(atomic_load(&sleeper), WEFT_FOREVER);
}

static int be_woken_by_a_fiber(void *arg)
{
	(void)arg;
	atomic_store(&sleeper, wf_self());
	T_CHECK(weft_spawn(NULL, NULL, raise_flag_and_wake, NULL) == 0);
	T_CHECK(!atomic_load(&flag));
	sleep_for_flag();
	return 7;
}

Test(park, a_fiber_wakes_another)
{
	cr_assert_eq(t_run(1, be_woken_by_a_fiber, NULL), 7);
}

static int be_woken_by_a_thread(void *arg)
{
	struct t_thread t;

	(void)arg;
	atomic_store(&sleeper, wf_self());
	t_thread_begin(&t, raise_flag_and_wake, NULL);
	sleep_for_flag();
	t_thread_end(&t);
	return 7;
}

Test(park, a_thread_wakes_a_fiber)
{
	cr_assert_eq(t_run(1, be_woken_by_a_thread, NULL), 7);
}

static int count_wakes(void *arg)
{
	(void)arg;
	atomic_store(&sleeper, wf_self());
	for (int i = 0; i < 3; i++)
		wf_unpark(wf_self());
	wf_park(wf_self(), WEFT_FOREVER);
	T_CHECK(weft_spawn(NULL, NULL, raise_flag_and_wake, NULL) == 0);
	wf_park(wf_self(), WEFT_FOREVER);
	T_CHECK(atomic_load(&flag));
	return 0;
}

Test(park, many_wakes_before_one_park_count_as_one)
{
	t_run(1, count_wakes, NULL);
}

/* --- handles outlive their fibers --- */

static void *nothing(void *arg)
{
	return arg;
}

static int wake_the_dead(void *arg)
{
	struct weft_fiber *dead, *next;
	void *result;

	(void)arg;
	for (int i = 0; i < 100; i++) {
		T_CHECK(weft_spawn(&dead, NULL, nothing, NULL) == 0);
		T_CHECK(weft_join(dead, NULL) == 0);
		wf_unpark(dead);
		T_CHECK(weft_spawn(&next, NULL, nothing, &i) == 0);
		wf_unpark(dead);
		T_CHECK(weft_join(next, &result) == 0 && result == &i);
		wf_unpark(dead);
	}
	return 0;
}

Test(park, a_wake_that_comes_after_the_end_does_no_harm)
{
	t_run(1, wake_the_dead, NULL);
}

/* --- held --- */

static int nobody_holds_the_running(void *arg)
{
	(void)arg;
	T_CHECK(!wf_hold(wf_self()));
	wf_unpark(wf_self());
	T_CHECK(!wf_hold(wf_self()));
	return 0;
}

Test(park, a_fiber_that_runs_cannot_be_held)
{
	t_run(1, nobody_holds_the_running, NULL);
}

static void *sleep_once(void *unused)
{
	atomic_store(&sleeper, wf_self());
	wf_park(wf_self(), WEFT_FOREVER);
	atomic_store(&flag, true);
	return unused;
}

static struct weft_fiber *spawn_sleeper(void)
{
	struct weft_fiber *f;

	T_CHECK(weft_spawn(&f, NULL, sleep_once, NULL) == 0);
	while (!atomic_load(&sleeper))
		weft_yield();
	return f;
}

/* With one worker, whoever is queued has run after two yields. */
static bool has_run(void)
{
	weft_yield();
	weft_yield();
	return atomic_load(&flag);
}

static int hold_and_release(void *arg)
{
	struct weft_fiber *f = spawn_sleeper();

	(void)arg;
	T_CHECK(wf_hold(f));
	T_CHECK(!wf_hold(f));
	wf_release(f);
	T_CHECK(!has_run());
	T_CHECK(wf_hold(f));
	wf_release(f);
	wf_unpark(f);
	T_CHECK(!wf_hold(f));
	T_CHECK(has_run());
	return weft_join(f, NULL);
}

Test(park, one_that_is_held_and_released_sleeps_on)
{
	cr_assert_eq(t_run(1, hold_and_release, NULL), 0);
}

static int wake_the_held(void *arg)
{
	struct weft_fiber *f = spawn_sleeper();

	(void)arg;
	T_CHECK(wf_hold(f));
	wf_unpark(f);
	wf_unpark(f);
	T_CHECK(!has_run());
	wf_release(f);
	T_CHECK(has_run());
	return weft_join(f, NULL);
}

Test(park, one_that_is_woken_while_held_runs_once_released)
{
	cr_assert_eq(t_run(1, wake_the_held, NULL), 0);
}

static _Atomic bool hold_on;
static _Atomic(struct weft_fiber *) pair[2];

static void *hold_them(void *unused)
{
	while (atomic_load(&hold_on))
		for (int i = 0; i < 2; i++)
			if (wf_hold(atomic_load(&pair[i])))
				wf_release(atomic_load(&pair[i]));
	return unused;
}

static void *swing(void *arg)
{
	size_t n = t_scale(20000), me = (size_t)arg;
	static _Atomic size_t turn;

	for (size_t i = 0; i < n; i++) {
		while (atomic_load(&turn) % 2 != me)
			wf_park(wf_self(), WEFT_FOREVER);
		atomic_store(&turn, atomic_load(&turn) + 1);
		wf_unpark(atomic_load(&pair[1 - me]));
	}
	return NULL;
}

static int hold_swinging(void *arg)
{
	struct t_thread holders[2];

	(void)arg;
	for (size_t i = 0; i < 2; i++)
		atomic_store(&pair[i], wf_self());
	for (size_t i = 0; i < 2; i++) {
		struct weft_fiber *f;

		T_CHECK(weft_spawn(&f, NULL, swing, (void *)i) == 0);
		atomic_store(&pair[i], f);
	}
	atomic_store(&hold_on, true);
	for (int i = 0; i < 2; i++)
		t_thread_begin(&holders[i], hold_them, NULL);
	for (int i = 0; i < 2; i++)
		T_CHECK(weft_join(atomic_load(&pair[i]), NULL) == 0);
	atomic_store(&hold_on, false);
	for (int i = 0; i < 2; i++)
		t_thread_end(&holders[i]);
	return 0;
}

Test(park, holders_lose_no_wake_and_make_none)
{
	t_run(2, hold_swinging, NULL);
}

/* --- many wakers --- */

static _Atomic int inside;
static _Atomic bool over;

static void *keep_waking(void *unused)
{
	while (!atomic_load(&over))
		wf_unpark(atomic_load(&sleeper));
	return unused;
}

static int park_often(void *arg)
{
	struct t_thread wakers[2];

	(void)arg;
	atomic_store(&sleeper, wf_self());
	for (int i = 0; i < 2; i++)
		t_thread_begin(&wakers[i], keep_waking, NULL);
	for (size_t i = t_scale(50000); i; i--) {
		T_CHECK(atomic_fetch_add(&inside, 1) == 0);
		atomic_fetch_sub(&inside, 1);
		wf_park(wf_self(), WEFT_FOREVER);
	}
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		t_thread_end(&wakers[i]);
	return 0;
}

static unsigned worker_counts[] = {1, 2, 8};

ParameterizedTestParameters(park, whoever_wakes_a_fiber_it_runs_once)
{
	return cr_make_param_array(unsigned, worker_counts, 3);
}

ParameterizedTest(unsigned *workers, park, whoever_wakes_a_fiber_it_runs_once,
		  .timeout = 20 * T_SLOW)
{
	t_run(*workers, park_often, NULL);
}

/* Two that wake each other in turn: one lost wake, and both sleep for ever. */
static _Atomic size_t turn;
static _Atomic(struct weft_fiber *) players[2];

static void *play(void *which)
{
	size_t me = (uintptr_t)which, rounds = t_scale(20000);

	atomic_store(&players[me], wf_self());
	for (size_t i = 0; i < rounds; i++) {
		while (atomic_load(&turn) % 2 != me)
			wf_park(wf_self(), WEFT_FOREVER);
		atomic_fetch_add(&turn, 1);
		if (atomic_load(&players[!me]))
			wf_unpark(atomic_load(&players[!me]));
	}
	return NULL;
}

static int play_together(void *arg)
{
	struct weft_fiber *f[2];

	(void)arg;
	for (uintptr_t i = 0; i < 2; i++)
		T_CHECK(weft_spawn(&f[i], NULL, play, (void *)i) == 0);
	for (int i = 0; i < 2; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	return 0;
}

ParameterizedTestParameters(park, no_wake_between_two_fibers_is_lost)
{
	return cr_make_param_array(unsigned, worker_counts, 3);
}

ParameterizedTest(unsigned *workers, park, no_wake_between_two_fibers_is_lost,
		  .timeout = 20 * T_SLOW)
{
	t_run(*workers, play_together, NULL);
	cr_assert_eq(atomic_load(&turn), 2 * t_scale(20000));
}

/* --- threads as waiters --- */

static void *wait_as_thread(void *unused)
{
	struct weft_fiber *me = wf_waiter_begin();

	T_CHECK(me && me->kind == WF_THREAD && wf_self() == NULL);
	atomic_store(&sleeper, me);
	while (!atomic_load(&flag))
		wf_park(me, WEFT_FOREVER);
	wf_waiter_end(me);
	return unused;
}

static int wake_a_thread(void *arg)
{
	struct t_thread t;

	(void)arg;
	t_thread_begin(&t, wait_as_thread, NULL);
	while (!atomic_load(&sleeper))
		weft_yield();
	raise_flag_and_wake(NULL);
	t_thread_end(&t);
	return 0;
}

Test(park, a_fiber_wakes_a_thread)
{
	t_run(1, wake_a_thread, NULL);
}

Test(park, a_thread_wakes_a_thread_without_a_runtime)
{
	struct t_thread t;

	t_thread_begin(&t, wait_as_thread, NULL);
	while (!atomic_load(&sleeper))
		;
	raise_flag_and_wake(NULL);
	t_thread_end(&t);
	t_verify();
}

Test(park, the_sleep_of_a_thread_ends_at_its_deadline)
{
	struct weft_fiber *me = wf_waiter_begin();
	weft_time deadline = weft_after(WEFT_MSEC(5));

	while (weft_now() < deadline)
		wf_park(me, deadline);
	wf_park(me, weft_now() - 1);
	wf_park(me, -1);
	wf_waiter_end(me);
}
