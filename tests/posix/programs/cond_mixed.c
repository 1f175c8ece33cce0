/* SPDX-License-Identifier: MIT */
/* Conditions of each kind with mutexes of each kind. */
#include "see.h"

#define THREADS 6
#define TURNS   20

struct kind {
	const char *name;
	int type, robust, protocol, shared;
};

static const struct kind kinds[] = {
	{"normal", PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED,
	 PTHREAD_PRIO_NONE, PTHREAD_PROCESS_PRIVATE},
	{"errorcheck", PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED,
	 PTHREAD_PRIO_NONE, PTHREAD_PROCESS_PRIVATE},
	{"recursive", PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED,
	 PTHREAD_PRIO_NONE, PTHREAD_PROCESS_PRIVATE},
	{"shared", PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED,
	 PTHREAD_PRIO_NONE, PTHREAD_PROCESS_SHARED},
	{"robust", PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST,
	 PTHREAD_PRIO_NONE, PTHREAD_PROCESS_PRIVATE},
	{"inheriting", PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED,
	 PTHREAD_PRIO_INHERIT, PTHREAD_PROCESS_PRIVATE},
};

static pthread_mutex_t lock;
static pthread_cond_t cond;
static long turn, waiting;
static bool on;

static void make(const struct kind *kind, int shared, clockid_t clock)
{
	pthread_mutexattr_t m;
	pthread_condattr_t c;

	MUST(pthread_mutexattr_init(&m));
	MUST(pthread_mutexattr_settype(&m, kind->type));
	MUST(pthread_mutexattr_setrobust(&m, kind->robust));
	MUST(pthread_mutexattr_setprotocol(&m, kind->protocol));
	MUST(pthread_mutexattr_setpshared(&m, kind->shared));
	MUST(pthread_mutex_init(&lock, &m));
	MUST(pthread_mutexattr_destroy(&m));
	MUST(pthread_condattr_init(&c));
	MUST(pthread_condattr_setpshared(&c, shared));
	MUST(pthread_condattr_setclock(&c, clock));
	MUST(pthread_cond_init(&cond, &c));
	MUST(pthread_condattr_destroy(&c));
	turn = waiting = 0;
	on = false;
}

/* Each waits for its turn. */
static void *takes_turns(void *arg)
{
	long me = (long)(intptr_t)arg;

	MUST(pthread_mutex_lock(&lock));
	for (int i = 0; i < TURNS; i++) {
		while (turn % THREADS != me)
			MUST(pthread_cond_wait(&cond, &lock));
		turn++;
		MUST(pthread_cond_broadcast(&cond));
	}
	MUST(pthread_mutex_unlock(&lock));
	return arg;
}

/* A signal for each that waits, after the mutex has been unlocked. */
static void *waits_for_one(void *arg)
{
	MUST(pthread_mutex_lock(&lock));
	waiting++;
	while (turn == 0)
		MUST(pthread_cond_wait(&cond, &lock));
	turn--;
	MUST(pthread_mutex_unlock(&lock));
	return arg;
}

static void one_by_one(void)
{
	pthread_t threads[THREADS];
	long all;

	turn = 0;
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(waits_for_one, NULL);
	do {
		sched_yield();
		MUST(pthread_mutex_lock(&lock));
		all = waiting;
		MUST(pthread_mutex_unlock(&lock));
	} while (all < THREADS);
	for (int i = 0; i < THREADS; i++) {
		MUST(pthread_mutex_lock(&lock));
		turn++;
		MUST(pthread_mutex_unlock(&lock));
		MUST(pthread_cond_signal(&cond));
	}
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
}

static void is_it_locked(void *arg)
{
	*(int *)arg = pthread_mutex_unlock(&lock);
}

static void *is_cancelled(void *arg)
{
	MUST(pthread_mutex_lock(&lock));
	pthread_cleanup_push(is_it_locked, arg);
	on = true;
	for (;;)
		MUST(pthread_cond_wait(&cond, &lock));
	pthread_cleanup_pop(0);
	return arg;
}

static void cancel_one(void)
{
	int unlocked = -1;
	pthread_t thread = start(is_cancelled, &unlocked);
	bool seen = false;
	void *result;

	while (!seen) {
		sched_yield();
		MUST(pthread_mutex_lock(&lock));
		seen = on;
		MUST(pthread_mutex_unlock(&lock));
	}
	MUST(pthread_cancel(thread));
	result = join(thread);
	see("cancelled: %d, unlocked: %s", result == PTHREAD_CANCELED,
	    err(unlocked));
}

static void wait_for_nothing(clockid_t clock)
{
	struct timespec soon = in_ms(clock, 5);
	int r;

	MUST(pthread_mutex_lock(&lock));
	do
		r = pthread_cond_timedwait(&cond, &lock, &soon);
	while (r == 0);
	see("timed: %s", err(r));
	EXPECT(is_past(clock, soon));
	soon = in_ms(CLOCK_MONOTONIC, 5);
	do
		r = pthread_cond_clockwait(&cond, &lock, CLOCK_MONOTONIC,
					   &soon);
	while (r == 0);
	see("by a clock: %s", err(r));
	EXPECT(is_past(CLOCK_MONOTONIC, soon));
	MUST(pthread_mutex_unlock(&lock));
}

static void together(const struct kind *kind, int shared)
{
	clockid_t clock = shared ? CLOCK_MONOTONIC : CLOCK_REALTIME;
	pthread_t threads[THREADS];

	see("-- a %s mutex, a %s condition", kind->name,
	    shared ? "shared" : "private");
	make(kind, shared, clock);
	for (intptr_t i = 0; i < THREADS; i++)
		threads[i] = start(takes_turns, (void *)i);
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
	see("turns: %ld", turn);
	one_by_one();
	see("left: %ld", turn);
	wait_for_nothing(clock);
	cancel_one();
	SEE_ERROR(pthread_cond_destroy(&cond));
	SEE_ERROR(pthread_mutex_destroy(&lock));
}

int main(void)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		together(&kinds[i], PTHREAD_PROCESS_PRIVATE);
		together(&kinds[i], PTHREAD_PROCESS_SHARED);
	}
	return 0;
}
