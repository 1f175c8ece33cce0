/* SPDX-License-Identifier: MIT */
/*
 * test_sem.c - permits are neither lost nor made, and are had in the order of
 * coming, however many are asked for.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "support/thread.h"

#define MANY 200 /* more than three passes wake */

TestSuite(sem, .timeout = 20 * T_SLOW);

static struct weft_sem sem;
static _Atomic int passed;

static void set_up(uint64_t permits)
{
	T_CHECK(weft_sem_init(&sem, permits) == 0);
	passed = 0;
}

static void *acquire(void *n)
{
	T_CHECK(weft_sem_acquire(&sem, (uintptr_t)n) == 0);
	passed++;
	return NULL;
}

static void start(struct t_task *t, size_t n)
{
	size_t before = t_queued_batch(&sem);

	t_task_start(t, acquire, (void *)n);
	t_await_queued_batch(&sem, before + 1);
}

/* --- counting --- */

static int count(void *unused)
{
	(void)unused;
	sem = (struct weft_sem){0};
	T_CHECK(weft_sem_available(&sem) == 0);
	T_CHECK(weft_sem_try_acquire(&sem, 1) == -EAGAIN);
	set_up(3);
	T_CHECK(weft_sem_available(&sem) == 3);
	T_CHECK(weft_sem_acquire(&sem, 2) == 0);
	T_CHECK(weft_sem_try_acquire(&sem, 2) == -EAGAIN);
	T_CHECK(weft_sem_available(&sem) == 1);
	T_CHECK(weft_sem_acquire_until(&sem, 1, 0) == 0);
	T_CHECK(weft_sem_acquire_until(&sem, 1, 0) == -ETIMEDOUT);
	T_CHECK(weft_sem_release(&sem, 5) == 0);
	T_CHECK(weft_sem_try_acquire(&sem, 5) == 0);
	T_CHECK(weft_sem_acquire(&sem, 0) == 0);
	T_CHECK(weft_sem_try_acquire(&sem, 0) == 0);
	T_CHECK(weft_sem_release(&sem, 0) == 0);
	T_CHECK(weft_sem_available(&sem) == 0);
	weft_sem_destroy(&sem);
	return 0;
}

Test(sem, what_is_acquired_is_gone_and_what_is_released_there)
{
	t_in_each_way(count, NULL);
}

static int too_many(void *unused)
{
	(void)unused;
	T_CHECK(weft_sem_init(&sem, WEFT_SEM_MAX + 1) == -EINVAL);
	set_up(WEFT_SEM_MAX);
	T_CHECK(weft_sem_available(&sem) == WEFT_SEM_MAX);
	T_CHECK(weft_sem_release(&sem, 1) == -EOVERFLOW);
	T_CHECK(weft_sem_release(&sem, UINT64_MAX) == -EOVERFLOW);
	T_CHECK(weft_sem_available(&sem) == WEFT_SEM_MAX);
	T_CHECK(weft_sem_acquire(&sem, WEFT_SEM_MAX + 1) == -EINVAL);
	T_CHECK(weft_sem_try_acquire(&sem, UINT64_MAX) == -EINVAL);
	T_CHECK(weft_sem_acquire_until(&sem, UINT64_MAX, 0) == -EINVAL);
	T_CHECK(weft_sem_acquire(&sem, WEFT_SEM_MAX) == 0);
	T_CHECK(weft_sem_release(&sem, WEFT_SEM_MAX) == 0);
	T_CHECK(weft_sem_acquire(&sem, 1) == 0);
	T_CHECK(weft_sem_release(&sem, 2) == -EOVERFLOW);
	T_CHECK(weft_sem_release(&sem, 1) == 0);
	return 0;
}

Test(sem, there_are_never_more_than_the_most)
{
	t_in_each_way(too_many, NULL);
}

static int too_many_with_waiters(void *unused)
{
	struct t_task t;

	(void)unused;
	set_up(0);
	start(&t, 1);
	T_CHECK(weft_sem_release(&sem, WEFT_SEM_MAX + 1) == -EOVERFLOW);
	T_CHECK(t_queued_batch(&sem) == 1);
	T_CHECK(weft_sem_release(&sem, WEFT_SEM_MAX) == 0);
	t_task_end(&t);
	T_CHECK(weft_sem_available(&sem) == WEFT_SEM_MAX - 1);
	return 0;
}

Test(sem, nor_are_more_given_to_those_who_wait)
{
	t_in_each_way(too_many_with_waiters, NULL);
}

/* --- order --- */

static int first_come(void *unused)
{
	struct t_task large, small;

	(void)unused;
	set_up(3);
	start(&large, 10);
	/* It holds what was there, and all that comes is its own. */
	T_CHECK(weft_sem_available(&sem) == 0);
	T_CHECK(weft_sem_try_acquire(&sem, 1) == -EAGAIN);
	start(&small, 1);
	for (int i = 0; i < 6; i++) {
		T_CHECK(weft_sem_release(&sem, 1) == 0);
		T_CHECK(weft_sem_available(&sem) == 0);
		T_CHECK(weft_sem_try_acquire(&sem, 1) == -EAGAIN);
	}
	T_CHECK(passed == 0 && t_queued_batch(&sem) == 2);
	T_CHECK(weft_sem_release(&sem, 1) == 0);
	T_CHECK(t_queued_batch(&sem) == 1);
	t_task_end(&large);
	T_CHECK(passed == 1);
	T_CHECK(weft_sem_release(&sem, 3) == 0);
	t_task_end(&small);
	T_CHECK(weft_sem_available(&sem) == 2);
	weft_sem_destroy(&sem);
	return 0;
}

Test(sem, nobody_goes_past_a_large_request)
{
	t_in_each_way(first_come, NULL);
}

static int release_many(void *unused)
{
	struct t_task t[MANY];
	uint64_t sum = 0;

	(void)unused;
	set_up(0);
	for (size_t i = 0; i < MANY; i++) {
		t_task_start(&t[i], acquire, (void *)(1 + i % 3));
		sum += 1 + i % 3;
	}
	t_await_queued_batch(&sem, MANY);
	T_CHECK(weft_sem_release(&sem, sum + 7) == 0);
	T_CHECK(t_queued_batch(&sem) == 0);
	T_CHECK(weft_sem_available(&sem) == 7);
	for (int i = 0; i < MANY; i++)
		t_task_end(&t[i]);
	T_CHECK(passed == MANY);
	return 0;
}

Test(sem, one_release_wakes_many_in_more_than_one_pass)
{
	t_in_each_way(release_many, NULL);
}

/* --- what those who give up have got --- */

static void *time_out(void *n)
{
	weft_time deadline = weft_after(WEFT_MSEC(3));

	T_CHECK(weft_sem_acquire_until(&sem, (uintptr_t)n, deadline) ==
		-ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	return NULL;
}

static int give_back(void *unused)
{
	struct t_task t;

	(void)unused;
	set_up(7);
	t_task_start(&t, time_out, (void *)10);
	t_task_end(&t);
	T_CHECK(weft_sem_available(&sem) == 7);
	return 0;
}

Test(sem, who_times_out_gives_back_what_it_has)
{
	t_in_each_way(give_back, NULL);
}

static int pass_on(void *unused)
{
	struct t_task large, second, third;

	(void)unused;
	set_up(7);
	t_task_start(&large, time_out, (void *)10);
	/* If it has timed out by now, so be it: these get the same. */
	t_task_start(&second, acquire, (void *)5);
	t_task_end(&second);
	t_task_start(&third, acquire, (void *)2);
	t_task_end(&third);
	t_task_end(&large);
	T_CHECK(weft_sem_available(&sem) == 0);
	weft_sem_destroy(&sem);
	return 0;
}

Test(sem, who_times_out_passes_on_what_it_has)
{
	t_in_each_way(pass_on, NULL);
}

static void *be_cancelled(void *n)
{
	T_CHECK(weft_sem_acquire(&sem, (uintptr_t)n) == -ECANCELED);
	T_CHECK(weft_sem_acquire(&sem, 1) == -ECANCELED);
	return NULL;
}

static int cancel(void *unused)
{
	struct weft_fiber *f;
	struct t_task second, third;

	(void)unused;
	set_up(7);
	T_CHECK(weft_spawn(&f, NULL, be_cancelled, (void *)10) == 0);
	t_await_queued_batch(&sem, 1);
	start(&second, 5);
	start(&third, 4);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	t_task_end(&second);
	T_CHECK(passed == 1 && t_queued_batch(&sem) == 1);
	T_CHECK(weft_sem_available(&sem) == 0);
	T_CHECK(weft_sem_release(&sem, 2) == 0);
	t_task_end(&third);
	T_CHECK(weft_sem_available(&sem) == 0);
	weft_cancel(weft_self());
	T_CHECK(weft_sem_release(&sem, 1) == 0);
	T_CHECK(weft_sem_acquire(&sem, 1) == -ECANCELED);
	T_CHECK(weft_sem_try_acquire(&sem, 1) == 0);
	return 0;
}

Test(sem, who_is_cancelled_passes_on_what_it_has)
{
	t_on_fibers(cancel, NULL);
}

static int cancel_in_the_middle(void *unused)
{
	struct weft_fiber *f;
	struct t_task first, third;

	(void)unused;
	set_up(1);
	start(&first, 3);
	T_CHECK(weft_spawn(&f, NULL, be_cancelled, (void *)1) == 0);
	t_await_queued_batch(&sem, 2);
	start(&third, 1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(t_queued_batch(&sem) == 2);
	T_CHECK(weft_sem_release(&sem, 2) == 0);
	t_task_end(&first);
	T_CHECK(t_queued_batch(&sem) == 1);
	T_CHECK(weft_sem_release(&sem, 1) == 0);
	t_task_end(&third);
	return 0;
}

Test(sem, who_is_cancelled_in_the_middle_changes_nothing_for_others)
{
	t_on_fibers(cancel_in_the_middle, NULL);
}

static int cancel_too_late(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	set_up(0);
	T_CHECK(weft_spawn(&f, NULL, acquire, (void *)2) == 0);
	t_await_queued_batch(&sem, 1);
	T_CHECK(weft_sem_release(&sem, 2) == 0);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(passed == 1);
	return 0;
}

Test(sem, who_is_cancelled_when_it_has_enough_has_it)
{
	t_on_fibers(cancel_too_late, NULL);
}

/* --- close --- */

static void *find_closed(void *n)
{
	T_CHECK(weft_sem_acquire(&sem, (uintptr_t)n) == -EPIPE);
	passed++;
	return NULL;
}

static int close_it(void *unused)
{
	struct t_task t[MANY];

	(void)unused;
	set_up(5);
	for (size_t i = 0; i < MANY; i++)
		t_task_start(&t[i], find_closed, (void *)(10 + i));
	t_await_queued_batch(&sem, MANY);
	weft_sem_close(&sem);
	T_CHECK(t_queued_batch(&sem) == 0);
	for (int i = 0; i < MANY; i++)
		t_task_end(&t[i]);
	T_CHECK(passed == MANY);
	/* What the first had collected is there again, but for nobody. */
	T_CHECK(weft_sem_available(&sem) == 5);
	T_CHECK(weft_sem_acquire(&sem, 1) == -EPIPE);
	T_CHECK(weft_sem_acquire_until(&sem, 1, 0) == -EPIPE);
	T_CHECK(weft_sem_try_acquire(&sem, 1) == -EPIPE);
	T_CHECK(weft_sem_release(&sem, 3) == 0);
	T_CHECK(weft_sem_available(&sem) == 8);
	weft_sem_close(&sem);
	weft_sem_destroy(&sem);
	return 0;
}

Test(sem, closing_ends_every_wait_and_lets_nobody_in)
{
	t_in_each_way(close_it, NULL);
}

/* --- without the lock --- */

Test(sem, how_many_are_free_is_read_without_the_lock)
{
	cr_assert_eq(weft_sem_init(&sem, 5), 0);
	sem.word_ |= WF_BATCH_LOCK;
	cr_assert_eq(weft_sem_available(&sem), 5);
}

/* --- races --- */

#define FIBERS  5
#define THREADS 2
#define PERMITS 6

static _Atomic uint64_t held;
static uint64_t seed;

static void hold(uint64_t n, uint64_t *mine)
{
	T_CHECK(atomic_fetch_add(&held, n) + n <= PERMITS);
	if (t_random(mine) % 4 == 0)
		weft_yield();
	held -= n;
}

static void *acquire_often(void *number)
{
	uint64_t mine = seed + (uintptr_t)number;

	for (size_t i = t_scale(30000); i; i--) {
		uint64_t n = 1 + t_random(&mine) % PERMITS, how;
		int r;

		how = t_random(&mine) % 4;
		if (how == 0)
			r = weft_sem_try_acquire(&sem, n);
		else if (how == 1)
			r = weft_sem_acquire_until(
				&sem, n,
				weft_after(
					(weft_time)(t_random(&mine) % 30000)));
		else
			r = weft_sem_acquire(&sem, n);
		T_CHECK(r == 0 || r == -EAGAIN || r == -ETIMEDOUT);
		if (r < 0)
			continue;
		hold(n, &mine);
		T_CHECK(weft_sem_release(&sem, n) == 0);
	}
	return NULL;
}

static int race(void *unused)
{
	struct weft_fiber *f[FIBERS];
	struct t_thread t[THREADS];

	(void)unused;
	set_up(PERMITS);
	seed = t_seed();
	for (size_t i = 0; i < FIBERS; i++)
		T_CHECK(weft_spawn(&f[i], NULL, acquire_often, (void *)i) == 0);
	for (size_t i = 0; i < THREADS; i++)
		t_thread_begin(&t[i], acquire_often, (void *)(FIBERS + i));
	for (int i = 0; i < FIBERS; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		t_thread_end(&t[i]);
	T_CHECK(weft_sem_available(&sem) == PERMITS);
	weft_sem_destroy(&sem);
	return 0;
}

Test(sem, permits_are_neither_lost_nor_made, .timeout = 60 * T_SLOW)
{
	t_run(2, race, NULL);
}

static void *acquire_or_be_cancelled(void *n)
{
	uint64_t mine = seed ^ (uintptr_t)&mine;
	int r = weft_sem_acquire(&sem, (uintptr_t)n);

	T_CHECK(r == 0 || r == -ECANCELED);
	if (r == 0) {
		hold((uintptr_t)n, &mine);
		T_CHECK(weft_sem_release(&sem, (uintptr_t)n) == 0);
	}
	return NULL;
}

static int race_with_cancel(void *unused)
{
	uint64_t mine;

	(void)unused;
	set_up(PERMITS);
	mine = seed = t_seed();
	for (size_t i = t_scale(4000); i; i--) {
		struct weft_fiber *f[5];

		for (int k = 0; k < 5; k++) {
			size_t n = 1 + t_random(&mine) % PERMITS;

			T_CHECK(weft_spawn(&f[k], NULL, acquire_or_be_cancelled,
					   (void *)n) == 0);
		}
		for (uint64_t k = t_random(&mine) % 4; k; k--)
			weft_yield();
		for (int k = 0; k < 3; k++)
			weft_cancel(f[t_random(&mine) % 5]);
		for (int k = 0; k < 5; k++)
			T_CHECK(weft_join(f[k], NULL) == 0);
		T_CHECK(weft_sem_available(&sem) == PERMITS);
	}
	weft_sem_destroy(&sem);
	return 0;
}

Test(sem, cancelling_loses_no_permit, .timeout = 60 * T_SLOW)
{
	t_run(2, race_with_cancel, NULL);
}

static void *acquire_until_closed(void *number)
{
	uint64_t mine = seed + (uintptr_t)number;
	int r;

	do {
		uint64_t n = 1 + t_random(&mine) % PERMITS;

		r = weft_sem_acquire(&sem, n);
		if (r == 0) {
			hold(n, &mine);
			T_CHECK(weft_sem_release(&sem, n) == 0);
		}
	} while (r == 0);
	T_CHECK(r == -EPIPE);
	return NULL;
}

static int race_with_close(void *unused)
{
	uint64_t mine;

	(void)unused;
	mine = seed = t_seed();
	for (size_t i = t_scale(2000); i; i--) {
		struct weft_fiber *f[FIBERS];

		set_up(PERMITS);
		for (size_t k = 0; k < FIBERS; k++)
			T_CHECK(weft_spawn(&f[k], NULL, acquire_until_closed,
					   (void *)k) == 0);
		for (uint64_t k = t_random(&mine) % 20; k; k--)
			weft_yield();
		weft_sem_close(&sem);
		for (int k = 0; k < FIBERS; k++)
			T_CHECK(weft_join(f[k], NULL) == 0);
		T_CHECK(weft_sem_available(&sem) == PERMITS);
		weft_sem_destroy(&sem);
	}
	return 0;
}

Test(sem, closing_among_those_who_wait_loses_no_permit, .timeout = 60 * T_SLOW)
{
	t_run(2, race_with_close, NULL);
}

/* --- a million waits --- */

#define CROWD 10000

/* KiB of memory that this process has. */
static long resident(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages = 0;

	T_CHECK(f && fscanf(f, "%*d %ld", &pages) == 1);
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static size_t waits_each;

static void *time_out_often(void *number)
{
	uint64_t mine = seed + (uintptr_t)number;

	for (size_t i = waits_each; i; i--) {
		weft_time delay = (weft_time)(t_random(&mine) % 1000000);

		T_CHECK(weft_sem_acquire_until(&sem, 1 + delay % 3,
					       weft_after(delay)) ==
			-ETIMEDOUT);
	}
	return NULL;
}

static _Atomic size_t begun;

static void *acquire_at_once(void *n)
{
	begun++;
	return acquire(n);
}

/* So that there is a stack for each. */
static void wait_at_once(struct weft_fiber **f, size_t count)
{
	for (size_t i = 0; i < count; i++)
		T_CHECK(weft_spawn(&f[i], NULL, acquire_at_once, (void *)1) ==
			0);
	while (begun < count)
		weft_yield();
	t_await_queued_batch(&sem, count);
	T_CHECK(weft_sem_release(&sem, count) == 0);
	for (size_t i = 0; i < count; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
}

static void time_out_all(struct weft_fiber **f, size_t count, size_t waits)
{
	waits_each = waits;
	for (size_t i = 0; i < count; i++)
		T_CHECK(weft_spawn(&f[i], NULL, time_out_often, (void *)i) ==
			0);
	for (size_t i = 0; i < count; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	T_CHECK(t_queued_batch(&sem) == 0 && sem.word_ == 0);
}

static int million(void *unused)
{
	static struct weft_fiber *f[CROWD];
	size_t count = t_scale(CROWD);
	long before;

	(void)unused;
	set_up(0);
	seed = t_seed();
	wait_at_once(f, count);
	time_out_all(f, count, 10);
	before = resident();
	time_out_all(f, count, 100);
	/* 32 bytes for each wait would be more. */
	T_CHECK(T_SANITIZED || resident() - before < 16 * 1024);
	return 0;
}

Test(sem, a_million_waits_that_time_out_leave_nothing_behind,
     .timeout = 60 * T_SLOW)
{
	t_run(2, million, NULL);
}

/* --- mistakes --- */

static int destroy_awaited(void *unused)
{
	struct t_task t;

	(void)unused;
	set_up(0);
	start(&t, 1);
	weft_sem_destroy(&sem);
	T_CHECK(weft_sem_release(&sem, 1) == 0);
	t_task_end(&t);
	return 0;
}

Test(sem, with_checks_destroying_one_that_is_waited_for_aborts,
     .signal = T_CHECKED ? SIGABRT : 0)
{
	cr_assert_eq(t_run(1, destroy_awaited, NULL), 0);
}
