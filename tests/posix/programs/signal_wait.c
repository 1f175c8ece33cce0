/* SPDX-License-Identifier: MIT */
/*
 * signal_wait.c - threads that wait for signals instead of being interrupted by
 * them: sigwait and its kin, sigsuspend, signalfd.
 */
#include "wire.h"
#include "prod.h"

#include <semaphore.h>
#include <sys/signalfd.h>

static pthread_t waiter;

/* Everybody has blocked USR1, USR2 and the first real-time one. */
static sigset_t awaited;

static void *sends_to_waiter(void *arg)
{
	linger();
	MUST(pthread_kill(waiter, (intptr_t)arg));
	return NULL;
}

static void *sends_to_process(void *arg)
{
	linger();
	MUST_ERRNO(kill(getpid(), (intptr_t)arg));
	return NULL;
}

static const char *name(int number)
{
	return number == SIGUSR1    ? "USR1"
	       : number == SIGUSR2  ? "USR2"
	       : number == SIGRTMIN ? "RTMIN"
				    : err(errno);
}

static void *for_me(void *arg)
{
	siginfo_t info;
	int number = 0;

	waiter = pthread_self();
	pthread_t other = start(sends_to_waiter, (void *)SIGUSR1);
	SEE_ERROR(sigwait(&awaited, &number));
	see("%s", name(number));
	join(other);
	other = start(sends_to_waiter, (void *)SIGUSR2);
	see("%s", name(sigwaitinfo(&awaited, &info)));
	see("SI_USER: %d, from here: %d", info.si_code == SI_USER,
	    info.si_pid == getpid());
	join(other);
	/* What is pending already comes at once, by number. */
	MUST(raise(SIGUSR2));
	MUST(raise(SIGUSR1));
	SEE_ERROR(sigwait(&awaited, &number));
	see("%s", name(number));
	SEE_ERROR(sigwait(&awaited, &number));
	see("%s", name(number));
	for (int i = 1; i <= 3; i++)
		MUST(pthread_sigqueue(waiter, SIGRTMIN,
				      (union sigval){.sival_int = i}));
	for (int i = 1; i <= 3; i++) {
		see("%s", name(sigwaitinfo(&awaited, &info)));
		see("value %d", info.si_value.sival_int);
	}
	return arg;
}

static void *with_a_limit(void *arg)
{
	struct timespec limit = {0, 30000000}, none = {0, 0},
			wrong = {0, 1000000000}, long_time = {1000, 0};
	struct timespec due = in_ms(CLOCK_MONOTONIC, 30);

	see("%s", name(sigtimedwait(&awaited, NULL, &limit)));
	see("too soon: %d", !is_past(CLOCK_MONOTONIC, due));
	see("%s", name(sigtimedwait(&awaited, NULL, &none)));
	see("%s", name(sigtimedwait(&awaited, NULL, &wrong)));
	waiter = pthread_self();
	pthread_t other = start(sends_to_waiter, (void *)SIGUSR1);
	see("%s", name(sigtimedwait(&awaited, NULL, &long_time)));
	join(other);
	MUST(raise(SIGUSR2));
	see("%s", name(sigtimedwait(&awaited, NULL, &none)));
	return arg;
}

/* The usual arrangement: one thread takes what the process is sent. */
static void *for_the_process(void *arg)
{
	siginfo_t info;
	int number;

	for (int i = 0; i < 3; i++) {
		pthread_t other = start(sends_to_process, (void *)SIGUSR1);
		SEE_ERROR(sigwait(&awaited, &number));
		see("%s", name(number));
		join(other);
		other = start(sends_to_process, (void *)SIGUSR2);
		see("%s", name(sigwaitinfo(&awaited, &info)));
		see("SI_USER: %d, from here: %d", info.si_code == SI_USER,
		    info.si_pid == getpid());
		join(other);
	}
	for (int i = 1; i <= 3; i++)
		MUST_ERRNO(sigqueue(getpid(), SIGRTMIN,
				    (union sigval){.sival_int = i}));
	for (int i = 1; i <= 3; i++) {
		see("%s", name(sigwaitinfo(&awaited, &info)));
		see("value %d", info.si_value.sival_int);
	}
	return arg;
}

static int over;
static sem_t left_alone; /* nobody sends any more */

static void *suspends(void *arg)
{
	sigset_t all_but = awaited, now;

	sigdelset(&all_but, SIGUSR1);
	handled_here = 0;
	SEE_ERRNO(sigsuspend(&all_but));
	see("handled: %d", handled_here > 0);
	MUST(pthread_sigmask(SIG_BLOCK, NULL, &now));
	see("blocked again: %d", sigismember(&now, SIGUSR1));
	set(&over);
	MUST_ERRNO(sem_wait(&left_alone));
	/* One that is pending ends it at once. */
	handled_here = 0;
	MUST(raise(SIGUSR1));
	SEE_ERRNO(sigsuspend(&all_but));
	see("handled: %d", handled_here);
	return arg;
}

static void *suspended(void *arg)
{
	MUST_ERRNO(sem_init(&left_alone, 0, 0));
	over = 0;
	pthread_t thread = start(suspends, NULL);
	prod_until(thread, SIGUSR1, &over);
	MUST_ERRNO(sem_post(&left_alone));
	join(thread);
	return arg;
}

static void sends_it_again(int number)
{
	if (handled_here++ == 0)
		MUST(pthread_kill(pthread_self(), number));
}

/* What is sent while the handler runs is met by the mask from before. */
static void *suspends_once(void *arg)
{
	sigset_t all_but = awaited, now;

	sigdelset(&all_but, SIGUSR1);
	handle(SIGUSR1, sends_it_again, 0);
	handled_here = 0;
	MUST(raise(SIGUSR1));
	SEE_ERRNO(sigsuspend(&all_but));
	see("handled: %d", handled_here);
	MUST_ERRNO(sigpending(&now));
	see("pending: %d", sigismember(&now, SIGUSR1));
	SEE_ERRNO(sigsuspend(&all_but));
	see("handled: %d", handled_here);
	handle(SIGUSR1, count_signal, 0);
	return arg;
}

static void *waits_for_usr2(void *arg)
{
	sigset_t usr2 = only(SIGUSR2), term = only(SIGTERM);
	int number;

	MUST(pthread_sigmask(SIG_UNBLOCK, &term, NULL));
	see("%s", name(sigwaitinfo(&usr2, NULL)));
	set(&over);
	/* This one goes on after a handler. */
	SEE_ERROR(sigwait(&usr2, &number));
	see("%s, handled: %d", name(number), handled_here > 0);
	return arg;
}

static void *interrupted(void *arg)
{
	handle(SIGTERM, count_signal, 0);
	over = 0;
	pthread_t thread = start(waits_for_usr2, NULL);
	prod_until(thread, SIGTERM, &over);
	prod_times(thread, SIGTERM, 3);
	MUST(pthread_kill(thread, SIGUSR2));
	join(thread);
	handle(SIGTERM, SIG_DFL, 0);
	return arg;
}

static void *by_descriptor(void *arg)
{
	struct signalfd_siginfo info[4];
	int fd = signalfd(-1, &awaited, 0);

	MUST_ERRNO(fd);
	pthread_t other = start(sends_to_process, (void *)SIGUSR1);
	SEE_COUNT(read(fd, info, sizeof(info[0])));
	see("%s", name(info[0].ssi_signo));
	join(other);
	MUST_ERRNO(kill(getpid(), SIGUSR2));
	MUST_ERRNO(kill(getpid(), SIGUSR1));
	SEE_COUNT(read(fd, info, sizeof(info)));
	see("%s %s", name(info[0].ssi_signo), name(info[1].ssi_signo));
	MUST_ERRNO(fcntl(fd, F_SETFL, O_NONBLOCK));
	SEE_COUNT(read(fd, info, sizeof(info)));
	MUST_ERRNO(close(fd));
	return arg;
}

int main(void)
{
	awaited = only(SIGUSR1);
	sigaddset(&awaited, SIGUSR2);
	sigaddset(&awaited, SIGRTMIN);
	MUST(pthread_sigmask(SIG_BLOCK, &awaited, NULL));
	handle(SIGUSR1, count_signal, SA_RESTART);
	IN_THREAD(for_me);
	IN_MAIN(for_me);
	IN_THREAD(with_a_limit);
	IN_MAIN(with_a_limit);
	IN_THREAD(for_the_process);
	IN_MAIN(for_the_process);
	IN_THREAD(suspended);
	IN_THREAD(suspends_once);
	IN_THREAD(interrupted);
	IN_THREAD(by_descriptor);
	IN_MAIN(by_descriptor);
	return 0;
}
