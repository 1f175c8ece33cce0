/* SPDX-License-Identifier: MIT */
/*
 * test_sentinel.c - fibers that compute, or block their thread, do not stop
 * the others.
 */
#include "support/t.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/worker.h"
#include "os/clock.h"
#include "os/feature.h"
#include "os/state.h"
#include "os/thread.h"
#include "run/sentinel.h"
#include "run/watch.h"
#include "support/thread.h"
#include "weft.h"

TestSuite(sentinel, .timeout = 60 * T_SLOW);

#define WORKERS     2
#define CONNECTIONS 100 /* in all */

/* --- servers and clients beside fibers that hold every worker --- */

static struct {
	size_t fibers;           /* beside the servers, in all */
	_Atomic uint32_t held;   /* fibers that hold their thread now */
	_Atomic uint32_t done;   /* fibers and servers that have ended */
	_Atomic uint32_t served; /* connections answered */
	_Atomic bool all;
	int end; /* an eventfd: of who blocks, one for each at the end */
} scene;

/* Compute until all others have ended, for a second at least. */
static void *compute(void *unused)
{
	weft_time end = weft_after(WEFT_SEC(1));

	scene.held++;
	while (!scene.all || weft_now() < end)
		wf_cpu_relax();
	return unused;
}

/* The kernel keeps the thread until all others have ended. */
static void *block(void *unused)
{
	uint64_t n;

	scene.held++;
	T_CHECK(syscall(SYS_read, scene.end, &n, sizeof n) == sizeof n);
	return unused;
}

static void one_more_done(void)
{
	uint64_t all = WORKERS; /* so many block */

	if (++scene.done == scene.fibers + CONNECTIONS) {
		scene.all = true;
		T_CHECK(write(scene.end, &all, sizeof all) == sizeof all);
	}
}

static void *live(void *unused)
{
	while (scene.held < 2 * WORKERS)
		T_CHECK(weft_sleep(WEFT_USEC(100)) == 0);
	weft_yield();
	one_more_done();
	return unused;
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint32_t n;

	while (weft_read_full(fd, &n, sizeof n, NULL) == 0) {
		n++;
		T_CHECK(weft_write_all(fd, &n, sizeof n, NULL) == 0);
	}
	T_CHECK(weft_close(fd) == 0);
	one_more_done();
	return NULL;
}

/* Ask each server once before, and once after all workers are held. */
static void *ask_all(void *arg)
{
	int *fds = arg;

	for (uint32_t round = 0; round < 2; round++) {
		while (round && scene.held < 2 * WORKERS)
			sched_yield();
		for (uint32_t i = 0; i < CONNECTIONS; i++)
			T_CHECK(write(fds[i], &i, sizeof i) == sizeof i);
		for (uint32_t i = 0; i < CONNECTIONS; i++) {
			uint32_t n;

			T_CHECK(read(fds[i], &n, sizeof n) == sizeof n);
			T_CHECK(n == i + 1);
			scene.served++;
		}
	}
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		close(fds[i]);
	return NULL;
}

static void spawn_pinned(weft_fn fn, void *arg, unsigned i)
{
	struct weft_attr attr = {.pin = i % WORKERS + 1};

	T_CHECK(weft_spawn(NULL, &attr, fn, arg) == 0);
}

/* Every fiber belongs to a worker that is held, and may not be stolen. */
static int live_beside_the_stuck(void *unused)
{
	int ends[CONNECTIONS];
	struct t_thread client;

	(void)unused;
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		int fd[2];

		T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
		ends[i] = fd[0];
		spawn_pinned(serve, (void *)(intptr_t)fd[1], i);
	}
	t_thread_begin(&client, ask_all, ends);
	while (scene.served < CONNECTIONS)
		T_CHECK(weft_sleep(WEFT_MSEC(1)) == 0);
	for (unsigned i = 0; i < scene.fibers; i++)
		spawn_pinned(live, NULL, i);
	for (unsigned i = 0; i < WORKERS; i++) {
		spawn_pinned(compute, NULL, i);
		spawn_pinned(block, NULL, i);
	}
	t_thread_end(&client);
	T_CHECK(wf_watch_takeovers() >= 2 * WORKERS);
	return 0;
}

Test(sentinel, servers_answer_beside_fibers_that_hold_every_worker)
{
	scene.fibers = t_scale(1000);
	scene.end = eventfd(0, EFD_SEMAPHORE);
	cr_assert_geq(scene.end, 0);
	cr_assert_eq(t_run(WORKERS, live_beside_the_stuck, NULL), 0);
	cr_assert(scene.all);
	cr_assert_eq(scene.served, 2 * CONNECTIONS);
}

/* --- what waits behind one fiber, with an idle CPU --- */

static _Atomic bool behind_ran;

static void *run_behind(void *unused)
{
	behind_ran = true;
	return unused;
}

static void *spawn_one(void *unused)
{
	T_CHECK(weft_spawn(NULL, NULL, run_behind, NULL) == 0);
	return unused;
}

static void *spawn_pinned_here(void *unused)
{
	struct weft_attr attr = {.pin = (unsigned)weft_worker() + 1};

	T_CHECK(weft_spawn(NULL, &attr, run_behind, NULL) == 0);
	return unused;
}

static int wake_fds[2];

static void *read_then_run(void *unused)
{
	char c;

	T_CHECK(weft_read(wake_fds[0], &c, 1) == 1);
	return run_behind(unused);
}

static void *wake_a_reader(void *unused)
{
	T_CHECK(pipe(wake_fds) == 0);
	T_CHECK(weft_spawn(NULL, NULL, read_then_run, NULL) == 0);
	weft_yield();
	T_CHECK(write(wake_fds[1], "x", 1) == 1);
	return unused;
}

static void *sleep_then_run(void *unused)
{
	T_CHECK(weft_sleep(WEFT_MSEC(1)) == 0);
	return run_behind(unused);
}

static void *start_a_sleeper(void *unused)
{
	T_CHECK(weft_spawn(NULL, NULL, sleep_then_run, NULL) == 0);
	weft_yield();
	return unused;
}

/* In the rows: a function's address is another one in a test's process. */
static const weft_fn preparations[] = {spawn_one, spawn_pinned_here,
				       wake_a_reader, start_a_sleeper};

/* Compute until the fiber behind has run: elsewhere, as we are here. */
static int compute_before(void *preparation)
{
	preparations[(intptr_t)preparation](NULL);
	while (!behind_ran)
		wf_cpu_relax();
	return 0;
}

struct row {
	int preparation;
	unsigned workers;
};

static struct row rows[] = {{0, 1}, {0, 2}, {1, 1}, {1, 2},
			    {2, 1}, {2, 2}, {3, 1}, {3, 2}};

ParameterizedTestParameters(sentinel, nothing_waits_for_a_fiber_to_end)
{
	return cr_make_param_array(struct row, rows,
				   sizeof rows / sizeof rows[0]);
}

ParameterizedTest(struct row *row, sentinel, nothing_waits_for_a_fiber_to_end)
{
	t_run(row->workers, compute_before, (void *)(intptr_t)row->preparation);
	cr_assert(behind_ran);
}

static _Atomic uint32_t computing;
static _Atomic bool met; /* both have computed at the same time */

/* Never for so long that the worker would be taken over. */
static void *compute_in_turns(void *unused)
{
	while (!met) {
		weft_time end = weft_after(WEFT_USEC(200));

		computing++;
		while (weft_now() < end)
			if (computing == 2 && wf_watch_lost() == 0)
				met = true;
		computing--;
		weft_yield();
	}
	return unused;
}

static int two_that_compute(void *unused)
{
	struct weft_fiber *f;

	T_CHECK(weft_spawn(&f, NULL, compute_in_turns, NULL) == 0);
	compute_in_turns(NULL);
	T_CHECK(weft_join(f, NULL) == 0);
	(void)unused;
	return 0;
}

Test(sentinel, two_fibers_that_compute_in_turns_come_to_run_on_two_workers)
{
	t_run(2, two_that_compute, NULL);
	cr_assert(met);
}

/* --- threads come and go --- */

static _Atomic uint32_t stuck_now;
static _Atomic bool let_go;

static void *hold_a_thread(void *unused)
{
	stuck_now++;
	while (!let_go)
		wf_cpu_relax();
	stuck_now--;
	return unused;
}

static size_t threads_here(void)
{
	struct weft_fiber *f[4];
	size_t n = 0;

	stuck_now = 0;
	let_go = false;
	for (int i = 0; i < 4; i++)
		T_CHECK(weft_spawn(&f[i], NULL, hold_a_thread, NULL) == 0);
	while (stuck_now < 4)
		T_CHECK(weft_sleep(WEFT_USEC(100)) == 0);
	n = wf_watch_lost();
	let_go = true;
	for (int i = 0; i < 4; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	return n;
}

static int come_and_go(void *unused)
{
	(void)unused;
	for (size_t i = t_scale(20); i; i--)
		T_CHECK(threads_here() >= 3);
	/* The last ones are on their way. */
	while (wf_watch_lost())
		T_CHECK(weft_sleep(WEFT_MSEC(1)) == 0);
	return 0;
}

Test(sentinel, threads_come_when_they_are_needed_and_go)
{
	cr_assert_eq(t_run(1, come_and_go, NULL), 0);
}

static int hold_more_than_allowed(void *unused)
{
	struct weft_fiber *f[3];

	(void)unused;
	for (int i = 0; i < 3; i++)
		T_CHECK(weft_spawn(&f[i], NULL, hold_a_thread, NULL) == 0);
	/* Two are lost; the third holds the worker itself, and so us. */
	while (stuck_now < 3 && !let_go)
		T_CHECK(weft_sleep(WEFT_USEC(100)) == 0);
	T_CHECK(let_go);
	for (int i = 0; i < 3; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	return 0;
}

static void *let_go_of_three(void *unused)
{
	while (stuck_now < 3)
		sched_yield();
	T_CHECK(wf_watch_lost() == 2);
	let_go = true;
	return unused;
}

Test(sentinel, no_more_threads_are_held_than_the_option_says)
{
	struct weft_options o = {.workers = 1, .stuck_threads = 2};
	struct t_thread t;

	t_thread_begin(&t, let_go_of_three, NULL);
	cr_assert_eq(weft_run(&o, hold_more_than_allowed, NULL), 0);
	t_thread_end(&t);
	t_verify();
}

/* --- a thread that has no CPU --- */

static _Atomic bool enough;

static void *hog_the_cpu(void *unused)
{
	while (!enough)
		wf_cpu_relax();
	return unused;
}

static void stay_on_this_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	T_CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
}

/* Back from SCHED_IDLE an ordinary user has no right to go. */
static void be_scheduled_as(int policy)
{
	struct sched_param none = {0};

	T_CHECK(sched_setscheduler(0, policy, &none) == 0 ||
		(policy == SCHED_OTHER && errno == EPERM));
}

/*
 * In one fiber for a fifth of a second, with a hog on the same CPU that leaves
 * us next to nothing of it: until we have computed for long enough ourselves.
 */
static int be_preempted(void *unused)
{
	pid_t tid = wf_thread_id();
	struct t_thread hog;
	weft_time end, before;
	uint64_t taken;
	bool over;

	(void)unused;
	stay_on_this_cpu();
	t_thread_begin(&hog, hog_the_cpu, NULL);
	be_scheduled_as(SCHED_IDLE);
	weft_yield();
	end = weft_after(WEFT_MSEC(200));
	before = wf_thread_cpu(tid);
	do {
		over = weft_now() >= end;
		taken = wf_watch_takeovers();
		if (wf_thread_cpu(tid) - before > WEFT_MSEC(3))
			break;
		T_CHECK(taken == 0);
	} while (!over);
	enough = true;
	be_scheduled_as(SCHED_OTHER);
	t_thread_end(&hog);
	return 0;
}

Test(sentinel, a_thread_that_is_merely_preempted_keeps_its_worker)
{
	wf_feature_probe();
	if (!wf_feature(WF_CLOSE_RANGE))
		cr_skip_test("what a thread does is not read");
	t_run(1, be_preempted, NULL);
}

/* --- rest --- */

static long switches(pid_t tid)
{
	char path[64];
	long forced, own;

	snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)tid);
	forced = t_proc(path, "nonvoluntary_ctxt_switches:");
	own = t_proc(path, "voluntary_ctxt_switches:");
	T_CHECK(forced >= 0 && own >= 0);
	return forced + own;
}

static _Atomic pid_t watcher;

/* The program's signals are handled on the sentinel: so it tells its number. */
static void note_the_watcher(int signo)
{
	(void)signo;
	watcher = (pid_t)syscall(SYS_gettid);
}

/* From outside: once two looks in a row see no switch, it rests. */
static void *watch_it_rest(void *fd)
{
	long before, now;

	while (!watcher)
		sched_yield();
	now = switches(watcher);
	do {
		struct timespec a_while = {.tv_nsec = 200000000};

		before = now;
		nanosleep(&a_while, NULL);
		now = switches(watcher);
	} while (now != before);
	T_CHECK(write(*(int *)fd, "x", 1) == 1);
	return NULL;
}

static int rest_until_told(void *unused)
{
	struct t_thread t;
	int fd[2];
	char c;

	(void)unused;
	T_CHECK(pipe(fd) == 0);
	kill(getpid(), SIGUSR1);
	t_thread_begin(&t, watch_it_rest, &fd[1]);
	T_CHECK(weft_read_until(fd[0], &c, 1, weft_after(WEFT_SEC(1000))) == 1);
	/* And it is back at once, when it is needed. */
	T_CHECK(compute_before(NULL) == 0);
	t_thread_end(&t);
	return 0;
}

Test(sentinel, it_rests_when_every_worker_sleeps_and_comes_back)
{
	/* Of all threads only the sentinel has it open. */
	signal(SIGUSR1, note_the_watcher);
	cr_assert_eq(t_run(2, rest_until_told, NULL), 0);
}

/* --- how it tells a thread that is held from one that is not --- */

static _Atomic pid_t its_tid;
static _Atomic bool may_end;

static void *spin_until_told(void *unused)
{
	its_tid = wf_thread_id();
	while (!may_end)
		wf_cpu_relax();
	return unused;
}

static void *sleep_until_told(void *fd)
{
	char c;

	its_tid = wf_thread_id();
	T_CHECK(read(*(int *)fd, &c, 1) == 1);
	return NULL;
}

Test(sentinel, a_thread_that_runs_uses_its_clock)
{
	struct t_thread t;
	weft_time used;

	t_thread_begin(&t, spin_until_told, NULL);
	while (!its_tid)
		sched_yield();
	used = wf_thread_cpu(its_tid);
	cr_assert_geq(used, 0);
	while (wf_thread_cpu(its_tid) < used + WEFT_MSEC(1))
		sched_yield();
	cr_assert_neq(wf_state(its_tid), WF_BLOCKS);
	may_end = true;
	t_thread_end(&t);
	t_verify();
}

Test(sentinel, a_thread_in_the_kernel_blocks_and_uses_no_clock)
{
	struct t_thread t;
	weft_time used;
	int fd[2];

	cr_assert_eq(pipe(fd), 0);
	t_thread_begin(&t, sleep_until_told, &fd[0]);
	while (!its_tid || wf_state(its_tid) != WF_BLOCKS)
		sched_yield();
	used = wf_thread_cpu(its_tid);
	cr_assert_eq(wf_state(its_tid), WF_BLOCKS);
	cr_assert_eq(wf_thread_cpu(its_tid), used);
	cr_assert_eq(write(fd[1], "x", 1), 1);
	t_thread_end(&t);
	t_verify();
}

/* A handler would find no descriptor there. */
Test(sentinel, the_thread_that_reads_states_takes_no_signals)
{
	sigset_t set, pending;

	wf_state(wf_thread_id());
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	cr_assert_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	cr_assert_eq(kill(getpid(), SIGUSR1), 0);
	wf_state(wf_thread_id());
	cr_assert_eq(sigpending(&pending), 0);
	cr_assert(sigismember(&pending, SIGUSR1));
	wf_state_end();
}

Test(sentinel, without_descriptors_the_state_is_unknown)
{
	struct rlimit limit, none;
	enum wf_state state;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){.rlim_max = limit.rlim_max};
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	state = wf_state(wf_thread_id());
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(state, WF_UNKNOWN);
}
