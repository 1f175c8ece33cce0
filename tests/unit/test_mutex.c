/* SPDX-License-Identifier: MIT */
/*
 * test_mutex.c - one at a time, nobody is forgotten, and whoever waits first is
 * passed only while it rises, and once.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "support/thread.h"

TestSuite(mutex, .timeout = 20 * T_SLOW);

static struct weft_mutex lock;
static int order[8];
static _Atomic int passed;

static void set_up(void)
{
	lock = (struct weft_mutex){0};
	passed = 0;
}

static void *lock_once(void *number)
{
	T_CHECK(weft_mutex_lock(&lock) == 0);
	order[passed++] = (int)(intptr_t)number;
	weft_mutex_unlock(&lock);
	return NULL;
}

/* --- alone --- */

static int alone(void *unused)
{
	weft_time deadline;

	(void)unused;
	set_up();
	for (int i = 0; i < 3; i++) {
		T_CHECK(weft_mutex_lock(&lock) == 0);
		T_CHECK(weft_mutex_try_lock(&lock) == -EBUSY);
		deadline = weft_after(WEFT_MSEC(2));
		T_CHECK(weft_mutex_lock_until(&lock, deadline) == -ETIMEDOUT);
		T_CHECK(weft_now() >= deadline);
		T_CHECK(weft_mutex_lock_until(&lock, 0) == -ETIMEDOUT);
		weft_mutex_unlock(&lock);
		T_CHECK(weft_mutex_try_lock(&lock) == 0);
		weft_mutex_unlock(&lock);
		T_CHECK(weft_mutex_lock_until(&lock, 0) == 0);
		T_CHECK(weft_mutex_try_lock(&lock) == -EBUSY);
		weft_mutex_unlock(&lock);
	}
	weft_mutex_destroy(&lock);
	return 0;
}

Test(mutex, who_has_it_excludes_all_until_it_is_unlocked)
{
	t_in_each_way(alone, NULL);
}

Test(mutex, unlocking_one_that_is_not_locked_aborts, .signal = SIGABRT)
{
	weft_mutex_unlock(&lock);
}

Test(mutex, with_checks_destroying_one_that_is_locked_aborts,
     .signal = T_CHECKED ? SIGABRT : 0)
{
	T_CHECK(weft_mutex_try_lock(&lock) == 0);
	weft_mutex_destroy(&lock);
}

/* --- the order of waiting --- */

static int in_order(void *unused)
{
	struct t_task t[4];

	(void)unused;
	set_up();
	T_CHECK(weft_mutex_lock(&lock) == 0);
	for (size_t i = 0; i < 4; i++) {
		t_task_start(&t[i], lock_once, (void *)i);
		t_await_queued(&lock.queue_, i + 1);
	}
	weft_mutex_unlock(&lock);
	for (int i = 0; i < 4; i++)
		t_task_end(&t[i]);
	for (int i = 0; i < 4; i++)
		T_CHECK(order[i] == i);
	weft_mutex_destroy(&lock);
	return 0;
}

Test(mutex, those_who_wait_get_it_in_order)
{
	t_in_each_way(in_order, NULL);
}

/*
 * On one worker, so that nobody rises before we yield.  We have the mutex, and
 * the first who waits has come too late for it once.
 */
static void pass_the_first(void)
{
	weft_mutex_unlock(&lock);
	T_CHECK(weft_mutex_try_lock(&lock) == 0);
	while (!lock.impatient_)
		weft_yield();
	T_CHECK(passed == 0);
}

static int pass_once(void *unused)
{
	struct weft_fiber *f[2];

	(void)unused;
	set_up();
	T_CHECK(weft_mutex_lock(&lock) == 0);
	for (size_t i = 0; i < 2; i++) {
		T_CHECK(weft_spawn(&f[i], NULL, lock_once, (void *)i) == 0);
		t_await_queued(&lock.queue_, i + 1);
	}
	pass_the_first();
	/* It has not run since, and yet nobody else can have it. */
	weft_mutex_unlock(&lock);
	for (int i = 0; i < 100; i++)
		T_CHECK(weft_mutex_try_lock(&lock) == -EBUSY);
	T_CHECK(weft_mutex_lock_until(&lock, 0) == -ETIMEDOUT);
	T_CHECK(weft_mutex_lock(&lock) == 0);
	T_CHECK(passed == 2 && order[0] == 0 && order[1] == 1);
	weft_mutex_unlock(&lock);
	for (int i = 0; i < 2; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	weft_mutex_destroy(&lock);
	return 0;
}

Test(mutex, whoever_waits_first_is_passed_once_and_then_handed_it)
{
	t_in_way(T_FIBER, pass_once, NULL);
}

/* While the first rises, the mutex may be locked and unlocked by others. */
static int pass_while_it_rises(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	set_up();
	T_CHECK(weft_mutex_lock(&lock) == 0);
	T_CHECK(weft_spawn(&f, NULL, lock_once, NULL) == 0);
	t_await_queued(&lock.queue_, 1);
	weft_mutex_unlock(&lock);
	for (int i = 0; i < 100; i++) {
		T_CHECK(weft_mutex_lock(&lock) == 0);
		weft_mutex_unlock(&lock);
	}
	T_CHECK(passed == 0);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(passed == 1);
	weft_mutex_destroy(&lock);
	return 0;
}

Test(mutex, while_the_first_rises_others_may_have_it)
{
	t_in_way(T_FIBER, pass_while_it_rises, NULL);
}

/* --- cancel --- */

static void *lock_cancelled(void *unused)
{
	T_CHECK(weft_mutex_lock_until(&lock, WEFT_FOREVER) == -ECANCELED);
	T_CHECK(weft_mutex_lock_until(&lock, WEFT_FOREVER) == -ECANCELED);
	passed++;
	T_CHECK(weft_mutex_lock(&lock) == 0);
	weft_mutex_unlock(&lock);
	return unused;
}

static int cancel(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	set_up();
	T_CHECK(weft_mutex_lock(&lock) == 0);
	T_CHECK(weft_spawn(&f, NULL, lock_cancelled, NULL) == 0);
	t_await_queued(&lock.queue_, 1);
	weft_cancel(f);
	while (!passed)
		weft_yield();
	t_await_queued(&lock.queue_, 1);
	for (int i = 0; i < 10; i++)
		weft_yield();
	T_CHECK(t_queued(&lock.queue_) == 1);
	weft_mutex_unlock(&lock);
	T_CHECK(weft_join(f, NULL) == 0);
	weft_cancel(weft_self());
	T_CHECK(weft_mutex_lock_until(&lock, WEFT_FOREVER) == -ECANCELED);
	T_CHECK(weft_mutex_lock(&lock) == 0);
	weft_mutex_unlock(&lock);
	weft_mutex_destroy(&lock);
	return 0;
}

Test(mutex, cancel_reaches_a_lock_with_a_deadline_and_no_other)
{
	t_on_fibers(cancel, NULL);
}

/* When the first has been nudged, or is impatient, or is neither. */
enum state { ASLEEP, NUDGED, IMPATIENT };

static void *lock_in_vain(void *result)
{
	int r = weft_mutex_lock_until(&lock, WEFT_FOREVER);

	*(int *)result = r;
	if (r == 0)
		weft_mutex_unlock(&lock);
	return NULL;
}

static int cancel_the_first(void *arg)
{
	enum state state = *(enum state *)arg;
	struct weft_fiber *first, *second;
	int r = 1;

	set_up();
	T_CHECK(weft_mutex_lock(&lock) == 0);
	T_CHECK(weft_spawn(&first, NULL, lock_in_vain, &r) == 0);
	t_await_queued(&lock.queue_, 1);
	T_CHECK(weft_spawn(&second, NULL, lock_once, NULL) == 0);
	t_await_queued(&lock.queue_, 2);
	if (state == NUDGED) {
		weft_mutex_unlock(&lock);
		T_CHECK(weft_mutex_try_lock(&lock) == 0);
	} else if (state == IMPATIENT) {
		pass_the_first();
	}
	weft_cancel(first);
	T_CHECK(weft_join(first, NULL) == 0);
	T_CHECK(r == -ECANCELED);
	T_CHECK(t_queued(&lock.queue_) == 1 && passed == 0);
	weft_mutex_unlock(&lock);
	/* What the first was owed is not the second's. */
	T_CHECK(weft_mutex_try_lock(&lock) == 0);
	weft_mutex_unlock(&lock);
	T_CHECK(weft_join(second, NULL) == 0);
	T_CHECK(passed == 1);
	weft_mutex_destroy(&lock);
	return 0;
}

Test(mutex, when_the_first_gives_up_the_second_is_not_forgotten)
{
	for (int state = ASLEEP; state <= IMPATIENT; state++)
		t_in_way(T_FIBER, cancel_the_first, &state);
}

/* Nudged or handed the mutex, and cancelled before it runs: it has it. */
static int cancel_too_late(void *handed)
{
	struct weft_fiber *first;
	int r = 1;

	set_up();
	T_CHECK(weft_mutex_lock(&lock) == 0);
	T_CHECK(weft_spawn(&first, NULL, lock_in_vain, &r) == 0);
	t_await_queued(&lock.queue_, 1);
	if (handed)
		pass_the_first();
	weft_mutex_unlock(&lock);
	weft_cancel(first);
	T_CHECK(weft_join(first, NULL) == 0);
	T_CHECK(r == 0);
	T_CHECK(weft_mutex_try_lock(&lock) == 0);
	weft_mutex_unlock(&lock);
	weft_mutex_destroy(&lock);
	return 0;
}

Test(mutex, who_is_cancelled_as_it_gets_it_has_it)
{
	t_in_way(T_FIBER, cancel_too_late, NULL);
	t_in_way(T_FIBER, cancel_too_late, &lock);
}

static void *lock_until_soon(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(2));

	T_CHECK(weft_mutex_lock_until(&lock, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	return unused;
}

static int some_time_out(void *unused)
{
	struct t_task t[6];

	(void)unused;
	set_up();
	T_CHECK(weft_mutex_lock(&lock) == 0);
	for (size_t i = 0; i < 6; i++)
		t_task_start(&t[i], i % 2 ? lock_once : lock_until_soon,
			     (void *)i);
	for (int i = 0; i < 6; i += 2)
		t_task_end(&t[i]);
	t_await_queued(&lock.queue_, 3);
	weft_mutex_unlock(&lock);
	for (int i = 1; i < 6; i += 2)
		t_task_end(&t[i]);
	T_CHECK(passed == 3);
	weft_mutex_destroy(&lock);
	return 0;
}

Test(mutex, deadlines_in_the_queue_leave_the_others_in_it)
{
	t_in_each_way(some_time_out, NULL);
}

/* --- races --- */

#define FIBERS  4
#define THREADS 2

static unsigned long inside, entries, entered[FIBERS + THREADS];
static uint64_t seed;

static int lock_somehow(uint64_t *mine)
{
	switch (t_random(mine) % 4) {
	case 0:
		return weft_mutex_try_lock(&lock);
	case 1:
		return weft_mutex_lock_until(
			&lock, weft_after((weft_time)(t_random(mine) % 20000)));
	default:
		return weft_mutex_lock(&lock);
	}
}

static void *enter_often(void *number)
{
	uint64_t mine = seed + (uintptr_t)number;

	for (size_t i = t_scale(40000); i; i--) {
		int r = lock_somehow(&mine);

		T_CHECK(r == 0 || r == -EBUSY || r == -ETIMEDOUT);
		if (r < 0)
			continue;
		T_CHECK(inside++ == 0);
		entries++;
		entered[(uintptr_t)number]++;
		if (t_random(&mine) % 16 == 0)
			weft_yield();
		T_CHECK(--inside == 0);
		weft_mutex_unlock(&lock);
	}
	return NULL;
}

static void run_all(void *(*fn)(void *))
{
	struct weft_fiber *f[FIBERS];
	struct t_thread t[THREADS];

	for (size_t i = 0; i < FIBERS; i++)
		T_CHECK(weft_spawn(&f[i], NULL, fn, (void *)i) == 0);
	for (size_t i = 0; i < THREADS; i++)
		t_thread_begin(&t[i], fn, (void *)(FIBERS + i));
	for (int i = 0; i < FIBERS; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		t_thread_end(&t[i]);
}

static int race(void *unused)
{
	unsigned long sum = 0;

	(void)unused;
	seed = t_seed();
	run_all(enter_often);
	for (int i = 0; i < FIBERS + THREADS; i++)
		sum += entered[i];
	T_CHECK(sum == entries);
	T_CHECK(weft_mutex_try_lock(&lock) == 0);
	weft_mutex_unlock(&lock);
	weft_mutex_destroy(&lock);
	return 0;
}

Test(mutex, two_are_never_inside_and_nobody_is_left_outside,
     .timeout = 60 * T_SLOW)
{
	t_run(2, race, NULL);
}

Test(mutex, the_same_on_eight_workers, .timeout = 60 * T_SLOW)
{
	t_run(8, race, NULL);
}

static _Atomic unsigned long cancelled, granted;

static void *enter_or_be_cancelled(void *unused)
{
	int r = weft_mutex_lock_until(&lock, WEFT_FOREVER);

	T_CHECK(r == 0 || r == -ECANCELED);
	cancelled += r != 0;
	granted += r == 0;
	if (r == 0) {
		T_CHECK(inside++ == 0);
		weft_yield();
		T_CHECK(--inside == 0);
		weft_mutex_unlock(&lock);
	}
	return unused;
}

static int race_with_cancel(void *unused)
{
	size_t rounds = t_scale(4000);
	uint64_t mine = t_seed();

	(void)unused;
	for (size_t i = 0; i < rounds; i++) {
		struct weft_fiber *f[4];

		for (int k = 0; k < 4; k++)
			T_CHECK(weft_spawn(&f[k], NULL, enter_or_be_cancelled,
					   NULL) == 0);
		for (uint64_t k = t_random(&mine) % 4; k; k--)
			weft_yield();
		weft_cancel(f[t_random(&mine) % 4]);
		weft_cancel(f[t_random(&mine) % 4]);
		for (int k = 0; k < 4; k++)
			T_CHECK(weft_join(f[k], NULL) == 0);
		T_CHECK(lock.word_ == 0);
	}
	T_CHECK(granted + cancelled == rounds * 4);
	weft_mutex_destroy(&lock);
	return 0;
}

Test(mutex, cancelling_those_who_wait_stops_nobody_else, .timeout = 60 * T_SLOW)
{
	t_run(2, race_with_cancel, NULL);
}

/* The last to unlock it frees it, while the one before may still be in that. */
struct shared {
	struct weft_mutex lock;
	int references;
};

static void *let_go(void *arg)
{
	struct shared *s = arg;
	unsigned char *bytes = arg;
	bool last;

	T_CHECK(weft_mutex_lock(&s->lock) == 0);
	last = --s->references == 0;
	weft_mutex_unlock(&s->lock);
	if (!last)
		return NULL;
	memset(s, 0x55, sizeof *s);
	weft_yield();
	for (size_t i = 0; i < sizeof *s; i++)
		T_CHECK(bytes[i] == 0x55);
	free(s);
	return NULL;
}

static int race_to_free(void *unused)
{
	(void)unused;
	for (size_t i = t_scale(10000); i; i--) {
		struct shared *s = calloc(1, sizeof *s);
		struct weft_fiber *f[3];

		s->references = 3;
		for (int k = 0; k < 3; k++)
			T_CHECK(weft_spawn(&f[k], NULL, let_go, s) == 0);
		for (int k = 0; k < 3; k++)
			T_CHECK(weft_join(f[k], NULL) == 0);
	}
	return 0;
}

Test(mutex, the_next_holder_may_free_it_at_once, .timeout = 60 * T_SLOW)
{
	t_run(2, race_to_free, NULL);
}
