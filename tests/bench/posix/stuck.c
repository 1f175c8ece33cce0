/* SPDX-License-Identifier: MIT */
/*
 * stuck.c - how long do others wait for a thread that keeps its processor?
 *
 *   stuck.blocked     while it is in a system call that nobody can know of
 *   stuck.computing   while it computes
 *
 * Each is the longest time for which another thread, which sleeps a fifth of a
 * millisecond again and again, did not run meanwhile: the median of a few, and
 * the worst as `.worst`.  On fibers there has to be one worker only.  Knows
 * nothing of weft.
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "threads.h"

#define ROUNDS 15
#define STUCK  (BENCH_SECOND / 5)

static _Atomic bool stuck;
static sem_t go, done;

static void block(void)
{
	struct timespec time = {.tv_nsec = (long)STUCK};

	syscall(SYS_nanosleep, &time, NULL);
}

static void compute(void)
{
	uint64_t end = bench_now() + STUCK;

	while (bench_now() < end)
		;
}

static void *be_stuck(void *how)
{
	for (int i = 0; i < ROUNDS; i++) {
		wait_for(&go);
		stuck = true;
		((void (*)(void))how)();
		stuck = false;
		sem_post(&done);
	}
	return NULL;
}

/* The longest pause that began while the other one was stuck. */
static double longest_pause(void)
{
	uint64_t longest = 0, last = bench_now(), now;
	bool was = false, is;

	do {
		usleep(200);
		is = stuck;
		now = bench_now();
		if ((was || is) && now - last > longest)
			longest = now - last;
		last = now;
		was = is;
	} while (sem_trywait(&done) < 0);
	return (double)longest / 1e6;
}

static void *beat(void *arg)
{
	double *pauses = arg;

	for (int i = 0; i < ROUNDS; i++) {
		usleep(50000); /* all are at rest */
		sem_post(&go);
		pauses[i] = longest_pause();
	}
	return NULL;
}

static void measure(const char *name, void (*how)(void))
{
	double pauses[ROUNDS];
	pthread_t one = thread_begin(be_stuck, (void *)how);
	pthread_t other = thread_begin(beat, pauses);
	char worst[64];

	thread_join(one);
	thread_join(other);
	report(name, median(pauses, ROUNDS), "ms");
	snprintf(worst, sizeof(worst), "%s.worst", name);
	report(worst, pauses[ROUNDS - 1], "ms");
}

int main(int argc, char **argv)
{
	bench_no_arguments(argc, argv, "How long others wait for a thread.");
	measure("stuck.blocked", block);
	measure("stuck.computing", compute);
	return 0;
}
