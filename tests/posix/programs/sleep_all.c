/* SPDX-License-Identifier: MIT */
/*
 * sleep_all.c - sleeping for a time and until a time, on each clock, and what
 * is left when a signal ends it.
 */
#include "wire.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <threads.h>

#define NOT_BEFORE(ms, call)                                                   \
	do {                                                                   \
		struct timespec due = in_ms(CLOCK_MONOTONIC, ms);              \
		see("%s: %d", #call, call);                                    \
		see("too soon: %d", !is_past(CLOCK_MONOTONIC, due));           \
	} while (0)

static void *for_a_time(void *arg)
{
	struct timespec some = {0, 20000000}, none = {0, 0};

	NOT_BEFORE(20, nanosleep(&some, NULL));
	NOT_BEFORE(0, nanosleep(&none, NULL));
	NOT_BEFORE(20, clock_nanosleep(CLOCK_MONOTONIC, 0, &some, NULL));
	NOT_BEFORE(20, clock_nanosleep(CLOCK_REALTIME, 0, &some, NULL));
	NOT_BEFORE(20, clock_nanosleep(CLOCK_BOOTTIME, 0, &some, NULL));
	NOT_BEFORE(20, usleep(20000));
	NOT_BEFORE(1000, (int)sleep(1));
	NOT_BEFORE(0, (int)sleep(0));
	NOT_BEFORE(20, thrd_sleep(&some, NULL));
	return arg;
}

static void *until(void *arg)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC,
					   CLOCK_BOOTTIME, CLOCK_TAI};

	for (int i = 0; i < 4; i++) {
		struct timespec t = in_ms(clocks[i], 20);
		SEE_ERROR(clock_nanosleep(clocks[i], TIMER_ABSTIME, &t, NULL));
		see("too soon: %d", !is_past(clocks[i], t));
		SEE_ERROR(clock_nanosleep(clocks[i], TIMER_ABSTIME, &t, NULL));
	}
	return arg;
}

static void *mistakes(void *arg)
{
	struct timespec much = {0, 1000000000}, negative = {-1, 0};

	SEE_ERRNO(nanosleep(&much, NULL));
	SEE_ERRNO(nanosleep(&negative, NULL));
	SEE_ERROR(clock_nanosleep(CLOCK_MONOTONIC, 0, &much, NULL));
	SEE_ERROR(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &negative,
				  NULL));
	SEE_ERROR(clock_nanosleep(1000, 0, &much, NULL));
	SEE_ERROR(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &much, NULL));
	return arg;
}

/* Whoever is ready first has slept least. */
static void *sleeps_its_time(void *arg)
{
	struct timespec t = {0, 0};
	char *order = arg;

	t.tv_nsec = 20000000L * order[1];
	nanosleep(&t, NULL);
	order[0] = 1;
	return NULL;
}

static void *many(void *arg)
{
	enum { COUNT = 200 };
	static pthread_t thread[COUNT];
	static char each[COUNT][2];
	int done = 0;

	for (int i = 0; i < COUNT; i++) {
		each[i][1] = 1 + i % 5;
		thread[i] = start(sleeps_its_time, each[i]);
	}
	for (int i = 0; i < COUNT; i++) {
		join(thread[i]);
		done += each[i][0];
	}
	see("%d have slept", done);
	return arg;
}

static volatile sig_atomic_t handled;
static int over;

static void on_signal(int number)
{
	(void)number;
	handled = 1;
}

static void see_left(const char *what, int result, struct timespec left)
{
	see("%s: %s, a part is left: %d", what, err(result),
	    left.tv_sec <= 1000 && left.tv_sec >= 900);
}

static void *is_interrupted(void *arg)
{
	struct timespec long_time = {1000, 0}, left = {0, 0}, before;
	int result;

	result = nanosleep(&long_time, &left) ? errno : 0;
	see_left("nanosleep", result, left);
	__atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&over, __ATOMIC_SEQ_CST) == 1)
		sched_yield();
	left.tv_sec = 0;
	result = clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, &left);
	see_left("clock_nanosleep", result, left);
	__atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&over, __ATOMIC_SEQ_CST) == 1)
		sched_yield();
	long_time = in_ms(CLOCK_MONOTONIC, 1000000);
	before = left;
	result = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &long_time,
				 &left);
	see("until: %s, untouched: %d", err(result),
	    left.tv_sec == before.tv_sec && left.tv_nsec == before.tv_nsec);
	__atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&over, __ATOMIC_SEQ_CST) == 1)
		sched_yield();
	unsigned rest = sleep(1000);
	see("sleep: a part is left: %d", rest >= 900 && rest <= 1000);
	__atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
	return arg;
}

/* A sleep is not restarted, whatever the handler's flags. */
static void *interrupted(void *arg)
{
	struct sigaction action = {.sa_handler = on_signal,
				   .sa_flags = SA_RESTART};

	MUST_ERRNO(sigaction(SIGUSR1, &action, NULL));
	pthread_t sleeper = start(is_interrupted, NULL);
	for (int i = 0; i < 4; i++) {
		__atomic_store_n(&over, 0, __ATOMIC_SEQ_CST);
		while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
			MUST(pthread_kill(sleeper, SIGUSR1));
			linger();
		}
	}
	join(sleeper);
	return arg;
}

int main(void)
{
	IN_THREAD(for_a_time);
	IN_MAIN(for_a_time);
	IN_THREAD(until);
	IN_THREAD(mistakes);
	IN_MAIN(many);
	IN_MAIN(interrupted);
	return 0;
}
