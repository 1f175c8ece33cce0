/* SPDX-License-Identifier: MIT */
/*
 * test_pin.c - staying on one worker: for life, for a while, and whoever
 * wakes the fiber from wherever.
 */
#include "support/t.h"

#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/worker.h"
#include "support/io.h"
#include "support/thread.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

#define WORKERS 3

TestSuite(pin, .timeout = 10 * T_SLOW);

static _Atomic bool over;

/* Fibers that keep every worker stealing. */
static void *make_noise(void *unused)
{
	while (!atomic_load(&over))
		weft_yield();
	return unused;
}

static void with_noise(void)
{
	for (int i = 0; i < 4 * WORKERS; i++)
		T_CHECK(weft_spawn(NULL, NULL, make_noise, NULL) == 0);
}

static struct weft_fiber *spawn_on(unsigned worker, weft_fn fn, void *arg)
{
	struct weft_attr attr = {.pin = 1 + worker};
	struct weft_fiber *f = NULL;

	T_CHECK(weft_spawn(&f, &attr, fn, arg) == 0);
	return f;
}

static void *stay(void *where)
{
	int home = *(int *)where;

	for (size_t i = t_scale(300); i; i--) {
		T_CHECK(weft_worker() == home);
		if (i % 8)
			weft_yield();
		else
			weft_sleep(WEFT_USEC(50));
	}
	return NULL;
}

static void *pin_to_each(void *unused)
{
	static int where[] = {0, 1, 2};
	struct weft_fiber *f[8 * WORKERS];

	for (int i = 0; i < 8 * WORKERS; i++)
		f[i] = spawn_on(i % WORKERS, stay, &where[i % WORKERS]);
	for (int i = 0; i < 8 * WORKERS; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	return unused;
}

static int pin_to_each_everywhere(void *unused)
{
	(void)unused;
	with_noise();
	pin_to_each(NULL);
	t_on_thread(pin_to_each, NULL);
	atomic_store(&over, true);
	return 0;
}

Test(pin, a_fiber_spawned_pinned_runs_nowhere_else)
{
	t_run(WORKERS, pin_to_each_everywhere, NULL);
}

static int pin_out_of_range(void *unused)
{
	struct weft_attr attr = {.pin = WORKERS + 1};

	(void)unused;
	T_CHECK(weft_spawn(NULL, &attr, make_noise, NULL) == -EINVAL);
	return 0;
}

Test(pin, there_is_no_worker_beyond_the_last)
{
	t_run(WORKERS, pin_out_of_range, NULL);
}

static void *pin_for_a_while(void *unused)
{
	for (int round = 0; round < 10; round++) {
		int home;

		T_CHECK(weft_pin() == 0);
		home = weft_worker();
		T_CHECK(weft_pin() == 0);
		stay(&home);
		T_CHECK(weft_unpin() == 0);
		stay(&home);
		T_CHECK(weft_unpin() == 0);
		T_CHECK(weft_unpin() == -EINVAL);
		weft_yield();
	}
	return unused;
}

static int pin_several_for_a_while(void *unused)
{
	struct weft_fiber *f[4];

	(void)unused;
	with_noise();
	for (int i = 0; i < 4; i++)
		T_CHECK(weft_spawn(&f[i], NULL, pin_for_a_while, NULL) == 0);
	for (int i = 0; i < 4; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	atomic_store(&over, true);
	return 0;
}

Test(pin, pins_are_counted_and_hold_while_there_are_any, .timeout = 30 * T_SLOW)
{
	t_run(WORKERS, pin_several_for_a_while, NULL);
}

#define DEEP 70000 /* more than 16 bits count */

static int pin_deep(void *unused)
{
	int home;

	(void)unused;
	with_noise();
	for (int i = 0; i < DEEP; i++)
		T_CHECK(weft_pin() == 0);
	home = weft_worker();
	for (int i = 1; i < DEEP; i++)
		T_CHECK(weft_unpin() == 0);
	stay(&home);
	T_CHECK(weft_unpin() == 0);
	T_CHECK(weft_unpin() == -EINVAL);
	atomic_store(&over, true);
	return 0;
}

Test(pin, pins_may_be_nested_as_deep_as_one_likes)
{
	t_run(WORKERS, pin_deep, NULL);
}

static void *try_to_unpin(void *where)
{
	T_CHECK(weft_unpin() == -EINVAL);
	T_CHECK(weft_pin() == 0);
	T_CHECK(weft_unpin() == 0);
	T_CHECK(weft_unpin() == -EINVAL);
	return stay(where);
}

static int unpin_for_life(void *unused)
{
	static int last = WORKERS - 1;

	(void)unused;
	with_noise();
	T_CHECK(weft_join(spawn_on(WORKERS - 1, try_to_unpin, &last), NULL) ==
		0);
	atomic_store(&over, true);
	return 0;
}

Test(pin, who_is_pinned_for_life_cannot_be_unpinned)
{
	t_run(WORKERS, unpin_for_life, NULL);
}

/* --- woken from elsewhere --- */

static _Atomic(struct weft_fiber *) sleeper;
static _Atomic size_t wakes;

static void *sleep_at_home(void *where)
{
	int home = *(int *)where;
	size_t seen = 0;

	atomic_store(&sleeper, weft_self());
	while (seen < t_scale(2000)) {
		wf_park(wf_self(), WEFT_FOREVER);
		T_CHECK(weft_worker() == home);
		seen = atomic_load(&wakes);
	}
	return NULL;
}

static void *wake_often(void *unused)
{
	while (!atomic_load(&sleeper))
		weft_yield();
	for (size_t i = t_scale(2000); i; i--) {
		atomic_fetch_add(&wakes, 1);
		wf_unpark(atomic_load(&sleeper));
		weft_yield();
	}
	return unused;
}

static void wake_from(int waker)
{
	static int home;
	struct weft_fiber *f, *other;

	atomic_store(&sleeper, NULL);
	atomic_store(&wakes, 0);
	f = spawn_on(0, sleep_at_home, &home);
	if (waker < 0) {
		t_on_thread(wake_often, NULL);
	} else {
		other = spawn_on((unsigned)waker, wake_often, NULL);
		T_CHECK(weft_join(other, NULL) == 0);
	}
	T_CHECK(weft_join(f, NULL) == 0);
}

static int wake_from_all_sides(void *unused)
{
	(void)unused;
	wake_from(0);
	wake_from(1);
	wake_from(-1);
	return 0;
}

Test(pin, whoever_wakes_it_it_goes_home)
{
	t_run(2, wake_from_all_sides, NULL);
}

/* --- beside others --- */

static void *yield_for_others(void *unused)
{
	for (int i = 0; i < 1000; i++)
		weft_yield();
	return unused;
}

static int pinned_and_free_on_one(void *unused)
{
	struct weft_fiber *f[20];

	(void)unused;
	for (int i = 0; i < 10; i++)
		f[i] = spawn_on(0, yield_for_others, NULL);
	for (int i = 10; i < 20; i++)
		T_CHECK(weft_spawn(&f[i], NULL, yield_for_others, NULL) == 0);
	for (int i = 0; i < 20; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	return 0;
}

Test(pin, pinned_and_free_fibers_let_each_other_run)
{
	t_run(1, pinned_and_free_on_one, NULL);
}

/* Neither those that yield all the time, pinned or not, shut out the other. */
static void *yield_until_over(void *unused)
{
	while (!atomic_load(&over))
		weft_yield();
	return unused;
}

static void *end_it(void *unused)
{
	atomic_store(&over, true);
	return unused;
}

static int shut_out_none(void *unused)
{
	(void)unused;
	weft_detach(spawn_on(0, yield_until_over, NULL));
	weft_spawn(NULL, NULL, end_it, NULL);
	while (!atomic_load(&over))
		weft_yield();
	atomic_store(&over, false);
	for (int i = 0; i < 3; i++)
		weft_spawn(NULL, NULL, yield_until_over, NULL);
	weft_detach(spawn_on(0, end_it, NULL));
	return 0;
}

Test(pin, neither_kind_starves_the_other)
{
	t_run(1, shut_out_none, NULL);
}

/* --- called while the worker wakes up --- */

#define CROWD 3

static int crowd_fd;

/* One may take more than another, so they end when they are told. */
static void *take_ones(void *unused)
{
	uint64_t one;

	while (!atomic_load(&over))
		T_CHECK(weft_read(crowd_fd, &one, sizeof one) == sizeof one);
	return unused;
}

static void *be_woken(void *unused)
{
	while (!atomic_load(&over))
		wf_park(wf_self(), WEFT_FOREVER);
	return unused;
}

struct call {
	struct weft_fiber *f;
	size_t rounds;
};

/* The call, and right after it, before the worker runs again, an event. */
static void *wake_and_call(void *arg)
{
	struct call *c = arg;
	uint64_t crowd = CROWD;

	for (size_t i = c->rounds; i; i--) {
		while (t_waiters(crowd_fd) < CROWD ||
		       !atom_load_rlx(&wf_runtime.workers[0].asleep))
			sched_yield();
		wf_unpark(c->f);
		T_CHECK(write(crowd_fd, &crowd, sizeof crowd) == sizeof crowd);
	}
	return NULL;
}

static int wake_all_and_call_one(void *unused)
{
	struct call c = {.rounds = t_scale(500)};
	struct weft_fiber *f[CROWD];
	struct t_thread caller;
	uint64_t crowd = CROWD;

	(void)unused;
	crowd_fd = eventfd(0, EFD_SEMAPHORE);
	atomic_store(&over, false);
	c.f = spawn_on(0, be_woken, NULL);
	for (int i = 0; i < CROWD; i++)
		T_CHECK(weft_spawn(&f[i], NULL, take_ones, NULL) == 0);
	t_thread_begin(&caller, wake_and_call, &c);
	t_thread_end(&caller);
	atomic_store(&over, true);
	T_CHECK(weft_write(crowd_fd, &crowd, sizeof crowd) == sizeof crowd);
	for (int i = 0; i < CROWD; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	wf_unpark(c.f);
	T_CHECK(weft_join(c.f, NULL) == 0);
	T_CHECK(weft_close(crowd_fd) == 0);
	return 0;
}

Test(pin, a_worker_that_is_called_while_it_wakes_up_serves_its_events)
{
	t_run(1, wake_all_and_call_one, NULL);
}
