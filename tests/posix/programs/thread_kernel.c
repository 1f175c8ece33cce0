/* SPDX-License-Identifier: MIT */
/* What the kernel keeps for each thread goes where the thread goes. */
#include "see.h"

#include <limits.h>
#include <semaphore.h>
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

static int64_t used(void)
{
	struct timespec t;

	MUST_ERRNO(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t));
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Neither of the clocks goes back. */
static void *has_clocks(void *arg)
{
	struct rusage before, now;
	int64_t last = used();
	intptr_t wrong = 0;

	MUST_ERRNO(getrusage(RUSAGE_THREAD, &before));
	for (int i = 0; i < TURNS; i++) {
		wait_somehow(i);
		int64_t next = used();
		wrong += next < last;
		last = next;
		MUST_ERRNO(getrusage(RUSAGE_THREAD, &now));
		wrong += now.ru_nvcsw < before.ru_nvcsw ||
			 now.ru_minflt < before.ru_minflt;
		before = now;
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
	one("nice", is_nicer);
	one("slack", is_slack);
	one("elsewhere", is_elsewhere);
	one("clocks", has_clocks);
	return 0;
}
