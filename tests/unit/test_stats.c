/* SPDX-License-Identifier: MIT */
/*
 * test_stats.c - what weft_stats() counts.
 */
#include "support/t.h"

#include <errno.h>
#include <unistd.h>

#include "core/self.h"
#include "core/wait.h"
#include "run/watch.h"
#include "support/still.h"
#include "support/thread.h"
#include "weft.h"

TestSuite(stats, .timeout = 20 * T_SLOW);

static struct weft_counts stats(void)
{
	struct weft_counts s = {0};

	T_CHECK(weft_stats(&s) == 0);
	T_CHECK(s.size == sizeof s);
	return s;
}

static void *sleep_for_ever(void *unused)
{
	T_CHECK(weft_sleep_until(weft_after(WEFT_SEC(1000))) == -ECANCELED);
	return unused;
}

#define SLEEPERS 10

static int count_fibers(void *unused)
{
	struct weft_fiber *f[SLEEPERS];
	struct weft_counts before = stats(), s;

	(void)unused;
	T_CHECK(before.fibers == 1 && before.spawned == 1);
	for (int i = 0; i < SLEEPERS; i++)
		T_CHECK(weft_spawn(&f[i], NULL, sleep_for_ever, NULL) == 0);
	T_CHECK(stats().fibers == 1 + SLEEPERS);
	weft_yield();
	s = stats();
	T_CHECK(s.timers == SLEEPERS);
	T_CHECK(s.stacks >= 1 + SLEEPERS);
	T_CHECK(s.stack_bytes >= s.stacks * (16 << 10));
	for (int i = 0; i < SLEEPERS; i++) {
		weft_cancel(f[i]);
		T_CHECK(weft_join(f[i], NULL) == 0);
	}
	s = stats();
	T_CHECK(s.fibers == 1 && s.spawned == 1 + SLEEPERS);
	T_CHECK(s.timers == 0);
	return 0;
}

Test(stats, fibers_timers_and_stacks_are_counted)
{
	t_run(1, count_fibers, NULL);
}

static int count_parks(void *unused)
{
	uint64_t before = stats().parks;
	struct weft_fiber *f;

	(void)unused;
	T_CHECK(weft_spawn(&f, NULL, sleep_for_ever, NULL) == 0);
	weft_yield();
	T_CHECK(stats().parks == before + 1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(stats, parks_are_counted)
{
	t_run(1, count_parks, NULL);
}

static int count_descriptors(void *unused)
{
	uint64_t before = stats().descriptors;
	int p[2];
	char c;

	(void)unused;
	T_CHECK(pipe(p) == 0);
	T_CHECK(stats().descriptors == before);
	T_CHECK(weft_write(p[1], "", 1) == 1 && weft_read(p[0], &c, 1) == 1);
	T_CHECK(stats().descriptors == before + 2);
	T_CHECK(weft_close(p[0]) == 0 && weft_close(p[1]) == 0);
	T_CHECK(stats().descriptors == before);
	return 0;
}

Test(stats, descriptors_are_counted_that_weft_knows)
{
	t_run(1, count_descriptors, NULL);
}

static void *nothing(void *arg)
{
	return arg;
}

static int count_pool(void *unused)
{
	(void)unused;
	T_CHECK(stats().pool_threads == 0);
	T_CHECK(weft_blocking(nothing, NULL, NULL) == 0);
	T_CHECK(stats().pool_threads == 1);
	return 0;
}

Test(stats, threads_of_the_pool_are_counted)
{
	t_run(2, count_pool, NULL);
}

static void *wait_for_sleepers(void *all)
{
	struct weft_counts s;

	/* One that is about to sleep is asleep, and not yet counted. */
	do
		s = stats();
	while (s.workers_asleep < s.workers || s.sleeps < s.workers);
	*(struct weft_counts *)all = s;
	return NULL;
}

static int count_workers(void *unused)
{
	struct weft_counts s;
	uint64_t wakes;

	(void)unused;
	T_CHECK(stats().workers == 2);
	t_on_thread(wait_for_sleepers, &s);
	wakes = stats().wakes;
	T_CHECK(wakes > 0);
	t_on_thread(wait_for_sleepers, &s);
	T_CHECK(stats().wakes > wakes);
	T_CHECK(stats().passes >= s.passes && s.passes > 0);
	return 0;
}

Test(stats, workers_are_counted_when_they_sleep_and_are_woken)
{
	t_run(2, count_workers, NULL);
}

static _Atomic uint64_t stolen;

static void *look_for_steals(void *unused)
{
	struct weft_counts s = stats();

	atomic_store(&stolen, s.steals);
	return unused;
}

static int be_stolen_from(void *unused)
{
	(void)unused;
	while (!atomic_load(&stolen))
		for (int i = 0; i < 100; i++) {
			weft_spawn(NULL, NULL, look_for_steals, NULL);
			weft_yield();
		}
	return 0;
}

Test(stats, steals_are_counted)
{
	t_run(2, be_stolen_from, NULL);
}

static void *take(void *w)
{
	while (!stats().takeovers)
		wf_watch_take(w, false);
	return NULL;
}

/* Its thread waits, and not the fiber. */
static int be_taken_over(void *unused)
{
	pthread_t t;

	(void)unused;
	t_await_still();
	T_CHECK(stats().takeovers == 0 && stats().blocked == 0);
	pthread_create(&t, NULL, take, wf_runtime.workers);
	pthread_join(t, NULL);
	/* `take` says that it did not compute. */
	T_CHECK(stats().blocked == stats().takeovers);
	/* Back on the worker, which has another thread by now. */
	T_CHECK(stats().moves == 0);
	weft_yield();
	T_CHECK(stats().moves > 0);
	return 0;
}

Test(stats, takeovers_are_counted)
{
	t_still();
	t_run(1, be_taken_over, NULL);
}

static void *ask_outside(void *unused)
{
	T_CHECK(stats().workers == 1);
	return unused;
}

static int ask_on_a_thread(void *unused)
{
	(void)unused;
	t_on_thread(ask_outside, NULL);
	return 0;
}

Test(stats, a_thread_that_is_no_fiber_may_ask)
{
	t_run(1, ask_on_a_thread, NULL);
}

static int ask_wrongly(void *unused)
{
	struct weft_counts s = {.size = sizeof s - 1};

	(void)unused;
	T_CHECK(weft_stats(&s) == -EINVAL);
	T_CHECK(weft_stats(NULL) == -EINVAL);
	s.size = sizeof s;
	T_CHECK(weft_stats(&s) == 0);
	return 0;
}

Test(stats, another_size_is_refused)
{
	t_run(1, ask_wrongly, NULL);
}

Test(stats, without_a_runtime_there_are_none)
{
	struct weft_counts s = {0};

	cr_assert_eq(weft_stats(&s), -ESRCH);
}
