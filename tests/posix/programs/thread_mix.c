/* SPDX-License-Identifier: MIT */
/*
 * Threads do a bit of everything, at random, and what must not change does
 * not.  The seeds are always the same ones; what comes first is not.
 */
#include "see.h"

#include <semaphore.h>

#define THREADS  24
#define STEPS    200
#define ACCOUNTS 15
#define FUNDS    1000

/* Money, and its double: whoever holds the lock finds them equal. */
static struct account {
	long money, twice;
	pthread_mutex_t mutex;
	pthread_rwlock_t rwlock;
	pthread_spinlock_t spin;
	sem_t sem;
} accounts[ACCOUNTS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given = PTHREAD_COND_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static int tokens, ends[2], wrong;

static void is_wrong(void)
{
	__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}

/* Three in a row are mutexes of three kinds; then there are other locks. */
static void take(int i, bool to_write)
{
	struct account *a = &accounts[i];

	switch (i / 3) {
	case 0:
	case 1:
		MUST(pthread_mutex_lock(&a->mutex));
		break;
	case 2:
		MUST(to_write ? pthread_rwlock_wrlock(&a->rwlock)
			      : pthread_rwlock_rdlock(&a->rwlock));
		break;
	case 3:
		MUST_ERRNO(sem_wait(&a->sem));
		break;
	default:
		MUST(pthread_spin_lock(&a->spin));
	}
	if (a->money * 2 != a->twice)
		is_wrong();
}

static void give(int i)
{
	struct account *a = &accounts[i];

	switch (i / 3) {
	case 0:
	case 1:
		MUST(pthread_mutex_unlock(&a->mutex));
		break;
	case 2:
		MUST(pthread_rwlock_unlock(&a->rwlock));
		break;
	case 3:
		MUST_ERRNO(sem_post(&a->sem));
		break;
	default:
		MUST(pthread_spin_unlock(&a->spin));
	}
}

static void pay(int i, long money, bool dawdle)
{
	accounts[i].money += money;
	if (dawdle)
		sched_yield();
	accounts[i].twice += 2 * money;
}

static void transfer(unsigned *seed)
{
	int a = rand_r(seed) % ACCOUNTS, b = rand_r(seed) % ACCOUNTS;
	long money = rand_r(seed) % 100;
	bool dawdle = rand_r(seed) % 4 == 0;

	if (a == b)
		return;
	take(a < b ? a : b, true);
	take(a < b ? b : a, true);
	pay(a, -money, dawdle);
	pay(b, money, dawdle);
	give(a);
	give(b);
}

static void audit(unsigned *seed)
{
	int i = rand_r(seed) % ACCOUNTS;

	take(i, false);
	give(i);
}

static void rest(unsigned *seed)
{
	struct timespec brief = {.tv_sec = 0, .tv_nsec = rand_r(seed) % 100000};

	nanosleep(&brief, NULL);
}

static void through_a_pipe(unsigned *seed)
{
	char sent = (char)(rand_r(seed) % 2), got;

	MUST_ERRNO(write(ends[1], &sent, 1));
	MUST_ERRNO(read(ends[0], &got, 1));
}

/* One for somebody, one from somebody. */
static void swap_tokens(unsigned *seed)
{
	MUST(pthread_mutex_lock(&lock));
	tokens++;
	MUST(rand_r(seed) % 2 ? pthread_cond_signal(&given)
			      : pthread_cond_broadcast(&given));
	while (tokens == 0)
		MUST(pthread_cond_wait(&given, &lock));
	tokens--;
	MUST(pthread_mutex_unlock(&lock));
}

static void wait_a_little(unsigned *seed)
{
	struct timespec t = in_ms(CLOCK_REALTIME, rand_r(seed) % 2);
	int error = 0;

	MUST(pthread_mutex_lock(&lock));
	while (tokens == 0 && error == 0)
		error = pthread_cond_timedwait(&given, &lock, &t);
	if (error != 0 && (error != ETIMEDOUT || !is_past(CLOCK_REALTIME, t)))
		is_wrong();
	MUST(pthread_cond_signal(&given)); /* it may have been another's */
	MUST(pthread_mutex_unlock(&lock));
}

static void *child(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	transfer(&seed);
	return arg;
}

static void have_a_child(unsigned *seed)
{
	void *arg = (void *)(uintptr_t)rand_r(seed);

	if (join(start(child, arg)) != arg)
		is_wrong();
}

static void unlock(void *mutex)
{
	MUST(pthread_mutex_unlock(mutex));
}

static void *waits_for_ever(void *arg)
{
	MUST(pthread_mutex_lock(&lock));
	pthread_cleanup_push(unlock, &lock);
	for (;;)
		pthread_cond_wait(&never, &lock);
	pthread_cleanup_pop(0);
	return arg;
}

static void cancel_one(unsigned *seed)
{
	pthread_t thread = start(waits_for_ever, NULL);

	if (rand_r(seed) % 2)
		rest(seed);
	MUST(pthread_cancel(thread));
	if (join(thread) != PTHREAD_CANCELED)
		is_wrong();
}

static void (*const steps[])(unsigned *) = {
	transfer,    transfer,      transfer,     transfer,
	audit,       audit,         rest,         through_a_pipe,
	swap_tokens, wait_a_little, have_a_child, cancel_one};

static void *lives(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < STEPS; i++)
		steps[rand_r(&seed) % (sizeof(steps) / sizeof(steps[0]))](
			&seed);
	return NULL;
}

static void open_accounts(void)
{
	static const int kinds[] = {PTHREAD_MUTEX_NORMAL,
				    PTHREAD_MUTEX_RECURSIVE,
				    PTHREAD_MUTEX_ERRORCHECK};
	pthread_mutexattr_t attr;

	MUST(pthread_mutexattr_init(&attr));
	for (int i = 0; i < ACCOUNTS; i++) {
		struct account *a = &accounts[i];

		a->money = FUNDS;
		a->twice = 2 * FUNDS;
		MUST(pthread_mutexattr_settype(&attr, kinds[i % 3]));
		MUST(pthread_mutex_init(&a->mutex, &attr));
		MUST(pthread_rwlock_init(&a->rwlock, NULL));
		MUST(pthread_spin_init(&a->spin, PTHREAD_PROCESS_PRIVATE));
		MUST_ERRNO(sem_init(&a->sem, 0, 1));
	}
	MUST(pthread_mutexattr_destroy(&attr));
}

int main(void)
{
	pthread_t threads[THREADS];

	MUST_ERRNO(pipe(ends));
	open_accounts();
	for (unsigned seed = 1; seed <= 3; seed++) {
		long sum = 0;

		for (uintptr_t i = 0; i < THREADS; i++)
			threads[i] = start(lives, (void *)(seed * 1000 + i));
		for (int i = 0; i < THREADS; i++)
			join(threads[i]);
		for (int i = 0; i < ACCOUNTS; i++)
			sum += accounts[i].money;
		see("seed %u: %ld in all, %d tokens, %d wrong", seed, sum,
		    tokens, wrong);
	}
	return 0;
}
