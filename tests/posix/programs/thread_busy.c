/* SPDX-License-Identifier: MIT */
/* Threads that never wait do not keep others from running. */
#include "see.h"

#include <semaphore.h>

#define BUSY 6

static volatile int flag;
static int turns[BUSY];
static sem_t begun;

/* Neither a call nor a yield: nothing tells that it waits. */
static void *spins(void *arg)
{
	int *mine = arg;

	sem_post(&begun);
	while (!__atomic_load_n(&flag, __ATOMIC_ACQUIRE))
		__atomic_store_n(mine, 1, __ATOMIC_RELAXED);
	return arg;
}

static void *sets_the_flag(void *arg)
{
	for (int i = 0; i < BUSY; i++)
		while (!__atomic_load_n(&turns[i], __ATOMIC_RELAXED))
			sched_yield();
	__atomic_store_n(&flag, 1, __ATOMIC_RELEASE);
	return arg;
}

static void *sleeps(void *arg)
{
	struct timespec brief = {.tv_sec = 0, .tv_nsec = 1000000};

	for (int i = 0; i < 5; i++)
		MUST_ERRNO(nanosleep(&brief, NULL));
	return arg;
}

static void *talks(void *arg)
{
	int ends[2];
	char byte;

	MUST_ERRNO(pipe(ends));
	for (int i = 0; i < 5; i++) {
		MUST_ERRNO(write(ends[1], "x", 1));
		MUST_ERRNO(read(ends[0], &byte, 1));
		sched_yield();
	}
	close(ends[0]);
	close(ends[1]);
	return arg;
}

static void one_sets_it(void)
{
	pthread_t busy[BUSY];

	for (int i = 0; i < BUSY; i++)
		busy[i] = start(spins, &turns[i]);
	for (int i = 0; i < BUSY; i++)
		sem_wait(&begun);
	join(start(sleeps, NULL));
	join(start(talks, NULL));
	join(start(sets_the_flag, NULL));
	for (int i = 0; i < BUSY; i++)
		join(busy[i]);
	see("all have gone on");
}

int main(void)
{
	sem_init(&begun, 0, 0);
	one_sets_it();
	flag = 0;
	memset(turns, 0, sizeof(turns));
	one_sets_it();
	return 0;
}
