/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what every benchmark needs: a clock, a median, a line of output.
 *
 * A benchmark prints lines `name value unit` on stdout and nothing else there;
 * words for people go to stderr.  Knows nothing of weft, so that the programs
 * which measure the kernel alone can use it too.
 */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE before the first include: bench.h pins threads"
#endif

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_SECOND 1000000000ULL

/* End with status 1 after `name: message` on stderr. */
__attribute__((format(printf, 1, 2), noreturn)) static inline void
bench_die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* Nanoseconds of the monotonic clock. */
static inline uint64_t bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * BENCH_SECOND + (uint64_t)t.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The middle of n values, which are left sorted. */
static inline double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), bench_compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Print one result, at once: whoever reads a pipe need not wait for the end. */
static inline void report(const char *name, double value, const char *unit)
{
	int whole = value == (double)(int64_t)value;

	printf("%s %.*f %s\n", name, whole ? 0 : 2, value, unit);
	fflush(stdout);
}

/* Keep the calling thread, and those it makes, on one CPU. */
static inline void bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		bench_die("CPU %d: %s", cpu, strerror(errno));
}

/* The number in an option's text, or death with the option's name. */
static inline double bench_number(const char *option, const char *text,
				  double min, double max)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= min && value <= max))
		bench_die("%s: '%s' is not a number from %.0f to %.0f", option,
			  text, min, max);
	return value;
}

/* For programs that take no argument: --help, or nothing. */
static inline void bench_no_arguments(int argc, char **argv, const char *what)
{
	if (argc == 1)
		return;
	fprintf(strcmp(argv[1], "--help") ? stderr : stdout, "usage: %s\n%s\n",
		program_invocation_short_name, what);
	exit(strcmp(argv[1], "--help") != 0);
}

#endif
