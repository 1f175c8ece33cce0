/* SPDX-License-Identifier: MIT */
/*
 * io_blind.c - threads that wait, or compute, where no library sees it: by
 * system calls of their own, or in a loop.  All others go on.
 */
#include "wire.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { BLIND = 10, ROUNDS = 200 };

static int start_of[2];

static void *reads_by_itself(void *arg)
{
	char byte;

	EXPECT(syscall(SYS_read, start_of[0], &byte, 1) == 1);
	return arg;
}

static void *polls_by_itself(void *arg)
{
	struct pollfd p = {.fd = start_of[0], .events = POLLIN};
	struct timespec limit = {1000, 0};
	char byte;

	EXPECT(syscall(SYS_ppoll, &p, 1, &limit, NULL, 8) == 1);
	EXPECT(syscall(SYS_read, start_of[0], &byte, 1) == 1);
	return arg;
}

static void *sleeps_by_itself(void *arg)
{
	struct timespec some = {0, 50000000};

	EXPECT(syscall(SYS_nanosleep, &some, NULL) == 0);
	return reads_by_itself(arg);
}

static int go;

static void *looks_all_the_time(void *arg)
{
	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
		;
	return arg;
}

static void *computes(void *arg)
{
	volatile unsigned long sum = 0;

	for (unsigned long i = 0; i < 50000000; i++)
		sum += i;
	EXPECT(sum == 49999999UL * 25000000);
	return arg;
}

static int ball[2];

static void *returns_the_ball(void *arg)
{
	char byte;

	while (read(ball[1], &byte, 1) == 1)
		EXPECT(write(ball[1], &byte, 1) == 1);
	return arg;
}

/* Something that needs all of the threads involved to be run. */
static void *plays(void *arg)
{
	char byte = 'b';

	unix_pair(ball);
	pthread_t other = start(returns_the_ball, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		EXPECT(write(ball[0], &byte, 1) == 1);
		EXPECT(read(ball[0], &byte, 1) == 1);
	}
	MUST_ERRNO(close(ball[0]));
	join(other);
	MUST_ERRNO(close(ball[1]));
	return arg;
}

static void meanwhile(const char *name, void *(*run)(void *))
{
	pthread_t blind[BLIND];

	go = 0;
	MUST_ERRNO(pipe(start_of));
	for (int i = 0; i < BLIND; i++)
		blind[i] = start(run, NULL);
	join(start(plays, NULL));
	see("%s: the others went on", name);
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
	EXPECT(write(start_of[1], "..........", BLIND) == BLIND);
	for (int i = 0; i < BLIND; i++)
		join(blind[i]);
	see("%s: over", name);
	close_both(start_of);
}

/* A word that another process wakes. */
static void *waits_for_a_process(void *arg)
{
	int *shared = arg;

	while (__atomic_load_n(shared, __ATOMIC_ACQUIRE) == 0)
		syscall(SYS_futex, shared, FUTEX_WAIT, 0, NULL, NULL, 0);
	return arg;
}

static void woken_by_a_process(void)
{
	int status, *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	EXPECT(shared != MAP_FAILED);
	pthread_t waiter = start(waits_for_a_process, shared);
	join(start(plays, NULL));
	pid_t child = fork();
	MUST_ERRNO(child);
	if (child == 0) {
		__atomic_store_n(shared, 1, __ATOMIC_RELEASE);
		syscall(SYS_futex, shared, FUTEX_WAKE, 1, NULL, NULL, 0);
		_exit(0);
	}
	join(waiter);
	EXPECT(waitpid(child, &status, 0) == child);
	see("woken by another process");
	MUST_ERRNO(munmap(shared, 4096));
}

int main(void)
{
	meanwhile("read", reads_by_itself);
	meanwhile("ppoll", polls_by_itself);
	meanwhile("nanosleep", sleeps_by_itself);
	meanwhile("a loop", looks_all_the_time);
	meanwhile("a computation", computes);
	woken_by_a_process();
	return 0;
}
