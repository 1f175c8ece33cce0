/* SPDX-License-Identifier: MIT */
/*
 * test_fiber.c - fibers as their users see them: spawned, joined, detached,
 * named, and every error of those calls, on fibers and on threads.
 */
#include "support/t.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "support/thread.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

TestSuite(fiber, .timeout = 10 * T_SLOW);

static unsigned worker_counts[] = {1, 2, 8};

static struct weft_fiber *spawn(weft_fn fn, void *arg)
{
	struct weft_fiber *f = NULL;

	T_CHECK(weft_spawn(&f, NULL, fn, arg) == 0);
	return f;
}

static void *join(struct weft_fiber *f)
{
	void *result = NULL;

	T_CHECK(weft_join(f, &result) == 0);
	return result;
}

/* A fiber that lives until it is released. */
static _Atomic bool released;

static void *live_until_released(void *arg)
{
	while (!atomic_load(&released))
		weft_yield();
	return arg;
}

static void *same(void *arg)
{
	return arg;
}

/* Each of these is called on a fiber, and then on a thread beside it. */
static int everywhere(void *fn)
{
	void *(*body)(void *) = (void *(*)(void *))(uintptr_t)fn;

	atomic_store(&released, false);
	T_CHECK(body(NULL) == NULL);
	atomic_store(&released, false);
	t_on_thread(body, NULL);
	return 0;
}

static void run_everywhere(unsigned workers, void *(*body)(void *))
{
	t_run(workers, everywhere, (void *)(uintptr_t)body);
}

/* --- spawn and join --- */

static void *spawn_and_join(void *unused)
{
	int value;

	T_CHECK(join(spawn(same, &value)) == &value);
	T_CHECK(weft_join(spawn(same, &value), NULL) == 0);
	return unused;
}

ParameterizedTestParameters(fiber, joining_gives_what_the_function_returned)
{
	return cr_make_param_array(unsigned, worker_counts, 3);
}

ParameterizedTest(unsigned *workers, fiber,
		  joining_gives_what_the_function_returned)
{
	run_everywhere(*workers, spawn_and_join);
}

static void *join_what_has_ended(void *unused)
{
	struct weft_fiber *f = spawn(same, &released), *other;

	other = spawn(same, NULL);
	join(other);
	for (int i = 0; i < 100; i++)
		weft_yield();
	T_CHECK(join(f) == &released);
	return unused;
}

Test(fiber, a_handle_is_good_after_the_end)
{
	run_everywhere(1, join_what_has_ended);
}

/* The sum of a tree's leaves, a fiber a node. */
static void *sum_of_tree(void *depth)
{
	intptr_t d = (intptr_t)depth;
	struct weft_fiber *left, *right;

	if (d == 0)
		return (void *)1;
	left = spawn(sum_of_tree, (void *)(d - 1));
	right = spawn(sum_of_tree, (void *)(d - 1));
	return (void *)((intptr_t)join(left) + (intptr_t)join(right));
}

static int grow_tree(void *unused)
{
	(void)unused;
	return (int)(intptr_t)join(spawn(sum_of_tree, (void *)12));
}

ParameterizedTestParameters(fiber, a_tree_of_thousands_is_joined)
{
	return cr_make_param_array(unsigned, worker_counts, 3);
}

ParameterizedTest(unsigned *workers, fiber, a_tree_of_thousands_is_joined)
{
	cr_assert_eq(t_run(*workers, grow_tree, NULL), 1 << 12);
}

static int order[3], ordered;

static void *note_order(void *which)
{
	order[ordered++] = *(int *)which;
	return NULL;
}

static int spawn_three(void *unused)
{
	static int which[] = {0, 1, 2};
	struct weft_fiber *f[3];

	(void)unused;
	for (int i = 0; i < 3; i++)
		f[i] = spawn(note_order, &which[i]);
	T_CHECK(ordered == 0);
	for (int i = 0; i < 3; i++)
		join(f[i]);
	return 0;
}

Test(fiber, the_newest_runs_first_and_none_before_the_spawner_waits)
{
	t_run(1, spawn_three, NULL);
	cr_assert(order[0] == 2 && order[1] == 1 && order[2] == 0);
}

static _Atomic int ended;

static void *yield_and_count(void *unused)
{
	for (int i = 0; i < 10; i++)
		weft_yield();
	atomic_fetch_add(&ended, 1);
	return unused;
}

static void *leave_many_behind(void *unused)
{
	for (int i = 0; i < 500; i++)
		T_CHECK(weft_spawn(NULL, NULL, yield_and_count, NULL) == 0);
	return unused;
}

ParameterizedTestParameters(fiber, the_runtime_waits_for_detached_ones)
{
	return cr_make_param_array(unsigned, worker_counts, 3);
}

ParameterizedTest(unsigned *workers, fiber, the_runtime_waits_for_detached_ones)
{
	run_everywhere(*workers, leave_many_behind);
	cr_assert_eq(atomic_load(&ended), 1000);
}

/* --- join that fails --- */

static void *join_self(void *unused)
{
	T_CHECK(weft_join(weft_self(), NULL) == -EDEADLK);
	return unused;
}

static int spawn_self_joiner(void *unused)
{
	(void)unused;
	join_self(NULL);
	join(spawn(join_self, NULL));
	return 0;
}

Test(fiber, it_cannot_join_itself)
{
	t_run(1, spawn_self_joiner, NULL);
}

static void *join_late_and_then(void *unused)
{
	struct weft_fiber *f = spawn(live_until_released, &ended);
	weft_time deadline = weft_after(WEFT_MSEC(2));
	void *result = NULL;

	T_CHECK(weft_join_until(f, &result, 0) == -ETIMEDOUT);
	T_CHECK(weft_join_until(f, &result, weft_now()) == -ETIMEDOUT);
	T_CHECK(weft_join_until(f, &result, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(result == NULL);
	atomic_store(&released, true);
	T_CHECK(weft_join_until(f, &result, WEFT_FOREVER) == 0);
	T_CHECK(result == &ended);
	return unused;
}

Test(fiber, a_join_that_timed_out_can_be_repeated)
{
	run_everywhere(1, join_late_and_then);
	run_everywhere(2, join_late_and_then);
}

static void *join_the_dead_without_time(void *unused)
{
	int before = atomic_load(&ended);
	struct weft_fiber *f = spawn(yield_and_count, NULL);

	while (atomic_load(&ended) == before)
		weft_yield();
	/* It has counted; it may still have to leave its stack. */
	while (weft_join_until(f, NULL, 0) == -ETIMEDOUT)
		weft_yield();
	return unused;
}

Test(fiber, a_join_of_the_dead_needs_no_time)
{
	run_everywhere(1, join_the_dead_without_time);
}

static _Atomic bool joining;

/* Whoever looks whether somebody joins is a joiner for that moment. */
static void *join_it(void *f)
{
	int r;

	atomic_store(&joining, true);
	while ((r = weft_join(f, NULL)) == -EBUSY)
		weft_yield();
	T_CHECK(r == 0);
	return NULL;
}

/* The second joiner is refused as soon as the first one is there. */
static void *join_twice(void *unused)
{
	struct weft_fiber *f = spawn(live_until_released, NULL), *first;
	int r;

	atomic_store(&joining, false);
	first = spawn(join_it, f);
	while (!atomic_load(&joining))
		weft_yield();
	do
		r = weft_join_until(f, NULL, 0);
	while (r == -ETIMEDOUT);
	T_CHECK(r == -EBUSY);
	T_CHECK(weft_join(f, NULL) == -EBUSY);
	T_CHECK(weft_detach(f) == -EBUSY);
	atomic_store(&released, true);
	join(first);
	return unused;
}

Test(fiber, one_joiner_at_a_time)
{
	run_everywhere(2, join_twice);
}

/* --- detach --- */

static void *detach_before_and_after(void *unused)
{
	struct weft_fiber *f = spawn(live_until_released, NULL);
	int seen;

	T_CHECK(weft_detach(f) == 0);
	atomic_store(&released, true);
	seen = atomic_load(&ended);
	f = spawn(yield_and_count, NULL);
	while (atomic_load(&ended) == seen)
		weft_yield();
	T_CHECK(weft_detach(f) == 0);
	return unused;
}

Test(fiber, it_can_be_detached_before_and_after_its_end)
{
	run_everywhere(1, detach_before_and_after);
	run_everywhere(2, detach_before_and_after);
}

/* --- exit --- */

static WF_NOINLINE void leave_from_below(void *result, int depth)
{
	if (depth == 0)
		weft_exit(result);
	else
		leave_from_below(result, depth - 1);
	T_CHECK(!"exit has returned");
}

static void *exit_from_below(void *result)
{
	leave_from_below(result, 10);
	return NULL;
}

static int exit_often(void *unused)
{
	static int value;

	(void)unused;
	for (int i = 0; i < 1000; i++)
		T_CHECK(join(spawn(i % 2 ? exit_from_below : same, &value)) ==
			&value);
	return 0;
}

Test(fiber, exit_gives_its_argument_to_the_joiner)
{
	t_run(1, exit_often, NULL);
	t_run(2, exit_often, NULL);
}

/* --- yield --- */

static int laps[2];

static void *run_a_lap_each(void *which)
{
	int me = *(int *)which;

	for (int i = 0; i < 100; i++) {
		laps[me]++;
		T_CHECK(laps[me] - laps[!me] <= 2);
		weft_yield();
	}
	return NULL;
}

static int yield_in_turn(void *unused)
{
	static int which[] = {0, 1};
	struct weft_fiber *f[2];

	(void)unused;
	for (int i = 0; i < 2; i++)
		f[i] = spawn(run_a_lap_each, &which[i]);
	for (int i = 0; i < 2; i++)
		join(f[i]);
	return 0;
}

Test(fiber, yielding_lets_the_other_go_on)
{
	t_run(1, yield_in_turn, NULL);
}

static int yield_alone(void *unused)
{
	(void)unused;
	for (int i = 0; i < 1000; i++)
		weft_yield();
	return 7;
}

Test(fiber, yielding_alone_returns)
{
	cr_assert_eq(t_run(1, yield_alone, NULL), 7);
	cr_assert_eq(t_run(2, yield_alone, NULL), 7);
}

/* --- self and names --- */

static void *tell_self(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10; i++)
		weft_yield();
	return weft_self();
}

static void *ask_for_self(void *unused)
{
	struct weft_fiber *f = spawn(tell_self, NULL);

	T_CHECK(join(f) == f);
	return unused;
}

Test(fiber, self_is_the_handle_that_spawn_gave)
{
	run_everywhere(2, ask_for_self);
}

static void *rename_self(void *given)
{
	char longer[100];

	T_CHECK(strcmp(weft_name(), given ? given : "") == 0);
	T_CHECK(weft_set_name("weaver") == 0);
	T_CHECK(strcmp(weft_name(), "weaver") == 0);
	memset(longer, 'x', sizeof longer);
	longer[99] = '\0';
	T_CHECK(weft_set_name(longer) == 0);
	T_CHECK(strlen(weft_name()) == 31);
	T_CHECK(weft_set_name("") == 0);
	T_CHECK(strcmp(weft_name(), "") == 0);
	T_CHECK(weft_set_name("again") == 0 && weft_set_name(NULL) == 0);
	T_CHECK(strcmp(weft_name(), "") == 0);
	T_CHECK(weft_set_name("left behind") == 0);
	return NULL;
}

static void *name_some(void *unused)
{
	struct weft_attr named = {.name = "warper"};
	struct weft_fiber *f;

	for (int i = 0; i < 3; i++) {
		T_CHECK(weft_spawn(&f, &named, rename_self, "warper") == 0);
		join(f);
		join(spawn(rename_self, NULL));
	}
	return unused;
}

Test(fiber, names_are_given_copied_and_cut)
{
	run_everywhere(1, name_some);
}

/* --- attributes --- */

static void refuse(struct weft_attr attr)
{
	struct weft_fiber *f = NULL;

	T_CHECK(weft_spawn(&f, &attr, same, NULL) == -EINVAL);
	T_CHECK(f == NULL);
}

static void *try_bad_attributes(void *unused)
{
	refuse((struct weft_attr){.size = 1});
	refuse((struct weft_attr){.size = sizeof(struct weft_attr) + 8});
	refuse((struct weft_attr){.stack_size = 1});
	refuse((struct weft_attr){.stack_size = (16 << 10) - 1});
	refuse((struct weft_attr){.stack_size = (64 << 20) + 1});
	refuse((struct weft_attr){.stack_size = SIZE_MAX});
	refuse((struct weft_attr){.pin = 3});
	refuse((struct weft_attr){.pin = (unsigned)-1});
	T_CHECK(weft_spawn(NULL, NULL, NULL, NULL) == -EINVAL);
	return unused;
}

Test(fiber, attributes_out_of_range_are_refused)
{
	run_everywhere(2, try_bad_attributes);
}

static void *use_half(void *size)
{
	size_t half = (uintptr_t)size / 2;
	volatile char *low = __builtin_alloca(half);

	for (size_t i = 0; i < half; i += 1024)
		low[i] = 1;
	return size;
}

static void *use_stacks_of_all_sizes(void *unused)
{
	struct weft_attr attr = {.size = sizeof attr};
	struct weft_fiber *f;

	for (size_t size = 16 << 10; size <= 64 << 20; size *= 2) {
		attr.stack_size = size - size / 4 * (size > 16 << 10);
		T_CHECK(weft_spawn(&f, &attr, use_half, (void *)size) == 0);
		T_CHECK(join(f) == (void *)size);
	}
	join(spawn(use_half, (void *)(64 << 10)));
	return unused;
}

Test(fiber, stacks_are_as_large_as_was_asked, .timeout = 30 * T_SLOW)
{
	run_everywhere(1, use_stacks_of_all_sizes);
}

/* --- off a fiber --- */

static void *be_no_fiber(void *unused)
{
	T_CHECK(weft_self() == NULL);
	T_CHECK(strcmp(weft_name(), "") == 0);
	T_CHECK(weft_set_name("x") == -EPERM);
	T_CHECK(weft_exit(NULL) == -EPERM);
	T_CHECK(weft_shield() == -EPERM);
	T_CHECK(weft_unshield() == -EPERM);
	T_CHECK(weft_pin() == -EPERM);
	T_CHECK(weft_unpin() == -EPERM);
	T_CHECK(weft_worker() == -EPERM);
	T_CHECK(!weft_cancelled());
	weft_yield();
	return unused;
}

static int be_no_fiber_on_a_thread(void *unused)
{
	(void)unused;
	t_on_thread(be_no_fiber, NULL);
	return 0;
}

Test(fiber, a_thread_is_not_one)
{
	t_run(1, be_no_fiber_on_a_thread, NULL);
}

Test(fiber, without_a_runtime_there_are_none)
{
	struct weft_fiber *f = NULL;
	struct weft_attr bad = {.size = 1};

	be_no_fiber(NULL);
	t_verify();
	cr_assert_eq(weft_spawn(&f, NULL, same, NULL), -ESRCH);
	cr_assert_eq(weft_spawn(&f, &bad, same, NULL), -ESRCH);
	cr_assert_null(f);
	t_run(1, yield_alone, NULL);
	cr_assert_eq(weft_spawn(&f, NULL, same, NULL), -ESRCH);
}

/* Threads that spawn, join and detach while workers do the same. */
static void *spawn_from_outside(void *unused)
{
	for (size_t i = t_scale(3000); i; i--) {
		struct weft_fiber *f = spawn(same, &ended);

		if (i % 3)
			T_CHECK(join(f) == &ended);
		else
			T_CHECK(weft_detach(f) == 0);
	}
	return unused;
}

static int spawn_from_all_sides(void *unused)
{
	struct t_thread t[3];

	(void)unused;
	for (int i = 0; i < 3; i++)
		t_thread_begin(&t[i], spawn_from_outside, NULL);
	spawn_from_outside(NULL);
	for (int i = 0; i < 3; i++)
		t_thread_end(&t[i]);
	return 0;
}

ParameterizedTestParameters(fiber, many_threads_may_spawn_and_join)
{
	return cr_make_param_array(unsigned, worker_counts, 3);
}

ParameterizedTest(unsigned *workers, fiber, many_threads_may_spawn_and_join,
		  .timeout = 30 * T_SLOW)
{
	t_run(*workers, spawn_from_all_sides, NULL);
}

/* --- without memory --- */

#define LARGE 200

static int spawn_until_memory_ends(void *limit)
{
	struct weft_attr attr = {.stack_size = 64 << 20};
	struct weft_fiber *f[LARGE];
	struct rlimit old;
	int n = 0, r;

	getrlimit(RLIMIT_AS, &old);
	setrlimit(RLIMIT_AS, limit);
	while (n < LARGE &&
	       (r = weft_spawn(&f[n], &attr, live_until_released, NULL)) == 0)
		n++;
	T_CHECK(n > 0 && n < LARGE && r == -ENOMEM);
	atomic_store(&released, true);
	while (n--)
		join(f[n]);
	setrlimit(RLIMIT_AS, &old);
	T_CHECK(weft_spawn(&f[0], &attr, same, NULL) == 0);
	join(f[0]);
	return 0;
}

Test(fiber, without_memory_spawn_fails_and_the_others_go_on,
     .disabled = T_SANITIZED)
{
	struct rlimit limit;

	t_limit_memory(t_limit_memory((rlim_t)2 << 30));
	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = (rlim_t)2 << 30;
	t_run(1, spawn_until_memory_ends, &limit);
}
