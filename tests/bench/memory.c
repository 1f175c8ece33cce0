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
 *       not for the first time in a runtime, or in a mapping, that has given
 *       back what it had before: a page is touched for each fiber
 *   memory.new.spawn_park, memory.new.touch, memory.new.ratio
 *       the first time: stacks are mapped and get their guards, too
 *   memory.new.guarded, memory.new.kernel
 *       to touch pages of which each has a guard, made as for stacks, and its
 *       ratio: so much of the one above is the kernel's
 *
 * Fibers and pages take turns in one process, and several turns in one runtime
 * for what is given back.  Times are the median of all turns but those of the
 * first runtime, when the host may not have backed the memory yet; what is
 * held, of all.
 *
 * A host takes back what a guest has freed, 2 MiB at a time, at any time; to
 * touch a page of that costs several times as much.  So from the second runtime
 * on some pages are held of each 2 MiB.
 */
#include <stdbool.h>
#include <sys/mman.h>

#include "core/waiter.h"
#include "fibers.h"
#include "os/guard.h"
#include "proc.h"

#define ROUNDS 3
#define AGAIN  4 /* times that a round has what was given back anew */
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
	bool held; /* it counts in the first round, too */
} figures[FIGURES] = {
	[RESIDENT] = {"memory.resident", "bytes", true},
	[PAGE_TABLES] = {"memory.page_tables", "bytes", true},
	[MAPPINGS] = {"memory.mappings", "count", true},
	[SPAWN] = {"memory.spawn_park", "ns", false},
	[TOUCH] = {"memory.touch", "ns", false},
	[RATIO] = {"memory.ratio", "ratio", false},
	[NEW_SPAWN] = {"memory.new.spawn_park", "ns", false},
	[NEW_TOUCH] = {"memory.new.touch", "ns", false},
	[NEW_RATIO] = {"memory.new.ratio", "ratio", false},
	[NEW_GUARDED] = {"memory.new.guarded", "ns", false},
	[NEW_KERNEL] = {"memory.new.kernel", "ratio", false},
};

/* One worker: none of this is shared between threads. */
static struct {
	size_t count, parked;
	bool over;
	struct weft_fiber **fibers;
	struct held before;
	double seen[FIGURES][ROUNDS * AGAIN];
	size_t times[FIGURES]; /* that it has been seen */
} all;

static void note(enum figure f, double value)
{
	all.seen[f][all.times[f]++] = value;
}

static double noted(enum figure f)
{
	return all.seen[f][all.times[f] - 1];
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

static void guarded_round(void)
{
	size_t bytes = all.count * STRIDE;
	char *base = map_small(bytes);

	if (wf_guard_open(WEFT_GUARD_AUTO) < 0)
		bench_die("no guards");
	note(NEW_GUARDED, touch_all(base, true));
	wf_guard_close();
	munmap(base, bytes);
	note(NEW_KERNEL, noted(NEW_GUARDED) / noted(NEW_TOUCH));
}

/* --- all of it --- */

/* Never both at a time: the memory is the same. */
static void take_again(char *base, size_t bytes)
{
	note(TOUCH, touch_all(base, false));
	give_back(base, bytes);
	note(SPAWN, spawn_all());
	join_all();
	await_given_back();
	note(RATIO, noted(SPAWN) / noted(TOUCH));
}

static int runtime_round(void *arg)
{
	size_t bytes = all.count * STRIDE;
	char *base;

	(void)arg;
	note(NEW_SPAWN, spawn_all());
	note_held();
	join_all();
	await_given_back();
	base = map_small(bytes);
	note(NEW_TOUCH, touch_all(base, false));
	give_back(base, bytes);
	note(NEW_RATIO, noted(NEW_SPAWN) / noted(NEW_TOUCH));
	for (int i = 0; i < AGAIN; i++)
		take_again(base, bytes);
	munmap(base, bytes);
	return 0;
}

static void round_of_all(void)
{
	all.before = held_now();
	fibers_run(1, runtime_round, NULL);
	guarded_round();
}

static void forget_times(void)
{
	for (int f = 0; f < FIGURES; f++)
		if (!figures[f].held)
			all.times[f] = 0;
}

static void report_all(void)
{
	for (int f = 0; f < FIGURES; f++)
		report(figures[f].name, median(all.seen[f], all.times[f]),
		       figures[f].unit);
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
	round_of_all();
	forget_times();
	keep_backed();
	for (int i = 1; i < ROUNDS; i++)
		round_of_all();
	report_all();
	return 0;
}
