/* SPDX-License-Identifier: MIT */
/*
 * skynet.c - what does a tree of a million fibers cost, in time and memory?
 *
 * Each node has ten children, each a fiber, and waits for them all; the 10^6
 * leaves sum up to 499999500000.
 *
 *   skynet        a whole tree: the median of the rounds
 *   skynet.first  the first one, when no memory is there yet
 *   skynet.rss    the most memory that the process ever held
 *
 * Depth first, few fibers live at a time, and the memory is hardly more than
 * an empty process has; breadth first, a million stacks do.
 */
#include "fibers.h"

#define ROUNDS 5
#define LEAVES 1000000
#define SUM    UINT64_C(499999500000)

/* The leaves first to first + count - 1, and then their sum. */
struct node {
	uint64_t first, count, sum;
};

static void *tree(void *arg)
{
	struct node *n = arg, child[10];
	struct weft_fiber *fibers[10];

	if (n->count == 1) {
		n->sum = n->first;
		return NULL;
	}
	for (uint64_t i = 0; i < 10; i++) {
		child[i].count = n->count / 10;
		child[i].first = n->first + i * child[i].count;
		fibers_spawn(&fibers[i], tree, &child[i]);
	}
	n->sum = 0;
	for (int i = 0; i < 10; i++) {
		fibers_join(fibers[i]);
		n->sum += child[i].sum;
	}
	return NULL;
}

static double time_tree(void)
{
	struct node root = {.count = LEAVES};
	uint64_t began = bench_now();

	tree(&root);
	if (root.sum != SUM)
		bench_die("the leaves do not sum up");
	return (double)(bench_now() - began);
}

/* Not getrusage(2), whose figure a process has from the one that started it. */
static double most_resident(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long kib = 0;

	if (!status)
		bench_die("/proc/self/status: %s", strerror(errno));
	while (!kib && fgets(line, sizeof(line), status))
		sscanf(line, "VmHWM: %lu kB", &kib);
	fclose(status);
	if (!kib)
		bench_die("/proc/self/status does not have VmHWM");
	return (double)kib * 1024;
}

static int measure(void *arg)
{
	unsigned workers = weft_workers();
	double ns[ROUNDS];

	(void)arg;
	fibers_report("skynet.first", workers, time_tree(), "ns");
	for (int i = 0; i < ROUNDS; i++)
		ns[i] = time_tree();
	fibers_report("skynet", workers, median(ns, ROUNDS), "ns");
	fibers_report("skynet.rss", workers, most_resident(), "bytes");
	return 0;
}

int main(int argc, char **argv)
{
	struct fibers f = {
		.what = "Cost of a tree of fibers with a million leaves.",
		.workers = 1,
	};

	fibers_parse(&f, argc, argv);
	fibers_run(f.workers, measure, NULL);
	return 0;
}
