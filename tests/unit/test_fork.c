/* SPDX-License-Identifier: MIT */
/*
 * test_fork.c - a runtime does not follow a fork: the child is a thread without
 * one, and what it does is no concern of the parent's.
 */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

/*
 * A sanitizer's malloc may be locked by a thread that the child has not, and so
 * may the lock under which qemu makes threads.
 */
TestSuite(fork, .timeout = 10 * T_SLOW, .disabled = T_SANITIZED || T_EMULATED);

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

/* --- in the middle of everything --- */

static _Atomic bool over, held;

static void *echo(void *arg)
{
	char buf[256];
	ssize_t n;

	while ((n = weft_read(*(int *)arg, buf, sizeof buf)) > 0)
		T_CHECK(weft_write_all(*(int *)arg, buf, (size_t)n, NULL) == 0);
	return NULL;
}

static void *talk(void *arg)
{
	unsigned sent = 0, got;

	for (; !over || sent == 0; sent++) {
		T_CHECK(weft_write_all(*(int *)arg, &sent, sizeof sent, NULL) ==
			0);
		T_CHECK(weft_read_full(*(int *)arg, &got, sizeof got, NULL) ==
			0);
		T_CHECK(got == sent);
	}
	T_CHECK(weft_shutdown(*(int *)arg, SHUT_WR) == 0);
	return (void *)(uintptr_t)sent;
}

static void *hold(void *unused)
{
	(void)unused;
	held = true;
	while (!over)
		usleep(100);
	return &held;
}

static void *hold_pool(void *unused)
{
	void *result = NULL;

	(void)unused;
	T_CHECK(weft_blocking(hold, NULL, &result) == 0);
	return result;
}

/* The child's own runtime, with the descriptor that the parent waits for. */
static int use_shared(void *arg)
{
	char c;
	int fd = *(int *)arg, file = weft_open("/proc/self/exe", O_RDONLY, 0);

	if (file < 0 || weft_pread(file, &c, 1, 1) != 1 || c != 'E')
		return 1;
	if (weft_write(fd, "s", 1) != 1 || weft_close(fd) != 0)
		return 2;
	over = true;
	return hold_pool(NULL) == &held ? 42 : 3;
}

static void child_of_many(int shared)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(weft_run(NULL, use_shared, &shared));
	T_CHECK(waitpid(child, &status, 0) == child);
	T_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void *read_shared(void *arg)
{
	char c = 0;

	T_CHECK(weft_read(*(int *)arg, &c, 1) == 1 && c == 's');
	return NULL;
}

static int fork_amid(void *unused)
{
	struct weft_fiber *f[3], *reader;
	int fd[2], shared[2];
	void *result;

	(void)unused;
	over = held = false;
	T_CHECK(t_pair(fd) == 0 && t_pair(shared) == 0);
	T_CHECK(weft_spawn(&f[0], NULL, echo, &fd[0]) == 0);
	T_CHECK(weft_spawn(&f[1], NULL, talk, &fd[1]) == 0);
	T_CHECK(weft_spawn(&f[2], NULL, hold_pool, NULL) == 0);
	while (!held)
		weft_yield();
	for (size_t i = 0; i < t_scale(10) + 1; i++) {
		T_CHECK(weft_spawn(&reader, NULL, read_shared, &shared[0]) ==
			0);
		t_await_waiters(shared[0], 1);
		child_of_many(shared[1]);
		T_CHECK(weft_join(reader, NULL) == 0);
	}
	over = true;
	T_CHECK(weft_join(f[0], NULL) == 0);
	T_CHECK(weft_join(f[1], &result) == 0 && result != NULL);
	T_CHECK(weft_join(f[2], &result) == 0 && result == &held);
	for (int i = 0; i < 2; i++)
		T_CHECK(weft_close(fd[i]) == 0 && weft_close(shared[i]) == 0);
	return 0;
}

Test(fork, one_amid_traffic_and_a_busy_pool_disturbs_neither_side)
{
	t_run(1, fork_amid, NULL);
	t_run(2, fork_amid, NULL);
}

static void *fork_on_thread(void *unused)
{
	(void)unused;
	fork_and_wait();
	return NULL;
}

static int fork_beside(void *unused)
{
	(void)unused;
	T_CHECK(pipe(pipe_) == 0);
	T_CHECK(weft_blocking(fork_on_thread, NULL, NULL) == 0);
	T_CHECK(answer(NULL) == 42);
	T_CHECK(weft_close(pipe_[0]) == 0 && weft_close(pipe_[1]) == 0);
	return 0;
}

Test(fork, a_child_of_a_thread_beside_the_runtime_has_none)
{
	t_run(2, fork_beside, NULL);
}

/* --- signals --- */

static int fork_and_kill(void *unused)
{
	int status;
	pid_t child = fork();

	(void)unused;
	if (child == 0) {
		kill(getpid(), SIGTERM);
		_exit(0);
	}
	T_CHECK(waitpid(child, &status, 0) == child);
	T_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	return 0;
}

Test(fork, a_child_of_a_fiber_can_be_killed_like_any_process)
{
	t_run(1, fork_and_kill, NULL);
	t_run(2, fork_and_kill, NULL);
}

static int take_in_child(void *arg)
{
	kill(getpid(), SIGUSR1);
	return weft_signal_wait(arg, NULL);
}

static int fork_and_take(void *arg)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(weft_run(NULL, take_in_child, arg));
	T_CHECK(waitpid(child, &status, 0) == child);
	T_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == SIGUSR1);
	T_CHECK(weft_signal_wait_until(arg, NULL, 0) == -ETIMEDOUT);
	return 0;
}

Test(fork, what_is_blocked_stays_so_and_can_be_waited_for_in_the_child)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	t_run(2, fork_and_take, &set);
}
