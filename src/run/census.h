/* SPDX-License-Identifier: MIT */
/*
 * census.h - what the workers have done in a window, and how long they have had
 * a CPU and have waited for one.
 *
 * Done is what they have received and sent, in calls: so many for a request,
 * whoever serves it.  Or it is what fibers have waited for, if that is more,
 * as where they work with each other.
 */
#ifndef WF_CENSUS_H
#define WF_CENSUS_H

#include "run/crowd.h"

/* Context of these: the sentinel, but for begin and end. */

/* Errors: -ENOMEM. */
int wf_census_begin(void);
void wf_census_end(void);

/* True: a window of at least that has ended, and this was seen in it. */
bool wf_census_take(weft_time now, weft_time window,
		    struct wf_crowd_view *view);

#endif
