/* SPDX-License-Identifier: MIT */
/*
 * process_exit.c - a process ends by whichever of its threads ends it: what has
 * been registered runs, what was printed is written, others are not waited for.
 */
#include "wire.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

static int never[2];
static bool last;

static void *waits_for_ever(void *arg)
{
	char byte;

	(void)!read(never[0], &byte, 1);
	return arg;
}

static void *adds_one(void *arg)
{
	linger();
	return (char *)arg + 1;
}

/*
 * Handlers may use threads and wait; but one that is made where there is none
 * any more would be the last one itself.
 */
static void first(void)
{
	see("at exit: first");
	if (!last)
		see("joined: %ld", (long)join(start(adds_one, (void *)1)));
}

static void second(void)
{
	see("at exit: second");
	linger();
}

static void quickly(void)
{
	see("at quick exit");
}

static void prepare(void)
{
	MUST(atexit(first));
	MUST(atexit(second));
	MUST(at_quick_exit(quickly));
	for (int i = 0; i < 3; i++)
		start(waits_for_ever, NULL);
	printf("printed");
}

static void *calls_exit(void *arg)
{
	exit((int)(intptr_t)arg);
}

static void *calls_underscore_exit(void *arg)
{
	_exit((int)(intptr_t)arg);
}

static void *calls_quick_exit(void *arg)
{
	quick_exit((int)(intptr_t)arg);
}

static void *calls_abort(void *arg)
{
	(void)arg;
	abort();
}

static void *calls_exit_group(void *arg)
{
	linger();
	_Exit((int)(intptr_t)arg);
}

static int by_thread(void *(*run)(void *), int status)
{
	join(start(run, (void *)(intptr_t)status));
	return 99;
}

static int from_exit(void)
{
	return by_thread(calls_exit, 3);
}

static int from_underscore_exit(void)
{
	return by_thread(calls_underscore_exit, 4);
}

static int from_quick_exit(void)
{
	return by_thread(calls_quick_exit, 5);
}

static int from_abort(void)
{
	return by_thread(calls_abort, 0);
}

static int from_exit_group(void)
{
	return by_thread(calls_exit_group, 256 + 7);
}

static int from_return(void)
{
	return 8;
}

static int from_exit_in_main(void)
{
	calls_exit((void *)9);
	return 99;
}

static void *says_so_and_ends(void *arg)
{
	linger();
	linger();
	see("the last one");
	return arg;
}

/* Main is gone, and the process goes on until its last thread has ended. */
static int from_the_last_thread(void)
{
	last = true;
	MUST_ERRNO(close(never[1]));
	start(says_so_and_ends, NULL);
	pthread_exit(NULL);
}

static void *exits_later(void *arg)
{
	for (int i = 0; i < 3; i++)
		linger();
	exit((int)(intptr_t)arg);
}

static int from_a_thread_without_main(void)
{
	start(exits_later, (void *)11);
	pthread_exit(NULL);
}

static void *is_detached(void *arg)
{
	MUST(pthread_detach(pthread_self()));
	MUST_ERRNO(sem_post(arg));
	waits_for_ever(NULL);
	return NULL;
}

static int from_main_before_detached_ones(void)
{
	sem_t ready;

	MUST_ERRNO(sem_init(&ready, 0, 0));
	for (int i = 0; i < 5; i++)
		start(is_detached, &ready);
	for (int i = 0; i < 5; i++)
		MUST_ERRNO(sem_wait(&ready));
	return 12;
}

static void try(const char *name, int (*way)(void), int *fd)
{
	int status;
	pid_t child = fork();

	MUST_ERRNO(child);
	if (child == 0) {
		prepare();
		exit(way());
	}
	MUST_ERRNO(close(fd[1]));
	EXPECT(waitpid(child, &status, 0) == child);
	printf("\n");
	MUST(fflush(stdout));
	if (WIFEXITED(status))
		see("%s: exits with %d", name, WEXITSTATUS(status));
	else
		see("%s: dies of %s", name, sigabbrev_np(WTERMSIG(status)));
	MUST_ERRNO(close(fd[0]));
}

#define TRY(way)                                                               \
	do {                                                                   \
		MUST_ERRNO(pipe(never));                                       \
		try(#way, way, never);                                         \
	} while (0)

int main(void)
{
	TRY(from_exit);
	TRY(from_underscore_exit);
	TRY(from_quick_exit);
	TRY(from_abort);
	TRY(from_exit_group);
	TRY(from_return);
	TRY(from_exit_in_main);
	TRY(from_the_last_thread);
	TRY(from_a_thread_without_main);
	TRY(from_main_before_detached_ones);
	return 0;
}
