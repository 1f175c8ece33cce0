/* SPDX-License-Identifier: MIT */
/*
 * test_broadcast.c - every receiver gets every value, in the same order, or is
 * told how many it has lost.
 */
#include "support/t.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "support/thread.h"
#include "support/waiters.h"
#include "weft/chan.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

#define SLOTS 4

TestSuite(broadcast, .timeout = 10 * T_SLOW);

static struct weft_broadcast cast;
static uint64_t buffer[SLOTS];

static void begin(void)
{
	T_CHECK(weft_broadcast_init(&cast, sizeof *buffer, SLOTS, buffer) == 0);
}

static int send(uint64_t value)
{
	return weft_broadcast_send(&cast, &value);
}

/* --- without waiting, and without a runtime --- */

Test(broadcast, each_receiver_gets_what_is_sent_after_it_has_subscribed)
{
	struct weft_broadcast_receiver a, b;
	uint64_t value = 0;

	begin();
	cr_assert_eq(send(1), 0, "nobody is there to hear it");
	weft_broadcast_subscribe(&cast, &a);
	cr_assert_eq(send(2), 0);
	weft_broadcast_subscribe(&cast, &b);
	cr_assert_eq(send(3), 0);
	cr_assert(weft_broadcast_recv(&a, &value) == 0 && value == 2);
	cr_assert(weft_broadcast_recv(&b, &value) == 0 && value == 3);
	cr_assert(weft_broadcast_recv(&a, &value) == 0 && value == 3);
	value = 0;
	cr_assert_eq(weft_broadcast_try_recv(&a, &value), -EAGAIN);
	cr_assert_eq(weft_broadcast_recv_until(&b, &value, 0), -ETIMEDOUT);
	cr_assert_eq(value, 0);
}

Test(broadcast, who_lags_behind_is_told_how_many_it_has_lost)
{
	struct weft_broadcast_receiver r;
	uint64_t value;

	begin();
	weft_broadcast_subscribe(&cast, &r);
	for (uint64_t i = 0; i < SLOTS; i++)
		cr_assert_eq(send(i), 0);
	cr_assert(weft_broadcast_recv(&r, &value) == 0 && value == 0,
		  "as many as there are slots are no lag");
	for (uint64_t i = SLOTS; i < SLOTS + 4; i++)
		cr_assert_eq(send(i), 0);
	cr_assert_eq(weft_broadcast_recv(&r, &value), 3);
	cr_assert_eq(value, 4, "the oldest that is there");
	for (uint64_t i = 5; i < SLOTS + 4; i++)
		cr_assert(weft_broadcast_recv(&r, &value) == 0 && value == i);
	cr_assert_eq(weft_broadcast_try_recv(&r, &value), -EAGAIN);
}

Test(broadcast, a_loss_too_large_for_the_result_is_the_largest_result)
{
	struct weft_broadcast_receiver r;
	uint64_t value;

	begin();
	weft_broadcast_subscribe(&cast, &r);
	cast.sent_ = (uint64_t)INT_MAX + SLOTS;
	cr_assert_eq(weft_broadcast_recv(&r, &value), INT_MAX);
	weft_broadcast_subscribe(&cast, &r);
	cast.sent_ += (uint64_t)INT_MAX * 4;
	cr_assert_eq(weft_broadcast_recv(&r, &value), INT_MAX);
	for (int i = 1; i < SLOTS; i++)
		cr_assert_eq(weft_broadcast_recv(&r, &value), 0);
	cr_assert_eq(weft_broadcast_try_recv(&r, &value), -EAGAIN);
}

Test(broadcast, after_closing_what_is_left_is_received)
{
	struct weft_broadcast_receiver r, late;
	uint64_t value;

	begin();
	weft_broadcast_subscribe(&cast, &r);
	for (uint64_t i = 0; i < SLOTS + 1; i++)
		send(i);
	weft_broadcast_close(&cast);
	weft_broadcast_close(&cast);
	cr_assert_eq(send(9), -EPIPE);
	weft_broadcast_subscribe(&cast, &late);
	cr_assert_eq(weft_broadcast_recv(&late, &value), -EPIPE);
	cr_assert(weft_broadcast_recv(&r, &value) == 1 && value == 1);
	for (uint64_t i = 2; i < SLOTS + 1; i++)
		cr_assert(weft_broadcast_recv(&r, &value) == 0 && value == i);
	cr_assert_eq(weft_broadcast_recv(&r, &value), -EPIPE);
	cr_assert_eq(weft_broadcast_try_recv(&r, &value), -EPIPE);
	weft_broadcast_destroy(&cast);
}

Test(broadcast, sizes_that_cannot_be_are_refused)
{
	struct weft_broadcast b;

	cr_assert_eq(weft_broadcast_init(&b, 8, 0, NULL), -EINVAL);
	cr_assert_eq(weft_broadcast_init(&b, SIZE_MAX / 2, 3, NULL), -EINVAL);
	if (!T_SANITIZED)
		cr_assert_eq(weft_broadcast_init(&b, SIZE_MAX / 8, 2, NULL),
			     -ENOMEM);
	/* What has failed to begin can be ended. */
	weft_broadcast_destroy(&b);
}

Test(broadcast, memory_is_its_own_if_none_is_given)
{
	struct weft_broadcast_receiver r;
	char value[3] = "";

	cr_assert_eq(weft_broadcast_init(&cast, 3, 1, NULL), 0);
	weft_broadcast_subscribe(&cast, &r);
	cr_assert_eq(weft_broadcast_send(&cast, "abc"), 0);
	cr_assert_eq(weft_broadcast_send(&cast, "def"), 0);
	cr_assert_eq(weft_broadcast_recv(&r, value), 1);
	cr_assert_eq(memcmp(value, "def", 3), 0);
	weft_broadcast_destroy(&cast);
}

Test(broadcast, no_byte_beyond_the_buffer_is_touched)
{
	struct weft_broadcast_receiver r;
	char *room = t_guarded(3 * SLOTS), *value = t_guarded(3);

	cr_assert_eq(weft_broadcast_init(&cast, 3, SLOTS, room), 0);
	weft_broadcast_subscribe(&cast, &r);
	for (int i = 0; i < 3 * SLOTS; i++) {
		value[0] = value[1] = value[2] = (char)i;
		cr_assert_eq(weft_broadcast_send(&cast, value), 0);
		cr_assert_eq(weft_broadcast_recv(&r, value), 0);
		cr_assert(value[0] == i && value[2] == i);
	}
}

Test(broadcast, zero_bytes_are_one_of_values_of_no_size)
{
	static struct weft_broadcast zero;
	struct weft_broadcast_receiver r;

	weft_broadcast_subscribe(&zero, &r);
	cr_assert_eq(weft_broadcast_try_recv(&r, NULL), -EAGAIN);
	cr_assert_eq(weft_broadcast_send(&zero, NULL), 0);
	cr_assert_eq(weft_broadcast_recv(&r, NULL), 0);
	weft_broadcast_send(&zero, NULL);
	weft_broadcast_send(&zero, NULL);
	cr_assert_eq(weft_broadcast_recv(&r, NULL), 1);
}

/* --- waiting --- */

static struct weft_broadcast_receiver early;

static void *receive_seven(void *unused)
{
	uint64_t value = 0;

	T_CHECK(weft_broadcast_recv(&early, &value) == 0);
	T_CHECK(value == 7);
	T_CHECK(weft_broadcast_recv(&early, &value) == -EPIPE);
	return unused;
}

static void send_to(bool as_thread)
{
	struct weft_fiber *f;
	struct t_thread t;

	begin();
	weft_broadcast_subscribe(&cast, &early);
	if (as_thread)
		t_thread_begin(&t, receive_seven, NULL);
	else
		T_CHECK(weft_spawn(&f, NULL, receive_seven, NULL) == 0);
	t_await_queued(&cast.bell_, 1);
	T_CHECK(send(7) == 0);
	t_await_queued(&cast.bell_, 1);
	weft_broadcast_close(&cast);
	if (as_thread)
		t_thread_end(&t);
	else
		T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(t_queued(&cast.bell_) == 0);
}

static int send_to_both_kinds(void *unused)
{
	(void)unused;
	send_to(false);
	send_to(true);
	return 0;
}

Test(broadcast, who_waits_is_woken_by_a_value_and_by_the_end)
{
	t_run(1, send_to_both_kinds, NULL);
	t_run(2, send_to_both_kinds, NULL);
}

Test(broadcast, threads_need_no_runtime)
{
	send_to(true);
	t_verify();
}

static void *time_out(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(3));
	uint64_t value = 0;

	T_CHECK(weft_broadcast_recv_until(&early, &value, deadline) ==
		-ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(value == 0 && t_queued(&cast.bell_) == 0);
	return unused;
}

static int time_out_everywhere(void *unused)
{
	(void)unused;
	begin();
	weft_broadcast_subscribe(&cast, &early);
	time_out(NULL);
	t_on_thread(time_out, NULL);
	return 0;
}

Test(broadcast, a_deadline_ends_the_wait_and_not_before)
{
	t_run(1, time_out_everywhere, NULL);
}

static void *be_cancelled(void *unused)
{
	uint64_t value = 0;

	T_CHECK(weft_broadcast_recv(&early, &value) == -ECANCELED);
	T_CHECK(value == 0 && t_queued(&cast.bell_) == 0);
	return unused;
}

static int cancel(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	begin();
	weft_broadcast_subscribe(&cast, &early);
	T_CHECK(weft_spawn(&f, NULL, be_cancelled, NULL) == 0);
	t_await_queued(&cast.bell_, 1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(broadcast, cancellation_ends_the_wait)
{
	t_run(1, cancel, NULL);
}

#define MANY 200 /* more than are woken in one hold of the lock */

static struct weft_broadcast_receiver many[MANY];

static void *receive_in_order(void *r)
{
	uint64_t value = 0;

	for (uint64_t i = 1; i <= SLOTS; i++)
		T_CHECK(weft_broadcast_recv(r, &value) == 0 && value == i);
	T_CHECK(weft_broadcast_recv(r, &value) == -EPIPE);
	return NULL;
}

static int send_to_many(void *unused)
{
	struct weft_fiber *f[MANY];

	(void)unused;
	begin();
	for (int i = 0; i < MANY; i++) {
		weft_broadcast_subscribe(&cast, &many[i]);
		T_CHECK(weft_spawn(&f[i], NULL, receive_in_order, &many[i]) ==
			0);
	}
	t_await_queued(&cast.bell_, MANY);
	for (uint64_t i = 1; i <= SLOTS; i++)
		T_CHECK(send(i) == 0);
	weft_broadcast_close(&cast);
	for (int i = 0; i < MANY; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	T_CHECK(queue_in(&cast.bell_)->count == 0);
	return 0;
}

Test(broadcast, many_who_wait_get_all_of_it)
{
	t_run(1, send_to_many, NULL);
	t_run(2, send_to_many, NULL);
}

/* --- many senders and receivers at once --- */

#define SENDERS   3
#define RECEIVERS 4
#define VALUES    t_scale(20000)

struct value {
	uint32_t sender, number;
	uint64_t sum;
};

static struct value ring[64];

static void *send_all(void *which)
{
	uint32_t me = (uint32_t)(uintptr_t)which;

	for (uint32_t i = 0; i < VALUES; i++) {
		struct value v = {me, i, (uint64_t)me << 32 | i};

		T_CHECK(weft_broadcast_send(&cast, &v) == 0);
		if (i % 16 == 0)
			weft_yield();
	}
	return NULL;
}

/* Each sender's values in order, and all are received or counted as lost. */
static void *receive_all(void *r)
{
	uint32_t next[SENDERS] = {0};
	uint64_t total = 0;
	struct value v;
	int lost;

	while ((lost = weft_broadcast_recv(r, &v)) >= 0) {
		total += (uint64_t)lost + 1;
		T_CHECK(v.sender < SENDERS && v.number < VALUES);
		T_CHECK(v.sum == ((uint64_t)v.sender << 32 | v.number));
		T_CHECK(v.number >= next[v.sender % SENDERS]);
		next[v.sender % SENDERS] = v.number + 1;
	}
	T_CHECK(lost == -EPIPE && total == SENDERS * VALUES);
	return NULL;
}

static int send_and_receive_all(void *unused)
{
	struct weft_broadcast_receiver r[RECEIVERS + 1];
	struct weft_fiber *s[SENDERS - 1], *f[RECEIVERS];
	struct t_thread sender, receiver;

	(void)unused;
	T_CHECK(weft_broadcast_init(&cast, sizeof *ring, 64, ring) == 0);
	for (int i = 0; i <= RECEIVERS; i++)
		weft_broadcast_subscribe(&cast, &r[i]);
	for (int i = 0; i < RECEIVERS; i++)
		T_CHECK(weft_spawn(&f[i], NULL, receive_all, &r[i]) == 0);
	t_thread_begin(&receiver, receive_all, &r[RECEIVERS]);
	for (uintptr_t i = 1; i < SENDERS; i++)
		T_CHECK(weft_spawn(&s[i - 1], NULL, send_all, (void *)i) == 0);
	t_thread_begin(&sender, send_all, (void *)0);
	for (int i = 1; i < SENDERS; i++)
		T_CHECK(weft_join(s[i - 1], NULL) == 0);
	t_thread_end(&sender);
	weft_broadcast_close(&cast);
	for (int i = 0; i < RECEIVERS; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	t_thread_end(&receiver);
	return 0;
}

Test(broadcast, what_is_not_received_is_counted, .timeout = 60 * T_SLOW)
{
	t_run(1, send_and_receive_all, NULL);
	t_run(2, send_and_receive_all, NULL);
}
