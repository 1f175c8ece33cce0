/* SPDX-License-Identifier: MIT */
/*
 * barrier.c - pthread barriers that let fibers wait.
 *
 * pthread_barrier_init() is libc's: of what it leaves the count is read, and
 * whether the barrier is shared with other processes, which libc has to see to.
 * The rest of ours is zero then, and means:
 *
 *      state    round: 32, arrived: 32
 *      inside   so many are inside a call; GOING: one waits for them to leave
 *
 *      wait     inside + 1; arrived + 1, sleep while the      release and
 *               round is the same; or, being the last,        acquire
 *               round + 1 with nobody arrived, and wake all   [barrier-round]
 *      leave    inside - 1, the last touch                    release
 *                                                             [barrier-left]
 *      destroy  sleep until nobody is inside                  acquire
 *                                                             [barrier-left]
 *
 * So the barrier may be destroyed, and its memory used otherwise, by the first
 * who comes out.
 */
#include <endian.h>
#include <errno.h>
#include <limits.h>

#include "posix/libc.h"
#include "posix/lot.h"
#include "posix/region.h"

#define ROUND   UINT64_C(1)
#define ARRIVED (UINT64_C(1) << 32)

#define GOING 0x80000000u

/* As libc has it, in what both know. */
struct barrier {
	union {
		_Atomic uint64_t state;
		_Atomic uint32_t round; /* of state */
	};
	uint32_t count; /* constant */
	int shared;     /* constant */
	_Atomic uint32_t inside;
};

_Static_assert(sizeof(struct barrier) <= sizeof(pthread_barrier_t),
	       "a barrier is larger");
_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "the round is the lower half");

static struct barrier *barrier_of(pthread_barrier_t *b)
{
	return (struct barrier *)b;
}

/* The state after one more has arrived. */
static uint64_t after(const struct barrier *b, uint64_t seen)
{
	if (seen / ARRIVED + 1 < b->count)
		return seen + ARRIVED;
	return (uint32_t)(seen + ROUND);
}

/* True: as the last. */
static bool arrive(struct barrier *b, uint32_t *round)
{
	uint64_t seen = atom_load_rlx(&b->state), next;

	do
		next = after(b, seen);
	/* release and acquire [barrier-round] */
	while (!atom_cas_ar(&b->state, &seen, next));
	*round = (uint32_t)seen;
	return (uint32_t)next != *round;
}

static void wait_for(struct barrier *b, uint32_t round)
{
	/* acquire [barrier-round] */
	while (atom_load_acq(&b->round) == round)
		wf_lot_wait(&b->round, round, "barrier", WEFT_FOREVER, false);
}

static void leave(struct barrier *b)
{
	/* release [barrier-left] */
	if (atom_sub_ar(&b->inside, 1) == (GOING | 1))
		wf_lot_wake(&b->inside, 1);
}

static int meet(struct barrier *b)
{
	uint32_t round;
	bool last;

	atom_add_rlx(&b->inside, 1);
	last = arrive(b, &round);
	if (last)
		wf_lot_wake(&b->round, UINT_MAX);
	else
		wait_for(b, round);
	leave(b);
	return last ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
}

static void wait_until_left(struct barrier *b)
{
	/* acquire [barrier-left] */
	uint32_t seen = atom_or_ar(&b->inside, GOING) | GOING;

	while (seen != GOING) {
		wf_lot_wait(&b->inside, seen, "barrier, to end", WEFT_FOREVER,
			    false);
		/* acquire [barrier-left] */
		seen = atom_load_acq(&b->inside);
	}
}

WF_HOOK int pthread_barrier_wait(pthread_barrier_t *b)
{
	if (libc_alone())
		return libc(pthread_barrier_wait)(b);
	return barrier_of(b)->shared ? FIRM_REGION(pthread_barrier_wait, b)
				     : meet(barrier_of(b));
}

WF_HOOK int pthread_barrier_destroy(pthread_barrier_t *b)
{
	if (libc_alone())
		return libc(pthread_barrier_destroy)(b);
	if (barrier_of(b)->shared)
		return FIRM_REGION(pthread_barrier_destroy, b);
	wait_until_left(barrier_of(b));
	return 0;
}
