/* SPDX-License-Identifier: MIT */
/*
 * test_barrier.c - nobody goes on before enough have come, and then all do.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>

#include "support/thread.h"

#define MANY 150 /* more than one pass wakes */

TestSuite(barrier, .timeout = 20 * T_SLOW);

static struct weft_barrier barrier;
static _Atomic int passed, last;

static void set_up(uint32_t n)
{
	T_CHECK(weft_barrier_init(&barrier, n) == 0);
	passed = last = 0;
}

static void pass(void)
{
	int r = weft_barrier_wait(&barrier);

	T_CHECK(r == 0 || r == WEFT_BARRIER_LAST);
	last += r == WEFT_BARRIER_LAST;
	passed++;
}

static void *pass_once(void *unused)
{
	pass();
	return unused;
}

static int meet(void *unused)
{
	struct t_task t[MANY];

	(void)unused;
	set_up(MANY + 1);
	for (int round = 1; round <= 2; round++) {
		for (int i = 0; i < MANY; i++)
			t_task_start(&t[i], pass_once, NULL);
		t_await_queued(&barrier.round_.queue_, MANY);
		T_CHECK(passed == (MANY + 1) * (round - 1));
		pass();
		for (int i = 0; i < MANY; i++)
			t_task_end(&t[i]);
		T_CHECK(passed == (MANY + 1) * round && last == round);
	}
	weft_barrier_destroy(&barrier);
	return 0;
}

Test(barrier, all_go_on_when_the_last_comes_and_one_is_told)
{
	t_in_each_way(meet, NULL);
}

static int hold_up_nobody(void *unused)
{
	(void)unused;
	T_CHECK(weft_barrier_init(&barrier, 0) == -EINVAL);
	set_up(1);
	T_CHECK(weft_barrier_wait(&barrier) == WEFT_BARRIER_LAST);
	T_CHECK(weft_barrier_wait_until(&barrier, 0) == WEFT_BARRIER_LAST);
	barrier = (struct weft_barrier){0};
	T_CHECK(weft_barrier_wait(&barrier) == WEFT_BARRIER_LAST);
	return 0;
}

Test(barrier, for_one_it_holds_up_nobody_and_zero_bytes_neither)
{
	t_in_each_way(hold_up_nobody, NULL);
}

/* --- deadline and cancel --- */

static int time_out(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(3));
	struct t_task t;

	(void)unused;
	set_up(2);
	T_CHECK(weft_barrier_wait_until(&barrier, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(weft_barrier_wait_until(&barrier, 0) == -ETIMEDOUT);
	/* It takes two more all the same. */
	t_task_start(&t, pass_once, NULL);
	t_await_queued(&barrier.round_.queue_, 1);
	pass();
	t_task_end(&t);
	T_CHECK(passed == 2 && last == 1);
	return 0;
}

Test(barrier, who_gives_up_has_not_come)
{
	t_in_each_way(time_out, NULL);
}

static void *wait_cancelled(void *unused)
{
	T_CHECK(weft_barrier_wait(&barrier) == -ECANCELED);
	T_CHECK(weft_barrier_wait(&barrier) == -ECANCELED);
	return unused;
}

static int cancel(void *unused)
{
	struct weft_fiber *f, *other;

	(void)unused;
	set_up(2);
	T_CHECK(weft_spawn(&f, NULL, wait_cancelled, NULL) == 0);
	t_await_queued(&barrier.round_.queue_, 1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(weft_spawn(&other, NULL, pass_once, NULL) == 0);
	t_await_queued(&barrier.round_.queue_, 1);
	pass();
	T_CHECK(weft_join(other, NULL) == 0);
	return 0;
}

Test(barrier, who_is_cancelled_has_not_come)
{
	t_on_fibers(cancel, NULL);
}

static int cancel_too_late(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	set_up(2);
	T_CHECK(weft_spawn(&f, NULL, pass_once, NULL) == 0);
	t_await_queued(&barrier.round_.queue_, 1);
	T_CHECK(weft_barrier_wait(&barrier) == WEFT_BARRIER_LAST);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(passed == 1 && last == 0);
	return 0;
}

Test(barrier, who_is_cancelled_when_all_have_come_goes_on)
{
	t_on_fibers(cancel_too_late, NULL);
}

/* --- races --- */

#define PARTIES 5 /* three fibers, two threads */

static _Atomic size_t arrivals, lasts;
static size_t rounds;

/* After the n-th round everybody has come n times, and nobody n + 2 times. */
static void *go_round(void *unused)
{
	for (size_t n = 1; n <= rounds; n++) {
		size_t seen;

		arrivals++;
		lasts += weft_barrier_wait(&barrier) == WEFT_BARRIER_LAST;
		seen = arrivals;
		T_CHECK(seen >= n * PARTIES && seen < (n + 1) * PARTIES);
	}
	return unused;
}

static int race(void *unused)
{
	struct weft_fiber *f[PARTIES - 3];
	struct t_thread t[2];

	(void)unused;
	set_up(PARTIES);
	rounds = t_scale(20000);
	for (int i = 0; i < PARTIES - 3; i++)
		T_CHECK(weft_spawn(&f[i], NULL, go_round, NULL) == 0);
	for (int i = 0; i < 2; i++)
		t_thread_begin(&t[i], go_round, NULL);
	go_round(NULL);
	for (int i = 0; i < PARTIES - 3; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	for (int i = 0; i < 2; i++)
		t_thread_end(&t[i]);
	T_CHECK(lasts == rounds && arrivals == rounds * PARTIES);
	return 0;
}

Test(barrier, round_after_round_nobody_runs_ahead, .timeout = 60 * T_SLOW)
{
	t_run(2, race, NULL);
}

/*
 * Threes, with deadlines that come about when the last does: all of a round are
 * let go, or none, so the count of those who passed is three times the rounds.
 */
static uint64_t seed;

static void *come_and_give_up(void *number)
{
	uint64_t mine = seed + (uintptr_t)number;

	for (size_t i = t_scale(10000); i; i--) {
		weft_time until =
			weft_after((weft_time)(t_random(&mine) % 30000));
		int r = weft_barrier_wait_until(&barrier, until);

		T_CHECK(r >= 0 || r == -ETIMEDOUT);
		arrivals += r >= 0;
		lasts += r == WEFT_BARRIER_LAST;
	}
	return NULL;
}

static int race_with_deadlines(void *unused)
{
	struct weft_fiber *f[3];
	struct t_thread t[2];

	(void)unused;
	set_up(3);
	seed = t_seed();
	for (size_t i = 0; i < 3; i++)
		T_CHECK(weft_spawn(&f[i], NULL, come_and_give_up, (void *)i) ==
			0);
	for (size_t i = 0; i < 2; i++)
		t_thread_begin(&t[i], come_and_give_up, (void *)(i + 3));
	for (int i = 0; i < 3; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	for (int i = 0; i < 2; i++)
		t_thread_end(&t[i]);
	T_CHECK(arrivals == lasts * 3);
	T_CHECK(t_queued(&barrier.round_.queue_) == 0);
	return 0;
}

Test(barrier, all_of_a_round_are_let_go_or_none, .timeout = 60 * T_SLOW)
{
	t_run(2, race_with_deadlines, NULL);
}

/* --- mistakes --- */

static int destroy_awaited(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	set_up(2);
	T_CHECK(weft_spawn(&f, NULL, pass_once, NULL) == 0);
	t_await_queued(&barrier.round_.queue_, 1);
	weft_barrier_destroy(&barrier);
	pass();
	return weft_join(f, NULL);
}

Test(barrier, with_checks_destroying_one_that_is_waited_for_aborts,
     .signal = T_CHECKED ? SIGABRT : 0)
{
	cr_assert_eq(t_run(1, destroy_awaited, NULL), 0);
}
