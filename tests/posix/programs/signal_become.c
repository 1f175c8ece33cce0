/* SPDX-License-Identifier: MIT */
/*
 * signal_become.c - what a thread becomes in a handler, it is when the handler
 * has returned: one of the kernel's, another process; and so one that became
 * something else while it waited for a signal.
 */
#include "wire.h"
#include "prod.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int phase;

static void await(int at_least)
{
	while (__atomic_load_n(&phase, __ATOMIC_SEQ_CST) < at_least)
		sched_yield();
}

static void enter(int number)
{
	__atomic_store_n(&phase, number, __ATOMIC_SEQ_CST);
}

static void see_unblocked(const char *where)
{
	sigset_t now;

	MUST(pthread_sigmask(SIG_BLOCK, NULL, &now));
	see("%s: blocked: %d", where,
	    sigismember(&now, SIGUSR1) || sigismember(&now, SIGUSR2));
}

/* One that has come to its first phase. */
static pthread_t begin(void (*handler)(int), void *(*run)(void *), void *arg)
{
	pthread_t thread;

	handle(SIGUSR1, handler, 0);
	enter(0);
	thread = start(run, arg);
	await(1);
	return thread;
}

/* --- a thread of the kernel's --- */

static void changes_priority(int number)
{
	count_signal(number);
	MUST_ERRNO(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0)));
}

static void *computes_until_handled(void *arg)
{
	handled_here = 0;
	enter(1);
	while (handled_here < 1)
		;
	see_unblocked("promoted");
	enter(2);
	while (handled_here < 2)
		;
	return arg;
}

static void see_promoted(void)
{
	pthread_t thread =
		begin(changes_priority, computes_until_handled, NULL);

	for (int i = 1; i <= 2; i++) {
		await(i);
		MUST(pthread_kill(thread, SIGUSR1));
	}
	join(thread);
}

static struct sockaddr_in at;
static int listener;

static void *accepts(void *arg)
{
	int fd;

	enter(1);
	fd = accept(listener, NULL, NULL);
	MUST_ERRNO(fd);
	see("accepted");
	MUST_ERRNO(close(fd));
	return arg;
}

/* By its own handler, or by somebody else; and it goes on waiting. */
static void see_accepting(bool by_handler)
{
	void (*handler)(int) = by_handler ? changes_priority : count_signal;
	pthread_t thread = begin(handler, accepts, NULL);
	int before = handled;
	cpu_set_t cpus;

	handle(SIGUSR1, handler, SA_RESTART);
	linger();
	MUST_ERRNO(sched_getaffinity(0, sizeof cpus, &cpus));
	if (!by_handler)
		MUST(pthread_setaffinity_np(thread, sizeof cpus, &cpus));
	linger();
	MUST(pthread_kill(thread, SIGUSR1));
	while (__atomic_load_n(&handled, __ATOMIC_SEQ_CST) == before)
		linger();
	linger();
	MUST_ERRNO(close(dial(&at)));
	join(thread);
}

/* --- another process --- */

static pid_t child;

static void forks(int number)
{
	count_signal(number);
	child = fork();
}

static void *is_two(void *arg)
{
	bool waits = arg != NULL;
	int status;

	handled_here = 0;
	enter(1);
	while (handled_here < 1)
		if (waits)
			sched_yield();
	MUST_ERRNO(child);
	if (child == 0) {
		see_unblocked("the child");
		raise(SIGUSR2);
		see("never here");
		_exit(1);
	}
	MUST_ERRNO(waitpid(child, &status, 0));
	see("it died of SIGUSR2: %d",
	    WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR2);
	return NULL;
}

static void see_forked(bool waits)
{
	pthread_t thread = begin(forks, is_two, waits ? &child : NULL);

	MUST(pthread_kill(thread, SIGUSR1));
	join(thread);
}

/* --- one that waits for a signal --- */

static void *suspends(void *arg)
{
	sigset_t none;

	sigemptyset(&none);
	enter(1);
	SEE_ERRNO(sigsuspend(&none));
	set(arg);
	return NULL;
}

static void see_suspended(void)
{
	int over = 0;
	pthread_t thread = begin(count_signal, suspends, &over);
	cpu_set_t cpus;

	linger();
	MUST_ERRNO(sched_getaffinity(0, sizeof cpus, &cpus));
	MUST(pthread_setaffinity_np(thread, sizeof cpus, &cpus));
	linger();
	prod_until(thread, SIGUSR1, &over);
	join(thread);
}

/* --- one that waits by a call of its own --- */

static void *calls(void *arg)
{
	struct timespec long_time = {60, 0};
	int calls = 0;

	handled_here = 0;
	enter(1);
	do {
		EXPECT(syscall(SYS_nanosleep, &long_time, NULL) == -1);
		EXPECT(errno == EINTR);
		calls++;
	} while (!handled_here);
	see("handled, after a call: %d", calls == 1);
	set(arg);
	return NULL;
}

static void see_called(void)
{
	int over = 0;
	pthread_t thread = begin(count_signal, calls, &over);

	linger();
	linger();
	prod_until(thread, SIGUSR1, &over);
	join(thread);
}

int main(void)
{
	listener = listen_at(&at, 10);
	see_promoted();
	see_accepting(true);
	see_accepting(false);
	see_forked(false);
	see_forked(true);
	see_suspended();
	see_called();
	return 0;
}
