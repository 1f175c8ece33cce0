/* SPDX-License-Identifier: MIT */
/*
 * One takes a lock again as soon as it has let it go, and sleeps meanwhile: the
 * others get it all the same.  On plain threads they may wait very long.
 */
#include "see.h"

#include <semaphore.h>
#include <threads.h>

#define OTHERS 5

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static mtx_t c11;
static sem_t sem;
static int waiting;

static void lock_mutex(void)
{
	MUST(pthread_mutex_lock(&mutex));
}

static void unlock_mutex(void)
{
	MUST(pthread_mutex_unlock(&mutex));
}

static void lock_recursive(void)
{
	MUST(pthread_mutex_lock(&recursive));
	MUST(pthread_mutex_lock(&recursive));
}

static void unlock_recursive(void)
{
	MUST(pthread_mutex_unlock(&recursive));
	MUST(pthread_mutex_unlock(&recursive));
}

static void lock_to_write(void)
{
	MUST(pthread_rwlock_wrlock(&rwlock));
}

static void lock_to_read(void)
{
	MUST(pthread_rwlock_rdlock(&rwlock));
}

static void unlock(void)
{
	MUST(pthread_rwlock_unlock(&rwlock));
}

static void lock_c11(void)
{
	EXPECT(mtx_lock(&c11) == thrd_success);
}

static void unlock_c11(void)
{
	EXPECT(mtx_unlock(&c11) == thrd_success);
}

static void take_permit(void)
{
	MUST_ERRNO(sem_wait(&sem));
}

static void give_permit(void)
{
	MUST_ERRNO(sem_post(&sem));
}

struct way {
	const char *name;
	void (*hog)(void), (*other)(void), (*end)(void);
};

static int left(void)
{
	return __atomic_load_n(&waiting, __ATOMIC_RELAXED);
}

static void *hogs(void *arg)
{
	struct way *way = arg;

	while (left()) {
		way->hog();
		linger();
		way->end();
	}
	return arg;
}

static void *others(void *arg)
{
	struct way *way = arg;

	way->other();
	linger();
	way->end();
	__atomic_sub_fetch(&waiting, 1, __ATOMIC_RELAXED);
	return arg;
}

static void by(struct way *way)
{
	pthread_t hog, rest[OTHERS];

	waiting = OTHERS;
	hog = start(hogs, way);
	for (int i = 0; i < OTHERS; i++)
		rest[i] = start(others, way);
	for (int i = 0; i < OTHERS; i++)
		join(rest[i]);
	join(hog);
	see("%s: all had it", way->name);
}

int main(void)
{
	struct way ways[] = {
		{"a mutex", lock_mutex, lock_mutex, unlock_mutex},
		{"a recursive one", lock_recursive, lock_recursive,
		 unlock_recursive},
		{"one of C11", lock_c11, lock_c11, unlock_c11},
		{"to write", lock_to_write, lock_to_write, unlock},
		{"to read, while it is written", lock_to_write, lock_to_read,
		 unlock},
		{"to write, while it is read", lock_to_read, lock_to_write,
		 unlock},
		{"a semaphore", take_permit, take_permit, give_permit},
	};

	EXPECT(mtx_init(&c11, mtx_plain) == thrd_success);
	MUST_ERRNO(sem_init(&sem, 0, 1));
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		by(&ways[i]);
	return 0;
}
