/* SPDX-License-Identifier: MIT */
/*
 * The first cancellation of a process, of a thread that comes by a lock which
 * the kernel has to know of, and then waits.
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

int main(void)
{
	repeat("here", wait_here);
	repeat("in the kernel", wait_in_kernel);
	return 0;
}
