/* SPDX-License-Identifier: MIT */
/*
 * batch.h - the batch semaphore: permits that are taken and given by the
 * number, first come first served.  Semaphore and rwlock are it.
 *
 * One word, with the queue beside it:
 *
 *      LOCK      somebody is at the queue, and the word is its to write
 *      WAITERS   the queue is not empty; then no permit is free
 *      CLOSED    nobody gets any more
 *      BORN      the owner's own; carried along
 *      above     how many permits are free
 *
 *      take      enough are free, and no LOCK: subtract   acquire [batch-given]
 *      join      set LOCK; not enough are free: take what [batch-locked]
 *                is there, queue up; word = WAITERS
 *      give      no WAITERS, no LOCK: add                 release [batch-given]
 *      hand out  set LOCK; the first gets permits until   [batch-locked]
 *                it has enough, then it is claimed, and
 *                so on; what is left is free when nobody
 *                waits.  If the first wants just that, it
 *                is taken out and ended after unlocking
 *      give up   set LOCK; leave; hand out what we held   [batch-locked]
 *      close     set LOCK; CLOSED; claim all              [batch-locked]
 *
 * So nobody goes past who waits: while there are WAITERS, nothing is free to be
 * taken.  Only the first in the queue holds part of what it wants.  The lock
 * ends with a store of the word, release [batch-locked], after at most WF_WAKES
 * claims, which are fired then; permits that have found no taker by that stay
 * with the releaser until its next pass.
 *
 * After Tokio's batch_semaphore, which differs in where it keeps the lock.
 */
#ifndef WF_BATCH_H
#define WF_BATCH_H

#include "base/atom.h"
#include "base/list.h"
#include "weft/time.h"

#define WF_BATCH_LOCK    UINT64_C(1)
#define WF_BATCH_WAITERS UINT64_C(2)
#define WF_BATCH_CLOSED  UINT64_C(4)
#define WF_BATCH_BORN    UINT64_C(8)
#define WF_BATCH_ONE     UINT64_C(16) /* permit */

/* Twice as many have room, for those who meet in between. */
#define WF_BATCH_MAX (UINT64_C(1) << 58)

struct wf_batch {
	_Atomic uint64_t word;
	struct wf_list queue; /* LOCK */
};

static inline uint64_t batch_free(uint64_t word)
{
	return word / WF_BATCH_ONE;
}

/*
 * Take n permits, which is not 0, if that can be done at once.
 *
 * Errors: -EAGAIN, -EPIPE.
 */
int wf_batch_take(struct wf_batch *b, uint64_t n);

/*
 * Take them, or wait for them; `what` is what those who look see.
 *
 * Errors: as wf_wait_sleep(); -EPIPE; -ENOMEM off a fiber.
 */
int wf_batch_acquire(struct wf_batch *b, uint64_t n, weft_time deadline,
		     bool shielded, const char *what);

/*
 * Give n permits, which is not 0.
 *
 * Errors: -EOVERFLOW there would be more than WF_BATCH_MAX.
 */
int wf_batch_give(struct wf_batch *b, uint64_t n);

/* Everybody who waits, and who comes, gets -EPIPE. */
void wf_batch_close(struct wf_batch *b);

#endif
