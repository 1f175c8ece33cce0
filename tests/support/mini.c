/* SPDX-License-Identifier: MIT */
/*
 * mini.c - the runner behind crit.h where Criterion cannot run.
 *
 * One test after the other, each row of a parameterized one too, in a child
 * process that is killed when its time is up.  Takes --list, and one pattern
 * as --filter=suite/name*; other options are accepted and mean nothing.
 */
#include "support/crit.h"

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SKIPPED 77

static struct mini_test *tests, **tests_end = &tests;
static const struct mini_test *current; /* in its child */

struct tally {
	unsigned tested, failed, crashed;
};

void mini_register(struct mini_test *t)
{
	*tests_end = t;
	tests_end = &t->next;
}

static void say(const char *format, va_list args)
{
	fputc(':', stderr);
	vfprintf(stderr, format, args);
}

void mini_fail(const char *file, int line, const char *what, const char *format,
	       ...)
{
	va_list args;

	fprintf(stderr, "[----] %s:%d: Assertion Failed: %s", file, line, what);
	va_start(args, format);
	if (format[1])
		say(format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

void mini_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "[SKIP] %s::%s", current->suite, current->name);
	say(format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(SKIPPED);
}

/* The test's own options, with the suite's where it has none. */
static struct mini_options options_of(const struct mini_test *t)
{
	struct mini_options own = t->options, suite = {0};

	for (struct mini_test *s = tests; s; s = s->next)
		if (!s->name && strcmp(s->suite, t->suite) == 0)
			suite = s->options;
	if (own.timeout == 0)
		own.timeout = suite.timeout != 0 ? suite.timeout : 60;
	own.init = own.init ? own.init : suite.init;
	own.fini = own.fini ? own.fini : suite.fini;
	own.disabled |= suite.disabled;
	return own;
}

static void child(const struct mini_test *t, const struct mini_options *o,
		  void *row)
{
	sigset_t none;

	current = t;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (o->init)
		o->init();
	t->run(row);
	if (o->fini)
		o->fini();
	exit(0);
}

/* Wait for the child, not longer than `seconds`; its wait status. */
static int reap(pid_t pid, double seconds)
{
	struct timespec left = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};
	sigset_t chld;
	int status, signal;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	do
		signal = sigtimedwait(&chld, NULL, &left);
	while (signal < 0 && errno == EINTR);
	if (signal < 0) {
		fputs("[----] Timed out.\n", stderr);
		kill(pid, SIGKILL);
	}
	waitpid(pid, &status, 0);
	if (signal < 0)
		sigtimedwait(&chld, NULL, &(struct timespec){0});
	return status;
}

static bool judge(const struct mini_options *o, int status, struct tally *sum)
{
	bool signaled = WIFSIGNALED(status);

	sum->tested++;
	if (signaled ? o->signal && WTERMSIG(status) == o->signal
		     : !o->signal && WEXITSTATUS(status) == o->exit_code)
		return true;
	sum->failed++;
	sum->crashed += signaled && WTERMSIG(status) != SIGKILL;
	return false;
}

static void run_row(const struct mini_test *t, const struct mini_options *o,
		    void *row, struct tally *sum)
{
	pid_t pid;
	int status;

	fprintf(stderr, "[RUN ] %s::%s\n", t->suite, t->name);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(t, o, row);
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	status = reap(pid, o->timeout);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		return; /* it has said so, and why */
	fprintf(stderr, "[%s] %s::%s\n",
		judge(o, status, sum) ? "PASS" : "FAIL", t->suite, t->name);
}

static void run_test(const struct mini_test *t, struct tally *sum)
{
	struct mini_options o = options_of(t);
	struct criterion_test_params rows = {.length = 1};

	if (o.disabled) {
		fprintf(stderr, "[SKIP] %s::%s: Test is disabled\n", t->suite,
			t->name);
		return;
	}
	if (t->rows)
		rows = t->rows();
	for (size_t i = 0; i < rows.length; i++)
		run_row(t, &o, (char *)rows.params + i * rows.size, sum);
}

static bool wanted(const struct mini_test *t, const char *pattern)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", t->suite, t->name);
	return t->name && fnmatch(pattern, path, 0) == 0;
}

int main(int argc, char **argv)
{
	const char *pattern = "*";
	struct tally sum = {0};
	bool list = false;
	sigset_t chld;

	for (int i = 1; i < argc; i++) {
		list |= strcmp(argv[i], "--list") == 0;
		if (strncmp(argv[i], "--filter=", 9) == 0)
			pattern = argv[i] + 9;
	}
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	for (struct mini_test *t = tests; t; t = t->next) {
		if (!wanted(t, pattern))
			continue;
		if (list)
			printf("%s/%s\n", t->suite, t->name);
		else
			run_test(t, &sum);
	}
	if (list)
		return 0;
	fprintf(stderr,
		"[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | "
		"Crashing: %u \n",
		sum.tested, sum.tested - sum.failed, sum.failed, sum.crashed);
	return sum.failed > 0 || sum.tested == 0;
}
