/* SPDX-License-Identifier: MIT */
/*
 * timer.h - deadlines: one wheel a worker.
 *
 * A hierarchy of wheels of 64 slots; the finest slot is 2^17 ns (131 us) wide,
 * each next wheel's 64 times that, up to 18 years.  A timer lies in the wheel
 * of the highest digit in which its tick differs from the wheel's present, and
 * comes down as time passes: insertion and removal are a few instructions,
 * whatever the number of timers.  A bitmap a wheel finds the next slot in use.
 * (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987.)
 *
 * Each slot knows the nearest tick that was put in since it was empty, so a
 * sleeper is not woken for timers to come down a wheel, but when one is due.
 * The wheel knows the nearest of all, until that one is removed: whether
 * anything is due, and how long to sleep, is as a rule one word to read.
 *
 * A deadline is rounded up to the end of its tick: no timer fires early.
 *
 * A fiber has one timer, for all its waits, and leaves it armed when a wait
 * ends early: as long as it is due before the next deadline it will do for that
 * too, and when it fires the fiber looks at the clock and arms it anew if need
 * be.
 * So a server whose reads have a deadline of half a minute touches the wheel
 * twice a minute, and not twice a read.
 *
 * When it is due is in the handle too, in coarser steps of 134 ms: most waits
 * find there that it is, and leave the top of the stack alone.
 *
 * The timer lies on the stack of its fiber.  `wheel->lock` guards all of
 * it but `fired`, which is stored, under the lock, as the last touch of the
 * timer [timer-fired]; then, without the lock, the handle is unparked, which is
 * safe however late.
 */
#ifndef WF_TIMER_H
#define WF_TIMER_H

#include "base/spin.h"
#include "core/fiber.h"
#include "weft/time.h"

#define WF_WHEELS     7
#define WF_WHEEL_BITS 6
#define WF_TICK_BITS  17

struct wf_timer {
	struct wf_link link;
	struct weft_fiber *fiber; /* unparked when it fires */
	struct wf_wheel *wheel;   /* where it has been armed; NULL: nowhere */
	uint64_t tick;
	uint8_t level, slot;
	_Atomic uint8_t fired; /* atomic */
};

struct wf_wheel {
	struct wf_spin lock;
	_Atomic uint32_t count; /* lock; read by anyone */
	_Atomic weft_time next; /* lock; read by anyone; 0: has to be found */
	uint64_t now;           /* the tick up to which all has been done */
	uint64_t used[WF_WHEELS];
	struct wf_list slots[WF_WHEELS][1 << WF_WHEEL_BITS];
	uint64_t nearest[WF_WHEELS][1 << WF_WHEEL_BITS]; /* of a used slot */
};

/* All zero is an empty wheel at the beginning of time; this sets its hands. */
void wf_wheel_begin(struct wf_wheel *w, weft_time now);

static inline bool timer_fired(struct wf_timer *t)
{
	/* acquire [timer-fired] */
	return atom_load_acq(&t->fired);
}

/* The first tick that begins at or after `t`. */
static inline uint64_t timer_tick(weft_time t)
{
	return t <= 0 ? 0 : ((uint64_t)(t - 1) >> WF_TICK_BITS) + 1;
}

/* `due` in the handle: rounded up; or that it is not known. */
#define WF_DUE_BITS    (WF_TICK_BITS + 10)
#define WF_DUE_UNKNOWN UINT32_MAX

/*
 * Whether it is armed and due at `deadline` or before.
 *
 * Context: the fiber whose timer it is.
 */
static inline bool timer_covers(struct wf_timer *t, weft_time deadline)
{
	return t->wheel && !timer_fired(t) && t->tick <= timer_tick(deadline);
}

/* The same, as far as the handle tells.  `deadline` is positive. */
static inline bool timer_surely_covers(struct weft_fiber *f, weft_time deadline)
{
	uint32_t due = atom_load_rlx(&f->due);

	return due != WF_DUE_UNKNOWN && due <= deadline >> WF_DUE_BITS;
}

/*
 * Begin to wait for `deadline`, which is not WEFT_FOREVER.  One that the wheel
 * has passed has fired on return.
 */
void wf_timer_arm(struct wf_timer *t, struct wf_wheel *w,
		  struct weft_fiber *fiber, weft_time deadline);

/* Make sure that nobody touches the timer any more. */
void wf_timer_disarm(struct wf_timer *t);

/*
 * Fire what is due; store the handles to unpark in `due`, `max` at most, and
 * return how many.  Stops when the lock has been held for long enough: `more`
 * says that there is something left to be done.
 *
 * Context: anyone.
 */
unsigned wf_wheel_expire(struct wf_wheel *w, weft_time now,
			 struct weft_fiber **due, unsigned max, bool *more);

weft_time wf_wheel_find_next(struct wf_wheel *w);

/*
 * When the next timer is due, or an earlier time if that one has been disarmed;
 * WEFT_FOREVER if there are no timers.
 *
 * Context: anyone.
 */
static inline weft_time wheel_next(struct wf_wheel *w)
{
	weft_time next = atom_load_rlx(&w->next);

	return next ? next : wf_wheel_find_next(w);
}

/* Whether wf_wheel_expire() would find anything; or it is to find out. */
static inline bool wheel_due(struct wf_wheel *w, weft_time now)
{
	return atom_load_rlx(&w->next) <= now;
}

#endif
