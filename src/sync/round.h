/* SPDX-License-Identifier: MIT */
/*
 * round.h - those who wait for the same moment, and are all let go by it.
 *
 *      join    under the lock, while the moment has not come
 *      end     under the lock: the next round begins, and the whole queue is
 *              taken away; claim and fire each of it after unlocking
 *      give up under the lock: leave, if it is still the same round; else be
 *              fired, and nothing has gone wrong
 *
 * So those who wait when a round ends are let go all or none, however many
 * there are, in one short hold of the lock.  The release of the lock is the
 * last touch: once a round has ended, who was let go may free the object.
 *
 * Latch and group count down to the end of a round; how far they are changes
 * under the lock only, as a word beside it could say zero while the one who has
 * counted last still has to take the lock.
 */
#ifndef WF_ROUND_H
#define WF_ROUND_H

#include "sync/queue.h"

struct wf_round {
	struct wf_queue queue;
	uint64_t count;  /* lock: the object's own; how many are left */
	uint64_t number; /* lock */
};

_Static_assert(sizeof(struct wf_round) == sizeof(struct weft_round_) &&
		       _Alignof(struct wf_round) ==
			       _Alignof(struct weft_round_),
	       "a round fits into its place in a public struct");

static inline struct wf_round *round_in(struct weft_round_ *place)
{
	return (struct wf_round *)(void *)place;
}

/*
 * Wait in a seat that has been begun until the round ends.
 *
 * Context: the lock is held, and is released.
 * Errors: as wf_wait_sleep().
 */
int wf_round_join(struct wf_round *r, struct wf_seat *s, weft_time deadline);

/* Context: the lock is held, and is released. */
void wf_round_end(struct wf_round *r);

/* Context of these: the lock is not held. */

/*
 * Count down by n; the round ends if nothing is left.  To count further down
 * than to nothing aborts.
 */
void wf_round_arrive(struct wf_round *r, uint64_t n, const char *what);

/*
 * The same, and wait until nothing is left; n may be 0.
 *
 * Errors: as wf_wait_sleep(), and it has been counted all the same;
 * wait_allowed()'s, and it has not; -ENOMEM off a fiber, and it has not.
 */
int wf_round_wait(struct wf_round *r, uint64_t n, weft_time deadline,
		  const char *what);

#endif
