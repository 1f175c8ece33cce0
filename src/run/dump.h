/* SPDX-License-Identifier: MIT */
/*
 * dump.h - weft_dump(), and SIGQUIT as a wish for one.
 *
 * How each is looked at while all goes on:
 *
 *      a fiber that waits      held (park.h), for as long as it takes to walk
 *                              its stack and copy what it waits for
 *      a fiber that runs       its thread is asked (sample.h), if that is on
 *      a fiber that is queued  nothing but its handle, which may be another
 *      or has ended            fiber's by the time it is read; what that points
 *                              to may be gone: the kernel reads it (peek.h)
 *      a thread that waits     the same, as it may cease to
 */
#ifndef WF_DUMP_H
#define WF_DUMP_H

#include <stdbool.h>

#include "weft/stats.h"

/*
 * Between these, SIGQUIT makes wf_dump_asked() true once, and wakes the
 * sentinel to look.
 */
void wf_dump_begin(void);
void wf_dump_end(void);
bool wf_dump_asked(void);

#endif
