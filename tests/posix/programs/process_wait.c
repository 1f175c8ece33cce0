/* SPDX-License-Identifier: MIT */
/*
 * process_wait.c - several threads wait for children: each child is reaped by
 * one of them; SIGCHLD tells the process; what is ignored reaps itself.
 */
#include "wire.h"
#include "prod.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { WAITERS = 4, CHILDREN = 40 };

static pid_t child_that_exits(int status)
{
	pid_t child = fork();

	MUST_ERRNO(child);
	if (child == 0) {
		linger();
		_exit(status);
	}
	return child;
}

static int reaped[CHILDREN];

/* Until there are none left. */
static void *reaps(void *arg)
{
	intptr_t count = 0;
	int status;

	(void)arg;
	for (;;) {
		pid_t child = waitpid(-1, &status, 0);

		if (child == -1) {
			EXPECT(errno == ECHILD);
			return (void *)count;
		}
		EXPECT(WIFEXITED(status));
		__atomic_add_fetch(&reaped[WEXITSTATUS(status)], 1,
				   __ATOMIC_SEQ_CST);
		count++;
	}
}

static void *each_once(void *arg)
{
	pthread_t waiter[WAITERS];
	intptr_t sum = 0;

	memset(reaped, 0, sizeof(reaped));
	for (int i = 0; i < CHILDREN; i++)
		child_that_exits(i);
	for (int i = 0; i < WAITERS; i++)
		waiter[i] = start(reaps, NULL);
	for (int i = 0; i < WAITERS; i++)
		sum += (intptr_t)join(waiter[i]);
	for (int i = 0; i < CHILDREN; i++)
		EXPECT(reaped[i] == 1);
	see("reaped: %d", (int)sum);
	return arg;
}

/* Of a group, and of one that somebody else waits for too. */
static void *waits_for(void *arg)
{
	int status;

	errno = 0;
	return (void *)(intptr_t)(waitpid(*(pid_t *)arg, &status, 0) == -1
					  ? errno
					  : 0);
}

static void *two_for_one(void *arg)
{
	for (int i = 0; i < 10; i++) {
		pid_t child = child_that_exits(1);
		pthread_t a = start(waits_for, &child);
		pthread_t b = start(waits_for, &child);
		intptr_t one = (intptr_t)join(a), other = (intptr_t)join(b);
		EXPECT((one == 0 && other == ECHILD) ||
		       (one == ECHILD && other == 0));
	}
	see("one of two");
	pid_t child = child_that_exits(2);
	int status;
	MUST_ERRNO(setpgid(child, child));
	EXPECT(waitpid(-child, &status, 0) == child);
	see("of a group: %d", WEXITSTATUS(status));
	return arg;
}

static void *by_descriptor(void *arg)
{
	siginfo_t info;
	pid_t child = child_that_exits(3);
	int fd = syscall(SYS_pidfd_open, child, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	MUST_ERRNO(fd);
	SEE_COUNT(poll(&p, 1, -1));
	SEE_ERRNO(waitid(P_PIDFD, fd, &info, WEXITED));
	see("%d", info.si_status);
	MUST_ERRNO(close(fd));
	return arg;
}

static void *told(void *arg)
{
	int status;

	handle(SIGCHLD, count_signal, SA_RESTART | SA_NOCLDSTOP);
	handled = 0;
	pid_t child = child_that_exits(4);
	EXPECT(waitpid(child, &status, 0) == child);
	while (!__atomic_load_n(&handled, __ATOMIC_SEQ_CST))
		linger();
	see("told");
	handle(SIGCHLD, SIG_DFL, 0);
	return arg;
}

/* Nobody asks, so none is kept; waiting waits until all have gone. */
static void *ignored(void *arg)
{
	int status;

	handle(SIGCHLD, SIG_IGN, 0);
	for (int i = 0; i < 3; i++)
		child_that_exits(5);
	SEE_ERRNO(wait(&status));
	SEE_ERRNO(waitpid(child_that_exits(6), &status, 0));
	see("system: %d", system("exit 7"));
	handle(SIGCHLD, SIG_DFL, 0);
	see("system: %d", system("exit 7") >> 8);
	return arg;
}

static void *hangs_around(void *arg)
{
	int fd[2], status;

	unix_pair(fd);
	pid_t child = fork();
	MUST_ERRNO(child);
	if (child == 0) {
		char byte;
		MUST_ERRNO(close(fd[1]));
		_exit(read(fd[0], &byte, 1));
	}
	SEE_COUNT(waitpid(child, &status, WNOHANG));
	close_both(fd);
	EXPECT(waitpid(child, &status, 0) == child);
	see("exits with %d", WEXITSTATUS(status));
	return arg;
}

int main(void)
{
	IN_THREAD(each_once);
	IN_MAIN(each_once);
	IN_THREAD(two_for_one);
	IN_THREAD(by_descriptor);
	IN_MAIN(by_descriptor);
	IN_THREAD(told);
	IN_THREAD(ignored);
	IN_MAIN(ignored);
	IN_THREAD(hangs_around);
	return 0;
}
