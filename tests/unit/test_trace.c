/* SPDX-License-Identifier: MIT */
/*
 * test_trace.c - WEFT_TRACE_BLOCKING=1 says where fibers hold their threads.
 */
#include "support/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "run/watch.h"
#include "support/thread.h"
#include "weft.h"

TestSuite(trace, .timeout = 30 * T_SLOW);

static _Atomic bool let_go;

/* Exported, so that the backtrace has their names. */
__attribute__((visibility("default"), noinline)) void
compute_here(uint64_t before)
{
	while (!let_go || wf_watch_takeovers() == before)
		wf_cpu_relax();
}

static int blocking_pipe[2];

__attribute__((visibility("default"), noinline)) void block_here(void)
{
	char c = 'x';

	/* The sample may interrupt it, as a signal does any call. */
	while (read(blocking_pipe[0], &c, 1) != 1)
		;
	T_CHECK(c == 'y');
}

static void *computing(void *unused)
{
	compute_here(wf_watch_takeovers());
	return unused;
}

static void *blocking(void *unused)
{
	block_here();
	return unused;
}

/* Each place twice, one after the other. */
static int hold_threads(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	T_CHECK(pipe(blocking_pipe) == 0);
	for (int i = 0; i < 2; i++) {
		let_go = false;
		T_CHECK(weft_spawn(&f, NULL, computing, NULL) == 0);
		weft_yield();
		let_go = true;
		T_CHECK(weft_join(f, NULL) == 0);
		T_CHECK(weft_spawn(&f, NULL, blocking, NULL) == 0);
		/* Run only after the only worker has been taken over. */
		weft_yield();
		T_CHECK(write(blocking_pipe[1], "y", 1) == 1);
		T_CHECK(weft_join(f, NULL) == 0);
	}
	while (wf_watch_lost())
		weft_yield();
	return 0;
}

/* What is said on stderr meanwhile. */
static char *said_by(int (*fn)(void *))
{
	static char text[1 << 16];
	int file = memfd_create("stderr", MFD_CLOEXEC), old = dup(2);
	ssize_t n;

	cr_assert_geq(file, 0);
	dup2(file, 2);
	t_run(1, fn, NULL);
	dup2(old, 2);
	close(old);
	n = pread(file, text, sizeof text - 1, 0);
	close(file);
	cr_assert_geq(n, 0);
	text[n] = '\0';
	return text;
}

static int count_of(const char *text, const char *what)
{
	int n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* A busy machine may keep a thread from its CPU for longer than a sample. */
static bool unanswered(const char *said)
{
	return count_of(said, "compute_here") == 0 ||
	       count_of(said, "did not answer") > T_SANITIZED;
}

Test(trace, each_place_is_told_of_once_with_its_backtrace_and_how_long)
{
	char *said;
	int tries = 0;

	setenv("WEFT_TRACE_BLOCKING", "1", 1);
	do
		said = said_by(hold_threads);
	while (unanswered(said) && ++tries < 100);
	cr_assert_eq(count_of(said, "compute_here"), 1, "%s", said);
	/* Some sanitizers keep signals back while a call blocks. */
	cr_assert_eq(count_of(said, "block_here") +
			     count_of(said, "did not answer"),
		     1, "%s", said);
	cr_assert_eq(count_of(said, "a fiber computes"), 1, "%s", said);
	cr_assert_eq(count_of(said, "blocks the thread"), 1, "%s", said);
	cr_assert_eq(count_of(said, "in all"), 2, "%s", said);
}

Test(trace, nothing_is_said_unless_asked_for)
{
	unsetenv("WEFT_TRACE_BLOCKING");
	/* Nor about guards, where there are none. */
	setenv("WEFT_GUARD", "canary", 1);
	cr_assert_str_eq(said_by(hold_threads), "");
}
