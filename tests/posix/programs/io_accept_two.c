/* SPDX-License-Identifier: MIT */
/*
 * io_accept_two.c - two processes accept from one socket, by several threads
 * each: a connection is one's, and the others go on waiting, until a signal
 * comes.
 */
#include "wire.h"
#include "prod.h"

#include <sys/wait.h>

enum { ROUNDS = 60, THREADS = 3 };

static int listener, got[2];

static void *accepts(void *arg)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);

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

static void interrupt(pthread_t thread, int *interrupted)
{
	struct timespec brief = {0, 200000};

	__atomic_store_n(interrupted, 0, __ATOMIC_SEQ_CST);
	while (!is_set(interrupted)) {
		MUST(pthread_kill(thread, SIGUSR1));
		nanosleep(&brief, NULL);
	}
}

int main(void)
{
	struct sockaddr_in at;
	pthread_t threads[THREADS];
	int interrupted[THREADS];
	pid_t child;
	char byte;

	handle(SIGUSR1, count_signal, 0);
	listener = listen_at(&at, 10);
	MUST_ERRNO(pipe(got));
	child = begin_other();
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(accepts, &interrupted[i]);
	for (int round = 0; round < ROUNDS; round++) {
		MUST_ERRNO(close(dial(&at)));
		EXPECT(read(got[0], &byte, 1) == 1);
		for (int i = 0; i < THREADS; i++)
			interrupt(threads[i], &interrupted[i]);
	}
	see("accepted and interrupted: %d", ROUNDS);
	MUST_ERRNO(kill(child, SIGKILL));
	MUST_ERRNO(waitpid(child, NULL, 0));
	return 0;
}
