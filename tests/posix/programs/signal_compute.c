/* SPDX-License-Identifier: MIT */
/*
 * signal_compute.c - signals to threads that compute, and call nothing: each is
 * handled all the same, so a collector can stop a world that never waits.
 */
#include "wire.h"
#include "prod.h"

#include <semaphore.h>
#include <threads.h>

enum { THREADS = 4, ROUNDS = 5, SUSPEND = SIGUSR1, RESTART = SIGUSR2 };

static volatile sig_atomic_t ended;
static __thread volatile sig_atomic_t came;
static volatile unsigned sink;

static void count(int number)
{
	(void)number;
	came++;
}

static void until_it_comes(int times)
{
	while (came < times)
		sink++;
}

/* --- where it computes --- */

static void *in_a_loop(void *arg)
{
	*(volatile bool *)arg = true;
	until_it_comes(1);
	return NULL;
}

static int c11(void *arg)
{
	in_a_loop(arg);
	return 0;
}

static int compares(const void *a, const void *b)
{
	until_it_comes(1);
	return *(const char *)a - *(const char *)b;
}

static void *in_a_call_of_libc(void *arg)
{
	char letters[] = "weft";

	*(volatile bool *)arg = true;
	qsort(letters, strlen(letters), 1, compares);
	see("sorted: %s", letters);
	return NULL;
}

static void *deep(void *arg)
{
	static __thread int depth;
	volatile char frame[512];

	frame[0] = 1;
	if (++depth < 50)
		deep(arg);
	else
		in_a_loop(arg);
	return frame[0] ? arg : NULL;
}

static void await(const volatile bool *computes)
{
	while (!*computes)
		sched_yield();
}

static void see_one(const char *where, void *(*run)(void *))
{
	volatile bool computes = false;
	pthread_t thread = start(run, (void *)&computes);

	await(&computes);
	MUST(pthread_kill(thread, SIGUSR1));
	join(thread);
	see("%s: handled", where);
}

static void see_c11(void)
{
	volatile bool computes = false;
	thrd_t thread;

	EXPECT(thrd_create(&thread, c11, (void *)&computes) == thrd_success);
	await(&computes);
	MUST(pthread_kill(thread, SIGUSR1));
	EXPECT(thrd_join(thread, NULL) == thrd_success);
	see("in a thread of C11: handled");
}

/* The handler computes until the next signal has been handled. */
static void waits_for_another(int number)
{
	(void)number;
	*(volatile sig_atomic_t *)&ended = 1;
	until_it_comes(1);
	came++;
}

static void *in_a_handler(void *arg)
{
	*(volatile bool *)arg = true;
	until_it_comes(2);
	return NULL;
}

static void see_nested(void)
{
	volatile bool computes = false;
	pthread_t thread;

	handle(SIGUSR2, waits_for_another, 0);
	thread = start(in_a_handler, (void *)&computes);
	await(&computes);
	MUST(pthread_kill(thread, SIGUSR2));
	while (!ended)
		sched_yield();
	MUST(pthread_kill(thread, SIGUSR1));
	join(thread);
	see("in a handler: handled");
	ended = 0;
}

/* --- many, whose handlers wait --- */

static void waits_briefly(int number)
{
	struct timespec brief = {0, 200000};

	count(number);
	nanosleep(&brief, NULL);
}

static void *computes_and_waits(void *arg)
{
	struct timespec brief = {0, 1000};

	while (!ended) {
		for (int i = 0; arg && i < 2000; i++)
			sink++;
		nanosleep(&brief, NULL);
	}
	return NULL;
}

/* Meanwhile every thread still hears of what concerns the process. */
static void see_many(void)
{
	struct timespec brief = {0, 100000};
	pthread_t threads[THREADS];

	handle(SIGRTMIN + 3, waits_briefly, 0);
	ended = 0;
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(computes_and_waits, i % 2 ? threads : NULL);
	for (int i = 0; i < 2000; i++) {
		MUST(pthread_kill(threads[i % THREADS], SIGRTMIN + 3));
		nanosleep(&brief, NULL);
		if (i % 50 == 0)
			MUST_ERRNO(setgid(getgid()));
	}
	see("many: handled, and told");
	ended = 1;
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
	ended = 0;
}

/* --- the world is stopped, and goes on --- */

static sem_t stopped;
static volatile sig_atomic_t world_goes_on;
static unsigned counted[THREADS];

static void stop(int number)
{
	int saved = errno;
	sigset_t all_but_restart;

	(void)number;
	sem_post(&stopped);
	sigfillset(&all_but_restart);
	sigdelset(&all_but_restart, RESTART);
	do
		sigsuspend(&all_but_restart);
	while (!world_goes_on);
	sem_post(&stopped);
	errno = saved;
}

static void go_on(int number)
{
	(void)number;
}

/* It calls something at times, and has a lock in the middle of it. */
static void *mutates(void *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	unsigned *mine = arg;

	while (!ended) {
		++*(volatile unsigned *)mine;
		if (*mine % 4096)
			continue;
		free(malloc(100));
		pthread_mutex_lock(&lock);
		sink++;
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void to_all(const pthread_t *threads, int number)
{
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_kill(threads[i], number));
	for (int i = 0; i < THREADS; i++)
		while (sem_wait(&stopped) == -1)
			EXPECT(errno == EINTR);
}

static void *collects(void *arg)
{
	pthread_t *threads = arg;
	unsigned before[THREADS];

	for (int round = 0; round < ROUNDS; round++) {
		world_goes_on = 0;
		to_all(threads, SUSPEND);
		memcpy(before, counted, sizeof before);
		for (int i = 0; i < 10000; i++)
			sink++;
		EXPECT(memcmp(before, counted, sizeof before) == 0);
		world_goes_on = 1;
		to_all(threads, RESTART);
	}
	return NULL;
}

static void see_world(bool from_main)
{
	struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
	pthread_t threads[THREADS];

	sigfillset(&action.sa_mask);
	MUST_ERRNO(sigaction(SUSPEND, &action, NULL));
	handle(RESTART, go_on, SA_RESTART);
	sem_init(&stopped, 0, 0);
	ended = 0;
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(mutates, &counted[i]);
	if (from_main)
		collects(threads);
	else
		join(start(collects, threads));
	ended = 1;
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
	see("the world was stopped %d times", ROUNDS);
}

int main(void)
{
	handle(SIGUSR1, count, 0);
	see_one("in a loop", in_a_loop);
	see_one("in a call of libc's", in_a_call_of_libc);
	see_one("deep", deep);
	see_c11();
	see_nested();
	see_many();
	see_world(true);
	see_world(false);
	return 0;
}
