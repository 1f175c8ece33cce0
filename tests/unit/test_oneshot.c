/* SPDX-License-Identifier: MIT */
/*
 * test_oneshot.c - one value, once: whoever waits, whoever is first, and
 * whatever ends the wait.
 */
#include "support/t.h"

#include <errno.h>
#include <string.h>

#include "support/thread.h"
#include "support/waiters.h"
#include "weft/chan.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

TestSuite(oneshot, .timeout = 10 * T_SLOW);

static struct weft_oneshot shot;
static uint64_t storage;

static void begin(void)
{
	weft_oneshot_init(&shot, &storage, sizeof storage);
}

static int send(uint64_t value)
{
	return weft_oneshot_send(&shot, &value);
}

/* --- without waiting, and without a runtime --- */

Test(oneshot, a_value_is_received_once)
{
	uint64_t value = 0;

	begin();
	cr_assert_eq(weft_oneshot_try_recv(&shot, &value), -EAGAIN);
	cr_assert_eq(weft_oneshot_recv_until(&shot, &value, 0), -ETIMEDOUT);
	cr_assert_eq(value, 0);
	cr_assert_eq(send(7), 0);
	cr_assert_eq(weft_oneshot_recv(&shot, &value), 0);
	cr_assert_eq(value, 7);
	value = 0;
	cr_assert_eq(weft_oneshot_try_recv(&shot, &value), -EPIPE);
	cr_assert_eq(weft_oneshot_recv(&shot, &value), -EPIPE);
	cr_assert_eq(value, 0);
	weft_oneshot_destroy(&shot);
}

Test(oneshot, a_second_value_is_refused_and_the_first_stays)
{
	uint64_t value;

	begin();
	cr_assert_eq(send(1), 0);
	cr_assert_eq(send(2), -EALREADY);
	cr_assert_eq(weft_oneshot_try_recv(&shot, &value), 0);
	cr_assert_eq(value, 1);
	cr_assert_eq(send(3), -EALREADY);
}

Test(oneshot, closing_refuses_a_value_but_keeps_one_that_was_sent)
{
	uint64_t value;

	begin();
	weft_oneshot_close(&shot);
	weft_oneshot_close(&shot);
	cr_assert_eq(send(1), -EPIPE);
	cr_assert_eq(weft_oneshot_recv(&shot, &value), -EPIPE);
	begin();
	cr_assert_eq(send(2), 0);
	weft_oneshot_close(&shot);
	cr_assert_eq(weft_oneshot_recv(&shot, &value), 0);
	cr_assert_eq(value, 2);
	cr_assert_eq(weft_oneshot_recv(&shot, &value), -EPIPE);
}

Test(oneshot, zero_bytes_are_one_of_no_size)
{
	struct weft_oneshot zero = {0};

	cr_assert_eq(weft_oneshot_try_recv(&zero, NULL), -EAGAIN);
	cr_assert_eq(weft_oneshot_send(&zero, NULL), 0);
	cr_assert_eq(weft_oneshot_recv(&zero, NULL), 0);
	cr_assert_eq(weft_oneshot_recv(&zero, NULL), -EPIPE);
}

Test(oneshot, only_so_many_bytes_are_copied_as_the_value_has)
{
	char *place = t_guarded(3), *out = t_guarded(3);
	const char *in = memcpy(t_guarded(3), "abc", 3);
	struct weft_oneshot o;

	weft_oneshot_init(&o, place, 3);
	cr_assert_eq(weft_oneshot_send(&o, in), 0);
	cr_assert_eq(weft_oneshot_recv(&o, out), 0);
	cr_assert_eq(memcmp(out, "abc", 3), 0);
}

/* --- waiting --- */

static void *receive_seven(void *unused)
{
	uint64_t value = 0;

	T_CHECK(weft_oneshot_recv(&shot, &value) == 0);
	T_CHECK(value == 7);
	return unused;
}

static void *receive_nothing(void *unused)
{
	uint64_t value = 0;

	T_CHECK(weft_oneshot_recv(&shot, &value) == -EPIPE);
	T_CHECK(value == 0);
	return unused;
}

static void send_to(void *(*receiver)(void *), bool as_thread, bool close)
{
	struct weft_fiber *f;
	struct t_thread t;

	begin();
	if (as_thread)
		t_thread_begin(&t, receiver, NULL);
	else
		T_CHECK(weft_spawn(&f, NULL, receiver, NULL) == 0);
	t_await_queued(&shot.bell_, 1);
	if (close)
		weft_oneshot_close(&shot);
	else
		T_CHECK(send(7) == 0);
	if (as_thread)
		t_thread_end(&t);
	else
		T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(t_queued(&shot.bell_) == 0);
}

static int send_to_both_kinds(void *unused)
{
	(void)unused;
	for (int as_thread = 0; as_thread < 2; as_thread++) {
		send_to(receive_seven, as_thread, false);
		send_to(receive_nothing, as_thread, true);
	}
	return 0;
}

Test(oneshot, who_waits_is_woken_by_the_value_and_by_the_end)
{
	t_run(1, send_to_both_kinds, NULL);
	t_run(2, send_to_both_kinds, NULL);
}

Test(oneshot, threads_need_no_runtime)
{
	send_to(receive_seven, true, false);
	send_to(receive_nothing, true, true);
	t_verify();
}

static void *time_out(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(3));
	uint64_t value = 0;

	T_CHECK(weft_oneshot_recv_until(&shot, &value, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(value == 0 && t_queued(&shot.bell_) == 0);
	return unused;
}

static int time_out_everywhere(void *unused)
{
	(void)unused;
	begin();
	time_out(NULL);
	t_on_thread(time_out, NULL);
	return 0;
}

Test(oneshot, a_deadline_ends_the_wait_and_not_before)
{
	t_run(1, time_out_everywhere, NULL);
}

static void *be_cancelled(void *unused)
{
	uint64_t value = 0;

	T_CHECK(weft_oneshot_recv(&shot, &value) == -ECANCELED);
	T_CHECK(t_queued(&shot.bell_) == 0);
	/* What is there stays there for who is not cancelled. */
	T_CHECK(send(5) == 0);
	T_CHECK(weft_oneshot_recv(&shot, &value) == -ECANCELED);
	T_CHECK(weft_oneshot_try_recv(&shot, &value) == 0 && value == 5);
	return unused;
}

static int cancel(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	begin();
	T_CHECK(weft_spawn(&f, NULL, be_cancelled, NULL) == 0);
	t_await_queued(&shot.bell_, 1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(oneshot, cancellation_ends_the_wait)
{
	t_run(1, cancel, NULL);
	t_run(2, cancel, NULL);
}

/* --- many --- */

#define MANY 200 /* more than are woken in one hold of the lock */

static _Atomic int got, refused;

static void *receive_or_not(void *unused)
{
	uint64_t value = 0;
	int r = weft_oneshot_recv(&shot, &value);

	T_CHECK(r == 0 ? value == 7 : r == -EPIPE);
	atomic_fetch_add(r == 0 ? &got : &refused, 1);
	return unused;
}

static int send_to_many(void *unused)
{
	struct weft_fiber *f[MANY];

	(void)unused;
	begin();
	for (int i = 0; i < MANY; i++)
		T_CHECK(weft_spawn(&f[i], NULL, receive_or_not, NULL) == 0);
	t_await_queued(&shot.bell_, MANY);
	T_CHECK(send(7) == 0);
	for (int i = 0; i < MANY; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	T_CHECK(got == 1 && refused == MANY - 1);
	T_CHECK(queue_in(&shot.bell_)->count == 0);
	return 0;
}

Test(oneshot, of_many_who_wait_one_gets_it)
{
	t_run(2, send_to_many, NULL);
}

/* An answer on the stack of who has asked, gone as soon as it has come. */
static struct weft_oneshot *_Atomic asked;

static void *answer(void *unused)
{
	for (uint64_t i = 0; i < t_scale(20000); i++) {
		struct weft_oneshot *o;

		while (!(o = atomic_exchange(&asked, NULL)))
			weft_yield();
		T_CHECK(weft_oneshot_send(o, &i) == 0);
	}
	return unused;
}

static WF_NOINLINE void ask(uint64_t i)
{
	uint64_t place, value = 0;
	struct weft_oneshot o;

	weft_oneshot_init(&o, &place, sizeof place);
	atomic_store(&asked, &o);
	T_CHECK(weft_oneshot_recv(&o, &value) == 0 && value == i);
	memset(&o, 0xaa, sizeof o);
	place = UINT64_MAX;
}

static int ask_often(void *unused)
{
	struct weft_fiber *f;
	struct t_thread t;

	(void)unused;
	T_CHECK(weft_spawn(&f, NULL, answer, NULL) == 0);
	for (uint64_t i = 0; i < t_scale(20000); i++)
		ask(i);
	T_CHECK(weft_join(f, NULL) == 0);
	t_thread_begin(&t, answer, NULL);
	for (uint64_t i = 0; i < t_scale(20000); i++)
		ask(i);
	t_thread_end(&t);
	return 0;
}

Test(oneshot, who_has_received_may_forget_it_at_once, .timeout = 30 * T_SLOW)
{
	t_run(2, ask_often, NULL);
}

static void *receive_until_soon(void *seed)
{
	weft_time d = weft_after((weft_time)(t_random(seed) % 5000));
	uint64_t value = 0;
	int r = weft_oneshot_recv_until(&shot, &value, d);

	T_CHECK(r == 0 ? value == 7 : r == -ETIMEDOUT && value == 0);
	if (r)
		T_CHECK(weft_oneshot_recv(&shot, &value) == 0 && value == 7);
	return NULL;
}

static int race_with_deadlines(void *unused)
{
	uint64_t seed = t_seed(), spin;
	struct weft_fiber *f;

	(void)unused;
	for (size_t i = t_scale(5000); i; i--) {
		begin();
		T_CHECK(weft_spawn(&f, NULL, receive_until_soon, &seed) == 0);
		spin = t_random(&seed) % 4;
		while (spin--)
			weft_yield();
		T_CHECK(send(7) == 0);
		T_CHECK(weft_join(f, NULL) == 0);
	}
	return 0;
}

Test(oneshot, a_value_is_not_lost_to_a_deadline, .timeout = 30 * T_SLOW)
{
	t_run(1, race_with_deadlines, NULL);
}
