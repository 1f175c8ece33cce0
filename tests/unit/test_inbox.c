/* SPDX-License-Identifier: MIT */
/*
 * test_inbox.c - the fibers that only one worker may run: order, also when
 * several threads deliver.
 */
#include "support/t.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/inbox.h"

#define SENDERS 3

TestSuite(inbox, .timeout = 10 * T_SLOW);

static struct wf_inbox inbox;
static struct weft_fiber *fibers;
static size_t count;

static void make(size_t n)
{
	count = n;
	fibers = aligned_alloc(WF_CACHE_LINE, n * sizeof *fibers);
	cr_assert_not_null(fibers);
	for (size_t i = 0; i < n; i++)
		fibers[i] = (struct weft_fiber){0};
}

Test(inbox, zero_bytes_are_an_empty_inbox)
{
	cr_assert(inbox_empty(&inbox));
	cr_assert_null(wf_inbox_pop(&inbox));
}

Test(inbox, fibers_come_out_in_the_order_of_arrival)
{
	make(100);
	for (size_t i = 0; i < count; i++)
		wf_inbox_push(&inbox, &fibers[i]);
	for (size_t i = 0; i < count; i++) {
		cr_assert_not(inbox_empty(&inbox));
		cr_assert_eq(wf_inbox_pop(&inbox), &fibers[i]);
	}
	cr_assert(inbox_empty(&inbox));
}

Test(inbox, what_arrives_later_waits_behind_what_is_there)
{
	make(6);
	for (int i = 0; i < 3; i++)
		wf_inbox_push(&inbox, &fibers[i]);
	cr_assert_eq(wf_inbox_pop(&inbox), &fibers[0]);
	for (int i = 3; i < 6; i++)
		wf_inbox_push(&inbox, &fibers[i]);
	for (int i = 1; i < 6; i++)
		cr_assert_eq(wf_inbox_pop(&inbox), &fibers[i]);
}

Test(inbox, the_owner_may_put_one_behind_its_own)
{
	make(2);
	list_push(&inbox.mine, &fibers[0].link);
	wf_inbox_push(&inbox, &fibers[1]);
	cr_assert_eq(wf_inbox_pop(&inbox), &fibers[0]);
	cr_assert_eq(wf_inbox_pop(&inbox), &fibers[1]);
}

/* Sender s delivers s, s + SENDERS, and so on. */
static void *deliver(void *which)
{
	for (size_t i = (uintptr_t)which; i < count; i += SENDERS)
		wf_inbox_push(&inbox, &fibers[i]);
	return NULL;
}

Test(inbox, each_senders_fibers_arrive_once_and_in_its_order)
{
	pthread_t t[SENDERS];
	size_t next[SENDERS];

	make(t_scale(90000));
	for (uintptr_t s = 0; s < SENDERS; s++) {
		next[s] = s;
		pthread_create(&t[s], NULL, deliver, (void *)s);
	}
	for (size_t got = 0; got < count;) {
		struct weft_fiber *f = wf_inbox_pop(&inbox);
		size_t i = (size_t)(f - fibers);

		if (!f)
			continue;
		got++;
		cr_assert_eq(i, next[i % SENDERS]);
		next[i % SENDERS] += SENDERS;
	}
	for (int s = 0; s < SENDERS; s++)
		pthread_join(t[s], NULL);
	cr_assert(inbox_empty(&inbox));
}
