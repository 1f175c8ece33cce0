/* SPDX-License-Identifier: MIT */
/*
 * test_migration.c - a fiber goes on with another thread, and takes with it
 * all that is its own.
 */
#include "support/t.h"

#include <fenv.h>
#include <float.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "weft/fiber.h"
#include "weft/runtime.h"

#define FIBERS 32

TestSuite(migration, .timeout = 30 * T_SLOW);

static _Atomic int migrated;
static struct weft_local local;
static volatile double one = 1, little = DBL_EPSILON / 8;

static bool rounds(int mode)
{
	return fegetround() == mode &&
	       (one + little > one) == (mode == FE_UPWARD) &&
	       (one - little < one) == (mode == FE_DOWNWARD);
}

/* All that a fiber has; checked after each yield. */
struct belongings {
	int number;
	int mode;
	double third;
	struct weft_fiber *self;
	char text[64];
};

static void gather(struct belongings *b, int number)
{
	static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD};

	b->number = number;
	b->mode = modes[number % 3];
	fesetround(b->mode);
	b->third = number / 3.0;
	b->self = weft_self();
	snprintf(b->text, sizeof b->text, "fiber %d", number);
	T_CHECK(weft_set_name(b->text) == 0);
	T_CHECK(weft_local_set(&local, b) == 0);
}

static void has_all(struct belongings *b, int number)
{
	char text[64];

	snprintf(text, sizeof text, "fiber %d", number);
	T_CHECK(b->number == number);
	T_CHECK(rounds(b->mode));
	T_CHECK(b->third == number / 3.0);
	T_CHECK(weft_self() == b->self);
	T_CHECK(strcmp(b->text, text) == 0 && strcmp(weft_name(), text) == 0);
	T_CHECK(weft_local_get(&local) == b);
}

/* Now and then a worker has nothing to do, and helps the other. */
static void move_on(uint64_t *seed)
{
	uint64_t r = t_random(seed);

	if (r % 4)
		weft_yield();
	else
		weft_sleep((weft_time)(r >> 32) % WEFT_USEC(200));
}

/* Until seen on two workers, which are two threads of the kernel. */
static void *travel(void *number)
{
	struct belongings b;
	int me = (int)(intptr_t)number, first = weft_worker();
	uint64_t seed = (uint64_t)me;
	long thread = syscall(SYS_gettid);

	gather(&b, me);
	do {
		has_all(&b, me);
		move_on(&seed);
	} while (weft_worker() == first || syscall(SYS_gettid) == thread);
	atomic_fetch_add(&migrated, 1);
	while (atomic_load(&migrated) < FIBERS) {
		has_all(&b, me);
		move_on(&seed);
	}
	return NULL;
}

static int travel_all(void *unused)
{
	struct weft_fiber *f[FIBERS];

	(void)unused;
	T_CHECK(weft_workers() == 2);
	T_CHECK(weft_local_create(&local, NULL) == 0);
	for (intptr_t i = 0; i < FIBERS; i++)
		T_CHECK(weft_spawn(&f[i], NULL, travel, (void *)i) == 0);
	for (int i = 0; i < FIBERS; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	return 0;
}

Test(migration, every_fiber_is_seen_on_two_workers_with_all_it_has)
{
	t_run(2, travel_all, NULL);
	cr_assert_eq(atomic_load(&migrated), FIBERS);
}

static int stay_alone(void *unused)
{
	int first = weft_worker();

	(void)unused;
	T_CHECK(weft_workers() == 1);
	for (int i = 0; i < 1000; i++) {
		weft_yield();
		T_CHECK(weft_worker() == first);
	}
	return 0;
}

Test(migration, with_one_worker_nobody_goes_anywhere)
{
	t_run(1, stay_alone, NULL);
}
