/* SPDX-License-Identifier: MIT */
/*
 * touch.c - what do a million stacks cost before anything runs on them?
 *
 * Touches one page in each of COUNT stacks which lie 64 KiB apart in one
 * mapping, which is the least that a parked fiber can do; then the same with
 * a guard at the low end of each.  Each twice, unmapped in between: memory
 * which the host has not backed yet makes the first round slower.  Last, the
 * ways to install the guards, and to touch: one call each, or 512 in a call.
 *
 * A batch which the kernel refuses is reported as `...allowed 0`.
 * Links nothing but libc.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../bench.h"

#define STRIDE        (64UL << 10)
#define PAGE          4096UL
#define BATCH         512
#define BATCH_STACKS  100000UL
#define GUARD_INSTALL 102      /* MADV_GUARD_INSTALL, Linux 6.13 */
#define POPULATE      23       /* MADV_POPULATE_WRITE, Linux 5.14 */
#define SELF          (-10000) /* PIDFD_SELF, Linux 6.14 */

static char *map(size_t count)
{
	char *base = mmap(NULL, count * STRIDE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		bench_die("mmap of %zu stacks: %s", count, strerror(errno));
	madvise(base, count * STRIDE, MADV_NOHUGEPAGE);
	return base;
}

static void unmap(char *base, size_t count)
{
	munmap(base, count * STRIDE);
}

static double each(uint64_t began, size_t count)
{
	return (double)(bench_now() - began) / (double)count;
}

/* Write to the highest page of each stack, where its first frame would be. */
static double touch(char *base, size_t count)
{
	uint64_t began = bench_now();

	for (size_t i = 1; i <= count; i++)
		*(volatile char *)(base + i * STRIDE - 64) = 1;
	return each(began, count);
}

/* Advise the page `offset` bytes into each stack, a call each. */
static double advise(char *base, size_t count, size_t offset, int advice)
{
	uint64_t began = bench_now();

	for (size_t i = 0; i < count; i++)
		if (madvise(base + i * STRIDE + offset, PAGE, advice) < 0)
			bench_die("madvise %d: %s", advice, strerror(errno));
	return each(began, count);
}

static bool advise_some(char *base, size_t count, size_t offset, int advice,
			int pidfd)
{
	struct iovec page[BATCH];

	for (size_t i = 0; i < count; i++)
		page[i] = (struct iovec){base + i * STRIDE + offset, PAGE};
	return syscall(SYS_process_madvise, pidfd, page, count, advice, 0) ==
	       (long)(count * PAGE);
}

/* The same in batches; negative if the kernel does not do it. */
static double advise_batched(char *base, size_t count, size_t offset,
			     int advice, int pidfd)
{
	uint64_t began = bench_now();

	for (size_t i = 0; i < count; i += BATCH) {
		size_t some = count - i < BATCH ? count - i : BATCH;

		if (!advise_some(base + i * STRIDE, some, offset, advice,
				 pidfd))
			return -1;
	}
	return each(began, count);
}

static void plain_round(const char *name, size_t count)
{
	char *base = map(count);

	report(name, touch(base, count), "ns");
	unmap(base, count);
}

static void guarded_round(const char *guard, const char *name, size_t count)
{
	char *base = map(count);

	report(guard, advise(base, count, 0, GUARD_INSTALL), "ns");
	report(name, touch(base, count), "ns");
	unmap(base, count);
}

/* Medians of a few fresh mappings each, single calls and batches in turn. */
static void compare(const char *name, size_t offset, int advice, int pidfd)
{
	enum { ROUNDS = 5 };
	double single[ROUNDS], batched[ROUNDS];
	char line[64];

	for (int i = 0; i < ROUNDS; i++) {
		char *one = map(BATCH_STACKS), *many = map(BATCH_STACKS);

		single[i] = advise(one, BATCH_STACKS, offset, advice);
		batched[i] = advise_batched(many, BATCH_STACKS, offset, advice,
					    pidfd);
		unmap(one, BATCH_STACKS);
		unmap(many, BATCH_STACKS);
	}
	double batch = median(batched, ROUNDS);
	snprintf(line, sizeof(line), "touch.%s.single", name);
	report(line, median(single, ROUNDS), "ns");
	snprintf(line, sizeof(line), "touch.%s.batch.allowed", name);
	report(line, batch >= 0, "bool");
	snprintf(line, sizeof(line), "touch.%s.batch", name);
	if (batch >= 0)
		report(line, batch, "ns");
}

static bool have_guards(void)
{
	char *base = map(1);
	bool have = madvise(base, PAGE, GUARD_INSTALL) == 0;

	unmap(base, 1);
	return have;
}

static void usage(FILE *to)
{
	fprintf(to,
		"usage: %s [COUNT]\n"
		"Cost of touching one page in each of COUNT stacks\n"
		"(default 1000000, which needs 4 GiB), with and without guards"
		".\n",
		program_invocation_short_name);
}

static size_t parse(int argc, char **argv)
{
	static const struct option options[] = {{"help", 0, NULL, 'h'}, {0}};
	int c = getopt_long(argc, argv, "h", options, NULL);

	if (c == 'h') {
		usage(stdout);
		exit(0);
	}
	if (c != -1 || argc - optind > 1) {
		usage(stderr);
		exit(1);
	}
	if (optind == argc)
		return 1000000;
	return (size_t)bench_number("COUNT", argv[optind], 1, 1e7);
}

int main(int argc, char **argv)
{
	size_t count = parse(argc, argv);
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	plain_round("touch.plain.first", count);
	plain_round("touch.plain.second", count);
	compare("populate.pidfd", STRIDE - PAGE, POPULATE, pidfd);
	report("touch.guards.allowed", have_guards(), "bool");
	if (!have_guards())
		return 0;
	guarded_round("touch.guard.first", "touch.guarded.first", count);
	guarded_round("touch.guard.second", "touch.guarded.second", count);
	compare("guard.pidfd", 0, GUARD_INSTALL, pidfd);
	compare("guard.self", 0, GUARD_INSTALL, SELF);
	return 0;
}
