/* SPDX-License-Identifier: MIT */
/*
 * test_stack.c - stacks: their classes, their guards by effect, and the books
 * that are kept of promises and stacks.
 */
#include "support/t.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/call.h"
#include "os/feature.h"
#include "os/guard.h"
#include "os/stack.h"

#define CACHES 3

TestSuite(stack, .timeout = 20 * T_SLOW);

static struct wf_stack_cache caches[CACHES];

static void open_with(enum weft_guard guard)
{
	int r;

	cr_assert_eq(wf_feature_probe(), 0);
	r = wf_stack_open(guard, CACHES);
	if (r == -ENOTSUP)
		cr_skip_test("such guards do not work here");
	cr_assert_eq(r, 0);
}

static char *get(struct wf_stack_cache *c, int class)
{
	cr_assert_eq(wf_stack_reserve(c, class), 0);
	return wf_stack_take(c, class);
}

static void give(struct wf_stack_cache *c, int class, void *stack)
{
	wf_stack_put(c, class, stack);
	wf_stack_unreserve(c, class);
}

static void close_all(void)
{
	for (int i = 0; i < CACHES; i++)
		wf_stack_flush(&caches[i]);
	wf_stack_close();
}

static void open_with_pages(enum weft_guard guard)
{
	open_with(guard);
	if (!wf_feature(WF_GUARD) && !wf_feature(WF_MPROTECT))
		cr_skip_test("guard pages do not work here");
}

/* The kernel meets what a program would meet at p. */
static bool accessible(const void *p)
{
	return wf_call(clock_gettime, 1, p) == 0;
}

/* --- classes --- */

Test(stack, a_class_is_the_smallest_that_has_room)
{
	cr_assert_eq(wf_stack_class(1), 0);
	for (int c = 0; c < WF_STACK_CLASSES; c++) {
		cr_assert_eq(wf_stack_class(wf_stack_size(c)), c);
		cr_assert_eq(wf_stack_class(wf_stack_size(c) + 1),
			     c + 1 < WF_STACK_CLASSES ? c + 1 : -1);
	}
	cr_assert_eq(wf_stack_size(0), WF_STACK_MIN);
	cr_assert_eq(wf_stack_size(WF_STACK_CLASSES - 1), WF_STACK_MAX);
	cr_assert_eq(WF_STACK_MAX, (size_t)64 << 20);
}

Test(stack, a_guard_is_whole_pages_and_leaves_most_of_the_stack)
{
	for (int c = 0; c < WF_STACK_CLASSES; c++) {
		size_t guard = wf_stack_guard_size(c);

		cr_assert_geq(guard, 4096);
		cr_assert_eq(guard % 4096, 0);
		cr_assert_leq(guard, wf_stack_size(c) / 4);
	}
}

/* --- guards --- */

static enum weft_guard real_guards[] = {WEFT_GUARD_AUTO, WEFT_GUARD_INSTALL,
					WEFT_GUARD_MPROTECT};

ParameterizedTestParameters(stack, all_but_the_guard_can_be_used)
{
	return cr_make_param_array(enum weft_guard, real_guards, 3);
}

ParameterizedTest(enum weft_guard *guard, stack, all_but_the_guard_can_be_used)
{
	open_with_pages(*guard);
	for (int c = 0; c < 6; c++) {
		char *stack = get(&caches[0], c);
		size_t size = wf_stack_size(c), low = wf_stack_guard_size(c);

		cr_assert_not(accessible(stack));
		cr_assert_not(accessible(stack + low - 16));
		cr_assert_null(wf_guard_canary(stack));
		memset(stack + low, 0xaa, size - low);
		give(&caches[0], c, stack);
	}
	close_all();
}

/* The signal that kills whoever writes there. */
static int killed_by_writing(volatile char *p)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		*p = 1;
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

ParameterizedTestParameters(stack, writing_into_a_guard_is_fatal)
{
	return cr_make_param_array(enum weft_guard, real_guards, 3);
}

ParameterizedTest(enum weft_guard *guard, stack, writing_into_a_guard_is_fatal,
		  .disabled = T_SANITIZED)
{
	char *stack;

	open_with_pages(*guard);
	stack = get(&caches[0], 2);
	cr_assert_eq(killed_by_writing(stack), SIGSEGV);
	cr_assert_eq(killed_by_writing(stack + wf_stack_guard_size(2) - 1),
		     SIGSEGV);
	cr_assert_eq(killed_by_writing(stack + wf_stack_guard_size(2)), 0);
}

Test(stack, a_guard_still_guards_when_the_stack_is_used_again)
{
	char *stack;

	open_with_pages(WEFT_GUARD_AUTO);
	for (int i = 0; i < 100; i++) {
		stack = get(&caches[0], 2);
		memset(stack + wf_stack_guard_size(2), i, 4096);
		cr_assert_not(accessible(stack));
		give(&caches[0], 2, stack);
	}
}

Test(stack, a_guard_that_does_not_work_here_is_refused)
{
	setenv("WEFT_WITHOUT", "guard", 1);
	cr_assert_eq(wf_feature_probe(), 0);
	cr_assert_eq(wf_stack_open(WEFT_GUARD_INSTALL, 1), -ENOTSUP);
	cr_assert_eq(wf_stack_open(WEFT_GUARD_AUTO, 1), 0);
	cr_assert_not(accessible(get(&caches[0], 2)));
	setenv("WEFT_WITHOUT", "mprotect", 1);
	cr_assert_eq(wf_feature_probe(), 0);
	cr_assert_eq(wf_stack_open(WEFT_GUARD_MPROTECT, 1), -ENOTSUP);
}

static void listen_to(void (*fn)(void), char *said, size_t size)
{
	int p[2], saved = dup(2);
	ssize_t n;

	cr_assert_eq(pipe(p), 0);
	dup2(p[1], 2);
	close(p[1]);
	fn();
	dup2(saved, 2);
	close(saved);
	n = read(p[0], said, size - 1);
	close(p[0]);
	said[n > 0 ? n : 0] = '\0';
}

static void open_thrice(void)
{
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(wf_stack_open(WEFT_GUARD_AUTO, CACHES), 0);
		give(&caches[0], 2, get(&caches[0], 2));
		close_all();
	}
}

Test(stack, without_guard_pages_there_are_canaries_which_is_said_once)
{
	char said[1024], *line;

	setenv("WEFT_WITHOUT", "guard,mprotect", 1);
	cr_assert_eq(wf_feature_probe(), 0);
	listen_to(open_thrice, said, sizeof said);
	line = strstr(said, "no guard pages");
	cr_assert_not_null(line, "said: %s", said);
	cr_assert_null(strstr(line + 1, "no guard pages"), "said: %s", said);
}

static void open_with_canaries(void)
{
	open_with(WEFT_GUARD_CANARY);
	give(&caches[0], 2, get(&caches[0], 2));
	close_all();
}

Test(stack, canaries_that_were_asked_for_are_no_news)
{
	char said[1024];

	listen_to(open_with_canaries, said, sizeof said);
	cr_assert_str_eq(said, "");
}

Test(stack, a_canary_lies_where_the_guard_would_be)
{
	char *stack;
	uint64_t *canary;

	open_with(WEFT_GUARD_CANARY);
	stack = get(&caches[0], 2);
	canary = wf_guard_canary(stack);
	cr_assert_not_null(canary);
	cr_assert_eq(*canary, WF_CANARY);
	cr_assert_geq((char *)canary, stack);
	cr_assert_lt((char *)canary, stack + wf_stack_guard_size(2));
	give(&caches[0], 2, stack);
	close_all();
}

static size_t max_map_count(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	size_t n = 65530;

	if (f && fscanf(f, "%zu", &n) != 1)
		n = 65530;
	if (f)
		fclose(f);
	return n;
}

/* Each stack then has a guard or a canary, and the process lives on. */
Test(stack, when_mappings_run_out_canaries_take_over, .disabled = T_EMULATED)
{
	size_t count = max_map_count() / 2, guards = 0, canaries = 0;

	if (count > 100000)
		cr_skip_test("vm.max_map_count is too large to reach");
	open_with(WEFT_GUARD_MPROTECT);
	for (size_t i = 0; i < count; i++) {
		char *stack = get(&caches[0], 0);
		uint64_t *canary = wf_guard_canary(stack);

		if (canary)
			canaries += *canary == WF_CANARY;
		else
			guards += !accessible(stack);
	}
	cr_assert_gt(guards, 0);
	cr_assert_gt(canaries, 0);
	cr_assert_eq(guards + canaries, count);
}

/* --- the books --- */

Test(stack, the_one_freed_last_is_given_out_first)
{
	char *a, *b;

	open_with(WEFT_GUARD_AUTO);
	a = get(&caches[0], 2);
	b = get(&caches[0], 2);
	cr_assert_neq(a, b);
	give(&caches[0], 2, a);
	give(&caches[0], 2, b);
	cr_assert_eq(get(&caches[0], 2), b);
	cr_assert_eq(get(&caches[0], 2), a);
}

Test(stack, every_class_can_be_had_without_a_cache_for_the_promise)
{
	open_with(WEFT_GUARD_AUTO);
	for (int c = 0; c < WF_STACK_CLASSES; c++) {
		char *stack, *top;

		cr_assert_eq(wf_stack_reserve(NULL, c), 0);
		stack = wf_stack_take(&caches[c % CACHES], c);
		top = stack + wf_stack_size(c);
		top[-1] = 1;
		wf_stack_put(NULL, c, stack);
		wf_stack_unreserve(NULL, c);
	}
	close_all();
}

Test(stack, closing_unmaps_everything)
{
	char *stack;

	open_with(WEFT_GUARD_AUTO);
	stack = get(&caches[0], 2);
	cr_assert(accessible(stack + wf_stack_size(2) - 16));
	give(&caches[0], 2, stack);
	close_all();
	cr_assert_not(accessible(stack + wf_stack_size(2) - 16));
}

Test(stack, it_can_be_opened_again_after_closing)
{
	for (int i = 0; i < 20; i++) {
		open_with(i % 2 ? WEFT_GUARD_AUTO : WEFT_GUARD_CANARY);
		give(&caches[0], i % 6, get(&caches[0], i % 6));
		close_all();
	}
}

/* What can be promised while all caches hide as much as they may. */
Test(stack, every_promise_is_kept_wherever_free_stacks_are_hidden)
{
	char *stacks[4 * WF_STACK_CACHED];
	int n = 4 * WF_STACK_CACHED;

	open_with(WEFT_GUARD_AUTO);
	for (int c = 0; c < CACHES; c++) {
		for (int i = 0; i < n; i++)
			stacks[i] = get(&caches[c], 2);
		for (int i = 0; i < n; i++)
			give(&caches[c], 2, stacks[i]);
	}
	for (int i = 0; i < n; i++)
		cr_assert_eq(wf_stack_reserve(NULL, 2), 0);
	for (int i = 0; i < n; i++)
		stacks[i] = wf_stack_take(&caches[0], 2);
	for (int i = 0; i < n; i++) {
		wf_stack_put(&caches[0], 2, stacks[i]);
		wf_stack_unreserve(NULL, 2);
	}
	close_all();
}

#define LIVE 500

/* Owners write their number at both ends: stacks must not overlap. */
static struct owned {
	char *stack;
	int class;
	uint32_t mark;
} live[LIVE];

static uint32_t *low_of(struct owned *o)
{
	return (uint32_t *)(o->stack + wf_stack_guard_size(o->class));
}

static uint32_t *high_of(struct owned *o)
{
	return (uint32_t *)(o->stack + wf_stack_size(o->class)) - 1;
}

static void acquire(struct owned *o, struct wf_stack_cache *c, uint64_t r)
{
	o->class = r % 4;
	o->stack = get(c, o->class);
	o->mark = (uint32_t)r;
	cr_assert_eq((uintptr_t)o->stack % 4096, 0);
	*low_of(o) = *high_of(o) = o->mark;
}

static void release(struct owned *o, struct wf_stack_cache *c)
{
	cr_assert_eq(*low_of(o), o->mark);
	cr_assert_eq(*high_of(o), o->mark);
	give(c, o->class, o->stack);
	o->stack = NULL;
}

Test(stack, random_owners_never_share_one)
{
	uint64_t seed = t_seed();
	weft_time now = 0;

	open_with(WEFT_GUARD_AUTO);
	for (size_t i = t_scale(100000); i; i--) {
		uint64_t r = t_random(&seed);
		struct owned *o = &live[r % LIVE];
		struct wf_stack_cache *c = &caches[(r >> 32) % CACHES];

		if (o->stack)
			release(o, c);
		else
			acquire(o, c, r >> 16);
		if (r % 64 == 0)
			wf_stack_trim(c, now += WEFT_MSEC(30));
	}
	for (int i = 0; i < LIVE; i++)
		if (live[i].stack)
			release(&live[i], &caches[0]);
	close_all();
}

/* --- rest --- */

#define MANY  500
#define WHILE WEFT_MSEC(200)

static char *many[MANY];

/* Its pages above the guard that have memory. */
static size_t pages_of(char *stack, int class)
{
	unsigned char vec[64];
	size_t low = wf_stack_guard_size(class), present = 0;
	size_t size = wf_stack_size(class) - low, n = size / 4096;

	cr_assert_leq(n, sizeof vec);
	cr_assert_eq(mincore(stack + low, size, vec), 0);
	for (size_t i = 0; i < n; i++)
		present += vec[i] & 1;
	return present;
}

static size_t warm_ones(int class)
{
	size_t warm = 0;

	for (int i = 0; i < MANY; i++)
		warm += pages_of(many[i], class) > 0;
	return warm;
}

/* `count` stacks are used to the last byte and put back. */
static void use(int count, int class)
{
	size_t low = wf_stack_guard_size(class);

	for (int i = 0; i < count; i++) {
		many[i] = get(&caches[0], class);
		memset(many[i] + low, 0xaa, wf_stack_size(class) - low);
	}
	while (count--)
		give(&caches[0], class, many[count]);
}

/* Call as a worker does that has nothing to do; the time when it rests. */
static weft_time rest(weft_time now)
{
	weft_time again;

	while ((again = wf_stack_trim(&caches[0], now)) != WEFT_FOREVER)
		if (again > now)
			now = again;
	return now;
}

ParameterizedTestParameters(stack, a_burst_leaves_no_memory_behind)
{
	static int some[] = {0, 2, 4};

	return cr_make_param_array(int, some, 3);
}

ParameterizedTest(int *class, stack, a_burst_leaves_no_memory_behind)
{
	open_with(WEFT_GUARD_AUTO);
	use(MANY, *class);
	cr_assert_eq(warm_ones(*class), MANY);
	rest(WEFT_SEC(1000));
	cr_assert_leq(warm_ones(*class), 4);
	for (int i = 0; i < MANY; i++)
		if (wf_feature(WF_GUARD) || wf_feature(WF_MPROTECT))
			cr_assert_not(accessible(many[i]));
	use(MANY, *class);
	close_all();
}

Test(stack, large_ones_keep_nothing_but_one)
{
	const int class = wf_stack_class(8 << 20);
	char *stacks[10];
	size_t warm = 0;

	open_with(WEFT_GUARD_AUTO);
	for (int i = 0; i < 10; i++) {
		stacks[i] = get(&caches[0], class);
		stacks[i][wf_stack_size(class) - 1] = 1;
	}
	for (int i = 0; i < 10; i++)
		give(&caches[0], class, stacks[i]);
	rest(WEFT_SEC(1));
	for (int i = 0; i < 10; i++)
		warm += stacks[i][wf_stack_size(class) - 1];
	cr_assert_eq(warm, 1);
	close_all();
}

Test(stack, rest_takes_a_while_in_which_nothing_is_lost)
{
	weft_time now = WEFT_SEC(1000), again;

	open_with(WEFT_GUARD_AUTO);
	use(MANY, 2);
	again = wf_stack_trim(&caches[0], now);
	cr_assert_eq(again, now + WHILE);
	cr_assert_eq(wf_stack_trim(&caches[0], again - 1), again);
	cr_assert_eq(warm_ones(2), MANY);
}

/* However often a worker is about to sleep. */
Test(stack, those_that_come_and_go_stay_warm)
{
	weft_time now = WEFT_SEC(1000);
	char *some[100];

	open_with(WEFT_GUARD_AUTO);
	use(MANY, 2);
	for (int round = 0; round < 50; round++) {
		size_t warm = 0;

		wf_stack_trim(&caches[0], now += WHILE / 4);
		for (int i = 0; i < 100; i++) {
			some[i] = get(&caches[0], 2);
			warm += pages_of(some[i], 2) > 0;
		}
		for (int i = 0; i < 100; i++)
			give(&caches[0], 2, some[i]);
		cr_assert_eq(warm, 100, "round %d: %zu", round, warm);
	}
	cr_assert_leq(warm_ones(2), 100 + 4);
}

Test(stack, at_rest_there_is_nothing_to_wait_for)
{
	weft_time now;

	open_with(WEFT_GUARD_AUTO);
	cr_assert_eq(wf_stack_trim(&caches[0], 0), WEFT_FOREVER);
	use(MANY, 2);
	now = rest(WEFT_SEC(1));
	cr_assert_leq(now, WEFT_SEC(1) + 3 * WHILE);
	cr_assert_eq(wf_stack_trim(&caches[0], now), WEFT_FOREVER);
	close_all();
}

/* By its own fibers, or by others into the pool. */
Test(stack, who_rests_sees_what_is_put_back_later)
{
	weft_time now;

	open_with(WEFT_GUARD_AUTO);
	use(MANY, 2);
	now = rest(WEFT_SEC(1));
	use(10, 2);
	cr_assert_eq(wf_stack_trim(&caches[0], now), now + WHILE);
	now = rest(now);
	give(NULL, 2, get(NULL, 2));
	cr_assert_eq(wf_stack_trim(&caches[0], now), now + WHILE);
	close_all();
}

/* It takes back what it may, and is not asked for the rest again and again. */
Test(stack, memory_that_the_kernel_does_not_take_back_does_no_harm,
     .disabled = T_SANITIZED)
{
	size_t low = wf_stack_guard_size(2), size = wf_stack_size(2) - low;

	open_with(WEFT_GUARD_AUTO);
	use(MANY, 2);
	for (int i = 0; i < MANY; i += 50)
		if (mlock(many[i] + low, size) < 0)
			cr_skip_test("no memory may be locked");
	rest(WEFT_SEC(1));
	cr_assert_leq(warm_ones(2), MANY / 50 + 4);
	for (int i = 0; i < MANY; i += 50)
		cr_assert_eq(pages_of(many[i], 2), size / 4096);
	use(MANY, 2);
	close_all();
}

/* Owners write their address; the memory of those that nobody has goes. */
static void *come_and_go(void *cache)
{
	uint64_t seed = (uintptr_t)cache;
	weft_time now = 0;

	for (size_t i = t_scale(20000); i; i--) {
		char *stacks[70];
		size_t n = t_random(&seed) % 70, top = wf_stack_size(1) - 8;

		for (size_t k = 0; k < n; k++) {
			T_CHECK(wf_stack_reserve(cache, 1) == 0);
			stacks[k] = wf_stack_take(cache, 1);
			*(char **)(stacks[k] + top) = stacks[k];
		}
		wf_stack_trim(cache, now += t_random(&seed) % WHILE);
		for (size_t k = 0; k < n; k++) {
			T_CHECK(*(char **)(stacks[k] + top) == stacks[k]);
			wf_stack_put(cache, 1, stacks[k]);
			wf_stack_unreserve(cache, 1);
		}
	}
	return NULL;
}

Test(stack, threads_that_rest_take_nothing_from_those_that_do_not,
     .timeout = 60 * T_SLOW)
{
	pthread_t threads[CACHES];

	open_with(WEFT_GUARD_AUTO);
	for (int i = 0; i < CACHES; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, come_and_go,
					    &caches[i]),
			     0);
	for (int i = 0; i < CACHES; i++)
		pthread_join(threads[i], NULL);
	t_verify();
	close_all();
}

/* --- without memory --- */

Test(stack, without_memory_promises_are_refused_and_those_given_are_kept,
     .disabled = T_SANITIZED)
{
	int largest = WF_STACK_CLASSES - 1;
	rlim_t old;
	char *stack;

	open_with(WEFT_GUARD_AUTO);
	cr_assert_eq(wf_stack_reserve(&caches[0], 2), 0);
	old = t_limit_memory(1 << 20);
	cr_assert_eq(wf_stack_reserve(&caches[0], largest), -ENOMEM);
	cr_assert_eq(wf_stack_reserve(NULL, largest), -ENOMEM);
	stack = wf_stack_take(&caches[0], 2);
	memset(stack + wf_stack_guard_size(2), 1, 4096);
	give(&caches[0], 2, stack);
	t_limit_memory(old);
	give(&caches[0], largest, get(&caches[0], largest));
	close_all();
}
