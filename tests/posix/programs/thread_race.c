/* SPDX-License-Identifier: MIT */
/*
 * What comes at the same time: threads made by many, cancelled while they are
 * given what they wait for, joined by one who is cancelled.
 */
#include "see.h"

#include <semaphore.h>
#include <signal.h>

#define CROWD  30
#define ROUNDS 30

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given = PTHREAD_COND_INITIALIZER;
static sem_t tokens, never;
static pthread_key_t key;
static int cond_tokens, destroyed;
static __thread int own = 5;

static void count(void *value)
{
	__atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
	free(value);
}

static void *child(void *arg)
{
	intptr_t wrong = own++ != 5 || pthread_getspecific(key) != NULL;

	MUST(pthread_setspecific(key, malloc(8)));
	if ((intptr_t)arg % 3 == 0)
		sched_yield();
	return (void *)wrong;
}

static void *makes_many(void *arg)
{
	intptr_t wrong = 0;
	pthread_t some[5];

	for (intptr_t i = 0; i < 300; i += 5) {
		for (int j = 0; j < 5; j++)
			some[j] = start(child, (void *)(i + j));
		for (int j = 0; j < 5; j++)
			wrong += (intptr_t)join(some[j]);
	}
	(void)arg;
	return (void *)wrong;
}

static void storm(void)
{
	pthread_t makers[8];
	intptr_t wrong = 0;

	for (int i = 0; i < 8; i++)
		makers[i] = start(makes_many, NULL);
	for (int i = 0; i < 8; i++)
		wrong += (intptr_t)join(makers[i]);
	see("8 make 300 each: %ld wrong, %d destroyed", (long)wrong, destroyed);
}

static void *waits(void *arg)
{
	MUST_ERRNO(sem_wait(&tokens));
	return arg;
}

/* A token is taken, or it is still there. */
static void tokens_of_a_semaphore(void)
{
	pthread_t threads[CROWD];
	int taken, left, wrong = 0;

	for (int round = 0; round < ROUNDS; round++) {
		taken = 0;
		for (int i = 0; i < CROWD; i++)
			threads[i] = start(waits, &tokens);
		for (int i = 0; i < CROWD; i++) {
			if (i % 2)
				sem_post(&tokens);
			MUST(pthread_cancel(threads[i]));
		}
		for (int i = 0; i < CROWD; i++)
			taken += join(threads[i]) != PTHREAD_CANCELED;
		MUST_ERRNO(sem_getvalue(&tokens, &left));
		wrong += taken + left != CROWD / 2;
		while (sem_trywait(&tokens) == 0)
			;
	}
	see("tokens of a semaphore: %d wrong", wrong);
}

static void unlock(void *mutex)
{
	MUST(pthread_mutex_unlock(mutex));
}

static void *waits_for_a_signal(void *arg)
{
	MUST(pthread_mutex_lock(&lock));
	pthread_cleanup_push(unlock, &lock);
	while (cond_tokens == 0)
		MUST(pthread_cond_wait(&given, &lock));
	cond_tokens--;
	pthread_cleanup_pop(1);
	return arg;
}

/*
 * Half are cancelled while as many tokens come as there are others.  Whoever
 * is cancelled must not take a signal along.
 */
static void signals_of_a_condition(void)
{
	pthread_t threads[CROWD];
	int taken, wrong = 0;

	for (int round = 0; round < ROUNDS; round++) {
		taken = 0;
		for (int i = 0; i < CROWD; i++)
			threads[i] = start(waits_for_a_signal, &lock);
		for (int i = 0; i < CROWD; i++) {
			if (i % 2) {
				MUST(pthread_cancel(threads[i]));
				continue;
			}
			MUST(pthread_mutex_lock(&lock));
			cond_tokens++;
			MUST(pthread_cond_signal(&given));
			MUST(pthread_mutex_unlock(&lock));
		}
		for (int i = 1; i < CROWD; i += 2)
			taken += join(threads[i]) != PTHREAD_CANCELED;
		/* Those have taken what others wait for. */
		MUST(pthread_mutex_lock(&lock));
		cond_tokens += taken;
		MUST(pthread_mutex_unlock(&lock));
		for (int i = 0; i < taken; i++)
			MUST(pthread_cond_signal(&given));
		for (int i = 0; i < CROWD; i += 2)
			wrong += join(threads[i]) != &lock;
		wrong += cond_tokens != 0;
	}
	see("signals of a condition: %d wrong", wrong);
}

static void *joins(void *arg)
{
	return join(*(pthread_t *)arg);
}

static void *sleeps(void *arg)
{
	sem_wait(&never);
	return arg;
}

/* Whoever joins is cancelled: the other one is joined by main. */
static void joiners(void)
{
	int wrong = 0;

	for (int round = 0; round < ROUNDS; round++) {
		pthread_t sleeper = start(sleeps, &never);
		pthread_t joiner = start(joins, &sleeper);

		if (round % 2)
			linger();
		MUST(pthread_cancel(joiner));
		wrong += join(joiner) != PTHREAD_CANCELED;
		sem_post(&never);
		wrong += join(sleeper) != &never;
	}
	see("joiners: %d wrong", wrong);
}

/* Some end by themselves just then. */
static void ends_or_is_cancelled(void)
{
	int wrong = 0;

	for (int i = 0; i < 500; i++) {
		pthread_t thread = start(waits, &tokens);

		sem_post(&tokens);
		if (i % 4 == 0)
			sched_yield();
		MUST(pthread_cancel(thread));
		void *result = join(thread);
		wrong += result != &tokens && result != PTHREAD_CANCELED;
		if (result == PTHREAD_CANCELED)
			MUST_ERRNO(sem_trywait(&tokens));
	}
	see("ended or cancelled: %d wrong", wrong);
}

static int handled;

static void handle(int signal)
{
	(void)signal;
	__atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

static void *looks(void *arg)
{
	int before = __atomic_load_n(&handled, __ATOMIC_RELAXED);

	sched_yield();
	(void)arg;
	return (void *)(intptr_t)(__atomic_load_n(&handled, __ATOMIC_RELAXED) -
				  before);
}

/* A signal for a thread that has ended is for no other one. */
static void late_signals(void)
{
	int wrong = 0;

	signal(SIGUSR1, handle);
	for (int round = 0; round < 200; round++) {
		pthread_t thread = start(child, NULL);

		if (round % 2)
			linger();
		wrong += pthread_kill(thread, SIGUSR1) != 0;
		join(thread);
		wrong += (intptr_t)join(start(looks, NULL)) != 0;
	}
	see("late signals: %d wrong", wrong);
}

int main(void)
{
	sem_init(&tokens, 0, 0);
	sem_init(&never, 0, 0);
	MUST(pthread_key_create(&key, count));
	storm();
	tokens_of_a_semaphore();
	signals_of_a_condition();
	joiners();
	ends_or_is_cancelled();
	late_signals();
	return 0;
}
