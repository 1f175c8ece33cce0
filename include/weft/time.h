/* SPDX-License-Identifier: MIT */
/*
 * time.h - instants, delays, and sleeping.
 *
 * One type serves both: signed nanoseconds, an instant on CLOCK_MONOTONIC
 * (deadline) or a distance between two (delay).  Arithmetic saturates, so
 * that WEFT_FOREVER stays for ever.
 */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include "base.h"

typedef int64_t weft_time;

#define WEFT_NSEC(n) ((weft_time)(n))
#define WEFT_USEC(n) ((weft_time)(n)*1000)
#define WEFT_MSEC(n) ((weft_time)(n)*1000000)
#define WEFT_SEC(n)  ((weft_time)(n)*1000000000)

/* As a deadline: no limit. */
#define WEFT_FOREVER INT64_MAX

WEFT_BEGIN

/*
 * The clock, read now.
 *
 * Context: any thread; does not block.
 */
WEFT_API weft_time weft_now(void);

/*
 * The deadline that lies `delay` ahead; WEFT_FOREVER if that is beyond the
 * end of time.
 *
 * Context: any thread; does not block.
 */
WEFT_API weft_time weft_after(weft_time delay);

/*
 * Wait until `deadline` has passed, or for `delay`.  Never returns early
 * without an error; at most about 2 ms late while a CPU is idle.
 *
 * Context: any thread; waits.
 * Errors: -ECANCELED; the sleep has ended early.
 */
WEFT_API int weft_sleep(weft_time delay);
WEFT_API int weft_sleep_until(weft_time deadline);

WEFT_END

#endif
