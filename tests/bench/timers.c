/* SPDX-License-Identifier: MIT */
/*
 * timers.c - what does a deadline cost, and how late is it?
 *
 *   timers.insert_cancel   a timer armed and disarmed at once, as a read that
 *                          gets its bytes does, with 100,000 others pending
 *   timers.move            one of the 100,000, taken at random, so that it is
 *                          in no near cache, disarmed and armed anew
 *   timers.sleep.cpu       a weft_sleep_until() of one of COUNT sleepers, all
 *                          it takes: arming, expiry, and being switched to
 *   timers.sleep.late.*    how long after its deadline it returned
 *
 * The sleepers' deadlines are spread evenly over a period that is longer than
 * what all of them take together, so that none is late because of the crowd;
 * one worker, which sleeps between them and does not spin.
 */
#include "core/waiter.h"
#include "core/timer.h"
#include "fibers.h"

#define ROUNDS  7 /* of the wheel */
#define PERIODS 5 /* of the sleepers */
#define PENDING 100000U
#define STEPS   1000000U

static uint64_t random_state = 88172645463325252ULL;

/* Marsaglia's xorshift. */
static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	return random_state ^= random_state << 17;
}

static struct wf_wheel wheel;
static struct wf_timer timers[PENDING];

/* 10 s to 10 minutes from the wheel's beginning. */
static struct weft_fiber waiter; /* of all of them */

static weft_time far_deadline(void)
{
	return WEFT_SEC(10) + (weft_time)(random_next() % WEFT_SEC(590));
}

static double insert_cancel(void)
{
	struct wf_timer one = {.tick = 0};
	uint64_t began = bench_now();

	for (unsigned i = 0; i < STEPS; i++) {
		wf_timer_arm(&one, &wheel, &waiter, far_deadline());
		wf_timer_disarm(&one);
	}
	return (double)(bench_now() - began) / STEPS;
}

static double move(void)
{
	uint64_t began = bench_now();

	for (unsigned i = 0; i < STEPS; i++) {
		struct wf_timer *t = &timers[random_next() % PENDING];

		wf_timer_disarm(t);
		wf_timer_arm(t, &wheel, &waiter, far_deadline());
	}
	return (double)(bench_now() - began) / STEPS;
}

static void measure_wheel(void)
{
	double near[ROUNDS], far[ROUNDS];

	wf_wheel_begin(&wheel, 0);
	for (unsigned i = 0; i < PENDING; i++)
		wf_timer_arm(&timers[i], &wheel, &waiter, far_deadline());
	insert_cancel();
	for (int i = 0; i < ROUNDS; i++) {
		near[i] = insert_cancel();
		far[i] = move();
	}
	report("timers.insert_cancel", median(near, ROUNDS), "ns");
	report("timers.move", median(far, ROUNDS), "ns");
}

/*
 * Sleepers first gather, then sleep once in each period, at an offset of their
 * own between 0.1 and 0.9 of it: all are asleep where one period meets the
 * next.  One worker: none of this is shared between threads.
 */
static struct {
	size_t count, gathered;
	weft_time base, period; /* base: 0 while they gather */
	struct sleeper {
		struct weft_fiber *fiber;
		weft_time offset;
	} * sleepers;
	double *late; /* of the present period, ns; each sleeper's */
} all;

static void *sleeper(void *arg)
{
	struct sleeper *me = arg;
	double *late = &all.late[me - all.sleepers];

	all.gathered++;
	while (!all.base)
		wf_park(me->fiber, WEFT_FOREVER);
	for (int i = 0; i <= PERIODS; i++) {
		weft_time due = all.base + i * all.period + me->offset;

		if (weft_sleep_until(due) < 0)
			bench_die("sleep failed");
		*late = (double)(weft_now() - due);
	}
	return NULL;
}

static void gather(void)
{
	for (size_t i = 0; i < all.count; i++) {
		uint64_t spread = (uint64_t)all.period / 10 * 8;

		all.sleepers[i].offset =
			all.period / 10 + (weft_time)(random_next() % spread);
		fibers_spawn(&all.sleepers[i].fiber, sleeper, &all.sleepers[i]);
	}
	while (all.gathered < all.count)
		weft_yield();
	all.base = weft_now() + all.period;
	for (size_t i = 0; i < all.count; i++)
		wf_unpark(all.sleepers[i].fiber);
}

static double cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * BENCH_SECOND + (double)t.tv_nsec;
}

/* The first period is not counted: they are still arming in it. */
static int sleep_rounds(void *arg)
{
	double cpu[PERIODS], p50[PERIODS], p99[PERIODS], before;

	(void)arg;
	gather();
	weft_sleep_until(all.base + all.period);
	for (int i = 0; i < PERIODS; i++) {
		before = cpu_now();
		weft_sleep_until(all.base + (i + 2) * all.period);
		cpu[i] = (cpu_now() - before) / (double)all.count;
		p50[i] = median(all.late, all.count) / 1e3;
		p99[i] = all.late[(all.count - 1) * 99 / 100] / 1e3;
	}
	for (size_t i = 0; i < all.count; i++)
		fibers_join(all.sleepers[i].fiber);
	report("timers.sleep.cpu", median(cpu, PERIODS), "ns");
	report("timers.sleep.late.p50", median(p50, PERIODS), "us");
	report("timers.sleep.late.p99", median(p99, PERIODS), "us");
	return 0;
}

static void measure_sleep(size_t count)
{
	struct weft_options options = {.workers = 1, .spin = -1};
	int err;

	all.count = count;
	all.period = WEFT_MSEC(200) + WEFT_USEC(3 * (weft_time)count);
	all.sleepers = calloc(count, sizeof(*all.sleepers));
	all.late = calloc(count, sizeof(*all.late));
	if (!all.sleepers || !all.late)
		bench_die("%s", strerror(errno));
	err = weft_run(&options, sleep_rounds, NULL);
	if (err)
		bench_die("the runtime: %s", strerror(-err));
}

int main(int argc, char **argv)
{
	struct fibers f = {
		.what = "Cost of timers and of sleeping, and how late both "
			"are.\nA million sleepers need 4 GiB.",
		.count = 1000000,
	};

	fibers_parse(&f, argc, argv);
	measure_wheel();
	measure_sleep(f.count);
	return 0;
}
