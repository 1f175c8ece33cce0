/* SPDX-License-Identifier: MIT */
/*
 * io_close_all.c - what daemons do to be rid of what they have inherited: all
 * numbers are closed but a few, while threads wait and after they have begun.
 * The numbers that come next are the lowest.
 */
#include "wire.h"

#include <sys/wait.h>
#include <time.h>

enum { LEAST = 5, MOST = 20000 };

static void by_loop(void)
{
	for (int fd = LEAST; fd < MOST; fd++)
		close(fd);
}

static void by_range(void)
{
	SEE_ERRNO(close_range(LEAST, ~0u, 0));
}

static void at_once(void)
{
	closefrom(LEAST);
}

static void *sleeps(void *arg)
{
	struct timespec some = {0, 1000000};

	EXPECT(nanosleep(&some, NULL) == 0);
	return arg;
}

/* Threads go on, and new ones begin. */
static void see_life(void)
{
	int fd[2];

	join(start(sleeps, NULL));
	MUST_ERRNO(pipe(fd));
	see("a pipe at %d, %d", fd[0], fd[1]);
	see_late_byte(fd[0], fd[1]);
	close_both(fd);
	tcp_pair(fd);
	see_late_byte(fd[0], fd[1]);
	close_both(fd);
}

static void *reads(void *arg)
{
	char byte;

	SEE_COUNT(read(3, &byte, 1));
	return arg;
}

static void rid_of_all(void (*close_all)(void))
{
	pthread_t reader = start(reads, NULL);

	linger();
	close_all();
	EXPECT(write(4, "x", 1) == 1);
	join(reader);
	see_life();
}

static void *all_ways(void *arg)
{
	rid_of_all(by_loop);
	rid_of_all(by_range);
	rid_of_all(at_once);
	return arg;
}

/* A child has what its parent's program has, no more. */
static void child(void)
{
	see_life();
	at_once();
	see_life();
}

int main(void)
{
	int fd[2];

	unix_pair(fd);
	MUST_ERRNO(dup2(fd[0], 501));
	MUST_ERRNO(dup2(fd[1], 502));
	MUST_ERRNO(dup2(501, 3));
	MUST_ERRNO(dup2(502, 4));
	at_once();
	IN_THREAD(all_ways);
	IN_MAIN(all_ways);
	in_child("child", child);
	return 0;
}
