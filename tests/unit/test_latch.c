/* SPDX-License-Identifier: MIT */
/*
 * test_latch.c - it opens when the count is at zero, and stays open.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "support/thread.h"

#define MANY 150 /* more than one pass wakes */

TestSuite(latch, .timeout = 20 * T_SLOW);

static struct weft_latch latch;
static _Atomic int passed;

static void *wait_for_it(void *unused)
{
	T_CHECK(weft_latch_wait(&latch) == 0);
	passed++;
	return unused;
}

static int open_it(void *unused)
{
	struct t_task t[MANY];

	(void)unused;
	passed = 0;
	weft_latch_init(&latch, 3);
	for (int i = 0; i < MANY; i++)
		t_task_start(&t[i], wait_for_it, NULL);
	t_await_queued(&latch.round_.queue_, MANY);
	weft_latch_arrive(&latch, 2);
	T_CHECK(weft_latch_try_wait(&latch) == -EAGAIN);
	T_CHECK(t_queued(&latch.round_.queue_) == MANY && passed == 0);
	weft_latch_arrive(&latch, 1);
	T_CHECK(weft_latch_try_wait(&latch) == 0);
	for (int i = 0; i < MANY; i++)
		t_task_end(&t[i]);
	T_CHECK(passed == MANY);
	T_CHECK(weft_latch_wait(&latch) == 0);
	T_CHECK(weft_latch_wait_until(&latch, 0) == 0);
	weft_latch_arrive(&latch, 0);
	weft_latch_destroy(&latch);
	return 0;
}

Test(latch, at_zero_it_lets_all_go_for_ever)
{
	t_in_each_way(open_it, NULL);
}

static int open_from_the_start(void *unused)
{
	(void)unused;
	latch = (struct weft_latch){0};
	T_CHECK(weft_latch_try_wait(&latch) == 0);
	T_CHECK(weft_latch_wait(&latch) == 0);
	return 0;
}

Test(latch, zero_bytes_are_an_open_one)
{
	t_in_each_way(open_from_the_start, NULL);
}

static void *arrive_and_wait(void *unused)
{
	T_CHECK(weft_latch_arrive_and_wait(&latch) == 0);
	passed++;
	return unused;
}

static int arrive_together(void *unused)
{
	struct t_task t[2];

	(void)unused;
	passed = 0;
	weft_latch_init(&latch, 3);
	for (int i = 0; i < 2; i++)
		t_task_start(&t[i], arrive_and_wait, NULL);
	t_await_queued(&latch.round_.queue_, 2);
	T_CHECK(passed == 0);
	T_CHECK(weft_latch_arrive_and_wait_until(&latch, 0) == 0);
	for (int i = 0; i < 2; i++)
		t_task_end(&t[i]);
	T_CHECK(passed == 2);
	return 0;
}

Test(latch, who_arrives_and_waits_goes_on_with_the_last)
{
	t_in_each_way(arrive_together, NULL);
}

static int time_out(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(3));

	(void)unused;
	weft_latch_init(&latch, 2);
	T_CHECK(weft_latch_wait_until(&latch, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(weft_latch_arrive_and_wait_until(&latch, 0) == -ETIMEDOUT);
	/* That stands. */
	weft_latch_arrive(&latch, 1);
	T_CHECK(weft_latch_wait(&latch) == 0);
	return 0;
}

Test(latch, a_deadline_ends_the_wait_but_does_not_take_back_the_arrival)
{
	t_in_each_way(time_out, NULL);
}

static void *wait_cancelled(void *unused)
{
	T_CHECK(weft_latch_wait(&latch) == -ECANCELED);
	/* It may not wait: it has not arrived. */
	T_CHECK(weft_latch_arrive_and_wait(&latch) == -ECANCELED);
	return unused;
}

static int cancel(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	weft_latch_init(&latch, 1);
	T_CHECK(weft_spawn(&f, NULL, wait_cancelled, NULL) == 0);
	t_await_queued(&latch.round_.queue_, 1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(weft_latch_try_wait(&latch) == -EAGAIN);
	weft_latch_arrive(&latch, 1);
	T_CHECK(weft_latch_wait(&latch) == 0);
	return 0;
}

Test(latch, a_wait_can_be_cancelled)
{
	t_on_fibers(cancel, NULL);
}

static int cancel_too_late(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	weft_latch_init(&latch, 1);
	T_CHECK(weft_spawn(&f, NULL, wait_for_it, NULL) == 0);
	t_await_queued(&latch.round_.queue_, 1);
	weft_latch_arrive(&latch, 1);
	weft_cancel(f);
	return weft_join(f, NULL);
}

Test(latch, who_is_cancelled_when_it_is_open_goes_on)
{
	t_on_fibers(cancel_too_late, NULL);
}

Test(latch, arriving_below_zero_aborts, .signal = SIGABRT)
{
	weft_latch_init(&latch, 1);
	weft_latch_arrive(&latch, 2);
}

/* --- races --- */

static void *arrive(void *its)
{
	weft_latch_arrive(its, 1);
	return NULL;
}

/* The first thing that happens to it after the wait is that it is gone. */
static void wait_and_overwrite(size_t arrivals)
{
	struct weft_latch *l = malloc(sizeof *l);
	struct weft_fiber *f[3];

	weft_latch_init(l, arrivals);
	for (size_t i = 0; i < arrivals; i++)
		T_CHECK(weft_spawn(&f[i], NULL, arrive, l) == 0);
	T_CHECK(weft_latch_wait(l) == 0);
	memset(l, 0x55, sizeof *l);
	weft_yield();
	for (size_t i = 0; i < sizeof *l; i++)
		T_CHECK(((unsigned char *)l)[i] == 0x55);
	for (size_t i = 0; i < arrivals; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	for (size_t i = 0; i < sizeof *l; i++)
		T_CHECK(((unsigned char *)l)[i] == 0x55);
	free(l);
}

static int race(void *unused)
{
	(void)unused;
	for (size_t i = t_scale(20000); i; i--)
		wait_and_overwrite(1 + i % 3);
	return 0;
}

Test(latch, who_is_let_go_may_free_it_at_once, .timeout = 60 * T_SLOW)
{
	t_run(2, race, NULL);
}

static uint64_t seed;
static _Atomic size_t opened;

/* Deadlines that come about when it opens: at zero nobody times out. */
static void *wait_or_not(void *its)
{
	uint64_t mine = seed ^ (uintptr_t)&mine;
	weft_time until = weft_after((weft_time)(t_random(&mine) % 40000));
	int r = weft_latch_wait_until(its, until);

	T_CHECK(r == 0 || r == -ETIMEDOUT);
	opened += r == 0;
	return NULL;
}

static int race_with_deadlines(void *unused)
{
	uint64_t mine;

	(void)unused;
	mine = seed = t_seed();
	for (size_t i = t_scale(3000); i; i--) {
		struct weft_fiber *f[4];
		struct weft_latch l;

		weft_latch_init(&l, 1);
		for (int k = 0; k < 4; k++)
			T_CHECK(weft_spawn(&f[k], NULL, wait_or_not, &l) == 0);
		weft_sleep((weft_time)(t_random(&mine) % 20000));
		weft_latch_arrive(&l, 1);
		T_CHECK(weft_latch_try_wait(&l) == 0);
		for (int k = 0; k < 4; k++)
			T_CHECK(weft_join(f[k], NULL) == 0);
		T_CHECK(t_queued(&l.round_.queue_) == 0);
	}
	return 0;
}

Test(latch, deadlines_leave_nobody_behind, .timeout = 60 * T_SLOW)
{
	t_run(2, race_with_deadlines, NULL);
}
