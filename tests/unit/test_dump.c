/* SPDX-License-Identifier: MIT */
/*
 * test_dump.c - what weft_dump() says of fibers whose state is known, and that
 * it disturbs none of those whose state is not.
 */
#include "support/t.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/arch.h"
#include "core/self.h"
#include "core/wait.h"
#include "run/sample.h"
#include "support/thread.h"
#include "weft.h"

TestSuite(dump, .timeout = 30 * T_SLOW);

/* Visible, so that a dump can name them. */
#define NAMED __attribute__((visibility("default"), noinline))

static char said[1 << 20];

/* What a dump to a file says. */
static void dump(void)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	ssize_t n;

	T_CHECK(fd >= 0);
	T_CHECK(weft_dump(fd) == 0);
	n = pread(fd, said, sizeof said - 1, 0);
	T_CHECK(n > 0);
	said[n > 0 ? n : 0] = '\0';
	close(fd);
}

/* The line with the text in it, and if `all` its backtrace. */
static const char *entry(const char *text, bool all)
{
	static char copy[1 << 14];
	const char *at = strstr(said, text), *end;

	if (!at)
		return "";
	while (at > said && at[-1] != '\n')
		at--;
	end = strchr(at, '\n');
	while (all && end && end[1] == ' ')
		end = strchr(end + 1, '\n');
	snprintf(copy, sizeof copy, "%.*s", end ? (int)(end - at) : 0, at);
	return copy;
}

static bool says(const char *fiber, const char *text)
{
	if (strstr(entry(fiber, true), text))
		return true;
	fprintf(stderr, "no '%s' for %s in:\n%s\n", text, fiber, said);
	return false;
}

/* --- a known population --- */

static int ends[2];
static _Atomic bool over;

NAMED void *read_thread(void *unused);
NAMED void *join_thread(void *f);
NAMED void *sleep_thread(void *unused);
NAMED void *linger(void *unused);

NAMED void *read_thread(void *unused)
{
	char c;

	T_CHECK(weft_read(ends[0], &c, 1) == 1);
	return unused;
}

NAMED void *join_thread(void *f)
{
	T_CHECK(weft_join(f, NULL) == 0);
	return NULL;
}

NAMED void *sleep_thread(void *unused)
{
	T_CHECK(weft_sleep(WEFT_SEC(1000)) == -ECANCELED);
	return unused;
}

NAMED void *linger(void *unused)
{
	while (!atomic_load(&over))
		weft_yield();
	return unused;
}

static struct weft_fiber *spawn(const char *name, weft_fn fn, void *arg)
{
	struct weft_attr attr = {.name = name};
	struct weft_fiber *f = NULL;

	T_CHECK(weft_spawn(&f, &attr, fn, arg) == 0);
	return f;
}

static uint64_t takeovers(void)
{
	struct weft_counts s = {0};

	T_CHECK(weft_stats(&s) == 0);
	return s.takeovers;
}

static void check_population(struct weft_fiber *sleeper)
{
	char text[64];

	snprintf(text, sizeof text, "waits: read %d, for ", ends[0]);
	T_CHECK(says("'reader'", text));
	snprintf(text, sizeof text, "waits: join %p, for ", (void *)sleeper);
	T_CHECK(says("'joiner'", text));
	T_CHECK(says("'sleeper'", "waits: sleep, for "));
	T_CHECK(says("'main'", "runs, thread "));
	T_CHECK(says("'loiterer'", takeovers() ? "" : "queued"));
	T_CHECK(says("'reader'", "read_thread+0x0"));
	T_CHECK(says("'loiterer'", "linger+0x0"));
	if (WF_CONTEXT_TRACED) {
		T_CHECK(says("'reader'", "    0x"));
		T_CHECK(says("'joiner'", "join_thread+0x"));
		T_CHECK(says("'sleeper'", "sleep_thread+0x"));
	} else {
		T_CHECK(says("'reader'", "no backtrace with this switch"));
	}
}

static int populate(void *dumper)
{
	struct weft_fiber *sleeper = spawn("sleeper", sleep_thread, NULL);
	struct weft_fiber *joiner = spawn("joiner", join_thread, sleeper);
	struct weft_fiber *reader = spawn("reader", read_thread, NULL);
	struct weft_fiber *loiterer;

	for (int i = 0; i < 10; i++)
		weft_yield();
	loiterer = spawn("loiterer", linger, NULL);
	((void (*)(void))dumper)();
	check_population(sleeper);
	atomic_store(&over, true);
	T_CHECK(weft_write(ends[1], "", 1) == 1);
	weft_cancel(sleeper);
	T_CHECK(weft_join(joiner, NULL) == 0);
	T_CHECK(weft_join(reader, NULL) == 0);
	T_CHECK(weft_join(loiterer, NULL) == 0);
	return 0;
}

Test(dump, it_says_what_each_fiber_does)
{
	cr_assert_eq(pipe(ends), 0);
	t_run(1, populate, dump);
}

Test(dump, it_leaves_no_descriptor_behind)
{
	int before;

	cr_assert_eq(pipe(ends), 0);
	before = t_fds();
	t_run(1, populate, dump);
	cr_assert_eq(t_fds(), before);
}

static void *dump_outside(void *unused)
{
	dump();
	return unused;
}

/* Until it is asleep, on whichever worker. */
static void await_sleep(struct weft_fiber *f)
{
	while (!(atom_load_rlx(&f->word) & WF_PARKED))
		weft_yield();
}

static int populate_for_a_thread(void *unused)
{
	struct weft_fiber *sleeper = spawn("sleeper", sleep_thread, NULL);
	struct t_thread t;

	(void)unused;
	await_sleep(sleeper);
	t_thread_begin(&t, dump_outside, NULL);
	t_thread_end(&t);
	T_CHECK(says("'sleeper'", "waits: sleep"));
	T_CHECK(says("'main'", "")); /* it may still be on its way there */
	weft_cancel(sleeper);
	return weft_join(sleeper, NULL);
}

Test(dump, a_thread_that_is_no_fiber_can_have_one)
{
	cr_assert_eq(t_run(2, populate_for_a_thread, NULL), 0);
}

/* --- one that runs --- */

NAMED int go_in_circles(void);

NAMED int go_in_circles(void)
{
	while (!atomic_load(&over))
		if (T_SANITIZED)
			getppid();
	return 0;
}

static void *circle(void *unused)
{
	go_in_circles();
	return unused;
}

/* A busy machine may keep a thread from its CPU for longer than a sample. */
static void *dump_circler(void *unused)
{
	int tries = 0;

	do
		dump();
	while (!strstr(entry("'circler'", true), "go_in_circles+0x") &&
	       ++tries < 500);
	T_CHECK(tries < 500);
	T_CHECK(says("'circler'", "runs, thread "));
	atomic_store(&over, true);
	return unused;
}

static int run_circler(void *unused)
{
	struct weft_fiber *f = spawn("circler", circle, NULL);

	(void)unused;
	t_on_thread(dump_circler, NULL);
	return weft_join(f, NULL);
}

Test(dump, the_backtrace_of_one_that_runs_is_there_if_sampling_is)
{
	setenv("WEFT_TRACE_BLOCKING", "1", 1);
	cr_assert_eq(t_run(2, run_circler, NULL), 0);
}

static void *dump_unsampled(void *unused)
{
	dump();
	T_CHECK(!strstr(entry("'circler'", true), "\n"));
	atomic_store(&over, true);
	return unused;
}

static int run_unsampled(void *unused)
{
	struct weft_fiber *f = spawn("circler", circle, NULL);

	(void)unused;
	weft_yield();
	t_on_thread(dump_unsampled, NULL);
	return weft_join(f, NULL);
}

Test(dump, without_sampling_nobody_is_interrupted)
{
	cr_assert_eq(t_run(2, run_unsampled, NULL), 0);
}

/* --- others --- */

static void *join_from_outside(void *f)
{
	T_CHECK(weft_join(f, NULL) == 0);
	return NULL;
}

static int let_a_thread_wait(void *unused)
{
	struct weft_fiber *sleeper = spawn("sleeper", sleep_thread, NULL);
	struct t_thread t;

	(void)unused;
	t_thread_begin(&t, join_from_outside, sleeper);
	do {
		weft_yield();
		dump();
	} while (!strstr(said, "\nthread 0x"));
	do
		dump();
	while (!strstr(entry("thread 0x", false), "waits: join 0x"));
	weft_cancel(sleeper);
	t_thread_end(&t);
	return 0;
}

Test(dump, a_thread_that_waits_is_shown_as_such)
{
	t_run(1, let_a_thread_wait, NULL);
}

static void *end_at_once(void *unused)
{
	return unused;
}

static int leave_unjoined(void *unused)
{
	struct weft_fiber *f = spawn("late", end_at_once, NULL);

	(void)unused;
	for (int i = 0; i < 3; i++)
		weft_yield();
	dump();
	T_CHECK(says("'late'", "has ended, not joined"));
	T_CHECK(weft_join(f, NULL) == 0);
	dump();
	T_CHECK(!strstr(said, "'late'"));
	return 0;
}

Test(dump, one_that_nobody_has_joined_is_shown_until_somebody_does)
{
	t_run(1, leave_unjoined, NULL);
}

static void *be_named(void *unused)
{
	T_CHECK(weft_set_name("a\nb\x1b") == 0);
	return sleep_thread(unused);
}

static int name_badly(void *unused)
{
	struct weft_fiber *f = spawn("", be_named, NULL);

	(void)unused;
	weft_yield();
	dump();
	T_CHECK(says("'a?b?'", "waits: sleep"));
	weft_cancel(f);
	return weft_join(f, NULL);
}

Test(dump, a_name_cannot_be_taken_for_anything_else)
{
	t_run(1, name_badly, NULL);
}

/* The name of a handle that is free or queued may have gone with its owner. */
static int name_for_a_while(void *unused)
{
	char *name = t_guarded(6);
	struct weft_fiber *f;

	(void)unused;
	memcpy(name, "brief", 6);
	f = spawn(name, linger, NULL);
	dump();
	T_CHECK(takeovers() || says("'brief'", "queued"));
	mprotect((char *)((uintptr_t)name & -4096ul), 4096, PROT_NONE);
	dump();
	T_CHECK(!strstr(said, "'brief'"));
	atomic_store(&over, true);
	return weft_join(f, NULL);
}

Test(dump, a_name_that_is_gone_is_not_read)
{
	t_run(1, name_for_a_while, NULL);
}

static _Atomic int dumps;

static void *dump_often(void *unused)
{
	char line[64];
	int p[2];

	T_CHECK(pipe(p) == 0);
	fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	for (size_t i = 0; i < t_scale(200); i++) {
		T_CHECK(weft_dump(p[1]) == 0);
		while (read(p[0], line, sizeof line) > 0)
			;
		atomic_fetch_add(&dumps, 1);
	}
	close(p[0]);
	close(p[1]);
	return unused;
}

static int dump_at_once(void *unused)
{
	struct weft_fiber *f = spawn("sleeper", sleep_thread, NULL);
	struct t_thread t;

	(void)unused;
	await_sleep(f);
	t_thread_begin(&t, dump_often, NULL);
	do {
		dump();
		T_CHECK(says("'sleeper'", "waits: sleep"));
	} while ((size_t)atomic_load(&dumps) < t_scale(200));
	t_thread_end(&t);
	weft_cancel(f);
	return weft_join(f, NULL);
}

Test(dump, two_at_once_do_not_take_each_other_for_anything)
{
	t_run(2, dump_at_once, NULL);
}

static void *dump_from_here(void *unused)
{
	dump();
	T_CHECK(says("'small'", "runs, thread "));
	return unused;
}

static int dump_on_a_small_stack(void *unused)
{
	/* Sanitizers have larger frames. */
	struct weft_attr attr = {.name = "small",
				 .stack_size = (T_SANITIZED ? 256 : 16) << 10};
	struct weft_fiber *f;

	(void)unused;
	T_CHECK(weft_spawn(&f, &attr, dump_from_here, NULL) == 0);
	return weft_join(f, NULL);
}

Test(dump, it_fits_on_the_smallest_stack)
{
	t_run(1, dump_on_a_small_stack, NULL);
}

Test(dump, it_fits_there_too_if_it_has_to_load_the_unwinder)
{
	setenv("WEFT_NO_SEGV", "1", 1);
	t_run(1, dump_on_a_small_stack, NULL);
}

/* --- where it goes --- */

#define MANY 200

static void *read_slowly(void *unused)
{
	size_t n = 0;
	ssize_t r;

	while ((r = read(ends[0], said + n, 7)) > 0)
		n += (size_t)r;
	said[n] = '\0';
	return unused;
}

static int dump_many(void *unused)
{
	struct weft_fiber *f[MANY];
	struct t_thread t;

	(void)unused;
	for (int i = 0; i < MANY; i++)
		f[i] = spawn("one of many", sleep_thread, NULL);
	weft_yield();
	t_thread_begin(&t, read_slowly, NULL);
	T_CHECK(weft_dump(ends[1]) == 0);
	close(ends[1]);
	t_thread_end(&t);
	for (int i = 0; i < MANY; i++) {
		weft_cancel(f[i]);
		T_CHECK(weft_join(f[i], NULL) == 0);
	}
	return 0;
}

Test(dump, nothing_is_lost_to_a_slow_reader)
{
	int lines = 0;

	cr_assert_eq(pipe2(ends, 0), 0);
	cr_assert_gt(fcntl(ends[1], F_SETPIPE_SZ, 4096), 0);
	cr_assert_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	t_run(1, dump_many, NULL);
	for (char *at = said; (at = strstr(at, "'one of many'")); at++)
		lines++;
	cr_assert_eq(lines, MANY);
}

static int dump_nowhere(void *unused)
{
	(void)unused;
	T_CHECK(weft_dump(-1) == -EBADF);
	T_CHECK(weft_dump(ends[0]) == -EBADF);
	return 0;
}

Test(dump, what_cannot_be_written_is_an_error)
{
	cr_assert_eq(pipe(ends), 0);
	t_run(1, dump_nowhere, NULL);
}

Test(dump, without_a_runtime_there_is_none)
{
	cr_assert_eq(weft_dump(2), -ESRCH);
}

/* --- while everything goes on --- */

static void *come_and_go(void *arg)
{
	for (size_t i = 0; i < t_scale(300); i++) {
		struct weft_fiber *f = spawn("child", end_at_once, NULL);

		weft_yield();
		if (i % 16 == 0)
			weft_sleep(WEFT_USEC(100));
		T_CHECK(weft_join(f, NULL) == 0);
	}
	return arg;
}

static void *dump_all_the_time(void *unused)
{
	while (!atomic_load(&over))
		dump();
	return unused;
}

static int live_under_dumps(void *unused)
{
	struct weft_fiber *f[20];
	struct t_thread t;

	(void)unused;
	t_thread_begin(&t, dump_all_the_time, NULL);
	for (int i = 0; i < 20; i++)
		f[i] = spawn("parent", come_and_go, NULL);
	for (int i = 0; i < 20; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	atomic_store(&over, true);
	t_thread_end(&t);
	return 0;
}

Test(dump, fibers_come_and_go_meanwhile)
{
	t_run(2, live_under_dumps, NULL);
}

Test(dump, fibers_come_and_go_while_they_are_sampled)
{
	setenv("WEFT_TRACE_BLOCKING", "1", 1);
	t_run(2, live_under_dumps, NULL);
}

/* --- SIGQUIT --- */

static int quit_and_look(void *unused)
{
	ssize_t n;
	int fd = memfd_create("stderr", MFD_CLOEXEC), old = dup(2);

	(void)unused;
	spawn("sleeper", sleep_thread, NULL);
	weft_yield();
	dup2(fd, 2);
	kill(getpid(), SIGQUIT);
	do {
		weft_sleep(WEFT_MSEC(1));
		n = pread(fd, said, sizeof said - 1, 0);
		said[n > 0 ? n : 0] = '\0';
	} while (!strstr(said, "'sleeper'"));
	dup2(old, 2);
	weft_stop();
	return 0;
}

Test(dump, it_comes_by_sigquit_if_asked_for)
{
	struct weft_options o = {.dump_on_quit = true, .workers = 1};
	struct sigaction now;

	cr_assert_eq(weft_run(&o, quit_and_look, NULL), 0);
	sigaction(SIGQUIT, NULL, &now);
	cr_assert(now.sa_handler == SIG_DFL);
	setenv("WEFT_DUMP_ON_QUIT", "1", 1);
	t_run(2, quit_and_look, NULL);
}

/* Long enough for all that looks after workers to rest. */
static int rest_and_quit(void *unused)
{
	weft_sleep(WEFT_MSEC(700));
	return quit_and_look(unused);
}

Test(dump, it_comes_by_sigquit_in_a_process_that_rests)
{
	setenv("WEFT_DUMP_ON_QUIT", "1", 1);
	t_run(1, rest_and_quit, NULL);
}

static int handler_is(void *wanted)
{
	struct sigaction now;

	sigaction(SIGQUIT, NULL, &now);
	return now.sa_handler == (void (*)(int))wanted;
}

static int fork_and_quit(void *unused)
{
	int status = 0;
	sigset_t set;
	pid_t pid = fork();

	(void)unused;
	if (pid == 0) {
		sigemptyset(&set);
		sigaddset(&set, SIGQUIT);
		kill(getpid(), SIGQUIT);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		_exit(1);
	}
	T_CHECK(waitpid(pid, &status, 0) == pid);
	T_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
	return 0;
}

Test(dump, sigquit_ends_a_forked_child)
{
	setenv("WEFT_DUMP_ON_QUIT", "1", 1);
	t_run(1, fork_and_quit, NULL);
}

Test(dump, nobody_touches_sigquit_without_being_asked)
{
	cr_assert(t_run(1, handler_is, SIG_DFL));
	signal(SIGQUIT, SIG_IGN);
	cr_assert(t_run(1, handler_is, SIG_IGN));
	setenv("WEFT_DUMP_ON_QUIT", "1", 1);
	cr_assert(!t_run(1, handler_is, SIG_IGN));
	cr_assert(handler_is(SIG_IGN));
}
