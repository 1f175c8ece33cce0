/* SPDX-License-Identifier: MIT */
/*
 * signal_process.c - signals that are sent to the process: main gets them, also
 * out of a wait, unless it has blocked them; then another thread does.
 */
#include "wire.h"
#include "prod.h"

#include <poll.h>
#include <sys/time.h>
#include <sys/wait.h>

static pthread_t main_thread;
static volatile pthread_t ran_in;
static int over;

static void note(int number)
{
	ran_in = pthread_self();
	count_signal(number);
}

/* Sends to the process until that has been heard. */
static void *sends(void *arg)
{
	while (!is_set(&over)) {
		MUST_ERRNO(kill(getpid(), SIGUSR1));
		linger();
	}
	return arg;
}

/* While main has its handler running, this one may be hit. */
static void *waits_too(void *arg)
{
	char byte;

	while (read(*(int *)arg, &byte, 1) == -1)
		EXPECT(errno == EINTR);
	return NULL;
}

#define IS_HEARD(call)                                                         \
	do {                                                                   \
		over = handled_here = 0;                                       \
		pthread_t sender = start(sends, NULL);                         \
		int result = (call), error = errno;                            \
		set(&over);                                                    \
		see("%s: %d, %s", #call, result, err(error));                  \
		see("handled: %d", handled_here > 0);                          \
		join(sender);                                                  \
	} while (0)

static void main_is_waiting(void)
{
	struct timespec long_time = {1000, 0};
	struct sockaddr_in at;
	sigset_t none = only(0);
	char byte;
	int fd[2], other[2], listener = listen_at(&at, 1);

	unix_pair(fd);
	MUST_ERRNO(pipe(other));
	struct pollfd p = {.fd = fd[0], .events = POLLIN};
	pthread_t thread = start(waits_too, &other[0]);
	IS_HEARD(accept(listener, NULL, NULL));
	IS_HEARD(read(fd[0], &byte, 1));
	IS_HEARD(recv(fd[0], &byte, 1, 0));
	IS_HEARD(poll(&p, 1, -1));
	IS_HEARD(nanosleep(&long_time, NULL));
	IS_HEARD(pause());
	IS_HEARD(sigsuspend(&none));
	EXPECT(write(other[1], "x", 1) == 1);
	join(thread);
	close_both(fd);
	close_both(other);
	MUST_ERRNO(close(listener));
}

static void *lets_it_in(void *arg)
{
	sigset_t usr1 = only(SIGUSR1);
	char byte;

	MUST(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
	SEE_COUNT(read(*(int *)arg, &byte, 1));
	see("here: %d", pthread_equal(ran_in, pthread_self()));
	set(&over);
	return NULL;
}

/* Blocked by all but one. */
static void another_thread_gets_it(void)
{
	sigset_t usr1 = only(SIGUSR1);
	int fd[2];

	unix_pair(fd);
	MUST(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
	for (int i = 0; i < 3; i++) {
		over = 0;
		pthread_t thread = start(lets_it_in, &fd[0]);
		sends(NULL);
		join(thread);
	}
	/* Blocked by all, then let in by main. */
	int before = handled_here;
	MUST_ERRNO(kill(getpid(), SIGUSR1));
	see("handled: %d", handled_here - before);
	MUST(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
	see("handled: %d", handled_here - before > 0);
	close_both(fd);
}

/* Which main() takes as soon as it is sent, having blocked it before or not. */
static void main_gets_it_again(void)
{
	sigset_t usr1 = only(SIGUSR1);
	int fd[2], in_main = 0;

	MUST_ERRNO(pipe(fd));
	pthread_t thread = start(waits_too, &fd[0]);
	for (int i = 0; i < 1000; i++) {
		MUST(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
		MUST(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
		ran_in = 0;
		MUST_ERRNO(kill(getpid(), SIGUSR1));
		in_main += pthread_equal(ran_in, main_thread) != 0;
	}
	/* On a loaded machine the kernel, too, takes another now and then. */
	see("in main, at once: %d", in_main > 950);
	EXPECT(write(fd[1], "x", 1) == 1);
	join(thread);
	close_both(fd);
}

static void *waits_for_it(void *arg)
{
	sigset_t usr1 = only(SIGUSR1);
	int number = 0;

	SEE_ERROR(sigwait(&usr1, &number));
	see("USR1: %d", number == SIGUSR1);
	set(&over);
	return arg;
}

static void another_thread_awaits_it(void)
{
	sigset_t usr1 = only(SIGUSR1);

	MUST(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
	over = 0;
	pthread_t thread = start(waits_for_it, NULL);
	sends(NULL);
	join(thread);
	/* Some may be left over. */
	handle(SIGUSR1, SIG_IGN, 0);
	handle(SIGUSR1, note, 0);
	MUST(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
}

static volatile siginfo_t told;

static void take_info(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	told = *info;
}

static bool is_told_of(pid_t child)
{
	while (!told.si_signo)
		linger();
	return told.si_signo == SIGCHLD && told.si_code == CLD_EXITED &&
	       told.si_status == 7 && told.si_pid == child;
}

/* Which ends while this one is in fork() still, or waits for it. */
static void is_told_of_children(void)
{
	int right = 0, status;

	for (int i = 0; i < 300; i++) {
		told.si_signo = 0;
		pid_t child = fork();
		if (child == 0)
			_exit(7);
		MUST_ERRNO(child);
		if (i % 2)
			while (waitpid(child, &status, 0) == -1)
				EXPECT(errno == EINTR);
		right += is_told_of(child);
		if (i % 2 == 0)
			MUST_ERRNO(waitpid(child, &status, 0));
	}
	see("children: %d", right);
}

static void *is_told(void *arg)
{
	struct timespec soon = {0, 1000000};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
				 .sigev_signo = SIGUSR1};
	struct itimerspec at = {.it_value = soon};
	union sigval value = {.sival_int = 42};
	sigset_t set = only(SIGUSR1);
	timer_t timer;

	sigaddset(&set, SIGCHLD);
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	MUST_ERRNO(sigqueue(getpid(), SIGUSR1, value));
	while (!told.si_signo)
		linger();
	see("queued: %d, value %d, from here %d", told.si_code == SI_QUEUE,
	    told.si_value.sival_int, told.si_pid == getpid());
	told.si_signo = 0;
	event.sigev_value.sival_int = 43;
	MUST_ERRNO(timer_create(CLOCK_MONOTONIC, &event, &timer));
	MUST_ERRNO(timer_settime(timer, 0, &at, NULL));
	while (!told.si_signo)
		linger();
	see("timer: %d, value %d", told.si_code == SI_TIMER,
	    told.si_value.sival_int);
	MUST_ERRNO(timer_delete(timer));
	is_told_of_children();
	return arg;
}

/* All that the kernel says comes with it. */
static void another_thread_is_told(void)
{
	struct sigaction action = {.sa_sigaction = take_info,
				   .sa_flags = SA_SIGINFO};
	sigset_t set = only(SIGUSR1);

	sigaddset(&set, SIGCHLD);
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	MUST_ERRNO(sigaction(SIGUSR1, &action, NULL));
	MUST_ERRNO(sigaction(SIGCHLD, &action, NULL));
	join(start(is_told, NULL));
	handle(SIGCHLD, SIG_DFL, 0);
	handle(SIGUSR1, note, 0);
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
}

static void *sets_timer(void *arg)
{
	MUST_ERRNO(setitimer(ITIMER_REAL, arg, NULL));
	return NULL;
}

/* Wait for so many, blocked meanwhile so that none is missed. */
static void await(int count)
{
	sigset_t alrm = only(SIGALRM), old;

	MUST(pthread_sigmask(SIG_BLOCK, &alrm, &old));
	while (handled_here < count)
		sigsuspend(&old);
	MUST(pthread_sigmask(SIG_SETMASK, &old, NULL));
	see("in main: %d", pthread_equal(ran_in, main_thread));
	handled_here = 0;
}

static void timers(void)
{
	struct itimerval once = {.it_value = {0, 30000}},
			 often = {{0, 5000}, {0, 5000}}, now;
	struct timespec due = in_ms(CLOCK_MONOTONIC, 30);

	handle(SIGALRM, note, 0);
	handled_here = 0;
	join(start(sets_timer, &once));
	await(1);
	see("too soon: %d", !is_past(CLOCK_MONOTONIC, due));
	join(start(sets_timer, &often));
	await(4);
	MUST_ERRNO(setitimer(ITIMER_REAL, &(struct itimerval){0}, &now));
	see("interval: %ld", (long)now.it_interval.tv_usec);
	handled_here = 0;
	see("alarm: %u", alarm(1));
	see("alarm: %u", alarm(1));
	await(1);
}

static void *dies(void *arg)
{
	volatile int *volatile nowhere = NULL;
	sigset_t all;

	switch ((intptr_t)arg) {
	case 0:
		kill(getpid(), SIGTERM);
		break;
	case 1:
		raise(SIGTERM);
		break;
	case 2:
		pthread_kill(main_thread, SIGHUP);
		break;
	case 3:
		pthread_kill(pthread_self(), SIGKILL);
		break;
	case 4:
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, NULL);
		__builtin_trap();
		break;
	case 5:
		*nowhere = 0;
		break;
	}
	for (;;)
		pause();
}

static intptr_t way;

static void a_thread_dies(void)
{
	join(start(dies, (void *)way));
}

/* The default is for the whole process, whichever thread it hits. */
static void whole_process(void)
{
	for (way = 0; way < 6; way++)
		in_child("the process", a_thread_dies);
}

static void *waits_for_the_end(void *arg)
{
	char byte;

	while (read(*(int *)arg, &byte, 1) != 0)
		;
	return NULL;
}

static void stops_and_goes_on(void)
{
	int fd[2], status;

	MUST_ERRNO(pipe(fd));
	pid_t child = fork();
	MUST_ERRNO(child);
	if (child == 0)
		join(start(waits_for_the_end, fd));
	MUST_ERRNO(kill(child, SIGSTOP));
	EXPECT(waitpid(child, &status, WUNTRACED) == child);
	see("stopped: %d", WIFSTOPPED(status));
	MUST_ERRNO(kill(child, SIGCONT));
	EXPECT(waitpid(child, &status, WCONTINUED) == child);
	see("continued: %d", WIFCONTINUED(status));
	MUST_ERRNO(kill(child, SIGTERM));
	EXPECT(waitpid(child, &status, 0) == child);
	see("by %s", sigabbrev_np(WTERMSIG(status)));
	close_both(fd);
}

int main(void)
{
	main_thread = pthread_self();
	handle(SIGUSR1, note, 0);
	main_is_waiting();
	another_thread_gets_it();
	main_gets_it_again();
	another_thread_awaits_it();
	another_thread_is_told();
	timers();
	whole_process();
	stops_and_goes_on();
	return 0;
}
