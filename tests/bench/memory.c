/* SPDX-License-Identifier: MIT */
/*
 * memory.c - what do COUNT parked fibers, each with its guard, hold?
 *
 *   memory.resident      bytes of memory each, handle and stack
 *   memory.page_tables   bytes of page tables each
 *   memory.mappings      how many more there are, in all
 *
 * And how long does it take to make one and to run it until it parks, beside
 * touching one page of 64 KiB in one mapping of as many, which is the least
 * that a parked fiber can do?
 *
 *   memory.spawn_park, memory.touch, memory.ratio
 *       the second time in a runtime, or in a mapping, that has given back
 *       what it had the first time: a page is touched for each fiber
 *   memory.new.spawn_park, memory.new.touch, memory.new.ratio
 *       the first time: stacks are mapped and get their guards, too
 *   memory.new.guarded, memory.new.kernel
 *       to touch pages of which each has a guard, made as for stacks, and its
 *       ratio: so much of the one above is the kernel's
 *
 * Fibers and pages take turns in one process.  Times are the median of all
 * turns but the first, when the host may not have backed the memory yet; what
 * is held, of all.
 *
 * A host takes back what a guest has freed, 2 MiB at a time, at any time; to
 * touch a page of that costs several times as much.  So from the second turn on
 * some pages are held of each 2 MiB.
 */
#include <stdbool.h>
#include <sys/mman.h>

#include "core/waiter.h"
#include "fibers.h"
#include "os/guard.h"
#include "proc.h"

#define ROUNDS 6
#define STRIDE (64UL << 10)
#define BLOCK  (512UL << 10) /* a part of what is given back at once */

enum figure {
	RESIDENT,
	PAGE_TABLES,
	MAPPINGS,
	SPAWN,
	TOUCH,
	RATIO,
	NEW_SPAWN,
	NEW_TOUCH,
	NEW_RATIO,
	NEW_GUARDED,
	NEW_KERNEL,
	FIGURES,
};

static const struct {
	const char *name, *unit;
	int first; /* the round from which on it counts */
} figures[FIGURES] = {
	[RESIDENT] = {"memory.resident", "bytes", 0},
	[PAGE_TABLES] = {"memory.page_tables", "bytes", 0},
	[MAPPINGS] = {"memory.mappings", "count", 0},
	[SPAWN] = {"memory.spawn_park", "ns", 1},
	[TOUCH] = {"memory.touch", "ns", 1},
	[RATIO] = {"memory.ratio", "ratio", 1},
	[NEW_SPAWN] = {"memory.new.spawn_park", "ns", 1},
	[NEW_TOUCH] = {"memory.new.touch", "ns", 1},
	[NEW_RATIO] = {"memory.new.ratio", "ratio", 1},
	[NEW_GUARDED] = {"memory.new.guarded", "ns", 1},
	[NEW_KERNEL] = {"memory.new.kernel", "ratio", 1},
};

/* One worker: none of this is shared between threads. */
static struct {
	size_t count, parked;
	bool over;
	struct weft_fiber **fibers;
	struct held before;
	double seen[FIGURES][ROUNDS];
	int round;
} all;

static void note(enum figure f, double value)
{
	all.seen[f][all.round] = value;
}

static double noted(enum figure f)
{
	return all.seen[f][all.round];
}

static double each(double sum)
{
	return sum / (double)all.count;
}

/* --- fibers --- */

static void *sleeper(void *arg)
{
	(void)arg;
	all.parked++;
	while (!all.over)
		wf_park(weft_self(), WEFT_FOREVER);
	return NULL;
}

static double spawn_all(void)
{
	uint64_t began = bench_now();

	all.parked = 0;
	all.over = false;
	for (size_t i = 0; i < all.count; i++)
		fibers_spawn(&all.fibers[i], sleeper, NULL);
	while (all.parked < all.count)
		weft_yield();
	return each((double)(bench_now() - began));
}

static void join_all(void)
{
	all.over = true;
	for (size_t i = 0; i < all.count; i++)
		wf_unpark(all.fibers[i]);
	for (size_t i = 0; i < all.count; i++)
		fibers_join(all.fibers[i]);
}

static void note_held(void)
{
	struct held now = held_now();

	note(RESIDENT, each(now.resident - all.before.resident));
	note(PAGE_TABLES, each(now.page_tables - all.before.page_tables));
	note(MAPPINGS, now.mappings - all.before.mappings);
}

/* Stacks are, when nobody has wanted them for a while; handles are not. */
static void await_given_back(void)
{
	double most = all.before.resident + 4e6 +
		      (double)(all.count * 2 * sizeof(struct weft_fiber));

	for (int i = 0; held_now().resident > most; i++) {
		if (i == 600)
			bench_die("stacks are not given back");
		weft_sleep(WEFT_MSEC(50));
	}
}

static int fiber_round(void *arg)
{
	(void)arg;
	note(NEW_SPAWN, spawn_all());
	note_held();
	join_all();
	await_given_back();
	note(SPAWN, spawn_all());
	join_all();
	return 0;
}

/* --- pages --- */

/* Of some pages, as many as stacks are made ready at a time. */
static void guard(char *low, size_t left)
{
	size_t count = left < WF_GUARDS ? left : WF_GUARDS;

	if (wf_guard_make(low, STRIDE, (size_t)getpagesize(), count) < 0)
		bench_die("guards cannot be made");
}

static char *map_small(size_t bytes)
{
	char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		bench_die("mmap of %zu bytes: %s", bytes, strerror(errno));
	madvise(base, bytes, MADV_NOHUGEPAGE);
	return base;
}

static void give_back(char *from, size_t bytes)
{
	if (madvise(from, bytes, MADV_DONTNEED) < 0)
		bench_die("madvise: %s", strerror(errno));
}

/* As much as a round takes, and a little more, has been backed by the host. */
static void keep_backed(void)
{
	size_t page = (size_t)getpagesize(), bytes = all.count * page;
	char *base;

	bytes = (bytes + bytes / 4 + BLOCK - 1) / BLOCK * BLOCK;
	base = map_small(bytes);
	for (size_t i = 0; i < bytes; i += page)
		*(volatile char *)(base + i) = 1;
	for (size_t i = 0; i < bytes; i += BLOCK)
		give_back(base + i + page, BLOCK - page);
}

static double touch_all(char *base, bool guarded)
{
	uint64_t began = bench_now();

	for (size_t i = 0; i < all.count; i++) {
		if (guarded && i % WF_GUARDS == 0)
			guard(base + i * STRIDE, all.count - i);
		*(volatile char *)(base + (i + 1) * STRIDE - 64) = 1;
	}
	return each((double)(bench_now() - began));
}

static void page_round(void)
{
	size_t bytes = all.count * STRIDE;
	char *base = map_small(bytes);

	note(NEW_TOUCH, touch_all(base, false));
	give_back(base, bytes);
	note(TOUCH, touch_all(base, false));
	munmap(base, bytes);
}

static void guarded_round(void)
{
	size_t bytes = all.count * STRIDE;
	char *base = map_small(bytes);

	if (wf_guard_open(WEFT_GUARD_AUTO) < 0)
		bench_die("no guards");
	note(NEW_GUARDED, touch_all(base, true));
	wf_guard_close();
	munmap(base, bytes);
}

/* --- all of it --- */

static void round_of_all(void)
{
	if (all.round == 1)
		keep_backed();
	all.before = held_now();
	fibers_run(1, fiber_round, NULL);
	page_round();
	guarded_round();
	note(RATIO, noted(SPAWN) / noted(TOUCH));
	note(NEW_RATIO, noted(NEW_SPAWN) / noted(NEW_TOUCH));
	note(NEW_KERNEL, noted(NEW_GUARDED) / noted(NEW_TOUCH));
}

static void report_all(void)
{
	for (int f = 0; f < FIGURES; f++) {
		int first = figures[f].first;

		report(figures[f].name,
		       median(all.seen[f] + first, (size_t)(ROUNDS - first)),
		       figures[f].unit);
	}
}

int main(int argc, char **argv)
{
	struct fibers f = {
		.what = "Memory and time of parked fibers.  A million need "
			"5 GiB.",
		.count = 1000000,
	};

	fibers_parse(&f, argc, argv);
	all.count = f.count;
	all.fibers = malloc(f.count * sizeof(*all.fibers));
	if (!all.fibers)
		bench_die("%s", strerror(errno));
	/* Resident from here on, and so in no figure. */
	memset(all.fibers, 1, f.count * sizeof(*all.fibers));
	for (all.round = 0; all.round < ROUNDS; all.round++)
		round_of_all();
	report_all();
	return 0;
}
