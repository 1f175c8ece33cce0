/* SPDX-License-Identifier: MIT */
/*
 * Readers that come after a writer who waits: where writers are preferred they
 * wait for it, until it has had its turn or has given up.
 */
#include "see.h"

#define READERS 5

static pthread_rwlock_t lock;
static int writers, before;

static void *reads(void *arg)
{
	MUST(pthread_rwlock_rdlock(&lock));
	if (__atomic_load_n(&writers, __ATOMIC_RELAXED) == 0)
		__atomic_add_fetch(&before, 1, __ATOMIC_RELAXED);
	MUST(pthread_rwlock_unlock(&lock));
	return arg;
}

static void *writes(void *arg)
{
	MUST(pthread_rwlock_wrlock(&lock));
	__atomic_add_fetch(&writers, 1, __ATOMIC_RELAXED);
	MUST(pthread_rwlock_unlock(&lock));
	return arg;
}

static void *gives_up(void *arg)
{
	struct timespec soon = in_ms(CLOCK_MONOTONIC, 20);

	SEE_ERROR(pthread_rwlock_clockwrlock(&lock, CLOCK_MONOTONIC, &soon));
	EXPECT(is_past(CLOCK_MONOTONIC, soon));
	return arg;
}

/* The lock is read, and the writer waits for that. */
static pthread_t begin(void *(*writer)(void *))
{
	pthread_t thread;

	writers = before = 0;
	MUST(pthread_rwlock_rdlock(&lock));
	thread = start(writer, NULL);
	if (writer == writes)
		while (pthread_rwlock_tryrdlock(&lock) == 0) {
			MUST(pthread_rwlock_unlock(&lock));
			sched_yield();
		}
	return thread;
}

static void make(int kind)
{
	pthread_rwlockattr_t attr;

	MUST(pthread_rwlockattr_init(&attr));
	MUST(pthread_rwlockattr_setkind_np(&attr, kind));
	MUST(pthread_rwlock_init(&lock, &attr));
	MUST(pthread_rwlockattr_destroy(&attr));
}

static void start_readers(pthread_t readers[READERS])
{
	for (int i = 0; i < READERS; i++)
		readers[i] = start(reads, NULL);
}

static void end_all(pthread_t readers[READERS], pthread_t writer)
{
	for (int i = 0; i < READERS; i++)
		join(readers[i]);
	join(writer);
	see("%d before the writer", before);
}

static void wait_their_turn(void)
{
	pthread_t readers[READERS], writer;
	struct timespec soon = in_ms(CLOCK_REALTIME, 1);

	see("-- a writer who waits");
	writer = begin(writes);
	SEE_ERROR(pthread_rwlock_tryrdlock(&lock));
	SEE_ERROR(pthread_rwlock_timedrdlock(&lock, &soon));
	start_readers(readers);
	linger();
	MUST(pthread_rwlock_unlock(&lock));
	end_all(readers, writer);
}

/* The lock is read all the time. */
static void need_not_wait(void)
{
	pthread_t readers[READERS], writer;

	see("-- a writer who gives up");
	writer = begin(gives_up);
	linger();
	start_readers(readers);
	end_all(readers, writer);
	MUST(pthread_rwlock_unlock(&lock));
}

int main(void)
{
	make(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	for (int i = 0; i < 3; i++) {
		wait_their_turn();
		need_not_wait();
	}
	MUST(pthread_rwlock_destroy(&lock));
	return 0;
}
