/* SPDX-License-Identifier: MIT */
/*
 * io_dup.c - several numbers for one file, one number for several files, and
 * numbers that are closed and taken again at once.
 */
#include "wire.h"

#include <signal.h>

/* Who waits at one number is not disturbed by what happens to the other. */
static void *other_is_closed(void *arg)
{
	int fd[2], other;

	for (int kind = 0; kind < 2; kind++) {
		if (kind == 0)
			unix_pair(fd);
		else
			MUST_ERRNO(pipe(fd));
		other = dup(fd[0]);
		pthread_t closer = start(closes_fd, &other);
		see_late_byte(fd[0], fd[1]);
		join(closer);

		other = dup(fd[0]);
		closer = start(closes_fd, &fd[0]);
		see_late_byte(other, fd[1]);
		join(closer);
		see_late_byte(other, fd[1]);
		close_both((int[]){other, fd[1]});
	}
	return arg;
}

/* The end is seen when the last number of the other side is closed. */
static void *last_one(void *arg)
{
	int fd[2], other;
	char byte;

	unix_pair(fd);
	other = dup(fd[1]);
	MUST_ERRNO(close(fd[1]));
	see_late_byte(fd[0], other);
	pthread_t closer = start(closes_fd, &other);
	SEE_COUNT(read(fd[0], &byte, 1));
	join(closer);
	MUST_ERRNO(close(fd[0]));
	return arg;
}

/* A number that was waited at becomes another file. */
static void *over_a_used_one(void *arg)
{
	int a[2], b[2];
	char byte;

	unix_pair(a);
	MUST_ERRNO(pipe(b));
	see_late_byte(a[0], a[1]);
	see_late_byte(b[0], b[1]);
	EXPECT(dup2(b[0], a[0]) == a[0]);
	SEE_COUNT(write(a[1], "x", 1));
	see_late_byte(a[0], b[1]);
	see_late_byte(b[0], b[1]);
	MUST_ERRNO(close(a[1]));

	int c[2];
	unix_pair(c);
	see_late_byte(c[0], c[1]);
	EXPECT(dup3(c[0], a[0], O_CLOEXEC) == a[0]);
	see("flags: %d %d", fcntl(c[0], F_GETFD), fcntl(a[0], F_GETFD));
	see_late_byte(a[0], c[1]);
	see_late_byte(c[0], c[1]);
	MUST_ERRNO(close(c[1]));
	SEE_COUNT(read(a[0], &byte, 1));
	close_both(b);
	close_both((int[]){a[0], c[0]});
	return arg;
}

static void *wrong_ones(void *arg)
{
	int fd[2];
	char byte;

	MUST_ERRNO(pipe(fd));
	SEE_ERRNO(dup2(fd[0], -1));
	SEE_ERRNO(dup3(fd[0], fd[0], 0));
	EXPECT(dup2(fd[0], fd[0]) == fd[0]);
	int gone = fcntl(fd[0], F_DUPFD, 100);
	EXPECT(gone >= 100);
	SEE_ERRNO(fcntl(fd[0], F_DUPFD, -1));
	int other = fcntl(fd[0], F_DUPFD_CLOEXEC, 100);
	see("flags: %d", fcntl(other, F_GETFD));
	see_late_byte(other, fd[1]);
	MUST_ERRNO(close(other));
	MUST_ERRNO(close(gone));
	SEE_ERRNO(close(gone));
	SEE_ERRNO(close(-1));
	SEE_ERRNO(dup(gone));
	SEE_COUNT(read(gone, &byte, 1));
	SEE_COUNT(write(-1, "x", 1));
	SEE_COUNT(recv(gone, &byte, 1, 0));
	SEE_COUNT(read(fd[1], &byte, 1));
	SEE_COUNT(write(fd[0], "x", 1));
	SEE_COUNT(recv(fd[0], &byte, 1, 0));
	close_both(fd);
	return arg;
}

static void *fails_to_replace(void *arg)
{
	linger();
	SEE_ERRNO(dup2(-1, *(int *)arg));
	EXPECT(dup2(*(int *)arg, *(int *)arg) == *(int *)arg);
	return NULL;
}

/* What is not replaced is waited for as before. */
static void *not_replaced(void *arg)
{
	int fd[2];

	unix_pair(fd);
	for (int i = 0; i < 2; i++) {
		pthread_t other = start(fails_to_replace, &fd[0]);
		struct later later = {.fd = fd[1], .text = "x"};
		char byte;
		linger();
		pthread_t writer = start(write_after_a_while, &later);
		EXPECT(read(fd[0], &byte, 1) == 1);
		join(writer);
		join(other);
	}
	close_both(fd);
	return arg;
}

enum { THREADS = 8, ROUNDS = 100 };

/* Numbers are shared by all threads, so each is soon somebody else's. */
static void *takes_and_closes(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int fd[2];
		char bytes[2];
		struct later later;

		switch (i % 3) {
		case 0:
			unix_pair(fd);
			break;
		case 1:
			MUST_ERRNO(pipe(fd));
			break;
		default:
			tcp_pair(fd);
		}
		later = (struct later){.fd = fd[1], .text = "x"};
		later.thread = start(write_after_a_while, &later);
		EXPECT(read(fd[0], bytes, 2) == 1);
		join(later.thread);
		close_both(fd);
	}
	return arg;
}

static void *reused(void *arg)
{
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		thread[i] = start(takes_and_closes, NULL);
	for (int i = 0; i < THREADS; i++)
		join(thread[i]);
	see("%d times", THREADS * ROUNDS);
	return arg;
}

static void *closed_in_one_go(void *arg)
{
	int fd[2], other[2];

	unix_pair(fd);
	see_late_byte(fd[0], fd[1]);
	EXPECT(fd[1] == fd[0] + 1);
	SEE_ERRNO(close_range(fd[0], fd[1], 0));
	MUST_ERRNO(pipe(other));
	see("same numbers: %d", other[0] == fd[0] && other[1] == fd[1]);
	see_late_byte(other[0], other[1]);
	close_both(other);
	return arg;
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	IN_THREAD(other_is_closed);
	IN_MAIN(other_is_closed);
	IN_THREAD(last_one);
	IN_THREAD(over_a_used_one);
	IN_THREAD(wrong_ones);
	IN_THREAD(not_replaced);
	IN_MAIN(reused);
	IN_THREAD(closed_in_one_go);
	return 0;
}
