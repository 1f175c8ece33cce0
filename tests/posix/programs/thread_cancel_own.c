/* SPDX-License-Identifier: MIT */
/*
 * The cancellation of a thread that comes by a lock which the kernel has to
 * know of: the first one of a process, where it waits then, and where it ends.
 */
#include "see.h"

#include <stdatomic.h>

#define TRIALS 40

static pthread_mutex_t robust, lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static atomic_bool runs;

static void unlock(void *mutex)
{
	pthread_mutex_unlock(mutex);
}

static void wait_here(void)
{
	pthread_mutex_lock(&lock);
	pthread_cleanup_push(unlock, &lock);
	for (;;)
		pthread_cond_wait(&never, &lock);
	pthread_cleanup_pop(1);
}

static void wait_in_kernel(void)
{
	for (;;)
		pause();
}

struct trial {
	void (*wait)(void);
	int steps; /* before the lock: by then it may have been cancelled */
};

static void *come_by(void *arg)
{
	const struct trial *t = arg;

	runs = true;
	for (volatile int i = 0; i < t->steps; i++)
		;
	pthread_mutex_lock(&robust);
	pthread_mutex_unlock(&robust);
	t->wait();
	return NULL;
}

/* The cancellation was lost if nobody ends before the alarm. */
static _Noreturn void try(struct trial *t)
{
	pthread_mutexattr_t kind;
	pthread_t thread;
	void *result;

	alarm(20);
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &kind);
	pthread_create(&thread, NULL, come_by, t);
	while (!runs)
		sched_yield();
	pthread_cancel(thread);
	pthread_join(thread, &result);
	_exit(result != PTHREAD_CANCELED);
}

static void repeat(const char *name, void (*wait)(void))
{
	for (int i = 0; i < TRIALS; i++) {
		struct trial t = {wait, i % 20 * 1000};
		pid_t child = fork();
		int status;

		if (child == 0)
			try(&t);
		waitpid(child, &status, 0);
		if (status) {
			see("%s: %#x", name, status);
			return;
		}
	}
	see("%s: cancelled each time", name);
}

/* --- one that ends, and the next one --- */

enum { ROUNDS = 10000 };

static void *ends(void *arg)
{
	pthread_mutex_lock(&robust);
	pthread_mutex_unlock(&robust);
	for (volatile int i = 0; i < *(int *)arg; i++)
		;
	return NULL;
}

static void *comes_after(void *arg)
{
	pthread_testcancel();
	return arg;
}

static void see_the_next(void)
{
	pthread_mutexattr_t kind;
	int wrong = 0;

	pthread_mutexattr_init(&kind);
	pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &kind);
	for (int i = 0; i < ROUNDS; i++) {
		int steps = i % 50 * 20;
		pthread_t thread;
		void *result;

		pthread_create(&thread, NULL, ends, &steps);
		for (volatile int k = 0; k < i % 997 * 80; k++)
			;
		pthread_cancel(thread);
		pthread_join(thread, NULL);
		pthread_create(&thread, NULL, comes_after, NULL);
		pthread_join(thread, &result);
		wrong += result == PTHREAD_CANCELED;
	}
	see("whom nobody has cancelled: %d", wrong);
}

int main(void)
{
	repeat("here", wait_here);
	repeat("in the kernel", wait_in_kernel);
	see_the_next();
	return 0;
}
