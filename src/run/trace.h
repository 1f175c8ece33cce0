/* SPDX-License-Identifier: MIT */
/*
 * trace.h - WEFT_TRACE_BLOCKING=1: where fibers hold their thread.
 *
 * Each place is told of once, on stderr: its backtrace when the worker is taken
 * over, and how long it took when the fiber has come back.  A place is a
 * backtrace; of one that computes, all but the innermost frame, which moves.
 */
#ifndef WF_TRACE_H
#define WF_TRACE_H

#include <stdbool.h>

#include "core/carrier.h"

/*
 * Read the variable; sampling (sample.h) is there if this says so.
 *
 * Context: beginning of a runtime.
 */
bool wf_trace_begin(void);

/*
 * The worker of a thread that has been in one fiber since `since` is about to
 * be taken over.
 *
 * Context: the sentinel.
 */
void wf_trace_stuck(struct wf_carrier *c, weft_time since, bool computes);

/* The thread has left the fiber.  Context: itself. */
void wf_trace_freed(struct wf_carrier *c);

#endif
