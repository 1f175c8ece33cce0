/* SPDX-License-Identifier: MIT */
/*
 * memory.c - what do COUNT parked fibers, each with its guard, hold?
 *
 *   memory.resident      bytes of memory each, handle and stack
 *   memory.page_tables   bytes of page tables each
 *   memory.mappings      how many more there are, in all
 *   memory.spawn_park    time to make one and to run it until it parks
 *   memory.touch         time to touch one page of 64 KiB, in one mapping of
 *                        as many: the least that a parked fiber can do
 *   memory.guarded       the same where each has a guard, made as for stacks
 *   memory.ratio         of the first of these times to the second
 *   memory.ratio.kernel  of the third to the second: so much of the ratio is
 *                        the kernel's
 *
 * Fibers and pages take turns in one process.  `.first` is the first turn,
 * when the host may not have backed the memory yet, `.second` the next one,
 * and the plain name the median of all from the second on.  What is held is
 * the median of all turns.
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

/* One worker: none of this is shared between threads. */
static struct {
	size_t count, parked;
	bool over;
	struct weft_fiber **fibers;
	struct held before;
	struct {
		double resident, page_tables, mappings;
		double spawn, touch, guarded, ratio, kernel;
	} round[ROUNDS];
	int now; /* the round */
} all;

static void *sleeper(void *arg)
{
	(void)arg;
	all.parked++;
	while (!all.over)
		wf_park(weft_self(), WEFT_FOREVER);
	return NULL;
}

static double each(uint64_t began)
{
	return (double)(bench_now() - began) / (double)all.count;
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
	return each(began);
}

static void join_all(void)
{
	all.over = true;
	for (size_t i = 0; i < all.count; i++)
		wf_unpark(all.fibers[i]);
	for (size_t i = 0; i < all.count; i++)
		fibers_join(all.fibers[i]);
}

static int fiber_round(void *arg)
{
	struct held now;

	(void)arg;
	all.round[all.now].spawn = spawn_all();
	now = held_now();
	join_all();
	all.round[all.now].resident =
		(now.resident - all.before.resident) / (double)all.count;
	all.round[all.now].page_tables =
		(now.page_tables - all.before.page_tables) / (double)all.count;
	all.round[all.now].mappings = now.mappings - all.before.mappings;
	return 0;
}

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
		if (madvise(base + i + page, BLOCK - page, MADV_DONTNEED) < 0)
			bench_die("madvise: %s", strerror(errno));
}

static double touch_round(bool guarded)
{
	size_t bytes = all.count * STRIDE;
	char *base = map_small(bytes);
	uint64_t began;
	double ns;

	began = bench_now();
	for (size_t i = 0; i < all.count; i++) {
		if (guarded && i % WF_GUARDS == 0)
			guard(base + i * STRIDE, all.count - i);
		*(volatile char *)(base + (i + 1) * STRIDE - 64) = 1;
	}
	ns = each(began);
	munmap(base, bytes);
	return ns;
}

static void round_of_all(void)
{
	double touch, guarded;

	if (all.now == 1)
		keep_backed();
	all.before = held_now();
	fibers_run(1, fiber_round, NULL);
	touch = touch_round(false);
	if (wf_guard_open(WEFT_GUARD_AUTO) < 0)
		bench_die("no guards");
	guarded = touch_round(true);
	wf_guard_close();
	all.round[all.now].touch = touch;
	all.round[all.now].guarded = guarded;
	all.round[all.now].ratio = all.round[all.now].spawn / touch;
	all.round[all.now].kernel = guarded / touch;
}

/* A figure of the rounds from `first` on; `offset` is that of its field. */
static double middle(int first, size_t offset)
{
	double values[ROUNDS];

	for (int i = first; i < ROUNDS; i++)
		memcpy(&values[i - first], (char *)&all.round[i] + offset,
		       sizeof(*values));
	return median(values, (size_t)(ROUNDS - first));
}

#define MIDDLE(first, field)                                                   \
	middle(first,                                                          \
	       (size_t)((char *)&all.round[0].field - (char *)&all.round[0]))

static void report_all(void)
{
	report("memory.resident", MIDDLE(0, resident), "bytes");
	report("memory.page_tables", MIDDLE(0, page_tables), "bytes");
	report("memory.mappings", MIDDLE(0, mappings), "count");
	report("memory.spawn_park.first", all.round[0].spawn, "ns");
	report("memory.spawn_park.second", all.round[1].spawn, "ns");
	report("memory.spawn_park", MIDDLE(1, spawn), "ns");
	report("memory.touch.first", all.round[0].touch, "ns");
	report("memory.touch.second", all.round[1].touch, "ns");
	report("memory.touch", MIDDLE(1, touch), "ns");
	report("memory.guarded", MIDDLE(1, guarded), "ns");
	report("memory.ratio.second", all.round[1].ratio, "ratio");
	report("memory.ratio", MIDDLE(1, ratio), "ratio");
	report("memory.ratio.kernel", MIDDLE(1, kernel), "ratio");
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
	for (all.now = 0; all.now < ROUNDS; all.now++)
		round_of_all();
	report_all();
	return 0;
}
