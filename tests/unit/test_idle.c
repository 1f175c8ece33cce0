/* SPDX-License-Identifier: MIT */
/*
 * test_idle.c - the word that counts who is awake and who searches: each step
 * of its table, and what the steps answer.
 */
#include "support/t.h"

#include <pthread.h>

#include "core/idle.h"

TestSuite(idle, .timeout = 10 * T_SLOW);

static struct wf_idle idle;

static uint32_t awake(void)
{
	return idle_awake(atom_load_rlx(&idle.word));
}

static uint32_t searching(void)
{
	return idle_searching(atom_load_rlx(&idle.word));
}

Test(idle, in_the_beginning_all_are_awake_and_none_searches)
{
	wf_idle_begin(&idle, 4);
	cr_assert_eq(awake(), 4);
	cr_assert_eq(searching(), 0);
	cr_assert_not(idle_hungry(&idle));
	cr_assert_eq(wf_idle_all_asleep(&idle), 0);
}

struct row {
	uint32_t workers, searchers;
};

ParameterizedTestParameters(idle, half_may_search_and_always_one)
{
	static struct row rows[] = {{1, 1}, {2, 1}, {3, 1},
				    {4, 2}, {9, 4}, {256, 128}};

	return cr_make_param_array(struct row, rows, 6);
}

ParameterizedTest(struct row *row, idle, half_may_search_and_always_one)
{
	wf_idle_begin(&idle, row->workers);
	for (uint32_t i = 0; i < row->searchers; i++)
		cr_assert(wf_idle_search(&idle));
	cr_assert_not(wf_idle_search(&idle));
	cr_assert_eq(searching(), row->searchers);
	cr_assert_eq(awake(), row->workers);
}

Test(idle, only_the_last_searcher_is_told_that_it_was)
{
	wf_idle_begin(&idle, 4);
	wf_idle_search(&idle);
	wf_idle_search(&idle);
	cr_assert(idle_hungry(&idle));
	cr_assert_not(wf_idle_found(&idle));
	cr_assert(wf_idle_found(&idle));
	cr_assert_not(idle_hungry(&idle));
}

Test(idle, only_the_last_sleeper_is_told_that_it_was)
{
	wf_idle_begin(&idle, 2);
	cr_assert_not(wf_idle_sleep(&idle, false));
	cr_assert(idle_hungry(&idle));
	cr_assert_eq(wf_idle_all_asleep(&idle), 0);
	cr_assert(wf_idle_sleep(&idle, false));
	cr_assert_neq(wf_idle_all_asleep(&idle), 0);
}

Test(idle, a_searcher_that_sleeps_searches_no_more)
{
	wf_idle_begin(&idle, 2);
	wf_idle_search(&idle);
	wf_idle_sleep(&idle, true);
	cr_assert_eq(awake(), 1);
	cr_assert_eq(searching(), 0);
}

Test(idle, nobody_is_roused_while_all_are_awake)
{
	wf_idle_begin(&idle, 2);
	cr_assert_not(wf_idle_rouse(&idle));
}

Test(idle, nobody_is_roused_while_somebody_searches)
{
	wf_idle_begin(&idle, 4);
	wf_idle_sleep(&idle, false);
	wf_idle_search(&idle);
	cr_assert_not(wf_idle_rouse(&idle));
	wf_idle_found(&idle);
	cr_assert(wf_idle_rouse(&idle));
}

Test(idle, the_roused_counts_as_awake_and_searching)
{
	wf_idle_begin(&idle, 2);
	wf_idle_sleep(&idle, false);
	cr_assert(wf_idle_rouse(&idle));
	cr_assert_eq(awake(), 2);
	cr_assert_eq(searching(), 1);
	cr_assert_not(wf_idle_rouse(&idle), "one at a time");
	wf_idle_unrouse(&idle);
	cr_assert_eq(awake(), 1);
	cr_assert_eq(searching(), 0);
}

static void want(uint32_t wanted)
{
	atom_store_rlx(&idle.wanted, wanted);
}

Test(idle, nobody_is_roused_while_as_many_are_awake_as_are_wanted)
{
	wf_idle_begin(&idle, 4);
	wf_idle_sleep(&idle, false);
	want(3);
	cr_assert_not(idle_hungry(&idle));
	cr_assert_not(wf_idle_rouse(&idle));
	wf_idle_sleep(&idle, false);
	cr_assert(idle_hungry(&idle));
	cr_assert(wf_idle_rouse(&idle));
}

Test(idle, half_of_those_that_are_wanted_may_search)
{
	wf_idle_begin(&idle, 8);
	want(4);
	cr_assert(wf_idle_search(&idle));
	cr_assert(wf_idle_search(&idle));
	cr_assert_not(wf_idle_search(&idle));
	want(1);
	wf_idle_found(&idle);
	cr_assert_not(wf_idle_search(&idle), "one is enough");
	wf_idle_found(&idle);
	cr_assert(wf_idle_search(&idle));
}

/* A sleeper counts itself first, and takes it back if it has been roused. */
Test(idle, the_roused_is_counted_once)
{
	wf_idle_begin(&idle, 4);
	wf_idle_sleep(&idle, false);
	cr_assert(wf_idle_rouse(&idle));
	wf_idle_rise(&idle);
	cr_assert_eq(awake(), 5);
	cr_assert_not(wf_idle_rouse(&idle), "nobody is left to be roused");
	wf_idle_unrise(&idle);
	cr_assert_eq(awake(), 4);
	cr_assert_eq(searching(), 1);
}

/* Who counts what lives must see that somebody was awake in between. */
Test(idle, rising_leaves_a_trace_in_the_word)
{
	uint64_t before;

	wf_idle_begin(&idle, 1);
	wf_idle_sleep(&idle, false);
	before = wf_idle_all_asleep(&idle);
	wf_idle_rise(&idle);
	cr_assert_eq(wf_idle_all_asleep(&idle), 0);
	wf_idle_sleep(&idle, false);
	cr_assert_neq(wf_idle_all_asleep(&idle), 0);
	cr_assert_neq(wf_idle_all_asleep(&idle), before);
	before = wf_idle_all_asleep(&idle);
	wf_idle_rouse(&idle);
	wf_idle_sleep(&idle, true);
	cr_assert_neq(wf_idle_all_asleep(&idle), before);
}

static void *be_busy(void *unused)
{
	for (size_t i = t_scale(50000); i; i--) {
		bool search = wf_idle_search(&idle);

		if (search && i % 3 == 0)
			wf_idle_found(&idle), search = false;
		wf_idle_sleep(&idle, search);
		wf_idle_rise(&idle);
		if (wf_idle_rouse(&idle))
			wf_idle_unrouse(&idle);
	}
	return unused;
}

Test(idle, whatever_threads_do_the_counts_come_out_even)
{
	pthread_t t[4];

	wf_idle_begin(&idle, 4);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, be_busy, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	cr_assert_eq(awake(), 4);
	cr_assert_eq(searching(), 0);
}
