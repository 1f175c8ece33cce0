/* SPDX-License-Identifier: MIT */
/*
 * test_sample.c - where a thread is, asked from another one.
 */
#include "support/t.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "os/clock.h"
#include "os/thread.h"
#include "run/sample.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

TestSuite(sample, .timeout = 20 * T_SLOW);

/* What is in this section is what is to be found in a sample. */
#define SOUGHT __attribute__((noinline, section("sought")))
extern char __start_sought[], __stop_sought[];

static _Atomic pid_t tid;
static _Atomic bool over;

static SOUGHT int run_in_circles(void)
{
	/* A sanitizer delivers a signal when libc is called. */
	while (!atomic_load(&over))
		if (T_SANITIZED)
			getppid();
	return 0;
}

static bool found(void *const *frames, int n)
{
	for (int i = 0; i < n; i++)
		if ((char *)frames[i] >= __start_sought &&
		    (char *)frames[i] <= __stop_sought)
			return true;
	return false;
}

static pid_t await_tid(void)
{
	pid_t t;

	while (!(t = atomic_load(&tid)))
		wf_cpu_relax();
	return t;
}

/* A busy machine may keep a thread from its CPU for longer than a sample. */
static bool seen(void **frames, int max)
{
	for (int tries = 0; tries < 500; tries++)
		if (found(frames, wf_sample(await_tid(), frames, max)))
			return true;
	return false;
}

static void *thread_in_circles(void *unused)
{
	wf_sample_unblock();
	atomic_store(&tid, wf_thread_id());
	run_in_circles();
	return unused;
}

Test(sample, a_thread_says_where_it_is)
{
	void *frames[WF_FRAMES];
	pthread_t thread;

	wf_sample_begin();
	cr_assert(wf_sample_there());
	pthread_create(&thread, NULL, thread_in_circles, NULL);
	cr_assert(seen(frames, WF_FRAMES));
	cr_assert_leq(wf_sample(await_tid(), frames, 1), 1);
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	wf_sample_end();
}

static void *look_at_the_fiber(void *unused)
{
	void *frames[WF_FRAMES];

	T_CHECK(seen(frames, WF_FRAMES));
	atomic_store(&over, true);
	return unused;
}

static int fiber_in_circles(void *unused)
{
	(void)unused;
	wf_sample_unblock();
	atomic_store(&tid, wf_thread_id());
	return run_in_circles();
}

Test(sample, a_fiber_that_runs_is_found_on_its_stack)
{
	pthread_t thread;

	wf_sample_begin();
	pthread_create(&thread, NULL, look_at_the_fiber, NULL);
	t_run(1, fiber_in_circles, NULL);
	pthread_join(thread, NULL);
	wf_sample_end();
}

Test(sample, it_can_be_the_caller)
{
	void *frames[WF_FRAMES];

	wf_sample_begin();
	wf_sample_unblock();
	cr_assert_gt(wf_sample(wf_thread_id(), frames, WF_FRAMES), 0);
	wf_sample_end();
}

Test(sample, without_a_beginning_there_is_none)
{
	void *frames[WF_FRAMES];

	cr_assert(!wf_sample_there());
	cr_assert_eq(wf_sample(wf_thread_id(), frames, WF_FRAMES), 0);
}

Test(sample, a_thread_that_is_gone_gives_none)
{
	void *frames[WF_FRAMES];
	pthread_t thread;

	wf_sample_begin();
	atomic_store(&over, true);
	pthread_create(&thread, NULL, thread_in_circles, NULL);
	pthread_join(thread, NULL);
	cr_assert_eq(wf_sample(await_tid(), frames, WF_FRAMES), 0);
	wf_sample_unblock();
	cr_assert_gt(wf_sample(wf_thread_id(), frames, WF_FRAMES), 0);
	wf_sample_end();
}

static _Atomic int step;

static void await_step(int n)
{
	while (atomic_load(&step) < n)
		wf_cpu_relax();
}

/* Deaf until step 2; then it takes the signal of a question long withdrawn. */
static void *answer_late(void *unused)
{
	sigset_t old;

	wf_signals_block(&old);
	atomic_store(&tid, wf_thread_id());
	await_step(2);
	wf_sample_unblock();
	getppid();
	atomic_store(&step, 3);
	await_step(4);
	return unused;
}

Test(sample, an_answer_that_comes_too_late_is_for_nobody)
{
	void *frames[WF_FRAMES];
	weft_time asked;
	pthread_t thread;

	wf_sample_begin();
	wf_sample_unblock();
	pthread_create(&thread, NULL, answer_late, NULL);
	await_tid();
	asked = wf_clock_now();
	cr_assert_eq(wf_sample(await_tid(), frames, WF_FRAMES), 0);
	cr_assert_geq(wf_clock_now() - asked, WEFT_MSEC(20));
	atomic_store(&step, 2);
	await_step(3);
	cr_assert_gt(wf_sample(wf_thread_id(), frames, WF_FRAMES), 0);
	atomic_store(&step, 4);
	pthread_join(thread, NULL);
	wf_sample_end();
}

static void *look_at_another(void *arg)
{
	void *frames[WF_FRAMES];

	for (size_t i = 0; i < t_scale(100); i++) {
		int n = wf_sample(await_tid(), frames, WF_FRAMES);

		T_CHECK(n >= 0 && n <= WF_FRAMES);
		T_CHECK(n == 0 || found(frames, n));
	}
	return arg;
}

Test(sample, several_may_ask_at_once)
{
	pthread_t circler, askers[3];

	wf_sample_begin();
	pthread_create(&circler, NULL, thread_in_circles, NULL);
	for (int i = 0; i < 3; i++)
		pthread_create(&askers[i], NULL, look_at_another, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(askers[i], NULL);
	atomic_store(&over, true);
	pthread_join(circler, NULL);
	wf_sample_end();
	t_verify();
}

Test(sample, the_handler_that_was_there_comes_back)
{
	struct sigaction mine = {.sa_handler = SIG_IGN}, now;

	sigaction(SIGURG, &mine, NULL);
	wf_sample_begin();
	wf_sample_end();
	sigaction(SIGURG, NULL, &now);
	cr_assert(now.sa_handler == SIG_IGN);
	wf_sample_begin();
	mine.sa_handler = SIG_DFL;
	sigaction(SIGURG, &mine, NULL);
	wf_sample_end();
	sigaction(SIGURG, NULL, &now);
	cr_assert(now.sa_handler == SIG_DFL, "somebody's handler was removed");
}

Test(sample, frames_are_printed_a_line_each)
{
	void *frames[3] = {__start_sought, __start_sought, __start_sought};
	char text[4096];
	int p[2], lines = 0;
	ssize_t n;

	cr_assert_eq(pipe(p), 0);
	wf_sample_print(p[1], frames, 3);
	n = read(p[0], text, sizeof text);
	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	cr_assert_eq(lines, 3);
}
