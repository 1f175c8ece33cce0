/* SPDX-License-Identifier: MIT */
/* Readers share, writers do not; every way to lock, every kind. */
#include "see.h"

#include <semaphore.h>

#define READERS 10

static pthread_barrier_t meet;
static sem_t held, go_on;

enum how { TIMED, CLOCK };

static int read_until(pthread_rwlock_t *l, enum how how, clockid_t clock,
		      long ms)
{
	struct timespec t = in_ms(clock, ms);
	int error = how == TIMED ? pthread_rwlock_timedrdlock(l, &t)
				 : pthread_rwlock_clockrdlock(l, clock, &t);

	if (error == ETIMEDOUT)
		EXPECT(is_past(clock, t));
	return error;
}

static int write_until(pthread_rwlock_t *l, enum how how, clockid_t clock,
		       long ms)
{
	struct timespec t = in_ms(clock, ms);
	int error = how == TIMED ? pthread_rwlock_timedwrlock(l, &t)
				 : pthread_rwlock_clockwrlock(l, clock, &t);

	if (error == ETIMEDOUT)
		EXPECT(is_past(clock, t));
	return error;
}

static int unlocked_if(pthread_rwlock_t *l, int error)
{
	if (error == 0)
		MUST(pthread_rwlock_unlock(l));
	return error;
}

/* Every way there is, while somebody else reads or writes. */
static void *tries(void *arg)
{
	pthread_rwlock_t *l = arg;
	struct timespec bad = {.tv_sec = 1, .tv_nsec = 1000000000};

	SEE_ERROR(unlocked_if(l, pthread_rwlock_tryrdlock(l)));
	SEE_ERROR(unlocked_if(l, read_until(l, TIMED, CLOCK_REALTIME, 10)));
	SEE_ERROR(unlocked_if(l, read_until(l, CLOCK, CLOCK_REALTIME, 10)));
	SEE_ERROR(unlocked_if(l, read_until(l, CLOCK, CLOCK_MONOTONIC, 10)));
	SEE_ERROR(unlocked_if(l, read_until(l, TIMED, CLOCK_REALTIME, -100)));
	SEE_ERROR(unlocked_if(l, pthread_rwlock_timedrdlock(l, &bad)));
	SEE_ERROR(unlocked_if(l, pthread_rwlock_trywrlock(l)));
	SEE_ERROR(unlocked_if(l, write_until(l, TIMED, CLOCK_REALTIME, 10)));
	SEE_ERROR(unlocked_if(l, write_until(l, CLOCK, CLOCK_REALTIME, 10)));
	SEE_ERROR(unlocked_if(l, write_until(l, CLOCK, CLOCK_MONOTONIC, 10)));
	SEE_ERROR(unlocked_if(l, write_until(l, TIMED, CLOCK_REALTIME, -100)));
	SEE_ERROR(unlocked_if(l, pthread_rwlock_timedwrlock(l, &bad)));
	SEE_ERROR(unlocked_if(
		l, write_until(l, CLOCK, CLOCK_PROCESS_CPUTIME_ID, 10)));
	return NULL;
}

static void *reads(void *arg)
{
	MUST(pthread_rwlock_rdlock(arg));
	pthread_barrier_wait(&meet); /* all of them hold it now */
	MUST(pthread_rwlock_unlock(arg));
	return NULL;
}

static void many_readers(pthread_rwlock_t *l)
{
	pthread_t readers[READERS];

	for (int i = 0; i < READERS; i++)
		readers[i] = start(reads, l);
	MUST(pthread_rwlock_rdlock(l));
	MUST(pthread_rwlock_rdlock(l));
	pthread_barrier_wait(&meet);
	MUST(pthread_rwlock_unlock(l));
	for (int i = 0; i < READERS; i++)
		join(readers[i]);
	see("%d readers at once", READERS + 1);
	MUST(pthread_rwlock_unlock(l));
}

static void *holds_to_write(void *arg)
{
	MUST(pthread_rwlock_wrlock(arg));
	sem_post(&held);
	sem_wait(&go_on);
	MUST(pthread_rwlock_unlock(arg));
	return NULL;
}

static void held_by_others(pthread_rwlock_t *l)
{
	pthread_t writer;

	see("free:");
	tries(l);
	see("while main reads:");
	MUST(pthread_rwlock_rdlock(l));
	join(start(tries, l));
	MUST(pthread_rwlock_unlock(l));
	see("while main writes:");
	MUST(pthread_rwlock_wrlock(l));
	join(start(tries, l));
	MUST(pthread_rwlock_unlock(l));
	see("while a thread writes:");
	writer = start(holds_to_write, l);
	sem_wait(&held);
	tries(l);
	sem_post(&go_on);
	join(writer);
}

static void *held_by_itself(void *arg)
{
	pthread_rwlock_t *l = arg;

	see("its own:");
	MUST(pthread_rwlock_wrlock(l));
	SEE_ERROR(pthread_rwlock_wrlock(l));
	SEE_ERROR(pthread_rwlock_rdlock(l));
	SEE_ERROR(pthread_rwlock_trywrlock(l));
	SEE_ERROR(pthread_rwlock_tryrdlock(l));
	SEE_ERROR(write_until(l, TIMED, CLOCK_REALTIME, 10));
	MUST(pthread_rwlock_unlock(l));
	MUST(pthread_rwlock_rdlock(l));
	SEE_ERROR(pthread_rwlock_trywrlock(l));
	SEE_ERROR(write_until(l, TIMED, CLOCK_REALTIME, 10));
	MUST(pthread_rwlock_unlock(l));
	return NULL;
}

static void *writes(void *arg)
{
	MUST(pthread_rwlock_wrlock(arg));
	MUST(pthread_rwlock_unlock(arg));
	return NULL;
}

static void *reads_too(void *arg)
{
	return (void *)(intptr_t)unlocked_if(arg,
					     pthread_rwlock_tryrdlock(arg));
}

/* With a writer in wait, only some kinds let another reader in. */
static void preference(pthread_rwlock_t *l, int kind)
{
	intptr_t error;

	MUST(pthread_rwlock_rdlock(l));
	pthread_t writer = start(writes, l);
	do
		error = (intptr_t)join(start(reads_too, l));
	while (kind == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP &&
	       error == 0);
	linger();
	error = (intptr_t)join(start(reads_too, l));
	see("one more reader before the writer: %s", err((int)error));
	MUST(pthread_rwlock_unlock(l));
	join(writer);
}

static pthread_rwlock_t *shared;
static long pair[2], torn;

static void *mixes(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		if ((i + (intptr_t)arg) % 5) {
			MUST(pthread_rwlock_rdlock(shared));
			if (pair[0] != pair[1])
				__atomic_add_fetch(&torn, 1, __ATOMIC_RELAXED);
		} else {
			MUST(pthread_rwlock_wrlock(shared));
			pair[0]++;
			if (i % 50 == 0)
				sched_yield();
			pair[1]++;
		}
		MUST(pthread_rwlock_unlock(shared));
	}
	return NULL;
}

static void mixture(pthread_rwlock_t *l)
{
	pthread_t threads[8];

	shared = l;
	pair[0] = pair[1] = 0;
	for (intptr_t i = 0; i < 8; i++)
		threads[i] = start(mixes, (void *)i);
	for (int i = 0; i < 8; i++)
		join(threads[i]);
	see("written %ld %ld, torn %ld", pair[0], pair[1], torn);
}

static void use(const char *name, pthread_rwlock_t *l, int kind)
{
	see("-- %s", name);
	many_readers(l);
	held_by_others(l);
	held_by_itself(l);
	join(start(held_by_itself, l));
	preference(l, kind);
	mixture(l);
	SEE_ERROR(pthread_rwlock_destroy(l));
}

static void make_and_use(const char *name, int kind)
{
	pthread_rwlockattr_t attr;
	pthread_rwlock_t l;
	int got;

	MUST(pthread_rwlockattr_init(&attr));
	MUST(pthread_rwlockattr_setkind_np(&attr, kind));
	MUST(pthread_rwlockattr_getkind_np(&attr, &got));
	EXPECT(got == kind);
	MUST(pthread_rwlock_init(&l, &attr));
	SEE_ERROR(pthread_rwlockattr_setkind_np(&attr, 77));
	SEE_ERROR(pthread_rwlockattr_setpshared(&attr, 77));
	MUST(pthread_rwlockattr_getpshared(&attr, &got));
	EXPECT(got == PTHREAD_PROCESS_PRIVATE);
	MUST(pthread_rwlockattr_destroy(&attr));
	use(name, &l, kind);
}

int main(void)
{
	static pthread_rwlock_t plain = PTHREAD_RWLOCK_INITIALIZER;
	static pthread_rwlock_t writers =
		PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
	pthread_rwlock_t l;

	sem_init(&held, 0, 0);
	sem_init(&go_on, 0, 0);
	MUST(pthread_barrier_init(&meet, NULL, READERS + 1));
	use("static", &plain, PTHREAD_RWLOCK_PREFER_READER_NP);
	use("static, writers first", &writers,
	    PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	MUST(pthread_rwlock_init(&l, NULL));
	use("without attributes", &l, PTHREAD_RWLOCK_PREFER_READER_NP);
	make_and_use("readers first", PTHREAD_RWLOCK_PREFER_READER_NP);
	make_and_use("writers first, by name", PTHREAD_RWLOCK_PREFER_WRITER_NP);
	make_and_use("writers first",
		     PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	return 0;
}
