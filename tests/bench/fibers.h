/* SPDX-License-Identifier: MIT */
/*
 * fibers.h - what the benchmarks of weft share beyond bench.h: their options,
 * and calls that end the program instead of failing.
 */
#ifndef FIBERS_H
#define FIBERS_H

#include <weft.h>

#include <getopt.h>

#include "bench.h"

/* Options of a benchmark; 0 means that it does not have the option. */
struct fibers {
	const char *what; /* what it measures, for --help */
	unsigned workers; /* -w */
	size_t count;     /* -n */
};

static inline void fibers_usage(const struct fibers *f, FILE *to)
{
	fprintf(to, "usage: %s [options]\n%s\n", program_invocation_short_name,
		f->what);
	if (f->workers)
		fprintf(to, "  -w WORKERS  default %u\n", f->workers);
	if (f->count)
		fprintf(to, "  -n COUNT    of fibers, default %zu\n", f->count);
	exit(to == stderr);
}

static inline void fibers_option(struct fibers *f, int c)
{
	if (c == 'h')
		fibers_usage(f, stdout);
	else if (c == 'w' && f->workers)
		f->workers = (unsigned)bench_number("-w", optarg, 1, 256);
	else if (c == 'n' && f->count)
		f->count = (size_t)bench_number("-n", optarg, 1, 1e7);
	else
		fibers_usage(f, stderr);
}

/* `f` holds the defaults, and then what the command line says. */
static inline void fibers_parse(struct fibers *f, int argc, char **argv)
{
	static const struct option names[] = {{"help", 0, NULL, 'h'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "hw:n:", names, NULL)) != -1)
		fibers_option(f, c);
	if (optind < argc)
		fibers_usage(f, stderr);
}

/* Run fn(arg) on a runtime of so many workers. */
static inline void fibers_run(unsigned workers, int (*fn)(void *), void *arg)
{
	struct weft_options options = {.workers = workers};
	int err = weft_run(&options, fn, arg);

	if (err)
		bench_die("the runtime: %s", strerror(-err));
}

static inline void fibers_spawn(struct weft_fiber **handle, weft_fn fn,
				void *arg)
{
	int err = weft_spawn(handle, NULL, fn, arg);

	if (err)
		bench_die("spawn: %s", strerror(-err));
}

static inline void fibers_join(struct weft_fiber *fiber)
{
	int err = weft_join(fiber, NULL);

	if (err)
		bench_die("join: %s", strerror(-err));
}

/* The same figure with several workers has their number in its name. */
static inline void fibers_report(const char *name, unsigned workers,
				 double value, const char *unit)
{
	char full[96];

	snprintf(full, sizeof(full), "%s.w%u", name, workers);
	report(workers == 1 ? name : full, value, unit);
}

#endif
