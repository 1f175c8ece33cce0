/* SPDX-License-Identifier: MIT */
/*
 * pingpong.c - what does it cost that two fibers wait for each other in turns?
 *
 * The time of a round trip: each of the two waits once, and is woken once.
 *
 *   pingpong.sem          over two semaphores
 *   pingpong.chan         over two channels without slots
 *   pingpong.sem.same     as .sem, but each wait has a deadline far away,
 *   pingpong.sem.fresh    always the same one; one made anew from the clock
 *   pingpong.steps        the atomic steps that the two cannot do without, and
 *                         the switches, with nothing around them
 *
 * On one worker; `.w2` on two, placed by the scheduler; `.apart` pinned to two.
 * All of them take turns, and these are medians of what each turn gives:
 *
 *   pingpong.sem.ratio, pingpong.chan.ratio         to the steps
 *   pingpong.sem.w2.ratio, pingpong.chan.w2.ratio   to the same on one worker
 *   deadline.same, deadline.fresh                   what a deadline adds to one
 *                                                   wait
 */
#include <stdbool.h>

#include "arch/arch.h"
#include "base/spin.h"
#include "fibers.h"

#define ROUNDS 9

/* --- two fibers --- */

static struct side {
	struct weft_sem sem;
	struct weft_chan chan;
} __attribute__((aligned(128))) sides[2];

static uint64_t trips; /* of a turn */
static weft_time far;
static double took; /* each trip of the last turn */

static void must(int err)
{
	if (err)
		bench_die("%s", strerror(-err));
}

static inline void sem_give(struct side *to)
{
	must(weft_sem_release(&to->sem, 1));
}

static inline void sem_take(struct side *me)
{
	must(weft_sem_acquire(&me->sem, 1));
}

static inline void sem_take_same(struct side *me)
{
	must(weft_sem_acquire_until(&me->sem, 1, far));
}

static inline void sem_take_fresh(struct side *me)
{
	must(weft_sem_acquire_until(&me->sem, 1, weft_after(WEFT_SEC(60))));
}

static inline void chan_give(struct side *to)
{
	uint64_t ball = 1;

	must(weft_chan_send(&to->chan, &ball));
}

static inline void chan_take(struct side *me)
{
	uint64_t ball;

	must(weft_chan_recv(&me->chan, &ball));
}

/* Inlined, so that nothing is called but what is measured. */
static inline __attribute__((always_inline)) void
play(struct side *me, void (*give)(struct side *), void (*take)(struct side *))
{
	struct side *you = &sides[me == sides];
	uint64_t began = bench_now();

	for (uint64_t i = 0; i < trips; i++) {
		if (me == sides)
			give(you);
		take(me);
		if (me != sides)
			give(you);
	}
	if (me == sides)
		took = (double)(bench_now() - began) / (double)trips;
}

static void *play_sem(void *me)
{
	play(me, sem_give, sem_take);
	return NULL;
}

static void *play_sem_same(void *me)
{
	play(me, sem_give, sem_take_same);
	return NULL;
}

static void *play_sem_fresh(void *me)
{
	play(me, sem_give, sem_take_fresh);
	return NULL;
}

static void *play_chan(void *me)
{
	play(me, chan_give, chan_take);
	return NULL;
}

/* --- the steps --- */

/*
 * One of two flows that wake each other as a semaphore and a scheduler make
 * fibers do it, where nothing can go wrong.
 */
static struct flow {
	struct wf_spin lock;   /* of the queue in which it waits */
	_Atomic uint32_t wait; /* who ends it */
	_Atomic uint32_t word; /* whether it sleeps */
	struct wf_context ctx;
} __attribute__((aligned(128))) flows[2];

enum { WAITING, CLAIMED, FIRED }; /* wait */
enum { AWAKE, PARKED, PERMIT };   /* word */

static char stack[64 << 10] __attribute__((aligned(64)));

static void swing(_Atomic uint32_t *word, uint32_t from, uint32_t to)
{
	if (!atom_cas_ar(word, &from, to))
		bench_die("a step found what it should not");
}

/* Wake `you`, and sleep. */
static void turn(struct flow *me, struct flow *you)
{
	spin_lock(&you->lock);
	swing(&you->wait, WAITING, CLAIMED);
	spin_unlock(&you->lock);
	atom_store_rel(&you->wait, FIRED);
	atom_or_ar(&you->word, PERMIT);

	atom_store_rlx(&me->wait, WAITING);
	atom_swap_acq(&you->word, AWAKE);
	wf_context_switch(&me->ctx, &you->ctx, NULL);
	swing(&you->word, AWAKE, PARKED);
}

static void other_flow(void *msg)
{
	(void)msg;
	swing(&flows[0].word, AWAKE, PARKED);
	for (;;)
		turn(&flows[1], &flows[0]);
}

static void begin_steps(void)
{
	wf_context_make(&flows[1].ctx, stack + sizeof(stack), other_flow);
	flows[0].ctx.base = flows[1].ctx.base = wf_base_get();
	atom_store_rlx(&flows[1].word, PARKED);
}

/* On no fiber: a runtime would take the worker from one that never waits. */
static double steps(void)
{
	uint64_t began = bench_now();

	for (uint64_t i = 0; i < trips; i++)
		turn(&flows[0], &flows[1]);
	return (double)(bench_now() - began) / (double)trips;
}

/* --- rounds --- */

enum where { ONE, TWO, APART, WHERES };

static const struct way {
	const char *name;
	weft_fn play;
	bool everywhere; /* or on one worker only */
} ways[] = {
	{"pingpong.sem", play_sem, true},
	{"pingpong.chan", play_chan, true},
	{"pingpong.sem.same", play_sem_same, false},
	{"pingpong.sem.fresh", play_sem_fresh, false},
};

enum { SEM, CHAN, SEM_SAME, SEM_FRESH, WAYS };

static double ns[WHERES][WAYS][ROUNDS], bare[ROUNDS];

struct turn {
	enum where where;
	int round;
};

static double play_once(weft_fn fn, bool apart)
{
	struct weft_fiber *fibers[2];

	for (unsigned i = 0; i < 2; i++) {
		struct weft_attr attr = {.pin = apart ? 1 + i : 0};

		must(weft_spawn(&fibers[i], &attr, fn, &sides[i]));
	}
	for (int i = 0; i < 2; i++)
		fibers_join(fibers[i]);
	return took;
}

static int play_all(void *arg)
{
	const struct turn *t = arg;

	trips = t->where == APART ? 20000 : 200000;
	for (int i = 0; i < WAYS; i++)
		if (t->where == ONE || ways[i].everywhere)
			ns[t->where][i][t->round] =
				play_once(ways[i].play, t->where == APART);
	return 0;
}

static void measure(void)
{
	struct turn t;

	for (t.round = 0; t.round < ROUNDS; t.round++) {
		trips = 200000;
		bare[t.round] = steps();
		for (t.where = ONE; t.where < WHERES; t.where++)
			fibers_run(t.where == ONE ? 1 : 2, play_all, &t);
	}
}

/* --- what they give --- */

static void tell(const char *name, const char *suffix, const double *values,
		 const char *unit)
{
	double sorted[ROUNDS];
	char full[96];

	memcpy(sorted, values, sizeof(sorted));
	snprintf(full, sizeof(full), "%s%s", name, suffix);
	report(full, median(sorted, ROUNDS), unit);
}

static void tell_ratio(const char *name, const char *suffix, const double *a,
		       const double *b)
{
	double ratio[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		ratio[i] = a[i] / b[i];
	tell(name, suffix, ratio, "ratio");
}

/* Two waits a trip. */
static void tell_deadline(const char *name, const double *with)
{
	double more[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		more[i] = (with[i] - ns[ONE][SEM][i]) / 2;
	tell(name, "", more, "ns");
}

static void tell_all(void)
{
	tell("pingpong.steps", "", bare, "ns");
	for (int i = 0; i < WAYS; i++) {
		tell(ways[i].name, "", ns[ONE][i], "ns");
		if (!ways[i].everywhere)
			continue;
		tell(ways[i].name, ".w2", ns[TWO][i], "ns");
		tell(ways[i].name, ".apart", ns[APART][i], "ns");
		tell_ratio(ways[i].name, ".ratio", ns[ONE][i], bare);
		tell_ratio(ways[i].name, ".w2.ratio", ns[TWO][i], ns[ONE][i]);
	}
	tell_deadline("deadline.same", ns[ONE][SEM_SAME]);
	tell_deadline("deadline.fresh", ns[ONE][SEM_FRESH]);
}

int main(int argc, char **argv)
{
	bench_no_arguments(argc, argv,
			   "Round trip between two fibers that wait for each "
			   "other,\nand what a deadline adds.");
	for (int i = 0; i < 2; i++)
		must(weft_chan_init(&sides[i].chan, sizeof(uint64_t), 0, NULL));
	far = weft_after(WEFT_SEC(3600));
	begin_steps();
	measure();
	tell_all();
	return 0;
}
