/* SPDX-License-Identifier: MIT */
/*
 * lot.h - the parking lot: a futex for fibers and threads alike.
 *
 * Objects that live in the program's own memory have no room for a queue.  So
 * their waiters are found by the address of a word of theirs, in a table of
 * lists, and nothing but the word itself is in the object.  (WebKit's
 * WTF::ParkingLot; the kernel's futex.)
 *
 *      wait    under the list's lock: the word is still `value`; join the list
 *      wake    change the word first; then, under the lock, claim the oldest
 *              of those who wait for the address
 *
 * Either the waiter sees the word changed, or the waker sees the waiter.  See
 * core/wait.h for what happens to a waiter then.
 *
 *      give    under the lock: change the word, as somebody waits or nobody
 *              does, and claim the oldest: so a lock is handed over without
 *              ever being free
 *
 * Orders: what was written before a wake or give, the woken sees [wait-fired];
 * what was written before a give, also who finds the word changed [lot-given].
 */
#ifndef WF_POSIX_LOT_H
#define WF_POSIX_LOT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atom.h"
#include "weft/time.h"

#define WF_LOT_ANY   UINT32_MAX /* bits */
#define WF_LOT_GIVEN 1

/*
 * Sleep until woken, if *word is `value`.  `what` is shown to those who look.
 * Returns 0 if woken, WF_LOT_GIVEN if by wf_lot_give().
 *
 * Context: any thread, whether there is a runtime or not; waits.
 * Errors: -EAGAIN the word is another; -ETIMEDOUT; -EINTR, if `interruptible`:
 * the thread has been sent a signal or is cancelled, see interrupt.h, which is
 * for the caller to see to.
 *
 * A thread of the kernel's, which no signal tells of its cancellation, looks
 * for it itself, before it sleeps and when wf_lot_look() has woken it.
 */
int wf_lot_wait(_Atomic uint32_t *word, uint32_t value, const char *what,
		weft_time deadline, bool interruptible);

/* The same for who is woken only by a wake that has a bit in common. */
int wf_lot_wait_bits(_Atomic uint32_t *word, uint32_t value, uint32_t bits,
		     const char *what, weft_time deadline, bool interruptible);

/*
 * The same for who was woken before and came too late: it goes ahead of those
 * who wait already.
 */
int wf_lot_wait_first(_Atomic uint32_t *word, uint32_t value, const char *what,
		      weft_time deadline);

/* Wake up to `count`; returns how many. */
unsigned wf_lot_wake(_Atomic uint32_t *word, unsigned count);
unsigned wf_lot_wake_bits(_Atomic uint32_t *word, unsigned count,
			  uint32_t bits);

/*
 * If *word is `value`: wake one and make the word `given`, or make it `nobody`
 * if none waits.  Returns how many were woken, or -EAGAIN: the word is another.
 */
int wf_lot_give(_Atomic uint32_t *word, uint32_t value, uint32_t bits,
		uint32_t given, uint32_t nobody);

/*
 * Wake up to `count`, and let up to `rest` others wait for `target` from now
 * on; if *word is `value`, else -EAGAIN.  Returns how many were woken or moved.
 */
int wf_lot_requeue(_Atomic uint32_t *word, uint32_t value, unsigned count,
		   _Atomic uint32_t *target, unsigned rest);

/*
 * Called on a fiber that is disturbed in a wait that goes on: to run the
 * handlers of signals that it has been sent.
 */
extern void (*wf_lot_disturbed)(void);

/*
 * Called around the sleep of a fiber, which gives back what it was lent of the
 * kernel thread, see region.h.  The result of the one goes to the other.
 */
extern uint32_t (*wf_lot_sleeps)(void);
extern void (*wf_lot_slept)(uint32_t lent);

/*
 * The thread, which is one of the kernel's, has been cancelled: if it waits
 * here, it looks.
 */
void wf_lot_look(pthread_t thread);

/* In a forked child: nobody waits. */
void wf_lot_forget(void);

#endif
