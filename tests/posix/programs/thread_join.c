/* SPDX-License-Identifier: MIT */
/* Every way to join, when the thread has ended and when it has not. */
#include "see.h"

#include <semaphore.h>

static sem_t go_on;

static void *waits(void *arg)
{
	sem_wait(&go_on);
	return arg;
}

static void *joins(void *arg)
{
	return join(*(pthread_t *)arg);
}

static void in_any_order(void)
{
	pthread_t threads[50];
	intptr_t wrong = 0;

	for (intptr_t i = 0; i < 50; i++)
		threads[i] = start(waits, (void *)i);
	for (int i = 0; i < 50; i++)
		sem_post(&go_on);
	for (intptr_t i = 50; i-- > 0;)
		wrong += join(threads[i]) != (void *)i;
	see("50 from the last to the first, %ld wrong", (long)wrong);
}

static void by_others(void)
{
	pthread_t ends = start(waits, (void *)7), links[20];

	links[0] = start(joins, &ends);
	for (int i = 1; i < 20; i++)
		links[i] = start(joins, &links[i - 1]);
	linger();
	sem_post(&go_on);
	see("a result through 20: %ld", (long)join(links[19]));
}

static void try_until_it_has_ended(void)
{
	pthread_t thread = start(waits, (void *)8);
	void *result = NULL;
	int error;

	SEE_ERROR(pthread_tryjoin_np(thread, &result));
	see("result: %ld", (long)result);
	sem_post(&go_on);
	while ((error = pthread_tryjoin_np(thread, &result)) == EBUSY)
		sched_yield();
	see("at last: %s %ld", err(error), (long)result);
}

static void not_before(const char *name, clockid_t clock, int error,
		       struct timespec deadline)
{
	see("%s: %s, late enough: %d", name, err(error),
	    is_past(clock, deadline));
}

static void until_a_deadline(void)
{
	pthread_t thread = start(waits, (void *)9);
	struct timespec soon = in_ms(CLOCK_REALTIME, 20), never;
	void *result = NULL;

	not_before("timedjoin", CLOCK_REALTIME,
		   pthread_timedjoin_np(thread, &result, &soon), soon);
	soon = in_ms(CLOCK_REALTIME, 20);
	not_before("clockjoin", CLOCK_REALTIME,
		   pthread_clockjoin_np(thread, &result, CLOCK_REALTIME, &soon),
		   soon);
	soon = in_ms(CLOCK_MONOTONIC, 20);
	not_before(
		"clockjoin monotonic", CLOCK_MONOTONIC,
		pthread_clockjoin_np(thread, &result, CLOCK_MONOTONIC, &soon),
		soon);
	soon = in_ms(CLOCK_REALTIME, -1000);
	SEE_ERROR(pthread_timedjoin_np(thread, &result, &soon));
	see("result: %ld", (long)result);
	sem_post(&go_on);
	never = in_ms(CLOCK_MONOTONIC, 1000000);
	SEE_ERROR(
		pthread_clockjoin_np(thread, &result, CLOCK_MONOTONIC, &never));
	see("result: %ld", (long)result);
}

/* One that has ended is joined however late the deadline is. */
static void after_the_end(void)
{
	struct timespec past = in_ms(CLOCK_REALTIME, -1000);
	pthread_t thread = start(waits, (void *)10);
	void *result = NULL;
	int error;

	sem_post(&go_on);
	while ((error = pthread_timedjoin_np(thread, &result, &past)) ==
	       ETIMEDOUT)
		sched_yield();
	see("past deadline: %s %ld", err(error), (long)result);
	thread = start(waits, NULL);
	sem_post(&go_on);
	SEE_ERROR(pthread_timedjoin_np(thread, NULL, NULL));
}

static void what_cannot_be(void)
{
	struct timespec soon = in_ms(CLOCK_REALTIME, 20);
	pthread_t thread = start(waits, NULL);

	SEE_ERROR(pthread_clockjoin_np(thread, NULL, CLOCK_PROCESS_CPUTIME_ID,
				       &soon));
	SEE_ERROR(pthread_tryjoin_np(pthread_self(), NULL));
	SEE_ERROR(pthread_timedjoin_np(pthread_self(), NULL, &soon));
	sem_post(&go_on);
	SEE_ERROR(pthread_join(thread, NULL));
	/* libc knows it for a while. */
	SEE_ERROR(pthread_join(thread, NULL));
	SEE_ERROR(pthread_detach(thread));
}

int main(void)
{
	sem_init(&go_on, 0, 0);
	in_any_order();
	by_others();
	try_until_it_has_ended();
	until_a_deadline();
	after_the_end();
	what_cannot_be();
	return 0;
}
