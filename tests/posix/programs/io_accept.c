/* SPDX-License-Identifier: MIT */
/*
 * io_accept.c - several threads accept at one listener; flags, and what there
 * is to say when descriptors run out.
 */
#include "wire.h"

#include <sys/resource.h>

enum { ACCEPTORS = 4, CALLS = 40 };

static int listener;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int seen[CALLS];

/* Each connection says its number; 'q' ends the one who accepts it. */
static void *accepts(void *arg)
{
	for (;;) {
		int number, fd = accept(listener, NULL, NULL);

		MUST_ERRNO(fd);
		EXPECT(read(fd, &number, sizeof(number)) == sizeof(number));
		MUST_ERRNO(close(fd));
		if (number < 0)
			return arg;
		pthread_mutex_lock(&lock);
		seen[number]++;
		pthread_mutex_unlock(&lock);
	}
}

static void call(const struct sockaddr_in *at, int number)
{
	int fd = dial(at);
	char byte;

	EXPECT(write(fd, &number, sizeof(number)) == sizeof(number));
	EXPECT(read(fd, &byte, 1) == 0);
	MUST_ERRNO(close(fd));
}

static void *each_once(void *arg)
{
	pthread_t acceptor[ACCEPTORS];
	struct sockaddr_in at;
	int once = 0;

	listener = listen_at(&at, CALLS);
	for (int i = 0; i < ACCEPTORS; i++)
		acceptor[i] = start(accepts, NULL);
	for (int i = 0; i < CALLS; i++)
		call(&at, i);
	for (int i = 0; i < ACCEPTORS; i++)
		call(&at, -1);
	for (int i = 0; i < ACCEPTORS; i++)
		join(acceptor[i]);
	for (int i = 0; i < CALLS; i++) {
		once += seen[i] == 1;
		seen[i] = 0;
	}
	see("each once: %d", once);
	MUST_ERRNO(close(listener));
	return arg;
}

static void see_flags(int fd)
{
	int status = fcntl(fd, F_GETFL), flags = fcntl(fd, F_GETFD);

	MUST_ERRNO(status);
	see("O_NONBLOCK: %d, FD_CLOEXEC: %d", !!(status & O_NONBLOCK),
	    !!(flags & FD_CLOEXEC));
}

static void *dials(void *arg)
{
	linger();
	return (void *)(intptr_t)dial(arg);
}

static void *flags(void *arg)
{
	static const int each[] = {0, SOCK_CLOEXEC, SOCK_NONBLOCK,
				   SOCK_CLOEXEC | SOCK_NONBLOCK};
	struct sockaddr_in at, from;
	socklen_t size;

	listener = listen_at(&at, 1);
	for (int i = 0; i < 4; i++) {
		pthread_t caller = start(dials, &at);
		size = sizeof(from);
		int fd = accept4(listener, (struct sockaddr *)&from, &size,
				 each[i]);
		MUST_ERRNO(fd);
		see("from %s, %d bytes", inet_ntoa(from.sin_addr), (int)size);
		see_flags(fd);
		MUST_ERRNO(close(fd));
		MUST_ERRNO(close((int)(intptr_t)join(caller)));
	}
	SEE_ERRNO(accept4(listener, NULL, NULL, 1 << 30));
	see_flags(listener);
	MUST_ERRNO(close(listener));
	SEE_ERRNO(accept(listener, NULL, NULL));
	return arg;
}

static void *shuts_down(void *arg)
{
	linger();
	MUST_ERRNO(shutdown(listener, SHUT_RDWR));
	return arg;
}

static void *is_shut_down(void *arg)
{
	struct sockaddr_in at;

	listener = listen_at(&at, 1);
	pthread_t other = start(shuts_down, NULL);
	SEE_ERRNO(accept(listener, NULL, NULL));
	join(other);
	MUST_ERRNO(close(listener));
	int fd[2];
	unix_pair(fd);
	SEE_ERRNO(accept(fd[0], NULL, NULL));
	close_both(fd);
	MUST_ERRNO(pipe(fd));
	SEE_ERRNO(accept(fd[0], NULL, NULL));
	close_both(fd);
	return arg;
}

/* Take all numbers there are below a limit; returns how many. */
static int take_all(int *taken, int most)
{
	int n = 0;

	while (n < most && (taken[n] = dup(listener)) >= 0)
		n++;
	see("taken: %s", err(errno));
	return n;
}

static void *no_descriptors(void *arg)
{
	static int taken[4096];
	struct rlimit before, few;
	struct sockaddr_in at;
	int fd[2];

	listener = listen_at(&at, 2);
	int caller = dial(&at);
	MUST_ERRNO(getrlimit(RLIMIT_NOFILE, &before));
	few = before;
	few.rlim_cur = caller + 50;
	MUST_ERRNO(setrlimit(RLIMIT_NOFILE, &few));
	int n = take_all(taken, 4096);
	SEE_ERRNO(accept(listener, NULL, NULL));
	SEE_ERRNO(socket(AF_INET, SOCK_STREAM, 0));
	SEE_ERRNO(pipe(fd));
	SEE_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	SEE_ERRNO(open("/dev/null", O_RDONLY));
	/* It was not lost. */
	MUST_ERRNO(close(taken[--n]));
	int got = accept(listener, NULL, NULL);
	MUST_ERRNO(got);
	see("accepted, by the number that was free: %d", got == taken[n]);
	MUST_ERRNO(close(got));
	while (n > 0)
		MUST_ERRNO(close(taken[--n]));
	MUST_ERRNO(setrlimit(RLIMIT_NOFILE, &before));
	MUST_ERRNO(close(caller));
	MUST_ERRNO(close(listener));
	return arg;
}

int main(void)
{
	IN_THREAD(each_once);
	IN_MAIN(each_once);
	IN_THREAD(flags);
	IN_MAIN(flags);
	IN_THREAD(is_shut_down);
	IN_THREAD(no_descriptors);
	return 0;
}
