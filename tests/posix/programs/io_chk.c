/* SPDX-License-Identifier: MIT */
/*
 * io_chk.c - a program from a distribution: with _FORTIFY_SOURCE the calls go
 * by other names, __read_chk and the like, and have to wait just the same.
 */
#include "wire.h"

#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/wait.h>

#include "chk.h"

static void *reading(void *arg)
{
	struct later later;
	char bytes[8];
	int fd[2];

	unix_pair(fd);
	write_later(&later, fd[1], "abc");
	SEE_COUNT(read(fd[0], bytes, unknown(8)));
	join(later.thread);
	write_later(&later, fd[1], "abcd");
	SEE_COUNT(recv(fd[0], bytes, unknown(8), 0));
	join(later.thread);
	write_later(&later, fd[1], "abcde");
	SEE_COUNT(recvfrom(fd[0], bytes, unknown(8), 0, NULL, NULL));
	join(later.thread);
	see("%.5s", bytes);
	SEE_COUNT(recv(fd[0], bytes, unknown(8), MSG_DONTWAIT));
	MUST_ERRNO(fcntl(fd[0], F_SETFL, O_NONBLOCK));
	SEE_COUNT(read(fd[0], bytes, unknown(8)));
	SEE_COUNT(pread(fd[0], bytes, unknown(8), 0));
	close_both(fd);

	char name[] = "/tmp/io_chk.XXXXXX";
	int file = mkstemp(name);
	MUST_ERRNO(file);
	MUST_ERRNO(unlink(name));
	SEE_COUNT(write(file, "0123456789", 10));
	SEE_COUNT(pread(file, bytes, unknown(8), 5));
	see("%.5s", bytes);
	SEE_COUNT(pread64(file, bytes, unknown(4), 1));
	see("%.4s", bytes);
	MUST_ERRNO(close(file));
	return arg;
}

static void *polling(void *arg)
{
	struct timespec limit = {.tv_nsec = 20000000};
	struct later later;
	struct pollfd each[2];
	fd_set set;
	int fd[2], other[2];

	unix_pair(fd);
	unix_pair(other);
	each[0] = (struct pollfd){.fd = fd[0], .events = POLLIN};
	each[1] = (struct pollfd){.fd = other[0], .events = POLLIN};
	SEE_COUNT(poll(each, unknown(2), 20));
	SEE_COUNT(ppoll(each, unknown(2), &limit, NULL));
	write_later(&later, other[1], "x");
	SEE_COUNT(poll(each, unknown(2), -1));
	join(later.thread);
	see("%d %d", each[0].revents, each[1].revents);
	write_later(&later, fd[1], "x");
	SEE_COUNT(ppoll(each, unknown(1), NULL, NULL));
	join(later.thread);
	FD_ZERO(&set);
	FD_SET((int)unknown(fd[0]), &set);
	SEE_COUNT(select(fd[0] + 1, &set, NULL, NULL, NULL));
	see("%d", !!FD_ISSET((int)unknown(fd[0]), &set));
	close_both(fd);
	close_both(other);
	return arg;
}

static void too_much(int which, int from)
{
	char bytes[8];
	struct pollfd each[1] = {{.fd = from, .events = POLLIN}};
	struct timespec none = {0, 0};

	switch (which) {
	case 0:
		(void)!read(from, bytes, unknown(9));
		break;
	case 1:
		(void)!recv(from, bytes, unknown(9), 0);
		break;
	case 2:
		(void)!recvfrom(from, bytes, unknown(9), 0, NULL, NULL);
		break;
	case 3:
		(void)!pread(from, bytes, unknown(9), 0);
		break;
	case 4:
		poll(each, unknown(2), 0);
		break;
	case 5:
		ppoll(each, unknown(2), &none, NULL);
		break;
	}
	_exit(0);
}

/* What is checked for is still found, by a compiler that has it checked. */
static void *overflows(void *arg)
{
	int fd[2], status;

	unix_pair(fd);
	MUST_ERRNO(shutdown(fd[1], SHUT_WR));
	for (int which = 0; which < 6; which++) {
		pid_t child = fork();

		MUST_ERRNO(child);
		if (child == 0) {
			MUST_ERRNO(dup2(open("/dev/null", O_WRONLY), 2));
			too_much(which, fd[0]);
		}
		MUST_ERRNO(waitpid(child, &status, 0));
		see("%d: %s", which,
		    WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT
			    ? "aborted"
			    : "went on");
	}
	close_both(fd);
	return arg;
}

int main(void)
{
	IN_THREAD(reading);
	IN_MAIN(reading);
	IN_THREAD(polling);
	IN_MAIN(polling);
	IN_THREAD(overflows);
	return 0;
}
