/* SPDX-License-Identifier: MIT */
/*
 * io_nonblock.c - a descriptor says EAGAIN exactly while O_NONBLOCK is set, by
 * whatever way and by whomever, and F_GETFL says what the program has set.
 */
#include "wire.h"

#include <sys/eventfd.h>
#include <sys/ioctl.h>

static void see_flag(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	MUST_ERRNO(flags);
	see("O_NONBLOCK: %d", !!(flags & O_NONBLOCK));
}

static void set_flag(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	MUST_ERRNO(flags);
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	MUST_ERRNO(fcntl(fd, F_SETFL, flags));
}

/* Reads from fd[0]: what is there at once, and what comes later. */
static void see_both(const int fd[2])
{
	struct later later;
	char byte;

	see_flag(fd[0]);
	SEE_COUNT(read(fd[0], &byte, 1));
	set_flag(fd[0], false);
	see_flag(fd[0]);
	write_later(&later, fd[1], "x");
	SEE_COUNT(read(fd[0], &byte, 1));
	join(later.thread);
	see_flag(fd[0]);
	set_flag(fd[0], true);
	SEE_COUNT(read(fd[0], &byte, 1));
}

static void *by_fcntl(void *arg)
{
	int fd[2];

	unix_pair(fd);
	set_flag(fd[0], true);
	see_both(fd);
	close_both(fd);
	MUST_ERRNO(pipe(fd));
	set_flag(fd[0], true);
	see_both(fd);
	close_both(fd);
	return arg;
}

static void *at_birth(void *arg)
{
	struct sockaddr_in at;
	int fd[2];

	MUST_ERRNO(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd));
	see_both(fd);
	close_both(fd);
	MUST_ERRNO(pipe2(fd, O_NONBLOCK));
	see_both(fd);
	close_both(fd);

	int listener = listen_at(&at, 1);
	fd[1] = dial(&at);
	fd[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	see_both(fd);
	close_both(fd);

	/* What is accepted does not take it from the listener. */
	set_flag(listener, true);
	SEE_COUNT(accept(listener, NULL, NULL));
	fd[1] = dial(&at);
	fd[0] = accept(listener, NULL, NULL);
	see_flag(fd[0]);
	close_both(fd);
	MUST_ERRNO(close(listener));

	uint64_t count;
	int event = eventfd(0, EFD_NONBLOCK);
	SEE_COUNT(read(event, &count, sizeof(count)));
	MUST_ERRNO(close(event));
	return arg;
}

static void *by_ioctl(void *arg)
{
	int fd[2], on = 1, off = 0;
	struct later later;
	char byte;

	tcp_pair(fd);
	SEE_ERRNO(ioctl(fd[0], FIONBIO, &on));
	see_both(fd);
	SEE_ERRNO(ioctl(fd[0], FIONBIO, &off));
	see_flag(fd[0]);
	write_later(&later, fd[1], "x");
	SEE_COUNT(recv(fd[0], &byte, 1, 0));
	join(later.thread);
	close_both(fd);
	return arg;
}

static void *sets(void *arg)
{
	set_flag(*(int *)arg, true);
	return NULL;
}

static void *clears(void *arg)
{
	set_flag(*(int *)arg, false);
	return NULL;
}

static void *by_others(void *arg)
{
	struct later later;
	char byte;
	int fd[2];

	unix_pair(fd);
	for (int i = 0; i < 3; i++) {
		join(start(sets, &fd[0]));
		SEE_COUNT(recv(fd[0], &byte, 1, 0));
		join(start(clears, &fd[0]));
		write_later(&later, fd[1], "x");
		SEE_COUNT(recv(fd[0], &byte, 1, 0));
		join(later.thread);
	}
	/* Through another number of the same. */
	int other = dup(fd[0]);
	join(start(sets, &other));
	see_flag(fd[0]);
	SEE_COUNT(read(fd[0], &byte, 1));
	MUST_ERRNO(close(other));
	see_both(fd);
	close_both(fd);
	return arg;
}

static void *writing(void *arg)
{
	static char block[4096];
	char back[4096];
	int fd[2];

	MUST_ERRNO(pipe2(fd, O_NONBLOCK));
	while (write(fd[1], block, sizeof(block)) > 0)
		;
	see("full: %s", err(errno));
	SEE_COUNT(write(fd[1], block, 1));
	SEE_COUNT(read(fd[0], back, sizeof(back)));
	SEE_COUNT(write(fd[1], block, sizeof(block)));
	close_both(fd);
	MUST_ERRNO(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd));
	while (send(fd[1], block, sizeof(block), 0) > 0)
		;
	see("full: %s", err(errno));
	close_both(fd);
	return arg;
}

static void *reads_one(void *arg)
{
	char byte;

	EXPECT(read(*(int *)arg, &byte, 1) == 1);
	return NULL;
}

/* Nobody sees a flag that the program has not set, while others wait. */
static void *hidden(void *arg)
{
	struct sockaddr_un at;
	socklen_t size;
	int fd[2], seen = 0;

	unix_pair(fd);
	pthread_t reader = start(reads_one, &fd[0]);
	for (int i = 0; i < 20; i++) {
		seen |= fcntl(fd[0], F_GETFL) & O_NONBLOCK;
		linger();
	}
	see("while one reads: %d", seen);
	EXPECT(write(fd[1], "x", 1) == 1);
	join(reader);
	close_both(fd);

	/* A backlog of one, and it is taken. */
	int listener = listen_unix(&at, &size, 0);
	struct caller first = {socket(AF_UNIX, SOCK_STREAM, 0), &at, size};
	struct caller second = {socket(AF_UNIX, SOCK_STREAM, 0), &at, size};
	connects(&first);
	pthread_t caller = start(connects, &second);
	for (int i = 0; i < 20; i++) {
		seen |= fcntl(second.fd, F_GETFL) & O_NONBLOCK;
		linger();
	}
	see("while one connects: %d", seen);
	fd[0] = accept(listener, NULL, NULL);
	fd[1] = accept(listener, NULL, NULL);
	join(caller);
	see_flag(second.fd);
	close_both(fd);
	close_both((int[]){first.fd, second.fd});
	MUST_ERRNO(close(listener));
	return arg;
}

int main(void)
{
	IN_THREAD(by_fcntl);
	IN_MAIN(by_fcntl);
	IN_THREAD(at_birth);
	IN_THREAD(by_ioctl);
	IN_THREAD(by_others);
	IN_THREAD(writing);
	IN_THREAD(hidden);
	return 0;
}
