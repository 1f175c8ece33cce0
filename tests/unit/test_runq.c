/* SPDX-License-Identifier: MIT */
/*
 * test_runq.c - the run queue: whose turn it is, what thieves get, and that
 * nobody is lost or run twice.  Also built with a ring of four.
 */
#include "support/t.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/runq.h"

#define FIFO_EVERY 61

TestSuite(runq, .timeout = 20 * T_SLOW);

static uint32_t stolen; /* by the last steal */

static struct wf_runq queue, other;
static struct weft_fiber *fibers;
static size_t count;

static void make(size_t n)
{
	static struct wf_life *some = (struct wf_life *)&queue;

	count = n;
	fibers = aligned_alloc(WF_CACHE_LINE, n * sizeof *fibers);
	cr_assert_not_null(fibers);
	/* The odd ones have run before. */
	for (size_t i = 0; i < n; i++)
		fibers[i] = (struct weft_fiber){.life = i % 2 ? some : NULL};
}

static size_t index_of(struct weft_fiber *f)
{
	return f ? (size_t)(f - fibers) : SIZE_MAX;
}

static void push_all(void)
{
	for (size_t i = 0; i < count; i++)
		runq_push(&queue, &fibers[i]);
}

Test(runq, zero_bytes_are_an_empty_queue)
{
	cr_assert_null(wf_runq_pop(&queue));
	cr_assert_null(wf_runq_steal(&other, &queue, &stolen));
	cr_assert_not(runq_offers(&queue));
	cr_assert_not(runq_shareable(&queue));
	cr_assert_not(wf_runq_share(&queue));
}

Test(runq, woken_fibers_run_in_order)
{
	make(1000);
	push_all();
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(index_of(wf_runq_pop(&queue)), i);
	cr_assert_null(wf_runq_pop(&queue));
}

Test(runq, new_fibers_run_newest_first)
{
	make(FIFO_EVERY - 1);
	for (size_t i = 0; i < count; i++)
		runq_spawn(&queue, &fibers[i]);
	for (size_t i = count; i--;)
		cr_assert_eq(index_of(wf_runq_pop(&queue)), i);
	cr_assert_null(wf_runq_pop(&queue));
}

Test(runq, the_fiber_woken_last_runs_first)
{
	make(4);
	runq_push(&queue, &fibers[0]);
	runq_spawn(&queue, &fibers[1]);
	runq_wake(&queue, &fibers[2]);
	runq_wake(&queue, &fibers[3]);
	cr_assert_eq(index_of(wf_runq_pop(&queue)), 3);
	cr_assert_eq(index_of(wf_runq_pop(&queue)), 1);
	cr_assert_eq(index_of(wf_runq_pop(&queue)), 0);
	cr_assert_eq(index_of(wf_runq_pop(&queue)), 2);
	cr_assert_null(wf_runq_pop(&queue));
}

/* Two that keep waking each other must not keep all others waiting. */
Test(runq, the_next_slot_is_taken_only_a_few_times_in_a_row)
{
	int before = 0;

	make(2);
	runq_push(&queue, &fibers[0]);
	runq_wake(&queue, &fibers[1]);
	while (wf_runq_pop(&queue) == &fibers[1] && before < 100) {
		before++;
		runq_wake(&queue, &fibers[1]);
	}
	cr_assert_gt(before, 0);
	cr_assert_lt(before, 10);
	cr_assert_eq(index_of(wf_runq_pop(&queue)), 1, "it is still there");
}

Test(runq, new_fibers_do_not_keep_woken_ones_waiting_for_ever)
{
	size_t before = 0;

	make(FIFO_EVERY + 2);
	runq_push(&queue, &fibers[0]);
	for (size_t i = 1; i < count; i++)
		runq_spawn(&queue, &fibers[i]);
	while (index_of(wf_runq_pop(&queue)) != 0)
		before++;
	cr_assert_lt(before, FIFO_EVERY);
}

Test(runq, one_turn_in_many_passes_over_nobody_at_all)
{
	make(3 * FIFO_EVERY);
	for (size_t i = 0; i < count; i++)
		runq_spawn(&queue, &fibers[i]);
	for (size_t i = 0; i < count; i++)
		cr_assert_not_null(wf_runq_pop(&queue));
	cr_assert_null(wf_runq_pop(&queue));
}

/* --- sharing --- */

Test(runq, a_single_fiber_is_not_shared)
{
	make(1);
	push_all();
	cr_assert_not(runq_shareable(&queue));
	cr_assert_not(wf_runq_share(&queue));
	cr_assert_null(wf_runq_steal(&other, &queue, &stolen));
	cr_assert_eq(index_of(wf_runq_pop(&queue)), 0);
}

Test(runq, a_thief_gets_the_oldest_first_and_half_of_what_is_offered)
{
	uint32_t offered, taken;

	make(16);
	push_all();
	cr_assert(wf_runq_share(&queue));
	offered = atom_load_rlx(&queue.tail) - atom_load_rlx(&queue.head);
	cr_assert_eq(offered, WF_RUNQ_CAP < 8 ? WF_RUNQ_CAP : 8);
	cr_assert_eq(index_of(wf_runq_steal(&other, &queue, &stolen)), 0);
	taken = atom_load_rlx(&queue.head);
	cr_assert_eq(taken, offered / 2);
	cr_assert_eq(other.count, taken - 1);
	/* New ones newest first, then those that have run, in order. */
	for (size_t i = (taken - 1) / 2; i > 0; i--)
		cr_assert_eq(index_of(wf_runq_pop(&other)), 2 * i);
	for (size_t i = 1; i < taken; i += 2)
		cr_assert_eq(index_of(wf_runq_pop(&other)), i);
	cr_assert_null(wf_runq_pop(&other));
}

Test(runq, the_owner_takes_back_what_nobody_stole_in_order)
{
	make(16);
	push_all();
	wf_runq_share(&queue);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(index_of(wf_runq_pop(&queue)), i);
	cr_assert_not(runq_offers(&queue));
}

Test(runq, what_is_offered_has_to_be_taken_before_more_is)
{
	uint32_t offered;

	make(64);
	push_all();
	wf_runq_share(&queue);
	offered = atom_load_rlx(&queue.tail);
	cr_assert(wf_runq_share(&queue));
	cr_assert_eq(atom_load_rlx(&queue.tail), offered);
}

Test(runq, new_fibers_are_offered_when_no_woken_ones_are_there)
{
	make(4);
	for (size_t i = 0; i < count; i++)
		runq_spawn(&queue, &fibers[i]);
	cr_assert(wf_runq_share(&queue));
	cr_assert_eq(index_of(wf_runq_steal(&other, &queue, &stolen)), 0);
}

Test(runq, the_next_slot_is_never_offered)
{
	make(3);
	runq_push(&queue, &fibers[0]);
	runq_push(&queue, &fibers[1]);
	runq_wake(&queue, &fibers[2]);
	wf_runq_share(&queue);
	cr_assert_eq(index_of(wf_runq_steal(&other, &queue, &stolen)), 0);
	cr_assert_null(wf_runq_steal(&other, &queue, &stolen));
	cr_assert_eq(index_of(wf_runq_pop(&queue)), 2);
}

Test(runq, a_full_ring_leaves_the_rest_with_the_owner)
{
	make(8 * WF_RUNQ_CAP);
	push_all();
	wf_runq_share(&queue);
	cr_assert_eq(atom_load_rlx(&queue.tail), WF_RUNQ_CAP);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(index_of(wf_runq_pop(&queue)), i);
}

Test(runq, its_counters_may_wrap)
{
	make(64);
	atom_store_rlx(&queue.head, UINT32_MAX - 1);
	atom_store_rlx(&queue.tail, UINT32_MAX - 1);
	push_all();
	for (size_t i = 0; i < count; i++) {
		wf_runq_share(&queue);
		cr_assert_eq(index_of(wf_runq_pop(&queue)), i);
	}
}

/* --- with thieves --- */

static _Atomic unsigned char *runs;
static _Atomic size_t ran;

static void run(struct weft_fiber *f)
{
	atomic_fetch_add(&runs[f - fibers], 1);
	atomic_fetch_add(&ran, 1);
}

static void *thieve(void *unused)
{
	struct wf_runq *own = aligned_alloc(WF_CACHE_LINE, sizeof *own);
	struct weft_fiber *f;

	memset(own, 0, sizeof *own);
	while (atomic_load(&ran) < count) {
		uint32_t n;

		if (!(f = wf_runq_steal(own, &queue, &n)))
			continue;
		do
			run(f);
		while ((f = wf_runq_pop(own)));
	}
	free(own);
	return unused;
}

/* What an owner may do, in an order that the seed decides. */
static void own(uint64_t seed)
{
	static void (*const add[])(struct wf_runq *, struct weft_fiber *) = {
		runq_push, runq_wake, runq_spawn, runq_spawn};
	struct weft_fiber *f;
	size_t next = 0;

	while (atomic_load(&ran) < count) {
		uint64_t r = t_random(&seed);

		for (uint64_t n = r & 15; n && next < count; n--, r >>= 1)
			add[r >> 8 & 3](&queue, &fibers[next++]);
		wf_runq_share(&queue);
		for (uint64_t n = r >> 60; n && (f = wf_runq_pop(&queue)); n--)
			run(f);
	}
}

Test(runq, with_two_thieves_each_fiber_runs_once)
{
	uint64_t seed = t_seed();
	pthread_t t[2];

	make(t_scale(200000));
	runs = calloc(count, 1);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, thieve, NULL);
	own(seed);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(runs[i], 1);
	cr_assert_null(wf_runq_pop(&queue));
	cr_assert_not(runq_offers(&queue));
}

/* Owner and thief are after the same one, again and again. */
Test(runq, the_last_one_offered_goes_to_one_of_both)
{
	size_t rounds = t_scale(300000);
	struct weft_fiber *f;
	pthread_t t;

	make(2 * rounds);
	runs = calloc(count, 1);
	pthread_create(&t, NULL, thieve, NULL);
	for (size_t i = 0; i < count; i += 2) {
		runq_push(&queue, &fibers[i]);
		runq_push(&queue, &fibers[i + 1]);
		wf_runq_share(&queue);
		while (atomic_load(&ran) < i + 2)
			if ((f = wf_runq_pop(&queue)))
				run(f);
	}
	pthread_join(t, NULL);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(runs[i], 1);
}
