/* SPDX-License-Identifier: MIT */
/*
 * gate.h - how ordinary threads come into a runtime that may be ending.
 *
 *      word             the runtime
 *      0                is not there
 *      OPEN + n         runs; n ordinary threads are inside a call
 *      CLOSING + n      has no more fibers; those inside are asked to leave
 *
 *      enter, any thread     OPEN + n to OPEN + n + 1       acquire [gate-open]
 *      leave, any thread     n - 1                          release [gate-left]
 *                            CLOSING + 1 to CLOSING + WAKING; wake a worker;
 *                            WAKING to 0                    release [gate-left]
 *      close, last worker    OPEN + 0 or CLOSING + 0        acquire [gate-left]
 *                            to 0, the end; while WAKING, spin: the waker
 *                            still needs the worker; OPEN + n to CLOSING + n
 *      reopen, last worker   CLOSING + n to OPEN + n, if one of those inside
 *                            has spawned a fiber meanwhile
 *      open, the caller of weft_run    0 to OPEN            release [gate-open]
 *
 * A thread that waits inside a runtime that closes leaves it and waits by
 * itself, so that weft_run() returns.
 */
#ifndef WF_GATE_H
#define WF_GATE_H

#include <stdbool.h>

/* False: there is no runtime, or it is ending. */
bool wf_gate_enter(void);

/*
 * True: somebody waits for the gate to be empty, and this was the last.  The
 * caller wakes a worker and then calls wf_gate_left().
 */
bool wf_gate_leave(void);
void wf_gate_left(void);

/* Whether those inside should leave. */
bool wf_gate_closing(void);

void wf_gate_open(void);

/* True: closed for good.  False: threads are inside; now they are asked. */
bool wf_gate_close(void);
void wf_gate_reopen(void);

/* In a forked child: there is no runtime here. */
void wf_gate_forget(void);

#endif
