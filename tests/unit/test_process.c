/* SPDX-License-Identifier: MIT */
/*
 * test_process.c - programs: each is started as asked, its end is told once,
 * and nothing of it or of a failed start is left over.
 */
#include "support/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(process, .timeout = 30 * T_SLOW);

/* Qemu's vfork is a fork: the parent does not learn that there was no exec. */
#define NO_EXEC_ERRORS T_EMULATED

#define SHELL(text) ((const char *[]){"sh", "-c", text, NULL})

static const struct weft_process_options piped = {
	.in.to = WEFT_STDIO_PIPE,
	.out.to = WEFT_STDIO_PIPE,
};
static const struct weft_process_options to_us = {.out.to = WEFT_STDIO_PIPE};

static bool no_children(void)
{
	return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

/* In each place, and what was open or running before is so afterwards. */
static void everywhere(int (*fn)(void *arg))
{
	int fds = t_fds();

	t_in_each_way(fn, NULL);
	cr_assert_eq(t_fds(), fds);
	cr_assert(no_children());
}

/* How it ended; negative: it could not be started or waited for. */
static int run(const char *const *argv, const struct weft_process_options *o)
{
	struct weft_process p;
	int status = -1, r = weft_process_spawn(&p, argv, o);

	if (r < 0) {
		T_CHECK(p.in == -1 && p.out == -1 && p.err == -1);
		return r;
	}
	r = weft_process_wait(&p, &status);
	return r < 0 ? r : status;
}

/* All that can be read from it; "" if it could not be started. */
static char *output_of(const char *const *argv,
		       const struct weft_process_options *o)
{
	static char text[65536]; /* not a worker's: the fiber goes on on any */
	struct weft_process p;
	size_t n = 0;
	int status = -1;

	text[0] = '\0';
	T_CHECK(weft_process_spawn(&p, argv, o) == 0);
	if (p.pid == 0)
		return text;
	T_CHECK(weft_read_full(p.out, text, sizeof text - 1, &n) == -ENODATA);
	text[n] = '\0';
	T_CHECK(weft_close(p.out) == 0);
	T_CHECK(weft_process_wait(&p, &status) == 0);
	T_CHECK(WIFEXITED(status));
	return text;
}

static bool says(const char *script, struct weft_process_options o,
		 const char *text)
{
	o.out.to = WEFT_STDIO_PIPE;
	return strcmp(output_of(SHELL(script), &o), text) == 0;
}

/* --- how it ended --- */

static int end_in_each_way(void *arg)
{
	int status;

	(void)arg;
	T_CHECK(run(SHELL("exit 0"), NULL) == 0);
	status = run(SHELL("exit 7"), NULL);
	T_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	status = run(SHELL("exit 255"), NULL);
	T_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 255);
	status = run(SHELL("kill -KILL $$"), NULL);
	T_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	T_CHECK(!WCOREDUMP(status));
	return 0;
}

Test(process, its_end_is_told_as_wait_does)
{
	everywhere(end_in_each_way);
}

static int end_once(void *arg)
{
	struct weft_process p;
	int status = -1;

	(void)arg;
	T_CHECK(weft_process_spawn(&p, SHELL("exit 3"), NULL) == 0);
	T_CHECK(p.pid > 0 && p.in == -1 && p.out == -1 && p.err == -1);
	T_CHECK(weft_process_wait(&p, &status) == 0 && status == 3 << 8);
	T_CHECK(weft_process_wait(&p, &status) == -ECHILD);
	T_CHECK(weft_process_kill(&p, 0) == -ESRCH);
	T_CHECK(weft_process_detach(&p) == -ECHILD);
	T_CHECK(weft_process_spawn(&p, SHELL("exit 3"), NULL) == 0);
	T_CHECK(weft_process_wait(&p, NULL) == 0);
	return 0;
}

Test(process, its_end_is_told_once)
{
	everywhere(end_once);
}

static int use_zeroed(void *arg)
{
	struct weft_process p = {0};

	(void)arg;
	T_CHECK(weft_process_wait(&p, NULL) == -ECHILD);
	T_CHECK(weft_process_wait_until(&p, NULL, 0) == -ECHILD);
	T_CHECK(weft_process_kill(&p, SIGKILL) == -ESRCH);
	T_CHECK(weft_process_detach(&p) == -ECHILD);
	return 0;
}

Test(process, zero_bytes_are_one_that_has_been_waited_for)
{
	everywhere(use_zeroed);
}

/* --- its streams --- */

static void *write_much(void *arg)
{
	struct weft_process *p = arg;
	size_t length = t_scale(4 << 20);
	char *text = malloc(length);

	memset(text, 'w', length);
	T_CHECK(weft_write_all(p->in, text, length, NULL) == 0);
	T_CHECK(weft_close(p->in) == 0);
	free(text);
	return NULL;
}

static int talk_both_ways(void *arg)
{
	const char *cat[] = {"cat", NULL};
	struct weft_process p;
	struct t_task writer;
	char buf[4096];
	size_t got = 0;
	ssize_t n;

	(void)arg;
	T_CHECK(weft_process_spawn(&p, cat, &piped) == 0);
	T_CHECK(p.in >= 0 && p.out >= 0 && p.err == -1);
	t_task_start(&writer, write_much, &p);
	while ((n = weft_read(p.out, buf, sizeof buf)) > 0)
		got += (size_t)n;
	T_CHECK(n == 0 && got == t_scale(4 << 20));
	t_task_end(&writer);
	T_CHECK(weft_process_wait(&p, NULL) == 0);
	T_CHECK(weft_close(p.out) == 0);
	return 0;
}

Test(process, more_than_a_pipe_holds_goes_through_it)
{
	everywhere(talk_both_ways);
}

static int read_after_its_end(void *arg)
{
	struct weft_process p;
	char text[8] = "";

	(void)arg;
	T_CHECK(weft_process_spawn(&p, SHELL("echo weft"), &to_us) == 0);
	T_CHECK(weft_process_wait(&p, NULL) == 0);
	T_CHECK(weft_read(p.out, text, sizeof text) == 5);
	T_CHECK(strcmp(text, "weft\n") == 0);
	T_CHECK(weft_read(p.out, text, sizeof text) == 0);
	T_CHECK(weft_close(p.out) == 0);
	return 0;
}

Test(process, what_it_wrote_outlives_it)
{
	everywhere(read_after_its_end);
}

static int to_null(void *arg)
{
	struct weft_process_options o = {.in.to = WEFT_STDIO_NULL,
					 .err.to = WEFT_STDIO_NULL};

	(void)arg;
	T_CHECK(says("read x || echo nothing; echo lost >&2", o, "nothing\n"));
	return 0;
}

Test(process, a_stream_may_lead_nowhere)
{
	everywhere(to_null);
}

static int apart(void *arg)
{
	struct weft_process_options o = {.out.to = WEFT_STDIO_PIPE,
					 .err.to = WEFT_STDIO_PIPE};
	struct weft_process p;
	char out[8] = "", err[8] = "";

	(void)arg;
	T_CHECK(weft_process_spawn(&p, SHELL("echo err >&2; echo out"), &o) ==
		0);
	T_CHECK(weft_read(p.out, out, sizeof out) == 4);
	T_CHECK(weft_read(p.err, err, sizeof err) == 4);
	T_CHECK(strcmp(out, "out\n") == 0 && strcmp(err, "err\n") == 0);
	T_CHECK(weft_process_wait(&p, NULL) == 0);
	T_CHECK(weft_close(p.out) == 0 && weft_close(p.err) == 0);
	return 0;
}

Test(process, output_and_errors_come_apart)
{
	everywhere(apart);
}

static int together(void *arg)
{
	struct weft_process_options o = {.err.to = WEFT_STDIO_OUT};

	(void)arg;
	T_CHECK(says("echo one; echo two >&2; echo three", o,
		     "one\ntwo\nthree\n"));
	return 0;
}

Test(process, or_together)
{
	everywhere(together);
}

static int hand_over(void *arg)
{
	char name[] = "/tmp/weft-process-XXXXXX";
	int file = mkstemp(name);
	struct weft_process_options o = {.in = {WEFT_STDIO_FD, file}};

	(void)arg;
	T_CHECK(file >= 0 && unlink(name) == 0);
	T_CHECK(write(file, "warp\n", 5) == 5);
	T_CHECK(lseek(file, 0, SEEK_SET) == 0);
	T_CHECK(says("cat", o, "warp\n"));
	T_CHECK(weft_close(file) == 0);
	T_CHECK(weft_process_spawn(&(struct weft_process){0}, SHELL("exit 0"),
				   &o) == -EBADF);
	return 0;
}

Test(process, a_descriptor_is_handed_over_and_kept)
{
	everywhere(hand_over);
}

/* Each is where another should be: none may be replaced too early. */
static int exchange(void *arg)
{
	struct weft_process_options o = {.in = {WEFT_STDIO_FD, 2},
					 .out = {WEFT_STDIO_FD, 0},
					 .err = {WEFT_STDIO_FD, 1}};
	int saved[3], pipes[3][2];
	char text[8] = "";

	(void)arg;
	for (int i = 0; i < 3; i++) {
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
		T_CHECK(pipe2(pipes[i], O_CLOEXEC) == 0);
		T_CHECK(dup2(pipes[i][i != 2], i) == i);
	}
	T_CHECK(write(pipes[2][1], "in\n", 3) == 3);
	T_CHECK(run(SHELL("read x; echo $x; echo err >&2"), &o) == 0);
	for (int i = 0; i < 3; i++)
		T_CHECK(dup2(saved[i], i) == i && close(saved[i]) == 0);
	T_CHECK(read(pipes[0][0], text, sizeof text) == 3);
	T_CHECK(strcmp(text, "in\n") == 0);
	T_CHECK(read(pipes[1][0], text, sizeof text) == 4);
	T_CHECK(strcmp(text, "err\n") == 0);
	for (int i = 0; i < 3; i++)
		T_CHECK(close(pipes[i][0]) == 0 && close(pipes[i][1]) == 0);
	return 0;
}

Test(process, standard_streams_may_be_exchanged)
{
	everywhere(exchange);
}

/* The ends of the pipe get the numbers of streams that are replaced. */
static int start_without_streams(void *arg)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), saved[2];
	struct weft_process_options o = {.out = {WEFT_STDIO_FD, null},
					 .err.to = WEFT_STDIO_PIPE};
	struct weft_process p;
	char text[16] = "";

	(void)arg;
	for (int i = 0; i < 2; i++) {
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
		close(i);
	}
	T_CHECK(weft_process_spawn(&p, SHELL("echo out; echo err >&2"), &o) ==
		0);
	T_CHECK(weft_read(p.err, text, sizeof text) == 4);
	T_CHECK(strcmp(text, "err\n") == 0);
	T_CHECK(weft_process_wait(&p, NULL) == 0);
	T_CHECK(weft_close(p.err) == 0 && weft_close(null) == 0);
	for (int i = 0; i < 2; i++)
		T_CHECK(dup2(saved[i], i) == i && close(saved[i]) == 0);
	return 0;
}

Test(process, this_process_needs_no_streams_of_its_own)
{
	everywhere(start_without_streams);
}

static int pass_along(void *arg)
{
	struct weft_process_options o = {.out.to = WEFT_STDIO_PIPE};
	struct weft_process first;

	(void)arg;
	T_CHECK(weft_process_spawn(&first, SHELL("echo b; sleep 0.01; echo a"),
				   &o) == 0);
	o.in = (struct weft_stdio){WEFT_STDIO_FD, first.out};
	T_CHECK(says("sort", o, "a\nb\n"));
	T_CHECK(weft_close(first.out) == 0);
	T_CHECK(weft_process_wait(&first, NULL) == 0);
	return 0;
}

Test(process, a_pipe_may_lead_from_one_to_the_next)
{
	everywhere(pass_along);
}

/* --- what it gets --- */

static int settings(void *arg)
{
	const char *env[] = {"WARP=weft", "PATH=/usr/bin:/bin", NULL};

	(void)arg;
	T_CHECK(says("echo $WARP", (struct weft_process_options){.env = env},
		     "weft\n"));
	T_CHECK(setenv("WARP", "own", 1) == 0);
	T_CHECK(says("echo $WARP", (struct weft_process_options){0}, "own\n"));
	T_CHECK(says("pwd", (struct weft_process_options){.dir = "/usr"},
		     "/usr\n"));
	T_CHECK(says("test $(ps -o pgid= $$) = $$ || echo no; echo done",
		     (struct weft_process_options){.group = true}, "done\n"));
	return 0;
}

Test(process, it_gets_what_the_options_say)
{
	everywhere(settings);
}

static int from_directory(void *arg)
{
	struct weft_process_options o = {.dir = "/bin"};
	const char *relative[] = {"./sh", "-c", "exit 5", NULL};

	(void)arg;
	T_CHECK(run(relative, &o) == 5 << 8);
	return 0;
}

Test(process, a_relative_path_starts_from_its_directory)
{
	everywhere(from_directory);
}

/* The lines of /proc/self/status that have to do with signals. */
static uint64_t signals(const char *line, const struct weft_process_options *o)
{
	const char *grep[] = {"grep", line, "/proc/self/status", NULL};
	struct weft_process_options copy = *o;
	char *found;

	copy.out.to = WEFT_STDIO_PIPE;
	found = strchr(output_of(grep, &copy), ':');
	T_CHECK(found);
	return found ? strtoull(found + 1, NULL, 16) : 0;
}

static uint64_t bit(int signo)
{
	return UINT64_C(1) << (signo - 1);
}

#define LIBC (bit(32) | bit(33)) /* libc's own */

static int inherit_signals(void *arg)
{
	struct weft_process_options o = {0};
	sigset_t mask;

	(void)arg;
	T_CHECK(signals("SigBlk", &o) == 0);
	T_CHECK((signals("SigIgn", &o) & ~LIBC) == bit(SIGUSR2));
	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	o.mask = &mask;
	T_CHECK(signals("SigBlk", &o) == bit(SIGHUP));
	return 0;
}

static void ignored(int signo)
{
	(void)signo;
}

Test(process, it_blocks_no_signal_and_ignores_what_we_do_but_for_sigpipe,
     .disabled = T_EMULATED)
{
	sigset_t set;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGHUP, ignored);
	everywhere(inherit_signals);
}

/* What the pool has is none of a program's. */
static void *spawn_in_pool(void *arg)
{
	(void)inherit_signals(arg);
	return NULL;
}

static int from_pool(void *arg)
{
	T_CHECK(weft_blocking(spawn_in_pool, arg, NULL) == 0);
	return 0;
}

Test(process, nor_are_they_those_of_the_pool, .disabled = T_EMULATED)
{
	sigset_t set;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	signal(SIGUSR2, SIG_IGN);
	t_on_fibers(from_pool, NULL);
}

/* What it has open, beside its streams, was open and so marked before. */
static int count_descriptors(void *arg)
{
	const char *find[] = {"find",    "/proc/self/fd", "-lname", "*[[]*[]]",
			      "-printf", "%f:%l\n",       NULL};
	struct weft_process_options o = {.in.to = WEFT_STDIO_NULL,
					 .out.to = WEFT_STDIO_PIPE,
					 .err.to = WEFT_STDIO_NULL};
	struct weft_process other;
	int lfd = weft_listen("127.0.0.1:0", NULL), open = 0;

	T_CHECK(weft_process_spawn(&other, SHELL("cat"), &piped) == 0);
	for (char *s = output_of(find, &o); *s; s += strcspn(s, "\n") + 1) {
		int fd = atoi(s);

		if (fd == 1 || ((bool *)arg)[fd])
			continue;
		fprintf(stderr, "%.*s\n", (int)strcspn(s, "\n"), s);
		open++;
	}
	T_CHECK(open == 0);
	T_CHECK(weft_close(lfd) == 0);
	T_CHECK(weft_close(other.in) == 0);
	T_CHECK(weft_process_wait(&other, NULL) == 0);
	T_CHECK(weft_close(other.out) == 0);
	return 0;
}

Test(process, it_has_none_of_our_descriptors)
{
	static bool before[1024];

	for (int i = 0; i < 1024; i++)
		before[i] = fcntl(i, F_GETFD) == 0;
	t_in_each_way(count_descriptors, before);
}

/* Its ends of the pipes block, as programs expect. */
static int look_at_flags(void *arg)
{
	const char *grep[] = {"grep",
			      "-h",
			      "flags",
			      "/proc/self/fdinfo/0",
			      "/proc/self/fdinfo/1",
			      NULL};
	struct weft_process p;
	char text[64] = "", *flags = text;

	(void)arg;
	T_CHECK(weft_process_spawn(&p, grep, &piped) == 0);
	T_CHECK(weft_process_wait(&p, NULL) == 0);
	T_CHECK(weft_read(p.out, text, sizeof text - 1) > 0);
	for (int i = 0; i < 2; i++) {
		flags += strcspn(flags, "0123456789");
		T_CHECK(*flags && !(strtol(flags, &flags, 8) & O_NONBLOCK));
	}
	T_CHECK(weft_close(p.in) == 0 && weft_close(p.out) == 0);
	return 0;
}

Test(process, its_streams_block)
{
	everywhere(look_at_flags);
}

/* --- what cannot be started --- */

static int spawn_error(const char *const *argv,
		       const struct weft_process_options *o)
{
	struct weft_process p;
	int r = weft_process_spawn(&p, argv, o);

	T_CHECK(p.pid == 0 && p.in == -1 && p.out == -1 && p.err == -1);
	T_CHECK(weft_process_wait(&p, NULL) == -ECHILD);
	T_CHECK(no_children());
	return r;
}

static int mean_nothing(void *arg)
{
	struct weft_process_options o = {.in.to = WEFT_STDIO_OUT};
	const char *none[] = {NULL};

	(void)arg;
	T_CHECK(spawn_error(NULL, NULL) == -EINVAL);
	T_CHECK(spawn_error(none, NULL) == -EINVAL);
	T_CHECK(spawn_error(SHELL("exit 0"), &o) == -EINVAL);
	o = (struct weft_process_options){.out.to = (enum weft_stdio_to)99};
	T_CHECK(spawn_error(SHELL("exit 0"), &o) == -EINVAL);
	o = (struct weft_process_options){.out.to = WEFT_STDIO_PIPE,
					  .err = {WEFT_STDIO_FD, -1}};
	T_CHECK(spawn_error(SHELL("exit 0"), &o) == -EBADF);
	o = (struct weft_process_options){.size = 1};
	T_CHECK(spawn_error(SHELL("exit 0"), &o) == -EINVAL);
	return 0;
}

Test(process, options_that_mean_nothing_are_refused)
{
	everywhere(mean_nothing);
}

static int start_in_vain(void *arg)
{
	struct weft_process_options o = piped;
	const char *missing[] = {"weft-no-such-program", NULL};
	const char *directory[] = {"/usr", NULL};
	const char *argv[] = {"true", arg, NULL};

	T_CHECK(spawn_error(missing, &o) == -ENOENT);
	T_CHECK(spawn_error(directory, &o) == -EACCES);
	T_CHECK(spawn_error(argv, &o) == -E2BIG);
	o.dir = "/weft-no-such-directory";
	T_CHECK(spawn_error(SHELL("exit 0"), &o) == -ENOENT);
	o.dir = "/dev/null";
	T_CHECK(spawn_error(SHELL("exit 0"), &o) == -ENOTDIR);
	return 0;
}

Test(process, one_that_cannot_be_started_leaves_nothing,
     .disabled = NO_EXEC_ERRORS)
{
	size_t length = 4 << 20;
	char *arg = malloc(length + 1);
	int fds = t_fds();

	memset(arg, 'x', length);
	arg[length] = '\0';
	t_in_each_way(start_in_vain, arg);
	cr_assert_eq(t_fds(), fds);
	cr_assert(no_children());
}

static int without_descriptors(void *arg)
{
	struct rlimit before, few;
	struct weft_process p;
	int r;

	(void)arg;
	T_CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	for (rlim_t n = 0; n < 1000; n++) {
		few = (struct rlimit){n, before.rlim_max};
		T_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
		r = weft_process_spawn(&p, SHELL("cat"), &piped);
		if (r == 0)
			break;
		T_CHECK(r == -EMFILE || r == -EINVAL);
	}
	T_CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	T_CHECK(weft_close(p.in) == 0 && weft_close(p.out) == 0);
	T_CHECK(weft_process_wait(&p, NULL) == 0);
	return 0;
}

Test(process, as_many_descriptors_as_its_streams_are_enough)
{
	everywhere(without_descriptors);
}

/* --- waiting for long --- */

static const char *const cat[] = {"cat", NULL};

static int run_out_of_time(void *arg)
{
	struct weft_process_options o = {.in.to = WEFT_STDIO_PIPE};
	weft_time until = weft_after(WEFT_MSEC(20));
	struct weft_process p;
	int status = -1;

	(void)arg;
	T_CHECK(weft_process_spawn(&p, cat, &o) == 0);
	T_CHECK(weft_process_wait_until(&p, NULL, 0) == -ETIMEDOUT);
	T_CHECK(weft_process_wait_until(&p, NULL, until) == -ETIMEDOUT);
	T_CHECK(weft_now() >= until);
	T_CHECK(weft_process_kill(&p, 0) == 0);
	T_CHECK(weft_close(p.in) == 0);
	T_CHECK(weft_process_wait(&p, &status) == 0 && status == 0);
	return 0;
}

Test(process, it_outlives_the_deadline_of_a_wait)
{
	everywhere(run_out_of_time);
}

/* Somebody may be looking whether we wait. */
static void *wait_for(void *p)
{
	int r;

	while ((r = weft_process_wait(p, NULL)) == -EBUSY)
		weft_yield();
	return (void *)(intptr_t)r;
}

static int cancel_wait(void *arg)
{
	struct weft_process_options o = {.in.to = WEFT_STDIO_PIPE};
	struct weft_process p;
	struct weft_fiber *f;
	void *result;

	(void)arg;
	T_CHECK(weft_process_spawn(&p, cat, &o) == 0);
	T_CHECK(weft_spawn(&f, NULL, wait_for, &p) == 0);
	while (weft_process_wait_until(&p, NULL, 0) == -ETIMEDOUT)
		weft_yield();
	weft_cancel(f);
	T_CHECK(weft_join(f, &result) == 0);
	T_CHECK((intptr_t)result == -ECANCELED);
	T_CHECK(weft_close(p.in) == 0);
	T_CHECK(weft_process_wait(&p, NULL) == 0);
	weft_cancel(weft_self());
	T_CHECK(weft_process_spawn(&p, cat, &o) == -ECANCELED);
	return 0;
}

Test(process, it_outlives_the_cancelling_of_a_wait)
{
	int fds = t_fds();

	t_on_fibers(cancel_wait, NULL);
	cr_assert_eq(t_fds(), fds);
	cr_assert(no_children());
}

static int kill_awaited(void *arg)
{
	struct weft_process_options o = {.in.to = WEFT_STDIO_PIPE};
	struct weft_process p;
	struct t_task waiter;
	int r;

	(void)arg;
	T_CHECK(weft_process_spawn(&p, cat, &o) == 0);
	t_task_start(&waiter, wait_for, &p);
	while ((r = weft_process_wait_until(&p, NULL, 0)) == -ETIMEDOUT)
		weft_yield();
	T_CHECK(r == -EBUSY);
	T_CHECK(weft_process_detach(&p) == -EBUSY);
	T_CHECK(weft_process_kill(&p, 12345) == -EINVAL);
	T_CHECK(weft_process_kill(&p, SIGTERM) == 0);
	T_CHECK((intptr_t)t_task_end(&waiter) == 0);
	T_CHECK(weft_process_kill(&p, SIGTERM) == -ESRCH);
	T_CHECK(weft_close(p.in) == 0);
	return 0;
}

Test(process, it_can_be_killed_while_one_and_no_other_waits)
{
	everywhere(kill_awaited);
}

#define MANY 12

static void *live(void *arg)
{
	char script[32];
	int n = (int)(intptr_t)arg;

	snprintf(script, sizeof script, "exit %d", n);
	for (size_t i = 0; i < t_scale(20); i++)
		T_CHECK(run(SHELL(script), NULL) == n << 8);
	return NULL;
}

static int live_many(void *arg)
{
	struct t_task tasks[MANY];

	(void)arg;
	for (int i = 0; i < MANY; i++)
		t_task_start(&tasks[i], live, (void *)(intptr_t)i);
	for (int i = 0; i < MANY; i++)
		t_task_end(&tasks[i]);
	return 0;
}

Test(process, many_live_at_a_time)
{
	everywhere(live_many);
}

/* --- let go --- */

static int let_go(void *arg)
{
	struct weft_process p;

	(void)arg;
	for (int i = 0; i < 10; i++) {
		T_CHECK(weft_process_spawn(&p, SHELL("exit 9"), &to_us) == 0);
		T_CHECK(weft_process_detach(&p) == 0);
		T_CHECK(weft_process_detach(&p) == -ECHILD);
		T_CHECK(weft_process_wait(&p, NULL) == -ECHILD);
		T_CHECK(weft_close(p.out) == 0);
	}
	return 0;
}

/* Each start looks for those that have ended. */
static int start_until_all_are_gone(void *arg)
{
	(void)arg;
	do
		T_CHECK(run(SHELL("exit 0"), NULL) == 0);
	while (!no_children());
	return 0;
}

Test(process, those_that_are_let_go_do_not_stay_for_ever)
{
	int fds = t_fds();

	t_in_each_way(let_go, NULL);
	t_in_way(T_FIBER, start_until_all_are_gone, NULL);
	cr_assert_eq(t_fds(), fds);
}

/* --- whose ends others know --- */

static int wait_in_vain(void *arg)
{
	struct weft_process p;

	(void)arg;
	T_CHECK(weft_process_spawn(&p, SHELL("exit 4"), NULL) == 0);
	T_CHECK(weft_process_wait(&p, NULL) == -ECHILD);
	T_CHECK(weft_process_kill(&p, SIGKILL) == -ESRCH);
	return 0;
}

Test(process, one_whose_end_is_ignored_is_waited_for_all_the_same)
{
	signal(SIGCHLD, SIG_IGN);
	everywhere(wait_in_vain);
}

static int wait_twice(void *arg)
{
	struct weft_process p;
	int status = -1;

	(void)arg;
	T_CHECK(weft_process_spawn(&p, SHELL("exit 4"), NULL) == 0);
	T_CHECK(waitpid(p.pid, &status, 0) == p.pid && status == 4 << 8);
	T_CHECK(weft_process_kill(&p, SIGKILL) == -ESRCH);
	T_CHECK(weft_process_wait(&p, NULL) == -ECHILD);
	return 0;
}

Test(process, one_that_has_been_waited_for_otherwise_is_not_there)
{
	everywhere(wait_twice);
}

/* --- from one place to another --- */

static struct weft_process wanderer;

static int depart(void *arg)
{
	struct weft_process_options o = {.in.to = WEFT_STDIO_PIPE};

	(void)arg;
	T_CHECK(weft_process_spawn(&wanderer, cat, &o) == 0);
	T_CHECK(weft_process_wait_until(&wanderer, NULL,
					weft_after(WEFT_MSEC(1))) ==
		-ETIMEDOUT);
	return 0;
}

static int arrive(void *arg)
{
	(void)arg;
	T_CHECK(weft_process_wait_until(&wanderer, NULL,
					weft_after(WEFT_MSEC(1))) ==
		-ETIMEDOUT);
	T_CHECK(weft_close(wanderer.in) == 0);
	T_CHECK(weft_process_wait(&wanderer, NULL) == 0);
	return 0;
}

Test(process, it_may_be_waited_for_elsewhere)
{
	int fds = t_fds();

	for (int from = 0; from < T_WAYS; from++)
		for (int to = 0; to < T_WAYS; to++) {
			t_in_way((enum t_way)from, depart, NULL);
			t_in_way((enum t_way)to, arrive, NULL);
		}
	cr_assert_eq(t_fds(), fds);
	cr_assert(no_children());
}
