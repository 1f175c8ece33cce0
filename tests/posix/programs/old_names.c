/* SPDX-License-Identifier: MIT */
/*
 * Older programs, and libraries, call the locks by names with two underscores,
 * of a version that is no longer linked.  They are the same locks.
 */
#include "see.h"

#ifdef __x86_64__
#define FIRST "GLIBC_2.2.5"
#else
#define FIRST "GLIBC_2.17"
#endif

/* What an old program refers to. */
#define OLD(type, mine, name, ...)                                             \
	type mine(__VA_ARGS__);                                                \
	__asm__(".symver " #mine "," #name "@" FIRST)

OLD(int, old_lock, __pthread_mutex_lock, pthread_mutex_t *);
OLD(int, old_trylock, __pthread_mutex_trylock, pthread_mutex_t *);
OLD(int, old_unlock, __pthread_mutex_unlock, pthread_mutex_t *);
OLD(int, old_rdlock, __pthread_rwlock_rdlock, pthread_rwlock_t *);
OLD(int, old_wrlock, __pthread_rwlock_wrlock, pthread_rwlock_t *);
OLD(int, old_tryrdlock, __pthread_rwlock_tryrdlock, pthread_rwlock_t *);
OLD(int, old_trywrlock, __pthread_rwlock_trywrlock, pthread_rwlock_t *);
OLD(int, old_rwunlock, __pthread_rwlock_unlock, pthread_rwlock_t *);
OLD(int, old_once, __pthread_once, pthread_once_t *, void (*)(void));
OLD(int, old_key_create, __pthread_key_create, pthread_key_t *,
    void (*)(void *));
OLD(int, old_setspecific, __pthread_setspecific, pthread_key_t, const void *);
OLD(void *, old_getspecific, __pthread_getspecific, pthread_key_t);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int total[2], turn, calls, destroyed;

/* Half of them use the old names, half the new ones, for one lock. */
static void *counts(void *arg)
{
	bool old = (intptr_t)arg % 2;

	for (int i = 0; i < 5000; i++) {
		MUST(old ? old_lock(&lock) : pthread_mutex_lock(&lock));
		total[0]++;
		if (i % 500 == 0)
			sched_yield();
		MUST(old ? pthread_mutex_unlock(&lock) : old_unlock(&lock));
		MUST(old ? pthread_rwlock_wrlock(&rwlock)
			 : old_wrlock(&rwlock));
		total[1]++;
		MUST(old ? old_rwunlock(&rwlock)
			 : pthread_rwlock_unlock(&rwlock));
	}
	return NULL;
}

static void *takes_turns(void *arg)
{
	int mine = (int)(intptr_t)arg;

	MUST(old_lock(&lock));
	for (int i = 0; i < 100; i++) {
		while (turn % 2 != mine)
			MUST(pthread_cond_wait(&cond, &lock));
		turn++;
		MUST(pthread_cond_broadcast(&cond));
	}
	MUST(old_unlock(&lock));
	return NULL;
}

static void *tries(void *arg)
{
	SEE_ERROR(old_trylock(&lock));
	SEE_ERROR(old_tryrdlock(&rwlock));
	SEE_ERROR(old_trywrlock(&rwlock));
	return arg;
}

static void call(void)
{
	linger();
	calls++;
}

static void destroy(void *value)
{
	destroyed += *(int *)value;
}

static void *calls_once(void *arg)
{
	bool old = arg != NULL;
	static int one = 1;

	MUST(old ? old_once(&once, call) : pthread_once(&once, call));
	EXPECT(calls == 1);
	MUST(old_setspecific(key, &one));
	EXPECT(old_getspecific(key) == pthread_getspecific(key));
	return arg;
}

static void all(void *(*run)(void *), int count)
{
	pthread_t threads[10];

	for (intptr_t i = 0; i < count; i++)
		threads[i] = start(run, (void *)(i % 2));
	for (int i = 0; i < count; i++)
		join(threads[i]);
}

int main(void)
{
	all(counts, 6);
	see("total %d %d", total[0], total[1]);
	all(takes_turns, 2);
	see("turns %d", turn);
	MUST(pthread_mutex_lock(&lock));
	MUST(old_rdlock(&rwlock));
	all(tries, 1);
	MUST(pthread_rwlock_unlock(&rwlock));
	MUST(old_unlock(&lock));
	MUST(old_key_create(&key, destroy));
	all(calls_once, 10);
	see("called %d times, destroyed %d", calls, destroyed);
	return 0;
}
