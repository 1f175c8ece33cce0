/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - what does it cost to make a fiber, run it, and wait for its end?
 *
 *   spawn.join     one at a time
 *   spawn.100000   so many at once, then all are joined; each
 *   spawn.fib25    fib(25), a fiber for one of the two terms of each sum
 *
 * Each is run in several processes of its own: `.first` is the first time in
 * a process, when no memory is there yet, and the plain name the median of the
 * times after it.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "fibers.h"

#define PROCESSES 5
#define ROUNDS    5
#define ALONE     200000
#define MANY      100000

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

static const struct work {
	const char *name;
	void (*run)(void);
	double per; /* ns of a round are divided by this */
	const char *unit;
} works[] = {
	{"spawn.join", one_at_a_time, ALONE, "ns"},
	{"spawn.100000", many_at_once, MANY, "ns"},
	{"spawn.fib25", fib25, 1e6, "ms"},
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

/* Measure in a process of its own. */
static void in_process(unsigned workers, struct outcome *o)
{
	int ends[2];
	pid_t pid;

	if (pipe(ends) < 0 || (pid = fork()) < 0)
		bench_die("a process: %s", strerror(errno));
	if (!pid)
		child(workers, ends[1]);
	close(ends[1]);
	if (read(ends[0], o, sizeof(*o)) != sizeof(*o))
		bench_die("%s failed", work->name);
	close(ends[0]);
	waitpid(pid, NULL, 0);
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
	double first[PROCESSES], later[PROCESSES];

	for (int i = 0; i < PROCESSES; i++) {
		struct outcome o;

		in_process(workers, &o);
		first[i] = o.first;
		later[i] = o.later;
	}
	tell(".first", workers, first, work->unit);
	tell("", workers, later, work->unit);
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
