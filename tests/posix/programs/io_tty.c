/* SPDX-License-Identifier: MIT */
/*
 * io_tty.c - a terminal: reading waits for a whole line, or for a byte, as the
 * terminal is set, and both sides may be threads of one program.
 */
#include "wire.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static void open_pair(int fd[2])
{
	fd[0] = posix_openpt(O_RDWR | O_NOCTTY);
	MUST_ERRNO(fd[0]);
	MUST_ERRNO(grantpt(fd[0]));
	MUST_ERRNO(unlockpt(fd[0]));
	fd[1] = open(ptsname(fd[0]), O_RDWR | O_NOCTTY);
	MUST_ERRNO(fd[1]);
}

static void set(int fd, bool lines, bool echo, int least, int tenths)
{
	struct termios t;

	MUST_ERRNO(tcgetattr(fd, &t));
	t.c_oflag &= ~OPOST;
	t.c_lflag &= ~(ICANON | ECHO);
	t.c_lflag |= (lines ? ICANON : 0) | (echo ? ECHO : 0);
	t.c_cc[VMIN] = least;
	t.c_cc[VTIME] = tenths;
	MUST_ERRNO(tcsetattr(fd, TCSANOW, &t));
}

static void *lines(void *arg)
{
	struct later later, rest;
	char bytes[32] = "";
	int fd[2];

	open_pair(fd);
	set(fd[1], true, false, 1, 0);
	see("terminal: %d", isatty(fd[1]));
	/* Half a line is none. */
	write_later(&later, fd[0], "hel");
	join(later.thread);
	struct pollfd ready = {.fd = fd[1], .events = POLLIN};
	SEE_COUNT(poll(&ready, 1, 0));
	write_later(&rest, fd[0], "lo\nmore\n");
	SEE_COUNT(read(fd[1], bytes, sizeof(bytes)));
	see("%.5s", bytes);
	join(rest.thread);
	SEE_COUNT(read(fd[1], bytes, 3));
	SEE_COUNT(read(fd[1], bytes, sizeof(bytes)));
	write_later(&later, fd[0], "x\177y\n");
	SEE_COUNT(read(fd[1], bytes, sizeof(bytes)));
	see("%.1s", bytes);
	join(later.thread);
	write_later(&later, fd[0], "\004");
	SEE_COUNT(read(fd[1], bytes, sizeof(bytes)));
	join(later.thread);
	write_later(&later, fd[1], "answer");
	SEE_COUNT(read(fd[0], bytes, sizeof(bytes)));
	see("%.6s", bytes);
	join(later.thread);
	close_both(fd);
	return arg;
}

static void *raw(void *arg)
{
	struct later later;
	struct timespec due;
	char bytes[32] = "";
	int fd[2];

	open_pair(fd);
	set(fd[1], false, false, 1, 0);
	write_later(&later, fd[0], "k");
	SEE_COUNT(read(fd[1], bytes, sizeof(bytes)));
	join(later.thread);
	set(fd[1], false, false, 0, 1);
	due = in_ms(CLOCK_MONOTONIC, 90);
	SEE_COUNT(read(fd[1], bytes, sizeof(bytes)));
	see("too soon: %d", !is_past(CLOCK_MONOTONIC, due));
	set(fd[1], false, false, 0, 0);
	SEE_COUNT(read(fd[1], bytes, sizeof(bytes)));
	set(fd[1], false, false, 1, 0);
	MUST_ERRNO(fcntl(fd[1], F_SETFL, O_RDWR | O_NONBLOCK));
	SEE_COUNT(read(fd[1], bytes, sizeof(bytes)));
	MUST_ERRNO(fcntl(fd[1], F_SETFL, O_RDWR));
	write_later(&later, fd[0], "abc");
	SEE_COUNT(read(fd[1], bytes, 2));
	join(later.thread);
	SEE_COUNT(read(fd[1], bytes, 1));
	see("%.1s", bytes);
	close_both(fd);
	return arg;
}

static void *types(void *arg)
{
	for (int i = 0; i < 200; i++)
		EXPECT(dprintf(*(int *)arg, "line %d of many\n", i) > 0);
	return NULL;
}

static void *much(void *arg)
{
	char line[64], expected[64];
	int fd[2];

	open_pair(fd);
	set(fd[1], true, false, 1, 0);
	pthread_t typist = start(types, &fd[0]);
	for (int i = 0; i < 200; i++) {
		int n = read(fd[1], line, sizeof(line));
		int m = snprintf(expected, sizeof(expected),
				 "line %d of many\n", i);
		EXPECT(n == m && memcmp(line, expected, n) == 0);
	}
	join(typist);
	see("200 lines");
	close_both(fd);
	return arg;
}

static void *hangs_up(void *arg)
{
	char byte;
	int fd[2];

	open_pair(fd);
	pthread_t other = start(closes_fd, &fd[1]);
	SEE_COUNT(read(fd[0], &byte, 1));
	join(other);
	MUST_ERRNO(close(fd[0]));
	open_pair(fd);
	other = start(closes_fd, &fd[0]);
	/* EIO, but 0 for who comes when it has happened. */
	see("bytes: %d", read(fd[1], &byte, 1) == 1);
	join(other);
	SEE_COUNT(write(fd[1], &byte, 1));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

static void *reads_one(void *arg)
{
	char byte;

	SEE_COUNT(read(*(int *)arg, &byte, 1));
	return NULL;
}

/* Nobody has to wait for who waits there. */
static void *replaced(void *arg)
{
	int fd[2], other;

	open_pair(fd);
	set(fd[1], false, false, 1, 0);
	other = dup(fd[1]);
	MUST_ERRNO(other);
	pthread_t reader = start(reads_one, &fd[1]);
	linger();
	EXPECT(dup2(other, fd[1]) == fd[1]);
	EXPECT(write(fd[0], "x", 1) == 1);
	join(reader);
	MUST_ERRNO(close(other));
	close_both(fd);
	return arg;
}

int main(void)
{
	IN_THREAD(lines);
	IN_MAIN(lines);
	IN_THREAD(raw);
	IN_THREAD(much);
	IN_THREAD(hangs_up);
	IN_THREAD(replaced);
	IN_MAIN(replaced);
	return 0;
}
