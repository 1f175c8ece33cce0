/* SPDX-License-Identifier: MIT */
/*
 * test_notify.c - a notification reaches one who waits, or the next who will.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>

#include "support/thread.h"
#include "weft/chan.h"

#define MANY 150 /* more than one pass wakes */

TestSuite(notify, .timeout = 20 * T_SLOW);

static struct weft_notify notify;
static _Atomic int woken;

static void set_up(void)
{
	notify = (struct weft_notify){0};
	woken = 0;
}

static void *wait_once(void *unused)
{
	T_CHECK(weft_notify_wait(&notify) == 0);
	woken++;
	return unused;
}

/* --- one --- */

static int permit(void *unused)
{
	(void)unused;
	set_up();
	T_CHECK(weft_notify_try_wait(&notify) == -EAGAIN);
	for (int i = 0; i < 3; i++)
		weft_notify_one(&notify);
	T_CHECK(weft_notify_wait(&notify) == 0);
	T_CHECK(weft_notify_wait_until(&notify, weft_after(1)) == -ETIMEDOUT);
	weft_notify_one(&notify);
	T_CHECK(weft_notify_wait_until(&notify, 0) == 0);
	weft_notify_one(&notify);
	T_CHECK(weft_notify_try_wait(&notify) == 0);
	T_CHECK(weft_notify_try_wait(&notify) == -EAGAIN);
	weft_notify_destroy(&notify);
	return 0;
}

Test(notify, without_a_waiter_one_permit_is_kept_and_no_more)
{
	t_in_each_way(permit, NULL);
}

static int order[3];

static void *wait_in_line(void *number)
{
	T_CHECK(weft_notify_wait(&notify) == 0);
	order[woken++] = (int)(intptr_t)number;
	return NULL;
}

static int in_order(void *unused)
{
	struct t_task t[3];

	(void)unused;
	set_up();
	for (size_t i = 0; i < 3; i++) {
		t_task_start(&t[i], wait_in_line, (void *)i);
		t_await_queued(&notify.queue_, i + 1);
	}
	for (int i = 0; i < 3; i++) {
		weft_notify_one(&notify);
		t_task_end(&t[i]);
		T_CHECK(woken == i + 1 && order[i] == i);
	}
	T_CHECK(weft_notify_try_wait(&notify) == -EAGAIN);
	return 0;
}

Test(notify, who_has_waited_longest_is_notified_first)
{
	t_in_each_way(in_order, NULL);
}

/* --- all --- */

static int all(void *unused)
{
	struct t_task t[MANY];

	(void)unused;
	set_up();
	weft_notify_all(&notify);
	T_CHECK(weft_notify_try_wait(&notify) == -EAGAIN);
	for (int i = 0; i < MANY; i++)
		t_task_start(&t[i], wait_once, NULL);
	t_await_queued(&notify.queue_, MANY);
	weft_notify_all(&notify);
	T_CHECK(t_queued(&notify.queue_) == 0);
	for (int i = 0; i < MANY; i++)
		t_task_end(&t[i]);
	T_CHECK(woken == MANY);
	T_CHECK(weft_notify_try_wait(&notify) == -EAGAIN);
	return 0;
}

Test(notify, all_who_wait_are_notified_and_no_permit_is_left)
{
	t_in_each_way(all, NULL);
}

static int permit_stays(void *unused)
{
	(void)unused;
	set_up();
	weft_notify_one(&notify);
	weft_notify_all(&notify);
	T_CHECK(weft_notify_try_wait(&notify) == 0);
	return 0;
}

Test(notify, notifying_all_leaves_a_permit_where_it_is)
{
	t_in_each_way(permit_stays, NULL);
}

static void *wait_twice(void *unused)
{
	wait_once(NULL);
	T_CHECK(weft_notify_wait(&notify) == 0);
	return unused;
}

/* The first pass wakes them, and they are back before the last. */
static int all_once(void *unused)
{
	struct weft_fiber *f[MANY];

	(void)unused;
	set_up();
	for (int i = 0; i < MANY; i++)
		T_CHECK(weft_spawn(&f[i], NULL, wait_twice, NULL) == 0);
	t_await_queued(&notify.queue_, MANY);
	weft_notify_all(&notify);
	while (woken < MANY)
		weft_yield();
	t_await_queued(&notify.queue_, MANY);
	weft_notify_all(&notify);
	for (int i = 0; i < MANY; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	return 0;
}

Test(notify, one_call_notifies_nobody_twice)
{
	for (size_t i = t_scale(50); i; i--)
		t_on_fibers(all_once, NULL);
}

/* --- deadline and cancel --- */

static int time_out(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(3));

	(void)unused;
	set_up();
	T_CHECK(weft_notify_wait_until(&notify, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(t_queued(&notify.queue_) == 0);
	return 0;
}

Test(notify, a_deadline_ends_the_wait)
{
	t_in_each_way(time_out, NULL);
}

static void *wait_cancelled(void *result)
{
	*(int *)result = weft_notify_wait(&notify);
	return NULL;
}

static int cancel(void *unused)
{
	struct weft_fiber *f, *other;
	int r;

	(void)unused;
	set_up();
	T_CHECK(weft_spawn(&f, NULL, wait_cancelled, &r) == 0);
	t_await_queued(&notify.queue_, 1);
	T_CHECK(weft_spawn(&other, NULL, wait_once, NULL) == 0);
	t_await_queued(&notify.queue_, 2);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(r == -ECANCELED);
	weft_notify_one(&notify);
	T_CHECK(weft_join(other, NULL) == 0);
	weft_cancel(weft_self());
	weft_notify_one(&notify);
	T_CHECK(weft_notify_wait(&notify) == -ECANCELED);
	T_CHECK(weft_notify_try_wait(&notify) == 0);
	return 0;
}

Test(notify, a_notification_goes_past_who_has_been_cancelled)
{
	t_on_fibers(cancel, NULL);
}

static int cancel_too_late(void *unused)
{
	struct weft_fiber *f;
	int r;

	(void)unused;
	set_up();
	T_CHECK(weft_spawn(&f, NULL, wait_cancelled, &r) == 0);
	t_await_queued(&notify.queue_, 1);
	weft_notify_one(&notify);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(r == 0);
	return 0;
}

Test(notify, who_is_notified_and_then_cancelled_was_notified)
{
	t_on_fibers(cancel_too_late, NULL);
}

/* --- among other things --- */

static void *select_notified(void *chan)
{
	int value = 0;
	struct weft_case cases[] = {
		weft_case_recv(chan, &value),
		weft_case_notified(&notify),
	};

	T_CHECK(weft_select(cases, 2) == 1);
	T_CHECK(cases[1].result == 0);
	woken++;
	return NULL;
}

static int among_others(void *unused)
{
	struct weft_chan chan;
	struct weft_case only = weft_case_notified(&notify);
	struct t_task t;

	(void)unused;
	set_up();
	T_CHECK(weft_chan_init(&chan, sizeof(int), 0, NULL) == 0);
	T_CHECK(weft_try_select(&only, 1) == -EAGAIN);
	T_CHECK(weft_select_until(&only, 1, weft_after(1)) == -ETIMEDOUT);
	weft_notify_one(&notify);
	select_notified(&chan);
	weft_notify_one(&notify);
	T_CHECK(weft_try_select(&only, 1) == 0 && only.result == 0);
	for (int all = 0; all < 2; all++) {
		t_task_start(&t, select_notified, &chan);
		t_await_queued(&notify.queue_, 1);
		if (all)
			weft_notify_all(&notify);
		else
			weft_notify_one(&notify);
		t_task_end(&t);
	}
	T_CHECK(t_queued(&notify.queue_) == 0);
	T_CHECK(weft_notify_try_wait(&notify) == -EAGAIN);
	weft_chan_destroy(&chan);
	return 0;
}

Test(notify, it_can_be_selected)
{
	t_in_each_way(among_others, NULL);
}

static void *select_received(void *chan)
{
	int value = 0;
	struct weft_case cases[] = {
		weft_case_notified(&notify),
		weft_case_recv(chan, &value),
	};

	T_CHECK(weft_select(cases, 2) == 1 && value == 7);
	return NULL;
}

/* Claimed by the channel, it is in our queue yet: the next is notified. */
static int selected_otherwise(void *unused)
{
	struct weft_fiber *first, *second;
	struct weft_chan chan;
	int value = 7;

	(void)unused;
	set_up();
	T_CHECK(weft_chan_init(&chan, sizeof value, 0, NULL) == 0);
	T_CHECK(weft_spawn(&first, NULL, select_received, &chan) == 0);
	t_await_queued(&notify.queue_, 1);
	t_await_receivers(&chan, 1);
	T_CHECK(weft_spawn(&second, NULL, wait_once, NULL) == 0);
	t_await_queued(&notify.queue_, 2);
	T_CHECK(weft_chan_send(&chan, &value) == 0);
	weft_notify_one(&notify);
	T_CHECK(weft_join(second, NULL) == 0);
	T_CHECK(weft_join(first, NULL) == 0);
	T_CHECK(weft_notify_try_wait(&notify) == -EAGAIN);
	weft_chan_destroy(&chan);
	return 0;
}

Test(notify, a_notification_goes_past_who_has_selected_something_else)
{
	t_on_fibers(selected_otherwise, NULL);
}

/* --- races --- */

static _Atomic unsigned long work, taken;
static _Atomic bool over;
static uint64_t seed;

static bool take_work(void)
{
	unsigned long w = work;

	while (w && !atomic_compare_exchange_weak(&work, &w, w - 1))
		;
	taken += w > 0;
	return w > 0;
}

/* Look, wait, look again: nothing is missed, or this would hang. */
static void *consume(void *number)
{
	uint64_t mine = seed + (uintptr_t)number;
	struct weft_case only = weft_case_notified(&notify);

	while (!over || work) {
		int r;

		while (take_work())
			;
		if (over)
			break;
		switch (t_random(&mine) % 3) {
		case 0:
			r = weft_notify_wait_until(
				&notify,
				weft_after(
					(weft_time)(t_random(&mine) % 20000)));
			break;
		case 1:
			r = weft_select(&only, 1);
			break;
		default:
			r = weft_notify_wait(&notify);
		}
		T_CHECK(r == 0 || r == -ETIMEDOUT);
	}
	weft_notify_one(&notify);
	return NULL;
}

static void *produce(void *unused)
{
	for (size_t i = t_scale(50000); i; i--) {
		work++;
		weft_notify_one(&notify);
		if (i % 64 == 0)
			while (work)
				weft_yield();
	}
	return unused;
}

static int race(void *unused)
{
	struct weft_fiber *f[3];
	struct t_thread t[2];

	(void)unused;
	set_up();
	seed = t_seed();
	for (size_t i = 0; i < 3; i++)
		T_CHECK(weft_spawn(&f[i], NULL, consume, (void *)i) == 0);
	t_thread_begin(&t[0], consume, (void *)3);
	t_thread_begin(&t[1], produce, NULL);
	produce(NULL);
	t_thread_end(&t[1]);
	over = true;
	weft_notify_one(&notify);
	for (int i = 0; i < 3; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	t_thread_end(&t[0]);
	T_CHECK(work == 0 && taken == 2 * t_scale(50000));
	T_CHECK(t_queued(&notify.queue_) == 0);
	return 0;
}

Test(notify, who_looks_waits_and_looks_again_misses_nothing,
     .timeout = 60 * T_SLOW)
{
	t_run(2, race, NULL);
}

/* Of two who wait one is cancelled, while one notification is on its way. */
static int race_with_cancel(void *unused)
{
	(void)unused;
	set_up();
	for (size_t i = t_scale(5000); i; i--) {
		struct weft_fiber *f[2];
		int r[2];

		for (size_t k = 0; k < 2; k++) {
			T_CHECK(weft_spawn(&f[k], NULL, wait_cancelled,
					   &r[k]) == 0);
			t_await_queued(&notify.queue_, k + 1);
		}
		weft_cancel(f[0]);
		if (i % 3 == 0)
			weft_yield();
		weft_notify_one(&notify);
		T_CHECK(weft_join(f[0], NULL) == 0);
		if (r[0] == 0)
			weft_notify_one(&notify);
		T_CHECK(weft_join(f[1], NULL) == 0);
		T_CHECK(r[1] == 0);
		T_CHECK(weft_notify_try_wait(&notify) == -EAGAIN);
	}
	return 0;
}

Test(notify, a_notification_is_not_lost_to_cancellation, .timeout = 60 * T_SLOW)
{
	t_run(2, race_with_cancel, NULL);
}

/* --- mistakes --- */

static int destroy_awaited(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	T_CHECK(weft_spawn(&f, NULL, wait_once, NULL) == 0);
	t_await_queued(&notify.queue_, 1);
	weft_notify_destroy(&notify);
	weft_notify_one(&notify);
	return weft_join(f, NULL);
}

Test(notify, with_checks_destroying_one_that_is_waited_for_aborts,
     .signal = T_CHECKED ? SIGABRT : 0)
{
	cr_assert_eq(t_run(1, destroy_awaited, NULL), 0);
}
