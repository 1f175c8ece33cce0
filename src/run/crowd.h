/* SPDX-License-Identifier: MIT */
/*
 * crowd.h - how many workers do the most, where others want the CPUs too.
 *
 * Where a client runs on the same machine, or another process, there are more
 * threads than CPUs; a worker more may take from the client the time to ask.
 * Whether it does, or the other process has nothing to do with us and every
 * worker counts, cannot be seen, but tried: it is a climb to the top of what
 * is done in a while, as a function of the workers that do it (Hellerstein et
 * al., "Optimizing Concurrency Levels in the .NET ThreadPool", 2008).
 *
 *      steady     all are wanted, or so many as were found to be best.
 *                 Crowded: try fewer.  Fewer than all for a while, and those
 *                 have no time left, or for a long while: try all
 *      trying     for some windows, of which the first one is not measured;
 *                 if that does as much with fewer, in each window but one
 *                 about that, or more with all, go back for as many windows,
 *                 as the load may have grown meanwhile; keep what is better
 *                 than both before and after, fewer only after a second time
 *                 unless each window but one was as good; else, or at once if
 *                 fewer are far from that, wait twice as long before it is
 *                 tried again
 *
 * "Crowded" is when the workers' threads wait for a CPU, as the kernel counts
 * that.  Where little is done nothing is tried, and all are wanted; what was
 * found before is taken up again when it is crowded again.
 */
#ifndef WF_CROWD_H
#define WF_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/time.h"

/*
 * Windows in a row: the middle one of their rates counts, not a hiccup.  What
 * has been asked already says nothing of who asks, so they are so long that
 * each fiber has its turn, if that does not take too long.
 */
#define WF_CROWD_MEASURED 5

struct wf_crowd {
	uint32_t all;    /* constant: workers */
	uint32_t wanted; /* now */
	bool trying;
	uint32_t found; /* to be best, before a lull; or `all` */
	/* When steady. */
	unsigned crowded; /* windows in a row */
	unsigned full;    /* the same: nobody had time left */
	double recent;    /* what was done in a second, in the last few */
	weft_time fewer_at, fewer_pause;
	weft_time all_at, all_pause;
	weft_time all_by; /* in any case */
	/* When trying. */
	uint32_t before, tried;          /* numbers wanted */
	double before_rate, tried_rate;  /* done in a second */
	double tried_low;                /* the same, in a bad window */
	double rates[WF_CROWD_MEASURED]; /* in ascending order */
	unsigned won;                    /* times in a row */
	unsigned windows;                /* since the last change */
	uint64_t done;                   /* in the present window, so far */
	weft_time length;
};

/* What was seen of the workers in a window. */
struct wf_crowd_view {
	weft_time now, length;
	uint64_t done;   /* any unit that stays the same: see census.h */
	uint64_t fibers; /* that there are */
	/* By those that were wanted, of whom it is known, together. */
	weft_time ran, waited; /* on CPUs, for CPUs */
	uint32_t known;
};

/* Context of these: whoever has the struct. */

void wf_crowd_begin(struct wf_crowd *c, uint32_t workers);

/* How long the present window is: to look costs something too. */
weft_time wf_crowd_window(const struct wf_crowd *c);

/* Whether so much is done that it matters how many do it. */
bool wf_crowd_busy(const struct wf_crowd_view *v);

/*
 * A fiber has held its worker for long, so that more are of use: all are wanted
 * for a while, which begins anew each time that this is said.
 */
void wf_crowd_held(struct wf_crowd *c, weft_time now);

/* A window has passed: c->wanted is how many are wanted in the next one. */
void wf_crowd_turn(struct wf_crowd *c, const struct wf_crowd_view *v);

#endif
