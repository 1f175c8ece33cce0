/* SPDX-License-Identifier: MIT */
/*
 * signal_timer.c - timer_create: a signal for the process, for one thread, a
 * function in a new thread, or nothing.
 */
#include "prod.h"

#include <semaphore.h>
#include <sys/syscall.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static const struct itimerspec soon = {.it_value = {0, 20000000}};
static const struct itimerspec often = {{0, 3000000}, {0, 3000000}};

static siginfo_t seen;
static volatile pthread_t ran_in;

static void note(int number, siginfo_t *info, void *context)
{
	(void)context;
	seen = *info;
	ran_in = pthread_self();
	count_signal(number);
}

static timer_t timer_of(struct sigevent event)
{
	timer_t timer;

	MUST_ERRNO(timer_create(CLOCK_MONOTONIC, &event, &timer));
	return timer;
}

/* Nobody but main lets the signal in. */
static void *makes_a_timer(void *arg)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
				 .sigev_signo = SIGRTMIN,
				 .sigev_value.sival_int = 5};
	timer_t *timer = arg;

	*timer = timer_of(event);
	MUST_ERRNO(timer_settime(*timer, 0, &soon, NULL));
	return NULL;
}

static void a_signal(void)
{
	sigset_t set = only(SIGRTMIN), old;
	timer_t timer;

	handled_here = 0;
	MUST(pthread_sigmask(SIG_BLOCK, &set, &old));
	join(start(makes_a_timer, &timer));
	while (!handled_here)
		sigsuspend(&old);
	MUST(pthread_sigmask(SIG_SETMASK, &old, NULL));
	see("SI_TIMER: %d, value %d, in main: %d", seen.si_code == SI_TIMER,
	    seen.si_value.sival_int, pthread_equal(ran_in, pthread_self()));
	handled_here = 0;
	MUST_ERRNO(timer_settime(timer, 0, &often, NULL));
	while (handled_here < 5)
		pause();
	MUST_ERRNO(timer_delete(timer));
	see("5 times");
}

static void *has_its_own(void *arg)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
				 .sigev_signo = SIGRTMIN};

	event.sigev_notify_thread_id = syscall(SYS_gettid);
	timer_t timer = timer_of(event);
	handled_here = 0;
	MUST_ERRNO(timer_settime(timer, 0, &often, NULL));
	while (handled_here < 5)
		linger();
	see("here: %d", pthread_equal(ran_in, pthread_self()));
	MUST_ERRNO(timer_delete(timer));
	return arg;
}

static sem_t called;
static int value;

static void call(union sigval given)
{
	value += given.sival_int;
	linger();
	MUST_ERRNO(sem_post(&called));
}

static void *a_function(void *arg)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD,
				 .sigev_notify_function = call,
				 .sigev_value.sival_int = 7};

	MUST_ERRNO(sem_init(&called, 0, 0));
	timer_t timer = timer_of(event);
	struct timespec due = in_ms(CLOCK_MONOTONIC, 20);
	value = 0;
	MUST_ERRNO(timer_settime(timer, 0, &soon, NULL));
	MUST_ERRNO(sem_wait(&called));
	see("value %d, too soon: %d", value, !is_past(CLOCK_MONOTONIC, due));
	MUST_ERRNO(timer_settime(timer, 0, &soon, NULL));
	MUST_ERRNO(sem_wait(&called));
	see("value %d", value);
	MUST_ERRNO(timer_delete(timer));
	return arg;
}

static void *nothing(void *arg)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	struct itimerspec long_time = {.it_value = {1000, 0}}, left;
	timer_t timer = timer_of(event);

	MUST_ERRNO(timer_gettime(timer, &left));
	see("left: %ld", (long)left.it_value.tv_sec);
	MUST_ERRNO(timer_settime(timer, 0, &long_time, NULL));
	MUST_ERRNO(timer_gettime(timer, &left));
	see("left: %d", left.it_value.tv_sec >= 900);
	see("overrun: %d", timer_getoverrun(timer));
	MUST_ERRNO(timer_delete(timer));
	event.sigev_notify = 99;
	SEE_ERRNO(timer_create(CLOCK_MONOTONIC, &event, &timer));
	SEE_ERRNO(timer_create(1000, NULL, &timer));
	return arg;
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = note,
				   .sa_flags = SA_SIGINFO};

	MUST_ERRNO(sigaction(SIGRTMIN, &action, NULL));
	a_signal();
	join(start(has_its_own, NULL));
	has_its_own(NULL);
	join(start(a_function, NULL));
	a_function(NULL);
	join(start(nothing, NULL));
	return 0;
}
