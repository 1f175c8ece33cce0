/* SPDX-License-Identifier: MIT */
/*
 * test_timer.c - the wheel, beside a list that is searched from end to end.
 * Time is what the tests say it is.
 */
#include "support/t.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/timer.h"

#define TICK ((weft_time)1 << WF_TICK_BITS)

TestSuite(timer, .timeout = 20 * T_SLOW);

static struct wf_wheel wheel;

/* Handles only tell timers apart: nothing in a wheel looks into them. */
struct entry {
	struct wf_timer timer;
	bool armed;
	uint64_t tick; /* at which it has to fire */
	weft_time deadline;
};

static struct entry *entries;
static struct weft_fiber *fibers;
static size_t count;
static uint64_t now_tick;

static void make(size_t n, weft_time now)
{
	count = n;
	entries = calloc(n, sizeof *entries);
	fibers = aligned_alloc(WF_CACHE_LINE, n * sizeof *fibers);
	cr_assert(entries && fibers);
	for (size_t i = 0; i < n; i++)
		atom_store_rlx(&fibers[i].due, WF_DUE_UNKNOWN);
	wf_wheel_begin(&wheel, now);
	now_tick = (uint64_t)now / TICK;
}

static void arm(size_t i, weft_time deadline)
{
	struct entry *e = &entries[i];

	e->deadline = deadline;
	e->tick = deadline <= 0 ? 0 : ((uint64_t)deadline - 1) / TICK + 1;
	e->armed = e->tick > now_tick;
	wf_timer_arm(&e->timer, &wheel, &fibers[i], deadline);
	cr_assert_eq(timer_fired(&e->timer), !e->armed);
}

static void disarm(size_t i)
{
	entries[i].armed = false;
	wf_timer_disarm(&entries[i].timer);
}

/* Everything that is due fires now, once, and nothing else. */
static size_t expire(weft_time now)
{
	struct weft_fiber *due[7];
	size_t all = 0;
	unsigned n;
	bool more;

	now_tick = (uint64_t)now / TICK;
	do {
		n = wf_wheel_expire(&wheel, now, due, 7, &more);
		for (unsigned k = 0; k < n; k++) {
			struct entry *e = &entries[due[k] - fibers];

			cr_assert(e->armed, "it was not armed, or fired twice");
			cr_assert_leq(e->deadline, now, "it is early");
			cr_assert(timer_fired(&e->timer));
			e->armed = false;
		}
		all += n;
	} while (more);
	return all;
}

static void none_is_late(void)
{
	for (size_t i = 0; i < count; i++)
		cr_assert(!entries[i].armed || entries[i].tick > now_tick,
			  "timer %zu should have fired", i);
}

/* The handle may know less than the timer, but nothing else. */
static void handle_is_right(size_t i, weft_time deadline)
{
	struct wf_timer *t = &entries[i].timer;

	if (!timer_surely_covers(&fibers[i], deadline))
		return;
	cr_assert(entries[i].armed, "timer %zu is not armed", i);
	cr_assert(timer_covers(t, deadline), "timer %zu is due later", i);
}

static weft_time nearest(void)
{
	uint64_t tick = UINT64_MAX;

	for (size_t i = 0; i < count; i++)
		if (entries[i].armed && entries[i].tick < tick)
			tick = entries[i].tick;
	return tick == UINT64_MAX ? WEFT_FOREVER : (weft_time)tick * TICK;
}

Test(timer, zero_bytes_are_an_empty_wheel)
{
	struct weft_fiber *due[1];
	bool more;

	cr_assert_eq(wheel_next(&wheel), WEFT_FOREVER);
	cr_assert_eq(wf_wheel_expire(&wheel, WEFT_SEC(1), due, 1, &more), 0);
	cr_assert_not(more);
}

Test(timer, a_timer_does_not_fire_before_its_deadline_and_then_does)
{
	make(1, WEFT_SEC(5));
	arm(0, WEFT_SEC(6));
	cr_assert_eq(expire(WEFT_SEC(6) - 1), 0);
	cr_assert_not(timer_fired(&entries[0].timer));
	cr_assert_eq(expire(WEFT_SEC(6) + TICK), 1);
	cr_assert_eq(wheel_next(&wheel), WEFT_FOREVER);
}

Test(timer, a_deadline_that_has_passed_has_fired_at_once)
{
	make(4, WEFT_SEC(5));
	arm(0, WEFT_SEC(1));
	arm(1, 0);
	arm(2, -WEFT_SEC(1));
	arm(3, WEFT_SEC(5) + 1);
	for (size_t i = 0; i < 3; i++)
		cr_assert(timer_fired(&entries[i].timer));
	cr_assert_not(timer_fired(&entries[3].timer));
	cr_assert_eq(wheel.count, 1);
	cr_assert_eq(expire(WEFT_SEC(5) + 2 * TICK), 1);
}

Test(timer, a_disarmed_timer_does_not_fire)
{
	make(2, 0);
	arm(0, WEFT_MSEC(1));
	arm(1, WEFT_MSEC(1));
	disarm(0);
	cr_assert_eq(expire(WEFT_SEC(1)), 1);
	disarm(1);
	cr_assert_eq(wheel.count, 0);
}

Test(timer, nobody_is_woken_for_one_that_is_disarmed)
{
	make(3, 0);
	arm(0, WEFT_SEC(1));
	arm(1, WEFT_MSEC(500));
	arm(2, WEFT_SEC(2));
	cr_assert_eq(wheel_next(&wheel), nearest());
	disarm(1);
	cr_assert_eq(wheel_next(&wheel), nearest());
	disarm(0);
	cr_assert_eq(wheel_next(&wheel), nearest());
	arm(1, WEFT_MSEC(200));
	cr_assert_eq(wheel_next(&wheel), nearest());
	cr_assert_not(wheel_due(&wheel, nearest() - 1));
	cr_assert(wheel_due(&wheel, nearest()));
	disarm(1);
	disarm(2);
	cr_assert_eq(wheel_next(&wheel), WEFT_FOREVER);
}

/* Two in one slot, the later one of which is left alone for a while. */
Test(timer, an_empty_slot_has_no_nearest)
{
	make(3, 0);
	for (int far = 0; far < 2; far++) {
		if (far)
			arm(2, 100000 * TICK);
		arm(0, 100 * TICK);
		arm(1, 110 * TICK);
		cr_assert_eq(wheel_next(&wheel), nearest());
		disarm(0);
		cr_assert_leq(wheel_next(&wheel), nearest());
		disarm(1);
		cr_assert_eq(wheel_next(&wheel), nearest());
	}
}

/* Of one that is used once more after its fiber has ended. */
Test(timer, a_disarmed_timer_does_for_no_deadline)
{
	make(1, 0);
	arm(0, WEFT_MSEC(1));
	cr_assert(timer_covers(&entries[0].timer, WEFT_MSEC(2)));
	disarm(0);
	cr_assert_not(timer_covers(&entries[0].timer, WEFT_MSEC(2)));
	cr_assert_not(timer_surely_covers(&fibers[0], WEFT_SEC(1)));
}

Test(timer, a_timer_can_be_armed_again)
{
	make(1, 0);
	for (int i = 1; i <= 100; i++) {
		arm(0, WEFT_MSEC(i));
		cr_assert_not(timer_fired(&entries[0].timer));
		if (i % 2)
			cr_assert_eq(expire(WEFT_MSEC(i) + TICK), 1);
		else
			disarm(0);
	}
}

Test(timer, the_handle_knows_that_the_timer_is_due_before)
{
	make(1, WEFT_SEC(5));
	arm(0, WEFT_SEC(6));
	cr_assert(timer_surely_covers(&fibers[0], WEFT_SEC(7)));
	cr_assert_not(timer_surely_covers(&fibers[0], WEFT_SEC(6) - 1));
	expire(WEFT_SEC(6) + TICK);
	cr_assert_not(timer_surely_covers(&fibers[0], WEFT_SEC(7)));
	arm(0, WEFT_SEC(7));
	cr_assert(timer_surely_covers(&fibers[0], WEFT_SEC(8)));
	disarm(0);
	cr_assert_not(timer_surely_covers(&fibers[0], WEFT_SEC(8)));
}

Test(timer, no_more_are_handed_out_than_there_is_room_for)
{
	struct weft_fiber *due[3];
	unsigned all = 0, n;
	bool more;

	make(10, 0);
	for (size_t i = 0; i < count; i++)
		arm(i, WEFT_MSEC(1));
	do {
		n = wf_wheel_expire(&wheel, WEFT_MSEC(2), due, 3, &more);
		cr_assert_leq(n, 3);
		all += n;
	} while (more);
	cr_assert_eq(all, 10);
}

/* More than come down a level in one call, beside one that is far. */
Test(timer, a_slot_that_comes_down_in_several_calls_stays_due)
{
	const weft_time slot = (weft_time)TICK << (3 * WF_WHEEL_BITS);

	make(1000, 0);
	arm(0, 2 * slot - TICK);
	for (size_t i = 1; i < count; i++)
		arm(i, slot + (weft_time)(i % 2) * TICK);
	cr_assert_eq(wheel_next(&wheel), slot);
	cr_assert_eq(expire(slot + TICK), count - 1);
	none_is_late();
	cr_assert_eq(expire(2 * slot), 1);
}

Test(timer, what_one_call_has_left_is_next)
{
	const weft_time slot = (weft_time)TICK << (3 * WF_WHEEL_BITS);
	struct weft_fiber *due[1];
	bool more;

	make(100, 0);
	arm(0, 2 * slot - TICK);
	for (size_t i = 1; i < count; i++)
		arm(i, slot);
	for (size_t i = 1; i < count; i++) {
		cr_assert_leq(wheel_next(&wheel), slot);
		cr_assert_eq(wf_wheel_expire(&wheel, slot, due, 1, &more), 1);
	}
	cr_assert_gt(wheel_next(&wheel), slot);
}

Test(timer, the_far_future_is_far)
{
	weft_time year = WEFT_SEC(365 * 86400);

	make(3, WEFT_SEC(5));
	arm(0, WEFT_FOREVER - 1);
	arm(1, 17 * year);
	arm(2, year);
	cr_assert_eq(expire(year - WEFT_SEC(1)), 0);
	cr_assert_eq(expire(year + WEFT_SEC(1)), 1);
	cr_assert_eq(expire(17 * year - WEFT_SEC(1)), 0);
	cr_assert_eq(expire(17 * year + WEFT_SEC(1)), 1);
	cr_assert_neq(wheel_next(&wheel), WEFT_FOREVER);
	disarm(0);
	cr_assert_eq(wheel_next(&wheel), WEFT_FOREVER);
}

/* A delay of any order of magnitude. */
static weft_time random_delay(uint64_t *seed)
{
	uint64_t r = t_random(seed);

	return (weft_time)(t_random(seed) >> (64 - 10 - r % 40));
}

Test(timer, random_timers_fire_when_a_naive_list_says_so)
{
	uint64_t seed = t_seed();
	weft_time now = WEFT_SEC(1000);

	make(256, now);
	for (size_t round = t_scale(50000); round; round--) {
		size_t i = t_random(&seed) % count;

		if (entries[i].armed)
			disarm(i);
		else
			arm(i, now + random_delay(&seed) - WEFT_USEC(100));
		if (t_random(&seed) % 4)
			continue;
		cr_assert_leq(wheel_next(&wheel), nearest());
		now += random_delay(&seed) / 4;
		expire(now);
		none_is_late();
		for (size_t k = 0; k < count; k++)
			handle_is_right(k, now + random_delay(&seed));
	}
}

Test(timer, each_sleep_until_next_ends_when_a_timer_is_due)
{
	uint64_t seed = t_seed();
	weft_time next;
	size_t fired = 0, steps = 0;

	make(1000, WEFT_SEC(7));
	for (size_t i = 0; i < count; i++)
		arm(i, WEFT_SEC(7) + random_delay(&seed));
	while ((next = wheel_next(&wheel)) != WEFT_FOREVER) {
		cr_assert_eq(next, nearest());
		fired += expire(next);
		none_is_late();
		steps++;
	}
	cr_assert_eq(fired, count);
	cr_assert_leq(steps, count);
}

Test(timer, a_hundred_thousand_fire_in_the_order_of_their_ticks)
{
	uint64_t seed = t_seed();
	size_t fired = 0;

	make(t_scale(100000), 0);
	for (size_t i = 0; i < count; i++)
		arm(i, (weft_time)(t_random(&seed) % WEFT_SEC(10)));
	for (weft_time now = 0; now <= WEFT_SEC(11); now += WEFT_MSEC(10))
		fired += expire(now);
	none_is_late();
	cr_assert_eq(fired, count);
	cr_assert_eq(wheel.count, 0);
}

/* --- while another thread lets time pass --- */

static _Atomic weft_time shared_now;
static _Atomic bool over;

static void *pass_time(void *unused)
{
	struct weft_fiber *due[16];

	while (!atomic_load(&over)) {
		weft_time now = atomic_fetch_add(&shared_now, TICK / 2);

		bool more;

		do
			wf_wheel_expire(&wheel, now, due, 16, &more);
		while (more);
	}
	return unused;
}

Test(timer, nobody_touches_a_timer_after_it_has_been_disarmed)
{
	struct wf_timer timers[8], dead[8];
	struct weft_fiber f;
	uint64_t seed = t_seed();
	pthread_t t;

	pthread_create(&t, NULL, pass_time, NULL);
	memset(dead, 0xaa, sizeof dead);
	for (size_t round = t_scale(50000); round; round--) {
		for (int i = 0; i < 8; i++)
			wf_timer_arm(&timers[i], &wheel, &f,
				     atomic_load(&shared_now) +
					     random_delay(&seed) / 1024);
		for (int i = 0; i < 8; i++)
			wf_timer_disarm(&timers[i]);
		memset(timers, 0xaa, sizeof timers);
		cr_assert_eq(memcmp(timers, dead, sizeof dead), 0);
	}
	atomic_store(&over, true);
	pthread_join(t, NULL);
	cr_assert_eq(wheel.count, 0);
}
