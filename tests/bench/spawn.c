/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - what does it cost to make a fiber, run it, and wait for its end?
 *
 *   spawn.join     one at a time
 *   spawn.100000   so many at once, then all are joined; each
 *   spawn.fib25    fib(25), a fiber for one of the two terms of each sum
 *   spawn.skynet   a tree of 10 children a node with 10^6 leaves, each a fiber
 *
 * Each is run in several processes of its own: `.first` is the first time in
 * a process, when no memory is there yet, and the plain name the median of the
 * times after it.  `.peak` is the most memory that the process ever held.
 */
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fibers.h"

#define PROCESSES 5
#define ROUNDS    5
#define ALONE     200000
#define MANY      100000
#define LEAVES    1000000

static void *nothing(void *arg)
{
	return arg;
}

static void one_at_a_time(void)
{
	struct weft_fiber *f;

	for (int i = 0; i < ALONE; i++) {
		fibers_spawn(&f, nothing, NULL);
		fibers_join(f);
	}
}

static void many_at_once(void)
{
	static struct weft_fiber *fibers[MANY];

	for (int i = 0; i < MANY; i++)
		fibers_spawn(&fibers[i], nothing, NULL);
	for (int i = 0; i < MANY; i++)
		fibers_join(fibers[i]);
}

static void *fib(void *arg)
{
	uintptr_t n = (uintptr_t)arg, a;
	struct weft_fiber *f;
	void *b;

	if (n < 2)
		return arg;
	fibers_spawn(&f, fib, (void *)(n - 1));
	a = (uintptr_t)fib((void *)(n - 2));
	if (weft_join(f, &b) < 0)
		bench_die("join failed");
	return (void *)(a + (uintptr_t)b);
}

static void fib25(void)
{
	if ((uintptr_t)fib((void *)25) != 75025)
		bench_die("fib(25) is 75025");
}

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

static void skynet(void)
{
	struct node root = {.count = LEAVES};

	tree(&root);
	if (root.sum != (uint64_t)LEAVES * (LEAVES - 1) / 2)
		bench_die("the leaves do not sum up");
}

static const struct work {
	const char *name;
	void (*run)(void);
	double per; /* ns of a round are divided by this */
	const char *unit;
	bool peak; /* tell how much memory it took */
} works[] = {
	{"spawn.join", one_at_a_time, ALONE, "ns", false},
	{"spawn.100000", many_at_once, MANY, "ns", false},
	{"spawn.fib25", fib25, 1e6, "ms", false},
	{"spawn.skynet", skynet, 1e6, "ms", true},
};

/* What a process found out. */
struct outcome {
	double first, later;
};

static const struct work *work;

static double time_once(void)
{
	uint64_t began = bench_now();

	work->run();
	return (double)(bench_now() - began) / work->per;
}

static int measure(void *arg)
{
	struct outcome *o = arg;
	double later[ROUNDS];

	o->first = time_once();
	for (int i = 0; i < ROUNDS; i++)
		later[i] = time_once();
	o->later = median(later, ROUNDS);
	return 0;
}

static _Noreturn void child(unsigned workers, int out)
{
	struct outcome o;

	fibers_run(workers, measure, &o);
	_exit(write(out, &o, sizeof(o)) != sizeof(o));
}

/* Measure in a process of its own; returns the KiB it held at most. */
static double in_process(unsigned workers, struct outcome *o)
{
	struct rusage usage;
	int ends[2], status;
	pid_t pid;

	if (pipe(ends) < 0 || (pid = fork()) < 0)
		bench_die("a process: %s", strerror(errno));
	if (!pid)
		child(workers, ends[1]);
	close(ends[1]);
	if (read(ends[0], o, sizeof(*o)) != sizeof(*o))
		bench_die("%s failed", work->name);
	close(ends[0]);
	wait4(pid, &status, 0, &usage);
	return (double)usage.ru_maxrss;
}

static void tell(const char *suffix, unsigned workers, double *values,
		 const char *unit)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", work->name, suffix);
	fibers_report(name, workers, median(values, PROCESSES), unit);
}

static void measure_work(unsigned workers)
{
	double first[PROCESSES], later[PROCESSES], peak[PROCESSES];

	for (int i = 0; i < PROCESSES; i++) {
		struct outcome o;

		peak[i] = in_process(workers, &o) / 1024;
		first[i] = o.first;
		later[i] = o.later;
	}
	tell(".first", workers, first, work->unit);
	tell("", workers, later, work->unit);
	if (work->peak)
		tell(".peak", workers, peak, "MiB");
}

int main(int argc, char **argv)
{
	struct fibers f = {
		.what = "Cost of making fibers and waiting for their end.",
		.workers = 1,
	};

	fibers_parse(&f, argc, argv);
	for (size_t i = 0; i < sizeof(works) / sizeof(*works); i++) {
		work = &works[i];
		measure_work(f.workers);
	}
	return 0;
}
