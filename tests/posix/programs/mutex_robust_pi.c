/* SPDX-License-Identifier: MIT */
/* Mutexes that outlive their owner, or that lend it a priority. */
#include "see.h"

#include <semaphore.h>
#include <sys/mman.h>

static sem_t held, go_on;

static void make(pthread_mutex_t *m, int robust, int protocol, int shared)
{
	pthread_mutexattr_t attr;

	MUST(pthread_mutexattr_init(&attr));
	MUST(pthread_mutexattr_setrobust(&attr, robust));
	MUST(pthread_mutexattr_setprotocol(&attr, protocol));
	MUST(pthread_mutexattr_setpshared(&attr, shared));
	MUST(pthread_mutex_init(m, &attr));
	MUST(pthread_mutexattr_destroy(&attr));
}

static void *dies_with(void *arg)
{
	MUST(pthread_mutex_lock(arg));
	return arg;
}

static void *dies_later_with(void *arg)
{
	MUST(pthread_mutex_lock(arg));
	sem_post(&held);
	sem_wait(&go_on);
	pthread_exit(arg);
}

static void *inherits(void *arg)
{
	struct timespec late = in_ms(CLOCK_REALTIME, 1000000);

	SEE_ERROR(pthread_mutex_timedlock(arg, &late));
	SEE_ERROR(pthread_mutex_consistent(arg));
	SEE_ERROR(pthread_mutex_consistent(arg));
	SEE_ERROR(pthread_mutex_unlock(arg));
	return NULL;
}

static void owner_dies(pthread_mutex_t *m)
{
	pthread_t heir, owner;

	join(start(dies_with, m));
	SEE_ERROR(pthread_mutex_lock(m));
	SEE_ERROR(pthread_mutex_consistent(m));
	SEE_ERROR(pthread_mutex_unlock(m));
	SEE_ERROR(pthread_mutex_lock(m));
	SEE_ERROR(pthread_mutex_unlock(m));
	join(start(dies_with, m));
	join(start(inherits, m));
	owner = start(dies_later_with, m);
	sem_wait(&held);
	heir = start(inherits, m);
	linger();
	sem_post(&go_on);
	join(owner);
	join(heir);
	SEE_ERROR(pthread_mutex_trylock(m));
	SEE_ERROR(pthread_mutex_unlock(m));
}

static void nobody_repairs(pthread_mutex_t *m)
{
	join(start(dies_with, m));
	SEE_ERROR(pthread_mutex_trylock(m));
	SEE_ERROR(pthread_mutex_unlock(m));
	SEE_ERROR(pthread_mutex_lock(m));
	SEE_ERROR(pthread_mutex_trylock(m));
	SEE_ERROR(pthread_mutex_destroy(m));
}

static void robust(const char *name, int protocol, int shared)
{
	pthread_mutex_t m;

	see("-- %s", name);
	make(&m, PTHREAD_MUTEX_ROBUST, protocol, shared);
	SEE_ERROR(pthread_mutex_consistent(&m));
	owner_dies(&m);
	nobody_repairs(&m);
}

static long total;

static void *counts(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		MUST(pthread_mutex_lock(arg));
		total++;
		if (i % 100 == 0)
			sched_yield();
		MUST(pthread_mutex_unlock(arg));
	}
	return arg;
}

static void *tries(void *arg)
{
	struct timespec soon = in_ms(CLOCK_REALTIME, 10);

	SEE_ERROR(pthread_mutex_trylock(arg));
	SEE_ERROR(pthread_mutex_timedlock(arg, &soon));
	EXPECT(is_past(CLOCK_REALTIME, soon));
	return arg;
}

static void lends_priority(void)
{
	pthread_mutex_t m;
	pthread_t threads[6];

	see("-- inheriting priority");
	make(&m, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT,
	     PTHREAD_PROCESS_PRIVATE);
	SEE_ERROR(pthread_mutex_lock(&m));
	SEE_ERROR(pthread_mutex_trylock(&m));
	join(start(tries, &m));
	for (int i = 0; i < 6; i++)
		threads[i] = start(counts, &m);
	linger();
	SEE_ERROR(pthread_mutex_unlock(&m));
	for (int i = 0; i < 6; i++)
		join(threads[i]);
	see("%ld", total);
	SEE_ERROR(pthread_mutex_destroy(&m));
}

/* What the machine allows of it, it allows on both. */
static void *under_a_ceiling(void *arg)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	int ceiling;

	see("-- a ceiling");
	MUST(pthread_mutexattr_init(&attr));
	MUST(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_PROTECT));
	SEE_ERROR(pthread_mutexattr_setprioceiling(&attr, 1000));
	SEE_ERROR(pthread_mutexattr_setprioceiling(&attr, 5));
	MUST(pthread_mutexattr_getprioceiling(&attr, &ceiling));
	MUST(pthread_mutex_init(&m, &attr));
	MUST(pthread_mutexattr_destroy(&attr));
	see("%d", ceiling);
	MUST(pthread_mutex_getprioceiling(&m, &ceiling));
	see("%d", ceiling);
	int error = pthread_mutex_lock(&m);
	see("locked: %s", err(error));
	if (error == 0)
		SEE_ERROR(pthread_mutex_unlock(&m));
	SEE_ERROR(pthread_mutex_destroy(&m));
	return arg;
}

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	EXPECT(p != MAP_FAILED);
	return p;
}

static pthread_mutex_t *shared;

static void dies_in_a_child(void)
{
	MUST(pthread_mutex_lock(shared));
	_exit(3);
}

static void a_thread_of_it_dies(void)
{
	pthread_t owner = start(dies_later_with, shared);

	sem_wait(&held);
	(void)owner;
	_exit(4);
}

static void across_processes(void)
{
	see("-- across processes");
	shared = map(sizeof(*shared));
	make(shared, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE,
	     PTHREAD_PROCESS_SHARED);
	in_child("dies with it", dies_in_a_child);
	join(start(inherits, shared));
	in_child("a thread of it dies with it", a_thread_of_it_dies);
	SEE_ERROR(pthread_mutex_lock(shared));
	SEE_ERROR(pthread_mutex_consistent(shared));
	SEE_ERROR(pthread_mutex_unlock(shared));
	SEE_ERROR(pthread_mutex_destroy(shared));
}

int main(void)
{
	sem_init(&held, 0, 0);
	sem_init(&go_on, 0, 0);
	robust("robust", PTHREAD_PRIO_NONE, PTHREAD_PROCESS_PRIVATE);
	robust("robust, shared", PTHREAD_PRIO_NONE, PTHREAD_PROCESS_SHARED);
	robust("robust, inheriting", PTHREAD_PRIO_INHERIT,
	       PTHREAD_PROCESS_PRIVATE);
	lends_priority();
	under_a_ceiling(NULL);
	join(start(under_a_ceiling, NULL));
	across_processes();
	return 0;
}
