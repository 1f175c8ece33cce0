/* SPDX-License-Identifier: MIT */
/*
 * test_select.c - of several things one is done, the others are not; no value
 * is lost or doubled whoever meets whom; descriptors are told of as by poll(2).
 */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/waiters.h"
#include "support/thread.h"

#include "core/select.h"

TestSuite(select, .timeout = 10 * T_SLOW);

#define CHANS 4

static struct weft_chan chans[CHANS];
static uint64_t rooms[CHANS][128];

static void begin(size_t slots)
{
	for (int i = 0; i < CHANS; i++)
		T_CHECK(weft_chan_init(&chans[i], sizeof **rooms, slots,
				       rooms[i]) == 0);
}

static int put(struct weft_chan *c, uint64_t value)
{
	return weft_chan_try_send(c, &value);
}

static int64_t get(struct weft_chan *c)
{
	uint64_t value = 0;
	int r = weft_chan_try_recv(c, &value);

	return r < 0 ? r : (int64_t)value;
}

static void nobody_waits(void)
{
	for (int i = 0; i < CHANS; i++) {
		T_CHECK(t_senders(&chans[i]) == 0);
		T_CHECK(t_receivers(&chans[i]) == 0);
	}
}

/* --- which one --- */

static int choose(void *unused)
{
	uint64_t in = 0, out = 8;
	struct weft_case c[] = {
		weft_case_recv(&chans[0], &in),
		weft_case_send(&chans[1], &out),
		weft_case_recv(&chans[2], &in),
	};

	(void)unused;
	begin(1);
	T_CHECK(put(&chans[1], 1) == 0);
	T_CHECK(weft_try_select(c, 3) == -EAGAIN);
	T_CHECK(weft_select_until(c, 3, 0) == -ETIMEDOUT);
	T_CHECK(put(&chans[2], 7) == 0);
	T_CHECK(weft_select(c, 3) == 2);
	T_CHECK(c[2].result == 0 && in == 7);
	T_CHECK(get(&chans[1]) == 1);
	T_CHECK(weft_try_select(c, 3) == 1 && c[1].result == 0);
	T_CHECK(get(&chans[1]) == 8);
	T_CHECK(put(&chans[0], 9) == 0);
	T_CHECK(weft_select_until(c, 1, 0) == 0 && in == 9);
	nobody_waits();
	return 0;
}

Test(select, the_one_that_is_possible_is_done_and_no_other)
{
	t_in_each_way(choose, NULL);
}

static int choose_fairly(void *unused)
{
	const unsigned turns = 3000;
	unsigned count[3] = {0};
	uint64_t in, out = 1;
	struct weft_case c[] = {
		weft_case_recv(&chans[0], &in),
		weft_case_send(&chans[1], &out),
		weft_case_recv(&chans[2], &in),
	};

	(void)unused;
	begin(1);
	weft_chan_close(&chans[2]);
	for (unsigned i = 0; i < turns; i++) {
		int r;

		put(&chans[0], i);
		get(&chans[1]);
		r = weft_select(c, 3);
		T_CHECK(r >= 0 && r < 3);
		count[r]++;
	}
	/* A third each is expected; a tenth is beyond all chance. */
	for (int i = 0; i < 3; i++)
		T_CHECK(count[i] > turns / 10);
	return 0;
}

Test(select, each_that_is_possible_has_its_chance)
{
	t_in_each_way(choose_fairly, NULL);
}

static int select_closed(void *unused)
{
	uint64_t value = 3;
	struct weft_case c[] = {
		weft_case_recv(&chans[0], &value),
		weft_case_send(&chans[1], &value),
	};

	(void)unused;
	begin(1);
	put(&chans[0], 5);
	weft_chan_close(&chans[0]);
	T_CHECK(weft_select(c, 1) == 0 && c[0].result == 0 && value == 5);
	T_CHECK(weft_select(c, 1) == 0 && c[0].result == -EPIPE);
	weft_chan_close(&chans[1]);
	T_CHECK(weft_select(c + 1, 1) == 0 && c[1].result == -EPIPE);
	T_CHECK(value == 5 && weft_chan_count(&chans[1]) == 0);
	return 0;
}

Test(select, a_closed_channel_is_a_result)
{
	t_in_each_way(select_closed, NULL);
}

/* --- waiting --- */

static void *put_one_later(void *which)
{
	uintptr_t i = (uintptr_t)which;

	t_await_receivers(&chans[i], 1);
	T_CHECK(put(&chans[i], i + 10) == 0);
	return NULL;
}

static int wait_for_each(void *slots)
{
	uint64_t in[CHANS];
	struct weft_case c[CHANS];

	begin((size_t)(uintptr_t)slots);
	for (int i = 0; i < CHANS; i++)
		c[i] = weft_case_recv(&chans[i], &in[i]);
	for (uintptr_t i = 0; i < CHANS; i++) {
		struct t_task t;

		memset(in, 0, sizeof in);
		t_task_start(&t, put_one_later, (void *)i);
		T_CHECK(weft_select(c, CHANS) == (int)i);
		T_CHECK(c[i].result == 0);
		for (uintptr_t k = 0; k < CHANS; k++)
			T_CHECK(in[k] == (k == i ? i + 10 : 0));
		t_task_end(&t);
		nobody_waits();
	}
	return 0;
}

Test(select, who_waits_is_woken_by_any)
{
	t_in_each_way(wait_for_each, (void *)0);
	t_in_each_way(wait_for_each, (void *)1);
}

static void *get_one_later(void *which)
{
	uintptr_t i = (uintptr_t)which;

	t_await_senders(&chans[i], 1);
	T_CHECK(get(&chans[i]) == (int64_t)i + 20);
	return NULL;
}

static int wait_to_send(void *unused)
{
	uint64_t out[CHANS];
	struct weft_case c[CHANS];

	(void)unused;
	begin(0);
	for (int i = 0; i < CHANS; i++) {
		out[i] = (uint64_t)i + 20;
		c[i] = weft_case_send(&chans[i], &out[i]);
	}
	for (uintptr_t i = 0; i < CHANS; i++) {
		struct t_task t;

		t_task_start(&t, get_one_later, (void *)i);
		T_CHECK(weft_select(c, CHANS) == (int)i);
		T_CHECK(c[i].result == 0);
		t_task_end(&t);
		nobody_waits();
		for (int k = 0; k < CHANS; k++)
			T_CHECK(get(&chans[k]) == -EAGAIN);
	}
	return 0;
}

Test(select, what_is_offered_to_many_is_taken_by_one)
{
	t_in_each_way(wait_to_send, NULL);
}

static void *close_later(void *which)
{
	uintptr_t i = (uintptr_t)which;

	if (i == 1)
		t_await_senders(&chans[1], 1);
	else
		t_await_receivers(&chans[i], 1);
	weft_chan_close(&chans[i]);
	return NULL;
}

static int wait_for_an_end(void *which)
{
	uint64_t value = 3;
	struct weft_case c[] = {
		weft_case_recv(&chans[0], &value),
		weft_case_send(&chans[1], &value),
	};
	struct t_task t;

	begin(0);
	t_task_start(&t, close_later, which);
	T_CHECK(weft_select(c, 2) == (int)(uintptr_t)which);
	T_CHECK(c[(uintptr_t)which].result == -EPIPE && value == 3);
	t_task_end(&t);
	nobody_waits();
	return 0;
}

Test(select, closing_wakes_who_waits)
{
	t_in_each_way(wait_for_an_end, (void *)0);
	t_in_each_way(wait_for_an_end, (void *)1);
}

static int time_out(void *unused)
{
	uint64_t value = 0;
	struct weft_case c[] = {
		weft_case_recv(&chans[0], &value),
		weft_case_send(&chans[1], &value),
	};
	weft_time deadline = weft_after(WEFT_MSEC(2));

	(void)unused;
	begin(0);
	T_CHECK(weft_select_until(c, 2, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	deadline = weft_after(WEFT_MSEC(2));
	T_CHECK(weft_select_until(NULL, 0, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(weft_try_select(NULL, 0) == -EAGAIN);
	nobody_waits();
	return 0;
}

Test(select, a_deadline_ends_the_wait_and_not_before)
{
	t_in_each_way(time_out, NULL);
}

static void *be_cancelled(void *count)
{
	uint64_t value = 0;
	struct weft_case c[] = {
		weft_case_recv(&chans[0], &value),
		weft_case_send(&chans[1], &value),
	};

	T_CHECK(weft_select(c, (size_t)(uintptr_t)count) == -ECANCELED);
	T_CHECK(put(&chans[0], 1) == -EAGAIN && get(&chans[1]) == -EAGAIN);
	nobody_waits();
	return NULL;
}

static int cancel(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	begin(0);
	T_CHECK(weft_spawn(&f, NULL, be_cancelled, (void *)2) == 0);
	t_await_senders(&chans[1], 1);
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(weft_spawn(&f, NULL, be_cancelled, (void *)0) == 0);
	weft_yield();
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(select, cancellation_ends_the_wait)
{
	t_on_fibers(cancel, NULL);
}

/* --- who meets whom --- */

static int meet_nobody(void *unused)
{
	uint64_t in = 0, out = 4;
	struct weft_case c[] = {
		weft_case_send(&chans[0], &out),
		weft_case_recv(&chans[0], &in),
		weft_case_recv(&chans[0], &in),
		weft_case_send(&chans[0], &out),
	};

	(void)unused;
	begin(0);
	for (int i = 0; i < 5; i++)
		T_CHECK(weft_select_until(c, 4, weft_after(WEFT_MSEC(1))) ==
			-ETIMEDOUT);
	T_CHECK(in == 0);
	nobody_waits();
	return 0;
}

Test(select, it_does_not_meet_itself)
{
	t_in_each_way(meet_nobody, NULL);
}

struct both {
	uint64_t sent, received; /* how often */
	uint64_t sum_sent, sum_received;
};

/* Send on one and receive on the other, whatever comes first. */
static void *face(void *arg)
{
	struct both *b = arg;
	uint64_t in, out = 1;
	struct weft_case c[] = {
		weft_case_send(&chans[0], &out),
		weft_case_recv(&chans[0], &in),
	};

	for (;;) {
		int r = weft_select(c, 2);

		if (c[r].result == -EPIPE)
			return NULL;
		T_CHECK(c[r].result == 0);
		if (r == 0) {
			b->sent++;
			b->sum_sent += out++;
		} else {
			b->received++;
			b->sum_received += in;
		}
		if (b->sent + b->received >= t_scale(20000))
			weft_chan_close(&chans[0]);
	}
}

static int face_each_other(void *slots)
{
	struct both both[3] = {{0}};
	uint64_t sent = 0, received = 0, left;
	struct t_task t[3];

	begin((size_t)(uintptr_t)slots);
	for (int i = 0; i < 3; i++)
		t_task_start(&t[i], face, &both[i]);
	for (int i = 0; i < 3; i++) {
		t_task_end(&t[i]);
		sent += both[i].sum_sent;
		received += both[i].sum_received;
	}
	while (weft_chan_try_recv(&chans[0], &left) == 0)
		received += left;
	T_CHECK(sent == received);
	nobody_waits();
	return 0;
}

Test(select, those_who_face_each_other_meet, .timeout = 60 * T_SLOW)
{
	t_in_each_way(face_each_other, (void *)0);
	t_in_each_way(face_each_other, (void *)1);
	t_in_each_way(face_each_other, (void *)5);
}

/* Two channels crosswise: each offers on one what the other wants there. */
static _Atomic uint64_t total;

static void *cross(void *way)
{
	uintptr_t mine = (uintptr_t)way;
	uint64_t in, out = 1;
	struct weft_case c[] = {
		weft_case_send(&chans[mine], &out),
		weft_case_recv(&chans[!mine], &in),
	};

	for (uint64_t sent = 0, got = 0; sent + got < t_scale(20000);) {
		int r = weft_select(c, 2);

		T_CHECK(r >= 0 && c[r].result == 0);
		if (r == 0)
			sent++, atomic_fetch_add(&total, 1);
		else
			got++, atomic_fetch_sub(&total, 1);
	}
	return NULL;
}

static int cross_each_other(void *unused)
{
	struct t_task t[2];

	(void)unused;
	begin(0);
	total = 0;
	t_task_start(&t[0], cross, (void *)0);
	t_task_start(&t[1], cross, (void *)1);
	t_task_end(&t[0]);
	t_task_end(&t[1]);
	T_CHECK(total == 0);
	nobody_waits();
	return 0;
}

Test(select, those_who_cross_each_other_meet, .timeout = 60 * T_SLOW)
{
	t_in_each_way(cross_each_other, NULL);
}

/* --- everybody selects at random: what is sent is received, once --- */

#define NUMBERS t_scale(20000)
#define PLAYERS 4

static _Atomic uint8_t *seen;
static _Atomic uint64_t next_number;
static uint64_t seeds[2 * PLAYERS + 2];

static uint64_t new_number(void)
{
	return atomic_fetch_add(&next_number, 1);
}

static void took(uint64_t number)
{
	T_CHECK(number < NUMBERS);
	if (number < NUMBERS)
		T_CHECK(atomic_fetch_add(&seen[number], 1) == 0);
}

static int select_somehow(struct weft_case *c, size_t n, uint64_t *seed)
{
	weft_time soon = weft_after((weft_time)(t_random(seed) % 2000));

	switch (t_random(seed) % 4) {
	case 0:
		return weft_try_select(c, n);
	case 1:
		return weft_select_until(c, n, soon);
	default:
		return weft_select(c, n);
	}
}

/* The same number is offered everywhere, until it is taken somewhere. */
static void *offer(void *seed)
{
	uint64_t number;

	while ((number = new_number()) < NUMBERS) {
		struct weft_case c[CHANS];
		size_t n = 1 + t_random(seed) % CHANS;
		uint64_t first = t_random(seed);
		int r;

		for (size_t i = 0; i < n; i++)
			c[i] = weft_case_send(&chans[(first + i) % CHANS],
					      &number);
		while ((r = select_somehow(c, n, seed)) < 0) {
			T_CHECK(r == -EAGAIN || r == -ETIMEDOUT);
			if (r == -EAGAIN)
				weft_yield();
		}
		T_CHECK(c[r].result == 0);
	}
	return NULL;
}

/* Into a place of its own each: that no other one is written is seen too. */
static void *accept_any(void *seed)
{
	struct weft_case c[CHANS];
	uint64_t in[CHANS];
	int r, open = CHANS;

	while (open) {
		size_t first = t_random(seed) % CHANS;

		memset(in, 0xff, sizeof in);
		for (size_t i = 0; i < CHANS; i++)
			c[i] = weft_case_recv(&chans[(first + i) % CHANS],
					      &in[i]);
		r = select_somehow(c, CHANS, seed);
		for (int i = 0; i < CHANS; i++)
			T_CHECK((i == r && c[i].result == 0) ||
				in[i] == UINT64_MAX);
		if (r == -EAGAIN)
			weft_yield();
		else if (r >= 0 && c[r].result == 0)
			took(in[r]);
		else if (r >= 0)
			open = 0; /* all are closed together, and empty */
		else
			T_CHECK(r == -ETIMEDOUT);
	}
	return NULL;
}

/* Without a selection. */
static void *accept_one(void *which)
{
	uint64_t in;

	while (weft_chan_recv(which, &in) == 0)
		took(in);
	return NULL;
}

static void begin_play(size_t slots)
{
	uint64_t seed = t_seed();

	begin(slots);
	seen = calloc(NUMBERS, sizeof *seen);
	next_number = 0;
	for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
		seeds[i] = seed + i;
}

static void end_play(void)
{
	int64_t left;

	for (int i = 0; i < CHANS; i++)
		while ((left = get(&chans[i])) >= 0)
			took((uint64_t)left);
	for (size_t i = 0; i < NUMBERS; i++)
		T_CHECK(seen[i] == 1);
	nobody_waits();
	free((void *)seen);
}

static int play(void *slots)
{
	struct t_task offers[PLAYERS], accepts[PLAYERS], one;
	struct t_thread threads[2];
	bool mixed = weft_self();

	begin_play((size_t)(uintptr_t)slots);
	for (int i = 0; i < PLAYERS; i++) {
		t_task_start(&offers[i], offer, &seeds[i]);
		t_task_start(&accepts[i], accept_any, &seeds[PLAYERS + i]);
	}
	t_task_start(&one, accept_one, &chans[1]);
	if (mixed) {
		t_thread_begin(&threads[0], offer, &seeds[2 * PLAYERS]);
		t_thread_begin(&threads[1], accept_any,
			       &seeds[2 * PLAYERS + 1]);
		t_thread_end(&threads[0]);
	}
	for (int i = 0; i < PLAYERS; i++)
		t_task_end(&offers[i]);
	for (int i = 0; i < CHANS; i++)
		weft_chan_close(&chans[i]);
	for (int i = 0; i < PLAYERS; i++)
		t_task_end(&accepts[i]);
	t_task_end(&one);
	if (mixed)
		t_thread_end(&threads[1]);
	end_play();
	return 0;
}

Test(select, each_value_reaches_one_receiver_once, .timeout = 60 * T_SLOW)
{
	t_in_each_way(play, (void *)0);
	t_in_each_way(play, (void *)1);
	t_in_each_way(play, (void *)64);
}

static void *offer_until_cancelled(void *unused)
{
	uint64_t number = new_number();
	struct weft_case c[CHANS];
	int r;

	for (int i = 0; i < CHANS; i++)
		c[i] = weft_case_send(&chans[i], &number);
	r = weft_select(c, CHANS);
	T_CHECK(r >= 0 || r == -ECANCELED);
	if (r < 0)
		took(number);
	return unused;
}

static void *accept_until_cancelled(void *unused)
{
	uint64_t in[CHANS];
	struct weft_case c[CHANS];
	int r;

	for (int i = 0; i < CHANS; i++)
		c[i] = weft_case_recv(&chans[i], &in[i]);
	r = weft_select(c, CHANS);
	T_CHECK(r >= 0 || r == -ECANCELED);
	if (r >= 0)
		took(in[r]);
	return unused;
}

static int race_with_cancel(void *slots)
{
	uint64_t seed;

	begin_play((size_t)(uintptr_t)slots);
	seed = seeds[0];
	while (next_number < NUMBERS) {
		struct weft_fiber *f[2];

		T_CHECK(weft_spawn(&f[0], NULL, offer_until_cancelled, NULL) ==
			0);
		T_CHECK(weft_spawn(&f[1], NULL, accept_until_cancelled, NULL) ==
			0);
		for (uint64_t n = t_random(&seed) % 4; n; n--)
			weft_yield();
		weft_cancel(f[seed & 1]);
		weft_cancel(f[!(seed & 1)]);
		T_CHECK(weft_join(f[0], NULL) == 0);
		T_CHECK(weft_join(f[1], NULL) == 0);
	}
	end_play();
	return 0;
}

Test(select, a_value_is_not_lost_to_cancellation, .timeout = 60 * T_SLOW)
{
	t_on_fibers(race_with_cancel, (void *)0);
	t_on_fibers(race_with_cancel, (void *)2);
}

/* --- other kinds --- */

static struct weft_oneshot shot;
static struct weft_broadcast cast;
static struct weft_watch watch;
static uint64_t shot_place, watch_place;
static struct weft_broadcast_receiver hears;
static struct weft_watch_receiver sees;

static void begin_kinds(void)
{
	uint64_t first;

	begin(0);
	watch_place = 0;
	weft_oneshot_init(&shot, &shot_place, sizeof shot_place);
	T_CHECK(weft_broadcast_init(&cast, sizeof **rooms, 4, rooms[1]) == 0);
	weft_watch_init(&watch, &watch_place, sizeof watch_place);
	weft_broadcast_subscribe(&cast, &hears);
	weft_watch_subscribe(&watch, &sees);
	T_CHECK(weft_watch_recv(&sees, &first) == 0);
}

/* The watch is linked last. */
static void *change(void *which)
{
	uint64_t value = 40 + (uint64_t)(uintptr_t)which;

	t_await_queued(&watch.bell_, 1);
	switch ((uintptr_t)which) {
	case 0:
		T_CHECK(weft_chan_send(&chans[0], &value) == 0);
		break;
	case 1:
		T_CHECK(weft_oneshot_send(&shot, &value) == 0);
		break;
	case 2:
		T_CHECK(weft_broadcast_send(&cast, &value) == 0);
		break;
	default:
		T_CHECK(weft_watch_set(&watch, &value) == 0);
	}
	return NULL;
}

static int wait_for_each_kind(void *unused)
{
	uint64_t in[4];
	struct t_task t;

	(void)unused;
	begin_kinds();
	for (uintptr_t i = 0; i < 4; i++) {
		struct weft_case c[] = {
			weft_case_recv(&chans[0], &in[0]),
			weft_case_oneshot(&shot, &in[1]),
			weft_case_broadcast(&hears, &in[2]),
			weft_case_watch(&sees, &in[3]),
		};

		memset(in, 0, sizeof in);
		t_task_start(&t, change, (void *)i);
		T_CHECK(weft_select(c, 4) == (int)i && c[i].result == 0);
		for (uintptr_t k = 0; k < 4; k++)
			T_CHECK(in[k] == (k == i ? 40 + i : 0));
		t_task_end(&t);
		if (i == 1)
			weft_oneshot_init(&shot, &shot_place, sizeof in[1]);
		T_CHECK(weft_try_select(c, 4) == -EAGAIN);
		T_CHECK(t_queued(&shot.bell_) == 0);
		T_CHECK(t_queued(&cast.bell_) == 0);
		T_CHECK(t_queued(&watch.bell_) == 0);
	}
	nobody_waits();
	return 0;
}

Test(select, all_kinds_are_cases_of_one_selection)
{
	t_in_each_way(wait_for_each_kind, NULL);
}

static int ends_of_kinds(void *unused)
{
	uint64_t in;
	struct weft_case c[] = {
		weft_case_oneshot(&shot, &in),
		weft_case_broadcast(&hears, &in),
		weft_case_watch(&sees, &in),
	};

	(void)unused;
	begin_kinds();
	for (uint64_t i = 0; i < 7; i++)
		weft_broadcast_send(&cast, &i);
	T_CHECK(weft_select(c + 1, 1) == 0 && c[1].result == 3 && in == 3);
	while (weft_try_select(c + 1, 1) == 0)
		;
	weft_oneshot_close(&shot);
	weft_broadcast_close(&cast);
	weft_watch_close(&watch);
	for (int i = 0; i < 3; i++)
		T_CHECK(weft_select(c + i, 1) == 0 && c[i].result == -EPIPE);
	return 0;
}

Test(select, what_a_kind_returns_is_the_result_of_its_case)
{
	t_in_each_way(ends_of_kinds, NULL);
}

/* --- descriptors --- */

static int pipes[2];

static void open_pipe(void)
{
	T_CHECK(pipe(pipes) == 0);
}

static void close_pipe(void)
{
	T_CHECK(weft_close(pipes[0]) == 0);
	T_CHECK(weft_close(pipes[1]) == 0);
}

static int look_at_descriptors(void *unused)
{
	struct weft_case in, out;
	char byte;

	(void)unused;
	open_pipe();
	in = weft_case_fd(pipes[0], POLLIN);
	out = weft_case_fd(pipes[1], POLLOUT | POLLIN);
	T_CHECK(weft_try_select(&in, 1) == -EAGAIN);
	T_CHECK(weft_select(&out, 1) == 0 && out.result == POLLOUT);
	T_CHECK(write(pipes[1], "x", 1) == 1);
	for (int i = 0; i < 2; i++)
		T_CHECK(weft_select(&in, 1) == 0 && in.result == POLLIN);
	T_CHECK(weft_read(pipes[0], &byte, 1) == 1);
	T_CHECK(weft_try_select(&in, 1) == -EAGAIN);
	T_CHECK(weft_close(pipes[1]) == 0);
	T_CHECK(weft_select(&in, 1) == 0 && in.result == POLLHUP);
	T_CHECK(weft_close(pipes[0]) == 0);
	T_CHECK(weft_select(&in, 1) == 0 && in.result == POLLNVAL);
	in = weft_case_fd(-1, POLLIN);
	T_CHECK(weft_try_select(&in, 1) == -EAGAIN);
	T_CHECK(weft_select_until(&in, 1, weft_after(WEFT_MSEC(1))) ==
		-ETIMEDOUT);
	return 0;
}

Test(select, a_descriptor_is_what_poll_says)
{
	t_in_each_way(look_at_descriptors, NULL);
}

static int look_at_a_file(void *unused)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	struct weft_case c = weft_case_fd(fd, POLLIN);

	(void)unused;
	for (int i = 0; i < 3; i++)
		T_CHECK(weft_select(&c, 1) == 0 && c.result == POLLIN);
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(select, a_file_is_always_ready)
{
	t_in_each_way(look_at_a_file, NULL);
}

static void *write_later(void *unused)
{
	t_await_waiters(pipes[0], 1);
	T_CHECK(write(pipes[1], "x", 1) == 1);
	return unused;
}

static void *put_later(void *unused)
{
	t_await_waiters(pipes[0], 1);
	t_await_receivers(&chans[0], 1);
	T_CHECK(put(&chans[0], 6) == 0);
	return unused;
}

static int wait_for_both(void *unused)
{
	uint64_t value = 0;
	char byte;
	struct t_task t;

	(void)unused;
	begin(0);
	open_pipe();
	for (size_t i = t_scale(200); i; i--) {
		struct weft_case c[] = {
			weft_case_recv(&chans[0], &value),
			weft_case_fd(pipes[0], POLLIN),
		};

		t_task_start(&t, i % 2 ? write_later : put_later, NULL);
		T_CHECK(weft_select(c, 2) == (int)(i % 2));
		T_CHECK(i % 2 ? c[1].result == POLLIN : value == 6);
		if (i % 2)
			T_CHECK(weft_read(pipes[0], &byte, 1) == 1);
		t_task_end(&t);
		T_CHECK(t_waiters(pipes[0]) == 0);
		nobody_waits();
	}
	close_pipe();
	return 0;
}

Test(select, a_channel_and_a_descriptor_are_waited_for_together)
{
	t_on_fibers(wait_for_both, NULL);
	t_in_way(T_THREAD, wait_for_both, NULL);
}

static int time_out_on_a_descriptor(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(3));
	struct weft_case c[2];

	(void)unused;
	open_pipe();
	c[0] = weft_case_fd(pipes[0], POLLIN);
	c[1] = weft_case_fd(pipes[0], POLLPRI);
	T_CHECK(weft_select_until(c, 2, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline && t_waiters(pipes[0]) == 0);
	close_pipe();
	return 0;
}

Test(select, a_deadline_ends_a_wait_for_a_descriptor)
{
	t_on_fibers(time_out_on_a_descriptor, NULL);
	t_in_way(T_THREAD, time_out_on_a_descriptor, NULL);
}

static void *close_under_it(void *unused)
{
	t_await_waiters(pipes[0], 1);
	T_CHECK(weft_close(pipes[0]) == 0);
	return unused;
}

static int lose_a_descriptor(void *unused)
{
	int before = t_fds();

	(void)unused;
	begin(0);
	for (size_t i = t_scale(1000); i; i--) {
		uint64_t value;
		struct weft_case c[2];
		struct t_task t;

		open_pipe();
		c[0] = weft_case_recv(&chans[0], &value);
		c[1] = weft_case_fd(pipes[0], POLLIN);
		t_task_start(&t, close_under_it, NULL);
		T_CHECK(weft_select(c, 2) == 1 && c[1].result == POLLNVAL);
		t_task_end(&t);
		T_CHECK(weft_close(pipes[1]) == 0);
	}
	T_CHECK(t_fds() <= before + 2); /* and what is made once */
	return 0;
}

Test(select, a_descriptor_may_be_closed_under_it)
{
	t_on_fibers(lose_a_descriptor, NULL);
	t_in_way(T_THREAD, lose_a_descriptor, NULL);
}

/* Without a runtime nobody watches. */
static int nobody_watches(void *unused)
{
	uint64_t value;
	struct weft_case c[2];

	(void)unused;
	begin(1);
	open_pipe();
	c[0] = weft_case_fd(pipes[0], POLLIN);
	c[1] = weft_case_recv(&chans[0], &value);
	T_CHECK(weft_select(c, 2) == 0 && c[0].result == -ESRCH);
	T_CHECK(put(&chans[0], 5) == 0);
	T_CHECK(weft_select(c, 2) == 1 && value == 5);
	T_CHECK(write(pipes[1], "x", 1) == 1);
	T_CHECK(weft_select(c, 2) == 0 && c[0].result == POLLIN);
	nobody_waits();
	close_pipe();
	return 0;
}

Test(select, without_a_runtime_a_descriptor_is_not_waited_for)
{
	t_in_way(T_ALONE, nobody_watches, NULL);
}

static struct weft_case left[2];

static void *wait_beyond_the_end(void *unused)
{
	T_CHECK(weft_select(left, 2) == 1 && left[1].result == -ESRCH);
	return unused;
}

static pthread_t outlives;

static int end_meanwhile(void *unused)
{
	(void)unused;
	T_CHECK(pthread_create(&outlives, NULL, wait_beyond_the_end, NULL) ==
		0);
	t_await_waiters(pipes[0], 1);
	return 0;
}

Test(select, a_thread_that_waits_leaves_a_runtime_that_ends)
{
	uint64_t value;

	begin(0);
	open_pipe();
	left[0] = weft_case_recv(&chans[0], &value);
	left[1] = weft_case_fd(pipes[0], POLLIN);
	cr_assert_eq(t_run(1, end_meanwhile, NULL), 0);
	pthread_join(outlives, NULL);
	nobody_waits();
	close_pipe();
	t_verify();
}

/* --- everything at once: of what is counted nothing is lost --- */

enum kind {
	STREAM,
	CHAN,
	ONESHOT,
	BROADCAST,
	WATCH,
	NOTIFY,
	KINDS,
};

static struct weft_notify note, noted; /* and an answer to it */
static uint64_t values[KINDS];

static struct weft_case case_of_kind(enum kind k)
{
	switch (k) {
	case STREAM:
		return weft_case_fd(pipes[0], POLLIN);
	case CHAN:
		return weft_case_recv(&chans[0], &values[CHAN]);
	case ONESHOT:
		return weft_case_oneshot(&shot, &values[ONESHOT]);
	case BROADCAST:
		return weft_case_broadcast(&hears, &values[BROADCAST]);
	case WATCH:
		return weft_case_watch(&sees, &values[WATCH]);
	default:
		return weft_case_notified(&note);
	}
}

/* How much the count of a kind grows by a case that has come true. */
static uint64_t take(enum kind k, int result, uint64_t count)
{
	char some[8];
	ssize_t n;

	switch (k) {
	case STREAM:
		n = weft_read(pipes[0], some, sizeof some);
		T_CHECK(result == POLLIN && n > 0);
		return n > 0 ? (uint64_t)n : NUMBERS;
	case CHAN:
		T_CHECK(result == 0 && values[CHAN] == count);
		return 1;
	case ONESHOT:
		T_CHECK(result == 0 && values[ONESHOT] == count);
		weft_oneshot_init(&shot, &shot_place, sizeof shot_place);
		weft_chan_send(&chans[1], &count); /* the next may come */
		return 1;
	case BROADCAST:
		T_CHECK(result >= 0);
		T_CHECK(values[BROADCAST] == count + (uint64_t)result);
		return 1 + (uint64_t)result;
	case WATCH:
		T_CHECK(result == 0 && values[WATCH] > count);
		return values[WATCH] - count;
	default:
		T_CHECK(result == 0);
		weft_notify_one(&noted);
		return 1;
	}
}

/* The cases in another order each time, sometimes with a deadline. */
static void *drain(void *seed)
{
	uint64_t count[KINDS] = {0}, all = 0;

	while (all < KINDS * NUMBERS) {
		weft_time soon = weft_after((weft_time)(t_random(seed) % 9999));
		size_t first = t_random(seed) % KINDS;
		struct weft_case c[KINDS];
		enum kind k;
		uint64_t n;
		int r;

		for (size_t i = 0; i < KINDS; i++)
			c[i] = case_of_kind((first + i) % KINDS);
		r = t_random(seed) & 1 ? weft_select_until(c, KINDS, soon)
				       : weft_select(c, KINDS);
		T_CHECK(r >= 0 || r == -ETIMEDOUT);
		if (r < 0)
			continue;
		k = (first + (size_t)r) % KINDS;
		n = take(k, c[r].result, count[k]);
		count[k] += n;
		all += n;
	}
	for (int k = 0; k < KINDS; k++)
		T_CHECK(count[k] == NUMBERS);
	return NULL;
}

static void fill_once(enum kind k, uint64_t i)
{
	uint64_t next = i + 1, free;

	switch (k) {
	case STREAM:
		T_CHECK(weft_write(pipes[1], "y", 1) == 1);
		break;
	case CHAN:
		T_CHECK(weft_chan_send(&chans[0], &i) == 0);
		break;
	case ONESHOT:
		T_CHECK(weft_oneshot_send(&shot, &i) == 0);
		T_CHECK(weft_chan_recv(&chans[1], &free) == 0 && free == i);
		break;
	case BROADCAST:
		T_CHECK(weft_broadcast_send(&cast, &i) == 0);
		break;
	case WATCH:
		T_CHECK(weft_watch_set(&watch, &next) == 0);
		break;
	default:
		weft_notify_one(&note);
		T_CHECK(weft_notify_wait(&noted) == 0);
	}
}

static void *fill(void *kind)
{
	for (uint64_t i = 0; i < NUMBERS; i++)
		fill_once((enum kind)(uintptr_t)kind, i);
	return NULL;
}

static int fill_and_drain(void *unused)
{
	uint64_t seed = t_seed();
	struct t_task drains, fills[KINDS];

	(void)unused;
	begin_kinds();
	open_pipe();
	t_task_start(&drains, drain, &seed);
	for (uintptr_t k = 0; k < KINDS; k++)
		t_task_start(&fills[k], fill, (void *)k);
	t_task_end(&drains);
	for (int k = 0; k < KINDS; k++)
		t_task_end(&fills[k]);
	close_pipe();
	nobody_waits();
	return 0;
}

Test(select, of_everything_at_once_nothing_is_lost, .timeout = 60 * T_SLOW)
{
	t_on_fibers(fill_and_drain, NULL);
	t_in_way(T_THREAD, fill_and_drain, NULL);
}

/* --- one step at a time: what comes between two of them --- */

static void make_ready(enum kind k)
{
	struct wf_source *s;
	uint64_t value = 0, seen_of_it;

	switch (k) {
	case STREAM:
		T_CHECK(wf_source_enter(pipes[0], &s) == 0);
		T_CHECK(wf_source_arm(s) == 0);
		seen_of_it = source_ready(s);
		T_CHECK(write(pipes[1], "x", 1) == 1);
		while (source_ready(s) == seen_of_it)
			weft_yield();
		wf_source_leave(s);
		break;
	case CHAN:
		T_CHECK(put(&chans[0], value) == 0);
		break;
	case ONESHOT:
		T_CHECK(weft_oneshot_send(&shot, &value) == 0);
		break;
	case BROADCAST:
		T_CHECK(weft_broadcast_send(&cast, &value) == 0);
		break;
	case WATCH:
		T_CHECK(weft_watch_set(&watch, &value) == 0);
		break;
	default:
		weft_notify_one(&note);
	}
}

struct steps {
	struct weft_case c;
	struct wf_wait wait;
	struct wf_node other; /* by which somebody else may claim it */
};

static void step_to_link(struct steps *s, enum kind k)
{
	s->c = case_of_kind(k);
	T_CHECK(!s->c.kind_->attempt(&s->c));
	wait_begin(&s->wait, weft_self(), "test", 0);
	*case_node(&s->c) = (struct wf_node){.wait = &s->wait, .index = 1};
	s->other = (struct wf_node){.wait = &s->wait, .index = 2};
}

/* The kinds are begun, with room in the channel, and the pipe is watched. */
static void begin_steps(void)
{
	begin_kinds();
	begin(1);
	open_pipe();
	note = (struct weft_notify){0};
	make_ready(STREAM);
	take(STREAM, POLLIN, 0);
}

static void be_late(enum kind k)
{
	enum wf_linked linked;
	struct steps s;

	begin_steps();
	step_to_link(&s, k);
	make_ready(k);
	linked = s.c.kind_->link(&s.c);
	T_CHECK(linked == WF_DONE || linked == WF_NOT_DONE);
	T_CHECK(atom_load_rlx(&s.wait.word) == WF_SELF);
	s.c.kind_->unlink(&s.c);
	T_CHECK((linked == WF_DONE) != s.c.kind_->attempt(&s.c));
	close_pipe();
}

static int be_late_for_each(void *unused)
{
	(void)unused;
	for (int k = 0; k < KINDS; k++)
		be_late((enum kind)k);
	return 0;
}

Test(select, what_comes_before_the_link_is_not_missed)
{
	t_in_way(T_FIBER, be_late_for_each, NULL);
}

static void be_claimed(enum kind k)
{
	struct wf_wakes wakes;
	struct steps s;

	begin_steps();
	step_to_link(&s, k);
	make_ready(k);
	wakes_begin(&wakes);
	T_CHECK(wait_claim(&s.other, &wakes));
	T_CHECK(s.c.kind_->link(&s.c) == WF_LOST);
	s.c.kind_->unlink(&s.c);
	wf_wakes_fire(&wakes, NULL);
	T_CHECK(wf_wait_sleep(&s.wait, WEFT_FOREVER, true) == 2);
	T_CHECK(s.c.kind_->attempt(&s.c));
	close_pipe();
}

static int be_claimed_at_each(void *unused)
{
	(void)unused;
	for (int k = 0; k < KINDS; k++)
		be_claimed((enum kind)k);
	return 0;
}

Test(select, who_is_claimed_for_one_leaves_the_others_alone)
{
	t_in_way(T_FIBER, be_claimed_at_each, NULL);
}
