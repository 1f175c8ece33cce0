/* SPDX-License-Identifier: MIT */
/*
 * test_mark.c - how deep stacks have been used: what is measured, exact to a
 * page, for whom, and that it costs nobody who has not asked.
 */
#include "support/t.h"

#include <errno.h>
#include <stdlib.h>

#include "core/mark.h"
#include "os/stack.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

/* Sanitizers make frames larger than they say, or put them elsewhere. */
TestSuite(mark, .timeout = 30 * T_SLOW, .disabled = T_SANITIZED);

#define PAGE 4096

static void find(const struct weft_stack_mark *mark, void *wanted)
{
	struct weft_stack_mark *w = wanted;

	if (mark->entry == w->entry)
		*w = *mark;
}

static struct weft_stack_mark mark_of(weft_fn entry)
{
	struct weft_stack_mark mark = {.entry = entry};

	wf_marks_each(find, &mark);
	return mark;
}

static int run_marked(unsigned workers, int (*fn)(void *), void *arg)
{
	struct weft_options o = {.workers = workers, .stack_marks = true};
	int r;

	t_reset();
	r = weft_run(&o, fn, arg);
	t_verify();
	return r;
}

/* A frame of so many pages, of which the lowest is touched and no other. */
static __attribute__((noinline)) void use_pages(size_t pages)
{
	volatile char *frame = __builtin_alloca(pages * PAGE);

	frame[0] = 1;
}

static void *shallow(void *unused)
{
	return unused;
}

static void *use(void *pages)
{
	use_pages((uintptr_t)pages);
	return NULL;
}

static void *use_and_exit(void *pages)
{
	use_pages((uintptr_t)pages);
	weft_exit(NULL);
	return NULL;
}

static void *use_between_waits(void *pages)
{
	weft_yield();
	use_pages((uintptr_t)pages);
	weft_yield();
	return NULL;
}

static void run(weft_fn fn, size_t pages, size_t stack_size)
{
	struct weft_attr attr = {.stack_size = stack_size};
	struct weft_fiber *f;

	T_CHECK(weft_spawn(&f, &attr, fn, (void *)pages) == 0);
	T_CHECK(weft_join(f, NULL) == 0);
}

/* Its frames, and what weft has on the stack, are two pages at most. */
static void measured(weft_fn fn, size_t pages, uint64_t fibers)
{
	struct weft_stack_mark mark = mark_of(fn);

	cr_assert_eq(mark.fibers, fibers, "%zu", (size_t)mark.fibers);
	cr_assert_eq(mark.bytes % PAGE, 0);
	cr_assert_gt(mark.bytes, pages * PAGE);
	cr_assert_leq(mark.bytes, (pages + 2) * PAGE, "%zu bytes", mark.bytes);
}

static int use_some(void *unused)
{
	run(use, 1, 0);
	run(use, 9, 0);
	run(use, 4, 0);
	run(use_and_exit, 7, 0);
	run(use_between_waits, 5, 0);
	run(shallow, 0, 0);
	return unused != NULL;
}

static unsigned counts[] = {1, 2, 8};

ParameterizedTestParameters(mark, the_deepest_of_each_function_counts)
{
	return cr_make_param_array(unsigned, counts, 3);
}

ParameterizedTest(unsigned *workers, mark, the_deepest_of_each_function_counts)
{
	run_marked(*workers, use_some, NULL);
	measured(use, 9, 3);
	measured(use_and_exit, 7, 1);
	measured(use_between_waits, 5, 1);
	measured(shallow, 0, 1);
}

/* The stack of the one before is warm, and its depth is not the next one's. */
static int alternate(void *unused)
{
	struct weft_fiber *f[40];

	for (int round = 0; round < 10; round++) {
		for (uintptr_t i = 0; i < 40; i++)
			T_CHECK(weft_spawn(&f[i], NULL, i % 2 ? use : shallow,
					   (void *)11) == 0);
		for (int i = 0; i < 40; i++)
			T_CHECK(weft_join(f[i], NULL) == 0);
	}
	return unused != NULL;
}

Test(mark, who_comes_after_a_deep_one_is_not_taken_for_it)
{
	run_marked(1, alternate, NULL);
	measured(use, 11, 200);
	measured(shallow, 0, 200);
	run_marked(2, alternate, NULL);
	measured(use, 11, 200);
	measured(shallow, 0, 200);
}

static int use_all_sizes(void *unused)
{
	for (int class = 0; class < WF_STACK_CLASSES; class ++)
		run(use, wf_stack_size(class) / PAGE * 5 / 8,
		    wf_stack_size(class));
	return unused != NULL;
}

Test(mark, stacks_of_every_size_are_measured)
{
	run_marked(1, use_all_sizes, NULL);
	measured(use, (WF_STACK_MAX / PAGE) * 5 / 8, WF_STACK_CLASSES);
}

Test(mark, nothing_is_measured_unless_asked_for)
{
	t_run(2, use_some, NULL);
	cr_assert_eq(mark_of(use).fibers, 0);
}

Test(mark, the_variable_asks_for_it_too)
{
	setenv("WEFT_STACK_MARKS", "0", 1);
	t_run(1, use_some, NULL);
	cr_assert_eq(mark_of(use).fibers, 0);
	setenv("WEFT_STACK_MARKS", "1", 1);
	t_run(1, use_some, NULL);
	measured(use, 9, 3);
	setenv("WEFT_STACK_MARKS", "yes", 1);
	cr_assert_eq(weft_run(NULL, use_some, NULL), -EINVAL);
}

Test(mark, each_runtime_begins_anew)
{
	run_marked(1, use_some, NULL);
	run_marked(1, use_some, NULL);
	measured(use, 9, 3);
	t_run(1, use_some, NULL);
	cr_assert_eq(mark_of(use).fibers, 0);
}

Test(mark, the_deepest_come_first_and_no_more_than_asked_for)
{
	struct weft_stack_mark marks[8];
	int n;

	cr_assert_eq(weft_stack_marks(NULL, 0), 0);
	run_marked(2, use_some, NULL);
	n = weft_stack_marks(marks, 8);
	cr_assert_eq(n, 5); /* and the first fiber */
	cr_assert_eq(marks[0].entry, use);
	cr_assert_eq(marks[1].entry, use_and_exit);
	cr_assert_eq(marks[2].entry, use_between_waits);
	for (int i = 1; i < n; i++)
		cr_assert_geq(marks[i - 1].bytes, marks[i].bytes);
	marks[2].fibers = 77;
	cr_assert_eq(weft_stack_marks(marks, 2), 5);
	cr_assert_eq(marks[1].entry, use_and_exit);
	cr_assert_eq(marks[2].fibers, 77);
}

/* --- the table --- */

static void add_up(const struct weft_stack_mark *mark, void *sum)
{
	*(uint64_t *)sum += mark->fibers;
}

/* Made-up functions, which are never called, on a stack that is none. */
Test(mark, more_functions_than_places_are_counted_together)
{
	struct weft_fiber f = {0};
	uint64_t sum = 0;
	char *stack;
	struct wf_stack_cache cache = {0};

	cr_assert_eq(wf_stack_open(WEFT_GUARD_CANARY, 1), 0);
	f.class = 2;
	cr_assert_eq(wf_stack_reserve(&cache, 2), 0);
	stack = wf_stack_take(&cache, 2);
	stack[wf_stack_size(2) - 1] = 1;
	wf_marks_begin(true);
	for (uintptr_t i = 1; i <= 1000; i++) {
		f.entry = (weft_fn)(i * 16);
		wf_mark_end(&f, stack);
	}
	wf_marks_each(add_up, &sum);
	cr_assert_eq(sum, 1000);
	cr_assert_eq(mark_of((weft_fn)16).fibers, 1);
	cr_assert_gt(mark_of(NULL).fibers, 0);
	cr_assert_eq(mark_of(NULL).bytes, PAGE);
}
