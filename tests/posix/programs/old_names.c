/* SPDX-License-Identifier: MIT */
/*
 * Older programs, and libraries, call the locks by names with two underscores,
 * of a version that is no longer linked.  They are the same locks.
 */
#include "see.h"

#include <dlfcn.h>

static void *find(const char *name)
{
	static const char *const versions[] = {"GLIBC_2.2.5", "GLIBC_2.17",
					       "GLIBC_2.34"};
	void *symbol = NULL;

	for (int i = 0; i < 3 && symbol == NULL; i++)
		symbol = dlvsym(RTLD_DEFAULT, name, versions[i]);
	see("%s: %s", name, symbol ? "there" : "not there");
	return symbol;
}

typedef int (*mutex_call)(pthread_mutex_t *);
typedef int (*rwlock_call)(pthread_rwlock_t *);

static mutex_call old_lock, old_trylock, old_unlock;
static rwlock_call old_rdlock, old_wrlock, old_rwunlock, old_tryrdlock,
	old_trywrlock;
static int (*old_once)(pthread_once_t *, void (*)(void));
static int (*old_key_create)(pthread_key_t *, void (*)(void *));
static int (*old_setspecific)(pthread_key_t, const void *);
static void *(*old_getspecific)(pthread_key_t);

static void find_all(void)
{
	old_lock = find("__pthread_mutex_lock");
	old_trylock = find("__pthread_mutex_trylock");
	old_unlock = find("__pthread_mutex_unlock");
	old_rdlock = find("__pthread_rwlock_rdlock");
	old_wrlock = find("__pthread_rwlock_wrlock");
	old_tryrdlock = find("__pthread_rwlock_tryrdlock");
	old_trywrlock = find("__pthread_rwlock_trywrlock");
	old_rwunlock = find("__pthread_rwlock_unlock");
	old_once = find("__pthread_once");
	old_key_create = find("__pthread_key_create");
	old_setspecific = find("__pthread_setspecific");
	old_getspecific = find("__pthread_getspecific");
}

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
	find_all();
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
