/* SPDX-License-Identifier: MIT */
/* Threads that detach themselves while somebody joins them, as servers do that
 * join at their end whoever has not yet ended. */
#include "see.h"

#include <semaphore.h>

#define THREADS 200

static sem_t go_on;

static void *detaches_itself(void *arg)
{
	while (sem_wait(&go_on) != 0)
		;
	pthread_detach(pthread_self());
	return arg;
}

static void *lets_go(void *arg)
{
	linger();
	sem_post(&go_on);
	return arg;
}

/* What it returns depends on who was first; but it does return. */
static void join_who_detaches(void)
{
	pthread_t thread = start(detaches_itself, NULL);
	pthread_t other = start(lets_go, NULL);
	int error = pthread_join(thread, NULL);

	EXPECT(error == 0 || error == EINVAL || error == ESRCH);
	join(other);
}

static void *waits(void *arg)
{
	while (sem_wait(&go_on) != 0)
		;
	return arg;
}

static void *is_cancelled(void *arg)
{
	pthread_join(*(pthread_t *)arg, NULL);
	return arg;
}

static void joiner_is_cancelled(void)
{
	pthread_t thread = start(waits, &go_on);
	pthread_t joiner = start(is_cancelled, &thread);

	linger();
	MUST(pthread_cancel(joiner));
	EXPECT(join(joiner) == PTHREAD_CANCELED);
	sem_post(&go_on);
	EXPECT(join(thread) == &go_on);
	see("joined by another");
}

int main(void)
{
	sem_init(&go_on, 0, 0);
	for (int i = 0; i < THREADS; i++)
		join_who_detaches();
	see("%d have ended", THREADS);
	joiner_is_cancelled();
	return 0;
}
