/* SPDX-License-Identifier: MIT */
/*
 * deadline.h - the times of POSIX calls as deadlines of weft's clock.
 */
#ifndef WF_POSIX_DEADLINE_H
#define WF_POSIX_DEADLINE_H

#include <stdbool.h>
#include <time.h>

#include "weft/time.h"

/*
 * When the clock shows `ts`; WEFT_FOREVER if that is NULL.
 * Errors: -EINVAL the nanoseconds are none, or no such clock.
 */
int wf_deadline_at(clockid_t clock, const struct timespec *ts,
		   weft_time *deadline);

/* So long from now.  Errors: -EINVAL. */
int wf_deadline_in(const struct timespec *ts, weft_time *deadline);

/*
 * A deadline has passed: whether the clock, which may have been set meanwhile,
 * shows `ts` too.
 */
bool wf_deadline_reached(clockid_t clock, const struct timespec *ts);

#endif
