/* SPDX-License-Identifier: MIT */
/*
 * park.h - how a fiber sleeps and is woken.
 *
 * Everything in weft that blocks, blocks by wf_park(), and everything that
 * wakes, wakes by wf_unpark().  The two meet in one word of the handle:
 *
 *      PARKED   the context is saved and no run queue holds the fiber
 *      PERMIT   somebody has called wf_unpark() since the last return of park
 *      HELD     somebody looks at it, and it stays where it is meanwhile
 *
 *      word                 the fiber is
 *      0                    running, or in exactly one run queue
 *      PERMIT               the same, and will not sleep at its next park
 *      PARKED               asleep
 *      PARKED|HELD          asleep, looked at
 *      PARKED|HELD|PERMIT   woken, looked at; in no queue yet
 *
 * and it changes in five places, each one atomic step:
 *
 *      park, on the fiber     if PERMIT is there, swap in 0 and return at once;
 *                             else switch away
 *      commit, on arrival     0 -> PARKED, now that the context is saved; if it
 *                             was PERMIT instead, swap in 0 and queue the fiber
 *      unpark, anywhere       PARKED -> 0, and queue the fiber; else or in
 *                             PERMIT: someone already has queued it, or will
 *      hold, anywhere         PARKED -> PARKED|HELD; else it cannot be held
 *      release, the holder    PARKED|HELD -> PARKED; if PERMIT is there, -> 0,
 *                             and queue the fiber
 *
 * Dispatch, yielding and spawn leave the word alone.  Ending never sets PARKED
 * again, so that an unpark that comes too late queues nothing.
 *
 * No wakeup is lost: commit and unpark are read-modify-writes of one word, so
 * one comes first; if unpark does, commit sees PERMIT; if commit does, unpark
 * sees PARKED.  A second one finds the fiber queued and leaves a permit, which
 * makes its next park look again.  No fiber is queued twice: only the step that
 * takes PARKED away, or the commit that fails to set it, queues.  No fiber runs
 * on a stack still in use: PARKED is set by whoever arrived, on another stack.
 *
 * An unpark that finds HELD leaves the queueing to the holder, which owes it to
 * the fiber: it holds one for a bounded time, and never while it waits itself.
 * A fiber that is held lives: its stack and what it waits for can be read.
 *
 * An ordinary thread that waits has a handle of kind WF_THREAD, and the same
 * word is its futex: it commits by itself, to PARKED|ASLEEP, and who unparks
 * that wakes the futex instead of queueing.  The kind is in the word because a
 * thread's sleep may end by itself, and its handle be a fiber's, before the one
 * who unparked it has looked.
 *
 * Orders:
 *      [context-saved]  commit's release, unpark's and hold's acquire: whoever
 *                       queues the fiber or looks at it has its saved
 *                       registers.
 *      [held-read]      release's release, the acquire of the unpark that
 *                       takes PARKED away: what the holder has read, the fiber
 *                       changes only afterwards.
 *      [wake-reason]    unpark's release, park's and commit's acquire: what the
 *                       waker wrote before it called, the fiber sees.  From the
 *                       one who queues it to the one who dispatches it that is
 *                       the queue's to keep.
 *
 * So park may return for no reason, and callers loop:
 *
 *      while (!condition)
 *              wf_park(self, WEFT_FOREVER);
 *
 * The steps are here; waiter.h puts park and unpark together from them.
 *
 * Handles are never given back to the system, so an unpark that comes too late
 * hits a valid word and costs one turn of such a loop.  The waker touches
 * nothing of the woken after unpark but the handle.
 */
#ifndef WF_PARK_H
#define WF_PARK_H

#include "core/fiber.h"
#include "os/futex.h"

#define WF_PARKED 1u
#define WF_PERMIT 2u
#define WF_ASLEEP 4u /* with PARKED: a thread, on the futex */
#define WF_HELD   8u /* with PARKED: a fiber */

/* Park: true if there was a permit, which is used up. */
static inline bool park_use_permit(struct weft_fiber *self)
{
	if (!(atom_load_rlx(&self->word) & WF_PERMIT))
		return false;
	/* acquire [wake-reason] */
	atom_swap_acq(&self->word, 0);
	return true;
}

/* Commit: false if a permit was found, and the caller has to queue it. */
static inline bool park_commit(struct weft_fiber *f)
{
	uint32_t found = 0;

	/* release [context-saved] */
	if (likely(atom_cas_rel(&f->word, &found, WF_PARKED)))
		return true;
	/* acquire [wake-reason] */
	atom_swap_acq(&f->word, 0);
	return false;
}

/* Unpark: true if it was a fiber asleep, and the caller has to queue it. */
static inline bool park_permit(struct weft_fiber *f)
{
	uint32_t found = WF_PARKED, next;

	do
		next = found == WF_PARKED ? 0 : found | WF_PERMIT;
	/* release [wake-reason]; acquire [context-saved], [held-read] */
	while (!atom_cas_ar(&f->word, &found, next));
	if (unlikely(found == (WF_PARKED | WF_ASLEEP)))
		wf_futex_wake(&f->word, 1);
	return found == WF_PARKED;
}

/* Hold: false if it is not asleep, or held by another. */
static inline bool park_hold(struct weft_fiber *f)
{
	uint32_t found = WF_PARKED;

	/* acquire [context-saved] */
	return atom_cas_acq(&f->word, &found, WF_PARKED | WF_HELD);
}

/* Release: true if it was woken meanwhile, and the caller has to queue it. */
static inline bool park_release(struct weft_fiber *f)
{
	uint32_t found = WF_PARKED | WF_HELD;

	/* release [held-read]; acquire [wake-reason] on behalf of a waker */
	while (!atom_cas_ar(&f->word, &found,
			    found & WF_PERMIT ? 0 : WF_PARKED))
		;
	return found & WF_PERMIT;
}

/* All of park for a thread, up to `deadline`.  Errors: of wf_futex_wait(). */
static inline int park_thread(struct weft_fiber *me, weft_time deadline)
{
	uint32_t found = 0;
	int r = 0;

	if (atom_cas_rlx(&me->word, &found, WF_PARKED | WF_ASLEEP))
		r = wf_futex_wait(&me->word, WF_PARKED | WF_ASLEEP, deadline);
	/* acquire [wake-reason] */
	atom_swap_acq(&me->word, 0);
	return r;
}

#endif
