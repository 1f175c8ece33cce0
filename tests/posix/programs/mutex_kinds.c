/* SPDX-License-Identifier: MIT */
/* Each kind of mutex: what its owner, and what another one, may do with it. */
#include "see.h"

static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t checked = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_mutex_t adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;

static const struct timespec bad = {.tv_sec = 1, .tv_nsec = 1000000000};

static int lock_until(pthread_mutex_t *m, clockid_t clock, long ms)
{
	struct timespec deadline = in_ms(clock, ms);
	int error;

	if (clock == CLOCK_REALTIME)
		error = pthread_mutex_timedlock(m, &deadline);
	else
		error = pthread_mutex_clocklock(m, clock, &deadline);
	if (error == ETIMEDOUT)
		EXPECT(is_past(clock, deadline));
	return error;
}

static int unlocked_if(pthread_mutex_t *m, int error)
{
	if (error == 0)
		MUST(pthread_mutex_unlock(m));
	return error;
}

static void *another_one(void *arg)
{
	pthread_mutex_t *m = arg;

	see("another one:");
	SEE_ERROR(pthread_mutex_trylock(m));
	SEE_ERROR(lock_until(m, CLOCK_REALTIME, 10));
	SEE_ERROR(lock_until(m, CLOCK_MONOTONIC, 10));
	SEE_ERROR(lock_until(m, CLOCK_REALTIME, -1000));
	SEE_ERROR(lock_until(m, CLOCK_MONOTONIC, -1000));
	SEE_ERROR(pthread_mutex_timedlock(m, &bad));
	SEE_ERROR(pthread_mutex_clocklock(m, CLOCK_MONOTONIC, &bad));
	SEE_ERROR(lock_until(m, CLOCK_PROCESS_CPUTIME_ID, 10));
	return NULL;
}

static void *unlocks(void *arg)
{
	see("unlocked by another one: %s", err(pthread_mutex_unlock(arg)));
	return NULL;
}

static void *takes(void *arg)
{
	MUST(pthread_mutex_lock(arg));
	MUST(pthread_mutex_unlock(arg));
	return arg;
}

/* It is locked: whoever waits now gets it after the owner. */
static void hand_over(pthread_mutex_t *m)
{
	pthread_t threads[10];
	int got = 0;

	for (int i = 0; i < 10; i++)
		threads[i] = start(takes, m);
	linger();
	MUST(pthread_mutex_unlock(m));
	for (int i = 0; i < 10; i++)
		got += join(threads[i]) == m;
	see("%d have got it", got);
}

static void lock_again(pthread_mutex_t *m, bool counts)
{
	int depth = 0;

	see("its owner:");
	SEE_ERROR(pthread_mutex_trylock(m));
	if (counts) {
		for (; depth < 1000; depth++)
			MUST(pthread_mutex_lock(m));
		MUST(pthread_mutex_trylock(m));
		for (depth += 2; depth > 0; depth--)
			MUST(pthread_mutex_unlock(m));
		return;
	}
	SEE_ERROR(lock_until(m, CLOCK_REALTIME, 10));
	SEE_ERROR(lock_until(m, CLOCK_MONOTONIC, 10));
}

/* The kinds that know their owner. */
static bool is_strict(int kind)
{
	return kind == PTHREAD_MUTEX_ERRORCHECK ||
	       kind == PTHREAD_MUTEX_RECURSIVE;
}

static void use(const char *name, pthread_mutex_t *m, int kind)
{
	see("-- %s", name);
	MUST(pthread_mutex_lock(m));
	lock_again(m, kind == PTHREAD_MUTEX_RECURSIVE);
	if (kind == PTHREAD_MUTEX_ERRORCHECK)
		SEE_ERROR(pthread_mutex_lock(m));
	join(start(another_one, m));
	if (is_strict(kind))
		join(start(unlocks, m));
	SEE_ERROR(pthread_mutex_destroy(m));
	hand_over(m);
	if (is_strict(kind))
		SEE_ERROR(pthread_mutex_unlock(m));
	see("free:");
	SEE_ERROR(unlocked_if(m, lock_until(m, CLOCK_REALTIME, -1000)));
	SEE_ERROR(unlocked_if(m, lock_until(m, CLOCK_MONOTONIC, -1000)));
	SEE_ERROR(unlocked_if(m, pthread_mutex_timedlock(m, &bad)));
	SEE_ERROR(unlocked_if(m, lock_until(m, CLOCK_PROCESS_CPUTIME_ID, 10)));
}

static void make_and_use(const char *name, int kind)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	int got;

	MUST(pthread_mutexattr_init(&attr));
	MUST(pthread_mutexattr_settype(&attr, kind));
	MUST(pthread_mutexattr_gettype(&attr, &got));
	MUST(pthread_mutex_init(&m, &attr));
	MUST(pthread_mutexattr_destroy(&attr));
	EXPECT(got == kind);
	use(name, &m, kind);
	SEE_ERROR(pthread_mutex_destroy(&m));
}

static void *all(void *arg)
{
	use("static", &plain, PTHREAD_MUTEX_NORMAL);
	use("static recursive", &recursive, PTHREAD_MUTEX_RECURSIVE);
	use("static errorcheck", &checked, PTHREAD_MUTEX_ERRORCHECK);
	use("static adaptive", &adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
	make_and_use("normal", PTHREAD_MUTEX_NORMAL);
	make_and_use("default", PTHREAD_MUTEX_DEFAULT);
	make_and_use("recursive", PTHREAD_MUTEX_RECURSIVE);
	make_and_use("errorcheck", PTHREAD_MUTEX_ERRORCHECK);
	make_and_use("adaptive", PTHREAD_MUTEX_ADAPTIVE_NP);
	return arg;
}

static void attributes(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	int kind, shared, robust, protocol, ceiling;

	MUST(pthread_mutexattr_init(&attr));
	MUST(pthread_mutexattr_gettype(&attr, &kind));
	MUST(pthread_mutexattr_getpshared(&attr, &shared));
	MUST(pthread_mutexattr_getrobust(&attr, &robust));
	MUST(pthread_mutexattr_getprotocol(&attr, &protocol));
	see("-- from the start: %d %d %d %d", kind, shared, robust, protocol);
	SEE_ERROR(pthread_mutexattr_settype(&attr, 77));
	SEE_ERROR(pthread_mutexattr_setpshared(&attr, 77));
	SEE_ERROR(pthread_mutexattr_setrobust(&attr, 77));
	SEE_ERROR(pthread_mutexattr_setprotocol(&attr, 77));
	MUST(pthread_mutex_init(&m, &attr));
	SEE_ERROR(pthread_mutex_getprioceiling(&m, &ceiling));
	SEE_ERROR(pthread_mutex_setprioceiling(&m, 1, &ceiling));
	SEE_ERROR(pthread_mutex_consistent(&m));
	MUST(pthread_mutex_destroy(&m));
	MUST(pthread_mutexattr_destroy(&attr));
}

int main(void)
{
	see("== in main");
	all(NULL);
	see("== in a thread");
	join(start(all, NULL));
	attributes();
	return 0;
}
