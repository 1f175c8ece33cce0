/* SPDX-License-Identifier: MIT */
/*
 * io_accept_two.c - two processes accept from one socket: a connection is one
 * of them's, and the other one goes on waiting, until a signal comes.
 */
#include "wire.h"
#include "prod.h"

#include <sys/wait.h>

enum { ROUNDS = 100 };

static int listener, got[2], interrupted;

static void *accepts(void *arg)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd == -1) {
			EXPECT(errno == EINTR);
			set(&interrupted);
			continue;
		}
		MUST_ERRNO(close(fd));
		EXPECT(write(got[1], "x", 1) == 1);
	}
	return arg;
}

static pid_t begin_other(void)
{
	pid_t child = fork();

	MUST_ERRNO(child);
	if (child == 0)
		join(start(accepts, NULL));
	return child;
}

static void interrupt(pthread_t thread)
{
	struct timespec brief = {0, 200000};

	__atomic_store_n(&interrupted, 0, __ATOMIC_SEQ_CST);
	while (!is_set(&interrupted)) {
		MUST(pthread_kill(thread, SIGUSR1));
		nanosleep(&brief, NULL);
	}
}

int main(void)
{
	struct sockaddr_in at;
	pthread_t thread;
	pid_t child;
	char byte;

	handle(SIGUSR1, count_signal, 0);
	listener = listen_at(&at, 10);
	MUST_ERRNO(pipe(got));
	child = begin_other();
	thread = start(accepts, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		MUST_ERRNO(close(dial(&at)));
		EXPECT(read(got[0], &byte, 1) == 1);
		interrupt(thread);
	}
	see("accepted and interrupted: %d", ROUNDS);
	MUST_ERRNO(kill(child, SIGKILL));
	MUST_ERRNO(waitpid(child, NULL, 0));
	return 0;
}
