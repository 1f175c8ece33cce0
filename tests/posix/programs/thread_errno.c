/* SPDX-License-Identifier: MIT */
/* errno is the thread's own, whatever it waits for and wherever it runs. */
#include "see.h"

#include <fcntl.h>
#include <semaphore.h>

#define THREADS 50
#define TURNS   60

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t meet;
static sem_t turns;
static int ends[2];

/* What does not fail leaves errno as it is. */
static void succeed(int i)
{
	struct timespec brief = {.tv_sec = 0, .tv_nsec = 1000 * (i % 7)};
	char byte = 'x';

	switch (i % 6) {
	case 0:
		nanosleep(&brief, NULL);
		break;
	case 1:
		sched_yield();
		break;
	case 2:
		pthread_mutex_lock(&lock);
		sched_yield();
		pthread_mutex_unlock(&lock);
		break;
	case 3:
		pthread_barrier_wait(&meet);
		break;
	case 4:
		MUST_ERRNO(write(ends[1], &byte, 1));
		MUST_ERRNO(read(ends[0], &byte, 1));
		break;
	default:
		sem_post(&turns);
		sem_wait(&turns);
	}
}

/* What fails sets it, in this thread. */
static int fail(int me)
{
	switch (me % 4) {
	case 0:
		return close(-1) == -1 ? EBADF : 0;
	case 1:
		return open("/nowhere/at/all", O_RDONLY) == -1 ? ENOENT : 0;
	case 2:
		return pipe2(ends, -1) == -1 ? EINVAL : 0;
	default:
		return lseek(ends[0], 0, SEEK_SET) == -1 ? ESPIPE : 0;
	}
}

static void *keeps_it(void *arg)
{
	int me = (int)(intptr_t)arg;
	int *address = &errno;
	intptr_t wrong = errno != 0;

	for (int i = 0; i < TURNS; i++) {
		errno = 1000 + me;
		succeed(i);
		wrong += errno != 1000 + me || address != &errno;
		int expected = fail(me);
		wrong += errno != expected;
		succeed(i);
		wrong += errno != expected;
	}
	return (void *)wrong;
}

int main(void)
{
	pthread_t threads[THREADS];
	intptr_t wrong = 0;

	MUST_ERRNO(pipe(ends));
	sem_init(&turns, 0, 0);
	MUST(pthread_barrier_init(&meet, NULL, THREADS));
	for (int round = 0; round < 3; round++) {
		errno = ENOTTY;
		for (intptr_t i = 0; i < THREADS; i++)
			threads[i] = start(keeps_it, (void *)i);
		for (int i = 0; i < THREADS; i++)
			wrong += (intptr_t)join(threads[i]);
		see("%d threads, %ld wrong, main's %s", THREADS, (long)wrong,
		    err(errno));
	}
	return 0;
}
