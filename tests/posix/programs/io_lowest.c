/* SPDX-License-Identifier: MIT */
/*
 * io_lowest.c - a descriptor has the lowest number that is free, whatever other
 * threads block in.
 */
#include "see.h"

#include <fcntl.h>
#include <sys/syscall.h>

enum { THREADS = 4, OPENS = 200000 };

static bool ended;

/* By a call that nobody but the kernel hears of. */
static void *blocks(void *arg)
{
	struct timespec pause = {0, 20000000};

	while (!__atomic_load_n(&ended, __ATOMIC_RELAXED)) {
		syscall(SYS_nanosleep, &pause, NULL);
		sched_yield();
	}
	return arg;
}

int main(void)
{
	int lowest = dup(STDOUT_FILENO), other = 0;
	pthread_t threads[THREADS];

	MUST_ERRNO(lowest);
	MUST_ERRNO(close(lowest));
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(blocks, NULL);
	for (int i = 0; i < OPENS; i++) {
		int fd = open("/dev/null", O_RDONLY);

		MUST_ERRNO(fd);
		other += fd != lowest;
		MUST_ERRNO(close(fd));
	}
	__atomic_store_n(&ended, true, __ATOMIC_RELAXED);
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
	see("at another number: %d of %d", other, OPENS);
	return 0;
}
