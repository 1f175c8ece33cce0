/* SPDX-License-Identifier: MIT */
/*
 * test_inject.c - the queue of those without a worker: order, and nothing lost.
 */
#include "support/t.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/inject.h"

TestSuite(inject, .timeout = 10 * T_SLOW);

static struct wf_inject queue;
static struct weft_fiber *fibers;
static _Atomic unsigned char *seen;
static size_t count;

static void make(size_t n)
{
	count = n;
	fibers = aligned_alloc(WF_CACHE_LINE, n * sizeof *fibers);
	seen = calloc(n, 1);
	cr_assert(fibers && seen);
	for (size_t i = 0; i < n; i++)
		fibers[i] = (struct weft_fiber){0};
}

Test(inject, zero_bytes_are_an_empty_queue)
{
	cr_assert(inject_empty(&queue));
	cr_assert_null(wf_inject_pop(&queue));
}

Test(inject, fibers_come_out_in_order)
{
	make(100);
	for (size_t i = 0; i < count; i++)
		wf_inject_push(&queue, &fibers[i]);
	cr_assert_not(inject_empty(&queue));
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(wf_inject_pop(&queue), &fibers[i]);
	cr_assert(inject_empty(&queue));
	cr_assert_null(wf_inject_pop(&queue));
}

static _Atomic size_t popped;

static void *push_half(void *which)
{
	for (size_t i = (uintptr_t)which; i < count; i += 2)
		wf_inject_push(&queue, &fibers[i]);
	return NULL;
}

static void *pop_some(void *unused)
{
	while (atomic_load(&popped) < count) {
		struct weft_fiber *f = wf_inject_pop(&queue);

		if (!f)
			continue;
		atomic_fetch_add(&seen[f - fibers], 1);
		atomic_fetch_add(&popped, 1);
	}
	return unused;
}

Test(inject, of_many_threads_each_fiber_is_popped_once)
{
	pthread_t t[4];

	make(t_scale(100000));
	for (uintptr_t i = 0; i < 2; i++) {
		pthread_create(&t[i], NULL, push_half, (void *)i);
		pthread_create(&t[i + 2], NULL, pop_some, NULL);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(seen[i], 1);
	cr_assert(inject_empty(&queue));
}
