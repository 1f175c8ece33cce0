/* SPDX-License-Identifier: MIT */
/*
 * test_cond.c - a signal given while somebody waits reaches exactly one, and
 * the mutex is held on every way out.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>

#include "support/thread.h"

#define MANY 150 /* more than one pass wakes */

TestSuite(cond, .timeout = 20 * T_SLOW);

static struct weft_mutex lock;
static struct weft_cond cond;
static unsigned tickets, served;

static void set_up(void)
{
	lock = (struct weft_mutex){0};
	cond = (struct weft_cond){0};
	tickets = served = 0;
}

static void lock_it(void)
{
	T_CHECK(weft_mutex_lock(&lock) == 0);
}

static void check_held(void)
{
	T_CHECK(weft_mutex_try_lock(&lock) == -EBUSY);
}

/* Wait for a ticket, and take it. */
static void *take_ticket(void *unused)
{
	lock_it();
	while (!tickets)
		T_CHECK(weft_cond_wait(&cond, &lock) == 0);
	check_held();
	tickets--;
	served++;
	weft_mutex_unlock(&lock);
	return unused;
}

static void give_tickets(unsigned n)
{
	lock_it();
	tickets += n;
	weft_mutex_unlock(&lock);
}

/* --- signal and broadcast --- */

static int signal_each(void *unused)
{
	struct t_task t[3];

	(void)unused;
	set_up();
	for (int i = 0; i < 3; i++)
		t_task_start(&t[i], take_ticket, NULL);
	t_await_queued(&cond.queue_, 3);
	for (size_t i = 3; i; i--) {
		give_tickets(1);
		weft_cond_signal(&cond);
		T_CHECK(t_queued(&cond.queue_) == i - 1);
	}
	for (int i = 0; i < 3; i++)
		t_task_end(&t[i]);
	T_CHECK(served == 3 && tickets == 0);
	weft_cond_destroy(&cond);
	weft_mutex_destroy(&lock);
	return 0;
}

Test(cond, a_signal_takes_out_one)
{
	t_in_each_way(signal_each, NULL);
}

static int broadcast(void *unused)
{
	struct t_task t[MANY];

	(void)unused;
	set_up();
	for (int i = 0; i < MANY; i++)
		t_task_start(&t[i], take_ticket, NULL);
	t_await_queued(&cond.queue_, MANY);
	lock_it();
	tickets = MANY;
	weft_cond_broadcast(&cond);
	T_CHECK(t_queued(&cond.queue_) == 0);
	weft_mutex_unlock(&lock);
	for (int i = 0; i < MANY; i++)
		t_task_end(&t[i]);
	T_CHECK(served == MANY && tickets == 0);
	return 0;
}

Test(cond, a_broadcast_takes_out_all_in_more_than_one_pass)
{
	t_in_each_way(broadcast, NULL);
}

static int signal_nobody(void *unused)
{
	(void)unused;
	set_up();
	weft_cond_signal(&cond);
	weft_cond_broadcast(&cond);
	lock_it();
	T_CHECK(weft_cond_wait_until(&cond, &lock, weft_after(1)) ==
		-ETIMEDOUT);
	check_held();
	weft_mutex_unlock(&lock);
	return 0;
}

Test(cond, a_signal_for_nobody_is_not_kept)
{
	t_in_each_way(signal_nobody, NULL);
}

static int order[3], order_count;

static void *wait_in_line(void *number)
{
	lock_it();
	T_CHECK(weft_cond_wait(&cond, &lock) == 0);
	order[order_count++] = (int)(intptr_t)number;
	weft_mutex_unlock(&lock);
	return NULL;
}

static int in_order(void *unused)
{
	struct t_task t[3];

	(void)unused;
	set_up();
	order_count = 0;
	for (size_t i = 0; i < 3; i++) {
		t_task_start(&t[i], wait_in_line, (void *)i);
		t_await_queued(&cond.queue_, i + 1);
	}
	for (int i = 0; i < 3; i++) {
		weft_cond_signal(&cond);
		t_task_end(&t[i]);
		T_CHECK(order_count == i + 1 && order[i] == i);
	}
	return 0;
}

Test(cond, who_has_waited_longest_is_signalled_first)
{
	t_in_each_way(in_order, NULL);
}

/* --- the mutex --- */

static void *signal_as_soon_as_locked(void *unused)
{
	lock_it();
	T_CHECK(t_queued(&cond.queue_) == 1);
	tickets = 1;
	weft_cond_signal(&cond);
	weft_mutex_unlock(&lock);
	return unused;
}

/* The other gets the mutex by our wait, and finds us in the queue. */
static int queued_before_unlocked(void *unused)
{
	struct t_task t;

	(void)unused;
	set_up();
	lock_it();
	t_task_start(&t, signal_as_soon_as_locked, NULL);
	while (!tickets)
		T_CHECK(weft_cond_wait(&cond, &lock) == 0);
	weft_mutex_unlock(&lock);
	t_task_end(&t);
	return 0;
}

Test(cond, who_gets_the_mutex_finds_the_waiter_waiting)
{
	for (size_t i = t_scale(50); i; i--)
		t_in_each_way(queued_before_unlocked, NULL);
}

static int time_out(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(3));

	(void)unused;
	set_up();
	lock_it();
	T_CHECK(weft_cond_wait_until(&cond, &lock, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	check_held();
	T_CHECK(weft_cond_wait_until(&cond, &lock, 0) == -ETIMEDOUT);
	check_held();
	T_CHECK(t_queued(&cond.queue_) == 0);
	weft_mutex_unlock(&lock);
	return 0;
}

Test(cond, a_deadline_ends_the_wait_with_the_mutex_held)
{
	t_in_each_way(time_out, NULL);
}

static _Atomic bool over;

static void *wait_cancelled(void *unused)
{
	lock_it();
	T_CHECK(weft_cond_wait(&cond, &lock) == -ECANCELED);
	T_CHECK(over);
	check_held();
	/* Before it would wait, and so without unlocking. */
	T_CHECK(weft_cond_wait(&cond, &lock) == -ECANCELED);
	check_held();
	weft_mutex_unlock(&lock);
	return unused;
}

static int cancel(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	set_up();
	over = false;
	T_CHECK(weft_spawn(&f, NULL, wait_cancelled, NULL) == 0);
	t_await_queued(&cond.queue_, 1);
	lock_it();
	weft_cancel(f);
	/* It has left the condition, and cannot return without the mutex. */
	t_await_left(&cond.queue_, 0);
	t_await_queued(&lock.queue_, 1);
	over = true;
	weft_mutex_unlock(&lock);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(cond, who_is_cancelled_waits_for_the_mutex_all_the_same)
{
	t_on_fibers(cancel, NULL);
}

/* --- a signal and another end at the same time --- */

static void *wait_signalled_and_cancelled(void *unused)
{
	lock_it();
	T_CHECK(weft_cond_wait(&cond, &lock) == 0);
	T_CHECK(weft_cond_wait(&cond, &lock) == -ECANCELED);
	weft_mutex_unlock(&lock);
	return unused;
}

static int signal_then_cancel(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	set_up();
	T_CHECK(weft_spawn(&f, NULL, wait_signalled_and_cancelled, NULL) == 0);
	t_await_queued(&cond.queue_, 1);
	weft_cond_signal(&cond);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(cond, who_is_signalled_and_then_cancelled_was_signalled)
{
	t_on_fibers(signal_then_cancel, NULL);
}

static int cancel_then_signal(void *unused)
{
	struct weft_fiber *cancelled, *other;

	(void)unused;
	set_up();
	T_CHECK(weft_spawn(&cancelled, NULL, wait_cancelled, NULL) == 0);
	t_await_queued(&cond.queue_, 1);
	T_CHECK(weft_spawn(&other, NULL, take_ticket, NULL) == 0);
	t_await_queued(&cond.queue_, 2);
	over = true;
	weft_cancel(cancelled);
	T_CHECK(weft_join(cancelled, NULL) == 0);
	give_tickets(1);
	weft_cond_signal(&cond);
	T_CHECK(weft_join(other, NULL) == 0);
	return 0;
}

Test(cond, a_signal_goes_past_who_has_been_cancelled)
{
	t_on_fibers(cancel_then_signal, NULL);
}

/* --- races --- */

#define TAKERS 4

static unsigned long given, taken;
static _Atomic unsigned timed_out;
static uint64_t seed;

/* One signal for each ticket: if one were lost, a taker would wait for ever. */
static void *take_many(void *number)
{
	uint64_t mine = seed + (uintptr_t)number;

	for (size_t i = t_scale(20000); i; i--) {
		weft_time until =
			t_random(&mine) % 2
				? WEFT_FOREVER
				: weft_after(
					  (weft_time)(t_random(&mine) % 20000));
		int r = 0;

		lock_it();
		while (!tickets && r == 0)
			r = weft_cond_wait_until(&cond, &lock, until);
		if (r == 0) {
			tickets--;
			taken++;
		} else {
			T_CHECK(r == -ETIMEDOUT);
			timed_out++;
		}
		weft_mutex_unlock(&lock);
	}
	lock_it();
	served++;
	weft_mutex_unlock(&lock);
	return NULL;
}

static void *give_many(void *number)
{
	uint64_t mine = seed - (uintptr_t)number;
	bool done = false;

	while (!done) {
		bool under = t_random(&mine) % 2;

		lock_it();
		done = served == TAKERS;
		tickets++;
		given++;
		if (under)
			weft_cond_signal(&cond);
		weft_mutex_unlock(&lock);
		if (!under)
			weft_cond_signal(&cond);
		if (t_random(&mine) % 8 == 0)
			weft_yield();
	}
	return NULL;
}

static int race(void *unused)
{
	struct t_thread threads[2];
	struct weft_fiber *f[3];

	(void)unused;
	seed = t_seed();
	t_thread_begin(&threads[0], take_many, (void *)1);
	T_CHECK(weft_spawn(&f[0], NULL, take_many, (void *)2) == 0);
	T_CHECK(weft_spawn(&f[1], NULL, take_many, (void *)3) == 0);
	T_CHECK(weft_spawn(&f[2], NULL, give_many, (void *)4) == 0);
	t_thread_begin(&threads[1], give_many, (void *)5);
	take_many((void *)6);
	for (int i = 0; i < 3; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	for (int i = 0; i < 2; i++)
		t_thread_end(&threads[i]);
	T_CHECK(given == taken + tickets);
	T_CHECK(t_queued(&cond.queue_) == 0 && t_queued(&lock.queue_) == 0);
	return 0;
}

Test(cond, no_signal_is_lost_between_fibers_threads_and_deadlines,
     .timeout = 60 * T_SLOW)
{
	t_run(2, race, NULL);
}

/* Every second round cancels one of two waiters while one is signalled. */
static void *wait_raced(void *result)
{
	lock_it();
	*(int *)result = weft_cond_wait(&cond, &lock);
	check_held();
	weft_mutex_unlock(&lock);
	return NULL;
}

static int race_with_cancel(void *unused)
{
	(void)unused;
	for (size_t i = t_scale(5000); i; i--) {
		struct weft_fiber *f[2];
		int r[2];

		for (size_t k = 0; k < 2; k++) {
			T_CHECK(weft_spawn(&f[k], NULL, wait_raced, &r[k]) ==
				0);
			t_await_queued(&cond.queue_, k + 1);
		}
		weft_cancel(f[0]);
		if (i % 3 == 0)
			weft_yield();
		weft_cond_signal(&cond);
		T_CHECK(weft_join(f[0], NULL) == 0);
		/* Received by the first, or it is the other's by now. */
		if (r[0] == 0)
			weft_cond_signal(&cond);
		else
			T_CHECK(r[0] == -ECANCELED);
		T_CHECK(weft_join(f[1], NULL) == 0);
		T_CHECK(r[1] == 0);
	}
	return 0;
}

Test(cond, a_signal_is_not_lost_to_cancellation, .timeout = 60 * T_SLOW)
{
	t_run(2, race_with_cancel, NULL);
}

/* --- mistakes --- */

static int destroy_awaited(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	T_CHECK(weft_spawn(&f, NULL, take_ticket, NULL) == 0);
	t_await_queued(&cond.queue_, 1);
	weft_cond_destroy(&cond);
	give_tickets(1);
	weft_cond_signal(&cond);
	return weft_join(f, NULL);
}

Test(cond, with_checks_destroying_one_that_is_waited_for_aborts,
     .signal = T_CHECKED ? SIGABRT : 0)
{
	cr_assert_eq(t_run(1, destroy_awaited, NULL), 0);
}
