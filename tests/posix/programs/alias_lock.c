/* SPDX-License-Identifier: MIT */
/*
 * Older programs, and libraries, call the locks by names with two underscores.
 * They are the same locks.
 */
#include "see.h"

#include "old.h"

OLD(int, __pthread_mutex_init, (pthread_mutex_t *, const pthread_mutexattr_t *),
    OLD_FIRST);
OLD(int, __pthread_mutex_destroy, (pthread_mutex_t *), OLD_FIRST);
OLD(int, __pthread_mutex_lock, (pthread_mutex_t *), OLD_FIRST);
OLD(int, __pthread_mutex_trylock, (pthread_mutex_t *), OLD_FIRST);
OLD(int, __pthread_mutex_unlock, (pthread_mutex_t *), OLD_FIRST);
OLD(int, pthread_mutex_consistent_np, (pthread_mutex_t *), OLD_24);
OLD(int, __pthread_rwlock_init,
    (pthread_rwlock_t *, const pthread_rwlockattr_t *), OLD_FIRST);
OLD(int, __pthread_rwlock_destroy, (pthread_rwlock_t *), OLD_FIRST);
OLD(int, __pthread_rwlock_rdlock, (pthread_rwlock_t *), OLD_FIRST);
OLD(int, __pthread_rwlock_tryrdlock, (pthread_rwlock_t *), OLD_FIRST);
OLD(int, __pthread_rwlock_trywrlock, (pthread_rwlock_t *), OLD_FIRST);
OLD(int, __pthread_rwlock_wrlock, (pthread_rwlock_t *), OLD_FIRST);
OLD(int, __pthread_rwlock_unlock, (pthread_rwlock_t *), OLD_FIRST);

static pthread_mutex_t lock;
static pthread_rwlock_t rwlock;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int total[2], turn;

/* Half of them use the old names, half the new ones, crosswise. */
static void *counts(void *arg)
{
	bool old = (intptr_t)arg % 2;

	for (int i = 0; i < 5000; i++) {
		MUST(old ? old___pthread_mutex_lock(&lock)
			 : pthread_mutex_lock(&lock));
		total[0]++;
		if (i % 500 == 0)
			sched_yield();
		MUST(old ? pthread_mutex_unlock(&lock)
			 : old___pthread_mutex_unlock(&lock));
		MUST(old ? pthread_rwlock_wrlock(&rwlock)
			 : old___pthread_rwlock_wrlock(&rwlock));
		total[1]++;
		MUST(old ? old___pthread_rwlock_unlock(&rwlock)
			 : pthread_rwlock_unlock(&rwlock));
	}
	return NULL;
}

static void *takes_turns(void *arg)
{
	int mine = (int)(intptr_t)arg;

	MUST(old___pthread_mutex_lock(&lock));
	for (int i = 0; i < 100; i++) {
		while (turn % 2 != mine)
			MUST(pthread_cond_wait(&cond, &lock));
		turn++;
		MUST(pthread_cond_broadcast(&cond));
	}
	MUST(old___pthread_mutex_unlock(&lock));
	return NULL;
}

static void *tries(void *arg)
{
	SEE_ERROR(old___pthread_mutex_trylock(&lock));
	SEE_ERROR(old___pthread_rwlock_trywrlock(&rwlock));
	SEE_ERROR(old___pthread_rwlock_tryrdlock(&rwlock));
	SEE_ERROR(pthread_rwlock_unlock(&rwlock));
	return arg;
}

static pthread_mutex_t robust;

static void *dies(void *arg)
{
	MUST(old___pthread_mutex_lock(&robust));
	return arg;
}

static void owner_dies(void)
{
	pthread_mutexattr_t attr;

	MUST(pthread_mutexattr_init(&attr));
	MUST(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
	MUST(old___pthread_mutex_init(&robust, &attr));
	MUST(pthread_mutexattr_destroy(&attr));
	join(start(dies, NULL));
	SEE_ERROR(old___pthread_mutex_lock(&robust));
	SEE_ERROR(old_pthread_mutex_consistent_np(&robust));
	SEE_ERROR(old___pthread_mutex_unlock(&robust));
	SEE_ERROR(old___pthread_mutex_destroy(&robust));
}

int main(void)
{
	SEE_ERROR(old___pthread_mutex_init(&lock, NULL));
	SEE_ERROR(old___pthread_rwlock_init(&rwlock, NULL));
	all(counts, 6);
	see("total %d %d", total[0], total[1]);
	all(takes_turns, 2);
	see("turns %d", turn);
	MUST(pthread_mutex_lock(&lock));
	MUST(old___pthread_rwlock_rdlock(&rwlock));
	all(tries, 1);
	MUST(pthread_rwlock_unlock(&rwlock));
	MUST(old___pthread_mutex_unlock(&lock));
	SEE_ERROR(old___pthread_mutex_destroy(&lock));
	SEE_ERROR(old___pthread_rwlock_destroy(&rwlock));
	owner_dies();
	return 0;
}
