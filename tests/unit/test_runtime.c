/* SPDX-License-Identifier: MIT */
/*
 * test_runtime.c - starting, stopping and starting again: options, variables,
 * what is refused, and that nothing is left behind.
 */
#include "support/t.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/worker.h"
#include "os/cpu.h"
#include "os/feature.h"
#include "os/feature.h"
#include "run/worker.h"
#include "support/thread.h"
#include "weft/blocking.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

TestSuite(runtime, .timeout = 20 * T_SLOW);

static _Atomic int ended;

static int nothing(void *arg)
{
	return arg ? *(int *)arg : 0;
}

static int count_workers(void *arg)
{
	(void)arg;
	return (int)weft_workers();
}

/* --- the result --- */

static void *linger(void *unused)
{
	weft_sleep(WEFT_MSEC(2));
	atomic_fetch_add(&ended, 1);
	return unused;
}

static int leave_some_behind(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++)
		T_CHECK(weft_spawn(NULL, NULL, linger, NULL) == 0);
	return 42;
}

Test(runtime, the_result_comes_when_every_fiber_has_ended)
{
	cr_assert_eq(t_run(0, leave_some_behind, NULL), 42);
	cr_assert_eq(atomic_load(&ended), 10);
}

Test(runtime, a_negative_result_comes_through_too)
{
	int result = -7;

	cr_assert_eq(weft_run(NULL, nothing, &result), -7);
}

static int exit_with(void *result)
{
	weft_exit((void *)(intptr_t) * (int *)result);
	return 99;
}

Test(runtime, the_first_fiber_may_exit_with_its_result)
{
	int results[] = {0, 42, -7};

	for (size_t i = 0; i < array_count(results); i++)
		cr_assert_eq(weft_run(NULL, exit_with, &results[i]),
			     results[i]);
}

/* --- options --- */

Test(runtime, options_out_of_range_are_refused)
{
	static const struct weft_options bad[] = {
		{.size = 1},
		{.size = sizeof(struct weft_options) + 8},
		{.workers = 257},
		{.workers = (unsigned)-1},
		{.guard = WEFT_GUARD_CANARY + 1},
		{.stack_size = 1},
		{.stack_size = (16 << 10) - 1},
		{.stack_size = (64 << 20) + 1},
		{.pool_threads = 100000},
	};
	int fds = t_fds();

	for (size_t i = 0; i < array_count(bad); i++)
		cr_assert_eq(weft_run(&bad[i], nothing, NULL), -EINVAL,
			     "row %zu", i);
	cr_assert_eq(weft_run(NULL, NULL, NULL), -EINVAL);
	cr_assert_eq(t_fds(), fds);
}

ParameterizedTestParameters(runtime, there_are_as_many_workers_as_asked)
{
	static unsigned counts[] = {1, 2, 3, 8, 64};

	return cr_make_param_array(unsigned, counts, 5);
}

ParameterizedTest(unsigned *count, runtime, there_are_as_many_workers_as_asked)
{
	struct weft_options o = {.size = sizeof o, .workers = *count};

	cr_assert_eq(weft_run(&o, count_workers, NULL), (int)*count);
	cr_assert_eq(weft_workers(), 0);
}

Test(runtime, by_default_the_cpus_decide_how_many)
{
	cr_assert_eq(weft_run(NULL, count_workers, NULL), (int)wf_cpu_count());
}

Test(runtime, a_smaller_affinity_makes_fewer_workers)
{
	cpu_set_t all, one;
	int cpu = 0;

	sched_getaffinity(0, sizeof all, &all);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
	cr_assert_eq(weft_run(NULL, count_workers, NULL), 1);
}

static int default_stack(void *arg)
{
	(void)arg;
	return (int)(wf_stack_size(wf_runtime.stack_class) >> 10);
}

Test(runtime, stacks_are_rounded_up_to_a_power_of_two)
{
	struct weft_options o = {.stack_size = 65 << 10};

	cr_assert_eq(weft_run(NULL, default_stack, NULL), 64);
	cr_assert_eq(weft_run(&o, default_stack, NULL), 128);
	o.stack_size = 64 << 20;
	cr_assert_eq(weft_run(&o, default_stack, NULL), 64 << 10);
}

static int has_canary(void *arg)
{
	(void)arg;
	return wf_self()->checked;
}

Test(runtime, guards_are_of_the_kind_that_was_asked_for)
{
	struct weft_options o = {.guard = WEFT_GUARD_CANARY};

	cr_assert_eq(weft_run(&o, has_canary, NULL), 1);
	o.guard = WEFT_GUARD_AUTO;
	cr_assert_eq(weft_run(&o, has_canary, NULL),
		     !wf_feature(WF_GUARD) && !wf_feature(WF_MPROTECT));
	o.guard = WEFT_GUARD_MPROTECT;
	cr_assert_eq(weft_run(&o, has_canary, NULL),
		     wf_feature(WF_MPROTECT) ? 0 : -ENOTSUP);
}

Test(runtime, a_guard_that_does_not_work_here_is_refused)
{
	struct weft_options o = {.guard = WEFT_GUARD_INSTALL};
	int fds = t_fds();

	setenv("WEFT_WITHOUT", "guard", 1);
	cr_assert_eq(weft_run(&o, nothing, NULL), -ENOTSUP);
	cr_assert_eq(t_fds(), fds);
	cr_assert_eq(weft_run(NULL, nothing, NULL), 0);
}

/* --- variables --- */

struct variable {
	char name[24], value[24];
	int expected;
};

static int look(void *name)
{
	if (strcmp(name, "WEFT_WORKERS") == 0)
		return (int)weft_workers();
	if (strcmp(name, "WEFT_STACK") == 0)
		return default_stack(NULL);
	if (strcmp(name, "WEFT_GUARD") == 0)
		return has_canary(NULL);
	if (strcmp(name, "WEFT_SPIN_US") == 0)
		return (int)wf_loop_options.spin;
	return 0;
}

ParameterizedTestParameters(runtime, variables_are_used)
{
	static struct variable rows[] = {
		{"WEFT_WORKERS", "3", 3},      {"WEFT_STACK", "32768", 32},
		{"WEFT_STACK", "16K", 16},     {"WEFT_STACK", "256k", 256},
		{"WEFT_STACK", "1M", 1024},    {"WEFT_STACK", "64M", 65536},
		{"WEFT_STACK", "100000", 128}, {"WEFT_GUARD", "canary", 1},
		{"WEFT_SPIN_US", "7", 7000},   {"WEFT_SPIN_US", "0", -1},
		{"WEFT_POOL", "1", 0},         {"WEFT_ALL_WORKERS", "1", 0},
	};

	return cr_make_param_array(struct variable, rows, array_count(rows));
}

ParameterizedTest(struct variable *v, runtime, variables_are_used)
{
	setenv(v->name, v->value, 1);
	cr_assert_eq(weft_run(NULL, look, v->name), v->expected, "%s=%s",
		     v->name, v->value);
}

Test(runtime, the_variable_of_guards_knows_all_kinds)
{
	cr_assert_eq(wf_feature_probe(), 0);
	setenv("WEFT_GUARD", "mprotect", 1);
	cr_assert_eq(weft_run(NULL, has_canary, NULL),
		     wf_feature(WF_MPROTECT) ? 0 : -ENOTSUP);
	setenv("WEFT_GUARD", "install", 1);
	cr_assert_eq(weft_run(NULL, has_canary, NULL),
		     wf_feature(WF_GUARD) ? 0 : -ENOTSUP);
	setenv("WEFT_GUARD", "auto", 1);
	cr_assert_eq(weft_run(NULL, nothing, NULL), 0);
}

Test(runtime, an_empty_variable_counts_as_none)
{
	setenv("WEFT_WORKERS", "", 1);
	setenv("WEFT_STACK", "", 1);
	setenv("WEFT_GUARD", "", 1);
	cr_assert_eq(weft_run(NULL, count_workers, NULL), (int)wf_cpu_count());
}

Test(runtime, an_option_counts_more_than_its_variable)
{
	struct weft_options o = {.workers = 2, .stack_size = 128 << 10};

	setenv("WEFT_WORKERS", "3", 1);
	setenv("WEFT_STACK", "1M", 1);
	cr_assert_eq(weft_run(&o, count_workers, NULL), 2);
	cr_assert_eq(weft_run(&o, default_stack, NULL), 128);
}

ParameterizedTestParameters(runtime, bad_variables_are_refused_and_named)
{
	static struct variable rows[] = {
		{"WEFT_WORKERS", "0", 0},
		{"WEFT_WORKERS", "257", 0},
		{"WEFT_WORKERS", "many", 0},
		{"WEFT_WORKERS", "-1", 0},
		{"WEFT_WORKERS", "2x", 0},
		{"WEFT_WORKERS", " 2", 0},
		{"WEFT_WORKERS", "2K", 0},
		{"WEFT_STACK", "1K", 0},
		{"WEFT_STACK", "65M", 0},
		{"WEFT_STACK", "64KB", 0},
		{"WEFT_STACK", "K", 0},
		{"WEFT_STACK", "1G", 0},
		{"WEFT_GUARD", "none", 0},
		{"WEFT_GUARD", "Canary", 0},
		{"WEFT_SPIN_US", "-1", 0},
		{"WEFT_SPIN_US", "fast", 0},
		{"WEFT_POOL", "0", 0},
		{"WEFT_POOL", "5000", 0},
		{"WEFT_WORKERS", "99999999999999999999", 0},
		{"WEFT_STACK", "18014398509481985K", 0},
		{"WEFT_ALL_WORKERS", "2", 0},
		{"WEFT_WITHOUT", "guard,speed", 0},
	};

	return cr_make_param_array(struct variable, rows, array_count(rows));
}

/* What weft_run() returns, and what it says on stderr. */
static int run_and_listen(char *said, size_t size)
{
	int p[2], saved = dup(2), r;
	ssize_t n;

	cr_assert_eq(pipe(p), 0);
	dup2(p[1], 2);
	close(p[1]);
	r = weft_run(NULL, nothing, NULL);
	dup2(saved, 2);
	close(saved);
	n = read(p[0], said, size - 1);
	said[n > 0 ? n : 0] = '\0';
	close(p[0]);
	return r;
}

ParameterizedTest(struct variable *v, runtime,
		  bad_variables_are_refused_and_named)
{
	char said[512];

	setenv(v->name, v->value, 1);
	cr_assert_eq(run_and_listen(said, sizeof said), -EINVAL, "%s=%s",
		     v->name, v->value);
	cr_assert_not_null(strstr(said, v->name));
	cr_assert_not_null(strstr(said, v->value));
}

/* --- one at a time --- */

static void *run_another(void *unused)
{
	T_CHECK(weft_run(NULL, nothing, NULL) == -EBUSY);
	return unused;
}

static int run_inside(void *arg)
{
	(void)arg;
	run_another(NULL);
	t_on_thread(run_another, NULL);
	return 0;
}

Test(runtime, there_is_only_one_at_a_time)
{
	t_run(1, run_inside, NULL);
	t_run(2, run_inside, NULL);
}

static int version_and_workers(void *arg)
{
	(void)arg;
	T_CHECK(weft_version() == WEFT_VERSION);
	T_CHECK(weft_workers() == 2);
	T_CHECK(weft_worker() == 0 || weft_worker() == 1);
	return 0;
}

static void *version_on_a_thread(void *unused)
{
	T_CHECK(weft_version() == WEFT_VERSION);
	T_CHECK(weft_workers() == 2);
	T_CHECK(weft_worker() == -EPERM);
	return unused;
}

static int version_everywhere(void *arg)
{
	version_and_workers(arg);
	t_on_thread(version_on_a_thread, NULL);
	return 0;
}

Test(runtime, it_says_its_version_and_its_workers)
{
	t_run(2, version_everywhere, NULL);
	cr_assert_eq(weft_version(), WEFT_VERSION);
	cr_assert_eq(weft_workers(), 0);
	cr_assert_eq(weft_worker(), -EPERM);
}

/* --- what is left --- */

static int tasks(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = -2; /* "." and ".." */

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A thread that has been joined may be listed a moment longer. */
static void await_tasks(int n)
{
	while (tasks() > n)
		sched_yield();
}

static void *a_moment(void *unused)
{
	return unused;
}

static int use_some(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++)
		T_CHECK(weft_spawn(NULL, NULL, a_moment, NULL) == 0);
	T_CHECK(weft_blocking(a_moment, NULL, NULL) == 0);
	return weft_sleep(WEFT_USEC(10));
}

/* The first thread of all may bring one of a sanitizer's, which stays. */
static int tasks_of_a_start(void)
{
	int before = tasks(), after;

	t_run(1, use_some, NULL);
	do
		after = tasks();
	while (after > before + T_SANITIZED);
	return after;
}

Test(runtime, it_can_be_started_fifty_times_and_leaves_nothing)
{
	int fds = t_fds(), threads = tasks_of_a_start();

	for (int i = 0; i < 50; i++) {
		t_run(1 + (unsigned)i % 4, use_some, NULL);
		cr_assert_eq(t_fds(), fds);
	}
	await_tasks(threads);
}

/* For so many descriptors the kernel's table has. */
static int see_room(void *slots)
{
	*(long *)slots = t_proc("/proc/self/status", "FDSize:");
	return 0;
}

/* Or accept() waits for the kernel to make it, which takes milliseconds. */
Test(runtime, there_is_room_for_as_many_descriptors_as_there_may_be)
{
	struct rlimit limit;
	long slots;
	int fds = t_fds();

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 4000)
		cr_skip_test("at most %lu descriptors", limit.rlim_cur);
	limit.rlim_cur = 3000;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	t_run(1, see_room, &slots);
	cr_assert_geq(slots, 3000);
	cr_assert_eq(t_fds(), fds);
}

static int leave_signals_alone(void *arg)
{
	sigset_t mask;

	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	T_CHECK(sigismember(&mask, SIGINT) && sigismember(&mask, SIGPIPE));
	T_CHECK(!sigismember(&mask, SIGSEGV) && !sigismember(&mask, SIGABRT));
	return 0;
}

static void on_signal(int signal)
{
	(void)signal;
}

Test(runtime, mask_and_handlers_are_as_before_when_it_has_ended)
{
	struct sigaction mine = {.sa_handler = on_signal}, after;
	sigset_t before, mask;

	sigaction(SIGSEGV, &mine, NULL);
	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	t_run(2, leave_signals_alone, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	cr_assert(sigismember(&mask, SIGUSR2));
	cr_assert_not(sigismember(&mask, SIGINT));
	sigaction(SIGSEGV, NULL, &after);
	cr_assert_eq(after.sa_handler, on_signal);
}

/* Open what is not, so that their count is also the lowest free number. */
static int fds_without_gaps(void)
{
	int fd;

	while ((fd = dup(2)) < t_fds() - 1)
		;
	close(fd);
	return fd;
}

Test(runtime, a_start_that_fails_leaves_nothing)
{
	struct weft_options o = {.workers = 8};
	struct rlimit limit, old;
	int threads = tasks_of_a_start(), fds = fds_without_gaps();

	getrlimit(RLIMIT_NOFILE, &old);
	for (rlim_t room = 1; room < 16; room++) {
		limit = old;
		limit.rlim_cur = (rlim_t)fds + room;
		setrlimit(RLIMIT_NOFILE, &limit);
		cr_assert_eq(weft_run(&o, nothing, NULL), -EMFILE, "%d",
			     (int)room);
		setrlimit(RLIMIT_NOFILE, &old);
		cr_assert_eq(t_fds(), fds);
	}
	await_tasks(threads);
	cr_assert_eq(weft_run(&o, count_workers, NULL), 8);
}

/* --- stop --- */

static void *wait_for_the_end(void *unused)
{
	T_CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	T_CHECK(weft_cancelled());
	weft_shield();
	T_CHECK(!weft_cancelled());
	T_CHECK(weft_sleep(WEFT_USEC(10)) == 0);
	weft_unshield();
	T_CHECK(weft_sleep(0) == -ECANCELED);
	T_CHECK(weft_spawn(NULL, NULL, linger, NULL) == 0);
	return unused;
}

static void *stop_it(void *unused)
{
	weft_stop();
	return unused;
}

static void *stop_by_signal(void *unused)
{
	kill(getpid(), SIGUSR1);
	return unused;
}

static _Atomic int handled;

static void stop_in_handler(int signal)
{
	(void)signal;
	atomic_fetch_add(&handled, 1);
	if (weft_self())
		atomic_fetch_add(&handled, 100);
	weft_stop();
}

static int wait_and_be_stopped(void *stop)
{
	void *(*by)(void *) = (void *(*)(void *))(uintptr_t)stop;
	struct t_thread t;

	for (int i = 0; i < 100; i++)
		T_CHECK(weft_spawn(NULL, NULL, wait_for_the_end, NULL) == 0);
	t_thread_begin(&t, by, NULL);
	wait_for_the_end(NULL);
	t_thread_end(&t);
	return 5;
}

static int stop_on_a_fiber(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		T_CHECK(weft_spawn(NULL, NULL, wait_for_the_end, NULL) == 0);
	for (int i = 0; i < 10; i++)
		weft_yield();
	weft_stop();
	weft_stop();
	wait_for_the_end(NULL);
	return 5;
}

static void stopped_runs_leave_no_trace(void)
{
	cr_assert_eq(atomic_load(&ended), 101);
	cr_assert_eq(weft_run(NULL, use_some, NULL), 0,
		     "the next one is not stopped");
}

ParameterizedTestParameters(runtime, stop_from_a_thread_ends_all_waits)
{
	static unsigned workers[] = {1, 2, 8};

	return cr_make_param_array(unsigned, workers, 3);
}

ParameterizedTest(unsigned *workers, runtime, stop_from_a_thread_ends_all_waits)
{
	cr_assert_eq(t_run(*workers, wait_and_be_stopped,
			   (void *)(uintptr_t)stop_it),
		     5);
	stopped_runs_leave_no_trace();
}

ParameterizedTestParameters(runtime, stop_from_a_fiber_ends_all_waits)
{
	static unsigned workers[] = {1, 2, 8};

	return cr_make_param_array(unsigned, workers, 3);
}

ParameterizedTest(unsigned *workers, runtime, stop_from_a_fiber_ends_all_waits)
{
	cr_assert_eq(t_run(*workers, stop_on_a_fiber, NULL), 5);
	stopped_runs_leave_no_trace();
}

Test(runtime, stop_from_a_signal_handler_which_is_on_no_fiber)
{
	signal(SIGUSR1, stop_in_handler);
	cr_assert_eq(t_run(2, wait_and_be_stopped,
			   (void *)(uintptr_t)stop_by_signal),
		     5);
	cr_assert_eq(atomic_load(&handled), 1);
	stopped_runs_leave_no_trace();
}

Test(runtime, stop_without_a_runtime_does_nothing)
{
	weft_stop();
	cr_assert_eq(weft_run(NULL, use_some, NULL), 0);
	weft_stop();
	cr_assert_eq(weft_run(NULL, use_some, NULL), 0);
}

/* --- threads at the end --- */

static _Atomic bool over;
static _Atomic size_t spawned, ran;

static void *count_run(void *unused)
{
	atomic_fetch_add(&ran, 1);
	return unused;
}

/*
 * Spawns whenever there is a runtime, also while it ends; one at a time, or it
 * would never end.
 */
static void *spawn_always(void *unused)
{
	while (!atomic_load(&over)) {
		int r;

		if (atomic_load(&spawned) != atomic_load(&ran))
			continue;
		r = weft_spawn(NULL, NULL, count_run, NULL);

		T_CHECK(r == 0 || r == -ESRCH);
		atomic_fetch_add(&spawned, r == 0);
	}
	return unused;
}

static int until_one_has_run(void *arg)
{
	size_t seen = atomic_load(&ran);

	(void)arg;
	while (atomic_load(&ran) == seen)
		weft_yield();
	return 0;
}

Test(runtime, what_a_thread_spawns_runs_or_is_refused_also_at_the_end,
     .timeout = 60 * T_SLOW)
{
	struct t_thread t;

	t_thread_begin(&t, spawn_always, NULL);
	for (size_t i = t_scale(50); i; i--)
		t_run(1 + i % 2, until_one_has_run, NULL);
	atomic_store(&over, true);
	t_thread_end(&t);
	t_verify();
	cr_assert_eq(atomic_load(&spawned), atomic_load(&ran));
}

static void *stop_always(void *unused)
{
	while (!atomic_load(&over))
		weft_stop();
	return unused;
}

Test(runtime, stop_may_come_at_any_time_at_all, .timeout = 60 * T_SLOW)
{
	struct t_thread t;

	t_thread_begin(&t, stop_always, NULL);
	for (size_t i = t_scale(300); i; i--)
		cr_assert_eq(weft_run(NULL, nothing, NULL), 0);
	atomic_store(&over, true);
	t_thread_end(&t);
}

/* --- the last fiber ends while a thread is still waking it --- */

static _Atomic(struct weft_fiber *) last;

static void *sleep_for_ever(void *unused)
{
	T_CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return unused;
}

/*
 * Of each runtime the one fiber that sleeps: once it does, nothing but the wake
 * can end it, so that it lives until then.
 */
static void *cancel_always(void *unused)
{
	while (!atomic_load(&over)) {
		struct weft_fiber *f = atomic_exchange(&last, NULL);

		if (!f)
			continue;
		while (!(atom_load_rlx(&f->word) & WF_PARKED))
			sched_yield();
		weft_cancel(f);
	}
	return unused;
}

static int wait_to_be_cancelled(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	T_CHECK(weft_spawn(&f, NULL, sleep_for_ever, NULL) == 0);
	atomic_store(&last, f);
	T_CHECK(weft_join(f, NULL) == 0);
	return 0;
}

Test(runtime, it_outlasts_a_thread_that_wakes_its_last_fiber,
     .timeout = 60 * T_SLOW)
{
	struct t_thread t;

	t_thread_begin(&t, cancel_always, NULL);
	for (size_t i = t_scale(300); i; i--)
		t_run(1 + i % 2, wait_to_be_cancelled, NULL);
	atomic_store(&over, true);
	t_thread_end(&t);
	t_verify();
}
