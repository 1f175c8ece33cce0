/* SPDX-License-Identifier: MIT */
/*
 * io_accept_two.c - two processes accept from one socket, by several threads
 * each: a connection is one's, and the others go on waiting, until a signal
 * comes.
 */
#include "wire.h"
#include "prod.h"

#include <setjmp.h>
#include <sys/wait.h>

enum { ROUNDS = 60, THREADS = 3 };

static int listener, got[2];
static __thread volatile sig_atomic_t may_fork;
static volatile sig_atomic_t forked; /* in the child */

static void *accepts(void *arg)
{
	for (;;) {
		int fd;

		may_fork = 1;
		fd = accept(listener, NULL, NULL);
		if (forked)
			_exit(0);
		if (fd == -1) {
			EXPECT(errno == EINTR);
			set(arg);
			continue;
		}
		MUST_ERRNO(close(fd));
		EXPECT(write(got[1], "x", 1) == 1);
	}
	return NULL;
}

static __thread sigjmp_buf back;
static __thread volatile sig_atomic_t may_jump;

static void jumps(int number)
{
	(void)number;
	if (may_jump)
		siglongjmp(back, 1);
}

/* The same, but a signal takes it out of the call. */
static void *accepts_again(void *arg)
{
	for (;;) {
		int fd;

		if (sigsetjmp(back, 1)) {
			may_jump = 0;
			set(arg);
		}
		may_jump = 1;
		fd = accept(listener, NULL, NULL);
		may_jump = 0;
		if (fd == -1)
			continue;
		MUST_ERRNO(close(fd));
		EXPECT(write(got[1], "x", 1) == 1);
	}
	return NULL;
}

static pid_t begin_other(void)
{
	static int unused;
	pid_t child = fork();

	MUST_ERRNO(child);
	if (child == 0) {
		start(accepts, &unused);
		join(start(accepts, &unused));
	}
	return child;
}

static void end_other(pid_t child)
{
	MUST_ERRNO(kill(child, SIGKILL));
	MUST_ERRNO(waitpid(child, NULL, 0));
}

/* One of the threads here or there accepts it. */
static void connect_once(const struct sockaddr_in *at)
{
	char byte;

	MUST_ERRNO(close(dial(at)));
	EXPECT(read(got[0], &byte, 1) == 1);
}

static void interrupt(pthread_t thread, int *interrupted)
{
	struct timespec brief = {0, 200000};

	__atomic_store_n(interrupted, 0, __ATOMIC_SEQ_CST);
	while (!is_set(interrupted)) {
		MUST(pthread_kill(thread, SIGUSR1));
		nanosleep(&brief, NULL);
	}
}

/* Whom the other process has left behind, accept all that comes. */
static void see_jumps(const struct sockaddr_in *at)
{
	pid_t child = begin_other();
	int jumped = 0;
	pthread_t thread;

	handle(SIGUSR1, jumps, 0);
	thread = start(accepts_again, &jumped);
	for (int round = 0; round < ROUNDS; round++) {
		connect_once(at);
		interrupt(thread, &jumped);
	}
	end_other(child);
	for (int round = 0; round < 5; round++)
		connect_once(at);
	see("jumped: %d", ROUNDS);
}

/*
 * The child comes back out of the call as well, and goes no further.  Once a
 * call, or the signals would come faster than they are handled.
 */
static void forks(int number)
{
	pid_t child;
	int status;

	(void)number;
	if (!may_fork)
		return;
	may_fork = 0;
	child = fork();
	MUST_ERRNO(child);
	forked = child == 0;
	if (forked) {
		MUST_ERRNO(close(listener));
		return;
	}
	MUST_ERRNO(waitpid(child, &status, 0));
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* By a handler that comes back. */
static void see_interrupted(const struct sockaddr_in *at, int rounds)
{
	pthread_t threads[THREADS];
	int interrupted[THREADS];
	pid_t child = begin_other();

	for (int i = 0; i < THREADS; i++)
		threads[i] = start(accepts, &interrupted[i]);
	for (int round = 0; round < rounds; round++) {
		connect_once(at);
		for (int i = 0; i < THREADS; i++)
			interrupt(threads[i], &interrupted[i]);
	}
	see("accepted and interrupted: %d", rounds);
	end_other(child);
}

int main(void)
{
	struct sockaddr_in at;

	MUST_ERRNO(pipe(got));
	listener = listen_at(&at, 10);
	see_jumps(&at);
	MUST_ERRNO(close(listener));
	listener = listen_at(&at, 10);
	handle(SIGUSR1, count_signal, 0);
	see_interrupted(&at, ROUNDS);
	handle(SIGUSR1, forks, 0);
	see_interrupted(&at, 10);
	return 0;
}
