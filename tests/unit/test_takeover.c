/* SPDX-License-Identifier: MIT */
/*
 * test_takeover.c - a worker whose thread is stuck in one fiber goes on with
 * another thread, and the fiber goes on too.
 */
#include "support/t.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/worker.h"
#include "run/watch.h"
#include "support/thread.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

TestSuite(takeover, .timeout = 20 * T_SLOW);

static _Atomic bool stuck, freed;
static _Atomic uint32_t frees; /* so often has somebody been freed */
static _Atomic int refusals;

static struct wf_worker *only_worker(void)
{
	return &wf_runtime.workers[0];
}

/* Without a system call, a switch, or anything else that leaves the fiber. */
static void be_stuck(void)
{
	atomic_store(&stuck, true);
	while (!atomic_load(&freed))
		wf_cpu_relax();
	atomic_store(&freed, false);
}

/* Unless the sentinel is faster. */
static void *take_when_stuck(void *frees_before)
{
	uint32_t before = (uint32_t)(uintptr_t)frees_before;
	int r;

	while (!atomic_load(&stuck))
		sched_yield();
	atomic_store(&stuck, false);
	while ((r = wf_watch_take(only_worker(), false)) == -EBUSY &&
	       frees == before)
		sched_yield();
	T_CHECK(r == 0 || r == -EBUSY);
	return NULL;
}

static void *free_the_stuck(void *unused)
{
	T_CHECK(weft_worker() == 0);
	T_CHECK(weft_sleep(WEFT_USEC(100)) == 0);
	frees++;
	atomic_store(&freed, true);
	return unused;
}

static void *frees_now(void)
{
	return (void *)(uintptr_t)frees;
}

/*
 * Be stuck until somebody else has run on this worker.  A fiber that is freed
 * stays where it is until it leaves: hence the yield.
 */
static void lose_the_worker(void)
{
	struct t_thread taker;
	struct weft_fiber *f = NULL;

	t_thread_begin(&taker, take_when_stuck, frees_now());
	T_CHECK(weft_spawn(&f, NULL, free_the_stuck, NULL) == 0);
	be_stuck();
	T_CHECK(weft_join(f, NULL) == 0);
	t_thread_end(&taker);
	weft_yield();
}

struct row {
	char without[16];
};

static struct row rows[] = {{""}, {"membarrier"}};

static int lose_it_often(void *unused)
{
	long first = syscall(SYS_gettid);
	int moves = 0;

	(void)unused;
	for (size_t i = 10 + t_scale(90); i; i--) {
		long thread = syscall(SYS_gettid);

		lose_the_worker();
		moves += syscall(SYS_gettid) != thread;
		T_CHECK(weft_worker() == 0);
	}
	T_CHECK(moves > 0 || first == syscall(SYS_gettid));
	return moves;
}

ParameterizedTestParameters(takeover, others_run_while_one_is_stuck)
{
	return cr_make_param_array(struct row, rows, 2);
}

ParameterizedTest(struct row *row, takeover, others_run_while_one_is_stuck)
{
	setenv("WEFT_WITHOUT", row->without, 1);
	cr_assert_gt(t_run(1, lose_it_often, NULL), 0);
}

/* --- what a fiber may do on a thread that has lost its worker --- */

static void lose_it_now(struct t_thread *taker)
{
	t_thread_begin(taker, take_when_stuck, frees_now());
	T_CHECK(weft_spawn(NULL, NULL, free_the_stuck, NULL) == 0);
	be_stuck();
}

static void *same(void *arg)
{
	return arg;
}

static int live_without_a_worker(void *unused)
{
	static struct weft_local local;
	struct t_thread taker;
	struct weft_fiber *f;
	void *result;

	(void)unused;
	T_CHECK(weft_local_create(&local, NULL) == 0);
	lose_it_now(&taker);
	T_CHECK(weft_self() != NULL && weft_worker() == 0);
	T_CHECK(weft_set_name("stuck") == 0);
	T_CHECK(weft_local_set(&local, &taker) == 0);
	T_CHECK(weft_spawn(&f, NULL, same, &local) == 0);
	T_CHECK(weft_join(f, &result) == 0 && result == &local);
	T_CHECK(weft_local_get(&local) == &taker);
	t_thread_end(&taker);
	return 0;
}

Test(takeover, a_stuck_fiber_can_spawn_and_join_when_it_goes_on)
{
	for (size_t i = t_scale(20); i; i--)
		t_run(1, live_without_a_worker, NULL);
}

static int sleep_without_a_worker(void *unused)
{
	struct t_thread taker;
	weft_time end;

	(void)unused;
	lose_it_now(&taker);
	end = weft_after(WEFT_USEC(500));
	T_CHECK(weft_sleep_until(end) == 0);
	T_CHECK(weft_now() >= end);
	t_thread_end(&taker);
	return 0;
}

Test(takeover, a_stuck_fiber_can_sleep_when_it_goes_on)
{
	for (size_t i = t_scale(20); i; i--)
		t_run(1, sleep_without_a_worker, NULL);
}

static struct t_thread last_taker;

static void *end_without_a_worker(void *exit)
{
	lose_it_now(&last_taker);
	if (exit)
		weft_exit(&stuck);
	return &stuck;
}

static int join_the_stuck(void *exit)
{
	struct weft_fiber *f;
	void *result = NULL;

	T_CHECK(weft_spawn(&f, NULL, end_without_a_worker, exit) == 0);
	T_CHECK(weft_join(f, &result) == 0 && result == &stuck);
	pthread_join(last_taker.id, NULL);
	return 0;
}

Test(takeover, a_stuck_fiber_can_end_at_once)
{
	for (size_t i = t_scale(20); i; i--) {
		t_run(1, join_the_stuck, NULL);
		t_run(1, join_the_stuck, "exit");
	}
}

static int pinned_and_stuck(void *unused)
{
	struct t_thread taker;

	(void)unused;
	T_CHECK(weft_pin() == 0);
	for (size_t i = t_scale(20); i; i--) {
		lose_it_now(&taker);
		weft_yield();
		T_CHECK(weft_worker() == 0);
		t_thread_end(&taker);
	}
	T_CHECK(weft_unpin() == 0);
	return 0;
}

Test(takeover, a_pinned_fiber_comes_home_to_its_worker)
{
	t_run(1, pinned_and_stuck, NULL);
}

/* Whoever takes, and whatever its mask: handlers run on no fiber's stack. */
static void *take_with_all_signals_let_in(void *frees_before)
{
	sigset_t none;

	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	return take_when_stuck(frees_before);
}

static void *look_at_mask(void *stuck_thread)
{
	sigset_t mask;

	T_CHECK(syscall(SYS_gettid) != *(long *)stuck_thread);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	T_CHECK(sigismember(&mask, SIGTERM) && sigismember(&mask, SIGPIPE));
	T_CHECK(!sigismember(&mask, SIGSEGV) && !sigismember(&mask, SIGABRT));
	return free_the_stuck(NULL);
}

static int be_taken_by_another(void *unused)
{
	long thread = syscall(SYS_gettid);
	struct t_thread taker;

	(void)unused;
	t_thread_begin(&taker, take_with_all_signals_let_in, frees_now());
	T_CHECK(weft_spawn(NULL, NULL, look_at_mask, &thread) == 0);
	be_stuck();
	t_thread_end(&taker);
	return 0;
}

Test(takeover, the_new_thread_blocks_signals_as_the_old_one_did)
{
	for (size_t i = t_scale(20); i; i--)
		t_run(1, be_taken_by_another, NULL);
}

/* --- refusal --- */

static void *take_the_idle(void *unused)
{
	for (size_t i = t_scale(1000); i; i--) {
		while (!atom_load_rlx(&only_worker()->asleep))
			sched_yield();
		T_CHECK(wf_watch_take(only_worker(), false) == -EBUSY);
	}
	return unused;
}

static int be_idle(void *unused)
{
	(void)unused;
	t_on_thread(take_the_idle, NULL);
	return 7;
}

Test(takeover, a_worker_that_is_not_in_a_fiber_is_not_taken)
{
	cr_assert_eq(t_run(1, be_idle, NULL), 7);
}

/* --- while everything goes on --- */

static _Atomic bool over;

static void *take_at_random(void *unused)
{
	while (!atomic_load(&over)) {
		int r = wf_watch_take(only_worker(), false);

		T_CHECK(r == 0 || r == -EBUSY || r == -EAGAIN);
		atomic_fetch_add(&refusals, r != 0);
		usleep(50);
	}
	return unused;
}

static void *compute(void *amount)
{
	volatile uintptr_t n = (uintptr_t)amount;

	for (int i = 0; i < 20; i++) {
		for (uintptr_t k = n; k; k--)
			wf_cpu_relax();
		weft_yield();
	}
	return amount;
}

static int be_taken_at_random(void *unused)
{
	struct t_thread taker;
	struct weft_fiber *f[50];
	void *result;

	(void)unused;
	t_thread_begin(&taker, take_at_random, NULL);
	for (size_t round = t_scale(20); round; round--) {
		for (uintptr_t i = 0; i < 50; i++)
			T_CHECK(weft_spawn(&f[i], NULL, compute,
					   (void *)(i * 100)) == 0);
		for (uintptr_t i = 0; i < 50; i++)
			T_CHECK(weft_join(f[i], &result) == 0 &&
				result == (void *)(i * 100));
	}
	atomic_store(&over, true);
	t_thread_end(&taker);
	return 0;
}

ParameterizedTestParameters(takeover, nothing_is_lost_when_it_comes_any_time)
{
	return cr_make_param_array(struct row, rows, 2);
}

ParameterizedTest(struct row *row, takeover,
		  nothing_is_lost_when_it_comes_any_time,
		  .timeout = 60 * T_SLOW)
{
	setenv("WEFT_WITHOUT", row->without, 1);
	t_run(2, be_taken_at_random, NULL);
}
