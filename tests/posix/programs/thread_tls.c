/* SPDX-License-Identifier: MIT */
/*
 * Variables of a thread: fresh in each one, its own for as long as it lives,
 * at one address wherever it runs.
 */
#include "see.h"

#include <semaphore.h>

#define THREADS 40
#define TURNS   200

static __thread int with_value = 1234;
static __thread int without_value;
__thread char text[64] = "as it was written";
static __thread struct {
	__attribute__((aligned(64))) char line[64];
	int *self;
} wide;
static _Thread_local double c11 = 2.5;

static int pipes[THREADS][2];
static sem_t turn;

static bool fresh(void)
{
	return with_value == 1234 && without_value == 0 && wide.self == NULL &&
	       strcmp(text, "as it was written") == 0 && c11 == 2.5 &&
	       (uintptr_t)&wide % 64 == 0;
}

static void spoil(int by)
{
	with_value = without_value = by;
	memset(text, 'x', sizeof(text) - 1);
	wide.self = &without_value;
	c11 += by;
}

/* Waits in several ways, and so probably goes on elsewhere. */
static void wait_somehow(int *pipe, int i)
{
	char byte;

	if (i % 3 == 0)
		sched_yield();
	else if (i % 3 == 1)
		MUST_ERRNO(read(pipe[0], &byte, 1));
	else
		sem_wait(&turn);
}

static void *keeps_its_own(void *arg)
{
	int me = (int)(intptr_t)arg, *address = &with_value;
	intptr_t wrong = !fresh();

	spoil(me);
	for (int i = 0; i < TURNS; i++) {
		wait_somehow(pipes[me], i);
		wrong += with_value != me + i || without_value != me;
		wrong += *address != me + i || address != &with_value;
		wrong += wide.self != &without_value || c11 != 2.5 + me;
		with_value++;
	}
	return (void *)wrong;
}

static void all_at_once(void)
{
	pthread_t threads[THREADS];
	intptr_t wrong = 0;

	for (intptr_t i = 0; i < THREADS; i++) {
		MUST_ERRNO(pipe(pipes[i]));
		threads[i] = start(keeps_its_own, (void *)i);
	}
	for (int i = 0; i < TURNS; i++)
		for (int t = 0; t < THREADS; t++) {
			if (i % 3 == 1)
				MUST_ERRNO(write(pipes[t][1], "x", 1));
			if (i % 3 == 2)
				sem_post(&turn);
		}
	for (int i = 0; i < THREADS; i++)
		wrong += (intptr_t)join(threads[i]);
	see("%d threads, %d waits each, %ld wrong", THREADS, TURNS,
	    (long)wrong);
}

static void *spoils(void *arg)
{
	intptr_t was_fresh = fresh();

	spoil((int)(intptr_t)arg);
	return (void *)was_fresh;
}

static void one_after_the_other(void)
{
	intptr_t were_fresh = 0;

	for (intptr_t i = 1; i <= 500; i++)
		were_fresh += (intptr_t)join(start(spoils, (void *)i));
	see("500 threads, %ld fresh", (long)were_fresh);
}

static void *looks_across(void *arg)
{
	int *theirs = arg;

	see("another one's: %d, mine %d", *theirs, with_value);
	*theirs = 99;
	return NULL;
}

static void by_address(void)
{
	with_value = 77;
	join(start(looks_across, &with_value));
	see("changed by another: %d", with_value);
}

int main(void)
{
	sem_init(&turn, 0, 0);
	see("main's are fresh: %d", fresh());
	spoil(5);
	all_at_once();
	one_after_the_other();
	by_address();
	see("main's are its own: %d %.1f", without_value, c11);
	return 0;
}
