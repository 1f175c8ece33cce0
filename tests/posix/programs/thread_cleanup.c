/* SPDX-License-Identifier: MIT */
/* Cleanup handlers: when they run, in which order, and what they may do. */
#include "see.h"

#include <semaphore.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t ready, never;

static void say(void *what)
{
	see("  %s", (const char *)what);
}

static void *pops(void *arg)
{
	(void)arg;
	pthread_cleanup_push(say, (void *)"first");
	pthread_cleanup_push(say, (void *)"second");
	pthread_cleanup_push(say, (void *)"third");
	see("nothing has been called");
	pthread_cleanup_pop(1);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(1);
	see("two have been called, in turn");
	return NULL;
}

static void *returns_within(void *arg)
{
	pthread_cleanup_push(say, (void *)"by the exit of a loop");
	for (;;) {
		pthread_cleanup_push(say, (void *)"inside");
		pthread_exit(arg);
		pthread_cleanup_pop(0);
	}
	pthread_cleanup_pop(0);
	return arg;
}

static void waits(void *arg)
{
	struct timespec brief = {.tv_sec = 0, .tv_nsec = 1000000};
	int ends[2];
	char byte;

	say(arg);
	nanosleep(&brief, NULL);
	MUST_ERRNO(pipe(ends));
	MUST_ERRNO(write(ends[1], "x", 1));
	MUST_ERRNO(read(ends[0], &byte, 1));
	close(ends[0]);
	close(ends[1]);
	sched_yield();
	say((void *)"and goes on");
}

static void unlocks(void *mutex)
{
	see("  unlocked: %s", err(pthread_mutex_unlock(mutex)));
}

static void nests(void *arg)
{
	pthread_cleanup_push(say, arg);
	say((void *)"of a handler's own handler");
	pthread_cleanup_pop(1);
}

static void *exits(void *arg)
{
	pthread_cleanup_push(say, (void *)"last");
	pthread_cleanup_push(nests, (void *)"nested");
	pthread_cleanup_push(waits, (void *)"waits");
	MUST(pthread_mutex_lock(&lock));
	pthread_cleanup_push(unlocks, &lock);
	pthread_exit(arg);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
}

/* Nothing that it does makes it be cancelled a second time. */
static void is_deaf(void *arg)
{
	int state, type;

	say(arg);
	pthread_testcancel();
	MUST(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state));
	MUST(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type));
	pthread_testcancel();
	linger();
	say((void *)"is not cancelled again");
}

static void *is_cancelled(void *arg)
{
	pthread_cleanup_push(say, (void *)"outer");
	pthread_cleanup_push(is_deaf, (void *)"deaf");
	sem_post(&ready);
	sem_wait(&never);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return arg;
}

static void *changes_type(void *arg)
{
	int type;

	(void)arg;
	pthread_cleanup_push_defer_np(say, (void *)"deferred");
	MUST(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type));
	see("deferred meanwhile: %d", type == PTHREAD_CANCEL_DEFERRED);
	pthread_cleanup_pop_restore_np(1);
	return NULL;
}

static void by_cancel(void)
{
	pthread_t thread = start(is_cancelled, NULL);

	sem_wait(&ready);
	MUST(pthread_cancel(thread));
	MUST(pthread_cancel(thread));
	see("cancelled: %d", join(thread) == PTHREAD_CANCELED);
}

int main(void)
{
	sem_init(&ready, 0, 0);
	sem_init(&never, 0, 0);
	for (int i = 0; i < 2; i++) {
		join(start(pops, NULL));
		join(start(returns_within, NULL));
		join(start(exits, NULL));
		SEE_ERROR(pthread_mutex_trylock(&lock));
		MUST(pthread_mutex_unlock(&lock));
		by_cancel();
		join(start(changes_type, NULL));
	}
	return 0;
}
