/* SPDX-License-Identifier: MIT */
/*
 * crowd.c - what does it cost that COUNT fibers wait for one semaphore?
 *
 *   crowd.heap       bytes that malloc has given, of all of them
 *   crowd.mappings   how many more there are, of all of them
 *   crowd.resident   bytes of memory, each
 *   crowd.wait       time to begin to wait, each
 *   crowd.release    time of the one call that gives them all a permit, each
 *   crowd.wake       time from there until the last of them has run, each
 *
 * They exist and have been asleep before they come to the semaphore, and
 * stay after it, so that no figure has their making or their end in it.
 */
#include <malloc.h>

#include "base/atom.h"
#include "core/waiter.h"
#include "fibers.h"
#include "proc.h"

#define ROUNDS 5

static struct weft_sem sem;

static struct {
	size_t count;
	struct weft_fiber **fibers;
	_Atomic size_t arrived; /* at the stage that follows */
	_Atomic uint32_t stage; /* which all may enter */
	_Atomic uint64_t last;  /* when the last one arrived */
} all;

enum { MADE, WAITING, OVER };

/* What a round finds. */
struct crowd {
	double heap, mappings, resident, wait, release, wake;
};

/* Say that one has come so far. */
static void arrive(void)
{
	if (atom_add_ar(&all.arrived, 1) + 1 == all.count)
		atom_store_rel(&all.last, bench_now());
}

static void sleep_until_stage(uint32_t stage)
{
	while (atom_load_acq(&all.stage) < stage)
		wf_park(weft_self(), WEFT_FOREVER);
}

static void *one(void *arg)
{
	(void)arg;
	arrive();
	sleep_until_stage(WAITING);
	arrive();
	if (weft_sem_acquire(&sem, 1))
		bench_die("acquire failed");
	arrive();
	sleep_until_stage(OVER);
	return NULL;
}

/* Until all have arrived; when the last one did. */
static uint64_t gather(void)
{
	uint64_t last;

	while (!(last = atom_load_acq(&all.last)))
		weft_yield();
	atom_store_rlx(&all.arrived, 0);
	atom_store_rlx(&all.last, 0);
	return last;
}

static void enter(uint32_t stage)
{
	atom_store_rel(&all.stage, stage);
	for (size_t i = 0; i < all.count; i++)
		wf_unpark(all.fibers[i]);
}

static double each(uint64_t ns)
{
	return (double)ns / (double)all.count;
}

static double heap_now(void)
{
	struct mallinfo2 m = mallinfo2();

	return (double)m.uordblks + (double)m.hblkhd;
}

static void come_to_wait(struct crowd *c)
{
	struct held before = held_now(), now;
	double heap = heap_now();
	uint64_t began = bench_now();

	enter(WAITING);
	c->wait = each(gather() - began);
	c->heap = heap_now() - heap;
	now = held_now();
	c->mappings = now.mappings - before.mappings;
	c->resident = (now.resident - before.resident) / (double)all.count;
}

static void wake_all(struct crowd *c)
{
	uint64_t began = bench_now();

	if (weft_sem_release(&sem, all.count))
		bench_die("release failed");
	c->release = each(bench_now() - began);
	c->wake = each(gather() - began);
}

static int round_of(void *arg)
{
	struct crowd *c = arg;

	atom_store_rlx(&all.stage, MADE);
	for (size_t i = 0; i < all.count; i++)
		fibers_spawn(&all.fibers[i], one, NULL);
	gather();
	come_to_wait(c);
	wake_all(c);
	enter(OVER);
	for (size_t i = 0; i < all.count; i++)
		fibers_join(all.fibers[i]);
	return 0;
}

/* The median of one field of the rounds; `offset` is the field's. */
static double middle(const struct crowd *rounds, size_t offset)
{
	double values[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		memcpy(&values[i], (const char *)&rounds[i] + offset,
		       sizeof(*values));
	return median(values, ROUNDS);
}

static void report_all(const struct crowd *rounds, unsigned workers)
{
	static const struct {
		const char *name;
		size_t offset;
		const char *unit;
	} fields[] = {
		{"crowd.heap", offsetof(struct crowd, heap), "bytes"},
		{"crowd.mappings", offsetof(struct crowd, mappings), "count"},
		{"crowd.resident", offsetof(struct crowd, resident), "bytes"},
		{"crowd.wait", offsetof(struct crowd, wait), "ns"},
		{"crowd.release", offsetof(struct crowd, release), "ns"},
		{"crowd.wake", offsetof(struct crowd, wake), "ns"},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		fibers_report(fields[i].name, workers,
			      middle(rounds, fields[i].offset), fields[i].unit);
}

int main(int argc, char **argv)
{
	struct fibers f = {
		.what = "Memory and time of many fibers that wait for one "
			"semaphore.\nA million need 4 GiB.",
		.workers = 1,
		.count = 1000000,
	};
	struct crowd rounds[ROUNDS];

	fibers_parse(&f, argc, argv);
	all.count = f.count;
	all.fibers = malloc(f.count * sizeof(*all.fibers));
	if (!all.fibers)
		bench_die("%s", strerror(errno));
	/* Resident from here on, and so in no figure. */
	memset(all.fibers, 1, f.count * sizeof(*all.fibers));
	for (int i = 0; i < ROUNDS; i++)
		fibers_run(f.workers, round_of, &rounds[i]);
	report_all(rounds, f.workers);
	return 0;
}
