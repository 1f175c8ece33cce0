/* SPDX-License-Identifier: MIT */
/*
 * test_context.c - the contract of arch.h, for whichever port is built in.
 *
 * Knows no CPU: control of floating point is reached through fenv.h, which
 * sets all the units that a CPU has.  Runs under an emulator too.
 */
#include "support/t.h"

#include <errno.h>
#include <execinfo.h>
#include <fenv.h>
#include <float.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/cc.h"
#include "base/sanitize.h"
#include "os/feature.h"

#define STACK ((size_t)128 << 10)

TestSuite(context, .timeout = 20 * T_SLOW);

struct flow {
	struct wf_context ctx;
	struct wf_san san;
};

static struct flow home, away;
static char stack[STACK] WF_ALIGNED(64);

static WF_NOINLINE void *go(struct flow *from, struct flow *to, void *msg)
{
	void *arrived;

	san_leave(&from->san, &to->san, 0);
	arrived = wf_context_switch(&from->ctx, &to->ctx, msg);
	san_arrive(&from->san);
	return arrived;
}

static void *go_away(void *msg)
{
	return go(&home, &away, msg);
}

static void *go_home(void *msg)
{
	return go(&away, &home, msg);
}

static void prepare(void (*entry)(void *))
{
	pthread_attr_t attr;
	void *bottom;
	size_t size;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &bottom, &size);
	pthread_attr_destroy(&attr);
	san_adopt(&home.san, bottom, size);
	san_make(&away.san, stack, STACK);
	home.ctx.base = away.ctx.base = wf_base_get();
	wf_context_make(&away.ctx, stack + STACK, entry);
}

/* --- messages --- */

static void answer(void *msg)
{
	san_arrive(&away.san);
	for (;;)
		msg = go_home((char *)msg + 1);
}

Test(context, the_first_arrival_gets_the_message)
{
	char text[8];

	prepare(answer);
	cr_assert_eq(go_away(text), text + 1);
}

Test(context, each_switch_brings_its_own_message)
{
	char text[8];

	prepare(answer);
	for (int i = 0; i < 7; i++)
		cr_assert_eq(go_away(text + i), text + i + 1);
}

Test(context, making_one_runs_nothing_of_it)
{
	prepare(NULL);
	cr_assert_geq((char *)away.ctx.sp, stack);
	cr_assert_lt((char *)away.ctx.sp, stack + STACK);
	cr_assert_eq(away.ctx.base, wf_base_get());
}

static void count(void *msg)
{
	size_t *n = msg;

	san_arrive(&away.san);
	for (;;) {
		++*n;
		go_home(NULL);
	}
}

Test(context, a_hundred_thousand_switches_lose_nothing)
{
	size_t n = 0, rounds = t_scale(100000);

	prepare(count);
	for (size_t i = 0; i < rounds; i++) {
		cr_assert_eq(n, i);
		go_away(&n);
	}
	cr_assert_eq(n, rounds);
}

/* --- stacks and registers --- */

static void print_double(void *msg)
{
	char *text = msg;

	san_arrive(&away.san);
	snprintf(text, 32, "%.3f %.3Lf", 1.5, 2.25L);
	go_home(NULL);
}

/* Library code that saves vector registers finds out about alignment. */
Test(context, a_fiber_can_print_a_double)
{
	char text[32] = "";

	prepare(print_double);
	go_away(text);
	cr_assert_str_eq(text, "1.500 2.250");
}

static void look_at_stack(void *msg)
{
	char **seen = msg;

	san_arrive(&away.san);
	*seen = __builtin_frame_address(0);
	go_home(NULL);
}

Test(context, it_runs_on_the_stack_it_was_given)
{
	char *seen = NULL;

	prepare(look_at_stack);
	go_away(&seen);
	cr_assert_gt(seen, stack);
	cr_assert_lt(seen, stack + STACK);
	cr_assert_gt(seen, stack + STACK - 1024, "the top is wasted");
}

/*
 * More values at once than a CPU has registers, and all of them needed before
 * and after: so registers, those that a call preserves, and memory hold them.
 */
#define INTEGERS 24
#define DOUBLES  24

struct values {
	uint64_t i[INTEGERS];
	double d[DOUBLES];
};

static WF_NOINLINE void keep(const struct values *v,
			     void *(*away_and_back)(void *),
			     struct values *after)
{
#define TAKE(n)                                                                \
	uint64_t i##n = v->i[n] * 3;                                           \
	double d##n = v->d[n] * 3
#define GIVE(n)                                                                \
	after->i[n] = i##n;                                                    \
	after->d[n] = d##n
#define ALL(X)                                                                 \
	X(0);                                                                  \
	X(1);                                                                  \
	X(2);                                                                  \
	X(3);                                                                  \
	X(4);                                                                  \
	X(5);                                                                  \
	X(6);                                                                  \
	X(7);                                                                  \
	X(8);                                                                  \
	X(9);                                                                  \
	X(10);                                                                 \
	X(11);                                                                 \
	X(12);                                                                 \
	X(13);                                                                 \
	X(14);                                                                 \
	X(15);                                                                 \
	X(16);                                                                 \
	X(17);                                                                 \
	X(18);                                                                 \
	X(19);                                                                 \
	X(20);                                                                 \
	X(21);                                                                 \
	X(22);                                                                 \
	X(23)
	ALL(TAKE);
	away_and_back(NULL);
	ALL(GIVE);
}

static void values_from(struct values *v, uint64_t seed)
{
	for (int n = 0; n < INTEGERS; n++)
		v->i[n] = t_random(&seed);
	for (int n = 0; n < DOUBLES; n++)
		v->d[n] = (double)(t_random(&seed) >> 12);
}

static bool kept(uint64_t seed, void *(*away_and_back)(void *))
{
	struct values before, after;
	bool same = true;

	values_from(&before, seed);
	keep(&before, away_and_back, &after);
	for (int n = 0; n < INTEGERS; n++)
		same &= after.i[n] == before.i[n] * 3;
	for (int n = 0; n < DOUBLES; n++)
		same &= after.d[n] == before.d[n] * 3;
	return same;
}

static void keep_others(void *msg)
{
	(void)msg;
	san_arrive(&away.san);
	for (uint64_t seed = 1000;; seed++)
		T_CHECK(kept(seed, go_home));
}

Test(context, both_sides_keep_all_their_values)
{
	uint64_t seed = t_seed();

	prepare(keep_others);
	for (int i = 0; i < 1000; i++)
		cr_assert(kept(seed + (uint64_t)i, go_away));
	t_verify();
}

/* --- floating-point control --- */

/* Where the port can load it in two ways, both have to do. */
static void in_each_way(void (*check)(void))
{
	check();
#if WF_CONTROL_CHOICE
	wf_control_blind = !wf_control_blind;
	check();
#endif
}

static volatile double one = 1, little = DBL_EPSILON / 8;
static volatile long double long_one = 1, long_little = LDBL_EPSILON / 8;

/* Whether all units round as `mode` says, and fenv.h agrees. */
static bool rounds(int mode)
{
	bool up = mode == FE_UPWARD, down = mode == FE_DOWNWARD;

	return fegetround() == mode && (one + little > one) == up &&
	       (one - little < one) == down &&
	       (long_one + long_little > long_one) == up &&
	       (long_one - long_little < long_one) == down;
}

static void round_up(void *msg)
{
	(void)msg;
	san_arrive(&away.san);
	fesetround(FE_UPWARD);
	for (;;) {
		go_home(NULL);
		T_CHECK(rounds(FE_UPWARD));
	}
}

static void round_apart(void)
{
	prepare(round_up);
	fesetround(FE_DOWNWARD);
	for (int i = 0; i < 3; i++) {
		go_away(NULL);
		cr_assert(rounds(FE_DOWNWARD));
	}
	fesetround(FE_TONEAREST);
	go_away(NULL);
	cr_assert(rounds(FE_TONEAREST));
	t_verify();
}

Test(context, rounding_is_each_contexts_own)
{
	in_each_way(round_apart);
}

static void round_as_made(void *msg)
{
	bool *as_made = msg;

	san_arrive(&away.san);
	*as_made = rounds(FE_DOWNWARD);
	go_home(NULL);
}

static void round_as_maker(void)
{
	bool as_made = false;

	fesetround(FE_DOWNWARD);
	prepare(round_as_made);
	fesetround(FE_TONEAREST);
	go_away(&as_made);
	cr_assert(as_made);
	cr_assert(rounds(FE_TONEAREST));
}

Test(context, a_new_context_rounds_as_its_maker_did)
{
	in_each_way(round_as_maker);
}

static void trap_division(void *msg)
{
	(void)msg;
	san_arrive(&away.san);
	feenableexcept(FE_DIVBYZERO);
	for (;;) {
		go_home(NULL);
		T_CHECK(fegetexcept() == FE_DIVBYZERO);
	}
}

static void trap_apart(void)
{
	fedisableexcept(FE_ALL_EXCEPT);
	prepare(trap_division);
	for (int i = 0; i < 3; i++) {
		go_away(NULL);
		cr_assert_eq(fegetexcept(), 0);
	}
	t_verify();
}

Test(context, traps_are_each_contexts_own)
{
	if (feenableexcept(FE_DIVBYZERO) == -1)
		cr_skip_test("this CPU does not trap");
	in_each_way(trap_apart);
}

static void compute(void *msg)
{
	volatile double *sum = msg;

	san_arrive(&away.san);
	for (;;) {
		*sum += one / 3;
		go_home(NULL);
	}
}

/* Sticky status differs all the time; control must not suffer by it. */
static void compute_apart(void)
{
	volatile double sum = 0, expected = 0;

	prepare(compute);
	for (int i = 0; i < 100; i++) {
		feclearexcept(FE_ALL_EXCEPT);
		go_away((void *)&sum);
		expected += one / 3;
		cr_assert_eq(sum, expected);
		cr_assert(rounds(FE_TONEAREST));
	}
}

Test(context, inexact_results_change_nothing_else)
{
	in_each_way(compute_apart);
}

/* --- unwinding --- */

struct trace {
	void *frames[32];
	int count;
};

static WF_NOINLINE void unwind(struct trace *t)
{
	t->count = backtrace(t->frames, array_count(t->frames));
}

static void unwind_away(void *msg)
{
	san_arrive(&away.san);
	unwind(msg);
	go_home(NULL);
}

Test(context, a_backtrace_ends_at_the_bottom_of_the_stack)
{
	struct trace t = {.count = 0};

	if (!WF_BASE_SWITCHED)
		cr_skip_test("Boost.Context does not say where stacks end");
	prepare(unwind_away);
	go_away(&t);
	cr_assert_geq(t.count, 3);
	cr_assert_leq(t.count, 5);
	for (int i = 0; i < t.count; i++)
		cr_assert_not_null(t.frames[i]);
}

/* What is in this section is what has to be in the backtrace. */
#define SOUGHT __attribute__((noinline, section("sought")))
extern char __start_sought[], __stop_sought[];

static bool is_sought(void *frame)
{
	return (char *)frame >= __start_sought &&
	       (char *)frame <= __stop_sought;
}

static SOUGHT void wait_here(void *msg)
{
	san_arrive(&away.san);
	while (msg)
		msg = go_home(msg);
	go_home(NULL);
}

static void unwind_here(void *t)
{
	unwind(t);
}

Test(context, a_flow_that_does_not_run_can_be_traced)
{
	struct trace t = {.count = 0};
	int sought = 0;

	if (!WF_CONTEXT_TRACED)
		cr_skip_test("Boost.Context does not say where registers lie");
	prepare(wait_here);
	go_away(&t);
	wf_context_trace(&away.ctx, unwind_here, &t);
	for (int i = 0; i < t.count; i++)
		sought += is_sought(t.frames[i]);
	cr_assert_eq(sought, 1, "%d of %d frames", sought, t.count);
	cr_assert_geq(t.count, 4);
	cr_assert_leq(t.count, 8, "it goes on beyond the bottom");
	cr_assert_eq(go_away(&t), &t, "the flow cannot go on");
}

/* --- thread bases --- */

static struct {
	_Atomic int stage;
	uintptr_t base;
	int *local;
} lender;

static _Thread_local int local;

static WF_NOINLINE int *address_of_local(void)
{
	__asm__ volatile("" ::: "memory");
	return &local;
}

/* Lends its base while it spins, touching nothing thread-local. */
static void *lend(void *unused)
{
	(void)unused;
	lender.base = wf_base_get();
	lender.local = address_of_local();
	atomic_store(&lender.stage, 1);
	while (atomic_load(&lender.stage) != 2)
		wf_cpu_relax();
	return NULL;
}

struct borrowed {
	uintptr_t base;
	int *local;
};

static void borrow(void *msg)
{
	struct borrowed *b = msg;

	san_arrive(&away.san);
	for (;;) {
		b->base = wf_base_get();
		b->local = address_of_local();
		b = go_home(NULL);
	}
}

static void switch_bases(void)
{
	uintptr_t mine = wf_base_get();
	int *my_local = address_of_local();
	struct borrowed b = {0};

	prepare(borrow);
	away.ctx.base = lender.base;
	for (int i = 0; i < 10; i++) {
		b = (struct borrowed){0};
		go_away(&b);
		cr_assert_eq(b.base, lender.base);
		cr_assert_eq(b.local, lender.local);
		cr_assert_eq(wf_base_get(), mine);
		cr_assert_eq(address_of_local(), my_local);
	}
	away.ctx.base = mine;
}

static void with_a_lender(void (*body)(void))
{
	pthread_t t;

	cr_assert_eq(pthread_create(&t, NULL, lend, NULL), 0);
	while (atomic_load(&lender.stage) != 1)
		wf_cpu_relax();
	cr_assert_neq(lender.base, wf_base_get());
	body();
	atomic_store(&lender.stage, 2);
	pthread_join(t, NULL);
}

Test(context, another_thread_base_comes_with_its_thread_locals)
{
	if (!WF_BASE_SWITCHED)
		cr_skip_test("this port does not switch the thread base");
	if (T_SANITIZED)
		cr_skip_test("the sanitizer keeps thread-locals of its own");
	wf_feature_probe();
	with_a_lender(switch_bases);
}

Test(context, the_thread_base_can_be_set_by_the_kernel_too)
{
	if (!WF_BASE_SWITCHED)
		cr_skip_test("this port does not switch the thread base");
	if (T_SANITIZED)
		cr_skip_test("the sanitizer keeps thread-locals of its own");
	wf_base_fast = 0;
	with_a_lender(switch_bases);
}

/* --- system calls --- */

static long call(long number, long a, long b, long c)
{
	return wf_syscall(number, a, b, c, 0, 0, 0);
}

Test(context, a_system_call_gives_its_result_or_an_error)
{
	int p[2];
	char c = 0;

	cr_assert_eq(pipe(p), 0);
	cr_assert_eq(call(SYS_write, p[1], (long)"x", 1), 1);
	cr_assert_eq(call(SYS_read, p[0], (long)&c, 1), 1);
	cr_assert_eq(c, 'x');
	cr_assert_eq(call(SYS_close, -1, 0, 0), -EBADF);
}

Test(context, a_system_call_takes_six_arguments)
{
	FILE *f = tmpfile();
	char text[8192], *page;

	cr_assert_not_null(f);
	memset(text, 'a', 4096);
	memset(text + 4096, 'b', 4096);
	cr_assert_eq(write(fileno(f), text, sizeof text), sizeof text);
	page = (char *)wf_syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE,
				  fileno(f), 4096);
	cr_assert_eq(*page, 'b');
}
