/* SPDX-License-Identifier: MIT */
/*
 * io_inherit.c - descriptors that others have made, or change: a socket that
 * was there when the program began, and one that a child sets O_NONBLOCK for.
 * What holds is what the kernel has, not what this program has done.
 */
#include "wire.h"

#include <sys/wait.h>

enum { HIGH = 100 }; /* a number that nobody else takes */

static void sets_flag(int fd)
{
	MUST_ERRNO(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
}

/* In the program that was begun by the other one. */
static void *uses_it(void *arg)
{
	struct timeval none = {0, 0};
	char byte;

	SEE_COUNT(recv(HIGH, &byte, 1, 0));
	SEE_COUNT(read(HIGH, &byte, 1));
	MUST_ERRNO(
		setsockopt(HIGH, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none)));
	MUST_ERRNO(fcntl(HIGH, F_SETFL, O_RDWR));
	struct later later;
	write_later(&later, HIGH + 1, "x");
	SEE_COUNT(read(HIGH, &byte, 1));
	join(later.thread);
	return arg;
}

static void begin_anew(const char *self, void (*prepare)(int))
{
	int fd[2], status;

	MUST_ERRNO(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	pid_t child = fork();
	MUST_ERRNO(child);
	if (child == 0) {
		MUST_ERRNO(dup2(fd[0], HIGH));
		MUST_ERRNO(dup2(fd[1], HIGH + 1));
		prepare(HIGH);
		execl(self, self, "again", NULL);
		_exit(127);
	}
	EXPECT(waitpid(child, &status, 0) == child);
	see("status %d", status);
	close_both(fd);
}

static void sets_limit(int fd)
{
	struct timeval soon = {0, 20000};

	MUST_ERRNO(
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)));
}

static int shared[2];

static void *reads(void *arg)
{
	char byte;

	SEE_COUNT(read(shared[0], &byte, 1));
	return arg;
}

/* A child changes the file that it shares with its parent. */
static void *changed_by_a_child(void *arg)
{
	int status;

	unix_pair(shared);
	struct later later;
	write_later(&later, shared[1], "x");
	reads(NULL);
	join(later.thread);
	pid_t child = fork();
	MUST_ERRNO(child);
	if (child == 0) {
		sets_flag(shared[0]);
		_exit(0);
	}
	EXPECT(waitpid(child, &status, 0) == child);
	reads(NULL);
	join(start(reads, NULL));
	close_both(shared);
	return arg;
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		join(start(uses_it, NULL));
		return 0;
	}
	IN_THREAD(changed_by_a_child);
	IN_MAIN(changed_by_a_child);
	begin_anew(argv[0], sets_flag);
	begin_anew(argv[0], sets_limit);
	return 0;
}
