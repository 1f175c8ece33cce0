/* SPDX-License-Identifier: MIT */
/*
 * waiter.h - whoever waits: a fiber, or a thread that has borrowed a handle.
 */
#ifndef WF_WAITER_H
#define WF_WAITER_H

#include "core/park.h"

/*
 * The handle by which the caller waits: its own if it is a fiber, else one
 * that is borrowed until wf_waiter_end(); NULL without memory.  Aborts in a
 * worker's own context, which must not block.
 */
struct weft_fiber *wf_waiter_begin(void);
void wf_waiter_end(struct weft_fiber *me);

/*
 * Sleep until unparked, or for no reason.  `deadline` ends the sleep of a
 * thread only: fibers have timers, see wait.h.
 */
void wf_park(struct weft_fiber *me, weft_time deadline);

/* Context: anyone. */
void wf_unpark(struct weft_fiber *f);

/* In a worker's loop: woken fibers run in the order of their events. */
void wf_unpark_here(struct weft_fiber *f, struct wf_carrier *here);

#endif
