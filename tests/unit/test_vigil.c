/* SPDX-License-Identifier: MIT */
/*
 * test_vigil.c - when the one who looks after the workers looks next: who may
 * move that and how far, and that nobody who rises is overlooked.
 */
#include "support/thread.h"

#include <sched.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/vigil.h"
#include "os/clock.h"

TestSuite(vigil, .timeout = 10 * T_SLOW);

#define NOW    1000000
#define SLACK  100
#define LATEST (NOW + 1000)

static struct wf_vigil vigil;
static struct wf_idle idle;

static void begin(void)
{
	wf_idle_begin(&idle, 1);
	cr_assert_eq(wf_vigil_begin(&vigil), 0);
	wf_vigil_allow(&vigil, SLACK, LATEST);
}

static weft_time due(void)
{
	return atom_load_rlx(&vigil.due);
}

struct row {
	weft_time due, now;
	bool first;
	weft_time becomes;
};

ParameterizedTestParameters(vigil, a_worker_that_rises_puts_off_a_look)
{
	static struct row rows[] = {
		/* Soon. */
		{NOW + 1, NOW, true, NOW + SLACK},
		{NOW + SLACK / 2 - 1, NOW, true, NOW + SLACK},
		/* It has rung just now. */
		{NOW - 1, NOW, true, NOW + SLACK},
		/* Not so soon that it would be worth a call. */
		{NOW + SLACK / 2, NOW, true, NOW + SLACK / 2},
		/* Somebody was awake, and may be held. */
		{NOW + 1, NOW, false, NOW + 1},
		/* There must be one. */
		{LATEST - 20, LATEST - 30, true, LATEST},
		{LATEST, LATEST - 10, true, LATEST},
		{LATEST + 5, LATEST, true, LATEST + 5},
		/* There was none. */
		{WF_RESTING, NOW, true, NOW + SLACK / 2},
		{WF_RESTING, NOW, false, NOW + SLACK / 2},
		{WF_RESTING, LATEST + 1, true, LATEST + 1 + SLACK / 2},
		/* It is being looked, or about to be. */
		{WF_LOOKING, NOW, true, WF_LOOKING},
		{WF_DISTURBED, NOW, true, WF_DISTURBED},
	};

	return cr_make_param_array(struct row, rows, array_count(rows));
}

ParameterizedTest(struct row *row, vigil, a_worker_that_rises_puts_off_a_look)
{
	begin();
	atom_store_rlx(&vigil.due, row->due);
	vigil_risen(&vigil, row->first, row->now);
	cr_assert_eq(due(), row->becomes, "%ld", (long)(due() - NOW));
	wf_vigil_end(&vigil);
}

Test(vigil, who_sleeps_sleeps_as_long)
{
	weft_time at;

	begin();
	at = wf_clock_now() + WEFT_MSEC(20);
	wf_vigil_sleep(&vigil, at);
	cr_assert_geq(wf_clock_now(), at);
	cr_assert_eq(due(), WF_LOOKING);
	wf_vigil_end(&vigil);
}

Test(vigil, a_disturbance_is_not_slept_through)
{
	begin();
	wf_vigil_disturb(&vigil);
	wf_vigil_sleep(&vigil, WEFT_FOREVER - 1);
	wf_vigil_disturb(&vigil);
	wf_vigil_rest(&vigil, &idle, wf_idle_all_asleep(&idle));
	cr_assert_eq(due(), WF_LOOKING);
	wf_vigil_end(&vigil);
}

static void *disturb(void *unused)
{
	while (due() == WF_LOOKING)
		sched_yield();
	wf_vigil_disturb(&vigil);
	return unused;
}

Test(vigil, a_disturbance_ends_a_sleep)
{
	struct t_thread t;

	begin();
	t_thread_begin(&t, disturb, NULL);
	wf_vigil_sleep(&vigil, WEFT_FOREVER - 1);
	t_thread_end(&t);
	wf_vigil_end(&vigil);
}

Test(vigil, who_has_seen_nobody_awake_rests_only_if_nobody_has_risen)
{
	uint64_t seen;

	begin();
	wf_idle_sleep(&idle, false);
	seen = wf_idle_all_asleep(&idle);
	cr_assert(wf_idle_rise(&idle));
	wf_idle_sleep(&idle, false);
	/* Or this would be for ever. */
	wf_vigil_rest(&vigil, &idle, seen);
	wf_vigil_end(&vigil);
}

/* A handler of signals may run so late, or in a child that has none. */
Test(vigil, who_disturbs_too_late_sets_nobody_elses_alarm)
{
	struct itimerspec far = {.it_value.tv_sec = 1000}, left;
	int fd, was;

	begin();
	was = vigil.alarm.fd;
	wf_vigil_end(&vigil);
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	cr_assert_eq(fd, was);
	cr_assert_eq(timerfd_settime(fd, 0, &far, NULL), 0);
	wf_vigil_disturb(&vigil);
	cr_assert_eq(timerfd_gettime(fd, &left), 0);
	cr_assert_gt(left.it_value.tv_sec, 0);
	close(fd);
}

/* --- many times --- */

static _Atomic size_t looks;
static _Atomic bool over;

static void *look_again_and_again(void *unused)
{
	while (!atom_load_rlx(&over)) {
		uint64_t word = wf_idle_all_asleep(&idle);

		/* release: what the other waits for */
		atom_store_rel(&looks, atom_load_rlx(&looks) + 1);
		if (word)
			wf_vigil_rest(&vigil, &idle, word);
		else
			wf_vigil_sleep(&vigil, wf_clock_now());
	}
	return unused;
}

static void await_another_than(size_t before)
{
	/* acquire: see above */
	while (atom_load_acq(&looks) == before)
		sched_yield();
}

/* A worker rises, and waits for a look; it sleeps, and does not wait. */
Test(vigil, no_rise_is_overlooked)
{
	struct t_thread t;

	begin();
	wf_vigil_allow(&vigil, 0, 0);
	t_thread_begin(&t, look_again_and_again, NULL);
	for (size_t i = t_scale(5000); i; i--) {
		size_t before;
		bool first;

		wf_idle_sleep(&idle, false);
		if (i % 3 == 0)
			sched_yield();
		first = wf_idle_rise(&idle);
		cr_assert(first);
		before = atom_load_rlx(&looks);
		vigil_risen(&vigil, first, wf_clock_now());
		await_another_than(before);
	}
	atom_store_rlx(&over, true);
	wf_vigil_disturb(&vigil);
	t_thread_end(&t);
	wf_vigil_end(&vigil);
}

static void *put_off_again_and_again(void *unused)
{
	while (!atom_load_rlx(&over))
		vigil_risen(&vigil, true, wf_clock_now());
	return unused;
}

/* Whoever else puts looks off, to the end of time nearly. */
Test(vigil, no_disturbance_is_overlooked)
{
	struct t_thread looks_on, puts_off;

	begin();
	wf_vigil_allow(&vigil, WEFT_FOREVER / 2, WEFT_FOREVER - 1);
	t_thread_begin(&looks_on, look_again_and_again, NULL);
	t_thread_begin(&puts_off, put_off_again_and_again, NULL);
	for (size_t i = t_scale(5000); i; i--) {
		size_t before = atom_load_rlx(&looks);

		wf_vigil_disturb(&vigil);
		await_another_than(before);
	}
	atom_store_rlx(&over, true);
	wf_vigil_disturb(&vigil);
	t_thread_end(&puts_off);
	t_thread_end(&looks_on);
	wf_vigil_end(&vigil);
}
