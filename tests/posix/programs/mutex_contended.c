/* SPDX-License-Identifier: MIT */
/* Many want one mutex, in every way there is; nothing is counted twice. */
#include "see.h"

#define THREADS 8
#define TURNS   20000

static pthread_mutex_t lock;
static long total, inside;
static long most; /* ever inside at a time */

static void by_lock(int i)
{
	(void)i;
	MUST(pthread_mutex_lock(&lock));
}

static void by_trylock(int i)
{
	(void)i;
	while (pthread_mutex_trylock(&lock) != 0)
		sched_yield();
}

static void by_deadline(int i)
{
	struct timespec t;

	if (i % 2) {
		t = in_ms(CLOCK_REALTIME, 1);
		while (pthread_mutex_timedlock(&lock, &t) != 0)
			t = in_ms(CLOCK_REALTIME, 1);
	} else {
		t = in_ms(CLOCK_MONOTONIC, 1);
		while (pthread_mutex_clocklock(&lock, CLOCK_MONOTONIC, &t))
			t = in_ms(CLOCK_MONOTONIC, 1);
	}
}

static void in_turn(int i)
{
	switch (i % 3) {
	case 0:
		by_lock(i);
		break;
	case 1:
		by_trylock(i);
		break;
	default:
		by_deadline(i);
	}
}

static void (*take)(int i);
static int pause_every;

static void *counts(void *arg)
{
	for (int i = 0; i < TURNS; i++) {
		take(i);
		if (++inside > most)
			most = inside;
		total++;
		if (i % pause_every == 0)
			sched_yield();
		if (i % (pause_every * 10) == 0)
			linger();
		inside--;
		MUST(pthread_mutex_unlock(&lock));
	}
	return arg;
}

static void together(const char *name, int kind, void (*how)(int), int every)
{
	pthread_mutexattr_t attr;
	pthread_t threads[THREADS];

	MUST(pthread_mutexattr_init(&attr));
	MUST(pthread_mutexattr_settype(&attr, kind));
	MUST(pthread_mutex_init(&lock, &attr));
	total = most = 0;
	take = how;
	pause_every = every;
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(counts, NULL);
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
	see("%s: %ld, at most %ld inside", name, total, most);
	MUST(pthread_mutex_destroy(&lock));
}

int main(void)
{
	together("normal", PTHREAD_MUTEX_NORMAL, by_lock, 2000);
	together("errorcheck", PTHREAD_MUTEX_ERRORCHECK, by_lock, 2000);
	together("recursive", PTHREAD_MUTEX_RECURSIVE, by_lock, 2000);
	together("adaptive", PTHREAD_MUTEX_ADAPTIVE_NP, by_lock, 2000);
	together("trylock", PTHREAD_MUTEX_NORMAL, by_trylock, 2000);
	together("timed", PTHREAD_MUTEX_NORMAL, by_deadline, 2000);
	together("mixed", PTHREAD_MUTEX_NORMAL, in_turn, 2000);
	together("mixed recursive", PTHREAD_MUTEX_RECURSIVE, in_turn, 2000);
	return 0;
}
