/* SPDX-License-Identifier: MIT */
/*
 * create.c - what does it cost to make a thread and to join it?
 *
 *   create.join    one at a time, by a thread
 *   create.many    a thousand at once, then all are joined; each
 *   create.first   the same for the first time in the process
 *
 * Knows nothing of weft.
 */
#define _GNU_SOURCE
#include "threads.h"

#define ROUNDS 7
#define ALONE  20000
#define MANY   1000

static void *nothing(void *arg)
{
	return arg;
}

static double one_at_a_time(void)
{
	uint64_t began = bench_now();

	for (int i = 0; i < ALONE; i++)
		thread_join(thread_begin(nothing, NULL));
	return (double)(bench_now() - began) / ALONE;
}

static double many_at_once(void)
{
	static pthread_t threads[MANY];
	uint64_t began = bench_now();

	for (int i = 0; i < MANY; i++)
		threads[i] = thread_begin(nothing, NULL);
	for (int i = 0; i < MANY; i++)
		thread_join(threads[i]);
	return (double)(bench_now() - began) / MANY;
}

static void *measure(void *arg)
{
	double alone[ROUNDS], many[ROUNDS];

	report("create.first", many_at_once(), "ns");
	for (int i = 0; i < ROUNDS; i++) {
		alone[i] = one_at_a_time();
		many[i] = many_at_once();
	}
	report("create.join", median(alone, ROUNDS), "ns");
	report("create.many", median(many, ROUNDS), "ns");
	return arg;
}

int main(int argc, char **argv)
{
	bench_no_arguments(argc, argv, "Cost of making and joining threads.");
	thread_join(thread_begin(measure, NULL));
	return 0;
}
