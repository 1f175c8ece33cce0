/* SPDX-License-Identifier: MIT */
/* Spin locks, also while their holder sleeps. */
#include "see.h"

#include <semaphore.h>

static pthread_spinlock_t lock;
static sem_t held;
static long total;

static void *tries(void *arg)
{
	SEE_ERROR(pthread_spin_trylock(&lock));
	return arg;
}

static void *counts(void *arg)
{
	for (int i = 0; i < 5000; i++) {
		if (i % 2)
			MUST(pthread_spin_lock(&lock));
		else
			while (pthread_spin_trylock(&lock) != 0)
				sched_yield();
		total++;
		if (i % 500 == 0)
			sched_yield();
		MUST(pthread_spin_unlock(&lock));
	}
	return arg;
}

/* However few run at a time, who spins must not keep it from waking. */
static void *sleeps_with(void *arg)
{
	MUST(pthread_spin_lock(&lock));
	sem_post(&held);
	linger();
	MUST(pthread_spin_unlock(&lock));
	return arg;
}

static void *wants(void *arg)
{
	MUST(pthread_spin_lock(&lock));
	total++;
	MUST(pthread_spin_unlock(&lock));
	return arg;
}

static void while_its_holder_sleeps(void)
{
	pthread_t threads[9];

	threads[0] = start(sleeps_with, NULL);
	sem_wait(&held);
	for (int i = 1; i < 9; i++)
		threads[i] = start(wants, NULL);
	for (int i = 0; i < 9; i++)
		join(threads[i]);
	see("all have had it: %ld", total);
}

int main(void)
{
	pthread_t threads[6];

	sem_init(&held, 0, 0);
	SEE_ERROR(pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE));
	SEE_ERROR(pthread_spin_lock(&lock));
	SEE_ERROR(pthread_spin_trylock(&lock));
	join(start(tries, NULL));
	SEE_ERROR(pthread_spin_unlock(&lock));
	for (int i = 0; i < 6; i++)
		threads[i] = start(counts, NULL);
	for (int i = 0; i < 6; i++)
		join(threads[i]);
	see("%ld", total);
	while_its_holder_sleeps();
	SEE_ERROR(pthread_spin_trylock(&lock));
	SEE_ERROR(pthread_spin_unlock(&lock));
	SEE_ERROR(pthread_spin_destroy(&lock));
	return 0;
}
