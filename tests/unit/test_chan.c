/* SPDX-License-Identifier: MIT */
/*
 * test_chan.c - values come out as they went in: each once, in order, whoever
 * waits and however the waits end.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "support/waiters.h"
#include "support/thread.h"

TestSuite(chan, .timeout = 10 * T_SLOW);

static struct weft_chan chan;
static uint64_t room[128];

static void begin(size_t slots)
{
	T_CHECK(weft_chan_init(&chan, sizeof *room, slots, room) == 0);
}

static int put(uint64_t value)
{
	return weft_chan_send(&chan, &value);
}

static int try_put(uint64_t value)
{
	return weft_chan_try_send(&chan, &value);
}

/* The value, or an error. */
static int64_t receive(void)
{
	uint64_t value = 0;
	int r = weft_chan_recv(&chan, &value);

	return r < 0 ? r : (int64_t)value;
}

static int64_t try_receive(void)
{
	uint64_t value = 0;
	int r = weft_chan_try_recv(&chan, &value);

	T_CHECK(r == 0 || value == 0);
	return r < 0 ? r : (int64_t)value;
}

static void await_senders(size_t n)
{
	t_await_senders(&chan, n);
}

static void await_receivers(size_t n)
{
	t_await_receivers(&chan, n);
}

static void nobody_waits(void)
{
	T_CHECK(t_senders(&chan) == 0);
	T_CHECK(t_receivers(&chan) == 0);
}

/* --- without waiting --- */

Test(chan, it_holds_as_many_as_it_has_slots)
{
	begin(3);
	for (uint64_t turn = 0; turn < 10; turn++) {
		for (uint64_t i = 1; i <= 3; i++) {
			cr_assert_eq(try_put(i), 0);
			cr_assert_eq(weft_chan_count(&chan), i);
		}
		cr_assert_eq(try_put(9), -EAGAIN);
		for (int64_t i = 1; i <= 3; i++)
			cr_assert_eq(try_receive(), i);
		cr_assert_eq(try_receive(), -EAGAIN);
	}
	weft_chan_destroy(&chan);
}

Test(chan, values_stay_in_order_wherever_the_ring_begins)
{
	uint64_t in = 0, out = 0, seed = t_seed();

	begin(5);
	for (size_t i = t_scale(100000); i; i--) {
		bool sends = t_random(&seed) & 1;

		if (sends && in - out < 5)
			cr_assert_eq(try_put(in++), 0);
		else if (sends)
			cr_assert_eq(try_put(0), -EAGAIN);
		else if (in > out)
			cr_assert_eq(try_receive(), (int64_t)out++);
		else
			cr_assert_eq(try_receive(), -EAGAIN);
		cr_assert_eq(weft_chan_count(&chan), in - out);
	}
}

Test(chan, values_of_any_size_are_copied_and_no_byte_more)
{
	static const size_t sizes[] = {1, 3, 7, 8, 9, 100};

	for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
		size_t size = sizes[k];
		char *buffer = t_guarded(3 * size), *in = t_guarded(size),
		     *out = t_guarded(size);

		cr_assert_eq(weft_chan_init(&chan, size, 3, buffer), 0);
		for (int i = 0; i < 20; i++) {
			memset(in, i, size);
			cr_assert_eq(weft_chan_send(&chan, in), 0);
			if (i % 3)
				cr_assert_eq(weft_chan_send(&chan, in), 0);
			cr_assert_eq(weft_chan_recv(&chan, out), 0);
			cr_assert_eq(memcmp(in, out, size), 0);
			if (i % 3)
				cr_assert_eq(weft_chan_recv(&chan, out), 0);
		}
		weft_chan_destroy(&chan);
	}
}

Test(chan, memory_is_its_own_if_none_is_given)
{
	uint64_t value = 1;

	cr_assert_eq(weft_chan_init(&chan, sizeof value, 1000, NULL), 0);
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert_eq(try_put(i), 0);
	weft_chan_destroy(&chan);
	/* It is a channel of zero bytes then. */
	cr_assert_eq(try_put(1), -EAGAIN);
}

Test(chan, sizes_that_cannot_be_are_refused)
{
	struct weft_chan c;

	cr_assert_eq(weft_chan_init(&c, SIZE_MAX / 2, 3, NULL), -EINVAL);
	weft_chan_destroy(&c);
	cr_assert_eq(weft_chan_init(&c, 3, SIZE_MAX / 2, room), -EINVAL);
	weft_chan_destroy(&c);
	if (!T_SANITIZED)
		cr_assert_eq(weft_chan_init(&c, UINT32_MAX, UINT32_MAX, NULL),
			     -ENOMEM);
	weft_chan_destroy(&c);
}

Test(chan, values_of_no_size_are_counted)
{
	cr_assert_eq(weft_chan_init(&chan, 0, 2, NULL), 0);
	cr_assert_eq(weft_chan_send(&chan, NULL), 0);
	cr_assert_eq(weft_chan_send(&chan, NULL), 0);
	cr_assert_eq(weft_chan_try_send(&chan, NULL), -EAGAIN);
	cr_assert_eq(weft_chan_recv_many(&chan, NULL, 5), 2);
	cr_assert_eq(weft_chan_try_recv(&chan, NULL), -EAGAIN);
}

Test(chan, what_is_left_is_received_after_closing)
{
	begin(2);
	put(1);
	put(2);
	weft_chan_close(&chan);
	weft_chan_close(&chan);
	cr_assert_eq(put(3), -EPIPE);
	cr_assert_eq(try_put(3), -EPIPE);
	cr_assert_eq(receive(), 1);
	cr_assert_eq(put(3), -EPIPE, "though there is room");
	cr_assert_eq(try_receive(), 2);
	cr_assert_eq(receive(), -EPIPE);
	cr_assert_eq(try_receive(), -EPIPE);
	cr_assert_eq(weft_chan_recv_many(&chan, room, 1), -EPIPE);
}

Test(chan, an_array_takes_what_is_there)
{
	uint64_t values[8];

	begin(5);
	cr_assert_eq(weft_chan_recv_many(&chan, values, 0), -EINVAL);
	cr_assert_eq(weft_chan_recv_many_until(&chan, values, 8, 0),
		     -ETIMEDOUT);
	for (uint64_t i = 0; i < 5; i++)
		put(i);
	cr_assert_eq(weft_chan_recv_many(&chan, values, 2), 2);
	cr_assert(values[0] == 0 && values[1] == 1);
	cr_assert_eq(weft_chan_recv_many(&chan, values, 8), 3);
	cr_assert(values[0] == 2 && values[2] == 4);
}

/* --- two meet --- */

static struct weft_chan zero;

static void *meet(void *unused)
{
	T_CHECK(weft_chan_send(&zero, NULL) == 0);
	return unused;
}

static int meet_at_zero(void *unused)
{
	struct t_task t;

	(void)unused;
	memset(&zero, 0, sizeof zero);
	T_CHECK(weft_chan_try_send(&zero, NULL) == -EAGAIN);
	T_CHECK(weft_chan_try_recv(&zero, NULL) == -EAGAIN);
	t_task_start(&t, meet, NULL);
	T_CHECK(weft_chan_recv(&zero, NULL) == 0);
	t_task_end(&t);
	return 0;
}

Test(chan, zero_bytes_are_a_place_to_meet)
{
	t_in_each_way(meet_at_zero, NULL);
}

static void *send_seven(void *unused)
{
	T_CHECK(put(7) == 0);
	return unused;
}

static void *receive_seven(void *unused)
{
	T_CHECK(receive() == 7);
	return unused;
}

static int try_one_who_waits(void *unused)
{
	struct t_task t;

	(void)unused;
	begin(0);
	T_CHECK(try_put(1) == -EAGAIN && try_receive() == -EAGAIN);
	t_task_start(&t, send_seven, NULL);
	await_senders(1);
	T_CHECK(weft_chan_count(&chan) == 0);
	T_CHECK(try_put(1) == -EAGAIN);
	T_CHECK(try_receive() == 7);
	t_task_end(&t);
	t_task_start(&t, receive_seven, NULL);
	await_receivers(1);
	T_CHECK(try_receive() == -EAGAIN);
	T_CHECK(try_put(7) == 0);
	t_task_end(&t);
	nobody_waits();
	return 0;
}

Test(chan, trying_finds_who_waits_on_the_other_side)
{
	t_in_each_way(try_one_who_waits, NULL);
}

/* --- in order --- */

#define WAITERS 5

static uint64_t ids[200];

static void *send_id(void *id)
{
	T_CHECK(weft_chan_send(&chan, id) == 0);
	return NULL;
}

/* With n slots full, `count` wait: 0, 1, 2 in this order. */
static void queue_senders(struct t_task *t, size_t slots, size_t count)
{
	begin(slots);
	for (uint64_t i = 0; i < slots + count; i++)
		ids[i] = i;
	for (uint64_t i = 0; i < slots; i++)
		T_CHECK(put(i) == 0);
	for (size_t i = 0; i < count; i++) {
		t_task_start(&t[i], send_id, &ids[slots + i]);
		await_senders(i + 1);
	}
}

static int receive_in_order(void *slots)
{
	size_t n = (size_t)(uintptr_t)slots;
	struct t_task t[WAITERS];

	queue_senders(t, n, WAITERS);
	for (size_t i = 0; i < n + WAITERS; i++) {
		T_CHECK(receive() == (int64_t)i);
		T_CHECK(weft_chan_count(&chan) ==
			(i < WAITERS ? n : n + WAITERS - i - 1));
	}
	for (int i = 0; i < WAITERS; i++)
		t_task_end(&t[i]);
	T_CHECK(try_receive() == -EAGAIN);
	nobody_waits();
	return 0;
}

Test(chan, who_waits_to_send_is_served_in_order)
{
	for (uintptr_t slots = 0; slots < 4; slots++)
		t_in_each_way(receive_in_order, (void *)slots);
}

static void *receive_id(void *id)
{
	T_CHECK(receive() == (int64_t)(*(uint64_t *)id));
	return NULL;
}

static int send_in_order(void *slots)
{
	struct t_task t[WAITERS];

	begin((size_t)(uintptr_t)slots);
	for (uint64_t i = 0; i < WAITERS; i++) {
		ids[i] = i;
		t_task_start(&t[i], receive_id, &ids[i]);
		await_receivers(i + 1);
	}
	for (uint64_t i = 0; i < WAITERS; i++)
		T_CHECK(put(i) == 0 && weft_chan_count(&chan) == 0);
	for (int i = 0; i < WAITERS; i++)
		t_task_end(&t[i]);
	T_CHECK(try_receive() == -EAGAIN);
	nobody_waits();
	return 0;
}

Test(chan, who_waits_to_receive_is_served_in_order)
{
	for (uintptr_t slots = 0; slots < 4; slots += 3)
		t_in_each_way(send_in_order, (void *)slots);
}

static int receive_many_in_order(void *slots)
{
	uint64_t n = (uint64_t)(uintptr_t)slots, next = 0;
	struct t_task t[150];
	uint64_t values[7];
	ssize_t got;

	queue_senders(t, n, 150);
	while (next < n + 150) {
		got = weft_chan_recv_many(&chan, values, 7);
		T_CHECK(got > 0 && got <= 7);
		for (ssize_t i = 0; i < got; i++)
			T_CHECK(values[i] == next++);
	}
	for (int i = 0; i < 150; i++)
		t_task_end(&t[i]);
	T_CHECK(try_receive() == -EAGAIN);
	nobody_waits();
	return 0;
}

Test(chan, an_array_takes_from_who_waits_too)
{
	for (uintptr_t slots = 0; slots < 10; slots += 3)
		t_on_fibers(receive_many_in_order, (void *)slots);
}

/* One hold of the lock wakes only so many. */
static int receive_many_at_once(void *slots)
{
	uint64_t n = (uint64_t)(uintptr_t)slots, next = 0;
	struct t_task t[150];
	uint64_t values[200];
	ssize_t got;

	queue_senders(t, n, 150);
	while (next < n + 150) {
		got = weft_chan_recv_many(&chan, values, 200);
		T_CHECK(got > 0);
		for (ssize_t i = 0; i < got; i++)
			T_CHECK(values[i] == next++);
	}
	for (int i = 0; i < 150; i++)
		t_task_end(&t[i]);
	return 0;
}

Test(chan, a_large_array_wakes_many)
{
	t_on_fibers(receive_many_at_once, (void *)0);
	t_on_fibers(receive_many_at_once, (void *)10);
}

/* --- deadline, cancel, close --- */

static int time_out(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(2));
	uint64_t value = 5;

	(void)unused;
	begin(1);
	T_CHECK(weft_chan_recv_until(&chan, &value, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline && value == 5);
	T_CHECK(weft_chan_recv_until(&chan, &value, deadline) == -ETIMEDOUT);
	T_CHECK(weft_chan_send_until(&chan, &value, 0) == 0);
	deadline = weft_after(WEFT_MSEC(2));
	T_CHECK(weft_chan_send_until(&chan, &value, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(weft_chan_recv_until(&chan, &value, -1) == 0);
	T_CHECK(try_receive() == -EAGAIN);
	deadline = weft_after(WEFT_MSEC(2));
	T_CHECK(weft_chan_recv_many_until(&chan, &value, 1, deadline) ==
		-ETIMEDOUT);
	nobody_waits();
	return 0;
}

Test(chan, a_deadline_ends_a_wait_and_not_before)
{
	t_in_each_way(time_out, NULL);
}

static void *cancelled_receiver(void *unused)
{
	T_CHECK(receive() == -ECANCELED);
	T_CHECK(t_receivers(&chan) == 0);
	/* It does not even take what is there. */
	T_CHECK(try_put(1) == 0);
	T_CHECK(receive() == -ECANCELED);
	T_CHECK(weft_chan_count(&chan) == 1);
	return unused;
}

static void *cancelled_sender(void *unused)
{
	T_CHECK(put(2) == -ECANCELED);
	T_CHECK(t_senders(&chan) == 0);
	T_CHECK(try_receive() == 1);
	T_CHECK(put(2) == -ECANCELED);
	T_CHECK(weft_chan_count(&chan) == 0);
	return unused;
}

static int cancel_both(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	begin(1);
	T_CHECK(weft_spawn(&f, NULL, cancelled_receiver, NULL) == 0);
	await_receivers(1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(weft_spawn(&f, NULL, cancelled_sender, NULL) == 0);
	await_senders(1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(chan, cancellation_ends_a_wait)
{
	t_on_fibers(cancel_both, NULL);
}

static void *find_it_closed(void *sends)
{
	if (sends)
		T_CHECK(put(9) == -EPIPE);
	else
		T_CHECK(receive() == -EPIPE);
	return NULL;
}

static int close_on_many(void *count)
{
	size_t n = (size_t)(uintptr_t)count;
	struct t_task t[150];

	for (uintptr_t sends = 0; sends < 2; sends++) {
		begin(sends);
		if (sends)
			put(1);
		for (size_t i = 0; i < n; i++)
			t_task_start(&t[i], find_it_closed, (void *)sends);
		if (sends)
			await_senders(n);
		else
			await_receivers(n);
		weft_chan_close(&chan);
		for (size_t i = 0; i < n; i++)
			t_task_end(&t[i]);
		T_CHECK(receive() == (sends ? 1 : -EPIPE));
		T_CHECK(receive() == -EPIPE);
		nobody_waits();
	}
	return 0;
}

Test(chan, closing_ends_all_waits)
{
	t_in_each_way(close_on_many, (void *)3);
	t_on_fibers(close_on_many, (void *)64);
	t_on_fibers(close_on_many, (void *)150);
}

static void *wait_for_ever(void *unused)
{
	receive();
	return unused;
}

static int forget_a_waiter(void *unused)
{
	(void)unused;
	begin(0);
	if (T_CHECKED) {
		weft_spawn(NULL, NULL, wait_for_ever, NULL);
		await_receivers(1);
	}
	weft_chan_destroy(&chan);
	weft_stop();
	return 0;
}

Test(chan, it_is_forgotten_but_with_checks_not_while_somebody_waits,
     .signal = T_CHECKED ? SIGABRT : 0)
{
	t_run(1, forget_a_waiter, NULL);
}

/* --- races: what is sent is received, once --- */

#define NUMBERS t_scale(20000)
#define SIDES   4

static _Atomic uint8_t *seen; /* how often each number was received */
static _Atomic uint64_t sent, received, next_number;
static uint64_t seeds[2 * SIDES];

/* One number, somehow; whether it was sent. */
static int send_somehow(uint64_t number, uint64_t *seed)
{
	weft_time soon = weft_after((weft_time)(t_random(seed) % 2000));

	switch (t_random(seed) % 3) {
	case 0:
		return weft_chan_send(&chan, &number);
	case 1:
		return weft_chan_try_send(&chan, &number);
	default:
		return weft_chan_send_until(&chan, &number, soon);
	}
}

static void *send_numbers(void *seed)
{
	uint64_t n;

	while ((n = atomic_fetch_add(&next_number, 1)) < NUMBERS) {
		int r = send_somehow(n, seed);

		T_CHECK(r == 0 || r == -EAGAIN || r == -ETIMEDOUT ||
			r == -EPIPE);
		if (r == 0)
			atomic_fetch_add(&sent, 1);
		else if (r == -EAGAIN)
			weft_yield();
		/* Nobody may have it who was not sent it. */
		if (r != 0)
			T_CHECK(atomic_fetch_add(&seen[n], 1) == 0);
	}
	return NULL;
}

/* How many, or an error. */
static ssize_t receive_somehow(uint64_t values[4], uint64_t *seed)
{
	weft_time soon = weft_after((weft_time)(t_random(seed) % 2000));
	int r;

	switch (t_random(seed) % 4) {
	case 0:
		r = weft_chan_recv(&chan, values);
		return r < 0 ? r : 1;
	case 1:
		r = weft_chan_try_recv(&chan, values);
		return r < 0 ? r : 1;
	case 2:
		return weft_chan_recv_many(&chan, values, 4);
	default:
		r = weft_chan_recv_until(&chan, values, soon);
		return r < 0 ? r : 1;
	}
}

static void *receive_numbers(void *seed)
{
	uint64_t values[4];
	ssize_t r;

	while ((r = receive_somehow(values, seed)) != -EPIPE) {
		T_CHECK(r > 0 || r == -EAGAIN || r == -ETIMEDOUT);
		if (r == -EAGAIN)
			weft_yield();
		for (ssize_t i = 0; i < r; i++)
			T_CHECK(atomic_fetch_add(&seen[values[i]], 1) == 0);
		if (r > 0)
			atomic_fetch_add(&received, (uint64_t)r);
	}
	return NULL;
}

static void begin_race(size_t slots)
{
	uint64_t seed = t_seed();

	begin(slots);
	seen = calloc(NUMBERS, sizeof *seen);
	sent = received = next_number = 0;
	for (int i = 0; i < 2 * SIDES; i++)
		seeds[i] = seed + (uint64_t)i;
}

static void end_race(void)
{
	T_CHECK(sent == received);
	for (size_t i = 0; i < NUMBERS; i++)
		T_CHECK(seen[i] == 1);
	nobody_waits();
	T_CHECK(weft_chan_count(&chan) == 0);
	free((void *)seen);
}

/* Half of each side are threads where there is a runtime, else all. */
static int race(void *slots)
{
	struct t_task senders[SIDES], receivers[SIDES];
	struct t_thread threads[2];
	bool mixed = weft_self();

	begin_race((size_t)(uintptr_t)slots);
	if (mixed) {
		t_thread_begin(&threads[0], send_numbers, &seeds[0]);
		t_thread_begin(&threads[1], receive_numbers, &seeds[SIDES]);
	}
	for (int i = mixed; i < SIDES; i++) {
		t_task_start(&senders[i], send_numbers, &seeds[i]);
		t_task_start(&receivers[i], receive_numbers, &seeds[SIDES + i]);
	}
	for (int i = mixed; i < SIDES; i++)
		t_task_end(&senders[i]);
	if (mixed)
		t_thread_end(&threads[0]);
	weft_chan_close(&chan);
	for (int i = mixed; i < SIDES; i++)
		t_task_end(&receivers[i]);
	if (mixed)
		t_thread_end(&threads[1]);
	end_race();
	return 0;
}

Test(chan, each_value_reaches_one_receiver_once, .timeout = 60 * T_SLOW)
{
	static const uintptr_t slots[] = {0, 1, 7, 128};

	for (int i = 0; i < 4; i++)
		t_in_each_way(race, (void *)slots[i]);
}

static void *close_sometime(void *unused)
{
	while (next_number < NUMBERS / 2)
		weft_yield();
	weft_chan_close(&chan);
	return unused;
}

static int race_with_close(void *slots)
{
	struct t_task senders[SIDES], receivers[SIDES], closer;

	begin_race((size_t)(uintptr_t)slots);
	t_task_start(&closer, close_sometime, NULL);
	for (int i = 0; i < SIDES; i++) {
		t_task_start(&senders[i], send_numbers, &seeds[i]);
		t_task_start(&receivers[i], receive_numbers, &seeds[SIDES + i]);
	}
	for (int i = 0; i < SIDES; i++) {
		t_task_end(&senders[i]);
		t_task_end(&receivers[i]);
	}
	t_task_end(&closer);
	end_race();
	return 0;
}

Test(chan, what_was_sent_before_it_closed_is_received, .timeout = 60 * T_SLOW)
{
	t_in_each_way(race_with_close, (void *)0);
	t_in_each_way(race_with_close, (void *)5);
}

static void *receive_until_cancelled(void *unused)
{
	int64_t n;

	while ((n = receive()) >= 0) {
		T_CHECK(atomic_fetch_add(&seen[n], 1) == 0);
		atomic_fetch_add(&received, 1);
	}
	T_CHECK(n == -ECANCELED || n == -EPIPE);
	return unused;
}

static void *cancel_others(void *unused)
{
	struct weft_fiber *f;

	while (next_number < NUMBERS) {
		T_CHECK(weft_spawn(&f, NULL, receive_until_cancelled, NULL) ==
			0);
		for (int i = 0; i < 3; i++)
			weft_yield();
		weft_cancel(f);
		T_CHECK(weft_join(f, NULL) == 0);
	}
	return unused;
}

static int race_with_cancel(void *slots)
{
	struct t_task sender, canceller, last;

	begin_race((size_t)(uintptr_t)slots);
	t_task_start(&sender, send_numbers, &seeds[0]);
	t_task_start(&canceller, cancel_others, NULL);
	t_task_end(&canceller);
	t_task_start(&last, receive_numbers, &seeds[1]);
	t_task_end(&sender);
	weft_chan_close(&chan);
	t_task_end(&last);
	end_race();
	return 0;
}

Test(chan, a_value_is_not_lost_to_cancellation, .timeout = 60 * T_SLOW)
{
	t_on_fibers(race_with_cancel, (void *)0);
	t_on_fibers(race_with_cancel, (void *)3);
}

/* --- one sender's values stay in order through any number of slots --- */

static void *send_ascending(void *unused)
{
	for (uint64_t i = 0; i < NUMBERS; i++)
		T_CHECK(put(i) == 0);
	weft_chan_close(&chan);
	return unused;
}

static int receive_ascending(void *slots)
{
	uint64_t values[5], next = 0;
	struct t_task t;
	ssize_t n;

	begin((size_t)(uintptr_t)slots);
	t_task_start(&t, send_ascending, NULL);
	while ((n = weft_chan_recv_many(&chan, values, 1 + next % 5)) > 0)
		for (ssize_t i = 0; i < n; i++)
			T_CHECK(values[i] == next++);
	T_CHECK(n == -EPIPE && next == NUMBERS);
	t_task_end(&t);
	return 0;
}

Test(chan, one_senders_values_stay_in_order, .timeout = 60 * T_SLOW)
{
	t_in_each_way(receive_ascending, (void *)0);
	t_in_each_way(receive_ascending, (void *)1);
	t_in_each_way(receive_ascending, (void *)128);
}
