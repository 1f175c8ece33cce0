/* SPDX-License-Identifier: MIT */
/*
 * mutex.c - what does a lock cost?
 *
 *   mutex.alone   lock and unlock, where nobody else wants it
 *   mutex.pair    the least that can be: a compare-and-swap that takes a word
 *                 and an exchange that gives it back, seeing who waits
 *   mutex.ratio   of the two, which take turns
 *   mutex.8       lock, count, unlock, by eight fibers that do nothing else;
 *                 the time of all divided by the count
 */
#include "base/atom.h"
#include "fibers.h"

#define ROUNDS 11
#define LOCKS  2000000UL /* of a round, of all fibers */
#define FIBERS 8

static struct {
	struct weft_mutex mutex;
	uint64_t count; /* under it */
} __attribute__((aligned(128))) shared;

static _Atomic uint32_t word __attribute__((aligned(128)));

static double each(uint64_t began)
{
	return (double)(bench_now() - began) / LOCKS;
}

static double pair(void)
{
	uint64_t began = bench_now();

	for (size_t i = 0; i < LOCKS; i++) {
		uint32_t free = 0;

		if (!atom_cas_acq(&word, &free, 1))
			bench_die("a word that nobody else knows was taken");
		if (atom_swap_ar(&word, 0) != 1)
			bench_die("a word that nobody else knows was freed");
	}
	return each(began);
}

static double alone(void)
{
	uint64_t began = bench_now();

	for (size_t i = 0; i < LOCKS; i++) {
		if (weft_mutex_lock(&shared.mutex))
			bench_die("lock failed");
		weft_mutex_unlock(&shared.mutex);
	}
	return each(began);
}

static void *locker(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < LOCKS / FIBERS; i++) {
		if (weft_mutex_lock(&shared.mutex))
			bench_die("lock failed");
		shared.count++;
		weft_mutex_unlock(&shared.mutex);
	}
	return NULL;
}

static double contended(void)
{
	struct weft_fiber *fibers[FIBERS];
	uint64_t began = bench_now();
	double ns;

	shared.count = 0;
	for (int i = 0; i < FIBERS; i++)
		fibers_spawn(&fibers[i], locker, NULL);
	for (int i = 0; i < FIBERS; i++)
		fibers_join(fibers[i]);
	ns = each(began);
	if (shared.count != LOCKS)
		bench_die("two had the lock at a time");
	return ns;
}

/* Without a runtime: it is the same, and nobody looks after the thread. */
static void measure_alone(void)
{
	double bare[ROUNDS], ours[ROUNDS], ratio[ROUNDS];

	pair();
	alone();
	for (int i = 0; i < ROUNDS; i++) {
		bare[i] = pair();
		ours[i] = alone();
		ratio[i] = ours[i] / bare[i];
	}
	report("mutex.pair", median(bare, ROUNDS), "ns");
	report("mutex.alone", median(ours, ROUNDS), "ns");
	report("mutex.ratio", median(ratio, ROUNDS), "ratio");
}

static int measure_contended(void *arg)
{
	double ns[ROUNDS];

	(void)arg;
	contended();
	for (int i = 0; i < ROUNDS; i++)
		ns[i] = contended();
	fibers_report("mutex.8", weft_workers(), median(ns, ROUNDS), "ns");
	return 0;
}

int main(int argc, char **argv)
{
	struct fibers f = {
		.what = "Cost of a mutex, alone and among eight fibers.",
		.workers = 1,
	};

	fibers_parse(&f, argc, argv);
	measure_alone();
	fibers_run(f.workers, measure_contended, NULL);
	return 0;
}
