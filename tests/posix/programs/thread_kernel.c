/* SPDX-License-Identifier: MIT */
/* What the kernel keeps for each thread goes where the thread goes. */
#include "see.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define OTHERS 6
#define TURNS  50

static int ends[2];
static int stop;

static void wait_somehow(int i)
{
	struct timespec brief = {.tv_sec = 0, .tv_nsec = 1000};
	char byte;

	if (i % 2) {
		nanosleep(&brief, NULL);
		return;
	}
	MUST_ERRNO(write(ends[1], "x", 1));
	MUST_ERRNO(read(ends[0], &byte, 1));
}

static int nice_of_this(void)
{
	return getpriority(PRIO_PROCESS, 0);
}

/* Also who it is to the file system, and a right that it may have. */
static int fsuid, fsgid;
static unsigned rights;

extern int capget(cap_user_header_t, cap_user_data_t);
extern int capset(cap_user_header_t, const cap_user_data_t);

static unsigned rights_of_this(void)
{
	struct __user_cap_header_struct which = {_LINUX_CAPABILITY_VERSION_3,
						 0};
	struct __user_cap_data_struct set[2];

	MUST_ERRNO(capget(&which, set));
	return set[0].effective;
}

static char cwd[PATH_MAX];

static bool is_moved(void)
{
	char now[PATH_MAX];

	EXPECT(getcwd(now, sizeof(now)) != NULL);
	return strcmp(now, cwd) != 0;
}

/* They must not be given what another thread has asked for. */
static void *is_ordinary(void *arg)
{
	int nice = *(int *)arg;
	intptr_t wrong = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		wrong += nice_of_this() != nice;
		wrong += prctl(PR_GET_TIMERSLACK) == 77777;
		wrong += is_moved();
		wrong += setfsuid(-1) != fsuid || setfsgid(-1) != fsgid;
		wrong += rights_of_this() != rights;
		wait_somehow(1);
	}
	return (void *)wrong;
}

static void *is_nicer(void *arg)
{
	int nice = *(int *)arg;
	intptr_t wrong = 0;

	MUST_ERRNO(setpriority(PRIO_PROCESS, 0, nice + 3));
	for (int i = 0; i < TURNS; i++) {
		wait_somehow(i);
		wrong += nice_of_this() != nice + 3;
	}
	return (void *)wrong;
}

static void *is_nicer_by_nice(void *arg)
{
	int before = *(int *)arg;
	intptr_t wrong = 0;

	MUST_ERRNO(nice(4));
	for (int i = 0; i < TURNS; i++) {
		wait_somehow(i);
		wrong += nice_of_this() != before + 4;
	}
	return (void *)wrong;
}

/* As much as this user may; and it stays so. */
static void *is_another(void *arg)
{
	int uid, gid;
	intptr_t wrong = 0;

	setfsuid(12345);
	setfsgid(12345);
	uid = setfsuid(-1);
	gid = setfsgid(-1);
	for (int i = 0; i < TURNS; i++) {
		wait_somehow(i);
		wrong += setfsuid(-1) != uid || setfsgid(-1) != gid;
	}
	(void)arg;
	return (void *)wrong;
}

static void *gives_up_a_right(void *arg)
{
	struct __user_cap_header_struct which = {_LINUX_CAPABILITY_VERSION_3,
						 0};
	struct __user_cap_data_struct set[2];
	intptr_t wrong = 0;

	MUST_ERRNO(capget(&which, set));
	set[0].effective &= ~(1u << CAP_SYS_TTY_CONFIG);
	MUST_ERRNO(capset(&which, set));
	for (int i = 0; i < TURNS; i++) {
		wait_somehow(i);
		wrong += rights_of_this() != set[0].effective;
	}
	(void)arg;
	return (void *)wrong;
}

/* Goes nowhere, if it may go at all. */
static void *enters(void *arg)
{
	int space = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);

	MUST_ERRNO(space);
	SEE_ERRNO(setns(space, CLONE_NEWUTS));
	close(space);
	(void)arg;
	return NULL;
}

/* Its timer sends the signal to it alone. */
static void *has_a_timer(void *arg)
{
	struct itimerspec soon = {.it_value.tv_nsec = 1000000};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
				 .sigev_signo = SIGRTMIN + 1};
	intptr_t wrong = 0;
	siginfo_t info;
	sigset_t set;
	timer_t timer;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	event._sigev_un._tid = gettid();
	event.sigev_value.sival_ptr = &event;
	MUST_ERRNO(timer_create(CLOCK_MONOTONIC, &event, &timer));
	for (int i = 0; i < 5; i++) {
		MUST_ERRNO(timer_settime(timer, 0, &soon, NULL));
		wait_somehow(i);
		wrong += sigwaitinfo(&set, &info) != SIGRTMIN + 1;
		wrong += info.si_code != SI_TIMER || info.si_ptr != &event;
	}
	MUST_ERRNO(timer_delete(timer));
	(void)arg;
	return (void *)wrong;
}

static void *is_slack(void *arg)
{
	intptr_t wrong = 0;

	MUST_ERRNO(prctl(PR_SET_TIMERSLACK, 77777));
	for (int i = 0; i < TURNS; i++) {
		wait_somehow(i);
		wrong += prctl(PR_GET_TIMERSLACK) != 77777;
	}
	(void)arg;
	return (void *)wrong;
}

static void *is_elsewhere(void *arg)
{
	intptr_t wrong = 0;

	MUST_ERRNO(unshare(CLONE_FS));
	MUST_ERRNO(chdir("/proc/self"));
	umask(0123);
	for (int i = 0; i < TURNS; i++) {
		wait_somehow(i);
		wrong += !is_moved() || umask(0123) != 0123;
	}
	(void)arg;
	return (void *)wrong;
}

static void one(const char *name, void *(*run)(void *))
{
	pthread_t others[OTHERS];
	int nice = nice_of_this();
	intptr_t wrong = 0;

	stop = 0;
	for (int i = 0; i < OTHERS; i++)
		others[i] = start(is_ordinary, &nice);
	see("%s: %ld wrong", name, (long)join(start(run, &nice)));
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < OTHERS; i++)
		wrong += (intptr_t)join(others[i]);
	see("  of others %ld", (long)wrong);
}

int main(void)
{
	MUST_ERRNO(pipe(ends));
	EXPECT(getcwd(cwd, sizeof(cwd)) != NULL);
	fsuid = setfsuid(-1);
	fsgid = setfsgid(-1);
	rights = rights_of_this();
	one("nice", is_nicer);
	one("nice by another call", is_nicer_by_nice);
	one("another", is_another);
	one("a right less", gives_up_a_right);
	one("a space", enters);
	one("a timer", has_a_timer);
	one("slack", is_slack);
	one("elsewhere", is_elsewhere);
	return 0;
}
