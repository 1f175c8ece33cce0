/* SPDX-License-Identifier: MIT */
/*
 * test_cancel.c - asking a fiber to end: what that reaches, what shields, and
 * what happens when it meets something else.
 */
#include "support/t.h"

#include <errno.h>

#include "support/thread.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

TestSuite(cancel, .timeout = 10 * T_SLOW);

static _Atomic bool flag, ready;

static struct weft_fiber *spawn(weft_fn fn, void *arg)
{
	struct weft_fiber *f = NULL;

	T_CHECK(weft_spawn(&f, NULL, fn, arg) == 0);
	return f;
}

static void *live_until_flag(void *arg)
{
	while (!atomic_load(&flag))
		weft_yield();
	return arg;
}

static void *nothing(void *arg)
{
	return arg;
}

static void await(_Atomic bool *what)
{
	while (!atomic_load(what))
		weft_yield();
}

/* --- what it reaches --- */

static void *be_cancelled(void *unused)
{
	struct weft_fiber *ended = spawn(nothing, NULL);

	weft_cancel(weft_self());
	for (int i = 0; i < 3; i++) {
		T_CHECK(weft_cancelled());
		T_CHECK(weft_sleep(0) == -ECANCELED);
		T_CHECK(weft_sleep_until(0) == -ECANCELED);
		T_CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
		T_CHECK(weft_join(ended, NULL) == -ECANCELED);
		T_CHECK(weft_join_until(ended, NULL, 0) == -ECANCELED);
		weft_yield();
	}
	T_CHECK(weft_detach(ended) == 0);
	return unused;
}

static int cancel_one(void *unused)
{
	(void)unused;
	T_CHECK(weft_join(spawn(be_cancelled, NULL), NULL) == 0);
	T_CHECK(!weft_cancelled());
	T_CHECK(weft_sleep(0) == 0);
	return 0;
}

Test(cancel, it_sticks_and_reaches_every_call_that_may_wait)
{
	t_run(1, cancel_one, NULL);
}

static void *sleep_for_ever(void *unused)
{
	atomic_store(&ready, true);
	T_CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	T_CHECK(weft_sleep(WEFT_SEC(1000)) == -ECANCELED);
	return unused;
}

static void *cancel_a_sleeper(void *unused)
{
	struct weft_fiber *f;

	atomic_store(&ready, false);
	f = spawn(sleep_for_ever, NULL);
	await(&ready);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	return unused;
}

static int cancel_a_sleeper_everywhere(void *unused)
{
	(void)unused;
	cancel_a_sleeper(NULL);
	t_on_thread(cancel_a_sleeper, NULL);
	return 0;
}

Test(cancel, it_wakes_a_sleeper)
{
	t_run(1, cancel_a_sleeper_everywhere, NULL);
	t_run(2, cancel_a_sleeper_everywhere, NULL);
}

static void *sleep_at_once(void *unused)
{
	T_CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return unused;
}

static int cancel_before_it_runs(void *unused)
{
	struct weft_fiber *f = spawn(sleep_at_once, NULL);

	(void)unused;
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(cancel, a_fiber_may_be_cancelled_before_it_has_run)
{
	t_run(1, cancel_before_it_runs, NULL);
}

static void *join_until_cancelled(void *f)
{
	atomic_store(&ready, true);
	T_CHECK(weft_join(f, NULL) == -ECANCELED);
	return NULL;
}

static int cancel_a_joiner(void *unused)
{
	struct weft_fiber *f = spawn(live_until_flag, &flag), *joiner;
	void *result;

	(void)unused;
	joiner = spawn(join_until_cancelled, f);
	await(&ready);
	weft_cancel(joiner);
	T_CHECK(weft_join(joiner, NULL) == 0);
	atomic_store(&flag, true);
	T_CHECK(weft_join(f, &result) == 0 && result == &flag);
	return 0;
}

Test(cancel, a_joiner_gives_up_and_leaves_the_handle_good)
{
	t_run(1, cancel_a_joiner, NULL);
	flag = ready = false;
	t_run(2, cancel_a_joiner, NULL);
}

static void *sleep_a_little(void *unused)
{
	T_CHECK(weft_sleep(WEFT_MSEC(1)) == 0);
	T_CHECK(!weft_cancelled());
	return unused;
}

static int cancel_others(void *unused)
{
	struct weft_fiber *f = spawn(sleep_at_once, NULL);
	struct weft_fiber *other = spawn(sleep_a_little, NULL);

	(void)unused;
	weft_cancel(f);
	T_CHECK(weft_join(other, NULL) == 0);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(cancel, it_reaches_nobody_else)
{
	t_run(1, cancel_others, NULL);
}

static int cancel_the_dead(void *unused)
{
	struct weft_fiber *f = spawn(nothing, &flag);
	void *result;

	(void)unused;
	for (int i = 0; i < 100; i++)
		weft_yield();
	weft_cancel(f);
	T_CHECK(weft_join(f, &result) == 0 && result == &flag);
	T_CHECK(weft_join(spawn(sleep_a_little, NULL), NULL) == 0);
	return 0;
}

Test(cancel, the_dead_do_not_mind_and_their_successors_know_nothing)
{
	t_run(1, cancel_the_dead, NULL);
}

/* --- shields --- */

static void *shield_twice(void *unused)
{
	weft_cancel(weft_self());
	T_CHECK(weft_shield() == 0);
	T_CHECK(!weft_cancelled());
	T_CHECK(weft_shield() == 0);
	T_CHECK(weft_sleep(WEFT_USEC(10)) == 0);
	T_CHECK(weft_unshield() == 0);
	T_CHECK(weft_sleep(WEFT_USEC(10)) == 0);
	T_CHECK(weft_unshield() == 0);
	T_CHECK(weft_cancelled());
	T_CHECK(weft_sleep(WEFT_USEC(10)) == -ECANCELED);
	T_CHECK(weft_unshield() == -EINVAL);
	T_CHECK(weft_cancelled());
	return unused;
}

static int spawn_shielded(void *unused)
{
	(void)unused;
	T_CHECK(weft_join(spawn(shield_twice, NULL), NULL) == 0);
	T_CHECK(weft_unshield() == -EINVAL);
	return 0;
}

Test(cancel, shields_are_counted)
{
	t_run(1, spawn_shielded, NULL);
}

#define DEEP 70000 /* more than 16 bits count */

static int shield_deep(void *unused)
{
	(void)unused;
	weft_cancel(weft_self());
	for (int i = 0; i < DEEP; i++) {
		T_CHECK(weft_shield() == 0);
		T_CHECK(!weft_cancelled());
	}
	for (int i = 0; i < DEEP; i++) {
		T_CHECK(!weft_cancelled());
		T_CHECK(weft_unshield() == 0);
	}
	T_CHECK(weft_cancelled());
	T_CHECK(weft_unshield() == -EINVAL);
	return 0;
}

Test(cancel, shields_may_be_nested_as_deep_as_one_likes)
{
	t_run(1, shield_deep, NULL);
}

static void *sleep_shielded(void *unused)
{
	weft_time end = weft_after(WEFT_MSEC(5));

	T_CHECK(weft_shield() == 0);
	atomic_store(&ready, true);
	T_CHECK(weft_sleep_until(end) == 0);
	T_CHECK(weft_now() >= end);
	T_CHECK(weft_unshield() == 0);
	T_CHECK(weft_sleep(0) == -ECANCELED);
	return unused;
}

static int cancel_shielded(void *unused)
{
	struct weft_fiber *f = spawn(sleep_shielded, NULL);

	(void)unused;
	await(&ready);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(cancel, a_shielded_sleeper_sleeps_on)
{
	t_run(1, cancel_shielded, NULL);
}

/* --- races --- */

static void *sleep_until_either(void *deadline)
{
	weft_time end = *(weft_time *)deadline;
	int r = weft_sleep_until(end);

	T_CHECK(r == 0 || r == -ECANCELED);
	T_CHECK(r != 0 || weft_now() >= end);
	return (void *)(intptr_t)r;
}

static int race_with_deadline(void *seed)
{
	uint64_t *state = seed;

	for (size_t i = t_scale(2000); i; i--) {
		weft_time end = weft_after(
			(weft_time)(t_random(state) % WEFT_USEC(300)));
		weft_time then = weft_after(
			(weft_time)(t_random(state) % WEFT_USEC(300)));
		struct weft_fiber *f = spawn(sleep_until_either, &end);

		while (weft_now() < then)
			weft_yield();
		weft_cancel(f);
		T_CHECK(weft_join(f, NULL) == 0);
	}
	return 0;
}

Test(cancel, a_sleep_ends_by_its_deadline_or_by_cancellation,
     .timeout = 30 * T_SLOW)
{
	uint64_t seed = t_seed();

	t_run(2, race_with_deadline, &seed);
}

static void *join_either_way(void *f)
{
	void *result = NULL;
	int r = weft_join(f, &result);

	T_CHECK(r == 0 || r == -ECANCELED);
	weft_shield();
	if (r != 0)
		T_CHECK(weft_join(f, &result) == 0);
	T_CHECK(result == &ready);
	return NULL;
}

static void *end_at_some_time(void *turns)
{
	for (intptr_t i = (intptr_t)turns; i; i--)
		weft_yield();
	return &ready;
}

static int race_with_end(void *seed)
{
	uint64_t *state = seed;

	for (size_t i = t_scale(5000); i; i--) {
		uint64_t r = t_random(state);
		struct weft_fiber *f =
			spawn(end_at_some_time, (void *)(intptr_t)(r % 8));
		struct weft_fiber *joiner = spawn(join_either_way, f);

		for (r = r >> 32 & 7; r; r--)
			weft_yield();
		weft_cancel(joiner);
		T_CHECK(weft_join(joiner, NULL) == 0);
	}
	return 0;
}

ParameterizedTestParameters(cancel, a_join_succeeds_once_whoever_is_first)
{
	static unsigned workers[] = {1, 2, 8};

	return cr_make_param_array(unsigned, workers, 3);
}

ParameterizedTest(unsigned *workers, cancel,
		  a_join_succeeds_once_whoever_is_first, .timeout = 30 * T_SLOW)
{
	uint64_t seed = t_seed();

	t_run(*workers, race_with_end, &seed);
}

/* A deadline of the join, its fiber's end, and cancellation, all at once. */
static void *join_three_ways(void *f)
{
	int r = weft_join_until(f, NULL, weft_after(WEFT_USEC(20)));

	T_CHECK(r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
	weft_shield();
	if (r != 0)
		T_CHECK(weft_join(f, NULL) == 0);
	return NULL;
}

static int race_three_ways(void *seed)
{
	uint64_t *state = seed;

	for (size_t i = t_scale(2000); i; i--) {
		weft_time end = weft_after(
			(weft_time)(t_random(state) % WEFT_USEC(40)));
		struct weft_fiber *f = spawn(sleep_until_either, &end);
		struct weft_fiber *joiner = spawn(join_three_ways, f);

		weft_sleep((weft_time)(t_random(state) % WEFT_USEC(40)));
		weft_cancel(joiner);
		T_CHECK(weft_join(joiner, NULL) == 0);
	}
	return 0;
}

Test(cancel, end_deadline_and_cancellation_may_meet, .timeout = 30 * T_SLOW)
{
	uint64_t seed = t_seed();

	t_run(2, race_three_ways, &seed);
}

/* --- a joiner that has given up, and the next --- */

struct given_up {
	struct weft_fiber *f;
	weft_time deadline;
	_Atomic int result; /* 1: not yet */
};

/* Goes on waiting for something else, and is not to be woken for the join. */
static void *join_for_a_while(void *arg)
{
	struct given_up *g = arg;

	atomic_store(&g->result, weft_join_until(g->f, NULL, g->deadline));
	T_CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return NULL;
}

static int join_after_another(void *seed)
{
	uint64_t *state = seed;

	for (size_t i = t_scale(2000); i; i--) {
		weft_time end = weft_after(
			(weft_time)(t_random(state) % WEFT_USEC(300)));
		struct given_up g = {
			.deadline = weft_after(
				(weft_time)(t_random(state) % WEFT_USEC(300))),
			.result = 1};
		struct weft_fiber *first;

		g.f = spawn(sleep_until_either, &end);
		first = spawn(join_for_a_while, &g);
		while (atomic_load(&g.result) == 1)
			weft_yield();
		T_CHECK(g.result == 0 || g.result == -ETIMEDOUT);
		if (g.result != 0)
			T_CHECK(weft_join(g.f, NULL) == 0);
		weft_cancel(first);
		T_CHECK(weft_join(first, NULL) == 0);
	}
	return 0;
}

ParameterizedTestParameters(cancel, the_end_wakes_the_joiner_that_is_left)
{
	static unsigned workers[] = {1, 2, 8};

	return cr_make_param_array(unsigned, workers, 3);
}

ParameterizedTest(unsigned *workers, cancel,
		  the_end_wakes_the_joiner_that_is_left, .timeout = 30 * T_SLOW)
{
	uint64_t seed = t_seed();

	t_run(*workers, join_after_another, &seed);
}
