/* SPDX-License-Identifier: MIT */
/*
 * test_fork.c - a runtime does not follow a fork: the child is a thread without
 * one, and what it does is no concern of the parent's.
 */
#include "support/t.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

/* A sanitizer's malloc may be locked by a thread that the child has not. */
TestSuite(fork, .timeout = 10, .disabled = T_SANITIZED);

static int pipe_[2];

static void *read_one(void *unused)
{
	char c;

	(void)unused;
	return (void *)weft_read(pipe_[0], &c, 1);
}

static int answer(void *unused)
{
	struct weft_fiber *f;
	void *n;

	(void)unused;
	if (weft_spawn(&f, NULL, read_one, NULL) < 0 ||
	    weft_write(pipe_[1], "c", 1) != 1 || weft_join(f, &n) < 0)
		return 0;
	return n == (void *)1 ? 42 : 0;
}

/* Exit status 0 if all is as it should be, else which was not. */
static int as_a_child(void)
{
	if (weft_self() || weft_worker() != -EPERM || weft_workers() != 0)
		return 1;
	if (weft_spawn(NULL, NULL, read_one, NULL) != -ESRCH)
		return 2;
	if (weft_sleep(WEFT_MSEC(1)) != 0)
		return 3;
	if (weft_close(pipe_[0]) != 0 || weft_close(pipe_[1]) != 0)
		return 4;
	if (pipe(pipe_) < 0 || weft_run(NULL, answer, NULL) != 42)
		return 5;
	return weft_run(NULL, answer, NULL) == 42 ? 0 : 6;
}

static void fork_and_wait(void)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(as_a_child());
	T_CHECK(waitpid(child, &status, 0) == child);
	T_CHECK(WIFEXITED(status));
	T_CHECK(WEXITSTATUS(status) == 0);
}

/* The child closes what the parent waits for: that stays registered here. */
static int fork_while_one_waits(void *unused)
{
	struct weft_fiber *f;
	void *n = NULL;

	(void)unused;
	T_CHECK(pipe(pipe_) == 0);
	T_CHECK(weft_spawn(&f, NULL, read_one, NULL) == 0);
	for (int i = 0; i < 3; i++) {
		weft_yield();
		fork_and_wait();
	}
	T_CHECK(weft_write(pipe_[1], "p", 1) == 1);
	T_CHECK(weft_join(f, &n) == 0 && n == (void *)1);
	T_CHECK(weft_close(pipe_[0]) == 0 && weft_close(pipe_[1]) == 0);
	return 0;
}

Test(fork, a_child_of_a_fiber_has_no_runtime_and_may_start_one)
{
	t_run(2, fork_while_one_waits, NULL);
}

Test(fork, the_parent_goes_on_after_the_runtime_has_ended)
{
	t_run(1, fork_while_one_waits, NULL);
	T_CHECK(pipe(pipe_) == 0);
	fork_and_wait();
	T_CHECK(weft_run(NULL, answer, NULL) == 42);
	t_verify();
}
