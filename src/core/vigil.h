/* SPDX-License-Identifier: MIT */
/*
 * vigil.h - when the thread that looks after the workers (run/sentinel.h) looks
 * next.
 *
 * Where all workers sleep there is nothing to look at, and whatever has kept
 * one of them is over.  So it rests then, and no thread of an idle process has
 * a timeout; and a worker that rises from such a moment puts off the look that
 * is due, as there is nothing to be seen before.  To move an alarm costs a
 * call, and not always; a look costs two switches of threads.
 *
 *      value of `due`
 *      a time     of the next look; the alarm is set to it, or is about to be
 *      LOOKING    now, by the sentinel; no alarm
 *      RESTING    never, until somebody rises; no alarm
 *      DISTURBED  at once; the alarm is set to that
 *
 *      set, anybody           CAS `due` from what was seen to another time; set
 *                             the alarm; if it is DISTURBED by now, set it to
 *                             that again
 *      sleep, the sentinel    set LOOKING to a time
 *      rest, the sentinel     CAS LOOKING to RESTING; full fence [vigil-rest];
 *                             if anybody is awake, or has risen since it saw
 *                             that nobody was, set RESTING to a time
 *      both                   wait for the alarm; swap in LOOKING, which sees
 *                             why it was DISTURBED [vigil-disturbed]
 *      rise, a worker         awake + 1 (idle.h); full fence [vigil-rest]; if
 *                             `due` is RESTING, or a time that is near and
 *                             nobody was awake, set it to a later one; if it is
 *                             DISTURBED, set the alarm to that again, as the
 *                             one who wrote it may not have come so far
 *      disturb, anybody       swap in DISTURBED [vigil-disturbed]; set the
 *                             alarm
 *
 * Rest and rise each write, fence and then read what the other wrote: so either
 * the sentinel sees the rise, or the one who rises sees RESTING.
 *
 * Two who set the alarm may do so in the other order than they wrote `due`: so
 * a look may be late, but only by `slack`; or there is one too many.
 */
#ifndef WF_VIGIL_H
#define WF_VIGIL_H

#include <stdbool.h>

#include "base/atom.h"
#include "base/cc.h"
#include "core/idle.h"
#include "os/alarm.h"

/* Values of `due`. */
#define WF_DISTURBED 0
#define WF_LOOKING   1
#define WF_RESTING   WEFT_FOREVER

struct wf_vigil {
	_Atomic weft_time due WF_ALIGNED(WF_CACHE_LINE); /* see above */
	/* For those who put it off; atomic, the sentinel writes. */
	_Atomic weft_time slack;  /* for how long; after a rest, half of that */
	_Atomic weft_time latest; /* no further than that */
	struct wf_alarm alarm;
};

/* Errors: what the process has run out of. */
int wf_vigil_begin(struct wf_vigil *v);
void wf_vigil_end(struct wf_vigil *v);

/* --- the sentinel --- */

/* How far looks may be put off from now on. */
void wf_vigil_allow(struct wf_vigil *v, weft_time slack, weft_time latest);

/* Until `at`, or whatever it has been put off to. */
void wf_vigil_sleep(struct wf_vigil *v, weft_time at);

/* Until somebody rises, if nobody has since the word of `i` was `seen`. */
void wf_vigil_rest(struct wf_vigil *v, struct wf_idle *i, uint64_t seen);

/* --- others --- */

WF_COLD void wf_vigil_move(struct wf_vigil *v, weft_time from, weft_time now);

/*
 * The caller, a worker, has risen (idle.h), `first` if nobody was awake and it
 * is worth while; it is `now`, about.
 */
static inline void vigil_risen(struct wf_vigil *v, bool first, weft_time now)
{
	weft_time due = atom_load_rlx(&v->due);

	if (due == WF_RESTING || due == WF_DISTURBED ||
	    (first && due > WF_LOOKING &&
	     due < now + atom_load_rlx(&v->slack) / 2))
		wf_vigil_move(v, due, now);
}

/* Have it look at once.  Context: signal handlers too. */
void wf_vigil_disturb(struct wf_vigil *v);

#endif
