/* SPDX-License-Identifier: MIT */
/*
 * test_offload.c - calls that block a thread: done by the pool, on time, in
 * order, withdrawn if nobody has begun them, and no thread left behind.
 */
#include "support/io.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

TestSuite(offload, .timeout = 20 * T_SLOW);

static void *plus_one(void *arg)
{
	return (void *)((intptr_t)arg + 1);
}

static int result_comes_back(void *arg)
{
	void *result = NULL;

	(void)arg;
	for (intptr_t i = 0; i < 100; i++) {
		T_CHECK(weft_blocking(plus_one, (void *)i, &result) == 0);
		T_CHECK((intptr_t)result == i + 1);
	}
	T_CHECK(weft_blocking(plus_one, NULL, NULL) == 0);
	T_CHECK(weft_blocking_until(plus_one, NULL, &result, WEFT_FOREVER) ==
		0);
	T_CHECK(result == (char *)1);
	T_CHECK(weft_blocking(NULL, NULL, NULL) == -EINVAL);
	return 0;
}

Test(offload, a_call_returns_what_the_function_did)
{
	t_in_each_way(result_comes_back, NULL);
}

static void *thread_of_call(void *arg)
{
	*(pthread_t *)arg = pthread_self();
	T_CHECK(weft_self() == NULL);
	return NULL;
}

static int which_thread(void *arg)
{
	bool fiber = weft_self() != NULL;
	pthread_t me = pthread_self(), it = me;

	(void)arg;
	T_CHECK(weft_blocking(thread_of_call, &it, NULL) == 0);
	T_CHECK(!pthread_equal(me, it) == fiber);
	return 0;
}

Test(offload, a_fibers_call_runs_on_another_thread_and_a_threads_on_its_own)
{
	t_in_each_way(which_thread, NULL);
}

static void *nested(void *arg)
{
	pthread_t inner, me = pthread_self();

	(void)arg;
	T_CHECK(weft_blocking(thread_of_call, &inner, NULL) == 0);
	T_CHECK(pthread_equal(me, inner));
	return NULL;
}

static int nest(void *arg)
{
	(void)arg;
	T_CHECK(weft_blocking(nested, NULL, NULL) == 0);
	return 0;
}

Test(offload, a_call_from_the_pool_runs_at_once_on_the_same_thread)
{
	t_in_each_way(nest, NULL);
}

/* --- more calls than threads --- */

static struct {
	_Atomic unsigned running, most, done;
} jobs;

static void *count_running(void *arg)
{
	unsigned n = ++jobs.running, most = jobs.most;

	while (n > most && !atomic_compare_exchange_weak(&jobs.most, &most, n))
		;
	usleep(100);
	jobs.running--;
	jobs.done++;
	return arg;
}

static void *call_count(void *arg)
{
	void *result = NULL;

	T_CHECK(weft_blocking(count_running, arg, &result) == 0);
	T_CHECK(result == arg);
	return NULL;
}

#define CALLS 200

static int many_calls(void *arg)
{
	static struct weft_fiber *f[CALLS];

	(void)arg;
	for (intptr_t i = 0; i < CALLS; i++)
		T_CHECK(weft_spawn(&f[i], NULL, call_count, (void *)i) == 0);
	for (int i = 0; i < CALLS; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	return 0;
}

static void run_with_pool(unsigned threads, unsigned workers,
			  int (*fn)(void *arg))
{
	struct weft_options o = {.pool_threads = threads, .workers = workers};

	t_reset();
	cr_assert_eq(weft_run(&o, fn, NULL), 0);
	t_verify();
}

Test(offload, no_more_calls_run_than_there_may_be_threads)
{
	for (unsigned workers = 1; workers < 3; workers++) {
		jobs.done = 0;
		run_with_pool(2, workers, many_calls);
		cr_assert_eq(jobs.done, CALLS);
		cr_assert_leq(jobs.most, 2);
		cr_assert_geq(jobs.most, 1);
	}
}

/* --- calls that need each other: each has a thread --- */

#define CROWD 40

static pthread_barrier_t all_here;

static void *meet(void *arg)
{
	pthread_barrier_wait(&all_here);
	return arg;
}

static void *call_meet(void *arg)
{
	T_CHECK(weft_blocking(meet, arg, NULL) == 0);
	return NULL;
}

static void meet_in_pool(unsigned n)
{
	struct weft_fiber *f[CROWD];

	pthread_barrier_init(&all_here, NULL, n);
	T_CHECK(weft_blocking(plus_one, NULL, NULL) == 0);
	for (unsigned i = 0; i < n; i++)
		T_CHECK(weft_spawn(&f[i], NULL, call_meet, NULL) == 0);
	for (unsigned i = 0; i < n; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	pthread_barrier_destroy(&all_here);
}

static int two_often(void *arg)
{
	(void)arg;
	for (size_t i = t_scale(1000); i; i--)
		meet_in_pool(2);
	return 0;
}

Test(offload, two_calls_have_two_threads_though_one_was_idle)
{
	t_on_fibers(two_often, NULL);
}

static int a_crowd(void *arg)
{
	(void)arg;
	for (size_t i = t_scale(50); i; i--)
		meet_in_pool(CROWD);
	return 0;
}

Test(offload, as_many_threads_as_calls_if_so_many_may_be)
{
	for (unsigned workers = 1; workers < 3; workers++) {
		run_with_pool(0, workers, a_crowd);
		run_with_pool(CROWD, workers, a_crowd);
	}
}

/* --- a pool of one thread that is busy until told --- */

static struct {
	sem_t begun, go;
	_Atomic int ran;
} gate;

static void *hold(void *arg)
{
	sem_post(&gate.begun);
	while (sem_wait(&gate.go) < 0)
		;
	return arg;
}

static void *run_once(void *arg)
{
	gate.ran++;
	return arg;
}

static void *call_hold(void *arg)
{
	void *result = NULL;

	T_CHECK(weft_blocking_until(hold, "held", &result,
				    arg ? weft_after(0) : WEFT_FOREVER) == 0);
	T_CHECK(result != NULL);
	return NULL;
}

/* The only thread is busy when this returns. */
static struct weft_fiber *keep_busy(void)
{
	struct weft_fiber *f;

	gate.ran = 0;
	sem_init(&gate.begun, 0, 0);
	sem_init(&gate.go, 0, 0);
	T_CHECK(weft_spawn(&f, NULL, call_hold, NULL) == 0);
	while (sem_trywait(&gate.begun) < 0)
		weft_yield();
	return f;
}

static void *call_cancelled(void *arg)
{
	*(_Atomic int *)arg = 1;
	T_CHECK(weft_blocking(run_once, NULL, NULL) == -ECANCELED);
	return NULL;
}

static int withdraw(void *arg)
{
	struct weft_fiber *busy = keep_busy(), *f;
	weft_time deadline = weft_after(WEFT_MSEC(3));
	_Atomic int begun = 0;

	(void)arg;
	T_CHECK(weft_blocking_until(run_once, NULL, NULL, deadline) ==
		-ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	T_CHECK(weft_spawn(&f, NULL, call_cancelled, (void *)&begun) == 0);
	while (!begun)
		weft_yield();
	weft_cancel(f);
	T_CHECK(weft_join(f, NULL) == 0);
	sem_post(&gate.go);
	T_CHECK(weft_join(busy, NULL) == 0);
	T_CHECK(weft_blocking(run_once, NULL, NULL) == 0);
	T_CHECK(gate.ran == 1);
	return 0;
}

Test(offload, what_no_thread_has_begun_is_withdrawn_and_never_runs)
{
	run_with_pool(1, 1, withdraw);
	run_with_pool(1, 2, withdraw);
}

static int finish_begun(void *arg)
{
	struct weft_fiber *f = keep_busy();

	(void)arg;
	weft_cancel(f);
	weft_sleep(WEFT_MSEC(1));
	sem_post(&gate.go);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(offload, what_has_begun_is_waited_for_even_when_cancelled)
{
	run_with_pool(1, 1, finish_begun);
	run_with_pool(1, 2, finish_begun);
}

static void *release_later(void *arg)
{
	sem_wait(&gate.begun);
	usleep(5000);
	sem_post(&gate.go);
	return arg;
}

static int begun_out_of_time(void *arg)
{
	void *result = NULL;
	pthread_t thread;

	(void)arg;
	sem_init(&gate.begun, 0, 0);
	sem_init(&gate.go, 0, 0);
	pthread_create(&thread, NULL, release_later, NULL);
	T_CHECK(weft_blocking_until(hold, "r", &result,
				    weft_after(WEFT_SEC(3600))) == 0);
	T_CHECK(result != NULL);
	pthread_join(thread, NULL);
	return 0;
}

Test(offload, a_far_deadline_changes_nothing)
{
	t_in_each_way(begun_out_of_time, NULL);
}

static int cancelled_before(void *arg)
{
	(void)arg;
	gate.ran = 0;
	weft_cancel(weft_self());
	T_CHECK(weft_blocking(run_once, NULL, NULL) == -ECANCELED);
	T_CHECK(gate.ran == 0);
	weft_shield();
	T_CHECK(weft_blocking(run_once, NULL, NULL) == 0);
	T_CHECK(gate.ran == 1);
	weft_unshield();
	return 0;
}

Test(offload, a_cancelled_fiber_begins_no_call_unless_shielded)
{
	t_on_fibers(cancelled_before, NULL);
}

/* In the order in which they came, when one thread serves them. */
static _Atomic intptr_t next_in_order;

static void *in_order(void *arg)
{
	T_CHECK(next_in_order++ == (intptr_t)arg);
	return NULL;
}

static void *call_in_order(void *arg)
{
	T_CHECK(weft_blocking(in_order, arg, NULL) == 0);
	return NULL;
}

static int first_come(void *arg)
{
	struct weft_fiber *busy = keep_busy(), *f[20];

	(void)arg;
	next_in_order = 0;
	for (intptr_t i = 0; i < 20; i++) {
		T_CHECK(weft_spawn(&f[i], NULL, call_in_order, (void *)i) == 0);
		weft_yield();
	}
	sem_post(&gate.go);
	for (int i = 0; i < 20; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	T_CHECK(weft_join(busy, NULL) == 0);
	T_CHECK(next_in_order == 20);
	return 0;
}

Test(offload, calls_are_served_in_the_order_they_came)
{
	run_with_pool(1, 1, first_come);
}

/* --- races of cancel and deadline with the threads --- */

static void *count_run(void *arg)
{
	(*(_Atomic int *)arg)++;
	return NULL;
}

static void *call_with_deadline(void *arg)
{
	uint64_t random = *(uint64_t *)arg;

	for (size_t i = 0; i < t_scale(500); i++) {
		weft_time delay = WEFT_USEC(t_random(&random) % 200);
		_Atomic int ran = 0;
		int r = weft_blocking_until(count_run, (void *)&ran, NULL,
					    weft_after(delay));

		T_CHECK(r == 0 || r == -ETIMEDOUT);
		T_CHECK(ran == (r == 0));
	}
	return NULL;
}

static int race_deadlines(void *arg)
{
	struct weft_fiber *f[8];
	uint64_t seeds[8];

	(void)arg;
	for (int i = 0; i < 8; i++) {
		seeds[i] = (uint64_t)i * 77;
		T_CHECK(weft_spawn(&f[i], NULL, call_with_deadline,
				   &seeds[i]) == 0);
	}
	for (int i = 0; i < 8; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	return 0;
}

Test(offload, a_call_has_run_exactly_if_it_says_so)
{
	run_with_pool(2, 1, race_deadlines);
	run_with_pool(2, 2, race_deadlines);
}

/* --- what is left --- */

static int threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = -2;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

Test(offload, no_thread_is_left_when_the_runtime_has_ended)
{
	int before, fds = t_fds();

	/* The first thread of all may bring one of a sanitizer's. */
	run_with_pool(0, 2, many_calls);
	before = threads();
	for (int i = 0; i < 20; i++) {
		run_with_pool(0, 2, many_calls);
		/* One that has been joined may be listed a moment longer. */
		while (threads() > before)
			sched_yield();
	}
	cr_assert_eq(t_fds(), fds);
}
