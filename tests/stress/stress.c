/* SPDX-License-Identifier: MIT */
/*
 * stress.c - see stress.h.
 */
#include "stress.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if STRESS_SANITIZED
#include <sanitizer/allocator_interface.h>
#endif

#define TALLIES      64
#define HANG_SECONDS 60

static const char *program;
static uint64_t seed, rounds;
static double seconds = 10;
static weft_time began, end;
static _Atomic uint64_t sequences;
static struct tally *_Atomic tallies[TALLIES];
static _Atomic size_t tallies_count;
static pthread_t watchman;
static _Atomic bool watched;

/* --- random numbers --- */

uint64_t stress_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t stress_random(uint64_t *sequence)
{
	return stress_mix(*sequence += 0x9e3779b97f4a7c15);
}

uint64_t stress_below(uint64_t *sequence, uint64_t n)
{
	return stress_random(sequence) % n;
}

uint64_t stress_sequence(void)
{
	return stress_mix(seed + stress_mix(atomic_fetch_add(&sequences, 1)));
}

/* --- what must be true --- */

void stress_die(const char *format, ...)
{
	char why[256];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	dprintf(STDERR_FILENO, "%s: seed %llu: %s\n", program,
		(unsigned long long)seed, why);
	_exit(1);
}

/* --- counts --- */

static void get_known(struct tally *t)
{
	size_t i = atomic_fetch_add(&tallies_count, 1);

	if (i >= TALLIES)
		stress_die("more than %d kinds of things done", TALLIES);
	atomic_store(&tallies[i], t);
}

void stress_count(struct tally *t, uint64_t n)
{
	if (!atomic_load_explicit(&t->known, memory_order_relaxed) &&
	    !atomic_exchange(&t->known, true))
		get_known(t);
	atomic_fetch_add_explicit(&t->count, n, memory_order_relaxed);
}

static uint64_t all_counts(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < TALLIES && tallies[i]; i++)
		sum += tallies[i]->count;
	return sum;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(struct tally *const *)a)->name,
		      (*(struct tally *const *)b)->name);
}

static void print_counts(void)
{
	struct tally *sorted[TALLIES];
	size_t n = tallies_count;

	for (size_t i = 0; i < n; i++)
		sorted[i] = tallies[i];
	qsort(sorted, n, sizeof *sorted, compare_names);
	printf("%s: seed %llu, %.1f s:", program, (unsigned long long)seed,
	       (double)(weft_now() - began) / 1e9);
	for (size_t i = 0; i < n; i++)
		printf("%s %s %llu", i ? "," : "", sorted[i]->name,
		       (unsigned long long)sorted[i]->count);
	putchar('\n');
}

/* --- the watchman --- */

static void say_progress(uint64_t done)
{
	if (isatty(STDERR_FILENO))
		dprintf(STDERR_FILENO, "\r\033[K%s: %.0f s, %llu done", program,
			(double)(weft_now() - began) / 1e9,
			(unsigned long long)done);
}

static _Noreturn void give_up(void)
{
	dprintf(STDERR_FILENO, "%s: seed %llu: nothing has happened for %d s\n",
		program, (unsigned long long)seed, HANG_SECONDS);
	print_counts();
	fflush(stdout);
	weft_dump(STDERR_FILENO);
	abort();
}

static void *watch(void *unused)
{
	const struct timespec moment = {.tv_nsec = 100000000};
	weft_time changed = weft_now();
	uint64_t done = 0, now;

	while (!atomic_load(&watched)) {
		nanosleep(&moment, NULL);
		now = all_counts();
		if (now != done)
			changed = weft_now();
		done = now;
		say_progress(done);
		if (weft_now() - changed > WEFT_SEC(HANG_SECONDS))
			give_up();
	}
	if (isatty(STDERR_FILENO))
		dprintf(STDERR_FILENO, "\r\033[K");
	return unused;
}

/* It leaves the program's signals to others. */
static void start_watchman(void)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&watchman, NULL, watch, NULL))
		stress_die("no thread for the watchman");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* --- beginning and end --- */

static _Noreturn void usage(const char *what, int status)
{
	fprintf(status ? stderr : stdout,
		"usage: %s [-s SEED] [-t SECONDS] [-n ROUNDS]\n%s\n"
		"  -s SEED     or WEFT_SEED: to repeat a run\n"
		"  -t SECONDS  or WEFT_STRESS_SECONDS, default 10\n"
		"  -n ROUNDS   instead of a time, where there are rounds\n",
		program, what);
	exit(status);
}

static double number(const char *what, const char *text)
{
	char *rest;
	double n = strtod(text, &rest);

	if (rest == text || *rest || !(n >= 0))
		stress_die("%s: '%s' is not a number", what, text);
	return n;
}

static void read_variables(uint64_t default_rounds)
{
	const char *s = getenv("WEFT_SEED"), *t = getenv("WEFT_STRESS_SECONDS");
	const char *scale = getenv("WEFT_TEST_SCALE");

	seed = s ? strtoull(s, NULL, 0) : (uint64_t)weft_now();
	if (t)
		seconds = number("WEFT_STRESS_SECONDS", t);
	rounds = t ? 0 : default_rounds;
	if (scale && strtoul(scale, NULL, 0))
		rounds = rounds / strtoul(scale, NULL, 0);
}

static void read_options(int argc, char **argv, const char *what)
{
	static const struct option names[] = {{"help", 0, NULL, 'h'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "hs:t:n:", names, NULL)) != -1) {
		if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (c == 't')
			seconds = number("-t", optarg), rounds = 0;
		else if (c == 'n')
			rounds = (uint64_t)number("-n", optarg);
		else
			usage(what, c != 'h');
	}
	if (optind < argc)
		usage(what, 1);
}

void stress_begin(int argc, char **argv, const char *what,
		  uint64_t default_rounds)
{
	program = program_invocation_short_name;
	read_variables(default_rounds);
	read_options(argc, argv, what);
	printf("%s: seed %llu\n", program, (unsigned long long)seed);
	fflush(stdout);
	began = weft_now();
	end = began + (weft_time)(seconds * 1e9);
	start_watchman();
}

int stress_end(void)
{
	atomic_store(&watched, true);
	pthread_join(watchman, NULL);
	print_counts();
	return 0;
}

bool stress_over(void)
{
	return !rounds && weft_now() >= end;
}

uint64_t stress_rounds(void)
{
	return rounds;
}

/* --- what is held --- */

/* "." and ".." are there too; for the descriptors, the folder itself. */
static int entries(const char *folder)
{
	DIR *d = opendir(folder);
	int n = -2;

	if (!d)
		stress_die("%s: %s", folder, strerror(errno));
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static size_t heap_used(void)
{
#if STRESS_SANITIZED
	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
#endif
}

/* Memory that may be written; address space that is only reserved is not. */
static size_t mapped(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	size_t pages = 0;

	if (!f || fscanf(f, "%*u %*u %*u %*u %*u %zu", &pages) != 1)
		stress_die("/proc/self/statm cannot be read");
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

void stress_look(struct stress_held *held)
{
	held->fds = entries("/proc/self/fd") - 1;
	held->threads = entries("/proc/self/task");
	held->heap = heap_used();
	held->mapped = mapped();
}

/*
 * A sanitizer keeps memory back on purpose; otherwise 64 MiB are what libc
 * keeps of stacks of threads that have ended, and of their heaps.
 */
void stress_compare(const struct stress_held *before)
{
	struct stress_held now;

	stress_look(&now);
	if (now.fds > before->fds)
		stress_die("%d descriptors open, %d before", now.fds,
			   before->fds);
	if (now.threads > before->threads)
		stress_die("%d threads, %d before", now.threads,
			   before->threads);
	if (now.heap > before->heap + (1 << 20))
		stress_die("%zu bytes allocated, %zu before", now.heap,
			   before->heap);
	if (!STRESS_SANITIZED && now.mapped > before->mapped + (64 << 20))
		stress_die("%zu bytes mapped, %zu before", now.mapped,
			   before->mapped);
}
