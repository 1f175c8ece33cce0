/* SPDX-License-Identifier: MIT */
/* What is done once: others wait for it, also if it blocks or is cancelled. */
#include "see.h"

#include <semaphore.h>

#define THREADS 20

static pthread_once_t simple = PTHREAD_ONCE_INIT;
static pthread_once_t slow = PTHREAD_ONCE_INIT;
static pthread_once_t outer = PTHREAD_ONCE_INIT;
static pthread_once_t inner = PTHREAD_ONCE_INIT;
static pthread_once_t given_up = PTHREAD_ONCE_INIT;
static int ends[2], times, early;
static sem_t within;
static bool ready;

static void simply(void)
{
	times++;
}

static void slowly(void)
{
	char byte;

	sem_post(&within);
	MUST_ERRNO(read(ends[0], &byte, 1));
	linger();
	times++;
	ready = true;
}

static void by_itself(void)
{
	MUST(pthread_once(&inner, simply));
	times += 10;
}

static void *once_simple(void *arg)
{
	MUST(pthread_once(&simple, simply));
	return arg;
}

static void *once_slow(void *arg)
{
	MUST(pthread_once(&slow, slowly));
	if (!ready)
		__atomic_add_fetch(&early, 1, __ATOMIC_RELAXED);
	return arg;
}

static void *once_outer(void *arg)
{
	MUST(pthread_once(&outer, by_itself));
	return arg;
}

static void all(const char *name, void *(*run)(void *))
{
	pthread_t threads[THREADS];

	times = 0;
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(run, NULL);
	if (run == once_slow) {
		sem_wait(&within);
		linger();
		MUST_ERRNO(write(ends[1], "x", 1));
	}
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
	run(NULL);
	see("%s: %d", name, times);
}

static bool let_it;

static void gives_up(void)
{
	bool waits = !let_it; /* it may be let before we have come to wait */
	char byte;

	times++;
	sem_post(&within);
	if (waits)
		read(ends[0], &byte, 1);
}

static void *once_given_up(void *arg)
{
	MUST(pthread_once(&given_up, gives_up));
	return arg;
}

/* Whoever waits for one that is cancelled does it in its stead. */
static void cancelled(void)
{
	pthread_t first, others[5];

	times = 0;
	first = start(once_given_up, NULL);
	sem_wait(&within);
	for (int i = 0; i < 5; i++)
		others[i] = start(once_given_up, NULL);
	linger();
	let_it = true;
	MUST(pthread_cancel(first));
	see("cancelled: %d", join(first) == PTHREAD_CANCELED);
	for (int i = 0; i < 5; i++)
		join(others[i]);
	see("begun %d times", times);
}

int main(void)
{
	MUST_ERRNO(pipe(ends));
	sem_init(&within, 0, 0);
	all("simply", once_simple);
	all("slowly", once_slow);
	see("%d too early", early);
	all("one in another", once_outer);
	cancelled();
	return 0;
}
