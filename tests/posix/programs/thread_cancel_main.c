/* SPDX-License-Identifier: MIT */
/* Main is cancelled while it waits: its handlers run, the rest goes on. */
#include "see.h"

#include <semaphore.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t never, begun;
static pthread_t main_thread, other;
static bool locked;

static void *cancels(void *arg)
{
	void *result;

	MUST(pthread_mutex_lock(&held));
	sem_post(&begun);
	linger();
	MUST(pthread_cancel(main_thread));
	linger();
	MUST(pthread_mutex_unlock(&held));
	MUST(pthread_join(main_thread, &result));
	see("cancelled: %d", result == PTHREAD_CANCELED);
	exit(0);
	return arg;
}

static void clean(void *arg)
{
	see("is the mutex locked? %s%s", err(pthread_mutex_trylock(&lock)),
	    locked ? ", and the other one" : "");
	MUST(pthread_mutex_unlock(&lock));
	(void)arg;
}

static void by_condition(void)
{
	for (;;)
		pthread_cond_wait(&cond, &lock);
}

static void by_deadline(void)
{
	struct timespec late = in_ms(CLOCK_REALTIME, 1000000);

	for (;;)
		pthread_cond_timedwait(&cond, &lock, &late);
}

static void by_semaphore(void)
{
	sem_wait(&never);
}

static void by_join(void)
{
	pthread_join(other, NULL);
}

static void by_pause(void)
{
	pause();
}

/* A mutex does not end it, a semaphore does, even if there is a permit. */
static void by_mutex(void)
{
	MUST(pthread_mutex_lock(&held));
	locked = true;
	sem_post(&never);
	sem_wait(&never);
	exit(1);
}

static void disabled(void)
{
	struct timespec soon = in_ms(CLOCK_MONOTONIC, 10);
	int old;

	MUST(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
	SEE_ERRNO(sem_clockwait(&never, CLOCK_MONOTONIC, &soon));
	MUST(pthread_setcancelstate(old, NULL));
	by_condition();
}

static void (*wait_for)(void);

static void child(void)
{
	int old;

	/* Until there is a handler: this may take longer than it lingers. */
	MUST(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
	main_thread = pthread_self();
	other = start(cancels, NULL);
	MUST_ERRNO(sem_wait(&begun));
	MUST(pthread_mutex_lock(&lock));
	pthread_cleanup_push(clean, NULL);
	MUST(pthread_setcancelstate(old, NULL));
	wait_for();
	pthread_cleanup_pop(0);
	exit(1);
}

static void wait_by(const char *name, void (*how)(void))
{
	wait_for = how;
	in_child(name, child);
}

int main(void)
{
	sem_init(&never, 0, 0);
	sem_init(&begun, 0, 0);
	wait_by("a condition", by_condition);
	wait_by("a condition, for so long", by_deadline);
	wait_by("a semaphore", by_semaphore);
	wait_by("a thread", by_join);
	wait_by("a signal", by_pause);
	wait_by("a mutex", by_mutex);
	wait_by("disabled at first", disabled);
	return 0;
}
