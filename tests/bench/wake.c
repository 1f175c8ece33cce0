/* SPDX-License-Identifier: MIT */
/*
 * wake.c - how long does it take to wake somebody and to be woken by him?
 *
 * Two hand a ball to and fro; who does not have it sleeps.  The time is that
 * of a round trip: two wakes.
 *
 *   wake.fiber.*    two fibers, by wf_park() and wf_unpark()
 *   wake.thread.*   two threads, by futexes
 *   *.same          on one worker; on one CPU
 *   *.apart         pinned to two workers; to two CPUs
 *   *.natural       two workers, two threads, placed by the scheduler
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/waiter.h"
#include "fibers.h"

#define ROUNDS 9

static struct side {
	_Atomic uint32_t ball; /* 1: it is here */
	struct weft_fiber *fiber;
	int cpu; /* of a thread; negative: any */
} __attribute__((aligned(128))) sides[2];

static uint64_t trips;  /* of a round */
static uint64_t finish; /* when the last one was over */

static void fiber_give(struct side *to)
{
	/* release [ball]; what fiber_take() acquires */
	atom_store_rel(&to->ball, 1);
	wf_unpark(to->fiber);
}

static void fiber_take(struct side *me)
{
	/* acquire [ball] */
	while (!atom_load_acq(&me->ball))
		wf_park(weft_self(), WEFT_FOREVER);
	atom_store_rlx(&me->ball, 0);
}

static void thread_give(struct side *to)
{
	/* release [ball] */
	atom_store_rel(&to->ball, 1);
	syscall(SYS_futex, &to->ball, FUTEX_WAKE_PRIVATE, 1);
}

static void thread_take(struct side *me)
{
	/* acquire [ball] */
	while (!atom_load_acq(&me->ball))
		syscall(SYS_futex, &me->ball, FUTEX_WAIT_PRIVATE, 0, NULL);
	atom_store_rlx(&me->ball, 0);
}

static void play(struct side *me, void (*take)(struct side *),
		 void (*give)(struct side *))
{
	struct side *you = &sides[me == sides];

	for (uint64_t i = 0; i < trips; i++) {
		take(me);
		give(you);
	}
	if (me == sides) {
		take(me);
		finish = bench_now();
	}
}

static void *fiber_play(void *side)
{
	play(side, fiber_take, fiber_give);
	return NULL;
}

static void *thread_play(void *arg)
{
	struct side *side = arg;

	if (side->cpu >= 0)
		bench_pin(side->cpu);
	play(side, thread_take, thread_give);
	return NULL;
}

static double each(uint64_t began)
{
	return (double)(finish - began) / (double)trips;
}

/* A round between two fibers; `apart` pins them to two workers. */
static double fiber_round(int apart)
{
	uint64_t began;

	for (unsigned i = 0; i < 2; i++) {
		struct weft_attr attr = {.pin = apart ? 1 + i : 0};

		if (weft_spawn(&sides[i].fiber, &attr, fiber_play, &sides[i]))
			bench_die("spawn failed");
	}
	began = bench_now();
	fiber_give(&sides[0]);
	for (int i = 0; i < 2; i++)
		fibers_join(sides[i].fiber);
	return each(began);
}

static double thread_round(void)
{
	pthread_t threads[2];
	uint64_t began;

	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, thread_play, &sides[i]))
			bench_die("no thread can be made");
	began = bench_now();
	thread_give(&sides[0]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return each(began);
}

struct plan {
	const char *name;
	unsigned workers;
	int apart;
	uint64_t trips;
};

static int fiber_rounds(void *arg)
{
	const struct plan *plan = arg;
	double ns[ROUNDS];

	trips = plan->trips;
	fiber_round(plan->apart);
	for (int i = 0; i < ROUNDS; i++)
		ns[i] = fiber_round(plan->apart);
	report(plan->name, median(ns, ROUNDS), "ns");
	return 0;
}

static void thread_rounds(const char *name, int cpu0, int cpu1)
{
	double ns[ROUNDS];

	sides[0].cpu = cpu0;
	sides[1].cpu = cpu1;
	trips = 2000;
	thread_round();
	for (int i = 0; i < ROUNDS; i++)
		ns[i] = thread_round();
	report(name, median(ns, ROUNDS), "ns");
}

/* The first two CPUs we may run on; the same one twice if there is no other. */
static void choose_cpus(int cpus[2])
{
	cpu_set_t set;
	int found = 0;

	sched_getaffinity(0, sizeof(set), &set);
	for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
		if (CPU_ISSET((size_t)cpu, &set))
			cpus[found++] = cpu;
	if (found == 1)
		cpus[1] = cpus[0];
}

int main(int argc, char **argv)
{
	static struct plan plans[] = {
		{"wake.fiber.same", 1, 0, 200000},
		{"wake.fiber.apart", 2, 1, 10000},
		{"wake.fiber.natural", 2, 0, 100000},
	};
	int cpus[2];

	bench_no_arguments(argc, argv,
			   "Round trip between two fibers, and between two "
			   "threads, that wake each other.");
	choose_cpus(cpus);
	for (int i = 0; i < 3; i++)
		fibers_run(plans[i].workers, fiber_rounds, &plans[i]);
	thread_rounds("wake.thread.same", cpus[0], cpus[0]);
	thread_rounds("wake.thread.apart", cpus[0], cpus[1]);
	thread_rounds("wake.thread.natural", -1, -1);
	return 0;
}
