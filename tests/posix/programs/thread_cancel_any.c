/* SPDX-License-Identifier: MIT */
/*
 * thread_cancel_any.c - a thread that may be cancelled at any time is, whether
 * it computes or waits, and what it has waited for is as good as before.
 */
#include "see.h"

#include <semaphore.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t again = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static sem_t ready, none;
static pthread_t other;
static int empty[2];

static void in_computing(void)
{
	for (;;)
		;
}

static void in_mutex(void)
{
	pthread_mutex_lock(&lock);
}

static void in_recursive_mutex(void)
{
	pthread_mutex_lock(&again);
}

static void in_semaphore(void)
{
	sem_wait(&none);
}

static void in_join(void)
{
	pthread_join(other, NULL);
}

static void in_read(void)
{
	char byte;

	(void)!read(empty[0], &byte, 1);
}

static void in_sleep(void)
{
	struct timespec hour = {.tv_sec = 3600};

	nanosleep(&hour, NULL);
}

static void note(void *what)
{
	see("%s: cleaned up", (const char *)what);
}

struct wait {
	const char *what;
	void (*call)(void);
};

static void *waits(void *arg)
{
	struct wait *wait = arg;

	pthread_cleanup_push(note, (void *)wait->what);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	sem_post(&ready);
	wait->call();
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancel_in(const char *what, void (*call)(void))
{
	struct wait wait = {what, call};

	for (int i = 0; i < 5; i++) {
		pthread_t thread = start(waits, &wait);
		MUST_ERRNO(sem_wait(&ready));
		linger();
		MUST(pthread_cancel(thread));
		see("%s: cancelled: %d", what,
		    join(thread) == PTHREAD_CANCELED);
	}
}

static void *works(void *arg)
{
	MUST(pthread_mutex_lock(&lock));
	MUST(pthread_mutex_lock(&again));
	see("both locked");
	MUST(pthread_mutex_unlock(&again));
	MUST(pthread_mutex_unlock(&lock));
	MUST_ERRNO(sem_wait(&none));
	return arg;
}

int main(void)
{
	sem_init(&ready, 0, 0);
	sem_init(&none, 0, 0);
	MUST_ERRNO(pipe(empty));
	MUST(pthread_mutex_lock(&lock));
	MUST(pthread_mutex_lock(&again));
	other = start(works, NULL);
	cancel_in("computing", in_computing);
	cancel_in("mutex", in_mutex);
	cancel_in("recursive mutex", in_recursive_mutex);
	cancel_in("semaphore", in_semaphore);
	cancel_in("join", in_join);
	cancel_in("read", in_read);
	cancel_in("sleep", in_sleep);
	MUST(pthread_mutex_unlock(&again));
	MUST(pthread_mutex_unlock(&lock));
	MUST_ERRNO(sem_post(&none));
	join(other);
	see("and so has been the other");
	return 0;
}
