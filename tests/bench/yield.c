/* SPDX-License-Identifier: MIT */
/*
 * yield.c - what does it cost to let another fiber run?
 *
 * 2 and 1,000 fibers that do nothing but yield: the time of a round divided by
 * all the yields in it.  2 fibers show what the scheduler does, 1,000 also what
 * it costs that nothing of a fiber is in the nearest cache when its turn comes.
 */
#include "fibers.h"

#define ROUNDS 9
#define YIELDS 2000000UL /* of all fibers in a round */
#define FIBERS 1000

static void *yielder(void *yields)
{
	for (uintptr_t n = (uintptr_t)yields; n; n--)
		weft_yield();
	return NULL;
}

static double round_of(size_t fibers)
{
	struct weft_fiber *handles[FIBERS];
	uint64_t began = bench_now();

	for (size_t i = 0; i < fibers; i++)
		fibers_spawn(&handles[i], yielder, (void *)(YIELDS / fibers));
	for (size_t i = 0; i < fibers; i++)
		fibers_join(handles[i]);
	return (double)(bench_now() - began) / YIELDS;
}

static double rounds_of(size_t fibers)
{
	double ns[ROUNDS];

	round_of(fibers);
	for (int i = 0; i < ROUNDS; i++)
		ns[i] = round_of(fibers);
	return median(ns, ROUNDS);
}

static int measure(void *arg)
{
	unsigned workers = weft_workers();

	(void)arg;
	fibers_report("yield.2", workers, rounds_of(2), "ns");
	fibers_report("yield.1000", workers, rounds_of(FIBERS), "ns");
	return 0;
}

int main(int argc, char **argv)
{
	struct fibers f = {
		.what = "Cost of a yield among 2 and among 1,000 fibers.",
		.workers = 1,
	};

	fibers_parse(&f, argc, argv);
	fibers_run(f.workers, measure, NULL);
	return 0;
}
