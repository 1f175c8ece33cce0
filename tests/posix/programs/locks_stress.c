/* SPDX-License-Identifier: MIT */
/*
 * Threads and main use locks of all kinds at random; what they count under them
 * is what each has counted for itself.  WEFT_SEED=n does the same again.
 */
#include "see.h"

#include <semaphore.h>
#include <threads.h>

#define THREADS 12 /* and main */
#define ALL     (THREADS + 1)
#define PHASES  12
#define TURNS   300
#define PERMITS 3

/* --- random numbers, each thread its own --- */

struct self {
	uint64_t random;
	long counts[16];
};

static unsigned below(struct self *me, unsigned n)
{
	me->random ^= me->random << 13;
	me->random ^= me->random >> 7;
	me->random ^= me->random << 17;
	return (me->random >> 33) % n;
}

/* Mostly nothing, at times long enough for others to come and wait. */
static void dawdle(struct self *me)
{
	switch (below(me, 60)) {
	case 0:
		linger();
		break;
	case 1:
	case 2:
	case 3:
		sched_yield();
	}
}

static struct timespec soon(struct self *me, clockid_t clock)
{
	return in_ms(clock, (long)below(me, 3) - 1);
}

/* --- what is locked --- */

static pthread_mutex_t mutexes[4] = {PTHREAD_MUTEX_INITIALIZER,
				     PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
				     PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP,
				     PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP};
static pthread_rwlock_t rwlocks[2] = {
	PTHREAD_RWLOCK_INITIALIZER,
	PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP};
static pthread_spinlock_t spin;
static mtx_t c11;
static sem_t permits;
static pthread_barrier_t barrier;
static pthread_once_t onces[PHASES];

static long totals[16]; /* by object, under its lock */
static long pairs[2][2];
static long torn, crowd, crowded, serial, behind;
static int phase;

enum object {
	MUTEX = 0,
	RWLOCK = MUTEX + 4,
	SPIN = RWLOCK + 2,
	C11,
	ONCE,
	OBJECTS,
};

/* --- mutexes --- */

static void lock(struct self *me, pthread_mutex_t *m)
{
	struct timespec t;

	switch (below(me, 4)) {
	case 0:
		while (pthread_mutex_trylock(m) != 0)
			sched_yield();
		break;
	case 1:
		do
			t = soon(me, CLOCK_REALTIME);
		while (pthread_mutex_timedlock(m, &t) == ETIMEDOUT);
		break;
	case 2:
		do
			t = soon(me, CLOCK_MONOTONIC);
		while (pthread_mutex_clocklock(m, CLOCK_MONOTONIC, &t) ==
		       ETIMEDOUT);
		break;
	default:
		MUST(pthread_mutex_lock(m));
	}
}

static void use_mutex(struct self *me, int i)
{
	pthread_mutex_t *m = &mutexes[i];
	bool twice = i == 1 && below(me, 2);

	lock(me, m);
	if (twice)
		lock(me, m);
	totals[MUTEX + i]++;
	me->counts[MUTEX + i]++;
	dawdle(me);
	if (twice)
		MUST(pthread_mutex_unlock(m));
	MUST(pthread_mutex_unlock(m));
}

static void use_c11(struct self *me)
{
	struct timespec t;

	if (below(me, 2)) {
		EXPECT(mtx_lock(&c11) == thrd_success);
	} else {
		do
			t = soon(me, CLOCK_REALTIME);
		while (mtx_timedlock(&c11, &t) == thrd_timedout);
	}
	totals[C11]++;
	me->counts[C11]++;
	dawdle(me);
	EXPECT(mtx_unlock(&c11) == thrd_success);
}

static void use_spin(struct self *me)
{
	MUST(pthread_spin_lock(&spin));
	totals[SPIN]++;
	me->counts[SPIN]++;
	if (below(me, 100) == 0)
		sched_yield();
	MUST(pthread_spin_unlock(&spin));
}

/* --- read-write locks --- */

static void lock_to_write(struct self *me, pthread_rwlock_t *l)
{
	struct timespec t;

	switch (below(me, 3)) {
	case 0:
		do
			t = soon(me, CLOCK_MONOTONIC);
		while (pthread_rwlock_clockwrlock(l, CLOCK_MONOTONIC, &t) ==
		       ETIMEDOUT);
		break;
	case 1:
		while (pthread_rwlock_trywrlock(l) != 0)
			sched_yield();
		break;
	default:
		MUST(pthread_rwlock_wrlock(l));
	}
}

static void lock_to_read(struct self *me, pthread_rwlock_t *l)
{
	struct timespec t;

	switch (below(me, 3)) {
	case 0:
		do
			t = soon(me, CLOCK_REALTIME);
		while (pthread_rwlock_timedrdlock(l, &t) == ETIMEDOUT);
		break;
	case 1:
		while (pthread_rwlock_tryrdlock(l) != 0)
			sched_yield();
		break;
	default:
		MUST(pthread_rwlock_rdlock(l));
	}
}

static void use_to_write(struct self *me, int i)
{
	lock_to_write(me, &rwlocks[i]);
	pairs[i][0]++;
	dawdle(me);
	pairs[i][1]++;
	totals[RWLOCK + i]++;
	me->counts[RWLOCK + i]++;
	MUST(pthread_rwlock_unlock(&rwlocks[i]));
}

static void use_to_read(struct self *me, int i)
{
	bool twice = i == 0 && below(me, 4) == 0;

	lock_to_read(me, &rwlocks[i]);
	long before = pairs[i][0];
	dawdle(me);
	if (twice)
		MUST(pthread_rwlock_rdlock(&rwlocks[i]));
	if (before != pairs[i][1] || before != pairs[i][0])
		__atomic_add_fetch(&torn, 1, __ATOMIC_RELAXED);
	if (twice)
		MUST(pthread_rwlock_unlock(&rwlocks[i]));
	MUST(pthread_rwlock_unlock(&rwlocks[i]));
}

/* --- a semaphore --- */

static void use_permit(struct self *me)
{
	struct timespec t;

	switch (below(me, 3)) {
	case 0:
		while (sem_trywait(&permits) != 0)
			sched_yield();
		break;
	case 1:
		do
			t = soon(me, CLOCK_MONOTONIC);
		while (sem_clockwait(&permits, CLOCK_MONOTONIC, &t) != 0);
		break;
	default:
		MUST_ERRNO(sem_wait(&permits));
	}
	if (__atomic_add_fetch(&crowd, 1, __ATOMIC_RELAXED) > PERMITS)
		__atomic_add_fetch(&crowded, 1, __ATOMIC_RELAXED);
	dawdle(me);
	__atomic_sub_fetch(&crowd, 1, __ATOMIC_RELAXED);
	MUST_ERRNO(sem_post(&permits));
}

/* --- a queue of tokens, with a condition --- */

static pthread_mutex_t queue = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static long tokens, taken, lost;

static void put(struct self *me)
{
	bool all = below(me, 8) == 0;

	MUST(pthread_mutex_lock(&queue));
	tokens++;
	if (all)
		MUST(pthread_cond_broadcast(&filled));
	else if (below(me, 2))
		MUST(pthread_cond_signal(&filled));
	else
		all = true;
	MUST(pthread_mutex_unlock(&queue));
	if (all)
		MUST(pthread_cond_signal(&filled));
}

static void get(struct self *me)
{
	MUST(pthread_mutex_lock(&queue));
	while (tokens == 0) {
		struct timespec t = in_ms(CLOCK_REALTIME, below(me, 2));

		if (below(me, 2))
			pthread_cond_timedwait(&filled, &queue, &t);
		else
			MUST(pthread_cond_wait(&filled, &queue));
	}
	tokens--;
	taken++;
	MUST(pthread_mutex_unlock(&queue));
}

/* Others wait too, take none, and are cancelled: one in each phase. */
static pthread_t waiters[PHASES];
static int cancelled;

static void let_go(void *arg)
{
	(void)arg;
	if (pthread_mutex_trylock(&queue) == 0)
		lost++;
	MUST(pthread_mutex_unlock(&queue));
}

static void *waits_in_vain(void *arg)
{
	MUST(pthread_mutex_lock(&queue));
	pthread_cleanup_push(let_go, NULL);
	for (;;) {
		MUST(pthread_cond_wait(&filled, &queue));
		if (tokens)
			MUST(pthread_cond_signal(&filled));
	}
	pthread_cleanup_pop(0);
	return arg;
}

static void cancel(pthread_t waiter)
{
	MUST(pthread_cancel(waiter));
	cancelled += join(waiter) == PTHREAD_CANCELED;
}

/* --- all of it --- */

static void count_once(void)
{
	linger();
	totals[ONCE]++;
}

static void turn(struct self *me)
{
	unsigned what = below(me, 16);

	if (what < 4)
		use_mutex(me, what);
	else if (what < 7)
		use_to_read(me, what % 2);
	else if (what < 9)
		use_to_write(me, what % 2);
	else if (what < 11)
		use_permit(me);
	else if (what < 12)
		use_spin(me);
	else if (what < 13)
		use_c11(me);
	else
		put(me);
	if (what >= 13)
		get(me);
}

/* All are in the same phase, and see what was done before it. */
static void meet(void)
{
	if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
		serial++;
		phase++;
	}
	pthread_barrier_wait(&barrier);
}

static struct self selves[ALL]; /* the last is main's */

static void *play(void *arg)
{
	struct self *me = arg;

	for (int p = 0; p < PHASES; p++) {
		if (me == &selves[THREADS])
			cancel(waiters[p]);
		MUST(pthread_once(&onces[p], count_once));
		if (totals[ONCE] != p + 1 || phase != p)
			__atomic_add_fetch(&behind, 1, __ATOMIC_RELAXED);
		for (int i = 0; i < TURNS; i++)
			turn(me);
		meet();
	}
	return arg;
}

static uint64_t seed(void)
{
	const char *given = getenv("WEFT_SEED");
	uint64_t n = given ? strtoull(given, NULL, 0)
			   : (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();

	fprintf(stderr, "WEFT_SEED=%llu\n", (unsigned long long)n);
	return n;
}

static void compare(const char *name, int first, int last)
{
	long wrong = 0, none = 0;

	for (int object = first; object <= last; object++) {
		long sum = 0;

		for (int i = 0; i < ALL; i++)
			sum += selves[i].counts[object];
		wrong += sum != totals[object];
		none += sum == 0;
	}
	see("%s: %ld wrong, %ld unused", name, wrong, none);
}

int main(void)
{
	pthread_t threads[THREADS];
	uint64_t random = seed();

	MUST(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE));
	MUST(pthread_barrier_init(&barrier, NULL, ALL));
	MUST_ERRNO(sem_init(&permits, 0, PERMITS));
	EXPECT(mtx_init(&c11, mtx_timed) == thrd_success);
	for (int i = 0; i < ALL; i++)
		selves[i].random = (random + i + 1) * 0x9e3779b97f4a7c15;
	for (int i = 0; i < PHASES; i++)
		waiters[i] = start(waits_in_vain, NULL);
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(play, &selves[i]);
	play(&selves[THREADS]);
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
	compare("mutexes", MUTEX, MUTEX + 3);
	compare("read-write locks", RWLOCK, RWLOCK + 1);
	compare("a spin lock", SPIN, SPIN);
	compare("a mutex of C11", C11, C11);
	see("torn %ld, too many at once %ld, behind %ld", torn, crowded,
	    behind);
	see("once %ld, serial %ld", totals[ONCE], serial);
	see("tokens left %ld, lost %ld, cancelled %d", tokens, lost, cancelled);
	return 0;
}
