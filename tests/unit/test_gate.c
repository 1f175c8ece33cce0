/* SPDX-License-Identifier: MIT */
/*
 * test_gate.c - who may enter a runtime, and that it closes behind the last.
 */
#include "support/t.h"

#include <pthread.h>
#include <sched.h>

#include "core/gate.h"

TestSuite(gate, .timeout = 10 * T_SLOW);

static bool close_now(void)
{
	enum wf_gate_end end;

	while ((end = wf_gate_close(wf_gate_look())) == WF_GATE_CHANGED)
		;
	return end == WF_GATE_CLOSED;
}

Test(gate, nobody_enters_what_has_not_been_opened)
{
	cr_assert_not(wf_gate_enter());
	cr_assert_not(wf_gate_closing());
}

Test(gate, who_enters_leaves_unnoticed_while_it_is_open)
{
	wf_gate_open();
	cr_assert(wf_gate_enter());
	cr_assert(wf_gate_enter());
	cr_assert_not(wf_gate_leave());
	cr_assert_not(wf_gate_leave());
}

Test(gate, it_closes_for_good_when_nobody_is_inside)
{
	wf_gate_open();
	cr_assert(close_now());
	cr_assert_not(wf_gate_enter());
	cr_assert_not(wf_gate_closing());
}

Test(gate, it_does_not_close_on_those_inside_but_asks_them)
{
	wf_gate_open();
	wf_gate_enter();
	wf_gate_enter();
	cr_assert_not(close_now());
	cr_assert(wf_gate_closing());
	cr_assert_not(wf_gate_enter());
	cr_assert_not(wf_gate_leave());
	cr_assert(wf_gate_leave(), "the last one has to say so");
	wf_gate_left();
	cr_assert(close_now());
}

static _Atomic bool woken;

static void *close_it(void *unused)
{
	while (!close_now())
		;
	T_CHECK(atomic_load(&woken));
	return unused;
}

/* The one who wakes a worker still needs that worker to be there. */
Test(gate, it_does_not_close_while_the_last_one_wakes_the_closer)
{
	pthread_t t;

	wf_gate_open();
	wf_gate_enter();
	cr_assert_not(close_now());
	cr_assert(wf_gate_leave());
	pthread_create(&t, NULL, close_it, NULL);
	for (int i = 0; i < 1000; i++)
		sched_yield();
	atomic_store(&woken, true);
	wf_gate_left();
	pthread_join(t, NULL);
	t_verify();
}

/* Who has come and gone may have left a fiber behind. */
Test(gate, it_does_not_close_when_somebody_has_been_inside_since_the_look)
{
	uint64_t seen;

	wf_gate_open();
	seen = wf_gate_look();
	cr_assert(wf_gate_enter());
	wf_gate_leave();
	cr_assert_eq(wf_gate_close(seen), WF_GATE_CHANGED);
	cr_assert(wf_gate_enter(), "it is open as before");
}

Test(gate, who_knows_a_living_fiber_may_come_in_while_it_closes)
{
	wf_gate_open();
	wf_gate_enter();
	cr_assert_not(close_now());
	wf_gate_hold();
	cr_assert_not(wf_gate_leave());
	cr_assert(wf_gate_leave());
	wf_gate_left();
	cr_assert(close_now());
}

/* Another thread has come and gone, before the one that was last has waked. */
Test(gate, only_one_at_a_time_is_the_last)
{
	wf_gate_open();
	wf_gate_enter();
	cr_assert_not(close_now());
	cr_assert(wf_gate_leave());
	wf_gate_hold();
	cr_assert_not(wf_gate_leave());
	cr_assert(wf_gate_closing());
	wf_gate_left();
	cr_assert(close_now());
}

Test(gate, it_can_be_reopened_while_it_closes)
{
	wf_gate_open();
	wf_gate_enter();
	cr_assert_not(close_now());
	wf_gate_reopen();
	cr_assert_not(wf_gate_closing());
	cr_assert(wf_gate_enter());
	wf_gate_leave();
	cr_assert_not(wf_gate_leave());
}

Test(gate, reopening_what_is_not_closing_does_nothing)
{
	wf_gate_reopen();
	cr_assert_not(wf_gate_enter());
	wf_gate_open();
	wf_gate_reopen();
	cr_assert(wf_gate_enter());
}

Test(gate, a_forked_child_finds_none)
{
	wf_gate_open();
	wf_gate_enter();
	wf_gate_forget();
	cr_assert_not(wf_gate_enter());
}

static _Atomic int inside;
static _Atomic bool closed, over;

static void *come_and_go(void *unused)
{
	while (!atomic_load(&over)) {
		if (!wf_gate_enter())
			continue;
		atomic_fetch_add(&inside, 1);
		T_CHECK(!atomic_load(&closed));
		atomic_fetch_sub(&inside, 1);
		if (wf_gate_leave())
			wf_gate_left();
	}
	return unused;
}

Test(gate, nobody_is_inside_when_it_has_closed)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, come_and_go, NULL);
	for (size_t i = t_scale(20000); i; i--) {
		atomic_store(&closed, false);
		wf_gate_open();
		while (!close_now())
			;
		atomic_store(&closed, true);
		T_CHECK(atomic_load(&inside) == 0);
	}
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	t_verify();
}
