/* SPDX-License-Identifier: MIT */
/* Threads that nobody joins. */
#include "see.h"

#include <semaphore.h>

static sem_t ready, go_on, done;

static void posts(void *sem)
{
	sem_post((sem_t *)sem);
}

static void *waits(void *arg)
{
	sem_post(&ready);
	sem_wait(&go_on);
	sem_post(&done);
	return arg;
}

static void *detaches_itself(void *arg)
{
	see("itself: %s", err(pthread_detach(pthread_self())));
	return waits(arg);
}

static void cannot_be_joined(const char *how, pthread_t thread)
{
	sem_wait(&ready);
	see("-- %s", how);
	SEE_ERROR(pthread_join(thread, NULL));
	SEE_ERROR(pthread_tryjoin_np(thread, NULL));
	SEE_ERROR(pthread_detach(thread));
	sem_post(&go_on);
	sem_wait(&done);
}

static void by_whom(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	thread = start(waits, NULL);
	MUST(pthread_detach(thread));
	cannot_be_joined("detached by main", thread);
	cannot_be_joined("by itself", start(detaches_itself, NULL));
	MUST(pthread_attr_init(&attr));
	MUST(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
	MUST(pthread_create(&thread, &attr, waits, NULL));
	cannot_be_joined("from the start", thread);
	MUST(pthread_attr_destroy(&attr));
}

static void *soon_over(void *arg)
{
	pthread_cleanup_push(posts, &done);
	if (arg)
		pthread_exit(arg);
	pthread_cleanup_pop(1);
	return arg;
}

/* Whether it has ended before it is detached, or after, is all the same. */
static void many(void)
{
	for (intptr_t i = 0; i < 2000; i++)
		MUST(pthread_detach(start(soon_over, (void *)(i % 2))));
	for (int i = 0; i < 2000; i++)
		sem_wait(&done);
	see("-- 2000 have ended");
}

static void *makes_another(void *arg)
{
	intptr_t left = (intptr_t)arg;

	MUST(pthread_detach(pthread_self()));
	if (left == 0)
		sem_post(&done);
	else
		start(makes_another, (void *)(left - 1));
	return NULL;
}

static void generations(void)
{
	start(makes_another, (void *)500);
	sem_wait(&done);
	see("500 generations");
}

static void *outlives_main(void *arg)
{
	sem_wait(&go_on);
	see("outlived main");
	return arg;
}

static void *lets_go(void *arg)
{
	join(*(pthread_t *)arg);
	sem_post(&go_on);
	return NULL;
}

static void main_ends_first(void)
{
	static pthread_t self;

	self = pthread_self();
	MUST(pthread_detach(start(outlives_main, NULL)));
	MUST(pthread_detach(start(lets_go, &self)));
	pthread_exit(NULL);
}

int main(void)
{
	sem_init(&ready, 0, 0);
	sem_init(&go_on, 0, 0);
	sem_init(&done, 0, 0);
	by_whom();
	many();
	generations();
	in_child("main ends first", main_ends_first);
	return 0;
}
