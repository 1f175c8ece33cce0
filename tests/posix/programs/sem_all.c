/* SPDX-License-Identifier: MIT */
/* Semaphores: in memory, by name, between threads and between processes. */
#include "see.h"

#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <sys/mman.h>

static void show(sem_t *sem)
{
	int value = -1;

	SEE_ERRNO(sem_getvalue(sem, &value));
	see("  %d", value);
}

static int wait_until(sem_t *sem, clockid_t clock, long ms)
{
	struct timespec t = in_ms(clock, ms);
	int status = clock == CLOCK_REALTIME ? sem_timedwait(sem, &t)
					     : sem_clockwait(sem, clock, &t);

	if (status == -1 && errno == ETIMEDOUT)
		EXPECT(is_past(clock, t));
	return status;
}

static void *alone(void *arg)
{
	struct timespec bad = {.tv_sec = 1, .tv_nsec = 1000000000};
	sem_t sem;

	SEE_ERRNO(sem_init(&sem, 0, (unsigned)SEM_VALUE_MAX + 1));
	SEE_ERRNO(sem_init(&sem, 0, SEM_VALUE_MAX));
	SEE_ERRNO(sem_post(&sem));
	show(&sem);
	SEE_ERRNO(sem_init(&sem, 0, 2));
	SEE_ERRNO(sem_trywait(&sem));
	SEE_ERRNO(sem_wait(&sem));
	SEE_ERRNO(sem_trywait(&sem));
	show(&sem);
	SEE_ERRNO(wait_until(&sem, CLOCK_REALTIME, 10));
	SEE_ERRNO(wait_until(&sem, CLOCK_MONOTONIC, 10));
	SEE_ERRNO(wait_until(&sem, CLOCK_REALTIME, -1000));
	SEE_ERRNO(wait_until(&sem, CLOCK_PROCESS_CPUTIME_ID, 10));
	SEE_ERRNO(sem_timedwait(&sem, &bad));
	SEE_ERRNO(sem_clockwait(&sem, CLOCK_MONOTONIC, &bad));
	SEE_ERRNO(sem_post(&sem));
	SEE_ERRNO(wait_until(&sem, CLOCK_REALTIME, -1000));
	SEE_ERRNO(sem_post(&sem));
	SEE_ERRNO(sem_timedwait(&sem, &bad));
	SEE_ERRNO(wait_until(&sem, CLOCK_PROCESS_CPUTIME_ID, 10));
	SEE_ERRNO(wait_until(&sem, CLOCK_MONOTONIC, -1000));
	SEE_ERRNO(sem_destroy(&sem));
	return arg;
}

static sem_t tickets, back;

static void *passes_on(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		if (i % 2 || wait_until(&tickets, CLOCK_MONOTONIC, 100000))
			MUST_ERRNO(sem_wait(&tickets));
		MUST_ERRNO(sem_post(&back));
	}
	return arg;
}

static void *gives(void *arg)
{
	for (int i = 0; i < 2000; i++)
		MUST_ERRNO(sem_post(&tickets));
	return arg;
}

static void between_threads(void)
{
	pthread_t threads[16];

	MUST_ERRNO(sem_init(&tickets, 0, 0));
	MUST_ERRNO(sem_init(&back, 0, 0));
	for (int i = 0; i < 16; i++)
		threads[i] = start(i % 2 ? gives : passes_on, NULL);
	for (int i = 0; i < 16000; i++)
		MUST_ERRNO(sem_wait(&back));
	for (int i = 0; i < 16; i++)
		join(threads[i]);
	show(&tickets);
	show(&back);
}

static sem_t *ping, *pong;

static void *answers(void *arg)
{
	for (int i = 0; i < 500; i++) {
		MUST_ERRNO(sem_wait(ping));
		MUST_ERRNO(sem_post(pong));
	}
	return arg;
}

static void *asks(void *arg)
{
	for (int i = 0; i < 500; i++) {
		MUST_ERRNO(sem_post(ping));
		MUST_ERRNO(sem_wait(pong));
	}
	return arg;
}

/* Threads of a child answer threads of ours. */
static void between_processes(void)
{
	pthread_t threads[3];
	pid_t child;
	int status;

	MUST_ERRNO(child = fork());
	for (int i = 0; i < 3; i++)
		threads[i] = start(child ? asks : answers, NULL);
	for (int i = 0; i < 3; i++)
		join(threads[i]);
	if (child == 0)
		exit(5);
	MUST_ERRNO(waitpid(child, &status, 0));
	see("the child: %d", WEXITSTATUS(status));
	show(ping);
	show(pong);
}

static void in_shared_memory(void)
{
	ping = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(ping != MAP_FAILED);
	pong = ping + 1;
	MUST_ERRNO(sem_init(ping, 1, 0));
	MUST_ERRNO(sem_init(pong, 1, 0));
	between_processes();
	SEE_ERRNO(sem_destroy(ping));
	SEE_ERRNO(sem_destroy(pong));
}

static sem_t *open_new(const char *name, sem_t **twice)
{
	sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, 0);

	EXPECT(sem != SEM_FAILED);
	see("exclusively: %s",
	    sem_open(name, O_CREAT | O_EXCL, 0600, 0) == SEM_FAILED ? err(errno)
								    : "ok");
	*twice = sem_open(name, 0);
	see("the same: %d", sem == *twice);
	return sem;
}

static void by_name(void)
{
	char first[32], second[32];
	sem_t *again[2];

	snprintf(first, sizeof(first), "/sem_all-ping-%d", (int)getpid());
	snprintf(second, sizeof(second), "/sem_all-pong-%d", (int)getpid());
	see("not there: %s",
	    sem_open(first, 0) == SEM_FAILED ? err(errno) : "ok");
	ping = open_new(first, &again[0]);
	pong = open_new(second, &again[1]);
	SEE_ERRNO(sem_unlink(first));
	SEE_ERRNO(sem_unlink(second));
	SEE_ERRNO(sem_unlink(first));
	SEE_ERRNO(wait_until(ping, CLOCK_REALTIME, 10));
	between_processes();
	SEE_ERRNO(sem_close(again[0]));
	SEE_ERRNO(sem_close(again[1]));
	SEE_ERRNO(sem_close(ping));
	SEE_ERRNO(sem_close(pong));
}

int main(void)
{
	see("-- alone");
	alone(NULL);
	join(start(alone, NULL));
	see("-- between threads");
	between_threads();
	see("-- in shared memory");
	in_shared_memory();
	see("-- by name");
	by_name();
	return 0;
}
