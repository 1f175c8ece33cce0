/* SPDX-License-Identifier: MIT */
/*
 * test_million.c - a million fibers, each parked on a stack of its own with a
 * guard of its own, in a few mappings.
 */
#include "support/t.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/life.h"
#include "os/call.h"
#include "os/feature.h"
#include "support/thread.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

#define EACH 4700 /* bytes resident: a page, page tables, the handle */

/* A sanitizer takes more for each, and its own mappings. */
#define MANY (T_SANITIZED ? 10000 : 1000000)

TestSuite(million, .timeout = 100 * T_SLOW);

static struct weft_fiber **fibers;
static size_t count, mapped_before;
static _Atomic size_t parked;
static _Atomic bool released;

static void *park_until_released(void *which)
{
	atomic_fetch_add(&parked, 1);
	while (!atomic_load(&released))
		wf_park(wf_self(), WEFT_FOREVER);
	return which;
}

static size_t mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	size_t lines = 0;
	int c;

	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

static bool guarded(const struct weft_fiber *f)
{
	return wf_faults(f->life->stack);
}

static void spawn_all(void)
{
	for (size_t i = 0; i < count; i++) {
		int r = weft_spawn(&fibers[i], NULL, park_until_released,
				   (void *)i);

		T_CHECK(r == 0);
		if (r < 0)
			count = i;
	}
}

static int park_a_million(void *unused)
{
	void *result;

	(void)unused;
	spawn_all();
	while (atomic_load(&parked) < count)
		weft_yield();
	T_CHECK(T_SANITIZED || mappings() < mapped_before + 100);
	for (size_t i = 0; i < count; i += 997)
		T_CHECK(guarded(fibers[i]));
	atomic_store(&released, true);
	for (size_t i = 0; i < count; i++)
		wf_unpark(fibers[i]);
	for (size_t i = 0; i < count; i++)
		T_CHECK(weft_join(fibers[i], &result) == 0 &&
			result == (void *)i);
	return 7;
}

static size_t available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	size_t kib = 0;
	char line[128];

	while (f && fgets(line, sizeof line, f) &&
	       sscanf(line, "MemAvailable: %zu", &kib) != 1)
		;
	if (f)
		fclose(f);
	return kib << 10;
}

Test(million, a_million_guarded_fibers_park_wake_and_are_joined)
{
	count = t_scale(MANY);
	wf_feature_probe();
	if (!wf_feature(WF_GUARD))
		cr_skip_test("without MADV_GUARD_INSTALL mappings run out");
	if (available() < count * EACH * 5 / 4)
		cr_skip_test("there is not enough memory");
	fibers = malloc(count * sizeof *fibers);
	mapped_before = mappings();
	cr_assert_eq(t_run(0, park_a_million, NULL), 7);
}
