/* SPDX-License-Identifier: MIT */
/* Signals and cancellations that come when little of a thread is left. */
#include "see.h"

#include <dirent.h>
#include <semaphore.h>
#include <signal.h>

static sem_t ready, handled;

static sigset_t only(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	return set;
}

static void post(int signal)
{
	(void)signal;
	sem_post(&handled);
}

static void *takes_it(void *arg)
{
	MUST_ERRNO(sem_post(&ready));
	while (sem_wait(&handled) < 0)
		;
	return arg;
}

/* Main blocks it and is joining the only thread that does not. */
static void to_one_that_is_joined(void)
{
	sigset_t set = only(SIGUSR1);
	pthread_t thread;
	int status;
	pid_t child;

	signal(SIGUSR1, post);
	MUST(pthread_create(&thread, NULL, takes_it, NULL));
	MUST_ERRNO(sem_wait(&ready));
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	child = fork();
	if (child == 0) {
		linger();
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	MUST(pthread_join(thread, NULL));
	MUST_ERRNO(waitpid(child, &status, 0));
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	see("taken by the one that is joined");
}

/* What is pending when it gets a kernel thread of its own, stays so. */
static void *sets_its_cpus(void *arg)
{
	sigset_t set = only(SIGUSR1);
	cpu_set_t cpus;
	int signal = 0;

	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	MUST(pthread_kill(pthread_self(), SIGUSR1));
	MUST_ERRNO(sched_getaffinity(0, sizeof cpus, &cpus));
	MUST(pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus));
	MUST(sigwait(&set, &signal));
	see("still pending: %d", signal == SIGUSR1);
	return arg;
}

static volatile sig_atomic_t first, second;

static void count_first(int signal)
{
	(void)signal;
	first++;
}

static void count_second(int signal)
{
	(void)signal;
	second++;
}

/* What its mask lets through ends it; the other one stays blocked. */
static void *suspends(void *arg)
{
	sigset_t set = only(SIGUSR2);

	MUST_ERRNO(sem_post(&ready));
	sigsuspend(&set);
	see("taken: %d, %d", (int)first, (int)second);
	return arg;
}

static void to_one_that_suspends(void)
{
	sigset_t set = only(SIGUSR1);
	pthread_t thread;

	signal(SIGUSR1, count_first);
	signal(SIGUSR2, count_second);
	sigaddset(&set, SIGUSR2);
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	MUST(pthread_create(&thread, NULL, suspends, NULL));
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	MUST_ERRNO(sem_wait(&ready));
	MUST(pthread_kill(thread, SIGUSR2));
	MUST(pthread_kill(thread, SIGUSR1));
	MUST(pthread_join(thread, NULL));
}

static void *waits_for_it(void *arg)
{
	sigset_t set = only(SIGUSR1);
	int signal;

	MUST_ERRNO(sem_post(&ready));
	sigwait(&set, &signal);
	return arg;
}

/* Of all threads only this one takes it, and only for the time of its call. */
static void *suspends_alone(void *arg)
{
	sigset_t none;

	sigemptyset(&none);
	SEE_ERRNO(sigsuspend(&none));
	see("taken: %d", (int)first);
	return arg;
}

static void send_once_more(int signal)
{
	if (first++ > 0)
		return;
	MUST_ERRNO(kill(getpid(), signal));
	linger();
}

/* The second one comes while the handler of the first still blocks it. */
static void *takes_two(void *arg)
{
	sigset_t set = only(SIGUSR1);

	signal(SIGUSR1, send_once_more);
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	while (first < 2)
		linger();
	see("taken: %d", (int)first);
	return arg;
}

/* What main() blocks is sent to the process, where such a thread is. */
static void to_the_process(void *(*takes)(void *))
{
	sigset_t set = only(SIGUSR1);
	pthread_t thread;

	first = 0;
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	MUST(pthread_create(&thread, NULL, takes, NULL));
	MUST_ERRNO(kill(getpid(), SIGUSR1));
	MUST(pthread_join(thread, NULL));
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
}

static int sent;

/* It makes no call that may wait, from before they are sent until it ends. */
static void *is_busy(void *arg)
{
	sigset_t set = only(SIGUSR1);

	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	MUST_ERRNO(sem_post(&ready));
	while (!__atomic_load_n(&sent, __ATOMIC_SEQ_CST))
		;
	getppid();
	if (arg)
		pthread_exit(arg);
	return arg;
}

static void to_one_that_is_busy(void *arg)
{
	sigset_t set = only(SIGUSR1);
	pthread_t thread;

	signal(SIGUSR1, count_first);
	signal(SIGUSR2, count_second);
	first = second = sent = 0;
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	MUST(pthread_create(&thread, NULL, is_busy, arg));
	MUST_ERRNO(sem_wait(&ready));
	MUST_ERRNO(kill(getpid(), SIGUSR1));
	MUST(pthread_kill(thread, SIGUSR2));
	__atomic_store_n(&sent, 1, __ATOMIC_SEQ_CST);
	MUST(pthread_join(thread, NULL));
	see("taken before it ended: %d, %d", (int)first, (int)second);
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
}

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	EXPECT(dir != NULL);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void leaves_no_descriptor(void)
{
	sigset_t set = only(SIGUSR1);
	pthread_t thread;
	int before = 0;

	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; i < 30; i++) {
		if (i == 10)
			before = open_descriptors();
		MUST(pthread_create(&thread, NULL, waits_for_it, NULL));
		MUST_ERRNO(sem_wait(&ready));
		linger();
		MUST(pthread_cancel(thread));
		MUST(pthread_join(thread, NULL));
	}
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	see("left over: %d", open_descriptors() - before);
}

int main(void)
{
	pthread_t thread;

	sem_init(&ready, 0, 0);
	sem_init(&handled, 0, 0);
	to_one_that_is_joined();
	MUST(pthread_create(&thread, NULL, sets_its_cpus, NULL));
	MUST(pthread_join(thread, NULL));
	to_one_that_suspends();
	to_the_process(suspends_alone);
	to_the_process(takes_two);
	to_one_that_is_busy(NULL);
	to_one_that_is_busy(&thread);
	leaves_no_descriptor();
	return 0;
}
