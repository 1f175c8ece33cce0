/* SPDX-License-Identifier: MIT */
/*
 * test_watch.c - who watches sees the latest value, whole, and the last one in
 * any case.
 */
#include "support/t.h"

#include <errno.h>
#include <string.h>

#include "support/thread.h"
#include "support/waiters.h"
#include "weft/chan.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

TestSuite(watch, .timeout = 10 * T_SLOW);

static struct weft_watch watch;
static uint64_t place;

static void begin(uint64_t first)
{
	place = first;
	weft_watch_init(&watch, &place, sizeof place);
}

static int set(uint64_t value)
{
	return weft_watch_set(&watch, &value);
}

/* --- without waiting, and without a runtime --- */

Test(watch, what_is_there_comes_first_and_then_what_is_new)
{
	struct weft_watch_receiver r, late;
	uint64_t value = 0;

	begin(1);
	weft_watch_subscribe(&watch, &r);
	cr_assert(weft_watch_recv(&r, &value) == 0 && value == 1);
	value = 0;
	cr_assert_eq(weft_watch_try_recv(&r, &value), -EAGAIN);
	cr_assert_eq(weft_watch_recv_until(&r, &value, 0), -ETIMEDOUT);
	cr_assert_eq(value, 0);
	cr_assert_eq(set(2), 0);
	cr_assert_eq(set(3), 0);
	cr_assert(weft_watch_try_recv(&r, &value) == 0 && value == 3);
	cr_assert_eq(weft_watch_try_recv(&r, &value), -EAGAIN);
	cr_assert_eq(set(3), 0, "the same once more is new too");
	cr_assert_eq(weft_watch_try_recv(&r, &value), 0);
	weft_watch_subscribe(&watch, &late);
	cr_assert(weft_watch_recv(&late, &value) == 0 && value == 3);
}

Test(watch, it_can_be_read_at_any_time)
{
	uint64_t value;

	begin(4);
	weft_watch_get(&watch, &value);
	cr_assert_eq(value, 4);
	set(5);
	weft_watch_get(&watch, &value);
	weft_watch_close(&watch);
	weft_watch_get(&watch, &value);
	cr_assert_eq(value, 5);
}

Test(watch, after_closing_the_last_value_can_be_seen)
{
	struct weft_watch_receiver r;
	uint64_t value;

	begin(1);
	weft_watch_subscribe(&watch, &r);
	set(2);
	weft_watch_close(&watch);
	weft_watch_close(&watch);
	cr_assert_eq(set(3), -EPIPE);
	cr_assert(weft_watch_recv(&r, &value) == 0 && value == 2);
	cr_assert_eq(weft_watch_recv(&r, &value), -EPIPE);
	cr_assert_eq(weft_watch_try_recv(&r, &value), -EPIPE);
	weft_watch_destroy(&watch);
}

Test(watch, zero_bytes_are_one_of_no_size)
{
	static struct weft_watch zero;
	struct weft_watch_receiver r;

	weft_watch_subscribe(&zero, &r);
	cr_assert_eq(weft_watch_recv(&r, NULL), 0);
	cr_assert_eq(weft_watch_try_recv(&r, NULL), -EAGAIN);
	cr_assert_eq(weft_watch_set(&zero, NULL), 0);
	cr_assert_eq(weft_watch_recv(&r, NULL), 0);
}

Test(watch, no_byte_beyond_the_value_is_touched)
{
	struct weft_watch_receiver r;
	char *value = t_guarded(3), *out = t_guarded(3);

	memcpy(value, "abc", 3);
	weft_watch_init(&watch, value, 3);
	weft_watch_subscribe(&watch, &r);
	cr_assert_eq(weft_watch_recv(&r, out), 0);
	cr_assert_eq(memcmp(out, "abc", 3), 0);
	cr_assert_eq(weft_watch_set(&watch, memcpy(t_guarded(3), "def", 3)), 0);
	weft_watch_get(&watch, out);
	cr_assert_eq(memcmp(out, "def", 3), 0);
}

/* --- waiting --- */

static void *see_two_and_the_end(void *unused)
{
	struct weft_watch_receiver r;
	uint64_t value = 0;

	weft_watch_subscribe(&watch, &r);
	T_CHECK(weft_watch_recv(&r, &value) == 0 && value == 1);
	T_CHECK(weft_watch_recv(&r, &value) == 0 && value == 2);
	T_CHECK(weft_watch_recv(&r, &value) == -EPIPE);
	return unused;
}

static void show_to(bool as_thread)
{
	struct weft_fiber *f;
	struct t_thread t;

	begin(1);
	if (as_thread)
		t_thread_begin(&t, see_two_and_the_end, NULL);
	else
		T_CHECK(weft_spawn(&f, NULL, see_two_and_the_end, NULL) == 0);
	t_await_queued(&watch.bell_, 1);
	T_CHECK(set(2) == 0);
	t_await_queued(&watch.bell_, 1);
	weft_watch_close(&watch);
	if (as_thread)
		t_thread_end(&t);
	else
		T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(t_queued(&watch.bell_) == 0);
}

static int show_to_both_kinds(void *unused)
{
	(void)unused;
	show_to(false);
	show_to(true);
	return 0;
}

Test(watch, who_waits_is_woken_by_a_change_and_by_the_end)
{
	t_run(1, show_to_both_kinds, NULL);
	t_run(2, show_to_both_kinds, NULL);
}

Test(watch, threads_need_no_runtime)
{
	show_to(true);
	t_verify();
}

static void *time_out(void *unused)
{
	struct weft_watch_receiver r;
	weft_time deadline;
	uint64_t value = 0;

	weft_watch_subscribe(&watch, &r);
	T_CHECK(weft_watch_recv_until(&r, &value, 0) == 0 && value == 1);
	deadline = weft_after(WEFT_MSEC(3));
	T_CHECK(weft_watch_recv_until(&r, &value, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline && t_queued(&watch.bell_) == 0);
	return unused;
}

static int time_out_everywhere(void *unused)
{
	(void)unused;
	begin(1);
	time_out(NULL);
	t_on_thread(time_out, NULL);
	return 0;
}

Test(watch, a_deadline_ends_the_wait_and_not_before)
{
	t_run(1, time_out_everywhere, NULL);
}

static void *be_cancelled(void *unused)
{
	struct weft_watch_receiver r;
	uint64_t value = 0;

	weft_watch_subscribe(&watch, &r);
	T_CHECK(weft_watch_recv(&r, &value) == 0);
	T_CHECK(weft_watch_recv(&r, &value) == -ECANCELED);
	T_CHECK(t_queued(&watch.bell_) == 0);
	return unused;
}

static int cancel(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	begin(1);
	T_CHECK(weft_spawn(&f, NULL, be_cancelled, NULL) == 0);
	t_await_queued(&watch.bell_, 1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(watch, cancellation_ends_the_wait)
{
	t_run(1, cancel, NULL);
}

/* --- many at once --- */

#define MANY    100 /* more than are woken in one hold of the lock */
#define CHANGES t_scale(20000)

struct pair {
	uint64_t n, inverse;
};

static struct pair pair;

/* What is seen is whole, never older than before, and in the end the last. */
static void *see_the_last(void *unused)
{
	struct weft_watch_receiver r;
	struct pair p = {0};
	uint64_t before = 0;
	int result;

	weft_watch_subscribe(&watch, &r);
	while ((result = weft_watch_recv(&r, &p)) == 0) {
		T_CHECK(p.inverse == ~p.n);
		T_CHECK(p.n >= before);
		before = p.n;
	}
	T_CHECK(result == -EPIPE && before == CHANGES);
	return unused;
}

static int change_often(void *unused)
{
	struct weft_fiber *f[MANY];
	struct t_thread t;

	(void)unused;
	pair = (struct pair){0, ~UINT64_C(0)};
	weft_watch_init(&watch, &pair, sizeof pair);
	for (int i = 0; i < MANY; i++)
		T_CHECK(weft_spawn(&f[i], NULL, see_the_last, NULL) == 0);
	t_thread_begin(&t, see_the_last, NULL);
	t_await_queued(&watch.bell_, MANY + 1);
	for (uint64_t i = 1; i <= CHANGES; i++) {
		T_CHECK(weft_watch_set(&watch, &(struct pair){i, ~i}) == 0);
		if (i % 64 == 0)
			weft_yield();
	}
	weft_watch_close(&watch);
	for (int i = 0; i < MANY; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	t_thread_end(&t);
	T_CHECK(queue_in(&watch.bell_)->count == 0);
	return 0;
}

Test(watch, many_see_whole_values_and_the_last, .timeout = 60 * T_SLOW)
{
	t_run(1, change_often, NULL);
	t_run(2, change_often, NULL);
}
