/* SPDX-License-Identifier: MIT */
/*
 * test_adopt.c - a thread that becomes a fiber and a thread again, with its
 * thread-local variables all the way.
 */
#include "support/t.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/adopt.h"
#include "support/thread.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

#define SCRATCH ((size_t)64 << 10)

TestSuite(adopt, .timeout = 10 * T_SLOW);

static _Thread_local int local;

static WF_NOINLINE int *address_of_local(void)
{
	__asm__ volatile("" ::: "memory");
	return &local;
}

static void skip_where_impossible(void)
{
	if (!WF_BASE_SWITCHED)
		cr_skip_test("this port does not switch the thread base");
	if (T_SANITIZED)
		cr_skip_test("the sanitizer keeps thread-locals of its own");
}

static void *same(void *arg)
{
	return arg;
}

/* All that another fiber may do. */
static void live_as_a_fiber(void)
{
	struct weft_fiber *f;
	void *result;

	T_CHECK(weft_self() != NULL && weft_worker() >= 0);
	T_CHECK(weft_sleep(WEFT_USEC(50)) == 0);
	T_CHECK(weft_spawn(&f, NULL, same, &f) == 0);
	T_CHECK(weft_join(f, &result) == 0 && result == &f);
	weft_yield();
}

static void be_adopted(void)
{
	char *scratch = t_guarded(SCRATCH);
	struct wf_adoption a;
	pthread_t me = pthread_self();
	long thread = syscall(SYS_gettid);
	int *mine = address_of_local();

	T_CHECK(wf_adopt_begin(&a, scratch, SCRATCH) == 0);
	for (int i = 0; i < 100; i++) {
		T_CHECK(address_of_local() == mine);
		T_CHECK(pthread_equal(pthread_self(), me));
		live_as_a_fiber();
	}
	wf_adopt_end(&a);
	T_CHECK(weft_self() == NULL);
	T_CHECK(syscall(SYS_gettid) == thread);
	T_CHECK(address_of_local() == mine);
}

static void *be_adopted_twice(void *unused)
{
	be_adopted();
	be_adopted();
	return unused;
}

static int adopt_some(void *unused)
{
	struct t_thread t[4];

	(void)unused;
	for (int i = 0; i < 4; i++)
		t_thread_begin(&t[i], be_adopted_twice, NULL);
	for (int i = 0; i < 4; i++)
		t_thread_end(&t[i]);
	return 0;
}

ParameterizedTestParameters(adopt, a_thread_becomes_a_fiber_and_a_thread_again)
{
	static unsigned workers[] = {1, 2, 8};

	return cr_make_param_array(unsigned, workers, 3);
}

ParameterizedTest(unsigned *workers, adopt,
		  a_thread_becomes_a_fiber_and_a_thread_again)
{
	skip_where_impossible();
	t_run(*workers, adopt_some, NULL);
}

/* The runtime must not end without it. */
static _Atomic bool adopted, home;

static void *stay_a_while(void *unused)
{
	struct wf_adoption a;

	T_CHECK(wf_adopt_begin(&a, t_guarded(SCRATCH), SCRATCH) == 0);
	atomic_store(&adopted, true);
	T_CHECK(weft_sleep(WEFT_MSEC(3)) == 0);
	atomic_store(&home, true);
	wf_adopt_end(&a);
	return unused;
}

static struct t_thread guest;

static int leave_first(void *unused)
{
	(void)unused;
	pthread_create(&guest.id, NULL, stay_a_while, NULL);
	while (!atomic_load(&adopted))
		weft_yield();
	return 7;
}

Test(adopt, the_runtime_waits_for_adopted_ones)
{
	skip_where_impossible();
	cr_assert_eq(t_run(2, leave_first, NULL), 7);
	cr_assert(atomic_load(&home));
	pthread_join(guest.id, NULL);
	t_verify();
}

Test(adopt, without_a_runtime_nobody_is_adopted)
{
	struct wf_adoption a;

	cr_assert_eq(wf_adopt_begin(&a, t_guarded(SCRATCH), SCRATCH),
		     WF_BASE_SWITCHED && !SAN_BASE_FIXED ? -ESRCH : -ENOTSUP);
	cr_assert_null(weft_self());
}
